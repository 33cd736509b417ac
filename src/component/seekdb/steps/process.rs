//! Starts and stops the server process. Exit status 0 of the start command proves nothing; an
//! answer on the SQL port does.
use super::super::{ACCOUNT, Dialect, Facts, Instance, about, dialect, server};
use super::boot::{UNIT, boot};
use super::{facts_of, id};
use crate::base::{Kind, Pauses, Problem};
use crate::component::sql::{ACCESS_DENIED, FULL, Login, USER_FULL};
use crate::engine::{Check, Cx, Effect, Host, Impact, Node, Step, StepId};
use async_trait::async_trait;
use std::time::Duration;

/// How long a server that has ended may keep its ports.
const PORTS: Duration = Duration::from_secs(5);

/// On whose behalf a server is started, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// An instance by itself. A member of a group is never started this way: only the group may
    /// start it, and the group asks the other members first.
    Alone,
    /// A member, on behalf of its group.
    Member,
    /// A member with a new store, which is from its start a standby of the instance at this
    /// `address:rpc_port`.
    Join(String),
    /// Within a restart that was begun: a server that did not run before stays stopped.
    Again,
}

/// Starts the server and waits until it answers SQL.
#[derive(Clone, Debug)]
pub struct StartServer {
    /// The instance.
    pub node: Node,
    /// The package that the server must run from.
    pub package: String,
    /// On whose behalf, and how.
    pub start: Start,
}

/// How a server answers a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Serves,
    /// The server refuses the login. It serves, too (the account is not made yet). A server that
    /// has just started refuses for a moment, before it knows its accounts.
    Denies,
    Nothing,
}

impl StartServer {
    /// How long the start may take.
    fn limit(&self) -> Duration {
        Dialect::of_package(&self.package).unwrap_or(&dialect::V1_4).start
    }
    async fn answers(&self, cx: &Cx, facts: &Facts) -> Result<Answer, Problem> {
        let login = facts.login(ACCOUNT).unwrap_or_else(Login::fresh_root);
        Ok(match server::open(cx, &self.node, &login).await? {
            Ok(mut session) => {
                session.value("select 1").await.map_or(Answer::Nothing, |_| Answer::Serves)
            }
            Err(error) if error.code() == Some(ACCESS_DENIED) => Answer::Denies,
            // Its clients were faster, and have all its sessions.
            Err(error) if matches!(error.code(), Some(FULL | USER_FULL)) => Answer::Serves,
            Err(_) => Answer::Nothing,
        })
    }
}

#[async_trait]
impl Step for StartServer {
    fn id(&self) -> StepId {
        id("start_server", &self.node).about(match &self.start {
            Start::Join(source) => format!("as standby of {source}"),
            Start::Again => "again".into(),
            Start::Alone | Start::Member => String::new(),
        })
    }
    fn title(&self) -> String {
        let name = self.node.show();
        match &self.start {
            Start::Join(source) => format!("start seekdb {name} as standby of {source}"),
            Start::Again => format!("start seekdb {name} again"),
            Start::Alone | Start::Member => format!("start seekdb {name}"),
        }
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let program = boot!(&self.node, "start_server.sh").arg(UNIT).within(self.limit());
        Effect::Shell(match &self.start {
            Start::Alone => program.arg("alone"),
            Start::Member => program.arg("member"),
            Start::Again => program.arg("again"),
            Start::Join(source) => program.args(["join", source]),
        })
    }
    fn deadline(&self) -> Duration {
        self.limit()
    }
    fn tries(&self) -> usize {
        // A young standby exits by itself in about one of fifteen starts (run on 1.4.0); its store
        // is wiped and begun again. A server on a whole store did so once in some hundred restarts
        // (-4109 on 1.4.0.post1, a standby that had been the primary until just before), and came
        // up on the same store with the next start.
        if matches!(self.start, Start::Join(_)) { 3 } else { 2 }
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        if self.start == Start::Again && !facts.restart {
            return Ok(Check::Done);
        }
        if facts.pid.is_none() {
            if self.start == Start::Alone && facts.member() {
                return Ok(Check::Refused(
                    Problem::refused(format!(
                        "seekdb {} is not started: it is a member of a group",
                        self.node.show()
                    ))
                    .place(format!("{}:{}", self.node.place(), self.node.directory))
                    .why(
                        "only its group may start it, which asks the other members first: a former \
                         primary would take writes next to the new one",
                    )
                    .fix(
                        "apply the ob_standby that has it as a member, or import that group first",
                    ),
                ));
            }
            let ports = [self.node.sql_port(), self.node.rpc_port()];
            let mut taken = listening(cx, &self.node, &ports).await?;
            // The ports of a server that has just ended are free only a moment later.
            let mut pauses = Pauses::every(Duration::from_millis(250)).within(PORTS);
            while !taken.is_empty() && cx.pause(&mut pauses).await? {
                taken = listening(cx, &self.node, &ports).await?;
            }
            if let Some(port) = taken.first() {
                return Ok(Check::Refused(
                    Problem::user(format!(
                        "cannot start seekdb {}: port {port} is taken",
                        self.node.show()
                    ))
                    .place(self.node.host.endpoint.show())
                    .why(format!("another process listens on {port}"))
                    .fix("stop that process, or set another sql_port / rpc_port"),
                ));
            }
            return Ok(Check::Needed("it does not run".into()));
        }
        if facts.running_package.as_ref() != Some(&self.package) {
            return Ok(Check::Partial(format!(
                "it runs from {}",
                facts.running_package.unwrap_or_default()
            )));
        }
        Ok(if self.answers(cx, &facts).await? != Answer::Nothing {
            Check::Done
        } else {
            Check::Partial("it runs and does not answer yet".into())
        })
    }
    async fn verify(&self, cx: &Cx) -> Result<Check, Problem> {
        let mut pauses = Pauses::every(Duration::from_millis(250)).within(self.deadline());
        let (mut gone, mut denied) = (0, 0);
        loop {
            let begun = tokio::time::Instant::now();
            let facts = facts_of(cx, &self.node).await?;
            match facts.pid {
                None if self.start == Start::Again && !facts.restart => return Ok(Check::Done),
                // The restart has not reached the old process yet. The old process must not be
                // taken for the new one.
                Some(_) if facts.running_package.as_ref().is_some_and(|p| *p != self.package) => {}
                Some(_) => {
                    gone = 0;
                    match self.answers(cx, &facts).await? {
                        Answer::Serves => return Ok(Check::Done),
                        Answer::Denies if denied >= 8 => return Ok(Check::Done),
                        Answer::Denies => denied += 1,
                        Answer::Nothing => {}
                    }
                }
                None => gone += 1,
            }
            // The daemon forks before it writes its pid file, so one look without a process does
            // not prove that the server has ended.
            let pause = pauses.next().filter(|_| gone < 8);
            let Some(pause) = pause else {
                let program = about!(self.node, "last_words.sh");
                let words = cx.read(&self.node.host, &program).await?;
                let what = if gone >= 8 {
                    "the process ended by itself"
                } else {
                    "the process runs and did not answer SQL in time"
                };
                return Ok(Check::Refused(
                    Problem::new(Kind::User, format!("cannot start seekdb {}", self.node.show()))
                        .place(format!("{}:{}", self.node.place(), self.node.directory))
                        .why(format!("{what}; its last words: {}", words.tail()))
                        .fix(format!(
                            "read {}/log/seekdb.log on the host; common causes: memory_limit under \
                             1G, log_disk_size under 2G, a full disk, a store of another version{}",
                            self.node.directory,
                            if self.start == Start::Member {
                                "; should it not come back, give a failover consent for this \
                                 epoch, and rebuild it as a standby then"
                            } else {
                                ""
                            },
                        )),
                ));
            };
            // A host that answers slowly is busy starting the server, so it is asked less often.
            cx.sleep(pause.max(begun.elapsed() * 3)).await?;
        }
    }
}

