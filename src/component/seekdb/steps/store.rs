//! Stores that are being built, and stores that are set aside. A build may wipe only a store that
//! it made itself.
use super::super::about;
use super::{facts_of, id};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Impact, Node, Step, StepId, StepKind};
use async_trait::async_trait;
use std::time::Duration;

/// How long moving or removing a store may take.
const MOVE: Duration = Duration::from_secs(60);

/// Notes that a standby's store is being built from a source, and removes what a former attempt of
/// the build left.
#[derive(Clone, Debug)]
pub struct BeginStore {
    /// The instance whose store it is.
    pub node: Node,
    /// The address from which the store is built, `address:rpc_port`.
    pub source: String,
}

impl BeginStore {
    /// Kind of the step.
    pub const KIND: StepKind = StepKind("begin_store");
}

#[async_trait]
impl Step for BeginStore {
    fn id(&self) -> StepId {
        id(Self::KIND.0, &self.node).about(self.source.as_str())
    }
    fn title(&self) -> String {
        format!("begin a standby store for {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let program = about!(self.node, "begin_store.sh").arg(self.source.as_str());
        Effect::Shell(program.within(MOVE))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let ours = facts.building_store.as_deref() == Some(self.source.as_str());
        Ok(match (facts.store, ours) {
            (true, true) if facts.pid.is_some() => Check::Done,
            (true, true) => Check::Partial("a former try left an unfinished store".into()),
            (true, false) if facts.building_store.is_none() => Check::Done,
            (true, false) => {
                Check::Partial("a try from another source left an unfinished store".into())
            }
            (false, true) => Check::Done,
            (false, false) => Check::Needed("there is no store".into()),
        })
    }
}

/// Sets a store aside: it is kept under a name, and we never start it again.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// The instance whose store it is.
    pub node: Node,
    /// Name of the store below `.ob/aside`.
    pub name: String,
    /// The member leaves, and no other store is built here. It may have left by this name before,
    /// so whatever store is here now is set aside.
    pub leaves: bool,
}

impl SetAside {
    /// Kind of the step.
    pub const KIND: StepKind = StepKind("set_aside");

    /// Name of the directory until the whole store is in it.
    fn part(&self) -> String {
        format!("{}.part", self.name)
    }
}

#[async_trait]
impl Step for SetAside {
    fn id(&self) -> StepId {
        id(Self::KIND.0, &self.node).about(self.name.as_str())
    }
    fn title(&self) -> String {
        // The name of a leave ends with that of the group's creation, which tells people nothing.
        if self.leaves {
            format!("set the store of {} aside as it leaves", self.node.show())
        } else {
            format!("set the store of {} aside as {}", self.node.show(), self.name)
        }
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let again = if self.leaves { "again" } else { "" };
        let program = about!(self.node, "set_aside.sh").args([self.name.as_str(), again]);
        Effect::Shell(program.within(MOVE))
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::NoMajorityMargin]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        if facts.aside.contains(&self.name) && !self.leaves {
            return Ok(Check::Done);
        }
        if facts.aside.contains(&self.part()) {
            return Ok(Check::Partial("a part of it was moved".into()));
        }
        if facts.pid.is_some() {
            return Ok(Check::Refused(
                Problem::refused(format!("seekdb {} runs", self.node.show()))
                    .place(self.node.host.endpoint.show())
                    .why("a running server's store cannot be set aside")
                    .fix("run the same command again"),
            ));
        }
        Ok(if facts.store { Check::Needed("there is a store".into()) } else { Check::Done })
    }
}
