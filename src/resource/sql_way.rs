//! The way to the server of an SQL object: its instance, the member of a group that takes writes,
//! or an endpoint.
use super::sql_target::{Target, show};
use super::{Context, execute::reader};
use crate::base::{Address, Kind, Problem};
use crate::component::database::{self, Database, Member, Standing};
use crate::component::mysql::Link;
use crate::component::sql::{self, Login};
use crate::engine::{Cx, Node, on_the_way};
use crate::transport::Endpoint;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long to wait for the other members once one says that it is the primary.
const GRACE: Duration = Duration::from_secs(3);

/// Opens a session on the server.
///
/// # Errors
/// The host or the server cannot be reached, the login fails, or no member of the group takes
/// writes.
pub async fn open(cx: &Context, target: &Target) -> Result<Link, Problem> {
    let engine_cx = reader(cx);
    let work = async {
        match target {
            Target::Instance(engine, node) => {
                own(&engine_cx, database::named(*engine)?, node).await
            }
            Target::Group(engine, members) => {
                let database = database::named(*engine)?;
                own(&engine_cx, database, &primary(&engine_cx, database, members).await?).await
            }
            Target::Endpoint { address, port, credential, via } => {
                foreign(cx, address, *port, credential, via.as_ref()).await
            }
        }
    };
    tokio::select! {
        link = work => link,
        () = cx.cancel.cancelled() => Err(Problem::new(Kind::Cancelled, "cancelled")
            .place(show(target))
            .fix("run the same command again")),
    }
}

async fn own(cx: &Cx, database: &dyn Database, node: &Node) -> Result<Link, Problem> {
    let (session, user) = database.session(cx, node, sql::STATEMENT).await?;
    Ok(Link::new(session, node.place(), user))
}

async fn foreign(
    cx: &Context,
    address: &str,
    port: u16,
    credential: &str,
    via: Option<&Endpoint>,
) -> Result<Link, Problem> {
    let place = format!("{address}:{port}");
    let Some(found) = cx.session.sql_credentials.get(credential) else {
        if cx.session.sql_later {
            return Err(Problem::new(
                Kind::Later,
                format!("cannot look yet at {place} as \"{credential}\""),
            )
            .why("that login is not known before apply")
            .fix("nothing: this is planned from what is known, and apply looks"));
        }
        let names: Vec<_> = cx.session.sql_credentials.keys().map(String::as_str).collect();
        let why = if names.is_empty() {
            "the provider has no sql.credentials".to_owned()
        } else {
            format!("the provider has: {}", names.join(", "))
        };
        return Err(Problem::user(format!("there is no login named \"{credential}\""))
            .place(place)
            .why(why)
            .fix(format!(
                "add it: provider \"ob\" {{ sql = {{ credentials = {{ {credential} = {{ user = …, \
                 password = … }} }} }} }}"
            ))
            .attribute(["endpoint", "credential"]));
    };
    let here = Endpoint {
        name: "this machine".into(),
        address: Address::local(),
        port: 22,
        user: String::new(),
        identity: String::new(),
        host_key: String::new(),
    };
    let way = via.unwrap_or(&here);
    let transport = cx.session.connector.connect(way).await.map_err(|e| on_the_way(&e, way))?;
    let login = Login::new(&found.user, &found.password);
    let (way, limit) = (transport.as_ref(), sql::STATEMENT);
    let session = sql::open_with(way, address, port, &login, &found.tls, limit).await;
    let session = session.map_err(|e| {
        let problem = e.explain("log in", &place);
        match e.code() {
            Some(sql::ACCESS_DENIED) => problem.fix(format!(
                "correct user and password of sql.credentials.{credential} in the provider \
                 configuration; should the server require TLS of this user, set tls there"
            )),
            Some(sql::SECURE_TRANSPORT) => problem.fix(format!(
                "set tls = \"verify\" (or \"required\") in sql.credentials.{credential} of the \
                 provider configuration"
            )),
            _ => problem,
        }
    })?;
    Ok(Link::new(session, place, login.user))
}

