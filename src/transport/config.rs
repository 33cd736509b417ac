//! What the SSH transport is configured with. Made by the provider's Configure, or by the operator's CLI.
use super::Endpoint;
use crate::base::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What to do with a host key that no rule knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// Refuse.
    #[default]
    Strict,
    /// Take it and remember it.
    AcceptNew,
}

/// Where a private key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The key itself.
    Value {
        /// Private key in PEM or OpenSSH form.
        key: Secret,
        /// Its passphrase, if it is encrypted.
        passphrase: Option<Secret>,
    },
    /// A file on this machine.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its passphrase, if it is encrypted.
        passphrase: Option<Secret>,
    },
    /// The agent at `SSH_AUTH_SOCK`.
    Agent,
}

/// A way to log in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Login user where the endpoint names none.
    pub user: Option<String>,
    /// Its key.
    pub key: KeySource,
    /// OpenSSH certificate (the text of a `-cert.pub` file).
    pub certificate: Option<String>,
}

/// Everything about how to reach hosts by SSH.
#[derive(Clone, Debug, Default)]
pub struct SshConfig {
    /// Ways to log in, by name.
    pub identities: BTreeMap<String, Identity>,
    /// Files of known host keys, in OpenSSH's form.
    pub known_hosts_files: Vec<PathBuf>,
    /// What to do with an unknown host key.
    pub policy: HostKeyPolicy,
    /// Hosts to jump through, first hop first.
    pub bastion: Vec<Endpoint>,
    /// Algorithm names to allow, by preference; `None` means the library's choice.
    pub algorithms: Option<Vec<String>>,
    /// Refuse every effect.
    pub observe: bool,
}
