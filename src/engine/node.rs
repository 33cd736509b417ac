//! A database server, whatever its engine: what marks, notes, kits and journals say of it.
use super::key::Key;
use super::step::Host;
use crate::base::{Address, Directory, ObjectName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A database engine by name. What it is, the components know.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The single-node engine.
    Seekdb,
    /// No database: a prepared host.
    None,
}

impl Engine {
    /// The engine's word in files and in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
    /// The engine of a word; `None` for an unknown word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// What a port of a node is for.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    /// The MySQL protocol.
    Sql,
    /// What other members talk to.
    Rpc,
}

/// One server: where it is and where it answers.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Node {
    /// Name of the object that it belongs to.
    pub name: ObjectName,
    /// Its host.
    pub host: Host,
    /// Address at which other members and clients reach it; that of SSH when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_address: Option<Address>,
    /// Its directory; everything of it is below.
    pub directory: Directory,
    /// Its ports.
    pub ports: BTreeMap<Port, u16>,
}

impl Node {
    /// A node that others reach at the address of its host.
    #[must_use]
    pub fn new(
        name: ObjectName,
        host: Host,
        directory: Directory,
        ports: impl IntoIterator<Item = (Port, u16)>,
    ) -> Self {
        let ports = ports.into_iter().collect();
        Self { name, host, service_address: None, directory, ports }
    }
    /// The key of the node's gate, lock and journal: its place on its host.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::place(&self.directory)
    }
    /// `name on host`, for titles.
    #[must_use]
    pub fn show(&self) -> String {
        format!("\"{}\" on {}", self.name, self.host.endpoint.name)
    }
    /// The address at which others reach the node.
    #[must_use]
    pub fn address(&self) -> &str {
        self.service_address.as_deref().unwrap_or(&self.host.endpoint.address)
    }
    /// The port for `port`; 0 when the node has none.
    #[must_use]
    pub fn port(&self, port: Port) -> u16 {
        self.ports.get(&port).copied().unwrap_or(0)
    }
    /// `address:port` of the MySQL protocol, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.address(), self.port(Port::Sql))
    }
    /// Path of a file in our own folder `.ob` inside the node's directory.
    #[must_use]
    pub fn own(&self, file: &str) -> String {
        self.directory.join(&format!(".ob/{file}"))
    }
    /// Whether a host's files may name this node. The address `local` means the machine that reads
    /// the file, so a host must not name it.
    #[must_use]
    pub fn from_a_host(&self) -> bool {
        let service = self.service_address.as_ref();
        !self.host.endpoint.address.is_local() && !service.is_some_and(Address::is_local)
    }
    /// The node as a file on a host may name it. Which key its host must show is not for another
    /// host to say: known_hosts decides.
    #[must_use]
    pub fn untrusted(&self) -> Self {
        let mut node = self.clone();
        node.host.endpoint.host_key.clear();
        node
    }
    /// Whether both are the same directory on the same machine, whatever names people gave them.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        self.host.same_machine(&other.host) && self.directory == other.directory
    }
}
