//! What commands print and how they end. Data goes to stdout, everything else to stderr; without a
//! terminal it is plain text. With `--json` each line of stderr is a JSON document too. All text goes through [`visible`]; colour and cursor moves are added
//! behind that.
use crate::base::visible::visible_json;
use crate::base::{Kind, Problem, visible};
use serde::Serialize;
use serde_json::{Value as Json, json};
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

impl End {
    /// The exit status.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Pending => 2,
            Self::Locked => 3,
            Self::Refused => 4,
        }
    }
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(end.status())
    }
}

/// Where output goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Out {
    /// Whether data is printed as JSON.
    pub json: bool,
    /// Whether stdout is a terminal.
    pub terminal: bool,
    /// Whether stderr takes colour.
    color: bool,
}

impl Out {
    /// The output that this process was started with.
    #[must_use]
    pub fn of_process(json: bool) -> Self {
        let quiet = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            json,
            terminal: std::io::stdout().is_terminal(),
            color: std::io::stderr().is_terminal() && !quiet,
        }
    }

    /// Prints the command's result: `value` as JSON, or the text that `human` makes.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn data<T: Serialize + ?Sized>(
        &self,
        value: &T,
        human: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        if self.json {
            let text = serde_json::to_string_pretty(value);
            return self.json(&text.map_err(|e| Problem::internal(e.to_string()))?);
        }
        self.print(human().trim_end_matches('\n'))
    }

    /// Prints a JSON document as it comes.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn json(&self, document: &str) -> Result<(), Problem> {
        write(&visible_json(document))
    }

    /// Prints a line of data as it comes.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn print(&self, text: &str) -> Result<(), Problem> {
        write(&visible(text))
    }

    /// Prints text in the place of the last `lines` lines of a terminal.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn redraw(&self, lines: usize, text: &str) -> Result<(), Problem> {
        let back = if lines > 0 { format!("\x1b[{lines}F\x1b[J") } else { String::new() };
        write(&(back + &visible(text)))
    }

    /// Says something to the user, on stderr.
    pub fn say(&self, text: &str) {
        self.tell(&Told::Text(text));
    }

    /// Says what went wrong, and gives how the process ends because of it.
    pub fn fail(&self, problem: &Problem) -> End {
        self.tell(&Told::Error(problem));
        ended(problem)
    }

    /// Says what the user should do something about.
    pub fn warn(&self, problem: &Problem) {
        self.tell(&Told::Warning(problem));
    }

    /// Says how far a step or a wait is.
    pub fn progress(&self, word: &'static str, color: &'static str, title: &str, more: &str) {
        self.tell(&Told::Progress { word, color, title, more });
    }

    fn tell(&self, what: &Told<'_>) {
        let _ = writeln!(std::io::stderr(), "{}", self.line(what));
    }

    /// The text that stderr gets: a line of JSON, or text with its first word in colour.
    fn line(&self, what: &Told<'_>) -> String {
        if self.json {
            return visible_json(&what.json().to_string()).into_owned();
        }
        match *what {
            Told::Text(text) => self.told("", "", text),
            Told::Error(problem) => self.told("Error:", "1;31", &format!(" {problem}")),
            Told::Warning(problem) => self.told("Warning:", "1;33", &format!(" {problem}")),
            Told::Progress { word, color, title, more } => {
                let more = if more.is_empty() { String::new() } else { format!("   {more}") };
                self.told(&format!("  {word:<7}"), color, &format!("  {title}{more}"))
            }
        }
    }

    fn told(&self, word: &str, color: &str, text: &str) -> String {
        let (word, text) = (visible(word), visible(text));
        let colored = self.color && !color.is_empty();
        if colored { format!("\x1b[{color}m{word}\x1b[0m{text}") } else { format!("{word}{text}") }
    }

    /// Asks the user to type `word` before something is changed. `yes`: the answer was given in
    /// advance.
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
        let _ = write!(std::io::stderr(), "\nType \"{}\" to go on: ", visible(word));
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        let _ = std::io::stdin().lock().read_line(&mut line);
        if line.trim() == word { Ok(()) } else { Err(refuse("it was not confirmed")) }
    }
}

