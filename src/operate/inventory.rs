//! Reads everything of ours that lies on a host (gates, marks, notes and journals), by two scripts.
use crate::base::Problem;
use crate::component::database::{self, Database, Group};
use crate::engine::history::{self, Record};
use crate::engine::mark::Mark;
use crate::engine::process::Process;
use crate::engine::{Cx, Host, Key, Node};
use crate::program;
use crate::transport::key_values;
use serde::Serialize;

/// A gate as it is now. On the host it is a file of `key=value` lines with these keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Gate {
    /// Number of the last lease; only grows.
    pub number: u64,
    /// True while its holder renews it, unless that ran on this machine and is gone.
    pub live: bool,
    /// Who holds it.
    pub who: String,
    /// Operation that holds it; empty when it was given back.
    pub holder: String,
}

/// One object as a host knows it.
#[derive(Clone, Debug, Serialize)]
pub struct Object {
    /// Its key.
    pub key: Key,
    /// Its gate.
    pub gate: Gate,
    /// Its directory, while it has one.
    pub home: Option<String>,
    /// Its mark, which says whose it is.
    pub mark: Option<Mark>,
    /// Whether it has a mark that cannot be read.
    pub mark_damaged: bool,
    /// Note of the group of which it is a member.
    pub group: Option<Group>,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Which one.
    pub host: Host,
    /// Its clock, seconds since 1970.
    pub now: i64,
    /// What lies there.
    pub objects: Vec<Object>,
    /// What ran there.
    pub records: Vec<Record>,
}

const SEPARATOR: &str = "ob-object ";

/// Looks at one host.
///
/// # Errors
/// It cannot be reached.
pub async fn look(cx: &Cx, host: &Host) -> Result<Survey, Problem> {
    let text = cx.read(host, &program!("inventory.sh")).await?.stdout;
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let now = key_values(head).get("now").and_then(|n| n.parse().ok()).unwrap_or(0);
    let parts = rest.strip_prefix(SEPARATOR).unwrap_or("").split("\nob-object ");
    let objects = parts.filter_map(object).collect();
    let records = history::list(cx, host, None).await?;
    Ok(Survey { host: host.clone(), now, objects, records })
}

fn object(part: &str) -> Option<Object> {
    let (key, rest) = part.split_once('\n').unwrap_or((part, ""));
    let key = Key::parse(key.trim()).ok()?;
    let facts = key_values(rest);
    let text = |k: &str| facts.get(k).cloned().unwrap_or_default();
    let mark = facts.get("mark").map(|m| Mark::parse(m));
    Some(Object {
        key,
        gate: Gate {
            number: text("number").parse().unwrap_or(0),
            live: text("live") == "1"
                && !Process::parse(&text("process")).is_some_and(|p| p.gone()),
            who: text("who"),
            holder: text("holder"),
        },
        home: facts.get("home").cloned(),
        mark_damaged: matches!(mark, Some(Err(_))),
        mark: mark.and_then(Result::ok),
        group: facts.get("group").and_then(|g| Group::parse(g).ok()),
    })
}

impl Object {
    /// The database server that the object is, if it is one. Its mark describes the server; the
    /// host is the one where the mark was found. `None` when the mark names another directory than
    /// the object's.
    #[must_use]
    pub fn node(&self, host: &Host) -> Option<(&'static dyn Database, Node)> {
        let mark = self.mark.as_ref()?;
        let database = database::of(mark.engine)?;
        let here = self.home.as_deref() == Some(&*mark.node.directory);
        here.then(|| (database, Node { host: host.clone(), ..mark.node.clone() }))
    }
}

/// Looks at all hosts at once. The second list has the hosts that could not be looked at, and why.
pub async fn look_all(cx: &Cx, hosts: &[Host]) -> (Vec<Survey>, Vec<(Host, Problem)>) {
    let mut set = tokio::task::JoinSet::new();
    for (n, host) in hosts.iter().cloned().enumerate() {
        let cx = cx.clone();
        set.spawn(async move { (n, look(&cx, &host).await.map_err(|p| (host, p))) });
    }
    let mut all = Vec::new();
    while let Some(done) = set.join_next().await {
        all.extend(done.ok());
    }
    all.sort_by_key(|(n, _)| *n);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (_, answer) in all {
        match answer {
            Ok(survey) => good.push(survey),
            Err(pair) => bad.push(pair),
        }
    }
    (good, bad)
}

/// Like [`look_all`], but at least one host must answer. The second list says what is wrong with
/// the other hosts.
///
/// # Errors
/// None answers.
pub async fn look_any(cx: &Cx, hosts: &[Host]) -> Result<(Vec<Survey>, Vec<Problem>), Problem> {
    let (good, bad) = look_all(cx, hosts).await;
    let mut bad = bad.into_iter();
    if good.is_empty()
        && let Some((_, problem)) = bad.next()
    {
        return Err(problem);
    }
    let told = |(host, problem): (Host, Problem)| Problem {
        what: format!("host \"{}\" could not be looked at", host.endpoint.name),
        ..problem
    };
    Ok((good, bad.map(told).collect()))
}
