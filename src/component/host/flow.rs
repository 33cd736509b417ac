//! Orders the steps: pure functions from what is wanted to graphs of steps.
use super::rules::{self, Rules};
use super::steps::{
    CheckClock, CheckNetwork, Claim, ForgetRecord, MakeDirectory, MakeUser, RemoveDirectory,
    RemoveUser, SetHugepage, SetLimits, SetStage, SetSysctl,
};
use super::{Directory, Limits, Site, User};
use crate::engine::mark::Stage;
use crate::engine::{Graph, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A host as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The host.
    pub site: Site,
    /// Network device and address that servers will use.
    pub network: Option<(String, Option<String>)>,
    /// What to prepare on the host; `None` changes nothing there.
    pub prepare: Option<Prepare>,
}

/// What to prepare on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepare {
    /// OS user.
    pub user: Option<User>,
    /// Directories by path.
    pub directories: BTreeMap<String, Directory>,
    /// Limits of logins.
    pub limits: Option<Limits>,
    /// Profile of kernel settings, and exact values on top of it.
    pub sysctl: Option<(String, BTreeMap<String, String>)>,
    /// Mode of transparent huge pages.
    pub hugepage: Option<String>,
    /// How far the clock may be off.
    pub clock: Option<Duration>,
    /// The declaration as JSON. The record keeps it, so that an import finds it.
    pub declared: String,
}

impl Prepare {
    /// The rules that follow from the kernel settings.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.sysctl
            .as_ref()
            .map(|(profile, values)| rules::rules(profile, values))
            .unwrap_or_default()
    }
}

/// One step for each part, in the order user, directories, limits, kernel settings, huge pages.
/// Each comes with the name under which its drift is shown.
#[must_use]
pub fn parts(site: &Site, p: &Prepare) -> Vec<(String, Arc<dyn Step>)> {
    let mut all: Vec<(String, Arc<dyn Step>)> = Vec::new();
    if let Some(user) = &p.user {
        all.push(("user".into(), Arc::new(MakeUser { site: site.clone(), user: user.clone() })));
    }
    for directory in p.directories.values() {
        all.push((
            part_of(&directory.path),
            Arc::new(MakeDirectory { site: site.clone(), directory: directory.clone() }),
        ));
    }
    if p.limits.is_some() {
        all.push((
            "limits".into(),
            Arc::new(SetLimits { site: site.clone(), limits: p.limits.clone() }),
        ));
    }
    if p.sysctl.is_some() {
        all.push(("sysctl".into(), Arc::new(SetSysctl { site: site.clone(), rules: p.rules() })));
    }
    if p.hugepage.is_some() {
        all.push((
            "transparent_hugepage".into(),
            Arc::new(SetHugepage { site: site.clone(), want: p.hugepage.clone() }),
        ));
    }
    all
}

fn part_of(path: &str) -> String {
    format!("directories {path}")
}

fn looks(g: &mut Graph, d: &Desired) {
    if let Some(max) = d.prepare.as_ref().and_then(|p| p.clock) {
        g.then(CheckClock {
            site: d.site.clone(),
            max_ms: u64::try_from(max.as_millis()).unwrap_or(u64::MAX),
        });
    }
    if let Some((device, address)) = &d.network {
        g.then(CheckNetwork {
            site: d.site.clone(),
            device: device.clone(),
            address: address.clone(),
        });
    }
}

/// The checks, which only look. They also run on a host that is not prepared.
#[must_use]
pub fn checks(d: &Desired) -> Graph {
    let mut g = Graph::new();
    looks(&mut g, d);
    g
}

/// Prepares a host. The graph is empty when nothing is asked for.
#[must_use]
pub fn create(d: &Desired) -> Graph {
    let mut g = Graph::new();
    let Some(p) = &d.prepare else { return g };
    g.then(Claim { site: d.site.clone(), creation: None });
    looks(&mut g, d);
    for (_, step) in parts(&d.site, p) {
        g.then_arc(step);
    }
    g.then(complete(&d.site, p));
    g
}

/// Changes a preparation from `prior` to `next`. `drift` names the parts that are not as `prior`
/// says. `creation` is the creation that the record on the host must name.
#[must_use]
pub fn update(prior: &Desired, next: &Desired, drift: &BTreeSet<String>, creation: &str) -> Graph {
    let (before, after) = match (&prior.prepare, &next.prepare) {
        (None, None) => return Graph::new(),
        (None, Some(_)) => return create(next),
        (Some(_), None) => {
            return destroy(
                &Site { host: next.site.host.clone(), ..prior.site.clone() },
                prior.prepare.as_ref(),
                creation,
            );
        }
        (Some(before), Some(after)) => (before, after),
    };
    let all = drift.contains("record");
    // A preparation that did not end is repeated as a whole; each step skips what is done.
    let every = all || drift.contains("preparation");
    let changed = |part: &str| match part {
        "user" => before.user != after.user,
        "limits" => before.limits != after.limits,
        "sysctl" => before.sysctl != after.sysctl,
        "transparent_hugepage" => before.hugepage != after.hugepage,
        directory => directory
            .strip_prefix("directories ")
            .is_some_and(|path| before.directories.get(path) != after.directories.get(path)),
    };
    let mut work = Graph::new();
    for (part, step) in parts(&next.site, after) {
        if every || drift.contains(&part) || changed(&part) {
            work.then_arc(step);
        }
    }
    dropped(&mut work, &next.site, before, after);
    let moved = prior.site.host.endpoint.address != next.site.host.endpoint.address
        || prior.site.host.endpoint.port != next.site.host.endpoint.port;
    if work.is_empty() && before == after && !moved && !every {
        return work;
    }
    let mut g = Graph::new();
    g.then(Claim { site: next.site.clone(), creation: (!all).then(|| creation.to_owned()) });
    looks(&mut g, next);
    g.append(work);
    g.then(complete(&next.site, after));
    g
}

fn complete(site: &Site, p: &Prepare) -> SetStage {
    SetStage {
        site: site.clone(),
        stage: Stage::Complete,
        creation: None,
        declared: p.declared.clone(),
        user: None,
    }
}

/// Undoes the parts that are no longer declared.
fn dropped(g: &mut Graph, site: &Site, before: &Prepare, after: &Prepare) {
    if before.hugepage.is_some() && after.hugepage.is_none() {
        g.then(SetHugepage { site: site.clone(), want: None });
    }
    if before.sysctl.is_some() && after.sysctl.is_none() {
        g.then(SetSysctl { site: site.clone(), rules: Rules::new() });
    }
    if before.limits.is_some() && after.limits.is_none() {
        g.then(SetLimits { site: site.clone(), limits: None });
    }
    for path in before.directories.keys().rev().filter(|p| !after.directories.contains_key(*p)) {
        g.then(RemoveDirectory { site: site.clone(), path: path.clone() });
    }
    if let Some(user) = &before.user
        && after.user.as_ref().is_none_or(|u| u.name != user.name)
    {
        g.then(RemoveUser { site: site.clone(), name: user.name.clone() });
    }
}

/// Undoes what was prepared, and nothing else.
#[must_use]
pub fn destroy(site: &Site, prepared: Option<&Prepare>, creation: &str) -> Graph {
    let mut g = Graph::new();
    let Some(p) = prepared else { return g };
    g.then(SetStage {
        site: site.clone(),
        stage: Stage::Destroying,
        creation: Some(creation.to_owned()),
        declared: p.declared.clone(),
        user: p.user.as_ref().map(|u| u.name.clone()),
    });
    dropped(&mut g, site, p, &Prepare::default());
    g.then(ForgetRecord { site: site.clone() });
    g
}
