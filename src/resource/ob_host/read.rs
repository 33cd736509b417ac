//! What is true: facts into the state.
use super::plan::{connection, import_id, name};
use super::schema::{Disk, HostState};
use crate::base::{Kind, Problem};
use crate::component::host::{Facts, facts};
use crate::engine::Host;
use crate::resource::common::{self, Texts};
use crate::resource::execute::reader;
use crate::resource::{Context, Found};
use crate::schema::Value;
use std::collections::BTreeMap;

/// The host of a state, with its login user.
///
/// # Errors
/// Something in it is unknown.
pub fn host(state: &HostState) -> Result<Host, Problem> {
    let endpoint = connection(state).endpoint().ok_or_else(|| Problem::internal("the state does not say where the host is"))?;
    Ok(common::host(endpoint, ""))
}

/// Looks at the host.
///
/// # Errors
/// Never for a host that does not answer (that is a status); only for what cannot go on.
pub async fn read(cx: &Context, mut state: HostState) -> Result<Found<HostState>, Problem> {
    let at = host(&state)?;
    let found = match facts::read(&reader(cx), &at).await {
        Ok(found) => found,
        Err(problem) if problem.kind == Kind::Unreachable => return Ok(unreachable(state, problem)),
        Err(problem) => return Err(problem),
    };
    take(&mut state, &found);
    state.status = Value::Value("ready".to_owned());
    Ok(Found { state: Some(state), warnings: Vec::new() })
}

fn unreachable(mut state: HostState, problem: Problem) -> Found<HostState> {
    state.status = Value::Value("unreachable".to_owned());
    let warning = Problem { kind: Kind::Unreachable, what: format!("host \"{}\" could not be looked at", name(&state)), then: "its last known state is used; nothing is planned because of this alone".into(), ..problem };
    Found { state: Some(state), warnings: vec![warning] }
}

/// Puts facts into the state, and what follows from the state itself.
pub fn take(state: &mut HostState, found: &Facts) {
    let say = |s: &str| Value::Value(s.to_owned());
    (state.os, state.kernel, state.arch) = (say(&found.os), say(&found.kernel), say(&found.arch));
    (state.cores, state.memory_bytes) = (Value::Value(found.cores), Value::Value(found.memory_bytes));
    state.disks = Value::Value(found.disks.iter().map(|(at, d)| (at.clone(), Value::Value(Disk { device: say(&d.device), bytes: Value::Value(d.bytes) }))).collect());
    state.devices = devices(found);
    state.connection = Value::Value(connection(state));
    state.id = import_id(state);
    common::settle(&mut state.creation_id);
    common::settle(&mut state.runbook);
    common::settle(&mut state.impact);
    if !state.drift.is_value() {
        state.drift = Value::Value(BTreeMap::new());
    }
}

/// The devices as a set.
#[must_use]
pub fn devices(found: &Facts) -> Texts {
    Value::Value(found.devices.iter().map(|d| Value::Value(d.clone())).collect())
}
