//! Operations put together from the journals of all hosts, and how they are shown.
use super::output::{span, table};
use super::survey::Survey;
use crate::engine::Key;
use crate::engine::history::StepRecord;
use crate::engine::history::StepState;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Whether an operation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody holds its lease.
    Running,
    /// It has no end and nobody holds its lease.
    CutOff,
    /// It ended well.
    Done,
    /// It ended with a problem.
    Stopped,
    /// Somebody gave it up.
    Abandoned,
}

impl State {
    /// The word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::CutOff => "cut off",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Abandoned => "abandoned",
        }
    }
}

/// One operation over all hosts.
#[derive(Clone, Debug, Serialize)]
pub struct Whole {
    /// Its id.
    pub operation: String,
    /// `create cluster.main`.
    pub title: String,
    /// Whether it goes on.
    pub state: State,
    /// Who ran it.
    pub who: String,
    /// Lease number.
    pub lease: u64,
    /// The objects it held.
    pub objects: BTreeSet<String>,
    /// Their keys on the hosts.
    pub keys: BTreeSet<Key>,
    /// Hosts whose journals know it.
    pub hosts: BTreeSet<String>,
    /// Host's clock at its start.
    pub started: i64,
    /// Host's clock at its last line.
    pub last: i64,
    /// Host's clock now.
    pub now: i64,
    /// How it ended.
    pub outcome: Option<String>,
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// Journal lines that were damaged.
    pub damaged: usize,
}

/// How much a step's record says: each host knows only what ran on it.
fn rank(state: StepState) -> usize {
    match state {
        StepState::Next => 0,
        StepState::Skipped => 1,
        StepState::Running => 2,
        StepState::Done => 3,
        StepState::Failed => 4,
    }
}

/// Puts the records of all hosts together, oldest first.
#[must_use]
pub fn merge(surveys: &[Survey]) -> Vec<Whole> {
    let mut all: BTreeMap<String, Whole> = BTreeMap::new();
    for survey in surveys {
        for record in &survey.records {
            let fresh = || Whole {
                operation: record.operation.clone(),
                title: record.title.clone(),
                state: State::CutOff,
                who: record.who.clone(),
                lease: record.lease,
                objects: BTreeSet::new(),
                keys: BTreeSet::new(),
                hosts: BTreeSet::new(),
                started: record.started,
                last: record.last,
                now: survey.now,
                outcome: None,
                steps: record.steps.clone(),
                damaged: 0,
            };
            let whole = all.entry(record.operation.clone()).or_insert_with(fresh);
            whole.objects.insert(record.object.clone());
            whole.keys.insert(record.key.clone());
            whole.hosts.insert(survey.host.endpoint.name.clone());
            whole.damaged += record.damaged;
            // The number people see is that of the object which the title names.
            if whole.title.ends_with(&format!(" {}", record.object)) {
                whole.lease = record.lease;
            }
            whole.started = whole.started.min(record.started);
            whole.last = whole.last.max(record.last);
            whole.now = whole.now.max(survey.now);
            if whole.outcome.is_none() || record.outcome.as_deref().is_some_and(|o| o != "done") {
                whole.outcome = record.outcome.clone().or(whole.outcome.take());
            }
            for (known, other) in whole.steps.iter_mut().zip(&record.steps) {
                if rank(other.state) > rank(known.state) {
                    *known = other.clone();
                }
            }
        }
    }
    for whole in all.values_mut() {
        let held = surveys
            .iter()
            .flat_map(|s| &s.objects)
            .any(|o| o.gate.live && o.gate.holder == whole.operation);
        whole.state = match whole.outcome.as_deref() {
            _ if held => State::Running,
            Some("done") => State::Done,
            Some(note) if note.starts_with("abandoned") => State::Abandoned,
            Some(_) => State::Stopped,
            None => State::CutOff,
        };
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|a, b| (a.started, &a.operation).cmp(&(b.started, &b.operation)));
    all
}

/// Those whose work is not done: they run, or ended early and no later one on the same object ended
/// well or was given up.
#[must_use]
pub fn unfinished(all: &[Whole]) -> Vec<&Whole> {
    let ended = |o: &Whole| matches!(o.state, State::Done | State::Abandoned);
    let finished = |w: &Whole| {
        all.iter().any(|o| o.started > w.started && ended(o) && !o.objects.is_disjoint(&w.objects))
    };
    all.iter().filter(|w| w.state == State::Running || (!ended(w) && !finished(w))).collect()
}

impl Whole {
    /// Steps that are over.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.steps.iter().filter(|s| s.state.over()).count()
    }

    /// True when nothing more will happen by itself.
    #[must_use]
    pub fn over(&self) -> bool {
        self.state != State::Running
    }

    /// `create cluster.main   running 3m12s   step 7 of 12   lease #41 held by ci-runner-3`.
    #[must_use]
    pub fn headline(&self) -> String {
        let total = self.steps.len();
        let time =
            if self.over() { span(self.started, self.last) } else { span(self.started, self.now) };
        let (at, lease) = if self.over() {
            (
                format!("{} of {total} steps", self.finished()),
                format!("lease #{} of {}", self.lease, self.who),
            )
        } else {
            (
                format!("step {} of {total}", (self.finished() + 1).min(total)),
                format!("lease #{} held by {}", self.lease, self.who),
            )
        };
        format!("{}   {} {time}   {at}   {lease}", self.title, self.state.as_str())
    }

    /// The state of a step as people read it: a step of a dead operation does not run.
    fn word(&self, step: &StepRecord) -> &'static str {
        if step.state == StepState::Running && self.over() {
            "cut off"
        } else {
            step.state.as_str()
        }
    }

    /// One line per step.
    #[must_use]
    pub fn step_lines(&self) -> Vec<String> {
        let row = |s: &StepRecord| {
            let time = match (s.began, s.ended) {
                (Some(from), Some(to)) => span(from, to),
                (Some(from), None) if !self.over() => span(from, self.now),
                _ => String::new(),
            };
            vec![format!("  {}", self.word(s)), s.title.clone(), time]
        };
        table(&self.steps.iter().map(row).collect::<Vec<_>>()).lines().map(str::to_owned).collect()
    }

    /// All of it.
    #[must_use]
    pub fn show(&self) -> String {
        let mut lines = vec![self.headline()];
        lines.extend(self.step_lines());
        if let Some(outcome) = self.outcome.as_ref().filter(|o| *o != "done") {
            lines.push(format!("  ended: {outcome}"));
        }
        if self.state == State::CutOff {
            lines.push(format!("  nobody holds its lease: run the same command again to go on, or `ob operation abandon {}`", self.operation));
        }
        if self.damaged > 0 {
            lines
                .push(format!("  {} journal lines are damaged and were passed over", self.damaged));
        }
        lines.join("\n")
    }
}

/// The list.
#[must_use]
pub fn list(all: &[&Whole]) -> String {
    if all.is_empty() {
        return "no operations".into();
    }
    let mut rows =
        vec![["OPERATION", "WHAT", "STATE", "STEPS", "AGE", "WHO"].map(str::to_owned).to_vec()];
    for w in all {
        rows.push(vec![
            w.operation.clone(),
            w.title.clone(),
            w.state.as_str().into(),
            format!("{}/{}", w.finished(), w.steps.len()),
            span(w.started, w.now),
            w.who.clone(),
        ]);
    }
    table(&rows)
}
