//! Runs a graph. Steps run in parallel up to a bound. A failed step stops only the steps that
//! depend on it. A step that is done already is skipped, and the outcome says so.
use super::along::Along;
use super::chain::{Chain, Ran};
use super::cx::{Running, cancelled};
use super::event::What;
use super::fault::{self, Point};
use super::graph::{Graph, Node, NodeId};
use super::journal::{Entry, Event};
use super::lease::{self, Target};
use super::limits::Limits;
use super::step::{Check, Step};
use super::{Cx, Operation};
use crate::base::{Kind, Pauses, Problem};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tracing::Instrument;

/// The first and the longest pause before a busy server is asked again.
const BUSY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(8)];

/// How a run went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Titles of the steps that had an effect, and how long each took.
    pub done: Vec<(String, Duration)>,
    /// Titles of the steps that were found done.
    pub skipped: Vec<String>,
    /// Titles of the steps that failed or did not run.
    pub left: Vec<String>,
    /// The first failure.
    pub problem: Option<Problem>,
}

impl Outcome {
    /// The first failure, with how far the operation came added, ready for people.
    #[must_use]
    pub fn explain(&self, operation: &Operation) -> Option<Problem> {
        let mut problem = self.problem.clone()?;
        let total = operation.titles.len();
        let finished = self.done.len() + self.skipped.len();
        if problem.then.is_empty() && total > 0 {
            problem.then = format!(
                "run the same command again: {finished} of {total} steps are done and will be \
                 skipped (operation {})",
                operation.id
            );
        }
        Some(problem)
    }
}

/// Takes the leases, runs the graph and gives the leases back. All of it is in a tracing span that
/// carries the operation's id.
///
/// Empty `targets` mean a run without a lease. That is only for plain SQL objects, whose effects
/// are single repeatable statements.
pub async fn run(
    cx: &Cx,
    operation: Operation,
    graph: &Graph,
    targets: Vec<Target>,
    limits: &Limits,
) -> Outcome {
    let span = tracing::info_span!("operation", id = %operation.id, title = operation.title());
    in_span(cx, operation, graph, targets, limits).instrument(span).await
}

async fn in_span(
    cx: &Cx,
    operation: Operation,
    graph: &Graph,
    targets: Vec<Target>,
    limits: &Limits,
) -> Outcome {
    let mut outcome = Outcome::default();
    if let Some(problem) = graph.fault() {
        return Outcome { problem: Some(problem), left: graph.titles(), ..outcome };
    }
    if graph.is_empty() {
        return outcome;
    }
    // Held until the leases were given back.
    let _turns = tokio::select! {
        turns = limits.turns(&targets) => turns,
        () = cx.cancel().cancelled() => {
            return Outcome { problem: Some(cancelled()), left: graph.titles(), ..outcome };
        }
    };
    let leases = match lease::take_all(cx, &operation, targets).await {
        Ok(leases) => leases,
        Err(problem) => return Outcome { problem: Some(problem), left: graph.titles(), ..outcome },
    };
    let lost: Vec<_> = leases.iter().map(|l| l.lost.clone()).collect();
    let ids = graph.nodes().iter().map(|n| n.step.id());
    let numbers = ids.enumerate().map(|(i, id)| (id, i + 1)).collect();
    let (id, title) = (operation.id.clone(), operation.title());
    cx.tell(&id, What::Opened { title, steps: graph.nodes().len() });
    let running = Arc::new(Running {
        operation,
        leases,
        waiting: Mutex::default(),
        numbers,
        along: Along::default(),
    });
    let inner = cx.running(running.clone());
    let stop = async {
        let lost = futures_any(lost);
        tokio::select! {
            () = cx.cancel().cancelled() => cancelled(),
            () = lost => Problem::new(
                Kind::Locked,
                "stopped: the lease could not be renewed in time",
            )
            .why("too few hosts answered")
            .fix("check the hosts and the link, then run the same command again"),
        }
    };
    if inner.took_over()
        && let Err(problem) = clear(&inner, graph).await
    {
        // Do not release: an unreleased lease tells the next run to clear old sessions first. The
        // leases run out by themselves.
        tracing::error!("{}", problem.what);
        cx.tell(&id, What::Closed(Some(problem.what.clone())));
        return Outcome { left: graph.titles(), problem: Some(problem), ..outcome };
    }
    execute(&inner, &running, graph, limits, stop, &mut outcome).await;
    drop(inner);
    let why = outcome.problem.as_ref().map(|p| format!("stopped: {}", p.what));
    outcome.problem = outcome.explain(&running.operation);
    if let Some(running) = Arc::into_inner(running) {
        let mut waiting = running.waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
        for lease in running.leases {
            let lines = std::mem::take(&mut waiting);
            lease.release(cx, &running.operation, lines, why.as_deref()).await;
        }
    } else {
        tracing::error!("a task of {id} outlived its operation: its leases run out by themselves");
    }
    cx.tell(&id, What::Closed(outcome.problem.as_ref().map(|p| p.what.clone())));
    outcome
}

