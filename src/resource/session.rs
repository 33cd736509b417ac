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

/// Login for an SQL endpoint that is not ours.
#[derive(Clone, Debug)]
pub struct SqlCredential {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Whether the link is encrypted, and to whom.
    pub tls: Tls,
}

/// What `provider "ob"` says, after environment variables. Made by Configure; never connects by
/// itself.
pub struct Session {
    /// Stable name of this configuration, written into marks; `None` refuses whatever deploys.
    pub owner: Option<String>,
    /// Who runs: CI run id and workspace, or user and host; for the journal.
    pub who: String,
    /// The way to hosts.
    pub connector: Arc<dyn Connector>,
    /// The archives of packages.
    pub archives: Archives,
    /// Logins by name for SQL endpoints that are not ours.
    pub sql_credentials: BTreeMap<String, SqlCredential>,
    /// True when every effect must be refused.
    pub observe: bool,
    /// True when `sudo -n` may be used on hosts where the login user is not root.
    pub sudo: bool,
    /// Steps at once, over all jobs of this process.
    pub limits: Limits,
    /// Deadline of one operation unless the resource says otherwise.
    pub operation_timeout: Duration,
    /// What servers were seen to have a moment ago.
    pub looks: Looks,
}
