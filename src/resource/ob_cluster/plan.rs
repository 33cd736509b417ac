//! Pure: turns configuration and prior state into the planned state and the graph.
use super::schema::{Cluster, InstanceRef};
use super::{Value, say};
use crate::base::Problem;
use crate::base::units::count;
use crate::base::{Directory, ObjectName};
use crate::component::database::{self, Database, Desired, Server, State};
use crate::engine::{Engine, Graph, Host, Node, Port};
use crate::resource::common::{
    Map, bad_state, host, impact, known, numbered, plain_map, root_password_pair, runbook,
    set_text, text, texts,
};
use crate::resource::place::import_id;
use crate::resource::{Claim, PlanInput, Planned};
use crate::schema::{Diagnostics, Report};
use crate::transport::Endpoint;

/// Default SQL port.
pub const SQL_PORT: i64 = 2881;
/// Default RPC port.
pub const RPC_PORT: i64 = 2882;

/// The only server of a cluster; `None` while unknown, or when there is not exactly one.
fn server(state: &Cluster) -> Option<&super::Server> {
    let zones = known(&state.zones)??;
    let [zone] = zones.values().collect::<Vec<_>>()[..] else { return None };
    let servers = known(&known(zone)??.servers)??;
    let [server] = servers.values().collect::<Vec<_>>()[..] else { return None };
    known(server)?
}

fn server_mut(state: &mut Cluster) -> Option<&mut super::Server> {
    let Value::Value(zones) = &mut state.zones else { return None };
    let Value::Value(zone) = zones.values_mut().next()? else { return None };
    let Value::Value(servers) = &mut zone.servers else { return None };
    if let Value::Value(server) = servers.values_mut().next()? { Some(server) } else { None }
}

/// The instance that a state describes; `None` while something about it is unknown.
#[must_use]
pub fn instance(state: &Cluster) -> Option<Node> {
    let server = server(state)?;
    let connection = known(&server.host)??;
    let endpoint = connection.endpoint()?;
    let port = |value, default| u16::try_from(*known(value)?.unwrap_or(default)).ok();
    let node = Node::new(
        ObjectName::parse(&text(&state.name)?).ok()?,
        host(endpoint, &text(&server.run_as)?),
        Directory::parse(&text(&server.base_dir)?).ok()?,
        [
            (Port::Sql, port(&server.sql_port, &SQL_PORT)?),
            (Port::Rpc, port(&server.rpc_port, &RPC_PORT)?),
        ],
    );
    Some(Node { service_address: connection.service()?, ..node })
}

/// Where the cluster of a stored state is, and its engine. Nothing in such a state is unknown.
///
/// # Errors
/// The state is damaged.
pub fn found(state: &Cluster) -> Result<(Node, &'static dyn Database), Problem> {
    let lacks = |what| bad_state("an ob_cluster", what);
    let node = instance(state).ok_or_else(|| lacks("where it is (name, zones, ports)"))?;
    Ok((node, database(state).ok_or_else(|| lacks("which engine it is"))?))
}

/// Whether the server is reached in another way than before, which an apply has to prove.
#[must_use]
pub fn another_way(prior: &Cluster, next: &Cluster) -> bool {
    let way = |state| instance(state).map(|node| node.host);
    let Some((prior, next)) = way(prior).zip(way(next)) else { return false };
    let name = next.endpoint.name.clone();
    Host { endpoint: Endpoint { name, ..prior.endpoint }, ..prior } != next
}

/// What a state asks for; `None` while something that shapes the graph is unknown.
#[must_use]
pub fn desired(state: &Cluster) -> Option<Desired> {
    Some(Desired {
        node: instance(state)?,
        package: known(&state.package)??.package()?,
        parameters: plain_map(&state.parameters)?,
        initialize: known(&state.initialize)?.copied().unwrap_or(true),
        root_password: known(&state.root_password_wo_version)?.is_some(),
        root_password_version: known(&state.root_password_wo_version)?.copied().unwrap_or(0),
    })
}

/// The engine of a cluster; `None` while unknown.
#[must_use]
pub fn database(state: &Cluster) -> Option<&'static dyn Database> {
    database::of(Engine::parse(&text(&state.engine)?)?)
}

/// How far the server has got, by the state; `Running` when the state does not say.
fn state(of: &Cluster) -> State {
    set_text(&of.status).and_then(State::parse).unwrap_or(State::Running)
}

/// The graph that leads from what the refreshed `prior` shows to what `next` asks for; `None` while
/// something that shapes the graph is unknown.
#[must_use]
pub fn graph(prior: &Cluster, next: &Cluster) -> Option<Graph> {
    let (before, after) = (desired(prior)?, desired(next)?);
    Some(database(next)?.update(state(prior), prior.creation_id.is_null(), &before, &after))
}

