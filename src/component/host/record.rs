//! The record of a preparation: whose it is, how far it came, and what it made or changed, each
//! with what was there before.
//!
//! The file `$OB_STATE/objects/host.NAME/made`, lines `key=value`. A line about an effect is
//! written by the same script, before the effect: what is not in it was not done by us and is never
//! undone by us.
use super::Site;
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::mark::Stage;
use crate::engine::{Cx, gate};
use std::collections::BTreeMap;

/// A record as it lies on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    lines: BTreeMap<String, String>,
}

/// Shell: `$made` is the record; `ob_note KEY VALUE`, `ob_forget KEY`, `ob_noted KEY` work on it.
#[must_use]
pub fn lib(site: &Site) -> String {
    format!("made=\"$OB_STATE/objects/\"{}/made\n{LIB}", quote(&site.key()))
}

const LIB: &str = r#"
ob_without() { [ ! -e "$made" ] || while IFS= read -r ob_l; do case $ob_l in "$1="*) ;; *) printf '%s\n' "$ob_l" ;; esac; done < "$made"; }
ob_note() { { ob_without "$1"; printf '%s=%s\n' "$1" "$2"; } | ob_put "$made"; }
ob_forget() { ob_noted "$1" >/dev/null || return 0; ob_without "$1" | ob_put "$made"; }
ob_noted() { [ -e "$made" ] || return 1; while IFS= read -r ob_l; do case $ob_l in "$1="*) printf '%s\n' "${ob_l#"$1="}"; return 0 ;; esac; done < "$made"; return 1; }
"#;

/// Shell that prints the record, each line after `made.`; part of what steps read.
#[must_use]
pub fn print(site: &Site) -> String {
    format!("{}{}[ ! -e \"$made\" ] || sed 's/^/made./' \"$made\"\n", gate::LIB, lib(site))
}

/// Reads the record of a host.
///
/// # Errors
/// The host cannot be reached.
pub async fn read(cx: &Cx, site: &Site) -> Result<Record, Problem> {
    Ok(Record::parse(&cx.read(&site.host, &format!("{}:", print(site))).await?.stdout))
}

/// Names and records of every preparation on a host, so that an import can find its own.
///
/// # Errors
/// The host cannot be reached.
pub async fn all(cx: &Cx, host: &crate::engine::Host) -> Result<Vec<Record>, Problem> {
    let script = format!(
        "{}for f in \"$OB_STATE\"/objects/host.*/made; do [ -e \"$f\" ] || continue; echo; sed 's/^/made./' \"$f\"; done; :",
        gate::LIB
    );
    let text = cx.read(host, &script).await?.stdout;
    Ok(text.split("\n\n").map(Record::parse).filter(Record::exists).collect())
}

impl Record {
    /// From what [`print`] printed.
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
        match self.get("stage")? {
            "complete" => Some(Stage::Complete),
            "destroying" => Some(Stage::Destroying),
            _ => Some(Stage::Building),
        }
    }
}

/// The word of a stage in the record.
#[must_use]
pub fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Building => "building",
        Stage::Complete => "complete",
        Stage::Destroying => "destroying",
    }
}
