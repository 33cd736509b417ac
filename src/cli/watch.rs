//! `ob watch`: follows an operation by the journals on the hosts, from any terminal.
use super::journal;
use super::output::{End, Out};
use super::reach::{Where, look};
use crate::base::Problem;
use crate::engine::history::StepState;
use crate::engine::journal::Ending;
use crate::engine::{Cx, Host};
use crate::operate::history::{self, State, Whole, find};
use crate::operate::inventory;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const POLL: Duration = Duration::from_millis(700);

/// Which operation.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Operation id; default: the newest one that runs.
    id: Option<String>,
    /// Waits for one to begin.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    at: Where,
}

/// Runs `ob watch`.
///
/// # Errors
/// No host answers, there is no such operation.
pub async fn run(out: &Out, args: Args, cancel: CancellationToken) -> Result<End, Problem> {
    let (hosts, _, cx) = args.at.open(cancel)?;
    let Some(id) = choose(out, &cx, &hosts, &args).await? else {
        out.say("no operation runs on these hosts");
        return Ok(End::Done);
    };
    let mut shown = Shown::default();
    loop {
        let (surveys, bad) = inventory::look_all(&cx, &hosts).await;
        let all = history::merge(&surveys);
        match all.iter().find(|w| w.operation == id) {
            Some(whole) => {
                shown.next(out, whole)?;
                // A journal with a last line ends the watch, because the lease can still be held
                // for a moment after it. Without that line a host that is away may hold the lease,
                // so all hosts must have answered.
                if whole.over() && bad.is_empty() || whole.outcome.is_some() {
                    return Ok(
                        if whole.state == State::Done || whole.ending == Some(Ending::Done) {
                            End::Done
                        } else {
                            End::Failed
                        },
                    );
                }
            }
            None if surveys.is_empty() => {
                if let Some((_, problem)) = bad.into_iter().next() {
                    return Err(problem);
                }
            }
            None => {}
        }
        cx.sleep(POLL).await?;
    }
}

async fn choose(
    out: &Out,
    cx: &Cx,
    hosts: &[Host],
    args: &Args,
) -> Result<Option<String>, Problem> {
    loop {
        let all = history::merge(&look(out, cx, hosts).await?);
        if let Some(id) = &args.id {
            return find(&all, id).map(|w| Some(w.operation.clone()));
        }
        let running =
            all.iter().rev().find(|w| w.state == State::Running).map(|w| w.operation.clone());
        if running.is_some() || !args.wait {
            return Ok(running);
        }
        cx.sleep(POLL).await?;
    }
}

/// What is on the screen.
#[derive(Default)]
struct Shown {
    lines: usize,
    states: Vec<String>,
    headed: bool,
}

impl Shown {
    /// Shows the operation: redraws a terminal; writes one line (or JSON document) per change to a
    /// pipe.
    fn next(&mut self, out: &Out, whole: &Whole) -> Result<(), Problem> {
        let states: Vec<_> = whole
            .steps
            .iter()
            .map(|s| s.state.as_str().to_owned())
            .chain([whole.state.as_str().to_owned()])
            .collect();
        if out.json {
            if states != self.states {
                out.json(&serde_json::to_string(whole).unwrap_or_default())?;
            }
        } else if out.terminal {
            let text = journal::show(whole);
            out.redraw(self.lines, &text)?;
            self.lines = text.lines().count();
        } else {
            for line in self.changes(whole, &states) {
                out.print(&line)?;
            }
        }
        self.states = states;
        Ok(())
    }

    /// Lines about what has changed since the last look.
    fn changes(&mut self, whole: &Whole, states: &[String]) -> Vec<String> {
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
        if whole.outcome.is_some() || (whole.over() && self.states.last() != states.last()) {
            lines.push(format!(
                "{} {}",
                whole.title,
                whole.outcome.as_deref().unwrap_or("was cut off")
            ));
        }
        lines
    }
}
