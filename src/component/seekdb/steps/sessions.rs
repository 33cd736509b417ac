//! After a take-over: ends what the former holder may still have open in the database, before our
//! first effect.
use super::super::server::{self, On};
use super::super::{Facts, about};
use super::{facts_of, id};
use crate::base::{Pauses, Problem};
use crate::component::sql::{ACCESS_DENIED, STATEMENT_TIMEOUT, SqlError};
use crate::engine::{Check, Cx, Effect, Host, Node, Sql, Step, StepId, lease};
use async_trait::async_trait;
use std::time::Duration;

/// How long a server that has just been started may take to answer.
const ANSWERS: Duration = Duration::from_secs(40);

/// The number of other sessions of our account on a server.
async fn open(cx: &Cx, node: &Node) -> Result<Result<usize, SqlError>, Problem> {
    let login = server::account(cx, node).await?;
    Ok(match server::open(cx, node, &login).await? {
        Ok(mut session) => {
            let others = server::others(&mut session, &login.user).await;
            session.close().await;
            others.map(|o| o.len())
        }
        Err(error) => Err(error),
    })
}

/// Whether a session of our account may be open on the server.
fn may_have(facts: &Facts) -> bool {
    facts.pid.is_some() && facts.account.is_some()
}

/// Ends the process of a server that is fenced and does not answer.
///
/// A server that was fenced a while ago answers no statement that is new to it (4012, run on
/// 1.4.0.post1), so its sessions cannot be ended one by one. It takes no writes, and whatever takes
/// up the switchover starts it again.
#[derive(Clone, Debug)]
pub struct EndFenced {
    /// The instance.
    pub node: Node,
}

#[async_trait]
impl Step for EndFenced {
    fn id(&self) -> StepId {
        id("end_fenced", &self.node)
    }
    fn title(&self) -> String {
        format!("end {} if it is fenced and answers nothing", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let program = about!(self.node, "end_fenced.sh");
        Effect::Shell(program.within(Duration::from_secs(40)))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        if !facts.fenced || !may_have(&facts) {
            return Ok(Check::Done);
        }
        Ok(match open(cx, &self.node).await? {
            Err(error) if error.code() == Some(STATEMENT_TIMEOUT) => {
                Check::Needed("it is fenced and answers nothing".into())
            }
            _ => Check::Done,
        })
    }
}

/// Ends all other sessions of our account on an instance. Waits for those that the server lets
/// nobody end: they end by themselves ([`server::open`]).
#[derive(Clone, Debug)]
pub struct EndSessions {
    /// The instance.
    pub node: Node,
}

#[async_trait]
impl Step for EndSessions {
    fn id(&self) -> StepId {
        id("end_sessions", &self.node)
    }
    fn title(&self) -> String {
        format!("end what the former holder has open in {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let sql = Sql::new(On::service(&self.node), <[&str; 0]>::default());
        Effect::Sql(Sql { end_others: true, ..sql })
    }
    fn deadline(&self) -> Duration {
        Duration::from_secs(lease::ttl()) + ANSWERS
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let mut pauses = Pauses::every(Duration::from_millis(500)).within(ANSWERS);
        loop {
            if !may_have(&facts_of(cx, &self.node).await?) {
                return Ok(Check::Done);
            }
            let why = match open(cx, &self.node).await? {
                Ok(0) => return Ok(Check::Done),
                Ok(n) => return Ok(Check::Needed(format!("{n} are open"))),
                // A server that refuses the login of our account has no session of it.
                Err(error) if error.code() == Some(ACCESS_DENIED) => return Ok(Check::Done),
                Err(error) => error.to_string(),
            };
            if !cx.pause(&mut pauses).await? {
                return Ok(Check::Unknown(why));
            }
        }
    }
}
