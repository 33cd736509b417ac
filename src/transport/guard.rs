//! A guard before every transport of the pool: it refuses effects in observe mode and bounds waits
//! after a cancel.
//!
//! After a cancel no new connection is made: the call fails at once
//! ([`TransportError::Cancelled`]). Streams are given up at once, because what they send has no
//! effect before its last byte. A *script* that runs is different: an effect whose outcome is
//! unknown is worse than a short wait. So its end is awaited for [`SETTLE`]; then it is killed. A
//! script that is sent after the cancel over an existing connection gets the same time: the engine
//! needs it for its last journal line.
use super::{Duplex, Endpoint, Input, Output, Script, Transport, TransportError};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a script may go on after a cancel.
pub const SETTLE: Duration = Duration::from_secs(5);

/// A transport behind the guard.
pub struct Guarded {
    inner: Arc<dyn Transport>,
    cancel: CancellationToken,
    observe: bool,
}

impl Guarded {
    /// Puts the guard before `inner`. `cancel` asks to stop; `observe` refuses effects.
    #[must_use]
    pub fn new(inner: Arc<dyn Transport>, cancel: CancellationToken, observe: bool) -> Self {
        Self { inner, cancel, observe }
    }

    async fn until_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, TransportError>> + Send,
        settle: Duration,
    ) -> Result<T, TransportError> {
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => done,
            () = async {
                self.cancel.cancelled().await;
                tokio::time::sleep(settle).await
            } => Err(TransportError::Cancelled),
        }
    }
}

#[async_trait]
impl Transport for Guarded {
    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }
    async fn run(&self, script: &Script) -> Result<Output, TransportError> {
        if self.observe && script.effect {
            return Err(TransportError::Observe);
        }
        self.until_cancelled(self.inner.run(script), SETTLE).await
    }
    async fn stream(&self, script: &Script, input: Input) -> Result<Output, TransportError> {
        if self.observe && script.effect {
            return Err(TransportError::Observe);
        }
        self.until_cancelled(self.inner.stream(script, input), Duration::ZERO).await
    }
    async fn open(&self, script: &Script) -> Result<Box<dyn Duplex>, TransportError> {
        if self.observe && script.effect {
            return Err(TransportError::Observe);
        }
        self.until_cancelled(self.inner.open(script), Duration::ZERO).await
    }
    async fn dial(&self, address: &str, port: u16) -> Result<Box<dyn Duplex>, TransportError> {
        self.until_cancelled(self.inner.dial(address, port), Duration::ZERO).await
    }
}
