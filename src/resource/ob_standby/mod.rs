//! `ob_standby`: a replication group, with build, switchover, failover and rejoin.
//!
//! The engine (`component::database`) knows the order of steps; the break-glass commands of `ob`
//! use the same knowledge.
mod plan;
mod read;
mod schema;
#[cfg(test)]
mod tests;

pub use plan::{members, seen, want};
pub use schema::{Failover, MemberRef, Standby, instance_attributes};

use super::common::{self, within_plan};
use super::execute::{Job, execute, owner, reader};
use super::place::import_id;
use super::{Applied, ApplyInput, Context, Found, PlanInput, Planned, Resource, Work};
use crate::base::{Problem, Secret};
use crate::component::database::{self, Database, Move, Seen, Standing, Want, Whose};
use crate::engine::lease::{MarkMust, Target};
use crate::engine::{Graph, Key, Node};
use crate::schema::{Diagnostics, Schema};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};

/// The resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObStandby;

#[async_trait]
impl Resource for ObStandby {
    type State = Standby;
    const TYPE: &'static str = "ob_standby";

    fn schema(&self) -> Schema {
        schema::schema()
    }
    fn validate(&self, config: &Standby, diags: &mut Diagnostics) {
        plan::validate(config, diags);
    }
    fn plan(
        &self,
        input: PlanInput<'_, Standby>,
        diags: &mut Diagnostics,
    ) -> Option<Planned<Standby>> {
        plan::plan(input, diags)
    }
    fn plan_destroy(&self, prior: &Standby, diags: &mut Diagnostics) {
        plan::plan_destroy(prior, diags);
    }
    fn planned(&self, prior: Option<&Standby>, planned: Option<&Standby>) -> Result<Work, Problem> {
        planned_graph(prior, planned).map(Into::into)
    }
    async fn read(&self, cx: &Context, state: Standby) -> Result<Found<Standby>, Problem> {
        look(cx, state).await
    }
    async fn import(&self, cx: &Context, id: &str) -> Result<Standby, Problem> {
        read::import(cx, id).await
    }
    fn identity(&self) -> &'static [&'static str] {
        &["id"]
    }

    async fn apply(&self, cx: &Context, input: ApplyInput<'_, Standby>) -> Applied<Standby> {
        let result = match (input.prior, input.planned) {
            (None, Some(planned)) => create(cx, planned, input.config).await,
            (Some(prior), Some(planned)) => update(cx, prior, planned, input.config).await,
            (Some(prior), None) => destroy(cx, prior).await,
            (None, None) => Ok(Applied { state: None, problem: None, warnings: Vec::new() }),
        };
        result.unwrap_or_else(|problem| Applied {
            state: input.prior.cloned(),
            problem: Some(problem),
            warnings: Vec::new(),
        })
    }
}

/// What is true of a group now.
async fn look(cx: &Context, state: Standby) -> Result<Found<Standby>, Problem> {
    read::read(&reader(cx), cx.session.owner.as_deref(), state).await
}

fn unknown_input() -> Problem {
    Problem::internal("a value that must be known at apply is not")
}

fn gone() -> Problem {
    Problem::user("the group is gone").why("no member has its note").fix("plan again")
}

/// The leases that a change needs: the group's, on the hosts of all members, and each member's own.
/// Leaves out the lease of a member whose host is off and that the graph does not touch, and, under
/// a failover consent, that of the dead primary.
#[must_use]
pub fn targets(
    database: &dyn Database,
    want: &Want,
    also: &BTreeMap<String, Node>,
    graph: &Graph,
    seen: &Seen,
) -> Vec<Target> {
    let members: BTreeMap<_, _> = want.members.iter().chain(also).collect();
    let dead = dead(database, graph, seen, want);
    let touched = |i: &Node| graph.nodes().iter().any(|n| *n.step.host() == i.host);
    let off = |n: &str, i| seen.standing.get(n) == Some(&Standing::Unreachable) && !touched(i);
    let hosts = members.values().map(|i| i.host.clone()).collect();
    let gone: Vec<_> =
        dead.and_then(|d| members.get(&d.to_owned())).map(|i| i.host.clone()).into_iter().collect();
    let key = Key::group(&want.name, members.values().copied());
    let group = Target {
        engine: want.engine,
        nodes: members.values().map(|n| (*n).clone()).collect(),
        dead: gone,
        ..Target::new(key, title(want), hosts)
    };
    let own = members.iter().filter(|(n, i)| Some(n.as_str()) != dead && !off(n, i));
    let own = own.map(|(_, node)| Target::node(want.engine, node, MarkMust::BeOurs(None)));
    std::iter::once(group).chain(own).collect()
}

