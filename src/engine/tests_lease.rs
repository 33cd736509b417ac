//! Two runs about one object: who takes its lease, who waits, who is taken over.
use super::lease::Target;
use super::tests::{SLOW, Touch, World, host, key, operation, target, touch};
use super::*;
use crate::base::Kind;
use crate::transport::{
    Connector, Duplex, Endpoint, Input, Output, Script, Transport, TransportError,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Before a script takes the gate on a host, another run's script may take it there. Writes down
/// which holder each look at a gate found.
struct Race {
    inner: Arc<dyn Connector>,
    others: Arc<Mutex<BTreeMap<String, String>>>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
    /// Which host was asked, each time.
    asked: Arc<Mutex<Vec<String>>>,
}

struct Way(Arc<dyn Transport>, Arc<Race>);

#[async_trait]
impl Connector for Arc<Race> {
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        self.asked.lock().unwrap().push(endpoint.name.clone());
        Ok(Arc::new(Way(self.inner.connect(endpoint).await?, self.clone())))
    }
}

#[async_trait]
impl Transport for Way {
    fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }
    async fn run(&self, script: &Script) -> Result<Output, TransportError> {
        let name = self.endpoint().name.clone();
        if script.text().contains("\nob_take ") {
            let other = self.1.others.lock().unwrap().remove(&name);
            if let Some(other) = other {
                assert!(self.0.run(&Script::new(other)).await?.ok());
            }
        }
        let output = self.0.run(script).await?;
        if script.text().contains("\nob_peek ") {
            let said = crate::transport::key_values(&output.stdout);
            self.1.seen.lock().unwrap().push((name, said["holder"].clone()));
        }
        Ok(output)
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

/// What another run sends in order to take the gate with this number.
fn taken_by(who: &str, number: u64, ttl: u64) -> String {
    let other = operation(&Graph::new(), who);
    let holder = gate::Holder {
        id: "other".into(),
        who: who.into(),
        ttl,
        authority: "me".into(),
        epoch: 0,
        engine: Engine::None,
        nodes: Vec::new(),
        process: None,
    };
    gate::take(&key(), number, &holder, &other.journal(), &other.opening(number), None)
}

async fn race(w: &World, hosts: &[&str], others: &[(&str, String)]) -> (Outcome, Arc<Race>) {
    let others = others.iter().map(|(h, s)| ((*h).to_owned(), s.clone())).collect();
    let race = Arc::new(Race {
        inner: w.connector.clone(),
        others: Arc::new(Mutex::new(others)),
        seen: Arc::default(),
        asked: Arc::default(),
    });
    let cx = Cx::new(Arc::new(race.clone()), CancellationToken::new(), BTreeMap::new());
    let mut graph = Graph::new();
    for host in hosts {
        graph.then(touch(host, host));
    }
    let object: Vec<Target> = target(hosts);
    let outcome = run(&cx, operation(&graph, "me"), &graph, object, &Limits::of(4)).await;
    (outcome, race)
}

#[tokio::test]
async fn a_second_run_is_refused_by_the_name_of_the_first() {
    let w = World::new();
    let mut g = Graph::new();
    g.add(Touch { body: SLOW.into(), ..touch("h1", "slow") }, &[]);
    let (cx, first) = (w.cx(), operation(&g, "runner-1"));
    let slow = {
        let (g, cx) = (g.clone(), cx.clone());
        tokio::spawn(async move { run(&cx, first, &g, target(&["h1"]), &Limits::of(4)).await })
    };
    w.appears("began").await;
    let peek =
        cx.run_on(&host("h1"), &gate::peek(&key()), Duration::from_secs(5), false).await.unwrap();
    assert!(peek.stdout.contains("live=1") && peek.stdout.contains("who=runner-1"), "{peek:?}");
    std::fs::write(w.path("go"), "").unwrap();
    let second = run(&cx, operation(&g, "runner-2"), &g, target(&["h1"]), &Limits::of(4)).await;
    assert_eq!(second.problem, None, "it waits for the first to end");
    assert_eq!(slow.await.unwrap().problem, None);
    assert_eq!(w.ledger(), ["slow"], "and then finds the work done");
}

#[tokio::test]
async fn a_holder_that_was_taken_over_has_no_effect_any_more() {
    let w = World::new();
    let mut g = Graph::new();
    g.add(touch("h1", "late"), &[]);
    let old = operation(&g, "old");
    let leases = lease::take_all(&w.cx(), &old, target(&["h1"])).await.unwrap();
    w.expire("h1");
    let mut other = Graph::new();
    other.add(touch("h1", "new"), &[]);
    let taken =
        run(&w.cx(), operation(&other, "new"), &other, target(&["h1"]), &Limits::of(4)).await;
    assert_eq!(taken.problem, None);
    let problem = w.holds(old, leases, []).execute(&touch("h1", "late")).await.unwrap_err();
    assert_eq!(problem.kind, Kind::Locked);
    assert!(problem.why.contains("taken over by number 2"), "{problem}");
    assert_eq!(w.ledger(), ["new"]);
}

#[tokio::test]
async fn an_expired_lease_has_no_effect_even_with_the_right_number() {
    let w = World::new();
    let mut g = Graph::new();
    g.add(touch("h1", "late"), &[]);
    let old = operation(&g, "old");
    let leases = lease::take_all(&w.cx(), &old, target(&["h1"])).await.unwrap();
    w.expire("h1");
    let problem = w.holds(old, leases, []).execute(&touch("h1", "late")).await.unwrap_err();
    assert!(problem.why.contains("not renewed"), "{problem}");
    assert!(w.ledger().is_empty());
}

#[tokio::test]
async fn taking_over_ends_what_the_former_holder_still_runs() {
    let w = World::new();
    let mut g = Graph::new();
    let body = ": > $OB_STATE/../began; sleep 30";
    g.add(Touch { body: body.into(), ..touch("h1", "stuck") }, &[]);
    let cx = w.cx();
    let stuck = {
        let (g, cx, op) = (g.clone(), cx.clone(), operation(&g, "old"));
        tokio::spawn(async move { run(&cx, op, &g, target(&["h1"]), &Limits::of(4)).await })
    };
    w.appears("began").await;
    w.expire("h1");
    let mut other = Graph::new();
    other.add(touch("h1", "new"), &[]);
    let started = std::time::Instant::now();
    let taken = run(&cx, operation(&other, "new"), &other, target(&["h1"]), &Limits::of(4)).await;
    assert_eq!(taken.problem, None);
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "it does not wait for the sleeping effect"
    );
    assert!(stuck.await.unwrap().problem.is_some());
    assert_eq!(w.ledger(), ["new"]);
}

