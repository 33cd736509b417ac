//! What the user may set about SSH. This is plain data that the provider layer fills.
use super::Endpoint;
use crate::base::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything the pool needs to know besides the endpoint.
#[derive(Clone, Debug, Default)]
pub struct SshConfig {
    /// The ways to log in, by name. An endpoint that names none uses the only one there is.
    pub identities: BTreeMap<String, Identity>,
    /// `known_hosts` files in order; with [`HostKeyPolicy::AcceptNew`] new keys go into the first.
    pub known_hosts_files: Vec<PathBuf>,
    /// More lines of `known_hosts`, which no file holds.
    pub known_hosts_lines: Vec<String>,
    /// What to do with a host whose key is nowhere.
    pub policy: HostKeyPolicy,
    /// Hosts to go through, the first one first; empty means a direct connection.
    pub bastion: Vec<Endpoint>,
    /// Algorithm names to offer instead of our own choice: ciphers, key exchanges, MACs and host
    /// keys in one list; each kind that is not mentioned keeps its default.
    pub algorithms: Option<Vec<String>>,
    /// Observe mode: scripts that may change a host are refused before anything is sent.
    pub observe: bool,
    /// Identities are missing whose values only apply knows.
    pub later: bool,
}

/// One way to log in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Login user, unless the endpoint names one.
    pub user: Option<String>,
    /// The private key.
    pub key: KeySource,
    /// OpenSSH certificate for the key: its text (`ssh-ed25519-cert-v01@openssh.com AAAA…`) or the
    /// path of its file.
    pub certificate: Option<String>,
}

/// Where a private key is.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In memory (OpenSSH or PEM text).
    Value {
        /// The private key's text.
        key: Secret,
        /// Its passphrase, if it is encrypted.
        passphrase: Option<Secret>,
    },
    /// In a file. A file that holds a public key names the one key of the agent that signs.
    File {
        /// The file's path.
        path: PathBuf,
        /// Its passphrase, if it is encrypted.
        passphrase: Option<Secret>,
    },
    /// In the agent behind `SSH_AUTH_SOCK`; all its keys are tried.
    Agent,
    /// What a person's own `ssh` would try: the agent's keys, then those of the files that are
    /// there.
    Own {
        /// Whether there is an agent.
        agent: bool,
        /// The files, in order.
        files: Vec<PathBuf>,
        /// The passphrase of those that are encrypted.
        passphrase: Option<Secret>,
    },
}

/// What to do with a host whose key is nowhere. A changed or revoked key is refused either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// Refuse it.
    #[default]
    Strict,
    /// Trust it at first sight and write it down.
    AcceptNew,
}
