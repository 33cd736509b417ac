//! SQL from outside the hosts, over the MySQL protocol, for tests.
use anyhow::{Context, Result, bail};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row};
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// "standby tenant is read only".
pub const READ_ONLY: u16 = 4688;

/// The server to connect to, and the login.
#[derive(Clone, Debug)]
pub struct Login {
    /// Address and port.
    pub at: SocketAddr,
    /// User, `root` by default.
    pub user: String,
    /// Password.
    pub password: Option<String>,
}

impl From<SocketAddr> for Login {
    fn from(at: SocketAddr) -> Self {
        Self { at, user: "root".into(), password: None }
    }
}

impl Login {
    pub(crate) fn opts(&self) -> Opts {
        // Naming these settings saves the queries that otherwise ask for them at each connect.
        OptsBuilder::default()
            .ip_or_hostname(self.at.ip().to_string())
            .tcp_port(self.at.port())
            .user(Some(self.user.clone()))
            .pass(self.password.clone())
            .prefer_socket(false)
            .max_allowed_packet(Some(16 << 20))
            .wait_timeout(Some(3600))
            .into()
    }

    /// Connects within `limit`.
    ///
    /// # Errors
    /// Nothing answers within `limit`, or the login is refused.
    pub async fn connect(&self, limit: Duration) -> Result<Conn> {
        match tokio::time::timeout(limit, Conn::new(self.opts())).await {
            Ok(conn) => conn.with_context(|| format!("cannot connect to {}", self.at)),
            Err(_) => bail!("{} did not answer within {limit:?}", self.at),
        }
    }
}

/// Runs `work` to its end on its own runtime.
pub(crate) fn block<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?
        .block_on(work)
}

/// Runs one statement and returns its rows as text. Waits ten seconds at most. Must not be called
/// from async code.
///
/// # Errors
/// There is no connection, or the server refuses the statement.
pub fn query(login: impl Into<Login>, statement: &str) -> Result<Vec<Vec<String>>> {
    query_with(login, "", statement)
}

/// As [`query`], after running the statement `setting` in the same session.
///
/// # Errors
/// As [`query`].
pub fn query_with(
    login: impl Into<Login>,
    setting: &str,
    statement: &str,
) -> Result<Vec<Vec<String>>> {
    let login = login.into();
    block(async {
        let limit = Duration::from_secs(10);
        let mut conn = login.connect(limit).await?;
        if !setting.is_empty() {
            conn.query_drop(setting).await?;
        }
        let rows: Vec<Row> = tokio::time::timeout(limit, conn.query(statement))
            .await
            .with_context(|| format!("{statement:?} did not end within {limit:?}"))??;
        let _ = tokio::time::timeout(Duration::from_secs(1), conn.disconnect()).await;
        Ok(rows.into_iter().map(|r| r.unwrap().into_iter().map(|v| text(&v)).collect()).collect())
    })
}

fn text(value: &mysql_async::Value) -> String {
    match value {
        mysql_async::Value::Bytes(b) => String::from_utf8_lossy(b).into_owned(),
        mysql_async::Value::NULL => "NULL".into(),
        other => other.as_sql(true),
    }
}

/// Waits until the server answers a query.
///
/// # Errors
/// The server did not answer within `limit`; the message has the last reason.
pub fn wait(login: impl Into<Login>, limit: Duration) -> Result<()> {
    let login = login.into();
    let end = Instant::now() + limit;
    loop {
        match query(login.clone(), "select 1") {
            Ok(_) => return Ok(()),
            Err(e) if Instant::now() >= end => {
                return Err(e).with_context(|| format!("no answer within {limit:?}"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