#[tokio::test]
async fn of_two_hosts_both_are_needed_of_three_two() {
    let w = World::new();
    let mut g = Graph::new();
    g.add(touch("h1", "x"), &[]);
    std::fs::write(w.path("h2.off"), "").unwrap();
    let two = run(&w.cx(), operation(&g, "a"), &g, target(&["h1", "h2"]), &Limits::of(4)).await;
    let problem = two.problem.unwrap();
    assert!(problem.why.contains("2 of its 2 hosts") && problem.what.contains("h2"), "{problem}");
    assert!(w.ledger().is_empty());
    let dead = vec![Target { dead: vec![host("h2")], ..target(&["h1", "h2"]).remove(0) }];
    assert_eq!(
        run(&w.cx(), operation(&g, "b"), &g, dead, &Limits::of(4)).await.problem,
        None,
        "a consent names the dead one"
    );
    let three =
        run(&w.cx(), operation(&g, "c"), &g, target(&["h1", "h2", "h3"]), &Limits::of(4)).await;
    assert_eq!(three.problem, None);
    assert_eq!(w.gate("h1")["number"], w.gate("h3")["number"]);
}

/// Names are for people: a quorum counts machines.
#[tokio::test]
async fn members_on_one_machine_and_hosts_of_one_name_are_told_apart() {
    let of = |address: &str| {
        let mut host = host("db");
        host.endpoint.address = address.parse().unwrap();
        host
    };
    let (one, twin) = (of("h1"), of("h2"));
    for (what, hosts, dead, off, answers) in [
        ("two members on one machine", vec![&one, &one], vec![], "", true),
        ("two machines of one name", vec![&one, &twin], vec![], "", true),
        ("one of them is away", vec![&one, &twin], vec![], "h2", false),
        ("and is given up", vec![&one, &twin], vec![&twin], "h2", true),
        ("the other one is given up", vec![&one, &twin], vec![&one], "h2", false),
        ("a dead member beside a living one", vec![&one, &one], vec![&one], "", true),
        ("its machine is away", vec![&one, &one], vec![&one], "h1", false),
    ] {
        let w = World::new();
        if !off.is_empty() {
            std::fs::write(w.path(&format!("{off}.off")), "").unwrap();
        }
        let all = |hosts: &[&Host]| hosts.iter().map(|h| (*h).clone()).collect::<Vec<_>>();
        let object = Target { dead: all(&dead), ..Target::new(key(), "thing", all(&hosts)) };
        let op = operation(&Graph::new(), "me");
        let leases = lease::take_all(&w.cx(), &op, vec![object]).await;
        assert_eq!(leases.is_ok(), answers, "{what}: {:?}", leases.err());
    }
}