/// Runs the steps that end what a former holder has left open, before the first effect of ours.
async fn clear(cx: &Cx, graph: &Graph) -> Result<(), Problem> {
    for step in graph.take_over() {
        attempt(cx, step.as_ref()).await?;
    }
    Ok(())
}

async fn futures_any(tokens: Vec<tokio_util::sync::CancellationToken>) {
    let mut set = JoinSet::new();
    for token in tokens {
        set.spawn(async move { token.cancelled().await });
    }
    if set.join_next().await.is_none() {
        std::future::pending::<()>().await;
    }
}

enum Ended {
    Skipped,
    Done(Duration),
    Failed(Problem),
}

async fn execute(
    cx: &Cx,
    running: &Running,
    graph: &Graph,
    limits: &Limits,
    stop: impl Future<Output = Problem>,
    outcome: &mut Outcome,
) {
    let nodes = graph.nodes();
    let (mut open, mut good, mut set) =
        ((0..nodes.len()).collect::<BTreeSet<_>>(), BTreeSet::new(), JoinSet::new());
    let host_of = |i: usize| nodes[i].step.host().endpoint.name.clone();
    let mut busy: BTreeSet<String> = BTreeSet::new();
    let mut stop = std::pin::pin!(stop);
    let mut stopped = false;
    loop {
        if !stopped {
            let ready: Vec<_> = open
                .iter()
                .copied()
                .filter(|i| nodes[*i].follows.is_none())
                .filter(|i| nodes[*i].after.iter().all(|n| good.contains(&n.0)))
                .collect();
            for i in ready {
                let chain: Vec<_> = graph.chain_from(NodeId(i)).into_iter().map(|n| n.0).collect();
                let hosts: BTreeSet<_> = chain.iter().map(|i| host_of(*i)).collect();
                // One step at a time on a host keeps its load and its journal simple. Hosts run in
                // parallel.
                if hosts.iter().any(|host| busy.contains(host)) {
                    continue;
                }
                open.retain(|i| !chain.contains(i));
                busy.extend(hosts);
                let (cx, limits) = (cx.clone(), limits.clone());
                let steps: Vec<_> = chain.iter().map(|i| nodes[*i].clone()).collect();
                let work = async move {
                    let _place = limits.place(steps[0].step.host()).await;
                    if cx.cancel().is_cancelled() {
                        return (chain, vec![Ended::Failed(cancelled())]);
                    }
                    let ended = match &steps[..] {
                        [node] => vec![one(&cx, node).await],
                        steps => together(&cx, steps).await,
                    };
                    (chain, ended)
                };
                set.spawn(work.in_current_span());
            }
        }
        if set.is_empty() {
            break;
        }
        let joined = tokio::select! {
            joined = set.join_next() => joined,
            problem = &mut stop, if !stopped => {
                stopped = true;
                outcome.problem.get_or_insert(problem);
                continue;
            }
        };
        match joined {
            Some(Ok((chain, ended))) => {
                for i in &chain {
                    busy.remove(&host_of(*i));
                }
                // The steps behind a failed one are left.
                open.extend(chain.iter().skip(ended.len()));
                for (i, ended) in chain.into_iter().zip(ended) {
                    let title = nodes[i].step.title();
                    match ended {
                        Ended::Skipped => {
                            running
                                .waiting
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push(skip_line(running, nodes[i].step.as_ref()));
                            good.insert(i);
                            outcome.skipped.push(title);
                        }
                        Ended::Done(time) => {
                            good.insert(i);
                            outcome.done.push((title, time));
                        }
                        Ended::Failed(problem) => {
                            outcome.problem.get_or_insert(problem);
                            outcome.left.push(title);
                        }
                    }
                }
            }
            Some(Err(error)) => {
                stopped = true;
                outcome.problem.get_or_insert(Problem::internal(format!(
                    "a step stopped without an answer: {error}"
                )));
            }
            None => break,
        }
    }
    outcome.left.extend(open.into_iter().map(|i| nodes[i].step.title()));
}

