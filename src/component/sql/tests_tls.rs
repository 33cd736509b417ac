//! TLS within the login: each mode, against servers with good and bad certificates and none.
use super::fake::{CACHING, CAPABILITIES, Came, Fake, NATIVE, PASSWORD, greeting, log_in_at};
use super::{Ca, Refusal, SqlError, Tls, TlsMode};
use crate::base::Secret;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::sync::{Arc, Mutex};
use tokio_rustls::TlsAcceptor;

/// `CLIENT_SSL`.
const SSL: u32 = 0x800;

struct Authority(String, Issuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(pem, Issuer::new(params, key))
    }
    /// A server with a certificate for that name.
    fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.1).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            );
        Arc::new(config.unwrap())
    }
    fn verify(&self, server_name: Option<&str>) -> Tls {
        Tls {
            mode: TlsMode::Verify,
            ca: Some(Ca::Text(self.0.clone())),
            server_name: server_name.map(str::to_owned),
        }
    }
}

fn mode(mode: TlsMode) -> Tls {
    Tls { mode, ..Tls::off() }
}

/// Greets, begins TLS if the client asks for it, and reads the login; `None` when the client left.
async fn accept(mut fake: Fake, tls: Option<Arc<ServerConfig>>, plugin: &str) -> Option<Fake> {
    let offer = if tls.is_some() { SSL } else { 0 };
    fake.send(&greeting(CAPABILITIES | offer, plugin)).await;
    let first = fake.read().await?;
    if first.len() > 32 {
        assert_eq!(first[1] & 8, 0, "no TLS in the capabilities");
        return Some(fake);
    }
    let stream = TlsAcceptor::from(tls?).accept(fake.stream).await.ok()?;
    let mut fake = Fake { stream: Box::new(stream), sequence: fake.sequence };
    let response = fake.read().await?;
    assert_eq!(response[..32], first[..], "the response says the same as the request for TLS");
    Some(fake)
}

async fn come(address: &str, tls: &Tls, server: Option<Arc<ServerConfig>>) -> Came {
    log_in_at(address, tls, |fake| async move {
        let Some(mut fake) = accept(fake, server, NATIVE).await else { return };
        fake.ok().await;
        while fake.read().await.is_some() {
            fake.ok().await;
        }
    })
    .await
}

#[tokio::test]
async fn each_mode_does_what_it_says() {
    let (good, other) = (Authority::new("good"), Authority::new("other"));
    let named = good.server("db.example");
    let numbered = good.server("10.0.0.1");
    for (what, address, tls, server, want) in [
        ("off", "db.example", Tls::off(), Some(&named), Ok(false)),
        ("preferred", "db.example", mode(TlsMode::Preferred), Some(&named), Ok(true)),
        ("preferred, none", "db.example", mode(TlsMode::Preferred), None, Ok(false)),
        ("required", "elsewhere", mode(TlsMode::Required), Some(&named), Ok(true)),
        ("required, none", "db.example", mode(TlsMode::Required), None, Err("offers no TLS")),
        ("verify", "db.example", good.verify(None), Some(&named), Ok(true)),
        ("verify, none", "db.example", good.verify(None), None, Err("offers no TLS")),
        ("verify, by address", "10.0.0.1", good.verify(None), Some(&numbered), Ok(true)),
        ("another CA", "db.example", other.verify(None), Some(&named), Err("UnknownIssuer")),
        ("another name", "elsewhere", good.verify(None), Some(&named), Err("not valid for name")),
        ("its name", "10.0.0.1", good.verify(Some("db.example")), Some(&named), Ok(true)),
        ("no name", "a b", good.verify(None), Some(&named), Err("is no name of a server")),
        ("no CA", "db.example", mode(TlsMode::Verify), Some(&named), Err("there is none")),
    ] {
        let came = come(address, &tls, server.cloned()).await;
        let got = came.session.as_ref().map(drop).map_err(ToString::to_string);
        match (&got, want) {
            (Ok(()), Ok(encrypted)) => {
                assert_ne!(came.heard(b"somebody"), encrypted, "{what}: the user in clear");
                assert_ne!(came.heard(b"sql_mode"), encrypted, "{what}: a statement in clear");
            }
            (Err(got), Err(want)) if got.contains(want) => {
                assert!(!came.heard(b"somebody"), "{what}: the login went on");
            }
            _ => panic!("{what}: got {got:?}, want {want:?}"),
        }
    }
}

