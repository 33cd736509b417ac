//! Stores that are being built, and stores that are set aside. A build may wipe only a store that
//! it made itself.
use super::super::group::{same_creation, written};
use super::super::{ACCOUNT, Facts, about, server};
use super::{facts_of, id};
use crate::base::Problem;
use crate::component::database::{Group, Move};
use crate::engine::{Check, Cx, Effect, Host, Impact, Node, Step, StepId, StepKind};
use async_trait::async_trait;
use std::time::Duration;

/// How the names of stores begin that were replaced, and that left.
const REPLACED: &str = "epoch-";
const LEFT: &str = "left-";
/// How long moving or removing a store may take.
const MOVE: Duration = Duration::from_secs(60);

/// Notes that a standby's store is being built from a source, and removes what a former attempt of
/// the build left.
#[derive(Clone, Debug)]
pub struct BeginStore {
    /// The instance whose store it is.
    pub node: Node,
    /// The address from which the store is built, `address:rpc_port`.
    pub source: String,
}

impl BeginStore {
    /// Kind of the step.
    pub const KIND: StepKind = StepKind("begin_store");
}

#[async_trait]
impl Step for BeginStore {
    fn id(&self) -> StepId {
        id(Self::KIND.0, &self.node).about(self.source.as_str())
    }
    fn title(&self) -> String {
        format!("begin a standby store for {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let program = about!(self.node, "begin_store.sh").arg(self.source.as_str());
        Effect::Shell(program.within(MOVE))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let ours = facts.building_store.as_deref() == Some(self.source.as_str());
        Ok(match (facts.store, ours) {
            (true, true) if facts.pid.is_some() => Check::Done,
            (true, true) => Check::Partial("a former try left an unfinished store".into()),
            (true, false) if facts.building_store.is_none() => Check::Done,
            (true, false) => {
                Check::Partial("a try from another source left an unfinished store".into())
            }
            (false, true) => Check::Done,
            (false, false) => Check::Needed("there is no store".into()),
        })
    }
}

/// Sets a store aside: it is kept under a name, and we never start it again.
#[derive(Clone, Debug)]
pub struct SetAside {
    node: Node,
    /// Name of the store below `.ob/aside`.
    name: String,
    which: Aside,
}

/// Which store is set aside.
#[derive(Clone, Debug)]
enum Aside {
    /// That of a member in whose place another store is built.
    Replaced,
    /// That of a member that leaves; no other store is built here. The member may have left by this
    /// name before, so whatever store is here now is set aside.
    Leaving,
    /// That of a member that joins, if it was a member before. Any other store is a database of its
    /// own, and nothing is done to it.
    Former {
        /// The group as it is to be with this member.
        group: Box<Group>,
        /// Who has the role in it.
        primary: Box<Node>,
    },
}

impl SetAside {
    /// Kind of the step.
    pub const KIND: StepKind = StepKind("set_aside");

    /// Of a member in whose place another store is built in `epoch`.
    #[must_use]
    pub fn replaced(node: Node, epoch: u64) -> Self {
        Self { node, name: format!("{REPLACED}{epoch}"), which: Aside::Replaced }
    }
    /// Of the member `name`, which leaves; `once` tells this leave from others.
    #[must_use]
    pub fn leaving(node: Node, name: &str, once: &str) -> Self {
        Self { node, name: format!("{LEFT}{name}-{once}"), which: Aside::Leaving }
    }
    /// Of a member that joins `group`, if it was a member before.
    #[must_use]
    pub fn former(node: Node, once: &str, group: Group, primary: Node) -> Self {
        Self {
            node,
            name: format!("former-{once}"),
            which: Aside::Former { group: Box::new(group), primary: Box::new(primary) },
        }
    }
    /// What such a step means for its group.
    #[must_use]
    pub fn means(id: &StepId) -> Option<Move> {
        match &*id.about {
            _ if id.kind != Self::KIND => None,
            name if name.starts_with(REPLACED) => Some(Move::Rebuild),
            name if name.starts_with(LEFT) => Some(Move::Leave),
            _ => None,
        }
    }

