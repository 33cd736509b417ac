//! Accounts: their statements and the checks of their names.
use super::Statement;
use crate::base::Secret;
use crate::component::sql::literal;

/// Name and host pattern of an account. Case matters in both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Where the account may log in from; `%` means anywhere.
    pub host: String,
}

/// An account as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The account cannot log in.
    pub locked: bool,
    /// The account may grant the privileges that it holds globally.
    pub grant_option: bool,
    /// The account is a role, and nobody can log in as it. A role that was unlocked is an account
    /// like any other: it takes a password and logs in (run on 1.4.0.post1 and 1.3.0.post5).
    pub role: bool,
    /// When the password was set last, in seconds since 1970 as the server prints them; empty when
    /// the server does not say.
    pub password_changed: String,
}

impl Account {
    /// `user` at `host`.
    #[must_use]
    pub fn new(user: impl Into<String>, host: impl Into<String>) -> Self {
        Self { user: user.into(), host: host.into() }
    }
    /// The account as statements name it.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}@{}", literal(&self.user), literal(&self.host))
    }
    /// The account as `information_schema` names it: without any escaping, cut to 81 characters
    /// (seekdb 1.4.0).
    #[must_use]
    pub fn grantee(&self) -> String {
        format!("'{}'@'{}'", self.user, self.host).chars().take(81).collect()
    }
}

/// A password to set.
#[derive(Clone, Debug)]
pub struct Password {
    /// Name of the attribute that holds the password.
    pub name: String,
    /// The password; `None` while only the shape of the statements matters.
    pub value: Option<Secret>,
}

/// Statements that make or change one account. `from` is its former name; `now_from` and `now_to`
/// are what the server has under the two names.
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
        // Without a password anybody could log in until the lock, so a random one is set.
        (None, None) => out.push(identified(
            &format!("CREATE USER IF NOT EXISTS {account}"),
            &Password { name: "a random password".into(), value: Some(Secret::random()) },
        )),
        // Sets the password of an account that exists already, too.
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
    // Both names exist: another run finished the rename, or the new name was taken before.
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

/// What is wrong with a user name; `None` when nothing is. The limits are those that seekdb 1.4.0
/// enforces.
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
