//! SQL over the MySQL protocol, through whatever way leads to the host.
//!
//! The client library wants a socket of its own, so each session gets a private one (directory
//! 0700, one connection, removed at once) that is joined to the stream the transport opened. No
//! port is opened on this machine.
pub use crate::base::sql::{identifier, literal};
use crate::base::{Kind, Problem, Secret};
use crate::transport::{Duplex, Transport, TransportError};
use mysql_async::prelude::Queryable;
use std::time::Duration;
use tokio::net::UnixListener;

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

/// What can go wrong with a statement.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The server answered with an error.
    #[error("server error {code}: {message}")]
    Server {
        /// OceanBase or MySQL error number.
        code: u16,
        /// Its text; the statement is not repeated in it by us.
        message: String,
    },
    /// The way to the server failed.
    #[error(transparent)]
    Link(#[from] TransportError),
    /// The session broke or answered nonsense.
    #[error("the SQL session broke: {0}")]
    Broken(String),
    /// No answer in time: the effect is unknown.
    #[error("no answer to the statement within {0:?}")]
    Timeout(Duration),
}

/// Login refused (`ER_ACCESS_DENIED_ERROR`).
pub const ACCESS_DENIED: u16 = 1045;
/// Write on a standby or fenced server (`tenant is read only`).
pub const READ_ONLY: u16 = 4688;

/// The statement did not end in time (`OB_TIMEOUT`); a fenced server says it to all that it has not
/// been asked shortly before.
pub const STATEMENT_TIMEOUT: u16 = 4012;

impl SqlError {
    /// The server's error number, if it was the server.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        if let Self::Server { code, .. } = self { Some(*code) } else { None }
    }
    /// True when nothing listens or nothing answers, in contrast to a server that says no.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        !matches!(self, Self::Server { .. })
    }
    /// What people read.
    #[must_use]
    pub fn explain(&self, what: &str, place: &str) -> Problem {
        let (kind, fix) = match self {
            Self::Server { code: ACCESS_DENIED, .. } => (
                Kind::User,
                "the account of this provider or the given password was changed on the server: set it back, or import the object again",
            ),
            Self::Server { .. } => (
                Kind::User,
                "look the error number up in OceanBase's documentation; nothing else was changed",
            ),
            Self::Link(TransportError::Cancelled) => {
                (Kind::Cancelled, "run the same command again")
            }
            _ => (
                Kind::Unreachable,
                "check that the server runs (its log is in log/ of its base directory), then run the same command again",
            ),
        };
        Problem::new(kind, format!("cannot {what}")).place(place).why(self.to_string()).fix(fix)
    }
}

/// One open SQL session.
pub struct Session {
    connection: mysql_async::Conn,
    deadline: Duration,
}

/// A result row: each value as text, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// Opens a session to `address:port` as seen from the transport's host.
///
/// # Errors
/// As [`SqlError`]; the deadline covers the way, the handshake and the login.
pub async fn open(
    transport: &dyn Transport,
    address: &str,
    port: u16,
    login: &Login,
    deadline: Duration,
) -> Result<Session, SqlError> {
    let whole = async {
        let stream = transport.dial(address, port).await?;
        join(stream, login, deadline).await
    };
    tokio::time::timeout(deadline, whole).await.map_err(|_| SqlError::Timeout(deadline))?
}

async fn join(
    mut stream: Box<dyn Duplex>,
    login: &Login,
    deadline: Duration,
) -> Result<Session, SqlError> {
    let broken = |e: std::io::Error| SqlError::Broken(e.to_string());
    let dir =
        tempfile::Builder::new().prefix("ob-sql-").tempdir_in(short_temp()).map_err(broken)?;
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).map_err(broken)?;
    let bridge = tokio::spawn(async move {
        if let Ok((mut local, _)) = listener.accept().await {
            drop(listener);
            let _ = tokio::io::copy_bidirectional(&mut local, &mut stream).await;
        }
    });
    let options = mysql_async::OptsBuilder::default()
        .socket(path.to_str())
        .prefer_socket(false)
        .user(Some(&login.user))
        .pass(login.password.as_ref().map(Secret::expose))
        .max_allowed_packet(Some(16 << 20))
        .wait_timeout(Some(28_800))
        .stmt_cache_size(0);
    match mysql_async::Conn::new(options).await {
        Ok(connection) => Ok(Session { connection, deadline }),
        Err(error) => {
            bridge.abort();
            Err(classify(error))
        }
    }
}

/// A directory whose socket paths fit into 108 bytes even when `TMPDIR` is long.
fn short_temp() -> std::path::PathBuf {
    let dir = std::env::temp_dir();
    if dir.as_os_str().len() > 70 { "/tmp".into() } else { dir }
}

fn classify(error: mysql_async::Error) -> SqlError {
    match error {
        mysql_async::Error::Server(e) => SqlError::Server { code: e.code, message: e.message },
        other => SqlError::Broken(other.to_string()),
    }
}

impl Session {
    /// Runs one statement and collects its rows.
    ///
    /// # Errors
    /// As [`SqlError`].
    pub async fn query(&mut self, statement: &str) -> Result<Vec<Row>, SqlError> {
        let run = async {
            let rows: Vec<mysql_async::Row> =
                self.connection.query(statement).await.map_err(classify)?;
            Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
        };
        tokio::time::timeout(self.deadline, run)
            .await
            .map_err(|_| SqlError::Timeout(self.deadline))?
    }

    /// Runs one statement whose rows do not matter.
    ///
    /// # Errors
    /// As [`SqlError`].
    pub async fn run(&mut self, statement: &str) -> Result<(), SqlError> {
        self.query(statement).await.map(drop)
    }

    /// The first value of the first row.
    ///
    /// # Errors
    /// As [`SqlError`].
    pub async fn value(&mut self, statement: &str) -> Result<Option<String>, SqlError> {
        Ok(self
            .query(statement)
            .await?
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next().flatten()))
    }

    /// Ends the session.
    pub async fn close(self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.connection.disconnect()).await;
    }
}

fn text(value: mysql_async::Value) -> Option<String> {
    match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}
