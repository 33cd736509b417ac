//! The engine on this machine's shell: a private state directory is a host.
use super::cx::Part;
use super::journal::{self, Event};
use super::lease::Target;
use super::*;
use crate::base::{Kind, OperationId, Pauses, Problem};
use crate::transport::local::Local;
use crate::transport::{
    Connector, Duplex, Endpoint, Input, Output, Script, Transport, TransportError,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Hosts that are directories: each address (or name, when the address is `local`) gets its own
/// `OB_STATE`. The number counts the scripts
/// that run.
pub(super) struct Hosts(PathBuf, Arc<AtomicUsize>);

struct Counted(Local, Arc<AtomicUsize>);

#[async_trait]
impl Transport for Counted {
    fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }
    async fn run(&self, script: &Script) -> Result<Output, TransportError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.run(script).await
    }
    async fn stream(&self, script: &Script, input: Input) -> Result<Output, TransportError> {
        self.0.stream(script, input).await
    }
    async fn open(&self, script: &Script) -> Result<Box<dyn Duplex>, TransportError> {
        self.0.open(script).await
    }
    async fn dial(&self, address: &str, port: u16) -> Result<Box<dyn Duplex>, TransportError> {
        self.0.dial(address, port).await
    }
}

#[async_trait]
impl Connector for Hosts {
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        let local = endpoint.address.is_local();
        let place = if local { endpoint.name.as_str() } else { &endpoint.address };
        if self.0.join(format!("{place}.off")).exists() {
            return Err(TransportError::Unreachable("the host is off".into()));
        }
        let state = self.0.join(place);
        let local = Local::new(
            endpoint.clone(),
            BTreeMap::from([("OB_STATE".to_owned(), state.display().to_string())]),
        );
        Ok(Arc::new(Counted(local, self.1.clone())))
    }
}

pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) connector: Arc<Hosts>,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connector = Arc::new(Hosts(dir.path().to_owned(), Arc::default()));
        Self { dir, connector }
    }
    pub(super) fn cx(&self) -> Cx {
        Cx::new(self.connector.clone(), CancellationToken::new(), BTreeMap::new())
    }
    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(path)).unwrap_or_default()
    }
    pub(super) fn gate(&self, host: &str) -> BTreeMap<String, String> {
        crate::transport::key_values(&self.read(&format!("{host}/objects/thing/gate")))
    }
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// The context of a run that holds these leases and has these steps by their numbers.
    pub(super) fn holds<const N: usize>(
        &self,
        operation: Operation,
        leases: Vec<lease::Lease>,
        numbers: [(StepId, usize); N],
    ) -> Cx {
        self.cx().running(Arc::new(super::cx::Running {
            operation,
            leases,
            waiting: Default::default(),
            numbers: numbers.into(),
            along: Default::default(),
        }))
    }
    /// Says by the host's clock that the lease was not renewed, so that another run takes it.
    pub(super) fn expire(&self, host: &str) {
        let path = self.path(&format!("{host}/objects/thing/gate"));
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("ttl=30", "ttl=1").replace("renewed=", "renewed=0\nbefore=");
        std::fs::write(&path, text).unwrap();
    }
    /// Waits until a file is there.
    pub(super) async fn appears(&self, name: &str) {
        let pauses = Pauses::every(Duration::from_millis(10)).within(Duration::from_secs(20));
        for pause in pauses {
            if self.path(name).exists() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
        panic!("{name} does not appear");
    }
    pub(super) fn ledger(&self) -> Vec<String> {
        self.read("ledger").lines().map(str::to_owned).collect()
    }
}

pub(super) fn host(name: &str) -> Host {
    Host {
        endpoint: Endpoint {
            name: name.into(),
            address: "local".parse().unwrap(),
            port: 22,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        },
        run_as: String::new(),
    }
}

