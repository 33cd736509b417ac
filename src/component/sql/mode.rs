//! The settings of every session of ours, whatever the server's defaults are:
//!
//! - `sql_mode`: backslashes escape (no `NO_BACKSLASH_ESCAPES`) and double quotes mark strings (no
//!   `ANSI_QUOTES`), as [`super::literal`] and [`super::identifier`] need it. `GRANT` never makes a
//!   user.
//! - The character set. In some (gbk, sjis) a backslash can be the second byte of a character, and
//!   a literal would end early.
//! - The time zone, so that times mean the same everywhere.
//! - The server's own timeout, a third of ours. The server's answer says what happened; our timeout
//!   only says that no answer came.
//!
//! Run on seekdb 1.4.0.post1: a fenced server, which answers 4012 to statements that it was not
//! asked before, accepts this statement. It answers 4012 after exactly `ob_query_timeout`.
use super::{Session, SqlError};
use std::time::Duration;

/// Error numbers: the server does not have the variable, or does not take the value.
const UNKNOWN: [u16; 2] = [1193, 1231];

const COMMON: &str = "SET SESSION character_set_client = utf8mb4, \
     SESSION character_set_connection = utf8mb4, SESSION character_set_results = utf8mb4, \
     SESSION time_zone = '+00:00', SESSION sql_mode = 'STRICT_ALL_TABLES";

/// The statements for OceanBase, MariaDB and MySQL, in this order. The first that the server knows
/// is enough.
fn statements(deadline: Duration) -> [String; 3] {
    let limit = deadline / 3;
    [
        format!("{COMMON},NO_AUTO_CREATE_USER', SESSION ob_query_timeout = {}", limit.as_micros()),
        format!(
            "{COMMON},NO_AUTO_CREATE_USER', SESSION max_statement_time = {:.3}",
            limit.as_secs_f64()
        ),
        format!("{COMMON}', SESSION max_execution_time = {}", limit.as_millis()),
    ]
}

/// Sets them.
///
/// # Errors
/// The server does not take the settings; then no statement of ours is safe there.
pub(super) async fn set(session: &mut Session, deadline: Duration) -> Result<(), SqlError> {
    let [oceanbase, mariadb, mysql] = statements(deadline);
    for text in [oceanbase, mariadb] {
        match session.run(&text).await {
            Err(SqlError::Server { code, .. }) if UNKNOWN.contains(&code) => {}
            done => return done,
        }
    }
    session.run(&mysql).await
}
