//! A script and what came out of it.
use std::time::Duration;

/// One POSIX sh script with its deadline.
///
/// At its outermost level it sets no trap for `EXIT` and ends with no `exec COMMAND`: its shell
/// itself says that the script has ended ([`super::frame`]). Who needs such a trap puts it, with
/// what it stands for, into parentheses.
#[derive(Clone)]
pub struct Script {
    /// The text; it goes over stdin, so it may hold secrets (never log it).
    text: String,
    /// How long it may take from being sent to its exit (when it is opened: until it is ready). The
    /// host's own `timeout` ends it a second later even if the link is cut.
    pub deadline: Duration,
    /// Run as this user instead of the login user (`runuser` for root, `sudo -n -u` otherwise).
    pub run_as: Option<String>,
    /// Whether it may change anything: refused in observe mode. The default; [`Script::read`] makes
    /// the other kind.
    pub effect: bool,
    /// The most that it may print, in bytes.
    pub limit: usize,
}

impl Script {
    /// A script that may change the host, with the usual deadline of 30 s.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: text.as_ref().to_owned(),
            deadline: Duration::from_secs(30),
            run_as: None,
            effect: true,
            limit: Output::LIMIT,
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
    /// Sets how much it may print.
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
    /// Runs it as `user`; an empty name means the login user.
    #[must_use]
    pub fn run_as(mut self, user: &str) -> Self {
        self.run_as = (!user.is_empty()).then(|| user.to_owned());
        self
    }
    /// What it does.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
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

/// What a script left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 + signal when killed.
    pub status: i32,
    /// Standard output, whole.
    pub stdout: String,
    /// The end of standard error, at most [`Output::ERRORS`] bytes; for people only.
    pub stderr: String,
}

impl Output {
    /// The most that a script may print, unless it says otherwise ([`Script::at_most`]).
    pub const LIMIT: usize = 4 << 20;
    /// The most that is kept of standard error.
    pub const ERRORS: usize = 64 << 10;
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
        last_lines(if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr })
    }
}

/// The last lines of `text` that are not empty, a page at most.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(6)..].join("\n");
    last.chars().skip(last.chars().count().saturating_sub(4 << 10)).collect()
}
