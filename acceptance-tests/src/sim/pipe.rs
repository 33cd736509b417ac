//! Streams of a simulated link: they connect what runs in the host with what the product holds,
//! until the link is cut.
use super::link::Link;
use crate::process::Process;
use ob::transport::frame::Frame;
use ob::transport::{Duplex, Input, Output, TransportError, local};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

fn process(child: &Child) -> Option<Process> {
    child.id().and_then(|id| Process::of(i32::try_from(id).ok()?))
}

fn cut() -> TransportError {
    TransportError::Unreachable("the simulated link was cut".into())
}

/// Feeds a child, then waits for its end and its output. A cut leaves the child running, with its
/// streams open.
pub(super) async fn finish(
    link: &Link,
    child: Child,
    frame: Frame,
    input: Option<Input>,
    deadline: Duration,
) -> Result<Output, TransportError> {
    let process = process(&child);
    let mut work = Box::pin(local::converse(child, frame, input));
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(deadline) => {
            return Err(TransportError::Timeout(deadline, "a script ran".into()));
        }
        () = link.cut() => {}
    }
    link.keep(process, work);
    Err(cut())
}

/// Starts a child that the product talks with. A cut before the child is ready leaves it running,
/// too.
pub(super) async fn open(
    link: &Link,
    child: Child,
    frame: Frame,
    deadline: Duration,
) -> Result<Box<dyn Duplex>, TransportError> {
    let process = process(&child);
    let mut work = Box::pin(async move {
        let mut child = child;
        let stream = local::open(&mut child, frame, deadline).await;
        (stream, child)
    });
    tokio::select! {
        (stream, child) = &mut work => return Ok(duplex(link, stream?, Some(child))),
        () = link.cut() => {}
    }
    link.keep(process, work);
    Err(cut())
}

/// Connects `far`, and the child behind it, to a stream for the product. While the link is held,
/// nothing moves. A cut closes the product's end and leaves the far end open.
pub(super) fn duplex(
    link: &Link,
    mut far: impl Duplex + 'static,
    child: Option<Child>,
) -> Box<dyn Duplex> {
    let (near, mut own) = tokio::io::duplex(64 << 10);
    let link = link.clone();
    tokio::spawn(async move {
        let (mut up, mut down) = ([0; 16 << 10], [0; 16 << 10]);
        let cut = loop {
            let moved = tokio::select! {
                () = link.cut() => break true,
                n = own.read(&mut up) => match n {
                    Ok(n) if n > 0 => match link.pass().await {
                        Ok(()) => far.write_all(&up[..n]).await,
                        Err(_) => break true,
                    },
                    _ => break false,
                },
                n = far.read(&mut down) => match n {
                    Ok(n) if n > 0 => match link.pass().await {
                        Ok(()) => own.write_all(&down[..n]).await,
                        Err(_) => break true,
                    },
                    _ => break false,
                },
            };
            if moved.is_err() {
                break false;
            }
        };
        if cut {
            link.keep(None, (far, child));
        } else if let Some(mut child) = child {
            drop(far);
            let _ = child.wait().await;
        }
    });
    Box::new(near)
}
