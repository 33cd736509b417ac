//! Takes over an instance that others made. The first change after an import writes the mark and a
//! note. The note stays until the rest of the adoption is done, so that an adoption that was cut is
//! seen and finished.
use super::claim::{first_mark, foreign, safe};
use super::{facts_of, id};
use crate::base::Problem;
use crate::engine::mark::Stage;
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;

/// Writes a mark with stage `complete` into a directory that holds an instance of others.
#[derive(Clone, Debug)]
pub struct Adopt {
    /// The instance that is adopted.
    pub node: Node,
}

#[async_trait]
impl Step for Adopt {
    fn id(&self) -> StepId {
        id("adopt", &self.node)
    }
    fn title(&self) -> String {
        format!("adopt {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(first_mark(&self.node, Stage::Complete).arg("adopting"))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let owner = cx.operation().map_or("", |o| o.authority.as_str());
        Ok(match facts.mark {
            Some(found) => foreign(&found, &self.node, owner).map_or(Check::Done, Check::Refused),
            None if facts.store || facts.pid.is_some() => safe(cx, &self.node)
                .await?
                .map_or_else(|| Check::Needed("it carries no mark".into()), Check::Refused),
            None => Check::Refused(
                Problem::refused(format!(
                    "there is no instance to adopt in {}",
                    self.node.directory
                ))
                .place(self.node.host.endpoint.show())
                .why("no store is there")
                .fix("plan again"),
            ),
        })
    }
}
