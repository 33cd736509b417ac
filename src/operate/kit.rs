//! The kit: one file with all that the break-glass commands need. No secret is in it.
use crate::base::{ObjectName, Problem};
use crate::component::database::{self, Database, Group, Whose};
use crate::engine::journal::FORMAT;
use crate::engine::{Cx, Engine, Node};
use crate::transport::Endpoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Kit {
    /// Format version.
    pub format: u32,
    /// What its members are.
    pub engine: Engine,
    /// Name of the replication group.
    pub group: ObjectName,
    /// Owner of the configuration that has authority over it.
    pub owner: String,
    /// Members by name.
    pub members: BTreeMap<String, Node>,
    /// Package directory each member starts from.
    pub packages: BTreeMap<String, String>,
    /// Login users by identity name, for hosts that name none; the keys themselves are the
    /// operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, String>,
    /// Hosts to go through to the members, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bastion: Vec<Endpoint>,
    /// Lines of `known_hosts` about the members' hosts and the bastion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_hosts: Vec<String>,
}

impl Kit {
    /// Reads a kit from its JSON.
    ///
    /// # Errors
    /// The text says why the JSON is no kit: another format, or a name, address or owner that
    /// cannot be.
    pub fn parse(json: serde_json::Value) -> Result<Self, String> {
        if json["format"] != FORMAT {
            return Err(format!("its format is {}, this program knows {FORMAT}", json["format"]));
        }
        let kit: Self = serde_json::from_value(json).map_err(|e| e.to_string())?;
        for name in kit.members.keys().chain([&kit.owner]) {
            crate::schema::build::object_name(name).map_err(|why| format!("\"{name}\": {why}"))?;
        }
        Ok(kit)
    }
    /// The database engine of the kit's members.
    ///
    /// # Errors
    /// The kit's engine is no database.
    pub fn database(&self) -> Result<&'static dyn Database, Problem> {
        database::named(self.engine)
    }
}

/// Fills in what the members' hosts know better: owner and packages.
///
/// # Errors
/// The owner or a package stays unknown; the members are another group's.
pub async fn complete(cx: &Cx, mut kit: Kit) -> Result<Kit, Problem> {
    let whose = Whose { name: &kit.group, authority: &kit.owner, creation: "", epoch: 0 };
    let seen = database::look_all(kit.database()?, cx, &kit.members, whose).await;
    for (name, member) in &seen {
        if let Some(package) = member.facts.as_ref().and_then(|f| f.package.clone()) {
            kit.packages.insert(name.clone(), package);
        }
    }
    if let Some(note) = database::newest(&seen) {
        check_note(&kit.group, &kit.owner, note)?;
        kit.owner.clone_from(&note.authority);
    }
    if kit.owner.is_empty() {
        let why = seen
            .values()
            .map(|m| m.why.as_str())
            .find(|w| !w.is_empty())
            .unwrap_or("no member carries a note");
        return Err(Problem::user("the owner is not known")
            .why(why)
            .fix("give --owner (the provider's owner), or reach a member's host"));
    }
    if let Some(missing) = kit.members.keys().find(|n| !kit.packages.contains_key(*n)) {
        return Err(Problem::user(format!("the package of member \"{missing}\" is not known"))
            .why("its host does not answer")
            .fix("write the kit from the terraform state (--state), or reach that host"));
    }
    Ok(kit)
}

/// Refuses when the newest note is not that of the group `group`.
///
/// # Errors
/// It is another group's, or another owner's.
pub fn check_note(group: &str, owner: &str, note: &Group) -> Result<(), Problem> {
    if *note.name != *group {
        return Err(Problem::refused(format!(
            "the members belong to group \"{}\", not \"{group}\"",
            note.name
        ))
        .fix("write a new kit: ob kit --host user@address"));
    }
    if !owner.is_empty() && note.authority != owner {
        return Err(Problem::refused(format!(
            "group \"{group}\" belongs to owner \"{}\", not \"{owner}\"",
            note.authority
        ))
        .fix("write a new kit: ob kit --host user@address"));
    }
    Ok(())
}
