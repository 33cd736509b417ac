//! What can go wrong on the way to a host, and what to do about each.
use super::Endpoint;
use crate::base::{Kind, Problem};
use std::time::Duration;

/// A failure of the way to a host, not of what runs there.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TransportError {
    /// No TCP connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// Connected, but nothing came in time.
    #[error("no answer within {0:?} while {1}")]
    Timeout(Duration, String),
    /// The host shows another key than expected: stop before login.
    #[error("host key {offered} is not the expected {expected}")]
    HostKeyChanged {
        /// Fingerprint the host shows.
        offered: String,
        /// What we expected and where that is written.
        expected: String,
    },
    /// No rule knows this host's key.
    #[error("host key {fingerprint} is not known")]
    HostKeyUnknown {
        /// Its algorithm and its SHA-256 fingerprint.
        fingerprint: String,
        /// The key, as it would be written into the configuration.
        offered: String,
        /// The line for `known_hosts`.
        line: String,
    },
    /// The key is marked `@revoked`.
    #[error("host key {0} is marked @revoked")]
    HostKeyRevoked(String),
    /// A trusted authority signed the host's certificate, and it is not valid for this host now.
    #[error("host {0}")]
    HostCertificate(String),
    /// The SSH configuration itself is unusable.
    #[error("{0}")]
    Config(String),
    /// The host refused every key of the identity.
    #[error("login as {user} with identity \"{identity}\" was refused: {tried}")]
    Auth {
        /// Login user.
        user: String,
        /// Identity's name.
        identity: String,
        /// What was tried.
        tried: String,
    },
    /// The host took part in the login and ended it without an answer, again and again.
    #[error("the host ended the login of {0} without an answer: {1}")]
    LoginEnded(String, String),
    /// The identity itself is unusable (missing file, wrong passphrase, unknown name).
    #[error("identity \"{0}\" cannot be used: {1}")]
    Identity(String, String),
    /// What is needed to log in is not known before apply.
    #[error("its key, or the way to it, is not known before apply")]
    Later,
    /// The host answered, the port behind it did not.
    #[error("nothing listens on {0}: {1}")]
    Dial(String, String),
    /// The host's sshd forbids connections through it, so that nothing is known of the place.
    #[error("{0}: the host's sshd forbids forwarding (AllowTcpForwarding, PermitOpen)")]
    Forbidden(String),
    /// The login shell did not start `/bin/sh`. Holds what it said instead.
    #[error("the host's login shell did not run our script{}", said(.0))]
    NoShell(String),
    /// The line that ends a script's answer is missing, although the host reports no failure. Holds
    /// what the script said.
    #[error(
        "the answer is not whole: the script's last line is missing; it may have done its work{}",
        said(.0)
    )]
    NotWhole(String),
    /// The script printed more than it may.
    #[error("the host answered {read} bytes and went on; at most {bound} are read")]
    TooMuch {
        /// Bytes read until then.
        read: usize,
        /// The bound.
        bound: usize,
    },
    /// A script that was opened ended before it was ready. Holds what it said.
    #[error("a script ended before it was ready{}", said(.0))]
    Ended(String),
    /// The operation was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The provider is in observe mode: effects are refused here.
    #[error("mode is \"observe\": this would change the host")]
    Observe,
    /// Reading the local input failed.
    #[error("cannot read {0}")]
    Input(String),
}

fn said(text: &str) -> String {
    if text.is_empty() { "; it said nothing".to_owned() } else { format!("; it said: {text}") }
}

/// Where sshd writes why it refused a login.
const SSHD_LOG: &str = "`journalctl -t sshd`, /var/log/auth.log or /var/log/secure";

