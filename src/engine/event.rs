//! The events of a run. Progress, task pages and logs are made of them.
use crate::base::OperationId;
use std::sync::Arc;
use std::time::Duration;

/// A step as events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The step's number in the runbook, from 1. A step of a way back or after a take-over has 0.
    pub number: usize,
    /// How many steps the operation has.
    pub of: usize,
    /// The step's title.
    pub title: String,
    /// Name of the step's host.
    pub host: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The leases are held; the operation begins.
    Opened {
        /// Verb and object: `create cluster.main`.
        title: String,
        /// How many steps the operation has.
        steps: usize,
    },
    /// Somebody else holds a lease that this run needs; the run waits for it.
    Waiting {
        /// The object, `cluster.main`.
        object: String,
        /// Who holds it.
        holder: String,
        /// How long the run waits at most.
        most: Duration,
    },
    /// A step was found done.
    Skipped(At),
    /// A step's check found something to do, and why. Its effect comes next.
    Began(At, String),
    /// A step's effect was verified, and how long the step took.
    Ended(At, Duration),
    /// A step failed, and why.
    Failed(At, String),
    /// A step failed, and all steps of its way back ended well.
    WentBack(At),
    /// The operation ended. `None`: well; else what stopped it.
    Closed(Option<String>),
}

/// Something that happened in an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The operation's id.
    pub operation: OperationId,
    /// What happened.
    pub what: What,
}

/// A listener. The run calls it and waits for it, so it must not block.
pub type Sink = Arc<dyn Fn(&Event) + Send + Sync>;

/// A listener that ignores every event.
#[must_use]
pub fn nobody() -> Sink {
    Arc::new(|_| {})
}
