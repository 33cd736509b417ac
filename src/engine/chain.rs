//! A chain of steps: all is made ready before the first effect, then the effects follow each other
//! without a pause. A switchover is one, because between its fence and its promotion nobody takes
//! writes.
//!
//! A chain is a faster way to do what its steps do one by one, and no other meaning: same effects,
//! same order, same journal lines, same fault points, each effect under the gate's lock of its host.
//! What differs is when the lock is taken, the session opened and the check made (before the first
//! effect), and when each step is verified (after the last one). Wherever something is not as the
//! fast way needs it, the steps run one by one.
use super::cx::{Part, cancelled};
use super::effect::{SqlSession, all, told};
use super::event::What;
use super::fault::{self, Point};
use super::hold::Hold;
use super::step::{Check, Proof, Step};
use super::{Cx, Effect, Host, Values};
use crate::base::Problem;
use std::time::{Duration, Instant};

/// A step that can have its effect at once.
struct Ready<'a> {
    step: &'a dyn Step,
    /// What its check found to do.
    why: String,
    proof: Option<Box<dyn Proof>>,
    values: Values,
    act: Act,
}

/// An effect that waits for its turn.
enum Act {
    /// A program that the held shell has, and how long it may take.
    Shell(Duration),
    /// Statements for an open session.
    Sql(Box<dyn SqlSession>, Vec<String>),
}

/// Steps that are ready, and the locks under which they are.
pub(super) struct Chain<'a> {
    steps: Vec<Ready<'a>>,
    /// One for each machine, whatever names it has.
    holds: Vec<(Host, Hold)>,
}

/// How far the effects of a chain came.
#[derive(Default)]
pub(super) struct Ran {
    /// How long each effect took that ended well, in the order of the steps.
    pub done: Vec<Duration>,
    /// What stopped the next one. `None` with steps left: run them one by one.
    pub problem: Option<Problem>,
}

impl<'a> Chain<'a> {
    /// Makes `steps` ready. `None`: they have to run one by one.
    pub async fn ready(cx: &Cx, steps: &[&'a dyn Step]) -> Option<Self> {
        // Who takes over ends the other sessions of our account, ours of the next step among them.
        if cx.took_over() {
            return None;
        }
        let (mut found, mut programs) = (Vec::new(), Vec::new());
        for step in steps {
            fault::before(cx, *step).await;
            let Ok((Check::Needed(why), proof)) = step.ahead(cx).await else { return None };
            let values = cx.known(step.values(cx).await.ok()??);
            let effect = step.effect();
            programs.push(match &effect {
                Effect::Shell(program) => Some((program.name, program.script(&values).ok()?)),
                Effect::Sql(sql) if !sql.end_others => None,
                Effect::Sql(_) | Effect::Look(_) | Effect::Files(_) => return None,
            });
            found.push((*step, why, proof, values, effect));
        }
        // In the order of the steps: the first lock writes what the journal still waits for.
        let mut parts: Vec<(Host, Vec<Part<'_>>)> = Vec::new();
        for (number, (step, program)) in steps.iter().zip(programs).enumerate() {
            let part = Part { number, step: *step, program };
            match parts.iter_mut().find(|(host, _)| host.same_machine(step.host())) {
                Some((_, parts)) => parts.push(part),
                None => parts.push((step.host().clone(), vec![part])),
            }
        }
        let mut chain = Self { steps: Vec::new(), holds: Vec::new() };
        for (host, parts) in parts {
            match cx.hold(&parts).await {
                Ok(hold) => chain.holds.push((host, hold)),
                Err(_) => return chain.let_go().await,
            };
        }
        for (step, why, proof, values, effect) in found {
            let opened = open(cx, step, effect, &values).await;
            let Some(act) = opened else { return chain.let_go().await };
            chain.steps.push(Ready { step, why, proof, values, act });
        }
        Some(chain)
    }

    /// Closes the sessions and lets the locks go. `None`, for a chain that could not be made ready.
    async fn let_go(self) -> Option<Self> {
        for ready in self.steps {
            if let Act::Sql(session, _) = ready.act {
                session.close().await;
            }
        }
        for (_, hold) in self.holds {
            // Each effect has had its answer; the next script waits for the lock to be free.
            let _ = hold.close().await;
        }
        None
    }

    /// Runs the effects, in order, until one fails. A cancel reaches only the first: what follows a
    /// fence is not left undone.
    pub async fn run(mut self, cx: &Cx) -> Ran {
        let mut ran = Ran::default();
        for (n, ready) in self.steps.iter_mut().enumerate() {
            let started = Instant::now();
            cx.fault(ready.step, Point::Decided).await;
            if n == 0 && cx.cancel().is_cancelled() {
                ran.problem = Some(cancelled());
                break;
            }
            if let Some(proof) = &mut ready.proof
                && proof.holds().await.is_err()
            {
                break;
            }
            cx.tell_of(ready.step, |at| What::Began(at, ready.why.clone()));
            let here = |(host, _): &&mut (Host, Hold)| host.same_machine(ready.step.host());
            let Some((_, hold)) = self.holds.iter_mut().find(here) else { break };
            let done = ready.effect(cx, n, hold).await;
            cx.forget();
            if let Err(problem) = done {
                ran.problem = Some(told(ready.step, &ready.values, problem));
                break;
            }
            cx.fault(ready.step, Point::Applied).await;
            ran.done.push(started.elapsed());
        }
        self.let_go().await;
        ran
    }
}

impl Ready<'_> {
    async fn effect(&mut self, cx: &Cx, n: usize, hold: &mut Hold) -> Result<(), Problem> {
        match &mut self.act {
            Act::Shell(most) => {
                let output = hold.run(n, *most).await?;
                cx.judge(self.step, &output)
            }
            Act::Sql(session, statements) => {
                hold.begin(n).await?;
                let done = all(session.as_mut(), statements).await;
                hold.end(n, done.is_ok()).await?;
                done
            }
        }
    }
}

/// Opens what the effect of a step needs beside its lock.
async fn open(cx: &Cx, step: &dyn Step, effect: Effect, values: &Values) -> Option<Act> {
    match effect {
        Effect::Shell(program) => Some(Act::Shell(program.deadline)),
        Effect::Sql(sql) => {
            let statements = sql.statements.iter().map(|s| s.fill(values));
            let statements = statements.collect::<Result<Vec<_>, _>>().ok()?;
            let mut session = sql.server.open(cx, values, &step.title()).await.ok()?;
            // As in each SQL effect: a fenced server answers only what it was asked before.
            session.others().await.ok()?;
            Some(Act::Sql(session, statements))
        }
        Effect::Look(_) | Effect::Files(_) => None,
    }
}
