//! `ob watch`: follows operations by the journals on the hosts, from any terminal.
//!
//! Without an id it follows a whole run: one apply makes several operations, one after the other or
//! at once. No journal says that an apply is over, so the watch ends when nothing of it has run for
//! a while.
use super::journal;
use super::output::{End, Out};
use super::reach::{Where, look};
use crate::base::Problem;
use crate::base::units::parse_duration;
use crate::engine::history::StepState;
use crate::engine::journal::Ending;
use crate::operate::history::{self, State, Whole, find};
use crate::operate::inventory;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const POLL: Duration = Duration::from_millis(700);

/// Looks that must find the same end before a stopped operation counts as ended: one that lost a
/// race for its lease writes an end and tries again.
const SURE: usize = 3;

/// What is followed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Operation id; default: the newest one that runs, and all others of the same run.
    id: Option<String>,
    /// Waits for one to begin.
    #[arg(long)]
    wait: bool,
    /// How long nothing of a run may run until the run counts as over.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = quiet)]
    quiet: Duration,
    #[command(flatten)]
    at: Where,
}

fn quiet(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a duration is written like 500ms, 10s or 1m".to_owned())
}

/// The last document of a watch.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    /// Whether all of it ended well.
    end: &'static str,
    /// How each operation ended.
    operations: BTreeMap<&'a str, State>,
}

/// Runs `ob watch`. The exit status is 1 unless everything that was followed ended well.
///
/// # Errors
/// No host answers, there is no such operation.
pub async fn run(out: &Out, args: Args, cancel: CancellationToken) -> Result<End, Problem> {
    let (hosts, _, cx) = args.at.open(cancel)?;
    let mut followed = Followed::default();
    loop {
        let all = history::merge(&look(out, &cx, &hosts).await?);
        if let Some(id) = &args.id {
            followed.id = Some(find(&all, id)?.operation.clone());
        } else if let Some(newest) = all.iter().rev().find(|w| w.state == State::Running) {
            (followed.who, followed.since) = (newest.who.clone(), newest.started);
        } else if args.wait {
            cx.sleep(POLL).await?;
            continue;
        } else {
            out.say("no operation runs on these hosts");
            return Ok(End::Done);
        }
        break;
    }
    let mut screen = Screen::default();
    let mut still = tokio::time::Instant::now();
    loop {
        let (surveys, mut bad) = inventory::look_all(&cx, &hosts).await;
        let whole = bad.is_empty();
        if surveys.is_empty()
            && let Some((_, problem)) = bad.pop()
        {
            return Err(problem);
        }
        let seen = followed.take(history::merge(&surveys), whole);
        screen.next(out, &followed.known)?;
        if !seen {
            still = tokio::time::Instant::now();
        } else if followed.id.is_some() || still.elapsed() >= args.quiet {
            break;
        }
        cx.sleep(POLL).await?;
    }
    let well = followed.known.values().all(|w| w.state == State::Done);
    if out.json && followed.id.is_none() {
        let operations = followed.known.iter().map(|(id, w)| (id.as_str(), w.state)).collect();
        let end = if well { "done" } else { "failed" };
        out.json(&serde_json::to_string(&Summary { end, operations }).unwrap_or_default())?;
    }
    Ok(if well { End::Done } else { End::Failed })
}

/// The operations that a watch follows.
#[derive(Default)]
struct Followed {
    /// The one operation that was asked for.
    id: Option<String>,
    /// Else who runs them.
    who: String,
    /// When the first of them began, by its host's clock.
    since: i64,
    /// What is known of each, by its id.
    known: BTreeMap<String, Whole>,
    /// How often the same end of it was seen.
    ends: BTreeMap<String, usize>,
}

impl Followed {
    /// Takes over what a look found. Returns whether all that is followed has ended. `whole`: every
    /// host answered.
    fn take(&mut self, all: Vec<Whole>, whole: bool) -> bool {
        for mut found in all {
            let follows = match &self.id {
                Some(id) => found.operation == *id,
                None => {
                    self.known.contains_key(&found.operation)
                        || (found.who == self.who && (found.started >= self.since || !found.over()))
                }
            };
            if !follows {
                continue;
            }
            let ends = self.ends.entry(found.operation.clone()).or_default();
            *ends = if found.outcome.is_some() { *ends + 1 } else { 0 };
            // A journal with a last line is the end, although the lease can still be held for a
            // moment after it. Without that line, a host that is away may hold the lease, so all
            // hosts must have answered.
            match found.ending {
                Some(Ending::Done) => found.state = State::Done,
                Some(Ending::Abandoned) => found.state = State::Abandoned,
                Some(Ending::Stopped) if *ends >= SURE => found.state = State::Stopped,
                None if found.over() && whole => {}
                Some(Ending::Stopped) | None => found.state = State::Running,
            }
            self.known.insert(found.operation.clone(), found);
        }
        self.known.values().all(Whole::over)
    }
}