fn skip_line(running: &Running, step: &dyn Step) -> Entry {
    let title = step.title();
    let number = running.numbers.get(&step.id()).copied().unwrap_or(0);
    running.operation.entry(
        Event::Skip,
        number,
        step.kind().as_str(),
        &title,
        running.leases.first().map_or(0, lease::Lease::number),
    )
}

/// Runs a chain: its effects together, as far as that goes, and then what is left one by one. The
/// last value is a failure, or there is one for each step.
async fn together(cx: &Cx, nodes: &[Node]) -> Vec<Ended> {
    let steps: Vec<_> = nodes.iter().map(|n| n.step.as_ref()).collect();
    let ran = match Chain::ready(cx, &steps).await {
        Some(chain) => chain.run(cx).await,
        None => Ran::default(),
    };
    let mut ended = Vec::new();
    // An effect is verified even if the run was asked to stop meanwhile.
    let whole = cx.detached();
    for (step, time) in steps.iter().zip(ran.done) {
        let started = Instant::now();
        match seen(&whole, *step).await {
            Ok(None) => {
                let time = time + started.elapsed();
                cx.tell_of(*step, |at| What::Ended(at, time));
                ended.push(Ended::Done(time));
            }
            Ok(Some(problem)) | Err(problem) => {
                ended.push(failed(cx, *step, problem));
                return ended;
            }
        }
    }
    // What the server cannot do now may be done by another try. A lock that was only lost, with its
    // link, is taken anew; if another run has the object, the gate says so again.
    let again = |p: &Problem| matches!(p.kind, Kind::Busy | Kind::Locked);
    if let Some(problem) = ran.problem.filter(|p| !again(p)) {
        ended.extend(steps.get(ended.len()).map(|step| failed(cx, *step, problem)));
        return ended;
    }
    for node in nodes.iter().skip(ended.len()) {
        // What was begun goes on to its end: no fence is left without its promotion.
        let begun = ended.iter().any(|e| matches!(e, Ended::Done(_)));
        let cx = if begun { &whole } else { cx };
        if cx.cancel().is_cancelled() {
            ended.push(Ended::Failed(cancelled()));
        } else {
            ended.push(one(cx, node).await);
        }
        if matches!(ended.last(), Some(Ended::Failed(_))) {
            break;
        }
    }
    ended
}

/// Waits until an effect is seen to be done. `Some` says why it is not.
async fn seen(cx: &Cx, step: &dyn Step) -> Result<Option<Problem>, Problem> {
    let problem = judged(step, step.verify(cx).await?);
    if problem.is_none() {
        cx.fault(step, Point::Verified).await;
        fault::after(cx, step).await;
    }
    Ok(problem)
}

fn judged(step: &dyn Step, found: Check) -> Option<Problem> {
    match found {
        Check::Done => None,
        Check::Refused(problem) => Some(problem),
        Check::Needed(why) | Check::Partial(why) | Check::Unknown(why) => Some(stuck(step, &why)),
    }
}

