//! seekdb, OceanBase's single-node engine: one process, one base directory, one SQL port, and one
//! RPC port for standbys.
//!
//! The facts that the steps rely on were measured on 1.4.0.post1 and 1.3.0.post5 (docs/testing.md
//! says what was proven on real servers). Two of them: exit status 0 of the start command proves
//! nothing, and the pid file outlives the process. [`dialect`] holds everything that differs
//! between the two versions.
mod database;
pub mod dialect;
pub mod facts;
pub mod flow;
mod foresee;
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

/// The SQL account that this provider makes for itself on the servers that it deploys.
pub const ACCOUNT: &str = "ob_service";
/// From where it may log in: we come over SSH to its own host. Each member of a group holds the
/// password of one account for all of them, and must not get into the others with it.
pub const ACCOUNT_FROM: &str = "127.0.0.1";

/// Exit status of a start in a directory whose server runs already. The server itself ends with
/// this status (run on 1.4.0.post1), and so does our start script.
const RUNS: u8 = 96;

/// What the node of a server means to seekdb: its ports, and how the server is started.
pub trait Instance {
    /// Port of the MySQL protocol.
    fn sql_port(&self) -> u16;
    /// Port from which standbys read the log.
    fn rpc_port(&self) -> u16;
    /// The address from which standbys read the log: `address:rpc_port`.
    fn source(&self) -> String;
    /// The text of the start script. It starts the server with the same full command line every
    /// time; a role may be given as arguments.
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

    /// The script passes every parameter at every start: seekdb keeps ports and sizes in its store,
    /// but some parameters only for one run (measured on 1.4.0 with `syslog_level`).
    ///
    /// Two starts within some 20 ms (a host that boots, and an apply) both begin a server, and then
    /// the pid file may name the one that ends (2 of 8 times on 1.4.0.post1). So the script takes a
    /// lock first. The server inherits the lock and holds it while it lives.
    fn start_script(&self, parameters: &BTreeMap<String, String>) -> String {
        format!(
            include_str!("start.txt"),
            runs = RUNS,
            name = self.name,
            directory = quote(&self.directory),
            command = join(self.command(parameters))
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

/// Shell functions that precede every program about an instance.
pub(crate) const LIB: &str = include_str!("lib.sh");

/// The program in a `.sh` file beside the source. Its first argument is the instance's directory.
/// After the file come the texts of further libraries that it needs.
macro_rules! about {
    ($node:expr, $file:literal $(, $lib:expr)*) => {
        $crate::program!($file, $crate::component::seekdb::LIB $(, $lib)*).arg(&*$node.directory)
    };
}
pub(crate) use about;

#[cfg(test)]
mod tests {
    use crate::engine::gate;
    use std::fs;
    use std::process::{Command, Stdio};

    /// Whoever takes it for stopped removes the store under it.
    #[test]
    fn a_server_lives_on_without_its_pid_file() {
        let dir = tempfile::tempdir().unwrap();
        let (base, other) = (dir.path().join("a"), dir.path().join("b"));
        for at in [&base, &other] {
            fs::create_dir_all(at.join("run")).unwrap();
            fs::copy("/bin/sleep", at.join("seekdb")).unwrap();
        }
        let find = || {
            let mut shell = Command::new("/bin/sh");
            let text = format!("OB_STATE=/none\n{}{}sdb_pid", gate::LIB, super::LIB);
            let out = shell.arg("-c").arg(text).arg("sh").arg(&base).output().unwrap();
            assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
            String::from_utf8(out.stdout).unwrap().trim().to_owned()
        };
        let run = |program: std::path::PathBuf, at: &std::path::Path| {
            let mut command = Command::new(program);
            command.arg("600").current_dir(at).stdout(Stdio::null()).spawn().unwrap()
        };
        let mut beside = [run(other.join("seekdb"), &other), run("/bin/sleep".into(), &base)];
        assert_eq!(find(), "", "one of another directory, and another program in this one");
        let mut server = run(base.join("seekdb"), &base);
        let pid = server.id().to_string();
        assert_eq!(find(), pid);
        for noted in ["", "x", &beside[0].id().to_string(), "4194305", &pid] {
            fs::write(base.join("run/seekdb.pid"), noted).unwrap();
            assert_eq!(find(), pid, "{noted:?}");
        }
        fs::remove_file(base.join("seekdb")).unwrap();
        fs::remove_dir_all(base.join("run")).unwrap();
        assert_eq!(find(), pid, "its program was replaced");
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(find(), "");
        for child in &mut beside {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
