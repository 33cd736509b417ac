//! Reads what is true: facts go into the state, parameters that others changed into `unmanaged`.
use super::plan::{adopts, another_way, database, desired, found, instance, reference};
use super::schema::{Cluster, Server, Zone};
use super::{InstanceRef, Value, say};
use crate::base::{Kind, Problem};
use crate::component::database::{self, Database, Desired, Facts, Said, State};
use crate::engine::mark::Stage;
use crate::engine::{Cx, Node, Port};
use crate::resource::common::{self, Connection, set_text, text};
use crate::resource::execute::reader;
use crate::resource::place::{Place, import_id, parse_id};
use crate::resource::{Context, Found};
use std::collections::BTreeMap;

/// Looks at the host and its server.
///
/// # Errors
/// A host that does not answer is no error but a status. Errors are problems with which the read
/// cannot go on.
pub async fn read(cx: &Cx, mut state: Cluster) -> Result<Found<Cluster>, Problem> {
    let (instance, database) = found(&state)?;
    let facts = match database.facts(cx, &instance).await {
        Ok(facts) => facts,
        Err(problem) if problem.unseen() => {
            return Ok(unreachable(state, problem));
        }
        Err(problem) => return Err(problem),
    };
    if facts.missing() {
        state.status = say(State::Missing.as_str());
        return Ok(Found { state: Some(state), warnings: vec![database::missing(&instance)] });
    }
    if facts.nothing_known() && set_text(&state.creation_id).is_some() {
        state.status = say(State::Vanished.as_str());
        return Ok(Found { state: Some(state), warnings: vec![database::vanished(&instance)] });
    }
    if !facts.exists || (facts.mark.is_none() && !facts.data && facts.mark_damaged.is_none()) {
        return Ok(Found { state: None, warnings: Vec::new() });
    }
    if let Some(why) = &facts.mark_damaged {
        state.status = say(State::Unreadable.as_str());
        let warnings = vec![database::unreadable(&instance, why)];
        return Ok(Found { state: Some(state), warnings });
    }
    let mut warnings = Vec::new();
    if let Some(mark) = &facts.mark {
        if mark.stage == Stage::Destroying {
            warnings.push(half_gone(&state, &instance, &mark.operation));
        }
        if set_text(&state.creation_id).is_some_and(|known| *known != mark.creation) {
            state.status = say(State::Foreign.as_str());
            return Ok(Found { state: Some(state), warnings: vec![database::foreign(&instance)] });
        }
        state.creation_id = say(&mark.creation);
    }
    state.id = say(import_id(&instance));
    state.status = say(State::of(&facts, state.initialize != Value::Value(false)).as_str());
    if set_text(&state.status) == Some(State::Held.as_str())
        && let Some(command) = &facts.held
    {
        warnings.push(database::held(&instance, command));
    }
    take_package(&mut state, &facts);
    // A member that others build (initialize = false) says nothing of its server: the group does. A
    // server whose account may be half made is not asked either.
    if facts.pid.is_some()
        && facts.account.is_some()
        && !facts.adopting
        && state.initialize != Value::Value(false)
    {
        match database.ask(cx, &instance, &facts).await {
            Ok(said) => {
                take_answers(database, &mut state, &said);
                let group = facts.group.is_some();
                warnings.extend(database::root_changed(&instance, said.root, group));
            }
            // A standby gets its accounts from its primary.
            Err(problem)
                if problem.kind == Kind::Denied
                    && facts.mark.is_some()
                    && facts.group.as_ref().is_none_or(|g| g.led_by(&instance)) =>
            {
                state.status = say(State::LockedOut.as_str());
                let group = facts.group.is_some();
                warnings.push(database::locked_out(&instance, &problem.why, group));
            }
            Err(problem) => {
                state.status = say(State::Unreachable.as_str());
                warnings.push(problem);
            }
        }
    }
    // A server that this provider made or adopted is not asked each time; `ob doctor` asks.
    if facts.pid.is_some()
        && state.creation_id.is_null()
        && database.root_is_open(cx, &instance).await
    {
        warnings.push(database::open_to_all(&instance));
    }
    if state.unmanaged.is_unknown() {
        state.unmanaged = Value::Value(BTreeMap::new());
    }
    state.instance = reference(&state);
    Ok(Found { state: Some(state), warnings })
}

