//! `ob operation abandon`: gives up an unfinished create or destroy by removing what it put on the
//! hosts.
//!
//! Under the object's gate with a new lease, in a journal of its own; the record of what is given
//! up gets an end.
use super::journal::{self, State, Whole};
use super::operation::find;
use super::output::{End, Out};
use super::reach::{Where, who};
use super::survey::{self, Survey};
use super::{progress, steps};
use crate::base::units::count;
use crate::base::{OperationId, Problem};
use crate::component::seekdb::group::LeaveGroup;
use crate::component::seekdb::steps::{EndNote, Note, RemoveStore, StopServer};
use crate::component::seekdb::{Facts, facts, flow, server};
use crate::engine::journal::{Entry, Event, FORMAT, parse};
use crate::engine::lease::Target;
use crate::engine::mark::{Mark, Stage};
use crate::engine::{
    Check, Cx, Effect, Engine, Executor, Graph, Host, Job, Key, Limits, Name, Node, Step, StepId,
    StepKind, Template, Values,
};
use crate::program;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is given up.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Operation id, or its first characters.
    id: String,
    #[command(flatten)]
    at: Where,
    /// Names an object whose rows may be dropped.
    #[arg(long, value_name = "NAME")]
    allow_data_loss: Vec<String>,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

/// One instance to clear away.
struct Piece {
    node: Node,
    owner: String,
    graph: Graph,
}

impl Piece {
    fn title(&self) -> String {
        format!("cluster.{}", self.node.name)
    }
}

/// Runs it.
///
/// # Errors
/// It runs, it has ended well, it cannot be given up, or there are rows that are not named in
/// `--allow-data-loss`.
pub async fn run(out: &Out, args: Args, cancel: CancellationToken) -> Result<End, Problem> {
    let (hosts, connector, cx) = args.at.open(cancel)?;
    let surveys = survey::look_any(out, &cx, &hosts).await?;
    let all = journal::merge(&surveys);
    let whole = find(&all, &args.id)?;
    let refuse = |why: &str, fix: &str| {
        Problem::refused(format!("operation {} cannot be abandoned", whole.operation))
            .why(why.to_owned())
            .fix(fix.to_owned())
    };
    match whole.state {
        State::Running => {
            return Err(Problem::new(
                crate::base::Kind::Locked,
                format!("operation {} runs", whole.operation),
            )
            .why(format!("{} holds its lease", whole.who))
            .fix(
                "interrupt that run first; a run that died loses its lease by itself after 30 s",
            ));
        }
        State::Done => {
            return Err(refuse(
                "it ended well",
                "there is nothing to give up; use terraform destroy to remove the object",
            ));
        }
        State::Abandoned => {
            return Err(refuse("it was abandoned already", "nothing is left to do"));
        }
        State::CutOff | State::Stopped => {}
    }
    let pieces = pieces(&cx, &surveys, whole, &args.allow_data_loss).await?;
    if pieces.is_empty() {
        let fix = if whole.keys.iter().any(Key::is_group) {
            "a move of the role is not removed: finish it or go back with `ob switchover --to MEMBER` or the next apply"
        } else {
            "run terraform apply again; it goes on where the operation stopped"
        };
        return Err(refuse("no unfinished create or destroy of these hosts belongs to it", fix));
    }
    for piece in &pieces {
        out.say(&format!(
            "abandon {} on {}: {}\n",
            piece.title(),
            piece.node.host.endpoint.show(),
            count(piece.graph.nodes().len(), "step")
        ));
        out.say(&steps::show(&steps::lines(&piece.graph)));
    }
    out.confirm("abandon", args.yes)?;
    for piece in &pieces {
        let mut executor = Executor::new(connector.clone(), &*piece.owner, who(), Limits::of(4));
        executor.events = progress::sink(*out);
        let job = Job {
            id: OperationId::fresh(),
            verb: "abandon",
            object: piece.title(),
            graph: &piece.graph,
            targets: vec![Target::node(Engine::Seekdb, &piece.node)],
            secrets: BTreeMap::new(),
            epoch: 0,
            timeout: Duration::from_secs(1800),
            cancel: cx.cancel().clone(),
        };
        if let Some(problem) = executor.run(job).await.problem {
            return Err(problem);
        }
    }
    let names: Vec<_> = pieces.iter().map(Piece::title).collect();
    out.data(&serde_json::json!({ "abandoned": whole.operation, "objects": names }), || {
        format!("abandoned {}: {}", whole.operation, names.join(", "))
    })?;
    Ok(End::Done)
}

async fn pieces(
    cx: &Cx,
    surveys: &[Survey],
    whole: &Whole,
    consent: &[String],
) -> Result<Vec<Piece>, Problem> {
    let mut pieces = Vec::new();
    for survey in surveys {
        for object in survey.objects.iter().filter(|o| whole.keys.contains(&o.key)) {
            let Some(instance) = object.instance(&survey.host) else { continue };
            let found = facts::read(cx, &instance).await?;
            let begun = |stage: Stage| matches!(stage, Stage::Building | Stage::Destroying);
            let mut graph = match &found.mark {
                Some(mark) if begun(mark.stage) => {
                    remove(cx, &instance, mark, &found, consent).await?
                }
                Some(_) if found.building_store.is_some() => unbuild(&instance),
                _ => continue,
            };
            // Every journal of the host that knows it gets the end.
            for record in survey
                .records
                .iter()
                .filter(|r| r.operation == whole.operation && r.outcome.is_none())
            {
                graph.then(EndRecord {
                    host: survey.host.clone(),
                    key: record.key.clone(),
                    operation: whole.operation.clone(),
                    title: whole.title.clone(),
                    epoch: 0,
                });
            }
            let owner = found.mark.map(|m| m.owner).unwrap_or_default();
            pieces.push(Piece { node: instance, owner, graph });
        }
    }
    Ok(pieces)
}

