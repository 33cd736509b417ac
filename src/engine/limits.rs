//! What jobs of one process wait for each other for: how many steps run at once, over all and on one
//! host, and whose turn an object's change is.
use super::key::Key;
use super::lease::{Target, in_order};
use super::step::Host;
use crate::base::InUse;
use crate::transport::Endpoint;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Steps at once on one host.
const ON_ONE_HOST: usize = 6;

/// Steps at once, shared by all jobs of a process. Cheap to clone.
///
/// One graph runs one step at a time on a host, which keeps its journal simple. Several jobs may
/// work on one host at once, up to a bound that leaves sshd sessions for others.
#[derive(Clone, Debug)]
pub struct Limits {
    most: usize,
    overall: Arc<Semaphore>,
    hosts: Arc<InUse<(String, u16), Semaphore>>,
    turns: Arc<InUse<(Key, Vec<String>), Mutex<()>>>,
}

/// The right to ask for the lease of one object. Dropping it gives the turn to the next job.
pub type Turn = OwnedMutexGuard<()>;

/// The right to run one step. Dropping it lets another step run.
#[derive(Debug)]
pub struct Place {
    _host: OwnedSemaphorePermit,
    _overall: OwnedSemaphorePermit,
}

impl Limits {
    /// Limits of `overall` steps at once, at least one.
    #[must_use]
    pub fn of(overall: usize) -> Self {
        let most = overall.max(1);
        let (hosts, turns) = (InUse::kept_for(Duration::ZERO), InUse::kept_for(Duration::ZERO));
        let overall = Arc::new(Semaphore::new(most));
        Self { most, overall, hosts: Arc::new(hosts), turns: Arc::new(turns) }
    }
    /// Waits for this job's turn at each object, as long as other jobs of this process take: they
    /// are no strangers, and what they do has its own deadlines.
    pub async fn turns(&self, targets: &[Target]) -> Vec<Turn> {
        let mut turns = Vec::new();
        for object in in_order(targets) {
            turns.push(self.turns.get(object, || Mutex::new(())).lock_owned().await);
        }
        turns
    }
    /// How many steps run at once over all hosts.
    #[must_use]
    pub fn overall(&self) -> usize {
        self.most
    }

    /// Waits until one more step may run on `host`. Waits for the host's bound first and for the
    /// overall one then: a step that waits for a busy host takes no place from steps on other
    /// hosts.
    pub async fn place(&self, host: &Host) -> Option<Place> {
        let Endpoint { name, address, port, .. } = &host.endpoint;
        // Tests have several hosts on this machine.
        let key = if address.is_local() { (name.clone(), 0) } else { (address.to_string(), *port) };
        let of_host = self.hosts.get(key, || Semaphore::new(ON_ONE_HOST));
        let host = of_host.acquire_owned().await.ok()?;
        let overall = self.overall.clone().acquire_owned().await.ok()?;
        Some(Place { _host: host, _overall: overall })
    }
}
