//! Decides who is opened for writes, and in which order: the planned switchover, its continuation
//! wherever it was cut, and the failover.
use super::plan::Plan;
use super::{Consent, Seen};
use crate::base::Problem;
use crate::component::seekdb::group::Standing;
use crate::component::seekdb::steps::{
    Activate, EndNote, Fence, Follow, NobodyWrites, Note, NoteFence, NoteLoss, PointSource,
    Promote, ProveGone, Reopen, Stop, StopServer, TakeLog,
};
use crate::engine::Node;

/// A planned move of the role: nothing that was acknowledged is lost. Returns the new epoch.
pub(super) fn switchover(
    plan: &mut Plan<'_>,
    seen: &Seen,
    from: &str,
    to: &str,
) -> Result<u64, Problem> {
    let (Some(old), Some(heir)) = (plan.member(from), plan.member(to)) else {
        return Err(Problem::internal("a member of the switchover is not in the group"));
    };
    if !matches!(seen.is(to), Some(Standing::Standby | Standing::Behind | Standing::Opening)) {
        let now = seen.is(to).map_or("unknown", Standing::as_str);
        return Err(Problem::refused(format!("cannot switch over to \"{to}\""))
            .why(format!("it is {now}, not a standby that follows"))
            .fix("bring it back first (apply without changing primary), then switch over")
            .attribute(["primary"]));
    }
    let epoch = seen.epoch + 1;
    // A member that cannot be asked takes no writes beside the old primary, which says that it is
    // the primary: the role moves, it does not multiply.
    let others: Vec<_> = plan
        .want
        .members
        .iter()
        .filter(|(n, _)| n.as_str() != to && seen.is(n) != Some(Standing::Unreachable))
        .map(|(_, i)| i.clone())
        .collect();
    if seen.is(to) == Some(Standing::Behind) || plan.readdressed(seen, from) {
        plan.g.then(PointSource { node: heir.clone(), source: old.clone(), proved: false });
    }
    plan.g.then(Follow { node: heir.clone(), primary: old.clone() });
    if others.len() > 1 {
        // Asks before the fence what the promotion asks after it. A refusal after the fence would
        // leave the group without a member that takes writes.
        plan.g.then(NobodyWrites {
            node: heir.clone(),
            others: others.iter().filter(|i| **i != old).cloned().collect(),
        });
    }
    hand_over(plan, from, &heir, epoch, others);
    Ok(epoch)
}

/// Fences the old primary, opens `heir` in its place, and brings the old one back as its standby.
/// The promotion asks `others` first.
fn hand_over(plan: &mut Plan<'_>, from: &str, heir: &Node, epoch: u64, others: Vec<Node>) {
    let Some(old) = plan.member(from) else { return };
    let to = plan.want.primary.as_str();
    plan.g.then(NoteFence { primary: old.clone() });
    let fence = plan.g.then(Fence { primary: old, dialect: plan.dialect, cut_only: false });
    // The old primary's note comes first: a member whose note is older and names the member itself
    // is never started again.
    plan.note(from, epoch, to);
    plan.note(to, epoch, to);
    plan.g.then(Promote { heir: heir.clone(), others, dialect: plan.dialect });
    // Nobody takes writes from the first of these steps to the last.
    plan.g.chain(fence);
    plan.rejoin(from, heir, true);
}

