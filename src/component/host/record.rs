//! The record of a preparation: who owns it, how far it has got, and what it made or changed, each
//! with what was there before.
//!
//! The record is the file `$OB_STATE/objects/host/made` with lines `key=value`. A script writes the
//! line about an effect before it has the effect. So an effect that the record does not name was
//! not ours, and we never undo it.
use crate::base::Problem;
use crate::engine::mark::Stage;
use crate::engine::{Cx, Host};
use crate::program;
use std::collections::BTreeMap;

/// A record as it lies on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    lines: BTreeMap<String, String>,
}

/// Shell functions: `$made` is the record's path; `ob_note KEY VALUE`, `ob_forget KEY` and
/// `ob_noted KEY` work on the record.
pub(crate) const LIB: &str = include_str!("record.sh");

/// Reads the record of a host. A host has only one: two preparations of a host would undo each
/// other.
///
/// # Errors
/// The host cannot be reached.
pub async fn read(cx: &Cx, host: &Host) -> Result<Record, Problem> {
    Ok(Record::parse(&cx.read(host, &program!("read_record.sh", LIB)).await?.stdout))
}

impl Record {
    /// Parses what `ob_record` printed.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|l| l.strip_prefix("made.")?.split_once('='));
        Self { lines: lines.map(|(k, v)| (k.to_owned(), v.to_owned())).collect() }
    }
    /// There is a record.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.lines.contains_key("creation")
    }
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.get(key).map(String::as_str)
    }
    /// As [`Record::get`]; empty when there is no such key.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or("")
    }
    /// The keys with this prefix, without the prefix, and their values.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.lines.iter().filter_map(move |(k, v)| Some((k.strip_prefix(prefix)?, v.as_str())))
    }
    /// How far the preparation has got; `None` when the record does not say.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        Some(self.get("stage")?.parse().unwrap_or(Stage::Building))
    }
}
