//! `ob runbook plan.json`: what a saved plan will do, step by step, computed by the functions that
//! apply uses.
use super::output::{End, Out};
use super::state_file::json;
use super::steps::{self, Line};
use crate::base::Problem;
use crate::base::units::count;
use crate::operate::planned::{self, Planned};
use crate::resource::Work;
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

/// Runs `ob runbook`.
///
/// # Errors
/// The file is no plan, or a plan of another schema.
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

/// The runbook of a plan.
///
/// # Errors
/// A value does not fit the schema of its type.
pub fn parts(plan: &Json) -> Result<Vec<Part>, Problem> {
    planned::changes(plan).into_iter().map(part).collect()
}

fn part(change: Planned) -> Result<Part, Problem> {
    let part = Part {
        address: change.address,
        action: change.action,
        unknown: false,
        refused: None,
        impact: Vec::new(),
        steps: Vec::new(),
    };
    let (mut steps, impact) = match change.work {
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
        hide(text, &change.secrets);
    }
    Ok(Part { steps, impact, ..part })
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
