//! Removes packages from which no instance on the host starts, and cached contents that no package
//! uses.
use super::id;
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Node, Program, Step, StepId};
use crate::program;
use async_trait::async_trait;
use std::time::Duration;

/// Removes what nothing uses any more from `~/.ob/packages` and `~/.ob/cache`.
#[derive(Clone, Debug)]
pub struct PrunePackages {
    /// The instance that is being removed: what only it uses counts as unused.
    pub node: Node,
}

/// Shell functions that the programs of this module share.
const UNUSED: &str = include_str!("unused.sh");

/// Prints everything that is to be removed when the object with this key goes.
fn list(leaving: &str) -> Program {
    program!("list_unused.sh", UNUSED).arg(leaving)
}

#[async_trait]
impl Step for PrunePackages {
    fn id(&self) -> StepId {
        id("prune_packages", &self.node)
    }
    fn title(&self) -> String {
        format!("remove unused packages on {}", self.node.host.endpoint.name)
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let program = program!("prune_packages.sh", UNUSED).arg(self.node.key().as_str());
        Effect::Shell(program.within(Duration::from_secs(60)))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let listed = cx.read(&self.node.host, &list(self.node.key().as_str())).await?;
        let unused = listed.stdout.lines().count();
        Ok(if unused == 0 { Check::Done } else { Check::Needed(format!("{unused} are not used")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::shell::quote;
    use std::fs;
    use std::path::Path;

    /// What is to be removed from a state directory, as paths relative to it.
    fn left(state: &Path) -> Vec<String> {
        let script = list("cluster.a").script(&crate::engine::Values::default()).unwrap();
        let script = format!("OB_STATE={}; {script}", quote(&state.display().to_string()));
        let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(out.status.success());
        String::from_utf8(out.stdout)
            .unwrap()
            .lines()
            .map(|l| l.strip_prefix(&format!("{}/", state.display())).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_removal_that_was_cut_anywhere_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        assert!(left(dir.path()).is_empty(), "a host without packages");
        fs::create_dir_all(at("packages/old")).unwrap();
        fs::create_dir_all(at("cache")).unwrap();
        fs::write(at("cache/d1"), "x").unwrap();
        fs::write(at("cache/d1.stamp"), "x").unwrap();
        fs::hard_link(at("cache/d1"), at("packages/old/seekdb")).unwrap();
        assert_eq!(left(dir.path()), ["packages/old"], "whole");
        fs::remove_dir_all(at("packages/old")).unwrap();
        assert_eq!(left(dir.path()), ["cache/d1", "packages"], "cut before the cached file");
        fs::remove_dir(at("packages")).unwrap();
        fs::remove_file(at("cache/d1")).unwrap();
        fs::remove_file(at("cache/d1.stamp")).unwrap();
        assert_eq!(left(dir.path()), ["cache"], "cut before the directory");
        fs::create_dir_all(at("packages/new")).unwrap();
        fs::create_dir_all(at("objects/cluster.b")).unwrap();
        fs::write(at("objects/cluster.b/home"), at("nowhere").display().to_string()).unwrap();
        assert!(left(dir.path()).is_empty(), "while another instance is being made");
    }
}
