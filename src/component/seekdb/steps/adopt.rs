//! Taking over an instance that others made: the mark, written by the first change after an import,
//! and a note until the rest of the adoption is done, so that one that was cut is seen and
//! finished.
use super::super::Instance;
use super::claim::{first_mark, foreign};
use super::facts_of;
use crate::base::Problem;
use crate::engine::mark::Stage;
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Writes the mark `complete` into a directory that holds an instance of others.
#[derive(Clone, Debug)]
pub struct Adopt {
    /// What is adopted.
    pub instance: Instance,
}

#[async_trait]
impl Step for Adopt {
    fn kind(&self) -> &'static str {
        "adopt"
    }
    fn title(&self) -> String {
        format!("adopt {}", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!(
            "mkdir -p {}/.ob  # and write the note \"adopting\" and the mark \"complete\"",
            self.instance.base_dir
        )]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        let owner = cx.operation().map_or("", |o| o.authority.as_str());
        Ok(match facts.mark {
            Some(found) => {
                foreign(&found, &self.instance, owner).map_or(Check::Done, Check::Refused)
            }
            None if facts.store || facts.pid.is_some() => {
                Check::Needed("it carries no mark".into())
            }
            None => Check::Refused(
                Problem::refused(format!(
                    "there is no instance to adopt in {}",
                    self.instance.base_dir
                ))
                .place(self.instance.host.endpoint.show())
                .why("no store is there")
                .fix("plan again"),
            ),
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let Some(operation) = cx.operation() else {
            return Err(Problem::internal("adopt outside an operation"));
        };
        let note =
            format!("mkdir -p {} && : > {}", self.instance.own(""), self.instance.own("adopting"));
        cx.effect(
            self,
            &first_mark(&self.instance, operation, Stage::Complete, &note),
            Duration::from_secs(30),
        )
        .await
        .map(drop)
    }
}
