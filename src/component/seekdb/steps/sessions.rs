//! After a take-over: what the former holder may still have open in the database is ended before our first effect.
use super::super::{Instance, server};
use super::facts_of;
use crate::base::Problem;
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;

/// Ends all sessions of our account on an instance.
#[derive(Clone, Debug)]
pub struct EndSessions {
    /// Which one.
    pub instance: Instance,
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
        vec!["SHOW PROCESSLIST".into(), "KILL <each other session of ob_service>".into()]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        if facts.pid.is_none() || !facts.account {
            return Ok(Check::Done);
        }
        let login = server::account(cx, &self.instance).await?;
        Ok(match server::open(cx, &self.instance, &login).await? {
            Ok(mut session) => {
                let others = server::others(&mut session, &login.user).await.map(|o| o.len());
                session.close().await;
                match others {
                    Ok(0) => Check::Done,
                    Ok(n) => Check::Needed(format!("{n} are open")),
                    Err(error) => Check::Unknown(error.to_string()),
                }
            }
            // A server that does not let our account in has no session of it.
            Err(error) if error.code() == Some(crate::component::sql::ACCESS_DENIED) => Check::Done,
            Err(error) => Check::Unknown(error.to_string()),
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let login = server::account(cx, &self.instance).await?;
        server::dangerous(cx, self, &self.instance, &login, &[]).await
    }
}
