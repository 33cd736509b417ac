//! OceanBase as code: the library behind the provider plugin and the operator's CLI.
//!
//! The layers, in dependency order (a test in `layers.rs` fails on an upward edge):
//! - [`base`]: names, problems, secrets, units, shell quoting. Knows nothing else.
//! - [`schema`]: the one seam to the `tf-provider` crate: its types, what they lack, the decoder.
//! - [`transport`]: how scripts, files and byte streams reach a host: SSH, local.
//! - [`engine`]: steps, graphs, operations, journal, lease and gate. Knows no database.
//! - [`component`]: what we know about each piece of software: host, package, databases (one seam,
//!   an engine each), SQL.
//! - [`resource`]: the declared objects: schema, read, plan, apply.
//! - [`operate`]: what commands and a server do beyond Terraform's verbs: inventory, history,
//!   groups by their kit, giving up, planned changes.
//! - [`protocol`]: go-plugin and tfplugin6 on the wire. Knows no OceanBase.
//! - [`provider`]: the provider's configuration and the adapter between resources and the wire.
//! - [`cli`]: the commands of `ob`.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cloned_ref_to_slice_refs
    )
)]

pub mod base;
pub mod cli;
pub mod component;
pub mod engine;
pub mod operate;
pub mod protocol;
pub mod provider;
pub mod resource;
pub mod schema;
pub mod transport;

#[cfg(test)]
mod layers;
