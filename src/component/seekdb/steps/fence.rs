//! Around a fence: the note before it, the restart as a standby after it, and proving that the
//! follower follows.
use super::super::{Instance, Role, facts, server};
use super::facts_of;
use crate::base::Problem;
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Notes which process is about to be fenced: it must be restarted as a standby before it can
/// follow.
#[derive(Clone, Debug)]
pub struct NoteFence {
    /// The old primary.
    pub primary: Instance,
}

#[async_trait]
impl Step for NoteFence {
    fn kind(&self) -> &'static str {
        "note_fence"
    }
    fn title(&self) -> String {
        format!("note that {} is about to be fenced", self.primary.show())
    }
    fn host(&self) -> &Host {
        &self.primary.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("write {}/.ob/fenced: which process", self.primary.base_dir)]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.primary).await?;
        if facts.fenced {
            // Noted for a process that has lost its power since: the one that runs now is the one
            // to be restarted.
            return Ok(if facts.fenced_runs {
                Check::Done
            } else {
                Check::Needed("it is noted for a process that is gone".into())
            });
        }
        // A standby without the note has been through all of it.
        let role = server::ask(cx, &self.primary).await?.role;
        Ok(if role == Role::Standby {
            Check::Done
        } else {
            Check::Needed("it takes writes".into())
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let body = format!(
            "{}p=$(sdb_process) || exit 1; printf %s \"$p\" | ob_put {}",
            facts::lib(&self.primary),
            self.primary.own("fenced")
        );
        cx.effect(self, &body, Duration::from_secs(30)).await.map(drop)
    }
}

/// Proves that a standby follows its primary: it reaches where the primary's log ended when this
/// began. Only looks.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The standby.
    pub instance: Instance,
    /// Whom it follows.
    pub primary: Instance,
}

#[async_trait]
impl Step for Follow {
    fn kind(&self) -> &'static str {
        "follow"
    }
    fn title(&self) -> String {
        format!("wait until {} follows {}", self.instance.show(), self.primary.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec!["SELECT END_SCN FROM oceanbase.V$OB_LOG_STAT  -- on both, until the standby has what the primary had".into()]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let (goal, _) = super::end_of_log(cx, &self.primary).await?;
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let now = super::end_of_log(cx, &self.instance).await;
            if now.as_ref().is_ok_and(|(scn, _)| *scn >= goal) {
                return Ok(Check::Done);
            }
            if tokio::time::Instant::now() >= until {
                let why = match now {
                    Ok((scn, _)) => format!(
                        "its log ends at SCN {scn}, the primary's ended at {goal} a minute ago"
                    ),
                    Err(problem) => problem.why,
                };
                return Ok(Check::Refused(
                    Problem::user(format!("{} does not follow", self.instance.show()))
                        .place(server::place(&self.instance))
                        .why(why)
                        .fix(format!(
                            "check that port {} of {} can be reached from {}",
                            self.primary.rpc_port,
                            self.primary.host.endpoint.address,
                            self.instance.host.endpoint.name
                        )),
                ));
            }
            cx.sleep(Duration::from_millis(200)).await?;
        }
    }
    async fn apply(&self, _cx: &Cx) -> Result<(), Problem> {
        Ok(())
    }
}

/// Proves that no other member takes writes before a stopped one is started. Only looks.
#[derive(Clone, Debug)]
pub struct NobodyWrites {
    /// Who is to be started.
    pub instance: Instance,
    /// Every other member.
    pub others: Vec<Instance>,
}

#[async_trait]
impl Step for NobodyWrites {
    fn kind(&self) -> &'static str {
        "nobody_writes"
    }
    fn title(&self) -> String {
        format!("prove that no other member takes writes before {} starts", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![
            "SELECT max(tx_blocked) FROM oceanbase.__all_virtual_ls_info  -- on each other member"
                .into(),
        ]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(super::replicate::nobody_writes(
            cx,
            &format!("start {}", self.instance.show()),
            &self.others,
        )
        .await?
        .map_or(Check::Done, Check::Refused))
    }
    async fn apply(&self, _cx: &Cx) -> Result<(), Problem> {
        Ok(())
    }
}
