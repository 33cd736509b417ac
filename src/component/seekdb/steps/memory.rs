//! Whether a host has the memory that a server is given.
use super::super::Facts;
use super::{facts_of, id};
use crate::base::Problem;
use crate::base::units::Bytes;
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;

/// Proves, before anything is written, that `memory_limit` is no more than the host has. Only
/// looks. The server itself starts with any value (run on 1.4.0.post1 with 900G on 24G), and the
/// kernel kills it later.
#[derive(Clone, Debug)]
pub struct ProveMemory {
    /// The server.
    pub node: Node,
    /// The server's `memory_limit`.
    pub limit: String,
}

impl ProveMemory {
    /// What is wrong with the limit on a host with these facts; `None` when nothing is.
    #[must_use]
    pub fn problem(&self, facts: &Facts) -> Option<Problem> {
        let limit = Bytes::parse(&self.limit)?;
        let total = facts.memory.filter(|total| limit > *total)?;
        Some(
            Problem::user(format!(
                "memory_limit = \"{}\" of seekdb {} is more than its host has",
                self.limit,
                self.node.show()
            ))
            .place(self.node.host.endpoint.show())
            .why(format!(
                "the host has {total}; the server starts all the same, and is ended by the kernel \
                 when it uses it"
            ))
            .fix("set a memory_limit that leaves the system some memory")
            .attribute(["parameters", "memory_limit"]),
        )
    }
}

#[async_trait]
impl Step for ProveMemory {
    fn id(&self) -> StepId {
        id("prove_memory", &self.node).about(self.limit.as_str())
    }
    fn title(&self) -> String {
        format!("prove that the host of {} has {} of memory", self.node.show(), self.limit)
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Look(vec!["grep MemTotal /proc/meminfo".into()])
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(self.problem(&facts_of(cx, &self.node).await?).map_or(Check::Done, Check::Refused))
    }
}
