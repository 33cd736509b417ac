//! seekdb, OceanBase's single-node engine: one process, one base directory, one SQL port, one RPC
//! port for standbys.
//!
//! What the steps rely on was measured on 1.4.0.post1 and 1.3.0.post5 (docs/testing.md says what was
//! proven on the real servers): exit status 0 of the start command proves nothing, and the pid file
//! outlives the process. What differs between the two is in [`dialect`], nothing else.
mod database;
pub mod dialect;
pub mod facts;
pub mod flow;
pub mod group;
pub mod import;
pub mod pair;
pub mod server;
pub mod steps;

pub use database::Seekdb;
pub use dialect::Dialect;
pub use facts::Facts;
pub use server::Role;

use crate::base::shell::{join, quote};
use crate::engine::{Node, Port};
use std::collections::BTreeMap;

/// The SQL account that we make for ourselves on what we deploy.
pub const ACCOUNT: &str = "ob_service";

/// Exit status of a start beside a server of the same directory: the server's own (run on
/// 1.4.0.post1), and that of our script.
const RUNS: u8 = 96;

/// What a seekdb server's node means to seekdb: its ports, and how it is started.
pub trait Instance {
    /// Port of the MySQL protocol.
    fn sql_port(&self) -> u16;
    /// Port on which standbys follow.
    fn rpc_port(&self) -> u16;
    /// Where others follow it: `address:rpc_port`.
    fn source(&self) -> String;
    /// The start script: the same full command line at every start; a role may be added as
    /// arguments.
    fn start_script(&self, parameters: &BTreeMap<String, String>) -> String;
    /// The words of that command line.
    fn command(&self, parameters: &BTreeMap<String, String>) -> Vec<String>;
}

impl Instance for Node {
    fn sql_port(&self) -> u16 {
        self.port(Port::Sql)
    }
    fn rpc_port(&self) -> u16 {
        self.port(Port::Rpc)
    }
    fn source(&self) -> String {
        format!("{}:{}", self.address(), self.rpc_port())
    }

    /// seekdb keeps ports and sizes in its store, but some parameters only for one run (measured on
    /// 1.4.0 with `syslog_level`), hence everything every time.
    ///
    /// Two starts within some 20 ms (a host that boots, and an apply) both begin a server, and the
    /// pid file names the one that ends (2 of 8 times on 1.4.0.post1). So a start takes a lock
    /// first, which the server inherits and keeps while it lives.
    fn start_script(&self, parameters: &BTreeMap<String, String>) -> String {
        format!(
            "#!/bin/sh\n\
             # Starts seekdb {}; written by terraform-provider-ob, which compares it: do not edit.\n\
             cd {} && exec 9>>.ob/lock || exit 1\n\
             flock -w 5 9 || {{\n  \
               echo 'a server of this directory runs, or is being started' >&2\n  exit {RUNS}\n\
             }}\n\
             exec {} \"$@\"\n",
            self.name,
            quote(&self.directory),
            join(self.command(parameters))
        )
    }

    fn command(&self, parameters: &BTreeMap<String, String>) -> Vec<String> {
        let mut words = vec![
            self.own("package/seekdb"),
            "--port".into(),
            self.sql_port().to_string(),
            "--base-dir".into(),
            self.directory.to_string(),
        ];
        let ours = [
            ("enable_rpc_service".to_owned(), "True".to_owned()),
            ("rpc_port".to_owned(), self.rpc_port().to_string()),
        ];
        for (key, value) in parameters.iter().map(|(k, v)| (k.clone(), v.clone())).chain(ours) {
            words.extend(["--parameter".into(), format!("{key}={value}")]);
        }
        words
    }
}

/// The shell functions that every program about an instance begins with.
pub(crate) const LIB: &str = include_str!("lib.sh");

/// A program about an instance out of the `.sh` file beside the source; its first argument is the
/// instance's directory.
macro_rules! about {
    ($node:expr, $file:literal) => {
        $crate::program!($file, $crate::component::seekdb::LIB).arg(&*$node.directory)
    };
}
pub(crate) use about;
