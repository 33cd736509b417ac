//! The attributes of `ob_database`.
use crate::component::mysql::database;
use crate::resource::common::{Map, Texts};
use crate::resource::ob_cluster::{InstanceRef, Timeouts};
use crate::resource::sql_target::{self, SqlEndpoint, targeted};
use crate::schema::build::{STRING, boolean, set, string};
use crate::schema::{Schema, Value};
use serde::{Deserialize, Serialize};

/// State of `ob_database`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatabaseState {
    /// Import id.
    pub id: Value<String>,
    /// On an instance.
    pub instance: Value<InstanceRef>,
    /// On a group.
    pub group: Map<InstanceRef>,
    /// On another server.
    pub endpoint: Value<SqlEndpoint>,
    /// Name.
    pub name: Value<String>,
    /// Character set.
    pub charset: Value<String>,
    /// Collation.
    pub collation: Value<String>,
    /// Refuse destroy.
    pub deletion_protection: Value<bool>,
    /// Its own name, when its rows may be dropped.
    pub allow_data_loss: Texts,
    /// Deadlines.
    pub timeouts: Value<Timeouts>,
    /// `present` or `unreachable`.
    pub status: Value<String>,
    /// The plan in one line.
    pub runbook: Value<String>,
    /// What the plan does to users.
    pub impact: Texts,
}
targeted!(DatabaseState);

pub(crate) fn name(text: &str) -> Result<(), String> {
    database::fault(text).map_or(Ok(()), Err)
}

/// The schema.
#[must_use]
pub fn schema() -> Schema {
    let schema = Schema::new(
        0,
        "A database (schema) of a MySQL-mode server.\n\nDestroying it drops its rows: that needs \
         `deletion_protection = false` **and** its name in `allow_data_loss`. A database that is \
         there already is taken over as it is, with a warning.",
    )
    .attr(
        "id",
        string(
            "Import id, such as `ssh://user@address:port/base-dir?identity=name#database=shop` or \
             `sql://credential@address:port#database=shop`.",
        )
        .computed(),
    )
    .attr(
        "name",
        string(
            "Name. Servers that keep names in lower case (seekdb) take any spelling for the same \
             database. It cannot change.",
        )
        .required()
        .check(name),
    )
    .attr(
        "charset",
        string(
            "Default character set of new tables; the server's when not set. A change does not \
             convert tables that are there.",
        )
        .optional_computed()
        .check(database::word),
    )
    .attr(
        "collation",
        string("Default collation of new tables; the character set's when not set.")
            .optional_computed()
            .check(database::word),
    )
    .attr(
        "deletion_protection",
        boolean("Refuses to destroy the database. Default: `true`.").optional_computed(),
    )
    .attr(
        "allow_data_loss",
        set("The database's own name, when its rows may be dropped.", STRING).optional(),
    );
    sql_target::attributes().into_iter().fold(schema, |s, (name, a)| s.attr(name, a))
}