/// Looks at the object of `prior` by the way that `next` gives, and so proves that way before it
/// gets into the state.
///
/// # Errors
/// The object is not there, or what is there cannot be told from it. By another way than before, a
/// host that cannot be looked at is an error, too.
pub async fn by_the_way_of(cx: &Cx, prior: &Cluster, next: &Cluster) -> Result<Cluster, Problem> {
    let (Some(node), Some(database)) = (instance(next), database(next)) else {
        return Err(common::bad_state("an ob_cluster", "where it is"));
    };
    let another = another_way(prior, next);
    if another {
        database.facts(cx, &node).await?;
    }
    let there = Cluster { zones: next.zones.clone(), ..prior.clone() };
    let found = read(cx, there).await?.state;
    let status = found.as_ref().map(|state| set_text(&state.status).and_then(State::parse));
    let lost = match status {
        None | Some(Some(State::Vanished)) => database::vanished(&node),
        Some(Some(State::Missing)) => database::missing(&node),
        Some(Some(State::Foreign)) => database::foreign(&node),
        Some(Some(State::Unreadable)) => database::unreadable(&node, ""),
        Some(_) => {
            let zones = prior.zones.clone();
            return Ok(Cluster { zones, ..found.unwrap_or_default() });
        }
    };
    Err(if another { not_there(&node, lost) } else { lost })
}

/// Says of an object that it is not where a change says it is reached from now on.
fn not_there(node: &Node, lost: Problem) -> Problem {
    let what = format!("{} is not on the host that is configured for it now", node.show());
    Problem { what, ..lost }.fix(
        "check address, port and user of its host: another machine may answer there. Nothing was \
         changed or saved, so it is enough to set them back; if this is the machine, mount the disk \
         of its directory",
    )
}

fn half_gone(state: &Cluster, instance: &Node, operation: &str) -> Problem {
    Problem::user(format!(
        "the destroy of cluster \"{}\" was not finished",
        text(&state.name).unwrap_or_default()
    ))
    .place(instance.host.endpoint.show())
    .why(format!("operation {operation} began to remove it"))
    .fix("run the destroy again: it goes on where that one stopped (or `ob operation abandon`)")
}

fn unreachable(mut state: Cluster, problem: Problem) -> Found<Cluster> {
    let name = text(&state.name).unwrap_or_default();
    state.status = say(State::Unreachable.as_str());
    let warning = Problem {
        kind: Kind::Unreachable,
        what: format!("cluster \"{name}\" could not be looked at"),
        then: "its last known state is used; nothing is planned because of this alone".into(),
        ..problem
    };
    Found { state: Some(state), warnings: vec![warning] }
}

/// Another package than the state's is drift: its id is shown, and the other attributes stay as
/// last known.
fn take_package(state: &mut Cluster, facts: &Facts) {
    let Some(found) = &facts.package else { return };
    if facts.mark.is_none() {
        return;
    }
    if let Value::Value(package) = &mut state.package
        && set_text(&package.id) != Some(found)
    {
        package.id = say(found);
    }
}

fn take_answers(database: &dyn Database, state: &mut Cluster, said: &Said) {
    state.build = say(&said.build);
    let mut declared = BTreeMap::new();
    if let Value::Value(parameters) = &mut state.parameters {
        for (name, value) in parameters.iter_mut() {
            let Some(now) = said.parameters.get(name) else { continue };
            // Another spelling of the same value is no drift.
            let same = set_text(value).is_some_and(|wanted| database.same_value(wanted, now));
            if !same && !value.is_null() {
                *value = say(now);
            }
            declared.insert(name.clone(), ());
        }
    }
    let others = said.changed.iter().filter(|(name, _)| !declared.contains_key(*name));
    state.unmanaged = Value::Value(others.map(|(k, v)| (k.clone(), say(v))).collect());
}

