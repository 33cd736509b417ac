//! Errors of SQL sessions and statements, and what people read about them.
use crate::base::{Kind, Problem, Secret};
use crate::transport::TransportError;
use std::time::Duration;

/// What can go wrong with a session or a statement.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The server answered with an error.
    #[error("server error {code}: {message}")]
    Server {
        /// OceanBase or MySQL error number.
        code: u16,
        /// The server's message.
        message: String,
    },
    /// The server's password policy refuses a password (`ER_NOT_VALID_PASSWORD`).
    #[error("server error {POLICY}: {message}; in force is {asks}")]
    Policy {
        /// The server's message.
        message: String,
        /// The variables of the policy with their values.
        asks: String,
    },
    /// The transport to the server failed.
    #[error(transparent)]
    Link(#[from] TransportError),
    /// The session broke, or the server's answer made no sense.
    #[error("the SQL session broke: {0}")]
    Broken(String),
    /// No answer came in time; whether the statement took effect is unknown.
    #[error("no answer to the statement within {0:?}")]
    Timeout(Duration),
    /// The answer is larger than this program reads; none of it is used.
    #[error("{0}")]
    TooMuch(&'static str),
    /// TLS could not be set up.
    #[error("TLS: {0}")]
    Tls(String),
    /// This program refuses to go on.
    #[error("{0}")]
    Refused(Refusal),
}

/// What this program does not do, whatever the server asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The server does not know the password from `caching_sha2_password` yet and asks for the
    /// password itself.
    #[error(
        "the server asks for the password itself (caching_sha2_password, full authentication), and \
         nothing proves that it is the right server: whoever answers there would learn the password"
    )]
    FullAuthentication,
    /// An authentication that sends the password, or one that this program does not know.
    #[error(
        "the server asks for authentication by {plugin:?}, which reveals the password or is not \
         known to this program"
    )]
    Password {
        /// Name of the plugin.
        plugin: String,
        /// The server's certificate was verified.
        verified: bool,
    },
    /// The server knows only the login that was in use before MySQL 4.1.
    #[error("the server only offers a login whose password can be computed from what is sent")]
    OldServer,
    /// The server asks for a local file (`LOAD DATA LOCAL`) that no statement offered.
    #[error("the server asks for a file of this machine instead of answering")]
    File,
    /// The link is to be encrypted or the certificate verified, and the server offers no TLS.
    #[error("the server offers no TLS")]
    NoTls,
    /// The statement carries a password and the link can be read by others.
    #[error(
        "the statement carries a password, and the link to the server is not encrypted and leaves \
         the host it starts on"
    )]
    SecretInClear,
}

impl Refusal {
    fn fix(&self) -> &'static str {
        match self {
            Self::FullAuthentication => {
                "on a server of this provider: find out what listens on that port of the host; on \
                 an endpoint: set tls = \"verify\" and its CA in sql.credentials, or give the \
                 account mysql_native_password"
            }
            Self::Password { verified: false, .. } => {
                "on a server of this provider: find out what listens on that port of the host; on \
                 an endpoint: give the account mysql_native_password or caching_sha2_password"
            }
            Self::Password { verified: true, .. } => {
                "give the account mysql_native_password or caching_sha2_password"
            }
            Self::OldServer => "use a server of the protocol of MySQL 5.5 or later",
            Self::File => "find out what answers on that port: no server does that unasked",
            Self::NoTls => {
                "switch TLS on at the server, or set tls = \"preferred\" or \"off\" in \
                 sql.credentials"
            }
            Self::SecretInClear => {
                "set tls = \"verify\" in sql.credentials (the server must offer TLS), go through a \
                 host beside the server with via, or say with tls = \"off\" that the network \
                 between may be trusted"
            }
        }
    }
}

