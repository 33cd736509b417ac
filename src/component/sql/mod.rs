//! SQL over the MySQL protocol, through whatever way leads to the host: one door.
//!
//! Every session of the product is opened by [`open`]. Behind it hold, whatever answers on the port
//! and however its server is set up:
//! - the password is never told ([`login`]), and statements that carry one do not go over a link
//!   that others can read unless the configuration says so;
//! - `sql_mode`, character set, time zone and timeout of the session are ours ([`mode`]), so that
//!   [`literal`] quotes as the server reads;
//! - an answer is read whole or not at all, and never beyond its bounds ([`session`]);
//! - each wait has a deadline.
//!
//! The protocol's client is our own, and small. The usual one (mysql_async) takes memory for as
//! many columns as a server says it has, which ends the whole process at will of a hostile one, and
//! it tells a server that it reaches by a socket the password when asked.
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
    ACCESS_DENIED, READ_ONLY, READ_ONLY_USERS, Refusal, SECURE_TRANSPORT, STARTING,
    STATEMENT_TIMEOUT, SqlError,
};
pub use mask::mask;
pub use session::{Answer, Row, Session};
pub use tls::{Ca, Tls, TlsMode};

use crate::base::Secret;
use crate::transport::Transport;
use login::Channel;
use std::time::Duration;

/// How long one statement usually may take.
pub const STATEMENT: Duration = Duration::from_secs(30);

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password; `None` is none.
    pub password: Option<Secret>,
}

impl Login {
    /// `user` with `password`.
    #[must_use]
    pub fn new(user: &str, password: &Secret) -> Self {
        Self { user: user.into(), password: Some(password.clone()) }
    }
    /// `root` as a new server has it: no password.
    #[must_use]
    pub fn fresh_root() -> Self {
        Self { user: "root".into(), password: None }
    }
}

/// Opens a session to `address:port` as seen from the transport's host, without TLS: for servers
/// that are reached through their own host.
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
/// As [`SqlError`]; the deadline covers the way, the handshakes and the login, and then each
/// statement.
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

/// A link to `address` is not on any network.
fn stays_on_host(address: &str) -> bool {
    let address = address.trim_matches(['[', ']']);
    let ip = address.parse::<std::net::IpAddr>().map(|ip| ip.to_canonical());
    ip.map_or(address.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}
