//! Hosts made of namespaces: full hosts; they need root.
pub mod disk;
pub mod freezer;
pub mod init;
pub mod net;
pub mod systemd;

use crate::options::HostKeys;
use crate::process::{Process, until};
use crate::registry::{HostInfo, Info, Kind};
use crate::{files, keys, lab};
use anyhow::{Context, Result, bail};
pub use net::network_in_use;
use rustix::process::Signal;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What hosts made of namespaces cannot test.
pub const LIMITS: &[&str] = &[
    "the kernel is shared: sysctls outside net.* are per-host copies without effect, transparent \
     huge pages too",
    "the clock, memory, CPUs and fs.aio-max-nr are shared",
    "sshd runs without PAM, unless the host has systemd: limits.d is not applied at login",
    "a host with systemd has no controllers of control groups: MemoryMax= has no effect",
    "the page cache survives a power loss: a missing fsync is not noticed",
    "no delay or loss on the network, only silent cuts",
];

/// How many hosts boot at the same time.
const AT_ONCE: usize = 24;

/// How long it may take until a host that has booted can be reached.
const REACHED: Duration = Duration::from_secs(5);

/// Makes keys, disks and the bridge.
pub fn prepare(info: &Info, host_keys: HostKeys) -> Result<()> {
    disk::mount_dir(info)?;
    keys::make(info, host_keys)?;
    disk::prepare(info)?;
    net::bridge(info)
}

/// Boots those of the hosts that are off, and waits until they have started their sshd.
pub fn boot(info: &Info, hosts: &[&HostInfo]) -> Result<()> {
    let off: Vec<&HostInfo> = hosts.iter().copied().filter(|h| info.init_of(h).is_none()).collect();
    for some in off.chunks(AT_ONCE) {
        net::plug(info, some)?;
        let started: Vec<_> =
            some.iter().map(|h| start(info, h).map(|gone| (*h, gone))).collect::<Result<_>>()?;
        let end = Instant::now() + lab::BOOT;
        for (host, gone) in started {
            let limit = end.saturating_duration_since(Instant::now());
            let file = if info.systemd { systemd::BOOTED } else { init::BOOTED };
            let ready = || {
                info.init_of(host)
                    .is_some_and(|p| Path::new(&format!("/proc/{}/root{file}", p.pid)).exists())
            };
            if !until(limit, || gone.load(Ordering::Acquire) || ready()) || !ready() {
                let log = info.boot_log(host);
                bail!(
                    "host {} did not boot: {}",
                    host.name,
                    if log.is_empty() { "no message" } else { &log }
                );
            }
            // Whoever asked for the host while it was off left "no route to host" behind for a
            // moment. A host that is cut off is not waited for long.
            let at = SocketAddr::from((host.address, host.port));
            until(REACHED, || TcpStream::connect_timeout(&at, Duration::from_millis(500)).is_ok());
        }
    }
    Ok(())
}

/// Starts the first process of a host; the flag becomes true when that process has ended.
fn start(info: &Info, host: &HostInfo) -> Result<Arc<AtomicBool>> {
    freezer::make(info, host)?;
    let log_path = info.home(host).join("boot.log");
    let log = fs::File::create(&log_path)
        .with_context(|| format!("cannot create {}", log_path.display()))?;
    let tool = lab::tool()?;
    let mut child = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{}", net::netns(info, host)))
        .args([
            "setsid",
            "unshare",
            "-m",
            "-p",
            "-u",
            "-i",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ])
        .arg(tool)
        .args(["__init", &info.id.to_string(), &host.name])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start nsenter")?;
    let gone = Arc::new(AtomicBool::new(false));
    let flag = gone.clone();
    std::thread::spawn(move || {
        let _ = child.wait();
        flag.store(true, Ordering::Release);
    });
    Ok(gone)
}

/// Cuts the power of hosts: first nothing leaves them any more, then every process dies. Their
/// network ends with them.
pub fn kill(info: &Info, hosts: &[&HostInfo]) -> Result<()> {
    let _ = net::batch(
        &hosts
            .iter()
            .map(|h| format!("link set {} down\n", net::veth(info, h)))
            .collect::<String>(),
        true,
    );
    let dying: Vec<(&HostInfo, Process)> =
        hosts.iter().filter_map(|h| info.init_of(h).map(|p| (*h, p))).collect();
    for (_, init) in &dying {
        init.signal(Signal::KILL);
    }
    for (host, init) in &dying {
        // A frozen task dies only after it is thawed.
        freezer::release(info, host);
        if !init.gone_within(Duration::from_secs(30)) {
            bail!("host {} did not die: process {} is still there", host.name, init.pid);
        }
    }
    for host in hosts {
        let _ = fs::remove_file(info.state().join("hosts").join(&host.name));
        freezer::remove(info, host);
    }
    if info.systemd {
        systemd::remove(info, hosts);
    }
    net::unplug(info, hosts);
    Ok(())
}

/// Removes everything of a lab. Safe to repeat, also while another process does the same.
pub fn down(info: &Info) -> Result<()> {
    let hosts: Vec<&HostInfo> = info.hosts.iter().collect();
    let killed = kill(info, &hosts);
    sweep(info.id)?;
    disk::remove(info)?;
    freezer::remove_lab(info.id);
    killed?;
    match fs::remove_dir_all(info.state()) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", info.state().display()))
        }
        _ => Ok(()),
    }
}

/// Removes what a lab of this number may have left in the network.
pub fn sweep(id: u8) -> Result<()> {
    if rustix::process::getuid().is_root() { net::sweep(id) } else { Ok(()) }
}

/// A program in the host: in its namespaces and its control group, with a login's environment.
pub fn command(info: &Info, host: &HostInfo, words: &[&str]) -> Result<Command> {
    let init =
        info.init_of(host).with_context(|| format!("host {} is off; boot it first", host.name))?;
    let mut c = Command::new("/bin/sh");
    c.arg("-c")
        .arg(
            "[ -z \"$0\" ] || echo 0 > \"$0\"; pid=$1; shift; \
             exec nsenter -t \"$pid\" -m -u -i -n -p -C --root --wd -- \"$@\"",
        )
        .arg(freezer::procs(info, host).unwrap_or_default())
        .arg(init.pid.to_string())
        .args(words)
        .env_clear()
        .envs([
            ("HOME", "/root"),
            ("USER", "root"),
            ("LC_ALL", "C"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ]);
    Ok(c)
}

/// The path on this machine of an absolute path of the host.
pub fn path(info: &Info, host: &HostInfo, path: &str) -> PathBuf {
    let rest = path.trim_start_matches('/');
    match info.init_of(host) {
        Some(init) => PathBuf::from(format!("/proc/{}/root", init.pid)).join(rest),
        None => disk::upper(info, host).join(rest),
    }
}

/// Refuses, in a lab without namespaces, what only namespaces can do.
pub(crate) fn needs_netns(info: &Info, what: &str) -> Result<()> {
    if info.kind == Kind::Plain {
        bail!("a lab without root cannot {what}: its hosts share this machine's network");
    }
    Ok(())
}

/// Notes a host's first process.
fn note_init(info: &Info, host: &HostInfo, init: Process) -> Result<()> {
    let dir = info.state().join("hosts");
    let partial = dir.join(format!(".{}", host.name));
    files::write(&partial, init.write_form(), 0o600)?;
    fs::rename(&partial, dir.join(&host.name)).context("cannot note the host's first process")
}
