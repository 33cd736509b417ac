//! A script and what came out of it.
use super::sudo::ROOT;
use crate::base::shell::quote;
use std::time::Duration;

/// One POSIX sh script with its deadline.
#[derive(Clone)]
pub struct Script {
    /// The text; it goes over stdin, so it may hold secrets (never log it).
    text: String,
    /// How long it may take from being sent to its exit. The host's own `timeout` ends it a second
    /// later even if the link is cut.
    pub deadline: Duration,
    /// Run as this user instead of the login user (`runuser` for root, `sudo -n -u` otherwise).
    pub run_as: Option<String>,
    /// Whether it may change anything: refused in observe mode. The default; [`Script::read`] makes
    /// the other kind.
    pub effect: bool,
}

/// Put before every script: the C locale, system commands in reach, no umask surprises, and the
/// function [`ROOT`].
const PRELUDE: &str = "export LC_ALL=C PATH=\"${PATH:-/usr/local/bin:/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin\"; umask 022\n";

impl Script {
    /// A script that may change the host, with the usual deadline of 30 s.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: text.as_ref().to_owned(),
            deadline: Duration::from_secs(30),
            run_as: None,
            effect: true,
        }
    }
    /// A script that only looks: it also runs in observe mode.
    pub fn read(text: impl AsRef<str>) -> Self {
        Self { effect: false, ..Self::new(text) }
    }
    /// Sets the deadline.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
    /// Runs it as `user`; an empty name means the login user.
    #[must_use]
    pub fn run_as(mut self, user: &str) -> Self {
        self.run_as = (!user.is_empty()).then(|| user.to_owned());
        self
    }
    /// The whole text that the shell gets.
    #[must_use]
    pub fn body(&self) -> String {
        let home = self.run_as.as_deref().map_or(String::new(), home);
        // The braces make the shell read the whole script before it runs a line: a cut link cannot
        // run half of it.
        format!("{PRELUDE}{home}{ROOT}{{\n{}\n}}\n", self.text)
    }
    /// The sh command line that reads [`Script::body`] on its stdin, for the login user `login`
    /// (empty: not known).
    #[must_use]
    pub fn command(&self, login: &str) -> String {
        as_user(login, self.run_as.as_deref(), &format!("{} /bin/sh -s", watchdog(self.deadline)))
    }
}

/// Tells the script its user's home, which the shell looks up without starting anything; `$HOME`
/// may be somebody else's.
fn home(user: &str) -> String {
    let plain = user.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && user.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if plain { format!("ob_home=~{user}\n") } else { String::new() }
}

impl std::fmt::Debug for Script {
    /// Without the text: it may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script")
            .field("deadline", &self.deadline)
            .field("run_as", &self.run_as)
            .field("effect", &self.effect)
            .finish_non_exhaustive()
    }
}

/// Ends what follows on the host itself, a second after we stopped waiting: also when the link was
/// cut meanwhile.
fn watchdog(deadline: Duration) -> String {
    format!("timeout -k 5 {}", deadline.as_secs().saturating_add(2))
}

/// Wraps one sh command line, with the C locale and the host's own deadline.
#[must_use]
pub fn limited(command: &str, deadline: Duration) -> String {
    format!("exec env LC_ALL=C {} {}", watchdog(deadline), shell(command))
}

/// Wraps one sh command line for any login shell, with the C locale and no deadline.
#[must_use]
pub fn unlimited(command: &str) -> String {
    format!("exec env LC_ALL=C {}", shell(command))
}

/// A sh command line as one command in words.
#[must_use]
pub fn shell(command: &str) -> String {
    format!("/bin/sh -c {}", quote(command))
}

/// The sh command line by which the login user `login` (empty: not known) becomes the command
/// `words`, run as `user`: directly if that is the same one, by `runuser` for root, else by `sudo
/// -n`.
#[must_use]
pub fn as_user(login: &str, user: Option<&str>, words: &str) -> String {
    let Some(user) = user.filter(|user| *user != login) else { return format!("exec {words}") };
    let (user, sudo) = (quote(user), shell(&format!("exec {words}")));
    format!(
        "ob_me=$(id -un); if [ \"$ob_me\" = {user} ]; then exec {words}; elif [ \"$ob_me\" = root ] || [ \"$(id -u)\" = 0 ]; then exec runuser -u {user} -- {words}; \
         else exec sudo -n -H -u {user} {sudo}; fi"
    )
}

/// What a script left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 + signal when killed.
    pub status: i32,
    /// Standard output, at most [`Output::LIMIT`] bytes.
    pub stdout: String,
    /// Standard error, at most [`Output::LIMIT`] bytes.
    pub stderr: String,
}

impl Output {
    /// The most that is kept of each stream; the rest is read and dropped.
    pub const LIMIT: usize = 4 << 20;
    /// After the exit, how long to wait in silence for output of children that kept the streams
    /// open.
    pub const GRACE: Duration = Duration::from_millis(700);

    /// Exit status 0.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.status == 0
    }
    /// The last lines of stderr (else stdout) for a message.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(6)..].join("\n")
    }
}

/// Keeps the first [`Output::LIMIT`] bytes of a stream.
pub(super) fn keep(kept: &mut Vec<u8>, data: &[u8]) {
    let room = Output::LIMIT.saturating_sub(kept.len());
    kept.extend_from_slice(&data[..data.len().min(room)]);
}
