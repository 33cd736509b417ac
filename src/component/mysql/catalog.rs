//! Reads the databases, accounts and grants of a server. Each kind takes one query, however many
//! objects there are.
use super::link::Link;
use super::privilege::{self, Privileges};
use super::scope::{Level, Scope};
use super::{Account, Database, Held, User};
use crate::base::Problem;
use crate::component::sql::{Row, literal};
use std::collections::BTreeMap;

/// The part of the catalog that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Everything: five queries.
    Everything,
    /// One database.
    Database(String),
    /// Accounts, without their grants.
    Users(Vec<Account>),
    /// The grants of one account, at the levels of these scopes.
    Grants(Account, Vec<Scope>),
}

/// What a server has.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The server keeps names of databases and tables in lower case.
    pub folds: bool,
    /// Databases by name, with those of the server itself.
    pub databases: BTreeMap<String, Database>,
    /// Accounts, with those of the server itself and with roles.
    pub users: BTreeMap<Account, User>,
    /// What each account holds in each scope. A scope in which it holds nothing is left out.
    pub grants: BTreeMap<(Account, Scope), Held>,
    /// What `ALL PRIVILEGES` means at each level: what root holds there.
    all: BTreeMap<Level, Privileges>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            folds: true,
            databases: BTreeMap::new(),
            users: BTreeMap::new(),
            grants: BTreeMap::new(),
            all: BTreeMap::new(),
        }
    }
}

/// Columns of `mysql.db` and the privilege that each stands for in statements.
const DB_COLUMNS: [(&str, &str); 16] = [
    ("select_priv", "SELECT"),
    ("insert_priv", "INSERT"),
    ("update_priv", "UPDATE"),
    ("delete_priv", "DELETE"),
    ("create_priv", "CREATE"),
    ("drop_priv", "DROP"),
    ("references_priv", "REFERENCES"),
    ("index_priv", "INDEX"),
    ("alter_priv", "ALTER"),
    ("lock_tables_priv", "LOCK TABLES"),
    ("create_view_priv", "CREATE VIEW"),
    ("show_view_priv", "SHOW VIEW"),
    ("create_routine_priv", "CREATE ROUTINE"),
    ("alter_routine_priv", "ALTER ROUTINE"),
    ("execute_priv", "EXECUTE"),
    ("trigger_priv", "TRIGGER"),
];

/// The account that holds everything, and the database on which its row tells what everything is.
const ROOT: (&str, &str) = ("root", "mysql");

impl Catalog {
    /// Reads a part of the catalog from a server.
    ///
    /// # Errors
    /// The server does not answer, or the login may not read the server's tables.
    pub async fn read(link: &mut Link, what: &What) -> Result<Self, Problem> {
        let mut found = Self::default();
        if let Some(query) = databases_query(what) {
            found.take_databases(link.rows("read the databases", &query).await?);
        }
        if let Some(query) = users_query(what) {
            found.take_users(link.rows("read the users", &query).await?);
        }
        if let Some(query) = global_query(what) {
            found.take_global(link.rows("read the grants", &query).await?);
        }
        if let Some(query) = database_query(what) {
            found.take_database(link.rows("read the grants", &query).await?);
        }
        if let Some(query) = table_query(what) {
            found.take_table(link.rows("read the grants", &query).await?);
        }
        Ok(found)
    }

