//! Carries a graph out for a resource: one operation, its deadline, its secrets.
use super::{Context, Session};
use crate::base::{Kind, OperationId, Problem, Secret};
use crate::engine::lease::Target;
use crate::engine::{Cx, Graph, Operation, Outcome, run};
use std::collections::BTreeMap;
use std::time::Duration;

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
    let operation =
        Operation { id: OperationId::fresh(), verb: job.verb.to_owned(), object: job.object, who: cx.session.who.clone(), authority, epoch: job.epoch, titles: job.graph.titles() };
    let timeout = job.timeout.unwrap_or(cx.session.operation_timeout);
    let cancel = cx.cancel.child_token();
    let engine = Cx::new(cx.session.connector.clone(), cancel.clone(), job.secrets);
    let work = run(&engine, operation, job.graph, job.targets, cx.session.parallelism);
    let mut work = std::pin::pin!(work);
    let mut late = false;
    let mut outcome = tokio::select! {
        outcome = &mut work => outcome,
        () = tokio::time::sleep(timeout) => {
            // No step starts any more; the running ones reach their end.
            late = true;
            cancel.cancel();
            work.await
        }
    };
    if late
        && let Some(problem) = &mut outcome.problem
        && problem.kind == Kind::Cancelled
    {
        "the operation did not end in time".clone_into(&mut problem.what);
        problem.why = format!("its deadline of {} passed", crate::base::units::show_duration(timeout));
        "run the same command again (it goes on where this one stopped), or give more time in timeouts".clone_into(&mut problem.fix);
    }
    Ok(outcome)
}
