//! Forgets a server that is gone for good: its directory is missing, and a person says that it will
//! not come back. After that the next apply makes it anew, empty.
use crate::base::{Directory, OperationId, Problem};
use crate::engine::lease::Target;
use crate::engine::{
    Check, Cx, Effect, Executor, Graph, Host, Job, Key, Outcome, Step, StepId, StepKind,
};
use crate::program;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Removes the note that a server of ours was made in a directory.
#[derive(Clone, Debug)]
pub struct ForgetHome {
    /// Where.
    pub host: Host,
    /// The directory.
    pub directory: Directory,
    /// A state or a kit says that a server was made there: then a host that knows nothing of it was
    /// installed anew.
    pub claimed: bool,
}

impl ForgetHome {
    fn key(&self) -> Key {
        Key::place(&self.directory)
    }
    fn refused(&self, why: &str, fix: &str) -> Check {
        let what = format!("{} is not forgotten", &*self.directory);
        let place = self.host.endpoint.show();
        Check::Refused(Problem::refused(what).place(place).why(why).fix(fix))
    }
}

#[async_trait]
impl Step for ForgetHome {
    fn id(&self) -> StepId {
        StepId::new(StepKind("forget_home"), &self.host, &self.directory)
    }
    fn title(&self) -> String {
        format!("forget what was in {} on {}", &*self.directory, self.host.endpoint.name)
    }
    fn host(&self) -> &Host {
        &self.host
    }
    fn effect(&self) -> Effect {
        let program = program!("forget_home.sh").arg(self.key().as_str());
        Effect::Shell(program.arg(&*self.directory))
    }
    fn irreversible(&self) -> bool {
        true
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let program = program!("look_home.sh").arg(self.key().as_str()).arg(&*self.directory);
        let said = cx.read(&self.host, &program).await?.stdout;
        let says = |word: &str| said.lines().any(|l| l == word);
        Ok(if says("there") {
            self.refused(
                "there is something in it",
                "nothing, if the database is back; else look at what is there and move it away",
            )
        } else if says("known") {
            Check::Needed("its note is there, and the directory is not".into())
        } else if says("gone") {
            Check::Done
        } else if self.claimed {
            Check::Needed("the host knows nothing of it".into())
        } else {
            self.refused(
                "the host knows of no database there, and nothing says that there was one",
                "check directory, user (--user, --as) and host; if the host was installed anew, \
                 name a state or a kit that knows the database: --state FILE (`terraform state \
                 pull` prints it) or --group FILE",
            )
        })
    }
}

/// Forgets it, under a lease of its own.
pub async fn run(executor: &Executor, step: &ForgetHome, cancel: &CancellationToken) -> Outcome {
    let mut graph = Graph::new();
    graph.then(step.clone());
    let object = step.directory.to_string();
    let job = Job {
        id: OperationId::fresh(),
        verb: "forget",
        object: object.clone(),
        graph: &graph,
        targets: vec![Target::new(step.key(), object, vec![step.host.clone()])],
        secrets: BTreeMap::new(),
        epoch: 0,
        timeout: Duration::from_secs(120),
        cancel: cancel.clone(),
    };
    executor.run(job).await
}
