//! The host under the servers: what it is, and what we prepare on it.
//!
//! What is prepared is noted first, in [`record`] on the host, then made: destroy undoes exactly
//! what is noted there.
pub mod doctor;
pub mod facts;
pub mod flow;
pub mod objects;
pub mod record;
pub mod rules;
pub mod steps;
#[cfg(test)]
mod tests;

pub use doctor::{Finding, doctor};
pub use facts::{Disk, Facts, Moving};
pub use flow::{Desired, Prepare};
pub use record::Record;

use crate::engine::lease::Target;
use crate::engine::{Host, Key};
use serde::{Deserialize, Serialize};

/// A host that is prepared: its name in the configuration and the way there, as the login user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Site {
    /// Name of the resource.
    pub name: String,
    /// The way there; `run_as` is empty, so that gate, journal and record lie with the login user.
    pub host: Host,
}

impl Site {
    /// What it is called in messages and journals.
    #[must_use]
    pub fn title(&self) -> String {
        format!("host.{}", self.name)
    }
    /// What its lease is taken for: a host has one gate, journal and record of its preparation.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::new(Key::host(), self.title(), vec![self.host.clone()])
    }
}

/// The OS user that will own files and run servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Name.
    pub name: String,
    /// Number, if it matters.
    pub uid: Option<i64>,
    /// Home, if not the usual one.
    pub home: Option<String>,
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Path.
    pub path: String,
    /// Owner; empty is the login user.
    pub owner: String,
    /// Permission bits, `0750`.
    pub mode: String,
}

/// Limits of one user's logins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Whose; empty is the login user.
    pub user: String,
    /// Open files.
    pub nofile: String,
    /// Processes.
    pub nproc: String,
    /// Stack, KiB.
    pub stack: String,
    /// Core files, KiB.
    pub core: String,
}
