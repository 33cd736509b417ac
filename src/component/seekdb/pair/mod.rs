//! Replication groups: pure functions from the members' standings and what is wanted to a graph.
//!
//! Every graph starts from the standings that were seen, never from a journal. The safe order of a
//! switchover was run on both families. It fences the old primary and opens the new one, which
//! first reads the old one's log to its end by itself. It then restarts the old one (1.4 only) and
//! points it at the new one. The old primary is not pointed at the new one before its fence: a
//! fenced store that is ahead of its source never starts again after a power loss (-4234 at start),
//! and one without a source does.
mod open;
mod plan;
#[cfg(test)]
mod tests;

use super::Dialect;
use super::dialect::V1_4;
use super::flow::begin;
use super::group::{LeaveGroup, Standing};
use super::steps::{
    ChangePassword, EndNote, EndSessions, Follow, KeepPassword, KeepRootPassword, Note,
    OfferPassword, PointSource, RootPassword, SetAside, SetBoot, SetRootPassword, SharePassword,
    Stop, StopServer,
};
use crate::base::Problem;
use crate::engine::{Graph, Node, Step};
use open::{open_one, switchover};
use plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub use crate::component::database::{Consent, Rebuild, Seen, Want};

impl Want {
    /// The one dialect of the members, which have to be able to follow each other.
    fn dialect(&self) -> Result<&'static Dialect, Problem> {
        if let Some(problem) = self.members.iter().find_map(|(name, node)| no_source(name, node)) {
            return Err(problem);
        }
        Dialect::of_group(&self.name, &self.packages)
    }
}

/// Why no member can read the log of this one by its address; `None` when each can.
fn no_source(name: &str, node: &Node) -> Option<Problem> {
    let address = node.address();
    let why = if !node.from_a_host() {
        "its host is \"local\", and the members' notes of the group lead others to it".to_owned()
    } else if address.parse::<IpAddr>().is_err() {
        format!(
            "others reach it at \"{address}\", and a seekdb follows an IP address only: with a \
             name a new standby ends at its start (-4002), and one that runs follows nobody"
        )
    } else {
        return None;
    };
    let problem = Problem::user(format!("no member can follow \"{name}\"")).why(why);
    Some(problem.attribute(["members"]).fix(format!(
        "set service_address of host \"{}\" (of ob_host: network.service_address) to the IP address \
         at which the other members reach it; address may stay a name, for SSH",
        node.host.endpoint.name
    )))
}

/// Builds a group for the first time: `primary` runs, the others are installed.
///
/// # Errors
/// The members cannot be one group.
pub fn create(want: &Want) -> Result<Graph, Problem> {
    let dialect = want.dialect()?;
    let mut plan = Plan { want, dialect, g: begin(want.members.values(), Some(dialect)) };
    let Some(primary) = plan.member(&want.primary) else { return Ok(plan.g) };
    let standbys = want.members.keys().filter(|n| **n != want.primary);
    // Nothing is noted anywhere before each of them is known to bring no database of its own.
    for name in standbys.clone() {
        plan.former(name, 1, &want.primary);
    }
    plan.note(&want.primary, 1, &want.primary);
    plan.g.then(SetBoot::new(&primary, false));
    plan.each(standbys, |plan, name| {
        plan.join(name, 1, &want.primary);
    });
    if want.root_password {
        root_password(&mut plan, &Seen::default(), &want.primary);
    }
    Ok(plan.g)
}

/// Continues a first build that was cut. The primary may have lost its power, and members do not
/// start with their hosts. No role has moved yet, so the primary can be started safely.
///
/// # Errors
/// The members cannot be one group.
pub fn resume(want: &Want, seen: &Seen) -> Result<Graph, Problem> {
    let dialect = want.dialect()?;
    let mut plan = Plan { want, dialect, g: begin(want.members.values(), Some(dialect)) };
    if seen.epoch == 1
        && seen.noted == want.primary
        && seen.is(&want.primary) == Some(Standing::Stopped)
    {
        plan.start(&want.primary, None);
    }
    plan.g.append(create(want)?);
    Ok(plan.g)
}

