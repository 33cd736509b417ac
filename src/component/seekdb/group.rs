//! A member of a group: looks at it, and writes and removes its copy of the note.
use super::{Facts, Role, about, facts, server};
use crate::base::{Kind, Problem};
use crate::engine::template::{OPERATION, OWNER, Template};
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId, StepKind};
use async_trait::async_trait;

use crate::component::database::missing;
pub use crate::component::database::{Group, Member, Standing};

/// Looks at one member. Never fails: a member that cannot be seen is [`Standing::Unreachable`].
pub async fn look(cx: &Cx, node: &Node) -> Member {
    let facts = match facts::read(cx, node).await {
        Ok(facts) => facts,
        Err(problem) => {
            return Member {
                standing: Standing::Unreachable,
                facts: None,
                note: None,
                source: String::new(),
                later: problem.kind == Kind::Later,
                refusal: None,
                why: problem.why,
            };
        }
    };
    // Nothing is known of it: what looks empty is a disk that is not mounted.
    let (mut source, mut refusal) = (String::new(), None);
    let (standing, why) = if facts.missing() {
        (Standing::Unreachable, missing(node).why)
    } else if facts.pid.is_some() {
        match server::ask_running(cx, node, &facts).await {
            Ok(said) => {
                source = said.source;
                (running(said.role, &facts), String::new())
            }
            // A young standby does not answer yet.
            Err(_) if facts.building_store.is_some() => (Standing::Building, String::new()),
            Err(problem) => {
                let why = unasked(&problem);
                refusal = matches!(problem.kind, Kind::Denied | Kind::Busy).then_some(problem);
                (Standing::Unreachable, why)
            }
        }
    } else if facts.building_store.is_some() {
        (Standing::Building, String::new())
    } else if facts.store {
        (if facts.fenced { Standing::Fenced } else { Standing::Stopped }, String::new())
    } else {
        (Standing::Empty, String::new())
    };
    let note = facts.group.clone();
    Member { standing, facts: Some(facts), note, why, source, later: false, refusal }
}

/// Why a server that runs could not be asked.
fn unasked(problem: &Problem) -> String {
    match problem.kind {
        Kind::Denied => format!("its server answers and refuses our account: {}", problem.why),
        Kind::Busy => format!("its server answers that it cannot now: {}", problem.why),
        _ => problem.why.clone(),
    }
}

/// The standing of a member whose server gives this role.
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

/// Writes a member's copy of the note.
#[derive(Clone, Debug)]
pub struct WriteGroup {
    /// The member whose copy it is.
    pub node: Node,
    /// The note. `authority` is filled in when the step runs: the owner who runs the operation. So
    /// is an empty `creation`: the operation that makes the group.
    pub group: Group,
}

/// A note as the running operation writes it.
pub fn written(cx: &Cx, note: &Group) -> Group {
    let mut note = note.clone();
    if let Some(operation) = cx.operation() {
        note.authority.clone_from(&operation.authority);
        if note.creation.is_empty() {
            note.creation = operation.id.to_string();
        }
    }
    note
}

/// Whether a note that was found is of the owner and of the creation of a written one.
pub fn same_creation(found: &Group, written: &Group) -> bool {
    found.authority == written.authority
        && (found.creation.is_empty() || found.creation == written.creation)
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
        let new = self.group.creation.is_empty();
        let named = [("authority", OWNER), ("creation", OPERATION)];
        let note = Template::json(&self.group, &named[..if new { 2 } else { 1 }]);
        Effect::Shell(about!(self.node, "steps/put_note.sh").arg("group").arg(note))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts::read(cx, &self.node).await?;
        if let Some(why) = facts.group_damaged {
            return Ok(Check::Refused(damaged_note(&self.node, &why)));
        }
        let wanted = written(cx, &self.group);
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
            Some(found) if !same_creation(&found, &wanted) => Check::Refused(
                Problem::refused(format!(
                    "the note of {} is not of this group \"{}\"",
                    self.node.show(),
                    found.name
                ))
                .place(self.node.host.endpoint.show())
                .why(format!(
                    "it is of owner \"{}\", creation \"{}\"",
                    found.authority, found.creation
                ))
                .fix("take it out of that group first, or destroy its ob_cluster"),
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
            Some(found) if found == wanted => Check::Done,
            _ => Check::Needed("it says otherwise".into()),
        })
    }
}

/// The problem of a note that cannot be read. Nothing is done on the ground of such a note.
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
    /// The member that leaves.
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
