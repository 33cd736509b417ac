//! Removes an instance: first its store, then its directory. Gates and journals stay.
use super::super::about;
use super::{facts_of, id};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Impact, Node, Step, StepId};
use async_trait::async_trait;
use std::time::Duration;

/// How long a removal may take.
const REMOVAL: Duration = Duration::from_secs(120);

/// Removes the store, logs and run files of a stopped instance.
#[derive(Clone, Debug)]
pub struct RemoveStore {
    /// The instance.
    pub node: Node,
}

#[async_trait]
impl Step for RemoveStore {
    fn id(&self) -> StepId {
        id("remove_store", &self.node)
    }
    fn title(&self) -> String {
        format!("remove the data of {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(about!(self.node, "remove_store.sh").within(REMOVAL))
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::DataLoss]
    }
    fn irreversible(&self) -> bool {
        true
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        if facts.pid.is_some() {
            return Ok(Check::Refused(
                Problem::refused(format!("seekdb {} still runs", self.node.show()))
                    .place(self.node.host.endpoint.show())
                    .why("its store cannot be removed under it")
                    .fix("run the same command again"),
            ));
        }
        Ok(if facts.data { Check::Needed("there is data".into()) } else { Check::Done })
    }
}

/// Removes our own files and then the directory, if it is empty. A directory that somebody else
/// prepared (`ob_host`, a mount) stays, empty.
#[derive(Clone, Debug)]
pub struct RemoveHome {
    /// The instance.
    pub node: Node,
    /// Also remove the stores that were set aside (a consent names them).
    pub aside_too: bool,
}

#[async_trait]
impl Step for RemoveHome {
    fn id(&self) -> StepId {
        id("remove_home", &self.node)
    }
    fn title(&self) -> String {
        format!("remove {} on {}", self.node.directory, self.node.host.endpoint.name)
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let aside = if self.aside_too { "1" } else { "0" };
        let program = about!(self.node, "remove_home.sh").arg(self.node.key().as_str());
        Effect::Shell(program.arg(aside).within(REMOVAL))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        // What is not ours stays, and with it the directory.
        let kept = !facts.strays.is_empty() || (!self.aside_too && !facts.aside.is_empty());
        if !facts.exists || facts.stays || (kept && facts.mark.is_none()) {
            return Ok(Check::Done);
        }
        Ok(Check::Needed("it is there".into()))
    }
}
