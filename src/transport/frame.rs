//! Frames a script: what is sent to a host for it, and which part of the host's output is its
//! answer.
//!
//! The login shell of a host is unknown. It may be fish or csh, its start files may print, a forced
//! command may stand in its place. So the login shell gets one constant line, [`COMMAND`], and
//! everything else goes over stdin to `/bin/sh`. The first line there becomes the user and starts
//! the watchdog; then follows the script. The script's shell prints a line with a fresh random
//! number before the script begins and after it has ended. What lies between these lines is the
//! answer; all else is noise.
use super::TransportError;
use super::script::{Output, Script, last_lines};
use super::sudo::ROOT;
use crate::base::shell::quote;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// All that the login shell sees. Every known shell takes it for the same three words, because it
/// holds no quote in a quote, no backslash, no `!` and no line end.
///
/// `read` takes the first line of stdin and not a byte more. POSIX asks that of `read`, while a
/// shell that reads a script from stdin may read ahead. So the rest of stdin is left for the shell
/// that the first line starts.
pub const COMMAND: &str = "exec /bin/sh -c 'read -r ob && eval \"$ob\"'";

/// Sets the C locale, and a `PATH` that has the system commands.
const ENVIRONMENT: &str = "export LC_ALL=C \
    PATH=\"${PATH:-/usr/local/bin:/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin\"";

/// Shell that sets `${20}` to when process `pid` started: field 22 of its `stat`, in clock ticks since
/// the boot. Empty without `/proc` and without such a process. Any login shell can quote it: see
/// [`COMMAND`].
fn start_of(pid: &str) -> String {
    format!("ob_s=; {{ read -r ob_s </proc/{pid}/stat; }} 2>/dev/null; set -- ${{ob_s##*) }}")
}

/// Shell that prints its own number and, behind it, its start.
fn numbers() -> String {
    format!("{}; echo \"$$ ${{20}}\"", start_of("$$"))
}

/// The most bytes that an open script may say before it is ready, and the most that are kept of
/// noise.
const TALK: usize = 64 << 10;

/// One script on its way to a host.
pub struct Frame {
    /// What the host gets on stdin.
    pub text: String,
    nonce: String,
    limit: usize,
}

impl Frame {
    /// The frame of a script that runs to its end. If the script has input, it is sent once the
    /// script has called `ob_ready`. `login` is the login user (empty: not known).
    #[must_use]
    pub fn run(script: &Script, login: &str) -> Self {
        Self::new(script, login, Some(script.deadline))
    }

    /// The frame of a script with which the caller talks once it has called `ob_ready`, for as long
    /// as both like.
    #[must_use]
    pub fn open(script: &Script, login: &str) -> Self {
        Self { limit: TALK, ..Self::new(script, login, None) }
    }

    fn new(script: &Script, login: &str, watchdog: Option<Duration>) -> Self {
        let nonce = format!("{:032x}", rand::random::<u128>());
        let user = script.run_as.as_deref();
        // The watchdog ends the script on the host itself, even if the link was cut meanwhile.
        let shell = watchdog.map_or_else(
            || "/bin/sh -s".to_owned(),
            |limit| format!("timeout -k 5 {} /bin/sh -s", limit.as_secs().saturating_add(2)),
        );
        // An open script has one stream for all that it says, and prints no line at its end.
        let (merge, end) = match watchdog {
            Some(_) => {
                let end = format!("printf \"\\nob-{nonce} end %s\\n\" \"$?\" 2>/dev/null");
                ("", format!("trap '{end}' EXIT\n"))
            }
            None => ("exec 2>&1; ", String::new()),
        };
        let become_user = as_user(login, user, &shell);
        let home = user.map_or(String::new(), home);
        // The braces make the shell read the whole script before it runs a line, so a cut link
        // cannot run half of it. The `exit` behind them keeps the shell from taking the script's
        // input for commands.
        let text = format!(
            "{merge}{ENVIRONMENT}; printf '\\nob-{nonce} pid '; {}; {become_user}\n\
             {ENVIRONMENT}; umask 022\n{home}{ROOT}\
             ob_ready() {{ printf '\\nob-{nonce} ready\\n'; }}\n\
             {end}printf '\\nob-{nonce} begin\\n'\n{{\n{}\n}}; exit\n",
            numbers(),
            script.text(),
        );
        Self { text, nonce, limit: script.limit }
    }

    /// A reader of the answer to this frame.
    #[must_use]
    pub fn answer(&self) -> Answer {
        Answer {
            mark: format!("\nob-{} ", self.nonce).into_bytes(),
            limit: self.limit,
            read: 0,
            group: None,
            ready: None,
            stage: Stage::Noise,
            out: Vec::new(),
            err: Vec::new(),
            scanned: 0,
        }
    }
}

