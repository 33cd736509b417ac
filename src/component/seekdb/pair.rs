//! Replication groups: pure functions from what the members are and what is wanted to a graph.
//!
//! Everything is re-entered from the observed standings, never from a journal. The safe order of a switchover, run on
//! 1.4.0.post1: fence the old primary, open the new one (which reads the log to its end by itself), restart the old one,
//! point it at the new one. Not pointed before it was fenced: a fenced store that is ahead of its source never starts again
//! after a power loss (-4234 at start), and one without a source does.
use super::Instance;
use super::group::{Group, LeaveGroup, Standing, WriteGroup};
use super::steps::{
    Activate, BeginStore, CopyAccount, EndNote, EndSessions, Fence, Follow, FreezeLog, Join, NobodyWrites, Note, NoteFence, NoteLoss, PointSource, Promote, ProveGone, Reopen,
    SetAside, SetBoot, StartServer, StopServer, TakeLog,
};
use crate::base::Problem;
use crate::engine::Graph;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a group shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Its name.
    pub name: String,
    /// Members by name.
    pub members: BTreeMap<String, Instance>,
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
    fn is(&self, member: &str) -> Option<Standing> {
        self.standing.get(member).copied()
    }
}

struct Plan<'a> {
    want: &'a Want,
    g: Graph,
}

/// What every graph about a group does first after a take-over; a member that cannot be asked is passed over by name.
fn begin<'a>(members: impl Iterator<Item = &'a Instance>) -> Graph {
    let mut g = Graph::new();
    for instance in members {
        g.after_take_over(EndSessions { instance: instance.clone() });
    }
    g
}

impl Plan<'_> {
    fn member(&self, name: &str) -> Option<Instance> {
        self.want.members.get(name).cloned()
    }
    fn others(&self, than: &str) -> Vec<Instance> {
        self.want.members.iter().filter(|(n, _)| *n != than).map(|(_, i)| i.clone()).collect()
    }
    fn note(&mut self, member: &str, epoch: u64, primary: &str) {
        if let Some(instance) = self.member(member) {
            let group = Group::new(&self.want.name, "", epoch, primary, self.want.members.clone());
            let step = WriteGroup { instance, group };
            // Once per member: two parts of a plan may ask for the same note.
            if !self.g.titles().contains(&crate::engine::Step::title(&step)) {
                self.g.then(step);
            }
        }
    }
    fn start(&mut self, member: &str, join: Option<&Instance>) {
        if let (Some(instance), Some(package)) = (self.member(member), self.want.packages.get(member).cloned()) {
            self.g.then(StartServer { instance, package, join: join.map(|p| Join { source: p.source() }), restart: false });
        }
    }

    /// Makes `member` a standby of `primary` from nothing.
    fn build(&mut self, member: &str, primary: &Instance) {
        let Some(instance) = self.member(member) else { return };
        self.g.then(SetBoot { instance: instance.clone(), on: false });
        self.g.then(CopyAccount { from: primary.clone(), to: instance.clone() });
        self.g.then(BeginStore { instance: instance.clone(), source: primary.source() });
        self.g.then(FreezeLog { primary: primary.clone(), standby: instance.clone() });
        self.start(member, Some(primary));
        self.g.then(Follow { instance: instance.clone(), primary: primary.clone() });
        self.g.then(EndNote { instance, note: Note::Store });
    }

    /// Restarts a fenced former primary, which then follows as soon as it is pointed at `primary` (a fenced process never does).
    fn rejoin(&mut self, member: &str, primary: &Instance) {
        let Some(instance) = self.member(member) else { return };
        self.g.then(StopServer { instance: instance.clone(), fenced_only: true, restart: false });
        self.start(member, Some(primary));
        self.g.then(PointSource { instance: instance.clone(), source: primary.clone() });
        self.g.then(Follow { instance: instance.clone(), primary: primary.clone() });
        self.g.then(EndNote { instance, note: Note::Fence });
    }
}

