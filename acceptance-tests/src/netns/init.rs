//! The first process of a host. It runs in the host's new namespaces, sets them up as a machine,
//! and becomes the host's init.
use super::{disk, freezer, net, note_init, systemd};
use crate::files::{self, c};
use crate::process::Process;
use crate::registry::{self, HostInfo, Info};
use crate::run::{command, run};
use anyhow::{Context, Result, bail};
use rand::RngExt;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change,
    mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root, umask};
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The file by which a host says that its init has started everything and that its sshd listens.
/// sshd's own pid file says less: sshd writes it in the background, while the init may still wait
/// for the foreground to end, and who kills all processes then ends the init, too.
pub const BOOTED: &str = "/run/lab-booted";

/// The shell program that is the host's init. The shell reaps every orphan, so that a program that
/// waits for a daemon's end does not take a zombie for a living daemon.
const INIT: &str = r#"
for f in /etc/sysctl.d/*.conf; do
  if [ -e "$f" ]; then sysctl -q -p "$f"; fi
done
if [ -x /usr/sbin/cron ]; then /usr/sbin/cron; fi
/usr/sbin/sshd -f /etc/ssh/sshd_config || exit 1
until [ -s /run/lab-sshd.pid ]; do sleep 0.02; done
: > "$0"
trap : TERM INT HUP
while :; do sleep 2147483647 & wait; done
"#;

/// Turns this process into the host's init; does not return on success.
///
/// # Errors
/// The kernel or a program refused something; the text goes to the host's boot log.
pub fn main(id: u8, name: &str) -> Result<()> {
    let info = registry::load(id)?;
    let host = info.host(name)?;
    if let Some(procs) = freezer::procs(&info, host) {
        fs::write(&procs, "0").with_context(|| format!("cannot write {}", procs.display()))?;
    }
    // /proc is still the machine's, so it tells the process id that the machine knows this process
    // by.
    let own = fs::read_link("/proc/self").context("cannot read /proc/self")?;
    let pid = own.to_str().and_then(|p| p.parse().ok()).context("/proc/self is no number")?;
    let init = Process::of(pid).context("this process is not in /proc")?;
    let out = run(
        &mut command(["ip", "-batch", "-"]),
        net::own_setup(&info, host).as_bytes(),
        Duration::from_secs(30),
    )?;
    if out.status != 0 {
        bail!("cannot set up the network: {}", out.stderr.trim());
    }
    umask(Mode::empty());
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("cannot make mounts private")?;
    let root = info.home(host).join("merged");
    mounts(&info, host, &root)?;
    rustix::system::sethostname(name.as_bytes()).context("cannot set the hostname")?;
    note_init(&info, host, init)?;
    enter(&root)?;
    umask(Mode::from_raw_mode(0o022));
    if info.systemd {
        return Err(systemd::exec());
    }
    let e = Command::new("/bin/sh")
        .args(["-c", INIT, BOOTED])
        .env_clear()
        .envs([
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C"),
            ("HOME", "/"),
        ])
        .exec();
    Err(e).context("cannot start /bin/sh")
}

fn fs_mount(kind: &str, at: &Path, flags: MountFlags, data: &str) -> Result<()> {
    let data = CString::new(data)?;
    mount(kind, c(at)?, kind, flags, data.as_c_str())
        .with_context(|| format!("cannot mount {kind} on {}", at.display()))
}

fn mounts(info: &Info, host: &HostInfo, root: &Path) -> Result<()> {
    let home = info.home(host);
    let none = MountFlags::empty();
    let careful = MountFlags::NOSUID | MountFlags::NODEV;
    fs_mount(
        "overlay",
        root,
        none,
        &format!("lowerdir=/,upperdir={}/upper,workdir={}/work", home.display(), home.display()),
    )?;
    fs_mount("proc", &root.join("proc"), careful | MountFlags::NOEXEC, "")?;
    fs_mount("sysfs", &root.join("sys"), careful | MountFlags::NOEXEC | MountFlags::RDONLY, "")?;
    if info.systemd {
        systemd::join(info, host, &root.join("sys/fs/cgroup"))?;
    }
    fs_mount("tmpfs", &root.join("run"), careful, "mode=755")?;
    files::dir(root.join("run/sshd"), 0o755)?;
    files::dir(root.join("run/lock"), 0o1777)?;
    devices(&root.join("dev"))?;
    settings(info, host, root)?;
    mount_bind(c(&info.dir.join("shared"))?, c(&root.join("lab"))?)
        .context("cannot mount the shared folder")?;
    mount_remount(c(&root.join("lab"))?, MountFlags::BIND | MountFlags::RDONLY, c"")
        .context("cannot make the shared folder read-only")
}

fn devices(dev: &Path) -> Result<()> {
    fs_mount("tmpfs", dev, MountFlags::NOSUID, "mode=755")?;
    for (name, minor_of) in [
        ("null", (1, 3)),
        ("zero", (1, 5)),
        ("full", (1, 7)),
        ("random", (1, 8)),
        ("urandom", (1, 9)),
        ("tty", (5, 0)),
    ] {
        mknodat(
            CWD,
            c(&dev.join(name))?,
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            makedev(minor_of.0, minor_of.1),
        )
        .with_context(|| format!("cannot make /dev/{name}"))?;
    }
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(to, dev.join(name)).with_context(|| format!("cannot make /dev/{name}"))?;
    }
    files::dir(dev.join("pts"), 0o755)?;
    fs_mount(
        "devpts",
        &dev.join("pts"),
        MountFlags::NOSUID | MountFlags::NOEXEC,
        "newinstance,ptmxmode=0666,mode=620,gid=5",
    )?;
    files::dir(dev.join("shm"), 0o1777)?;
    fs_mount("tmpfs", &dev.join("shm"), MountFlags::NOSUID | MountFlags::NODEV, "mode=1777")
}

/// Puts writable copies over the kernel's settings. What the host writes there affects nobody else,
/// and is gone at the host's next boot, as on a real machine. Settings without a copy become
/// read-only, except net.*, which each host has for itself.
fn settings(info: &Info, host: &HostInfo, root: &Path) -> Result<()> {
    let home = info.home(host);
    let scratch = home.join("boot");
    files::dir(&scratch, 0o700)?;
    fs_mount("tmpfs", &scratch, MountFlags::NOSUID | MountFlags::NODEV, "mode=755")?;
    for (real, name) in disk::COPIED {
        let at = root.join(real.trim_start_matches('/'));
        if !at.exists() {
            continue;
        }
        let (upper, work) =
            (scratch.join(format!("{name}.upper")), scratch.join(format!("{name}.work")));
        files::dir(&upper, 0o755)?;
        files::dir(&work, 0o755)?;
        let lower = info.dir.join("settings").join(name);
        fs_mount(
            "overlay",
            &at,
            MountFlags::empty(),
            &format!(
                "lowerdir={},upperdir={},workdir={}",
                lower.display(),
                upper.display(),
                work.display()
            ),
        )?;
    }
    let sys = root.join("proc/sys");
    files::write(sys.join("kernel/hostname"), format!("{}\n", host.name), 0o644)?;
    files::write(sys.join("kernel/random/boot_id"), format!("{}\n", uuid()), 0o444)?;
    for live in ["kernel/random/uuid", "fs/aio-nr", "fs/file-nr"] {
        let (from, to) = (Path::new("/proc/sys").join(live), sys.join(live));
        if to.exists() {
            mount_bind(c(&from)?, c(&to)?)
                .with_context(|| format!("cannot show the machine's {live}"))?;
        }
    }
    let mut locked = vec![root.join("proc/sysrq-trigger")];
    for entry in fs::read_dir(&sys)?.flatten() {
        if !["vm", "fs", "kernel", "net"].iter().any(|n| entry.file_name() == *n) {
            locked.push(entry.path());
        }
    }
    for path in locked.iter().filter(|p| p.exists()) {
        let at = c(path)?;
        mount_bind(&at, &at).with_context(|| format!("cannot lock {}", path.display()))?;
        mount_remount(
            &at,
            MountFlags::BIND
                | MountFlags::RDONLY
                | MountFlags::NOSUID
                | MountFlags::NODEV
                | MountFlags::NOEXEC,
            c"",
        )
        .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(())
}

fn uuid() -> String {
    let n: u128 = rand::rng().random();
    let hex = format!("{n:032x}");
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Makes `root` the root, and unmounts the machine's mounts, so that no host keeps one of them
/// alive.
fn enter(root: &Path) -> Result<()> {
    chdir(c(root)?).context("cannot enter the host's root")?;
    pivot_root(".", ".").context("cannot change the root")?;
    unmount(".", UnmountFlags::DETACH).context("cannot let go of the machine's mounts")?;
    chdir("/").context("cannot enter the host's root")
}