#[tokio::test]
async fn a_gate_that_cannot_be_read_is_no_free_one() {
    for (text, word) in [
        ("format=1\nnumber=abc\n", "number"),
        ("format=1\nnumber=18446744073709551615\n", "number"),
        ("format=1\nnumber=9223372036854775806\n", "number"),
        ("format=99\nnumber=1\n", "newer version"),
        ("nonsense", "no format"),
        ("", "no format"),
    ] {
        let w = World::new();
        let object = w.path("h1/objects/thing");
        std::fs::create_dir_all(&object).unwrap();
        std::fs::write(object.join("gate"), text).unwrap();
        let mut g = Graph::new();
        g.add(touch("h1", "x"), &[]);
        let out = run(&w.cx(), operation(&g, "a"), &g, target(&["h1"]), &Limits::of(4)).await;
        let problem = out.problem.unwrap();
        assert!(problem.why.contains(word) && !problem.fix.is_empty(), "{text:?}: {problem}");
        assert!(w.ledger().is_empty(), "{text:?}: nothing was done");
        assert_eq!(std::fs::read_to_string(object.join("gate")).unwrap(), text);
    }
}

/// What a run waits for, and for how long at most, is known at the first look.
#[tokio::test]
async fn a_holder_of_this_machine_that_is_gone_is_not_waited_for() {
    let own = process::Process::own().unwrap().to_string();
    let mut parts: Vec<&str> = own.split('/').collect();
    // A process of this boot that began in another moment with our pid is gone.
    parts[4] = "1";
    let gone = parts.join("/");
    parts[0] = "00000000-0000-0000-0000-000000000000";
    let elsewhere = parts.join("/");
    for (what, of_a, of_b, waits) in [
        ("on both hosts", gone.as_str(), gone.as_str(), false),
        ("it runs", &own, &own, true),
        ("of another machine", &elsewhere, &elsewhere, true),
        ("one host says otherwise", &gone, &own, true),
        ("of a version that does not say", "", "", true),
        ("made up", "x/../../1", "-", true),
    ] {
        let w = World::new();
        for (name, process) in [("a", of_a), ("b", of_b)] {
            // The longest time that it may be held without renewal: a wait would be seen.
            let take = taken_by("other", 1, 600);
            let answer = w.cx().run_on(&host(name), &take, Duration::from_secs(20), true).await;
            assert!(answer.unwrap().ok());
            let file = w.path(&format!("{name}/objects/thing/gate"));
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace("process=", &format!("process={process}"))).unwrap();
        }
        let waiting = Arc::new(Mutex::new(Vec::new()));
        let cancel = CancellationToken::new();
        let (seen, stop) = (waiting.clone(), cancel.clone());
        let hear = move |event: &event::Event| {
            if let event::What::Waiting { holder, most, .. } = &event.what {
                seen.lock().unwrap().push((holder.clone(), *most));
                stop.cancel();
            }
        };
        let cx = Cx::new(w.connector.clone(), cancel, BTreeMap::new()).heard_by(Arc::new(hear));
        let mut graph = Graph::new();
        graph.then(touch("a", "a"));
        let outcome =
            run(&cx, operation(&graph, "me"), &graph, target(&["a", "b"]), &Limits::of(4)).await;
        assert_eq!(outcome.problem.is_some(), waits, "{what}: {:?}", outcome.problem);
        let told = waiting.lock().unwrap().clone();
        let want = ("other (operation other)".to_owned(), lease::WAIT);
        assert_eq!(told.first(), waits.then_some(&want), "{what}");
        assert_eq!(w.ledger().len(), usize::from(!waits), "{what}");
    }
}

