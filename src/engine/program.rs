//! Shell programs: constant text with arguments.
//!
//! What varies is an argument, passed as a quoted word; it is never pasted into the text. A program
//! travels on stdin, so its arguments are on no command line.
use super::template::{Template, Values};
use crate::base::Problem;
use crate::base::shell::join;
use std::fmt::Write;
use std::time::Duration;

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its file name, `stop_server.sh`.
    pub name: &'static str,
    /// Its text, after what it needs of others.
    parts: &'static [&'static str],
    args: Vec<Template>,
    /// How long it may take.
    pub deadline: Duration,
}

/// A program out of the `.sh` file beside the source: `program!("stop_server.sh", LIB)`. What comes
/// after the file are the texts that it needs, in order.
#[macro_export]
macro_rules! program {
    ($file:literal $(, $lib:expr)* $(,)?) => {
        $crate::engine::Program::of($file, &[$($lib,)* include_str!($file)])
    };
}

/// What follows the last slash.
const fn file_name(path: &'static str) -> &'static str {
    let mut at = path.len();
    while at > 0 && path.as_bytes()[at - 1] != b'/' {
        at -= 1;
    }
    path.split_at(at).1
}

impl Program {
    /// A program by its file name and texts, the last of which is its own.
    #[must_use]
    pub const fn of(name: &'static str, parts: &'static [&'static str]) -> Self {
        let name = file_name(name);
        Self { name, parts, args: Vec::new(), deadline: Duration::from_secs(30) }
    }
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<Template>) -> Self {
        self.args.push(arg.into());
        self
    }
    /// Adds arguments.
    #[must_use]
    pub fn args<T: Into<Template>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
    /// Sets how long it may take; 30 s otherwise.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Its own text, without what it needs of others.
    #[must_use]
    pub fn own(&self) -> &'static str {
        self.parts.last().copied().unwrap_or_default()
    }
    /// Its whole text.
    #[must_use]
    pub fn text(&self) -> String {
        self.parts.concat()
    }
    /// The arguments, values by name.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        self.args.iter().map(Template::show).collect()
    }
    /// What the shell reads: the arguments as quoted words, then the text.
    ///
    /// # Errors
    /// A named value is not there.
    pub fn script(&self, values: &Values) -> Result<String, Problem> {
        let args = self.args.iter().map(|a| a.fill(values)).collect::<Result<Vec<_>, _>>()?;
        Ok(format!("set -- {}\n{}", join(args), self.text()))
    }
    /// What people read: the command line, then its own text.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut head = self.name.to_owned();
        for arg in self.shown() {
            // One argument may be a whole file: its lines stand as they are.
            let _ = write!(head, " {}", crate::base::shell::quote(&arg));
        }
        let mut lines = vec![head];
        lines.extend(self.own().lines().map(|l| format!("  {l}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::template::Name;

    #[test]
    fn arguments_arrive_as_they_are_and_run_nothing() {
        let program = Program::of("t.sh", &["printf '<%s>' \"$@\""])
            .arg("a b")
            .arg("$(id) `id` '\"\\")
            .arg(Template::value(Name("x")))
            .arg("");
        let script = program.script(&Values::default().with(Name("x"), "it's\nso")).unwrap();
        let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        assert_eq!(said, "<a b><$(id) `id` '\"\\><it's\nso><>");
        assert_eq!(program.shown()[2], "<x>");
        assert!(program.script(&Values::default()).is_err(), "a value that is not there");
    }
}
