//! Reads what is true of a group: asks all members at once, each within its deadline.
use super::plan::{NO_MEMBER, found, known_epoch};
use super::schema::Standby;
use crate::base::units::show_duration;
use crate::base::{Kind, ObjectName, Problem, date};
use crate::component::database::{self, Loss, Member, Standing, Whose};
use crate::engine::{Cx, Node};
use crate::resource::common::{known, set_text, settle, text};
use crate::resource::ob_cluster::InstanceRef;
use crate::resource::place::{Place, parse_id};
use crate::resource::{Context, Found};
use crate::schema::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Looks at all members.
///
/// # Errors
/// The state does not say who the members are.
pub async fn read(
    cx: &Cx,
    owner: Option<&str>,
    mut state: Standby,
) -> Result<Found<Standby>, Problem> {
    let (members, engine) = found(&state)?;
    let mut warnings = Vec::new();
    let name = text(&state.name).unwrap_or_default();
    let creation = set_text(&state.creation).unwrap_or_default().to_owned();
    let epoch = known_epoch(&state);
    let whose =
        Whose { name: &name, authority: owner.unwrap_or_default(), creation: &creation, epoch };
    let seen = database::look_all(database::named(engine)?, cx, &members, whose).await;
    if seen.values().any(|m| m.later) {
        return Err(Problem::new(Kind::Later, format!("cannot look yet at group \"{name}\""))
            .why("what is needed to log in to its hosts is not known before apply")
            .fix("nothing: this is planned from what is known, and apply looks"));
    }
    warnings.extend(unseen(&name, &members, &seen));
    let note = database::newest(&seen);
    if note.is_none()
        && seen.values().all(|m| m.standing != Standing::Unreachable)
        && state.epoch.is_value()
    {
        return Ok(Found { state: None, warnings });
    }
    let primaries: Vec<_> = seen
        .iter()
        .filter(|(_, m)| m.standing == Standing::Primary)
        .map(|(n, _)| n.clone())
        .collect();
    let current = if let [one] = &primaries[..] { one.clone() } else { String::new() };
    let floor = known_epoch(&state);
    if let Some(note) = note.filter(|n| n.epoch < floor) {
        warnings.push(
            Problem::refused(format!("group \"{name}\" shows an older epoch than was known"))
                .why(format!("the newest note is of epoch {}, the state knows {floor}", note.epoch))
                .fix(
                    "find out who put former notes back (.ob/group with each member); consents for \
                     former epochs stay void",
                ),
        );
    } else if let Some(note) = note {
        state.epoch = Value::Value(i64::try_from(note.epoch).unwrap_or(i64::MAX));
        state.noted_primary = Value::Value(note.primary.clone());
        state.creation = Value::Value(note.creation.clone());
    }
    // While the primary cannot be seen, noted_primary keeps the last known one; current_primary
    // says only what is seen.
    state.current_primary = Value::Value(current.clone());
    state.member_status = Value::Value(
        seen.iter()
            .map(|(n, m)| (n.clone(), m.standing.as_str()))
            .chain(database::strays(&seen, &members).into_iter().map(|n| (n, NO_MEMBER)))
            .map(|(n, word)| (n, Value::Value(word.to_owned())))
            .collect(),
    );
    state.id = state.name.clone();
    let loss = seen.values().filter_map(|m| m.facts.as_ref()?.loss.clone()).max_by_key(|l| l.epoch);
    if let Some(loss) = loss {
        state.last_failover = Value::Value(show(&loss));
    }
    let aside: BTreeMap<_, _> = seen
        .iter()
        .filter_map(|(n, m)| Some((n.clone(), m.facts.as_ref()?.aside.join(", "))))
        .filter(|(_, a)| !a.is_empty())
        .map(|(n, a)| (n, Value::Value(a)))
        .collect();
    if seen.values().all(|m| m.facts.is_some()) || !state.set_aside.is_value() {
        state.set_aside = Value::Value(aside);
    }
    let at =
        if current.is_empty() { text(&state.noted_primary).unwrap_or_default() } else { current };
    let reference = known(&state.members)
        .flatten()
        .and_then(|m| known(m.get(&at)?)?.map(|m| m.instance.clone()));
    state.endpoint = reference.unwrap_or(Value::Null);
    settle(&mut state.epoch);
    settle(&mut state.creation);
    settle(&mut state.noted_primary);
    settle(&mut state.last_failover);
    settle(&mut state.runbook);
    settle(&mut state.impact);
    Ok(Found { state: Some(state), warnings })
}

/// Warns of the members that could not be looked at: those that do not answer, and those whose
/// server answers that it refuses our account, or that it cannot answer now. Only the first ones
/// may be gone. Without a place: this is said beside what is said of each host.
fn unseen(
    group: &str,
    members: &BTreeMap<String, Node>,
    seen: &BTreeMap<String, Member>,
) -> Vec<Problem> {
    let of = |kind: Option<Kind>| {
        let unseen = |m: &Member| {
            let refusal = m.refusal.as_ref().map(|r| r.kind);
            m.standing == Standing::Unreachable && refusal == kind
        };
        let all: Vec<_> = seen
            .iter()
            .filter(|(_, m)| unseen(m))
            .filter_map(|(name, m)| Some((name, members.get(name)?.host.endpoint.show(), m)))
            .collect();
        let names: Vec<_> = all.iter().map(|(n, ..)| format!("\"{n}\"")).collect();
        let why: Vec<_> = all.iter().map(|(n, at, m)| format!("{n} on {at}: {}", m.why)).collect();
        let fix = all.iter().find_map(|(_, _, m)| m.refusal.as_ref()).map(|r| r.fix.clone());
        (!all.is_empty()).then(|| (names.join(", "), why.join("; "), fix.unwrap_or_default()))
    };
    let silent = of(None).map(|(names, why, _)| {
        let what = format!("members of group \"{group}\" could not be looked at: {names}");
        Problem::new(Kind::Unreachable, what).why(why).fix(
            "bring them back; if the primary is among them and gone, a failover consent opens \
             another member",
        )
    });
    let denied = of(Some(Kind::Denied)).map(|(names, why, _)| {
        let what = format!("members of group \"{group}\" refuse the provider's account: {names}");
        Problem::new(Kind::Denied, what).why(why).fix(database::account_again(true))
    });
    let busy = of(Some(Kind::Busy)).map(|(names, why, fix)| {
        let what = format!("members of group \"{group}\" answer and cannot be asked now: {names}");
        Problem::new(Kind::Busy, what).why(why).fix(fix)
    });
    silent.into_iter().chain(denied).chain(busy).collect()
}