pub(super) fn operation(graph: &Graph, who: &str) -> Operation {
    Operation {
        id: OperationId::fresh(),
        verb: "test".into(),
        object: "thing".into(),
        who: who.into(),
        authority: "me".into(),
        epoch: 0,
        engine: Engine::None,
        nodes: Vec::new(),
        titles: graph.titles(),
    }
}

/// A step that appends its name to a ledger. A file named after it says that the step is done.
#[derive(Clone, Debug)]
pub(super) struct Touch {
    pub(super) host: Host,
    pub(super) name: String,
    pub(super) body: String,
}

/// Evaluates the second argument, which a test may give, then has the step's effect.
const TOUCH: Program = Program::of(
    "touch.sh",
    &["eval \"$2\"\necho \"$1\" >> \"$OB_STATE/../ledger\"; : > \"$OB_STATE/../fact-$1\"\n"],
);
/// The body of an effect that says that it began and waits until the test lets it go.
pub(super) const SLOW: &str =
    ": > $OB_STATE/../began; while [ ! -e $OB_STATE/../go ]; do sleep 0.02; done";
const LOOK: Program = Program::of("look.sh", &["[ -e \"$OB_STATE/../fact-$1\" ] && echo yes; :\n"]);

pub(super) fn key() -> Key {
    Key::parse("thing").unwrap()
}

#[async_trait]
impl Step for Touch {
    fn id(&self) -> StepId {
        StepId::new(StepKind("touch"), &self.host, &self.name)
    }
    fn title(&self) -> String {
        format!("touch {}", self.name)
    }
    fn host(&self) -> &Host {
        &self.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(TOUCH.args([&self.name, &self.body]))
    }
    fn deadline(&self) -> Duration {
        Duration::from_millis(300)
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let there = cx.read(&self.host, &LOOK.arg(&self.name)).await?;
        Ok(if there.stdout.contains("yes") { Check::Done } else { Check::Needed("absent".into()) })
    }
}

pub(super) fn touch(h: &str, name: &str) -> Touch {
    Touch { host: host(h), name: name.into(), body: String::new() }
}

pub(super) fn target(hosts: &[&str]) -> Vec<Target> {
    vec![Target::new(key(), "thing", hosts.iter().map(|h| host(h)).collect())]
}

#[tokio::test]
async fn what_a_killed_script_left_of_a_file_is_gone_after_the_next_run() {
    let w = World::new();
    let object = w.dir.path().join("a/objects/thing");
    std::fs::create_dir_all(&object).unwrap();
    std::fs::write(object.join("gate.tmp"), "number=9").unwrap();
    let mut graph = Graph::new();
    graph.then(touch("a", "x"));
    let outcome =
        run(&w.cx(), operation(&graph, "me"), &graph, target(&["a"]), &Limits::of(4)).await;
    assert!(outcome.problem.is_none(), "{:?}", outcome.problem);
    let mut left: Vec<_> = std::fs::read_dir(&object)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["gate", "gate.lock", "journal", "lock", "lock.pid"]);
    assert_eq!(w.gate("a")["number"], "1", "half a gate is none");
}

#[tokio::test]
async fn a_graph_runs_once_and_its_journal_says_so() {
    let w = World::new();
    let mut g = Graph::new();
    let a = g.add(touch("h1", "a"), &[]);
    g.add(touch("h2", "b"), &[a]);
    let first = run(&w.cx(), operation(&g, "one"), &g, target(&["h1", "h2"]), &Limits::of(4)).await;
    assert_eq!(first.problem, None);
    assert_eq!(w.ledger(), ["a", "b"]);
    let second =
        run(&w.cx(), operation(&g, "two"), &g, target(&["h1", "h2"]), &Limits::of(4)).await;
    assert_eq!((second.done.len(), second.skipped.len()), (0, 2));
    assert_eq!(w.ledger(), ["a", "b"], "done steps have no second effect");
    assert_eq!(w.gate("h1")["number"], "2");
    assert_eq!(w.gate("h1")["holder"], "", "the lease is given back, its number stays");
    let logs = history::list(&w.cx(), &host("h1"), None).await.unwrap();
    let states: Vec<_> = logs[0].steps.iter().map(|s| s.state.as_str()).collect();
    assert_eq!(
        (logs.len(), states, logs[0].outcome.as_deref()),
        (2, vec!["done", "next"], Some("done"))
    );
    assert_eq!(logs[1].steps[0].state, history::StepState::Skipped);
}

