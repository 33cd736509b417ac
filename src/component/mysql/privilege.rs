//! Names of privileges: their one spelling, the levels that take them, what `ALL PRIVILEGES` means.
use super::scope::Level;
use crate::component::sql::identifier;
use std::collections::BTreeSet;

/// Names of privileges, each in its one spelling.
pub type Privileges = BTreeSet<String>;

/// The word for all privileges of a level.
pub const ALL: &str = "ALL PRIVILEGES";

/// Privileges on a table. Together they are also what `ALL PRIVILEGES` means there (seekdb 1.4.0,
/// MySQL 5.7).
const TABLE: [&str; 12] = [
    "ALTER",
    "CREATE",
    "CREATE VIEW",
    "DELETE",
    "DROP",
    "INDEX",
    "INSERT",
    "REFERENCES",
    "SELECT",
    "SHOW VIEW",
    "TRIGGER",
    "UPDATE",
];
/// Privileges that a database takes in addition.
const DATABASE: [&str; 4] = ["ALTER ROUTINE", "CREATE ROUTINE", "EXECUTE", "LOCK TABLES"];
/// Privileges that databases take on MySQL and on some builds only.
const DATABASE_ELSEWHERE: [&str; 2] = ["CREATE TEMPORARY TABLES", "EVENT"];
/// Privileges that can only be granted globally.
const GLOBAL: [&str; 14] = [
    "ALTER SYSTEM",
    "CREATE ROLE",
    "CREATE TABLESPACE",
    "CREATE USER",
    "DROP ROLE",
    "FILE",
    "PROCESS",
    "RELOAD",
    "REPLICATION CLIENT",
    "REPLICATION SLAVE",
    "SHOW DATABASES",
    "SHUTDOWN",
    "SUPER",
    "CREATE AI MODEL",
];
/// Further global privileges, which only other builds have.
const GLOBAL_ELSEWHERE: [&str; 14] = [
    "ACCESS AI MODEL",
    "ALTER AI MODEL",
    "ALTER TENANT",
    "CREATE CATALOG",
    "CREATE DATABASE LINK",
    "CREATE LOCATION",
    "CREATE RESOURCE POOL",
    "CREATE RESOURCE UNIT",
    "DECRYPT",
    "DROP AI MODEL",
    "DROP DATABASE LINK",
    "ENCRYPT",
    "PLUGIN",
    "USE CATALOG",
];
/// Privileges that root holds and [`ALL`] does not give (seekdb 1.3.0.post5).
pub const ROOT_ONLY: [&str; 2] = ["DECRYPT", "ENCRYPT"];

/// A name in its one spelling: upper case, single blanks, `ALL` written in full.
#[must_use]
pub fn normal(name: &str) -> String {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    if name == "ALL" { ALL.into() } else { name }
}

/// Names in their one spelling; [`ALL`] replaces all others.
#[must_use]
pub fn normal_set<'a>(names: impl IntoIterator<Item = &'a str>) -> Privileges {
    let set: Privileges = names.into_iter().map(normal).collect();
    if set.contains(ALL) { [ALL.to_owned()].into() } else { set }
}

/// What [`ALL`] means at a level on a server that does not tell.
#[must_use]
pub fn usual(level: Level) -> Privileges {
    let own = |s: &&str| (*s).to_owned();
    match level {
        Level::Table => TABLE.iter().map(own).collect(),
        Level::Database => TABLE.iter().chain(&DATABASE).map(own).collect(),
        Level::Global => TABLE.iter().chain(&DATABASE).chain(&GLOBAL).map(own).collect(),
        Level::Object => Privileges::new(),
    }
}

/// What is wrong with a privilege's name at a level; `None` when nothing is.
#[must_use]
pub fn fault(name: &str, level: Level) -> Option<String> {
    let name = normal(name);
    let name = name.as_str();
    match name {
        ALL => return None,
        "GRANT OPTION" => return Some("the right to grant on is with_grant_option = true".into()),
        "USAGE" => return Some("USAGE is no privilege: every user has it".into()),
        _ if name.contains('(') => return Some("privileges on columns are not managed".into()),
        _ => {}
    }
    let table = TABLE.contains(&name);
    let database = table || DATABASE.contains(&name) || DATABASE_ELSEWHERE.contains(&name);
    let global = database || GLOBAL.contains(&name) || GLOBAL_ELSEWHERE.contains(&name);
    let fits = match level {
        Level::Table => table,
        Level::Database => database,
        Level::Global => global,
        Level::Object => false,
    };
    let place = if database { "databases" } else { "everything (database = \"*\")" };
    match (fits, global) {
        (true, _) => None,
        (false, true) => Some(format!("{name} can only be granted on {place}")),
        (false, false) => Some(format!(
            "there is no privilege {name}; a {} takes {}",
            if level == Level::Table { "table" } else { "database" },
            usual(level.min_database()).into_iter().collect::<Vec<_>>().join(", ")
        )),
    }
}

impl Level {
    fn min_database(self) -> Self {
        if self == Self::Global { Self::Database } else { self }
    }
}

/// The privileges of `wanted`, with [`ALL`] replaced by `all`.
#[must_use]
pub fn expand(wanted: &Privileges, all: &Privileges) -> Privileges {
    if wanted.contains(ALL) { all.clone() } else { wanted.clone() }
}

/// The name of a privilege on one column, as statements have it.
#[must_use]
pub fn on_column(name: &str, column: &str) -> String {
    format!("{} ({})", normal(name), identifier(column))
}

/// The privileges that a configuration can declare: those that are not on a column.
#[must_use]
pub fn declarable(privileges: &Privileges) -> Privileges {
    privileges.iter().filter(|p| !p.contains('(')).cloned().collect()
}

/// The names as statements and people read them.
#[must_use]
pub fn list(privileges: &Privileges) -> String {
    privileges.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
