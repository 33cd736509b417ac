//! A caller like go-plugin's: a P-521 key, a self-signed CA:TRUE certificate, and the server's
//! certificate pinned.
use base64::Engine;
use ob::protocol::pb::tf::provider_client::ProviderClient;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};

/// A caller's key and certificate.
pub struct Caller {
    key: rcgen::KeyPair,
    cert: rcgen::Certificate,
}

impl Caller {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![
            rcgen::KeyUsagePurpose::DigitalSignature,
            rcgen::KeyUsagePurpose::KeyEncipherment,
            rcgen::KeyUsagePurpose::KeyAgreement,
            rcgen::KeyUsagePurpose::KeyCertSign,
        ];
        params.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let cert = params.self_signed(&key).unwrap();
        Self { key, cert }
    }
    pub fn pem(&self) -> String {
        self.cert.pem()
    }
}

#[derive(Debug)]
struct Pinned(Vec<u8>, rustls::crypto::WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if leaf.as_ref() == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General("another certificate than in the handshake line".into()))
        }
    }
    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(m, c, d, &self.1)
    }
    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(m, c, d, &self.1)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.supported_schemes()
    }
}

/// A provider process as its parent sees it.
pub struct Plugin {
    pub child: Child,
    pub socket: PathBuf,
    pub cert: Vec<u8>,
    pub line: String,
    /// The time from the start to the handshake line.
    pub took: Duration,
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that starts the provider under test. It inherits nothing of our own environment that
/// matters to the provider.
pub fn command() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in [
        "PLUGIN_CLIENT_CERT",
        "PLUGIN_MULTIPLEX_GRPC",
        "OB_PLUGIN_ALLOW_PLAINTEXT",
        "TMPDIR",
        "TF_PLUGIN_MAGIC_COOKIE",
    ] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The command as a CLI starts it.
pub fn plugin_command(caller: Option<&Caller>) -> Command {
    let mut command = command();
    command
        .env("TF_PLUGIN_MAGIC_COOKIE", ob::protocol::host::COOKIE)
        .env("PLUGIN_PROTOCOL_VERSIONS", "5,6");
    if let Some(caller) = caller {
        command.env("PLUGIN_CLIENT_CERT", caller.pem());
    }
    command
}

impl Plugin {
    pub fn start(caller: &Caller) -> Self {
        Self::launch(&mut plugin_command(Some(caller)))
    }

    pub fn launch(command: &mut Command) -> Self {
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let took = started.elapsed();
        let fields: Vec<_> = line.trim_end().split('|').collect();
        assert!(fields.len() >= 6, "no handshake line: {line:?} {}", stderr(&mut child));
        let cert = base64::engine::general_purpose::STANDARD_NO_PAD.decode(fields[5]).unwrap();
        Self { socket: fields[3].into(), cert, line: line.trim_end().to_owned(), child, took }
    }

    pub async fn client(&self, caller: &Caller) -> ProviderClient<Channel> {
        ProviderClient::new(connect(self, Some(caller)).await.unwrap())
            .max_decoding_message_size(1 << 30)
            .max_encoding_message_size(1 << 30)
    }

    /// Waits for the exit, for `within` at most.
    pub fn exited(&mut self, within: Duration) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() > until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub fn stderr(child: &mut Child) -> String {
    let _ = child.kill();
    let mut text = String::new();
    let _ = child.stderr.take().unwrap().read_to_string(&mut text);
    text
}

fn tls(plugin: &Plugin, caller: Option<&Caller>) -> ClientConfig {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let verifier =
        Arc::new(Pinned(plugin.cert.clone(), provider.signature_verification_algorithms));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match caller {
        Some(c) => builder
            .with_client_auth_cert(
                vec![c.cert.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(c.key.serialize_der())),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Connects with the caller's certificate, or with none.
pub async fn connect(
    plugin: &Plugin,
    caller: Option<&Caller>,
) -> Result<Channel, tonic::transport::Error> {
    let tls = tokio_rustls::TlsConnector::from(Arc::new(tls(plugin, caller)));
    let socket = plugin.socket.clone();
    let dial = tower::service_fn(move |_| {
        let (tls, socket) = (tls.clone(), socket.clone());
        async move {
            let stream = tokio::net::UnixStream::connect(socket).await?;
            let stream = tls.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
            Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(dial).await
}

/// Connects without TLS.
pub async fn connect_plain(plugin: &Plugin) -> Result<Channel, tonic::transport::Error> {
    let socket = plugin.socket.clone();
    let dial = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move {
            Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(
                tokio::net::UnixStream::connect(socket).await?,
            ))
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(dial).await
}
