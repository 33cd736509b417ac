//! Counts the calls under way and asks them to stop.
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Counts calls and holds the token that tells them to reach a safe point. Clones share everything.
#[derive(Clone)]
pub struct Running {
    token: Arc<Mutex<CancellationToken>>,
    count: Arc<watch::Sender<usize>>,
}

impl Default for Running {
    fn default() -> Self {
        Self { token: Arc::default(), count: Arc::new(watch::Sender::new(0)) }
    }
}

/// One call under way. Dropping it ends the count.
pub struct Entered(Arc<watch::Sender<usize>>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

impl Running {
    /// Counts a call until the returned value is dropped.
    #[must_use]
    pub fn enter(&self) -> Entered {
        self.count.send_modify(|n| *n += 1);
        Entered(Arc::clone(&self.count))
    }
    /// How many calls are under way.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }
    /// The token of this run.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Asks everything under way to reach a safe point.
    pub fn cancel(&self) {
        self.token().cancel();
    }
    /// Gives the token of a new run: one process under a debugger serves many runs. A token that
    /// was never cancelled stays.
    pub fn renew(&self) -> CancellationToken {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if token.is_cancelled() {
            *token = CancellationToken::new();
        }
        token.clone()
    }
    /// Waits until nothing is under way.
    pub async fn idle(&self) {
        // The sender lives in self, so the wait cannot fail.
        let _ = self.count.subscribe().wait_for(|n| *n == 0).await;
    }
}
