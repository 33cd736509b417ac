//! What a host and a running server say of a database.
use super::{Group, Loss};
use crate::base::Secret;
use crate::base::units::Bytes;
use crate::component::sql::Login;
use crate::engine::mark::Mark;
use std::collections::BTreeMap;

/// A server as its host shows it. Nothing here needs SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The base directory exists.
    pub exists: bool,
    /// It holds something that is not ours (`.ob` aside).
    pub occupied: bool,
    /// It is empty and cannot be removed by its user: a mount point, or in a directory of somebody
    /// else.
    pub stays: bool,
    /// Who made it.
    pub mark: Option<Mark>,
    /// Why there is a mark that cannot be read.
    pub mark_damaged: Option<String>,
    /// Its store has been created.
    pub store: bool,
    /// The store was created by a build that has not ended; it may be wiped.
    pub building_store: Option<String>,
    /// Process id while it runs.
    pub pid: Option<u32>,
    /// Package directory name its start script uses.
    pub package: Option<String>,
    /// The running process's command line, words separated by blanks.
    pub command: String,
    /// Package directory name of the running process.
    pub running_package: Option<String>,
    /// The password of our SQL account, if it was made.
    pub account: Option<Secret>,
    /// The host's memory in bytes.
    pub memory: Option<Bytes>,
    /// An adoption of it has begun and not ended.
    pub adopting: bool,
    /// It starts with its host.
    pub boot: bool,
    /// Checksum (crc32 of cksum) of the start script.
    pub start_sum: String,
    /// The note of the group it is a member of.
    pub group: Option<Group>,
    /// Why there is a note of a group that cannot be read.
    pub group_damaged: Option<String>,
    /// A restart of it has begun and not ended.
    pub restart: bool,
    /// The process that is to be restarted still runs.
    pub restart_runs: bool,
    /// What the last failover to it may have lost.
    pub loss: Option<Loss>,
    /// It was fenced by a switchover that has not ended.
    pub fenced: bool,
    /// The process that was fenced still runs.
    pub fenced_runs: bool,
    /// Set-aside stores.
    pub aside: Vec<String>,
}

impl Facts {
    /// How `user` of ours logs in, once that account was made.
    #[must_use]
    pub fn login(&self, user: &str) -> Option<Login> {
        self.account.as_ref().map(|password| Login::new(user, password))
    }
    /// It belongs to a group, which alone says whether its server runs: nothing else starts it.
    #[must_use]
    pub fn member(&self) -> bool {
        self.group.is_some() || self.group_damaged.is_some()
    }
}

/// What an instance is in a replication group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows another one, or is fenced.
    Standby,
    /// Takes no writes, and its fence has not come to its end: the fence has to be made again.
    #[strum(serialize = "in the middle of its fence")]
    Fencing,
    /// Its promotion has not come to its end: made again, it opens this server whatever the others
    /// are (run on 1.3.0.post5: a second one then takes writes).
    #[strum(serialize = "in the middle of its promotion")]
    Opening,
}

impl Role {
    /// Why it cannot be said that this server takes no writes; `None` when it takes none.
    #[must_use]
    pub fn may_write(self) -> Option<&'static str> {
        match self {
            Self::Standby => None,
            Self::Primary => Some("it takes writes"),
            Self::Fencing => Some("its fence has not come to its end"),
            Self::Opening => Some("its promotion has not come to its end"),
        }
    }
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a running server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its role.
    pub role: Role,
    /// `@@version_comment`: the only place that tells two builds of one version apart.
    pub build: String,
    /// Where it reads its log from; empty if nowhere.
    pub source: String,
    /// All parameters.
    pub parameters: BTreeMap<String, String>,
    /// Those that somebody has set: hidden ones and the server's own are left out.
    pub changed: BTreeMap<String, String>,
}
