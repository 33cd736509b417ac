//! Import ids of SQL objects: the place of the server, then `#` and the object, as in
//! `ssh://admin@10.0.0.1:22/data/main?identity=prod#user=app&host=%25` or
//! `sql://reporting@10.0.0.9:2881#database=shop`.
//!
//! In the second form the user is a login of the provider's `sql.credentials`. Names are
//! percent-encoded.
use super::Context;
use super::common::{Map, host};
use super::execute::reader;
use super::ob_cluster::InstanceRef;
use super::place::{Place, id_at};
use super::sql_target::{SqlEndpoint, Target};
use crate::base::import_id::Way;
use crate::base::{ImportId, ObjectName, Problem};
use crate::component::database;
use crate::engine::Node;
use crate::schema::Value;
use std::collections::BTreeMap;

/// The parts of an import id.
#[derive(Debug)]
pub struct Named {
    /// The attribute `instance`.
    pub instance: Value<InstanceRef>,
    /// The attribute `group`.
    pub group: Map<InstanceRef>,
    /// The attribute `endpoint`.
    pub endpoint: Value<SqlEndpoint>,
    /// The names and values after `#`.
    pub object: BTreeMap<String, String>,
}

impl Named {
    /// The value of `key` after `#`.
    ///
    /// # Errors
    /// The id has no such key.
    pub fn part(&self, key: &str, id: &str) -> Result<String, Problem> {
        self.object.get(key).cloned().ok_or_else(|| bad(id, &format!("it does not name the {key}")))
    }
}

fn bad(id: &str, why: &str) -> Problem {
    Problem::user(format!("\"{id}\" is no import id")).why(why).fix(
        "write it as ssh://user@address:22/base-dir?identity=name#database=shop or \
         sql://credential@address:2881#user=app&host=%25&database=shop; names are percent-encoded",
    )
}

/// The import id of an object on a server.
#[must_use]
pub fn id(target: &Target, object: &[(&str, &str)]) -> String {
    let at = |i: &Node| id_at(&i.host.endpoint, &i.directory, &i.host.run_as);
    let place = match target {
        Target::Instance(_, i) => at(i),
        Target::Group(_, members) => match members.values().next() {
            Some(first) => at(first),
            None => return String::new(),
        },
        Target::Endpoint { address, port, credential, .. } => ImportId {
            user: credential.clone(),
            port: Some(*port),
            ..ImportId::at(Way::Sql, address.clone())
        },
    };
    let object = object.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ImportId { object: object.collect(), ..place }.to_string()
}

fn sql_endpoint(place: ImportId) -> Result<SqlEndpoint, String> {
    let port = place.port.ok_or("it names no port")?;
    if place.user.is_empty() {
        return Err("it names no credential".into());
    }
    if !place.path.is_empty() || !place.identity.is_empty() || !place.run_as.is_empty() {
        return Err("an endpoint of SQL has no directory, identity or run_as".into());
    }
    Ok(SqlEndpoint {
        address: Value::Value(place.address.to_string()),
        port: Value::Value(i64::from(port)),
        credential: Value::Value(place.user),
        via: Value::Null,
    })
}

/// Parses an id. For an `ssh://` id also asks the host for the instance's ports and for the group
/// that the instance is in.
///
/// # Errors
/// The id is malformed, or the host does not answer.
pub async fn parse(cx: &Context, id: &str) -> Result<Named, Problem> {
    let place = ImportId::parse(id).map_err(|why| bad(id, &why))?;
    let mut named = Named {
        instance: Value::Null,
        group: Value::Null,
        endpoint: Value::Null,
        object: place.object.iter().cloned().collect(),
    };
    if place.way == Way::Sql {
        named.endpoint = Value::Value(sql_endpoint(place).map_err(|why| bad(id, &why))?);
        return Ok(named);
    }
    let Place { endpoint, directory, run_as } = Place::of(place).map_err(|why| bad(id, &why))?;
    let cx = reader(cx);
    let there = host(endpoint, &run_as);
    let (database, probe) = database::probe(&cx, &there, &directory).await?;
    let name = ObjectName::parse(&probe.name).map_err(|why| bad(id, &why))?;
    let instance = Node::new(name, there, directory, probe.ports);
    let found = database.facts(&cx, &instance).await?;
    let engine = database.engine();
    // The package that the host is set to, by the name that its deployment gave it.
    let package = found.package.unwrap_or(probe.package.id);
    match found.group {
        Some(note) => {
            let members = note.members.iter().map(|(name, i)| {
                (name.clone(), Value::Value(InstanceRef::of(engine, i, &package)))
            });
            named.group = Value::Value(members.collect());
        }
        None => named.instance = Value::Value(InstanceRef::of(engine, &instance, &package)),
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_gives_back_the_names_it_was_made_of() {
        for name in ["shop", "a@b#c&d=e/f", "it's `x` ü%_\\", "*", " "] {
            let at = Target::Endpoint {
                address: "::1".parse().unwrap(),
                port: 2881,
                credential: "r@p".into(),
                via: None,
            };
            let id = id(&at, &[("user", name), ("host", "%")]);
            let place = ImportId::parse(&id).unwrap();
            let object: BTreeMap<_, _> = place.object.iter().cloned().collect();
            assert_eq!((object["user"].as_str(), object["host"].as_str()), (name, "%"), "{id}");
            let endpoint = sql_endpoint(place).unwrap();
            assert_eq!(
                (endpoint.address, endpoint.port, endpoint.credential),
                (Value::Value("::1".into()), Value::Value(2881), Value::Value("r@p".into()))
            );
        }
    }

    #[test]
    fn a_bad_id_says_what_is_wrong() {
        for (text, want) in [
            ("sql://a:1", "credential"),
            ("sql://c@a", "port"),
            ("sql://c@a:x", "number"),
            ("sql://c@:1", "address"),
            ("sql://c@a:1/d", "directory"),
            ("ssh://h/d#user", "name=value"),
            ("ssh://h/d#user=%zz", "percent-encoding"),
        ] {
            let why = ImportId::parse(text).and_then(sql_endpoint).unwrap_err();
            assert!(why.contains(want), "{text}: {why}");
        }
    }
}
