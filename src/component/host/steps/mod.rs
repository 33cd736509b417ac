//! The steps that prepare a host, one effect each. Each step's script first notes in the record
//! what it is about to make or change.
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

/// The output of a step's look, and the record that it printed.
struct Seen {
    text: String,
    facts: BTreeMap<String, String>,
    record: Record,
}

impl Seen {
    /// Runs a program that prints the record and lines `key=value`.
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
    /// Why others than root could swap what root would act on.
    fn swappable(&self) -> Option<&str> {
        self.facts.get("unsafe").map(String::as_str)
    }
    /// The lines of a file that the program printed with `sed 's/^/PREFIX/'`.
    fn file(&self, prefix: &str) -> String {
        self.text.lines().filter_map(|l| l.strip_prefix(prefix)).flat_map(|l| [l, "\n"]).collect()
    }
    /// The first line of every file of ours, with its newline.
    fn header(&self, site: &Site) -> String {
        format!("{}\n", header(site).replace(NOBODY, self.record.text("owner")))
    }
    /// Refuses a file at `path` that somebody else wrote or could swap while root writes it.
    fn foreign(&self, site: &Site, path: &str, content: &str) -> Option<Problem> {
        if let Some(why) = self.swappable() {
            return Some(
                Problem::refused(format!(
                    "root cannot safely write {path} on host \"{}\"",
                    site.host.endpoint.name
                ))
                .place(site.host.endpoint.show())
                .why(why)
                .fix(ROOTS),
            );
        }
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

/// What to do about a path that others than root could swap.
const ROOTS: &str = "write the path without links, and make each directory above it root's alone: \
                     chown root, chmod go-w";

/// Placeholder for the owner in [`header`].
const NOBODY: &str = "<owner>";

/// The first line of every file of ours, which names its owner.
fn header(site: &Site) -> String {
    format!(
        "# Written by ob: host \"{}\" of owner \"{NOBODY}\". Gone when its preparation is \
         destroyed.",
        site.name
    )
}

/// [`header`] as a template, without a newline.
fn header_template(site: &Site) -> Template {
    let text = header(site);
    let (before, after) = text.split_once(NOBODY).unwrap_or((&text, ""));
    Template::from(before).and(OWNER, Form::Plain).then(after)
}

/// The identity of a step of this kind on a host.
fn id(kind: &'static str, site: &Site) -> StepId {
    StepId::new(StepKind(kind), &site.host, "")
}

/// The program in a `.sh` file beside the source, with `only_root` and the record's functions before
/// it and a time limit of 60 s.
macro_rules! prepare {
    ($file:literal) => {
        $crate::program!(
            $file,
            $crate::transport::sudo::ONLY_ROOT,
            $crate::component::host::record::LIB
        )
        .within(std::time::Duration::from_secs(60))
    };
}
use prepare;
