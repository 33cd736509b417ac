//! The note of a replication group, one copy with each member: who belongs to it, who is primary,
//! at which epoch.
//!
//! The epoch grows with each move of the role. A member whose copy is older than another's was not
//! there at a move: if it was the primary then, its store must never be started again.
use super::{Facts, Role, about, facts, server};
use crate::base::{ObjectName, Problem};
use crate::engine::journal::{FORMAT, formatted};
use crate::engine::template::{OWNER, Template};
use crate::engine::{Check, Cx, Effect, Engine, Host, Node, Step, StepId, StepKind};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One copy of the note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Group {
    /// Format version.
    pub format: u32,
    /// What its members are.
    pub engine: Engine,
    /// Name of the group.
    pub name: ObjectName,
    /// Who has authority over it.
    pub authority: String,
    /// Grows with each move of the role.
    pub epoch: u64,
    /// Member that was opened for writes last.
    pub primary: String,
    /// Members by name.
    pub members: BTreeMap<String, Node>,
}

impl Group {
    /// A note of the current format.
    #[must_use]
    pub fn new(
        name: &ObjectName,
        authority: &str,
        epoch: u64,
        primary: &str,
        members: BTreeMap<String, Node>,
    ) -> Self {
        Self {
            format: FORMAT,
            engine: Engine::Seekdb,
            name: name.clone(),
            authority: authority.into(),
            epoch,
            primary: primary.into(),
            members,
        }
    }
    /// It names this instance as the one that takes writes.
    #[must_use]
    pub fn led_by(&self, node: &Node) -> bool {
        self.members.get(&self.primary).is_some_and(|m| m.same_place(node))
    }
    /// Reads one. Its members are where a run may go, so `local`, which leads to whoever reads it,
    /// is none.
    ///
    /// # Errors
    /// It is damaged, of a newer format, of another engine, or names what no note of ours names.
    pub fn parse(text: &str) -> Result<Self, String> {
        let group: Self = formatted(text)?;
        if group.engine != Engine::Seekdb {
            return Err(format!("it is about the engine {}", group.engine.as_str()));
        }
        if let Some((name, _)) = group.members.iter().find(|(_, m)| !m.from_a_host()) {
            return Err(format!("its member {name:?} has the address \"local\""));
        }
        if let Some(name) = group.members.keys().find(|n| ObjectName::parse(n).is_err()) {
            return Err(format!("its member {name:?} has a name that is none"));
        }
        Ok(group)
    }
}

/// What a member is, in one word each; enumerations only, so that a plan stays empty while nothing
/// changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Takes writes.
    Primary,
    /// Follows.
    Standby,
    /// A standby that was not reached at a move of the role: it reads its log from who was primary
    /// before.
    Behind,
    /// Was fenced for a switchover and has not followed yet.
    Fenced,
    /// Its promotion was cut in the middle: it has to be made again, and nobody else may be opened
    /// until it was.
    Opening,
    /// Whole, not running, not behind a move of the role.
    Stopped,
    /// Was primary at an older epoch: never to be started on its store again.
    Stale,
    /// Installed, without a store.
    Empty,
    /// A standby store is being built.
    Building,
    /// Its host does not answer, or its server runs and does not.
    Unreachable,
}

impl Standing {
    /// The word in state and output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Behind => "behind",
            Self::Fenced => "fenced",
            Self::Opening => "opening",
            Self::Stopped => "stopped",
            Self::Stale => "stale",
            Self::Empty => "empty",
            Self::Building => "building",
            Self::Unreachable => "unreachable",
        }
    }
    /// Back from the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Primary,
            Self::Standby,
            Self::Behind,
            Self::Fenced,
            Self::Opening,
            Self::Stopped,
            Self::Stale,
            Self::Empty,
            Self::Building,
            Self::Unreachable,
        ]
        .into_iter()
        .find(|s| s.as_str() == word)
    }
}

/// A member as seen now.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it is.
    pub standing: Standing,
    /// Its facts, when its host answers.
    pub facts: Option<Facts>,
    /// Its copy of the note.
    pub note: Option<Group>,
    /// Why it is unreachable.
    pub why: String,
}

/// Looks at one member; never fails: what cannot be seen is [`Standing::Unreachable`].
pub async fn look(cx: &Cx, node: &Node) -> Member {
    let facts = match facts::read(cx, node).await {
        Ok(facts) => facts,
        Err(problem) => {
            return Member {
                standing: Standing::Unreachable,
                facts: None,
                note: None,
                why: problem.why,
            };
        }
    };
    let (standing, why) = if facts.pid.is_some() {
        match server::ask_running(cx, node, &facts).await {
            Ok(said) => (running(said.role, &facts), String::new()),
            // A young standby says nothing yet.
            Err(_) if facts.building_store.is_some() => (Standing::Building, String::new()),
            Err(problem) => (Standing::Unreachable, problem.why),
        }
    } else if facts.building_store.is_some() {
        (Standing::Building, String::new())
    } else if facts.store {
        (if facts.fenced { Standing::Fenced } else { Standing::Stopped }, String::new())
    } else {
        (Standing::Empty, String::new())
    };
    let note = facts.group.clone();
    Member { standing, facts: Some(facts), note, why }
}

