//! After a take-over: what the former holder may still have open in the database is ended before
//! our first effect.
use super::super::{Instance, facts, server};
use super::facts_of;
use crate::base::Problem;
use crate::component::sql::{ACCESS_DENIED, STATEMENT_TIMEOUT, SqlError};
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Ends all sessions of our account on an instance.
///
/// A server that was fenced a while ago answers nothing that is new to it (4012, run on
/// 1.4.0.post1): its process is ended, and every session with it. It takes no writes, and whatever
/// takes the switchover up starts it again.
#[derive(Clone, Debug)]
pub struct EndSessions {
    /// Which one.
    pub instance: Instance,
}

impl EndSessions {
    /// How many other sessions of our account there are.
    async fn open(&self, cx: &Cx) -> Result<Result<usize, SqlError>, Problem> {
        let login = server::account(cx, &self.instance).await?;
        Ok(match server::open(cx, &self.instance, &login).await? {
            Ok(mut session) => {
                let others = server::others(&mut session, &login.user).await;
                session.close().await;
                others.map(|o| o.len())
            }
            Err(error) => Err(error),
        })
    }
}

#[async_trait]
impl Step for EndSessions {
    fn kind(&self) -> &'static str {
        "end_sessions"
    }
    fn title(&self) -> String {
        format!("end what the former holder has open in {}", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![
            "SHOW PROCESSLIST".into(),
            "KILL <each other session of ob_service>".into(),
            "kill -KILL <the server>  -- only one that is fenced and answers no statement".into(),
        ]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let until = tokio::time::Instant::now() + Duration::from_secs(40);
        loop {
            let facts = facts_of(cx, &self.instance).await?;
            if facts.pid.is_none() || facts.account.is_none() {
                return Ok(Check::Done);
            }
            let why = match self.open(cx).await? {
                Ok(0) => return Ok(Check::Done),
                Ok(n) => return Ok(Check::Needed(format!("{n} are open"))),
                // A server that does not let our account in has no session of it.
                Err(error) if error.code() == Some(ACCESS_DENIED) => return Ok(Check::Done),
                Err(error) if error.code() == Some(STATEMENT_TIMEOUT) && facts.fenced => {
                    return Ok(Check::Needed("it is fenced and answers nothing".into()));
                }
                // One that has just been started.
                Err(error) => error.to_string(),
            };
            if tokio::time::Instant::now() >= until {
                return Ok(Check::Unknown(why));
            }
            cx.sleep(Duration::from_millis(500)).await?;
        }
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        if self.open(cx).await?.is_err_and(|e| e.code() == Some(STATEMENT_TIMEOUT)) {
            let body = format!(
                "{}[ -e {} ] || exit 1; sdb_end 0",
                facts::lib(&self.instance),
                self.instance.own("fenced")
            );
            return cx.effect(self, &body, Duration::from_secs(40)).await.map(drop);
        }
        let login = server::account(cx, &self.instance).await?;
        server::dangerous(cx, self, &self.instance, &login, &[]).await
    }
}
