//! `ob_host`: a host that is reached over SSH, and what is prepared on it.
//!
//! - `schema.rs` holds the attributes. `plan.rs` is pure: it says what changes and by which graph.
//!   `read.rs` reads what is true.
//! - This file holds the verbs; nothing here knows SSH or gRPC.
mod plan;
mod read;
mod schema;
#[cfg(test)]
mod tests;

pub use plan::{connection, desired};
pub use read::{devices, host, parse_id};
pub use schema::{Disk, HostState, Network, Prepare};

use super::execute::{Job, execute, reader};
use super::{Applied, ApplyInput, Context, Found, PlanInput, Planned, Resource, Work, common};
use crate::base::{Kind, Problem};
use crate::component::host::objects;

use crate::engine::{Graph, Outcome};
use crate::schema::{Diagnostics, Schema, Value};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// The resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObHost;

#[async_trait]
impl Resource for ObHost {
    type State = HostState;
    const TYPE: &'static str = "ob_host";

    fn schema(&self) -> Schema {
        schema::schema()
    }
    fn validate(&self, config: &HostState, diags: &mut Diagnostics) {
        plan::validate(config, diags);
    }
    fn plan(
        &self,
        input: PlanInput<'_, HostState>,
        diags: &mut Diagnostics,
    ) -> Option<Planned<HostState>> {
        plan::plan(input, diags)
    }
    fn plan_destroy(&self, prior: &HostState, diags: &mut Diagnostics) {
        plan::plan_destroy(prior, diags);
    }
    async fn foresee(
        &self,
        cx: &Context,
        prior: Option<&HostState>,
        planned: &HostState,
    ) -> Vec<Problem> {
        read::foresee(cx, prior, planned).await
    }
    fn planned(
        &self,
        prior: Option<&HostState>,
        planned: Option<&HostState>,
    ) -> Result<Work, Problem> {
        Ok(plan::graph(prior, planned).into())
    }
    async fn read(&self, cx: &Context, state: HostState) -> Result<Found<HostState>, Problem> {
        read::read(cx, state).await
    }
    async fn import(&self, cx: &Context, id: &str) -> Result<HostState, Problem> {
        read::import(cx, id).await
    }
    fn identity(&self) -> &'static [&'static str] {
        &["id"]
    }

    async fn apply(&self, cx: &Context, input: ApplyInput<'_, HostState>) -> Applied<HostState> {
        let result = match (input.prior, input.planned) {
            (prior, Some(planned)) => make(cx, prior, planned).await,
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

fn unknown_input() -> Problem {
    Problem::internal("a value that must be known at apply is not")
}

async fn run(
    cx: &Context,
    verb: &str,
    state: &HostState,
    graph: &Graph,
) -> Result<Outcome, Problem> {
    let site = desired(state).ok_or_else(unknown_input)?.site;
    let timeout = common::timeout(&state.timeouts, if verb == "destroy" { "delete" } else { verb });
    let job = Job {
        verb,
        object: site.title(),
        graph,
        targets: vec![site.target()],
        secrets: BTreeMap::new(),
        epoch: 0,
        timeout,
    };
    execute(cx, job).await
}

async fn make(
    cx: &Context,
    prior: Option<&HostState>,
    planned: &HostState,
) -> Result<Applied<HostState>, Problem> {
    let graph = plan::graph(prior, Some(planned)).ok_or_else(unknown_input)?;
    let asked = desired(planned).ok_or_else(unknown_input)?;
    let another_way = prior.is_none_or(|p| plan::another_way(p, planned));
    if graph.is_empty() && !another_way {
        // Only words about the host changed (labels, region), or what is to be checked of its
        // network.
        if prior.is_some_and(|p| p.network != planned.network)
            && let Some(problem) = read::only_looks(&reader(cx), &asked).await?.into_iter().next()
        {
            return Err(problem);
        }
        return Ok(Applied {
            state: Some(read::merge(planned, planned.clone())),
            problem: None,
            warnings: Vec::new(),
        });
    }
    if let Some(prior) = prior.filter(|_| !graph.is_empty()) {
        within(cx, prior, planned, &graph).await?;
    }
    if graph.is_empty() {
        if let Some(problem) = read::only_looks(&reader(cx), &asked).await?.into_iter().next() {
            return Err(problem);
        }
    } else {
        let outcome =
            run(cx, if prior.is_some() { "update" } else { "create" }, planned, &graph).await?;
        if outcome.problem.is_some() {
            // The state says what is true now under what was asked before, so the next plan shows
            // what is left.
            let state = match prior {
                Some(prior) => read::read(cx, prior.clone()).await.ok().and_then(|f| f.state),
                None => None,
            };
            return Ok(Applied { state, problem: outcome.problem, warnings: Vec::new() });
        }
    }
    // A way that leads in nowhere never gets into the state: each refresh would take it.
    let found = read::read(cx, planned.clone()).await?;
    if let Some(problem) = found.warnings.iter().find(|w| w.kind == Kind::Unreachable) {
        // The warning of a read says that the last known state is used; an apply does not use it.
        return Err(Problem { then: String::new(), ..problem.clone() });
    }
    let state = found.state.ok_or_else(|| Problem::internal("a host is never gone"))?;
    if let Value::Value(drift) = &state.drift
        && let Some((part, why)) = drift.iter().next()
    {
        return Err(Problem::user(format!(
            "host \"{}\" does not stay as it was prepared",
            plan::name(planned)
        ))
        .why(format!("{part}: {}", common::set_text(why).unwrap_or_default()))
        .fix(
            "find out what else sets it (another tool, a cron job), then run the same command \
             again",
        ));
    }
    Ok(Applied {
        state: Some(read::merge(planned, state)),
        problem: None,
        warnings: found.warnings,
    })
}

/// Refuses work that the plan did not show, because the host has changed since.
async fn within(
    cx: &Context,
    prior: &HostState,
    planned: &HostState,
    graph: &Graph,
) -> Result<(), Problem> {
    let there = HostState {
        address: planned.address.clone(),
        port: planned.port,
        user: planned.user.clone(),
        identity: planned.identity.clone(),
        host_key: planned.host_key.clone(),
        ..prior.clone()
    };
    let found = read::read(cx, there).await?;
    if let Some(problem) = found.warnings.iter().find(|w| w.kind == Kind::Unreachable) {
        return Err(problem.clone());
    }
    let mut fresh = found.state.unwrap_or_else(|| prior.clone());
    if plan::moved(prior, planned) {
        // If nothing of ours is at the new address, the step that looks for the record refuses with
        // a better text.
        (fresh.address, fresh.port, fresh.drift) =
            (prior.address.clone(), prior.port, prior.drift.clone());
    }
    let fresh = plan::graph(Some(&fresh), Some(planned)).ok_or_else(unknown_input)?;
    common::within_plan(graph, &fresh, &format!("host \"{}\"", plan::name(planned)))
}

async fn destroy(cx: &Context, prior: &HostState) -> Result<Applied<HostState>, Problem> {
    let graph = plan::graph(Some(prior), None).ok_or_else(unknown_input)?;
    if graph.is_empty() {
        let at = host(prior)?;
        let here = match objects::read(&reader(cx), &at, &[]).await {
            Ok(here) => here,
            Err(problem) if problem.unseen() => {
                return Ok(Applied {
                    state: None,
                    problem: None,
                    warnings: vec![Problem {
                        what: format!(
                            "host \"{}\" was forgotten without a look at it",
                            plan::name(prior)
                        ),
                        then: String::new(),
                        ..problem
                    }],
                });
            }
            Err(problem) => return Err(problem),
        };
        if let Some(o) = here.iter().find(|o| o.unfinished()) {
            let op = o.mark.as_ref().map_or("?", |m| m.operation.as_str());
            return Err(Problem::refused(format!(
                "an unfinished operation lies on host \"{}\"",
                plan::name(prior)
            ))
            .place(at.endpoint.show())
            .why(format!("{} in {}: operation {op} did not end", o.title, o.base))
            .fix(format!(
                "apply its configuration again so that it ends, or give it up with \
                 `ob operation abandon {op}`; then destroy the host"
            )));
        }
        return Ok(Applied { state: None, problem: None, warnings: Vec::new() });
    }
    let outcome = run(cx, "destroy", prior, &graph).await?;
    let state = match &outcome.problem {
        Some(_) => Some(
            read::read(cx, prior.clone())
                .await
                .ok()
                .and_then(|f| f.state)
                .unwrap_or_else(|| prior.clone()),
        ),
        None => None,
    };
    Ok(Applied { state, problem: outcome.problem, warnings: Vec::new() })
}
