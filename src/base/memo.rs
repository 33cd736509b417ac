//! What is costly to make and asked for by many: made once, kept while it is among the last used.
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Values by key, at most so many. The first who asks for one makes it; the others wait for it
/// without a lock, and one of them tries again should the first fail or be cancelled.
pub struct Memo<K, V> {
    most: usize,
    /// The last used first.
    known: Mutex<Vec<(K, Arc<OnceCell<V>>)>>,
}

impl<K: PartialEq, V: Clone> Memo<K, V> {
    /// One that keeps at most so many values: the one that was used longest ago goes first.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { most, known: Mutex::new(Vec::new()) }
    }

    /// The value for a key, made unless it is known.
    ///
    /// # Errors
    /// As `make`; nothing is kept of it.
    pub async fn get<E>(&self, key: K, make: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let cell = self.cell(key);
        cell.get_or_try_init(|| make).await.cloned()
    }

    /// Makes it anew when it is asked for the next time.
    pub fn forget(&self, key: &K) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|(k, _)| k != key);
    }

    fn cell(&self, key: K) -> Arc<OnceCell<V>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|(k, _)| *k == key);
        let entry = at.map_or_else(|| (key, Arc::default()), |at| known.remove(at));
        let cell = entry.1.clone();
        known.insert(0, entry);
        known.truncate(self.most);
        cell
    }
}

impl<K, V> std::fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memo").field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn many_who_ask_at_once_cost_one_and_another_key_does_not_wait() {
        let (memo, made) = (Memo::<&str, usize>::new(4), AtomicUsize::new(0));
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, ()>(made.fetch_add(1, Ordering::Relaxed))
        };
        let quick = async {
            tokio::task::yield_now().await;
            let got = memo.get("other", async { Ok::<_, ()>(7) }).await;
            (got, made.load(Ordering::Relaxed))
        };
        let (a, b, other) = tokio::join!(memo.get("x", slow()), memo.get("x", slow()), quick);
        assert_eq!((a, b), (Ok(0), Ok(0)));
        assert_eq!(other, (Ok(7), 0), "it did not wait for the slow one");
    }

    #[tokio::test]
    async fn who_fails_or_is_cancelled_leaves_it_to_the_next() {
        let memo = Memo::<&str, u8>::new(4);
        let never = memo.get("x", std::future::pending::<Result<u8, &str>>());
        assert!(tokio::time::timeout(Duration::from_millis(10), never).await.is_err());
        assert_eq!(memo.get("x", async { Err("no luck") }).await, Err("no luck"));
        assert_eq!(memo.get("x", async { Ok::<_, &str>(1) }).await, Ok(1));
        assert_eq!(memo.get("x", async { Err("not asked") }).await, Ok(1));
        memo.forget(&"x");
        assert_eq!(memo.get("x", async { Ok::<_, &str>(2) }).await, Ok(2));
    }

    #[tokio::test]
    async fn what_was_used_longest_ago_goes_first() {
        let memo = Memo::<u8, u8>::new(2);
        let get = async |key, value| memo.get(key, async { Ok::<_, ()>(value) }).await.unwrap();
        assert_eq!((get(1, 10).await, get(2, 20).await, get(1, 11).await), (10, 20, 10));
        assert_eq!(get(3, 30).await, 30, "makes 2 go");
        assert_eq!((get(1, 12).await, get(2, 22).await), (10, 22));
    }
}
