//! One SSH connection and what goes over it: scripts, streams, forwarded ports.
//!
//! A script whose answer never comes may or may not have run. Such an error says so, and nothing is
//! repeated here.
use super::frame::{COMMAND, Frame, Group};
use super::handshake::{Client, Ended};
use super::stream::Stream;
use super::{Duplex, Input, Output, TransportError};
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Sig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Sessions at once on one connection. sshd's `MaxSessions` is 10 unless somebody lowered it.
const SESSIONS: usize = 8;
/// How long a host may refuse a session while no other session of ours is open on this connection.
const NO_ROOM: Duration = Duration::from_secs(3);
/// How long the killing of a command that was given up may take. If it fails, the host's own
/// `timeout` ends the command later.
const KILL: Duration = Duration::from_secs(5);
/// How long the opening of a forwarded port may take.
const DIAL: Duration = Duration::from_secs(10);

/// A connection that is logged in.
pub struct Connection {
    handle: Handle<Client>,
    ended: Ended,
    sessions: Arc<Semaphore>,
    open: Arc<AtomicUsize>,
    freed: Arc<Notify>,
    /// Something did not answer in time: the next use asks for a sign of life first.
    suspect: AtomicBool,
    /// Keeps the jump host's connection below this one alive.
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

    /// Whether new work can go over the connection. Costs a round trip only after something timed
    /// out.
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

    /// Runs a script. `input` is sent once the script is ready for it. The deadline covers the wait
    /// for a free session too. When it passes, or the answer is longer than its bound, the script
    /// is killed on the host.
    ///
    /// # Errors
    /// No whole answer in time, the link broke, or `input` cannot be read.
    pub async fn exec(
        self: &Arc<Self>,
        frame: Frame,
        input: Option<Input>,
        deadline: Duration,
    ) -> Result<Output, TransportError> {
        let sent = AtomicBool::new(false);
        let work = async {
            let session = self.session().await?;
            sent.store(true, Ordering::Relaxed);
            self.converse(session, frame, input).await
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
        frame: Frame,
        input: Option<Input>,
    ) -> Result<Output, TransportError> {
        let Session { mut read, write, mut end } = session;
        let (mut answer, ready) = (frame.answer(), Notify::new());
        let feed = self.feed(&write, frame, input, &ready);
        tokio::pin!(feed);
        let (mut fed, mut status, mut cut) = (false, None, None);
        let mut over = Instant::now();
        loop {
            // A daemon that the script left behind may keep the streams open for ever and write
            // into them, so the wait after the script's end is bounded.
            if status.is_none() || !answer.ended() {
                over = Instant::now() + Output::GRACE;
            }
            let message = tokio::select! {
                message = read.wait() => message,
                done = &mut feed, if !fed => {
                    fed = true;
                    // A link that ends shows in `read` too, after what the host said before. So
                    // only a broken input counts here.
                    cut = done.err().filter(|e| matches!(e, TransportError::Input(_)));
                    continue;
                }
                () = tokio::time::sleep_until(over.into()), if status.is_some() || cut.is_some() => {
                    break;
                }
            };
            match message {
                Some(ChannelMsg::Data { data }) => {
                    let taken = answer.stdout(&data);
                    end.group = answer.group;
                    taken?;
                    if answer.is_ready() {
                        ready.notify_one();
                    }
                }
                Some(ChannelMsg::ExtendedData { data, ext: 1 }) => answer.stderr(&data),
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    status = Some(i32::try_from(exit_status).unwrap_or(-1))
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    status = Some(128 + number(&signal_name))
                }
                Some(ChannelMsg::Failure) => return Err(refused()),
                Some(ChannelMsg::Close) => {
                    end.closed = true;
                    break;
                }
                None => break,
                Some(_) => {}
            }
        }
        end.done = status.is_some() || answer.ended();
        if let Some(cut) = cut {
            return Err(cut);
        }
        if end.done || end.closed {
            return answer.finish(status);
        }
        Err(self.broken("while a script ran; it may have done its work"))
    }

