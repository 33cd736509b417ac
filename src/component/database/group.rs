//! Groups: one member takes writes, the others follow it.
//!
//! Each member holds a copy of the group's note, which says who belongs to the group, who is
//! primary, and at which epoch. The epoch grows with each move of the role. A member whose copy is
//! older than another's missed a move. If such a member was the primary then, its store must never
//! be started again.
use super::{Database, Facts};
use crate::base::{Kind, ObjectName, Problem};
use crate::engine::journal::{FORMAT, formatted};
use crate::engine::{Cx, Engine, Node};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The highest epoch that is believed: no group gets there by moving its role.
const LAST_EPOCH: u64 = 1 << 60;

/// How far a note may be ahead of the epoch that the state knows. So a note that was made up cannot
/// use up all epochs: that would take more than 10^12 of them, one after the other.
const MOST_AHEAD: u64 = 1_000_000;

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
    /// Names this creation of the group: a group that is made anew has another one, while its
    /// epochs begin at 1 again.
    #[serde(default)]
    pub creation: String,
    /// Grows with each move of the role.
    pub epoch: u64,
    /// Member that was opened for writes last.
    pub primary: String,
    /// Members by name.
    pub members: BTreeMap<String, Node>,
}

impl Group {
    /// A note of the current format. `authority` stays empty: the run fills it in.
    #[must_use]
    pub fn new(
        engine: Engine,
        name: &ObjectName,
        creation: &str,
        epoch: u64,
        primary: &str,
        members: BTreeMap<String, Node>,
    ) -> Self {
        Self {
            format: FORMAT,
            engine,
            name: name.clone(),
            authority: String::new(),
            creation: creation.into(),
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
    /// Its members, as another host may name them.
    #[must_use]
    pub fn untrusted(&self) -> BTreeMap<String, Node> {
        self.members.iter().map(|(name, node)| (name.clone(), node.untrusted())).collect()
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
        if group.epoch > LAST_EPOCH {
            return Err(format!("its epoch {} is none that a move of the role gave", group.epoch));
        }
        Ok(group)
    }
}

/// What a member is, in one word. These are enumerations only, so that a plan stays empty while
/// nothing changes.
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
    /// A standby that reads its log from elsewhere than the primary: a move of the role did not
    /// reach it, or another address of the primary.
    Behind,
    /// Was fenced by a switchover and does not follow yet.
    Fenced,
    /// Its promotion was cut in the middle and has to be made again. Nobody else may be opened
    /// before that.
    Opening,
    /// Whole, not running, and missed no move of the role.
    Stopped,
    /// Was primary at an older epoch: its store must never be started again.
    Stale,
    /// Takes writes, or may, although a newer note names another member as primary. Which of the
    /// two is right, no note tells: one of them may be forged.
    Rival,
    /// Installed, has no store.
    Empty,
    /// Its standby store is being built.
    Building,
    /// Its host does not answer, or its server runs and does not answer.
    Unreachable,
}

impl Standing {
    /// The word for state and output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
    /// The standing of a word; `None` when the word names none.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// A member as seen now.
#[derive(Clone, Debug)]
pub struct Member {
    /// What the member is.
    pub standing: Standing,
    /// Facts about the member, when its host answers.
    pub facts: Option<Facts>,
    /// The member's copy of the note.
    pub note: Option<Group>,
    /// Why the member is unreachable; empty otherwise.
    pub why: String,
    /// Where it reads its log from, by its own words; empty when it says nothing of it.
    pub source: String,
    /// Its host could not be asked, because the way to log in is known at apply alone.
    pub later: bool,
    /// What its server answers instead, which makes it unreachable for us: it refuses our account
    /// ([`Kind::Denied`]), or cannot answer now ([`Kind::Busy`]). A server that answers is not
    /// gone.
    pub refusal: Option<Problem>,
}

impl Member {
    /// Whether its server answers that it refuses us in this way.
    #[must_use]
    pub fn refuses(&self, kind: Kind) -> bool {
        self.refusal.as_ref().is_some_and(|problem| problem.kind == kind)
    }
}

/// A group as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The engine of all members.
    pub engine: Engine,
    /// Name of the group.
    pub name: ObjectName,
    /// Members by name.
    pub members: BTreeMap<String, Node>,
    /// The package directory that each member starts from, by member.
    pub packages: BTreeMap<String, String>,
    /// The member that shall take writes.
    pub primary: String,
    /// Consent to lose what an unreachable primary has not sent.
    pub failover: Option<Consent>,
    /// Consent to give up what a member that takes writes has of its own.
    pub rebuild: Option<Rebuild>,
    /// Root gets another password, which the run has at hand.
    pub root_password: bool,
    /// The group's creation; empty while it has none, and then the operation that writes its notes
    /// is its creation.
    pub creation: String,
}

/// Consent to set the store of a member aside that takes writes beside another one, and to build
/// the member again as a standby. It names one epoch of one creation and is void at any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// The member.
    pub member: String,
    /// The epoch that the consent is for.
    pub epoch: u64,
    /// The group's creation that it is for.
    pub creation: String,
}