/// A change of this cluster takes over a server that others made, or goes on with an adoption that
/// was cut.
fn not_ours_yet(prior: &Cluster) -> bool {
    prior.creation_id.is_null() || state(prior).adopting()
}

/// Whether the change from `prior` to `next` adopts the server.
#[must_use]
pub fn adopts(prior: &Cluster, next: &Cluster) -> bool {
    not_ours_yet(prior) && graph(prior, next).is_some_and(|graph| !graph.is_empty())
}

/// The graph of a destroy; `None` while something that shapes it is unknown.
#[must_use]
pub fn destroy_graph(prior: &Cluster) -> Option<Graph> {
    let name = text(&prior.name)?;
    let given_up = texts(&prior.allow_data_loss);
    let (rows, aside_too) = (given_up.contains(&name), given_up.contains(&format!("{name}/aside")));
    Some(database(prior)?.destroy(&instance(prior)?, &text(&prior.creation_id)?, rows, aside_too))
}

/// The part of a configuration that is known.
fn asked(config: &Cluster) -> Server {
    let zones = known(&config.zones).flatten();
    let servers =
        |z: &super::Zone| if let Value::Value(s) = &z.servers { Some(s.len()) } else { None };
    let parameters = known(&config.parameters).flatten().into_iter().flatten();
    let each = |z: &Value<super::Zone>| if let Value::Value(z) = z { servers(z) } else { None };
    Server {
        version: Some(package_text(config, |p| &p.version)).filter(|v| !v.is_empty()),
        zones: zones.map(|z| z.len()),
        servers: zones.and_then(|z| z.values().map(each).sum()),
        parameters: parameters
            .filter_map(|(name, value)| Some((name.clone(), set_text(value)?.to_owned())))
            .collect(),
    }
}

/// Finds everything that is wrong with a configuration by itself.
pub fn validate(config: &Cluster, diags: &mut Diagnostics) {
    if let Some(database) = database(config) {
        for problem in database.validate(&asked(config)) {
            diags.problem(problem);
        }
    }
    if let Some(server) = server(config)
        && let (Some(sql), Some(rpc)) = (known(&server.sql_port), known(&server.rpc_port))
        && sql.unwrap_or(&SQL_PORT) == rpc.unwrap_or(&RPC_PORT)
    {
        diags.problem(
            Problem::user("sql_port and rpc_port are the same")
                .fix("choose two ports")
                .attribute(["zones"]),
        );
    }
    if let (Value::Value(name), Value::Value(false)) = (&config.name, &config.initialize)
        && !config.root_password_wo.is_null()
    {
        diags.caution(
            Problem::user(format!("root_password_wo of \"{name}\" has no effect"))
                .why("initialize = false makes no database; a standby gets its primary's accounts")
                .fix("remove it")
                .attribute(["root_password_wo"]),
        );
    }
    root_password_pair(&config.root_password_wo, &config.root_password_wo_version, diags);
}

/// Computes the planned state.
pub fn plan(input: PlanInput<'_, Cluster>, diags: &mut Diagnostics) -> Option<Planned<Cluster>> {
    let mut next = input.proposed.clone();
    defaults(&mut next, input.config);
    let refused = desired(&next).zip(database(&next)).and_then(|(next, database)| {
        database.refused(input.prior.and_then(desired).as_ref(), &next)
    });
    let told = refused.is_some();
    refused.into_iter().for_each(|problem| diags.problem(problem));
    let Some(prior) = input.prior else {
        created(&mut next);
        return Some(Planned { state: next, replace: Vec::new() });
    };
    let lacks = || bad_state("an ob_cluster", "what it runs from, and how (package, parameters)");
    if let Err(problem) = found(prior).and_then(|_| desired(prior).ok_or_else(lacks)) {
        diags.problem(problem);
        return None;
    }
    missing(prior, diags);
    fixed(prior, &next, told, diags);
    let Some(graph) = graph(prior, &next) else {
        (next.status, next.build, next.unmanaged) =
            (Value::Unknown, Value::Unknown, Value::Unknown);
        (next.instance, next.runbook, next.impact) =
            (Value::Unknown, Value::Unknown, Value::Unknown);
        return Some(Planned { state: next, replace: Vec::new() });
    };
    next.instance = reference(&next);
    // The id is how the host is reached, which may change.
    next.id = id(&next);
    if graph.is_empty() {
        // The same files under another archive or version name are no change: an imported object
        // knows only its files.
        if same_package(prior, &next) {
            next.package = prior.package.clone();
            next.instance = reference(&next);
        }
        if another_way(prior, &next) && state(prior) == State::Unreachable {
            next.status = Value::Unknown;
        }
        return Some(Planned { state: next, replace: Vec::new() });
    }
    let name = text(&next.name).unwrap_or_default();
    let engine = text(&next.engine).unwrap_or_default();
    let adopts = not_ours_yet(prior);
    let what = if adopts {
        format!("adopt and change {engine} \"{name}\"")
    } else if !same_package(prior, &next) {
        format!("move {engine} \"{name}\" to {}", package_version(&next))
    } else {
        match state(prior) {
            State::PackageLost => format!("place the package of {engine} \"{name}\" again"),
            State::LockedOut => format!("make the account of {engine} \"{name}\" again"),
            State::Exposed => format!("close the files of {engine} \"{name}\" to other users"),
            _ => format!("change {engine} \"{name}\""),
        }
    };
    next.runbook = numbered(&prior.runbook, runbook(&what, &graph));
    next.impact = impact(&graph);
    next.status = Value::Unknown;
    if adopts {
        (next.creation_id, next.build) = (Value::Unknown, Value::Unknown);
    }
    if !same_package(prior, &next) {
        next.build = Value::Unknown;
    }
    next.unmanaged = match unmanaged(prior, &next) {
        Some(known) if next.build.is_value() => known,
        _ => Value::Unknown,
    };
    Some(Planned { state: next, replace: Vec::new() })
}

