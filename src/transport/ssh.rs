//! One SSH connection and what goes over it: scripts, streams, forwarded ports.
//!
//! A script whose answer never comes may or may not have run: such errors say so, and nothing is
//! repeated here.
use super::handshake::{Client, Ended};
use super::script::keep;
use super::{Duplex, Input, Output, TransportError};
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Sig};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Sessions at once on one connection; sshd's `MaxSessions` is 10 unless somebody lowered it.
const SESSIONS: usize = 8;
/// How long a host that has no other session of ours may refuse one.
const NO_ROOM: Duration = Duration::from_secs(3);
/// To end a command that was given up; the host's own `timeout` does it later if this fails.
const KILL: Duration = Duration::from_secs(5);
/// Before the pid that a command reports.
const PID: &str = "ob-pid=";
/// To open a forwarded port.
const DIAL: Duration = Duration::from_secs(10);

/// A connection that is logged in.
pub struct Connection {
    handle: Handle<Client>,
    ended: Ended,
    sessions: Arc<Semaphore>,
    open: Arc<AtomicUsize>,
    freed: Arc<Notify>,
    /// Something did not answer in time: ask for a sign of life before the next use.
    suspect: AtomicBool,
    /// The jump host's connection below this one lives as long.
    _below: Option<Arc<Connection>>,
}

