//! The lock of a gate, held on a host while the effects of one step or of several run.
use super::cx::gone;
use super::journal::Entry;
use crate::base::Problem;
use crate::transport::{Duplex, Output};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// How many bytes a host may say before the word that is waited for.
const MOST: u64 = 64 << 10;
/// How long the host may take to say that word.
const ANSWER: Duration = Duration::from_secs(30);

/// The held lock; see [`super::gate::hold`]. Dropping it ends the shell on the host, and so the
/// lock.
pub(super) struct Hold {
    stream: BufReader<Box<dyn Duplex>>,
    place: String,
    /// What the first `begin` writes to the journal beside its own line.
    pub waiting: Vec<Entry>,
}

impl Hold {
    pub fn new(stream: Box<dyn Duplex>, place: String, waiting: Vec<Entry>) -> Self {
        Self { stream: BufReader::new(stream), place, waiting }
    }

    /// Reads the answer to what was said last.
    async fn answer(&mut self, most: Duration) -> Result<Output, Problem> {
        let mut said = String::new();
        let mut bounded = (&mut self.stream).take(MOST);
        let wait = tokio::time::timeout(most, async {
            loop {
                let mut line = Vec::new();
                match bounded.read_until(b'\n', &mut line).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {
                        let line = String::from_utf8_lossy(&line);
                        match line.trim() {
                            "OK" | "BYE" => return Some(0),
                            word => match word.strip_prefix("FAILED ").map(str::parse) {
                                Some(Ok(status)) => return Some(status),
                                _ => said.push_str(&line),
                            },
                        }
                    }
                }
            }
        });
        if let Ok(Some(status)) = wait.await {
            return Ok(Output { status, stderr: said, ..Output::default() });
        }
        let why = if said.trim().is_empty() {
            "the gate's lock on the host ended".to_owned()
        } else {
            let lines: Vec<_> = said.trim().lines().collect();
            lines[lines.len().saturating_sub(6)..].join("\n")
        };
        Err(gone(&self.place, &why))
    }

    async fn ask(&mut self, line: &str, most: Duration) -> Result<Output, Problem> {
        let sent = async {
            self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).await?;
            self.stream.get_mut().flush().await
        };
        if sent.await.is_err() {
            return Err(gone(&self.place, "the gate's lock on the host ended"));
        }
        self.answer(most).await
    }

    /// Proves that the lock is still held and that the lease number is still ours, and writes the
    /// journal's begin line of step `n`. Call this after the SQL session was opened.
    ///
    /// # Errors
    /// [`crate::base::Kind::Locked`]: another run took over, or the lock was lost.
    pub async fn begin(&mut self, n: usize) -> Result<(), Problem> {
        self.ask(&format!("begin {n}"), ANSWER).await.map(drop)
    }

    /// Writes the journal's last line of step `n`. `good`: whether the effect succeeded.
    ///
    /// # Errors
    /// [`crate::base::Kind::Locked`]: the lock was lost meanwhile.
    pub async fn end(&mut self, n: usize, good: bool) -> Result<(), Problem> {
        let word = if good { "end" } else { "fail" };
        self.ask(&format!("{word} {n}"), ANSWER).await.map(drop)
    }

    /// Runs the program of step `n`, with all that [`Hold::begin`] and [`Hold::end`] do.
    ///
    /// # Errors
    /// [`crate::base::Kind::Locked`]: another run took over, or the lock was lost.
    pub async fn run(&mut self, n: usize, most: Duration) -> Result<Output, Problem> {
        self.ask(&format!("run {n}"), most).await
    }

    /// Lets the lock go.
    ///
    /// # Errors
    /// [`crate::base::Kind::Locked`]: the lock was lost meanwhile.
    pub async fn close(mut self) -> Result<(), Problem> {
        self.ask("bye", ANSWER).await.map(drop)
    }
}
