//! Pure: configuration and prior state to the planned state and the graph.
use super::schema::{Cluster, InstanceRef, Server};
use super::{Value, say};
use crate::base::Problem;
use crate::base::units::count;
use crate::base::{Directory, ObjectName};
use crate::component::seekdb::flow::{self, Desired};
use crate::component::seekdb::steps::{EndNote, Note, SetBoot, Start, StartServer};
use crate::component::seekdb::{self, Dialect};
use crate::engine::Graph;
use crate::engine::{Node, Port};
use crate::resource::common::{host, impact, known, plain_map, runbook, set_text, text, texts};
use crate::resource::{PlanInput, Planned};
use crate::schema::{Diagnostics, Report};

/// Default SQL port.
pub const SQL_PORT: i64 = 2881;
/// Status of an instance whose adoption was cut, and that does not run.
pub const ADOPTING_DOWN: &str = "adopting, stopped";
/// Default RPC port.
pub const RPC_PORT: i64 = 2882;

/// The only server of a seekdb cluster; `None` while unknown or when there is not exactly one.
fn server(state: &Cluster) -> Option<&Server> {
    let zones = known(&state.zones)??;
    let [zone] = zones.values().collect::<Vec<_>>()[..] else { return None };
    let servers = known(&known(zone)??.servers)??;
    let [server] = servers.values().collect::<Vec<_>>()[..] else { return None };
    known(server)?
}

fn server_mut(state: &mut Cluster) -> Option<&mut Server> {
    let Value::Value(zones) = &mut state.zones else { return None };
    let Value::Value(zone) = zones.values_mut().next()? else { return None };
    let Value::Value(servers) = &mut zone.servers else { return None };
    if let Value::Value(server) = servers.values_mut().next()? { Some(server) } else { None }
}