/// What is on the screen.
#[derive(Default)]
struct Screen {
    lines: usize,
    shown: BTreeMap<String, Shown>,
}

impl Screen {
    /// Shows the operations: redraws a terminal; writes one line (or JSON document) per change to a
    /// pipe.
    fn next(&mut self, out: &Out, known: &BTreeMap<String, Whole>) -> Result<(), Problem> {
        for whole in known.values() {
            let shown = self.shown.entry(whole.operation.clone()).or_default();
            let states = states(whole);
            if states == shown.states {
                continue;
            }
            if out.json {
                out.json(&serde_json::to_string(whole).unwrap_or_default())?;
            } else if !out.terminal {
                for line in shown.changes(whole, &states) {
                    out.print(&line)?;
                }
            }
            shown.states = states;
        }
        if out.terminal && !out.json {
            let text: Vec<_> = known.values().map(journal::show).collect();
            let text = text.join("\n");
            out.redraw(self.lines, &text)?;
            self.lines = text.lines().count();
        }
        Ok(())
    }
}

/// The words for the states of an operation's steps and, at the end, of the operation itself.
fn states(whole: &Whole) -> Vec<&'static str> {
    let steps = whole.steps.iter().map(|s| s.state.as_str());
    steps.chain([whole.state.as_str()]).collect()
}

/// What was shown of an operation.
#[derive(Default)]
struct Shown {
    states: Vec<&'static str>,
    headed: bool,
}

impl Shown {
    /// Lines about what has changed since the last look.
    fn changes(&mut self, whole: &Whole, states: &[&'static str]) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.headed {
            self.headed = true;
            lines.push(journal::headline(whole));
        }
        for (n, (line, step)) in
            journal::step_lines(whole).into_iter().zip(&whole.steps).enumerate()
        {
            if step.state != StepState::Next && self.states.get(n) != Some(&states[n]) {
                lines.push(line);
            }
        }
        if whole.over() {
            lines.push(format!(
                "{} {}",
                whole.title,
                whole.outcome.as_deref().unwrap_or("was cut off")
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn whole(id: &str, who: &str, started: i64, state: State, ending: Option<Ending>) -> Whole {
        Whole {
            operation: id.into(),
            title: format!("create cluster.{id}"),
            state,
            who: who.into(),
            lease: 1,
            objects: BTreeSet::new(),
            keys: BTreeSet::new(),
            hosts: BTreeSet::new(),
            started,
            last: started,
            now: started,
            ending,
            outcome: ending.map(|_| "said".to_owned()),
            steps: Vec::new(),
            damaged: 0,
        }
    }

    #[test]
    fn a_watch_follows_the_whole_run_and_ends_with_what_the_journals_say() {
        use State::{CutOff, Running, Stopped};
        let done = Some(Ending::Done);
        let stopped = Some(Ending::Stopped);
        // The looks, and after each: what is known with its state, and whether all has ended.
        let looks = [
            (
                vec![whole("old", "ci", 1, State::Done, done), whole("a", "ci", 5, Running, None)],
                "a running",
                false,
            ),
            // The journal is closed, and the lease is still held.
            (vec![whole("a", "ci", 5, Running, done)], "a done", true),
            // The next resource of the same run, and a run of somebody else.
            (
                vec![whole("b", "ci", 7, Running, None), whole("c", "me", 8, Running, None)],
                "a done, b running",
                false,
            ),
            // It lost a race for its lease, then got it.
            (vec![whole("b", "ci", 7, Stopped, stopped)], "a done, b running", false),
            (vec![whole("b", "ci", 7, Running, None)], "a done, b running", false),
            (vec![whole("b", "ci", 7, Stopped, stopped)], "a done, b running", false),
            (vec![whole("b", "ci", 7, Stopped, stopped)], "a done, b running", false),
            (vec![whole("b", "ci", 7, Stopped, stopped)], "a done, b stopped", true),
            // Nobody holds its lease, and it has no end.
            (vec![whole("d", "ci", 9, CutOff, None)], "a done, b stopped, d cut off", true),
        ];
        let mut followed = Followed { who: "ci".into(), since: 5, ..Followed::default() };
        for (n, (all, want, over)) in looks.into_iter().enumerate() {
            assert_eq!(followed.take(all, true), over, "look {n}");
            let known: Vec<_> =
                followed.known.iter().map(|(id, w)| format!("{id} {}", w.state.as_str())).collect();
            assert_eq!(known.join(", "), want, "look {n}");
        }
        let mut one = Followed { id: Some("d".into()), ..Followed::default() };
        assert!(!one.take(vec![whole("d", "ci", 9, CutOff, None)], false), "a host is away");
        assert!(one.take(vec![whole("d", "ci", 9, CutOff, None)], true));
    }
}