    /// A database by name.
    #[must_use]
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.get(&self.fold(name))
    }
    /// A name as the server keeps it.
    #[must_use]
    pub fn fold(&self, name: &str) -> String {
        if self.folds { name.to_lowercase() } else { name.to_owned() }
    }
    /// What an account holds in a scope; empty when it holds nothing.
    #[must_use]
    pub fn held(&self, account: &Account, scope: &Scope) -> Held {
        self.grants.get(&(account.clone(), scope.folded(self.folds))).cloned().unwrap_or_default()
    }
    /// What `ALL PRIVILEGES` means at a level.
    #[must_use]
    pub fn all(&self, level: Level) -> Privileges {
        self.all.get(&level).cloned().unwrap_or_else(|| privilege::usual(level))
    }

    pub(super) fn take_databases(&mut self, rows: Vec<Row>) {
        for row in rows {
            let [Some(name), charset, collation, lower] = &row[..] else { continue };
            self.folds = lower.as_deref() != Some("0");
            let database = Database {
                charset: charset.clone().unwrap_or_default(),
                collation: collation.clone().unwrap_or_default(),
            };
            self.databases.insert(self.fold(name), database);
        }
    }

    pub(super) fn take_users(&mut self, rows: Vec<Row>) {
        for row in rows {
            let [Some(user), Some(host), locked, kind, changed, option] = &row[..] else {
                continue;
            };
            let yes =
                |v: &Option<String>| v.as_deref().is_some_and(|v| v.eq_ignore_ascii_case("yes"));
            let found = User {
                locked: yes(locked),
                grant_option: yes(option),
                role: kind.as_deref() == Some("ROLE"),
                password_changed: changed.clone().unwrap_or_default(),
            };
            let account = Account::new(user, host);
            if found.grant_option {
                self.grants.entry((account.clone(), Scope::Global)).or_default().grant_option =
                    true;
            }
            self.users.insert(account, found);
        }
    }

    fn by_grantee(&self) -> BTreeMap<String, Account> {
        self.users.keys().map(|a| (a.grantee(), a.clone())).collect()
    }

    pub(super) fn take_global(&mut self, rows: Vec<Row>) {
        let accounts = self.by_grantee();
        for row in rows {
            let [Some(grantee), Some(name)] = &row[..] else { continue };
            let Some(account) = accounts.get(grantee).filter(|_| name != "USAGE") else { continue };
            if account.user == ROOT.0 && !privilege::ROOT_ONLY.contains(&name.as_str()) {
                self.all.entry(Level::Global).or_default().insert(name.clone());
            }
            self.grants
                .entry((account.clone(), Scope::Global))
                .or_default()
                .privileges
                .insert(name.clone());
        }
    }

    pub(super) fn take_database(&mut self, rows: Vec<Row>) {
        for row in rows {
            let [Some(user), Some(host), Some(pattern), option, flags @ ..] = &row[..] else {
                continue;
            };
            let yes =
                |v: &Option<String>| v.as_deref().is_some_and(|v| v.eq_ignore_ascii_case("y"));
            let privileges: Privileges = DB_COLUMNS
                .iter()
                .zip(flags)
                .filter(|(_, v)| yes(v))
                .map(|((_, name), _)| (*name).to_owned())
                .collect();
            if (user.as_str(), pattern.as_str()) == ROOT {
                self.all.insert(Level::Database, privileges.clone());
            }
            let held = Held { privileges, grant_option: yes(option) };
            if !held.is_empty() {
                self.grants.insert(
                    (Account::new(user, host), Scope::Database(pattern.clone()).folded(self.folds)),
                    held,
                );
            }
        }
    }

    pub(super) fn take_table(&mut self, rows: Vec<Row>) {
        let accounts = self.by_grantee();
        for row in rows {
            let [Some(grantee), Some(database), Some(table), Some(name), option] = &row[..] else {
                continue;
            };
            let Some(account) = accounts.get(grantee) else { continue };
            let held = self
                .grants
                .entry((
                    account.clone(),
                    Scope::Table(database.clone(), table.clone()).folded(self.folds),
                ))
                .or_default();
            held.privileges.insert(name.clone());
            held.grant_option |= option.as_deref() == Some("YES");
        }
    }
}

pub(super) fn databases_query(what: &What) -> Option<String> {
    let one = match what {
        What::Everything => String::new(),
        What::Database(name) => format!(
            " where schema_name = {0} or schema_name = {1}",
            literal(name),
            literal(&name.to_lowercase())
        ),
        _ => return None,
    };
    Some(format!(
        "select schema_name, default_character_set_name, default_collation_name, \
         @@lower_case_table_names from information_schema.schemata{one}"
    ))
}

// Comparisons in SQL ignore case and trailing blanks, so these queries only narrow the answer; the
// maps tell names apart exactly.
pub(super) fn users_query(what: &What) -> Option<String> {
    let names: Vec<&str> = match what {
        What::Everything => Vec::new(),
        What::Users(accounts) => accounts.iter().map(|a| a.user.as_str()).collect(),
        What::Grants(account, _) => vec![&account.user, ROOT.0],
        What::Database(_) => return None,
    };
    let one = if names.is_empty() {
        String::new()
    } else {
        format!(
            " where user_name in ({})",
            names.iter().map(|n| literal(n)).collect::<Vec<_>>().join(", ")
        )
    };
    Some(format!(
        "select user_name, host, is_locked, type, unix_timestamp(password_last_changed), \
         priv_grant_option from oceanbase.DBA_OB_USERS{one}"
    ))
}

fn at(what: &What, level: Level) -> Option<Option<&Account>> {
    match what {
        What::Everything => Some(None),
        What::Grants(account, scopes) if scopes.iter().any(|s| s.level() == level) => {
            Some(Some(account))
        }
        _ => None,
    }
}

pub(super) fn global_query(what: &What) -> Option<String> {
    let one = at(what, Level::Global)?
        .map(|a| {
            format!(" where grantee in ({}, {})", literal(&a.grantee()), literal("'root'@'%'"))
        })
        .unwrap_or_default();
    Some(format!("select grantee, privilege_type from information_schema.user_privileges{one}"))
}

pub(super) fn database_query(what: &What) -> Option<String> {
    let one = at(what, Level::Database)?
        .map(|a| format!(" where user = {} or (user = 'root' and db = 'mysql')", literal(&a.user)))
        .unwrap_or_default();
    let columns: Vec<_> = DB_COLUMNS.iter().map(|(column, _)| *column).collect();
    Some(format!("select user, host, db, grant_priv, {} from mysql.db{one}", columns.join(", ")))
}

pub(super) fn table_query(what: &What) -> Option<String> {
    let one = at(what, Level::Table)?
        .map(|a| format!(" where grantee = {}", literal(&a.grantee())))
        .unwrap_or_default();
    Some(format!(
        "select grantee, table_schema, table_name, privilege_type, is_grantable from \
         information_schema.table_privileges{one}"
    ))
}