/// Nobody takes writes: finishes a switchover, goes back on it, starts a stopped primary, or fails
/// over by consent. Returns the epoch.
pub(super) fn open_one(plan: &mut Plan<'_>, seen: &Seen, target: &str) -> Result<u64, Problem> {
    let Some(heir) = plan.member(target) else {
        return Err(Problem::internal("the primary is not a member"));
    };
    let others = plan.others(target);
    let epoch = if seen.noted == target { seen.epoch } else { seen.epoch + 1 };
    let fenced: Vec<_> = seen
        .standing
        .iter()
        .filter(|(_, s)| **s == Standing::Fenced)
        .map(|(n, _)| n.clone())
        .collect();
    match (seen.is(target), fenced.first()) {
        (Some(Standing::Fenced), _) => {
            note_all(plan, target, epoch);
            // On 1.4 the fenced process itself cannot be opened again (4179, run on 1.4.0.post1);
            // its restarted successor can.
            if plan.dialect.restart_after_fence {
                plan.g.then(StopServer { node: heir.clone(), stop: Stop::Fenced });
            }
            plan.start(target, None);
            if plan.dialect.unsettled {
                let (primary, dialect) = (heir.clone(), plan.dialect);
                plan.g.then(Fence { primary, dialect, cut_only: true });
            }
            reopen(plan, &heir, others);
            return Ok(epoch);
        }
        (Some(Standing::Standby | Standing::Opening), Some(from)) => {
            take_up(plan, seen, from, &heir, epoch);
            return Ok(epoch);
        }
        // The target was fenced and then asked back, and its reopening was cut. Nobody else can
        // have been opened since, and everybody can be asked.
        (Some(Standing::Opening), None)
            if !seen.standing.values().any(|s| {
                matches!(s, Standing::Unreachable | Standing::Stopped | Standing::Stale)
            }) =>
        {
            note_all(plan, target, epoch);
            reopen(plan, &heir, others);
            return Ok(epoch);
        }
        // The old primary lost its power and its host is back, but no member of a group starts with
        // its host. Nothing is lost, so this is still a planned move. With a consent it is a
        // failover, as the old primary's store may never start again.
        (Some(Standing::Standby | Standing::Opening), None)
            if seen.is(&seen.noted) == Some(Standing::Stopped)
                && !consented(plan, seen, target) =>
        {
            take_up(plan, seen, &seen.noted, &heir, epoch);
            return Ok(epoch);
        }
        // The heir lost its power in the middle of a switchover, before or after it was opened.
        (Some(Standing::Stopped), Some(from)) if seen.noted == target => {
            plan.g.then(NobodyWrites { node: heir.clone(), others: others.clone() });
            plan.start(target, None);
            plan.note(from, epoch, target);
            plan.note(target, epoch, target);
            plan.g.then(Promote { heir: heir.clone(), others, dialect: plan.dialect });
            plan.rejoin(from, &heir, false);
            return Ok(epoch);
        }
        (Some(Standing::Stopped), _) if seen.noted == target && !resumes(plan, seen, target) => {
            plan.g.then(NobodyWrites { node: heir, others });
            plan.start(target, None);
            return Ok(epoch);
        }
        _ => {}
    }
    failover(plan, seen, target, heir)
}

fn note_all(plan: &mut Plan<'_>, primary: &str, epoch: u64) {
    for name in plan.want.members.keys().cloned().collect::<Vec<_>>() {
        plan.note(&name, epoch, primary);
    }
}

/// Opens a fenced member again, which ends its fence.
fn reopen(plan: &mut Plan<'_>, heir: &Node, others: Vec<Node>) {
    let dialect = plan.dialect;
    plan.g.then(Reopen { node: heir.clone(), others, restarted_only: false, dialect });
    plan.g.then(EndNote { node: heir.clone(), note: Note::Fence });
}

fn consented(plan: &Plan<'_>, seen: &Seen, target: &str) -> bool {
    plan.want.failover.as_ref().is_some_and(|c| names(c, seen, seen.epoch, target))
}

/// Whether a consent is for this epoch of this group, and for this member.
fn names(consent: &Consent, seen: &Seen, epoch: u64, target: &str) -> bool {
    differs(consent, seen, epoch, target).is_empty()
}

/// What a consent names otherwise than one for this epoch of this group, and for this member.
fn differs(consent: &Consent, seen: &Seen, epoch: u64, target: &str) -> Vec<String> {
    let quoted = |text: &str| format!("\"{text}\"");
    void(
        "failover",
        [
            ("to", quoted(&consent.to), quoted(target)),
            ("epoch", consent.epoch.to_string(), epoch.to_string()),
            ("creation", quoted(&consent.creation), quoted(&seen.creation)),
        ],
    )
}

/// Which fields (name, given, must be) of a consent make it void.
pub(super) fn void<const N: usize>(
    consent: &str,
    fields: [(&str, String, String); N],
) -> Vec<String> {
    let other = |(field, given, must): (&str, String, String)| {
        (given != must).then(|| format!("{consent}.{field} is {given} and must be {must}"))
    };
    fields.into_iter().filter_map(other).collect()
}

/// Whether a failover goes on that was consented to: its heir lost its power, and the old primary
/// is still gone.
fn resumes(plan: &Plan<'_>, seen: &Seen, target: &str) -> bool {
    let before = seen.epoch.saturating_sub(1);
    plan.want.failover.as_ref().is_some_and(|c| names(c, seen, before, target))
        && seen.noted == target
        && seen
            .standing
            .iter()
            .any(|(n, s)| n != target && matches!(s, Standing::Unreachable | Standing::Empty))
}

/// Takes up a switchover whose old primary takes no writes, wherever it was cut. `switchover to
/// primary` reads the old primary's log to its end. So the old primary must run, fenced, whatever
/// happened to it since.
fn take_up(plan: &mut Plan<'_>, seen: &Seen, from: &str, heir: &Node, epoch: u64) {
    let Some(old) = plan.member(from) else { return };
    let mut others = plan.others(from);
    // An heir whose promotion was cut cannot say that it takes no writes. A fenced member takes
    // none in any case, so it is started beside that heir.
    let goes_on = seen.is(&plan.want.primary) == Some(Standing::Opening);
    if goes_on && seen.is(from) == Some(Standing::Fenced) {
        others.retain(|other| other != heir);
    }
    plan.g.then(NobodyWrites { node: old.clone(), others: others.clone() });
    plan.start(from, None);
    if plan.dialect.restart_after_fence {
        let dialect = plan.dialect;
        plan.g.then(Reopen { node: old, others, restarted_only: true, dialect });
    }
    let others = plan.others(&plan.want.primary);
    hand_over(plan, from, heir, epoch, others);
}

