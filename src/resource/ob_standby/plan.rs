//! Pure: turns configuration and prior state into the planned state and the graph.
use super::schema::Standby;
use crate::base::ObjectName;
use crate::base::Problem;
use crate::base::units::count;
use crate::component::database::{self, Database, Move, Seen, Standing, Want};
use crate::engine::{Engine, Graph, Node, Port};
use crate::resource::common::{
    bad_state, fill, impact, known, numbered, root_password_pair, runbook, set_text, text,
};
use crate::resource::{PlanInput, Planned};
use crate::schema::{Diagnostics, Report, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The members of a state; `None` while one is unknown.
#[must_use]
pub fn members(state: &Standby) -> Option<BTreeMap<String, Node>> {
    known(&state.members)??
        .iter()
        .map(|(name, m)| Some((name.clone(), known(&known(m)??.instance)??.instance()?)))
        .collect()
}

/// The engine of the members; `None` while it is unknown, or when the members differ (which
/// [`validate`] refuses).
#[must_use]
pub fn engine(state: &Standby) -> Option<Engine> {
    let members = known(&state.members)??;
    let engines: Option<Vec<_>> =
        members.values().map(|m| known(&known(m)??.instance)??.engine()).collect();
    let engines = engines?;
    let first = *engines.first()?;
    engines.iter().all(|e| *e == first).then_some(first)
}

/// The members of a stored state and their engine. Nothing in such a state is unknown.
///
/// # Errors
/// The state is damaged.
pub fn found(state: &Standby) -> Result<(BTreeMap<String, Node>, Engine), Problem> {
    members(state)
        .zip(engine(state))
        .ok_or_else(|| bad_state("an ob_standby", "who its members are"))
}

/// The implementation of the group's engine.
fn database_of(want: &Want) -> Result<&'static dyn Database, Problem> {
    database::named(want.engine)
}

/// What a state asks for; `None` while something that shapes the graph is unknown.
#[must_use]
pub fn want(state: &Standby) -> Option<Want> {
    let packages: Option<BTreeMap<_, _>> = known(&state.members)??
        .iter()
        .map(|(name, m)| Some((name.clone(), text(&known(&known(m)??.instance)??.package)?)))
        .collect();
    let failover = match known(&state.failover)? {
        Some(f) => Some(f.consent()?),
        None => None,
    };
    let rebuild = match known(&state.rebuild)? {
        Some(r) => Some(r.consent()?),
        None => None,
    };
    Some(Want {
        engine: engine(state)?,
        name: ObjectName::parse(&text(&state.name)?).ok()?,
        members: members(state)?,
        packages: packages?,
        primary: text(&state.primary)?,
        failover,
        rebuild,
        root_password: false,
        creation: set_text(&state.creation).unwrap_or_default().to_owned(),
    })
}

/// What a state asks for that has no prior one; as [`want`].
#[must_use]
pub fn first(state: &Standby) -> Option<Want> {
    let root_password = state.root_password_wo_version.is_value();
    want(state).map(|want| Want { root_password, ..want })
}

/// The epoch that the state knows; 0 when it knows none.
#[must_use]
pub fn known_epoch(state: &Standby) -> u64 {
    let epoch = known(&state.epoch).flatten().copied();
    epoch.and_then(|e| u64::try_from(e).ok()).unwrap_or(0)
}

/// What the last read saw, from the state.
#[must_use]
pub fn seen(prior: &Standby) -> Seen {
    let mut standing = BTreeMap::new();
    if let Value::Value(status) = &prior.member_status {
        for (name, word) in status {
            standing.extend(set_text(word).and_then(Standing::parse).map(|s| (name.clone(), s)));
        }
    }
    Seen {
        standing,
        epoch: known_epoch(prior),
        noted: text(&prior.noted_primary).unwrap_or_default(),
        asked: text(&prior.primary).unwrap_or_default(),
        creation: set_text(&prior.creation).unwrap_or_default().to_owned(),
        members: members(prior).unwrap_or_default(),
        strays: strays(prior),
    }
}

/// The word in `member_status` for who is only in the notes.
pub const NO_MEMBER: &str = "no_member";

