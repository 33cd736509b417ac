//! Hosts without root: one sshd per 127.99.ID.N, run by the ordinary user. [`LIMITS`] says what
//! such hosts cannot test.
//!
//! Every process of a host has `OB_LAB_HOST=ID/NAME` in its environment. Power loss and freeze find
//! the processes by that.
use crate::process::{self, Process, until};
use crate::registry::{HostInfo, Info};
use crate::{files, keys};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What hosts without root cannot test.
pub const LIMITS: &[&str] = &[
    "hosts share this machine's disk, /tmp, users, process list and settings: installing, \
     ownership and cleanliness are not tested",
    "only the user who made the lab can log in; there is no root, no sudo, no second user",
    "no partitions: all hosts share the loopback network",
    "a power loss closes connections, and misses processes that dropped their environment",
    "@reboot entries of cron are not run at boot",
];

/// Name of the user that runs the lab.
pub fn user() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = passwd
        .lines()
        .find(|l| l.split(':').nth(2) == Some(&uid))
        .and_then(|l| l.split(':').next());
    found.map_or_else(|| std::env::var("USER").unwrap_or_default(), str::to_owned)
}

fn mark(info: &Info, host: &HostInfo) -> String {
    format!("{}/{}", info.id, host.name)
}

/// Writes each host's sshd configuration.
pub fn prepare(info: &Info) -> Result<()> {
    for host in &info.hosts {
        let home = info.home(host);
        files::dir(home.join("root"), 0o700)?;
        files::write(home.join("authorized_keys"), keys::authorized(info)?, 0o600)?;
        // With PAM: without it sshd cannot read the shadow file and takes many accounts for locked.
        let config = format!(
            "UsePAM yes\nListenAddress {}\nPort {}\nHostKey {}\nPidFile {}\n\
             AuthorizedKeysFile {}\nStrictModes no\nSetEnv OB_LAB_HOST={}\n{}",
            host.address,
            host.port,
            keys::host_key(info, host).display(),
            home.join("sshd.pid").display(),
            home.join("authorized_keys").display(),
            mark(info, host),
            keys::SSHD
        );
        files::write(home.join("sshd_config"), config, 0o600)?;
    }
    Ok(())
}

/// Starts the host's sshd and waits until it listens.
pub fn boot(info: &Info, host: &HostInfo) -> Result<()> {
    if info.init_of(host).is_some() {
        return Ok(());
    }
    let home = info.home(host);
    let _ = fs::remove_file(home.join("sshd.pid"));
    let log = fs::File::create(home.join("boot.log")).context("cannot create boot.log")?;
    let mut child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(home.join("sshd_config"))
        .env("OB_LAB_HOST", mark(info, host))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start /usr/sbin/sshd; install openssh-server")?;
    let init =
        i32::try_from(child.id()).ok().and_then(Process::of).context("sshd is not in /proc")?;
    files::write(info.state().join("hosts").join(&host.name), init.write_form(), 0o600)?;
    let gone = Arc::new(AtomicBool::new(false));
    let flag = gone.clone();
    std::thread::spawn(move || {
        let _ = child.wait();
        flag.store(true, Ordering::Release);
    });
    let listens = || home.join("sshd.pid").exists();
    if !until(Duration::from_secs(20), || gone.load(Ordering::Acquire) || listens()) || !listens() {
        bail!("host {} did not boot: {}", host.name, info.boot_log(host));
    }
    Ok(())
}

/// Every process of the host: its sshd, what that started, and whatever has the mark in its
/// environment. sshd writes its title over its environment, so the mark alone would miss sshd
/// itself.
fn members(info: &Info, host: &HostInfo) -> Vec<Process> {
    let mark = format!("OB_LAB_HOST={}", mark(info, host));
    let carries = |pid: i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|e| e.split(|b| *b == 0).any(|v| v == mark.as_bytes()))
    };
    let mut found: Vec<Process> =
        process::all().into_iter().filter(|p| carries(*p)).filter_map(Process::of).collect();
    if let Some(init) = info.init_of(host) {
        found.push(init);
        found.extend(process::descendants(init.pid));
    }
    found
}

/// Kills the processes of the host until none is left.
pub fn kill(info: &Info, host: &HostInfo) -> Result<()> {
    let none_left = until(Duration::from_secs(10), || {
        let left = members(info, host);
        left.iter().for_each(|p| p.signal(Signal::KILL));
        left.iter().all(|p| !p.alive())
    });
    if !none_left {
        bail!("processes of host {} did not die", host.name);
    }
    let _ = fs::remove_file(info.state().join("hosts").join(&host.name));
    Ok(())
}

/// Stops or continues every process of the host.
pub fn freeze(info: &Info, host: &HostInfo, frozen: bool) -> Result<()> {
    for _ in 0..2 {
        for p in members(info, host) {
            p.signal(if frozen { Signal::STOP } else { Signal::CONT });
        }
    }
    Ok(())
}

/// A program as the host would run it.
pub fn command(info: &Info, host: &HostInfo, words: &[&str]) -> Command {
    let mut words = words.iter();
    let mut c = Command::new(words.next().copied().unwrap_or("true"));
    let root = info.home(host).join("root");
    c.args(words)
        .current_dir(&root)
        .env("HOME", &root)
        .env("OB_LAB_HOST", mark(info, host))
        .env("LC_ALL", "C");
    c
}

/// A path below the host's own directory.
pub fn path(info: &Info, host: &HostInfo, path: &str) -> PathBuf {
    info.home(host).join("root").join(path.trim_start_matches('/'))
}

/// Removes the lab.
pub fn down(info: &Info) -> Result<()> {
    for host in &info.hosts {
        kill(info, host)?;
    }
    for dir in [&info.dir, &info.state()] {
        match fs::remove_dir_all(dir) {
            Err(e) if dir.exists() => {
                return Err(e).with_context(|| format!("cannot remove {}", dir.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