#[tokio::test]
async fn a_step_costs_its_question_and_its_effect() {
    let w = World::new();
    let mut g = Graph::new();
    for name in ["a", "b", "c"] {
        g.then(touch("h1", name));
    }
    let out = run(&w.cx(), operation(&g, "one"), &g, target(&["h1"]), &Limits::of(4)).await;
    assert_eq!((out.problem, out.done.len()), (None, 3));
    let lease = ["peek", "take", "release"].len();
    assert_eq!(
        w.connector.1.load(Ordering::Relaxed),
        lease + 3 * 2,
        "what was asked before an effect is answered with it"
    );
}

#[tokio::test]
async fn an_answer_that_came_with_an_effect_does_not_outlive_a_wait() {
    let w = World::new();
    let mut g = Graph::new();
    // The fact appears only a while after the effect has ended.
    let late = "n=$OB_STATE/../fact-late; (sleep 0.25; : > \"$n\") >/dev/null 2>&1 & exit 0";
    let slow = Touch { body: late.into(), ..touch("h1", "late") };
    g.then(slow);
    let out = run(&w.cx(), operation(&g, "one"), &g, target(&["h1"]), &Limits::of(4)).await;
    assert_eq!((out.problem, out.done.len()), (None, 1), "verify asks again until it is there");
}

#[tokio::test]
async fn an_effect_ends_all_answers() {
    let w = World::new();
    let a = touch("h1", "a");
    // The first step's question was answered by the effect's script. The second step then removes
    // that fact from another host; this must be seen.
    let b = Touch { body: "rm \"$OB_STATE/../fact-a\"".into(), ..touch("h2", "b") };
    let op = operation(&Graph::new(), "one");
    let leases = lease::take_all(&w.cx(), &op, target(&["h1", "h2"])).await.unwrap();
    let cx = w.holds(op, leases, []);
    for step in [&a, &b, &a] {
        assert!(runner::attempt(&cx, step).await.unwrap(), "{}", step.title());
    }
    assert_eq!(w.ledger(), ["a", "b", "a"]);
}

#[tokio::test]
async fn a_failed_step_stops_only_what_depends_on_it() {
    let w = World::new();
    let mut g = Graph::new();
    let bad = g.add(Touch { body: "echo no luck >&2; exit 3".into(), ..touch("h1", "bad") }, &[]);
    g.add(touch("h1", "after"), &[bad]);
    g.add(touch("h2", "beside"), &[]);
    let out = run(&w.cx(), operation(&g, "one"), &g, target(&["h1", "h2"]), &Limits::of(4)).await;
    let problem = out.problem.unwrap();
    assert!(problem.why.contains("no luck") && problem.then.contains("1 of 3"), "{problem}");
    assert_eq!(w.ledger(), ["beside"]);
    assert_eq!(out.left, ["touch bad", "touch after"]);
}

#[tokio::test]
async fn the_gates_lock_is_held_while_sql_would_run() {
    let w = World::new();
    let mut g = Graph::new();
    g.add(touch("h1", "x"), &[]);
    let op = operation(&g, "sql");
    let leases = lease::take_all(&w.cx(), &op, target(&["h1"])).await.unwrap();
    let cx = w.holds(op, leases, [(touch("h1", "x").id(), 1)]);
    let step = touch("h1", "x");
    let mut hold = cx.hold(&[Part { number: 0, step: &step, program: None }]).await.unwrap();
    hold.begin(0).await.unwrap();
    let path = w.dir.path().join("h1/objects/thing/gate");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("number=1", "number=7")).unwrap();
    let problem = hold.begin(0).await.unwrap_err();
    assert!(problem.why.contains("taken over by number 7"), "{problem}");
}

