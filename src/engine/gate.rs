//! The gate keeps two runs apart, on the host itself. This file only builds scripts; it runs
//! nothing.
//!
//! A gate is the file `$OB_STATE/objects/KEY/gate` (`$OB_STATE` is `~/.ob` of the user that runs
//! the servers). It holds the lease number, which only grows, its holder, and the host's uptime at
//! the last renewal. Every effect is one script ([`effect`]; for SQL [`hold`]). The script takes
//! the object's effect lock, checks number and renewal, writes its journal line, acts, and writes
//! the end line. All this is one script, so that no crash can part it. A gate outlives its object.
use super::fault::{self, Point};
use super::journal::Entry;
use super::key::Key;
use super::node::{Engine, Node};
use super::process::Process;
use super::step::StepKind;
use crate::base::Directory;
use crate::base::shell::{join, quote};
use std::fmt::Write;

/// The shell functions that every script of ours begins with.
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
/// Exit status: the mark of the object is missing, or of another owner or creation.
pub const FOREIGN: i32 = 81;
/// Exit status: the state directory is another machine's.
pub const ELSEWHERE: i32 = 82;
/// What comes before the mark that a host refused with [`FOREIGN`].
pub const FOREIGN_MARK: &str = "ob-owner: ";

/// What an effect shows to a gate: which object, and the number of the lease on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pass {
    /// Object key.
    pub key: Key,
    /// The lease number.
    pub number: u64,
    /// Whose the object's mark must be; `None` for an object that has no mark of its own.
    pub owned: Option<Owned>,
}

/// Whose an object must be. The script of each effect on it proves that first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owned {
    /// The directory that holds the mark.
    pub directory: Directory,
    /// The owner that the mark must name.
    pub owner: String,
    /// The creation that it must name; `None`: any of that owner.
    pub creation: Option<String>,
    /// Whether the object may have no mark: it is being made, adopted or removed.
    pub new: bool,
}

impl Owned {
    /// The call of the shell function that proves it.
    fn line(&self) -> String {
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let creation = self.creation.as_deref().map(json).unwrap_or_default();
        let new = if self.new { "1" } else { "0" };
        let owner = json(&self.owner);
        let words = [&*self.directory, owner.as_str(), creation.as_str(), new];
        format!("ob_owned {}\n", join(words))
    }
}

/// The run that takes a gate, as the gate records it.
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
    /// The process that runs, so that others on its machine see when it is gone.
    pub process: Option<Process>,
}

impl Holder {
    fn node(&self) -> String {
        one_line(&serde_json::to_string(&self.nodes).unwrap_or_default())
    }
    /// The arguments of the shell function `ob_write_gate`.
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
            self.process.as_ref().map(Process::to_string).unwrap_or_default(),
        ]
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Path of a journal's file below `objects/`.
fn log(key: &Key, journal: &str) -> String {
    format!("{key}/journal/{journal}")
}

/// A script that calls one function of [`LIB`] with its arguments.
fn call<S: AsRef<str>>(function: &str, words: impl IntoIterator<Item = S>) -> String {
    format!("{LIB}{function} {}\n", join(words))
}

/// A script that prints the gate's `number`, `live`, `who`, `holder` and `process` as `key=value`
/// lines.
#[must_use]
pub fn peek(key: &Key) -> String {
    call("ob_peek", [key.as_str()])
}

/// A script that takes the gate with a new number. It fails when the number is used already
/// ([`RACED`]) or a live holder has the gate ([`HELD`]). It ends what a former holder still runs on
/// the host, opens the journal, and prints `took_over=1` when the former holder did not give the
/// gate back. `gone` is a holder whose process has ended: it counts as no live one.
#[must_use]
pub fn take(
    key: &Key,
    number: u64,
    holder: &Holder,
    journal: &str,
    opening: &Entry,
    gone: Option<&str>,
) -> String {
    let mut words = holder.words(key, number);
    words.extend([log(key, journal), opening.seal()]);
    words.extend(gone.map(one_line));
    call("ob_take", words)
}

