//! Implements [`Database`] for seekdb: what resources and commands ask of it.
use super::steps::{
    Activate, BeginStore, CloseFiles, CreateAccount, EndNote, Note, PlacePackage, Promote,
    RemoveStore, SetAside, SetBoot, Start, StartServer, Stop, StopServer, same_value,
};
use super::{ACCOUNT, Dialect, Instance, facts, flow, foresee, group, import, pair, server, steps};
use crate::base::{Directory, Kind, Problem, units::Bytes};
use crate::component::database::{
    Database, Desired, Facts, Member, Move, Probe, Said, Seen, Server, State, Want,
};
use crate::component::sql::{Login, Session};
use crate::engine::{Cx, Engine, Graph, Host, Node, Program, StepId};
use crate::program;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// OceanBase's single-node engine.
#[derive(Clone, Copy, Debug)]
pub struct Seekdb;

/// Parameters that this provider sets.
const OURS: [&str; 4] =
    ["rpc_port", "enable_rpc_service", "log_restore_source", "server_role_info"];

/// Counts the tables of users.
const TABLES: &str = "select count(*) from information_schema.tables \
    where table_type = 'BASE TABLE' and table_schema not in ('oceanbase', 'mysql', \
    'information_schema', 'sys', 'SYS', 'LBACSYS', 'ORAAUDITOR', '__public', '__recyclebin')";

#[async_trait]
impl Database for Seekdb {
    fn engine(&self) -> Engine {
        Engine::Seekdb
    }

    fn validate(&self, asked: &Server) -> Vec<Problem> {
        let mut found = Vec::new();
        if [asked.zones, asked.servers].into_iter().flatten().any(|n| n != 1) {
            let [zones, servers] = [asked.zones, asked.servers]
                .map(|n| n.map_or_else(|| "?".to_owned(), |n| n.to_string()));
            found.push(
                Problem::user("a seekdb cluster has exactly one zone with one server")
                    .why(format!("there are {zones} zones with {servers} servers"))
                    .fix(
                        "keep one server here; make each further one an ob_cluster of its own and \
                         join them with ob_standby",
                    )
                    .attribute(["zones"]),
            );
        }
        let dialect = Dialect::planned(asked.version.as_deref().unwrap_or_default());
        let wrong = |(name, value): (&String, &String)| parameter(dialect, name, value);
        found.extend(asked.parameters.iter().filter_map(wrong));
        found
    }
    fn refused(&self, prior: Option<&Desired>, next: &Desired) -> Option<Problem> {
        flow::refused_package(prior, next).or_else(|| flow::refused_port(prior?, next))
    }
    fn same_value(&self, asked: &str, found: &str) -> bool {
        same_value(asked, found)
    }
    async fn foresee(
        &self,
        cx: &Cx,
        prior: Option<&Desired>,
        next: &Desired,
        facts: &Facts,
    ) -> Vec<Problem> {
        foresee::foresee(cx, prior, next, facts).await
    }

    fn adoption(&self, next: &Desired, facts: &Facts) -> Problem {
        foresee::adoption(next, facts)
    }

    fn create(&self, wanted: &Desired) -> Graph {
        flow::create(wanted)
    }
    fn update(&self, state: State, adopt: bool, prior: &Desired, next: &Desired) -> Graph {
        let (node, changes) = (&next.node, flow::update(prior, next));
        let mut first = Graph::new();
        match state {
            // A package that is not whole is placed again before anything starts from it.
            State::Stopped => {
                first.then(PlacePackage { node: node.clone(), package: prior.package.clone() });
                first.then(StartServer {
                    node: node.clone(),
                    package: prior.package.id.clone(),
                    start: Start::Alone,
                });
                first.then(SetBoot::new(node, true));
            }
            // A restart was cut. It is finished with the package that the host is set to, unless
            // this change restarts the server anyway.
            State::Restarting if !flow::needs_restart(prior, next) => {
                first.then(PlacePackage { node: node.clone(), package: next.package.clone() });
                for step in flow::restart(node, &next.package.id) {
                    first.then_arc(step);
                }
                first.then(EndNote { node: node.clone(), note: Note::Restart });
            }
            State::PackageLost if prior.package.same(&next.package) => {
                first.then(PlacePackage { node: node.clone(), package: next.package.clone() });
            }
            State::Exposed => {
                first.then(CloseFiles { node: node.clone() });
            }
            State::LockedOut => {
                first.then(CreateAccount { node: node.clone(), new: false });
            }
            State::Restarted if !flow::needs_restart(prior, next) => {
                first.then(EndNote { node: node.clone(), note: Note::Restart });
            }
            State::Restarting
            | State::Restarted
            | State::Running
            | State::Held
            | State::Installed
            | State::Building
            | State::Destroying
            | State::Adopting
            | State::AdoptingDown
            | State::Missing
            | State::Vanished
            | State::PackageLost
            | State::Foreign
            | State::Unreadable
            | State::Unreachable => {}
        }
        // The first change of an imported instance adopts it, and an adoption that was cut is
        // finished. The start script is written once, in its final form. We never stopped the
        // server, so nothing else is to be finished first.
        if state.adopting() || (adopt && !(first.is_empty() && changes.is_empty())) {
            first = flow::adopt(next, matches!(state, State::Stopped | State::AdoptingDown));
        }
        first.append(changes);
        first
    }
    fn stop(&self, node: &Node) -> Graph {
        let mut graph = Graph::new();
        graph.then(StopServer { node: node.clone(), stop: Stop::Any });
        graph
    }
    fn destroy(&self, node: &Node, creation: &str, rows: bool, aside_too: bool) -> Graph {
        flow::destroy(node, creation, rows, aside_too)
    }
    fn unbuild(&self, node: &Node) -> Graph {
        let mut graph = self.stop(node);
        graph.then(RemoveStore { node: node.clone() });
        graph.then(EndNote { node: node.clone(), note: Note::Store });
        graph.then(group::LeaveGroup { node: node.clone() });
        graph
    }