/// Consent to a failover. It names one epoch of one creation and is void at any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The epoch that the consent is for.
    pub epoch: u64,
    /// The group's creation that it is for.
    pub creation: String,
    /// The member to open.
    pub to: String,
    /// Go on although the old primary's host answers and the old primary is not fenced.
    pub accept_unfenced: bool,
    /// The longest stretch of the log that may be lost; `None` sets no limit.
    pub max_loss: Option<Duration>,
}

/// A group as it was seen, in words that stay equal while nothing changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What each member is, by member.
    pub standing: BTreeMap<String, Standing>,
    /// Newest epoch; 0 when there is no note.
    pub epoch: u64,
    /// The primary that the newest note names.
    pub noted: String,
    /// The primary that was asked for last.
    pub asked: String,
    /// The group's creation, by the newest note.
    pub creation: String,
    /// The members as they were known then: where others reached each.
    pub members: BTreeMap<String, Node>,
    /// Whom the newest notes name although they are no members: their joining failed, or a member
    /// that did not answer was not told that they left.
    pub strays: BTreeSet<String>,
}

impl Seen {
    /// The member that takes writes; `None` when nobody does or several do.
    #[must_use]
    pub fn primary(&self) -> Option<&str> {
        let mut all = self.standing.iter().filter(|(_, s)| **s == Standing::Primary);
        let first = all.next()?;
        all.next().is_none().then_some(first.0.as_str())
    }
    /// The members that take writes, or may, each beside the others.
    #[must_use]
    pub fn writers(&self) -> Vec<&str> {
        let writes = |s: &Standing| matches!(s, Standing::Primary | Standing::Rival);
        self.standing.iter().filter(|(_, s)| writes(s)).map(|(n, _)| n.as_str()).collect()
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
    /// The epoch that the failover began.
    pub epoch: u64,
    /// The member that was opened.
    pub to: String,
    /// Where the opened member's log ended before it was opened, in ns since 1970 by the log's own
    /// clock. Whatever was acknowledged later may be lost. After a start or a move of the role that
    /// clock leaps ahead of the primary's clock (8.1 s seen on 1.4.0.post1) and stands still until
    /// the primary's clock has caught up; from then on the two agree.
    pub scn: u64,
    /// Age of that end when it was read, in ms.
    pub age_ms: u64,
}

/// The group that members are looked at for. What is empty is not known, and any is believed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whose<'a> {
    /// Its name.
    pub name: &'a str,
    /// Owner of the configuration that has authority over it.
    pub authority: &'a str,
    /// Its creation.
    pub creation: &'a str,
    /// The epoch that it had reached when it was looked at last; 0: not known.
    pub epoch: u64,
}

