//! A grant as the configuration writes it, in `ob_grant` and inside `ob_access`.
use crate::base::Problem;
use crate::component::mysql::privilege::{self, normal_set};
use crate::component::mysql::scope::{Level, escape, literal_name};
use crate::component::mysql::{Account, Scope, Wanted, database, is_system_database};
use crate::resource::common::{Texts, known, set_text, texts};
use crate::schema::build::{Named, STRING, boolean, not_empty, set, string};
use crate::schema::{Diagnostics, Report, Value};

/// The value of `database` that means everything.
pub const EVERYTHING: &str = "*";

/// References to the attributes of one grant.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// User name.
    pub user: &'a Value<String>,
    /// Host pattern of the user.
    pub host: &'a Value<String>,
    /// One database, or `*`.
    pub database: &'a Value<String>,
    /// Instead of `database`: a pattern of databases.
    pub database_pattern: &'a Value<String>,
    /// One table of the database.
    pub table: &'a Value<String>,
    /// Privileges.
    pub privileges: &'a Texts,
    /// Whether the user may grant the privileges to others.
    pub with_grant_option: &'a Value<bool>,
}

/// The attributes of a grant, for a schema.
#[must_use]
pub fn attributes() -> Vec<Named> {
    vec![
        (
            "user",
            string("Name of the user, `ob_user.x.name`.")
                .required()
                .check(crate::resource::ob_user::user_name),
        ),
        (
            "host",
            string("Host pattern of the user. Default: `%`.")
                .optional_computed()
                .check(crate::resource::ob_user::host_pattern),
        ),
        (
            "database",
            string(
                "Name of a database, taken literally (`_` and `%` match only themselves), or `*` \
                 for everything. It need not exist yet.",
            )
            .optional()
            .check(database_name),
        ),
        (
            "database_pattern",
            string(
                "Instead of `database`: a pattern as the server keeps it, in which `_` and `%` \
                 match any characters. A grant that was made by hand on `my_app`.* is such a \
                 pattern.",
            )
            .optional()
            .check(not_empty),
        ),
        (
            "table",
            string("One table of `database`, which must exist when it is granted.")
                .optional()
                .check(not_empty),
        ),
        (
            "privileges",
            set("Names such as `SELECT` or `ALL PRIVILEGES`. Only these are ever revoked.", STRING)
                .required()
                .at_least(1),
        ),
        (
            "with_grant_option",
            boolean("Whether the user may grant them on. When not set, it is left as it is.")
                .optional(),
        ),
    ]
}

fn database_name(name: &str) -> Result<(), String> {
    if name == EVERYTHING || is_system_database(name) {
        return Ok(());
    }
    database::fault(name).map_or(Ok(()), Err)
}