/// A script that renews the gate, unless its number has changed ([`SUPERSEDED`]).
#[must_use]
pub fn renew(key: &Key, number: u64, holder: &Holder) -> String {
    call("ob_renew", holder.words(key, number))
}

/// A script that closes the journal and gives the gate back. The gate keeps its number.
#[must_use]
pub fn release(key: &Key, number: u64, by: &Holder, journal: &str, lines: &[Entry]) -> String {
    let mut words = vec![key.to_string(), number.to_string(), one_line(&by.id)];
    words.extend([
        one_line(&by.authority),
        by.epoch.to_string(),
        by.engine.as_str().to_owned(),
        by.node(),
    ]);
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
    /// The line for an effect that succeeded.
    pub end: &'a Entry,
    /// The line for an effect that failed.
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

/// The beginning of the line before an effect's program; [`END`] is the line after it. The
/// acceptance tests find by these lines what a host received as an effect.
pub const BEGIN: &str = "# ob-effect begin ";
/// The line after an effect's program; see [`BEGIN`].
pub const END: &str = "# ob-effect end";

/// One step of a held shell; see [`hold`].
pub struct Held<'a> {
    /// What it writes to the journal.
    pub lines: Lines<'a>,
    /// The program that the shell runs for it; `None`: the caller runs SQL.
    pub body: Option<Body<'a>>,
}

fn enter(passes: &[Pass], journal: &str) -> String {
    let mut text = format!("{LIB}umask 077\n");
    for pass in passes {
        let _ = writeln!(text, "ob_enter {} {}", quote(pass.key.as_str()), pass.number);
    }
    for owned in passes.iter().filter_map(|p| p.owned.as_ref()) {
        text += &owned.line();
    }
    if let Some(first) = passes.first() {
        let _ = writeln!(text, "ob_log={}", quote(&log(&first.key, journal)));
    }
    text
}

/// The command that writes a line to the journal.
fn note(line: &Entry) -> String {
    format!("ob_journal \"$ob_log\" {}", quote(&line.seal()))
}

/// Writes what comes before the effect to the journal.
fn begin(passes: &[Pass], lines: &Lines<'_>) -> String {
    let mut text = String::new();
    for line in lines.before.iter().filter(|_| !passes.is_empty()) {
        let _ = writeln!(text, "{}", note(line));
    }
    text + &fault::on_host(lines.kind, Point::Began)
}

/// Runs the program in a subshell without the lock's descriptors, so that a daemon that it starts
/// does not inherit the lock; then writes the journal's last line.
fn act(passes: &[Pass], lines: &Lines<'_>, body: &Body<'_>, stdin: &str) -> String {
    let close: String = (0..passes.len().min(7)).map(|i| format!(" {}>&-", 9 - i)).collect();
    let Body { name, text: program } = body;
    let mut text =
        format!("{BEGIN}{name}\n(\numask 022\n{program}\n){close}{stdin}\nob_rc=$?\n{END}\n");
    text += &fault::on_host(lines.kind, Point::Effected);
    if !passes.is_empty() {
        let (end, fail) = (note(lines.end), note(lines.fail));
        let _ = write!(text, "if [ $ob_rc = 0 ]; then {end}\nelse {fail}; fi\n");
    }
    text
}

/// The script of an effect. `then` runs after `body` ended well.
#[must_use]
pub fn effect(passes: &[Pass], lines: &Lines<'_>, body: &Body<'_>, then: &str) -> String {
    let mut text = enter(passes, lines.journal) + &begin(passes, lines);
    text += &act(passes, lines, body, "");
    let _ = write!(text, "[ $ob_rc = 0 ] || exit $ob_rc\n{then}exit 0");
    text
}

