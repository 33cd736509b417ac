//! Removes notes, which says that what they announced is over. The step that begins something
//! writes its note.
use super::super::{ACCOUNT, about};
use super::{facts_of, id};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;

/// What a note beside an instance says is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// An adoption: `Adopt` writes the note; the adoption's last step removes it.
    Adopting,
    /// A restart: `BeginRestart` writes the note; it goes when the new process is there.
    Restart,
    /// A fence: `NoteFence` writes the note; it goes when the former primary follows, or is primary
    /// again.
    Fence,
    /// The build of a standby's store: `BeginStore` writes the note; once it is gone the store is
    /// data.
    Store,
    /// A change of our account's password: `KeepPassword` writes the note; it goes when another
    /// member is told the password, so that it is changed again when that one leaves.
    Rotated,
}

impl Note {
    fn file(self) -> &'static str {
        match self {
            Self::Adopting => "adopting",
            Self::Restart => "restart",
            Self::Fence => "fenced",
            Self::Store => "building",
            Self::Rotated => "rotated",
        }
    }
}

/// Removes a note.
#[derive(Clone, Debug)]
pub struct EndNote {
    /// The instance.
    pub node: Node,
    /// The note.
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
            Note::Rotated => "end_rotated",
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
            Note::Rotated => format!("another member is told the password of {ACCOUNT} of {who}"),
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
            Note::Rotated => !facts.rotated.is_empty(),
        };
        Ok(if noted { Check::Needed("it is noted".into()) } else { Check::Done })
    }
}
