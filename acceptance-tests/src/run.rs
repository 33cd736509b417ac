//! Runs programs with a time limit and collects everything they print.
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How a program ended, and what it printed.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit status; 128 plus the signal's number when a signal ended the program, as shells say it.
    pub status: i32,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output without surrounding blanks, if the exit status is 0.
    ///
    /// # Errors
    /// The exit status is another one; the message has the output.
    pub fn ok(self) -> Result<String> {
        if self.status == 0 {
            return Ok(self.stdout.trim().to_owned());
        }
        bail!("exit status {}: {} {}", self.status, self.stdout.trim(), self.stderr.trim())
    }
}

/// A program with arguments.
pub fn command<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Command {
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().map(|w| w.as_ref().to_owned()).unwrap_or_default());
    for w in words {
        command.arg(w.as_ref());
    }
    command
}

/// Runs `command` in its own process group, feeds it `input`, and kills the group after `limit`.
///
/// A daemon that the program leaves behind may keep the output open; what the daemon prints later
/// is not waited for.
///
/// # Errors
/// The program does not exist, or did not end in time.
pub fn run(command: &mut Command, input: &[u8], limit: Duration) -> Result<Output> {
    let name = format!("{command:?}");
    command
        .process_group(0)
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_vec();
        std::thread::spawn(move || stdin.write_all(&input));
    }
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(500);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= end {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            child.wait()?;
            bail!("{name} did not end within {limit:?}: {} {}", out.text(), err.text());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    };
    let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(Output { status, stdout: out.text(), stderr: err.text() })
}

/// Bytes that a thread reads from a pipe.
#[derive(Debug)]
pub(crate) struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    pipe: Option<Arc<OwnedFd>>,
    reader: std::thread::JoinHandle<()>,
}

impl Collected {
    /// Everything from the pipe, once its other end is closed. If a daemon holds that end open,
    /// everything that was written until a moment ago. Nothing that is in the pipe is left there,
    /// however busy the machine is.
    pub(crate) fn text(&self) -> String {
        let end = Instant::now() + Duration::from_millis(200);
        loop {
            let late = Instant::now() >= end;
            if self.reader.is_finished() {
                return self.so_far();
            }
            if late && let Ok(bytes) = self.bytes.lock() {
                // The reader reads only under this lock.
                let left = self.pipe.as_ref().and_then(|p| rustix::io::ioctl_fionread(p).ok());
                if left.unwrap_or(0) == 0 {
                    return String::from_utf8_lossy(&bytes).into_owned();
                }
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// What has been read so far.
    pub(crate) fn so_far(&self) -> String {
        self.bytes.lock().map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }
}

/// Reads a pipe to its end on a thread of its own.
pub(crate) fn collect(pipe: Option<impl Into<OwnedFd>>) -> Collected {
    let (bytes, pipe) = (Arc::new(Mutex::new(Vec::new())), pipe.map(|p| Arc::new(p.into())));
    let (into, from) = (bytes.clone(), pipe.clone());
    let reader = std::thread::spawn(move || {
        let Some(pipe) = from else { return };
        let mut buffer = [0; 16384];
        while retry_on_intr(|| poll(&mut [PollFd::new(&pipe, PollFlags::IN)], None)).is_ok() {
            let Ok(mut all) = into.lock() else { return };
            match retry_on_intr(|| rustix::io::read(&pipe, &mut buffer[..])) {
                Ok(0) | Err(_) => return,
                Ok(n) => all.extend_from_slice(&buffer[..n]),
            }
        }
    });
    Collected { bytes, pipe, reader }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_status_and_input_come_through() {
        let out = run(
            &mut command(["sh", "-c", "cat; echo two >&2; exit 3"]),
            b"one",
            Duration::from_secs(5),
        )
        .unwrap();
        assert_eq!((out.status, out.stdout.as_str(), out.stderr.as_str()), (3, "one", "two\n"));
        assert!(out.ok().unwrap_err().to_string().contains("exit status 3: one two"));
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_children() {
        let e = run(
            &mut command(["sh", "-c", "echo begun; sleep 77 & echo $!; wait"]),
            b"",
            Duration::from_millis(200),
        )
        .unwrap_err()
        .to_string();
        assert!(e.contains("did not end within 200ms") && e.contains("begun"), "{e}");
        let child: i32 = e
            .trim()
            .rsplit(|c: char| !c.is_ascii_digit())
            .find(|s| !s.is_empty())
            .unwrap()
            .parse()
            .unwrap();
        assert!(crate::process::until(Duration::from_secs(2), || crate::process::Process::of(
            child
        )
        .is_none_or(|p| !p.alive())));
    }

    /// On a busy machine the reader may get no turn until long after the program's end.
    #[test]
    fn what_lies_in_the_pipe_is_read_however_late() {
        let (reader, writer) = std::io::pipe().unwrap();
        let collected = collect(Some(reader));
        let busy = collected.bytes.lock().unwrap();
        { writer }.write_all(b"late").unwrap();
        std::thread::scope(|scope| {
            let text = scope.spawn(|| collected.text());
            std::thread::sleep(Duration::from_millis(400));
            drop(busy);
            assert_eq!(text.join().unwrap(), "late");
        });
    }

    #[test]
    fn a_daemon_left_behind_is_not_waited_for() {
        let begun = Instant::now();
        let out = run(&mut command(["sh", "-c", "sleep 5 & echo $!"]), b"", Duration::from_secs(5))
            .unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3));
        let daemon = crate::process::Process::of(out.stdout.trim().parse().unwrap()).unwrap();
        daemon.signal(Signal::KILL);
    }
}
