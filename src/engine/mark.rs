//! The mark says on a host to whom an object belongs. A create writes it before its other effects;
//! a destroy removes it last.
//!
//! The mark is the file `BASE/.ob/mark` in the object's own directory. The file
//! `$OB_STATE/objects/KEY/home` holds the path of that directory.
use super::journal::{FORMAT, formatted};
use super::node::{Engine, Node};
use super::template::{CREATION, EPOCH, OPERATION, OWNER, Template};
use serde::{Deserialize, Serialize};

/// How far an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A create began and has not ended.
    Building,
    /// It ended well.
    Complete,
    /// A destroy began.
    Destroying,
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Mark {
    /// Format version, 1.
    pub format: u32,
    /// Terraform type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is.
    pub engine: Engine,
    /// Where it is.
    pub node: Node,
    /// Owner of the configuration that made it.
    pub owner: String,
    /// Names this creation; destroy needs the same.
    pub creation: String,
    /// Who has authority over it (the owner, later an OCP).
    pub authority: String,
    /// Epoch of that authority.
    pub epoch: u64,
    /// How far it is.
    pub stage: Stage,
    /// The operation that wrote this.
    pub operation: String,
    /// The replication group it is a member of, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Mark {
    /// Reads a mark from its JSON.
    ///
    /// # Errors
    /// The mark is damaged, or of a newer format.
    pub fn parse(text: &str) -> Result<Self, String> {
        formatted(text)
    }

    /// The mark that a create writes. The values that only the run knows (owner, creation, epoch,
    /// operation) stand as named values.
    #[must_use]
    pub fn first(kind: &str, engine: Engine, node: &Node, stage: Stage) -> Template {
        let mark = Self {
            format: FORMAT,
            kind: kind.into(),
            engine,
            node: node.clone(),
            owner: String::new(),
            creation: String::new(),
            authority: String::new(),
            epoch: 0,
            stage,
            operation: String::new(),
            group: None,
        };
        let named = [
            ("owner", OWNER),
            ("authority", OWNER),
            ("creation", CREATION),
            ("epoch", EPOCH),
            ("operation", OPERATION),
        ];
        Template::json(&mark, &named)
    }
}