/// The group's name for people.
#[must_use]
pub fn title(want: &Want) -> String {
    format!("standby.{}", want.name)
}

/// The member that a failover in the graph gives up as dead; `None` when the graph has no failover.
fn dead<'a>(
    database: &dyn Database,
    graph: &Graph,
    seen: &'a Seen,
    want: &Want,
) -> Option<&'a str> {
    if !database.moves(graph).contains(&Move::FailOver) {
        return None;
    }
    let down = |n: &str, s: &Standing| {
        n != want.primary
            && matches!(s, Standing::Unreachable | Standing::Stopped | Standing::Stale)
    };
    seen.standing
        .iter()
        .find(|(n, s)| down(n, s) && **n == seen.noted)
        .or_else(|| seen.standing.iter().find(|(n, s)| down(n, s)))
        .map(|(n, _)| n.as_str())
}

/// The write-only values of the configuration, by name.
fn secrets(config: Option<&Standby>) -> BTreeMap<String, Secret> {
    common::root_password(config.map(|c| &c.root_password_wo))
}

async fn create(
    cx: &Context,
    planned: &Standby,
    config: Option<&Standby>,
) -> Result<Applied<Standby>, Problem> {
    let mut want = plan::first(planned).ok_or_else(unknown_input)?;
    let owner = owner(&cx.session)?;
    let database = database::named(want.engine)?;
    // After a lost state the members' notes say how far the group has got. A create does not move
    // the role.
    let whose = Whose { name: &want.name, authority: &owner, creation: "", epoch: 0 };
    let looked = database::look_all(database, &reader(cx), &want.members, whose).await;
    let note = database::newest(&looked);
    want.creation = note.map(|note| note.creation.clone()).unwrap_or_default();
    let planned_graph = database.group(&want)?;
    let (graph, seen) = match note {
        Some(note) => {
            let seen = Seen {
                standing: looked.iter().map(|(n, m)| (n.clone(), m.standing)).collect(),
                epoch: note.epoch,
                noted: note.primary.clone(),
                asked: want.primary.clone(),
                creation: note.creation.clone(),
                // What a host says of addresses leads nobody anywhere.
                members: want.members.clone(),
                strays: database::strays(&looked, &want.members),
            };
            let built =
                seen.standing.values().all(|s| !matches!(s, Standing::Empty | Standing::Building));
            if built {
                (database.lead(&seen, &want, &BTreeMap::new())?, seen)
            } else {
                (database.resume(&want, &seen)?, seen)
            }
        }
        None => (planned_graph.clone(), Seen::default()),
    };
    if seen.epoch > 1 && !(under_way(&seen, &want) && keeps_all(&database.moves(&graph))) {
        within_plan(&planned_graph, &graph, &format!("group \"{}\"", want.name)).map_err(|p| {
            p.fix(format!(
                "its state was lost, and bringing it back needs more than a create shows: import \
                 it (terraform import ob_standby.NAME with the id of a member's directory, such \
                 as \"{}\"), then plan again; nothing was done",
                want.members.values().next().map(import_id).unwrap_or_default()
            ))
        })?;
    }
    let job = Job {
        verb: "create",
        object: title(&want),
        graph: &graph,
        targets: targets(database, &want, &BTreeMap::new(), &graph, &seen),
        secrets: secrets(config),
        epoch: seen.epoch.max(1),
        timeout: common::timeout(&planned.timeouts, "create"),
    };
    let outcome = execute(cx, job).await?;
    finish(cx, planned, outcome.problem).await
}

/// Whether a create may go on without a new plan: the group is on its way to the primary that is
/// asked for, or a planned move was cut after its fence, and nobody takes writes until that is
/// finished.
fn under_way(seen: &Seen, want: &Want) -> bool {
    seen.noted == want.primary || seen.standing.values().any(|s| *s == Standing::Fenced)
}

/// Whether no store is set aside and nothing that was acknowledged can be lost.
fn keeps_all(moves: &BTreeSet<Move>) -> bool {
    moves.iter().all(|m| match m {
        Move::Build | Move::SwitchOver => true,
        Move::Leave | Move::Rebuild | Move::FailOver => false,
    })
}

