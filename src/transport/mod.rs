//! How scripts, files and byte streams reach a host.
//!
//! One trait, [`Transport`], with two kinds of product transports: SSH ([`ssh`]) and this machine
//! itself ([`local`]). Every transport passes the same contract suite, [`contract::check`]. No
//! layer above this one knows which it uses.
//!
//! Scripts are POSIX sh. They are sent on stdin, never in argv, and run with `LC_ALL=C`. One script
//! for a host and a phase costs one round trip; ten small commands with a channel each cost twice
//! as much and meet sshd's `MaxSessions`. A host's answer is data: framed, whole and bounded
//! ([`frame`]).
use crate::base::Address;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite};

mod auth;
pub mod config;
pub mod contract;
pub mod error;
pub mod files;
pub mod frame;
pub mod guard;
mod handshake;
mod host_key;
mod jump;
mod keys;
mod known_hosts;
pub mod local;
pub mod pool;
pub mod script;
mod socket;
pub mod ssh;
mod stream;
pub mod sudo;

pub use config::{HostKeyPolicy, Identity, KeySource, SshConfig};
pub use error::TransportError;
pub use host_key::lines_about;
pub use pool::Pool;
pub use script::{Output, Script};

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A source of bytes to stream to a host.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;

/// Where a host is and as whom to log in; what a resource keeps in its state about a host. Holds no
/// secret.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub struct Endpoint {
    /// The name people know the host by; part of every message.
    pub name: String,
    /// Host name, IPv4 or IPv6 address. `local` means this machine without SSH.
    pub address: Address,
    /// SSH port.
    pub port: u16,
    /// Login user; empty means the identity's.
    #[serde(default)]
    pub user: String,
    /// Name of an identity of the provider configuration; empty means the only one.
    #[serde(default)]
    pub identity: String,
    /// The host's public key as `ssh-ed25519 AAAA…`; empty means that `known_hosts` decides.
    #[serde(default)]
    pub host_key: String,
}

impl Endpoint {
    /// The user as whom scripts start on the host. Empty where only the host knows it (the
    /// identity's user, or this machine).
    #[must_use]
    pub fn login(&self) -> &str {
        if self.address.is_local() { "" } else { &self.user }
    }
    /// `name (user@address:port)` for messages.
    #[must_use]
    pub fn show(&self) -> String {
        let user = if self.user.is_empty() { String::new() } else { format!("{}@", self.user) };
        format!("{} ({user}{}:{})", self.name, self.address, self.port)
    }
}

/// One host that can be reached. Cheap to clone behind [`Arc`]; safe to use from many tasks at
/// once.
#[async_trait]
pub trait Transport: Send + Sync {
    /// The endpoint that this transport leads to.
    fn endpoint(&self) -> &Endpoint;

    /// Runs one script to its end. A non-zero exit status is not an error here: see
    /// [`Output::status`].
    ///
    /// # Errors
    /// Nothing answered within the script's deadline, the link broke, login failed.
    async fn run(&self, script: &Script) -> Result<Output, TransportError>;

    /// Runs a script that takes `input` on its stdin. The input is sent once the script has called
    /// `ob_ready`; until then the script may look and refuse. An `input` that breaks looks to the
    /// script like one that ends, as with a cut link. The script then has [`Output::GRACE`] to tidy
    /// up.
    ///
    /// # Errors
    /// As [`Transport::run`]; also when `input` cannot be read.
    async fn stream(&self, script: &Script, input: Input) -> Result<Output, TransportError>;

    /// Starts a script and waits until it calls `ob_ready`, at most for the script's deadline. From
    /// then on the returned stream is the script's stdin and stdout (stderr goes the same way).
    /// Dropping the stream ends the script's stdin and, with SSH, its channel.
    ///
    /// # Errors
    /// As [`Transport::run`]; [`TransportError::Ended`] when it ends without being ready.
    async fn open(&self, script: &Script) -> Result<Box<dyn Duplex>, TransportError>;

    /// Opens a TCP stream to `address:port` as seen from the host (SSH: a `direct-tcpip` channel).
    ///
    /// # Errors
    /// As [`Transport::run`]; [`TransportError::Dial`] when the host answers and the port does not.
    async fn dial(&self, address: &str, port: u16) -> Result<Box<dyn Duplex>, TransportError>;
}

/// Gives the transport for an endpoint. Behind it is one pooled connection per host.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Connects, or hands out the connection that is already there.
    ///
    /// # Errors
    /// The host does not answer, its key is not the expected one, or login is refused.
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError>;
}

/// Reads the next line from a host, without its line end; `None` at the end of the stream.
///
/// # Errors
/// The stream broke, or the line has more than `most` bytes.
pub async fn line(
    from: &mut (impl AsyncBufRead + Unpin),
    most: usize,
) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    from.take(u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1))
        .read_until(b'\n', &mut line)
        .await?;
    let whole = line.pop_if(|last| *last == b'\n').is_some();
    if !whole && line.len() > most {
        return Err(std::io::Error::other(format!("a line has more than {most} bytes")));
    }
    let some = whole || !line.is_empty();
    Ok(some.then(|| String::from_utf8_lossy(&line).into_owned()))
}

/// Facts that a script printed as `key=value` lines; later lines win.
#[must_use]
pub fn key_values(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.trim().to_owned(), v.to_owned()))
        .collect()
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_login;
