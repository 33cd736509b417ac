//! Pure: turns configuration and prior state into the planned state and the graph.
use super::read::Status;
use super::schema::HostState;
use crate::base::Problem;
use crate::base::units::{count, parse_duration};
use crate::component::host::flow::{self, Desired, Prepare};
use crate::component::host::{Directory, Limits, Site, User};
use crate::engine::{Graph, Host};
use crate::resource::common::{self, Connection, known, set_text, text};
use crate::resource::place::id_at;
use crate::resource::{PlanInput, Planned};
use crate::schema::{Diagnostics, Report, Value};
use std::collections::BTreeMap;

/// The connection that a state describes. Each field is as known as the attribute it comes from.
#[must_use]
pub fn connection(state: &HostState) -> Connection {
    Connection {
        name: state.name.clone(),
        address: state.address.clone(),
        port: if state.port.is_null() { Value::Value(22) } else { state.port },
        user: state.user.clone(),
        identity: state.identity.clone(),
        host_key: state.host_key.clone(),
        service_address: match &state.network {
            Value::Value(network) => network.service_address.clone(),
            Value::Null => Value::Null,
            Value::Unknown => Value::Unknown,
        },
    }
}

/// The import id.
#[must_use]
pub fn import_id(state: &HostState) -> Value<String> {
    let Some(e) = connection(state).endpoint() else { return Value::Unknown };
    Value::Value(id_at(&e, &format!("/{}", e.name), "").to_string())
}

/// The host's name for messages.
#[must_use]
pub fn name(state: &HostState) -> String {
    text(&state.name).unwrap_or_default()
}

/// How to reach the host, as its login user; `None` while unknown.
#[must_use]
pub fn host(state: &HostState) -> Option<Host> {
    Some(common::host(connection(state).endpoint()?, ""))
}

/// What a state asks for; `None` while something that shapes the graph is unknown.
#[must_use]
pub fn desired(state: &HostState) -> Option<Desired> {
    let site = Site { name: text(&state.name)?, host: host(state)? };
    let network = match known(&state.network)? {
        Some(n) => Some((text(&n.device)?, known(&n.service_address)?.cloned())),
        None => None,
    };
    let prepare = match known(&state.prepare)? {
        Some(p) => Some(prepared(p)?),
        None => None,
    };
    Some(Desired { site, network, prepare })
}

fn prepared(p: &super::Prepare) -> Option<Prepare> {
    let user = match known(&p.user)? {
        Some(u) => Some(User {
            name: text(&u.name)?,
            uid: known(&u.uid)?.copied(),
            home: known(&u.home)?.cloned(),
        }),
        None => None,
    };
    let whose = |named: String| {
        if named.is_empty() {
            user.as_ref().map_or_else(String::new, |u| u.name.clone())
        } else {
            named
        }
    };
    let or = |value: &Value<String>, default: &str| {
        known(value).map(|v| v.cloned().unwrap_or_else(|| default.to_owned()))
    };
    let mut directories = BTreeMap::new();
    for (path, d) in known(&p.directories)?.into_iter().flatten() {
        let d = known(d)?.cloned().unwrap_or_default();
        directories.insert(
            path.clone(),
            Directory {
                path: path.clone(),
                owner: whose(text(&d.owner)?),
                mode: or(&d.mode, "0755")?,
            },
        );
    }
    let limits = match known(&p.limits)? {
        Some(l) => Some(Limits {
            user: whose(text(&l.user)?),
            nofile: or(&l.nofile, "655350")?,
            nproc: or(&l.nproc, "655360")?,
            stack: or(&l.stack, "unlimited")?,
            core: or(&l.core, "unlimited")?,
        }),
        None => None,
    };
    let sysctl = match known(&p.sysctl)? {
        Some(s) => Some((text(&s.profile)?, common::plain_map(&s.values)?)),
        None => None,
    };
    let clock = match known(&p.clock)? {
        Some(c) => parse_duration(&text(&c.max_offset)?),
        None => None,
    };
    Some(Prepare {
        user,
        directories,
        limits,
        sysctl,
        hugepage: known(&p.transparent_hugepage)?.cloned(),
        clock,
        declared: serde_json::to_string(p).unwrap_or_default(),
    })
}

/// The graph of a change; `None` while something that shapes it is unknown.
#[must_use]
pub fn graph(prior: Option<&HostState>, next: Option<&HostState>) -> Option<Graph> {
    match (prior, next) {
        (None, None) => Some(Graph::new()),
        (None, Some(next)) => desired(next).map(|d| flow::create(&d)),
        (Some(prior), Some(next)) => {
            let drift = common::plain_map(&prior.drift)?.into_keys().collect();
            Some(flow::update(
                &desired(prior)?,
                &desired(next)?,
                &drift,
                &text(&prior.creation_id)?,
            ))
        }
        (Some(prior), None) => {
            let d = desired(prior)?;
            Some(flow::destroy(&d.site, d.prepare.as_ref(), &text(&prior.creation_id)?))
        }
    }
}

/// Whether two states have different addresses or ports, and so perhaps different machines.
#[must_use]
pub fn moved(prior: &HostState, next: &HostState) -> bool {
    (&prior.address, &prior.port) != (&next.address, &next.port)
}

/// The last look could not reach the host.
fn unreachable(prior: &HostState) -> bool {
    set_text(&prior.status) == Some(Status::Unreachable.into())
}

