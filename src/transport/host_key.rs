//! Decides whether a host is the one we mean, before any login: the configured key first, then
//! `known_hosts`.
use super::config::{HostKeyPolicy, SshConfig};
use super::known_hosts::{KnownHosts, Verdict};
use super::{Endpoint, TransportError};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The rules for one endpoint.
pub struct Trust {
    host: String,
    port: u16,
    configured: Option<Configured>,
    known: KnownHosts,
    /// Where a new key is written down; `None` refuses it.
    learn: Option<PathBuf>,
}

enum Configured {
    Key(PublicKey),
    Fingerprint(String),
}

impl Trust {
    /// Reads the rules that are in force now.
    ///
    /// # Errors
    /// [`TransportError::Config`] when `host_key` or a `known_hosts` file cannot be read. A file
    /// that is missing is empty.
    pub async fn load(config: &SshConfig, endpoint: &Endpoint) -> Result<Self, TransportError> {
        let configured = match endpoint.host_key.trim() {
            "" => None,
            text if text.starts_with("SHA256:") => Some(Configured::Fingerprint(text.to_owned())),
            text => Some(Configured::Key(PublicKey::from_openssh(text).map_err(|_| {
                TransportError::Config(
                    "host_key is neither a public key (`ssh-ed25519 AAAA…`) nor a fingerprint \
                     (`SHA256:…`)"
                        .into(),
                )
            })?)),
        };
        let known = known(config).await?;
        let learn = (config.policy == HostKeyPolicy::AcceptNew)
            .then(|| config.known_hosts_files.first().cloned())
            .flatten();
        if config.policy == HostKeyPolicy::AcceptNew && learn.is_none() {
            return Err(TransportError::Config(
                "host_key_policy \"accept-new\" needs a known_hosts file to write new keys to"
                    .into(),
            ));
        }
        let host = endpoint.address.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: endpoint.port, configured, known, learn })
    }

    /// Sorts `algorithms` so that those we know a key of come first; with a configured key only its
    /// own remain.
    #[must_use]
    pub fn prefer(&self, algorithms: &[Algorithm]) -> Vec<Algorithm> {
        let rsa = |a: &Algorithm| matches!(a, Algorithm::Rsa { .. });
        let family = |a: &Algorithm, b: &Algorithm| a == b || (rsa(a) && rsa(b));
        if let Some(Configured::Key(key)) = &self.configured {
            return algorithms.iter().filter(|a| family(a, &key.algorithm())).cloned().collect();
        }
        let known = self.known.algorithms(&self.host, self.port);
        let (first, rest): (Vec<_>, Vec<_>) =
            algorithms.iter().cloned().partition(|a| known.iter().any(|k| family(a, k)));
        first.into_iter().chain(rest).collect()
    }

    /// Whether to ask for a host certificate.
    #[must_use]
    pub fn wants_certificate(&self) -> bool {
        self.configured.is_none() && self.known.has_authority(&self.host, self.port)
    }

    /// Lets the host pass or says why not. With accept-new it may write a line into the first
    /// `known_hosts` file.
    ///
    /// # Errors
    /// One of the `HostKey…` and [`TransportError::HostCertificate`] variants.
    pub async fn decide(&self, offered: &PublicKeyOrCertificate) -> Result<(), TransportError> {
        let key = offered.public_key();
        let shown = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        if let Some(configured) = &self.configured {
            if let Some(place) = self.known.revoked(&self.host, self.port, offered) {
                return Err(TransportError::HostKeyRevoked(format!("{shown} ({place})")));
            }
            let (same, expected) = match configured {
                Configured::Key(want) => (
                    want.key_data() == key.key_data(),
                    format!("{} {}", want.algorithm(), want.fingerprint(HashAlg::Sha256)),
                ),
                Configured::Fingerprint(want) => {
                    (*want == key.fingerprint(HashAlg::Sha256).to_string(), want.clone())
                }
            };
            return if same {
                Ok(())
            } else {
                Err(TransportError::HostKeyChanged {
                    offered: shown,
                    expected: format!("{expected} (host_key of the host)"),
                })
            };
        }
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        match self.known.check(&self.host, self.port, offered, now) {
            Verdict::Known => Ok(()),
            Verdict::Revoked(place) => {
                Err(TransportError::HostKeyRevoked(format!("{shown} ({place})")))
            }
            Verdict::Changed(expected) => {
                Err(TransportError::HostKeyChanged { offered: shown, expected })
            }
            Verdict::BadCertificate(why) => Err(TransportError::HostCertificate(why)),
            Verdict::Unknown => {
                let text = PublicKey::new(key.key_data().clone(), "")
                    .to_openssh()
                    .unwrap_or_else(|_| shown.clone());
                let Some(file) = self.learn.clone() else {
                    return Err(TransportError::HostKeyUnknown {
                        fingerprint: shown,
                        line: format!("{} {text}", named(&self.host, self.port)),
                        offered: text,
                    });
                };
                let (host, port) = (self.host.clone(), self.port);
                let learnt =
                    tokio::task::spawn_blocking(move || learn(&file, &host, port, &key, &text))
                        .await;
                learnt.unwrap_or_else(|_| {
                    Err(TransportError::Config("writing known_hosts was interrupted".into()))
                })
            }
        }
    }
}

