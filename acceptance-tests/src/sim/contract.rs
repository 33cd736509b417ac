//! The contract of a step, tried on the spot at each step of a run. `check` changes nothing; a step
//! that was done is seen to be done; a step that is applied twice has the effect of one.
use super::digest;
use crate::{Host, Lab};
use async_trait::async_trait;
use ob::base::Kind;
use ob::engine::fault::{self, Watch};
use ob::engine::{Check, Cx, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Prints what a step may change on a host. Left out: gates, which the run itself renews, and the
/// content of stores, which belongs to the server.
const FILES: &str = "for d in /data /root/.ob /srv /home /etc/sysctl.d /etc/security/limits.d \
     /etc/passwd /etc/group; do [ ! -e $d ] || \
     find $d \\( -path '/data/*/store/*' -o -path '/data/*/log/*' -o -path '/data/*/run/*' \
     -o -name 'gate*' -o -name lock -o -path '*/.ob/objects' -o -name 'start.log' \\) -prune \
     -o \\( -type f -size -64k -exec sha256sum {} + \\) -o -printf '%p %m %u %l\\n'; done | sort; \
     for p in $(pgrep -x seekdb); do echo \"process $p $(cut -d' ' -f22 /proc/$p/stat)\"; done; \
     grep -v '^#' /var/spool/cron/crontabs/root 2>/dev/null; \
     cat /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null";

/// Prints the records that may grow even when a step is applied a second time.
const RECORDS: &str = "find /root/.ob/objects -path '*/journal/*' -exec sha256sum {} + \
                       2>/dev/null | sort; cat /var/log/sim-seekdb.ledger 2>/dev/null; :";

/// Checks the contract at each step on the hosts of a lab until it is dropped. Only one lab at a
/// time: the product has one watcher per process.
#[derive(Debug)]
pub struct Contract(Arc<Kept>, #[allow(dead_code)] MutexGuard<'static, ()>);

static ONE: Mutex<()> = Mutex::new(());

#[derive(Debug)]
struct Kept {
    hosts: BTreeMap<String, Host>,
    seen: Mutex<BTreeSet<&'static str>>,
    broken: Mutex<Vec<String>>,
}

impl Contract {
    /// Begins to check the steps on the hosts of `lab`.
    #[must_use]
    pub fn hold(lab: &Lab) -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let hosts = lab.hosts().into_iter().map(|h| (h.name().to_owned(), h)).collect();
        let kept = Arc::new(Kept { hosts, seen: Mutex::default(), broken: Mutex::default() });
        fault::watch(Some(kept.clone()));
        Self(kept, one)
    }

    /// Kinds of the steps that were checked.
    #[must_use]
    pub fn seen(&self) -> BTreeSet<&'static str> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The contracts that were broken.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        self.0.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Contract {
    fn drop(&mut self) {
        fault::watch(None);
    }
}

impl Kept {
    /// Other labs of this process have steps, too; those are ignored.
    fn concerns(&self, step: &dyn Step) -> bool {
        self.hosts.contains_key(&step.host().endpoint.name)
    }

    fn look(&self, step: &dyn Step, what: &str) -> Vec<String> {
        let Some(host) = self.hosts.get(&step.host().endpoint.name) else { return Vec::new() };
        tokio::task::block_in_place(|| {
            let mut lines: Vec<String> = host
                .exec(what)
                .map(|o| o.stdout.lines().map(str::to_owned).collect())
                .unwrap_or_default();
            lines.extend(digest::state(host));
            lines
        })
    }

    fn demand(&self, good: bool, what: impl FnOnce() -> String) {
        if !good {
            self.broken.lock().unwrap_or_else(PoisonError::into_inner).push(what());
        }
    }
}

#[async_trait]
impl Watch for Kept {
    async fn before(&self, cx: &Cx, step: &dyn Step) {
        if !self.concerns(step) {
            return;
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(step.kind().as_str());
        let all = format!("{FILES}; {RECORDS}");
        let before = self.look(step, &all);
        cx.forget();
        let _ = step.check(cx).await;
        let found = digest::differing(&before, &self.look(step, &all));
        self.demand(found.is_empty(), || {
            format!("{}: the check of \"{}\" changed {found:?}", step.kind().as_str(), step.title())
        });
    }

    async fn after(&self, cx: &Cx, step: &dyn Step) {
        if !self.concerns(step) {
            return;
        }
        let before = self.look(step, FILES);
        cx.forget();
        let found = step.verify(cx).await;
        // The host has lost its power meanwhile, as a test wants it.
        if found.as_ref().is_err_and(|p| p.kind == Kind::Unreachable) {
            return;
        }
        self.demand(matches!(found, Ok(Check::Done)), || {
            format!("{}: \"{}\" was done, and says {found:?}", step.kind().as_str(), step.title())
        });
        // A server may refuse what it has done already. What counts is that nothing changes.
        let second = cx.execute(step).await.err().map(|p| p.why);
        let found = step.verify(cx).await;
        self.demand(matches!(found, Ok(Check::Done)), || {
            format!(
                "{}: \"{}\" was applied twice ({second:?}), and says {found:?}",
                step.kind().as_str(),
                step.title()
            )
        });
        let found = digest::differing(&before, &self.look(step, FILES));
        self.demand(found.is_empty(), || {
            format!(
                "{}: \"{}\", applied twice, changed {found:?} ({second:?})",
                step.kind().as_str(),
                step.title()
            )
        });
    }
}
