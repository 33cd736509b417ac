//! This machine itself, without SSH. Simulated hosts are built on it: a private HOME is all that
//! they need.
use super::frame::{COMMAND, Frame};
use super::{Duplex, Endpoint, Input, Output, Script, Transport, TransportError};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Runs scripts with this machine's `/bin/sh`.
pub struct Local {
    endpoint: Endpoint,
    env: BTreeMap<String, String>,
}

impl Local {
    /// This machine as `endpoint`; `env` is added to the environment of everything that runs.
    #[must_use]
    pub fn new(endpoint: Endpoint, env: BTreeMap<String, String>) -> Self {
        Self { endpoint, env }
    }

    fn spawn(&self) -> Result<(Child, Group), TransportError> {
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(COMMAND)
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A process group of its own can be ended as a whole, and Ctrl-C at our terminal does
            // not reach it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| TransportError::Unreachable(format!("cannot start /bin/sh: {e}")))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok((child, Group(id.and_then(rustix::process::Pid::from_raw))))
    }

    async fn finish(
        &self,
        script: &Script,
        input: Option<Input>,
    ) -> Result<Output, TransportError> {
        let (child, mut group) = self.spawn()?;
        let talk = converse(child, Frame::run(script, ""), input);
        let done = tokio::time::timeout(script.deadline, talk)
            .await
            .map_err(|_| TransportError::Timeout(script.deadline, "a script ran".into()))?;
        if done.is_ok() {
            group.0 = None;
        }
        done
    }
}

/// Gives a child that runs [`COMMAND`] its script and waits until it is ready to talk.
///
/// # Errors
/// As [`Transport::open`].
pub async fn open(
    child: &mut Child,
    frame: Frame,
    deadline: Duration,
) -> Result<Box<dyn Duplex>, TransportError> {
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(TransportError::Unreachable("no pipes".into()));
    };
    let mut answer = frame.answer();
    let start = async {
        // The write fails when the script has already ended; what the script said can still be
        // read.
        let _ = stdin.write_all(frame.text.as_bytes()).await;
        answer.until_ready(&mut stdout).await
    };
    let ahead = tokio::time::timeout(deadline, start)
        .await
        .map_err(|_| TransportError::Timeout(deadline, "a script was started".into()))??;
    Ok(Box::new(tokio::io::join(std::io::Cursor::new(ahead).chain(stdout), stdin)))
}

/// Ends the whole process group when the wait for it is given up.
struct Group(Option<rustix::process::Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Gives a child that runs [`COMMAND`] its script and input, and reads its answer to the end.
///
/// # Errors
/// As [`Transport::run`] and [`Transport::stream`].
pub async fn converse(
    mut child: Child,
    frame: Frame,
    input: Option<Input>,
) -> Result<Output, TransportError> {
    let (stdin, mut stdout, mut stderr) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut answer, ready) = (frame.answer(), Notify::new());
    let feed = feed(stdin, frame, input, &ready);
    tokio::pin!(feed);
    let (mut fed, mut status, mut cut) = (false, None, None);
    let (mut from_out, mut from_err) = (vec![0; 32 << 10], vec![0; 32 << 10]);
    let mut over = Instant::now();
    while status.is_none() || stdout.is_some() || stderr.is_some() {
        // A daemon that the script left behind may hold our pipes for ever and write into them, so
        // the wait after the script's end is bounded.
        if status.is_none() || !answer.ended() {
            over = Instant::now() + Output::GRACE;
        }
        tokio::select! {
            done = &mut feed, if !fed => { cut = done.err(); fed = true; }
            n = read(&mut stdout, &mut from_out), if stdout.is_some() => match n {
                0 => stdout = None,
                n => {
                    answer.stdout(&from_out[..n])?;
                    if answer.is_ready() {
                        ready.notify_one();
                    }
                }
            },
            n = read(&mut stderr, &mut from_err), if stderr.is_some() => match n {
                0 => stderr = None,
                n => answer.stderr(&from_err[..n]),
            },
            exit = child.wait(), if status.is_none() => {
                let exit = exit.map_err(|e| TransportError::Unreachable(e.to_string()))?;
                status = Some(exit.code().unwrap_or_else(|| 128 + exit.signal().unwrap_or(0)));
            }
            () = tokio::time::sleep_until(over), if status.is_some() || cut.is_some() => break,
        }
    }
    match cut {
        Some(cut) => Err(cut),
        None => answer.finish(status),
    }
}

/// Sends the script and, once the script is ready, its input.
async fn feed(
    stdin: Option<ChildStdin>,
    frame: Frame,
    input: Option<Input>,
    ready: &Notify,
) -> Result<(), TransportError> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    if stdin.write_all(frame.text.as_bytes()).await.is_err() {
        return Ok(());
    }
    let Some(mut input) = input else { return Ok(()) };
    ready.notified().await;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = input.read(&mut buffer).await.map_err(|e| TransportError::Input(e.to_string()))?;
        if n == 0 || stdin.write_all(&buffer[..n]).await.is_err() {
            return Ok(());
        }
    }
}

async fn read(from: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match from {
        Some(from) => from.read(buffer).await.unwrap_or(0),
        None => 0,
    }
}

#[async_trait]
impl Transport for Local {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn run(&self, script: &Script) -> Result<Output, TransportError> {
        self.finish(script, None).await
    }

    async fn stream(&self, script: &Script, input: Input) -> Result<Output, TransportError> {
        self.finish(script, Some(input)).await
    }

    async fn open(&self, script: &Script) -> Result<Box<dyn Duplex>, TransportError> {
        let (mut child, mut group) = self.spawn()?;
        let stream = open(&mut child, Frame::open(script, ""), script.deadline).await?;
        group.0 = None;
        // The child lives as long as its stdin. A task waits for its exit, so that no zombie stays.
        tokio::spawn(async move { child.wait().await });
        Ok(stream)
    }

    async fn dial(&self, address: &str, port: u16) -> Result<Box<dyn Duplex>, TransportError> {
        let connect = tokio::net::TcpStream::connect((address, port));
        match tokio::time::timeout(Duration::from_secs(10), connect).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(e)) => Err(TransportError::Dial(format!("{address}:{port}"), e.to_string())),
            Err(_) => Err(TransportError::Dial(
                format!("{address}:{port}"),
                "no answer within 10 s".into(),
            )),
        }
    }
}
