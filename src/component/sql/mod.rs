//! SQL over the MySQL protocol, through any transport to the host.
//!
//! Only [`open`] and [`open_with`] open a session of the product. They guarantee, whatever answers
//! on the port and however the server is set up:
//! - The password is never told to a server that was not verified ([`login`]). Statements that
//!   carry a password do not go over a link that others can read, unless the configuration says so.
//! - The session has our `sql_mode`, character set, time zone and timeout ([`mode`]), so that
//!   [`literal`] quotes the way the server reads.
//! - An answer is read whole or not at all, and never beyond its bounds ([`session`]).
//! - Each wait has a deadline.
//!
//! The client of the protocol is our own, and small. The usual one (mysql_async) reserves memory
//! for as many columns as a server announces, so that a hostile server can end the whole process.
//! It also tells the password to a server that it reaches by a socket, when asked.
mod error;
mod login;
mod mask;
pub mod mode;
pub mod session;
mod tls;
mod wire;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_login;
#[cfg(test)]
mod tests_tls;

pub use crate::base::sql::{identifier, literal};
pub use error::{
    ACCESS_DENIED, FULL, READ_ONLY, READ_ONLY_USERS, Refusal, SECURE_TRANSPORT, STARTING,
    STATEMENT_TIMEOUT, SqlError, USER_FULL,
};
pub use login::native_digest;
pub use mask::mask;
pub use session::{Answer, Row, Session};
pub use tls::{Ca, Tls, TlsMode};

use crate::base::Secret;
use crate::transport::Transport;
use login::Channel;
use std::time::Duration;

/// The usual time limit of one statement.
pub const STATEMENT: Duration = Duration::from_secs(30);

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password; `None` means that there is none.
    pub password: Option<Secret>,
    /// The password that is to follow, while it is being changed: one of the two is in force.
    pub next: Option<Secret>,
}

impl Login {
    /// `user` with `password`.
    #[must_use]
    pub fn new(user: &str, password: &Secret) -> Self {
        Self { user: user.into(), password: Some(password.clone()), next: None }
    }
    /// The same with the password that is to follow; `None` when there is none.
    #[must_use]
    pub fn following(&self) -> Option<Self> {
        self.next.as_ref().map(|next| Self::new(&self.user, next))
    }
    /// `root` of a new server, which has no password.
    #[must_use]
    pub fn fresh_root() -> Self {
        Self { user: "root".into(), password: None, next: None }
    }
}

/// Opens a session to `address:port` as seen from the transport's host, without TLS: for servers
/// that are reached from their own host.
///
/// # Errors
/// As [`open_with`].
pub async fn open(
    transport: &dyn Transport,
    address: &str,
    port: u16,
    login: &Login,
    deadline: Duration,
) -> Result<Session, SqlError> {
    open_with(transport, address, port, login, &Tls::off(), deadline).await
}

/// Opens a session to `address:port` as seen from the transport's host.
///
/// # Errors
/// As [`SqlError`]. `deadline` covers dialling, handshakes and login together; after that it limits
/// each statement.
pub async fn open_with(
    transport: &dyn Transport,
    address: &str,
    port: u16,
    login: &Login,
    tls: &Tls,
    deadline: Duration,
) -> Result<Session, SqlError> {
    let whole = async {
        let stream = transport.dial(address, port).await?;
        let (wire, channel) = login::log_in(stream, address, login, tls).await?;
        let trusted = tls.mode == TlsMode::Off || stays_on_host(address);
        let mut session = Session::new(wire, deadline, trusted || channel != Channel::Plain);
        mode::set(&mut session, deadline).await?;
        Ok(session)
    };
    tokio::time::timeout(deadline, whole).await.map_err(|_| SqlError::Timeout(deadline))?
}

/// Whether a link to `address` stays on the host and crosses no network.
fn stays_on_host(address: &str) -> bool {
    let address = address.trim_matches(['[', ']']);
    let ip = address.parse::<std::net::IpAddr>().map(|ip| ip.to_canonical());
    ip.map_or(address.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}