/// Everything of an unfinished create or destroy goes, unless rows may be in it.
async fn remove(
    cx: &Cx,
    instance: &Node,
    mark: &Mark,
    found: &Facts,
    consent: &[String],
) -> Result<Graph, Problem> {
    let named = consent.iter().any(|c| **c == *instance.name);
    if found.group.is_some() {
        return Err(Problem::refused(format!("{} is a member of a group", instance.show()))
            .why("its store is part of the group")
            .fix("remove it from the group first (ob_standby)"));
    }
    if found.store
        && found.building_store.is_none()
        && !named
        && let Some(why) = rows(cx, instance, found).await?
    {
        return Err(Problem::refused(format!("abandoning {} would drop data", instance.show()))
            .place(instance.host.endpoint.show())
            .why(why)
            .fix(format!(
                "run terraform apply again to finish instead; or name it: --allow-data-loss {}",
                instance.name
            )));
    }
    Ok(flow::destroy(
        instance,
        &mark.creation,
        consent.contains(&format!("{}/aside", instance.name)),
    ))
}

/// Why the store may hold rows of users; `None`: it is proved empty.
async fn rows(cx: &Cx, instance: &Node, found: &Facts) -> Result<Option<String>, Problem> {
    if found.pid.is_none() {
        return Ok(Some(
            "there is a store and its server does not run, so it cannot be asked for tables".into(),
        ));
    }
    let mut session = match server::session(cx, instance).await {
        Ok(session) => session,
        Err(problem) => {
            return Ok(Some(format!("its server cannot be asked for tables: {}", problem.why)));
        }
    };
    let count = session.value("select count(*) from information_schema.tables where table_type = 'BASE TABLE' and table_schema not in ('oceanbase', 'mysql', 'information_schema', 'sys', 'SYS', 'LBACSYS', 'ORAAUDITOR', '__public', '__recyclebin')").await;
    session.close().await;
    Ok(match count {
        Ok(Some(n)) if n == "0" => None,
        Ok(n) => Some(format!("its server has {} tables of users", n.unwrap_or_default())),
        Err(error) => Some(format!("its server cannot be asked for tables: {error}")),
    })
}

/// A standby store that was being built goes; the installation stays.
fn unbuild(instance: &Node) -> Graph {
    let mut graph = Graph::new();
    graph.then(StopServer { node: instance.clone(), fenced_only: false, restart: false });
    graph.then(RemoveStore { node: instance.clone() });
    graph.then(EndNote { node: instance.clone(), note: Note::Store });
    graph.then(LeaveGroup { node: instance.clone() });
    graph
}

/// The line that ends the journal.
const LINE: Name = Name("the line that says so");

/// Writes the end of an operation that nobody will finish into its journal.
#[derive(Clone, Debug)]
struct EndRecord {
    host: Host,
    key: Key,
    operation: String,
    title: String,
    epoch: u64,
}

impl EndRecord {
    fn file(&self) -> String {
        format!("{}/journal/{}.log", self.key, self.operation)
    }
}

#[async_trait]
impl Step for EndRecord {
    fn id(&self) -> StepId {
        let on = self.key.as_str();
        StepId::new(StepKind("end_record"), &self.host, on).about(self.operation.as_str())
    }
    fn title(&self) -> String {
        format!("note in the journal of {} that {} was abandoned", self.key, self.operation)
    }
    fn host(&self) -> &Host {
        &self.host
    }
    fn effect(&self) -> Effect {
        let line = Template::value(LINE);
        Effect::Shell(program!("end_record.sh").arg(self.file()).arg(line))
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let note = cx.operation().map_or_else(
            || "abandoned".to_owned(),
            |o| format!("abandoned by {} (operation {})", o.who, o.id),
        );
        let entry = Entry {
            v: FORMAT,
            op: self.operation.clone(),
            event: Event::Close,
            step: 0,
            of: 0,
            kind: String::new(),
            title: self.title.clone(),
            lease: 0,
            who: String::new(),
            authority: String::new(),
            epoch: self.epoch,
            engine: None,
            nodes: Vec::new(),
            object: String::new(),
            titles: Vec::new(),
            note,
        };
        Ok(Some(Values::default().with(LINE, entry.seal())))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let program = program!("print_journal.sh").arg(self.file());
        let (lines, _) = parse(&cx.read(&self.host, &program).await?.stdout);
        let ended = lines.is_empty() || lines.iter().any(|l| l.entry.event == Event::Close);
        Ok(if ended { Check::Done } else { Check::Needed("it has no end".into()) })
    }
}
