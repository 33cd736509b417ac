//! The start of a restart: a note before the stop, so that a restart that is cut is seen and
//! finished.
use super::super::group::{Group, Standing};
use super::super::{Instance, Seekdb, about, facts};
use super::{end_of_log, facts_of, id};
use crate::base::units::show_duration;
use crate::base::{Pauses, Problem};
use crate::component::database::{Whose, look_all};
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;

/// How far the log of a standby that follows may end behind.
const CLOSE: Duration = Duration::from_secs(5);
/// How long a member that was just restarted may take to get there.
const IN_SYNC: Duration = Duration::from_secs(60);

/// Notes that a running server is about to be restarted. The restart leaves a server stopped that
/// does not run.
///
/// Refuses to move the primary of a group to another package while another member could take the
/// role, and to restart a member while another one is not in sync.
#[derive(Clone, Debug)]
pub struct BeginRestart {
    /// The instance.
    pub node: Node,
    /// The package that the server shall run from.
    pub package: String,
    /// The package that the server runs from.
    pub from: String,
    /// The parameters that the server shall start with.
    pub parameters: BTreeMap<String, String>,
}

#[async_trait]
impl Step for BeginRestart {
    fn id(&self) -> StepId {
        id("begin_restart", &self.node)
    }
    fn title(&self) -> String {
        format!("note that {} is about to be restarted", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(about!(self.node, "note_process.sh").arg("restart"))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let set = facts.package.as_ref() == Some(&self.package)
            && facts.start_sum == facts::cksum(&self.node.start_script(&self.parameters));
        // The note may name a process that has lost its power. Then the successor of that process
        // is the restart, unless the old script started it.
        if facts.pid.is_none() || (facts.restart && (facts.restart_runs || set)) {
            return Ok(Check::Done);
        }
        // The server was restarted already, and the run was cut before it could say so: the server
        // runs by the new script.
        let runs = facts.running_package.as_ref() == Some(&self.package)
            && facts.command.starts_with(&(self.node.command(&self.parameters).join(" ") + " "));
        if set && runs && !facts.restart {
            return Ok(Check::Done);
        }
        if self.package != self.from && facts.running_package.as_ref() == Some(&self.package) {
            return Ok(Check::Done);
        }
        if let Some(group) = &facts.group {
            if self.package != self.from
                && let Some(problem) = primary_stays(cx, &self.node, group).await
            {
                return Ok(Check::Refused(problem));
            }
            if let Some(problem) = others_follow(cx, &self.node, group).await? {
                return Ok(Check::Refused(problem));
            }
        }
        Ok(Check::Needed("it runs".into()))
    }
}

/// Why the server of a node must not move to another package: it is the primary of its group, and
/// another member could take the role. An upgrade of that member and a switchover cost clients a
/// second; in place they wait for the whole restart (4.9 s seen).
pub async fn primary_stays(cx: &Cx, node: &Node, group: &Group) -> Option<Problem> {
    if !group.led_by(node) {
        return None;
    }
    let seen = look_all(&Seekdb, cx, &group.untrusted(), Whose::of(group)).await;
    let other = seen
        .iter()
        .find(|(name, member)| **name != group.primary && member.standing != Standing::Unreachable);
    let (other, _) = other?;
    Some(
        Problem::refused(format!(
            "the package of {} cannot change: it is the primary of group \"{}\"",
            node.show(),
            group.name
        ))
        .place(node.place())
        .why("clients would wait for its whole restart; as a standby it is changed beside them")
        .fix(format!(
            "in three applies, with a package for each site: change the package of the standbys \
             alone; set primary = \"{other}\"; then change the package of this one (guide \
             upgrade)"
        ))
        .attribute(["package"]),
    )
}

/// Waits until every other member of a group that runs as a standby is close behind: a member that
/// is not may need the server that is to be restarted. Why that cannot be had, or `None`.
async fn others_follow(cx: &Cx, node: &Node, group: &Group) -> Result<Option<Problem>, Problem> {
    let mut pauses = Pauses::every(Duration::from_millis(500)).within(IN_SYNC);
    loop {
        let mut late = None;
        for (name, member) in group.untrusted().iter().filter(|(_, m)| !m.same_place(node)) {
            let seen = super::super::group::look(cx, member).await;
            match seen.standing {
                Standing::Standby => {
                    let (_, age) = end_of_log(cx, member).await?;
                    if age > CLOSE {
                        late = Some(format!("\"{name}\" is {} behind", show_duration(age)));
                    }
                }
                Standing::Building => late = Some(format!("\"{name}\" is being built")),
                _ => {}
            }
        }
        let Some(late) = late else { return Ok(None) };
        if !cx.pause(&mut pauses).await? {
            let what = format!("refused to restart {}: its group is not in sync", node.show());
            return Ok(Some(
                Problem::refused(what)
                    .place(node.place())
                    .why(late)
                    .fix("wait until that member follows (`ob status`), then apply again"),
            ));
        }
    }
}
