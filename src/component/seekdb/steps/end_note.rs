//! Removing a note: what it said was begun is over. The notes are written by the steps that begin
//! it.
use super::super::about;
use super::{facts_of, id};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;

/// What a note of ours beside an instance says is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// An adoption: written by `Adopt`, over with its last step.
    Adopting,
    /// A restart: written by `BeginRestart`, over when the new process is there.
    Restart,
    /// A fence: written by `NoteFence`, over when the former primary follows, or is primary again.
    Fence,
    /// A standby's store being built: written by `BeginStore`; from its end on the store is data.
    Store,
}

impl Note {
    fn file(self) -> &'static str {
        match self {
            Self::Adopting => "adopting",
            Self::Restart => "restart",
            Self::Fence => "fenced",
            Self::Store => "building",
        }
    }
}

/// Removes a note.
#[derive(Clone, Debug)]
pub struct EndNote {
    /// Whose.
    pub node: Node,
    /// Which one.
    pub note: Note,
}

#[async_trait]
impl Step for EndNote {
    fn id(&self) -> StepId {
        let kind = match self.note {
            Note::Adopting => "end_adopt",
            Note::Restart => "end_restart",
            Note::Fence => "end_fence",
            Note::Store => "end_store",
        };
        id(kind, &self.node)
    }
    fn title(&self) -> String {
        let who = self.node.show();
        match self.note {
            Note::Adopting => format!("the adoption of {who} is over"),
            Note::Restart => format!("the restart of {who} is over"),
            Note::Fence => format!("the fence of {who} is over"),
            Note::Store => format!("the standby store of {who} is whole"),
        }
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(about!(self.node, "end_note.sh").arg(self.note.file()))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let noted = match self.note {
            Note::Adopting => facts.adopting,
            Note::Restart => facts.restart,
            Note::Fence => facts.fenced,
            Note::Store => facts.building_store.is_some(),
        };
        Ok(if noted { Check::Needed("it is noted".into()) } else { Check::Done })
    }
}