/// The server refused the login (`ER_ACCESS_DENIED_ERROR`).
pub const ACCESS_DENIED: u16 = 1045;
/// The server has as many sessions as it may have (`ER_CON_COUNT_ERROR`), root's included.
pub const FULL: u16 = 1040;
/// As [`FULL`], for the sessions of one user (`ER_USER_LIMIT_REACHED`).
pub const USER_FULL: u16 = 1226;
/// The server takes no login without TLS (`ER_SECURE_TRANSPORT_REQUIRED`).
pub const SECURE_TRANSPORT: u16 = 3159;
/// A password that the server's policy refuses ([`SqlError::Policy`]).
pub(super) const POLICY: u16 = 1819;
/// A write on a standby or fenced server (`tenant is read only`).
pub const READ_ONLY: u16 = 4688;
/// A change of users on a standby or fenced server (1.3.0.post5).
pub const READ_ONLY_USERS: u16 = 4767;
/// A login at a server that is starting ("Server is initializing", 1.3.0.post5).
pub const STARTING: u16 = 8001;
/// The server is between two roles, or busy with one (`OB_STATE_NOT_MATCH`).
pub const NOT_NOW: u16 = 4109;
/// The statement did not end in time (`OB_TIMEOUT`). A fenced server gives this answer to every
/// statement that it was not asked shortly before.
pub const STATEMENT_TIMEOUT: u16 = 4012;

impl SqlError {
    /// The server's error number; `None` when the error did not come from the server.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Server { code, .. } => Some(*code),
            Self::Policy { .. } => Some(POLICY),
            _ => None,
        }
    }
    /// The same error, with all parts of `secrets` that the server repeated masked.
    #[must_use]
    pub fn masked(self, secrets: &[Secret]) -> Self {
        let mask = |message| secrets.iter().fold(message, |m: String, s| super::mask(&m, s));
        match self {
            Self::Server { code, message } => Self::Server { code, message: mask(message) },
            Self::Policy { message, asks } => Self::Policy { message: mask(message), asks },
            other => other,
        }
    }
    /// The problem that people read: `what` failed at `place`.
    #[must_use]
    pub fn explain(&self, what: &str, place: &str) -> Problem {
        let (kind, fix) = match self {
            Self::Server { code: ACCESS_DENIED, .. } => (
                Kind::Denied,
                "the account of this provider or the given password was changed on the server: set \
                 it back, or import the object again",
            ),
            Self::Server { code: STARTING, .. } => (
                Kind::Unreachable,
                "it is starting: run the same command again in a minute; if it stays so, read \
                 log/seekdb.log in its base directory",
            ),
            Self::Server { code: NOT_NOW | STATEMENT_TIMEOUT, .. } => (
                Kind::Busy,
                "it may be busy, or between two roles: run the same command again; \
                 if it stays so, read log/seekdb.log in its base directory",
            ),
            Self::Server { code: FULL | USER_FULL, .. } => (
                Kind::Busy,
                "its sessions are all taken: end some of its clients, then run the same command \
                 again; max_connections or max_user_connections (SHOW GLOBAL VARIABLES) may be too \
                 low",
            ),
            Self::Policy { .. } => (
                Kind::User,
                "choose a password that satisfies it; if it refuses one that this provider makes \
                 (32 characters: 10 small letters, 10 capitals, 8 digits, 4 of \".\", \"_\" and \
                 \"-\"), lower those variables with SET GLOBAL, apply, and set them back",
            ),
            Self::Server { .. } => (
                Kind::User,
                "look the error number up in OceanBase's documentation; nothing else was changed",
            ),
            Self::Link(TransportError::Cancelled) => {
                (Kind::Cancelled, "run the same command again")
            }
            Self::TooMuch(_) => (
                Kind::User,
                "nothing of the answer is used: find out what answers on that port; if it is the \
                 right server, it holds more than this program takes into memory",
            ),
            Self::Tls(_) => (
                Kind::User,
                "compare ca and server_name in sql.credentials with the server's certificate",
            ),
            Self::Refused(refusal) => (Kind::Refused, refusal.fix()),
            Self::Link(_) | Self::Broken(_) | Self::Timeout(_) => (
                Kind::Unreachable,
                "check that the server runs (its log is in log/ of its base directory), then run \
                 the same command again",
            ),
        };
        let why = match self {
            Self::Policy { .. } => format!("the server's password policy refuses it: {self}"),
            _ => self.to_string(),
        };
        Problem::new(kind, format!("cannot {what}")).place(place).why(why).fix(fix)
    }
}
