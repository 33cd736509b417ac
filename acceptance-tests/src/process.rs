//! Processes named by id and start time, so that a process that gets a reused id is never mistaken
//! for another.
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// One process: its id, and when it started in clock ticks since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id as this machine sees it.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`.
    pub start: u64,
}

impl Process {
    /// The process that has this id now; `None` when there is none.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|(_, start)| Self { pid, start })
    }

    /// This process.
    #[must_use]
    pub fn current() -> Self {
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        Self::of(pid).unwrap_or(Self { pid, start: 0 })
    }

    /// Whether the process still runs. A zombie does not.
    #[must_use]
    pub fn alive(&self) -> bool {
        matches!(
            stat(self.pid),
            Some((state, start)) if start == self.start && !matches!(state, 'Z' | 'X' | 'x')
        )
    }

    /// Sends `signal`, if this is still the same process.
    pub fn signal(&self, signal: Signal) {
        if self.alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits until the process is gone; false when it is still there after `limit`.
    #[must_use]
    pub fn gone_within(&self, limit: Duration) -> bool {
        until(limit, || !self.alive())
    }

    /// Parses the output of [`Process::write_form`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (pid, start) = text.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, start: start.parse().ok()? })
    }

    /// The text `pid start`, for a file.
    #[must_use]
    pub fn write_form(&self) -> String {
        format!("{} {}\n", self.pid, self.start)
    }
}

/// Calls `done` every 2 ms until it returns true; returns false after `limit`.
pub fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// State and start time of a process. The program's name is in parentheses and may itself contain
/// blanks and parentheses, so this splits after the last one.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &text[text.rfind(')')? + 1..];
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let start = fields.nth(18)?.parse().ok()?;
    Some((state, start))
}

/// The processes that descend from `root` now.
pub(crate) fn descendants(root: i32) -> Vec<Process> {
    let parents: Vec<(i32, i32)> =
        all().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(one) = next.pop() {
        for (pid, _) in parents.iter().filter(|(_, parent)| *parent == one) {
            next.push(*pid);
            found.extend(Process::of(*pid));
        }
    }
    found
}

fn parent(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text[text.rfind(')')? + 1..].split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Every process id of this machine.
pub(crate) fn all() -> Vec<i32> {
    let Ok(dir) = std::fs::read_dir("/proc") else { return Vec::new() };
    dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let p = Process::of(child.id().try_into().unwrap()).unwrap();
        assert!(p.alive());
        assert_eq!(Process::parse(&p.write_form()), Some(p));
        p.signal(Signal::KILL);
        assert!(p.gone_within(Duration::from_secs(5)), "not reaped yet, but dead");
        child.wait().unwrap();
        assert!(!p.alive());
    }

    #[test]
    fn a_reused_id_is_another_process() {
        let me = Process::current();
        assert!(me.alive());
        assert!(!Process { start: me.start + 1, ..me }.alive());
    }
}