/// Whom the notes name although they are no members, from the state.
fn strays(prior: &Standby) -> BTreeSet<String> {
    let status = known(&prior.member_status).flatten().into_iter().flatten();
    let strays = status.filter(|(_, word)| set_text(word) == Some(NO_MEMBER));
    strays.map(|(name, _)| name.clone()).collect()
}

/// Members that the new configuration no longer names.
fn gone(prior: &Standby, next: &Want) -> BTreeMap<String, Node> {
    members(prior)
        .unwrap_or_default()
        .into_iter()
        .filter(|(n, _)| !next.members.contains_key(n))
        .collect()
}

/// The graph that leads from what the refreshed `prior` shows to what `next` asks for.
///
/// # Errors
/// The change must not or cannot be made.
pub fn graph(prior: &Standby, next: &Standby) -> Result<Option<Graph>, Problem> {
    let Some(mut want) = want(next) else { return Ok(None) };
    want.root_password = next.root_password_wo_version.is_value()
        && prior.root_password_wo_version != next.root_password_wo_version;
    database_of(&want)?.lead(&seen(prior), &want, &gone(prior, &want)).map(Some)
}

/// Finds everything that is wrong with a configuration by itself.
pub fn validate(config: &Standby, diags: &mut Diagnostics) {
    let Value::Value(members) = &config.members else { return };
    if members.len() < 2 {
        diags.problem(
            Problem::user("a group has at least two members")
                .why(format!("there are {}", members.len()))
                .fix("add the standby to members, or remove this resource")
                .attribute(["members"]),
        );
    }
    root_password_pair(&config.root_password_wo, &config.root_password_wo_version, diags);
    let names = members.keys().cloned().collect::<Vec<_>>().join(", ");
    if let Value::Value(primary) = &config.primary
        && !members.contains_key(primary)
    {
        diags.problem(
            Problem::user(format!("primary \"{primary}\" is no member"))
                .why(format!("members: {names}"))
                .fix("name one of them")
                .attribute(["primary"]),
        );
    }
    let consents = [
        ("failover", "to", known(&config.failover).flatten().map(|f| &f.to)),
        ("rebuild", "member", known(&config.rebuild).flatten().map(|r| &r.member)),
    ];
    for (consent, attribute, member) in consents {
        if let Some(Value::Value(member)) = member
            && !members.contains_key(member)
        {
            diags.problem(
                Problem::user(format!("{consent} names \"{member}\", which is no member"))
                    .why(format!("members: {names}"))
                    .fix("name one of them")
                    .attribute([consent, attribute]),
            );
        }
    }
    if let Some(Value::Value(member)) = known(&config.rebuild).flatten().map(|r| &r.member)
        && config.primary == Value::Value(member.clone())
    {
        diags.problem(
            Problem::user(format!("rebuild names the primary \"{member}\""))
                .why("a member that is rebuilt is a standby afterwards")
                .fix("name the other member, or set primary to the one that keeps its rows")
                .attribute(["rebuild", "member"]),
        );
    }
    let engines: BTreeMap<_, _> = members
        .iter()
        .filter_map(|(n, m)| Some((n, known(&known(m)??.instance)??.engine()?)))
        .collect();
    if let Some((a, x)) = engines.iter().next()
        && let Some((b, y)) = engines.iter().find(|(_, y)| *y != x)
    {
        diags.problem(
            Problem::user(format!("members \"{a}\" and \"{b}\" cannot be one group"))
                .why(format!("one is of the engine {}, the other of {}", x.as_str(), y.as_str()))
                .fix("give all members the same engine")
                .attribute(["members"]),
        );
    }
    let instances: BTreeMap<_, _> = members
        .iter()
        .filter_map(|(n, m)| Some((n, known(&known(m)??.instance)??.instance()?)))
        .collect();
    for (a, x) in &instances {
        for (b, y) in instances.iter().filter(|(b, _)| *b > a) {
            // Behind one address of SSH there may be several hosts, each at a port of its own.
            let (here, there) = (x.address(), y.address());
            let port = |p| x.port(p) == y.port(p);
            let why = if x.same_place(y) {
                "same host and same directory".to_owned()
            } else if here == there && (port(Port::Sql) || port(Port::Rpc)) {
                format!("others would reach both at {here}, by the same port")
            } else {
                continue;
            };
            diags.problem(
                Problem::user(format!("members \"{a}\" and \"{b}\" are one and the same"))
                    .why(why)
                    .fix(
                        "give each member an ob_cluster of its own; where the hosts are behind one \
                         address of SSH, set service_address of each to its own IP address",
                    )
                    .attribute(["members"]),
            );
        }
    }
}

