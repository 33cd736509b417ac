//! What a provider process serves: the registered types and the state they share.
use super::adapter::{Adapter, SourceAdapter};
use super::source::{WireSource, WireSourceOf};
use super::twins::Twins;
use super::wire::{Wire, WireResource};
use crate::base::{Kind, Problem};
use crate::protocol::running::Running;
use crate::resource::{Context, DataSource, Resource, Session, Visitor};
use crate::transport::Connector;
use crate::transport::config::SshConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio_util::sync::CancellationToken;

/// Makes the connector from the SSH configuration; does not connect by itself.
pub type Connect = Arc<dyn Fn(SshConfig, CancellationToken) -> Arc<dyn Connector> + Send + Sync>;

/// What all types of one process share: the configured session and the token that stops the run.
#[derive(Clone, Default)]
pub struct Shared {
    session: Arc<RwLock<Option<Arc<Session>>>>,
    /// One object under two addresses.
    pub twins: Arc<Twins>,
    /// What this run has told people, and what it has looked at.
    pub told: Arc<Told>,
    /// Counts the calls under way, and asks them to stop.
    pub running: Running,
}

impl Shared {
    /// The context of a call; `None` before Configure.
    #[must_use]
    pub fn context(&self) -> Option<Context> {
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(Context { session, cancel: self.running.token() })
    }
    /// Takes a new session: a run begins.
    pub fn configure(&self, session: Session) {
        self.twins.begin();
        self.told.begin();
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(session));
    }
    /// The problem of a call that needs a session when there is none.
    #[must_use]
    pub fn not_configured() -> Problem {
        Problem::internal("the provider was asked to work before it was configured")
    }
}

/// What a run has told people, so that one cause is told once.
#[derive(Debug, Default)]
pub struct Told {
    silent: Mutex<BTreeSet<String>>,
    refreshed: AtomicBool,
}

impl Told {
    fn begin(&self) {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.refreshed.store(false, Ordering::Relaxed);
    }
    /// The warning, unless one about the same silent host was given: it stands for everything that
    /// is on that host.
    #[must_use]
    pub fn once(&self, mut problem: Problem) -> Option<Problem> {
        let silent = matches!(problem.kind, Kind::Unreachable | Kind::Later);
        if !silent || problem.place.is_empty() {
            return Some(problem);
        }
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if !silent.insert(problem.place.clone()) {
            return None;
        }
        if !problem.then.is_empty() {
            problem.then.push_str("; the same goes for what else is on that host");
        }
        Some(problem)
    }
    /// Notes that an object was refreshed.
    pub fn refresh(&self) {
        self.refreshed.store(true, Ordering::Relaxed);
    }
    /// Whether this run plans. Core computes each plan again during apply, in another process, which
    /// refreshes nothing; what a plan warned of is not said again there.
    #[must_use]
    pub fn plans(&self) -> bool {
        self.refreshed.load(Ordering::Relaxed)
    }
}

/// The types that a provider serves.
pub struct Registry {
    pub(super) resources: BTreeMap<&'static str, Arc<dyn WireResource>>,
    pub(super) sources: BTreeMap<&'static str, Arc<dyn WireSource>>,
    pub(super) shared: Shared,
    pub(super) connect: Connect,
}

impl Registry {
    /// A registry without types.
    #[must_use]
    pub fn new(connect: Connect) -> Self {
        Self {
            resources: BTreeMap::new(),
            sources: BTreeMap::new(),
            shared: Shared::default(),
            connect,
        }
    }
    /// Counts the calls under way in this process, and asks them to stop.
    #[must_use]
    pub fn running(&self) -> Running {
        self.shared.running.clone()
    }
    /// Everything wrong with the registered types themselves, for a test: schema, state type,
    /// identity.
    #[must_use]
    pub fn lint(&self) -> Vec<String> {
        let resources = self.resources.values().flat_map(|r| r.lint());
        let all = resources.chain(self.sources.values().flat_map(|s| s.lint()));
        all.chain(self.reserved()).collect()
    }

    /// Reports root attributes whose names Terraform keeps for itself.
    fn reserved(&self) -> Vec<String> {
        let resources = self.resources.iter().map(|(name, r)| (name, r.schema()));
        let sources = self.sources.iter().map(|(name, s)| (name, s.schema()));
        let mut found = Vec::new();
        for (name, schema) in resources.chain(sources) {
            let taken = RESERVED.iter().filter(|r| schema.attributes().contains_key(**r));
            found
                .extend(taken.map(|r| format!("{name}: Terraform reserves the attribute \"{r}\"")));
        }
        found
    }
}

/// Names that a root attribute must not have: meta-arguments, and what core keeps for itself
/// (`ReservedNames` of its provider schema checks).
const RESERVED: [&str; 8] = [
    "connection",
    "count",
    "depends_on",
    "for_each",
    "lifecycle",
    "locals",
    "provider",
    "provisioner",
];

impl Visitor for Registry {
    fn resource<R: Resource>(&mut self, resource: R) {
        let carried = Wire::new(Adapter::new(resource, self.shared.clone()));
        self.resources.insert(R::TYPE, Arc::new(carried));
    }
    fn data_source<D: DataSource>(&mut self, source: D) {
        let carried = WireSourceOf::new(SourceAdapter::new(source, self.shared.clone()));
        self.sources.insert(D::TYPE, Arc::new(carried));
    }
}
