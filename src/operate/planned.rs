//! What a saved plan will do, computed by the functions that apply uses.
mod order;

use crate::base::Problem;
use crate::resource::{DataSource, Resource, Visitor, Work, register};
use crate::schema::{Diagnostics, codec};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The change of one object in a plan.
#[derive(Debug)]
pub struct Planned {
    /// Address in the configuration.
    pub address: String,
    /// `create`, `update`, `delete`.
    pub action: String,
    /// What the change does, or why it must not be made.
    pub work: Result<Work, Problem>,
    /// Texts that the plan marks as sensitive, with the name to show for each.
    pub secrets: BTreeMap<String, String>,
}

/// Both sides of a change, as the plan's JSON has them. Visits all resource types, and computes the
/// work with the type of this change.
struct Sides<'a> {
    kind: &'a str,
    before: &'a Json,
    after: &'a Json,
    unknown: &'a Json,
    work: Option<Result<Work, Problem>>,
}

impl Visitor for Sides<'_> {
    fn resource<R: Resource>(&mut self, resource: R) {
        if R::TYPE != self.kind {
            return;
        }
        let work = || {
            let before = typed(&resource, "prior state", self.before, &Json::Null)?;
            let after = typed(&resource, "planned state", self.after, self.unknown)?;
            resource.planned(before.as_ref(), after.as_ref())
        };
        self.work = Some(work());
    }
    fn data_source<D: DataSource>(&mut self, _: D) {}
}

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

/// The changes of a plan, in an order in which apply may make them. Objects of other providers and
/// objects without a change are left out.
#[must_use]
pub fn changes(plan: &Json) -> Vec<Planned> {
    let order = order::Order::of(plan);
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
            let (before, after, unknown) =
                (&body["before"], &body["after"], &body["after_unknown"]);
            let (before, after, unknown) = match action {
                "create" => (&Json::Null, after, unknown),
                "delete" => (before, &Json::Null, &Json::Null),
                _ => (before, after, unknown),
            };
            let mut sides = Sides { kind, before, after, unknown, work: None };
            register(&mut sides);
            let Some(work) = sides.work else { continue };
            let address = change["address"].as_str().unwrap_or_default();
            let first = body["actions"][0].as_str().unwrap_or_default();
            let place = order.place(address, action, first);
            let (address, action) = (address.to_owned(), action.to_owned());
            out.push((place, Planned { address, action, work, secrets: secrets(body) }));
        }
    }
    // Terraform lists the changes by alphabet.
    out.sort_by_key(|(place, _)| *place);
    out.into_iter().map(|(_, planned)| planned).collect()
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
