//! Steps around a fence: the note before it, the proof that a standby follows, and the proof that
//! nobody takes writes before a stopped member starts.
use super::super::{Instance, Role, about, server};
use super::{facts_of, id};
use crate::base::{Pauses, Problem};
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;
use std::time::Duration;

/// Notes which process is about to be fenced. On 1.4 that process must be restarted as a standby
/// before it can follow.
#[derive(Clone, Debug)]
pub struct NoteFence {
    /// The old primary.
    pub primary: Node,
}

#[async_trait]
impl Step for NoteFence {
    fn id(&self) -> StepId {
        id("note_fence", &self.primary)
    }
    fn title(&self) -> String {
        format!("note that {} is about to be fenced", self.primary.show())
    }
    fn host(&self) -> &Host {
        &self.primary.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(about!(self.primary, "note_process.sh").arg("fenced"))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.primary).await?;
        if facts.fenced {
            // The note names a process that has lost its power since. The process that runs now is
            // the one to be fenced, so the note is written anew.
            return Ok(if facts.fenced_runs {
                Check::Done
            } else {
                Check::Needed("it is noted for a process that is gone".into())
            });
        }
        Ok(match server::role(cx, &self.primary).await? {
            // A standby without the note has been through the whole switchover.
            Role::Standby => Check::Done,
            role @ (Role::Primary | Role::Fencing | Role::Opening) => {
                Check::Needed(format!("it is {}", role.as_str()))
            }
        })
    }
}

/// Proves that a standby follows its primary: it waits until the standby's log reaches the point
/// where the primary's log ended when the step began. Only looks.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The standby.
    pub node: Node,
    /// The primary.
    pub primary: Node,
}

impl Follow {
    /// Whether both notes say that the role moved to the node: another run was first.
    async fn leads(&self, cx: &Cx) -> bool {
        let (here, there) = tokio::join!(facts_of(cx, &self.node), facts_of(cx, &self.primary));
        [here, there]
            .into_iter()
            .all(|facts| facts.is_ok_and(|f| f.group.is_some_and(|group| group.led_by(&self.node))))
    }
    fn moved(&self) -> Problem {
        Problem::refused("the group has changed since the plan")
            .place(self.node.place())
            .why(format!("the role is at {} already: another run moved it", self.node.show()))
            .fix("plan again and look at the new plan")
    }
}

#[async_trait]
impl Step for Follow {
    fn id(&self) -> StepId {
        id("follow", &self.node).about(self.primary.source())
    }
    fn title(&self) -> String {
        format!("wait until {} follows {}", self.node.show(), self.primary.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Look(vec![
            "SELECT END_SCN FROM oceanbase.V$OB_LOG_STAT".into(),
            "-- on both, until the standby has what the primary had".into(),
        ])
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        // A log that is long enough proves nothing of a server that writes its own.
        if let Some(why) = server::role(cx, &self.node).await?.may_write() {
            if self.leads(cx).await {
                return Ok(Check::Refused(self.moved()));
            }
            return Ok(Check::Refused(
                Problem::refused(format!("{} does not follow", self.node.show()))
                    .place(self.node.place())
                    .why(format!("{why}: somebody opened it"))
                    .fix("plan again: the plan says how to choose between the two"),
            ));
        }
        let (goal, _) = super::end_of_log(cx, &self.primary).await?;
        let mut pauses = Pauses::every(Duration::from_millis(200)).within(Duration::from_secs(60));
        loop {
            let now = super::end_of_log(cx, &self.node).await;
            if now.as_ref().is_ok_and(|(scn, _)| *scn >= goal) {
                return Ok(Check::Done);
            }
            if !cx.pause(&mut pauses).await? {
                let why = match now {
                    Ok((scn, _)) => format!(
                        "its log ends at SCN {scn}, the primary's ended at {goal} a minute ago"
                    ),
                    Err(problem) => problem.why,
                };
                return Ok(Check::Refused(
                    Problem::user(format!("{} does not follow", self.node.show()))
                        .place(self.node.place())
                        .why(why)
                        .fix(format!(
                            "check that port {} of {} can be reached from {}",
                            self.primary.rpc_port(),
                            self.primary.host.endpoint.address,
                            self.node.host.endpoint.name
                        )),
                ));
            }
        }
    }
}

/// Proves that no other member takes writes before a stopped one is started. Only looks.
#[derive(Clone, Debug)]
pub struct NobodyWrites {
    /// The member that is about to be started.
    pub node: Node,
    /// Every other member.
    pub others: Vec<Node>,
}

#[async_trait]
impl Step for NobodyWrites {
    fn id(&self) -> StepId {
        id("nobody_writes", &self.node)
    }
    fn title(&self) -> String {
        format!("prove that no other member takes writes before {} starts", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Look(vec!["the role of each other member: none takes writes".into()])
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(super::replicate::nobody_writes(
            cx,
            &format!("start {}", self.node.show()),
            &self.others,
        )
        .await?
        .map_or(Check::Done, Check::Refused))
    }
}