/// The parameters that nobody declares any more after a change: what is dropped stays as it is on
/// the server. `None` while that cannot be told.
fn unmanaged(prior: &Cluster, next: &Cluster) -> Option<Map<String>> {
    let (mut known, declared) = (plain_map(&prior.unmanaged)?, plain_map(&next.parameters)?);
    known.extend(plain_map(&prior.parameters)?);
    known.retain(|name, _| !declared.contains_key(name));
    Some(Value::Value(known.into_iter().map(|(k, v)| (k, say(v))).collect()))
}

fn same_package(prior: &Cluster, next: &Cluster) -> bool {
    let package =
        |state: &Cluster| known(&state.package).flatten().and_then(super::PackageRef::package);
    matches!((package(prior), package(next)), (Some(a), Some(b)) if a.same(&b))
}

fn package_text(state: &Cluster, attribute: fn(&super::PackageRef) -> &Value<String>) -> String {
    known(&state.package).flatten().and_then(|p| text(attribute(p))).unwrap_or_default()
}

fn package_version(state: &Cluster) -> String {
    format!("{} ({})", package_text(state, |p| &p.version), package_text(state, |p| &p.id))
}

fn defaults(next: &mut Cluster, config: &Cluster) {
    if !next.initialize.is_value() {
        next.initialize = Value::Value(true);
    }
    // Do not test `next`: core keeps the prior value of a line that was removed, and the default is
    // protection.
    if config.deletion_protection.is_null() {
        next.deletion_protection = Value::Value(true);
    }
    if let Some(server) = server_mut(next) {
        if !server.sql_port.is_value() {
            server.sql_port = Value::Value(SQL_PORT);
        }
        if !server.rpc_port.is_value() {
            server.rpc_port = Value::Value(RPC_PORT);
        }
    }
}

fn created(next: &mut Cluster) {
    (next.creation_id, next.status, next.build, next.unmanaged) =
        (Value::Unknown, Value::Unknown, Value::Unknown, Value::Unknown);
    (next.id, next.instance) = (id(next), reference(next));
    match desired(next).zip(database(next)) {
        Some((d, database)) => {
            let graph = database.create(&d);
            let verb = if d.initialize { "deploy" } else { "install" };
            next.runbook = runbook(
                &format!(
                    "{verb} {} {} \"{}\" on {}",
                    database.engine().as_str(),
                    d.package.version,
                    d.node.name,
                    d.node.host.endpoint.name
                ),
                &graph,
            );
            next.impact = impact(&graph);
        }
        None => (next.runbook, next.impact) = (Value::Unknown, Value::Unknown),
    }
}

/// What the cluster needs for itself on the machine of its server.
#[must_use]
pub fn claims(planned: &Cluster) -> Vec<Claim> {
    let Some(node) = instance(planned) else { return Vec::new() };
    let endpoint = &node.host.endpoint;
    // `local` is one machine under any name.
    let machine = if endpoint.address.is_local() {
        "local".to_owned()
    } else {
        format!("{}:{}", endpoint.address, endpoint.port)
    };
    let ports = node.ports.values().map(|port| format!("port {port}"));
    let own = [format!("directory {}", node.directory), format!("the name \"{}\"", node.name)];
    let claim = |what| Claim { machine: machine.clone(), what };
    ports.chain(own).map(claim).collect()
}

fn id(state: &Cluster) -> Value<String> {
    instance(state).map_or(Value::Unknown, |i| say(import_id(&i)))
}

