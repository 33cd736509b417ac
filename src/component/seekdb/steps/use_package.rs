//! The package on the host, and which one the instance starts from.
use super::super::{Instance, facts};
use super::facts_of;
use crate::base::Problem;
use crate::base::shell::quote;
use crate::component::package::{Package, place};
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;

/// Puts a package's files on the host: from the host's cache, else streamed once and verified
/// there.
#[derive(Clone, Debug)]
pub struct PlacePackage {
    /// For which instance (packages are shared by all instances of one run user).
    pub instance: Instance,
    /// The package.
    pub package: Package,
}

#[async_trait]
impl Step for PlacePackage {
    fn kind(&self) -> &'static str {
        "place_package"
    }
    fn title(&self) -> String {
        format!(
            "place {} {} on {}",
            self.package.name, self.package.version, self.instance.host.endpoint.name
        )
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        self.package
            .files
            .iter()
            .map(|(name, file)| {
                format!(
                    "write ~/.ob/packages/{}/{name} ({} bytes, sha256 {})",
                    self.package.id, file.size, file.sha256
                )
            })
            .collect()
    }
    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(if place::is_there(cx, &self.instance.host, &self.package).await? {
            Check::Done
        } else {
            Check::Needed("files are missing or differ".into())
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        // Cache files are named by their content: writing them needs no gate. Publishing them under
        // the package's name does.
        place::fill(cx, &self.instance.host, &self.package).await?;
        cx.effect(self, &place::publish(&self.package), Duration::from_secs(120)).await.map(drop)
    }
}

/// Makes the instance start from a package with these parameters.
#[derive(Clone, Debug)]
pub struct UsePackage {
    /// Which one.
    pub instance: Instance,
    /// Package directory name.
    pub package: String,
    /// Parameters passed at every start.
    pub parameters: BTreeMap<String, String>,
}

#[async_trait]
impl Step for UsePackage {
    fn kind(&self) -> &'static str {
        "use_package"
    }
    fn title(&self) -> String {
        format!("start {} from {}", self.instance.show(), self.package)
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "ln -sfn ~/.ob/packages/{} {}/.ob/package",
                self.package, self.instance.base_dir
            ),
            format!("write {}/.ob/start (0755):", self.instance.base_dir),
        ];
        lines
            .extend(self.instance.start_script(&self.parameters).lines().map(|l| format!("  {l}")));
        lines
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let found = facts_of(cx, &self.instance).await?;
        let same = found.package.as_ref() == Some(&self.package)
            && found.start_sum == facts::cksum(&self.instance.start_script(&self.parameters));
        Ok(if same {
            Check::Done
        } else {
            Check::Needed(format!(
                "it starts from {}",
                found.package.unwrap_or_else(|| "nothing".into())
            ))
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let body = format!(
            "printf %s {} | ob_put {start} && chmod 755 {start} && ln -sfn \"$OB_STATE/packages/\"{} {link}.new && mv -T {link}.new {link}",
            quote(&self.instance.start_script(&self.parameters)),
            quote(&self.package),
            start = self.instance.own("start"),
            link = self.instance.own("package"),
        );
        cx.effect(self, &body, Duration::from_secs(30)).await.map(drop)
    }
}
