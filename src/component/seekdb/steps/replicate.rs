//! Roles: where a server reads its log from, fence, promotion. Every statement runs under the
//! gate's lock.
//!
//! Measured: `switchover to primary` waits for the fenced primary's log end by itself; on
//! an unfenced primary's standby it answers 4109 (1.4) or 4179
//! (1.3) and changes nothing; the way back out of a fence
//! is `activate standby`.
use super::super::server::{self, On};
use super::super::{Dialect, Instance, Role};
use super::{facts_of, id};
use crate::base::sql::literal;
use crate::base::{Kind, Pauses, Problem};
use crate::engine::{Check, Cx, Effect, Host, Impact, Node, Proof, Sql, Step, StepId, StepKind};
use crate::transport::TransportError;
use async_trait::async_trait;
use std::time::Duration;

/// What fences a primary. The source that it still has from its time as a standby goes first:
/// should it lose its power before its heir has read its last log, it must start again, and a
/// standby whose log is longer than that of a source that answers ends by itself at each start
/// (-4234, run on 1.4.0.post1).
pub const FENCE: [&str; 2] =
    ["ALTER SYSTEM SET log_restore_source = ''", "ALTER SYSTEM SWITCHOVER TO STANDBY"];

/// How long the base of a young primary's log may take to move after a minor freeze; seen: up to 4
/// s.
const BASE: Duration = Duration::from_secs(20);
/// Where it is before the first one.
const YOUNG: &str = "1";

/// Writes the primary's memory to its log's base, so that a standby can start from it (without: it
/// exits after 9 s). The statement returns before the base has moved, and every other standby that
/// starts in between replays log that its copied tablets do not fit, and ends by itself after 70 s
/// (run on 1.4.0.post1).
#[derive(Clone, Debug)]
pub struct FreezeLog {
    /// The primary.
    pub primary: Node,
    /// For which standby; once that one follows there is nothing to do.
    pub standby: Node,
}

#[async_trait]
impl Step for FreezeLog {
    fn id(&self) -> StepId {
        id("freeze_log", &self.primary).about(self.standby.source())
    }
    fn title(&self) -> String {
        format!("minor freeze on {} for {}", self.primary.show(), self.standby.show())
    }
    fn host(&self) -> &Host {
        &self.primary.host
    }
    fn effect(&self) -> Effect {
        Effect::Sql(Sql::new(On::service(&self.primary), ["ALTER SYSTEM MINOR FREEZE"]))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.standby).await?;
        // A store without the building note is a whole standby: the freeze was for making it.
        Ok(if facts.store && facts.building_store.is_none() {
            Check::Done
        } else {
            Check::Needed("a standby is to be built".into())
        })
    }
    async fn verify(&self, cx: &Cx) -> Result<Check, Problem> {
        let mut pauses = Pauses::every(Duration::from_millis(250)).within(BASE);
        let mut session = server::session(cx, &self.primary).await?;
        loop {
            let base = session
                .value("select max(checkpoint_scn) from oceanbase.__all_virtual_ls_info")
                .await;
            let moved = match base {
                Ok(scn) => scn.is_none_or(|scn| scn != YOUNG),
                // Another version may not tell; the standby's start has its own tries.
                Err(error) if error.code().is_some() => true,
                Err(error) => {
                    return Err(error.explain(
                        &format!("ask seekdb {}", self.primary.show()),
                        &self.primary.place(),
                    ));
                }
            };
            if moved || !cx.pause(&mut pauses).await? {
                session.close().await;
                return Ok(Check::Done);
            }
        }
    }
}

/// Points an instance at the one it reads its log from.
#[derive(Clone, Debug)]
pub struct PointSource {
    /// Who reads.
    pub node: Node,
    /// From whom.
    pub source: Node,
    /// It follows somebody now: first it is proved that its host reaches the source. A 1.3 goes on
    /// for half a minute with what its former source sent (run on 1.3.0.post5), which hides that
    /// nothing answers at a new address.
    pub proved: bool,
}