/// The reference through which other resources name this cluster.
#[must_use]
pub fn reference(state: &Cluster) -> Value<InstanceRef> {
    let (Some(server), Some(package)) = (server(state), known(&state.package).flatten()) else {
        return Value::Unknown;
    };
    if instance(state).is_none() {
        return Value::Unknown;
    }
    Value::Value(InstanceRef {
        engine: state.engine.clone(),
        name: state.name.clone(),
        host: server.host.clone(),
        base_dir: server.base_dir.clone(),
        sql_port: server.sql_port,
        rpc_port: server.rpc_port,
        run_as: server.run_as.clone(),
        package: package.id.clone(),
    })
}

/// Refuses by name what cannot change in place: nothing healthy is ever replaced unasked. `told`
/// means that the engine has already refused a change of its own.
fn fixed(prior: &Cluster, next: &Cluster, told: bool, diags: &mut Diagnostics) {
    let mut refuse =
        |what: &str, attribute: &str| {
            diags.problem(
            Problem::refused(format!("{what} of a cluster cannot change"))
                .why("a replacement would drop its data")
                .fix("make a second ob_cluster, move the data to it with ob_standby, then destroy \
                      this one; or give it a new resource address with a new name")
                .attribute([attribute]),
        );
        };
    let adopted = !prior.creation_id.is_null();
    if prior.name != next.name && !next.name.is_unknown() && adopted {
        refuse("the name", "name");
    }
    if prior.engine != next.engine && !next.engine.is_unknown() {
        refuse("the engine", "engine");
    }
    if let (Some(a), Some(b)) = (instance(prior), instance(next)) {
        if a.directory != b.directory {
            refuse("base_dir", "zones");
        }
        for (port, name) in [(Port::Sql, "sql_port"), (Port::Rpc, "rpc_port")] {
            if a.port(port) != b.port(port) && !told {
                refuse(name, "zones");
            }
        }
        if a.host.run_as != b.host.run_as {
            refuse("run_as", "zones");
        }
        // A host is identified by name and mark, never by address: the step SetStage proves the
        // mark at the new address. An import knows no name of the host and uses the address as its
        // name, so another name at the same address is the same host.
        let (here, there) = (&a.host.endpoint, &b.host.endpoint);
        if adopted
            && here.name != there.name
            && (&here.address, here.port) != (&there.address, there.port)
        {
            refuse("the host", "zones");
        }
    }
    if prior.initialize == Value::Value(true) && next.initialize == Value::Value(false) {
        refuse("initialize", "initialize");
    }
    if prior.initialize == Value::Value(false) && next.initialize == Value::Value(true) {
        refuse("initialize", "initialize");
    }
}

/// Refuses whatever is to be done with a server that is missing or is another creation: a change of
/// one that is missing would be an empty database, and a destroy would forget one that may only not
/// be mounted.
fn missing(prior: &Cluster, diags: &mut Diagnostics) {
    let node = match found(prior) {
        Ok((node, _)) => node,
        Err(problem) => return diags.problem(problem),
    };
    match state(prior) {
        State::Missing => diags.problem(database::missing(&node)),
        State::Vanished => diags.problem(database::vanished(&node)),
        State::Foreign => diags.problem(database::foreign(&node)),
        State::Unreadable => diags.problem(database::unreadable(&node, "")),
        _ => {}
    }
}

/// `prior` with the consents of `planned`, which need nothing to be done on any host.
#[must_use]
pub fn with_consents(prior: &Cluster, planned: &Cluster) -> Cluster {
    Cluster {
        deletion_protection: planned.deletion_protection,
        allow_data_loss: planned.allow_data_loss.clone(),
        ..prior.clone()
    }
}

/// Refuses a destroy that would lose data or was not asked for.
pub fn plan_destroy(prior: &Cluster, diags: &mut Diagnostics) {
    missing(prior, diags);
    let name = text(&prior.name).unwrap_or_default();
    if prior.deletion_protection != Value::Value(false) {
        diags.problem(
            Problem::refused(format!("cluster \"{name}\" is protected from destroy"))
                .why("deletion_protection is on")
                .fix("set deletion_protection = false, apply, then destroy")
                .attribute(["deletion_protection"]),
        );
    }
    // One that was only installed got its rows as a member of a group.
    let holds_data = prior.initialize != Value::Value(false) || state(prior) != State::Installed;
    if holds_data && !texts(&prior.allow_data_loss).contains(&name) {
        diags.problem(
            Problem::refused(format!("destroying cluster \"{name}\" would drop its rows"))
                .why("its name is not in allow_data_loss")
                .fix(format!("set allow_data_loss = [\"{name}\"], apply, then destroy"))
                .attribute(["allow_data_loss"]),
        );
    }
    if let Some(graph) = destroy_graph(prior) {
        diags.caution(
            Problem::user(format!(
                "destroy of cluster \"{name}\": {}",
                count(graph.nodes().len(), "step")
            ))
            .why(graph.titles().join("; "))
            .fix("look at each line before you say yes"),
        );
    }
}