/// Leads a group from what is seen to what is wanted. The graph is empty when there is nothing to
/// do, or nothing that may be done unasked.
///
/// # Errors
/// The change must not or cannot be made; the problem says what is missing.
pub fn update(seen: &Seen, want: &Want, gone: &BTreeMap<String, Node>) -> Result<Graph, Problem> {
    let alive = want
        .members
        .iter()
        .filter(|(n, _)| seen.is(n) != Some(Standing::Unreachable))
        .map(|(_, i)| i);
    let dialect = want.dialect()?;
    let mut plan = Plan { want, dialect, g: begin(alive, Some(dialect)) };
    let decided = rivals(&mut plan, seen)?;
    let seen = decided.as_ref().unwrap_or(seen);
    let asked_to_move = seen.asked != want.primary;
    let current = seen.primary().map(str::to_owned);
    if let Some(name) = gone.keys().find(|n| current.as_ref().unwrap_or(&seen.noted) == *n) {
        return Err(Problem::refused(format!(
            "member \"{name}\" cannot leave group \"{}\"",
            want.name
        ))
        .why("it is the primary, or was the last one")
        .fix(format!(
            "keep it in members and set primary = \"{}\" (with failover = {{ … }} if its host is \
             gone), apply, then remove it",
            want.primary
        ))
        .attribute(["members"]));
    }
    let target = want.primary.as_str();
    let moves = current.as_deref().is_none_or(|now| asked_to_move && now != target);
    let opening = seen.standing.iter().find(|(n, s)| **s == Standing::Opening && *n != target);
    if let Some((name, _)) = opening.filter(|_| moves) {
        return Err(Problem::refused(format!(
            "the promotion of \"{name}\" in group \"{}\" was cut",
            want.name
        ))
        .why("it has to come to its end before another member is opened, or both may take writes")
        .fix(format!("set primary = \"{name}\" and apply; then move the role to \"{target}\""))
        .attribute(["primary"]));
    }
    let (epoch, primary) = match &current {
        Some(now) if now == target || !asked_to_move => {
            (if seen.noted == *now { seen.epoch } else { seen.epoch + 1 }, now.clone())
        }
        Some(now) => (switchover(&mut plan, seen, now, target)?, target.to_owned()),
        // Unreachable is a standing, not an error: by itself it plans nothing.
        None if !asked_to_move && seen.is(target) == Some(Standing::Unreachable) => {
            let new = want.members.keys().any(|n| !seen.standing.contains_key(n));
            if new || !gone.is_empty() {
                return Err(Problem::refused(format!(
                    "the members of group \"{}\" cannot change now",
                    want.name
                ))
                .why(format!("its primary \"{target}\" cannot be asked, and nobody else knows all"))
                .fix(
                    "bring it back, or move the role by a failover consent; then change the members",
                )
                .attribute(["members"]));
            }
            if want.root_password {
                root_password(&mut plan, seen, target);
            }
            return Ok(plan.g);
        }
        None => (open_one(&mut plan, seen, target)?, target.to_owned()),
    };
    follow_up(&mut plan, seen, &primary, epoch, gone);
    if want.root_password {
        root_password(&mut plan, seen, &primary);
    }
    Ok(plan.g)
}

/// Sets root's password in the primary. All members that answer keep it, as any of them may have
/// the role at the next change. A primary that cannot be looked at is asked all the same: a version
/// that was raised never counts as set unless it is.
fn root_password(plan: &mut Plan<'_>, seen: &Seen, primary: &str) {
    let from = RootPassword::Given;
    let answers = |n: &str| n == primary || seen.is(n) != Some(Standing::Unreachable);
    let want = plan.want;
    for (_, node) in want.members.iter().filter(|(n, _)| answers(n)) {
        let node = node.clone();
        plan.g.then(KeepRootPassword { node, from });
    }
    if let Some(node) = plan.member(primary) {
        let dialect = plan.dialect;
        plan.g.then(SetRootPassword { node, from, new: false, dialect });
    }
}

