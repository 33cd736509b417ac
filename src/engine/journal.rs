//! The journal: append-only, checksummed lines on the hosts of an operation. It informs people and
//! shows progress; nothing is decided by it.
//!
//! Each object has one file per operation: `$OB_STATE/objects/KEY/journal/OPERATION.log`. A line is
//! `host-time crc32 json`. Lines that do not match their checksum (a file cut in half) are skipped
//! and counted.
use super::node::{Engine, Node};
use serde::{Deserialize, Serialize};

/// Format version of lines, marks and gates.
pub const FORMAT: u32 = 1;

/// Reads one of our own files (a mark, a group's note) from JSON. Its `format` must be [`FORMAT`].
///
/// # Errors
/// The file is damaged, or of another format.
pub fn formatted<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let damaged = |e: serde_json::Error| format!("it is damaged: {e}");
    let value: serde_json::Value = serde_json::from_str(text.trim()).map_err(damaged)?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => {
            return Err(format!("it is of format {format}, which a newer version of ob wrote"));
        }
        None => return Err("it is damaged: it names no format".into()),
    }
    serde_json::from_value(value).map_err(damaged)
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The operation starts (or is resumed) here.
    Open,
    /// A step was found done.
    Skip,
    /// A step's effect is about to run.
    Begin,
    /// It ran.
    End,
    /// It failed on the host.
    Fail,
    /// The operation ended well.
    Close,
    /// The operation ended with a problem; `note` says with which.
    Stop,
    /// Somebody gave the operation up; `note` says who.
    Abandon,
}

/// How an operation ended; the gravest is the last.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Well.
    Done,
    /// With a problem.
    Stopped,
    /// Somebody gave it up.
    Abandoned,
}

impl Event {
    /// How the operation ended, if this line ends it.
    #[must_use]
    pub fn ending(self) -> Option<Ending> {
        match self {
            Self::Close => Some(Ending::Done),
            Self::Stop => Some(Ending::Stopped),
            Self::Abandon => Some(Ending::Abandoned),
            Self::Open | Self::Skip | Self::Begin | Self::End | Self::Fail => None,
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Entry {
    /// Format version.
    pub v: u32,
    /// Operation id.
    pub op: String,
    /// What happened.
    pub event: Event,
    /// Step number from 1, 0 for the operation itself.
    pub step: usize,
    /// Number of steps of the operation.
    pub of: usize,
    /// Step kind, or the verb of the operation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Step title, or the title of the operation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Lease number under which it ran.
    #[serde(default)]
    pub lease: u64,
    /// Who runs; on `open` lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// Owner of the configuration; on `open` lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub authority: String,
    /// Epoch of that authority.
    #[serde(default)]
    pub epoch: u64,
    /// What the object is; on `open` lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Its nodes; on `open` lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Node>,
    /// The object for people, `cluster.main`; on `open` lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// All titles in order; on `open` lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub titles: Vec<String>,
    /// Reason, outcome.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Entry {
    /// The line as it is sent to a host: checksum and JSON. The host puts its time before it.
    #[must_use]
    pub fn seal(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{:08x} {json}", crc(&json))
    }
}

fn crc(text: &str) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    crc.sum()
}

/// A line as it was read back: when (the host's clock, seconds since 1970) and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The host's clock, seconds since 1970.
    pub at: i64,
    /// The entry.
    pub entry: Entry,
}

/// Reads a journal. The second value counts the lines that are damaged or of another format.
#[must_use]
pub fn parse(text: &str) -> (Vec<Line>, usize) {
    let (mut lines, mut bad) = (Vec::new(), 0);
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        match parse_line(line) {
            Some(line) => lines.push(line),
            None => bad += 1,
        }
    }
    (lines, bad)
}

fn parse_line(line: &str) -> Option<Line> {
    let (at, rest) = line.split_once(' ')?;
    let (sum, json) = rest.split_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != crc(json) {
        return None;
    }
    let entry = serde_json::from_str(json).ok().filter(|e: &Entry| e.v == FORMAT)?;
    Some(Line { at: at.parse().ok()?, entry })
}