fn show(loss: &Loss) -> String {
    format!(
        "epoch {}: the log of \"{}\" ended at SCN {} ({} UTC by the log's clock, which runs ahead \
         by up to 10 s within that time after a start or a move of the role), known {} before it \
         was opened; what the old primary acknowledged later may be lost",
        loss.epoch,
        loss.to,
        loss.scn,
        date::plain(Duration::from_nanos(loss.scn)),
        show_duration(Duration::from_millis(loss.age_ms))
    )
}

/// Reads a group by the import id of any of its members,
/// `ssh://user@address:port/base-dir?identity=name`; writes nothing.
///
/// # Errors
/// The id is malformed, the host does not answer, or the instance is in no group.
pub async fn import(cx: &Context, id: &str) -> Result<Standby, Problem> {
    let (cx, owner) = (super::reader(cx), cx.session.owner.as_deref());
    let Place { endpoint, directory, run_as } = parse_id(id)?;
    let place = endpoint.show();
    // The member's name does not matter for reading its note.
    let nameless = ObjectName::parse("member").map_err(Problem::internal)?;
    let host = crate::resource::common::host(endpoint, &run_as);
    let node = Node::new(nameless, host, directory, []);
    let mut note = None;
    for database in database::ALL {
        note = database.facts(&cx, &node).await?.group.map(|group| (database, group));
        if note.is_some() {
            break;
        }
    }
    let Some((database, mut group)) = note else {
        return Err(Problem::user("there is no group to import")
            .place(place)
            .why("the instance carries no group note")
            .fix("give the directory of a member; an instance outside a group is an ob_cluster"));
    };
    group.members = group.untrusted();
    let packages = database::look_all(database, &cx, &group.members, Whose::of(&group))
        .await
        .into_iter()
        .map(|(n, m)| (n, m.facts.and_then(|f| f.package).unwrap_or_default()))
        .collect::<BTreeMap<_, _>>();
    let member = |(name, i): (&String, &Node)| {
        let package = packages.get(name).map_or("", String::as_str);
        let instance = InstanceRef::of(group.engine, i, package);
        (name.clone(), Value::Value(super::MemberRef { instance: Value::Value(instance) }))
    };
    let state = Standby {
        name: Value::Value(group.name.to_string()),
        members: Value::Value(group.members.iter().map(member).collect()),
        primary: Value::Value(group.primary.clone()),
        deletion_protection: Value::Value(true),
        ..Standby::default()
    };
    read(&cx, owner, state).await?.state.ok_or_else(|| Problem::user("the group is gone"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Directory, ImportId};
    use crate::resource::common;
    use crate::resource::place;

    #[test]
    fn who_answers_and_refuses_us_is_never_taken_for_gone() {
        let members = BTreeMap::from(["a", "b"].map(|name| {
            let place = ImportId::parse("ssh://u@10.0.0.1:22/d").and_then(place::whole).unwrap();
            let host = common::host(place::endpoint(place).unwrap(), "");
            let directory = Directory::parse("/d").unwrap();
            (name.to_owned(), Node::new(ObjectName::parse(name).unwrap(), host, directory, []))
        }));
        let member = |kind: Option<Kind>| Member {
            standing: Standing::Unreachable,
            facts: None,
            note: None,
            why: "so".into(),
            source: String::new(),
            later: false,
            refusal: kind.map(|kind| Problem::new(kind, "x").fix("end some of its clients")),
        };
        for (a, b, want) in [
            (None, None, &["\"a\", \"b\""][..]),
            (Some(Kind::Denied), Some(Kind::Denied), &["\"a\", \"b\""]),
            (Some(Kind::Denied), None, &["\"b\"", "\"a\""]),
            (Some(Kind::Busy), None, &["\"b\"", "\"a\""]),
            (Some(Kind::Busy), Some(Kind::Denied), &["\"b\"", "\"a\""]),
        ] {
            let seen = [("a".to_owned(), member(a)), ("b".to_owned(), member(b))].into();
            let said = unseen("g", &members, &seen);
            assert_eq!(said.len(), want.len(), "{said:?}");
            for (problem, names) in said.iter().zip(want) {
                assert!(problem.what.ends_with(&format!(": {names}")), "{problem}");
                let silent = problem.what.contains("could not be looked at");
                assert_eq!(problem.fix.contains("failover"), silent, "{problem}");
                let busy = problem.what.contains("cannot be asked now");
                assert_eq!(problem.fix == "end some of its clients", busy, "{problem}");
                assert!(!problem.fix.contains("ob_cluster"), "{problem}");
            }
        }
    }
}