/// The ports of `ports` on which somebody listens.
async fn listening(cx: &Cx, node: &Node, ports: &[u16]) -> Result<Vec<u16>, Problem> {
    let output = cx.read(&node.host, &crate::program!("listening.sh")).await?;
    let all = output.stdout.lines().filter_map(|l| u16::from_str_radix(l.trim(), 16).ok());
    Ok(all.filter(|p| ports.contains(p)).collect())
}

/// Which process of a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Whatever runs.
    Any,
    /// Only the process that a switchover fenced; one that was started since is left alone.
    Fenced,
    /// Only the process for which a restart was begun.
    Restart,
    /// One that takes no writes. One that may take some, or does not say, is refused: that a member
    /// goes or is rebuilt is no reason to stop who serves.
    Idle,
}

/// Stops the server: sends SIGTERM, and SIGKILL if the server does not end (its redo log makes that
/// safe).
#[derive(Clone, Debug)]
pub struct StopServer {
    /// The instance.
    pub node: Node,
    /// Which process.
    pub stop: Stop,
}

#[async_trait]
impl Step for StopServer {
    fn id(&self) -> StepId {
        id("stop_server", &self.node)
    }
    fn title(&self) -> String {
        format!("stop seekdb {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let program = boot!(&self.node, "stop_server.sh").arg("300");
        Effect::Shell(program.within(Duration::from_secs(70)))
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::ClientsCut, Impact::Outage]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let Some(pid) = facts.pid else { return Ok(Check::Done) };
        Ok(match self.stop {
            Stop::Fenced if !facts.fenced_runs => Check::Done,
            Stop::Restart if !facts.restart_runs => Check::Done,
            Stop::Idle => self.idle(cx, &facts).await?,
            Stop::Any | Stop::Fenced | Stop::Restart => {
                Check::Needed(format!("it runs as pid {pid}"))
            }
        })
    }
}

impl StopServer {
    /// Whether the server may be stopped because it takes no writes.
    async fn idle(&self, cx: &Cx, facts: &Facts) -> Result<Check, Problem> {
        // Our own fence or our own build is under way: it takes none.
        if facts.fenced_runs || facts.building_store.is_some() {
            return Ok(Check::Needed("it takes no writes".into()));
        }
        let said = match server::ask_running(cx, &self.node, facts).await {
            Ok(said) => said,
            Err(problem) if problem.kind == Kind::Cancelled => return Err(problem),
            Err(problem) => return Ok(Check::Unknown(problem.why)),
        };
        Ok(said.role.may_write().map_or_else(
            || Check::Needed(format!("it is {}", said.role.as_str())),
            |why| {
                Check::Refused(
                    Problem::refused(format!("refused to {}", self.title()))
                        .place(self.node.place())
                        .why(format!("{why}: rows may be in it that no other member has"))
                        .fix(
                            "plan again: a member that takes writes is given up only by a consent \
                             that names it (rebuild of ob_standby); or stop it yourself (`ob stop`)",
                        ),
                )
            },
        ))
    }
}
