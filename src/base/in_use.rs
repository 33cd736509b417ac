//! What several users share by key, forgotten once nobody uses it.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Values by key. A value stays while somebody holds it, and for a while after it was asked for the
/// last time.
#[derive(Debug)]
pub struct InUse<K, T> {
    kept: Duration,
    all: Mutex<BTreeMap<K, (Instant, Arc<T>)>>,
}

impl<K: Ord, T> InUse<K, T> {
    /// Keeps what nobody holds for this long.
    #[must_use]
    pub const fn kept_for(kept: Duration) -> Self {
        Self { kept, all: Mutex::new(BTreeMap::new()) }
    }

    /// The value of a key, made unless it is there. Forgets those that nobody uses any more.
    pub fn get(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = all.entry(key).or_insert_with(|| (Instant::now(), Arc::new(make())));
        entry.0 = Instant::now();
        let value = entry.1.clone();
        all.retain(|_, (asked, value)| {
            Arc::strong_count(value) > 1 || asked.elapsed() <= self.kept
        });
        value
    }

    /// Forgets one value; who holds it keeps it.
    pub fn forget<Q: Ord + ?Sized>(&self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_goes_and_what_is_used_stays() {
        let some = InUse::kept_for(Duration::ZERO);
        let known = || some.all.lock().unwrap().keys().copied().collect::<Vec<u8>>();
        let used = some.get(1, || "one");
        drop(some.get(2, || "two"));
        std::thread::sleep(Duration::from_millis(2));
        drop(some.get(3, || "three"));
        assert_eq!(known(), [1, 3]);
        assert_eq!(*some.get(1, || "anew"), "one");
        drop(used);
        std::thread::sleep(Duration::from_millis(2));
        drop(some.get(4, || "four"));
        assert_eq!(known(), [4]);
        some.forget(&4);
        assert_eq!(known(), Vec::<u8>::new());
    }
}
