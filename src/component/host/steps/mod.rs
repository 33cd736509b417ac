//! The steps of preparing a host, one effect each. What each makes or changes is noted in the
//! record by the same script, first.
mod claim;
mod directory;
mod hugepage;
mod limits;
mod look;
mod sysctl;
mod user;

pub use claim::{Claim, ForgetRecord, SetStage};
pub use directory::{MakeDirectory, RemoveDirectory};
pub use hugepage::SetHugepage;
pub use limits::SetLimits;
pub use look::{CheckClock, CheckNetwork};
pub use sysctl::SetSysctl;
pub use user::{MakeUser, RemoveUser};

use super::Site;
use super::record::{self, Record};
use crate::base::Problem;
use crate::engine::Cx;
use crate::transport::key_values;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an effect on a host may take; none of them does more than write small files.
const LIMIT: Duration = Duration::from_secs(60);

/// What a step's reading script printed, with the record.
struct Seen {
    text: String,
    facts: BTreeMap<String, String>,
    record: Record,
}

impl Seen {
    /// Runs `script`, which prints `key=value` lines, and reads the record with it.
    async fn read(cx: &Cx, site: &Site, script: &str) -> Result<Self, Problem> {
        let text =
            cx.read(&site.host, &format!("{}{script}\n:", record::print(site))).await?.stdout;
        let (facts, record) = (key_values(&text), Record::parse(&text));
        Ok(Self { text, facts, record })
    }
    fn get(&self, key: &str) -> &str {
        self.facts.get(key).map_or("", String::as_str)
    }
    fn has(&self, key: &str) -> bool {
        self.facts.contains_key(key)
    }
    /// The lines of a file that were printed with `sed 's/^/PREFIX/'`.
    fn file(&self, prefix: &str) -> String {
        self.text.lines().filter_map(|l| l.strip_prefix(prefix)).flat_map(|l| [l, "\n"]).collect()
    }
    /// The first line of every file of ours: says whose it is.
    fn header(&self, site: &Site) -> String {
        format!(
            "# Written by ob: host \"{}\" of owner \"{}\". Gone when its preparation is destroyed.\n",
            site.name,
            self.record.text("owner")
        )
    }
    /// Refuses a file of that name that somebody else wrote.
    fn foreign(&self, site: &Site, path: &str, content: &str) -> Option<Problem> {
        (!content.is_empty() && !content.starts_with(&self.header(site))).then(|| {
            Problem::refused(format!(
                "{path} on host \"{}\" belongs to somebody else",
                site.host.endpoint.name
            ))
            .place(site.host.endpoint.show())
            .why(format!("its first line is {:?}", content.lines().next().unwrap_or("")))
            .fix("destroy the ob_host that wrote it, or move the file away by hand")
        })
    }
}

/// Shell that starts every effect here.
fn lib(site: &Site) -> String {
    record::lib(site)
}

/// `printf` of a text into a root-owned file.
fn tee(path: &str, text: &str) -> String {
    format!("printf %s {} | root tee {path} >/dev/null", crate::base::shell::quote(text))
}