impl PointSource {
    /// Why the source cannot be read from the node's host; `None` when it can, or cannot be told.
    async fn out_of_reach(&self, cx: &Cx) -> Result<Option<Problem>, Problem> {
        let (address, port) = (self.source.address(), self.source.rpc_port());
        let transport = cx.connect(&self.node.host).await?;
        let Err(TransportError::Dial(_, why)) = transport.dial(address, port).await else {
            return Ok(None);
        };
        let from = &self.node.host.endpoint;
        let problem = Problem::refused(format!("refused to {}", self.title()));
        Ok(Some(problem.place(from.show()).why(format!("port {port} of {address}: {why}")).fix(
            format!(
                "give {} an address (service_address) at which {} reaches it; nothing was changed \
                 there, and it follows as before",
                self.source.show(),
                from.name
            ),
        )))
    }
}

#[async_trait]
impl Step for PointSource {
    fn id(&self) -> StepId {
        id("point_source", &self.node).about(self.source.source())
    }
    fn title(&self) -> String {
        format!("let {} follow {}", self.node.show(), self.source.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let source = literal(&self.source.source());
        let statement = format!("ALTER SYSTEM SET log_restore_source = {source}");
        Effect::Sql(Sql::new(On::service(&self.node), [statement]))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let said = server::ask(cx, &self.node).await?;
        if said.source == self.source.source() {
            return Ok(Check::Done);
        }
        if self.proved
            && let Some(problem) = self.out_of_reach(cx).await?
        {
            return Ok(Check::Refused(problem));
        }
        Ok(Check::Needed(format!("it follows \"{}\"", said.source)))
    }
}

/// Whether an instance is still to be opened for writes. A promotion that was cut is made again.
pub(super) async fn opens(cx: &Cx, node: &Node) -> Result<Check, Problem> {
    Ok(match server::role(cx, node).await? {
        Role::Primary => Check::Done,
        role @ (Role::Standby | Role::Fencing | Role::Opening) => {
            Check::Needed(format!("it is {}", role.as_str()))
        }
    })
}

/// Fences the primary: it takes no more writes. The first half of a switchover.
#[derive(Clone, Debug)]
pub struct Fence {
    /// The old primary.
    pub primary: Node,
    /// The words of the server.
    pub dialect: &'static Dialect,
    /// Only a fence that was cut is made again; one that takes writes goes on to do so.
    pub cut_only: bool,
}

#[async_trait]
impl Step for Fence {
    fn id(&self) -> StepId {
        id("fence", &self.primary)
    }
    fn title(&self) -> String {
        if self.cut_only {
            format!("fence {} to the end, if that was cut", self.primary.show())
        } else {
            format!("fence {}", self.primary.show())
        }
    }
    fn host(&self) -> &Host {
        &self.primary.host
    }
    fn effect(&self) -> Effect {
        Effect::Sql(Sql::new(On::service(&self.primary), self.dialect.moves(&FENCE)))
    }
    fn tries(&self) -> usize {
        self.dialect.tries()
    }
    fn impact(&self) -> &'static [Impact] {
        if self.cut_only { &[] } else { &[Impact::LeaderSwitch, Impact::ClientsCut] }
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(match server::role(cx, &self.primary).await? {
            Role::Standby => Check::Done,
            Role::Primary | Role::Opening if self.cut_only => Check::Done,
            Role::Primary => Check::Needed("it takes writes".into()),
            role @ Role::Fencing => Check::Needed(format!("it is {}", role.as_str())),
            // The server refuses it (4179): which way it is going was decided.
            role @ Role::Opening => Check::Refused(
                Problem::refused(format!("refused to {}", self.title()))
                    .place(self.primary.place())
                    .why(format!("it is {}", role.as_str()))
                    .fix("plan again: it is opened to the end first"),
            ),
        })
    }
}

/// Opens the fenced primary's standby for writes, after it has read the log to its end. The second
/// half of a switchover.
#[derive(Clone, Debug)]
pub struct Promote {
    /// The new primary.
    pub heir: Node,
    /// Every other member: each must say that it takes no writes, or we do not open this one.
    pub others: Vec<Node>,
    /// The words of the server.
    pub dialect: &'static Dialect,
}

impl Promote {
    /// Its kind.
    pub const KIND: StepKind = StepKind("promote");
}

