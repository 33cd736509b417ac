//! The mark: says on the hosts whose an object is. Written before the first effect, removed by the
//! last.
//!
//! It lies in the object's own directory, `BASE/.ob/mark`; `$OB_STATE/objects/KEY/home` leads
//! there.
use crate::base::shell::quote;
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
    /// Object name.
    pub name: String,
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
    /// Its hosts, by name.
    pub hosts: Vec<String>,
    /// The replication group it is a member of, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Mark {
    /// Reads one; `None` if it is none (the caller says what that means).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim()).ok()
    }

    /// Shell that writes it into `base` and links it from the object's state directory.
    #[must_use]
    pub fn write(&self, key: &str, base: &str) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!(
            "mkdir -p {dir} \"$OB_STATE/objects/{key}\" && printf '%s\\n' {json} | ob_put {dir}/mark && \
             {{ h=\"$OB_STATE/objects/{key}/home\"; [ -r \"$h\" ] && read -r b < \"$h\" && [ \"$b\" = {base} ] || printf '%s\\n' {base} | ob_put \"$h\"; }}",
            dir = quote(&format!("{base}/.ob")),
            json = quote(&json),
            base = quote(base),
        )
    }
}