    async fn boot(&self, cx: &Cx, node: &Node, member: bool) -> Result<Option<Problem>, Problem> {
        steps::differs(cx, node, member).await
    }
    fn template(&self, run_as: &str) -> String {
        steps::template(run_as)
    }

    async fn facts(&self, cx: &Cx, node: &Node) -> Result<Facts, Problem> {
        facts::read(cx, node).await
    }
    async fn ask(&self, cx: &Cx, node: &Node, facts: &Facts) -> Result<Said, Problem> {
        server::ask_for_root(cx, node, facts).await
    }
    async fn root_is_open(&self, cx: &Cx, node: &Node) -> bool {
        let session = server::open(cx, node, &Login::fresh_root()).await;
        match session {
            Ok(Ok(session)) => session.close().await,
            _ => return false,
        }
        true
    }
    async fn session(
        &self,
        cx: &Cx,
        node: &Node,
        limit: Duration,
    ) -> Result<(Session, String), Problem> {
        Ok((server::session_within(cx, node, limit).await?, ACCOUNT.to_owned()))
    }
    async fn session_on_copy(&self, cx: &Cx, copy: &Node) -> Result<Session, Problem> {
        server::session_on_copy(cx, copy).await
    }
    fn on_copy(&self, node: &Node, source: &str, port: u16) -> Program {
        let (work, program) = (node.own(&format!("diff-{port}")), node.own("package/seekdb"));
        program!("temporary.sh").args([&work, source, &port.to_string(), &program])
    }
    async fn rows(&self, cx: &Cx, node: &Node, facts: &Facts) -> Result<Option<String>, Problem> {
        if facts.pid.is_none() {
            return Ok(Some(
                "there is a store and its server does not run, so it cannot be asked for tables"
                    .into(),
            ));
        }
        let mut session = match server::session(cx, node).await {
            Ok(session) => session,
            Err(problem) if problem.kind == Kind::Cancelled => return Err(problem),
            Err(problem) => {
                return Ok(Some(format!("its server cannot be asked for tables: {}", problem.why)));
            }
        };
        let count = session.value(TABLES).await;
        session.close().await;
        Ok(match count {
            Ok(Some(n)) if n == "0" => None,
            Ok(n) => Some(format!("its server has {} tables of users", n.unwrap_or_default())),
            Err(error) => Some(format!("its server cannot be asked for tables: {error}")),
        })
    }
    async fn probe(&self, cx: &Cx, host: &Host, directory: &Directory) -> Result<Probe, Problem> {
        import::probe(cx, host, directory).await
    }

    async fn look(&self, cx: &Cx, node: &Node) -> Member {
        group::look(cx, node).await
    }
    fn source(&self, node: &Node) -> String {
        node.source()
    }
    async fn end_of_log(&self, cx: &Cx, node: &Node) -> Result<u64, Problem> {
        Ok(super::steps::end_of_log(cx, node).await?.0)
    }
    fn group(&self, want: &Want) -> Result<Graph, Problem> {
        pair::create(want)
    }
    fn resume(&self, want: &Want, seen: &Seen) -> Result<Graph, Problem> {
        pair::resume(want, seen)
    }
    fn lead(
        &self,
        seen: &Seen,
        want: &Want,
        gone: &BTreeMap<String, Node>,
    ) -> Result<Graph, Problem> {
        pair::update(seen, want, gone)
    }
    fn disband(&self, want: &Want, seen: &Seen) -> Graph {
        pair::destroy(want, seen)
    }
    fn moves(&self, graph: &Graph) -> BTreeSet<Move> {
        let of = |id: StepId| match id.kind {
            Activate::KIND => Some(Move::FailOver),
            Promote::KIND => Some(Move::SwitchOver),
            BeginStore::KIND => Some(Move::Build),
            _ => SetAside::means(&id),
        };
        graph.nodes().iter().filter_map(|n| of(n.step.id())).collect()
    }
}

/// What is wrong with a parameter; `None` when nothing is.
fn parameter(dialect: &Dialect, name: &str, value: &str) -> Option<Problem> {
    let at = ["parameters".to_owned(), name.to_owned()];
    let problem = if dialect.read_only.contains(&name) {
        Problem::user(format!("parameter {name} cannot be set"))
            .why("the server fixes it when the store is made (edit level READONLY)")
            .fix("remove it")
    } else if OURS.contains(&name) {
        Problem::user(format!("parameter {name} is set by this provider"))
            .why("ports come from rpc_port, roles from ob_standby")
            .fix("remove it from parameters")
    } else {
        size(name, value)?
    };
    Some(problem.attribute(at))
}

/// Sizes that the server refuses by ending after a good start (run on 1.4.0).
fn size(name: &str, value: &str) -> Option<Problem> {
    let least = match name {
        "memory_limit" => "1G",
        "log_disk_size" => "2G",
        _ => return None,
    };
    let (Some(size), Some(floor)) = (Bytes::parse(value), Bytes::parse(least)) else {
        return Some(
            Problem::user(format!("{name} = \"{value}\" is no size"))
                .fix("write a whole number with K, M, G or T, like 2G"),
        );
    };
    (size < floor).then(|| {
        Problem::user(format!("{name} = \"{value}\" is too small"))
            .why(format!("the server ends right after its start below {least}"))
            .fix(format!("set at least {least}"))
    })
}