/// Something that stderr gets.
enum Told<'a> {
    Text(&'a str),
    Error(&'a Problem),
    Warning(&'a Problem),
    Progress { word: &'static str, color: &'static str, title: &'a str, more: &'a str },
}

impl Told<'_> {
    /// The same for programs: `level` says what it is, and texts that are not set are left out.
    fn json(&self) -> Json {
        let (level, mut body) = match *self {
            Self::Text(text) => ("info", json!({ "text": text.trim_end() })),
            Self::Error(problem) => {
                let mut body = of(problem);
                body["exit"] = json!(ended(problem).status());
                ("error", body)
            }
            Self::Warning(problem) => ("warning", of(problem)),
            Self::Progress { word, title, more, .. } => {
                ("progress", json!({ "state": word, "title": title, "note": more }))
            }
        };
        body["level"] = json!(level);
        if let Some(body) = body.as_object_mut() {
            body.retain(|_, text| text.as_str().is_none_or(|t| !t.is_empty()));
        }
        body
    }
}

fn of(problem: &Problem) -> Json {
    json!({
        "kind": problem.kind.as_str(), "what": problem.what, "where": problem.place,
        "why": problem.why, "fix": problem.fix, "then": problem.then,
    })
}

/// How a process ends because of a problem.
fn ended(problem: &Problem) -> End {
    match problem.kind {
        Kind::Locked => End::Locked,
        Kind::Refused | Kind::NoWay => End::Refused,
        _ => End::Failed,
    }
}

fn write(text: &str) -> Result<(), Problem> {
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

/// Lays rows out in columns. The last column is never padded.
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

/// The time between two readings of one clock (seconds), for people.
#[must_use]
pub fn span(from: i64, to: i64) -> String {
    let seconds = u64::try_from(to - from).unwrap_or(0);
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        crate::base::units::show_duration(Duration::from_secs(seconds))
    }
}

/// A reading of a clock (seconds since 1970) as a moment, for people.
#[must_use]
pub fn moment(at: i64) -> String {
    crate::base::date::second(Duration::from_secs(u64::try_from(at).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Cx;
    use crate::transport::{Endpoint, Pool, SshConfig};
    use std::collections::BTreeMap;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn what_goes_wrong_is_json_with_json() {
        let out = Out { json: true, ..Out::default() };
        let steers = out.line(&Told::Error(&Problem::user("\x1b[2J\u{9b}\u{202e}\r")));
        assert!(steers.is_ascii() && !steers.contains(|c: char| c.is_control()), "{steers}");
        let problem = Problem::refused("no").place("h").why("two\nlines").fix("do");
        for (told, want) in [
            (
                Told::Error(&problem),
                json!({ "level": "error", "kind": "refused", "what": "no", "where": "h",
                    "why": "two\nlines", "fix": "do", "exit": 4 }),
            ),
            (
                Told::Warning(&Problem::user("look")),
                json!({ "level": "warning", "kind": "user", "what": "look" }),
            ),
            (Told::Text("a\n"), json!({ "level": "info", "text": "a" })),
            (
                Told::Progress { word: "done", color: "", title: "start", more: "3s" },
                json!({ "level": "progress", "state": "done", "title": "start", "note": "3s" }),
            ),
        ] {
            let line = out.line(&told);
            assert!(!line.contains('\n'), "one line each: {line}");
            assert_eq!(serde_json::from_str::<Json>(&line).unwrap(), want);
        }
    }

    /// A host's output tries to take over the terminal. Checks every way by which it would get
    /// there.
    #[tokio::test]
    async fn nothing_a_host_says_steers_the_terminal() {
        let endpoint = Endpoint {
            name: "hostile".into(),
            address: "local".parse().unwrap(),
            port: 0,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        };
        let cancel = CancellationToken::new();
        let cx = Cx::new(Pool::new(SshConfig::default(), cancel.clone()), cancel, BTreeMap::new());
        let host = crate::engine::Host { endpoint, run_as: String::new() };
        const CLEAR: crate::engine::Program = crate::engine::Program::of(
            "clear.sh",
            &["printf '\\033]0;owned\\007\\033[2J\\302\\2332J\\342\\200\\256Apply complete!\\r' \
               >&2; exit 9"],
        );
        let problem = cx.read(&host, &CLEAR).await.unwrap_err();
        assert!(problem.why.contains("\x1b[2J\u{9b}2J\u{202e}Apply"), "it came: {problem:?}");
        let shown = "\\x1b]0;owned\\x07\\x1b[2J\\u{9b}2J\\u{202e}Apply complete!";
        let diagnostic = crate::schema::report::diagnostic(problem.clone());
        let plain = Out::default();
        for text in [
            problem.to_string(),
            format!("{}{}", diagnostic.summary, diagnostic.detail),
            plain.told("Error:", "1;31", &format!("{problem}")),
            plain.line(&Told::Progress { word: "done", color: "", title: &problem.why, more: "" }),
            plain.told("", "", &problem.why),
            Out { color: true, ..plain }.told("", "1;31", &problem.why),
            visible(&table(&[vec![problem.why.clone()]])).into_owned(),
        ] {
            assert!(text.contains(shown), "{text:?}");
            let raw = text.replace("\x1b[1;31m\x1b[0m", "");
            assert!(!raw.contains(['\x1b', '\u{9b}', '\u{202e}', '\r', '\x07']), "{text:?}");
        }
    }
}