/// The first build of a group: `primary` runs, the others are installed.
#[must_use]
pub fn create(want: &Want) -> Graph {
    let mut plan = Plan { want, g: begin(want.members.values()) };
    let Some(primary) = plan.member(&want.primary) else { return plan.g };
    plan.note(&want.primary, 1, &want.primary);
    plan.g.then(SetBoot { instance: primary.clone(), on: false });
    for name in want.members.keys().filter(|n| **n != want.primary) {
        plan.note(name, 1, &want.primary);
        plan.build(name, &primary);
    }
    plan.g
}

/// Goes on with a first build that was cut. Its primary may have lost its power, and members do not start with their hosts;
/// as long as no role ever moved it can only be the primary still.
#[must_use]
pub fn resume(want: &Want, seen: &Seen) -> Graph {
    let mut plan = Plan { want, g: begin(want.members.values()) };
    if seen.epoch == 1 && seen.noted == want.primary && seen.is(&want.primary) == Some(Standing::Stopped) {
        plan.start(&want.primary, None);
    }
    plan.g.append(create(want));
    plan.g
}

/// Leads from what is seen to what is wanted. An empty graph: nothing to do, or nothing that we do unasked.
///
/// # Errors
/// It must not or cannot be done; the problem says what is missing.
pub fn update(seen: &Seen, want: &Want, gone: &BTreeMap<String, Instance>) -> Result<Graph, Problem> {
    let alive = want.members.iter().filter(|(n, _)| seen.is(n) != Some(Standing::Unreachable)).map(|(_, i)| i);
    let mut plan = Plan { want, g: begin(alive) };
    let writers = seen.standing.values().filter(|s| **s == Standing::Primary).count();
    if writers > 1 {
        return Err(Problem::refused(format!("group \"{}\" has {writers} members that take writes", want.name))
            .why("two histories of rows exist")
            .fix("stop the one whose rows you can lose; `ob standby diff` shows them; then apply again"));
    }
    let asked_to_move = seen.asked != want.primary;
    let current = seen.primary().map(str::to_owned);
    let target = want.primary.as_str();
    let (epoch, primary) = match &current {
        Some(now) if now == target || !asked_to_move => (if seen.noted == *now { seen.epoch } else { seen.epoch + 1 }, now.clone()),
        Some(now) => (switchover(&mut plan, seen, now, target)?, target.to_owned()),
        // Unreachable is a status, not an error: that alone plans nothing.
        None if !asked_to_move && seen.is(target) == Some(Standing::Unreachable) => return Ok(plan.g),
        None => (open_one(&mut plan, seen, target)?, target.to_owned()),
    };
    follow_up(&mut plan, seen, &primary, epoch, gone);
    Ok(plan.g)
}

fn switchover(plan: &mut Plan<'_>, seen: &Seen, from: &str, to: &str) -> Result<u64, Problem> {
    let (Some(old), Some(heir)) = (plan.member(from), plan.member(to)) else { return Err(Problem::internal("a member of the switchover is not in the group")) };
    if !matches!(seen.is(to), Some(Standing::Standby | Standing::Behind)) {
        let now = seen.is(to).map_or("unknown", Standing::as_str);
        return Err(Problem::refused(format!("cannot switch over to \"{to}\""))
            .why(format!("it is {now}, not a standby that follows"))
            .fix("bring it back first (apply without changing primary), then switch over")
            .attribute(["primary"]));
    }
    let epoch = seen.epoch + 1;
    // Who cannot be asked is no writer beside the old primary, which says that it is one: the role moves, it does not multiply.
    let others: Vec<_> = plan.want.members.iter().filter(|(n, _)| n.as_str() != to && seen.is(n) != Some(Standing::Unreachable)).map(|(_, i)| i.clone()).collect();
    if seen.is(to) == Some(Standing::Behind) {
        plan.g.then(PointSource { instance: heir.clone(), source: old.clone() });
    }
    plan.g.then(Follow { instance: heir.clone(), primary: old.clone() });
    if others.len() > 1 {
        // Before the fence what the promotion will ask after it: refused there, nobody would take writes.
        plan.g.then(NobodyWrites { instance: heir.clone(), others: others.iter().filter(|i| **i != old).cloned().collect() });
    }
    plan.g.then(NoteFence { primary: old.clone() });
    plan.g.then(Fence { primary: old, heir: heir.clone() });
    // The old primary's note first: a member whose note is behind and names itself is never started again.
    plan.note(from, epoch, to);
    plan.note(to, epoch, to);
    plan.g.then(Promote { heir: heir.clone(), others });
    plan.rejoin(from, &heir);
    Ok(epoch)
}