impl Connection {
    /// Takes over a handle that is logged in.
    #[must_use]
    pub fn new(handle: Handle<Client>, ended: Ended, below: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            handle,
            ended,
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            open: Arc::default(),
            freed: Arc::default(),
            suspect: AtomicBool::new(false),
            _below: below,
        })
    }

    /// Whether new work can go over it; costs a round trip only after something timed out.
    pub async fn usable(&self) -> bool {
        if self.handle.is_closed() {
            return false;
        }
        if !self.suspect.load(Ordering::Relaxed) {
            return true;
        }
        let alive = matches!(
            tokio::time::timeout(Duration::from_secs(3), self.handle.send_ping()).await,
            Ok(Ok(()))
        ) && !self.handle.is_closed();
        self.suspect.store(!alive, Ordering::Relaxed);
        alive
    }

    fn broken(&self, while_: &str) -> TransportError {
        TransportError::Unreachable(format!("{} {while_}", self.ended.why()))
    }

    /// Runs `command` with `input` as its stdin. The deadline covers the wait for a free session
    /// too; when it ends, the command is killed on the host.
    ///
    /// # Errors
    /// No answer in time, the link broke, or `input` cannot be read.
    pub async fn exec(
        self: &Arc<Self>,
        command: String,
        input: Input,
        deadline: Duration,
    ) -> Result<Output, TransportError> {
        let sent = AtomicBool::new(false);
        let work = async {
            let session = self.session().await?;
            sent.store(true, Ordering::Relaxed);
            self.converse(session, command, input).await
        };
        tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
            self.suspect.store(true, Ordering::Relaxed);
            let stage = if sent.load(Ordering::Relaxed) {
                "a script ran"
            } else {
                "waiting for a free SSH session"
            };
            Err(TransportError::Timeout(deadline, stage.into()))
        })
    }

    async fn converse(
        &self,
        session: Session,
        command: String,
        mut input: Input,
    ) -> Result<Output, TransportError> {
        let Session { mut read, write, mut end } = session;
        // Command, input and its end leave in one go: no wait for the host's "yes" in between.
        write
            .exec(true, with_pid(&command))
            .await
            .map_err(|_| self.broken("before a script could be sent"))?;
        let feed = async {
            loop {
                let mut chunk = Vec::with_capacity(256 << 10);
                match input.read_buf(&mut chunk).await {
                    Ok(0) => {
                        return write.eof().await.map_err(|_| self.broken("while input was sent"));
                    }
                    Ok(_) => write
                        .data_bytes(chunk)
                        .await
                        .map_err(|_| self.broken("while input was sent"))?,
                    Err(e) => {
                        let _ = write.eof().await;
                        return Err(TransportError::Input(e.to_string()));
                    }
                }
            }
        };
        tokio::pin!(feed);
        let (mut fed, mut status, mut cut) = (false, None, None);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        loop {
            let message = tokio::select! {
                message = read.wait() => message,
                done = &mut feed, if !fed => {
                    fed = true;
                    // The end of the link shows in `read` too, with what the host said before.
                    cut = done.err().filter(|e| matches!(e, TransportError::Input(_)));
                    continue;
                }
                () = tokio::time::sleep(Output::GRACE), if status.is_some() || cut.is_some() => break,
            };
            match message {
                Some(ChannelMsg::Data { data }) => keep(&mut out, &data),
                Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                    keep(&mut err, &data);
                    if end.pid.is_none() {
                        end.pid = take_pid(&mut err);
                    }
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    status = Some(i32::try_from(exit_status).unwrap_or(-1))
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    status = Some(128 + number(&signal_name))
                }
                Some(ChannelMsg::Failure) => {
                    return Err(TransportError::Unreachable("the host logs us in and refuses to run commands (a forced command or a restricted key?)".into()));
                }
                Some(ChannelMsg::Close) => {
                    end.closed = true;
                    break;
                }
                None => break,
                Some(_) => {}
            }
        }
        if let Some(cut) = cut {
            end.done = status.is_some();
            return Err(cut);
        }
        let Some(status) = status else {
            return Err(if end.closed {
                TransportError::Unreachable(
                    "the host ended a script without saying how; it may have done its work".into(),
                )
            } else {
                self.broken("while a script ran; it may have done its work")
            });
        };
        end.done = true;
        Ok(Output {
            status,
            stdout: String::from_utf8_lossy(&out).into_owned(),
            stderr: String::from_utf8_lossy(&err).into_owned(),
        })
    }

    /// Starts `command` and hands out its stdin and stdout.
    ///
    /// # Errors
    /// No session, or the host does not start it.
    pub async fn start(
        self: &Arc<Self>,
        command: String,
    ) -> Result<Box<dyn Duplex>, TransportError> {
        let start = async {
            let permit = self.permit().await?;
            let mut channel = self.session_channel().await?;
            channel
                .exec(true, command)
                .await
                .map_err(|_| self.broken("before a command could be sent"))?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => return Ok((channel, permit)),
                    Some(ChannelMsg::Failure) => {
                        return Err(TransportError::Unreachable(
                            "the host refuses to run commands".into(),
                        ));
                    }
                    Some(_) => {}
                    None => return Err(self.broken("while a command was started")),
                }
            }
        };
        let limit = Duration::from_secs(30);
        let (channel, permit) = tokio::time::timeout(limit, start).await.unwrap_or_else(|_| {
            Err(TransportError::Timeout(limit, "a command was started".into()))
        })?;
        Ok(Box::new(Stream {
            inner: Box::pin(channel.into_stream()),
            _permit: Some(permit),
            _connection: self.clone(),
        }))
    }

    /// Opens a TCP stream to `address:port` as seen from the host.
    ///
    /// # Errors
    /// [`TransportError::Dial`] when the port does not answer.
    pub async fn dial(
        self: &Arc<Self>,
        address: &str,
        port: u16,
    ) -> Result<Box<dyn Duplex>, TransportError> {
        let place = address.to_owned();
        let open = self.channel(move |c| async move {
            c.handle.channel_open_direct_tcpip(place, u32::from(port), "127.0.0.1", 0).await
        });
        self.forwarded(open, format!("{address}:{port}")).await
    }

    /// Opens a stream to a unix socket on the host.
    ///
    /// # Errors
    /// [`TransportError::Dial`] when nothing listens there.
    pub async fn dial_unix(
        self: &Arc<Self>,
        path: &str,
    ) -> Result<Box<dyn Duplex>, TransportError> {
        let place = path.to_owned();
        let open = self
            .channel(move |c| async move { c.handle.channel_open_direct_streamlocal(place).await });
        self.forwarded(open, path.to_owned()).await
    }

    async fn forwarded(
        self: &Arc<Self>,
        open: impl Future<Output = Result<Channel<Msg>, russh::Error>>,
        place: String,
    ) -> Result<Box<dyn Duplex>, TransportError> {
        match tokio::time::timeout(DIAL, open).await {
            Ok(Ok(channel)) => Ok(Box::new(Stream {
                inner: Box::pin(channel.into_stream()),
                _permit: None,
                _connection: self.clone(),
            })),
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => Err(TransportError::Dial(
                place,
                match reason {
                    ChannelOpenFailure::AdministrativelyProhibited => {
                        "the host's sshd forbids forwarding (AllowTcpForwarding, PermitOpen)".into()
                    }
                    ChannelOpenFailure::ConnectFailed => "the host cannot connect to it".into(),
                    other => format!("{other:?}"),
                },
            )),
            Ok(Err(_)) => Err(self.broken("while a port was opened through the host")),
            Err(_) => {
                self.suspect.store(true, Ordering::Relaxed);
                Err(TransportError::Dial(place, format!("no answer within {DIAL:?}")))
            }
        }
    }

    /// Opens a channel in a task of its own: if the caller goes away meanwhile, the channel is
    /// closed and not leaked.
    async fn channel<F, Fut>(self: &Arc<Self>, open: F) -> Result<Channel<Msg>, russh::Error>
    where
        F: FnOnce(Arc<Self>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Channel<Msg>, russh::Error>> + Send,
    {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let connection = self.clone();
        tokio::spawn(async move {
            if let Err(Ok(unwanted)) = sender.send(open(connection).await) {
                let _ = unwanted.close().await;
            }
        });
        receiver.await.unwrap_or(Err(russh::Error::Disconnect))
    }

    /// Kills a process group on the host.
    async fn kill(self: &Arc<Self>, group: u32) -> Result<(), russh::Error> {
        let mut channel =
            self.channel(|c| async move { c.handle.channel_open_session().await }).await?;
        // With `-s`: dash takes no group after `kill -KILL --`.
        channel.exec(true, format!("exec /bin/sh -c 'kill -s KILL -- -{group}'")).await?;
        while channel.wait().await.is_some() {}
        Ok(())
    }

    async fn permit(&self) -> Result<Permit, TransportError> {
        let permit = self
            .sessions
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| self.broken("while waiting for a session"))?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Permit { _permit: permit, open: self.open.clone(), freed: self.freed.clone() })
    }

    /// A session channel; a host with less room than we thought is asked again when one of our
    /// sessions has ended.
    async fn session_channel(self: &Arc<Self>) -> Result<Channel<Msg>, TransportError> {
        let (asked, mut pause) = (Instant::now(), Duration::from_millis(20));
        loop {
            let reason = match self
                .channel(|c| async move { c.handle.channel_open_session().await })
                .await
            {
                Ok(channel) => return Ok(channel),
                Err(russh::Error::ChannelOpenFailure(reason)) => reason,
                Err(_) => return Err(self.broken("while a session was opened")),
            };
            if self.open.load(Ordering::Relaxed) <= 1 && asked.elapsed() > NO_ROOM {
                return Err(TransportError::Unreachable(format!(
                    "the host opens no session: {reason:?} (MaxSessions of its sshd?)"
                )));
            }
            let _ = tokio::time::timeout(
                pause.mul_f64(rand::random_range(0.5..1.5)),
                self.freed.notified(),
            )
            .await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    async fn session(self: &Arc<Self>) -> Result<Session, TransportError> {
        let permit = self.permit().await?;
        let (read, write) = self.session_channel().await?.split();
        let write = Arc::new(write);
        Ok(Session {
            read,
            write: write.clone(),
            end: End {
                connection: self.clone(),
                write,
                permit: Some(permit),
                pid: None,
                closed: false,
                done: false,
            },
        })
    }
}

/// One session channel in use.
struct Session {
    read: ChannelReadHalf,
    write: Arc<ChannelWriteHalf<Msg>>,
    end: End,
}

/// Ends a session: by itself when the command is done, by force when its caller gave up.
struct End {
    connection: Arc<Connection>,
    write: Arc<ChannelWriteHalf<Msg>>,
    permit: Option<Permit>,
    pid: Option<u32>,
    closed: bool,
    done: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (connection, write, permit, done, pid) =
            (self.connection.clone(), self.write.clone(), self.permit.take(), self.done, self.pid);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if !done {
                let _ = write.signal(Sig::KILL).await;
            }
            let _ = write.close().await;
            // sshd passes no signal on to sessions of root (it has no separated process for them),
            // so a second session does.
            if let (false, Some(pid)) = (done, pid) {
                let _ = tokio::time::timeout(KILL, connection.kill(pid)).await;
            }
            drop(permit);
        });
    }
}

