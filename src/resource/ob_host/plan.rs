//! Pure: configuration and prior state to the planned state.
use super::schema::HostState;
use crate::resource::common::{Connection, text};
use crate::resource::{PlanInput, Planned};
use crate::schema::{Diagnostics, Value};

/// The connection a state describes; each field as known as what it comes from.
#[must_use]
pub fn connection(state: &HostState) -> Connection {
    Connection {
        name: state.name.clone(),
        address: state.address.clone(),
        port: if state.port.is_null() { Value::Value(22) } else { state.port.clone() },
        user: state.user.clone(),
        identity: state.identity.clone(),
        host_key: state.host_key.clone(),
    }
}

/// The import id.
#[must_use]
pub fn import_id(state: &HostState) -> Value<String> {
    let Some(e) = connection(state).endpoint() else { return Value::Unknown };
    let user = if e.user.is_empty() { String::new() } else { format!("{}@", e.user) };
    let address = if e.address.contains(':') { format!("[{}]", e.address) } else { e.address.clone() };
    let identity = if e.identity.is_empty() { String::new() } else { format!("?identity={}", e.identity) };
    Value::Value(format!("ssh://{user}{address}:{}/{}{identity}", e.port, e.name))
}

/// The name for messages.
#[must_use]
pub fn name(state: &HostState) -> String {
    text(&state.name).unwrap_or_default()
}

/// Makes the planned state.
pub fn plan(input: PlanInput<'_, HostState>, _diags: &mut Diagnostics) -> Option<Planned<HostState>> {
    let mut next = input.proposed.clone();
    // Unknown here means "not set" when the configuration has none, else "not known yet".
    if input.config.port.is_null() {
        next.port = Value::Value(22);
    }
    next.connection = Value::Value(connection(&next));
    next.id = import_id(&next);
    let moved = input.prior.is_none_or(|p| (&p.address, &p.port) != (&next.address, &next.port));
    if moved {
        (next.os, next.kernel, next.arch, next.cores, next.memory_bytes) = (Value::Unknown, Value::Unknown, Value::Unknown, Value::Unknown, Value::Unknown);
        (next.disks, next.devices, next.status) = (Value::Unknown, Value::Unknown, Value::Unknown);
    }
    Some(Planned { state: next, replace: Vec::new() })
}