impl TransportError {
    /// The problem that people read.
    #[must_use]
    pub fn explain(&self, endpoint: &Endpoint) -> Problem {
        let place = endpoint.show();
        let (kind, what, fix) = match self {
            Self::Unreachable(_) => (
                Kind::Unreachable,
                "cannot reach host",
                "check that the host is up, that the address and port are right and that no \
                 firewall is between; then run the same command again"
                    .to_owned(),
            ),
            Self::Timeout(..) => (
                Kind::Unreachable,
                "no answer from host",
                "check the load and the link of the host; the same command goes on where this one \
                 stopped"
                    .to_owned(),
            ),
            Self::HostKeyChanged { .. } => (
                Kind::Refused,
                "host key has changed on host",
                "if the host was reinstalled, put its new key into host_key (or known_hosts); if \
                 not, somebody may be listening: do not go on"
                    .to_owned(),
            ),
            Self::HostKeyUnknown { offered, line, .. } => (
                Kind::Refused,
                "host key is not known for host",
                format!(
                    "compare the fingerprint on the host's console (`ssh-keygen -lf` of each \
                     /etc/ssh/ssh_host_*_key.pub); then add this line to known_hosts:\n{line}\nor \
                     set host_key = \"{offered}\"; or trust hosts at first sight: \
                     host_key_policy = \"accept-new\" (ob: --accept-new)"
                ),
            ),
            Self::HostKeyRevoked(_) => (
                Kind::Refused,
                "host key is revoked for host",
                "give the host a new key, or remove the @revoked line if it is wrong".to_owned(),
            ),
            Self::HostCertificate(_) => (
                Kind::Refused,
                "host certificate is not valid for host",
                "sign a new certificate for the host's key with the name it is reached by, or \
                 correct the clock of this machine"
                    .to_owned(),
            ),
            Self::Config(_) => (
                Kind::User,
                "cannot connect to host",
                "correct the ssh block of the provider (or OB_SSH_*), or the host's host_key"
                    .to_owned(),
            ),
            Self::Auth { user, .. } => (
                Kind::User,
                "login was refused by host",
                format!(
                    "add the public key to ~{user}/.ssh/authorized_keys there, or name another \
                     identity; of an agent with many keys choose one: name the file of its public \
                     key (private_key_file, or ob --identity); if the key is there, the host's log \
                     of sshd says what refuses it ({SSHD_LOG})"
                ),
            ),
            Self::LoginEnded(..) => (
                Kind::User,
                "login was ended by host",
                format!(
                    "the host's log of sshd says why ({SSHD_LOG}): mostly the account has expired \
                     (`chage -l USER` there), or /etc/nologin or /run/nologin keeps users out; a \
                     host that boots or goes down has the latter: then run the same command again"
                ),
            ),
            Self::Identity(..) => (
                Kind::User,
                "cannot log in to host",
                "correct ssh.identities in the provider block (or OB_SSH_*); for a command of ob give \
                 --identity FILE"
                    .to_owned(),
            ),
            Self::Later => (
                Kind::Later,
                "cannot look yet at host",
                "nothing: this is planned from what is known, and apply looks".to_owned(),
            ),
            Self::Dial(..) | Self::Forbidden(_) => (
                Kind::Unreachable,
                "cannot connect through host",
                "check that the server runs and listens there".to_owned(),
            ),
            Self::NoShell(_) => (
                Kind::User,
                "cannot run scripts on host",
                "log in as a user whose shell runs commands (`chsh -s /bin/sh USER`), with a key \
                 that has no forced command in authorized_keys; `ssh USER@HOST /bin/sh -c id` \
                 must print who that is"
                    .to_owned(),
            ),
            Self::NotWhole(_) => (
                Kind::Unreachable,
                "no whole answer from host",
                "run the same command again: it looks at the host afresh; if this stays, see what \
                 on the host ends our shell or closes its output"
                    .to_owned(),
            ),
            Self::TooMuch { .. } => (
                Kind::User,
                "too long an answer from host",
                "find out what prints so much there (a start file of the login shell, a listing of \
                 far more than is usual); nothing of the answer was used"
                    .to_owned(),
            ),
            Self::Ended(_) => (
                Kind::User,
                "a script ended early on host",
                "correct what it says, then run the same command again".to_owned(),
            ),
            Self::Cancelled => (
                Kind::Cancelled,
                "stopped as asked while talking to host",
                "run the same command again: it goes on where this one stopped".to_owned(),
            ),
            Self::Observe => (
                Kind::Refused,
                "refused to change host",
                "set mode = \"apply\" in the provider block to allow changes".to_owned(),
            ),
            Self::Input(_) => (
                Kind::User,
                "cannot send a file to host",
                "check the file's path and rights on this machine".to_owned(),
            ),
        };
        Problem::new(kind, format!("{what} \"{}\"", endpoint.name))
            .place(place)
            .why(self.to_string())
            .fix(fix)
    }
}