/// Computes the planned state.
pub fn plan(input: PlanInput<'_, Standby>, diags: &mut Diagnostics) -> Option<Planned<Standby>> {
    let mut next = input.proposed.clone();
    // Do not test `next`: core keeps the prior value of a line that was removed, and the default is
    // protection.
    if input.config.deletion_protection.is_null() {
        next.deletion_protection = Value::Value(true);
    }
    next.id = next.name.clone();
    let Some(prior) = input.prior else {
        unknown_facts(&mut next);
        next.creation = Value::Unknown;
        match first(&next).map(|w| (database_of(&w).and_then(|d| d.group(&w)), w)) {
            Some((Err(problem), _)) => {
                diags.problem(problem);
                return None;
            }
            Some((Ok(graph), want)) => {
                let others: Vec<_> = want
                    .members
                    .keys()
                    .filter(|n| **n != want.primary)
                    .map(String::as_str)
                    .collect();
                next.runbook = runbook(
                    &format!("build standby {} of \"{}\"", others.join(", "), want.primary),
                    &graph,
                );
                next.impact = impact(&graph);
            }
            None => (next.runbook, next.impact) = (Value::Unknown, Value::Unknown),
        }
        return Some(Planned { state: next, replace: Vec::new() });
    };
    if let Err(problem) = found(prior) {
        diags.problem(problem);
        return None;
    }
    if prior.name != next.name && !next.name.is_unknown() {
        diags.problem(
            Problem::refused("the name of a group cannot change")
                .why("it names the gates and notes with all members")
                .fix("keep the name; the resource address can be changed with a moved block")
                .attribute(["name"]),
        );
    }
    match graph(prior, &next) {
        Err(problem) => {
            diags.problem(problem);
            return None;
        }
        Ok(None) => {
            unknown_facts(&mut next);
            (next.runbook, next.impact) = (Value::Unknown, Value::Unknown);
        }
        Ok(Some(graph)) => {
            differs(prior, &next, diags);
            left_behind(prior, &next, diags);
            stray(prior, &next, diags);
            if !graph.is_empty() {
                changing(prior, &mut next, &moves(prior, &graph));
                let line = runbook(&headline(prior, &next, &graph), &graph);
                next.runbook = numbered(&prior.runbook, line);
                next.impact = impact(&graph);
            } else if prior.members != next.members {
                // A member's reference changed (its package). There is nothing to do here, but the
                // endpoint repeats the reference.
                next.endpoint = Value::Unknown;
            }
        }
    }
    Some(Planned { state: next, replace: Vec::new() })
}

fn unknown_facts(next: &mut Standby) {
    (next.epoch, next.current_primary, next.noted_primary) =
        (Value::Unknown, Value::Unknown, Value::Unknown);
    (next.member_status, next.endpoint, next.last_failover, next.set_aside) =
        (Value::Unknown, Value::Unknown, Value::Unknown, Value::Unknown);
}

/// Marks as unknown what a graph may change. What it leaves alone stays as it is, so that a plan
/// shows nothing as changing that does not.
fn changing(prior: &Standby, next: &mut Standby, moves: &BTreeSet<Move>) {
    let kept = (next.endpoint.clone(), next.last_failover.clone(), next.set_aside.clone());
    unknown_facts(next);
    let role_stays = !moves.contains(&Move::SwitchOver) && !moves.contains(&Move::FailOver);
    let led = text(&prior.current_primary).is_some_and(|now| !now.is_empty());
    if role_stays && led && prior.members == next.members && !moves.contains(&Move::Rebuild) {
        next.endpoint = kept.0;
    }
    if !moves.contains(&Move::FailOver) {
        next.last_failover = kept.1;
    }
    if !moves.contains(&Move::Rebuild) && prior.members == next.members {
        next.set_aside = kept.2;
    }
}

