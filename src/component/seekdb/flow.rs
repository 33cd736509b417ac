//! Orders the steps: pure functions from what is wanted to graphs of steps.
use super::dialect::{self, Dialect};
use super::steps::{
    Adopt, BeginRestart, Claim, CloseFiles, CreateAccount, EndFenced, EndNote, EndSessions,
    KeepRootPassword, Note, PlacePackage, ProveFresh, ProveRoom, PrunePackages, RemoveHome,
    RemoveStore, RootPassword, SetBoot, SetParameter, SetRootPassword, SetStage, Start,
    StartServer, Stop, StopServer, UsePackage, WriteAccount,
};
use crate::base::Problem;
use crate::engine::mark::Stage;
use crate::engine::{Graph, Node, Port, Step};
use std::sync::Arc;

pub use crate::component::database::Desired;

/// The dialect of the version that is wanted.
fn dialect_of(wanted: &Desired) -> &'static Dialect {
    Dialect::planned(&wanted.package.version)
}

/// Why a server must not run from its package: the version is unknown, or the store is of another
/// family.
#[must_use]
pub fn refused_package(prior: Option<&Desired>, next: &Desired) -> Option<Problem> {
    let (name, version) = (next.node.show(), &next.package.version);
    let Some(to) = Dialect::of_version(version) else {
        return Some(dialect::unknown(&name, version).attribute(["package"]));
    };
    // An import may not tell the former version; then the server decides.
    let from = Dialect::of_version(&prior?.package.version)?;
    (from.family != to.family).then(|| {
        Problem::refused(format!("seekdb {name} cannot move from {} to {}", from.family, to.family))
            .why("neither family starts on a store of the other (-4070, run both ways)")
            .fix(
                "make a second ob_cluster with the new package and copy the databases to it; \
                 ob_standby cannot, as a group is of one family",
            )
            .attribute(["package"])
    })
}

/// Why the RPC port of a server cannot change, on a version whose store forbids it.
#[must_use]
pub fn refused_port(prior: &Desired, next: &Desired) -> Option<Problem> {
    let why = dialect_of(prior).fixed_rpc_port?;
    (prior.node.port(Port::Rpc) != next.node.port(Port::Rpc)).then(|| {
        Problem::refused("rpc_port of a cluster cannot change")
            .why(why)
            .fix(
                "make a second ob_cluster, move the data to it with ob_standby, then destroy this \
                 one",
            )
            .attribute(["zones"])
    })
}

fn install(g: &mut Graph, d: &Desired) {
    g.then(Claim { node: d.node.clone(), boots: d.initialize });
    g.then(PlacePackage { node: d.node.clone(), package: d.package.clone() });
    g.then(UsePackage {
        node: d.node.clone(),
        package: d.package.id.clone(),
        parameters: d.parameters.clone(),
    });
}

/// The start of every graph about instances: the steps that run first after a take-over. Where the
/// dialect is unknown, the graph includes the step for servers that fall silent when fenced; that
/// step asks the server itself.
pub(super) fn begin<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    dialect: Option<&Dialect>,
) -> Graph {
    let mut g = Graph::new();
    for node in nodes {
        if dialect.is_none_or(|d| d.silent_when_fenced) {
            g.after_take_over(EndFenced { node: node.clone() });
        }
        g.after_take_over(EndSessions { node: node.clone() });
    }
    g
}

/// Takes over an instance that others made: gives it a mark, a package and an account. A running
/// server goes on running; one that is down is started.
#[must_use]
pub fn adopt(d: &Desired, down: bool) -> Graph {
    let mut g = begin([&d.node], Some(dialect_of(d)));
    g.then(Adopt { node: d.node.clone() });
    g.then(PlacePackage { node: d.node.clone(), package: d.package.clone() });
    g.then(UsePackage {
        node: d.node.clone(),
        package: d.package.id.clone(),
        parameters: d.parameters.clone(),
    });
    if down {
        g.then(StartServer {
            node: d.node.clone(),
            package: d.package.id.clone(),
            start: Start::Alone,
        });
    }
    g.then(WriteAccount { node: d.node.clone() });
    g.then(CreateAccount { node: d.node.clone(), new: false });
    g.then(SetBoot::new(&d.node, true));
    g.then(CloseFiles { node: d.node.clone() });
    g.then(EndNote { node: d.node.clone(), note: Note::Adopting });
    g
}

/// The check of what the host has for a server that is new, or gets another package or another
/// `memory_limit`; `None` for any other change.
#[must_use]
pub fn room(prior: Option<&Desired>, next: &Desired) -> Option<ProveRoom> {
    let limit = |d: &Desired| d.parameters.get("memory_limit").cloned();
    let asks = |p: &Desired| {
        !p.package.same(&next.package) || limit(next).is_some() && limit(p) != limit(next)
    };
    prior.is_none_or(asks).then(|| ProveRoom {
        node: next.node.clone(),
        package: next.package.clone(),
        parameters: next.parameters.clone(),
    })
}

