//! Reads what is true: facts go into the state, what is not as declared into `drift`.
use super::plan::{connection, desired, import_id, name};
use super::schema::{Disk, HostState, Prepare};
use crate::base::{ImportId, Kind, ObjectName, Problem};
use crate::component::host::flow::{self, Desired};
use crate::component::host::{Facts, Record, facts, objects, record};
use crate::engine::Key;
use crate::engine::mark::Stage;
use crate::engine::{Check, Cx, Host};
use crate::program;
use crate::resource::common::{self, Texts, fill};
use crate::resource::execute::reader;
use crate::resource::place;
use crate::resource::{Context, Found};
use crate::schema::Value;
use crate::transport::Endpoint;
use std::collections::BTreeMap;

/// The host of a state, with its login user.
///
/// # Errors
/// Something about the host is unknown.
pub fn host(state: &HostState) -> Result<Host, Problem> {
    super::plan::host(state).ok_or_else(|| common::bad_state("an ob_host", "where it is"))
}

/// How a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// As declared.
    Ready,
    /// Something differs from its declaration: `drift` says what.
    Drifted,
    /// A preparation began and did not end.
    Building,
    /// The end of a preparation began and did not end.
    Destroying,
    /// It does not answer.
    Unreachable,
}

impl Status {
    fn value(self) -> Value<String> {
        Value::Value(<&str>::from(self).to_owned())
    }
}

/// Looks at the host.
///
/// # Errors
/// A host that does not answer is no error but a status. Errors are problems with which the read
/// cannot go on.
pub async fn read(cx: &Context, mut state: HostState) -> Result<Found<HostState>, Problem> {
    let before = state.clone();
    match look(cx, &mut state).await {
        Ok(warnings) => Ok(Found { state: Some(state), warnings }),
        Err(problem) if problem.unseen() => Ok(unreachable(before, problem)),
        Err(problem) => Err(problem),
    }
}

async fn look(cx: &Context, state: &mut HostState) -> Result<Vec<Problem>, Problem> {
    let (at, cx, owner) = (host(state)?, reader(cx), cx.session.owner.clone());
    take(state, &facts::read(&cx, &at).await?);
    let mut warnings = Vec::new();
    let Some(d) = desired(state) else {
        return Err(Problem::internal("the state of a host holds something unknown"));
    };
    let mut drift = BTreeMap::new();
    let mut status = Status::Ready;
    if d.prepare.is_some() {
        let found = record::read(&cx, &d.site.host).await?;
        status = prepared(&cx, &d, &found, owner.as_deref(), &mut drift, &mut warnings).await?;
        if found.exists()
            && owner.as_deref() == Some(found.text("owner"))
            && !state.creation_id.is_value()
        {
            state.creation_id = Value::Value(found.text("creation").to_owned());
        }
    }
    for problem in only_looks(&cx, &d).await? {
        warnings.push(problem);
    }
    let users: Vec<_> =
        d.prepare.iter().filter_map(|p| p.user.as_ref().map(|u| u.name.clone())).collect();
    let here = objects::read(&cx, &at, &users).await?;
    warnings.extend(here.iter().filter_map(|o| o.warning(&at)));
    state.drift = Value::Value(drift.into_iter().map(|(k, v)| (k, Value::Value(v))).collect());
    state.status = status.value();
    Ok(warnings)
}

