//! `ob runbook plan.json`: what a saved plan will do, step by step, computed by the functions that
//! apply uses.
use super::output::{End, Out};
use super::state_file::json;
use super::steps::{self, Line};
use crate::base::Problem;
use crate::base::units::count;
use crate::component::mysql::Statement;
use crate::engine::Graph;
use crate::resource::{
    Resource, ob_access, ob_cluster, ob_database, ob_grant, ob_host, ob_standby, ob_user,
};
use crate::schema::{Diagnostics, codec};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// Which plan.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output of `terraform show -json PLANFILE`; - is standard input.
    plan: PathBuf,
}

/// What a change does.
enum Work {
    /// Steps on hosts.
    Steps(Graph),
    /// Statements in one session.
    Sql(Vec<Statement>),
    /// An input is not known before apply.
    Unknown,
}

impl From<Option<Graph>> for Work {
    fn from(graph: Option<Graph>) -> Self {
        graph.map_or(Self::Unknown, Self::Steps)
    }
}

/// From both sides of a change to what it does.
type Planner = fn(&Change<'_>) -> Result<Work, Problem>;

/// One line per type: what it does by the function that its apply uses.
const TYPES: &[(&str, Planner)] = &[
    ("ob_host", |c| {
        Ok(ob_host::planned_graph(
            c.before(&ob_host::ObHost)?.as_ref(),
            c.after(&ob_host::ObHost)?.as_ref(),
        )
        .into())
    }),
    ("ob_cluster", |c| {
        Ok(ob_cluster::planned_graph(
            c.before(&ob_cluster::ObCluster)?.as_ref(),
            c.after(&ob_cluster::ObCluster)?.as_ref(),
        )
        .into())
    }),
    ("ob_standby", |c| {
        Ok(ob_standby::planned_graph(
            c.before(&ob_standby::ObStandby)?.as_ref(),
            c.after(&ob_standby::ObStandby)?.as_ref(),
        )?
        .into())
    }),
    ("ob_database", |c| sql(c, &ob_database::ObDatabase, ob_database::planned_statements)),
    ("ob_user", |c| sql(c, &ob_user::ObUser, ob_user::planned_statements)),
    ("ob_grant", |c| sql(c, &ob_grant::ObGrant, ob_grant::planned_statements)),
    ("ob_access", |c| sql(c, &ob_access::ObAccess, ob_access::planned_statements)),
];

/// The statements of one type.
fn sql<R: Resource>(
    c: &Change<'_>,
    resource: &R,
    statements: fn(Option<&R::State>, Option<&R::State>) -> Result<Vec<Statement>, Problem>,
) -> Result<Work, Problem> {
    Ok(Work::Sql(statements(c.before(resource)?.as_ref(), c.after(resource)?.as_ref())?))
}

/// A change of one object as the plan's JSON has it.
struct Change<'a> {
    before: &'a Json,
    after: &'a Json,
    unknown: &'a Json,
}

impl Change<'_> {
    fn typed<R: Resource>(
        resource: &R,
        what: &str,
        json: &Json,
        unknown: &Json,
    ) -> Result<Option<R::State>, Problem> {
        if json.is_null() {
            return Ok(None);
        }
        let mut diags = Diagnostics::default();
        let state = codec::from_plan(&resource.schema(), what, json, unknown, &mut diags)
            .and_then(|tree| codec::typed(what, tree, &mut diags));
        state.map(|d| Some(d.state)).map_err(|_| {
            let why = diags
                .errors
                .iter()
                .map(|e| format!("{}: {}", e.summary, e.detail))
                .collect::<Vec<_>>()
                .join("; ");
            Problem::user(format!("the {what} of {} does not fit this version's schema", R::TYPE))
                .why(why)
                .fix("use the `ob` of the same release as the provider that made the plan")
        })
    }
    fn before<R: Resource>(&self, resource: &R) -> Result<Option<R::State>, Problem> {
        Self::typed(resource, "prior state", self.before, &Json::Null)
    }
    fn after<R: Resource>(&self, resource: &R) -> Result<Option<R::State>, Problem> {
        Self::typed(resource, "planned state", self.after, self.unknown)
    }
}

/// The runbook of one object's change.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Part {
    /// Address in the configuration.
    pub address: String,
    /// `create`, `update`, `delete`.
    pub action: String,
    /// True when the steps cannot be told before apply.
    pub unknown: bool,
    /// Why the change is refused, if it is.
    pub refused: Option<String>,
    /// What it does to users.
    pub impact: Vec<String>,
    /// The steps in an order that respects every edge.
    pub steps: Vec<Line>,
}

/// Runs it.
///
/// # Errors
/// The file is no plan, or of another schema.
pub fn run(out: &Out, args: &Args) -> Result<End, Problem> {
    let fix = "terraform plan -out=p && terraform show -json p > plan.json";
    let plan = json(&args.plan, "plan", fix)?;
    if !plan["resource_changes"].is_array() && plan["format_version"].is_null() {
        return Err(Problem::user(format!("{} is no plan in JSON", args.plan.display()))
            .why("it has neither format_version nor resource_changes")
            .fix(fix));
    }
    let parts = parts(&plan)?;
    out.data(&parts, || show(&parts))?;
    Ok(if parts.iter().any(|p| p.refused.is_some()) { End::Refused } else { End::Done })
}

