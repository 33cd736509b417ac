//! A stand-in for the seekdb server, for the simulated crash sweep. It has the same flags, files
//! and statements, and is up in milliseconds.
//!
//! Its rules are those of the real server as measured on 1.4.0; a comment names each rule where the
//! code keeps it. Exit status 0 says nothing. The pid file outlives the process. Role and settings
//! are in the store. A standby needs a minor freeze of its primary. Acknowledged rows survive a
//! power loss. A former primary that is started on its old data is a primary. Only times differ:
//! they are shorter.
mod answer;
mod follow;
mod server;
mod sha1;
mod store;
mod wire;

use server::{Server, fail, log};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;
use store::{Role, Store};

/// Name of the variable that marks the daemon's process.
const DAEMON: &str = "SIM_SEEKDB_DAEMON";

struct Flags {
    port: Option<u16>,
    base: PathBuf,
    standby: bool,
    given: BTreeMap<String, String>,
}

fn flags() -> Flags {
    let mut flags = Flags { port: None, base: ".".into(), standby: false, given: BTreeMap::new() };
    let words: Vec<String> = std::env::args().skip(1).collect();
    for pair in words.chunks(2) {
        let [flag, value] = pair else { continue };
        match flag.as_str() {
            "--port" => flags.port = value.parse().ok(),
            "--base-dir" => flags.base = value.into(),
            "--role" => flags.standby = value == "STANDBY",
            "--parameter" => {
                flags.given.extend(value.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
            }
            other => fail(&format!("unknown flag {other}")),
        }
    }
    flags
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--version") {
        println!("observer (OceanBase seekdb 1.4.0.0)");
        return ExitCode::SUCCESS;
    }
    let flags = flags();
    if std::env::var_os(DAEMON).is_some() {
        return daemon(flags);
    }
    if runs(&flags.base) {
        eprintln!("Did you started seekdb already?");
        return ExitCode::from(96);
    }
    let child = std::env::current_exe().and_then(|exe| {
        Command::new(exe)
            .arg0(std::env::args_os().next().unwrap_or_default())
            .args(std::env::args_os().skip(1))
            .current_dir(&flags.base)
            .env(DAEMON, "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
    if child.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the process that the pid file names lives and is a server of this directory.
fn runs(base: &Path) -> bool {
    let pid = std::fs::read_to_string(base.join("run/seekdb.pid")).unwrap_or_default();
    let proc = Path::new("/proc").join(pid.trim());
    !pid.trim().is_empty()
        && std::fs::read_link(proc.join("cwd")).ok() == base.canonicalize().ok()
        && std::fs::read_link(proc.join("exe")).is_ok()
}

fn daemon(flags: Flags) -> ExitCode {
    let _ = rustix::process::setsid();
    for dir in ["etc", "log", "run", "store/redo"] {
        let _ = std::fs::create_dir_all(flags.base.join(dir));
    }
    let _ = std::fs::write(flags.base.join("run/seekdb.pid"), format!("{}\n", std::process::id()));
    log(&flags.base, "INFO server_start 1/18]");
    // Ends one start by itself, as the real server does now and then.
    if std::fs::remove_file("/etc/sim-seekdb.ends").is_ok() {
        std::thread::sleep(Duration::from_millis(300));
        fail("ret=-4109, ret=\"OB_STATE_NOT_MATCH\" observer start fail");
    }
    let store = match Store::open(&flags.base) {
        Ok(store) => store,
        Err(e) => fail(&format!("ret=-4009 {e}")),
    };
    if let Some(unknown) =
        flags.given.keys().find(|k| !answer::PARAMETERS.iter().any(|p| p.0 == **k))
    {
        fail(&format!("ret=-5168 no parameter {unknown}"));
    }
    let new = store.is_new();
    if !new && !store.whole {
        fail("ret=-4015 a first start was cut: no server starts on this store");
    }
    let server = Arc::new(Server::new(flags.base, flags.given, store));
    if new {
        first_start(&server, flags.port, flags.standby);
    }
    let number =
        |name: &str, default: u16| answer::parameter(&server, name, "").parse().unwrap_or(default);
    let (sql, rpc) =
        (flags.port.unwrap_or_else(|| number("mysql_port", 2881)), number("rpc_port", 2882));
    let listen = |port: u16| {
        TcpListener::bind(("0.0.0.0", port))
            .unwrap_or_else(|e| fail(&format!("ret=-4388 port {port}: {e}")))
    };
    let (sql, rpc) = (listen(sql), listen(rpc));
    server.ledger(if new { "first start" } else { "start" });
    log(&server.base, "INFO observer start success");
    let (follower, followers) = (server.clone(), server.clone());
    std::thread::spawn(move || follow::follow(&follower));
    std::thread::spawn(move || follow::serve(&followers, &rpc));
    server.serve(&sql);
    ExitCode::SUCCESS
}

/// Role, source and parameters are taken from the command line now, and never again.
fn first_start(server: &Server, port: Option<u16>, standby: bool) {
    let write =
        |line: &str| server.store().write(line).unwrap_or_else(|e| fail(&format!("ret=-4009 {e}")));
    for (name, value) in &server.given {
        write(&format!("parameter {name} {value}"));
    }
    port.iter().for_each(|p| write(&format!("parameter mysql_port {p}")));
    // Sleeps long enough for a power loss to find an unfinished store.
    std::thread::sleep(Duration::from_millis(30));
    if standby {
        write("role standby");
        let source = server.given.get("log_restore_source").cloned().unwrap_or_default();
        follow::build(server, &source);
        write("frozen");
    } else if server.store().role == Role::Primary {
        let birth = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
        if let Err(e) = server.store().append(&format!("birth {}", birth.trim())) {
            fail(&format!("ret=-4009 {e}"));
        }
    }
    write("whole");
}