impl<'a> Whose<'a> {
    /// The group that a note names.
    #[must_use]
    pub fn of(note: &'a Group) -> Self {
        let Group { name, authority, creation, epoch, .. } = note;
        Self { name, authority, creation, epoch: *epoch }
    }
    /// Why a note is not of this group; `None` when it is.
    fn foreign(&self, note: &Group) -> Option<String> {
        if self.epoch > 0 && note.epoch > self.epoch + MOST_AHEAD {
            return Some(format!(
                "its note says epoch {}, and {} was the last one known: no group moves its role \
                 that often; nothing is done on the ground of it",
                note.epoch, self.epoch
            ));
        }
        let other = |known: &str, found: &str| !known.is_empty() && known != found;
        (other(self.name, &note.name)
            || other(self.authority, &note.authority)
            || other(self.creation, &note.creation))
        .then(|| {
            format!(
                "its note is of group \"{}\" of owner \"{}\", creation \"{}\", and not of \
                 this one; nothing is done on the ground of it",
                note.name, note.authority, note.creation
            )
        })
    }
}

/// Looks at all members at once, then corrects standings by comparing their notes.
///
/// A member whose note cannot be read, or is of another group, owner or creation, is
/// `Unreachable`: what it is cannot be told. A member whose note is older than the newest and names
/// the member itself as primary is `Stale`, or `Rival` if it takes writes or may. A standby whose
/// note is older becomes `Behind`, unless the newest note names it as primary; so does one that
/// reads its log from elsewhere while that primary takes writes.
pub async fn look_all(
    database: &'static dyn Database,
    cx: &Cx,
    members: &BTreeMap<String, Node>,
    whose: Whose<'_>,
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
    for member in seen.values_mut() {
        let damaged = member.facts.as_ref().and_then(|f| f.group_damaged.as_ref());
        let damaged = damaged.map(|why| format!("its note of the group cannot be read: {why}"));
        let foreign = || member.note.as_ref().and_then(|n| whose.foreign(n));
        if let Some(why) = damaged.or_else(foreign) {
            (member.standing, member.note, member.why) = (Standing::Unreachable, None, why);
        }
    }
    let (epoch, primary) =
        newest(&seen).map_or((0, String::new()), |g| (g.epoch, g.primary.clone()));
    // While the primary takes no writes, the role may be on its way, and sources are part of that.
    let leads = seen.get(&primary).is_some_and(|m| m.standing == Standing::Primary);
    let source = members.get(&primary).filter(|_| leads).map(|p| database.source(p));
    for (name, member) in &mut seen {
        let elsewhere = source.as_ref().is_some_and(|s| *s != member.source);
        if member.standing == Standing::Standby
            && *name != primary
            && (elsewhere || member.note.as_ref().is_some_and(|n| n.epoch < epoch))
        {
            member.standing = Standing::Behind;
        }
        let behind = member.note.as_ref().is_some_and(|n| n.epoch < epoch && n.primary == *name);
        // A writer that has no note was made, or made anew, beside the group.
        let noteless = member.note.is_none() && epoch > 0;
        if noteless && matches!(member.standing, Standing::Primary | Standing::Opening) {
            member.standing = Standing::Rival;
        }
        if !behind {
            continue;
        }
        // A former primary has a log of its own. One that takes writes is not stopped because of a
        // note.
        member.standing = match member.standing {
            Standing::Stopped | Standing::Fenced => Standing::Stale,
            Standing::Primary | Standing::Opening => Standing::Rival,
            other => other,
        };
    }
    seen
}

/// The newest note among the members.
#[must_use]
pub fn newest(seen: &BTreeMap<String, Member>) -> Option<&Group> {
    seen.values().filter_map(|m| m.note.as_ref()).max_by_key(|n| n.epoch)
}

