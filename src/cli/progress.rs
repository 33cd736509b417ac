//! Progress lines of an operation that this process runs: each step says when it begins and ends.
use super::output::Out;
use crate::base::Problem;
use crate::base::units::show_duration;
use crate::engine::{Check, Cx, Graph, Host, Impact, Step};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The same graph, each step of which says what it does.
#[must_use]
pub fn told(graph: &Graph, out: Out) -> Graph {
    graph.map(|step| Arc::new(Told { step, out, began: Mutex::default() }))
}

/// A step that tells.
#[derive(Debug)]
struct Told {
    step: Arc<dyn Step>,
    out: Out,
    began: Mutex<Option<Instant>>,
}

impl Told {
    fn say(&self, word: &str, color: &str, more: &str) {
        let more = if more.is_empty() { String::new() } else { format!("   {more}") };
        self.out.tell(&format!("  {word:<7}"), color, &format!("  {}{more}", self.step.title()));
    }
    fn time(&self) -> String {
        self.began
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .map_or_else(String::new, |b| show_duration(b.elapsed()))
    }
}

#[async_trait]
impl Step for Told {
    fn kind(&self) -> &'static str {
        self.step.kind()
    }
    fn title(&self) -> String {
        self.step.title()
    }
    fn host(&self) -> &Host {
        self.step.host()
    }
    fn effects(&self) -> Vec<String> {
        self.step.effects()
    }
    fn impact(&self) -> &'static [Impact] {
        self.step.impact()
    }
    fn irreversible(&self) -> bool {
        self.step.irreversible()
    }
    fn tries(&self) -> usize {
        self.step.tries()
    }
    fn deadline(&self) -> Duration {
        self.step.deadline()
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let found = self.step.check(cx).await;
        if let Ok(Check::Done) = &found {
            self.say("done", "32", "nothing to do");
        }
        found
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.say("running", "36", "");
        let done = self.step.apply(cx).await;
        if done.is_err() {
            self.say("failed", "31", &self.time());
        }
        done
    }
    async fn verify(&self, cx: &Cx) -> Result<Check, Problem> {
        let found = self.step.verify(cx).await;
        if matches!(found, Ok(Check::Done)) {
            self.say("done", "32", &self.time())
        } else {
            self.say("failed", "31", &self.time())
        }
        found
    }
}
