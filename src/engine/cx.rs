//! The context that checks and effects get ([`Cx`]). It reads hosts, runs effects under the gate
//! and holds secrets by name.
use super::along::{self, Along, Nonce};
use super::effect::{Contents, NoContents};
use super::event::{At, Event, Sink, What, nobody};
use super::gate::{self, Lines, Pass};
use super::hold::Hold;
use super::journal::{self, Entry};
use super::lease::Lease;
use super::mark::Mark;
use super::program::Program;
use super::step::{Host, Step, StepId};
use super::template::{CREATION, EPOCH, OPERATION, OWNER, Values};
use super::{Operation, fault};
use crate::base::{CreationId, Kind, OperationId, Pauses, Problem, Secret};
use crate::transport::{Connector, Endpoint, Output, Script, Transport, TransportError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The problem of a failure on the way to a host. Where the configuration of the host decides the
/// way (its pinned key, its login), another configuration may open it: [`Kind::NoWay`].
#[must_use]
pub fn on_the_way(error: &TransportError, endpoint: &Endpoint) -> Problem {
    let pinned = !endpoint.host_key.is_empty();
    let problem = error.explain(endpoint);
    match error {
        TransportError::HostKeyChanged { .. } | TransportError::HostKeyRevoked(_) if pinned => {
            Problem { kind: Kind::NoWay, ..problem }
        }
        TransportError::Auth { .. }
        | TransportError::LoginEnded(..)
        | TransportError::Identity(..) => Problem { kind: Kind::NoWay, ..problem },
        _ => problem,
    }
}

/// The running operation, shared by its steps.
#[derive(Debug)]
pub(super) struct Running {
    pub operation: Operation,
    pub leases: Vec<Lease>,
    /// Journal lines about steps that were found done. The next effect's script writes them on its
    /// host.
    pub waiting: Mutex<Vec<Entry>>,
    /// Each step's number in the runbook, from 1, by the step's identity.
    pub numbers: BTreeMap<StepId, usize>,
    /// The questions and answers that travel with effects; see [`Along`].
    pub along: Along,
}

/// Name of the journal, the lines up to the begin line, the end line and the line of a failure.
type JournalLines = (String, Vec<Entry>, Entry, Entry);

/// Journal lines that a script shall write before those of its step. What it did not write waits for
/// the next effect again.
pub(super) struct Waiting {
    /// The operation, in which they wait.
    pub running: Arc<Running>,
    /// The lines.
    pub lines: Vec<Entry>,
}

impl Waiting {
    /// They are in the journal.
    pub fn written(&mut self) {
        self.lines.clear();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.running.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.splice(0..0, self.lines.drain(..));
    }
}

/// A step under a held lock.
pub(super) struct Part<'a> {
    /// Its number under the lock.
    pub number: usize,
    /// The step.
    pub step: &'a dyn Step,
    /// Name and text of the program that the host runs for it; `None`: the caller runs SQL.
    pub program: Option<(&'static str, String)>,
}

impl<'a> Part<'a> {
    fn held(&'a self, lines: &'a JournalLines) -> (usize, gate::Held<'a>) {
        let (journal, before, end, fail) = lines;
        let lines = Lines { journal, before, end, fail, kind: self.step.kind() };
        let body = self.program.as_ref().map(|(name, text)| gate::Body { name, text });
        (self.number, gate::Held { lines, body })
    }
}

/// The context of checks and effects. Cheap to clone.
#[derive(Clone)]
pub struct Cx {
    connector: Arc<dyn Connector>,
    contents: Arc<dyn Contents>,
    cancel: CancellationToken,
    secrets: Arc<BTreeMap<String, Secret>>,
    running: Option<Arc<Running>>,
    events: Sink,
}

impl Cx {
    /// A context that can only read.
    #[must_use]
    pub fn new(
        connector: Arc<dyn Connector>,
        cancel: CancellationToken,
        secrets: BTreeMap<String, Secret>,
    ) -> Self {
        let (secrets, contents) = (Arc::new(secrets), Arc::new(NoContents));
        Self { connector, contents, cancel, secrets, running: None, events: nobody() }
    }

    /// The same, with what opens the files that steps place.
    #[must_use]
    pub fn with_contents(&self, contents: Arc<dyn Contents>) -> Self {
        Self { contents, ..self.clone() }
    }

    /// What opens the files that steps place.
    pub(super) fn contents(&self) -> &dyn Contents {
        self.contents.as_ref()
    }

    /// The same context; `events` hears what happens.
    #[must_use]
    pub fn heard_by(&self, events: Sink) -> Self {
        Self { events, ..self.clone() }
    }

    /// Tells the listener what happened in an operation.
    pub(super) fn tell(&self, operation: &OperationId, what: What) {
        tracing::info!(%operation, ?what);
        (self.events)(&Event { operation: operation.clone(), what });
    }

    /// Tells the listener what happened to a step of the running operation.
    pub(super) fn tell_of(&self, step: &dyn Step, what: impl FnOnce(At) -> What) {
        let Some(running) = self.running.as_deref() else { return };
        let at = At {
            number: running.numbers.get(&step.id()).copied().unwrap_or(0),
            of: running.operation.titles.len(),
            title: step.title(),
            host: step.host().endpoint.name.clone(),
        };
        self.tell(&running.operation.id, what(at));
    }

    pub(super) fn running(&self, running: Arc<Running>) -> Self {
        Self { running: Some(running), ..self.clone() }
    }

    /// The same context, but a cancel does not reach it. For what must go on after a cancel, such
    /// as the renewing of a lease.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { cancel: CancellationToken::new(), ..self.clone() }
    }

    /// The cancellation of this run.
    #[must_use]
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// A secret of the configuration, by its attribute's name.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name)
    }

    /// The running operation; `None` outside of one.
    #[must_use]
    pub fn operation(&self) -> Option<&Operation> {
        self.running.as_deref().map(|r| &r.operation)
    }

    /// Whether a lease of this run was taken over from a holder that did not give it back.
    #[must_use]
    pub fn took_over(&self) -> bool {
        self.running.as_deref().is_some_and(|r| r.leases.iter().any(|l| l.took_over))
    }

    /// Connects to a host.
    ///
    /// # Errors
    /// As [`Connector::connect`], explained.
    pub async fn connect(&self, host: &Host) -> Result<Arc<dyn Transport>, Problem> {
        tokio::select! {
            done = self.connector.connect(&host.endpoint) => done.map_err(|e| on_the_way(&e, &host.endpoint)),
            () = self.cancel.cancelled() => Err(cancelled()),
        }
    }

    /// Runs a script as the host's run user. Gives its output, whatever its exit status. `effect`:
    /// whether the script may change the host.
    pub(super) async fn run_on(
        &self,
        host: &Host,
        text: &str,
        deadline: Duration,
        effect: bool,
    ) -> Result<Output, Problem> {
        let transport = self.connect(host).await?;
        let script = if effect { Script::new(text) } else { Script::read(text) };
        let script = script.within(deadline).run_as(&host.run_as);
        transport.run(&script).await.map_err(|e| on_the_way(&e, &host.endpoint))
    }

    /// Runs a program that only reads. Within an operation the host is not asked when an answer to
    /// the same question is at hand: it came with the last effect there, or was read less than 2 s
    /// ago.
    ///
    /// # Errors
    /// The host cannot be reached, or the program failed.
    pub async fn read(&self, host: &Host, program: &Program) -> Result<Output, Problem> {
        let question = program.script(&Values::default())?;
        if let Some(known) = self.along().and_then(|a| a.ask(host, &question)) {
            return Ok(known);
        }
        let turn = self.along().map(Along::turn);
        let script = format!("{}{question}", gate::LIB);
        let output = self.run_on(host, &script, program.deadline, false).await?;
        if output.ok() {
            if let (Some(along), Some(turn)) = (self.along(), turn) {
                along.keep(host, &question, &output.stdout, turn);
            }
            return Ok(output);
        }
        Err(Problem::user(format!("cannot read host \"{}\"", host.endpoint.name))
            .place(host.endpoint.show())
            .why(format!("exit status {}: {}", output.status, output.tail()))
            .fix("check the user's rights on the host, then run the same command again"))
    }

    /// The passes (key and lease number) that an effect of `step` shows to the gates on its host.
    /// An operation that holds leases may have no effect on a host without one of its gates: that
    /// is an error.
    fn passes(&self, step: &dyn Step) -> Result<Vec<Pass>, Problem> {
        let leases = self.running.as_deref().map_or(&[][..], |r| &r.leases);
        let passes: Vec<_> = leases.iter().filter_map(|l| l.pass(step.host())).collect();
        if passes.is_empty() && !leases.is_empty() {
            return Err(Problem::internal(format!(
                "step {} would have an effect on {} under no gate",
                step.kind().as_str(),
                step.host().endpoint.show()
            )));
        }
        Ok(passes)
    }

    fn lines(&self, step: &dyn Step) -> Option<JournalLines> {
        let running = self.running.as_deref()?;
        let title = step.title();
        let number = running.numbers.get(&step.id()).copied().unwrap_or(0);
        let lease = running.leases.first().map_or(0, Lease::number);
        let kind = step.kind().as_str();
        let entry = |event| running.operation.entry(event, number, kind, &title, lease);
        let mut before =
            std::mem::take(&mut *running.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        before.push(entry(journal::Event::Begin));
        Some((
            running.operation.journal(),
            before,
            entry(journal::Event::End),
            entry(journal::Event::Fail),
        ))
    }

    /// Adds to the values of a step those that every effect may name: the configuration's secrets,
    /// the operation's id, its owner, its epoch and a new creation id.
    pub(super) fn known(&self, mut values: Values) -> Values {
        for (name, secret) in self.secrets.iter() {
            values.secret(name, secret);
        }
        let Some(operation) = self.operation() else { return values };
        values
            .with(OPERATION, operation.id.as_str())
            .with(OWNER, operation.authority.as_str())
            .with(EPOCH, operation.epoch)
            .with(CREATION, CreationId::fresh().as_str())
    }

    /// Runs a program as the effect of `step` on its host. One script checks the gate, writes the
    /// journal's begin line, runs the program and writes the end line.
    pub(super) async fn shell(
        &self,
        step: &dyn Step,
        program: &Program,
        values: &Values,
    ) -> Result<(), Problem> {
        let host = step.host();
        let Some((journal, before, end, fail)) = self.lines(step) else {
            return Err(outside(step));
        };
        let lines =
            Lines { journal: &journal, before: &before, end: &end, fail: &fail, kind: step.kind() };
        let body = gate::Body { name: program.name, text: &program.script(values)? };
        let (questions, turn) = self.along().map_or_else(Default::default, |a| a.begin(host));
        let nonce = Nonce::fresh();
        let questions_too = along::script(&questions, &nonce);
        let script = gate::effect(&self.passes(step)?, &lines, &body, &questions_too);
        // When the run fails, the effect may still have happened: drop all answers.
        let mut output = self
            .run_on(host, &script, program.deadline, true)
            .await
            .inspect_err(|_| self.forget())?;
        if let Some(along) = self.along() {
            along.end(host, &questions, &mut output, turn, &nonce);
        }
        self.judge(step, &output)
    }

    fn along(&self) -> Option<&Along> {
        self.running.as_deref().map(|r| &r.along)
    }

    /// Why an effect that ended with this output has failed.
    pub(super) fn judge(&self, step: &dyn Step, output: &Output) -> Result<(), Problem> {
        let place = step.host().endpoint.show();
        match output.status {
            0 => Ok(()),
            gate::BUSY | gate::SUPERSEDED | gate::EXPIRED => Err(gone(&place, &output.tail())),
            gate::FOREIGN => Err(self.foreign(step, &output.tail())),
            status => Err(Problem::user(format!("cannot {}", step.title()))
                .place(place)
                .why(format!("exit status {status}: {}", output.tail()))
                .fix(fix_for(&output.tail()))),
        }
    }

    /// The problem of an effect on what another owner or another creation made. `said` ends with
    /// the mark that the host has.
    fn foreign(&self, step: &dyn Step, said: &str) -> Problem {
        let owner = self.operation().map_or("", |o| o.authority.as_str());
        let text = said.split(gate::FOREIGN_MARK).nth(1).unwrap_or_default().trim();
        let why = match Mark::parse(text) {
            Ok(mark) => format!(
                "the mark there says: {} \"{}\" of owner \"{}\", creation {}; this run changes \
                 only what owner \"{owner}\" made, as its state knows it",
                mark.kind, mark.node.name, mark.owner, mark.creation
            ),
            Err(_) if text.starts_with("user") => {
                "its files belong to another user of the host than the one that this run works as: \
                 its gates and its packages are in that user's home"
                    .to_owned()
            }
            Err(_) if text.is_empty() => "the mark that says whose it is is not there".to_owned(),
            Err(why) => format!("the mark there cannot be read: {why}"),
        };
        Problem::refused(format!("refused to {}: it is not proved to be ours", step.title()))
            .place(step.host().endpoint.show())
            .why(why)
            .fix(
                "first see whether owner in the provider block and the login user are those that it \
                 was made with; if it is another object now, remove this one from the state \
                 (terraform state rm) and import what is there; if its mark was lost, restore \
                 .ob/mark from a backup",
            )
    }

    /// Takes the gate's lock on the machine of `steps` and holds it for their effects. A caller that
    /// runs SQL opens its session after this call and before [`Hold::begin`].
    pub(super) async fn hold(&self, steps: &[Part<'_>]) -> Result<Hold, Problem> {
        let Some(first) = steps.first().map(|part| part.step) else {
            return Err(Problem::internal("a lock is held for no step"));
        };
        let host = first.host();
        let mut lines = Vec::new();
        for part in steps {
            lines.push(self.lines(part.step).ok_or_else(|| outside(part.step))?);
        }
        // All but each step's own line.
        let before = lines.iter().flat_map(|(_, before, ..)| &before[..before.len() - 1]);
        let waiting = Waiting {
            running: self.running.clone().ok_or_else(|| outside(first))?,
            lines: before.cloned().collect(),
        };
        let held: Vec<_> = steps.iter().zip(&lines).map(|(part, lines)| part.held(lines)).collect();
        if let Some(along) = self.along() {
            along.begin(host);
        }
        // By another name of its host, a step may have another gate there.
        let mut passes = Vec::new();
        for pass in steps.iter().map(|part| self.passes(part.step)) {
            passes.extend(pass?);
        }
        passes.sort();
        passes.dedup();
        let script = Script::new(gate::hold(&passes, &held)).run_as(&host.run_as);
        let place = host.endpoint.show();
        let stream = self.connect(host).await?.open(&script).await.map_err(|e| match e {
            TransportError::Ended(said) if said.contains(gate::FOREIGN_MARK) => {
                self.foreign(first, &said)
            }
            TransportError::Ended(said) => gone(&place, &said),
            e => e.explain(&host.endpoint),
        })?;
        Ok(Hold::new(stream, place, waiting))
    }

    /// Waits for `time`, unless cancelled first. Drops all kept answers: the host may change
    /// meanwhile.
    ///
    /// # Errors
    /// [`Kind::Cancelled`].
    pub async fn sleep(&self, time: Duration) -> Result<(), Problem> {
        self.forget();
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.cancel.cancelled() => Err(cancelled()),
        }
    }

    /// Waits for the next of `pauses`. `false`: their time is over, and nothing was waited for.
    ///
    /// # Errors
    /// [`Kind::Cancelled`].
    pub async fn pause(&self, pauses: &mut Pauses) -> Result<bool, Problem> {
        match pauses.next() {
            Some(pause) => self.sleep(pause).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Drops all kept answers, so that the next [`Cx::read`] asks the host.
    pub fn forget(&self) {
        if let Some(along) = self.along() {
            along.forget();
        }
    }

    /// Stops here if a test asks for this fault point.
    pub(super) async fn fault(&self, step: &dyn Step, point: fault::Point) {
        fault::here(step, point).await;
    }
}

fn outside(step: &dyn Step) -> Problem {
    Problem::internal(format!("step {} has an effect outside an operation", step.kind().as_str()))
}

pub(super) fn gone(place: &str, why: &str) -> Problem {
    Problem::new(Kind::Locked, "stopped: this run does not hold the object any more")
        .place(place)
        .why(why)
        .fix(
            "wait for the other run to end, then plan again: what this one did not finish is seen \
             on the hosts",
        )
}

/// The failure with which every cancelled wait ends.
#[must_use]
pub fn cancelled() -> Problem {
    Problem::new(Kind::Cancelled, "stopped as asked")
        .why("the run was interrupted")
        .fix("run the same command again: it goes on where this one stopped")
}

fn fix_for(tail: &str) -> String {
    if tail.contains("No space left") {
        "free space on that file system (df -h), then run the same command again: finished steps \
         are skipped"
            .into()
    } else if tail.contains("Permission denied") || tail.contains("a password is required") {
        "let the user who works there have the directory (chown it), or choose another one \
         (base_dir); or give the login user the rights that `ob sudoers` prints, or log in as \
         another user"
            .into()
    } else {
        "correct the cause on the host, then run the same command again: finished steps are skipped"
            .into()
    }
}
