//! The process of a run, as a gate names it: whoever finds the gate on the same machine can tell
//! whether that process is gone.
//!
//! The text comes back from hosts, which may have made it up. It is bounded and parsed; what it can
//! bring about is that a run takes over a gate of the very host that says so, which that host can
//! give away anyhow.
use std::fmt;
use std::sync::OnceLock;

/// A process of one boot of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The boot, a UUID of the kernel.
    boot: String,
    /// Inodes of the namespaces in which the numbers below hold: of pids and of time.
    spaces: (u64, u64),
    pid: u32,
    /// When it began, in ticks since the boot: another process may get the same pid later.
    start: u64,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pids, times) = self.spaces;
        write!(f, "{}/{pids}/{times}/{}/{}", self.boot, self.pid, self.start)
    }
}

impl Process {
    /// This one; `None` where the system does not say what it takes to tell it from others.
    #[must_use]
    pub fn own() -> Option<&'static Self> {
        static OWN: OnceLock<Option<Process>> = OnceLock::new();
        OWN.get_or_init(read_own).as_ref()
    }

    /// Reads what a gate says; `None` for anything but the text that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 128 {
            return None;
        }
        let parts: Vec<&str> = text.split('/').collect();
        let [boot, pids, times, pid, start] = parts[..] else { return None };
        let boot = uuid(boot)?;
        let spaces = (number(pids)?, number(times)?);
        let pid = u32::try_from(number(pid)?).ok().filter(|p| *p > 0)?;
        Some(Self { boot, spaces, pid, start: number(start)? })
    }

    /// Whether the process ran on this machine, since its last boot, and has ended. `false` also
    /// means that this cannot be told.
    #[must_use]
    pub fn gone(&self) -> bool {
        let Some(own) = Self::own() else { return false };
        if (&self.boot, self.spaces) != (&own.boot, own.spaces) {
            return false;
        }
        let Some(pid) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw)
        else {
            return false;
        };
        // The kernel answers this for processes of other users, too, which /proc may hide.
        if rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            return true;
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        stat.ok()
            .and_then(|text| Stat::parse(&text))
            .is_some_and(|s| s.ended || s.start != self.start)
    }
}

/// What a `stat` file says.
pub(super) struct Stat {
    /// It ended, and its parent has not asked for its status yet.
    ended: bool,
    pub start: u64,
}

impl Stat {
    /// A process may have any name, so fields count from the last `)`.
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_whitespace().collect();
        // The first thread may end while others live.
        let ended = matches!(*fields.first()?, "Z" | "X") && number(fields.get(17)?)? <= 1;
        Some(Self { ended, start: number(fields.get(19)?)? })
    }
}

fn read_own() -> Option<Process> {
    let pid = std::process::id();
    // A /proc of other namespaces would show other processes.
    let shown = std::fs::read_link("/proc/self").ok()?;
    if shown.to_str()?.parse() != Ok(pid) {
        return None;
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = |name: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}")).ok()?;
        number(link.to_str()?.split_once('[')?.1.strip_suffix(']')?)
    };
    let stat = Stat::parse(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
    // Kernels before 5.6 have no namespaces of time.
    let spaces = (space("pid")?, space("time").unwrap_or(0));
    Some(Process { boot: uuid(boot.trim())?, spaces, pid, start: stat.start })
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn uuid(text: &str) -> Option<String> {
    let good = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_survives_its_text_and_nothing_else_is_one() {
        let own = Process::own().unwrap();
        assert_eq!(Process::parse(&own.to_string()).as_ref(), Some(own));
        let boot = &own.boot;
        for bad in [
            "",
            "1/2/3",
            "x/1/1/1/1",
            &format!("{boot}/1/1/0/1"),
            &format!("{boot}/1/1/-1/1"),
            &format!("{boot}/1/1/1/1/1"),
            &format!("{boot}/1/1/99999999999/1"),
            &format!("{boot}/1/1/1/99999999999999999999"),
            &format!("{boot}/1/1/1/1{}", "0".repeat(200)),
        ] {
            assert_eq!(Process::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_a_process_of_this_machine_that_ended_is_gone() {
        let own = Process::own().unwrap().clone();
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let start = Stat::parse(&stat).unwrap().start;
        let runs = Process { pid: child.id(), start, ..own.clone() };
        assert!(!own.gone() && !runs.gone(), "both run");
        assert!(Process { start: start + 1, ..runs.clone() }.gone(), "another one has its pid");
        child.kill().unwrap();
        let ended = || {
            std::fs::read_to_string(format!("/proc/{}/stat", child.id()))
                .is_ok_and(|s| s.contains(") Z "))
        };
        while !ended() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(runs.gone(), "its parent has not asked for its status yet");
        child.wait().unwrap();
        assert!(runs.gone());
        for (what, other) in [
            ("another boot", Process { boot: "0".repeat(36), ..runs.clone() }),
            ("another container", Process { spaces: (1, own.spaces.1), ..runs.clone() }),
            ("another time", Process { spaces: (own.spaces.0, 1), ..runs }),
        ] {
            assert!(!other.gone(), "{what}");
        }
    }

    #[test]
    fn a_name_in_a_stat_file_misleads_nobody() {
        let rest = (4..=52).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let stat = Stat::parse(&format!("7 (a) Z 1) S {rest}")).unwrap();
        assert_eq!((stat.ended, stat.start), (false, 22));
        // Its first thread has ended, and 20 threads run.
        assert!(!Stat::parse(&format!("7 (x) Z {rest}")).unwrap().ended);
        assert!(Stat::parse("7 (x").is_none() && Stat::parse("").is_none());
    }
}
