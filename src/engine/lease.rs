//! A lease: the exclusive right to change an object, with a number that only grows.
//!
//! A run takes a lease by writing the highest number it saw + 1 into the gates on a majority of the
//! object's hosts (of two hosts: on both). It takes several leases in the order of their keys. A
//! background task renews each lease. When it cannot renew on a majority in time by our monotonic
//! clock, [`Lease::lost`] fires and the runner starts no further step. The hosts check the number
//! again at each effect.
use super::event::What;
use super::gate::{self, Holder, Owned, Pass};
use super::journal::Entry;
use super::key::Key;
use super::node::{Engine, Node};
use super::process::Process;
use super::step::Host;
use super::{Cx, Operation};
use crate::base::{Kind, Pauses, Problem};
use crate::transport::{Output, key_values};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Seconds without renewal after which another run may take an object over.
pub const TTL: u64 = 30;

/// [`TTL`]; the crash sweep shortens it with `OB_FAULT_TTL` to try more points in its time.
#[must_use]
pub fn ttl() -> u64 {
    if cfg!(feature = "fault-points") {
        std::env::var("OB_FAULT_TTL").ok().and_then(|t| t.parse().ok()).unwrap_or(TTL)
    } else {
        TTL
    }
}

/// How long a run waits for another one to end before it gives up and names that one.
pub const WAIT: Duration = Duration::from_secs(45);

/// How long a host may take to answer about a gate.
const ASK: Duration = Duration::from_secs(25);

/// An object whose lease is to be taken.
#[derive(Clone, Debug)]
pub struct Target {
    /// The object's key, the same on each of its hosts.
    pub key: Key,
    /// The object for people, `cluster.main`.
    pub title: String,
    /// What it is.
    pub engine: Engine,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// The hosts that carry the object's gate.
    pub hosts: Vec<Host>,
    /// Hosts that a failover consent names as dead, once for each member there; the quorum does
    /// without them.
    pub dead: Vec<Host>,
    /// What the mark of the object's one node must say; `None` when the object has no mark.
    pub mark: Option<MarkMust>,
    /// The lease keeps others away, and its loss stops nothing: what was begun under it has to come
    /// to its end whatever becomes of other hosts.
    pub advisory: bool,
}

/// What the mark of an object must say for an effect on it, beside the owner of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkMust {
    /// There may be none: the object is made, adopted or removed.
    BeOursIfThere(Option<String>),
    /// There is one, of this creation; `None`: of any.
    BeOurs(Option<String>),
}

impl Target {
    /// An object on `hosts`, all of them expected.
    #[must_use]
    pub fn new(key: Key, title: impl Into<String>, hosts: Vec<Host>) -> Self {
        let (engine, nodes, dead) = (Engine::None, Vec::new(), Vec::new());
        let (title, advisory) = (title.into(), false);
        Self { key, title, engine, nodes, hosts, dead, mark: None, advisory }
    }
    /// A node, on its host, with what its mark must say.
    #[must_use]
    pub fn node(engine: Engine, node: &Node, mark: MarkMust) -> Self {
        let title = format!("cluster.{}", node.name);
        let target = Self::new(node.key(), title, vec![node.host.clone()]);
        Self { engine, nodes: vec![node.clone()], mark: Some(mark), ..target }
    }
    /// Whose the object must be when `owner` changes it.
    fn owned(&self, owner: &str) -> Option<Owned> {
        let (node, mark) = (self.nodes.first()?, self.mark.clone()?);
        let (creation, new) = match mark {
            MarkMust::BeOursIfThere(creation) => (creation, true),
            MarkMust::BeOurs(creation) => (creation, false),
        };
        Some(Owned { directory: node.directory.clone(), owner: owner.into(), creation, new })
    }
    /// Each machine once: two members on one machine share a gate.
    fn distinct(&self) -> Vec<Host> {
        let mut once: Vec<Host> = Vec::new();
        for host in &self.hosts {
            if !once.iter().any(|h| h.same_machine(host)) {
                once.push(host.clone());
            }
        }
        once
    }
    /// The machines that count. Two hosts may have one name, and a machine on which a living member
    /// is beside a dead one is alive.
    fn living(&self) -> Vec<Host> {
        let on = |all: &[Host], h: &Host| all.iter().filter(|o| o.same_machine(h)).count();
        let mut machines = self.distinct();
        machines.retain(|h| on(&self.hosts, h) > on(&self.dead, h));
        machines
    }
    fn quorum(&self) -> usize {
        let living = self.living().len();
        (self.distinct().len() / 2 + 1).min(living).max(1)
    }
}

