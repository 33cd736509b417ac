//! Stores that were set aside: lists them, and removes one.
use super::inventory::Survey;
use crate::base::{Directory, OperationId, Problem};
use crate::engine::lease::{MarkMust, Target};
use crate::engine::{
    Check, Cx, Effect, Executor, Graph, Host, Impact, Job, Key, Outcome, Step, StepId, StepKind,
};
use crate::program;
use async_trait::async_trait;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a removal may take.
const REMOVAL: Duration = Duration::from_secs(600);

/// A store that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Store {
    /// Name of its host.
    pub host: String,
    /// Directory of its database.
    pub directory: Directory,
    /// Its own name.
    pub name: String,
    /// What it takes on the disk, in KiB; 0 when that could not be told in time.
    pub kib: u64,
    /// When it was set aside, seconds since 1970 by the host's clock.
    pub since: i64,
}

/// What lies aside in a directory, and whether the rest of a removal that was cut does too.
fn parse(host: &Host, directory: &Directory, said: &str) -> (Vec<Store>, bool) {
    let store = |line: &str| {
        let mut words = line.strip_prefix("store=")?.split(' ');
        let (name, kib, since) = (words.next()?, words.next()?, words.next()?);
        Some(Store {
            host: host.endpoint.name.clone(),
            directory: directory.clone(),
            name: named(name)?.to_owned(),
            kib: kib.parse().unwrap_or(0),
            since: since.parse().unwrap_or(0),
        })
    };
    (said.lines().filter_map(store).collect(), said.lines().any(|l| l == "rest"))
}

/// The name of a store, if it can be one.
fn named(name: &str) -> Option<&str> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fine = !name.is_empty() && name.len() <= 200 && !name.starts_with('.');
    (fine && name.chars().all(good)).then_some(name)
}

async fn look(cx: &Cx, host: &Host, directory: &Directory) -> Result<(Vec<Store>, bool), Problem> {
    let program = program!("look_aside.sh").arg(&**directory).within(Duration::from_secs(60));
    Ok(parse(host, directory, &cx.read(host, &program).await?.stdout))
}

/// The stores that were set aside in the directories of all objects.
///
/// # Errors
/// A host cannot be asked.
pub async fn list(cx: &Cx, surveys: &[Survey]) -> Result<Vec<Store>, Problem> {
    let mut all = Vec::new();
    for survey in surveys {
        for object in &survey.objects {
            let home = object.home.as_deref().map(Directory::parse);
            if let Some(Ok(directory)) = home {
                all.extend(look(cx, &survey.host, &directory).await?.0);
            }
        }
    }
    Ok(all)
}

/// Removes one store that was set aside.
#[derive(Clone, Debug)]
pub struct RemoveAside {
    /// Where.
    pub host: Host,
    /// Directory of its database.
    pub directory: Directory,
    /// Its name.
    pub name: String,
}

impl RemoveAside {
    fn refused(&self, why: String, fix: &str) -> Check {
        let what = format!("\"{}\" is not removed", self.name);
        let place = format!("{} on {}", &*self.directory, self.host.endpoint.show());
        Check::Refused(Problem::refused(what).place(place).why(why).fix(fix))
    }
}

#[async_trait]
impl Step for RemoveAside {
    fn id(&self) -> StepId {
        let on = &*self.directory;
        StepId::new(StepKind("remove_aside"), &self.host, on).about(self.name.as_str())
    }
    fn title(&self) -> String {
        let (directory, host) = (&*self.directory, &self.host.endpoint.name);
        format!("remove the store {} set aside in {directory} on {host}", self.name)
    }
    fn host(&self) -> &Host {
        &self.host
    }
    fn effect(&self) -> Effect {
        let program = program!("remove_aside.sh").arg(&*self.directory).arg(self.name.as_str());
        Effect::Shell(program.within(REMOVAL))
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::DataLoss]
    }
    fn irreversible(&self) -> bool {
        true
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let (stores, rest) = look(cx, &self.host, &self.directory).await?;
        if self.name.ends_with(".part") {
            return Ok(self.refused(
                "it is being set aside, and some of it lies elsewhere".into(),
                "run terraform apply again, which finishes that",
            ));
        }
        if stores.iter().any(|s| s.name == self.name) {
            return Ok(Check::Needed("it is there".into()));
        }
        if rest {
            return Ok(Check::Partial("a removal was cut".into()));
        }
        // After the effect nothing is there, and before it that means a wrong name.
        if cx.operation().is_some() {
            return Ok(Check::Done);
        }
        let names: Vec<_> = stores.iter().map(|s| s.name.as_str()).collect();
        let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        Ok(self.refused(
            format!("no store of that name was set aside there; there is {there}"),
            "`ob aside list` shows what there is",
        ))
    }
}