/// Whom the newest notes name that is not among `members`.
#[must_use]
pub fn strays<T>(
    seen: &BTreeMap<String, Member>,
    members: &BTreeMap<String, T>,
) -> BTreeSet<String> {
    let epoch = newest(seen).map(|n| n.epoch);
    // A note that cannot be rewritten now is looked at when its member answers.
    let answer = seen.values().filter(|m| m.standing != Standing::Unreachable);
    let notes = answer.filter_map(|m| m.note.as_ref()).filter(|n| Some(n.epoch) == epoch);
    let named = notes.flat_map(|n| n.members.keys());
    named.filter(|name| !members.contains_key(*name)).cloned().collect()
}

/// What a graph about a group does to roles and stores, in ascending order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Move {
    /// A standby leaves; its store is set aside.
    Leave,
    /// Standbys are built.
    Build,
    /// A store is set aside and its member is built again.
    Rebuild,
    /// The role moves and nothing that was acknowledged is lost.
    SwitchOver,
    /// A standby is opened without its primary.
    FailOver,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn note() -> Value {
        let member = |n: u8| {
            json!({
                "name": format!("m{n}"),
                "host": {
                    "endpoint": {
                        "name": format!("h{n}"), "address": format!("10.0.0.{n}"), "port": 22,
                        "user": "", "identity": "", "host_key": ""
                    },
                    "run_as": ""
                },
                "directory": "/data/m", "ports": { "sql": 2881, "rpc": 2882 }
            })
        };
        json!({
            "format": 1, "engine": "seekdb", "name": "g", "authority": "o", "creation": "c",
            "epoch": 1, "primary": "a", "members": { "a": member(1), "b": member(2) }
        })
    }

    #[test]
    fn a_hostile_note_is_refused_by_name() {
        assert!(Group::parse(&note().to_string()).is_ok());
        for (at, value, word) in [
            ("/format", json!(99), "newer version"),
            ("/engine", json!("none"), "engine"),
            ("/engine", json!("oracle"), "damaged"),
            ("/name", json!("x$(id)"), "damaged"),
            ("/epoch", json!(u64::MAX), "epoch"),
            ("/epoch", json!(-1), "damaged"),
            ("/members/b/name", json!("x$(id>/tmp/f)"), "damaged"),
            ("/members/b/host/endpoint/address", json!("local"), "local"),
            ("/members/b/host/endpoint/address", json!("-oProxyCommand=id"), "damaged"),
            ("/members/b/directory", json!("data"), "damaged"),
            ("/members/b/directory", json!("/data/../etc"), "damaged"),
            ("/members/b/ports/sql", json!(99_999), "damaged"),
        ] {
            let mut note = note();
            *note.pointer_mut(at).unwrap() = value.clone();
            let why = Group::parse(&note.to_string()).unwrap_err();
            assert!(why.contains(word), "{at} = {value}: {why}");
        }
        for (address, word) in [("local", "local"), ("x y", "damaged"), ("-x", "damaged")] {
            let mut served = note();
            served["members"]["b"]["service_address"] = json!(address);
            assert!(Group::parse(&served.to_string()).unwrap_err().contains(word), "{address}");
        }
        let mut renamed = note();
        let member = renamed["members"]["b"].clone();
        renamed["members"]["x/../$(id)"] = member;
        assert!(Group::parse(&renamed.to_string()).unwrap_err().contains("name"));
        assert!(Group::parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_note_far_ahead_of_what_is_known_is_not_believed() {
        let note = |epoch: u64| {
            let mut note = note();
            note["epoch"] = json!(epoch);
            Group::parse(&note.to_string()).unwrap()
        };
        let whose = Whose { epoch: 7, ..Whose::default() };
        for believed in [1, 8, 7 + MOST_AHEAD] {
            assert_eq!(whose.foreign(&note(believed)), None, "{believed}");
        }
        for forged in [8 + MOST_AHEAD, LAST_EPOCH] {
            let why = whose.foreign(&note(forged)).unwrap();
            assert!(why.contains("and 7 was the last one known"), "{why}");
        }
        assert_eq!(Whose::default().foreign(&note(LAST_EPOCH)), None, "nothing is known");
    }
}
