//! Shares one look at a server among many objects. A plan reads each of hundreds of single objects
//! on its own. After the first few reads they share the answer to one set of queries, so that
//! neither the server nor the plan pays for a session per object.
use crate::base::{InUse, Problem};
use crate::component::mysql::Catalog;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many reads of one server look for themselves. A few objects on a server of thousands are
/// cheaper to read one by one.
const ALONE: usize = 4;
/// How old a shared look may be. A provider's process serves one plan or one apply, and seldom
/// longer than this.
const FRESH: Duration = Duration::from_secs(5);

/// How long a look is kept that nobody asks for.
const KEPT: Duration = Duration::from_secs(120);

/// What a server was seen to have, and which login saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Databases, users, grants.
    pub now: Catalog,
    /// The login in use.
    pub login: String,
}

type Held = Option<(Instant, Result<Arc<Seen>, Problem>)>;

/// What is known of one server: how often it was read, and the shared look.
#[derive(Debug, Default)]
struct Place {
    reads: AtomicUsize,
    held: tokio::sync::Mutex<Held>,
}

/// The shared looks of one configured provider, by server.
#[derive(Debug)]
pub struct Looks {
    places: InUse<String, Place>,
    fresh: Duration,
}

impl Default for Looks {
    fn default() -> Self {
        Self { places: InUse::kept_for(KEPT), fresh: FRESH }
    }
}

impl Looks {
    /// Looks at `server`. The first few reads use `one`, made for a single object. Later reads
    /// share the answer of `all`, its error too, so that a dead server is waited for only once.
    ///
    /// # Errors
    /// Those of `one` and `all`.
    pub async fn look(
        &self,
        server: &str,
        one: impl Future<Output = Result<Seen, Problem>>,
        all: impl Future<Output = Result<Seen, Problem>>,
    ) -> Result<Arc<Seen>, Problem> {
        let place = self.places.get(server.to_owned(), Place::default);
        if place.reads.fetch_add(1, Ordering::Relaxed) < ALONE {
            return one.await.map(Arc::new);
        }
        let mut held = place.held.lock().await;
        if let Some((when, seen)) = held.as_ref().filter(|(when, _)| when.elapsed() < self.fresh) {
            tracing::trace!(server, age = ?when.elapsed(), "seen with others");
            return seen.clone();
        }
        let seen = all.await.map(Arc::new);
        // The age counts from the end of the look: whoever waited for it takes it, however long it
        // took.
        *held = Some((Instant::now(), seen.clone()));
        seen
    }

    /// Forgets what was seen of a server, because it is about to change or has changed.
    pub fn forget(&self, server: &str) {
        self.places.forget(server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(login: &str) -> Result<Seen, Problem> {
        Ok(Seen { now: Catalog::default(), login: login.into() })
    }

    #[tokio::test]
    async fn many_reads_share_one_look_until_something_changes() {
        let (looks, alone, shared) = (
            Arc::new(Looks::default()),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(0)),
        );
        let reads = |n: usize, server: &'static str| {
            let mut set = tokio::task::JoinSet::new();
            for _ in 0..n {
                let (looks, alone, shared) = (looks.clone(), alone.clone(), shared.clone());
                set.spawn(async move {
                    let one =
                        async { seen(&format!("one {}", alone.fetch_add(1, Ordering::Relaxed))) };
                    let all = async {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        seen(&format!("all {}", shared.fetch_add(1, Ordering::Relaxed)))
                    };
                    looks.look(server, one, all).await.unwrap().login.clone()
                });
            }
            set.join_all()
        };
        let counts = || (alone.load(Ordering::Relaxed), shared.load(Ordering::Relaxed));
        reads(3, "a").await;
        assert_eq!(counts(), (3, 0), "a few look for themselves");
        let said = reads(50, "a").await;
        assert_eq!((counts(), said.iter().filter(|l| *l == "all 0").count()), ((4, 1), 49));
        reads(5, "b").await;
        assert_eq!(counts(), (8, 2), "each server by itself");
        looks.forget("a");
        reads(5, "a").await;
        assert_eq!(counts(), (12, 3));
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_waited_for_once_however_long_it_takes() {
        let (looks, asked) = (
            Arc::new(Looks { fresh: Duration::from_millis(50), ..Looks::default() }),
            Arc::new(AtomicUsize::new(0)),
        );
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (looks, asked) = (looks.clone(), asked.clone());
            set.spawn(async move {
                let dead = || async {
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    Err(Problem::user("no answer"))
                };
                looks.look("a", dead(), dead()).await.unwrap_err().what
            });
        }
        assert!(set.join_all().await.iter().all(|w| w == "no answer"));
        assert_eq!(asked.load(Ordering::Relaxed), ALONE + 1);
    }
}