#[tokio::test]
async fn who_gets_too_few_gates_gives_them_back_at_once() {
    let w = World::new();
    // The other run dies right after: its gate runs out after a second.
    let (outcome, race) = race(&w, &["a", "b"], &[("b", taken_by("other", 1, 1))]).await;
    assert_eq!(outcome.problem, None);
    assert_eq!(w.ledger(), ["a", "b"]);
    let seen = race.seen.lock().unwrap().clone();
    let of = |name: &str| -> Vec<String> {
        seen.iter().filter(|(n, _)| n == name).map(|(_, h)| h.clone()).collect()
    };
    assert!(of("a").iter().all(String::is_empty), "a was given back: {seen:?}");
    assert_eq!(of("b")[1], "other", "and b was the other's: {seen:?}");
    let log = history::list(&w.cx(), &host("a"), None).await.unwrap();
    assert_eq!((log.len(), log[0].outcome.as_deref()), (1, Some("done")), "one operation");
}

#[tokio::test]
async fn who_has_most_gates_has_all_of_one_number() {
    let w = World::new();
    let (outcome, _) = race(&w, &["a", "b", "c"], &[("c", taken_by("other", 1, 30))]).await;
    assert_eq!(outcome.problem, None, "the same number on c is no other lease");
    assert_eq!(w.ledger(), ["a", "b", "c"]);
    // The loser's own release comes late, and is no release of the winner's.
    let mut g = Graph::new();
    g.then(touch("c", "later"));
    let winner = operation(&g, "winner");
    let leases = lease::take_all(&w.cx(), &winner, target(&["c"])).await.unwrap();
    let number = leases[0].number();
    let loser = gate::Holder {
        id: "other".into(),
        who: "other".into(),
        ttl: 30,
        authority: "me".into(),
        epoch: 0,
        engine: Engine::None,
        nodes: Vec::new(),
        process: None,
    };
    let late = gate::release(&key(), number, &loser, "other.log", &[]);
    let answer = w.cx().run_on(&host("c"), &late, super::lease::WAIT, true).await.unwrap();
    assert_eq!(answer.status, gate::SUPERSEDED);
    assert_eq!(w.gate("c")["holder"], winner.id.to_string());
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_not_asked_again_for_a_lease_that_is_held() {
    let w = World::new();
    std::fs::write(w.path("c.off"), "").unwrap();
    let race = Arc::new(Race {
        inner: w.connector.clone(),
        others: Arc::default(),
        seen: Arc::default(),
        asked: Arc::default(),
    });
    let cx = Cx::new(Arc::new(race.clone()), CancellationToken::new(), BTreeMap::new());
    let held = operation(&Graph::new(), "me");
    lease::take_all(&cx, &held, target(&["a", "b", "c"])).await.unwrap();
    let asked = race.asked.lock().unwrap().clone();
    let of = |name: &str| asked.iter().filter(|a| *a == name).count();
    assert_eq!((of("a"), of("b"), of("c")), (2, 2, 2), "each is looked at and taken: {asked:?}");
}

#[tokio::test]
async fn who_could_not_get_a_lease_holds_nothing_afterwards() {
    let w = World::new();
    std::fs::write(w.path("b.off"), "").unwrap();
    let (outcome, _) = race(&w, &["a", "b"], &[]).await;
    let problem = outcome.problem.unwrap();
    assert_eq!(problem.kind, Kind::Unreachable, "{problem}");
    assert_eq!(w.gate("a").get("holder").map_or("", String::as_str), "");
}

/// Hosts without processes, for tests that pass minutes in no time: each answers as its name says.
/// `silent` takes the whole time a host may have to say nothing, `shaky` fails every second time,
/// `liar` says that another run has the gate.
/// All of them answer until the lease is taken.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeMap<String, usize>>>);

struct Named(Endpoint, Names);

impl Names {
    /// How often this one was asked, this time included.
    fn count(&self, name: &str) -> usize {
        let mut asked = self.0.lock().unwrap();
        let times = asked.entry(name.to_owned()).or_default();
        *times += 1;
        *times
    }
}

#[async_trait]
impl Connector for Names {
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(Named(endpoint.clone(), self.clone())))
    }
}