#[tokio::test]
async fn the_password_itself_goes_to_a_verified_server_alone() {
    let authority = Authority::new("one");
    let server = authority.server("db.example");
    for (tls, good) in [
        (authority.verify(None), true),
        (mode(TlsMode::Required), false),
        (mode(TlsMode::Preferred), false),
        (mode(TlsMode::Off), false),
    ] {
        let (server, told) = (server.clone(), Arc::new(Mutex::new(None)));
        let tell = told.clone();
        let came = log_in_at("db.example", &tls, |fake| async move {
            let mut fake = accept(fake, Some(server), CACHING).await.unwrap();
            fake.send(&[1, 4]).await;
            *tell.lock().unwrap() = fake.read().await;
            while fake.send(&[0, 0, 0, 2, 0, 0, 0]).await && fake.read().await.is_some() {}
        })
        .await;
        let told = told.lock().unwrap().take();
        if good {
            assert!(came.session.is_ok());
            assert_eq!(told.unwrap(), [PASSWORD.as_bytes(), &[0]].concat());
        } else {
            let refused =
                matches!(came.session, Err(SqlError::Refused(Refusal::FullAuthentication)));
            assert!(refused && told.is_none(), "{tls:?}");
        }
        assert!(!came.heard(PASSWORD.as_bytes()));
    }
}

#[tokio::test]
async fn what_comes_before_tls_does_not_count_as_within() {
    let tls = mode(TlsMode::Required);
    let came = log_in_at("db.example", &tls, |mut fake| async move {
        let payload = greeting(CAPABILITIES | SSL, NATIVE);
        let head = [u8::try_from(payload.len()).unwrap(), 0, 0, 0];
        // The packet that would let the client in comes too early.
        fake.raw(&[&head, &payload[..], &[7, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0]].concat()).await;
        while fake.read().await.is_some() {}
    })
    .await;
    let error = came.session.err().unwrap().to_string();
    assert!(error.contains("spoke before TLS"), "{error}");
}

#[tokio::test]
async fn a_statement_with_a_password_needs_a_link_that_nobody_reads_or_consent() {
    let server = Authority::new("one").server("db.example");
    for (address, tls, server, good) in [
        ("10.0.0.1", TlsMode::Preferred, None, false),
        ("db.example", TlsMode::Preferred, None, false),
        ("10.0.0.1", TlsMode::Off, None, true),
        ("127.0.0.1", TlsMode::Preferred, None, true),
        ("10.0.0.1", TlsMode::Preferred, Some(&server), true),
        ("10.0.0.1", TlsMode::Required, Some(&server), true),
    ] {
        let came = come(address, &mode(tls), server.cloned()).await;
        let Came { session, heard, .. } = came;
        let mut session = session.unwrap();
        let secrets = [Secret::new("hunter2")];
        let said = session.run_with("ALTER USER x IDENTIFIED BY 'hunter2'", &secrets).await;
        assert_eq!(said.is_ok(), good, "{address} {tls:?}: {said:?}");
        assert!(good || matches!(said, Err(SqlError::Refused(Refusal::SecretInClear))));
        session.run_with("ALTER USER x ACCOUNT LOCK", &[]).await.unwrap();
        let sent = String::from_utf8_lossy(&heard.lock().unwrap()).contains("hunter2");
        assert_eq!(sent, good && server.is_none(), "{address} {tls:?}");
    }
}

#[tokio::test]
async fn a_refused_login_says_that_tls_may_be_required() {
    let server = Authority::new("one").server("db.example");
    for (tls, code, hint) in [
        (TlsMode::Off, 1045, true),
        (TlsMode::Off, 3159, true),
        (TlsMode::Off, 1040, false),
        (TlsMode::Required, 1045, false),
    ] {
        let server = server.clone();
        let came = log_in_at("db.example", &mode(tls), |fake| async move {
            let mut fake = accept(fake, Some(server), NATIVE).await.unwrap();
            fake.error(code, "Access denied").await;
        })
        .await;
        let error = came.session.err().unwrap();
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.to_string().contains("may require it of this user"), hint, "{error}");
    }
}

#[test]
fn a_ca_is_one_or_more_certificates() {
    let tls = |text: &str| Tls { ca: Some(Ca::Text(text.into())), ..mode(TlsMode::Verify) };
    let pem = Authority::new("one").0;
    assert_eq!(tls(&format!("# two\n{pem}{pem}")).authorities().unwrap().len(), 2);
    for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(tls(text).authorities(), Err(SqlError::Tls(_))), "{text}");
    }
    let file = Tls { ca: Some(Ca::File("/nowhere/ca.pem".into())), ..mode(TlsMode::Verify) };
    assert!(file.authorities().unwrap_err().to_string().contains("/nowhere/ca.pem"));
}