/// Compares each part with its declaration, with the same checks that apply uses.
async fn prepared(
    cx: &Cx,
    d: &Desired,
    found: &Record,
    owner: Option<&str>,
    drift: &mut BTreeMap<String, String>,
    warnings: &mut Vec<Problem>,
) -> Result<Status, Problem> {
    if !found.exists() {
        drift.insert("record".into(), "the record of the preparation is not on the host".into());
        return Ok(Status::Drifted);
    }
    if owner.is_some_and(|o| o != found.text("owner")) {
        warnings.push(
            Problem::user(format!("host \"{}\" is prepared by somebody else", d.site.name))
                .place(d.site.host.endpoint.show())
                .why(format!("its record says owner \"{}\"", found.text("owner")))
                .fix(
                    "if it is yours, correct owner in the provider block; else leave prepare out \
                     here",
                ),
        );
        return Ok(Status::Ready);
    }
    if found.stage() == Some(Stage::Destroying) {
        return Ok(Status::Destroying);
    }
    let parts = d.prepare.as_ref().map(|p| flow::parts(&d.site, p)).unwrap_or_default();
    for (part, step) in parts {
        match step.check(cx).await? {
            Check::Done => {}
            Check::Needed(why) | Check::Partial(why) | Check::Unknown(why) => {
                drift.insert(part, why);
            }
            Check::Refused(problem) => warnings.push(problem),
        }
    }
    if found.stage() == Some(Stage::Building) {
        drift.insert(
            "preparation".into(),
            format!("operation {} did not end", found.text("operation")),
        );
        return Ok(Status::Building);
    }
    Ok(if drift.is_empty() { Status::Ready } else { Status::Drifted })
}

/// Checks the clock and the network against the declaration.
///
/// # Errors
/// The host cannot be reached.
pub async fn only_looks(cx: &Cx, d: &Desired) -> Result<Vec<Problem>, Problem> {
    let mut problems = Vec::new();
    for node in flow::checks(d).nodes() {
        match node.step.check(cx).await? {
            Check::Refused(problem) => problems.push(problem),
            Check::Unknown(why) | Check::Needed(why) | Check::Partial(why) => problems.push(
                Problem::user(format!("cannot {}", node.step.title()))
                    .place(d.site.host.endpoint.show())
                    .why(why)
                    .fix("correct it on the host"),
            ),
            Check::Done => {}
        }
    }
    Ok(problems)
}

fn unreachable(mut state: HostState, problem: Problem) -> Found<HostState> {
    state.status = Status::Unreachable.value();
    let warning = Problem {
        kind: Kind::Unreachable,
        what: format!("host \"{}\" could not be looked at", name(&state)),
        then: "its last known state is used; nothing is planned because of this alone".into(),
        ..problem
    };
    Found { state: Some(state), warnings: vec![warning] }
}

/// Puts facts into the state, and computes the attributes that follow from the state itself.
pub fn take(state: &mut HostState, found: &Facts) {
    let say = |s: &str| Value::Value(s.to_owned());
    (state.os, state.kernel, state.arch) = (say(&found.os), say(&found.kernel), say(&found.arch));
    (state.cores, state.memory_bytes) =
        (Value::Value(found.cores), Value::Value(found.memory_bytes));
    state.disks = Value::Value(
        found
            .disks
            .iter()
            .map(|(at, d)| {
                (
                    at.clone(),
                    Value::Value(Disk { device: say(&d.device), bytes: Value::Value(d.bytes) }),
                )
            })
            .collect(),
    );
    state.devices = devices(found);
    state.endpoint = Value::Value(connection(state));
    state.id = import_id(state);
}

/// The devices as a set.
#[must_use]
pub fn devices(found: &Facts) -> Texts {
    Value::Value(found.devices.iter().map(|d| Value::Value(d.clone())).collect())
}

/// The planned state, with the values filled in that the plan could not know. Values that were
/// known must not change.
#[must_use]
pub fn merge(planned: &HostState, found: HostState) -> HostState {
    let mut state = planned.clone();
    fill(&mut state.os, found.os);
    fill(&mut state.kernel, found.kernel);
    fill(&mut state.arch, found.arch);
    fill(&mut state.cores, found.cores);
    fill(&mut state.memory_bytes, found.memory_bytes);
    fill(&mut state.disks, found.disks);
    fill(&mut state.devices, found.devices);
    fill(&mut state.creation_id, found.creation_id);
    fill(&mut state.drift, found.drift);
    fill(&mut state.status, found.status);
    fill(&mut state.id, found.id);
    fill(&mut state.endpoint, found.endpoint);
    common::settle(&mut state.runbook);
    common::settle(&mut state.impact);
    state
}