/// Shell that sets `ob_home` to the home of `user`, which the shell looks up without starting a
/// process; `$HOME` may be another user's. Empty when `user` has a character that `~user` may not
/// have.
fn home(user: &str) -> String {
    let plain = user.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && user.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if plain { format!("ob_home=~{user}\n") } else { String::new() }
}

/// One line of sh that runs the command `words` as `user`: directly if that is the login user, by
/// `runuser` if that one is root, else by `sudo -n`. `login` is the login user (empty: not known).
fn as_user(login: &str, user: Option<&str>, words: &str) -> String {
    let Some(user) = user.filter(|user| *user != login) else { return format!("exec {words}") };
    let (user, sudo) = (quote(&user.replace('\n', " ")), quote(&format!("exec {words}")));
    format!(
        "ob_me=$(id -un); if [ \"$ob_me\" = {user} ]; then exec {words}; \
         elif [ \"$ob_me\" = root ] || [ \"$(id -u)\" = 0 ]; \
         then exec runuser -u {user} -- {words}; \
         else exec sudo -n -H -u {user} /bin/sh -c {sudo}; fi"
    )
}

/// The process group of a script on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Number of the group and of its first process; never 0 or 1.
    number: u32,
    /// When its first process started, in clock ticks since the boot; `None` on a host without
    /// `/proc`.
    start: Option<u64>,
}

impl Group {
    /// Reads what [`numbers`] prints. A host may print anything: 0 and 1 are refused, because `kill`
    /// takes -0 for the caller's own group and -1 for every process.
    fn parse(text: &str) -> Option<Self> {
        let (number, start) = text.split_once(' ').unwrap_or((text, ""));
        Some(Self {
            number: number.parse().ok().filter(|n| (2..=i32::MAX as u32).contains(n))?,
            start: start.trim().parse().ok(),
        })
    }

    /// The command that kills the group. It may reach the host long after it was sent (a cut link
    /// delivers it when it is whole again), and numbers are used again: it kills nothing unless the
    /// group's first process is still the same. That one lives as long as the script: it is the
    /// watchdog, the script's own shell, or what became its user.
    ///
    /// Any login shell can read it: see [`COMMAND`].
    #[must_use]
    pub fn kill(self) -> String {
        let Self { number, start } = self;
        // With `-s`, because dash takes no process group after `kill -KILL --`.
        let kill = format!("kill -s KILL -- -{number}");
        let Some(start) = start else { return format!("exec /bin/sh -c '{kill}'") };
        format!(
            "exec /bin/sh -c '{}; [ x${{20}} = x{start} ] && {kill}'",
            start_of(&number.to_string())
        )
    }
}

/// How far the reading of an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The script has not begun.
    Noise,
    /// The script has begun and not ended: what comes is the answer.
    Within,
    /// The script has ended with this status.
    Ended(i32),
}

/// Reads what a host answers to a [`Frame`]: no more than the bound, and only what the script
/// itself said.
#[derive(Debug)]
pub struct Answer {
    mark: Vec<u8>,
    limit: usize,
    read: usize,
    /// The script's process group on the host, as soon as it is known.
    pub group: Option<Group>,
    /// The place in `out` at which the script called `ob_ready`.
    ready: Option<usize>,
    stage: Stage,
    out: Vec<u8>,
    err: Vec<u8>,
    /// No line of the frame begins before this place in `out`.
    scanned: usize,
}

impl Answer {
    /// Takes bytes that came on stdout.
    ///
    /// # Errors
    /// [`TransportError::TooMuch`].
    pub fn stdout(&mut self, data: &[u8]) -> Result<(), TransportError> {
        if self.ended() {
            return Ok(());
        }
        self.read = self.read.saturating_add(data.len());
        self.out.extend_from_slice(data);
        while let Some((at, next)) = self.line() {
            let word = String::from_utf8_lossy(&self.out[at + self.mark.len()..next - 1]);
            let (word, rest) = word.split_once(' ').unwrap_or((&word, ""));
            let (group, status) = (Group::parse(rest), rest.parse::<u32>().ok());
            match (word, self.stage, group, status) {
                ("pid", Stage::Noise, Some(group), _) => {
                    self.group = Some(group);
                    self.out.drain(at..next);
                    self.scanned = at;
                }
                ("begin", Stage::Noise, ..) => {
                    self.out.drain(..next);
                    (self.stage, self.scanned) = (Stage::Within, 0);
                }
                ("ready", Stage::Within, ..) if self.ready.is_none() => {
                    self.ready = Some(at);
                    self.out.drain(at..next);
                    self.scanned = at;
                }
                ("end", Stage::Within, _, Some(status)) => {
                    self.out.truncate(at);
                    self.stage = Stage::Ended(i32::try_from(status).unwrap_or(-1));
                    return self.bounded(self.out.len(), self.limit);
                }
                _ => self.scanned = at + 1,
            }
        }
        if self.stage == Stage::Noise {
            let surplus = self.out.len().saturating_sub(TALK);
            self.out.drain(..surplus);
            self.scanned = self.scanned.saturating_sub(surplus);
            return self.bounded(self.read, self.limit.max(TALK));
        }
        // Bytes that may still turn out to be a line of the frame do not count.
        self.bounded(self.scanned, self.limit)
    }

