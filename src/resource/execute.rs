//! Carries a graph out for a resource: one operation, its deadline, its secrets.
use super::{Context, Session};
use crate::base::{Kind, OperationId, Problem, Secret};
use crate::engine::lease::Target;
use crate::engine::{Cx, Graph, Operation, Outcome, run};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is to be run.
pub struct Job<'a> {
    /// The verb, `create`.
    pub verb: &'a str,
    /// The object's key, `cluster.main`.
    pub object: String,
    /// The steps.
    pub graph: &'a Graph,
    /// The objects whose leases it needs.
    pub targets: Vec<Target>,
    /// Secrets by attribute name.
    pub secrets: BTreeMap<String, Secret>,
    /// Epoch of the object's authority.
    pub epoch: u64,
    /// Deadline of the whole.
    pub timeout: Option<Duration>,
}

/// A context that only reads.
#[must_use]
pub fn reader(cx: &Context) -> Cx {
    Cx::new(cx.session.connector.clone(), cx.cancel.clone(), BTreeMap::new())
}

/// Who owns what this run makes.
///
/// # Errors
/// The provider configuration names no owner.
pub fn owner(session: &Session) -> Result<String, Problem> {
    session.owner.clone().ok_or_else(|| {
        Problem::user("the provider needs an owner")
            .why("what is deployed is marked on its hosts with the name of the configuration that owns it")
            .fix("set owner = \"some-stable-name\" in provider \"ob\" (or OB_OWNER); keep it the same for ever")
    })
}

/// Runs it to its end, its deadline or its cancellation.
///
/// # Errors
/// There is no owner; nothing has been done then.
pub async fn execute(cx: &Context, job: Job<'_>) -> Result<Outcome, Problem> {
    let authority = owner(&cx.session)?;
    let operation = Operation {
        id: OperationId::fresh(),
        verb: job.verb.to_owned(),
        object: job.object,
        who: cx.session.who.clone(),
        authority,
        epoch: job.epoch,
        titles: job.graph.titles(),
    };
    let timeout = job.timeout.unwrap_or(cx.session.operation_timeout);
    let cancel = cx.cancel.child_token();
    let engine = Cx::new(cx.session.connector.clone(), cancel.clone(), job.secrets);
    let work = run(&engine, operation, job.graph, job.targets, cx.session.parallelism);
    let (mut outcome, late) = until(&cancel, timeout, work).await;
    if late && let Some(problem) = &mut outcome.problem {
        explain_late(problem, timeout);
    }
    Ok(outcome)
}

/// Runs `work` to its end; after `timeout`, which the second value tells, it is asked to stop: it
/// begins nothing more, and what runs reaches its end.
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

/// Says of what was cancelled that its deadline passed.
pub fn explain_late(problem: &mut Problem, timeout: Duration) {
    if problem.kind == Kind::Cancelled {
        "the operation did not end in time".clone_into(&mut problem.what);
        problem.why =
            format!("its deadline of {} passed", crate::base::units::show_duration(timeout));
        "run the same command again (it goes on where this one stopped), or give more time in timeouts".clone_into(&mut problem.fix);
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
