//! Stops all processes of a host: with the freezer of cgroup v1 or with cgroup v2, or with SIGSTOP
//! where neither can be used.
use crate::process::{self, Process, until};
use crate::registry::{HostInfo, Info};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The control group tree in use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tree {
    V1(&'static str),
    V2(&'static str),
}

fn tree() -> Option<Tree> {
    let v1 = "/sys/fs/cgroup/freezer";
    if Path::new(v1).join("cgroup.procs").exists() {
        return Some(Tree::V1(v1));
    }
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .find(|d| Path::new(d).join("cgroup.controllers").exists())
        .map(Tree::V2)
}

fn lab_dir(id: u8) -> Option<PathBuf> {
    tree().map(|t| match t {
        Tree::V1(root) | Tree::V2(root) => Path::new(root).join(format!("ob-lab-{id}")),
    })
}

fn dir(info: &Info, host: &HostInfo) -> Option<PathBuf> {
    lab_dir(info.id).map(|d| d.join(&host.name))
}

/// Makes the host's control group. Where no group can be made (read-only), SIGSTOP takes its place.
pub fn make(info: &Info, host: &HostInfo) -> Result<()> {
    if let Some(dir) = dir(info, host) {
        let _ = fs::create_dir_all(dir);
    }
    Ok(())
}

/// The file into which a process writes `0` to join the host's group.
pub fn procs(info: &Info, host: &HostInfo) -> Option<PathBuf> {
    dir(info, host).map(|d| d.join("cgroup.procs")).filter(|p| p.exists())
}

/// Freezes or thaws the host, and waits until the kernel has done it.
pub fn set(info: &Info, host: &HostInfo, frozen: bool) -> Result<()> {
    let Some(dir) = dir(info, host).filter(|d| d.exists()) else { return stop(info, host, frozen) };
    let (file, word, state, want) = match tree() {
        Some(Tree::V1(_)) if frozen => ("freezer.state", "FROZEN", "freezer.state", "FROZEN"),
        Some(Tree::V1(_)) => ("freezer.state", "THAWED", "freezer.state", "THAWED"),
        _ if frozen => ("cgroup.freeze", "1", "cgroup.events", "frozen 1"),
        _ => ("cgroup.freeze", "0", "cgroup.events", "frozen 0"),
    };
    fs::write(dir.join(file), word)
        .with_context(|| format!("cannot write {}", dir.join(file).display()))?;
    if !until(Duration::from_secs(10), || {
        fs::read_to_string(dir.join(state)).is_ok_and(|s| s.contains(want))
    }) {
        bail!("host {} did not become {word} within 10 s", host.name);
    }
    Ok(())
}

/// Thaws a dying host, so that it can die.
pub fn release(info: &Info, host: &HostInfo) {
    if let Some(dir) = dir(info, host) {
        let file = match tree() {
            Some(Tree::V1(_)) => ("freezer.state", "THAWED"),
            _ => ("cgroup.freeze", "0"),
        };
        let _ = fs::write(dir.join(file.0), file.1);
    }
}

/// Removes the host's group; the last process may take a moment to leave it.
pub fn remove(info: &Info, host: &HostInfo) {
    if let Some(dir) = dir(info, host) {
        until(Duration::from_secs(1), || !dir.exists() || fs::remove_dir(&dir).is_ok());
    }
}

/// Removes the lab's group.
pub fn remove_lab(id: u8) {
    if let Some(dir) = lab_dir(id) {
        for host in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(host.path());
        }
        let _ = fs::remove_dir(dir);
    }
}

/// Sends SIGSTOP or SIGCONT to every process of the host's pid namespace, twice: a fork may slip
/// through the first time.
fn stop(info: &Info, host: &HostInfo, frozen: bool) -> Result<()> {
    let init = info.init_of(host).with_context(|| format!("host {} is off", host.name))?;
    let space = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = space(init.pid);
    for _ in 0..2 {
        for pid in process::all().into_iter().filter(|p| space(*p) == own) {
            if let Some(p) = Process::of(pid) {
                p.signal(if frozen { Signal::STOP } else { Signal::CONT });
            }
        }
    }
    Ok(())
}