/// The planned state, with the values filled in that the plan could not know.
#[must_use]
pub fn merge(planned: &Standby, found: Standby) -> Standby {
    let mut state = planned.clone();
    fill(&mut state.id, found.id);
    fill(&mut state.creation, found.creation);
    fill(&mut state.epoch, found.epoch);
    fill(&mut state.current_primary, found.current_primary);
    fill(&mut state.noted_primary, found.noted_primary);
    fill(&mut state.member_status, found.member_status);
    fill(&mut state.endpoint, found.endpoint);
    fill(&mut state.last_failover, found.last_failover);
    fill(&mut state.set_aside, found.set_aside);
    fill(&mut state.runbook, found.runbook);
    fill(&mut state.impact, found.impact);
    state
}

/// What a graph does to roles and stores.
fn moves(of: &Standby, graph: &Graph) -> BTreeSet<Move> {
    engine(of).and_then(database::of).map_or_else(BTreeSet::new, |d| d.moves(graph))
}

fn headline(prior: &Standby, next: &Standby, graph: &Graph) -> String {
    let (from, to) =
        (text(&prior.current_primary).unwrap_or_default(), text(&next.primary).unwrap_or_default());
    let noted = || text(&prior.noted_primary).unwrap_or_default();
    match moves(next, graph).last() {
        Some(Move::FailOver) => {
            let bound = known(&next.failover).flatten().and_then(|f| set_text(&f.max_loss));
            let bound = bound.map_or_else(
                || "no bound on the loss".to_owned(),
                |most| format!("refused beyond max_loss {most}"),
            );
            format!("FAIL OVER from {} to {to} ({bound})", noted())
        }
        Some(Move::SwitchOver) => {
            let from = if from.is_empty() { noted() } else { from };
            // The note names it as primary already: its switchover was cut on the way.
            if from == to {
                format!("finish the switchover to {to}")
            } else {
                format!("switch over from {from} to {to}")
            }
        }
        Some(Move::Rebuild) => format!("rebuild the standbys of {to}"),
        Some(Move::Build) => format!("build standbys of {to}"),
        Some(Move::Leave) => format!("take members out of the standbys of {to}"),
        None if prior.root_password_wo_version != next.root_password_wo_version => {
            "set root's password".to_owned()
        }
        None if strays(prior).iter().any(|n| !is_member(next, n)) => {
            format!("take who is no member out of the notes of {to}")
        }
        None if readdressed(prior, next, &from) => {
            format!("let the standbys follow {from} at its new address")
        }
        None => "bring members back".to_owned(),
    }
}

/// Whether others reach a member at another address than before.
fn readdressed(prior: &Standby, next: &Standby, member: &str) -> bool {
    let at = |state: &Standby| {
        members(state)
            .and_then(|m| m.get(member).map(|n| (n.address().to_owned(), n.ports.clone())))
    };
    at(prior) != at(next)
}

/// Warns when the role is elsewhere than asked for and nobody asked for a change; such a move is
/// never undone.
fn differs(prior: &Standby, next: &Standby, diags: &mut Diagnostics) {
    let (asked, now) =
        (text(&next.primary).unwrap_or_default(), text(&prior.current_primary).unwrap_or_default());
    if prior.primary == next.primary && !now.is_empty() && now != asked {
        diags.caution(
            Problem::user(format!(
                "group \"{}\": primary is \"{now}\", the configuration says \"{asked}\"",
                text(&next.name).unwrap_or_default()
            ))
            .why(
                "the role was moved by somebody else (ob, OCP, by hand); an apply never moves it \
                 back by itself",
            )
            .fix(format!(
                "set primary = \"{now}\" to take it as it is; to move it, apply that first, then \
                 set primary = \"{asked}\""
            ))
            .attribute(["primary"]),
        );
    }
}

