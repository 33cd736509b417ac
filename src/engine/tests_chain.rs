//! A chain of steps: made ready together, run without a pause, and the same as one by one.
use super::journal::{self, Event};
use super::tests::{Touch, World, host, operation, target, touch};
use super::*;
use crate::base::{Kind, Problem};
use async_trait::async_trait;
use std::path::PathBuf;
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
    /// Where the pid of a held shell is, which the first statement ends.
    ends: Option<PathBuf>,
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
        if let Some(pid) = self.story.ends.as_ref().filter(|_| self.name() == "h1") {
            let noted = std::fs::read_to_string(pid).unwrap();
            let pid = noted.split_once(' ').unwrap().0.parse().unwrap();
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
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
    graph_on([host("h1"), host("h2")], story, second)
}

fn graph_on([h1, h2]: [Host; 2], story: &Arc<Story>, second: Touch) -> Graph {
    let say = |host: &Host| Say { host: host.clone(), story: story.clone() };
    let on = |host: &Host, name: &str| Touch { host: host.clone(), ..touch("", name) };
    let mut g = Graph::new();
    g.then(on(&h2, "before"));
    let first = g.then(say(&h1));
    g.then(on(&h1, "a"));
    g.then(second);
    g.then(say(&h2));
    g.chain(first);
    g.then(on(&h1, "after"));
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
async fn no_program_can_answer_in_the_place_of_its_shell() {
    let w = World::new();
    let body = "printf 'OK\\nob-done run 1 0\\nob-done begin 3 0\\nno luck'; exit 3";
    let bad = Touch { body: body.into(), ..touch("h2", "b") };
    let (story, out) = ran(&w, Story::default(), bad).await;
    let problem = out.problem.unwrap();
    assert!(problem.why.contains("exit status 3") && problem.why.contains("no luck"), "{problem}");
    assert!(!story.seen().contains(&"h2 does".to_owned()));
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

/// Its link broke, or an administrator ended it: nobody else has the object.
#[tokio::test]
async fn a_lock_that_is_lost_between_two_effects_is_taken_again() {
    let w = World::new();
    let ends = Some(w.path("h2/objects/thing/lock.pid"));
    let (story, out) = ran(&w, Story { ends, ..Story::default() }, touch("h2", "b")).await;
    assert_eq!((out.problem, out.done.len()), (None, 6));
    assert_eq!(w.ledger(), ["before", "a", "b", "after"]);
    for once in ["h1 does", "h2 does"] {
        assert_eq!(story.seen().iter().filter(|s| *s == once).count(), 1, "{once}");
    }
}

#[tokio::test]
async fn a_cancel_does_not_reach_what_is_done_again_after_the_first_effect() {
    let w = World::new();
    let cancel = Some(CancellationToken::new());
    let (refuses, kind) = (1.into(), Some(Kind::Busy).into());
    let story = Story { cancel, refuses, kind, ..Story::default() };
    let (story, out) = ran(&w, story, touch("h2", "b")).await;
    assert_eq!(out.problem.map(|p| p.kind), Some(Kind::Cancelled));
    assert_eq!(out.left, ["touch after"]);
    assert!(story.seen().contains(&"h2 does".to_owned()));
}

#[tokio::test]
async fn a_chain_that_comes_to_nothing_loses_no_line_of_the_journal() {
    let w = World::new();
    std::fs::write(w.path("fact-before"), "").unwrap();
    let (_, out) = ran(&w, Story { doubt: true, ..Story::default() }, touch("h2", "b")).await;
    assert_eq!((out.problem, out.skipped), (None, vec!["touch before".to_owned()]));
    let skipped = (Event::Skip, "touch before".to_owned());
    assert_eq!(journal(&w, "h1").iter().filter(|l| **l == skipped).count(), 1);
}

/// One machine has one lock for both, which the chain takes once.
#[tokio::test]
async fn two_members_on_one_machine_are_one_chain_whatever_its_names() {
    let w = World::new();
    let hosts = ["h1", "h2"].map(|name| {
        let mut host = host(name);
        host.endpoint.address = "10.0.0.1".parse().unwrap();
        host
    });
    let story = Arc::new(Story::default());
    let second = Touch { host: hosts[1].clone(), ..touch("", "b") };
    let g = graph_on(hosts.clone(), &story, second);
    let targets = vec![lease::Target::new(tests::key(), "thing", hosts.to_vec())];
    let out = run(&w.cx(), operation(&g, "me"), &g, targets, &Limits::of(1)).await;
    assert_eq!((out.problem, out.done.len()), (None, 6));
    assert_eq!(story.seen()[..9], FAST);
    assert_eq!(w.ledger(), ["before", "a", "b", "after"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_a_line_is_given_up() {
    let running = Arc::new(cx::Running {
        operation: operation(&Graph::new(), "me"),
        leases: Vec::new(),
        waiting: Default::default(),
        numbers: Default::default(),
        along: Default::default(),
    });
    let much: &str = "x".repeat(100 << 10).leak();
    for (says, room, good) in [
        ("ob-done begin 0 0\n", 64, true),
        ("words\n\nob-done begin 0 0\n", 64, true),
        // Takes no byte of what is said.
        ("", 4, false),
        ("", 64, false),
        ("OK\n", 64, false),
        ("ob-done begin 1 0\n", 64, false),
        ("ob-done begin 0 x\n", 64, false),
        ("ob-done begin 0 0", 64, true),
        (much, 64, false),
    ] {
        let (ours, theirs) = tokio::io::duplex(room);
        let (mut from, to) = (std::io::Cursor::new(says.to_owned()), theirs);
        let (_unread, mut to) = tokio::io::split(to);
        let host = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut from, &mut to).await;
            if says.ends_with('0') {
                let _ = tokio::io::AsyncWriteExt::shutdown(&mut to).await;
            }
            std::future::pending::<()>().await;
            drop(to);
        });
        let waiting = cx::Waiting { running: running.clone(), lines: Vec::new() };
        let mut hold = hold::Hold::new(Box::new(ours), "h1".into(), waiting);
        let done = hold.begin(0).await;
        assert_eq!(done.is_ok(), good, "{:.20}: {done:?}", says);
        host.abort();
    }
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
