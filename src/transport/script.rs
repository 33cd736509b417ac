//! A script and what came out of it.
use std::time::Duration;

/// One POSIX sh script with its deadline.
///
/// At its outermost level a script must set no trap for `EXIT` and must not end with `exec
/// COMMAND`: a trap of its shell tells that the script has ended ([`super::frame`]). A script that
/// needs such a trap puts it into a subshell, together with what the trap is for.
#[derive(Clone)]
pub struct Script {
    /// The script's text. It is sent on stdin, so it may hold secrets: never log it.
    text: String,
    /// How long the script may take from being sent to its exit; with [`super::Transport::open`]:
    /// until it is ready. The host's own `timeout` ends a script that runs to its end one to two
    /// seconds later, even if the link is cut.
    pub deadline: Duration,
    /// The user that runs the script instead of the login user (by `runuser` for root, by `sudo -n
    /// -u` otherwise).
    pub run_as: Option<String>,
    /// Whether the script may change the host; observe mode refuses such a script. True from
    /// [`Script::new`], false from [`Script::read`].
    pub effect: bool,
    /// The most that the script may print, in bytes.
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
    /// Sets the most that the script may print, in bytes.
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
    /// Sets the user that runs the script; an empty name means the login user.
    #[must_use]
    pub fn run_as(mut self, user: &str) -> Self {
        self.run_as = (!user.is_empty()).then(|| user.to_owned());
        self
    }
    /// The script's text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for Script {
    /// Leaves the text out: it may hold secrets.
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
    /// The most that a script may print, in bytes, unless it sets another bound
    /// ([`Script::at_most`]).
    pub const LIMIT: usize = 4 << 20;
    /// The most that is kept of standard error, in bytes.
    pub const ERRORS: usize = 64 << 10;
    /// How long to wait for more output after a script's exit, when its children keep the streams
    /// open.
    pub const GRACE: Duration = Duration::from_millis(700);

    /// Whether the exit status is 0.
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

/// The last lines of `text` that are not empty: at most 6, and of these at most the last 4096
/// characters.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(6)..].join("\n");
    last.chars().skip(last.chars().count().saturating_sub(4 << 10)).collect()
}