fn failed(cx: &Cx, step: &dyn Step, problem: Problem) -> Ended {
    cx.tell_of(step, |at| What::Failed(at, problem.what.clone()));
    Ended::Failed(problem)
}

async fn one(cx: &Cx, node: &Node) -> Ended {
    let started = Instant::now();
    match attempt(cx, node.step.as_ref()).await {
        Ok(false) => {
            cx.tell_of(node.step.as_ref(), What::Skipped);
            Ended::Skipped
        }
        Ok(true) => {
            cx.tell_of(node.step.as_ref(), |at| What::Ended(at, started.elapsed()));
            Ended::Done(started.elapsed())
        }
        Err(problem) if node.way_back.is_empty() || problem.kind == Kind::Cancelled => {
            failed(cx, node.step.as_ref(), problem)
        }
        Err(problem) => {
            cx.tell_of(node.step.as_ref(), |at| What::Failed(at, problem.what.clone()));
            Ended::Failed(go_back(&cx.detached(), node, problem).await)
        }
    }
}

async fn go_back(cx: &Cx, node: &Node, mut problem: Problem) -> Problem {
    for step in &node.way_back {
        if let Err(second) = attempt(cx, step.as_ref()).await {
            problem.why = format!(
                "{}; the way back failed too, at \"{}\": {}",
                problem.why,
                step.title(),
                second.why
            );
            return problem;
        }
    }
    cx.tell_of(node.step.as_ref(), What::WentBack);
    let titles: Vec<_> = node.way_back.iter().map(|s| s.title()).collect();
    problem.why = format!("{}; went back: {}", problem.why, titles.join(", "));
    problem
}

/// Runs one step: check, effect, verify. `false`: there was nothing to do.
///
/// # Errors
/// The check refused or could not tell, the effect failed, or the effect was not seen to be done in
/// time.
pub async fn attempt(cx: &Cx, step: &dyn Step) -> Result<bool, Problem> {
    fault::before(cx, step).await;
    let Some(why) = to_do(cx, step).await? else { return Ok(false) };
    cx.tell_of(step, |at| What::Began(at, why));
    let (mut left, mut pauses) = (step.tries(), Pauses::growing(BUSY[0], BUSY[1]));
    while let Some(problem) = try_once(cx, step).await? {
        left = left.saturating_sub(1);
        if left == 0 {
            return Err(problem);
        }
        tracing::warn!(step = step.kind().as_str(), "{}: tried again", problem.why);
        if problem.kind == Kind::Busy {
            // Look again: meanwhile the server may have ended what it was busy with, or there may
            // be a reason not to run the effect any more.
            cx.pause(&mut pauses).await?;
            if to_do(cx, step).await?.is_none() {
                break;
            }
        }
    }
    cx.fault(step, Point::Verified).await;
    fault::after(cx, step).await;
    Ok(true)
}

/// Why a step has something to do; `None` when it has nothing to do.
async fn to_do(cx: &Cx, step: &dyn Step) -> Result<Option<String>, Problem> {
    match step.check(cx).await? {
        Check::Done => Ok(None),
        Check::Needed(why) | Check::Partial(why) => Ok(Some(why)),
        Check::Refused(problem) => Err(problem),
        Check::Unknown(why) => Err(stuck(step, &why)),
    }
}

/// Runs the effect and waits until it is seen to be done. `Some` says why it is not; then it may be
/// tried again.
async fn try_once(cx: &Cx, step: &dyn Step) -> Result<Option<Problem>, Problem> {
    cx.fault(step, Point::Decided).await;
    match cx.execute(step).await {
        Err(problem) if problem.kind == Kind::Busy => return Ok(Some(problem)),
        ran => ran?,
    }
    cx.fault(step, Point::Applied).await;
    Ok(judged(step, step.verify(cx).await?))
}

fn stuck(step: &dyn Step, why: &str) -> Problem {
    Problem::new(Kind::Unreachable, format!("cannot {}", step.title()))
        .place(step.host().endpoint.show())
        .why(why)
        .fix("look at the server's log on the host, then run the same command again")
}