/// All lines of `known_hosts` that are in force. A file that is missing is empty.
async fn known(config: &SshConfig) -> Result<KnownHosts, TransportError> {
    let mut known = KnownHosts::default();
    for file in &config.known_hosts_files {
        match tokio::fs::read(file).await {
            Ok(text) => known.add(&String::from_utf8_lossy(&text), &file.display().to_string()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => {
                return Err(TransportError::Config(format!(
                    "known_hosts file {} cannot be read: {e}",
                    file.display()
                )));
            }
        }
    }
    known.add(&config.known_hosts_lines.join("\n"), "the kit's known_hosts");
    Ok(known)
}

/// The lines of `known_hosts` about a host, with its name in clear: another machine that has them
/// trusts the same keys.
///
/// # Errors
/// As [`Trust::load`].
pub async fn lines_about(
    config: &SshConfig,
    endpoint: &Endpoint,
) -> Result<Vec<String>, TransportError> {
    let host = endpoint.address.trim_start_matches('[').trim_end_matches(']');
    let (port, name) = (endpoint.port, named(host, endpoint.port));
    Ok(known(config).await?.lines(host, port, &name))
}

/// How `known_hosts` names a host.
fn named(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Appends one line to `known_hosts`, in one write. It does so under a lock and after a second
/// look: another process may have met the host meanwhile.
fn learn(
    file: &Path,
    host: &str,
    port: u16,
    key: &PublicKey,
    text: &str,
) -> Result<(), TransportError> {
    let write = || -> std::io::Result<Option<String>> {
        if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut open = std::fs::OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(file)?;
        rustix::fs::flock(&open, rustix::fs::FlockOperation::LockExclusive)?;
        let mut before = String::new();
        open.seek(SeekFrom::Start(0))?;
        open.read_to_string(&mut before)?;
        let mut known = KnownHosts::default();
        known.add(&before, &file.display().to_string());
        match known.check(host, port, &PublicKeyOrCertificate::from(key.clone()), 0) {
            Verdict::Known => return Ok(None),
            Verdict::Changed(expected) => return Ok(Some(expected)),
            _ => {}
        }
        let name = named(host, port);
        let newline = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        open.write_all(format!("{newline}{name} {text}\n").as_bytes())?;
        open.sync_all()?;
        Ok(None)
    };
    match write() {
        Ok(None) => Ok(()),
        Ok(Some(expected)) => Err(TransportError::HostKeyChanged {
            offered: key.fingerprint(HashAlg::Sha256).to_string(),
            expected,
        }),
        Err(e) => Err(TransportError::Config(format!(
            "the new host key cannot be written to {}: {e}",
            file.display()
        ))),
    }
}
