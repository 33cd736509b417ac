//! The configured provider as resources see it.
use super::looks::Looks;
use crate::base::Secret;
use crate::component::package::Archives;
use crate::component::sql::Tls;
use crate::engine::Limits;
use crate::transport::Connector;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A login for an SQL endpoint that is not ours.
#[derive(Clone, Debug)]
pub struct SqlCredential {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Whether the link must be encrypted, and what must be proved about the server.
    pub tls: Tls,
}

/// The settings of `provider "ob"`, after environment variables. Configure makes it; it never
/// connects by itself.
pub struct Session {
    /// Stable name of this configuration, which is written into marks; `None` refuses whatever
    /// deploys.
    pub owner: Option<String>,
    /// It is missing because only apply knows it.
    pub owner_later: bool,
    /// Who runs, for the journal: CI run id and workspace, or user and host.
    pub who: String,
    /// Connects to hosts.
    pub connector: Arc<dyn Connector>,
    /// The archives of packages.
    pub archives: Archives,
    /// Logins by name for SQL endpoints that are not ours.
    pub sql_credentials: BTreeMap<String, SqlCredential>,
    /// Such logins are missing whose values only apply knows.
    pub sql_later: bool,
    /// True when every effect must be refused.
    pub observe: bool,
    /// True when `sudo -n` may be used on hosts where the login user is not root.
    pub sudo: bool,
    /// How many steps run at once, over all jobs of this process.
    pub limits: Limits,
    /// Deadline of one operation unless the resource sets one.
    pub operation_timeout: Duration,
    /// What servers were seen to have a moment ago.
    pub looks: Looks,
}
