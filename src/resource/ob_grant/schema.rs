//! The attributes of `ob_grant`.
use super::view::{View, attributes};
use crate::resource::common::{Map, Texts};
use crate::resource::ob_cluster::{InstanceRef, Timeouts};
use crate::resource::sql_target::{self, SqlEndpoint, targeted};
use crate::schema::build::{STRING, set, string};
use crate::schema::{Schema, Value};
use serde::{Deserialize, Serialize};

/// State of `ob_grant`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GrantState {
    /// Import id.
    pub id: Value<String>,
    /// On an instance.
    pub instance: Value<InstanceRef>,
    /// On a group.
    pub group: Map<InstanceRef>,
    /// On another server.
    pub endpoint: Value<SqlEndpoint>,
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
    /// What others granted in the same place.
    pub unmanaged: Texts,
    /// Deadlines.
    pub timeouts: Value<Timeouts>,
    /// `present` or `unreachable`.
    pub status: Value<String>,
    /// The plan in one line.
    pub runbook: Value<String>,
    /// What the plan does to users.
    pub impact: Texts,
}
targeted!(GrantState);

impl GrantState {
    /// The grant's own attributes.
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
    let schema = Schema::new(
        0,
        "Privileges of one user in one place: everything, a database, a pattern of databases, or \
         a table.\n\nOnly the privileges named here are granted and revoked. What others granted \
         in the same place is shown in `unmanaged` and never revoked. Do not declare the same \
         user and place twice.\n\nIn a grant the server takes `_` and `%` in a database name as \
         wildcards; `database` is escaped, so that it names one database only.",
    )
    .attr(
        "id",
        string(
            "Import id, such as `sql://credential@address:port#user=app&host=%25&database=shop`, \
             with `pattern=` instead of `database=` for a pattern, and `table=` for a table.",
        )
        .computed(),
    )
    .attr(
        "unmanaged",
        set(
            "Privileges in the same place that others granted; `GRANT OPTION` is one of them, and \
             on a table so are privileges on its columns.",
            STRING,
        )
        .computed(),
    );
    let schema = attributes().into_iter().fold(schema, |s, (name, a)| s.attr(name, a));
    sql_target::attributes().into_iter().fold(schema, |s, (name, a)| s.attr(name, a))
}
