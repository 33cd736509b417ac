//! The journals of all hosts: which steps began, ended and failed, how often and in which order.
use crate::{Host, Lab};
use anyhow::{Result, ensure};
use ob::engine::journal::{self, Event, Line};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// One journal file.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The host that has the journal.
    pub host: String,
    /// The object, such as `cluster.a`.
    pub object: String,
    /// The lines that could be parsed.
    pub lines: Vec<Line>,
    /// How many lines are damaged.
    pub damaged: usize,
}

/// Reads every journal of every host, including hosts that are off.
///
/// # Errors
/// A disk cannot be read.
pub fn read(lab: &Lab) -> Result<Vec<Journal>> {
    let mut all = Vec::new();
    for host in lab.hosts() {
        for object in homes(&host).into_iter().flat_map(|home| {
            std::fs::read_dir(home.join(".ob/objects")).into_iter().flatten().flatten()
        }) {
            for file in
                std::fs::read_dir(object.path().join("journal")).into_iter().flatten().flatten()
            {
                let (lines, damaged) =
                    journal::parse(&String::from_utf8_lossy(&std::fs::read(file.path())?));
                all.push(Journal {
                    host: host.name().to_owned(),
                    object: lines.first().map(|l| l.entry.object.clone()).unwrap_or_default(),
                    lines,
                    damaged,
                });
            }
        }
    }
    all.sort_by_key(|j| j.lines.first().map(|l| (l.at, l.entry.op.clone())));
    Ok(all)
}

/// The homes on a host: any user may have run something of ours.
fn homes(host: &Host) -> Vec<PathBuf> {
    let others =
        std::fs::read_dir(host.path("/home")).into_iter().flatten().flatten().map(|e| e.path());
    others.chain([host.path("/root")]).collect()
}

/// How often each step, by title, has this event in the journals.
#[must_use]
pub fn count(journals: &[Journal], event: Event) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in journals.iter().flat_map(|j| &j.lines).filter(|l| l.entry.event == event) {
        *counts.entry(line.entry.title.clone()).or_default() += 1;
    }
    counts
}

/// The effects on one host: operation, lease number, event and title of each begin, end and fail
/// line, in the order of the journals.
#[must_use]
pub fn effects(journals: &[Journal], host: &str) -> Vec<(String, u64, Event, String)> {
    let of_host = journals.iter().filter(|j| j.host == host).flat_map(|j| &j.lines);
    of_host
        .filter(|l| matches!(l.entry.event, Event::Begin | Event::End | Event::Fail))
        .map(|l| (l.entry.op.clone(), l.entry.lease, l.entry.event, l.entry.title.clone()))
        .collect()
}

/// Demands that on each host the effects of two operations on one object never interleave: lease
/// numbers grow with time, and each number has one holder.
///
/// # Errors
/// Effects interleave, or a disk cannot be read.
pub fn never_interleaved(lab: &Lab) -> Result<()> {
    let mut effects: BTreeMap<(String, String), Vec<Line>> = BTreeMap::new();
    for journal in read(lab)? {
        let lines = journal
            .lines
            .into_iter()
            .filter(|l| matches!(l.entry.event, Event::Begin | Event::End));
        effects.entry((journal.host, journal.object)).or_default().extend(lines);
    }
    for ((host, object), mut lines) in effects {
        lines.sort_by_key(|l| l.at);
        let leases: Vec<u64> = lines.iter().map(|l| l.entry.lease).collect();
        ensure!(leases.is_sorted(), "{object} on {host}: lease numbers by time: {leases:?}");
        let owners: BTreeSet<(u64, &str)> =
            lines.iter().map(|l| (l.entry.lease, l.entry.op.as_str())).collect();
        let numbers: BTreeSet<u64> = owners.iter().map(|o| o.0).collect();
        ensure!(
            owners.len() == numbers.len(),
            "{object} on {host}: a number has one holder: {owners:?}"
        );
    }
    Ok(())
}

/// The last `n` lines of all journals, ordered by time, for the report of a failure.
#[must_use]
pub fn tail(lab: &Lab, n: usize) -> String {
    let journals = read(lab).unwrap_or_default();
    let mut lines: Vec<_> =
        journals.iter().flat_map(|j| j.lines.iter().map(move |l| (l.at, j, l))).collect();
    lines.sort_by_key(|(at, ..)| *at);
    let show = |(at, j, l): &(i64, &Journal, &Line)| {
        format!(
            "  {at} {} {} #{} {} {:?} {}",
            j.host,
            j.object,
            l.entry.lease,
            &l.entry.op[l.entry.op.len().saturating_sub(6)..],
            l.entry.event,
            l.entry.title
        )
    };
    lines[lines.len().saturating_sub(n)..].iter().map(show).collect::<Vec<_>>().join("\n")
}