/// Warns about a member that leaves while its host does not answer.
fn left_behind(prior: &Standby, next: &Standby, diags: &mut Diagnostics) {
    let Some(want) = want(next) else { return };
    let seen = seen(prior);
    let off = |name: &&String| seen.is(name) == Some(Standing::Unreachable);
    let leavers = gone(prior, &want);
    if !leavers.is_empty()
        && let Some(name) = want.members.keys().find(off)
    {
        diags.caution(
            Problem::user(format!(
                "the provider's account of group \"{}\" keeps its password",
                want.name
            ))
            .why(format!(
                "\"{name}\" does not answer and could not be told another one; the member that \
                 leaves knows it"
            ))
            .fix("bring that member back before another one leaves, if the one that leaves is not trusted")
            .attribute(["members"]),
        );
    }
    if !leavers.is_empty() && prior.root_password_wo_version == next.root_password_wo_version {
        let names: Vec<_> = leavers.keys().map(|n| format!("\"{n}\"")).collect();
        diags.caution(
            Problem::user(format!("root's password of group \"{}\" stays", want.name))
                .why(format!(
                    "the host of {} keeps it in its files until they are removed",
                    names.join(", ")
                ))
                .fix(
                    "if who leaves is not trusted, set another root_password_wo in this same apply \
                     (raise root_password_wo_version)",
                )
                .attribute(["root_password_wo_version"]),
        );
    }
    for name in leavers.keys().filter(|n| seen.standing.get(*n) == Some(&Standing::Unreachable)) {
        diags.caution(
            Problem::user(format!("member \"{name}\" leaves group \"{}\" as it is", want.name))
                .why(
                    "its host does not answer: its server is not stopped and its store not set \
                     aside",
                )
                .fix(
                    "if the host comes back, its server stays down; keep its ob_cluster (or \
                     import it again) to destroy it then",
                )
                .attribute(["members"]),
        );
    }
}

fn is_member(of: &Standby, name: &str) -> bool {
    known(&of.members).flatten().is_some_and(|members| members.contains_key(name))
}

/// Warns of who is in the notes and no member.
fn stray(prior: &Standby, next: &Standby, diags: &mut Diagnostics) {
    for name in strays(prior).iter().filter(|name| !is_member(next, name)) {
        let group = text(&next.name).unwrap_or_default();
        diags.caution(
            Problem::user(format!("the notes of group \"{group}\" name \"{name}\", no member"))
                .why(
                    "its joining failed, or a member that did not answer was not told that it left; \
                     `ob start` and `ob failover` go by the notes",
                )
                .fix(
                    "apply: the members' notes no longer name it. Its host is not touched: destroy \
                     its ob_cluster, or remove by hand what was made there",
                )
                .attribute(["members"]),
        );
    }
}

/// Refuses a destroy that was not asked for, and says what a destroy does.
pub fn plan_destroy(prior: &Standby, diags: &mut Diagnostics) {
    found(prior).err().into_iter().for_each(|problem| diags.problem(problem));
    let name = text(&prior.name).unwrap_or_default();
    if prior.deletion_protection != Value::Value(false) {
        diags.problem(
            Problem::refused(format!("group \"{name}\" is protected from destroy"))
                .why("deletion_protection is on")
                .fix("set deletion_protection = false, apply, then destroy")
                .attribute(["deletion_protection"]),
        );
    }
    // Its parts would be taken for what they are not: the one that was fenced for a standby.
    let seen = seen(prior);
    let way = [Standing::Fenced, Standing::Opening, Standing::Rival];
    let moving = seen.standing.values().any(|s| way.contains(s))
        || seen.is(&seen.noted) == Some(Standing::Standby);
    if seen.primary().is_none() && moving {
        diags.problem(
            Problem::refused(format!("group \"{name}\" is in the middle of a move of its role"))
                .why("nobody takes writes, and only one of its members has all rows")
                .fix("apply first: it finishes the move; then destroy"),
        );
    }
    if let Some(graph) = destroy_graph(prior) {
        diags.caution(
            Problem::user(format!(
                "destroy of group \"{name}\": {}; standbys are stopped and their stores set aside",
                count(graph.nodes().len(), "step")
            ))
            .why(graph.titles().join("; "))
            .fix("look at each line before you say yes"),
        );
    }
}

/// The graph of a destroy; `None` while something that shapes it is unknown.
#[must_use]
pub fn destroy_graph(prior: &Standby) -> Option<Graph> {
    Some(database::of(engine(prior)?)?.disband(&want(prior)?, &seen(prior)))
}
