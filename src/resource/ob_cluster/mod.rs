//! `ob_cluster`: a database cluster on hosts, of the engine that the configuration names.
//!
//! - `schema.rs` holds the attributes. `plan.rs` is pure: it says what changes and by which graph.
//!   `read.rs` reads what is true.
//! - This file holds the verbs; nothing here knows SSH or gRPC.
mod plan;
mod read;
mod schema;
#[cfg(test)]
mod tests;

pub use plan::desired;
pub use schema::{
    Cluster, InstanceRef, PackageRef, Server, Timeouts, Zone, package_attributes,
    timeouts as schema_timeouts,
};

use super::common::{self, fill};
use super::execute::{Job, execute, owner, reader};
use super::{Applied, ApplyInput, Claim, Context, Found, PlanInput, Planned, Resource, Work};
use crate::base::{Problem, Secret};
use crate::component::database::{self, Database, Whose, left, vanished};
use crate::engine::lease::{MarkMust, Target};
use crate::engine::{Graph, Impact, Key, Node, Outcome};
use crate::schema::{Diagnostics, Schema, Value};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// The resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObCluster;

#[async_trait]
impl Resource for ObCluster {
    type State = Cluster;
    const TYPE: &'static str = "ob_cluster";

    fn schema(&self) -> Schema {
        schema::schema()
    }
    fn validate(&self, config: &Cluster, diags: &mut Diagnostics) {
        plan::validate(config, diags);
    }
    fn plan(
        &self,
        input: PlanInput<'_, Cluster>,
        diags: &mut Diagnostics,
    ) -> Option<Planned<Cluster>> {
        plan::plan(input, diags)
    }
    fn claims(&self, planned: &Cluster) -> Vec<Claim> {
        plan::claims(planned)
    }
    fn plan_destroy(&self, prior: &Cluster, diags: &mut Diagnostics) {
        plan::plan_destroy(prior, diags);
    }
    async fn foresee(
        &self,
        cx: &Context,
        prior: Option<&Cluster>,
        planned: &Cluster,
    ) -> Vec<Problem> {
        read::foresee(cx, prior, planned).await
    }
    fn planned(&self, prior: Option<&Cluster>, planned: Option<&Cluster>) -> Result<Work, Problem> {
        Ok(planned_graph(prior, planned).into())
    }
    async fn read(&self, cx: &Context, state: Cluster) -> Result<Found<Cluster>, Problem> {
        read::read(&reader(cx), state).await
    }
    async fn import(&self, cx: &Context, id: &str) -> Result<Cluster, Problem> {
        read::import(cx, id).await
    }
    fn identity(&self) -> &'static [&'static str] {
        &["id"]
    }

    async fn apply(&self, cx: &Context, input: ApplyInput<'_, Cluster>) -> Applied<Cluster> {
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

/// The write-only values of the configuration, by name.
fn secrets(config: Option<&Cluster>) -> BTreeMap<String, Secret> {
    common::root_password(config.map(|c| &c.root_password_wo))
}

fn unknown_input() -> Problem {
    Problem::internal("a value that must be known at apply is not")
}

fn targets(database: &dyn Database, node: &Node, mark: MarkMust) -> Vec<Target> {
    vec![Target::node(database.engine(), node, mark)]
}

/// The lease of the group that a node is a member of, so that its restart does not meet that of
/// another member or a move of the role. A note names no member that does not name this one, too:
/// those are left out, as are members that do not answer.
async fn group_of(
    cx: &Context,
    owner: &str,
    database: &'static dyn Database,
    node: &Node,
) -> Result<Option<Target>, Problem> {
    let cx = reader(cx);
    let Some(group) = database.facts(&cx, node).await?.group else { return Ok(None) };
    let here = |m: &Node| m.same_place(node);
    if group.authority != owner || !group.members.values().any(here) {
        return Ok(None);
    }
    let seen = database::look_all(database, &cx, &group.untrusted(), Whose::of(&group)).await;
    let says_so = |name: &str| {
        let note = seen.get(name).and_then(|m| m.note.as_ref());
        note.is_some_and(|n| n.members.values().any(here))
    };
    let mut dead = Vec::new();
    let members: Vec<_> = group
        .untrusted()
        .into_iter()
        .map(|(name, member)| {
            if here(&member) {
                return node.clone();
            }
            if !says_so(&name) {
                dead.push(member.host.clone());
            }
            member
        })
        .collect();
    let key = Key::group(&group.name, members.iter());
    let hosts = members.iter().map(|m| m.host.clone()).collect();
    Ok(Some(Target {
        engine: group.engine,
        dead,
        advisory: true,
        nodes: members.clone(),
        ..Target::new(key, format!("standby.{}", group.name), hosts)
    }))
}

/// What the mark of a cluster must say before a change; an imported one has none before its first.
fn mark_of(prior: &Cluster) -> MarkMust {
    match common::set_text(&prior.creation_id) {
        Some(creation) => MarkMust::BeOurs(Some(creation.to_owned())),
        None => MarkMust::BeOursIfThere(None),
    }
}

/// The object's name for people.
fn title(node: &Node) -> String {
    format!("cluster.{}", node.name)
}

async fn create(
    cx: &Context,
    planned: &Cluster,
    config: Option<&Cluster>,
) -> Result<Applied<Cluster>, Problem> {
    let mut desired = desired(planned).ok_or_else(unknown_input)?;
    let database = plan::database(planned).ok_or_else(unknown_input)?;
    // After a lost state, a member of a group is taken in as it is: its group says whether its
    // server runs, and asks the other members first. If the host cannot say whether it holds a
    // member, this create fails: the host might answer again a moment later.
    desired.initialize &= !database.facts(&reader(cx), &desired.node).await?.member();
    let graph = database.create(&desired);
    let job = Job {
        verb: "create",
        object: title(&desired.node),
        graph: &graph,
        targets: targets(database, &desired.node, MarkMust::BeOursIfThere(None)),
        secrets: secrets(config),
        epoch: 0,
        timeout: common::timeout(&planned.timeouts, "create"),
    };
    let outcome = execute(cx, job).await?;
    finish(cx, planned, outcome, Vec::new()).await
}

async fn update(
    cx: &Context,
    prior: &Cluster,
    planned: &Cluster,
    config: Option<&Cluster>,
) -> Result<Applied<Cluster>, Problem> {
    let planned_graph = plan::graph(prior, planned).ok_or_else(unknown_input)?;
    let fresh = read::by_the_way_of(&reader(cx), prior, planned).await?;
    let graph = plan::graph(&fresh, planned).unwrap_or_default();
    common::within_plan(
        &planned_graph,
        &graph,
        &format!("ob_cluster \"{}\"", common::text(&prior.name).unwrap_or_default()),
    )?;
    let desired = desired(planned).ok_or_else(unknown_input)?;
    let database = plan::database(planned).ok_or_else(unknown_input)?;
    let mut targets = targets(database, &desired.node, mark_of(prior));
    if planned_graph.impact().into_iter().any(Impact::disruptive) {
        targets.extend(group_of(cx, &owner(&cx.session)?, database, &desired.node).await?);
    }
    // Apply runs the planned graph; its steps skip and report what turned out to be done meanwhile.
    let job = Job {
        verb: "update",
        object: title(&desired.node),
        graph: &planned_graph,
        targets,
        secrets: secrets(config),
        epoch: 0,
        timeout: common::timeout(&planned.timeouts, "update"),
    };
    let outcome = execute(cx, job).await?;
    if outcome.problem.is_some() {
        // The state says what is true now under what was asked before, so the next plan shows what
        // is left. Consents are a matter of the state alone: a server that cannot be repaired can be
        // destroyed next.
        let prior = plan::with_consents(prior, planned);
        let state = read::read(&reader(cx), prior).await.ok().and_then(|f| f.state);
        return Ok(Applied { state, problem: outcome.problem, warnings: Vec::new() });
    }
    finish(cx, planned, outcome, Vec::new()).await
}

async fn destroy(cx: &Context, prior: &Cluster) -> Result<Applied<Cluster>, Problem> {
    owner(&cx.session)?;
    let (instance, database) = plan::found(prior)?;
    let graph = plan::destroy_graph(prior).ok_or_else(unknown_input)?;
    // The mark goes last, and a destroy that was cut after that goes on.
    let mark = MarkMust::BeOursIfThere(common::set_text(&prior.creation_id).map(str::to_owned));
    let job = Job {
        verb: "destroy",
        object: title(&instance),
        graph: &graph,
        targets: targets(database, &instance, mark),
        secrets: BTreeMap::new(),
        epoch: 0,
        timeout: common::timeout(&prior.timeouts, "delete"),
    };
    let outcome = execute(cx, job).await?;
    if outcome.problem.is_some() {
        let state = Some(prior.clone());
        return Ok(Applied { state, problem: outcome.problem, warnings: Vec::new() });
    }
    // The object is gone; a host that does not answer just now changes nothing about that.
    let facts = database.facts(&reader(cx), &instance).await.ok();
    let warnings = facts.and_then(|facts| left(&instance, &facts)).into_iter().collect();
    Ok(Applied { state: None, problem: None, warnings })
}

async fn finish(
    cx: &Context,
    planned: &Cluster,
    outcome: Outcome,
    warnings: Vec<Problem>,
) -> Result<Applied<Cluster>, Problem> {
    if outcome.problem.is_some() {
        return Ok(Applied { state: None, problem: outcome.problem, warnings });
    }
    let gone = || plan::instance(planned).map_or_else(unknown_input, |node| vanished(&node));
    let found = read::read(&reader(cx), planned.clone()).await?.state.ok_or_else(gone)?;
    Ok(Applied { state: Some(merge(planned, found)), problem: None, warnings })
}

/// The planned state, with the values filled in that the plan could not know.
fn merge(planned: &Cluster, found: Cluster) -> Cluster {
    let mut state = planned.clone();
    fill(&mut state.id, found.id);
    fill(&mut state.creation_id, found.creation_id);
    fill(&mut state.status, found.status);
    fill(&mut state.build, found.build);
    fill(&mut state.unmanaged, found.unmanaged);
    fill(&mut state.instance, found.instance);
    fill(&mut state.runbook, found.runbook);
    fill(&mut state.impact, found.impact);
    state
}

/// The graph that apply runs for a change of state.
fn planned_graph(prior: Option<&Cluster>, planned: Option<&Cluster>) -> Option<Graph> {
    match (prior, planned) {
        (None, Some(planned)) => Some(plan::database(planned)?.create(&desired(planned)?)),
        (Some(prior), Some(planned)) => plan::graph(prior, planned),
        (Some(prior), None) => plan::destroy_graph(prior),
        (None, None) => None,
    }
}

/// A text value.
pub(super) fn say(text: impl Into<String>) -> Value<String> {
    Value::Value(text.into())
}