    fn bounded(&self, length: usize, bound: usize) -> Result<(), TransportError> {
        let read = self.read;
        if length <= bound { Ok(()) } else { Err(TransportError::TooMuch { read, bound }) }
    }

    /// The next whole line of the frame in `out`: where it begins, and where what follows it
    /// begins.
    fn line(&mut self) -> Option<(usize, usize)> {
        let from = self.scanned;
        for at in (from..self.out.len()).filter(|at| self.out[*at] == b'\n') {
            let rest = &self.out[at..];
            if rest.len() < self.mark.len() {
                if self.mark.starts_with(rest) {
                    self.scanned = at;
                    return None;
                }
            } else if rest.starts_with(&self.mark) {
                let behind = &rest[self.mark.len()..];
                match behind.iter().take(24).position(|b| *b == b'\n') {
                    Some(length) => return Some((at, at + self.mark.len() + length + 1)),
                    None if behind.len() < 24 => {
                        self.scanned = at;
                        return None;
                    }
                    None => {}
                }
            }
        }
        self.scanned = self.out.len();
        None
    }

    /// Takes bytes that came on stderr. Stderr is for people only: its end is kept.
    pub fn stderr(&mut self, data: &[u8]) {
        self.err.extend_from_slice(data);
        let surplus = self.err.len().saturating_sub(Output::ERRORS);
        self.err.drain(..surplus);
    }

    /// Whether the script has called `ob_ready`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// Whether the script has said that it has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// The answer of a script whose channel closed with `status` (`None`: the host did not say
    /// how).
    ///
    /// # Errors
    /// [`TransportError::NoShell`], [`TransportError::NotWhole`].
    pub fn finish(self, status: Option<i32>) -> Result<Output, TransportError> {
        let status = match (self.stage, status) {
            // What runs the script for us (sudo) may lose its status: then the status in the
            // script's last line counts. A signal may come after that line: then the channel's
            // status counts.
            (Stage::Ended(status), None | Some(0)) => status,
            (Stage::Noise, _) if self.group.is_none() => {
                return Err(TransportError::NoShell(self.said()));
            }
            (_, None | Some(0)) => return Err(TransportError::NotWhole(self.said())),
            (_, Some(status)) => status,
        };
        // Before its begin line the script itself said nothing. What others said then helps to
        // explain a failure, so it goes to stderr.
        let (mut out, mut err) = (self.out, self.err);
        if self.stage == Stage::Noise {
            err.splice(..0, std::mem::take(&mut out));
        }
        Ok(Output {
            status,
            stdout: String::from_utf8_lossy(&out).into_owned(),
            stderr: String::from_utf8_lossy(&err).into_owned(),
        })
    }

    /// The last lines of all that came, for a message.
    fn said(&self) -> String {
        let text = [&self.out[..self.scanned], b"\n", &self.err[..]].concat();
        let text = String::from_utf8_lossy(&text);
        // A program that takes our script for typed lines may print it back. There may be secrets
        // in it, so it is not shown.
        if text.contains(String::from_utf8_lossy(&self.mark).trim()) {
            return "our own script".to_owned();
        }
        last_lines(&text)
    }

    /// Reads until the script has called `ob_ready`. Gives the bytes that came after that line.
    ///
    /// # Errors
    /// [`TransportError::Ended`] with what the script said instead.
    pub async fn until_ready(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<Vec<u8>, TransportError> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            if let Some(at) = self.ready {
                return Ok(std::mem::take(&mut self.out).split_off(at));
            }
            match from.read(&mut buffer).await {
                Ok(n) if n > 0 => self.stdout(&buffer[..n])?,
                _ if self.stage == Stage::Noise && self.group.is_none() => {
                    return Err(TransportError::NoShell(self.said()));
                }
                _ => return Err(TransportError::Ended(self.said())),
            }
        }
    }
}

#[cfg(test)]
mod tests;