fn failover(plan: &mut Plan<'_>, seen: &Seen, target: &str, heir: Node) -> Result<u64, Problem> {
    // A failover that was cut after its note is taken up under the same consent; the note already
    // carries the next epoch. An heir that lost its power too is started first: it is still a
    // standby, or was opened under this very consent.
    // A former primary without a store is gone, too: its host was installed anew, or it was removed
    // by hand.
    let no_primary = |s: Standing| matches!(s, Standing::Unreachable | Standing::Empty);
    let gone = consented(plan, seen, target) && seen.is(&seen.noted).is_some_and(no_primary);
    let down = seen.is(target) == Some(Standing::Stopped) && (gone || resumes(plan, seen, target));
    let opens = matches!(seen.is(target), Some(Standing::Standby | Standing::Opening));
    let resumed = seen.noted == target && (down || opens);
    let epoch = if resumed { seen.epoch } else { seen.epoch + 1 };
    let ask_for = epoch - 1;
    let may_be_lost = |empty: bool| {
        seen.standing.iter().find(|(n, s)| {
            let down = matches!(s, Standing::Unreachable | Standing::Stopped | Standing::Stale);
            n.as_str() != target
                && (down || empty && **s == Standing::Empty)
                && (resumed || **n == seen.noted)
        })
    };
    let lost = may_be_lost(false).or_else(|| may_be_lost(true)).map(|(n, s)| (n.clone(), *s));
    let Some((lost, standing)) = lost else {
        return Err(Problem::refused(format!("group \"{}\" has no primary", plan.want.name))
            .why(format!(
                "\"{target}\" is {}; members: {}",
                seen.is(target).map_or("unknown", Standing::as_str),
                show(seen)
            ))
            .fix("bring the members back, then apply again"));
    };
    let given = plan.want.failover.as_ref();
    let void = given.map(|c| differs(c, seen, ask_for, target)).unwrap_or_default();
    let Some(consent) = given.filter(|_| void.is_empty()) else {
        let void = void.into_iter().map(|why| why + "; ").collect::<String>();
        // Its host answers, so the consent must say that this is known.
        let empty = standing == Standing::Empty;
        let unfenced = if empty { ", accept_unfenced = true" } else { "" };
        let back = if empty { "" } else { " (a warning says why it cannot be asked)" };
        return Err(Problem::refused(format!(
            "the primary \"{lost}\" of group \"{}\" {}",
            plan.want.name,
            if empty { "has no store any more" } else { "cannot be asked" }
        ))
        .why(format!(
            "{void}members: {}; opening \"{target}\" may lose rows that \"{lost}\" acknowledged and did \
             not send",
            show(seen)
        ))
        .fix(format!(
            "bring \"{lost}\" back{back}; if it is gone for good, consent to the loss: primary = \
             \"{target}\" and failover = {{ epoch = {ask_for}, to = \"{target}\", creation = \
             \"{}\"{unfenced} }}",
            seen.creation
        ))
        .attribute(["failover"]));
    };
    if !opens && !down {
        return Err(Problem::refused(format!("cannot fail over to \"{target}\""))
            .why(format!("it is {}", seen.is(target).map_or("unknown", Standing::as_str)))
            .fix("choose a member that is standby")
            .attribute(["failover", "to"]));
    }
    let Some(dead) = plan.member(&lost) else {
        return Err(Problem::internal("the lost primary is not in the group"));
    };
    if down {
        plan.start(target, None);
    }
    let others: Vec<_> = plan
        .want
        .members
        .iter()
        .filter(|(n, _)| n.as_str() != target && **n != lost)
        .map(|(_, i)| i.clone())
        .collect();
    // Everything that can refuse the failover comes before the note, so that a refusal leaves the
    // old primary what it is.
    let (accept_unfenced, max_loss) = (consent.accept_unfenced, consent.max_loss);
    plan.g.then(ProveGone {
        heir: heir.clone(),
        dead: dead.clone(),
        others: others.clone(),
        accept_unfenced,
        max_loss,
    });
    if !others.is_empty() {
        plan.g.then(TakeLog { heir: heir.clone(), dead: dead.clone(), others: others.clone() });
    }
    // The note comes before the activation: wherever this is cut, a former primary that comes back
    // is then known to be stale.
    plan.note(target, epoch, target);
    plan.g.then(NoteLoss { heir: heir.clone(), member: target.to_owned(), epoch });
    plan.g.then(Activate { heir, dead, others, dialect: plan.dialect });
    Ok(epoch)
}

fn show(seen: &Seen) -> String {
    seen.standing
        .iter()
        .map(|(n, s)| format!("{n} is {}", s.as_str()))
        .collect::<Vec<_>>()
        .join(", ")
}
