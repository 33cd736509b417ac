//! Two runs that take the lease of one object in the same moment.
use super::lease::Target;
use super::tests::{World, host, key, operation, target, touch};
use super::*;
use crate::base::Kind;
use crate::transport::{
    Connector, Duplex, Endpoint, Input, Output, Script, Transport, TransportError,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// Before a script takes the gate on a host, another run's script may take it there. Writes down
/// which holder each look at a gate found.
struct Race {
    inner: Arc<dyn Connector>,
    others: Arc<Mutex<BTreeMap<String, String>>>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

struct Way(Arc<dyn Transport>, Arc<Race>);

#[async_trait]
impl Connector for Arc<Race> {
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
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
    };
    gate::take(&key(), number, &holder, &other.journal(), &other.opening(number))
}

async fn race(w: &World, hosts: &[&str], others: &[(&str, String)]) -> (Outcome, Arc<Race>) {
    let others = others.iter().map(|(h, s)| ((*h).to_owned(), s.clone())).collect();
    let race = Arc::new(Race {
        inner: w.connector.clone(),
        others: Arc::new(Mutex::new(others)),
        seen: Arc::default(),
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
    };
    let late = gate::release(&key(), number, &loser, "other.log", &[]);
    let answer = w.cx().run_on(&host("c"), &late, super::lease::WAIT, true).await.unwrap();
    assert_eq!(answer.status, gate::SUPERSEDED);
    assert_eq!(w.gate("c")["holder"], winner.id.to_string());
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