async fn update(
    cx: &Context,
    prior: &Standby,
    planned: &Standby,
    config: Option<&Standby>,
) -> Result<Applied<Standby>, Problem> {
    let planned_graph = plan::graph(prior, planned)?.ok_or_else(unknown_input)?;
    if planned_graph.is_empty() {
        return finish(cx, planned, None).await;
    }
    let fresh = look(cx, prior.clone()).await?.state.ok_or_else(gone)?;
    let graph = plan::graph(&fresh, planned)?.unwrap_or_default();
    let want = want(planned).ok_or_else(unknown_input)?;
    let database = database::named(want.engine)?;
    within_plan(&planned_graph, &graph, &format!("group \"{}\"", want.name))?;
    let seen = plan::seen(prior);
    let gone: BTreeMap<_, _> = members(prior)
        .unwrap_or_default()
        .into_iter()
        .filter(|(n, _)| !want.members.contains_key(n))
        .collect();
    let moves = database.moves(&planned_graph);
    let failover = moves.contains(&Move::FailOver);
    let verb = match moves.last() {
        Some(Move::FailOver) => "fail over",
        Some(Move::SwitchOver) => "switch over",
        Some(Move::Rebuild) => "rebuild",
        Some(Move::Build | Move::Leave) | None => "update",
    };
    let job = Job {
        verb,
        object: title(&want),
        graph: &planned_graph,
        targets: targets(database, &want, &gone, &planned_graph, &seen),
        secrets: secrets(config),
        epoch: seen.epoch,
        timeout: common::timeout(&planned.timeouts, "update"),
    };
    let outcome = execute(cx, job).await?;
    if outcome.problem.is_some() {
        // The state says what is true now under what was asked before, so the next plan shows what
        // is left of the move. Protection is a matter of the state alone: a group that cannot be
        // repaired can be destroyed next.
        let deletion_protection = planned.deletion_protection;
        let prior = Standby { deletion_protection, ..prior.clone() };
        let state = look(cx, prior).await.ok().and_then(|f| f.state);
        return Ok(Applied { state, problem: outcome.problem, warnings: Vec::new() });
    }
    let mut applied = finish(cx, planned, None).await?;
    if failover
        && let Some(state) = &applied.state
        && let Some(loss) = common::set_text(&state.last_failover)
    {
        applied.warnings.push(Problem::user("the failover may have lost rows").why(loss).fix(
            "when the old primary's host is back, apply again: its store is set aside, and \
             `ob standby diff` lists the rows it has more",
        ));
    }
    Ok(applied)
}

async fn destroy(cx: &Context, prior: &Standby) -> Result<Applied<Standby>, Problem> {
    let graph = plan::destroy_graph(prior).ok_or_else(unknown_input)?;
    let want = want(prior).ok_or_else(unknown_input)?;
    let database = database::named(want.engine)?;
    let job = Job {
        verb: "destroy",
        object: title(&want),
        graph: &graph,
        targets: targets(database, &want, &BTreeMap::new(), &graph, &plan::seen(prior)),
        secrets: BTreeMap::new(),
        epoch: plan::seen(prior).epoch,
        timeout: common::timeout(&prior.timeouts, "delete"),
    };
    let outcome = execute(cx, job).await?;
    let state = outcome.problem.is_some().then(|| prior.clone());
    Ok(Applied { state, problem: outcome.problem, warnings: Vec::new() })
}

async fn finish(
    cx: &Context,
    planned: &Standby,
    problem: Option<Problem>,
) -> Result<Applied<Standby>, Problem> {
    if problem.is_some() {
        return Ok(Applied { state: None, problem, warnings: Vec::new() });
    }
    let found = look(cx, planned.clone()).await?;
    let state = found.state.ok_or_else(gone)?;
    let state = Some(plan::merge(planned, state));
    Ok(Applied { state, problem: None, warnings: found.warnings })
}

/// The graph that apply runs for a change of state.
///
/// # Errors
/// Those of the plan.
fn planned_graph(
    prior: Option<&Standby>,
    planned: Option<&Standby>,
) -> Result<Option<Graph>, Problem> {
    match (prior, planned) {
        (None, Some(planned)) => {
            let Some(want) = plan::first(planned) else { return Ok(None) };
            database::named(want.engine)?.group(&want).map(Some)
        }
        (Some(prior), Some(planned)) => plan::graph(prior, planned),
        (Some(prior), None) => Ok(plan::destroy_graph(prior)),
        (None, None) => Ok(None),
    }
}
