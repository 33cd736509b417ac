//! This machine itself, without SSH. Also the base of the simulated hosts: a private HOME is all they need.
use super::{Duplex, Endpoint, Input, Output, Script, Transport, TransportError};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| TransportError::Unreachable(format!("cannot start /bin/sh: {e}")))
    }
}

async fn keep(mut from: impl AsyncReadExt + Unpin) -> String {
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let room = Output::LIMIT.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..n.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

async fn finish(mut child: Child, mut input: Input, deadline: Duration) -> Result<Output, TransportError> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        let Some(mut stdin) = stdin else { return Ok(()) };
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = input.read(&mut buffer).await.map_err(|e| TransportError::Input(e.to_string()))?;
            if n == 0 || stdin.write_all(&buffer[..n]).await.is_err() {
                return stdin.shutdown().await.or(Ok(()));
            }
        }
    };
    let out = async { if let Some(s) = stdout { keep(s).await } else { String::new() } };
    let err = async { if let Some(s) = stderr { keep(s).await } else { String::new() } };
    let all = async { tokio::join!(feed, out, err, child.wait()) };
    let (fed, stdout, stderr, status) = tokio::time::timeout(deadline, all).await.map_err(|_| TransportError::Timeout(deadline, "a script ran".into()))?;
    fed?;
    let status = status.map_err(|e| TransportError::Unreachable(e.to_string()))?;
    use std::os::unix::process::ExitStatusExt;
    let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(Output { status, stdout, stderr })
}

#[async_trait]
impl Transport for Local {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn run(&self, script: &Script) -> Result<Output, TransportError> {
        let body = std::io::Cursor::new(script.body().into_bytes());
        finish(self.spawn(&script.command())?, Box::new(body), script.deadline).await
    }

    async fn stream(&self, command: &str, input: Input, deadline: Duration) -> Result<Output, TransportError> {
        finish(self.spawn(command)?, input, deadline).await
    }

    async fn open(&self, command: &str) -> Result<Box<dyn Duplex>, TransportError> {
        let mut child = self.spawn(command)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return Err(TransportError::Unreachable("no pipes".into())) };
        drop(child.stderr.take());
        // The child lives as long as its stdin: it is waited for in the background, so that no zombie stays.
        tokio::spawn(async move { child.wait().await });
        Ok(Box::new(tokio::io::join(stdout, stdin)))
    }

    async fn dial(&self, address: &str, port: u16) -> Result<Box<dyn Duplex>, TransportError> {
        let connect = tokio::net::TcpStream::connect((address, port));
        match tokio::time::timeout(Duration::from_secs(10), connect).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(e)) => Err(TransportError::Dial(format!("{address}:{port}"), e.to_string())),
            Err(_) => Err(TransportError::Dial(format!("{address}:{port}"), "no answer within 10 s".into())),
        }
    }
}
