//! Gives up an unfinished create or destroy: removes what it put on the hosts.
//!
//! The removal is an operation of its own, with a new lease on the object and its own journal. It
//! also ends the journal of the operation that is given up.
use super::history::{State, Whole};
use super::inventory::Survey;
use crate::base::{Kind, OperationId, Problem};
use crate::component::database::{Database, Facts};
use crate::engine::journal::{Entry, Event, FORMAT, parse};
use crate::engine::lease::{MarkMust, Target};
use crate::engine::mark::{Mark, Stage};
use crate::engine::{
    Check, Cx, Effect, Engine, Executor, Graph, Host, Job, Key, Name, Node, Outcome, Step, StepId,
    StepKind, Template, Values,
};
use crate::program;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One server to clear away.
#[derive(Debug)]
pub struct Piece {
    /// The server's engine.
    pub engine: Engine,
    /// The server.
    pub node: Node,
    /// Owner of the configuration that made the server.
    pub owner: String,
    /// The creation that its mark names.
    pub creation: String,
    /// The steps that clear it away.
    pub graph: Graph,
}

impl Piece {
    /// The object for people.
    #[must_use]
    pub fn title(&self) -> String {
        format!("cluster.{}", self.node.name)
    }

    /// Clears the server away.
    pub async fn run(&self, executor: &Executor, cancel: &CancellationToken) -> Outcome {
        let mark = MarkMust::BeOursIfThere(Some(self.creation.clone()));
        let job = Job {
            id: OperationId::fresh(),
            verb: "abandon",
            object: self.title(),
            graph: &self.graph,
            targets: vec![Target::node(self.engine, &self.node, mark)],
            secrets: BTreeMap::new(),
            epoch: 0,
            timeout: Duration::from_secs(1800),
            cancel: cancel.clone(),
        };
        executor.run(job).await
    }
}

fn refuse(whole: &Whole, why: &str, fix: &str) -> Problem {
    Problem::refused(format!("operation {} cannot be abandoned", whole.operation)).why(why).fix(fix)
}

/// Proves that an operation can be given up: it does not run, did not end well, and was not given
/// up before.
fn proved(whole: &Whole) -> Result<(), Problem> {
    match whole.state {
        State::Running => Err(Problem::new(
            Kind::Locked,
            format!("operation {} runs", whole.operation),
        )
        .why(format!("{} holds its lease", whole.who))
        .fix("interrupt that run first; a run that died loses its lease by itself after 30 s")),
        State::Done => Err(refuse(
            whole,
            "it ended well",
            "there is nothing to give up; use terraform destroy to remove the object",
        )),
        State::Abandoned => Err(refuse(whole, "it was abandoned already", "nothing is left to do")),
        State::CutOff | State::Stopped => Ok(()),
    }
}

/// The servers that are cleared away when an operation is given up. `consent` names the servers
/// whose rows may be lost; with `NAME/aside` the stores set aside of server NAME go too.
///
/// # Errors
/// The operation runs, ended well or was given up already; nothing of it is left; a host cannot be
/// reached; or rows would be lost that nobody named.
pub async fn pieces(
    cx: &Cx,
    surveys: &[Survey],
    whole: &Whole,
    consent: &[String],
) -> Result<Vec<Piece>, Problem> {
    proved(whole)?;
    let mut pieces = Vec::new();
    for survey in surveys {
        for object in survey.objects.iter().filter(|o| {
            // A key is a place, and other hosts have places of that name.
            let known = |r: &crate::engine::history::Record| {
                r.operation == whole.operation && r.key == o.key
            };
            survey.records.iter().any(known)
        }) {
            let Some((database, instance)) = object.node(&survey.host) else { continue };
            let found = database.facts(cx, &instance).await?;
            let begun = |stage: Stage| matches!(stage, Stage::Building | Stage::Destroying);
            let mut graph = match &found.mark {
                Some(mark) if begun(mark.stage) => {
                    remove(cx, database, &instance, mark, &found, consent).await?
                }
                Some(_) if found.building_store.is_some() => database.unbuild(&instance),
                _ => continue,
            };
            // Each journal of the host that knows the operation and has no end gets one.
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
            let (owner, creation) = found.mark.map(|m| (m.owner, m.creation)).unwrap_or_default();
            let engine = database.engine();
            pieces.push(Piece { engine, node: instance, owner, creation, graph });
        }
    }
    if pieces.is_empty() {
        let fix = if whole.keys.iter().any(Key::is_group) {
            "a move of the role is not removed: finish it or go back with `ob switchover --to \
             MEMBER` or the next apply"
        } else {
            "run terraform apply again; it goes on where the operation stopped"
        };
        let why = "no unfinished create or destroy of these hosts belongs to it";
        return Err(refuse(whole, why, fix));
    }
    Ok(pieces)
}

/// The steps that remove everything of an unfinished create or destroy. Refuses if rows may be lost
/// that `consent` does not name.
async fn remove(
    cx: &Cx,
    database: &dyn Database,
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
        && let Some(why) = database.rows(cx, instance, found).await?
    {
        return Err(Problem::refused(format!("abandoning {} would drop data", instance.show()))
            .place(instance.host.endpoint.show())
            .why(why)
            .fix(format!(
                "run terraform apply again to finish instead; or name it: --allow-data-loss {}",
                instance.name
            )));
    }
    Ok(database.destroy(
        instance,
        &mark.creation,
        // It was proved above that nobody has rows in it, or a consent names it.
        true,
        consent.contains(&format!("{}/aside", instance.name)),
    ))
}

/// The line that ends the journal of the operation that is given up.
const LINE: Name = Name("the line that says so");

/// A step that writes the end of an operation that nobody will finish into its journal.
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
            event: Event::Abandon,
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
        let ended = lines.is_empty() || lines.iter().any(|l| l.entry.event.ending().is_some());
        Ok(if ended { Check::Done } else { Check::Needed("it has no end".into()) })
    }
}
