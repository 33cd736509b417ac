//! Streams of a simulated link: what runs in the host, joined to what the product holds, until the
//! link is cut.
use super::link::Link;
use crate::process::Process;
use ob::transport::{Duplex, Input, Output, TransportError};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

async fn all(from: Option<impl AsyncRead + Unpin>) -> String {
    let (mut bytes, Some(mut from)) = (Vec::new(), from) else { return String::new() };
    let _ = from.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Feeds a child and waits for its end and its output. A cut leaves it running, its streams open.
pub(super) async fn finish(
    link: &Link,
    mut child: Child,
    mut input: Input,
    deadline: Duration,
) -> Result<Output, TransportError> {
    let process = child.id().and_then(|id| Process::of(i32::try_from(id).ok()?));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        let Some(mut stdin) = stdin else { return Ok(()) };
        match tokio::io::copy(&mut input, &mut stdin).await {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(TransportError::Input(e.to_string()))
            }
            _ => Ok(()),
        }
    };
    let end = async move {
        let mut read = Box::pin(async { tokio::join!(all(stdout), all(stderr)) });
        tokio::select! {
            // A daemon that was left behind may hold the streams for ever.
            status = child.wait() => (status, tokio::time::timeout(Duration::from_millis(500), read).await.unwrap_or_default()),
            output = &mut read => (child.wait().await, output),
        }
    };
    let mut work = Box::pin(async move {
        let (fed, (status, (stdout, stderr))) = tokio::join!(feed, end);
        fed?;
        let status = status.map_err(|e| TransportError::Unreachable(e.to_string()))?;
        Ok(Output {
            status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout,
            stderr,
        })
    });
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(deadline) => return Err(TransportError::Timeout(deadline, "a script ran".into())),
        () = link.cut() => {}
    }
    link.keep(process, work);
    Err(TransportError::Unreachable("the simulated link was cut".into()))
}

/// Joins `far` (and the child behind it) to a stream for the product. Held: nothing moves. Cut: the
/// product's end is closed, the far end stays open.
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
