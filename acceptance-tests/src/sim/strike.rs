//! Strikes with one fault at one point of one step. Then runs the same command again, and checks
//! everything that must hold after it.
use super::digest::differing;
use super::link::State;
use super::world::{Attempt, LIMIT};
use super::{Operation, World, digest};
use crate::process::until;
use crate::story::{nothing_lost, trail};
use crate::writer::{self, Writer};
use crate::{Host, sql};
use anyhow::{Context, Result, bail, ensure};
use ob::engine::fault::{self, Point};
use ob::engine::journal::{Event, Line};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// The provider dies.
    Provider,
    /// The step's host loses its power, and boots when the command has ended.
    Host,
    /// The link to the step's host is cut, and healed when the command has ended.
    Link,
    /// The provider is frozen, another run finishes the job, then the provider wakes up.
    Frozen,
    /// The provider dies, and everything that Terraform knew is lost.
    State,
}

impl Blow {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Provider, Self::Host, Self::Link, Self::Frozen, Self::State];

    /// Whether the same command still makes sense after the fault: without a state, nobody knows
    /// what there was to change or to remove.
    #[must_use]
    pub fn fits(self, operation: Operation) -> bool {
        self != Self::State || operation.row().stateless
    }
}

/// A step of an operation that has an effect. In a [`Strike`] the texts are independent of the lab:
/// `#1` is the first host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Name of its host.
    pub host: String,
    /// Kind of the step.
    pub kind: String,
    /// Title of the step.
    pub title: String,
}

impl At {
    /// The same step with its texts changed.
    #[must_use]
    pub fn map(&self, change: impl Fn(&str) -> String) -> Self {
        Self { host: change(&self.host), kind: self.kind.clone(), title: change(&self.title) }
    }
}

/// One point of the sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// The operation.
    pub operation: Operation,
    /// The step.
    pub at: At,
    /// The point in the step.
    pub point: Point,
    /// The fault.
    pub blow: Blow,
}

impl std::fmt::Display for Strike {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?}:{}@{}:{}:{:?}",
            self.operation,
            self.at.kind,
            self.at.host.trim_start_matches('#'),
            self.point.as_str(),
            self.blow
        )
    }
}

/// How a strike went.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// The point was reached.
    pub hit: bool,
    /// How often the same command was run afterwards.
    pub tries: usize,
    /// How many rows were acknowledged meanwhile; none is lost.
    pub rows: usize,
}

impl World {
    /// All journal lines, with the name of the host that has them. The operation of a group has
    /// journals on several hosts.
    pub(super) fn trail(&self) -> Result<Vec<(String, Line)>> {
        let all = trail::read(&self.lab)?;
        Ok(all
            .into_iter()
            .flat_map(|j| j.lines.into_iter().map(move |l| (j.host.clone(), l)))
            .collect())
    }

    /// Strikes, repeats the command, checks.
    ///
    /// # Errors
    /// Something does not hold, or the lab broke down.
    pub fn strike(&mut self, strike: &Strike) -> Result<Passed> {
        let end = self.run(strike.operation)?.end;
        let strike = &Strike { at: strike.at.map(|text| self.local(text)), ..strike.clone() };
        self.prepare(strike.operation)?;
        let writer = self.writer(strike.operation)?;
        let before = operations(&self.trail()?);
        let (config, mut passed) = (strike.operation.row().asks, Passed::default());
        // A frozen provider's terraform has its own copy of the state: what the provider says when
        // it wakes up is not kept.
        let states = if strike.blow == Blow::Frozen {
            Arc::new(Mutex::new(self.states().clone()))
        } else {
            self.states.clone()
        };
        let mut attempt = self.start_on(states.clone(), |core| core.apply(config))?;
        let host = self.lab.named(&strike.at.host)?;
        let Some(held) = reach(&host, &strike.at, strike.point, || attempt.ended())? else {
            attempt.wait().context("without any fault")?;
            return Ok(passed);
        };
        passed.hit = true;
        let trail = self.trail()?;
        stands(&trail, &before, strike)?;
        let finished = ended(&trail, &before);
        let first = operations(&trail);
        let frozen = self.blow(attempt, strike, &host, &held)?;
        passed.tries = self.again(strike)?;
        if let Some(frozen) = frozen {
            self.wake(frozen, &held, &host, &first)?;
            let tainted = states.lock().unwrap_or_else(PoisonError::into_inner).tainted.clone();
            self.states().tainted.extend(tainted);
        }
        self.check(strike, &end)?;
        let twice = again(&self.trail()?, &first, &finished, strike);
        ensure!(twice.is_empty(), "done twice: {twice:?}");
        if !self.twice {
            self.ledgers(strike)?;
        }
        if let Some(writer) = writer {
            writer.wait_for(3, LIMIT)?;
            let report = writer.stop()?;
            nothing_lost(&report)?;
            passed.rows = report.acknowledged;
        }
        Ok(passed)
    }

