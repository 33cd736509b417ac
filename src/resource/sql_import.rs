//! Import ids of SQL objects: where the server is, then `#` and the object, as in
//! `ssh://admin@10.0.0.1:22/data/main?identity=prod#user=app&host=%25` or
//! `sql://reporting@10.0.0.9:2881#database=shop`.
//!
//! The second form names a login of the provider's `sql.credentials`. Names are percent-encoded.
use super::Context;
use super::common::{Map, host};
use super::execute::reader;
use super::ob_cluster::{InstanceRef, Place, directory, import_id, parse_id};
use super::sql_target::{SqlEndpoint, Target};
use crate::base::{ObjectName, Problem};
use crate::component::database;
use crate::engine::Node;
use crate::schema::Value;
use std::collections::BTreeMap;

/// An import id taken apart.
#[derive(Debug)]
pub struct Named {
    /// `instance`.
    pub instance: Value<InstanceRef>,
    /// `group`.
    pub group: Map<InstanceRef>,
    /// `endpoint`.
    pub endpoint: Value<SqlEndpoint>,
    /// What follows `#`.
    pub object: BTreeMap<String, String>,
}

impl Named {
    /// A part of the object's name.
    ///
    /// # Errors
    /// The id does not have it.
    pub fn part(&self, key: &str, id: &str) -> Result<String, Problem> {
        self.object.get(key).cloned().ok_or_else(|| bad(id, &format!("it does not name the {key}")))
    }
}

fn bad(id: &str, why: &str) -> Problem {
    Problem::user(format!("\"{id}\" is no import id"))
        .why(why)
        .fix("write it as ssh://user@address:22/base-dir?identity=name#database=shop or sql://credential@address:2881#user=app&host=%25&database=shop; names are percent-encoded")
}

/// The import id of an object.
#[must_use]
pub fn id(target: &Target, object: &[(&str, &str)]) -> String {
    let place = match target {
        Target::Instance(_, i) => import_id(i),
        Target::Group(_, members) => members.values().next().map(import_id).unwrap_or_default(),
        Target::Endpoint { address, port, credential, .. } => {
            let address =
                if address.contains(':') { format!("[{address}]") } else { address.clone() };
            format!("sql://{}@{address}:{port}", encode(credential))
        }
    };
    let object: Vec<_> =
        object.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    if object.is_empty() { place } else { format!("{place}#{}", object.join("&")) }
}

fn encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.~*".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let pair = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

/// Takes the object's part of an id apart.
fn object(id: &str) -> Result<(&str, BTreeMap<String, String>), Problem> {
    let Some((place, rest)) = id.split_once('#') else { return Ok((id, BTreeMap::new())) };
    let pair = |p: &str| {
        let (key, value) = p.split_once('=')?;
        Some((key.to_owned(), decode(value)?))
    };
    let object = rest
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|p| {
            pair(p)
                .ok_or_else(|| bad(id, &format!("\"{p}\" is not name=value in percent-encoding")))
        })
        .collect::<Result<_, _>>()?;
    Ok((place, object))
}

fn sql_endpoint(id: &str, rest: &str) -> Result<SqlEndpoint, Problem> {
    let (credential, at) = rest.split_once('@').ok_or_else(|| bad(id, "it names no credential"))?;
    let (address, port) = at.rsplit_once(':').ok_or_else(|| bad(id, "it names no port"))?;
    let port: u16 = port.parse().map_err(|_| bad(id, "its port is no number"))?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if address.is_empty() {
        return Err(bad(id, "it names no address"));
    }
    let credential =
        decode(credential).ok_or_else(|| bad(id, "its credential is not percent-encoded"))?;
    Ok(SqlEndpoint {
        address: Value::Value(address.to_owned()),
        port: Value::Value(i64::from(port)),
        credential: Value::Value(credential),
        via: Value::Null,
    })
}

/// Takes an id apart; asks the host of an `ssh://` id for the ports, and for the group it is in.
///
/// # Errors
/// It is no id, or the host does not answer.
pub async fn parse(cx: &Context, id: &str) -> Result<Named, Problem> {
    let (place, object) = object(id)?;
    let mut named =
        Named { instance: Value::Null, group: Value::Null, endpoint: Value::Null, object };
    if let Some(rest) = place.strip_prefix("sql://") {
        named.endpoint = Value::Value(sql_endpoint(id, rest)?);
        return Ok(named);
    }
    let Place { endpoint, base_dir, run_as } = parse_id(place).map_err(|p| bad(id, &p.why))?;
    let cx = reader(cx);
    let there = host(endpoint, &run_as);
    let directory = directory(id, &base_dir)?;
    let (database, probe) = database::probe(&cx, &there, &directory).await?;
    let name = ObjectName::parse(&probe.name).map_err(|why| bad(id, &why))?;
    let instance = Node::new(name, there, directory, probe.ports);
    let found = database.facts(&cx, &instance).await?;
    let engine = database.engine();
    // The package that the host is set to, under the name its deployment gave it.
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
                address: "::1".into(),
                port: 2881,
                credential: "r@p".into(),
                via: None,
            };
            let id = id(&at, &[("user", name), ("host", "%")]);
            let (place, object) = object(&id).unwrap();
            assert_eq!((object["user"].as_str(), object["host"].as_str()), (name, "%"), "{id}");
            let endpoint = sql_endpoint(&id, place.strip_prefix("sql://").unwrap()).unwrap();
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
        ] {
            assert!(
                sql_endpoint(text, text.strip_prefix("sql://").unwrap())
                    .unwrap_err()
                    .why
                    .contains(want),
                "{text}"
            );
        }
        assert!(object("ssh://h/d#user").is_err() && object("ssh://h/d#user=%zz").is_err());
    }
}