    /// Sends the command, the script and, once the script is ready, its input.
    async fn feed(
        &self,
        write: &ChannelWriteHalf<Msg>,
        frame: Frame,
        input: Option<Input>,
        ready: &Notify,
    ) -> Result<(), TransportError> {
        let broken = |_| self.broken("while a script was sent");
        // Without input, the command, the script and the end of stdin leave in one go: there is no
        // wait for the host's "yes" in between.
        write.exec(true, COMMAND).await.map_err(broken)?;
        write.data_bytes(frame.text.into_bytes()).await.map_err(broken)?;
        if let Some(mut input) = input {
            ready.notified().await;
            loop {
                let mut chunk = Vec::with_capacity(256 << 10);
                match input.read_buf(&mut chunk).await {
                    Ok(0) => break,
                    Ok(_) => write.data_bytes(chunk).await.map_err(broken)?,
                    Err(e) => {
                        let _ = write.eof().await;
                        return Err(TransportError::Input(e.to_string()));
                    }
                }
            }
        }
        write.eof().await.map_err(broken)
    }

    /// Starts a script, waits until it is ready, and gives its stdin and stdout. The deadline is
    /// for becoming ready. When it passes, the script is killed on the host.
    ///
    /// # Errors
    /// No session, or the script ends before it is ready.
    pub async fn start(
        self: &Arc<Self>,
        frame: Frame,
        deadline: Duration,
    ) -> Result<Box<dyn Duplex>, TransportError> {
        let mut answer = frame.answer();
        let start = async {
            let permit = self.permit().await?;
            let mut channel = self.session_channel().await?;
            let broken = |_| self.broken("before a script could be sent");
            channel.exec(true, COMMAND).await.map_err(broken)?;
            channel.data_bytes(frame.text.into_bytes()).await.map_err(broken)?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => break,
                    Some(ChannelMsg::Failure) => return Err(refused()),
                    Some(_) => {}
                    None => return Err(self.broken("while a script was started")),
                }
            }
            let mut inner: Box<dyn Duplex> = Box::new(channel.into_stream());
            let ahead = answer.until_ready(&mut inner).await?;
            Ok(Stream::new(ahead, inner, (self.clone(), permit)))
        };
        let started = tokio::time::timeout(deadline, start).await.unwrap_or_else(|_| {
            Err(TransportError::Timeout(deadline, "a script was started".into()))
        });
        if let Err(TransportError::Timeout(..) | TransportError::TooMuch { .. }) = &started {
            self.end(answer.group);
        }
        Ok(Box::new(started?))
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
            Ok(Ok(channel)) => {
                let inner = Box::new(channel.into_stream());
                Ok(Box::new(Stream::new(Vec::new(), inner, self.clone())))
            }
            Ok(Err(russh::Error::ChannelOpenFailure(
                ChannelOpenFailure::AdministrativelyProhibited,
            ))) => Err(TransportError::Forbidden(place)),
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => Err(TransportError::Dial(
                place,
                match reason {
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

    /// Opens a channel in a task of its own. If the caller goes away meanwhile, the task closes the
    /// channel, so that it does not leak.
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
    async fn kill(self: &Arc<Self>, group: Group) -> Result<(), russh::Error> {
        let mut channel =
            self.channel(|c| async move { c.handle.channel_open_session().await }).await?;
        channel.exec(true, group.kill()).await?;
        while channel.wait().await.is_some() {}
        Ok(())
    }

    /// Kills, in the background, a process group that was given up.
    fn end(self: &Arc<Self>, group: Option<Group>) {
        let (connection, Some(group)) = (self.clone(), group) else { return };
        tokio::spawn(async move { tokio::time::timeout(KILL, connection.kill(group)).await });
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

    /// Opens a session channel. A host that refuses, because it has less room than [`SESSIONS`], is
    /// asked again when one of our sessions has ended.
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
                group: None,
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

/// Ends a session when it is dropped: closes the channel, and kills a command that is not done.
struct End {
    connection: Arc<Connection>,
    write: Arc<ChannelWriteHalf<Msg>>,
    permit: Option<Permit>,
    group: Option<Group>,
    closed: bool,
    done: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (connection, write, permit) =
            (self.connection.clone(), self.write.clone(), self.permit.take());
        let (done, group) = (self.done, self.group);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if !done {
                let _ = write.signal(Sig::KILL).await;
            }
            let _ = write.close().await;
            // sshd passes no signal on to sessions of root (it has no separated process for them),
            // so a second session does.
            if let (false, Some(group)) = (done, group) {
                let _ = tokio::time::timeout(KILL, connection.kill(group)).await;
            }
            drop(permit);
        });
    }
}

fn refused() -> TransportError {
    TransportError::Unreachable(
        "the host logs us in and refuses to run commands (a forced command or a restricted key?)"
            .into(),
    )
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
