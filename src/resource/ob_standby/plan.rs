//! Pure: configuration and prior state to the planned state and the graph.
use super::schema::Standby;
use crate::base::ObjectName;
use crate::base::Problem;
use crate::base::units::count;
use crate::component::seekdb::Instance;
use crate::component::seekdb::group::Standing;
use crate::component::seekdb::pair::{self, Seen, Want};
use crate::component::seekdb::steps::{Activate, BeginStore, Promote, SetAside};
use crate::engine::Graph;
use crate::engine::{Node, StepKind};
use crate::resource::common::{impact, known, runbook, set_text, text};
use crate::resource::{PlanInput, Planned};
use crate::schema::{Diagnostics, Report, Value};
use std::collections::BTreeMap;

/// The members of a state; `None` while one is unknown.
#[must_use]
pub fn members(state: &Standby) -> Option<BTreeMap<String, Node>> {
    known(&state.members)??
        .iter()
        .map(|(name, m)| Some((name.clone(), known(&known(m)??.instance)??.instance()?)))
        .collect()
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
    Some(Want {
        name: ObjectName::parse(&text(&state.name)?).ok()?,
        members: members(state)?,
        packages: packages?,
        primary: text(&state.primary)?,
        failover,
    })
}

/// What the last read saw.
#[must_use]
pub fn seen(prior: &Standby) -> Seen {
    let mut standing = BTreeMap::new();
    if let Value::Value(status) = &prior.member_status {
        for (name, word) in status {
            standing.extend(set_text(word).and_then(Standing::parse).map(|s| (name.clone(), s)));
        }
    }
    let epoch = known(&prior.epoch).flatten().and_then(|e| u64::try_from(*e).ok()).unwrap_or(0);
    Seen {
        standing,
        epoch,
        noted: text(&prior.noted_primary).unwrap_or_default(),
        asked: text(&prior.primary).unwrap_or_default(),
    }
}

/// Members that the new configuration does not name any more.
fn gone(prior: &Standby, next: &Want) -> BTreeMap<String, Node> {
    members(prior)
        .unwrap_or_default()
        .into_iter()
        .filter(|(n, _)| !next.members.contains_key(n))
        .collect()
}

/// The graph that leads from what `prior` (refreshed) shows to what `next` asks for.
///
/// # Errors
/// It must not or cannot be done.
pub fn graph(prior: &Standby, next: &Standby) -> Result<Option<Graph>, Problem> {
    let Some(want) = want(next) else { return Ok(None) };
    pair::update(&seen(prior), &want, &gone(prior, &want)).map(Some)
}

/// Everything wrong with a configuration by itself.
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
    if let Value::Value(failover) = &config.failover
        && let Value::Value(to) = &failover.to
        && !members.contains_key(to)
    {
        diags.problem(
            Problem::user(format!("failover to \"{to}\": no such member"))
                .why(format!("members: {names}"))
                .fix("name one of them")
                .attribute(["failover", "to"]),
        );
    }
    let instances: BTreeMap<_, _> = members
        .iter()
        .filter_map(|(n, m)| Some((n, known(&known(m)??.instance)??.instance()?)))
        .collect();
    for (a, x) in &instances {
        for (b, y) in instances.iter().filter(|(b, _)| *b > a) {
            if x.host.endpoint.address == y.host.endpoint.address
                && (x.directory == y.directory || x.sql_port() == y.sql_port())
            {
                diags.problem(
                    Problem::user(format!("members \"{a}\" and \"{b}\" are one and the same"))
                        .why("same host and same directory or port")
                        .fix("give each member an ob_cluster of its own")
                        .attribute(["members"]),
                );
            }
        }
    }
}

