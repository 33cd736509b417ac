//! The host under the servers: what it is, and what we prepare on it.
//!
//! Each script notes a change in the [`record`] on the host before it makes the change. Destroy
//! undoes exactly what the record notes.
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

/// Shell functions about what a host forbids: by its mounts, and by cron.
pub const MOUNT: &str = include_str!("mount.sh");
pub use facts::{Disk, Facts, Moving};
pub use flow::{Desired, Prepare};
pub use record::Record;

use crate::engine::lease::Target;
use crate::engine::{Host, Key};
use serde::{Deserialize, Serialize};

/// A host that is prepared: its name in the configuration and how to reach it as the login user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Site {
    /// Name of the resource.
    pub name: String,
    /// How to reach the host. `run_as` is empty, so that gate, journal and record are in the login
    /// user's home.
    pub host: Host,
}

impl Site {
    /// The host's name in messages and journals.
    #[must_use]
    pub fn title(&self) -> String {
        format!("host.{}", self.name)
    }
    /// The target of the host's lease: each host has one gate, one journal and one record of its
    /// preparation.
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
    /// User id; `None` leaves the choice to the host.
    pub uid: Option<i64>,
    /// Home directory; `None` means the usual one.
    pub home: Option<String>,
}

/// A directory to prepare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Absolute path.
    pub path: String,
    /// Owner; empty means the login user.
    pub owner: String,
    /// Permission bits, such as `0750`.
    pub mode: String,
}

/// Limits of one user's logins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The user; empty means the login user.
    pub user: String,
    /// Most open files.
    pub nofile: String,
    /// Most processes.
    pub nproc: String,
    /// Stack size in KiB.
    pub stack: String,
    /// Size of core files in KiB.
    pub core: String,
}
