//! How much runs at once: over all jobs of a process, and on one host.
use super::step::Host;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Steps at once on one host.
const ON_ONE_HOST: usize = 6;

/// Steps at once, shared by all jobs of a process. Cheap to clone.
///
/// One graph has one step at a time on a host, which keeps its journal simple. Several jobs may work
/// on one host at once, up to a bound that leaves its sshd sessions for others.
#[derive(Clone, Debug)]
pub struct Limits {
    most: usize,
    overall: Arc<Semaphore>,
    hosts: Arc<Mutex<BTreeMap<(String, u16), Arc<Semaphore>>>>,
}

/// A place for one step.
#[derive(Debug)]
pub struct Place {
    _host: OwnedSemaphorePermit,
    _overall: OwnedSemaphorePermit,
}

impl Limits {
    /// `overall` steps at once.
    #[must_use]
    pub fn of(overall: usize) -> Self {
        let most = overall.max(1);
        Self { most, overall: Arc::new(Semaphore::new(most)), hosts: Arc::default() }
    }
    /// How many run at once.
    #[must_use]
    pub fn overall(&self) -> usize {
        self.most
    }

    /// Waits for a place on a host: the host first, so that who waits for a busy host keeps nobody
    /// from another one.
    pub async fn place(&self, host: &Host) -> Option<Place> {
        let of_host = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            // Hosts that nothing runs on are forgotten.
            hosts.retain(|_, s| Arc::strong_count(s) > 1);
            let key = (host.endpoint.address.clone(), host.endpoint.port);
            let key = if key.0 == "local" { (host.endpoint.name.clone(), 0) } else { key };
            hosts.entry(key).or_insert_with(|| Arc::new(Semaphore::new(ON_ONE_HOST))).clone()
        };
        let host = of_host.acquire_owned().await.ok()?;
        let overall = self.overall.clone().acquire_owned().await.ok()?;
        Some(Place { _host: host, _overall: overall })
    }
}