#[async_trait]
impl Step for Promote {
    fn id(&self) -> StepId {
        id(Self::KIND.0, &self.heir)
    }
    fn title(&self) -> String {
        format!("open {} for writes", self.heir.show())
    }
    fn host(&self) -> &Host {
        &self.heir.host
    }
    fn effect(&self) -> Effect {
        let statements = self.dialect.moves(&["ALTER SYSTEM SWITCHOVER TO PRIMARY"]);
        Effect::Sql(Sql::new(On::service(&self.heir), statements))
    }
    fn tries(&self) -> usize {
        self.dialect.tries()
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::LeaderSwitch]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        // Both at once: nobody takes writes meanwhile.
        let title = self.title();
        let (check, writes) =
            tokio::join!(opens(cx, &self.heir), nobody_writes(cx, &title, &self.others));
        let check = check?;
        if check == Check::Done {
            return Ok(check);
        }
        Ok(writes?.map_or(check, Check::Refused))
    }
    async fn ahead(&self, cx: &Cx) -> Result<(Check, Option<Box<dyn Proof>>), Problem> {
        let mut others = Vec::new();
        for other in &self.others {
            others.push((other.clone(), server::Asked::open(cx, other).await?));
        }
        let proof = NobodyElse { title: self.title(), others };
        Ok((opens(cx, &self.heir).await?, Some(Box::new(proof))))
    }
}

/// Asks every other member, in a session that was opened before the fence, whether it takes writes.
struct NobodyElse {
    title: String,
    others: Vec<(Node, server::Asked)>,
}

#[async_trait]
impl Proof for NobodyElse {
    async fn holds(&mut self) -> Result<(), Problem> {
        for (node, asked) in &mut self.others {
            if let Some(why) = asked.role().await?.may_write() {
                return Err(writable(&self.title, node, why));
            }
        }
        Ok(())
    }
}

/// Says which of `others` takes writes, or cannot be asked: silence is unknown, never fenced.
pub(super) async fn nobody_writes(
    cx: &Cx,
    title: &str,
    others: &[Node],
) -> Result<Option<Problem>, Problem> {
    for other in others {
        if let Some(problem) = writes(cx, title, other).await? {
            return Ok(Some(problem));
        }
    }
    Ok(None)
}

async fn writes(cx: &Cx, title: &str, other: &Node) -> Result<Option<Problem>, Problem> {
    let facts = facts_of(cx, other).await;
    if facts.as_ref().is_ok_and(|f| f.pid.is_none()) {
        return Ok(None);
    }
    Ok(match server::role(cx, other).await {
        Ok(role) => role.may_write().map(|why| writable(title, other, why)),
        Err(problem) if problem.kind == Kind::Cancelled => return Err(problem),
        Err(problem) => {
            let why = format!("it does not say that it takes no writes: {}", problem.why);
            Some(writable(title, other, &why))
        }
    })
}

/// Opens a fenced member again when its switchover was given up: it has the whole log, and nobody
/// else takes writes.
#[derive(Clone, Debug)]
pub struct Reopen {
    /// The fenced former primary.
    pub node: Node,
    /// Every other member.
    pub others: Vec<Node>,
    /// Only when the process that was fenced is gone: its successor is fenced too, and no standby
    /// of it can be promoted any more (1210 "Invalid argument", run on 1.4.0.post1); it has to be
    /// opened and fenced anew.
    pub restarted_only: bool,
    /// The words of the server.
    pub dialect: &'static Dialect,
}

#[async_trait]
impl Step for Reopen {
    fn id(&self) -> StepId {
        id("reopen", &self.node)
    }
    fn title(&self) -> String {
        format!("open {} for writes again", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let statements = self.dialect.moves(&["ALTER SYSTEM ACTIVATE STANDBY"]);
        Effect::Sql(Sql::new(On::service(&self.node), statements))
    }
    fn tries(&self) -> usize {
        self.dialect.tries()
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::LeaderSwitch]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if self.restarted_only && facts_of(cx, &self.node).await?.fenced_runs {
            return Ok(Check::Done);
        }
        let check = opens(cx, &self.node).await?;
        if check == Check::Done {
            return Ok(check);
        }
        Ok(nobody_writes(cx, &self.title(), &self.others).await?.map_or(check, Check::Refused))
    }
}

pub(super) fn writable(title: &str, other: &Node, why: &str) -> Problem {
    Problem::refused(format!("refused to {title}"))
        .place(other.place())
        .why(format!("{}: {why}", other.show()))
        .fix(
            "bring that member back so that it can be asked and fenced; if its host is gone for \
             good, give a failover consent for this epoch",
        )
}
