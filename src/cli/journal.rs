//! Shows operations as text.
use super::output::{moment, span, table};
use crate::engine::history::{StepRecord, StepState};
use crate::engine::journal::Ending;
use crate::operate::history::{State, Whole};

/// An operation in one line: `create cluster.main   running 3m12s   step 7 of 12   lease #41 held
/// by ci-runner-3`.
#[must_use]
pub fn headline(whole: &Whole) -> String {
    let total = whole.steps.len();
    let time =
        if whole.over() { span(whole.started, whole.last) } else { span(whole.started, whole.now) };
    let (at, lease) = if whole.over() {
        (
            format!("{} of {total} steps", whole.finished()),
            format!("lease #{} of {}", whole.lease, whole.who),
        )
    } else {
        (
            format!("step {} of {total}", (whole.finished() + 1).min(total)),
            format!("lease #{} held by {}", whole.lease, whole.who),
        )
    };
    let (state, since) = (whole.state.as_str(), moment(whole.started));
    format!("{}   {state} {time} (from {since})   {at}   {lease}", whole.title)
}

/// The state of a step as people read it. A step that was running when its operation died reads as
/// cut off.
fn word(whole: &Whole, step: &StepRecord) -> &'static str {
    if step.state == StepState::Running && whole.over() { "cut off" } else { step.state.as_str() }
}

/// One line per step.
#[must_use]
pub fn step_lines(whole: &Whole) -> Vec<String> {
    let row = |s: &StepRecord| {
        let time = match (s.began, s.ended) {
            (Some(from), Some(to)) => span(from, to),
            (Some(from), None) if !whole.over() => span(from, whole.now),
            _ => String::new(),
        };
        vec![format!("  {}", word(whole, s)), s.title.clone(), time]
    };
    table(&whole.steps.iter().map(row).collect::<Vec<_>>()).lines().map(str::to_owned).collect()
}

/// An operation with its steps.
#[must_use]
pub fn show(whole: &Whole) -> String {
    let mut lines = vec![headline(whole)];
    lines.extend(step_lines(whole));
    if let Some(outcome) = whole.outcome.as_ref().filter(|_| whole.ending != Some(Ending::Done)) {
        lines.push(format!("  ended: {outcome}"));
    }
    if whole.state == State::CutOff {
        lines.push(format!(
            "  nobody holds its lease: run the same command again to go on, or `ob operation \
             abandon {}`",
            whole.operation
        ));
    }
    if whole.damaged > 0 {
        lines.push(format!(
            "  {} journal lines are damaged, or from a newer version of ob, and were passed over",
            whole.damaged
        ));
    }
    lines.join("\n")
}

/// A table of operations.
#[must_use]
pub fn list(all: &[&Whole]) -> String {
    if all.is_empty() {
        return "no operations".into();
    }
    let mut rows = vec![
        ["OPERATION", "WHAT", "HOST", "STATE", "STEPS", "AGE", "BEGAN", "WHO"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for w in all {
        rows.push(vec![
            w.operation.clone(),
            w.title.clone(),
            w.hosts.iter().cloned().collect::<Vec<_>>().join(", "),
            w.state.as_str().into(),
            format!("{}/{}", w.finished(), w.steps.len()),
            span(w.started, w.now),
            moment(w.started),
            w.who.clone(),
        ]);
    }
    table(&rows)
}
