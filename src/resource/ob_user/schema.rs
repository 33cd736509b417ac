//! The attributes of `ob_user`.
use crate::component::mysql::user;
use crate::resource::common::{Map, Texts};
use crate::resource::ob_cluster::{InstanceRef, Timeouts};
use crate::resource::sql_target::{self, SqlEndpoint, targeted};
use crate::schema::build::{boolean, number, string};
use crate::schema::{Schema, Value};
use serde::{Deserialize, Serialize};

/// State of `ob_user`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserState {
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
    /// Deadlines.
    pub timeouts: Value<Timeouts>,
    /// `present` or `unreachable`.
    pub status: Value<String>,
    /// The plan in one line.
    pub runbook: Value<String>,
    /// What the plan does to users.
    pub impact: Texts,
}
targeted!(UserState);

pub(crate) fn name(text: &str) -> Result<(), String> {
    user::fault(text).map_or(Ok(()), Err)
}

pub(crate) fn host(text: &str) -> Result<(), String> {
    if text.is_empty() || text.chars().count() > 128 || text.contains('\0') {
        Err("a host pattern has 1 to 128 characters, such as %, 10.0.% or 10.0.0.0/8".into())
    } else {
        Ok(())
    }
}

/// The schema.
#[must_use]
pub fn schema() -> Schema {
    let schema = Schema::new(
        0,
        "An account of a MySQL-mode server.\n\nName and host together are the account, told apart \
         by upper and lower case. Changing them renames it in place; grants stay. `root`, the \
         provider's own account and the server's own accounts are refused. An account that is \
         there already is taken over, with a warning.",
    )
    .attr(
        "id",
        string(
            "Import id, such as \
             `ssh://user@address:port/base-dir?identity=name#user=app&host=%25` or \
             `sql://credential@address:port#user=app&host=%25`.",
        )
        .computed(),
    )
    .attr("name", string("User name, at most 64 characters.").required().check(name))
    .attr(
        "host",
        string("Where it may come from: a pattern such as `10.0.%`. Default: `%`.")
            .optional_computed()
            .check(host),
    )
    .attr(
        "password_wo",
        string("Password. Never kept in plan or state. A user that is not locked needs one.")
            .optional()
            .write_only(),
    )
    .attr(
        "password_wo_version",
        number(
            "Raise it to set `password_wo` again. It is dropped from the state when somebody else \
             changed the password: the next plan sets it again.",
        )
        .optional(),
    )
    .attr("locked", boolean("Cannot log in. Default: `false`.").optional_computed())
    .attr(
        "password_changed",
        string("When the password was set last, in seconds since 1970.").computed(),
    );
    sql_target::attributes().into_iter().fold(schema, |s, (name, a)| s.attr(name, a))
}
