//! Reads journals back: which operations run or ran on a host's objects, for people and for hints.
use super::journal::{self, Ending, Event, Line};
use super::step::Host;
use super::{Cx, Key};
use crate::base::Problem;
use crate::program;

/// One operation as a host's journals show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Record {
    /// The object, `cluster.main`.
    pub object: String,
    /// Its key on that host.
    pub key: Key,
    /// Operation id.
    pub operation: String,
    /// `create cluster.main`.
    pub title: String,
    /// Who ran it.
    pub who: String,
    /// Lease number.
    pub lease: u64,
    /// Host's clock at its start, seconds since 1970.
    pub started: i64,
    /// Host's clock at its last line.
    pub last: i64,
    /// How it ended; `None` while it runs or when it was cut off.
    pub ending: Option<Ending>,
    /// The same for people, with the problem or who gave it up.
    pub outcome: Option<String>,
    /// Its steps in order.
    pub steps: Vec<StepRecord>,
    /// Lines that were damaged.
    pub damaged: usize,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It has not begun.
    Next,
    /// Its effect runs, or was cut.
    Running,
    /// Its effect ended well.
    Done,
    /// It was found done.
    Skipped,
    /// Its effect failed.
    Failed,
}

impl StepState {
    /// The word that people and JSON get.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Running => "running",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
    /// Whether nothing is left to do.
    #[must_use]
    pub fn over(self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

/// One step of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct StepRecord {
    /// Its title.
    pub title: String,
    /// How far it is.
    pub state: StepState,
    /// Host's clock at its begin.
    pub began: Option<i64>,
    /// Host's clock at its end.
    pub ended: Option<i64>,
}

/// Builds a record from the lines of one journal; `None` when no line opens an operation.
#[must_use]
pub fn record(key: &Key, lines: &[Line], damaged: usize) -> Option<Record> {
    let open = lines.iter().find(|l| l.entry.event == Event::Open)?;
    let mut steps: Vec<_> = open
        .entry
        .titles
        .iter()
        .map(|t| StepRecord { title: t.clone(), state: StepState::Next, began: None, ended: None })
        .collect();
    let (mut ending, mut outcome) = (None, None);
    for line in lines {
        if line.entry.event == Event::Open {
            // It had given up waiting for its lease on this host, and got it later.
            (ending, outcome) = (None, None);
        }
        if let Some(how) = line.entry.event.ending() {
            (ending, outcome) = (Some(how), Some(line.entry.note.clone()));
        }
        let step = line.entry.step.checked_sub(1).and_then(|i| steps.get_mut(i));
        match (line.entry.event, step) {
            (Event::Begin, Some(step)) => {
                (step.state, step.began) = (StepState::Running, Some(line.at))
            }
            (Event::End, Some(step)) => (step.state, step.ended) = (StepState::Done, Some(line.at)),
            (Event::Fail, Some(step)) => {
                (step.state, step.ended) = (StepState::Failed, Some(line.at))
            }
            (Event::Skip, Some(step)) if step.state == StepState::Next => {
                step.state = StepState::Skipped
            }
            _ => {}
        }
    }
    Some(Record {
        object: open.entry.object.clone(),
        key: key.clone(),
        operation: open.entry.op.clone(),
        title: open.entry.title.clone(),
        who: open.entry.who.clone(),
        lease: open.entry.lease,
        started: open.at,
        last: lines.last().map_or(open.at, |l| l.at),
        ending,
        outcome,
        steps,
        damaged,
    })
}

const SEPARATOR: &str = "ob-journal ";

/// The operations that a host's journals know, newest last. With `key` only those on that object.
/// The host's script prints the newest journals only: at most 400, and no further one after 3 MiB.
///
/// # Errors
/// The host cannot be reached.
pub async fn list(cx: &Cx, host: &Host, key: Option<&Key>) -> Result<Vec<Record>, Problem> {
    let program = program!("history.sh").args(key.map(Key::as_str));
    let output = cx.read(host, &program).await?;
    let mut records = Vec::new();
    for part in parts(&output.stdout) {
        let (file, text) = part.split_once('\n').unwrap_or((part, ""));
        let Ok(key) = Key::parse(file.split('/').next().unwrap_or("")) else { continue };
        let (lines, damaged) = journal::parse(text);
        records.extend(record(&key, &lines, damaged));
    }
    records.sort_by(|a, b| (a.started, &a.operation).cmp(&(b.started, &b.operation)));
    Ok(records)
}

/// The texts between separators. A separator stands at the beginning of a line.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let first = text.strip_prefix(SEPARATOR).unwrap_or("");
    first.split("\nob-journal ").filter(|p| !p.is_empty())
}

/// How far an operation came: the number of steps done or skipped, and of all steps. Both are 0
/// when the host does not know the operation.
///
/// # Errors
/// The host cannot be reached.
pub async fn progress(
    cx: &Cx,
    host: &Host,
    key: &Key,
    operation: &str,
) -> Result<(usize, usize), Problem> {
    let records = list(cx, host, Some(key)).await?;
    let found = records.iter().find(|r| r.operation == operation);
    let over = |r: &Record| r.steps.iter().filter(|s| s.state.over()).count();
    Ok(found.map_or((0, 0), |r| (over(r), r.steps.len())))
}
