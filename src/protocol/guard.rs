//! Catches a panic of one call, so that the process and its other calls live on.
//!
//! Only the place of a panic in our source is kept, never its text: that may hold a password.
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The place of a panic, `src/…/x.rs:12:3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked(pub String);

fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                return before(info);
            }
            let place =
                info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
            tracing::error!(place, "a call panicked");
            PLACE.set(Some(place));
        }));
    });
}

struct Guarded<F>(Pin<Box<F>>);

impl<F: Future> Future for Guarded<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let before = GUARDED.replace(true);
        // After a panic the future is never polled again, only dropped.
        let out = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx)));
        GUARDED.set(before);
        match out {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(out)) => Poll::Ready(Ok(out)),
            Err(_) => Poll::Ready(Err(Panicked(
                PLACE.take().unwrap_or_else(|| "an unknown place".to_owned()),
            ))),
        }
    }
}

/// Runs `call` to its end in a task of its own, so that a broken connection to the caller does not
/// cut it in half.
///
/// # Errors
/// The call panicked; the process lives on.
pub async fn run<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> Result<T, Panicked> {
    install_hook();
    match tokio::spawn(Guarded(Box::pin(call))).await {
        Ok(out) => out,
        Err(e) => Err(Panicked(e.to_string())),
    }
}