#[async_trait]
impl Transport for Named {
    fn endpoint(&self) -> &Endpoint {
        &self.0
    }
    async fn run(&self, script: &Script) -> Result<Output, TransportError> {
        if script.text().contains("\nob_renew ") {
            let name = self.0.name.as_str();
            let odd = self.1.count(name) % 2 == 1;
            match name {
                "silent" | "silent2" => {
                    tokio::time::sleep(Duration::from_secs(25)).await;
                    return Err(TransportError::Unreachable("silent".into()));
                }
                "liar" => return Ok(Output { status: gate::SUPERSEDED, ..Output::default() }),
                "shaky" if odd => return Err(TransportError::Unreachable("shaky".into())),
                _ => {}
            }
        }
        Ok(Output::default())
    }
    async fn stream(&self, script: &Script, _: Input) -> Result<Output, TransportError> {
        self.run(script).await
    }
    async fn open(&self, _: &Script) -> Result<Box<dyn Duplex>, TransportError> {
        unimplemented!("no lease opens a duplex")
    }
    async fn dial(&self, _: &str, _: u16) -> Result<Box<dyn Duplex>, TransportError> {
        unimplemented!("no lease dials")
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_costs_a_lease_neither_its_renewals_nor_its_end() {
    for (hosts, lasts) in [
        (["good", "shaky", "silent"], true),
        (["good", "good2", "silent"], true),
        (["good", "silent", "silent2"], false),
        (["good", "good2", "liar"], true),
    ] {
        let cx = Cx::new(Arc::new(Names::default()), CancellationToken::new(), BTreeMap::new());
        let held = operation(&Graph::new(), "me");
        let start = tokio::time::Instant::now();
        let leases = lease::take_all(&cx, &held, target(&hosts)).await.unwrap();
        let lost = tokio::time::timeout(Duration::from_secs(600), leases[0].lost.cancelled()).await;
        assert_eq!(lost.is_err(), lasts, "{hosts:?}");
        if !lasts {
            assert_eq!(start.elapsed().as_secs(), 25, "it ends at its time: {hosts:?}");
        }
    }
    // What was begun under such a lease comes to its end.
    let cx = Cx::new(Arc::new(Names::default()), CancellationToken::new(), BTreeMap::new());
    let object = Target { advisory: true, ..target(&["good", "silent"]).remove(0) };
    let op = operation(&Graph::new(), "me");
    let leases = lease::take_all(&cx, &op, vec![object]).await.unwrap();
    let lost = tokio::time::timeout(Duration::from_secs(600), leases[0].lost.cancelled()).await;
    assert!(lost.is_err());
}
