//! seekdb, OceanBase's single-node engine: one process, one base directory, one SQL port, one RPC
//! port for standbys.
//!
//! What the steps rely on was measured on 1.4.0 (docs/testing.md says what was proven on the real
//! server): exit status 0 of the start command proves nothing, the pid file outlives the process,
//! only `tx_blocked` tells the role.
pub mod facts;
pub mod flow;
pub mod group;
pub mod import;
pub mod pair;
pub mod server;
pub mod steps;

pub use facts::Facts;
pub use server::Role;

use crate::base::shell::{join, quote};
use crate::engine::Host;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The SQL account that we make for ourselves on what we deploy.
pub const ACCOUNT: &str = "ob_service";

/// Exit status of a start beside a server of the same directory: the server's own (run on
/// 1.4.0.post1), and that of our script.
const RUNS: u8 = 96;

/// One instance: where it is and how it is started.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Instance {
    /// Name of the cluster resource.
    pub name: String,
    /// Its host.
    pub host: Host,
    /// Its directory; everything of it is below.
    pub base_dir: String,
    /// Port of the MySQL protocol.
    pub sql_port: u16,
    /// Port on which standbys follow.
    pub rpc_port: u16,
}

impl Instance {
    /// Key of its gate and journal.
    #[must_use]
    pub fn key(&self) -> String {
        format!("cluster.{}", self.name)
    }
    /// `name on host`, for titles.
    #[must_use]
    pub fn show(&self) -> String {
        format!("\"{}\" on {}", self.name, self.host.endpoint.name)
    }
    /// Where others follow it: `address:rpc_port`.
    #[must_use]
    pub fn source(&self) -> String {
        format!("{}:{}", self.host.endpoint.address, self.rpc_port)
    }
    /// Our own directory inside it, quoted for the shell.
    #[must_use]
    pub fn own(&self, file: &str) -> String {
        quote(&format!("{}/.ob/{file}", self.base_dir))
    }
    /// Its directory, quoted for the shell.
    #[must_use]
    pub fn base(&self) -> String {
        quote(&self.base_dir)
    }

    /// The start script: the same full command line at every start; a role may be added as
    /// arguments.
    ///
    /// seekdb keeps ports and sizes in its store, but some parameters only for one run (measured on
    /// 1.4.0 with `syslog_level`), hence everything every time.
    ///
    /// Two starts within some 20 ms (a host that boots, and an apply) both begin a server, and the
    /// pid file names the one that ends (2 of 8 times on 1.4.0.post1). So a start takes a lock
    /// first, which the server inherits and keeps while it lives.
    #[must_use]
    pub fn start_script(&self, parameters: &BTreeMap<String, String>) -> String {
        format!(
            "#!/bin/sh\n# Starts seekdb {}; written by terraform-provider-ob, which compares it: do not edit.\ncd {} && exec 9>>.ob/lock || exit 1\nflock -w 5 9 || {{ echo 'a server of this directory runs, or is being started' >&2; exit {RUNS}; }}\nexec {} \"$@\"\n",
            quote(&self.name),
            self.base(),
            join(self.command(parameters))
        )
    }

    /// The words of that command line.
    #[must_use]
    pub fn command(&self, parameters: &BTreeMap<String, String>) -> Vec<String> {
        let mut words = vec![
            format!("{}/.ob/package/seekdb", self.base_dir),
            "--port".into(),
            self.sql_port.to_string(),
            "--base-dir".into(),
            self.base_dir.clone(),
        ];
        let ours = [
            ("enable_rpc_service".to_owned(), "True".to_owned()),
            ("rpc_port".to_owned(), self.rpc_port.to_string()),
        ];
        for (key, value) in parameters.iter().map(|(k, v)| (k.clone(), v.clone())).chain(ours) {
            words.extend(["--parameter".into(), format!("{key}={value}")]);
        }
        words
    }
}