/// Decides between members that take writes beside each other, or against the newest note: only a
/// consent may, as notes can be forged. Gives what counts as seen then; `None` when there is nothing
/// to decide.
///
/// # Errors
/// There is something to decide and no consent.
fn rivals(plan: &mut Plan<'_>, seen: &Seen) -> Result<Option<Seen>, Problem> {
    let writers = seen.writers();
    let rival = writers.iter().any(|n| seen.is(n) == Some(Standing::Rival));
    if writers.len() < 2 && !rival {
        return Ok(None);
    }
    let name = &plan.want.name;
    // One that takes writes, or the one that the newest note names; one writer may be left.
    let quoted = |text: &str| format!("\"{text}\"");
    let mut void = Vec::new();
    let given_up = plan.want.rebuild.as_ref().filter(|r| {
        let others: Vec<_> = writers.iter().filter(|n| **n != r.member).collect();
        void = open::void(
            "rebuild",
            [
                ("epoch", r.epoch.to_string(), seen.epoch.to_string()),
                ("creation", quoted(&r.creation), quoted(&seen.creation)),
            ],
        );
        if others.len() == writers.len() && r.member != seen.noted {
            let noted = Some(seen.noted.as_str()).filter(|n| !writers.contains(n));
            let one: Vec<_> = writers.iter().copied().chain(noted).map(quoted).collect();
            let one = one.join(" or ");
            void.push(format!("rebuild.member is {} and must be {one}", quoted(&r.member)));
        } else if others.len() > 1 {
            let stop = "stop all but one of them (`ob stop`)";
            void.push(format!("{} would still take writes: {stop}", others.len()));
        }
        void.is_empty()
    });
    let Some(Rebuild { member, .. }) = given_up else {
        let all: Vec<_> = writers.iter().map(|n| quoted(n)).collect();
        let void = void.into_iter().map(|why| why + "; ").collect::<String>();
        return Err(Problem::refused(format!(
            "group \"{name}\" has members that take writes without being its one primary"
        ))
        .why(format!(
            "{void}{} take writes, or may; the newest note, of epoch {}, names \"{}\". Rows may be in \
             each that no other has, and a note can be wrong",
            all.join(" and "),
            seen.epoch,
            seen.noted
        ))
        .fix(format!(
            "`ob standby diff --group KIT --member NAME` shows what one has and the other has not. \
             Choose the one whose rows you can do without and say so: rebuild = {{ member = \
             \"NAME\", epoch = {}, creation = \"{}\" }}; its store is set aside",
            seen.epoch, seen.creation
        ))
        .attribute(["rebuild"]));
    };
    let mut decided = seen.clone();
    for (name, standing) in &mut decided.standing {
        match standing {
            _ if name == member => *standing = Standing::Empty,
            Standing::Rival => *standing = Standing::Primary,
            _ => {}
        }
    }
    if let Some(node) = plan.member(member) {
        plan.g.then(StopServer { node: node.clone(), stop: Stop::Any });
        plan.g.then(SetAside::replaced(node, seen.epoch));
    }
    // The note of the one that stays comes before that of the other: wherever this is cut, the same
    // consent goes on.
    // It begins an epoch, so that the consent is used up.
    if let Some(stays) = decided.primary().map(str::to_owned) {
        plan.note(&stays, seen.epoch + 1, &stays);
        decided.epoch = seen.epoch + 1;
        decided.noted = stays;
    }
    Ok(Some(decided))
}

/// Plans everything but the role: members that are no good standbys become standbys, and members
/// that left are taken out.
fn follow_up(
    plan: &mut Plan<'_>,
    seen: &Seen,
    primary: &str,
    epoch: u64,
    gone: &BTreeMap<String, Node>,
) {
    let Some(source) = plan.member(primary) else { return };
    let moved = seen.noted != primary;
    // The notes say who belongs to the group and how each is reached. Which key a host must show is
    // not for another host to say.
    let other = |(name, now): (&String, &Node)| {
        seen.members.get(name).is_some_and(|then| then.untrusted() != now.untrusted())
    };
    let changed = plan.want.members.keys().any(|n| !seen.standing.contains_key(n))
        || plan.want.members.iter().any(other)
        || !gone.is_empty()
        || seen.strays.iter().any(|n| !plan.want.members.contains_key(n));
    // The server, and not the note, says in the end whom it follows: standbys come first, one after
    // the other, so that the first one that cannot follow there stops the change.
    if let Some(former) = seen.members.get(primary)
        && !moved
        && plan.readdressed(seen, primary)
    {
        let follow = |n: &&String| seen.is(n) == Some(Standing::Standby) && *n != primary;
        let standbys: Vec<_> = plan.want.members.keys().filter(follow).cloned().collect();
        for name in standbys {
            plan.repoint(&name, former, &source);
        }
    }
    // A switchover that is taken up ends the fence itself.
    let ends_fence = |plan: &Plan<'_>, node: &Node| {
        plan.g.has(&EndNote { node: node.clone(), note: Note::Fence }.id())
    };
    let fenced: BTreeSet<String> = plan
        .want
        .members
        .iter()
        .filter(|(name, node)| seen.is(name) == Some(Standing::Fenced) && !ends_fence(plan, node))
        .map(|(name, _)| name.clone())
        .collect();
    // The primary's note comes first: one that is older than another's makes it a rival.
    if changed {
        plan.note(primary, epoch, primary);
    }
    let told = |n: &String| matches!(seen.is(n), Some(Standing::Empty) | None);
    if plan.want.members.keys().any(told) {
        plan.g.then(EndNote { node: source.clone(), note: Note::Rotated });
    }
    let others = plan.want.members.keys().filter(|n| *n != primary);
    plan.each(others, |plan, name| {
        let Some(node) = plan.member(name) else { return };
        match seen.is(name) {
            None => plan.join(name, epoch, primary),
            Some(Standing::Empty | Standing::Building) => {
                plan.note(name, epoch, primary);
                plan.build(name, &source);
            }
            Some(Standing::Stale) => {
                plan.g.then(StopServer { node: node.clone(), stop: Stop::Idle });
                plan.g.then(SetAside::replaced(node, epoch));
                plan.note(name, epoch, primary);
                plan.build(name, &source);
            }
            // A failover has just passed over this primary. Its store has a history of its own; the
            // next plan rebuilds it.
            Some(Standing::Stopped) if seen.noted == name => {}
            Some(now @ (Standing::Stopped | Standing::Behind)) => {
                if now == Standing::Stopped {
                    plan.start(name, None);
                }
                plan.g.then(PointSource {
                    node: node.clone(),
                    source: source.clone(),
                    proved: false,
                });
                let follows = plan.g.then(Follow { node: node.clone(), primary: source.clone() });
                if now == Standing::Stopped {
                    // Somebody may have opened it before it was stopped.
                    plan.g.way_back(
                        follows,
                        vec![std::sync::Arc::new(StopServer { node, stop: Stop::Any })],
                    );
                }
                plan.note(name, epoch, primary);
            }
            Some(Standing::Fenced) if fenced.contains(name) => plan.rejoin(name, &source, false),
            Some(Standing::Standby) if moved => {
                plan.g.then(PointSource { node, source: source.clone(), proved: false });
                plan.note(name, epoch, primary);
            }
            Some(Standing::Standby) if changed => plan.note(name, epoch, primary),
            Some(
                Standing::Primary
                | Standing::Standby
                | Standing::Fenced
                | Standing::Opening
                | Standing::Rival
                | Standing::Unreachable,
            ) => {}
        }
    });
    if moved && plan.g.is_empty() {
        plan.note(primary, epoch, primary);
    }
    // A member whose host does not answer is left as it is: no member starts with its host, and the
    // others do not name it any more.
    for (name, node) in gone.iter().filter(|(n, _)| seen.is(n) != Some(Standing::Unreachable)) {
        leave(&mut plan.g, name, node, &once(epoch, &plan.want.creation));
    }
    // Who does not answer could not be told the new password, and would be lost with it.
    let off = |n: &String| seen.is(n) == Some(Standing::Unreachable);
    if !gone.is_empty() && !plan.want.members.keys().any(off) {
        let names: Vec<_> = gone.keys().map(String::as_str).collect();
        let others = plan.others(primary);
        rotate(
            &mut plan.g,
            &source,
            &others,
            &format!("{}-{}", names.join("+"), once(epoch, &plan.want.creation)),
        );
    }
}

