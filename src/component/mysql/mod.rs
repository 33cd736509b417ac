//! Databases, users and grants of any MySQL-mode server: turns facts into statements. Everything is
//! pure, except [`link`].
//!
//! The facts below were run on seekdb 1.4.0.post1. The story
//! `acceptance-tests/tests/stories/sql_objects.rs` guards them:
//! - `SHOW GRANTS` leaves out the host and does not escape back-quotes in names, so its output
//!   cannot be parsed. The tables behind it (`mysql.db`, `information_schema.*_privileges`) can be
//!   read, for all users at once ([`catalog`]).
//! - The database of a grant is a pattern: `_` and `%` match, so `my_app`.* also opens `myXapp`.
//!   Names are therefore escaped ([`scope::escape`]); only a `database_pattern` is taken as it is.
//! - The server silently records no grant that a wider pattern of the same user covers; a check
//!   after the apply says so.
//! - `REVOKE` of a privilege that is not there is an error (5133, 5362) only when the user has no
//!   row at all for that scope.
//! - `CREATE USER … ACCOUNT LOCK` is a syntax error; `ALTER USER … ACCOUNT LOCK` works. `RENAME
//!   USER` keeps the grants, and fails (1396) when the new name contains a single quote.
//! - `GRANT` to an absent user is "access denied" (1045); with another `sql_mode` the statement
//!   would make the user.
//! - `DROP DATABASE` of a name with a double quote or a backslash is a syntax error or means
//!   another name, so both characters are refused.
//! - Beside the three levels an account can hold roles (and any account as if it were a role, root
//!   too), and privileges on columns and routines; on 1.3.0.post5 also on catalogs and locations.
//!   `mysql.procs_priv` cuts names, and no view shows a right to grant on that stands alone on a
//!   table, so both are read where the server keeps them ([`parts`]).
//! - Dropping a database keeps its grants. Database names are stored in lower case
//!   (`lower_case_table_names` = 1); user names keep their case.
pub mod catalog;
pub mod database;
pub mod grant;
pub mod link;
mod parts;
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

/// One statement. It is safe to repeat, or harmless when it comes too late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The statement as people read it; secrets are replaced by their names.
    pub shown: String,
    /// The statement as it is sent, and the secrets in it; `None` when it holds none.
    secret: Option<(Secret, Vec<Secret>)>,
}

impl Statement {
    /// A statement without a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { shown: text.into(), secret: None }
    }
    /// A statement that holds `secrets`; `shown` gives their names instead.
    #[must_use]
    pub fn secret(shown: impl Into<String>, text: Secret, secrets: Vec<Secret>) -> Self {
        Self { shown: shown.into(), secret: Some((text, secrets)) }
    }
    /// The text that is sent.
    #[must_use]
    pub fn text(&self) -> &str {
        self.secret.as_ref().map_or(&self.shown, |(text, _)| text.expose())
    }
    /// The secrets in the statement.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        self.secret.as_ref().map_or(&[], |(_, secrets)| secrets)
    }
    /// True when the text that is sent holds a secret.
    #[must_use]
    pub fn holds_secret(&self) -> bool {
        self.secret.is_some()
    }
}

/// Databases of the server itself: this program never makes, changes, drops or lists them.
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

/// Accounts of the server and of this provider: no resource makes, changes, drops or lists them.
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