/// Makes the planned state.
pub fn plan(input: PlanInput<'_, Standby>, diags: &mut Diagnostics) -> Option<Planned<Standby>> {
    let mut next = input.proposed.clone();
    // Not `next`: core keeps the prior value of a line that was removed, and protection is the
    // default.
    if input.config.deletion_protection.is_null() {
        next.deletion_protection = Value::Value(true);
    }
    next.id = next.name.clone();
    let Some(prior) = input.prior else {
        unknown_facts(&mut next);
        match want(&next) {
            Some(want) => {
                let graph = pair::create(&want).unwrap_or_else(|problem| {
                    diags.problem(problem);
                    Graph::new()
                });
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
            if !graph.is_empty() {
                unknown_facts(&mut next);
                next.runbook = runbook(&headline(prior, &next, &graph), &graph);
                next.impact = impact(&graph);
            } else if prior.members != next.members {
                // A member's reference changed (its package): nothing to do here, but the endpoint
                // repeats it.
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

fn headline(prior: &Standby, next: &Standby, graph: &Graph) -> String {
    let (from, to) =
        (text(&prior.current_primary).unwrap_or_default(), text(&next.primary).unwrap_or_default());
    let has = |kind: StepKind| graph.nodes().iter().any(|n| n.step.kind() == kind);
    if has(Activate::KIND) {
        format!("FAIL OVER from {} to {to}", text(&prior.noted_primary).unwrap_or_default())
    } else if has(Promote::KIND) {
        let from =
            if from.is_empty() { text(&prior.noted_primary).unwrap_or_default() } else { from };
        // Noted already as who has the role: it was cut on its way there.
        if from == to {
            format!("finish the switchover to {to}")
        } else {
            format!("switch over from {from} to {to}")
        }
    } else if has(SetAside::KIND) {
        format!("rebuild the standbys of {to}")
    } else if has(BeginStore::KIND) {
        format!("build standbys of {to}")
    } else {
        "bring members back".to_owned()
    }
}

/// The role is elsewhere than asked, and nobody asked for a change: said, never undone.
fn differs(prior: &Standby, next: &Standby, diags: &mut Diagnostics) {
    let (asked, now) =
        (text(&next.primary).unwrap_or_default(), text(&prior.current_primary).unwrap_or_default());
    if prior.primary == next.primary && !now.is_empty() && now != asked {
        diags.caution(
            Problem::user(format!("group \"{}\": primary is \"{now}\", the configuration says \"{asked}\"", text(&next.name).unwrap_or_default()))
                .why("the role was moved by somebody else (ob, OCP, by hand); an apply never moves it back by itself")
                .fix(format!("set primary = \"{now}\" to take it as it is; to move it, apply that first, then set primary = \"{asked}\""))
                .attribute(["primary"]),
        );
    }
}

/// A member leaves whose host does not answer.
fn left_behind(prior: &Standby, next: &Standby, diags: &mut Diagnostics) {
    let Some(want) = want(next) else { return };
    let seen = seen(prior);
    for name in
        gone(prior, &want).keys().filter(|n| seen.standing.get(*n) == Some(&Standing::Unreachable))
    {
        diags.caution(
            Problem::user(format!("member \"{name}\" leaves group \"{}\" as it is", want.name))
                .why("its host does not answer: its server is not stopped and its store not set aside")
                .fix("if the host comes back, its server stays down; keep its ob_cluster (or import it again) to destroy it then")
                .attribute(["members"]),
        );
    }
}

/// Refuses what was not asked for, and says what a destroy does.
pub fn plan_destroy(prior: &Standby, diags: &mut Diagnostics) {
    let name = text(&prior.name).unwrap_or_default();
    if prior.deletion_protection != Value::Value(false) {
        diags.problem(
            Problem::refused(format!("group \"{name}\" is protected from destroy"))
                .why("deletion_protection is on")
                .fix("set deletion_protection = false, apply, then destroy")
                .attribute(["deletion_protection"]),
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

/// The graph of a destroy.
#[must_use]
pub fn destroy_graph(prior: &Standby) -> Option<Graph> {
    let seen = seen(prior);
    let primary = seen.primary().map_or_else(|| seen.noted.clone(), str::to_owned);
    Some(pair::destroy(&members(prior)?, &primary, seen.epoch))
}