/// Gives our account another password on the members that stay.
fn rotate(g: &mut Graph, primary: &Node, others: &[Node], leave: &str) {
    let leave = leave.to_owned();
    g.then(OfferPassword { node: primary.clone(), leave: leave.clone() });
    for to in others {
        let (from, to) = (primary.clone(), to.clone());
        g.then(SharePassword { from, to, leave: leave.clone() });
    }
    g.then(ChangePassword { node: primary.clone(), leave: leave.clone() });
    for node in others.iter().chain([primary]) {
        // Who left may still be in by a session of before.
        g.then(EndSessions { node: node.clone() });
        let (node, primary, leave) = (node.clone(), primary.clone(), leave.clone());
        g.then(KeepPassword { node, primary, leave });
    }
}

/// Takes a standby out of its group: stops it and sets its store aside, without ever opening it.
fn leave(g: &mut Graph, name: &str, node: &Node, once: &str) {
    g.then(StopServer { node: node.clone(), stop: Stop::Idle });
    g.then(SetAside::leaving(node.clone(), name, once));
    g.then(LeaveGroup { node: node.clone() });
}

/// What tells a leave from others of the same member: its epoch, and the group's creation, with which
/// epochs begin anew.
fn once(epoch: u64, creation: &str) -> String {
    let tail = creation.len().saturating_sub(6);
    let tail = creation.get(tail..).unwrap_or_default().to_lowercase();
    if tail.is_empty() { epoch.to_string() } else { format!("{epoch}-{tail}") }
}

/// Ends the group: standbys leave; the primary stays what it is and starts with its host again. It
/// is started if it was stopped: as a member it did not start with its host.
#[must_use]
pub fn destroy(want: &Want, seen: &Seen) -> Graph {
    let primary = seen.primary().unwrap_or(&seen.noted);
    // Nothing of what follows differs between versions.
    let dialect = want.dialect().unwrap_or(&V1_4);
    let mut plan = Plan { want, dialect, g: begin(want.members.values(), None) };
    let once = once(seen.epoch, &seen.creation);
    for (name, node) in want.members.iter().filter(|(n, _)| *n != primary) {
        leave(&mut plan.g, name, node, &once);
    }
    if let Some(node) = plan.member(primary) {
        if seen.is(primary) == Some(Standing::Stopped) {
            plan.start(primary, None);
        }
        rotate(&mut plan.g, &node, &[], &format!("all-{once}"));
        // The primary's note goes last: without any note there is no group, and nobody would come
        // back for what is left.
        plan.g.then(SetBoot::leaving(&node));
        plan.g.then(LeaveGroup { node });
    }
    plan.g
}
