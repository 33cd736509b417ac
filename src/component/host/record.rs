//! The record of a preparation: whose it is, how far it came, and what it made or changed, each
//! with what was there before.
//!
//! The file `$OB_STATE/objects/host/made`, lines `key=value`. A line about an effect is
//! written by the same script, before the effect: what is not in it was not done by us and is never
//! undone by us.
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

/// Shell: `$made` is the record; `ob_note KEY VALUE`, `ob_forget KEY`, `ob_noted KEY` work on it.
pub(crate) const LIB: &str = include_str!("record.sh");

/// Reads the record of a host. A host has one: two preparations of it would undo each other.
///
/// # Errors
/// The host cannot be reached.
pub async fn read(cx: &Cx, host: &Host) -> Result<Record, Problem> {
    Ok(Record::parse(&cx.read(host, &program!("read_record.sh", LIB)).await?.stdout))
}

impl Record {
    /// From what `ob_record` printed.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|l| l.strip_prefix("made.")?.split_once('='));
        Self { lines: lines.map(|(k, v)| (k.to_owned(), v.to_owned())).collect() }
    }
    /// There is one.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.lines.contains_key("creation")
    }
    /// The value of a line.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.get(key).map(String::as_str)
    }
    /// As [`Record::get`], empty when absent.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or("")
    }
    /// Keys with this prefix and their values.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.lines.iter().filter_map(move |(k, v)| Some((k.strip_prefix(prefix)?, v.as_str())))
    }
    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        Some(self.get("stage")?.parse().unwrap_or(Stage::Building))
    }
}