/// Removes it, under the lease of the object whose directory it is.
pub async fn run(
    executor: &Executor,
    step: &RemoveAside,
    surveys: &[Survey],
    cancel: &CancellationToken,
) -> Outcome {
    let mut graph = Graph::new();
    graph.then(step.clone());
    let key = Key::place(&step.directory);
    let node = surveys
        .iter()
        .filter(|s| s.host == step.host)
        .flat_map(|s| &s.objects)
        .filter(|o| o.key == key)
        .find_map(|o| Some((o.node(&step.host)?, o.mark.as_ref()?.creation.clone())));
    let target = match node {
        Some(((database, node), creation)) => {
            let mark = MarkMust::BeOursIfThere(Some(creation));
            Target::node(database.engine(), &node, mark)
        }
        None => Target::new(key, step.directory.to_string(), vec![step.host.clone()]),
    };
    let job = Job {
        id: OperationId::fresh(),
        verb: "clear",
        object: target.title.clone(),
        graph: &graph,
        targets: vec![target],
        secrets: BTreeMap::new(),
        epoch: 0,
        timeout: REMOVAL + Duration::from_secs(120),
        cancel: cancel.clone(),
    };
    executor.run(job).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn sh(program: &str, words: &[&str]) -> (bool, String) {
        let out =
            Command::new("sh").args(["-c", program, "sh"]).args(words).output().expect("sh runs");
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// The programs themselves, on a directory of this machine.
    #[test]
    fn only_what_was_set_aside_is_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().to_str().unwrap();
        let aside = dir.path().join(".ob/aside");
        for name in ["epoch-1", "left-b-01K", "epoch-2.part", "odd name", ".removed.epoch-9"] {
            std::fs::create_dir_all(aside.join(name).join("store")).unwrap();
        }
        std::fs::create_dir_all(dir.path().join("store/redo")).unwrap();
        std::fs::write(aside.join("a-file"), "").unwrap();
        std::os::unix::fs::symlink(dir.path().join("store"), aside.join("a-link")).unwrap();
        let endpoint = crate::transport::Endpoint {
            name: "h".into(),
            address: "10.0.0.1".parse().unwrap(),
            port: 22,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        };
        let host = Host { endpoint, run_as: String::new() };
        let directory = Directory::parse("/data/a").unwrap();
        let look = || parse(&host, &directory, &sh(include_str!("look_aside.sh"), &[base]).1);
        let names = || look().0.into_iter().map(|s| s.name).collect::<Vec<_>>();
        assert_eq!((names().join(" "), look().1), ("epoch-1 epoch-2.part left-b-01K".into(), true));
        for name in ["", "..", ".", "../store", "a-link", "a-file", ".removed.epoch-9", "odd name"]
        {
            assert!(!sh(include_str!("remove_aside.sh"), &[base, name]).0, "{name:?}");
        }
        assert!(aside.join(".removed.epoch-9").exists() && dir.path().join("store/redo").exists());
        assert!(sh(include_str!("remove_aside.sh"), &[base, "epoch-1"]).0);
        assert_eq!((names().join(" "), look().1), ("epoch-2.part left-b-01K".into(), false));
        // A second time it has nothing to do.
        assert!(sh(include_str!("remove_aside.sh"), &[base, "epoch-1"]).0);
        assert!(dir.path().join("store/redo").exists() && aside.join("left-b-01K").exists());
    }

    #[test]
    fn a_name_that_a_host_made_up_is_none() {
        for (name, good) in [
            ("epoch-12", true),
            ("left-b-01KAB4-2", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("\x1b[2J", false),
        ] {
            assert_eq!(named(name).is_some(), good, "{name:?}");
        }
        assert_eq!(named(&"x".repeat(201)), None);
    }
}
