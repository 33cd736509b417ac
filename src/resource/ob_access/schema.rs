//! The attributes of `ob_access`.
use crate::component::mysql::database;
use crate::resource::common::{Map, Texts};
use crate::resource::ob_cluster::{InstanceRef, Timeouts};
use crate::resource::ob_database::name_check;
use crate::resource::ob_grant::view::{View, attributes};
use crate::resource::ob_user::{host_pattern, user_name};
use crate::resource::sql_target::{self, SqlEndpoint, targeted};
use crate::schema::build::{STRING, boolean, map_of, number, object, set, string};
use crate::schema::{Schema, Value};
use serde::{Deserialize, Serialize};

/// State of `ob_access`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AccessState {
    /// Import id.
    pub id: Value<String>,
    /// On an instance.
    pub instance: Value<InstanceRef>,
    /// On a group.
    pub group: Map<InstanceRef>,
    /// On another server.
    pub endpoint: Value<SqlEndpoint>,
    /// Databases by key.
    pub databases: Map<DatabaseEntry>,
    /// Accounts by key.
    pub users: Map<UserEntry>,
    /// Grants by key.
    pub grants: Map<GrantEntry>,
    /// Others' users and grants are removed.
    pub exclusive: Value<bool>,
    /// Refuse destroy.
    pub deletion_protection: Value<bool>,
    /// Databases whose rows may be dropped.
    pub allow_data_loss: Texts,
    /// What others made.
    pub unmanaged: Value<Unmanaged>,
    /// Deadlines.
    pub timeouts: Value<Timeouts>,
    /// `present` or `unreachable`.
    pub status: Value<String>,
    /// The plan in one line.
    pub runbook: Value<String>,
    /// What the plan does to users.
    pub impact: Texts,
}
targeted!(AccessState);

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatabaseEntry {
    /// Name; the key when not set.
    pub name: Value<String>,
    /// Character set.
    pub charset: Value<String>,
    /// Collation.
    pub collation: Value<String>,
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserEntry {
    /// Name; the key when not set.
    pub name: Value<String>,
    /// Host pattern.
    pub host: Value<String>,
    /// Password.
    pub password_wo: Value<String>,
    /// Its version.
    pub password_wo_version: Value<i64>,
    /// Cannot log in.
    pub locked: Value<bool>,
    /// When the password was set last.
    pub password_changed: Value<String>,
}

/// A grant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GrantEntry {
    /// Who.
    pub user: Value<String>,
    /// From where.
    pub host: Value<String>,
    /// One database, or `*`.
    pub database: Value<String>,
    /// Or a pattern.
    pub database_pattern: Value<String>,
    /// One table.
    pub table: Value<String>,
    /// What.
    pub privileges: Texts,
    /// May grant it on.
    pub with_grant_option: Value<bool>,
}

/// What others made; the texts are those of the statements that would remove it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unmanaged {
    /// Databases.
    pub databases: Texts,
    /// Accounts, as statements name them.
    pub users: Texts,
    /// Grants and roles, as `REVOKE` names them.
    pub grants: Texts,
    /// What may be there and was not read.
    pub unread: Texts,
}

impl GrantEntry {
    /// The grant's attributes.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            user: &self.user,
            host: &self.host,
            database: &self.database,
            database_pattern: &self.database_pattern,
            table: &self.table,
            privileges: &self.privileges,
            with_grant_option: &self.with_grant_option,
        }
    }
}

/// The schema.
#[must_use]
pub fn schema() -> Schema {
    let databases = [
        (
            "name",
            string("Name of the database; the key when not set.")
                .optional_computed()
                .check(name_check),
        ),
        (
            "charset",
            string("Default character set of new tables; the server's when not set.")
                .optional_computed()
                .check(database::word),
        ),
        (
            "collation",
            string("Default collation of new tables; the character set's when not set.")
                .optional_computed()
                .check(database::word),
        ),
    ];
    let users = [
        ("name", string("User name; the key when not set.").optional_computed().check(user_name)),
        (
            "host",
            string("Where it may come from. Default: `%`.").optional_computed().check(host_pattern),
        ),
        (
            "password_wo",
            string(
                "Password. Never kept in plan or state. A new user that is not locked needs one.",
            )
            .optional()
            .write_only(),
        ),
        (
            "password_wo_version",
            number(
                "Raise it to set `password_wo` again. Dropped from the state when somebody else \
                 changed the password.",
            )
            .optional(),
        ),
        ("locked", boolean("Cannot log in. Default: `false`.").optional_computed()),
        (
            "password_changed",
            string("When the password was set last, in seconds since 1970.").computed(),
        ),
    ];
    let unmanaged = [
        ("databases", set("Databases.", STRING).computed()),
        ("users", set("Users, as SQL names them.", STRING).computed()),
        (
            "grants",
            set(
                "What accounts hold, as `REVOKE` names it: privileges on everything, databases, \
                 tables, columns, routines, catalogs and locations, each right to grant on, and \
                 roles (`'role'@'%' FROM 'user'@'%'`).",
                STRING,
            )
            .computed(),
        ),
        (
            "unread",
            set(
                "Kinds of privileges that this server may have and that could not be read. Empty \
                 on seekdb 1.3.0.post5 and 1.4.0.post1.",
                STRING,
            )
            .computed(),
        ),
    ];
    let schema = Schema::new(
        0,
        "All databases, users and grants of one server or group as maps: one read and one session \
         for all of them, however many there are.\n\nKeys are free; what counts is the name \
         inside, so a key can be changed without any effect on the server. Only what is declared \
         is managed; the rest is shown in `unmanaged`. With `exclusive = true` other users and \
         whatever else declared users hold are removed, but only what a plan has shown; databases, \
         system accounts, the provider's account and the login in use never are.\n\nRoles and \
         privileges on columns, routines, catalogs and locations cannot be declared here, so \
         `exclusive = true` takes them away. That includes `EXECUTE` and `ALTER ROUTINE`, which \
         the server grants to whoever makes a routine. Roles themselves stay; one that was \
         unlocked, so that it can log in, counts as a user.\n\nDropping a database needs its name \
         in `allow_data_loss`.\n\nFrom single `ob_database`, `ob_user` and `ob_grant` to this and \
         back: forget them with `removed { lifecycle { destroy = false } }` and import.",
    )
    .attr(
        "id",
        string(
            "Import id: that of the server, `ssh://user@address:port/base-dir?identity=name` or \
             `sql://credential@address:port`. An import takes everything that is there but system \
             objects.",
        )
        .computed(),
    )
    .attr("databases", map_of("Databases by a key of your choice.", databases).optional())
    .attr("users", map_of("Users by a key of your choice.", users).optional())
    .attr(
        "grants",
        map_of("Grants by a key of your choice; one per user and place.", attributes()).optional(),
    )
    .attr(
        "exclusive",
        boolean(
            "Removes users, and what declared users hold beyond their `grants`, roles included, \
             once a plan has shown them. Default: `false`.",
        )
        .optional_computed(),
    )
    .attr(
        "deletion_protection",
        boolean("Refuses to destroy this object while it has databases. Default: `true`.")
            .optional_computed(),
    )
    .attr(
        "allow_data_loss",
        set("Names of databases whose rows may be dropped.", STRING).optional(),
    )
    .attr("unmanaged", object("What is there and not declared here.", unmanaged).computed());
    sql_target::attributes().into_iter().fold(schema, |s, (name, a)| s.attr(name, a))
}