#[tokio::test]
async fn a_way_back_is_taken_when_a_step_fails() {
    let w = World::new();
    let mut g = Graph::new();
    let up = g.add(Touch { body: "exit 9".into(), ..touch("h1", "up") }, &[]);
    g.way_back(up, vec![Arc::new(touch("h1", "back"))]);
    let out = run(&w.cx(), operation(&g, "one"), &g, target(&["h1"]), &Limits::of(4)).await;
    assert!(out.problem.unwrap().why.contains("went back: touch back"));
    assert_eq!(w.ledger(), ["back"]);
}

#[tokio::test]
async fn cancel_starts_nothing_more() {
    let w = World::new();
    let mut g = Graph::new();
    g.then(Touch { body: SLOW.into(), ..touch("h1", "a") });
    g.then(touch("h1", "b"));
    let cancel = CancellationToken::new();
    let cx = Cx::new(w.connector.clone(), cancel.clone(), BTreeMap::new());
    let task = {
        let (g, cx, op) = (g.clone(), cx.clone(), operation(&g, "one"));
        tokio::spawn(async move { run(&cx, op, &g, target(&["h1"]), &Limits::of(4)).await })
    };
    w.appears("began").await;
    cancel.cancel();
    std::fs::write(w.path("go"), "").unwrap();
    let out = task.await.unwrap();
    assert_eq!(out.problem.unwrap().kind, Kind::Cancelled);
    assert!(out.left.contains(&"touch b".to_owned()), "{:?}", out.left);
    assert_eq!(w.ledger(), ["a"], "the running effect reaches its end, the next one never begins");
}

#[test]
fn a_journal_cut_in_half_loses_only_its_last_line() {
    let mut g = Graph::new();
    g.add(touch("h1", "a"), &[]);
    let op = operation(&g, "one");
    let text = format!(
        "5 {}\n6 {}\n7 {}\n",
        op.opening(3).seal(),
        op.entry(Event::Begin, 1, "touch", "touch a", 3).seal(),
        op.entry(Event::End, 1, "touch", "touch a", 3).seal()
    );
    for cut in 0..text.len() {
        let (lines, bad) = journal::parse(&text[..cut]);
        assert!(lines.len() + bad <= 3 && bad <= 1, "cut at {cut}");
    }
    let flipped = text.replace("touch a", "touch b");
    assert_eq!(journal::parse(&flipped).0.len(), 0, "changed lines do not match their checksum");
}

#[test]
fn a_graph_orders_and_compares() {
    let (mut a, mut b) = (Graph::new(), Graph::new());
    a.then(touch("h1", "1"));
    b.then(touch("h1", "2"));
    b.then(touch("h1", "3"));
    a.append(b.clone());
    assert_eq!(a.titles(), ["touch 1", "touch 2", "touch 3"]);
    assert_eq!(a.nodes()[1].after, [NodeId(0)]);
    assert_eq!(a.nodes()[2].after, [NodeId(1)]);
    assert!(b.beyond(&a).is_empty());
    assert_eq!(a.beyond(&b), ["touch 1"]);
    assert!(a.fault().is_none());
    let mut twice = b.clone();
    twice.then(touch("h1", "2"));
    assert!(twice.fault().is_some(), "two steps of one identity are told, in release builds too");
    // Parts run at the same time; what is added next waits for all of them.
    let part = |n: &str| {
        let mut g = Graph::new();
        g.then(touch("h1", n));
        g
    };
    let mut fan = part("0");
    fan.each([part("1"), part("2")]);
    fan.then(touch("h1", "3"));
    let after: Vec<_> = fan.nodes().iter().map(|n| n.after.clone()).collect();
    assert_eq!(after[1..], [vec![NodeId(0)], vec![NodeId(0)], vec![NodeId(1), NodeId(2)]]);
    // A step that is there already is not added again; what waited for it waits for everything that
    // came first.
    let mut c = Graph::new();
    c.then(touch("h1", "1"));
    c.then(touch("h1", "4"));
    a.append(c);
    assert_eq!(a.titles(), ["touch 1", "touch 2", "touch 3", "touch 4"]);
    assert_eq!(a.nodes()[3].after, [NodeId(2)]);
}

