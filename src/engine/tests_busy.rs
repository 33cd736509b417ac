//! A server that answers that it cannot do it now: the statement is sent again, after another look.
use super::tests::{World, host, operation, target};
use super::*;
use crate::base::{Kind, Problem};
use async_trait::async_trait;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers statements; `busy` times it says that it cannot do it now.
#[derive(Debug, Default)]
struct Server {
    busy: AtomicUsize,
    done: AtomicUsize,
    asked: AtomicUsize,
    /// What a look says once the server has been busy.
    then: Mutex<Option<Check>>,
    /// What it says it is, when it is busy.
    kind: Option<Kind>,
}

#[derive(Debug)]
struct Door(Arc<Server>);

#[async_trait]
impl SqlServer for Door {
    fn show(&self) -> String {
        "somebody".into()
    }
    async fn open(&self, _: &Cx, _: &Values, _: &str) -> Result<Box<dyn SqlSession>, Problem> {
        Ok(Box::new(Session(self.0.clone())))
    }
}

struct Session(Arc<Server>);

#[async_trait]
impl SqlSession for Session {
    async fn run(&mut self, _: &str) -> Result<(), Problem> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let less = |n: usize| n.checked_sub(1);
        if self.0.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            let kind = self.0.kind.unwrap_or(Kind::Busy);
            return Err(Problem::new(kind, "cannot open it").why("server error 4109"));
        }
        self.0.done.fetch_add(1, Ordering::Relaxed);
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

#[derive(Clone, Debug)]
struct Move {
    host: Host,
    server: Arc<Server>,
    tries: usize,
}

#[async_trait]
impl Step for Move {
    fn id(&self) -> StepId {
        StepId::new(StepKind("move"), &self.host, "")
    }
    fn title(&self) -> String {
        "move the role".into()
    }
    fn host(&self) -> &Host {
        &self.host
    }
    fn effect(&self) -> Effect {
        Effect::Sql(Sql::new(Door(self.server.clone()), ["MOVE"]))
    }
    fn tries(&self) -> usize {
        self.tries
    }
    async fn check(&self, _: &Cx) -> Result<Check, Problem> {
        if self.server.done.load(Ordering::Relaxed) > 0 {
            return Ok(Check::Done);
        }
        let asked = self.server.asked.load(Ordering::Relaxed) > 0;
        let then = self.server.then.lock().unwrap().clone().filter(|_| asked);
        Ok(then.unwrap_or_else(|| Check::Needed("it is a standby".into())))
    }
}

async fn moved(server: &Arc<Server>, tries: usize) -> Result<usize, Problem> {
    let w = World::new();
    let mut graph = Graph::new();
    graph.then(Move { host: host("a"), server: server.clone(), tries });
    let out = run(&w.cx(), operation(&graph, "me"), &graph, target(&["a"]), &Limits::of(4)).await;
    out.problem.map_or(Ok(out.done.len()), Err)
}

#[tokio::test]
async fn what_cannot_be_done_now_is_asked_for_again_as_often_as_the_step_says() {
    let server = Arc::new(Server { busy: 1.into(), ..Server::default() });
    assert_eq!(moved(&server, 2).await, Ok(1));
    assert_eq!(server.asked.load(Ordering::Relaxed), 2);

    let server = Arc::new(Server { busy: 9.into(), ..Server::default() });
    let problem = moved(&server, 2).await.unwrap_err();
    assert_eq!((problem.kind, server.asked.load(Ordering::Relaxed)), (Kind::Busy, 2));
    assert!(problem.why.contains("4109"), "the server's own words: {problem}");
}

#[tokio::test]
async fn any_other_error_and_a_step_of_one_try_end_it() {
    for (kind, tries) in [(Kind::User, 6), (Kind::Refused, 6), (Kind::Locked, 6), (Kind::Busy, 1)] {
        let server = Server { busy: 1.into(), kind: Some(kind), ..Server::default() };
        let server = Arc::new(server);
        assert_eq!(moved(&server, tries).await.unwrap_err().kind, kind);
        assert_eq!(server.asked.load(Ordering::Relaxed), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_look_before_the_next_try_may_find_it_done_or_forbidden() {
    let busy = |then| {
        Arc::new(Server { busy: 9.into(), then: Mutex::new(Some(then)), ..Server::default() })
    };
    let server = busy(Check::Done);
    assert_eq!(moved(&server, 6).await, Ok(1), "the server has ended what it was busy with");
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);

    let server = busy(Check::Refused(Problem::refused("another member takes writes")));
    let problem = moved(&server, 6).await.unwrap_err();
    assert_eq!(
        (problem.kind, problem.what.as_str()),
        (Kind::Refused, "another member takes writes")
    );
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);

    let server = busy(Check::Unknown("nothing answers".into()));
    let begun = tokio::time::Instant::now();
    assert_eq!(moved(&server, 6).await.unwrap_err().kind, Kind::Unreachable);
    assert_eq!(server.asked.load(Ordering::Relaxed), 1, "silence is unknown");
    assert!(begun.elapsed() < Duration::from_secs(8));
}