/// Whether a host is reached in another way than before, which an apply has to prove.
#[must_use]
pub fn another_way(prior: &HostState, next: &HostState) -> bool {
    let (prior, next) = (connection(prior), connection(next));
    Connection { name: next.name.clone(), service_address: next.service_address.clone(), ..prior }
        != next
}

/// Finds everything that is wrong with a configuration by itself.
pub fn validate(config: &HostState, diags: &mut Diagnostics) {
    if let Value::Value(network) = &config.network
        && let Value::Value(address) = &network.service_address
        && address.parse::<std::net::IpAddr>().is_err()
    {
        diags.problem(
            Problem::user(format!("service_address \"{address}\" is no address"))
                .why(
                    "servers name each other by it in their own metadata, where no name is looked \
                     up",
                )
                .fix("write an IPv4 or IPv6 address")
                .attribute(["network", "service_address"]),
        );
    }
    let (Value::Value(prepare), Value::Value(login)) = (&config.prepare, &config.user) else {
        return;
    };
    if login == "root" {
        return;
    }
    let outside = |path: &str| path.strip_prefix("/data/").is_none_or(|rest| rest.contains('/'));
    if let Value::Value(directories) = &prepare.directories {
        for path in directories.keys().filter(|p| outside(p)) {
            diags.problem(
                Problem::user(format!("{path} cannot be made by login user \"{login}\""))
                    .why("sudo rules with deeper free paths would let it change any file")
                    .fix("use a directory directly below /data, or log in as root")
                    .attribute(["prepare", "directories", path]),
            );
        }
    }
    if let Value::Value(user) = &prepare.user
        && let Value::Value(home) = &user.home
        && outside(home)
        && !matches!(&user.name, Value::Value(name) if *home == format!("/home/{name}"))
    {
        diags.problem(
            Problem::user(format!("home {home} cannot be made by login user \"{login}\""))
                .why("the sudo rules allow homes directly below /data only")
                .fix("leave home out, use a directory directly below /data, or log in as root")
                .attribute(["prepare", "user", "home"]),
        );
    }
}

/// Computes the planned state.
pub fn plan(
    input: PlanInput<'_, HostState>,
    diags: &mut Diagnostics,
) -> Option<Planned<HostState>> {
    let mut next = input.proposed.clone();
    // In `proposed`, unknown means "not set" where the configuration has null, and otherwise "not
    // known yet".
    if input.config.port.is_null() {
        next.port = Value::Value(22);
    }
    next.endpoint = Value::Value(connection(&next));
    next.id = import_id(&next);
    if input.prior.is_none_or(|p| moved(p, &next)) {
        (next.os, next.kernel, next.arch, next.cores, next.memory_bytes) =
            (Value::Unknown, Value::Unknown, Value::Unknown, Value::Unknown, Value::Unknown);
        (next.disks, next.devices, next.status) = (Value::Unknown, Value::Unknown, Value::Unknown);
    }
    let Some(prior) = input.prior else {
        next.creation_id = if next.prepare.is_null() { Value::Null } else { Value::Unknown };
        next.drift = Value::Value(BTreeMap::new());
        let graph = graph(None, Some(&next));
        say(&mut next, graph, "prepare", true);
        return Some(Planned { state: next, replace: Vec::new() });
    };
    if !prior.prepare.is_null() && prior.name != next.name && !next.name.is_unknown() {
        diags.problem(
            Problem::refused("the name of a prepared host cannot change")
                .why("its record on the host carries the name")
                .fix("remove prepare, apply, then change the name; or keep it")
                .attribute(["name"]),
        );
        return None;
    }
    let graph = graph(Some(prior), Some(&next));
    if graph.as_ref().is_some_and(Graph::is_empty) {
        if another_way(prior, &next) && unreachable(prior) {
            next.status = Value::Unknown;
        }
        return Some(Planned { state: next, replace: Vec::new() });
    }
    next.status = Value::Unknown;
    next.drift = Value::Value(BTreeMap::new());
    let anew = prior.prepare.is_null()
        || matches!(&prior.drift, Value::Value(d) if d.contains_key("record"));
    match &next.prepare {
        Value::Null => next.creation_id = Value::Null,
        Value::Value(_) if !anew => {}
        _ => next.creation_id = Value::Unknown,
    }
    let verb = if next.prepare.is_null() {
        "undo the preparation of"
    } else if anew {
        "prepare"
    } else {
        "change"
    };
    say(&mut next, graph, verb, false);
    next.runbook = common::numbered(&prior.runbook, next.runbook);
    Some(Planned { state: next, replace: Vec::new() })
}

fn say(next: &mut HostState, graph: Option<Graph>, verb: &str, create: bool) {
    match graph {
        Some(graph) if graph.is_empty() && create => {
            (next.runbook, next.impact) = (Value::Null, Value::Null)
        }
        Some(graph) => {
            next.runbook = common::runbook(&format!("{verb} host \"{}\"", name(next)), &graph);
            next.impact = common::impact(&graph);
        }
        None => (next.runbook, next.impact) = (Value::Unknown, Value::Unknown),
    }
}

/// Says what a destroy undoes.
pub fn plan_destroy(prior: &HostState, diags: &mut Diagnostics) {
    if let Some(graph) = graph(Some(prior), None).filter(|g| !g.is_empty()) {
        diags.caution(
            Problem::user(format!(
                "destroy of host \"{}\": {}",
                name(prior),
                count(graph.nodes().len(), "step")
            ))
            .why(graph.titles().join("; "))
            .fix("look at each line before you say yes"),
        );
    }
}