#[tokio::test]
async fn an_operation_that_holds_gates_has_no_effect_on_a_host_without_one() {
    let w = World::new();
    let mut g = Graph::new();
    g.add(touch("h2", "beside"), &[]);
    let outcome = run(&w.cx(), operation(&g, "one"), &g, target(&["h1"]), &Limits::of(4)).await;
    assert!(
        outcome.problem.is_some_and(|p| p.why.contains("under no gate")),
        "refused, and said so"
    );
    assert!(w.ledger().is_empty());
}

#[tokio::test]
async fn parts_of_a_graph_overlap_in_time_and_tell_what_happens() {
    let w = World::new();
    let mut g = Graph::new();
    let slow = |h: &str, n: &str| {
        let mut g = Graph::new();
        g.then(Touch { body: "sleep 0.6".into(), ..touch(h, n) });
        g
    };
    g.each([slow("h1", "a"), slow("h2", "b")]);
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = {
        let heard = heard.clone();
        Arc::new(move |e: &event::Event| heard.lock().unwrap().push(e.what.clone()))
    };
    let cx = w.cx().heard_by(sink);
    let out = run(&cx, operation(&g, "one"), &g, target(&["h1", "h2"]), &Limits::of(4)).await;
    assert_eq!((out.problem, out.done.len()), (None, 2));
    let heard = heard.lock().unwrap();
    let at = |f: &dyn Fn(&event::What) -> bool| heard.iter().position(f).unwrap();
    let of = |what: &event::What, title: &str| match what {
        event::What::Began(at, _) => at.title == title,
        _ => false,
    };
    let ended = at(&|w| matches!(w, event::What::Ended(..)));
    assert!(at(&|w| of(w, "touch a")) < ended && at(&|w| of(w, "touch b")) < ended, "{heard:?}");
    assert!(matches!(heard.first(), Some(event::What::Opened { steps: 2, .. })), "{heard:?}");
    assert_eq!(heard.last(), Some(&event::What::Closed(None)));
}

#[tokio::test]
async fn journals_are_bounded_and_the_newest_operation_is_found() {
    let w = World::new();
    let dir = w.dir.path().join("h1/objects/thing/journal");
    std::fs::create_dir_all(&dir).unwrap();
    let mut g = Graph::new();
    g.add(touch("h1", "x"), &[]);
    for n in 0..5000 {
        let mut op = operation(&g, "before");
        op.object = format!("old {n}");
        let open = format!("{} {}\n", 100 + n, op.opening(1).seal());
        let close = format!("{} {}\n", 101 + n, op.closing(1, None).seal());
        let text = if n % 100 == 0 { open } else { open + &close };
        // Names sort by time.
        std::fs::write(dir.join(format!("0{n:025}.log")), text).unwrap();
    }
    let logs = history::list(&w.cx(), &host("h1"), None).await.unwrap();
    assert_eq!(logs.last().map(|r| r.object.as_str()), Some("old 4999"));
    assert!(logs.len() <= 400);
    let op = operation(&g, "now");
    let id = op.id.to_string();
    let out = run(&w.cx(), op, &g, target(&["h1"]), &Limits::of(4)).await;
    assert_eq!(out.problem, None);
    let left = std::fs::read_dir(&dir).unwrap().count();
    assert!(left <= 200, "{left} journals");
    let logs = history::list(&w.cx(), &host("h1"), Some(&key())).await.unwrap();
    assert_eq!(logs.last().map(|r| r.operation.clone()), Some(id));
}
