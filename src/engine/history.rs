//! Journals read back: what runs or ran on a host's objects, for people and for hints.
use super::journal::{self, Event, Line};
use super::step::Host;
use super::{Cx, gate};
use crate::base::Problem;
use crate::base::shell::quote;

/// One operation as a host's journals show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Record {
    /// The object's key, `cluster.main`.
    pub object: String,
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
    pub outcome: Option<String>,
    /// Its steps in order.
    pub steps: Vec<StepRecord>,
    /// Lines that were damaged.
    pub damaged: usize,
}

/// One step of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct StepRecord {
    /// Its title.
    pub title: String,
    /// `next`, `running`, `done`, `skipped`, `failed`.
    pub state: String,
    /// Host's clock at its begin.
    pub began: Option<i64>,
    /// Host's clock at its end.
    pub ended: Option<i64>,
}

/// Puts lines together to a record; `None` without an opening line.
#[must_use]
pub fn record(object: &str, lines: &[Line], damaged: usize) -> Option<Record> {
    let open = lines.iter().find(|l| l.entry.event == Event::Open)?;
    let mut steps: Vec<_> = open
        .entry
        .titles
        .iter()
        .map(|t| StepRecord { title: t.clone(), state: "next".into(), began: None, ended: None })
        .collect();
    let mut outcome = None;
    for line in lines {
        let step = line.entry.step.checked_sub(1).and_then(|i| steps.get_mut(i));
        match (line.entry.event, step) {
            (Event::Close, _) => outcome = Some(line.entry.note.clone()),
            (Event::Begin, Some(step)) => {
                (step.state, step.began) = ("running".into(), Some(line.at))
            }
            (Event::End, Some(step)) => (step.state, step.ended) = ("done".into(), Some(line.at)),
            (Event::Fail, Some(step)) => {
                (step.state, step.ended) = ("failed".into(), Some(line.at))
            }
            (Event::Skip, Some(step)) if step.state == "next" => step.state = "skipped".into(),
            _ => {}
        }
    }
    Some(Record {
        object: object.into(),
        operation: open.entry.op.clone(),
        title: open.entry.title.clone(),
        who: open.entry.who.clone(),
        lease: open.entry.lease,
        started: open.at,
        last: lines.last().map_or(open.at, |l| l.at),
        outcome,
        steps,
        damaged,
    })
}

const SEPARATOR: &str = "=====ob-journal ";

/// All operations that a host's journals know, newest last; `object` limits them to one key.
///
/// # Errors
/// The host cannot be reached.
pub async fn list(cx: &Cx, host: &Host, object: Option<&str>) -> Result<Vec<Record>, Problem> {
    let pattern = object.map_or("*".to_owned(), quote);
    let script = format!(
        "{}cd \"$OB_STATE/objects\" 2>/dev/null || exit 0\nfor f in {pattern}/journal/*.log; do [ -e \"$f\" ] || continue; echo '{SEPARATOR}'\"$f\"; cat \"$f\"; done; :",
        gate::LIB
    );
    let output = cx.read(host, &script).await?;
    let mut records = Vec::new();
    for part in output.stdout.split(SEPARATOR).skip(1) {
        let (file, text) = part.split_once('\n').unwrap_or((part, ""));
        let (lines, damaged) = journal::parse(text);
        records.extend(record(file.split('/').next().unwrap_or(""), &lines, damaged));
    }
    records.sort_by(|a, b| (a.started, &a.operation).cmp(&(b.started, &b.operation)));
    Ok(records)
}

/// How far an operation came: steps done or skipped, of how many.
///
/// # Errors
/// The host cannot be reached.
pub async fn progress(
    cx: &Cx,
    host: &Host,
    object: &str,
    operation: &str,
) -> Result<(usize, usize), Problem> {
    let records = list(cx, host, Some(object)).await?;
    Ok(records.iter().find(|r| r.operation == operation).map_or((0, 0), |r| {
        (
            r.steps.iter().filter(|s| matches!(s.state.as_str(), "done" | "skipped")).count(),
            r.steps.len(),
        )
    }))
}