/// The member that takes writes. Once a member says that it is the primary, dead members are waited
/// for only [`GRACE`] longer.
async fn primary(
    cx: &Cx,
    database: &'static dyn Database,
    members: &BTreeMap<String, Node>,
) -> Result<Node, Problem> {
    let mut looks = tokio::task::JoinSet::new();
    for (name, instance) in members {
        let (cx, name, instance) = (cx.clone(), name.clone(), instance.clone());
        looks.spawn(async move { (name, database.look(&cx, &instance).await) });
    }
    let mut seen: BTreeMap<String, Member> = BTreeMap::new();
    let mut until = None;
    loop {
        let next = looks.join_next();
        let joined = match until {
            Some(at) => tokio::time::timeout_at(at, next).await.unwrap_or(None),
            None => next.await,
        };
        let Some(joined) = joined else { break };
        if let Ok((name, member)) = joined {
            if member.standing == Standing::Primary && until.is_none() {
                until = Some(tokio::time::Instant::now() + GRACE);
            }
            seen.insert(name, member);
        }
    }
    choose(&seen).and_then(|name| members.get(name).cloned()).ok_or_else(|| {
        let what: Vec<_> = members
            .keys()
            .map(|n| format!("{n}: {}", seen.get(n).map_or("unreachable", |m| m.standing.as_str())))
            .collect();
        Problem::new(Kind::Unreachable, "no member of the group takes writes")
            .place(members.keys().cloned().collect::<Vec<_>>().join(", "))
            .why(what.join(", "))
            .fix(
                "bring the primary back, switch over or fail over with ob_standby or `ob`, then \
                 run the same command again",
            )
    })
}

/// The member that takes writes and has not missed a move of the role; `None` when there is not
/// exactly one.
fn choose(seen: &BTreeMap<String, Member>) -> Option<&String> {
    let epoch = database::newest(seen).map_or(0, |g| g.epoch);
    let current = |m: &Member| {
        m.standing == Standing::Primary && m.note.as_ref().is_none_or(|n| n.epoch >= epoch)
    };
    let mut all = seen.iter().filter(|(_, m)| current(m)).map(|(n, _)| n);
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::database::Group;
    use crate::engine::Engine;

    #[test]
    fn the_primary_is_who_takes_writes_at_the_newest_epoch() {
        use Standing::{Primary, Standby, Unreachable};
        for (name, members, want) in [
            ("one", vec![("a", Primary, Some(1)), ("b", Standby, Some(1))], Some("a")),
            (
                "the other is dead",
                vec![("a", Unreachable, None), ("b", Primary, Some(2))],
                Some("b"),
            ),
            (
                "a former one that still takes writes",
                vec![("a", Primary, Some(1)), ("b", Primary, Some(2))],
                Some("b"),
            ),
            (
                "only a former one answers, another's note is newer",
                vec![("a", Primary, Some(1)), ("b", Standby, Some(2))],
                None,
            ),
            ("nobody", vec![("a", Standby, Some(1)), ("b", Standby, Some(1))], None),
            ("two at one epoch", vec![("a", Primary, Some(1)), ("b", Primary, Some(1))], None),
            ("no notes yet", vec![("a", Primary, None)], Some("a")),
        ] {
            let note = |e: u64| {
                Group::new(
                    Engine::Seekdb,
                    &crate::base::ObjectName::parse("g").unwrap(),
                    "o",
                    e,
                    "x",
                    BTreeMap::new(),
                )
            };
            let seen: BTreeMap<_, _> = members
                .into_iter()
                .map(|(n, standing, e)| {
                    (
                        n.to_owned(),
                        Member {
                            standing,
                            facts: None,
                            note: e.map(note),
                            why: String::new(),
                            source: String::new(),
                            later: false,
                            refusal: None,
                        },
                    )
                })
                .collect();
            assert_eq!(choose(&seen).map(String::as_str), want, "{name}");
        }
    }
}