/// A lease that is held.
#[derive(Debug)]
pub struct Lease {
    target: Target,
    number: u64,
    holder: Holder,
    /// Whether the former holder did not give the lease back. Its sessions must then be ended
    /// first.
    pub took_over: bool,
    /// Fires when the lease could not be renewed in time, or another run has taken it over.
    pub lost: CancellationToken,
    renewing: tokio::task::AbortHandle,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Takes the lease of every target, in the order of their keys. When one cannot be taken, gives
/// back those that were.
///
/// # Errors
/// Somebody else holds one for longer than [`WAIT`] ([`Kind::Locked`], by name); too few hosts
/// answer.
pub async fn take_all(
    cx: &Cx,
    operation: &Operation,
    mut targets: Vec<Target>,
) -> Result<Vec<Lease>, Problem> {
    targets.sort_by_cached_key(place);
    let mut leases = Vec::new();
    for target in targets {
        match take(cx, operation, target).await {
            Ok(lease) => leases.push(lease),
            Err(problem) => {
                for lease in leases {
                    lease.release(cx, operation, Vec::new(), Some("not started")).await;
                }
                return Err(problem);
            }
        }
    }
    Ok(leases)
}

/// What tells an object from all others. Objects on different hosts may have the same key; the
/// hosts' addresses then decide.
fn place(target: &Target) -> (Key, Vec<String>) {
    (target.key.clone(), places(&target.hosts))
}

/// Objects in the order in which every run takes their leases, each once.
#[must_use]
pub fn in_order(targets: &[Target]) -> BTreeSet<(Key, Vec<String>)> {
    targets.iter().map(place).collect()
}

fn places(hosts: &[Host]) -> Vec<String> {
    hosts.iter().map(|h| format!("{}:{}", h.endpoint.address, h.endpoint.port)).collect()
}

/// What each host answered. Several hosts may have the same name.
type Answers = Vec<(Host, Result<Output, Problem>)>;

/// The answers of the hosts that could be asked.
fn heard(answers: &Answers) -> impl Iterator<Item = &Output> {
    answers.iter().filter_map(|(_, a)| a.as_ref().ok())
}

async fn on_all(cx: &Cx, hosts: &[Host], script: &str) -> Answers {
    let mut set = JoinSet::new();
    for host in hosts.iter().cloned() {
        let (cx, script) = (cx.clone(), script.to_owned());
        set.spawn(async move {
            let answer = cx.run_on(&host, &script, ASK, true).await;
            (host, answer)
        });
    }
    let mut answers = Vec::new();
    while let Some(done) = set.join_next().await {
        answers.extend(done.ok());
    }
    answers
}

fn too_few(target: &Target, answers: &Answers) -> Option<Problem> {
    let missing: Vec<_> =
        answers.iter().filter_map(|(h, a)| Some((h, a.as_ref().err()?))).collect();
    if answers.len() - missing.len() >= target.quorum() {
        return None;
    }
    let (_, first) = missing.first()?;
    let names: Vec<_> = missing.iter().map(|(h, _)| format!("\"{}\"", h.endpoint.name)).collect();
    Some(Problem {
        what: format!("cannot change {}: no answer from host {}", target.title, names.join(", ")),
        why: format!(
            "{}; a change needs {} of {}",
            first.why,
            target.quorum(),
            if answers.len() == 1 {
                "its one host".into()
            } else {
                format!("its {} hosts", answers.len())
            }
        ),
        ..(*first).clone()
    })
}

async fn take(cx: &Cx, operation: &Operation, target: Target) -> Result<Lease, Problem> {
    let holder = Holder {
        id: operation.id.to_string(),
        who: operation.who.clone(),
        ttl: ttl(),
        authority: operation.authority.clone(),
        epoch: operation.epoch,
        engine: target.engine,
        nodes: target.nodes.clone(),
        process: Process::own().cloned(),
    };
    let mut pauses = Pauses::every(Duration::from_millis(600)).within(WAIT).scattered();
    let hosts = target.living();
    let mut waited_for = String::new();
    loop {
        let seen = on_all(cx, &hosts, &gate::peek(&target.key)).await;
        if let Some(problem) = damaged(&target, &seen).or_else(|| too_few(&target, &seen)) {
            return Err(problem);
        }
        let facts: Vec<_> = heard(&seen).map(|o| key_values(&o.stdout)).collect();
        let numbers = facts.iter().filter_map(|f| f.get("number")?.parse::<u64>().ok());
        let number = 1 + numbers.max().unwrap_or(0);
        // A gate that an earlier round of ours had to keep is no other run's.
        let own = |f: &BTreeMap<String, String>| f.get("holder").is_some_and(|h| *h == holder.id);
        let live: Vec<_> =
            facts.iter().filter(|f| f.get("live").is_some_and(|l| l == "1") && !own(f)).collect();
        let gone = gone(&live);
        if let Some(held) = live.first().filter(|_| gone.is_none()) {
            let word = |key: &str| held.get(key).map_or("?", String::as_str);
            let holder = format!("{} (operation {})", word("who"), word("holder"));
            if waited_for != holder {
                let object = target.title.clone();
                waited_for.clone_from(&holder);
                cx.tell(&operation.id, What::Waiting { object, holder, most: WAIT });
            }
        } else {
            let start = Instant::now();
            let opening = operation.opening(number);
            let journal = operation.journal();
            let script = gate::take(&target.key, number, &holder, &journal, &opening, gone);
            let answers = on_all(cx, &hosts, &script).await;
            let taken = heard(&answers).filter(|o| o.ok()).count();
            if taken >= target.quorum() {
                let took_over = heard(&answers).any(|o| o.ok() && over(o));
                // Who lost a race holds the other gates with the same number, and gives them back.
                let lost = |a: &Result<Output, Problem>| a.as_ref().is_ok_and(|o| !o.ok());
                let others: Vec<_> =
                    answers.iter().filter(|(_, a)| lost(a)).map(|(h, _)| h.clone()).collect();
                on_all(cx, &others, &gate::renew(&target.key, number, &holder)).await;
                return Ok(hold(cx, target, number, holder, took_over, start));
            }
            give_back(cx, operation, &target, &answers, number, &holder).await;
            if let Some(problem) = damaged(&target, &answers) {
                return Err(problem);
            }
            let expected = |o: &&Output| o.ok() || matches!(o.status, gate::RACED | gate::HELD);
            if let Some(bad) = heard(&answers).find(|o| !expected(o)) {
                let what = format!("cannot take the lease of {}", target.title);
                return Err(Problem::new(Kind::Locked, what).why(bad.tail()).fix(
                    "look at the host's ~/.ob/objects (rights, disk), then run the same command \
                     again",
                ));
            }
            if let Some(problem) = too_few(&target, &answers) {
                return Err(problem);
            }
        }
        if !cx.pause(&mut pauses).await? {
            let what = format!("{} is being changed by somebody else", target.title);
            let place: Vec<_> = hosts.iter().map(|h| h.endpoint.show()).collect();
            return Err(Problem::new(Kind::Locked, what)
                .place(place.join(", "))
                .why(format!("its lease is held by {waited_for}; waited {} s", WAIT.as_secs()))
                .fix(
                    "wait for that run to end, then run the same command again; a run that died \
                     loses its lease by itself after 30 s",
                ));
        }
    }
}

/// The one holder that all these gates name, when its process ran on this machine and is gone: its
/// lease need not run out.
fn gone<'a>(live: &[&'a BTreeMap<String, String>]) -> Option<&'a str> {
    let holder = live.first()?.get("holder").filter(|h| !h.is_empty())?;
    let ended = |f: &&BTreeMap<String, String>| {
        let process = f.get("process").and_then(|text| Process::parse(text));
        f.get("holder") == Some(holder) && process.is_some_and(|p| p.gone())
    };
    live.iter().all(ended).then_some(holder)
}

