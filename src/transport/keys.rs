//! Turns an identity of the configuration into something that can sign.
use super::Endpoint;
use super::TransportError;
use super::config::{Identity, KeySource, SshConfig};
use crate::base::Secret;
use russh::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who logs in, and with what.
#[derive(Clone)]
pub struct Login {
    /// Login user.
    pub user: String,
    /// The identity's name, for messages.
    pub identity: String,
    /// What signs, in the order in which it is tried.
    pub signers: Vec<KeyHolder>,
    /// A user certificate to show first.
    pub certificate: Option<Certificate>,
}

/// A key in memory, or the agent.
#[derive(Clone)]
pub enum KeyHolder {
    /// A decrypted private key.
    Key(Arc<PrivateKey>),
    /// The agent behind `SSH_AUTH_SOCK`: with this key only, or with all.
    Agent(Option<Box<PublicKey>>),
}

/// Finds the identity of `endpoint` and makes it ready. It reads the identity's files, so that an
/// error shows before the network is used.
///
/// # Errors
/// [`TransportError::Identity`] with what is wrong, never with key material.
pub async fn login(config: &SshConfig, endpoint: &Endpoint) -> Result<Login, TransportError> {
    let (name, identity) = choose(config, endpoint)?;
    let bad = |why: String| TransportError::Identity(name.to_owned(), why);
    let user = if endpoint.user.is_empty() {
        identity.user.clone().unwrap_or_default()
    } else {
        endpoint.user.clone()
    };
    if user.is_empty() {
        return Err(bad("neither the host nor the identity names a login user".into()));
    }
    let signers = match &identity.key {
        KeySource::Agent => vec![KeyHolder::Agent(None)],
        KeySource::Value { key, passphrase } => vec![KeyHolder::Key(
            decode(key.expose().to_owned(), passphrase.clone())
                .await
                .map_err(|why| bad(format!("its key {why}")))?,
        )],
        KeySource::File { path, passphrase } => {
            vec![from_file(path, passphrase.clone()).await.map_err(bad)?]
        }
        KeySource::Own { agent, files, passphrase } => {
            own(*agent, files, passphrase.as_ref()).await.map_err(bad)?
        }
    };
    let certificate = match &identity.certificate {
        None => None,
        Some(given) => Some(certificate(given).await.map_err(bad)?),
    };
    if let (Some(certificate), [KeyHolder::Key(key)]) = (&certificate, &signers[..])
        && certificate.public_key() != key.public_key().key_data()
    {
        return Err(bad("the certificate is for another key".into()));
    }
    Ok(Login { user, identity: name.to_owned(), signers, certificate })
}

async fn from_file(path: &Path, passphrase: Option<Secret>) -> Result<KeyHolder, String> {
    let place = format!("key file {}", path.display());
    let text = tokio::fs::read_to_string(path).await.map_err(|e| format!("{place}: {e}"))?;
    // As for ssh, a public key names the key of the agent that is meant.
    if let Ok(public) = PublicKey::from_openssh(text.trim()) {
        return Ok(KeyHolder::Agent(Some(Box::new(public))));
    }
    let key = decode(text, passphrase).await;
    key.map(KeyHolder::Key).map_err(|why| format!("{place} {why}"))
}

/// The agent, and each of the files that is there and opens.
async fn own(
    agent: bool,
    files: &[PathBuf],
    passphrase: Option<&Secret>,
) -> Result<Vec<KeyHolder>, String> {
    let mut signers: Vec<_> = agent.then_some(KeyHolder::Agent(None)).into_iter().collect();
    let mut not = Vec::new();
    for file in files {
        match from_file(file, passphrase.cloned()).await {
            Ok(signer) => signers.push(signer),
            Err(why) => not.push(why),
        }
    }
    if signers.is_empty() {
        not.insert(0, "there is no SSH agent (SSH_AUTH_SOCK)".to_owned());
        return Err(not.join("; "));
    }
    Ok(signers)
}

fn choose<'a>(
    config: &'a SshConfig,
    endpoint: &'a Endpoint,
) -> Result<(&'a str, &'a Identity), TransportError> {
    let names =
        || config.identities.keys().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
    if !endpoint.identity.is_empty() {
        let found = config.identities.get_key_value(&endpoint.identity);
        let why = || {
            if config.identities.is_empty() {
                "no identity is configured".to_owned()
            } else {
                format!("there is none of that name; there are {}", names())
            }
        };
        return found.map(|(n, i)| (n.as_str(), i)).ok_or_else(|| {
            if config.later {
                return TransportError::Later;
            }
            TransportError::Identity(endpoint.identity.clone(), why())
        });
    }
    let mut all = config.identities.iter();
    match (all.next(), all.next()) {
        (Some((name, identity)), None) => Ok((name, identity)),
        (None, _) if config.later => Err(TransportError::Later),
        (None, _) => {
            Err(TransportError::Identity(String::new(), "no identity is configured".into()))
        }
        _ => Err(TransportError::Identity(
            String::new(),
            format!("the host names none and there are several: {}", names()),
        )),
    }
}

/// Decrypts outside the runtime's threads: bcrypt takes a tenth of a second or more.
async fn decode(text: String, passphrase: Option<Secret>) -> Result<Arc<PrivateKey>, String> {
    let text = Secret::new(text);
    let work = tokio::task::spawn_blocking(move || {
        let encrypted = text.expose().contains("ENCRYPTED");
        let decoded = decode_secret_key(text.expose(), passphrase.as_ref().map(Secret::expose));
        // The library's own text is not shown: it may quote what it could not parse.
        decoded.map(Arc::new).map_err(|e| match (e, &passphrase) {
            (russh::keys::Error::KeyIsEncrypted, None) => {
                "is encrypted and no passphrase is given".to_owned()
            }
            (_, None) if encrypted => "is encrypted and no passphrase is given".to_owned(),
            (russh::keys::Error::SshKey(russh::keys::ssh_key::Error::Crypto), Some(_)) => {
                "does not open with this passphrase".to_owned()
            }
            (_, Some(_)) => {
                "cannot be read: the passphrase is wrong or it is no OpenSSH or PEM private key"
                    .to_owned()
            }
            (_, None) => "cannot be read: it is no OpenSSH or PEM private key; its lines \
                          `-----BEGIN …-----` and `-----END …-----` stand alone, and a line end \
                          closes the last one"
                .to_owned(),
        })
    });
    work.await.map_err(|_| "could not be decoded".to_owned())?
}

async fn certificate(given: &str) -> Result<Certificate, String> {
    let given = given.trim();
    let (text, place) = if given.contains("-cert-v01@openssh.com ") {
        (given.to_owned(), "certificate".to_owned())
    } else {
        let text = tokio::fs::read_to_string(given)
            .await
            .map_err(|e| format!("certificate file {given}: {e}"))?;
        (text, format!("certificate file {given}"))
    };
    Certificate::from_openssh(text.trim()).map_err(|e| format!("{place} cannot be read: {e}"))
}