/// Installs and, unless `initialize` is false, starts a new database.
#[must_use]
pub fn create(d: &Desired) -> Graph {
    let mut g = begin([&d.node], Some(dialect_of(d)));
    if let Some(step) = room(None, d) {
        g.then(step);
    }
    install(&mut g, d);
    if d.initialize {
        // A new server lets root in without a password, so the password is made before the start
        // and set right after it. Our account comes next, and ends root's other sessions.
        let node = d.node.clone();
        let from = if d.root_password { RootPassword::Given } else { RootPassword::Made };
        g.then(KeepRootPassword { node: node.clone(), from });
        g.then(StartServer {
            node: node.clone(),
            package: d.package.id.clone(),
            start: Start::Alone,
        });
        g.then(SetRootPassword { node: node.clone(), from, new: true, dialect: dialect_of(d) });
        g.then(WriteAccount { node: node.clone() });
        g.then(CreateAccount { node, new: true });
        for (name, value) in &d.parameters {
            g.then(SetParameter { node: d.node.clone(), name: name.clone(), value: value.clone() });
        }
        g.then(SetBoot::new(&d.node, true));
        g.then(ProveFresh {
            node: d.node.clone(),
            parameters: d.parameters.keys().cloned().collect(),
        });
    }
    g.then(SetStage { node: d.node.clone(), stage: Stage::Complete, creation: None, rows: true });
    g
}

fn root_password(g: &mut Graph, d: &Desired) {
    let (dialect, from) = (dialect_of(d), RootPassword::Given);
    g.then(KeepRootPassword { node: d.node.clone(), from });
    g.then(SetRootPassword { node: d.node.clone(), from, new: false, dialect });
}

/// Whether a change needs a restart of the server. A parameter that is dropped is not managed any
/// more, which changes nothing on the server.
#[must_use]
pub fn needs_restart(prior: &Desired, next: &Desired) -> bool {
    let statics = dialect_of(next).statics;
    let set_anew = |(name, value): (&String, &String)| {
        statics.contains(&name.as_str()) && prior.parameters.get(name) != Some(value)
    };
    !prior.package.same(&next.package) || next.parameters.iter().any(set_anew)
}

/// The stop and the start of a restart that was noted. A server that did not run stays stopped,
/// because each step looks at what the host says.
#[must_use]
pub fn restart(i: &Node, package: &str) -> [Arc<dyn Step>; 2] {
    [
        Arc::new(StopServer { node: i.clone(), stop: Stop::Restart }),
        Arc::new(StartServer { node: i.clone(), package: package.to_owned(), start: Start::Again }),
    ]
}

/// Changes a database in place. Where no server runs (only installed, or stopped), parameters
/// change in the start script alone.
#[must_use]
pub fn update(prior: &Desired, next: &Desired) -> Graph {
    let mut g = begin([&next.node], Some(dialect_of(next)));
    let (i, package) = (&next.node, &next.package);
    if let Some(step) = room(Some(prior), next) {
        g.then(step);
    }
    let moved = !prior.package.same(package);
    let restarts = needs_restart(prior, next);
    if restarts {
        // Also without another package: what was changed on the host since is never started.
        g.then(PlacePackage { node: i.clone(), package: package.clone() });
        g.then(BeginRestart {
            node: i.clone(),
            package: package.id.clone(),
            from: prior.package.id.clone(),
            parameters: next.parameters.clone(),
        });
    }
    // The same files may have another name here (an import knows no archive), so the former name is
    // not looked for.
    let before = if moved { &prior.package } else { package };
    let old = UsePackage {
        node: i.clone(),
        package: before.id.clone(),
        parameters: prior.parameters.clone(),
    };
    if prior.parameters != next.parameters || moved {
        g.then(UsePackage {
            node: i.clone(),
            package: package.id.clone(),
            parameters: next.parameters.clone(),
        });
    }
    if restarts {
        // The start script is written before the stop: whatever starts the server from here on, its
        // host included, starts it in its new form.
        let [stop, start] = restart(i, &package.id);
        g.then_arc(stop);
        let start = g.then_arc(start);
        // A new version that does not come up leaves the store as it was (run: 1.3.0.post5 →
        // 1.4.0), so the way back is the old version.
        let [_, again] = restart(i, &prior.package.id);
        g.way_back(
            start,
            vec![
                Arc::new(StopServer { node: i.clone(), stop: Stop::Any }),
                Arc::new(old.clone()),
                again,
                Arc::new(EndNote { node: i.clone(), note: Note::Restart }),
            ],
        );
        g.then(EndNote { node: i.clone(), note: Note::Restart });
    }
    for (name, value) in &next.parameters {
        if prior.parameters.get(name) != Some(value)
            && !dialect_of(next).statics.contains(&name.as_str())
        {
            let set =
                g.then(SetParameter { node: i.clone(), name: name.clone(), value: value.clone() });
            // A value that the server refuses must not stay in its start script: its next start
            // would end on it.
            g.way_back(set, vec![Arc::new(old.clone())]);
        }
    }
    if next.initialize
        && next.root_password
        && (prior.root_password_version != next.root_password_version || !prior.root_password)
    {
        root_password(&mut g, next);
    }
    g
}

/// Removes everything of ours from a node; gates and journals stay.
#[must_use]
pub fn destroy(node: &Node, creation: &str, rows: bool, aside_too: bool) -> Graph {
    let mut g = begin([node], None);
    g.then(SetStage {
        node: node.clone(),
        stage: Stage::Destroying,
        creation: Some(creation.to_owned()),
        rows,
    });
    g.then(SetBoot::new(node, false));
    g.then(StopServer { node: node.clone(), stop: Stop::Any });
    g.then(RemoveStore { node: node.clone() });
    g.then(PrunePackages { node: node.clone() });
    // The mark goes last: if the destroy is cut before, the object is still known and the same
    // destroy goes on.
    g.then(RemoveHome { node: node.clone(), aside_too });
    g
}
