//! One SSH connection up to the login: algorithms, key exchange, host key, authentication.
use super::auth::Tried;
use super::config::SshConfig;
use super::host_key::Trust;
use super::keys::Login;
use super::{Endpoint, TransportError, auth};
use russh::client::{self, DisconnectReason, Handle, Handler};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};
use russh::{Preferred, SshId, cipher, kex, mac};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Deadline from the first byte to the host key. A frozen host accepts TCP connections and stays
/// silent.
const KEY_EXCHANGE: Duration = Duration::from_secs(10);
/// Deadline for the login. sshd may look up names and ask directories.
const LOGIN: Duration = Duration::from_secs(20);

/// Why there is no connection.
#[derive(Debug)]
pub enum Failure {
    /// Another try would end the same way.
    Final(TransportError),
    /// Nothing listens on the port.
    Refused(String),
    /// The host ended the connection after some keys, and others are left: connect again.
    Again,
    /// The link ended before the host key was shown. A busy sshd (`MaxStartups`) does that at
    /// random.
    Dropped(String),
    /// The link ended instead of an answer to the login. sshd does that when PAM refuses the
    /// account after the key was taken: "Access denied for user … by PAM account configuration".
    NoAnswer(String),
}

impl From<russh::Error> for Failure {
    fn from(e: russh::Error) -> Self {
        use russh::Error as E;
        match e {
            E::IO(_)
            | E::Disconnect
            | E::HUP
            | E::SendError
            | E::ConnectionTimeout
            | E::InactivityTimeout
            | E::KeepaliveTimeout
            | E::Join(_) => Self::Dropped(e.to_string()),
            E::Version => Self::Final(TransportError::Unreachable(
                "what listens there does not speak SSH 2".into(),
            )),
            _ => Self::Final(TransportError::Unreachable(format!("SSH: {e}"))),
        }
    }
}

/// Our side of a connection: judges the host key and remembers why the connection ended.
pub struct Client {
    trust: Trust,
    ended: Ended,
}

/// Why a connection ended, as soon as it has.
#[derive(Clone, Default)]
pub struct Ended(Arc<Mutex<Option<String>>>);

impl Ended {
    /// The reason, or a general one.
    #[must_use]
    pub fn why(&self) -> String {
        self.said().unwrap_or_else(|| "the connection ended".into())
    }

    fn said(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Handler for Client {
    type Error = Failure;

    async fn check_server_key(
        &mut self,
        offered: &PublicKeyOrCertificate,
    ) -> Result<bool, Failure> {
        self.trust.decide(offered).await.map(|()| true).map_err(Failure::Final)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Failure>) -> Result<(), Failure> {
        let why = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                format!("the host ended the connection: {}", info.message)
            }
            DisconnectReason::Error(Failure::Final(e)) => e.to_string(),
            DisconnectReason::Error(
                Failure::Dropped(why) | Failure::Refused(why) | Failure::NoAnswer(why),
            ) => {
                format!("the connection broke: {why}")
            }
            DisconnectReason::Error(Failure::Again) => "the host ended the login".to_owned(),
        };
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        Ok(())
    }
}

/// Speaks SSH over `stream` until logged in.
///
/// # Errors
/// See [`Failure`]. The host key is judged before anything of the login is sent.
pub async fn establish<S>(
    stream: S,
    config: &SshConfig,
    endpoint: &Endpoint,
    login: &Login,
    tried: &mut Tried,
) -> Result<(Handle<Client>, Ended), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let trust = Trust::load(config, endpoint).await.map_err(Failure::Final)?;
    let settings = Arc::new(settings(config, &trust).map_err(Failure::Final)?);
    let ended = Ended::default();
    let client = Client { trust, ended: ended.clone() };
    let late = |limit, what: &str| Failure::Final(TransportError::Timeout(limit, what.to_owned()));
    let connected =
        tokio::time::timeout(KEY_EXCHANGE, client::connect_stream(settings, stream, client)).await;
    let mut handle = connected.map_err(|_| late(KEY_EXCHANGE, "the SSH key exchange ran"))??;
    let logged_in =
        tokio::time::timeout(LOGIN, auth::authenticate(&mut handle, login, tried)).await;
    let logged_in = logged_in.map_err(|_| late(LOGIN, "the login ran"))?;
    logged_in.map_err(|failure| match failure {
        Failure::NoAnswer(why) => Failure::NoAnswer(ended.said().unwrap_or(why)),
        other => other,
    })?;
    Ok((handle, ended))
}

const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];
/// curve25519 comes first, which saves 3 ms for each connection. The post-quantum hybrid is next,
/// for hosts that insist on it.
const EXCHANGES: &[kex::Name] = &[
    kex::CURVE25519,
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
];
const EXTENSIONS: &[kex::Name] =
    &[kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];
const MACS: &[mac::Name] =
    &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

fn settings(config: &SshConfig, trust: &Trust) -> Result<client::Config, TransportError> {
    let wanted = config.algorithms.as_deref().unwrap_or_default();
    let ciphers = pick(wanted, CIPHERS, |n| n.as_ref());
    let mut exchanges = pick(wanted, EXCHANGES, |n| n.as_ref());
    let macs = pick(wanted, MACS, |n| n.as_ref());
    let names: Vec<String> = HOST_KEYS.iter().map(ToString::to_string).collect();
    let chosen: Vec<_> = HOST_KEYS
        .iter()
        .zip(&names)
        .filter(|(_, n)| wanted.contains(n))
        .map(|(a, _)| a.clone())
        .collect();
    let offered = CIPHERS
        .iter()
        .map(AsRef::as_ref)
        .chain(EXCHANGES.iter().map(AsRef::as_ref))
        .chain(MACS.iter().map(AsRef::as_ref))
        .chain(names.iter().map(String::as_str));
    let offered: Vec<&str> = offered.collect();
    if let Some(unknown) = wanted.iter().find(|w| !offered.contains(&w.as_str())) {
        return Err(TransportError::Config(format!(
            "algorithm \"{unknown}\" is not offered; there are {}",
            offered.join(", ")
        )));
    }
    exchanges.extend_from_slice(EXTENSIONS);
    let host_keys = trust.prefer(if chosen.is_empty() { HOST_KEYS } else { &chosen });
    let certificates = if trust.wants_certificate() { host_keys.clone() } else { Vec::new() };
    let preferred = Preferred {
        kex: exchanges.into(),
        key: host_keys.into(),
        host_key_certificates: certificates.into(),
        cipher: ciphers.into(),
        mac: macs.into(),
        ..Preferred::default()
    };
    Ok(client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-ob_",
            env!("CARGO_PKG_VERSION")
        ))),
        preferred,
        nodelay: true,
        // The keepalive finds a dead link after 5 × 5 s. The inactivity limit is for a session that
        // cannot even write its keepalive.
        keepalive_interval: Some(Duration::from_secs(5)),
        keepalive_max: 4,
        inactivity_timeout: Some(Duration::from_secs(45)),
        // russh reopens the window when data comes in, not when it is read. So one stream that
        // nobody reads stops its whole connection once this many packets wait.
        channel_buffer_size: 1024,
        ..client::Config::default()
    })
}

/// The names of one kind that the user wants, in the user's order; all of ours if the user mentions
/// none.
fn pick<N: Copy>(wanted: &[String], ours: &[N], name: impl Fn(&N) -> &str) -> Vec<N> {
    let chosen: Vec<N> =
        wanted.iter().filter_map(|w| ours.iter().find(|n| name(n) == w).copied()).collect();
    if chosen.is_empty() { ours.to_vec() } else { chosen }
}
