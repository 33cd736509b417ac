//! Reads from a terraform state file where our objects are. The file holds none of our secrets and
//! is not changed.
use crate::base::{Address, Problem};
use crate::engine::Host;
use crate::operate::Kit;
use crate::resource::ob_standby::{ObStandby, Standby};
use crate::resource::{Resource, common};
use crate::schema::{Diagnostics, codec};
use crate::transport::Endpoint;
use serde_json::Value as Json;
use std::path::Path;

/// Reads a JSON file.
///
/// # Errors
/// The file cannot be read or is no JSON.
pub fn json(file: &Path, what: &str, fix: &str) -> Result<Json, Problem> {
    let bad = |why: String| {
        Problem::user(format!("cannot read the {what} {}", file.display()))
            .why(why)
            .fix(fix.to_owned())
    };
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    serde_json::from_str(&text.map_err(|e| bad(e.to_string()))?).map_err(|e| bad(e.to_string()))
}

/// Reads a kit.
///
/// # Errors
/// The file cannot be read, or is no kit.
pub fn kit(file: &Path) -> Result<Kit, Problem> {
    let fix = "`ob kit --state FILE` or `ob kit --host user@address` writes one";
    Kit::parse(json(file, "kit", fix)?)
        .map_err(|why| Problem::user(format!("{} is no kit", file.display())).why(why).fix(fix))
}

/// Reads the state.
///
/// # Errors
/// The file is no state of version 4.
pub fn load(file: &Path) -> Result<Json, Problem> {
    let fix =
        "give a terraform.tfstate (`terraform state pull` prints the one of a remote backend)";
    let state = json(file, "state", fix)?;
    if state["version"] != 4 || !state["resources"].is_array() {
        return Err(Problem::user(format!("{} is no terraform state", file.display()))
            .why("it has no \"version\": 4 with \"resources\"")
            .fix(fix));
    }
    Ok(state)
}

/// The attributes of every object of type `kind`, or of every type that begins with `ob_`.
fn objects<'a>(state: &'a Json, kind: Option<&'a str>) -> impl Iterator<Item = &'a Json> {
    let resources = state["resources"].as_array().into_iter().flatten().filter(move |r| {
        let t = r["type"].as_str().unwrap_or_default();
        r["mode"] != "data" && kind.map_or_else(|| t.starts_with("ob_"), |k| t == k)
    });
    resources
        .flat_map(|r| r["instances"].as_array().into_iter().flatten())
        .map(|i| &i["attributes"])
}

/// Every host that an object of ours names, wherever in its attributes.
#[must_use]
pub fn hosts(state: &Json) -> Vec<Host> {
    let mut found = Vec::new();
    objects(state, None).for_each(|o| walk(o, "", &mut found));
    found.sort();
    found.dedup();
    found
}

/// Whether an object of ours says that a database is in a directory of the host at this address and
/// port.
#[must_use]
pub fn has_database(state: &Json, at: (&str, u16), directory: &str) -> bool {
    objects(state, None).any(|o| names_database(o, at, directory))
}

fn names_database(json: &Json, at: (&str, u16), directory: &str) -> bool {
    match json {
        Json::Object(map) => {
            let host = map.get("host").unwrap_or(&Json::Null);
            let here = map.get("base_dir").is_some_and(|d| *d == *directory)
                && host["address"] == *at.0
                && host["port"].as_u64().unwrap_or(22) == u64::from(at.1);
            here || map.values().any(|v| names_database(v, at, directory))
        }
        Json::Array(all) => all.iter().any(|v| names_database(v, at, directory)),
        _ => false,
    }
}

fn walk(json: &Json, run_as: &str, found: &mut Vec<Host>) {
    match json {
        Json::Object(map) => {
            let run_as = map.get("run_as").and_then(Json::as_str).unwrap_or(run_as);
            let text =
                |key: &str| map.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
            if ["name", "address", "port", "user", "identity", "host_key"]
                .iter()
                .all(|k| map.contains_key(*k))
                && let Ok(address) = Address::parse(&text("address"))
            {
                let port = map["port"].as_u64().and_then(|p| u16::try_from(p).ok()).unwrap_or(22);
                let endpoint = Endpoint {
                    name: text("name"),
                    address,
                    port,
                    user: text("user"),
                    identity: text("identity"),
                    host_key: text("host_key"),
                };
                found.push(common::host(endpoint, run_as));
            }
            map.values().for_each(|v| walk(v, run_as, found));
        }
        Json::Array(all) => all.iter().for_each(|v| walk(v, run_as, found)),
        _ => {}
    }
}

/// The replication groups in a state.
#[must_use]
pub fn groups(state: &Json) -> Vec<Standby> {
    let schema = ObStandby.schema();
    let typed = |json: &Json| {
        let mut diags = Diagnostics::default();
        let tree = codec::from_json(&schema, "state", json, &mut diags).ok()?;
        codec::typed::<Standby>("state", tree, &mut diags).ok().map(|d| d.state)
    };
    objects(state, Some(ObStandby::TYPE)).filter_map(typed).collect()
}
