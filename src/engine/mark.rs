//! The mark: says on the hosts whose an object is. Written before the first effect, removed by the
//! last.
//!
//! It lies in the object's own directory, `BASE/.ob/mark`; `$OB_STATE/objects/KEY/home` leads
//! there.
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
    /// Reads one.
    ///
    /// # Errors
    /// It is damaged, or of a newer format.
    pub fn parse(text: &str) -> Result<Self, String> {
        formatted(text)
    }

    /// A first mark, values of the run by name.
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