/// What a member is whose server says this of its role.
fn running(role: Role, facts: &Facts) -> Standing {
    match role {
        Role::Primary => Standing::Primary,
        Role::Opening => Standing::Opening,
        Role::Fencing => Standing::Fenced,
        Role::Standby if facts.fenced => Standing::Fenced,
        Role::Standby if facts.building_store.is_some() => Standing::Building,
        Role::Standby => Standing::Standby,
    }
}

/// Looks at all members at once, and finds who is behind: a stopped member whose note is older than
/// the newest and names itself as primary has missed a move of the role, and so has a standby whose
/// note is older and who is not the one to be opened.
pub async fn look_all(cx: &Cx, members: &BTreeMap<String, Node>) -> BTreeMap<String, Member> {
    let mut set = tokio::task::JoinSet::new();
    for (name, node) in members.clone() {
        let cx = cx.clone();
        set.spawn(async move { (name, look(&cx, &node).await) });
    }
    let mut seen = BTreeMap::new();
    while let Some(done) = set.join_next().await {
        if let Ok((name, member)) = done {
            seen.insert(name, member);
        }
    }
    let (epoch, primary) =
        newest(&seen).map_or((0, String::new()), |g| (g.epoch, g.primary.clone()));
    for (name, member) in &mut seen {
        if member.standing == Standing::Standby
            && *name != primary
            && member.note.as_ref().is_some_and(|n| n.epoch < epoch)
        {
            member.standing = Standing::Behind;
        }
        let behind = member.note.as_ref().is_some_and(|n| n.epoch < epoch && n.primary == *name);
        // A former primary that runs, whatever it says of itself, has a log of its own.
        if behind
            && matches!(
                member.standing,
                Standing::Stopped | Standing::Primary | Standing::Fenced | Standing::Opening
            )
        {
            member.standing = Standing::Stale;
        }
    }
    seen
}

/// The newest note among the members.
#[must_use]
pub fn newest(seen: &BTreeMap<String, Member>) -> Option<&Group> {
    seen.values().filter_map(|m| m.note.as_ref()).max_by_key(|n| n.epoch)
}

/// Writes a member's copy of the note.
#[derive(Clone, Debug)]
pub struct WriteGroup {
    /// With whom.
    pub node: Node,
    /// What it will say; `authority` is the owner who runs the operation.
    pub group: Group,
}

impl WriteGroup {
    fn wanted(&self, cx: &Cx) -> Group {
        let authority = cx.operation().map(|o| o.authority.clone()).unwrap_or_default();
        Group { authority, ..self.group.clone() }
    }
}

#[async_trait]
impl Step for WriteGroup {
    fn id(&self) -> StepId {
        let kind = StepKind("write_group");
        StepId::new(kind, &self.node.host, &self.node.directory).about(&*self.group.name)
    }
    fn title(&self) -> String {
        format!("note group {} with {}", self.group.name, self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let note = Template::json(&self.group, &[("authority", OWNER)]);
        Effect::Shell(about!(self.node, "steps/put_note.sh").arg("group").arg(note))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts::read(cx, &self.node).await?;
        if let Some(why) = facts.group_damaged {
            return Ok(Check::Refused(damaged_note(&self.node, &why)));
        }
        Ok(match facts.group {
            Some(found) if found.name != self.group.name => Check::Refused(
                Problem::refused(format!(
                    "{} belongs to group \"{}\"",
                    self.node.show(),
                    found.name
                ))
                .place(self.node.host.endpoint.show())
                .why("a member can be in one group only")
                .fix("remove it from that group first"),
            ),
            Some(found) if found.epoch > self.group.epoch => Check::Refused(
                Problem::refused(format!(
                    "group \"{}\" is at epoch {} already",
                    found.name, found.epoch
                ))
                .place(self.node.host.endpoint.show())
                .why("another run moved the role meanwhile")
                .fix("plan again"),
            ),
            Some(found) if found == self.wanted(cx) => Check::Done,
            _ => Check::Needed("it says otherwise".into()),
        })
    }
}

/// What is said of a note that cannot be read; nothing is done on its ground.
#[must_use]
pub fn damaged_note(node: &Node, why: &str) -> Problem {
    Problem::refused(format!("the note of the group of {} cannot be read", node.show()))
        .place(format!("{} on {}", node.own("group"), node.host.endpoint.show()))
        .why(why)
        .fix(
            "use the newest release of ob; if the file is damaged, copy it from another member of \
             the group (the one with the highest epoch), then run the same command again",
        )
}

/// Removes a member's copy of the note.
#[derive(Clone, Debug)]
pub struct LeaveGroup {
    /// Who leaves.
    pub node: Node,
}

#[async_trait]
impl Step for LeaveGroup {
    fn id(&self) -> StepId {
        StepId::new(StepKind("leave_group"), &self.node.host, &self.node.directory)
    }
    fn title(&self) -> String {
        format!("let {} leave its group", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(about!(self.node, "steps/end_note.sh").args(["group", "fenced"]))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts::read(cx, &self.node).await?;
        let member = facts.group.is_some() || facts.group_damaged.is_some();
        Ok(if member { Check::Needed("it is a member".into()) } else { Check::Done })
    }
}
