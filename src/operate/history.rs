//! Puts operations together from the journals of all hosts.
use super::inventory::Survey;
use crate::base::Problem;
use crate::engine::Key;
use crate::engine::history::{StepRecord, StepState};
use crate::engine::journal::Ending;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Whether an operation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody holds its lease.
    Running,
    /// It has no end and nobody holds its lease.
    #[strum(serialize = "cut off")]
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
        self.into()
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
    pub ending: Option<Ending>,
    /// The same for people.
    pub outcome: Option<String>,
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// Journal lines that were damaged.
    pub damaged: usize,
}

/// How much a record of a step says. Each host knows only the steps that ran on it, so the record
/// that says most counts.
fn rank(state: StepState) -> usize {
    match state {
        StepState::Next => 0,
        StepState::Skipped => 1,
        StepState::Running => 2,
        StepState::Done => 3,
        StepState::Failed => 4,
    }
}

/// Puts the records of all hosts together, the oldest operation first.
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
                ending: None,
                outcome: None,
                steps: record.steps.clone(),
                damaged: 0,
            };
            let whole = all.entry(record.operation.clone()).or_insert_with(fresh);
            whole.objects.insert(record.object.clone());
            whole.keys.insert(record.key.clone());
            whole.hosts.insert(survey.host.endpoint.name.clone());
            whole.damaged += record.damaged;
            // People see the lease number of the object that the title names.
            if whole.title.ends_with(&format!(" {}", record.object)) {
                whole.lease = record.lease;
            }
            whole.started = whole.started.min(record.started);
            whole.last = whole.last.max(record.last);
            whole.now = whole.now.max(survey.now);
            if record.ending > whole.ending {
                (whole.ending, whole.outcome) = (record.ending, record.outcome.clone());
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
        whole.state = match whole.ending {
            _ if held => State::Running,
            Some(Ending::Done) => State::Done,
            Some(Ending::Abandoned) => State::Abandoned,
            Some(Ending::Stopped) => State::Stopped,
            None => State::CutOff,
        };
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|a, b| (a.started, &a.operation).cmp(&(b.started, &b.operation)));
    all
}

/// The operations whose work is not done. They run, or they ended early and no later operation on
/// one of their objects ended well or was given up. One that stopped before its first effect left
/// nothing to finish.
#[must_use]
pub fn unfinished(all: &[Whole]) -> Vec<&Whole> {
    let ended = |o: &Whole| {
        matches!(o.state, State::Done | State::Abandoned)
            || (o.state == State::Stopped && o.untouched())
    };
    let finished = |w: &Whole| {
        all.iter().any(|o| o.started > w.started && ended(o) && !o.objects.is_disjoint(&w.objects))
    };
    all.iter().filter(|w| w.state == State::Running || (!ended(w) && !finished(w))).collect()
}

impl Whole {
    /// How many steps are done or skipped.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.steps.iter().filter(|s| s.state.over()).count()
    }

    /// Whether none of its effects has begun.
    #[must_use]
    pub fn untouched(&self) -> bool {
        self.steps.iter().all(|s| matches!(s.state, StepState::Next | StepState::Skipped))
    }

    /// Whether nothing more will happen by itself.
    #[must_use]
    pub fn over(&self) -> bool {
        self.state != State::Running
    }
}

/// The operation whose id begins with `id`.
///
/// # Errors
/// There is none, or more than one.
pub fn find<'a>(all: &'a [Whole], id: &str) -> Result<&'a Whole, Problem> {
    let id = id.to_ascii_uppercase();
    let found: Vec<_> = all.iter().filter(|w| w.operation.starts_with(&id)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Problem::user(format!("there is no operation {id}"))
            .why("no journal of these hosts knows it")
            .fix("`ob operation list` shows what there is")),
        _ => Err(Problem::user(format!("{} operations begin with {id}", found.len()))
            .fix("give more of the id")),
    }
}
