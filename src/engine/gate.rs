//! The gate: what keeps two holders apart, on the host itself. This file only builds scripts; it
//! runs nothing.
//!
//! A gate is the file `$OB_STATE/objects/KEY/gate` (`$OB_STATE` is `~/.ob` of the user that runs
//! the servers). It holds a number that only grows, its holder, and when it was renewed by the
//! host's own uptime. Each effect enters through [`effect`]: it takes the object's effect lock,
//! checks number and renewal, writes its journal line, acts, writes the end line: all in one
//! script, so that no crash can part them. Gates outlive the object.
use super::fault::{self, Point};
use super::journal::Entry;
use super::key::Key;
use super::node::{Engine, Node};
use super::step::StepKind;
use crate::base::shell::{join, quote};
use std::fmt::Write;

/// The functions every script of ours begins with.
pub const LIB: &str = include_str!("host.sh");

/// Exit status: another effect on the object still runs on the host.
pub const BUSY: i32 = 75;
/// Exit status: somebody took the object over.
pub const SUPERSEDED: i32 = 76;
/// Exit status: the lease was not renewed in time.
pub const EXPIRED: i32 = 77;
/// Exit status: the gate carries this number or a higher one already.
pub const RACED: i32 = 78;
/// Exit status: a live holder has the object.
pub const HELD: i32 = 79;
/// Exit status: a file of ours on the host is damaged or of a newer format.
pub const DAMAGED: i32 = 80;

/// An object and the number its holder has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pass {
    /// Object key.
    pub key: Key,
    /// The lease number.
    pub number: u64,
}

/// Who takes a gate.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Operation id.
    pub id: String,
    /// Who runs, for people.
    pub who: String,
    /// Seconds without renewal after which others may take over.
    pub ttl: u64,
    /// Owner of the configuration (later: the OCP) that has authority over the object.
    pub authority: String,
    /// Epoch of that authority.
    pub epoch: u64,
    /// What the object is.
    pub engine: Engine,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

impl Holder {
    fn node(&self) -> String {
        one_line(&serde_json::to_string(&self.nodes).unwrap_or_default())
    }
    /// The arguments of `ob_write_gate`.
    fn words(&self, key: &Key, number: u64) -> Vec<String> {
        vec![
            key.to_string(),
            number.to_string(),
            one_line(&self.id),
            one_line(&self.who),
            self.ttl.to_string(),
            one_line(&self.authority),
            self.epoch.to_string(),
            self.engine.as_str().to_owned(),
            self.node(),
        ]
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A file name of the journal, below `objects/`.
fn log(key: &Key, journal: &str) -> String {
    format!("{key}/journal/{journal}")
}

/// One function of [`LIB`] with its arguments.
fn call<S: AsRef<str>>(function: &str, words: impl IntoIterator<Item = S>) -> String {
    format!("{LIB}{function} {}\n", join(words))
}

/// Prints `number`, `live`, `who`, `holder` of the gate.
#[must_use]
pub fn peek(key: &Key) -> String {
    call("ob_peek", [key.as_str()])
}

/// Writes a new number, unless it is taken or held; ends what a former holder still runs here;
/// opens the journal.
#[must_use]
pub fn take(key: &Key, number: u64, holder: &Holder, journal: &str, opening: &Entry) -> String {
    let mut words = holder.words(key, number);
    words.extend([log(key, journal), opening.seal()]);
    call("ob_take", words)
}

/// Renews, unless the number has changed.
#[must_use]
pub fn renew(key: &Key, number: u64, holder: &Holder) -> String {
    call("ob_renew", holder.words(key, number))
}

/// Gives the gate back, number kept, and closes the journal.
#[must_use]
pub fn release(key: &Key, number: u64, by: &Holder, journal: &str, lines: &[Entry]) -> String {
    let mut words = vec![key.to_string(), number.to_string(), one_line(&by.authority)];
    words.extend([by.epoch.to_string(), by.engine.as_str().to_owned(), by.node()]);
    words.push(log(key, journal));
    words.extend(lines.iter().map(Entry::seal));
    call("ob_release", words)
}

/// What an effect script writes to the journal.
pub struct Lines<'a> {
    /// File name of the journal.
    pub journal: &'a str,
    /// Lines that wait to be written (steps skipped since the last effect) and the begin line.
    pub before: &'a [Entry],
    /// The line for a good end.
    pub end: &'a Entry,
    /// The line for a bad one.
    pub fail: &'a Entry,
    /// The step's kind, for fault points.
    pub kind: StepKind,
}

/// The program of an effect, with its arguments.
pub struct Body<'a> {
    /// Its file name.
    pub name: &'a str,
    /// What the shell reads.
    pub text: &'a str,
}

/// Begins the line before an effect's program; [`END`] is the line behind it. What a host received
/// as an effect is what stands between.
pub const BEGIN: &str = "# ob-effect begin ";
/// As said by [`BEGIN`].
pub const END: &str = "# ob-effect end";

fn enter(passes: &[Pass], lines: &Lines<'_>) -> String {
    let mut text = format!("{LIB}umask 077\n");
    for pass in passes {
        let _ = writeln!(text, "ob_enter {} {}", quote(pass.key.as_str()), pass.number);
    }
    if let Some(first) = passes.first() {
        let _ = writeln!(text, "ob_log={}", quote(&log(&first.key, lines.journal)));
        for line in lines.before {
            let _ = writeln!(text, "ob_journal \"$ob_log\" {}", quote(&line.seal()));
        }
    }
    text + &fault::on_host(lines.kind, Point::Began)
}

/// Wraps `body` (run in a subshell without the lock's descriptors, so that a daemon it starts does
/// not inherit them); `then` runs after its good end.
#[must_use]
pub fn effect(passes: &[Pass], lines: &Lines<'_>, body: &Body<'_>, then: &str) -> String {
    let mut text = enter(passes, lines);
    let close: String = (0..passes.len().min(7)).map(|i| format!(" {}>&-", 9 - i)).collect();
    let Body { name, text: program } = body;
    let _ = write!(text, "{BEGIN}{name}\n(\numask 022\n{program}\n){close}\nob_rc=$?\n{END}\n");
    text += &fault::on_host(lines.kind, Point::Effected);
    if !passes.is_empty() {
        let (end, fail) = (quote(&lines.end.seal()), quote(&lines.fail.seal()));
        let _ = write!(
            text,
            "if [ $ob_rc = 0 ]; then ob_journal \"$ob_log\" {end}\n\
             else ob_journal \"$ob_log\" {fail}; fi\n"
        );
    }
    let _ = write!(text, "[ $ob_rc = 0 ] || exit $ob_rc\n{then}exit 0");
    text
}

/// A script that enters, says that it is ready, then obeys lines on stdin: `ping` checks the gate again and
/// says `OK`; `end` and `fail` write the journal's last line. It ends with its stdin. SQL effects
/// run on a session opened between that and OK.
#[must_use]
pub fn hold(passes: &[Pass], lines: &Lines<'_>) -> String {
    let mut text = enter(passes, lines);
    text += "ob_still() {\n:\n";
    for pass in passes {
        let _ = writeln!(text, "ob_check_gate {} {}", quote(pass.key.as_str()), pass.number);
    }
    text += "}\n";
    let effected = fault::on_host(lines.kind, Point::Effected);
    let _ = write!(text, "ob_effected() {{\n:\n{effected}}}\nob_ready\n");
    let words = [lines.end.seal(), lines.fail.seal()];
    let _ = write!(text, "ob_obey {}", join(words));
    text
}