/// Whether the former holder did not give its gate back.
fn over(answer: &Output) -> bool {
    answer.stdout.lines().any(|l| l == "took_over=1")
}

/// Gives back the gates that were taken, when they were too few for the lease: whoever took the
/// others may have them. A gate that was taken over stays as it is, because it must tell the next
/// run to end its former holder's sessions first.
async fn give_back(
    cx: &Cx,
    operation: &Operation,
    target: &Target,
    answers: &Answers,
    number: u64,
    holder: &Holder,
) {
    let ours = |a: &Result<Output, Problem>| a.as_ref().is_ok_and(|o| o.ok() && !over(o));
    let hosts: Vec<_> = answers.iter().filter(|(_, a)| ours(a)).map(|(h, _)| h.clone()).collect();
    let line = operation.closing(number, Some("not started: another run took the other hosts"));
    let script = gate::release(&target.key, number, holder, &operation.journal(), &[line]);
    on_all(&cx.detached(), &hosts, &script).await;
}

/// The problem of a gate that cannot be read, which does not count as free, or of a state directory
/// that is another machine's.
fn damaged(target: &Target, answers: &Answers) -> Option<Problem> {
    let (host, output) = answers
        .iter()
        .filter_map(|(h, a)| Some((h, a.as_ref().ok()?)))
        .find(|(_, o)| matches!(o.status, gate::DAMAGED | gate::ELSEWHERE))?;
    let (what, fix) = if output.status == gate::DAMAGED {
        (
            format!("the gate of {} cannot be read", target.title),
            "use the newest release of ob; if the file is damaged, make sure that nobody changes \
             the object, then remove that file: the next run writes a new one",
        )
    } else {
        (
            format!("~/.ob on host \"{}\" is another machine's", host.endpoint.name),
            "a home that several machines share, or that came along with a copy of a machine, \
             cannot hold gates: give the user who runs the servers a home of its own on each host; \
             if this machine only got another id, remove that file",
        )
    };
    Some(Problem::refused(what).place(host.endpoint.show()).why(output.tail()).fix(fix))
}

