//! The lock of a gate, held on a host while SQL runs.
use super::cx::gone;
use crate::base::Problem;
use crate::transport::Duplex;
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
}

impl Hold {
    pub fn new(stream: Box<dyn Duplex>, place: String) -> Self {
        Self { stream: BufReader::new(stream), place }
    }

    async fn expect(&mut self, word: &str) -> Result<(), Problem> {
        let mut said = String::new();
        let mut bounded = (&mut self.stream).take(MOST);
        let wait = tokio::time::timeout(ANSWER, async {
            loop {
                let mut line = Vec::new();
                match bounded.read_until(b'\n', &mut line).await {
                    Ok(0) | Err(_) => return false,
                    Ok(_) => {
                        let line = String::from_utf8_lossy(&line);
                        if line.trim() == word {
                            return true;
                        }
                        said.push_str(&line);
                    }
                }
            }
        });
        if wait.await == Ok(true) {
            return Ok(());
        }
        let why = if said.trim().is_empty() {
            "the gate's lock on the host ended".to_owned()
        } else {
            let lines: Vec<_> = said.trim().lines().collect();
            lines[lines.len().saturating_sub(6)..].join("\n")
        };
        Err(gone(&self.place, &why))
    }

    async fn say(&mut self, word: &str, answer: &str) -> Result<(), Problem> {
        let sent = async {
            self.stream.get_mut().write_all(format!("{word}\n").as_bytes()).await?;
            self.stream.get_mut().flush().await
        };
        if sent.await.is_err() {
            return Err(gone(&self.place, "the gate's lock on the host ended"));
        }
        self.expect(answer).await
    }

    /// Proves that the lock is still held and that the lease number is still ours. Call this after
    /// the SQL session was opened.
    ///
    /// # Errors
    /// [`crate::base::Kind::Locked`]: another run took over, or the lock was lost.
    pub async fn still(&mut self) -> Result<(), Problem> {
        self.say("ping", "OK").await
    }

    /// Writes the journal's last line and lets the lock go. `good`: whether the effect succeeded.
    ///
    /// # Errors
    /// [`crate::base::Kind::Locked`]: the lock was lost meanwhile.
    pub async fn end(mut self, good: bool) -> Result<(), Problem> {
        self.say(if good { "end" } else { "fail" }, "BYE").await
    }
}
