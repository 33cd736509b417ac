//! A script and what came out of it.
use std::time::Duration;

/// One POSIX sh script with its deadline.
#[derive(Clone, Debug)]
pub struct Script {
    /// The text; it goes over stdin, so it may hold secrets (never log it).
    text: String,
    /// How long it may take from being sent to its exit.
    pub deadline: Duration,
    /// True when it may change the host: refused in observe mode.
    pub effect: bool,
    /// Run as this user instead of the login user (`runuser` for root, `sudo -n -u` otherwise).
    pub run_as: Option<String>,
}

/// Put before every script: the C locale, and no umask surprises.
const PRELUDE: &str = "export LC_ALL=C; umask 022\n";

impl Script {
    /// A script with the usual deadline of 30 s.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: text.as_ref().to_owned(), deadline: Duration::from_secs(30), effect: true, run_as: None }
    }
    /// A script that only reads: allowed in observe mode.
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
        // The braces make the shell read the whole script before it runs a line: a cut link cannot run half of it.
        format!("{PRELUDE}{{\n{}\n}}\n", self.text)
    }
    /// The command line that reads [`Script::body`] on its stdin.
    #[must_use]
    pub fn command(&self) -> String {
        as_user(self.run_as.as_deref(), "exec /bin/sh -s")
    }
}

/// Wraps a command line so that it runs as `user`: nothing for the login user itself, `runuser` for root, else `sudo -n`.
#[must_use]
pub fn as_user(user: Option<&str>, command: &str) -> String {
    let Some(user) = user else { return command.to_owned() };
    let user = crate::base::shell::quote(user);
    let command = crate::base::shell::quote(command);
    format!("if [ \"$(id -un)\" = {user} ]; then exec /bin/sh -c {command}; elif [ \"$(id -u)\" = 0 ]; then exec runuser -u {user} -- /bin/sh -c {command}; else exec sudo -n -H -u {user} /bin/sh -c {command}; fi")
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
