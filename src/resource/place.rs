//! The host and the directory that an import id leads to.
use crate::base::import_id::Way;
use crate::base::{Directory, ImportId, Problem};
use crate::engine::Node;
use crate::transport::Endpoint;

/// A directory on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// How to log in to the host.
    pub endpoint: Endpoint,
    /// The directory.
    pub directory: Directory,
    /// The user that owns the directory; empty means the login user.
    pub run_as: String,
}

impl Place {
    /// The place of an id. The part after `#` is left to the caller.
    ///
    /// # Errors
    /// The id does not begin with `ssh://`, or names no directory.
    pub fn of(id: ImportId) -> Result<Self, String> {
        if id.path.is_empty() {
            return Err("it names no directory".into());
        }
        let directory = Directory::parse(&id.path)?;
        Ok(Self { directory, run_as: id.run_as.clone(), endpoint: endpoint(id)? })
    }
}

/// Parses the import id of a directory:
/// `ssh://user@address:port/base-dir?identity=name&run_as=user`.
///
/// # Errors
/// The id is malformed.
pub fn parse_id(id: &str) -> Result<Place, Problem> {
    let parsed = ImportId::parse(id).and_then(whole).and_then(Place::of);
    parsed.map_err(|why| {
        Problem::user(format!("\"{id}\" is no import id"))
            .why(why)
            .fix("write it as ssh://user@address:22/base-dir?identity=name&run_as=user")
    })
}

/// Accepts an id that leads to a host or a directory, not to an object in a database.
///
/// # Errors
/// The id names a SQL object.
pub fn whole(id: ImportId) -> Result<ImportId, String> {
    if id.object.is_empty() { Ok(id) } else { Err("what follows # names a SQL object".into()) }
}

/// How to log in to the host of an id. An id does not tell the host's name, so the address stands
/// for it.
///
/// # Errors
/// The id does not begin with `ssh://`.
pub fn endpoint(id: ImportId) -> Result<Endpoint, String> {
    if id.way != Way::Ssh {
        return Err("it does not begin with ssh://".into());
    }
    Ok(Endpoint {
        name: id.address.to_string(),
        address: id.address,
        port: id.port.unwrap_or(22),
        user: id.user,
        identity: id.identity,
        host_key: String::new(),
    })
}

/// The import id of an instance.
#[must_use]
pub fn import_id(i: &Node) -> String {
    id_at(&i.host.endpoint, &i.directory, &i.host.run_as).to_string()
}

/// The import id of a path on a host.
#[must_use]
pub fn id_at(endpoint: &Endpoint, path: &str, run_as: &str) -> ImportId {
    ImportId {
        user: endpoint.user.clone(),
        port: Some(endpoint.port),
        path: path.to_owned(),
        identity: endpoint.identity.clone(),
        run_as: run_as.to_owned(),
        ..ImportId::at(Way::Ssh, endpoint.address.clone())
    }
}
