//! A chain of steps: made ready together, run without a pause, and the same as one by one.
use super::journal::{self, Event};
use super::tests::{Touch, World, host, operation, target, touch};
use super::*;
use crate::base::{Kind, Problem};
use async_trait::async_trait;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// What two servers are asked and do, in order.
#[derive(Debug, Default)]
struct Story {
    seen: Mutex<Vec<String>>,
    /// How often the second server refuses its statement, and as what.
    refuses: AtomicUsize,
    kind: Mutex<Option<Kind>>,
    /// Whether the proof of the second one fails.
    doubt: bool,
    /// What is cancelled by the first statement.
    cancel: Option<CancellationToken>,
}

impl Story {
    fn note(&self, what: impl Into<String>) {
        self.seen.lock().unwrap().push(what.into());
    }
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A statement on the server of a host; the second one waits for nobody else to take writes.
#[derive(Clone, Debug)]
struct Say {
    host: Host,
    story: Arc<Story>,
}

impl Say {
    fn name(&self) -> &str {
        &self.host.endpoint.name
    }
    fn done(&self) -> bool {
        self.story.seen().contains(&format!("{} does", self.name()))
    }
}

#[async_trait]
impl SqlServer for Say {
    fn show(&self) -> String {
        self.name().to_owned()
    }
    async fn open(&self, _: &Cx, _: &Values, _: &str) -> Result<Box<dyn SqlSession>, Problem> {
        self.story.note(format!("{} opens", self.name()));
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl SqlSession for Say {
    async fn run(&mut self, _: &str) -> Result<(), Problem> {
        if let Some(cancel) = &self.story.cancel {
            cancel.cancel();
        }
        let less = |n: usize| n.checked_sub(1);
        let (order, left) = (Ordering::Relaxed, &self.story.refuses);
        if self.name() == "h2" && left.fetch_update(order, order, less).is_ok() {
            let kind = self.story.kind.lock().unwrap().unwrap_or(Kind::User);
            self.story.note("h2 refuses");
            return Err(Problem::new(kind, "cannot").why("it said no"));
        }
        self.story.note(format!("{} does", self.name()));
        Ok(())
    }
    async fn others(&mut self) -> Result<Vec<String>, Problem> {
        Ok(Vec::new())
    }
    async fn end(&mut self, _: &str) -> Result<(), Problem> {
        Ok(())
    }
    async fn close(self: Box<Self>) {}
}

#[async_trait]
impl Proof for Say {
    async fn holds(&mut self) -> Result<(), Problem> {
        self.story.note(format!("{} proves", self.name()));
        if self.story.doubt { Err(Problem::refused("nobody knows")) } else { Ok(()) }
    }
}

#[async_trait]
impl Step for Say {
    fn id(&self) -> StepId {
        StepId::new(StepKind("say"), &self.host, "")
    }
    fn title(&self) -> String {
        format!("say on {}", self.name())
    }
    fn host(&self) -> &Host {
        &self.host
    }
    fn effect(&self) -> Effect {
        Effect::Sql(Sql::new(self.clone(), ["GO"]))
    }
    fn tries(&self) -> usize {
        2
    }
    async fn check(&self, _: &Cx) -> Result<Check, Problem> {
        self.story.note(format!("{} is looked at", self.name()));
        Ok(if self.done() { Check::Done } else { Check::Needed("it did not".into()) })
    }
    async fn ahead(&self, cx: &Cx) -> Result<(Check, Option<Box<dyn Proof>>), Problem> {
        Ok((self.check(cx).await?, Some(Box::new(self.clone()))))
    }
}

/// A fence on h1, a note on each host, a promotion on h2, and a step behind them.
fn graph(story: &Arc<Story>, second: Touch) -> Graph {
    let say = |name: &str| Say { host: host(name), story: story.clone() };
    let mut g = Graph::new();
    g.then(touch("h2", "before"));
    let first = g.then(say("h1"));
    g.then(touch("h1", "a"));
    g.then(second);
    g.then(say("h2"));
    g.chain(first);
    g.then(touch("h1", "after"));
    g
}

async fn ran(w: &World, story: Story, second: Touch) -> (Arc<Story>, Outcome) {
    let cancel = story.cancel.clone().unwrap_or_default();
    let story = Arc::new(story);
    let g = graph(&story, second);
    let cx = Cx::new(w.connector.clone(), cancel, Default::default());
    let out = run(&cx, operation(&g, "me"), &g, target(&["h1", "h2"]), &Limits::of(1)).await;
    (story, out)
}

/// What the journal of a host says, as event and title.
fn journal(w: &World, name: &str) -> Vec<(Event, String)> {
    let dir = w.path(&format!("{name}/objects/thing/journal"));
    let files = std::fs::read_dir(dir).unwrap().flatten();
    let text: String = files.map(|f| std::fs::read_to_string(f.path()).unwrap()).collect();
    let lines = journal::parse(&text).0.into_iter();
    let own = |e: &Event| matches!(e, Event::Begin | Event::End | Event::Fail | Event::Skip);
    lines.map(|l| (l.entry.event, l.entry.title)).filter(|(e, _)| own(e)).collect()
}

fn lines(events: &[(Event, &str)]) -> Vec<(Event, String)> {
    events.iter().map(|(e, t)| (*e, (*t).to_owned())).collect()
}

const FAST: [&str; 9] = [
    "h1 is looked at",
    "h2 is looked at",
    "h1 opens",
    "h2 opens",
    "h1 proves",
    "h1 does",
    "h2 proves",
    "h2 does",
    "h1 is looked at",
];

#[tokio::test]
async fn all_is_ready_before_the_first_effect_and_verified_after_the_last() {
    let w = World::new();
    let (story, out) = ran(&w, Story::default(), touch("h2", "b")).await;
    assert_eq!(out.problem, None);
    assert_eq!(out.done.len(), 6);
    assert_eq!(story.seen()[..9], FAST);
    assert_eq!(w.ledger(), ["before", "a", "b", "after"]);
    use Event::{Begin, End};
    let one = [(Begin, "say on h1"), (End, "say on h1"), (Begin, "touch a"), (End, "touch a")];
    let after = [(Begin, "touch after"), (End, "touch after")];
    assert_eq!(journal(&w, "h1"), lines(&[&one[..], &after].concat()));
    let two = [(Begin, "touch b"), (End, "touch b"), (Begin, "say on h2"), (End, "say on h2")];
    let before = [(Begin, "touch before"), (End, "touch before")];
    assert_eq!(journal(&w, "h2"), lines(&[&before[..], &two].concat()));
}

#[tokio::test]
async fn what_is_done_already_is_skipped_one_by_one() {
    let w = World::new();
    std::fs::write(w.path("fact-a"), "").unwrap();
    let (story, out) = ran(&w, Story::default(), touch("h2", "b")).await;
    assert_eq!((out.problem, out.done.len()), (None, 5));
    assert_eq!(out.skipped, ["touch a"]);
    assert!(
        story.seen().contains(&"h2 does".to_owned()) && !story.seen().contains(&FAST[4].into())
    );
}

#[tokio::test]
async fn a_program_that_fails_stops_the_chain_with_its_own_words() {
    let w = World::new();
    let bad = Touch { body: "echo no luck >&2; exit 3".into(), ..touch("h2", "b") };
    let (story, out) = ran(&w, Story::default(), bad).await;
    let problem = out.problem.unwrap();
    assert!(problem.why.contains("exit status 3: no luck"), "{problem}");
    assert_eq!(out.left, ["touch b", "say on h2", "touch after"]);
    assert_eq!(w.ledger(), ["before", "a"]);
    assert!(!story.seen().contains(&"h2 does".to_owned()));
    assert_eq!(journal(&w, "h2").last(), Some(&(Event::Fail, "touch b".to_owned())));
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_any_other_refusal_ends_it() {
    let w = World::new();
    let busy = Story { refuses: 1.into(), kind: Some(Kind::Busy).into(), ..Story::default() };
    let (story, out) = ran(&w, busy, touch("h2", "b")).await;
    assert_eq!((out.problem, out.done.len()), (None, 6));
    assert_eq!(story.seen().iter().filter(|s| *s == "h1 does").count(), 1);

    let w = World::new();
    let no = Story { refuses: 9.into(), ..Story::default() };
    let (story, out) = ran(&w, no, touch("h2", "b")).await;
    assert_eq!(out.problem.map(|p| p.why), Some("it said no".into()));
    assert_eq!(story.seen().iter().filter(|s| *s == "h2 refuses").count(), 1);
    assert_eq!(out.left, ["say on h2", "touch after"]);
}

#[tokio::test]
async fn a_proof_that_fails_leaves_the_decision_to_the_check() {
    let w = World::new();
    let (story, out) = ran(&w, Story { doubt: true, ..Story::default() }, touch("h2", "b")).await;
    assert_eq!((out.problem, out.done.len()), (None, 6));
    // Not even the first step had its effect in the chain: all ran one by one.
    let seen = story.seen();
    let place = |what: &str| seen.iter().rposition(|s| s == what).unwrap();
    assert!(place("h1 opens") < place("h1 does") && place("h1 does") < place("h2 opens"));
}

#[tokio::test]
async fn a_cancel_stops_before_the_chain_and_not_within() {
    let w = World::new();
    let story = Story { cancel: Some(CancellationToken::new()), ..Story::default() };
    let (story, out) = ran(&w, story, touch("h2", "b")).await;
    assert_eq!(out.problem.map(|p| p.kind), Some(Kind::Cancelled));
    assert_eq!(out.left, ["touch after"], "what follows the first effect was done");
    assert_eq!(w.ledger(), ["before", "a", "b"]);
    assert!(story.seen().contains(&"h2 does".to_owned()));
}

/// A gate with another number shuts the held shell too.
#[tokio::test]
async fn a_chain_that_lost_its_lease_goes_no_further() {
    let w = World::new();
    let gate = w.path("h2/objects/thing/gate").display().to_string();
    let steal = format!("sed -i s/number=1/number=7/ {gate}");
    let (story, out) = ran(&w, Story::default(), Touch { body: steal, ..touch("h2", "b") }).await;
    let problem = out.problem.unwrap();
    assert_eq!(problem.kind, Kind::Locked, "{problem}");
    assert!(!story.seen().contains(&"h2 does".to_owned()));
}

#[test]
fn a_chain_stays_whole_when_graphs_are_put_together() {
    let story = Arc::new(Story::default());
    let mut g = Graph::new();
    g.then(touch("h3", "first"));
    g.append(graph(&story, touch("h2", "b")));
    let titles = |g: &Graph, from: usize| -> Vec<_> {
        let chain = g.chain_from(NodeId(from)).into_iter();
        chain.map(|n| g.nodes()[n.0].step.title()).collect()
    };
    assert_eq!(titles(&g, 2), ["say on h1", "touch a", "touch b", "say on h2"]);
    assert_eq!(titles(&g, 6), ["touch after"]);
    // A step that is there already belongs to nothing new.
    let mut g = Graph::new();
    g.then(touch("h1", "a"));
    g.append(graph(&story, touch("h2", "b")));
    assert_eq!(titles(&g, 2), ["say on h1"]);
}
