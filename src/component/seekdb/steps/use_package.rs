//! Places a package on the host, and sets the package that the instance starts from.
use super::super::{Instance, about, facts};
use super::{facts_of, id};
use crate::base::Problem;
use crate::component::package::{Package, place};
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId, Values};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;

/// Puts a package's files on the host. A file comes from the host's cache, or else is streamed once
/// and verified there.
#[derive(Clone, Debug)]
pub struct PlacePackage {
    /// The instance (all instances of one run user share packages).
    pub node: Node,
    /// The package.
    pub package: Package,
}

#[async_trait]
impl Step for PlacePackage {
    fn id(&self) -> StepId {
        id("place_package", &self.node).about(self.package.id.as_str())
    }
    fn title(&self) -> String {
        format!(
            "place {} {} on {}",
            self.package.name, self.package.version, self.node.host.endpoint.name
        )
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Files(place::files(&self.package))
    }
    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(if place::is_there(cx, &self.node.host, &self.package).await? {
            Check::Done
        } else {
            Check::Needed("files are missing or differ".into())
        })
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        place::state(cx, &self.node.host, &self.package).await.map(Some)
    }
}

/// Makes the instance start from a package, with these parameters.
#[derive(Clone, Debug)]
pub struct UsePackage {
    /// The instance.
    pub node: Node,
    /// Name of the package's directory.
    pub package: String,
    /// Parameters that every start passes.
    pub parameters: BTreeMap<String, String>,
}

#[async_trait]
impl Step for UsePackage {
    fn id(&self) -> StepId {
        id("use_package", &self.node).about(self.package.as_str())
    }
    fn title(&self) -> String {
        format!("set {} to start from {}", self.node.show(), self.package)
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let script = self.node.start_script(&self.parameters);
        let program = about!(self.node, "use_package.sh");
        Effect::Shell(program.args([self.package.as_str(), script.as_str()]))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let found = facts_of(cx, &self.node).await?;
        let same = found.package.as_ref() == Some(&self.package)
            && found.start_sum == facts::cksum(&self.node.start_script(&self.parameters));
        Ok(if same {
            Check::Done
        } else {
            Check::Needed(format!(
                "it starts from {}",
                found.package.unwrap_or_else(|| "nothing".into())
            ))
        })
    }
}