    fn writer(&self, operation: Operation) -> Result<Option<Writer>> {
        let login = |i: &usize| sql::Login {
            at: self.lab.host(*i).at(2881),
            user: "root".into(),
            password: Some(crate::story::config::PASSWORD.into()),
        };
        let servers: Vec<_> = operation.row().writers.iter().map(login).collect();
        if servers.is_empty() {
            return Ok(None);
        }
        let (patience, probe) = (Duration::from_millis(300), Duration::from_millis(40));
        let writer = Writer::start(writer::Config {
            servers,
            rate: 50,
            patience,
            probe,
            ..writer::Config::new([])
        })?;
        writer.wait_for(3, LIMIT)?;
        Ok(Some(writer))
    }

    /// Lands the blow and waits for the end of the command, if it ends. Returns a frozen command.
    fn blow(
        &self,
        attempt: Attempt<()>,
        strike: &Strike,
        host: &Host,
        held: &Held,
    ) -> Result<Option<Attempt<()>>> {
        match strike.blow {
            // The provider's script waits on the host until the next run ends it.
            Blow::Provider => attempt.kill(),
            Blow::State => {
                attempt.kill();
                self.states().objects.clear();
            }
            Blow::Frozen => {
                attempt.links.set(None, State::Held);
                return Ok(Some(attempt));
            }
            Blow::Host | Blow::Link => {
                let links = attempt.links.clone();
                links.set(Some(host.name()), State::Cut);
                if strike.blow == Blow::Host {
                    host.kill()?;
                }
                held.let_go(host);
                if let Err(e) = attempt.wait()
                    && e.to_string().contains("does not end")
                {
                    return Err(e);
                }
                // The script goes on alone; it has ended long before a lease runs out.
                links.let_end(Duration::from_secs(5));
                if strike.blow == Blow::Host {
                    host.boot()?;
                }
            }
        }
        Ok(None)
    }

    /// Lets a frozen provider go on. It must find that it was superseded, and begin nothing more.
    fn wake(
        &self,
        frozen: Attempt<()>,
        held: &Held,
        host: &Host,
        first: &BTreeSet<String>,
    ) -> Result<()> {
        let begun = || -> Result<usize> {
            Ok(self
                .trail()?
                .iter()
                .filter(|(_, l)| l.entry.event == Event::Begin && first.contains(&l.entry.op))
                .count())
        };
        let before = begun()?;
        frozen.links.set(None, State::Open);
        held.let_go(host);
        let said = frozen.wait().err().map_or("it worked".to_owned(), |e| format!("{e:#}"));
        ensure!(
            !said.contains("does not end") && begun()? == before,
            "the frozen provider woke up and went on ({said})"
        );
        Ok(())
    }

    /// Runs the same command until it works, each time as if the leases had run out.
    fn again(&self, strike: &Strike) -> Result<usize> {
        let mut said = String::new();
        for tries in 1..=self.tries {
            self.age_leases()?;
            match self.apply(strike.operation.row().asks) {
                Ok(()) => return Ok(tries),
                Err(e) => said = format!("{e:#}"),
            }
        }
        bail!("the same command does not finish it: {said}")
    }

    /// Makes every lease look expired.
    ///
    /// # Errors
    /// A gate cannot be written.
    pub fn age_leases(&self) -> Result<()> {
        for host in self.lab.hosts() {
            for object in
                std::fs::read_dir(host.path("/root/.ob/objects")).into_iter().flatten().flatten()
            {
                let gate = object.path().join("gate");
                let Ok(text) = std::fs::read_to_string(&gate) else { continue };
                let old: String = text
                    .lines()
                    .map(|l| {
                        if l.starts_with("renewed=") {
                            "renewed=0\n".to_owned()
                        } else {
                            format!("{l}\n")
                        }
                    })
                    .collect();
                std::fs::write(gate, old)?;
            }
        }
        Ok(())
    }

    fn check(&self, strike: &Strike, end: &[String]) -> Result<()> {
        let tainted = self.states().tainted.clone();
        ensure!(tainted.is_empty(), "tainted: {tainted:?}");
        let row = strike.operation.row();
        match row.asks {
            Some(config) => {
                // The next apply starts what a disband left without power.
                if row.members_stay_off && strike.blow == Blow::Host {
                    self.apply(Some(config.clone()))?;
                }
                let differences = self.differences(config)?;
                ensure!(differences.is_empty(), "the next plan is not empty: {differences:?}");
            }
            None => {
                ensure!(self.states().objects.is_empty(), "a destroy left something in the state")
            }
        }
        // Without a state nobody asked for another primary: a role that had not begun to move stays
        // where it is.
        if strike.blow == Blow::State && row.moves {
            return Ok(());
        }
        let found = differing(end, &digest::of(&self.lab)?);
        ensure!(found.is_empty(), "another end state: {found:?}");
        Ok(())
    }

    /// Checks that no statement that changes something ran twice on one server.
    fn ledgers(&self, strike: &Strike) -> Result<()> {
        for host in self.lab.hosts() {
            let text = std::fs::read_to_string(host.path("/var/log/sim-seekdb.ledger"))
                .unwrap_or_default();
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            text.lines().for_each(|l| *counts.entry(l).or_default() += 1);
            let twice: Vec<_> = counts
                .iter()
                .filter(|(line, n)| **n > 1 && !may_repeat(line, strike.blow))
                .collect();
            ensure!(twice.is_empty(), "ran twice on {}: {twice:?}", host.name());
            let young = counts.keys().find(|line| line.ends_with("is young"));
            ensure!(young.is_none(), "a standby was begun too early: {young:?}");
        }
        Ok(())
    }
}

