//! The start of a restart: a note before the stop, so that a restart that is cut is seen and
//! finished.
use super::super::group::Group;
use super::super::{Instance, Role, about, facts, server};
use super::{facts_of, id};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Notes that a running server is about to be restarted. The restart leaves a server stopped that
/// does not run.
///
/// Refuses to move the primary of a group to another package while a standby still runs another one
/// than that: the standby goes first.
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
        if self.package != self.from {
            if facts.running_package.as_ref() == Some(&self.package) {
                return Ok(Check::Done);
            }
            if let Some(group) = &facts.group
                && let Some(problem) = self.behind(cx, group).await?
            {
                return Ok(Check::Refused(problem));
            }
        }
        Ok(Check::Needed("it runs".into()))
    }
}

impl BeginRestart {
    /// Refuses when a standby does not yet run the package that this primary is to get.
    async fn behind(&self, cx: &Cx, group: &Group) -> Result<Option<Problem>, Problem> {
        match server::ask(cx, &self.node).await?.role {
            Role::Primary | Role::Opening => {}
            Role::Standby | Role::Fencing => return Ok(None),
        }
        for (name, member) in group.members.iter().filter(|(_, m)| m.name != self.node.name) {
            let found = facts_of(cx, &member.untrusted()).await?;
            // A standby in the middle of its own restart has not proven that it comes up.
            if found.restart
                || (found.pid.is_some() && found.running_package.as_ref() != Some(&self.package))
            {
                return Ok(Some(
                    Problem::refused(format!(
                        "refused to upgrade {}: it is the primary of group \"{}\"",
                        self.node.show(),
                        group.name
                    ))
                    .place(self.node.place())
                    .why(format!(
                        "its standby \"{name}\" runs {} and not {}",
                        found.running_package.unwrap_or_else(|| "nothing, being restarted,".into()),
                        self.package
                    ))
                    .fix(
                        "the standby is upgraded first (by this same apply, if it is in it); then \
                         switch over to it (primary of ob_standby), then apply again to upgrade \
                         this one",
                    ),
                ));
            }
        }
        Ok(None)
    }
}
