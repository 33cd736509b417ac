//! Databases, users and grants of any MySQL-mode server: statements out, facts in. Pure, except
//! [`link`].
//!
//! What this stands on was run on seekdb 1.4.0.post1 and is kept by the story
//! `acceptance-tests/tests/stories/sql_objects.rs`:
//! - `SHOW GRANTS` leaves out the host and does not quote back-quotes in names: it cannot be read
//!   back. The tables behind it can (`mysql.db`, `information_schema.*_privileges`), and for all
//!   users at once ([`catalog`]).
//! - the database of a grant is a pattern: `_` and `%` match, so `my_app`.* also opens `myXapp`.
//!   Names are escaped ([`scope::escape`]), and only a `database_pattern` is taken as it is.
//! - a grant that a wider pattern of the same user covers is silently not recorded; a verify after
//!   the apply says so.
//! - `REVOKE` of what is not there is an error (5133, 5362) when the user has no row at all for
//!   that scope, else not.
//! - `CREATE USER … ACCOUNT LOCK` is a syntax error, `ALTER USER … ACCOUNT LOCK` works; `RENAME
//!   USER` keeps the grants, and fails (1396) when the new name has a single quote in it.
//! - `GRANT` to an absent user is "access denied" (1045), and with another `sql_mode` it would make
//!   the user.
//! - `DROP DATABASE` of a name with a double quote or backslash is a syntax error or means another
//!   name: both are refused;
//! - dropping a database keeps its grants; database names are stored in lower case
//!   (`lower_case_table_names` = 1); user names are not folded.
pub mod catalog;
pub mod database;
pub mod grant;
pub mod link;
pub mod privilege;
pub mod scope;
pub mod user;

#[cfg(test)]
mod tests;

pub use catalog::{Catalog, What};
pub use database::Database;
pub use grant::{Held, Wanted};
pub use link::Link;
pub use scope::Scope;
pub use user::{Account, User};

use crate::base::Secret;

/// One statement: safe to repeat, or harmless when it comes too late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// As people read it, secrets by name.
    pub shown: String,
    /// As it is sent, when it holds secrets, and these.
    secret: Option<(Secret, Vec<Secret>)>,
}

impl Statement {
    /// One without a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { shown: text.into(), secret: None }
    }
    /// One that holds `secrets`; `shown` names them.
    #[must_use]
    pub fn secret(shown: impl Into<String>, text: Secret, secrets: Vec<Secret>) -> Self {
        Self { shown: shown.into(), secret: Some((text, secrets)) }
    }
    /// What is sent.
    #[must_use]
    pub fn text(&self) -> &str {
        self.secret.as_ref().map_or(&self.shown, |(text, _)| text.expose())
    }
    /// The secrets in it.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        self.secret.as_ref().map_or(&[], |(_, secrets)| secrets)
    }
    /// True when it is sent with a secret.
    #[must_use]
    pub fn holds_secret(&self) -> bool {
        self.secret.is_some()
    }
}

/// Databases of the server itself: never made, changed, dropped or listed by us.
#[must_use]
pub fn is_system_database(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "oceanbase",
        "information_schema",
        "mysql",
        "sys",
        "performance_schema",
        "lbacsys",
        "oraauditor",
        "ocs",
        "sys_external_tbs",
    ]
    .contains(&name.as_str())
        || name.starts_with("__")
}

/// Accounts of the server and of this provider: never made, changed, dropped or listed by us.
#[must_use]
pub fn is_system_user(name: &str) -> bool {
    [
        "root",
        super::seekdb::ACCOUNT,
        "proxyro",
        "proxy_ro",
        "standbyro",
        "oceanbase",
        "lbacsys",
        "oraauditor",
        "mysql.sys",
        "mysql.session",
    ]
    .contains(&name.to_lowercase().as_str())
        || name.starts_with("__")
}
