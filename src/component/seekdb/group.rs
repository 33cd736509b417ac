//! The note of a replication group, one copy with each member: who belongs to it, who is primary,
//! at which epoch.
//!
//! The epoch grows with each move of the role. A member whose copy is older than another's was not
//! there at a move: if it was the primary then, its store must never be started again.
use super::{Facts, Instance, Role, facts, server};
use crate::base::Problem;
use crate::engine::journal::FORMAT;
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One copy of the note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Group {
    /// Format version.
    pub format: u32,
    /// Name of the group.
    pub name: String,
    /// Who has authority over it.
    pub authority: String,
    /// Grows with each move of the role.
    pub epoch: u64,
    /// Member that was opened for writes last.
    pub primary: String,
    /// Members by name.
    pub members: BTreeMap<String, Instance>,
}

impl Group {
    /// A note of the current format.
    #[must_use]
    pub fn new(
        name: &str,
        authority: &str,
        epoch: u64,
        primary: &str,
        members: BTreeMap<String, Instance>,
    ) -> Self {
        Self {
            format: FORMAT,
            name: name.into(),
            authority: authority.into(),
            epoch,
            primary: primary.into(),
            members,
        }
    }
    /// It names this instance as the one that takes writes.
    #[must_use]
    pub fn led_by(&self, instance: &Instance) -> bool {
        self.members.get(&self.primary).is_some_and(|m| m.key() == instance.key())
    }
    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim()).ok()
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
pub async fn look(cx: &Cx, instance: &Instance) -> Member {
    let facts = match facts::read(cx, instance).await {
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
        match server::ask_running(cx, instance, &facts).await {
            Ok(said) if said.role == Role::Primary => (Standing::Primary, String::new()),
            Ok(_) if facts.fenced => (Standing::Fenced, String::new()),
            Ok(_) if facts.building_store.is_some() => (Standing::Building, String::new()),
            Ok(_) => (Standing::Standby, String::new()),
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

/// Looks at all members at once, and finds who is behind: a stopped member whose note is older than
/// the newest and names itself as primary has missed a move of the role, and so has a standby whose
/// note is older and who is not the one to be opened.
pub async fn look_all(cx: &Cx, members: &BTreeMap<String, Instance>) -> BTreeMap<String, Member> {
    let mut set = tokio::task::JoinSet::new();
    for (name, instance) in members.clone() {
        let cx = cx.clone();
        set.spawn(async move { (name, look(&cx, &instance).await) });
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
            && matches!(member.standing, Standing::Stopped | Standing::Primary | Standing::Fenced)
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
    pub instance: Instance,
    /// What it will say; `authority` is filled in from the operation.
    pub group: Group,
}

impl WriteGroup {
    fn wanted(&self, cx: &Cx) -> Group {
        Group {
            authority: cx.operation().map(|o| o.authority.clone()).unwrap_or_default(),
            ..self.group.clone()
        }
    }
}

#[async_trait]
impl Step for WriteGroup {
    fn kind(&self) -> &'static str {
        "write_group"
    }
    fn title(&self) -> String {
        format!("note group {} with {}", self.group.name, self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!(
            "write {}/.ob/group: epoch {}, primary {}",
            self.instance.base_dir, self.group.epoch, self.group.primary
        )]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts::read(cx, &self.instance).await?;
        Ok(match facts.group {
            Some(found) if found.name != self.group.name => Check::Refused(
                Problem::refused(format!(
                    "{} belongs to group \"{}\"",
                    self.instance.show(),
                    found.name
                ))
                .place(self.instance.host.endpoint.show())
                .why("a member can be in one group only")
                .fix("remove it from that group first"),
            ),
            Some(found) if found.epoch > self.group.epoch => Check::Refused(
                Problem::refused(format!(
                    "group \"{}\" is at epoch {} already",
                    found.name, found.epoch
                ))
                .place(self.instance.host.endpoint.show())
                .why("another run moved the role meanwhile")
                .fix("plan again"),
            ),
            Some(found) if found == self.wanted(cx) => Check::Done,
            _ => Check::Needed("it says otherwise".into()),
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let json = serde_json::to_string(&self.wanted(cx)).unwrap_or_default();
        let body = format!(
            "printf '%s\\n' {} | ob_put {}",
            crate::base::shell::quote(&json),
            self.instance.own("group")
        );
        cx.effect(self, &body, Duration::from_secs(30)).await.map(drop)
    }
}

/// Removes a member's copy of the note.
#[derive(Clone, Debug)]
pub struct LeaveGroup {
    /// Who leaves.
    pub instance: Instance,
}

#[async_trait]
impl Step for LeaveGroup {
    fn kind(&self) -> &'static str {
        "leave_group"
    }
    fn title(&self) -> String {
        format!("let {} leave its group", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("rm {}/.ob/group", self.instance.base_dir)]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts::read(cx, &self.instance).await?;
        Ok(if facts.group.is_some() || facts.group_damaged {
            Check::Needed("it is a member".into())
        } else {
            Check::Done
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        cx.effect(
            self,
            &format!(
                "rm -f {0} {1} && sync \"$(dirname {0})\"",
                self.instance.own("group"),
                self.instance.own("fenced")
            ),
            Duration::from_secs(30),
        )
        .await
        .map(drop)
    }
}
