//! What commands print and how they end: data on stdout, everything else on stderr, plain when
//! piped.
use crate::base::{Kind, Problem};
use serde::Serialize;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All is well.
    Done,
    /// It did not work.
    Failed,
    /// There is something to do (or something differs).
    Pending,
    /// Somebody else holds the object.
    Locked,
    /// It was refused, by us or by the user.
    Refused,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(match end {
            End::Done => 0,
            End::Failed => 1,
            End::Pending => 2,
            End::Locked => 3,
            End::Refused => 4,
        })
    }
}

/// Where output goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Out {
    /// Data as JSON.
    pub json: bool,
    /// stdout is a terminal.
    pub terminal: bool,
    /// stderr takes colour.
    color: bool,
}

impl Out {
    /// As this process was started.
    #[must_use]
    pub fn of_process(json: bool) -> Self {
        let quiet = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            json,
            terminal: std::io::stdout().is_terminal(),
            color: std::io::stderr().is_terminal() && !quiet,
        }
    }

    /// Prints the command's result.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn data<T: Serialize + ?Sized>(
        &self,
        value: &T,
        human: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        let text = if self.json {
            serde_json::to_string_pretty(value).map_err(|e| Problem::internal(e.to_string()))?
        } else {
            human()
        };
        self.print(text.trim_end_matches('\n'))
    }

    /// Prints a line of data as it comes.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn print(&self, text: &str) -> Result<(), Problem> {
        let mut stdout = std::io::stdout().lock();
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            // `ob … | head` is no failure.
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Problem::user("cannot write to standard output")
                    .why(e.to_string())
                    .fix("free space, or send the output elsewhere"))
            }
            _ => Ok(()),
        }
    }

    /// Says something to the person in front of it.
    pub fn say(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Says what went wrong and how the process ends because of it.
    pub fn fail(&self, problem: &Problem) -> End {
        self.say(&format!("{} {problem}", self.paint("Error:", "1;31")));
        match problem.kind {
            Kind::Locked => End::Locked,
            Kind::Refused => End::Refused,
            _ => End::Failed,
        }
    }

    /// Says something that can be acted on.
    pub fn warn(&self, problem: &Problem) {
        self.say(&format!("{} {problem}", self.paint("Warning:", "1;33")));
    }

    /// Text in a colour, where stderr takes one.
    #[must_use]
    pub fn paint(&self, text: &str, code: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Lets the user type `word` before something is changed; `yes` is the answer given in advance.
    ///
    /// # Errors
    /// Another word was typed, or nobody can type.
    pub fn confirm(&self, word: &str, yes: bool) -> Result<(), Problem> {
        if yes {
            return Ok(());
        }
        let refuse = |why: &str| {
            Problem::refused("nothing was done")
                .why(why.to_owned())
                .fix("type the word that is asked for, or give --yes")
        };
        if !std::io::stdin().is_terminal() {
            return Err(refuse("standard input is no terminal, so nobody can say yes"));
        }
        let _ = write!(std::io::stderr(), "\nType \"{word}\" to go on: ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        let _ = std::io::stdin().lock().read_line(&mut line);
        if line.trim() == word { Ok(()) } else { Err(refuse("it was not confirmed")) }
    }
}

/// Rows in columns; the last column is never padded.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> =
            row.iter().enumerate().map(|(c, t)| format!("{t:<w$}", w = widths[c])).collect();
        cells.join("   ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Seconds between two readings of one clock, for people.
#[must_use]
pub fn span(from: i64, to: i64) -> String {
    let seconds = u64::try_from(to - from).unwrap_or(0);
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        crate::base::units::show_duration(Duration::from_secs(seconds))
    }
}