/// Statements that a new attempt makes again. Each build of a standby begins with a freeze and a
/// first start. A server that lost its power is started again. A fence that a power loss ended is
/// opened and made anew.
fn may_repeat(line: &str, blow: Blow) -> bool {
    let statement = line.split_once(' ').map_or(line, |l| l.1);
    let rebuilt = ["alter system minor freeze", "first start"].contains(&statement);
    let lost = ["start", "alter system switchover to standby", "alter system activate standby"]
        .contains(&statement);
    rebuilt
        || statement == "start"
        || (lost && blow == Blow::Host)
        || statement.starts_with("alter system set log_restore_source") && blow == Blow::Host
}

/// Holds a step at a point.
pub struct Held {
    armed: Arc<fault::Armed>,
}

impl Held {
    fn let_go(&self, host: &Host) {
        self.armed.release();
        let _ = std::fs::remove_file(host.path("/root/.ob/fault.hit"));
    }
}

/// Waits until a run stands at a point of a step of `host`; `None` when the run ended before.
///
/// # Errors
/// The run neither reaches the point nor ends.
pub fn reach(
    host: &Host,
    at: &At,
    point: Point,
    mut ended: impl FnMut() -> bool,
) -> Result<Option<Held>> {
    let on_host = matches!(point, Point::Began | Point::Effected);
    let held = Held {
        armed: fault::arm(host.name(), &at.title, if on_host { Point::Decided } else { point }),
    };
    ensure!(
        until(LIMIT, || held.armed.reached() || ended()),
        "the point was not reached and the command does not end"
    );
    if !held.armed.reached() {
        held.let_go(host);
        return Ok(None);
    }
    if on_host {
        let hit = host.path("/root/.ob/fault.hit");
        std::fs::write(host.path("/root/.ob/fault"), format!("{}:{}\n", at.kind, point.as_str()))?;
        held.armed.release();
        let reached = until(LIMIT, || hit.exists() || ended());
        let _ = std::fs::remove_file(host.path("/root/.ob/fault"));
        ensure!(reached, "the point on the host was not reached and the command does not end");
        if !hit.exists() {
            return Ok(None);
        }
    }
    Ok(Some(held))
}

pub(super) fn operations(trail: &[(String, Line)]) -> BTreeSet<String> {
    trail.iter().map(|(_, l)| l.entry.op.clone()).collect()
}

/// Titles and kinds of the steps whose effect ended, in operations that are not in `before`.
fn ended(trail: &[(String, Line)], before: &BTreeSet<String>) -> BTreeMap<String, String> {
    let lines = trail
        .iter()
        .map(|(_, l)| &l.entry)
        .filter(|e| e.event == Event::End && !before.contains(&e.op));
    lines.map(|e| (e.title.clone(), e.kind.clone())).collect()
}

/// Checks what the journal says at each point: it must be written before the effect, and its end
/// after the effect.
fn stands(trail: &[(String, Line)], before: &BTreeSet<String>, strike: &Strike) -> Result<()> {
    let has = |event| {
        trail.iter().any(|(_, l)| {
            l.entry.event == event
                && l.entry.title == strike.at.title
                && !before.contains(&l.entry.op)
        })
    };
    let want = match strike.point {
        Point::Decided => (false, false),
        Point::Began | Point::Effected => (true, false),
        Point::Applied | Point::Verified => (true, true),
    };
    let now = (has(Event::Begin), has(Event::End));
    ensure!(
        now == want,
        "the journal at {} says begin {}, end {}",
        strike.point.as_str(),
        now.0,
        now.1
    );
    Ok(())
}

/// The steps that had ended before the blow and began again in a later operation.
fn again(
    trail: &[(String, Line)],
    first: &BTreeSet<String>,
    finished: &BTreeMap<String, String>,
    strike: &Strike,
) -> Vec<String> {
    // The host booted the server as it was: the stop is undone, and the process that runs now is
    // not the one that was noted.
    let undone = matches!(strike.at.kind.as_str(), "begin_restart" | "stop_server")
        || (strike.at.kind == "use_package" && strike.point < Point::Effected);
    let allowed = |kind: &str| match kind {
        // A server that lost its power has to be started again, and its fence ended with the
        // process.
        "start_server" | "note_fence" | "fence" => strike.blow == Blow::Host,
        "begin_restart" | "stop_server" => strike.blow == Blow::Host && undone,
        // Every new attempt to build a store repeats these.
        "freeze_log" | "begin_store" => true,
        _ => false,
    };
    let later = trail
        .iter()
        .map(|(_, l)| &l.entry)
        .filter(|e| e.event == Event::Begin && !first.contains(&e.op));
    later
        .filter(|e| finished.get(&e.title).is_some_and(|kind| !allowed(kind)))
        .map(|e| e.title.clone())
        .collect()
}