/// The script that holds the gate's lock for the effects of `steps`. It enters the gate, says that
/// it is ready, then obeys lines on stdin (`ob_obey`). `begin N` checks the gate once more and
/// writes the journal's lines before the effect of step N; `end N` and `fail N` write its last
/// line. `run N` is all of this around the step's program. Of a caller that runs SQL: it opens its
/// session after "ready", and says `begin` before the first statement.
#[must_use]
pub fn hold(passes: &[Pass], steps: &[(usize, Held<'_>)]) -> String {
    let journal = steps.first().map_or("", |(_, held)| held.lines.journal);
    let mut text = enter(passes, journal) + "ob_still() {\n:\n";
    for pass in passes {
        let _ = writeln!(text, "ob_check_gate {} {}", quote(pass.key.as_str()), pass.number);
    }
    text += "}\n";
    for (n, Held { lines, body }) in steps {
        let _ = write!(text, "ob_begin_{n}() {{\n:\n{}}}\n", begin(passes, lines));
        if let Some(body) = body {
            let act = act(passes, lines, body, " </dev/null");
            let _ = write!(text, "ob_run_{n}() {{\nob_begin_{n}\n{act}}}\n");
        }
        let effected = fault::on_host(lines.kind, Point::Effected);
        let last = |line: &Entry| match passes {
            [] => String::new(),
            _ => note(line) + "\n",
        };
        let (end, fail) = (last(lines.end), last(lines.fail));
        let _ =
            write!(text, "ob_end_{n}() {{\n:\n{effected}{end}}}\nob_fail_{n}() {{\n:\n{fail}}}\n");
    }
    text + "ob_ready\nob_obey"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the host lets an effect through, with this mark in the directory.
    fn passes(mark: Option<&str>, owner: &str, creation: Option<&str>, new: bool) -> bool {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join(".ob")).unwrap();
        if let Some(mark) = mark {
            std::fs::write(base.path().join(".ob/mark"), mark).unwrap();
        }
        let directory = Directory::parse(&base.path().display().to_string()).unwrap();
        let creation = creation.map(str::to_owned);
        let owned = Owned { directory, owner: owner.into(), creation, new };
        let script = format!("OB_STATE=/none\n{LIB}{}", owned.line());
        let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        match out.status.code() {
            Some(0) => true,
            Some(FOREIGN) => {
                assert!(said.starts_with(FOREIGN_MARK), "{said}");
                false
            }
            other => panic!("{other:?}: {said}"),
        }
    }

    #[test]
    fn a_state_directory_of_another_machine_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let id = dir.path().join("id");
        let run = |machine: &str| {
            std::fs::write(&id, machine).unwrap();
            let (state, id) = (dir.path().display().to_string(), id.display().to_string());
            let set = format!("OB_STATE={} ob_machine_id={}", quote(&state), quote(&id));
            let script = format!("{set}\n{LIB}ob_machine\n");
            let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            out.status.code()
        };
        assert_eq!(run("one\n"), Some(0), "the first time");
        assert_eq!(run("one\n"), Some(0));
        assert_eq!(run("two\n"), Some(ELSEWHERE), "a shared home, or a copy");
        assert_eq!(run(""), Some(0), "a machine that does not say which it is");
        std::fs::remove_file(dir.path().join("machine")).unwrap();
        assert_eq!(run("two\n"), Some(0), "somebody has looked at it");
    }

    /// A `sync` that takes its time lets each of them come while the first one writes.
    #[test]
    fn the_first_gates_of_several_objects_are_taken_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let id = dir.path().join("id");
        std::fs::write(&id, "one\n").unwrap();
        let set = format!("OB_STATE={} ob_machine_id={}", quote(&text(&state)), quote(&text(&id)));
        let slow = "sync() { sleep 0.3; command sync \"$@\"; }";
        let run = &|n: u32| {
            let take = format!("ob_take k{n} 1 me me 30 a 1 none [] '' k{n}/journal/a.log {{}}");
            let script = format!("{set}\n{LIB}{slow}\n{take}\n");
            std::process::Command::new("sh").args(["-c", &script]).output().unwrap()
        };
        std::thread::scope(|s| {
            let all: Vec<_> = (0..4).map(|n| s.spawn(move || run(n))).collect();
            for out in all.into_iter().map(|t| t.join().unwrap()) {
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            }
        });
        assert_eq!(std::fs::read_to_string(state.join("machine")).unwrap(), "one\n");
    }

    /// Numbers are used again: what a former holder noted may name any process by now.
    #[test]
    fn a_take_over_ends_the_former_holder_and_no_stranger() {
        use std::process::{Child, Command, Stdio};
        let dir = tempfile::tempdir().unwrap();
        let object = dir.path().join("objects/k");
        std::fs::create_dir_all(&object).unwrap();
        let leads = |line: &str| -> Child {
            let mut child = Command::new("setsid");
            child.args(["sh", "-c", line]).stdout(Stdio::piped()).spawn().unwrap()
        };
        let start = |child: &Child| -> u64 {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            crate::engine::process::Stat::parse(&stat).unwrap().start
        };
        let mut stranger = leads("exec sleep 60");
        let since = start(&stranger);
        let stranger_is = |since: u64| format!("{} {since}\n", stranger.id());
        for (noted, seconds) in [
            (None, 60),
            (Some(stranger_is(since - 1)), 1),
            // As it was before a start stood behind the number.
            (Some(format!("{}\n", stranger.id())), 1),
            (Some(String::new()), 1),
        ] {
            let lock = quote(&text(&object.join("lock")));
            let mut holder =
                leads(&format!("exec 9>>{lock}; flock 9; echo; sleep {seconds}; exit 7"));
            std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0]).unwrap();
            let ended = noted.is_none();
            let noted = noted.unwrap_or_else(|| format!("{} {}\n", holder.id(), start(&holder)));
            std::fs::write(object.join("lock.pid"), &noted).unwrap();
            let set = format!("OB_STATE={}", quote(&text(dir.path())));
            let script = format!("{set}\n{LIB}ob_evict k\n");
            let out = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert!(out.status.success(), "{noted}: {}", String::from_utf8_lossy(&out.stderr));
            assert_eq!(
                holder.wait().unwrap().code(),
                if ended { None } else { Some(7) },
                "{noted}"
            );
        }
        assert!(stranger.try_wait().unwrap().is_none(), "a stranger was killed");
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    fn text(path: &std::path::Path) -> String {
        path.display().to_string()
    }

    #[test]
    fn an_effect_needs_a_mark_of_the_owner_and_of_the_creation() {
        let a = "{\"format\":1,\"authority\":\"a\",\"creation\":\"1\",\"owner\":\"a\",\"stage\":\"complete\"}\n";
        let other_order = "{\"format\":1,\"type\":\"t\",\"creation\":\"1\",\"owner\":\"a\"}";
        for (mark, owner, creation, new, want) in [
            (Some(a), "a", Some("1"), false, true),
            (Some(a), "a", None, false, true),
            (Some(other_order), "a", Some("1"), false, true),
            (Some(a), "a", Some("2"), false, false),
            (Some(a), "b", Some("1"), false, false),
            (Some(a), "b", None, true, false),
            (Some(a), "", None, true, false),
            (None, "a", None, true, true),
            (None, "a", Some("1"), true, true),
            (None, "a", None, false, false),
            (None, "a", Some("1"), false, false),
            (Some(r#"{"creation":"1","format":99,"owner":"a"}"#), "a", None, true, false),
            (Some(r#"{"creation":"1","format":1,"owner":"a"}"#), "a", None, true, true),
            (Some(""), "a", None, true, false),
            (Some("{half"), "a", None, true, false),
            // No value can pass for another member.
            (
                Some(
                    r#"{"format":1,"creation":"1","node":{"directory":"/x\"owner\":\"a\","},"owner":"b"}"#,
                ),
                "a",
                None,
                false,
                false,
            ),
            (Some(r#"{"format":1,"creation":"1","owner":"a b"}"#), "a", None, false, false),
            (
                Some(r#"{"format":1,"creation":"1","owner":"a$(id)`*?"}"#),
                "a$(id)`*?",
                Some("1"),
                false,
                true,
            ),
            (Some(r#"{"format":1,"creation":"1","owner":"abc"}"#), "*", None, false, false),
        ] {
            assert_eq!(passes(mark, owner, creation, new), want, "{mark:?} {owner} {creation:?}");
        }
    }
}
