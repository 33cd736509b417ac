//! Shell programs: constant text with arguments.
//!
//! What varies is an argument, passed as a quoted word; it is never pasted into the text. A program
//! travels on stdin, so its arguments appear on no command line.
use super::template::{Template, Values};
use crate::base::Problem;
use crate::base::shell::join;
use std::fmt::Write;
use std::time::Duration;

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program's file name, `stop_server.sh`.
    pub name: &'static str,
    /// Texts in order: the libraries that the program needs, then its own.
    parts: &'static [&'static str],
    args: Vec<Template>,
    /// How long the program may take.
    pub deadline: Duration,
}

/// A program from the `.sh` file beside the source: `program!("stop_server.sh", LIB)`. After the
/// file come the texts of the libraries that it needs, in order.
#[macro_export]
macro_rules! program {
    ($file:literal $(, $lib:expr)* $(,)?) => {
        $crate::engine::Program::of($file, &[$($lib,)* include_str!($file)])
    };
}

/// The part of a path after its last slash.
const fn file_name(path: &'static str) -> &'static str {
    let mut at = path.len();
    while at > 0 && path.as_bytes()[at - 1] != b'/' {
        at -= 1;
    }
    path.split_at(at).1
}

impl Program {
    /// A program by its file name and its texts; the last text is its own. It may take 30 s.
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
    /// Sets how long the program may take; 30 s otherwise.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The program's own text, without its libraries.
    #[must_use]
    pub fn own(&self) -> &'static str {
        self.parts.last().copied().unwrap_or_default()
    }
    /// The whole text, libraries included.
    #[must_use]
    pub fn text(&self) -> String {
        self.parts.concat()
    }
    /// The arguments as a runbook shows them: a named value stands as `<name>`.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        self.args.iter().map(Template::show).collect()
    }
    /// What the shell reads: the arguments as quoted words, then the text.
    ///
    /// # Errors
    /// An argument names a value that is not in `values`.
    pub fn script(&self, values: &Values) -> Result<String, Problem> {
        let args = self.args.iter().map(|a| a.fill(values)).collect::<Result<Vec<_>, _>>()?;
        Ok(format!("set -- {}\n{}", join(args), self.text()))
    }
    /// The lines that a runbook shows: the command line, then the program's own text.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut head = self.name.to_owned();
        for arg in self.shown() {
            // An argument may be a whole file; its lines stay as they are.
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
