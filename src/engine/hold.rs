//! The lock of a gate, held on a host while the effects of one step or of several run.
use super::cx::{Waiting, gone};
use crate::base::Problem;
use crate::transport::{Duplex, Output};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// How many bytes a host may say before the answer that is waited for.
const MOST: u64 = 64 << 10;
/// How long the host may take to read a line of ours and to answer it.
const ANSWER: Duration = Duration::from_secs(30);

/// The held lock; see [`super::gate::hold`]. Dropping it ends the shell on the host, and so the
/// lock.
pub(super) struct Hold {
    stream: BufReader<Box<dyn Duplex>>,
    place: String,
    waiting: Waiting,
}

impl Hold {
    /// A lock on the host at `place`. Its first `begin` or `run` writes the lines that are
    /// `waiting`.
    pub fn new(stream: Box<dyn Duplex>, place: String, waiting: Waiting) -> Self {
        Self { stream: BufReader::new(stream), place, waiting }
    }

    /// Says `line` and reads until the host has answered it; what it says before goes to `said`. The
    /// write fails when the shell has ended; what that said can still be read.
    async fn talk(&mut self, line: &str, said: &mut String) -> Option<i32> {
        let _ = self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).await;
        let _ = self.stream.get_mut().flush().await;
        let done = format!("ob-done {line} ");
        let mut bounded = (&mut self.stream).take(MOST);
        loop {
            let mut bytes = Vec::new();
            if bounded.read_until(b'\n', &mut bytes).await.ok()? == 0 {
                return None;
            }
            let text = String::from_utf8_lossy(&bytes);
            match text.trim().strip_prefix(&done).map(str::parse) {
                Some(Ok(status)) => return Some(status),
                _ => said.push_str(&text),
            }
        }
    }

    async fn ask(&mut self, line: &str, most: Duration) -> Result<Output, Problem> {
        let mut said = String::new();
        let answer = tokio::time::timeout(most, self.talk(line, &mut said)).await;
        let status = answer.ok().flatten();
        let output = Output { status: status.unwrap_or(-1), stderr: said, ..Output::default() };
        if status.is_some() {
            return Ok(output);
        }
        let words = output.tail();
        let ended = "the gate's lock on the host ended";
        Err(gone(&self.place, if words.is_empty() { ended } else { &words }))
    }

    /// Proves that the lock is still held and that the lease number is still ours, and writes the
    /// journal's begin line of step `n`. Call this after the SQL session was opened.
    ///
    /// # Errors
    /// [`crate::base::Kind::Locked`]: another run took over, or the lock was lost.
    pub async fn begin(&mut self, n: usize) -> Result<(), Problem> {
        self.ask(&format!("begin {n}"), ANSWER).await?;
        self.waiting.written();
        Ok(())
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
        let output = self.ask(&format!("run {n}"), most).await?;
        self.waiting.written();
        Ok(output)
    }

    /// Lets the lock go.
    ///
    /// # Errors
    /// [`crate::base::Kind::Locked`]: the lock was lost meanwhile.
    pub async fn close(mut self) -> Result<(), Problem> {
        self.ask("bye 0", ANSWER).await.map(drop)
    }
}