/// Warns at plan time about what apply will meet: too little memory, an unfinished create, a
/// complete object to adopt.
pub async fn foresee(cx: &Context, prior: Option<&Cluster>, planned: &Cluster) -> Vec<Problem> {
    let (Some(instance), Some(database)) = (instance(planned), database(planned)) else {
        return Vec::new();
    };
    if let Some(prior) = prior.filter(|prior| another_way(prior, planned))
        && let Err(problem) = by_the_way_of(&reader(cx), prior, planned).await
    {
        return vec![problem];
    }
    let (before, after) = (prior.and_then(desired), desired(planned));
    // For an update only another package, other parameters and root's password matter.
    let unchanged = |d: &Desired| {
        before.as_ref().is_some_and(|b| {
            b.parameters == d.parameters
                && b.package.same(&d.package)
                && b.root_password_version == d.root_password_version
        })
    };
    let adopted = prior.is_some_and(|prior| adopts(prior, planned));
    if prior.is_some() && !adopted && after.as_ref().is_none_or(unchanged) {
        return Vec::new();
    }
    let facts = match database.facts(&reader(cx), &instance).await {
        Ok(facts) => facts,
        // The refresh has already reported this for an object that is in the state.
        Err(problem) => {
            return prior.is_none().then(|| common::not_seen(problem)).into_iter().collect();
        }
    };
    let mut found = Vec::new();
    if let Some(next) = &after {
        found = database.foresee(&reader(cx), before.as_ref(), next, &facts).await;
        if adopted {
            found.insert(0, database.adoption(next, &facts));
        }
    }
    if prior.is_some() {
        return found;
    }
    let Some(mark) = facts.mark else { return found };
    if cx.session.owner.as_ref() != Some(&mark.owner) {
        return found;
    }
    let name = &instance.name;
    let place = instance.host.endpoint.show();
    found.extend(match mark.stage {
        Stage::Building => {
            let (done, of) = crate::engine::history::progress(
                &reader(cx),
                &instance.host,
                &instance.key(),
                &mark.operation,
            )
            .await
            .unwrap_or((0, 0));
            Some(
                Problem::user(format!("resumes the creation of \"{name}\""))
                    .place(place)
                    .why(format!("operation {} stopped after step {done} of {of}", mark.operation))
                    .fix(
                        "nothing: steps that are done are skipped; to give it up instead, run \
                         `ob operation abandon`",
                    ),
            )
        }
        Stage::Complete => Some(
            Problem::user(format!("adopts \"{name}\", which this owner made before"))
                .place(place)
                .why("its mark is complete and it is not in this state")
                .fix("nothing, if the state was lost; else import it"),
        ),
        Stage::Destroying => None,
    });
    found
}

/// Reads an object by its import id; writes nothing.
///
/// # Errors
/// The id is malformed, the host does not answer, or no engine finds anything of its own in the
/// directory.
pub async fn import(cx: &Context, id: &str) -> Result<Cluster, Problem> {
    let Place { endpoint, directory, run_as } = parse_id(id)?;
    let cx = reader(cx);
    let host = crate::resource::common::host(endpoint.clone(), &run_as);
    let (database, probe) = database::probe(&cx, &host, &directory).await?;
    if let Some(known) = probe.known_as.filter(|known| *known != directory) {
        return Err(Problem::user(format!("{} is imported by another path", &*directory))
            .place(host.endpoint.show())
            .why(format!("it was made as {}: the two paths lead to one directory", &*known))
            .fix("use that path in the import id"));
    }
    let port =
        |port: Port| probe.ports.get(&port).map_or(Value::Null, |p| Value::Value((*p).into()));
    let server = Server {
        host: Value::Value(Connection::of(&endpoint)),
        base_dir: say(&*directory),
        sql_port: port(Port::Sql),
        rpc_port: port(Port::Rpc),
        run_as: if run_as.is_empty() { Value::Null } else { say(&run_as) },
    };
    let zone = Zone { servers: Value::Value([("s1".to_owned(), Value::Value(server))].into()) };
    let state = Cluster {
        name: say(&probe.name),
        engine: say(database.engine().as_str()),
        package: Value::Value(super::schema::PackageRef::of(&probe.package)),
        zones: Value::Value([("z1".to_owned(), Value::Value(zone))].into()),
        initialize: Value::Value(probe.initialized),
        deletion_protection: Value::Value(true),
        status: say(State::Running.as_str()),
        build: say(&probe.build),
        instance: Value::Value(InstanceRef::default()),
        unmanaged: Value::Value(BTreeMap::new()),
        ..Cluster::default()
    };
    Ok(read(&cx, state).await?.state.unwrap_or_default())
}
