//! This machine itself, without SSH. Also the base of the simulated hosts: a private HOME is all
//! they need.
use super::script::{keep, limited, unlimited};
use super::{Duplex, Endpoint, Input, Output, Script, Transport, TransportError};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

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

    fn spawn(&self, command: &str) -> Result<Child, TransportError> {
        Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: ended as a whole, and Ctrl-C at our terminal does not reach it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| TransportError::Unreachable(format!("cannot start /bin/sh: {e}")))
    }
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

async fn finish(
    mut child: Child,
    mut input: Input,
    deadline: Duration,
) -> Result<Output, TransportError> {
    let mut group = Group(
        child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw),
    );
    let (mut stdin, mut stdout, mut stderr) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        let Some(mut stdin) = stdin.take() else { return Ok(()) };
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n =
                input.read(&mut buffer).await.map_err(|e| TransportError::Input(e.to_string()))?;
            if n == 0 || stdin.write_all(&buffer[..n]).await.is_err() {
                return Ok(());
            }
        }
    };
    let all = async {
        tokio::pin!(feed);
        let (mut fed, mut status, mut cut) = (false, None, None);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (mut from_out, mut from_err) = (vec![0; 32 << 10], vec![0; 32 << 10]);
        while status.is_none() || stdout.is_some() || stderr.is_some() {
            tokio::select! {
                done = &mut feed, if !fed => { cut = done.err(); fed = true; }
                n = read(&mut stdout, &mut from_out), if stdout.is_some() => match n {
                    0 => stdout = None,
                    n => keep(&mut out, &from_out[..n]),
                },
                n = read(&mut stderr, &mut from_err), if stderr.is_some() => match n {
                    0 => stderr = None,
                    n => keep(&mut err, &from_err[..n]),
                },
                exit = child.wait(), if status.is_none() => status = Some(exit.map_err(|e| TransportError::Unreachable(e.to_string()))?),
                // A daemon the script left behind may hold our pipes for ever.
                () = tokio::time::sleep(Output::GRACE), if status.is_some() || cut.is_some() => break,
            }
        }
        if let Some(cut) = cut {
            return Err(cut);
        }
        let status =
            status.map_or(-1, |s| s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0)));
        Ok(Output {
            status,
            stdout: String::from_utf8_lossy(&out).into_owned(),
            stderr: String::from_utf8_lossy(&err).into_owned(),
        })
    };
    let done = tokio::time::timeout(deadline, all)
        .await
        .map_err(|_| TransportError::Timeout(deadline, "a script ran".into()))?;
    if done.is_ok() {
        group.0 = None;
    }
    done
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
        let body = std::io::Cursor::new(script.body().into_bytes());
        finish(self.spawn(&script.command(""))?, Box::new(body), script.deadline).await
    }

    async fn stream(
        &self,
        command: &str,
        input: Input,
        deadline: Duration,
    ) -> Result<Output, TransportError> {
        finish(self.spawn(&limited(command, deadline))?, input, deadline).await
    }

    async fn open(&self, command: &str) -> Result<Box<dyn Duplex>, TransportError> {
        let mut child = self.spawn(&unlimited(command))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(TransportError::Unreachable("no pipes".into()));
        };
        drop(child.stderr.take());
        // The child lives as long as its stdin: it is waited for in the background, so that no
        // zombie stays.
        tokio::spawn(async move { child.wait().await });
        Ok(Box::new(tokio::io::join(stdout, stdin)))
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
