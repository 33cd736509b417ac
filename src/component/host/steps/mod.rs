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
use super::record::Record;
use crate::base::Problem;
use crate::engine::template::OWNER;
use crate::engine::{Cx, Form, Program, StepId, StepKind, Template};
use crate::transport::key_values;
use std::collections::BTreeMap;

/// What a step's reading program printed, with the record.
struct Seen {
    text: String,
    facts: BTreeMap<String, String>,
    record: Record,
}

impl Seen {
    /// Runs a program that prints the record and `key=value` lines.
    async fn read(cx: &Cx, site: &Site, program: &Program) -> Result<Self, Problem> {
        let text = cx.read(&site.host, program).await?.stdout;
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
    /// The first line of every file of ours, with its end.
    fn header(&self, site: &Site) -> String {
        format!("{}\n", header(site).replace(NOBODY, self.record.text("owner")))
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

/// Stands in [`header`] where the owner goes.
const NOBODY: &str = "<owner>";

/// The first line of every file of ours says whose it is.
fn header(site: &Site) -> String {
    format!(
        "# Written by ob: host \"{}\" of owner \"{NOBODY}\". Gone when its preparation is destroyed.",
        site.name
    )
}

/// [`header`] as a template: a line without its end.
fn header_template(site: &Site) -> Template {
    let text = header(site);
    let (before, after) = text.split_once(NOBODY).unwrap_or((&text, ""));
    Template::from(before).and(OWNER, Form::Plain).then(after)
}

/// A step of this kind about a host.
fn id(kind: &'static str, site: &Site) -> StepId {
    StepId::new(StepKind(kind), &site.host, "")
}

/// A program about a preparation out of the `.sh` file beside the source.
macro_rules! prepare {
    ($file:literal) => {
        $crate::program!($file, $crate::component::host::record::LIB)
            .within(std::time::Duration::from_secs(60))
    };
}
use prepare;