/// The instance a state describes; `None` while something is unknown.
#[must_use]
pub fn instance(state: &Cluster) -> Option<Node> {
    let server = server(state)?;
    let endpoint = known(&server.host)??.endpoint()?;
    let port = |value, default| u16::try_from(*known(value)?.unwrap_or(default)).ok();
    Some(seekdb::node(
        ObjectName::parse(&text(&state.name)?).ok()?,
        host(endpoint, &text(&server.run_as)?),
        Directory::parse(&text(&server.base_dir)?).ok()?,
        port(&server.sql_port, &SQL_PORT)?,
        port(&server.rpc_port, &RPC_PORT)?,
    ))
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

/// The graph that leads from what `prior` (refreshed) shows to what `next` asks for.
#[must_use]
pub fn graph(prior: &Cluster, next: &Cluster) -> Option<Graph> {
    let (before, after) = (desired(prior)?, desired(next)?);
    let status = set_text(&prior.status).unwrap_or("running");
    let (i, package) = (&after.node, &after.package.id);
    let mut first = Graph::new();
    match status {
        "stopped" => {
            first.then(StartServer {
                node: i.clone(),
                package: before.package.id.clone(),
                start: Start::Alone,
            });
            first.then(SetBoot::new(i, true));
        }
        // A restart that was cut: finished from the package that the host is set to, unless this
        // change restarts anyway.
        "restarting" if !flow::needs_restart(&before, &after) => {
            for step in flow::restart(i, package) {
                first.then_arc(step);
            }
            first.then(EndNote { node: i.clone(), note: Note::Restart });
        }
        "restarted" if !flow::needs_restart(&before, &after) => {
            first.then(EndNote { node: i.clone(), note: Note::Restart });
        }
        _ => {}
    }
    let changes = flow::update(&before, &after);
    // An imported object is adopted by its first change; an adoption that was cut is finished.
    if adopting(prior) || (prior.creation_id.is_null() && !(first.is_empty() && changes.is_empty()))
    {
        // Its start script is written once, as it shall be; it was never stopped by us, so that
        // nothing else is to be finished first.
        first = flow::adopt(&after, matches!(status, "stopped" | ADOPTING_DOWN));
    }
    first.append(changes);
    Some(first)
}

/// An adoption of it was cut.
fn adopting(prior: &Cluster) -> bool {
    matches!(set_text(&prior.status), Some("adopting" | ADOPTING_DOWN))
}

/// The graph of a destroy.
#[must_use]
pub fn destroy_graph(prior: &Cluster) -> Option<Graph> {
    let name = text(&prior.name)?;
    let aside_too = texts(&prior.allow_data_loss).contains(&format!("{name}/aside"));
    Some(flow::destroy(&instance(prior)?, &text(&prior.creation_id)?, aside_too))
}

/// Everything wrong with a configuration by itself.
pub fn validate(config: &Cluster, diags: &mut Diagnostics) {
    if let Value::Value(zones) = &config.zones {
        let servers =
            |z: &super::Zone| if let Value::Value(s) = &z.servers { Some(s.len()) } else { None };
        let total: Option<usize> =
            zones.values().map(|z| if let Value::Value(z) = z { servers(z) } else { None }).sum();
        if zones.len() != 1 || total.is_some_and(|n| n != 1) {
            diags.problem(
                Problem::user("a seekdb cluster has exactly one zone with one server")
                    .why(format!("there are {} zones with {} servers", zones.len(), total.map_or("?".into(), |n| n.to_string())))
                    .fix("keep one server here; make each further one an ob_cluster of its own and join them with ob_standby")
                    .attribute(["zones"]),
            );
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
    let dialect = Dialect::planned(&package_text(config, |p| &p.version));
    if let Value::Value(parameters) = &config.parameters {
        for (name, value) in parameters {
            let at = ["parameters".to_owned(), name.clone()];
            if dialect.read_only.contains(&name.as_str()) {
                diags.problem(
                    Problem::user(format!("parameter {name} cannot be set"))
                        .why("the server fixes it when the store is made (edit level READONLY)")
                        .fix("remove it")
                        .attribute(at.clone()),
                );
            }
            if ["rpc_port", "enable_rpc_service", "log_restore_source", "server_role_info"]
                .contains(&name.as_str())
            {
                diags.problem(
                    Problem::user(format!("parameter {name} is set by this provider"))
                        .why("ports come from rpc_port, roles from ob_standby")
                        .fix("remove it from parameters")
                        .attribute(at.clone()),
                );
            }
            if let Value::Value(value) = value {
                check_size(name, value, &at, diags);
            }
        }
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
    if config.root_password_wo.is_null() != config.root_password_wo_version.is_null()
        && !config.root_password_wo.is_unknown()
        && !config.root_password_wo_version.is_unknown()
    {
        diags.problem(
            Problem::user("root_password_wo and root_password_wo_version belong together")
                .why("a write-only value is in no state: only its version tells that it changed")
                .fix("set both, or none")
                .attribute(["root_password_wo_version"]),
        );
    }
}

/// Sizes the server is known to refuse by ending after a good start (run on 1.4.0).
fn check_size(name: &str, value: &str, at: &[String; 2], diags: &mut Diagnostics) {
    let least = match name {
        "memory_limit" => "1G",
        "log_disk_size" => "2G",
        _ => return,
    };
    let (Some(size), Some(floor)) =
        (crate::base::units::Bytes::parse(value), crate::base::units::Bytes::parse(least))
    else {
        diags.problem(
            Problem::user(format!("{name} = \"{value}\" is no size"))
                .fix("write a whole number with K, M, G or T, like 2G")
                .attribute(at.clone()),
        );
        return;
    };
    if size < floor {
        diags.problem(
            Problem::user(format!("{name} = \"{value}\" is too small"))
                .why(format!("the server ends right after its start below {least}"))
                .fix(format!("set at least {least}"))
                .attribute(at.clone()),
        );
    }
}

/// Makes the planned state.
pub fn plan(input: PlanInput<'_, Cluster>, diags: &mut Diagnostics) -> Option<Planned<Cluster>> {
    let mut next = input.proposed.clone();
    defaults(&mut next, input.config);
    let before = input.prior.and_then(desired);
    if let Some(next) = desired(&next)
        && let Some(problem) = flow::refused_package(before.as_ref(), &next)
    {
        diags.problem(problem);
    }
    let Some(prior) = input.prior else {
        created(&mut next);
        return Some(Planned { state: next, replace: Vec::new() });
    };
    fixed(prior, &next, diags);
    let Some(graph) = graph(prior, &next) else {
        (next.status, next.build, next.unmanaged) =
            (Value::Unknown, Value::Unknown, Value::Unknown);
        (next.instance, next.runbook, next.impact) =
            (Value::Unknown, Value::Unknown, Value::Unknown);
        return Some(Planned { state: next, replace: Vec::new() });
    };
    next.instance = reference(&next);
    // The way to the host may change: the id is that way.
    next.id = id(&next);
    if graph.is_empty() {
        // The same files under another archive or version name are no change (an imported object
        // knows only its files).
        if same_package(prior, &next) {
            next.package = prior.package.clone();
            next.instance = reference(&next);
        }
        return Some(Planned { state: next, replace: Vec::new() });
    }
    let name = text(&next.name).unwrap_or_default();
    let adopts = prior.creation_id.is_null() || adopting(prior);
    let what = if adopts {
        format!("adopt and change seekdb \"{name}\"")
    } else if !same_package(prior, &next) {
        format!("move seekdb \"{name}\" to {}", package_version(&next))
    } else {
        format!("change seekdb \"{name}\"")
    };
    next.runbook = runbook(&what, &graph);
    next.impact = impact(&graph);
    next.status = Value::Unknown;
    next.unmanaged = Value::Unknown;
    if adopts {
        (next.creation_id, next.build) = (Value::Unknown, Value::Unknown);
    }
    if !same_package(prior, &next) {
        next.build = Value::Unknown;
    }
    Some(Planned { state: next, replace: Vec::new() })
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
    // Not `next`: core keeps the prior value of a line that was removed, and protection is the
    // default.
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
    match desired(next) {
        Some(d) => {
            let graph = flow::create(&d);
            let verb = if d.initialize { "deploy" } else { "install" };
            next.runbook = runbook(
                &format!(
                    "{verb} seekdb {} \"{}\" on {}",
                    d.package.version, d.node.name, d.node.host.endpoint.name
                ),
                &graph,
            );
            next.impact = impact(&graph);
        }
        None => (next.runbook, next.impact) = (Value::Unknown, Value::Unknown),
    }
}

fn id(state: &Cluster) -> Value<String> {
    instance(state).map_or(Value::Unknown, |i| say(import_id(&i)))
}

/// The import id of an instance.
#[must_use]
pub fn import_id(i: &Node) -> String {
    let e = &i.host.endpoint;
    let user = if e.user.is_empty() { String::new() } else { format!("{}@", e.user) };
    let address =
        if e.address.contains(':') { format!("[{}]", e.address) } else { e.address.clone() };
    let words = [("identity", &e.identity), ("run_as", &i.host.run_as)]
        .into_iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(k, v)| format!("{k}={v}"));
    let query = words.collect::<Vec<_>>().join("&");
    format!(
        "ssh://{user}{address}:{}{}{}{query}",
        e.port,
        i.directory,
        if query.is_empty() { "" } else { "?" }
    )
}

/// What other resources refer to.
#[must_use]
pub fn reference(state: &Cluster) -> Value<InstanceRef> {
    let (Some(server), Some(package)) = (server(state), known(&state.package).flatten()) else {
        return Value::Unknown;
    };
    if instance(state).is_none() {
        return Value::Unknown;
    }
    Value::Value(InstanceRef {
        name: state.name.clone(),
        host: server.host.clone(),
        base_dir: server.base_dir.clone(),
        sql_port: server.sql_port,
        rpc_port: server.rpc_port,
        run_as: server.run_as.clone(),
        package: package.id.clone(),
    })
}

/// What cannot change in place is refused by name: nothing healthy is ever replaced unasked.
fn fixed(prior: &Cluster, next: &Cluster, diags: &mut Diagnostics) {
    let mut refuse = |what: &str, why: &str, attribute: &str| {
        diags.problem(
            Problem::refused(format!("{what} of a cluster cannot change"))
                .why(why)
                .fix("make a second ob_cluster, move the data to it with ob_standby, then destroy this one; or give it a new resource address with a new name")
                .attribute([attribute]),
        );
    };
    let drops = "a replacement would drop its data";
    let adopted = !prior.creation_id.is_null();
    if prior.name != next.name && !next.name.is_unknown() && adopted {
        refuse("the name", drops, "name");
    }
    if prior.engine != next.engine && !next.engine.is_unknown() {
        refuse("the engine", drops, "engine");
    }
    if let (Some(a), Some(b)) = (instance(prior), instance(next)) {
        if a.directory != b.directory {
            refuse("base_dir", drops, "zones");
        }
        if a.ports != b.ports {
            let fixed = a.ports.get(&Port::Rpc) != b.ports.get(&Port::Rpc);
            let version = package_text(prior, |p| &p.version);
            match Dialect::planned(&version).fixed_rpc_port.filter(|_| fixed) {
                Some(why) => refuse("rpc_port", why, "zones"),
                None => refuse("a port", drops, "zones"),
            }
        }
        if a.host.run_as != b.host.run_as {
            refuse("run_as", drops, "zones");
        }
        // Identity is name and mark, never address: the step SetStage proves the mark at the new
        // address. An import knows no name of the host and takes its address: another name at the
        // same address is the same host.
        let (here, there) = (&a.host.endpoint, &b.host.endpoint);
        if adopted
            && here.name != there.name
            && (&here.address, here.port) != (&there.address, there.port)
        {
            refuse("the host", drops, "zones");
        }
    }
    if prior.initialize == Value::Value(true) && next.initialize == Value::Value(false) {
        refuse("initialize", drops, "initialize");
    }
    if prior.initialize == Value::Value(false) && next.initialize == Value::Value(true) {
        refuse("initialize", drops, "initialize");
    }
}

/// Refuses what would lose data or was not asked for.
pub fn plan_destroy(prior: &Cluster, diags: &mut Diagnostics) {
    let name = text(&prior.name).unwrap_or_default();
    if prior.deletion_protection != Value::Value(false) {
        diags.problem(
            Problem::refused(format!("cluster \"{name}\" is protected from destroy"))
                .why("deletion_protection is on")
                .fix("set deletion_protection = false, apply, then destroy")
                .attribute(["deletion_protection"]),
        );
    }
    let holds_data = prior.initialize != Value::Value(false);
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