/// Nobody takes writes: finish a switchover, go back on it, start a stopped primary, or fail over by consent.
fn open_one(plan: &mut Plan<'_>, seen: &Seen, target: &str) -> Result<u64, Problem> {
    let Some(heir) = plan.member(target) else { return Err(Problem::internal("the primary is not a member")) };
    let others = plan.others(target);
    let epoch = if seen.noted == target { seen.epoch } else { seen.epoch + 1 };
    let fenced: Vec<_> = seen.standing.iter().filter(|(_, s)| **s == Standing::Fenced).map(|(n, _)| n.clone()).collect();
    match (seen.is(target), fenced.first()) {
        (Some(Standing::Fenced), _) => {
            for name in plan.want.members.keys().cloned().collect::<Vec<_>>() {
                plan.note(&name, epoch, target);
            }
            // The fenced process itself cannot be opened again (4179, run on 1.4.0.post1); the restarted one can.
            plan.g.then(StopServer { instance: heir.clone(), fenced_only: true, restart: false });
            plan.start(target, None);
            plan.g.then(Reopen { instance: heir.clone(), others, restarted_only: false });
            plan.g.then(EndNote { instance: heir, note: Note::Fence });
            return Ok(epoch);
        }
        (Some(Standing::Standby), Some(from)) => {
            take_up(plan, from, &heir, epoch);
            return Ok(epoch);
        }
        // The old primary lost its power, and its host is back: no member of a group starts with its host. Nothing is lost, so
        // it is a planned move still; with a consent it is a failover (its store may be beyond starting).
        (Some(Standing::Standby), None) if seen.is(&seen.noted) == Some(Standing::Stopped) && !consented(plan, seen, target) => {
            take_up(plan, &seen.noted, &heir, epoch);
            return Ok(epoch);
        }
        // The heir lost its power in the middle of a switchover, before or after it was opened.
        (Some(Standing::Stopped), Some(from)) if seen.noted == target => {
            plan.g.then(NobodyWrites { instance: heir.clone(), others: others.clone() });
            plan.start(target, None);
            plan.note(from, epoch, target);
            plan.note(target, epoch, target);
            plan.g.then(Promote { heir: heir.clone(), others });
            plan.rejoin(from, &heir);
            return Ok(epoch);
        }
        (Some(Standing::Stopped), _) if seen.noted == target && !resumes(plan, seen, target) => {
            plan.g.then(NobodyWrites { instance: heir, others });
            plan.start(target, None);
            return Ok(epoch);
        }
        _ => {}
    }
    failover(plan, seen, target, heir)
}

fn consented(plan: &Plan<'_>, seen: &Seen, target: &str) -> bool {
    plan.want.failover.as_ref().is_some_and(|c| c.epoch == seen.epoch && c.to == target)
}

/// The heir of a failover lost its power while the old primary is gone still: what was consented to goes on.
fn resumes(plan: &Plan<'_>, seen: &Seen, target: &str) -> bool {
    let consent = plan.want.failover.as_ref().is_some_and(|c| c.epoch + 1 == seen.epoch && c.to == target);
    consent && seen.noted == target && seen.standing.iter().any(|(n, s)| n != target && *s == Standing::Unreachable)
}