impl View<'_> {
    /// The account; `None` while unknown.
    #[must_use]
    pub fn account(&self) -> Option<Account> {
        let host = known(self.host)?.map_or("%", String::as_str);
        Some(Account::new(known(self.user)??, host))
    }

    /// The scope; `None` while unknown.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        let (database, pattern, table) =
            (known(self.database)?, known(self.database_pattern)?, known(self.table)?);
        match (database, pattern, table) {
            (_, Some(pattern), _) => Some(Scope::Database(pattern.clone())),
            (Some(database), None, _) if database == EVERYTHING => Some(Scope::Global),
            (Some(database), None, Some(table)) => {
                Some(Scope::Table(database.clone(), table.clone()))
            }
            (Some(database), None, None) => Some(Scope::Database(escape(database))),
            (None, None, _) => None,
        }
    }

    /// What is asked for; `None` while unknown.
    #[must_use]
    pub fn wanted(&self) -> Option<Wanted> {
        if let Value::Value(all) = self.privileges
            && all.iter().any(Value::is_unknown)
        {
            return None;
        }
        let names = if self.privileges.is_unknown() { return None } else { texts(self.privileges) };
        Some(Wanted {
            privileges: normal_set(names.iter().map(String::as_str)),
            grant_option: known(self.with_grant_option)?.copied(),
        })
    }

    /// Finds everything that is wrong with the grant; `at` is its path in the configuration.
    pub fn validate(&self, at: &[&str], diags: &mut Diagnostics) {
        let path = |name: &str| {
            at.iter().map(|s| (*s).to_owned()).chain([name.to_owned()]).collect::<Vec<_>>()
        };
        if !self.database.is_unknown() && !self.database_pattern.is_unknown() {
            match (self.database.is_null(), self.database_pattern.is_null()) {
                (true, true) => diags.problem(
                    Problem::user("the grant does not say on what")
                        .why("neither database nor database_pattern is set")
                        .fix("set database = \"name\", or database = \"*\" for everything")
                        .attribute(path("database")),
                ),
                (false, false) => diags.problem(
                    Problem::user("the grant says twice on what")
                        .why("database and database_pattern are both set")
                        .fix("keep one of them")
                        .attribute(path("database_pattern")),
                ),
                _ => {}
            }
        }
        if set_text(self.table).is_some()
            && (set_text(self.database) == Some(EVERYTHING)
                || set_text(self.database_pattern).is_some())
        {
            diags.problem(
                Problem::user("a table needs its database")
                    .why("table is set together with a pattern or with everything")
                    .fix("set database to the table's database, or remove table")
                    .attribute(path("table")),
            );
        }
        let Some(level) = self.level() else { return };
        for name in texts(self.privileges) {
            if let Some(why) = privilege::fault(&name, level) {
                diags.problem(
                    Problem::user(format!("privilege \"{name}\" cannot be granted"))
                        .why(why)
                        .fix("correct it, or grant it on another level")
                        .attribute(path("privileges")),
                );
            }
        }
    }

    fn level(&self) -> Option<Level> {
        if self.table.is_unknown() || self.database.is_unknown() {
            return None;
        }
        Some(match (set_text(self.database), set_text(self.table)) {
            (Some(EVERYTHING), _) => Level::Global,
            (_, Some(_)) => Level::Table,
            _ => Level::Database,
        })
    }
}

/// `database`, `database_pattern` and `table` that name a scope; `None` when no configuration can.
#[must_use]
pub fn written(scope: &Scope) -> Option<[Value<String>; 3]> {
    let v = |s: &str| Value::Value(s.to_owned());
    Some(match scope {
        Scope::Global => [v(EVERYTHING), Value::Null, Value::Null],
        Scope::Table(database, table) => [v(database), Value::Null, v(table)],
        Scope::Database(pattern) => match literal_name(pattern) {
            Some(name) => [v(&name), Value::Null, Value::Null],
            None => [Value::Null, v(pattern), Value::Null],
        },
        Scope::Procedure(..) | Scope::Function(..) | Scope::Catalog(_) | Scope::Location(_) => {
            return None;
        }
    })
}

/// The declared privileges that are still held, in the spelling of the configuration.
#[must_use]
pub fn written_left(declared: &Texts, left: &privilege::Privileges) -> Texts {
    if texts(declared).iter().any(|n| privilege::normal(n) == privilege::ALL) {
        return Value::Value(left.iter().cloned().map(Value::Value).collect());
    }
    Value::Value(
        texts(declared)
            .into_iter()
            .filter(|n| left.contains(&privilege::normal(n)))
            .map(Value::Value)
            .collect(),
    )
}

/// Privileges in the form of a state: all of them are written as `ALL PRIVILEGES`, and those on
/// columns are left out.
#[must_use]
pub fn written_set(privileges: &privilege::Privileges, all: &privilege::Privileges) -> Texts {
    let privileges = privilege::declarable(privileges);
    if privileges == *all {
        return Value::Value([Value::Value(privilege::ALL.to_owned())].into());
    }
    Value::Value(privileges.into_iter().map(Value::Value).collect())
}