    /// Name of the directory until the whole store is in it.
    fn part(&self) -> String {
        format!("{}.part", self.name)
    }

    /// What is to be done about the store that a member brings; `None`: it is of a former
    /// membership.
    async fn brings(
        &self,
        cx: &Cx,
        facts: &Facts,
        group: &Group,
        primary: &Node,
    ) -> Result<Option<Check>, Problem> {
        if !facts.store || facts.building_store.is_some() || facts.group_damaged.is_some() {
            return Ok(Some(Check::Done));
        }
        let problem = |why: String, fix: String| {
            let what = format!("{} cannot join group \"{}\"", self.node.show(), group.name);
            Check::Refused(Problem::refused(what).place(self.node.place()).why(why).fix(fix))
        };
        Ok(match &facts.group {
            // Another group's is refused where the note would be written.
            Some(note) if note.name != group.name || !same_creation(note, &written(cx, group)) => {
                Some(Check::Done)
            }
            // This build wrote the note before: it was cut later.
            Some(note) if note.epoch >= group.epoch && note.primary == group.primary => {
                Some(Check::Done)
            }
            Some(note) if facts.pid.is_some() => Some(problem(
                format!("it runs with the store that it had as a member in epoch {}", note.epoch),
                "stop it (`ob stop`), then run the same command again: its store is kept aside, \
                 and another one is built"
                    .into(),
            )),
            Some(_) => None,
            // Standbys that others built have no account of ours; a restored one has the group's.
            None if facts.account.is_none() => Some(Check::Done),
            None if facts.login(ACCOUNT) == Some(server::account(cx, primary).await?) => {
                Some(Check::Done)
            }
            None => Some(problem(
                "it is a database of its own, with accounts and rows that no other member has"
                    .into(),
                format!(
                    "only the primary is made with initialize = true: take {} out of members; or \
                     destroy its ob_cluster and make it again with initialize = false",
                    self.node.show()
                ),
            )),
        })
    }
}

#[async_trait]
impl Step for SetAside {
    fn id(&self) -> StepId {
        id(Self::KIND.0, &self.node).about(self.name.as_str())
    }
    fn title(&self) -> String {
        let node = self.node.show();
        // Names of such stores end with that of the group's creation, which tells people nothing.
        match self.which {
            Aside::Replaced => format!("set the store of {node} aside as {}", self.name),
            Aside::Leaving => format!("set the store of {node} aside as it leaves"),
            Aside::Former { .. } => {
                format!("set aside what {node} has of a former membership, if anything")
            }
        }
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let again = if matches!(self.which, Aside::Replaced) { "" } else { "again" };
        let program = about!(self.node, "set_aside.sh").args([self.name.as_str(), again]);
        Effect::Shell(program.within(MOVE))
    }
    fn impact(&self) -> &'static [Impact] {
        if matches!(self.which, Aside::Former { .. }) { &[] } else { &[Impact::NoMajorityMargin] }
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        if facts.aside.contains(&self.name) && matches!(self.which, Aside::Replaced) {
            return Ok(Check::Done);
        }
        if facts.aside.contains(&self.part()) {
            return Ok(Check::Partial("a part of it was moved".into()));
        }
        if let Aside::Former { group, primary } = &self.which
            && let Some(check) = self.brings(cx, &facts, group, primary).await?
        {
            return Ok(check);
        }
        if facts.pid.is_some() {
            return Ok(Check::Refused(
                Problem::refused(format!("seekdb {} runs", self.node.show()))
                    .place(self.node.host.endpoint.show())
                    .why("a running server's store cannot be set aside")
                    .fix("run the same command again"),
            ));
        }
        Ok(if facts.store { Check::Needed("there is a store".into()) } else { Check::Done })
    }
}