/// The runbook of a plan; objects of other providers and those without a change are passed over.
///
/// # Errors
/// A value does not fit the schema of its type.
pub fn parts(plan: &Json) -> Result<Vec<Part>, Problem> {
    let mut out = Vec::new();
    for change in plan["resource_changes"].as_array().into_iter().flatten() {
        let provider = change["provider_name"].as_str().unwrap_or_default();
        let kind = change["type"].as_str().unwrap_or_default();
        if change["mode"] == "data" || !provider.ends_with("/oceanbase/ob") {
            continue;
        }
        let body = &change["change"];
        let actions: Vec<_> =
            body["actions"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        for action in actions.into_iter().filter(|a| matches!(*a, "create" | "update" | "delete")) {
            let Some((_, planner)) = TYPES.iter().find(|(t, _)| *t == kind) else { continue };
            let sides = match action {
                "create" => Change {
                    before: &Json::Null,
                    after: &body["after"],
                    unknown: &body["after_unknown"],
                },
                "delete" => {
                    Change { before: &body["before"], after: &Json::Null, unknown: &Json::Null }
                }
                _ => Change {
                    before: &body["before"],
                    after: &body["after"],
                    unknown: &body["after_unknown"],
                },
            };
            let address = change["address"].as_str().unwrap_or_default();
            out.push(part(address, action, planner(&sides), &secrets(body))?);
        }
    }
    Ok(out)
}

fn part(
    address: &str,
    action: &str,
    work: Result<Work, Problem>,
    secrets: &BTreeMap<String, String>,
) -> Result<Part, Problem> {
    let part = Part {
        address: address.into(),
        action: action.into(),
        unknown: false,
        refused: None,
        impact: Vec::new(),
        steps: Vec::new(),
    };
    let (mut steps, impact) = match work {
        Ok(Work::Unknown) => return Ok(Part { unknown: true, ..part }),
        Ok(Work::Sql(all)) => (steps::statements(&all), Vec::new()),
        Ok(Work::Steps(graph)) => (steps::lines(&graph), steps::impact(&graph)),
        Err(problem) if problem.kind == crate::base::Kind::Refused => {
            return Ok(Part { refused: Some(problem.to_string()), ..part });
        }
        Err(problem) => return Err(problem),
    };
    for text in steps.iter_mut().flat_map(|l| {
        let arguments = l.program.iter_mut().flat_map(|p| p.arguments.iter_mut());
        l.effects
            .iter_mut()
            .chain(arguments)
            .chain(std::iter::once(&mut l.title))
            .chain(l.way_back.iter_mut().flat_map(|b| b.effects.iter_mut()))
    }) {
        hide(text, secrets);
    }
    Ok(Part { steps, impact, ..part })
}

/// Texts that the plan marks as sensitive, with the name to show for each.
fn secrets(change: &Json) -> BTreeMap<String, String> {
    fn walk(value: &Json, mark: &Json, path: &str, found: &mut BTreeMap<String, String>) {
        match (value, mark) {
            (Json::Object(all), m) => all.iter().for_each(|(k, v)| {
                let mark = if m == &Json::Bool(true) { m } else { &m[k.as_str()] };
                walk(
                    v,
                    mark,
                    &if path.is_empty() { k.clone() } else { format!("{path}.{k}") },
                    found,
                );
            }),
            (Json::Array(all), m) => all.iter().enumerate().for_each(|(i, v)| {
                walk(v, if m == &Json::Bool(true) { m } else { &m[i] }, path, found)
            }),
            (Json::String(text), Json::Bool(true)) if !text.is_empty() => {
                drop(found.insert(text.clone(), path.to_owned()))
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    walk(&change["before"], &change["before_sensitive"], "", &mut found);
    walk(&change["after"], &change["after_sensitive"], "", &mut found);
    found
}

fn hide(text: &mut String, secrets: &BTreeMap<String, String>) {
    for (secret, name) in secrets {
        if text.contains(secret.as_str()) {
            *text = text.replace(secret.as_str(), &format!("<{name}>"));
        }
    }
}

fn show(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        let head = format!("{} {}", part.action, part.address);
        if part.unknown {
            let _ = writeln!(
                text,
                "{head}: unknown inputs: the steps depend on values that only apply knows\n"
            );
            continue;
        }
        if let Some(refused) = &part.refused {
            let _ = writeln!(text, "{head}: refused: {refused}\n");
            continue;
        }
        let impact = if part.impact.is_empty() {
            String::new()
        } else {
            format!(", {}", part.impact.join(", "))
        };
        let _ = writeln!(
            text,
            "{head}: {}{impact}\n{}",
            count(part.steps.len(), "step"),
            steps::show(&part.steps)
        );
    }
    if parts.is_empty() { "no changes of ours".into() } else { text }
}