/// Warns at plan time about what apply will meet: an unfinished preparation, or a complete one to
/// adopt.
pub async fn foresee(cx: &Context, prior: Option<&HostState>, planned: &HostState) -> Vec<Problem> {
    let (None, Some(d)) = (prior, desired(planned)) else { return Vec::new() };
    if d.prepare.is_none() {
        return Vec::new();
    }
    let found = match record::read(&reader(cx), &d.site.host).await {
        Ok(found) => found,
        Err(problem) => return vec![common::not_seen(problem)],
    };
    if !found.exists() || cx.session.owner.as_deref() != Some(found.text("owner")) {
        return Vec::new();
    }
    let place = d.site.host.endpoint.show();
    let operation = found.text("operation");
    match found.stage() {
        Some(Stage::Building) => {
            let (done, of) = crate::engine::history::progress(
                &reader(cx),
                &d.site.host,
                &Key::host(),
                operation,
            )
            .await
            .unwrap_or((0, 0));
            vec![
                Problem::user(format!("resumes the preparation of host \"{}\"", d.site.name))
                    .place(place)
                    .why(format!("operation {operation} stopped after step {done} of {of}"))
                    .fix("nothing: steps that are done are skipped"),
            ]
        }
        Some(Stage::Complete) => vec![
            Problem::user(format!(
                "adopts the preparation of host \"{}\", which this owner made before",
                d.site.name
            ))
            .place(place)
            .why("its record is complete and it is not in this state")
            .fix("nothing, if the state was lost; else import it"),
        ],
        _ => Vec::new(),
    }
}

/// Parses an import id, `ssh://user@address:port/name?identity=name`. The name may be left out.
///
/// # Errors
/// The id is malformed.
pub fn parse_id(id: &str) -> Result<(Endpoint, Option<String>), Problem> {
    let parse = || {
        let id = ImportId::parse(id).and_then(place::whole)?;
        let name = id.path.trim_matches('/').to_owned();
        if !name.is_empty() && !crate::base::ids::is_object_name(&name) {
            return Err(format!("\"{name}\" cannot be the name of a host"));
        }
        Ok((place::endpoint(id)?, (!name.is_empty()).then_some(name)))
    };
    parse().map_err(|why: String| {
        Problem::user(format!("\"{id}\" is no import id"))
            .why(why)
            .fix("write it as ssh://user@address:22/name?identity=name; the name may be left out")
    })
}

/// Reads a host by its import id; writes nothing. Includes the preparation of the host if this
/// owner made one.
///
/// # Errors
/// The id is malformed, or the host does not answer.
pub async fn import(cx: &Context, id: &str) -> Result<HostState, Problem> {
    let (endpoint, named) = parse_id(id)?;
    let at = common::host(endpoint.clone(), "");
    let record = record::read(&reader(cx), &at).await?;
    let ours = Some(&record).filter(|r| {
        r.exists()
            && Some(r.text("owner")) == cx.session.owner.as_deref()
            && named.as_deref().is_none_or(|n| n == r.text("name"))
    });
    let name = match (ours, named) {
        (Some(record), _) => record.text("name").to_owned(),
        (None, Some(name)) => name,
        (None, None) => {
            let said = reader(cx).read(&at, &program!("uname.sh")).await?.stdout;
            ObjectName::parse(said.trim()).map(String::from).map_err(|why| {
                Problem::user("the host's own name cannot be used")
                    .place(at.endpoint.show())
                    .why(why)
                    .fix("write a name into the import id: ssh://user@address:22/name")
            })?
        }
    };
    let say = |s: &String| if s.is_empty() { Value::Null } else { Value::Value(s.clone()) };
    let state = HostState {
        name: Value::Value(name),
        address: Value::Value(endpoint.address.to_string()),
        port: Value::Value(i64::from(endpoint.port)),
        user: say(&endpoint.user),
        identity: say(&endpoint.identity),
        prepare: ours
            .and_then(|r| serde_json::from_str::<Prepare>(r.text("declared")).ok())
            .map_or(Value::Null, Value::Value),
        ..HostState::default()
    };
    let found = read(cx, state).await?;
    if let Some(problem) = found.warnings.into_iter().find(|w| w.kind == Kind::Unreachable) {
        return Err(problem);
    }
    found.state.ok_or_else(|| Problem::internal("an import found nothing"))
}