/// Makes the shell say its pid, which is that of the whole process group, as the first line of
/// stderr.
fn with_pid(command: &str) -> String {
    format!(
        "exec /bin/sh -c {}",
        crate::base::shell::quote(&format!("echo {PID}$$ >&2; {command}"))
    )
}

/// Takes the line of [`with_pid`] out of what came on stderr, wherever the login shell's own noise
/// left it.
fn take_pid(err: &mut Vec<u8>) -> Option<u32> {
    let start = err.windows(PID.len()).position(|w| w == PID.as_bytes())?;
    let length = err[start..].iter().position(|b| *b == b'\n')?;
    let pid = std::str::from_utf8(&err[start + PID.len()..start + length]).ok()?.parse().ok()?;
    err.drain(start..=start + length);
    Some(pid)
}

/// A place among the connection's sessions.
struct Permit {
    _permit: OwnedSemaphorePermit,
    open: Arc<AtomicUsize>,
    freed: Arc<Notify>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.freed.notify_waiters();
    }
}

fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(_) => 0,
    }
}

/// A channel as a byte stream; holds its place and its connection.
struct Stream {
    inner: Pin<Box<dyn Duplex>>,
    _permit: Option<Permit>,
    _connection: Arc<Connection>,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.inner.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.inner.as_mut().poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.inner.as_mut().poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.inner.as_mut().poll_shutdown(cx)
    }
}
