//! Carries out a graph for a resource, as a job of the configured provider.
use super::{Context, Session, Work};
use crate::base::{OperationId, Problem, Secret};
use crate::engine::lease::Target;
use crate::engine::{self, Cx, Executor, Graph, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use crate::engine::executor::{explain_late, until};

/// The work to run.
pub struct Job<'a> {
    /// The verb, such as `create`.
    pub verb: &'a str,
    /// The object's name for people, such as `cluster.main`.
    pub object: String,
    /// The steps.
    pub graph: &'a Graph,
    /// The objects whose leases the work needs.
    pub targets: Vec<Target>,
    /// Secrets by attribute name.
    pub secrets: BTreeMap<String, Secret>,
    /// Epoch of the object's authority.
    pub epoch: u64,
    /// Deadline of the whole work, if the configuration sets one.
    pub timeout: Option<Duration>,
}

/// A context in which only reading is possible.
#[must_use]
pub fn reader(cx: &Context) -> Cx {
    Cx::new(cx.session.connector.clone(), cx.cancel.clone(), BTreeMap::new())
}

/// The owner of what this run makes.
///
/// # Errors
/// The provider configuration names no owner.
pub fn owner(session: &Session) -> Result<String, Problem> {
    session.owner.clone().ok_or_else(|| {
        Problem::user("the provider needs an owner")
            .why(
                "what is deployed is marked on its hosts with the name of the configuration that \
                 owns it",
            )
            .fix(
                "set owner = \"some-stable-name\" in provider \"ob\" (or OB_OWNER); keep it the \
                 same for ever",
            )
    })
}

/// What a plan refuses because its apply would find no owner. A value that only apply knows, and a
/// provider that has no effects, are no fault.
#[must_use]
pub fn ownerless(session: &Session, work: &Work) -> Option<Problem> {
    let deploys = match work {
        Work::Steps(graph) => !graph.is_empty(),
        // Apply asks, once it is known whether anything is to be done.
        Work::Unknown | Work::Sql(_) => false,
    };
    let later = session.owner_later || session.observe;
    if deploys && !later { owner(session).err() } else { None }
}

/// Runs a job to its end, its deadline or its cancellation.
///
/// # Errors
/// The provider configuration names no owner; then nothing has been done.
pub async fn execute(cx: &Context, job: Job<'_>) -> Result<Outcome, Problem> {
    let session = &cx.session;
    let mut executor = Executor::new(
        session.connector.clone(),
        owner(session)?,
        session.who.clone(),
        session.limits.clone(),
    );
    executor.contents = Arc::new(session.archives.clone());
    let job = engine::Job {
        id: OperationId::fresh(),
        verb: job.verb,
        object: job.object,
        graph: job.graph,
        targets: job.targets,
        secrets: job.secrets,
        epoch: job.epoch,
        timeout: job.timeout.unwrap_or(session.operation_timeout),
        cancel: cx.cancel.clone(),
    };
    Ok(executor.run(job).await)
}
