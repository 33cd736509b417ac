//! What a run tells while it goes on: progress, task pages and logs are made of it.
use crate::base::OperationId;
use std::sync::Arc;
use std::time::Duration;

/// A step as events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Its number in the order of the runbook, from 1; 0 for one that is in no runbook.
    pub number: usize,
    /// How many steps there are.
    pub of: usize,
    /// Its title.
    pub title: String,
    /// Name of its host.
    pub host: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The leases are held; the operation begins.
    Opened {
        /// `create cluster.main`.
        title: String,
        /// How many steps it has.
        steps: usize,
    },
    /// Somebody else holds a lease, and we wait for it.
    Waiting {
        /// The object.
        object: String,
        /// Who holds it.
        holder: String,
        /// How long we wait at most.
        most: Duration,
    },
    /// A step was found done.
    Skipped(At),
    /// A step is to have its effect, and why.
    Began(At, String),
    /// It was seen to be done.
    Ended(At, Duration),
    /// It failed, and why.
    Failed(At, String),
    /// The way back of a failed step was gone.
    WentBack(At),
    /// The operation ended; `None`: well.
    Closed(Option<String>),
}

/// Something that happened in an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which one.
    pub operation: OperationId,
    /// What.
    pub what: What,
}

/// Whoever listens. It must not block.
pub type Sink = Arc<dyn Fn(&Event) + Send + Sync>;

/// Nobody listens.
#[must_use]
pub fn nobody() -> Sink {
    Arc::new(|_| {})
}