fn hold(
    cx: &Cx,
    target: Target,
    number: u64,
    holder: Holder,
    took_over: bool,
    taken: Instant,
) -> Lease {
    let lost = CancellationToken::new();
    // A cancelled operation needs its lease until it reaches its safe point. So a cancel does not
    // end the renewing; only the end of the lease does.
    let task = tokio::spawn(renew(
        cx.detached(),
        target.clone(),
        gate::renew(&target.key, number, &holder),
        lost.clone(),
        taken,
    ));
    Lease { target, number, holder, took_over, lost, renewing: task.abort_handle() }
}

/// Renews a lease until it is lost. Each host is asked at its own pace: one that is slow or silent
/// keeps no other one waiting, and the lease ends at its time even while answers are due.
async fn renew(cx: Cx, target: Target, script: String, lost: CancellationToken, taken: Instant) {
    let hosts = target.living();
    let mut renewed = vec![taken; hosts.len()];
    let mut superseded = vec![false; hosts.len()];
    let mut asked = JoinSet::new();
    let ask = |i: usize| {
        let (cx, host, script) = (cx.clone(), hosts[i].clone(), script.clone());
        async move {
            tokio::time::sleep(Duration::from_secs(ttl() / 5)).await;
            let start = Instant::now();
            let answer = cx.run_on(&host, &script, ASK, true).await;
            (i, start, answer)
        }
    };
    (0..hosts.len()).for_each(|i| drop(asked.spawn(ask(i))));
    loop {
        let end = held_since(&renewed, target.quorum()) + Duration::from_secs(ttl() - ttl() / 6);
        let answer = tokio::select! {
            answer = asked.join_next() => answer,
            () = tokio::time::sleep_until(end), if !target.advisory => None,
        };
        let Some(Ok((i, start, answer))) = answer else { break };
        match answer {
            Ok(output) if output.ok() => renewed[i] = start,
            // One host that says so may be wrong, or lie; as many as keep a quorum away do not.
            Ok(output) if output.status == gate::SUPERSEDED => superseded[i] = true,
            _ => {}
        }
        let left = superseded.iter().filter(|s| !**s).count();
        if left < target.quorum() && !target.advisory {
            break;
        }
        asked.spawn(ask(i));
    }
    lost.cancel();
}

/// Since when a quorum of hosts has held the lease, each having been asked last at its time in
/// `renewed`.
fn held_since(renewed: &[Instant], quorum: usize) -> Instant {
    let mut latest = renewed.to_vec();
    latest.sort_unstable_by(|a, b| b.cmp(a));
    latest[quorum - 1]
}

impl Lease {
    /// What an effect on `host` shows to this object's gate; `None` when the host has none.
    #[must_use]
    pub fn pass(&self, host: &Host) -> Option<Pass> {
        self.target.hosts.contains(host).then(|| Pass {
            key: self.target.key.clone(),
            number: self.number,
            owned: self.target.owned(&self.holder.authority),
        })
    }

    /// The lease number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The key of the lease's object.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.target.key
    }

    /// Gives the lease back and writes the journal's last lines. `problem` is what stopped the
    /// operation. On a host that cannot be reached the lease runs out by itself.
    pub async fn release(
        self,
        cx: &Cx,
        operation: &Operation,
        mut lines: Vec<Entry>,
        problem: Option<&str>,
    ) {
        self.renewing.abort();
        lines.push(operation.closing(self.number, problem));
        let script = gate::release(
            &self.target.key,
            self.number,
            &self.holder,
            &operation.journal(),
            &lines,
        );
        for (host, answer) in on_all(&cx.detached(), &self.target.living(), &script).await {
            if let Err(problem) = answer {
                tracing::warn!(
                    host = host.endpoint.name,
                    "lease of {} not given back: {}",
                    self.target.title,
                    problem.why
                );
            }
        }
    }
}
