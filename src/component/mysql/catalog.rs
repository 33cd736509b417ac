//! What a server has: databases, accounts, and all that accounts hold. `parts.rs` has the queries.
//!
//! Every kind of privilege that a server of a supported version has is read. What could not be read
//! is named in [`Catalog::unread`].
use super::link::Link;
use super::parts::{self, Absent, DB_COLUMNS, ROOT};
use super::privilege::{self, Privileges};
use super::scope::{Level, Scope};
use super::{Account, Database, Held, User, is_system_user};
use crate::base::Problem;
use crate::component::sql::Row;
use std::collections::{BTreeMap, BTreeSet};

/// The part of the catalog that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Everything.
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
    /// Who holds which role; an account can be held like a role, too.
    pub roles: BTreeSet<(Account, Account)>,
    /// What may be there and was not read, in words.
    pub unread: BTreeSet<String>,
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
            roles: BTreeSet::new(),
            unread: BTreeSet::new(),
            all: BTreeMap::new(),
        }
    }
}

impl Catalog {
    /// Reads a part of the catalog from a server.
    ///
    /// # Errors
    /// The server does not answer, or the login may not read the server's tables.
    pub async fn read(link: &mut Link, what: &What) -> Result<Self, Problem> {
        let mut found = Self::default();
        for part in parts::parts(what) {
            let title = format!("read the {}", part.kind);
            let rows = match part.absent {
                Absent::Error => Some(link.rows(&title, &part.query).await?),
                _ => link.rows_if_there(&title, &part.query).await?,
            };
            match rows {
                Some(rows) => (part.take)(&mut found, rows),
                None if part.absent == Absent::Unread => {
                    found.unread.insert(part.kind.to_owned());
                }
                None => {}
            }
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
                role: kind.as_deref() == Some("ROLE") && yes(locked),
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

    pub(super) fn take_database_more(&mut self, rows: Vec<Row>) {
        let accounts = self.by_grantee();
        for row in rows {
            let [Some(grantee), Some(pattern), Some(name)] = &row[..] else { continue };
            let Some(account) = accounts.get(grantee) else { continue };
            if (account.user.as_str(), pattern.as_str()) == ROOT {
                self.all.entry(Level::Database).or_default().insert(name.clone());
            }
            let held = self.entry(account, Scope::Database(pattern.clone()));
            held.privileges.insert(name.clone());
        }
    }

    pub(super) fn take_table(&mut self, rows: Vec<Row>) {
        let accounts = self.by_grantee();
        for row in rows {
            let [Some(grantee), Some(database), Some(table), Some(name), option] = &row[..] else {
                continue;
            };
            let Some(account) = accounts.get(grantee) else { continue };
            let held = self.entry(account, Scope::Table(database.clone(), table.clone()));
            held.privileges.insert(name.clone());
            held.grant_option |= option.as_deref() == Some("YES");
        }
    }

    pub(super) fn take_columns(&mut self, rows: Vec<Row>) {
        for row in rows {
            let [Some(user), Some(host), Some(database), Some(table), Some(column), Some(names)] =
                &row[..]
            else {
                continue;
            };
            let scope = Scope::Table(database.clone(), table.clone());
            let held = self.entry(&Account::new(user, host), scope);
            held.privileges.extend(names.split(',').map(|n| privilege::on_column(n, column)));
        }
    }

    pub(super) fn take_table_options(&mut self, rows: Vec<Row>) {
        for row in rows {
            let [Some(user), Some(host), Some(database), Some(table)] = &row[..] else { continue };
            let scope = Scope::Table(database.clone(), table.clone());
            self.entry(&Account::new(user, host), scope).grant_option = true;
        }
    }

    pub(super) fn take_roles(&mut self, rows: Vec<Row>) {
        for row in rows {
            let [Some(user), Some(host), Some(role), Some(role_host)] = &row[..] else { continue };
            self.roles.insert((Account::new(user, host), Account::new(role, role_host)));
        }
    }

    pub(super) fn take_routines(&mut self, rows: Vec<Row>) {
        for row in rows {
            let [Some(user), Some(host), Some(database), Some(name), Some(kind), Some(bits)] =
                &row[..]
            else {
                continue;
            };
            let of = if kind == "1" { Scope::Procedure } else { Scope::Function };
            let scope = of(database.clone(), name.clone());
            self.take_bits(&Account::new(user, host), scope, bits, &parts::ON_ROUTINE);
        }
    }

    pub(super) fn take_catalogs(&mut self, rows: Vec<Row>) {
        for row in rows {
            let [Some(user), Some(host), Some(name), Some(bits)] = &row[..] else { continue };
            let scope = Scope::Catalog(name.clone());
            self.take_bits(&Account::new(user, host), scope, bits, &parts::ON_CATALOG);
        }
    }

    pub(super) fn take_objects(&mut self, rows: Vec<Row>) {
        for row in rows {
            let [Some(user), Some(host), Some(name), Some(kind), Some(bits)] = &row[..] else {
                continue;
            };
            if kind == parts::LOCATION {
                let scope = Scope::Location(name.clone());
                self.take_bits(&Account::new(user, host), scope, bits, &parts::ON_LOCATION);
            } else if !is_system_user(user) {
                self.unread.insert(format!("privileges on objects of the kind {kind}"));
            }
        }
    }

    pub(super) fn take_unknown(&mut self, rows: Vec<Row>) {
        let tables = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
        self.unread.extend(tables.map(|t| format!("privileges in oceanbase.{t}")));
    }

    /// Privileges as the bits of a number; `names` says what each bit is.
    fn take_bits(
        &mut self,
        account: &Account,
        scope: Scope,
        bits: &str,
        names: &[(u64, &'static str)],
    ) {
        let bits: u64 = bits.parse().unwrap_or(u64::MAX);
        let known: u64 = names.iter().map(|(bit, _)| bit).sum();
        if bits & !known != 0 && !is_system_user(&account.user) {
            self.unread.insert(format!("a privilege on {}", scope.on()));
        }
        let held = self.entry(account, scope);
        for (_, name) in names.iter().filter(|(bit, _)| bits & bit != 0) {
            if *name == parts::OPTION {
                held.grant_option = true;
            } else {
                held.privileges.insert((*name).to_owned());
            }
        }
    }

    fn entry(&mut self, account: &Account, scope: Scope) -> &mut Held {
        self.grants.entry((account.clone(), scope.folded(self.folds))).or_default()
    }
}
