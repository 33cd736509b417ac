//! The rights of a server's files.
use super::super::about;
use super::{facts_of, id};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;

/// Keeps other users of the host out of a server's files. A server that others started makes them
/// with the rights of its own umask, and every user could read its rows.
#[derive(Clone, Debug)]
pub struct CloseFiles {
    /// The instance.
    pub node: Node,
}

#[async_trait]
impl Step for CloseFiles {
    fn id(&self) -> StepId {
        id("close_files", &self.node)
    }
    fn title(&self) -> String {
        format!("close the files of {} to other users", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(about!(self.node, "close_files.sh"))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(if facts_of(cx, &self.node).await?.exposed {
            Check::Needed("every user can enter them".into())
        } else {
            Check::Done
        })
    }
}