/// Takes a switchover up whose old primary does not take writes, wherever it was cut: `switchover to primary` reads the old
/// primary's log to its end, so that one must run, fenced, whatever became of it since.
fn take_up(plan: &mut Plan<'_>, from: &str, heir: &Instance, epoch: u64) {
    let Some(old) = plan.member(from) else { return };
    let (to, others) = (plan.want.primary.clone(), plan.others(from));
    plan.g.then(NobodyWrites { instance: old.clone(), others: others.clone() });
    plan.start(from, None);
    plan.g.then(Reopen { instance: old.clone(), others, restarted_only: true });
    plan.g.then(NoteFence { primary: old.clone() });
    plan.g.then(Fence { primary: old, heir: heir.clone() });
    plan.note(from, epoch, &to);
    plan.note(&to, epoch, &to);
    let others = plan.others(&to);
    plan.g.then(Promote { heir: heir.clone(), others });
    plan.rejoin(from, heir);
}

fn failover(plan: &mut Plan<'_>, seen: &Seen, target: &str, heir: Instance) -> Result<u64, Problem> {
    // A failover that was cut after its note is taken up under the same consent: the note carries the next epoch already.
    // An heir that lost its power too is started first: it is a standby still, or was opened under this very consent.
    let gone = consented(plan, seen, target) && seen.is(&seen.noted) == Some(Standing::Unreachable);
    let down = seen.is(target) == Some(Standing::Stopped) && (gone || resumes(plan, seen, target));
    let resumed = seen.noted == target && (down || seen.is(target) == Some(Standing::Standby));
    let epoch = if resumed { seen.epoch } else { seen.epoch + 1 };
    let ask_for = epoch - 1;
    let lost = seen
        .standing
        .iter()
        .find(|(n, s)| n.as_str() != target && matches!(s, Standing::Unreachable | Standing::Stopped | Standing::Stale) && (resumed || **n == seen.noted))
        .map(|(n, _)| n.clone());
    let Some(lost) = lost else {
        return Err(Problem::refused(format!("group \"{}\" has no primary", plan.want.name))
            .why(format!("\"{target}\" is {}; members: {}", seen.is(target).map_or("unknown", Standing::as_str), show(seen)))
            .fix("bring the members back, then apply again"));
    };
    let consent = plan.want.failover.as_ref().filter(|c| c.epoch == ask_for && c.to == target);
    let Some(consent) = consent else {
        return Err(Problem::refused(format!("the primary \"{lost}\" of group \"{}\" does not answer", plan.want.name))
            .why(format!("members: {}; opening \"{target}\" may lose rows that \"{lost}\" acknowledged and did not send", show(seen)))
            .fix(format!("bring \"{lost}\" back; or consent to the loss: primary = \"{target}\" and failover = {{ epoch = {ask_for}, to = \"{target}\" }}"))
            .attribute(["failover"]));
    };
    if seen.is(target) != Some(Standing::Standby) && !down {
        return Err(Problem::refused(format!("cannot fail over to \"{target}\""))
            .why(format!("it is {}", seen.is(target).map_or("unknown", Standing::as_str)))
            .fix("choose a member that is standby")
            .attribute(["failover", "to"]));
    }
    let Some(dead) = plan.member(&lost) else { return Err(Problem::internal("the lost primary is not in the group")) };
    if down {
        plan.start(target, None);
    }
    let others: Vec<_> = plan.want.members.iter().filter(|(n, _)| n.as_str() != target && **n != lost).map(|(_, i)| i.clone()).collect();
    // All that can refuse it comes before the note: what is refused leaves the old primary what it is.
    let (accept_unfenced, max_loss) = (consent.accept_unfenced, consent.max_loss);
    plan.g.then(ProveGone { heir: heir.clone(), dead: dead.clone(), others: others.clone(), accept_unfenced, max_loss });
    if !others.is_empty() {
        plan.g.then(TakeLog { heir: heir.clone(), dead: dead.clone(), others: others.clone() });
    }
    // The note before the deed: a former primary that comes back is then known to be stale, whenever this is cut.
    plan.note(target, epoch, target);
    plan.g.then(NoteLoss { heir: heir.clone(), member: target.to_owned(), epoch });
    plan.g.then(Activate { heir, dead, others });
    Ok(epoch)
}

