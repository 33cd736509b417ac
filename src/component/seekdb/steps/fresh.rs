//! Proves that a new server is what the program makes of itself. Between its first start and root's
//! password everybody who reaches its port could be root there.
use super::super::dialect::{JOBS, VARIABLES};
use super::super::server::{self, session};
use super::super::{ACCOUNT, ACCOUNT_FROM, Dialect};
use super::{facts_of, id};
use crate::base::Problem;
use crate::base::sql::literal;
use crate::component::sql::{Session, SqlError};
use crate::engine::mark::Stage;
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;
use std::collections::BTreeSet;

/// Schemas of a new server (1.4.0.post1 and 1.3.0.post5).
const SCHEMAS: [&str; 4] = ["information_schema", "mysql", "oceanbase", "test"];
/// The server has no such database, table or view, and so nothing of its kind.
const NO_TABLE: [u16; 3] = [1049, 1109, 1146];
/// How many things a refusal names.
const NAMED: usize = 8;

/// Proves that users, roles, databases, tables, routines, triggers, events, jobs, variables and
/// parameters are those of a new server, and what the configuration asks for. Only looks. A server
/// that was complete before has become what its users made of it, and is not compared.
#[derive(Clone, Debug)]
pub struct ProveFresh {
    /// The instance.
    pub node: Node,
    /// Names of the parameters that the configuration sets.
    pub parameters: BTreeSet<String>,
}

/// Names as SQL literals, with commas between them.
fn list<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> String {
    names.into_iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ")
}

/// Each kind of thing with the query for those that a new server does not have.
fn queries(dialect: &Dialect) -> Vec<(&'static str, String)> {
    let users = format!(
        "select concat(user_name, '@', host) from oceanbase.DBA_OB_USERS \
         where type <> 'USER' or concat(user_name, '@', host) not in ({})",
        list(&["root@%", &format!("{ACCOUNT}@{ACCOUNT_FROM}")])
    );
    let databases = format!(
        "select schema_name from information_schema.schemata where schema_name not in ({})",
        list(SCHEMAS.iter().chain(dialect.databases))
    );
    let jobs = format!(
        "select job_name from oceanbase.DBA_SCHEDULER_JOBS \
         where owner <> 'root@%' or job_name not in ({})",
        list(JOBS.iter().chain(dialect.jobs))
    );
    let variables = format!(
        "select name from oceanbase.DBA_OB_SYS_VARIABLES \
         where not value <=> default_value and name not in ({})",
        list(VARIABLES.iter().chain(dialect.own_variables))
    );
    let tables = "select table_name from information_schema.tables where table_schema = 'test'";
    let routines = "select routine_name from information_schema.routines";
    let triggers = "select trigger_name from information_schema.triggers";
    let events = "select event_name from information_schema.events";
    vec![
        ("user or role", users),
        ("database", databases),
        ("table", tables.into()),
        ("routine", routines.into()),
        ("trigger", triggers.into()),
        ("event", events.into()),
        ("function", "select name from mysql.func".into()),
        ("job", jobs),
        ("variable", variables),
    ]
}

/// What a server has of one kind that a new one does not have.
async fn others(session: &mut Session, kind: &str, query: &str) -> Result<Vec<String>, SqlError> {
    match session.query(query).await {
        Ok(rows) => {
            let names = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
            Ok(names.map(|name| format!("{kind} {name}")).collect())
        }
        Err(error) if error.code().is_some_and(|c| NO_TABLE.contains(&c)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl ProveFresh {
    async fn found(&self, cx: &Cx) -> Result<Vec<String>, Problem> {
        let said = server::ask(cx, &self.node).await?;
        let changed = said.changed.keys().filter(|name| !self.parameters.contains(*name));
        let hidden = said.hidden.iter().filter(|name| !self.parameters.contains(*name));
        let mut found: Vec<_> =
            changed.chain(hidden).map(|name| format!("parameter {name}")).collect();
        let mut session = session(cx, &self.node).await?;
        for (kind, query) in queries(Dialect::planned(&said.build)) {
            let more = others(&mut session, kind, &query).await;
            found.extend(more.map_err(|e| e.explain(&self.title(), &self.node.place()))?);
        }
        // Whoever got in before that is in still.
        let explain = |e: SqlError| e.explain(&self.title(), &self.node.place());
        let sessions = session.query("show processlist").await.map_err(explain)?;
        let users = sessions.into_iter().filter_map(|row| row.into_iter().nth(1).flatten());
        found.extend(users.filter(|u| u != ACCOUNT).map(|u| format!("session of {u}")));
        session.close().await;
        Ok(found)
    }
}

#[async_trait]
impl Step for ProveFresh {
    fn id(&self) -> StepId {
        id("prove_fresh", &self.node)
    }
    fn title(&self) -> String {
        format!("prove that nobody else was in {} before root had a password", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let what = "users, roles, databases, tables, routines, triggers, events, jobs, variables \
                    and parameters: only those of a new server";
        Effect::Look(vec![what.into()])
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let mark = facts_of(cx, &self.node).await?.mark;
        if mark.is_some_and(|m| m.stage == Stage::Complete) {
            return Ok(Check::Done);
        }
        let mut found = self.found(cx).await?;
        if found.is_empty() {
            return Ok(Check::Done);
        }
        let more = found.len().saturating_sub(NAMED);
        found.truncate(NAMED);
        let and = if more == 0 { String::new() } else { format!(" and {more} more") };
        Ok(Check::Refused(
            Problem::refused(format!("seekdb {} is not as a new server is", self.node.show()))
                .place(self.node.place())
                .why(format!(
                    "it has {}{and}: somebody was in it before root had a password",
                    found.join(", ")
                ))
                .fix(
                    "find out who reaches that port; then remove the server (`ob operation \
                     abandon`) and apply again, or drop what is named here and apply again",
                ),
        ))
    }
}
