//! Gives up an unfinished create or destroy: removes what it put on the hosts.
//!
//! The removal is an operation of its own, with a new lease on the object and its own journal. It
//! also ends the journal of the operation that is given up. Of an operation that claimed nothing
//! only the journal is ended.
use super::history::{State, Whole};
use super::inventory::{Object, Survey};
use crate::base::{Kind, OperationId, Problem};
use crate::component::database::{Database, Facts};
use crate::engine::history::Record;
use crate::engine::journal::{Ending, Entry, Event, FORMAT, parse};
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

/// One object on one host to clear away.
#[derive(Debug)]
pub struct Piece {
    /// The server and its engine; `None` when nothing of one is there.
    pub server: Option<(Engine, Node)>,
    /// Where.
    pub host: Host,
    /// Owner of the configuration that made the server.
    pub owner: String,
    /// The steps that clear it away.
    pub graph: Graph,
    target: Target,
}

impl Piece {
    /// The object for people.
    #[must_use]
    pub fn title(&self) -> String {
        self.target.title.clone()
    }

    /// Clears the object away.
    pub async fn run(&self, executor: &Executor, cancel: &CancellationToken) -> Outcome {
        let job = Job {
            id: OperationId::fresh(),
            verb: "abandon",
            object: self.title(),
            graph: &self.graph,
            targets: vec![self.target.clone()],
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
            let known = |r: &Record| r.operation == whole.operation && r.key == o.key;
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
            let known = |r: &&Record| r.operation == whole.operation && r.outcome.is_none();
            for record in survey.records.iter().filter(known) {
                graph.then(end_record(survey, whole, &record.key));
            }
            let (owner, creation) = found.mark.map(|m| (m.owner, m.creation)).unwrap_or_default();
            let engine = database.engine();
            let mark = MarkMust::BeOursIfThere(Some(creation));
            let target = Target::node(engine, &instance, mark);
            let (server, host) = (Some((engine, instance)), survey.host.clone());
            pieces.push(Piece { server, host, owner, graph, target });
        }
    }
    if pieces.is_empty() && claimed_nothing(surveys, whole) {
        return Ok(surveys.iter().flat_map(|survey| ends(survey, whole)).collect());
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

/// Whether nothing that the operation could have made is there: it began no effect, or nothing lies
/// where its objects would be.
fn claimed_nothing(surveys: &[Survey], whole: &Whole) -> bool {
    let is_there = |o: &Object| o.home.is_some() || o.mark.is_some() || o.mark_damaged;
    let objects = surveys.iter().flat_map(|s| &s.objects);
    let mut own = objects.filter(|o| whole.keys.contains(&o.key));
    whole.untouched() || (!whole.keys.iter().any(Key::is_group) && !own.any(is_there))
}

/// Whether nobody goes on with an operation that ended so.
fn closed(ending: Ending) -> bool {
    matches!(ending, Ending::Done | Ending::Abandoned)
}

/// What ends the operation's journals on a host. Each object has its own lease.
fn ends(survey: &Survey, whole: &Whole) -> Vec<Piece> {
    let known = |r: &&Record| r.operation == whole.operation && !r.ending.is_some_and(closed);
    let end = |record: &Record| {
        let mut graph = Graph::new();
        graph.then(end_record(survey, whole, &record.key));
        let host = survey.host.clone();
        let target = Target::new(record.key.clone(), record.object.clone(), vec![host.clone()]);
        Piece { server: None, host, owner: String::new(), graph, target }
    };
    survey.records.iter().filter(known).map(end).collect()
}

fn end_record(survey: &Survey, whole: &Whole, key: &Key) -> EndRecord {
    EndRecord {
        host: survey.host.clone(),
        key: key.clone(),
        operation: whole.operation.clone(),
        title: whole.title.clone(),
        epoch: 0,
    }
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
        let ended =
            lines.is_empty() || lines.iter().any(|l| l.entry.event.ending().is_some_and(closed));
        Ok(if ended { Check::Done } else { Check::Needed("it has no end".into()) })
    }
}
