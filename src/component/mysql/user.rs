//! Accounts.
use super::Statement;
use crate::base::Secret;
use crate::component::sql::literal;

/// Name and host pattern of an account; both are told apart by case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Name.
    pub user: String,
    /// Where it may come from, `%` for anywhere.
    pub host: String,
}

/// An account as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// It cannot log in.
    pub locked: bool,
    /// It may grant what it holds on everything.
    pub grant_option: bool,
    /// It is a role.
    pub role: bool,
    /// When its password was set last, in seconds since 1970 as the server prints them; empty when
    /// it does not say.
    pub password_changed: String,
}

impl Account {
    /// `user` at `host`.
    #[must_use]
    pub fn new(user: impl Into<String>, host: impl Into<String>) -> Self {
        Self { user: user.into(), host: host.into() }
    }
    /// As statements name it.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}@{}", literal(&self.user), literal(&self.host))
    }
    /// As `information_schema` names it: without any quoting, cut to 81 characters (seekdb 1.4.0).
    #[must_use]
    pub fn grantee(&self) -> String {
        format!("'{}'@'{}'", self.user, self.host).chars().take(81).collect()
    }
}

/// A password to set.
#[derive(Clone, Debug)]
pub struct Password {
    /// Name of the attribute that holds it.
    pub name: String,
    /// The password; `None` while only the statements are of interest.
    pub value: Option<Secret>,
}

/// Statements that lead to one account. `from` is its former name, `now` what the server has of
/// both names.
#[must_use]
pub fn statements(
    from: Option<&Account>,
    to: &Account,
    now_from: Option<&User>,
    now_to: Option<&User>,
    locked: bool,
    password: Option<&Password>,
) -> Vec<Statement> {
    let mut out = Vec::new();
    let rename = from.filter(|f| *f != to && now_from.is_some() && now_to.is_none());
    let now = if rename.is_some() { now_from } else { now_to };
    let account = to.quoted();
    if let Some(from) = rename {
        out.push(Statement::new(format!("RENAME USER {} TO {account}", from.quoted())));
    }
    match (now, password) {
        (None, Some(password)) => {
            out.push(identified(&format!("CREATE USER IF NOT EXISTS {account}"), password))
        }
        // Without one anybody could log in, if only until the lock.
        (None, None) => out.push(identified(
            &format!("CREATE USER IF NOT EXISTS {account}"),
            &Password { name: "a random password".into(), value: Some(Secret::random()) },
        )),
        // Also for an account that was there already.
        (Some(_), Some(password)) => {
            out.push(identified(&format!("ALTER USER {account}"), password))
        }
        (Some(_), None) => {}
    }
    if now.is_some_and(|n| n.locked) != locked {
        out.push(Statement::new(format!(
            "ALTER USER {account} ACCOUNT {}",
            if locked { "LOCK" } else { "UNLOCK" }
        )));
    }
    // Both are there: a rename that another run finished, or a name that was taken before.
    if let (Some(from), Some(_), Some(_)) = (from.filter(|f| *f != to), now_from, now_to) {
        out.push(drop(from));
    }
    out
}

fn identified(start: &str, password: &Password) -> Statement {
    let shown = format!("{start} IDENTIFIED BY <{}>", password.name);
    match &password.value {
        Some(value) => Statement::secret(
            shown,
            Secret::new(format!("{start} IDENTIFIED BY {}", literal(value.expose()))),
            vec![value.clone()],
        ),
        None => Statement::new(shown),
    }
}

/// The statement that removes an account.
#[must_use]
pub fn drop(account: &Account) -> Statement {
    Statement::new(format!("DROP USER IF EXISTS {}", account.quoted()))
}

/// What is wrong with a name; `None` when nothing is. The server's limits as seekdb 1.4.0 enforces
/// them.
#[must_use]
pub fn fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a user name must not be empty".into());
    }
    if name.chars().count() > 64 {
        return Some("a user name has at most 64 characters".into());
    }
    if name.contains('\0') {
        return Some("a user name cannot hold a NUL character".into());
    }
    super::is_system_user(name)
        .then(|| "this account belongs to the server or to this provider".into())
}