fn show(seen: &Seen) -> String {
    seen.standing.iter().map(|(n, s)| format!("{n} is {}", s.as_str())).collect::<Vec<_>>().join(", ")
}

/// Everything but the role: who is not a good standby becomes one, who left leaves.
fn follow_up(plan: &mut Plan<'_>, seen: &Seen, primary: &str, epoch: u64, gone: &BTreeMap<String, Instance>) {
    let Some(source) = plan.member(primary) else { return };
    let moved = seen.noted != primary;
    let changed = plan.want.members.keys().any(|n| !seen.standing.contains_key(n)) || !gone.is_empty();
    for name in plan.want.members.keys().filter(|n| *n != primary).cloned().collect::<Vec<_>>() {
        let Some(instance) = plan.member(&name) else { continue };
        match seen.is(&name) {
            Some(Standing::Empty | Standing::Building) | None => {
                plan.note(&name, epoch, primary);
                plan.build(&name, &source);
            }
            Some(Standing::Stale) => {
                plan.g.then(StopServer { instance: instance.clone(), fenced_only: false, restart: false });
                plan.g.then(SetAside { instance: instance.clone(), name: format!("epoch-{epoch}") });
                plan.note(&name, epoch, primary);
                plan.build(&name, &source);
            }
            // The primary that a failover has just passed over: its store holds a history of its own, the next plan rebuilds it.
            Some(Standing::Stopped) if seen.noted == name => {}
            Some(Standing::Stopped) => {
                plan.start(&name, None);
                plan.g.then(PointSource { instance: instance.clone(), source: source.clone() });
                plan.g.then(Follow { instance, primary: source.clone() });
                plan.note(&name, epoch, primary);
            }
            Some(Standing::Behind) => {
                plan.g.then(PointSource { instance: instance.clone(), source: source.clone() });
                plan.g.then(Follow { instance, primary: source.clone() });
                plan.note(&name, epoch, primary);
            }
            // Unless it is part of the switchover that is taken up.
            Some(Standing::Fenced) if !plan.g.titles().contains(&crate::engine::Step::title(&EndNote { instance: instance.clone(), note: Note::Fence })) => {
                plan.rejoin(&name, &source)
            }
            Some(Standing::Standby) if moved => {
                plan.g.then(PointSource { instance, source: source.clone() });
                plan.note(&name, epoch, primary);
            }
            Some(Standing::Standby) if changed => plan.note(&name, epoch, primary),
            _ => {}
        }
    }
    if changed || (moved && plan.g.is_empty()) {
        plan.note(primary, epoch, primary);
    }
    for (name, instance) in gone {
        leave(&mut plan.g, name, instance, epoch);
    }
}

/// A standby leaves: stopped, its store set aside, never opened.
fn leave(g: &mut Graph, name: &str, instance: &Instance, epoch: u64) {
    g.then(StopServer { instance: instance.clone(), fenced_only: false, restart: false });
    g.then(SetAside { instance: instance.clone(), name: format!("left-{name}-{epoch}") });
    g.then(LeaveGroup { instance: instance.clone() });
}

/// The group ends: standbys leave, the primary stays what it is and starts with its host again.
#[must_use]
pub fn destroy(members: &BTreeMap<String, Instance>, primary: &str, epoch: u64) -> Graph {
    let mut g = begin(members.values());
    for (name, instance) in members.iter().filter(|(n, _)| *n != primary) {
        leave(&mut g, name, instance, epoch);
    }
    if let Some(instance) = members.get(primary) {
        // Its note last: without any note there is no group, and nobody would come back for what is left.
        g.then(SetBoot { instance: instance.clone(), on: true });
        g.then(LeaveGroup { instance: instance.clone() });
    }
    g
}
