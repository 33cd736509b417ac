//! Groups: one member takes writes, the others follow it.
//!
//! The note of a group has a copy with each member: who belongs to it, who is primary, at which
//! epoch. The epoch grows with each move of the role. A member whose copy is older than another's
//! was not there at a move: if it was the primary then, its store must never be started again.
use super::{Database, Facts};
use crate::base::ObjectName;
use crate::engine::journal::{FORMAT, formatted};
use crate::engine::{Cx, Engine, Node};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

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
        engine: Engine,
        name: &ObjectName,
        authority: &str,
        epoch: u64,
        primary: &str,
        members: BTreeMap<String, Node>,
    ) -> Self {
        Self {
            format: FORMAT,
            engine,
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
    /// It is damaged, of a newer format, of no database, or names what no note of ours names.
    pub fn parse(text: &str) -> Result<Self, String> {
        let group: Self = formatted(text)?;
        if super::of(group.engine).is_none() {
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
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[strum(serialize_all = "snake_case")]
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
        self.into()
    }
    /// Back from the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
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

/// What a group shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// What its members are.
    pub engine: Engine,
    /// Its name.
    pub name: ObjectName,
    /// Members by name.
    pub members: BTreeMap<String, Node>,
    /// Package directory each starts from.
    pub packages: BTreeMap<String, String>,
    /// Who shall take writes.
    pub primary: String,
    /// Consent to lose what an unreachable primary has not sent.
    pub failover: Option<Consent>,
}

/// A failover consent: names its case, void at any other epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The epoch it is for.
    pub epoch: u64,
    /// The member to open.
    pub to: String,
    /// Go on although the old primary's host answers.
    pub accept_unfenced: bool,
    /// The most that may be lost.
    pub max_loss: Option<Duration>,
}

/// What a group is, in words that stay equal while nothing changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Members by name.
    pub standing: BTreeMap<String, Standing>,
    /// Newest epoch; 0 when there is no note.
    pub epoch: u64,
    /// Who the newest note says is primary.
    pub noted: String,
    /// What was asked last.
    pub asked: String,
}

impl Seen {
    /// Who takes writes; `None` when nobody does or several do.
    #[must_use]
    pub fn primary(&self) -> Option<&str> {
        let mut all = self.standing.iter().filter(|(_, s)| **s == Standing::Primary);
        let first = all.next()?;
        all.next().is_none().then_some(first.0.as_str())
    }
    /// What this member is.
    #[must_use]
    pub fn is(&self, member: &str) -> Option<Standing> {
        self.standing.get(member).copied()
    }
}

/// What a failover may have lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Epoch that the failover began.
    pub epoch: u64,
    /// Member that was opened.
    pub to: String,
    /// End of its log before it was opened, in ns since 1970 by the log's own clock: everything
    /// acknowledged later may be lost. After a start or a move of the role that clock leaps ahead
    /// of the primary's (8.1 s seen on 1.4.0.post1) and waits until it is caught up; then the two
    /// are one.
    pub scn: u64,
    /// Age of that end when it was read, in ms.
    pub age_ms: u64,
}

/// Looks at all members at once, and finds who is behind: a stopped member whose note is older than
/// the newest and names itself as primary has missed a move of the role, and so has a standby whose
/// note is older and who is not the one to be opened.
pub async fn look_all(
    database: &'static dyn Database,
    cx: &Cx,
    members: &BTreeMap<String, Node>,
) -> BTreeMap<String, Member> {
    let mut set = tokio::task::JoinSet::new();
    for (name, node) in members.clone() {
        let cx = cx.clone();
        set.spawn(async move { (name, database.look(&cx, &node).await) });
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

/// What a graph about a group does to roles and stores; the gravest is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Move {
    /// Standbys are built.
    Build,
    /// A store is set aside, and its member built again.
    Rebuild,
    /// The role moves, and nothing that was acknowledged is lost.
    SwitchOver,
    /// A standby is opened without its primary.
    FailOver,
}
