//! The entry to the engine for all that drives it: provider, command line, tests, later the server.
use super::effect::{Contents, NoContents};
use super::event::{Sink, nobody};
use super::lease::Target;
use super::limits::Limits;
use super::node::{Engine, Node};
use super::{Cx, Graph, Operation, Outcome, runner};
use crate::base::units::show_duration;
use crate::base::{Kind, OperationId, Problem, Secret};
use crate::transport::Connector;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs jobs. Cheap to clone: all clones share the same limits.
#[derive(Clone)]
pub struct Executor {
    /// Connects to hosts.
    pub connector: Arc<dyn Connector>,
    /// What opens the files that steps place.
    pub contents: Arc<dyn Contents>,
    /// Owner of the configuration (later: the OCP) that has authority over what the jobs change.
    pub authority: String,
    /// Who runs the jobs, for journals.
    pub who: String,
    /// Steps at once, over all jobs.
    pub limits: Limits,
    /// The listener for events.
    pub events: Sink,
}

/// One run of one graph.
pub struct Job<'a> {
    /// The operation's id. The caller gives it, so that it can record the operation before it
    /// begins.
    pub id: OperationId,
    /// The verb, `create`.
    pub verb: &'a str,
    /// The object for people, `cluster.main`.
    pub object: String,
    /// The steps.
    pub graph: &'a Graph,
    /// The objects whose leases the job needs.
    pub targets: Vec<Target>,
    /// Secrets by attribute name.
    pub secrets: BTreeMap<String, Secret>,
    /// Epoch of the object's authority.
    pub epoch: u64,
    /// Deadline of the whole job.
    pub timeout: Duration,
    /// Asks this job to stop at its next safe point.
    pub cancel: CancellationToken,
}

impl Executor {
    /// An executor without a listener that brings no files.
    #[must_use]
    pub fn new(
        connector: Arc<dyn Connector>,
        authority: impl Into<String>,
        who: impl Into<String>,
        limits: Limits,
    ) -> Self {
        let (authority, who) = (authority.into(), who.into());
        let contents = Arc::new(NoContents);
        Self { connector, contents, authority, who, limits, events: nobody() }
    }

    /// Runs a job to its end, its deadline or its cancellation.
    pub async fn run(&self, job: Job<'_>) -> Outcome {
        let mut nodes: Vec<Node> = job.targets.iter().flat_map(|t| t.nodes.clone()).collect();
        nodes.sort();
        nodes.dedup();
        let operation = Operation {
            id: job.id,
            verb: job.verb.to_owned(),
            object: job.object,
            who: self.who.clone(),
            authority: self.authority.clone(),
            epoch: job.epoch,
            engine: job.targets.first().map_or(Engine::None, |t| t.engine),
            nodes,
            titles: job.graph.titles(),
        };
        let cancel = job.cancel.child_token();
        let cx = Cx::new(self.connector.clone(), cancel.clone(), job.secrets);
        let cx = cx.heard_by(self.events.clone()).with_contents(self.contents.clone());
        let work = runner::run(&cx, operation, job.graph, job.targets, &self.limits);
        let (mut outcome, late) = until(&cancel, job.timeout, work).await;
        if late && let Some(problem) = &mut outcome.problem {
            explain_late(problem, job.timeout);
        }
        outcome
    }
}

/// Runs `work` to its end. After `timeout` it cancels `cancel`, by which `work` is asked to stop:
/// it begins nothing more, and what runs reaches its end. The second value says whether that
/// happened.
pub async fn until<T>(
    cancel: &CancellationToken,
    timeout: Duration,
    work: impl Future<Output = T>,
) -> (T, bool) {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => (done, false),
        () = tokio::time::sleep(timeout) => {
            cancel.cancel();
            (work.await, true)
        }
    }
}

/// Rewrites a cancelled operation's problem: its deadline passed.
pub fn explain_late(problem: &mut Problem, timeout: Duration) {
    if problem.kind == Kind::Cancelled {
        "the operation did not end in time".clone_into(&mut problem.what);
        problem.why = format!("its deadline of {} passed", show_duration(timeout));
        "run the same command again (it goes on where this one stopped), or give more time in \
         timeouts"
            .clone_into(&mut problem.fix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_asks_to_stop_and_waits_for_what_runs() {
        let cancel = CancellationToken::new();
        let polite = async {
            cancel.cancelled().await;
            "its own end"
        };
        assert_eq!(until(&cancel, Duration::from_millis(20), polite).await, ("its own end", true));
        let cancel = CancellationToken::new();
        assert_eq!(until(&cancel, Duration::from_secs(60), async { 1 }).await, (1, false));
        assert!(!cancel.is_cancelled());
        let mut problem = Problem::new(Kind::Cancelled, "cancelled");
        explain_late(&mut problem, Duration::from_secs(90));
        assert!(problem.why.contains("1m30s") && problem.fix.contains("timeouts"), "{problem}");
    }
}
