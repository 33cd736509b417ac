//! Hosts whose first process is a real systemd: units, sessions, journald, PAM.
//!
//! Of the machine's services none runs on such a host: the disk hides what the machine enables, and
//! what its generators would make of its `fstab` and its init scripts. [`MASKED`] names the rest.
use super::disk;
use crate::files::{self, c};
use crate::registry::{HostInfo, Info};
use anyhow::{Context, Result};
use rustix::fs::{XattrFlags, setxattr};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program.
const SYSTEMD: &str = "/lib/systemd/systemd";

/// What Debian's packages start without being enabled, and what a lab host must not have: some of
/// it would reach the machine's kernel, and none of it is of use.
const MASKED: &[&str] = &[
    "cryptsetup.target",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "e2scrub_reap.service",
    "getty.target",
    "integritysetup.target",
    "kmod-static-nodes.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-initctl.socket",
    "systemd-journald-audit.socket",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-repart.service",
    "systemd-sysusers.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-udevd.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "veritysetup.target",
];

/// Directories whose content on this machine such a host does not see either.
const HIDDEN: &[&str] =
    &["usr/lib/systemd/system-generators", "var/lib/systemd", "etc/modules-load.d"];

/// The file that sshd writes when it listens, the last that is waited for.
pub const BOOTED: &str = "/run/lab-sshd.pid";

/// The host's sshd. The first login may come only when users may log in.
const SSHD: &str = "[Unit]
Description=The sshd of a lab host
After=network.target systemd-user-sessions.service
[Service]
ExecStart=/usr/sbin/sshd -D -f /etc/ssh/sshd_config
RuntimeDirectory=sshd
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
KillMode=process
[Install]
WantedBy=multi-user.target
";

/// Makes a disk one that systemd boots from: its own sshd and cron are enabled, and nothing else.
pub fn prepare(info: &Info, host: &HostInfo) -> Result<()> {
    let upper = disk::upper(info, host);
    for name in HIDDEN {
        let path = upper.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        setxattr(&path, "trusted.overlay.opaque", b"y", XattrFlags::empty())
            .with_context(|| format!("cannot hide /{name}"))?;
    }
    files::write(upper.join("etc/fstab"), "", 0o644)?;
    // With this directory the journal outlives a boot.
    files::dir(upper.join("var/log/journal"), 0o755)?;
    let units = upper.join("etc/systemd/system");
    let wants = units.join("multi-user.target.wants");
    for dir in [&units, &wants] {
        files::dir(dir, 0o755)?;
    }
    files::write(units.join("lab-sshd.service"), SSHD, 0o644)?;
    symlink("/etc/systemd/system/lab-sshd.service", wants.join("lab-sshd.service"))?;
    symlink("/lib/systemd/system/cron.service", wants.join("cron.service"))?;
    for unit in MASKED {
        symlink("/dev/null", units.join(unit)).with_context(|| format!("cannot mask {unit}"))?;
    }
    Ok(())
}

/// The path of a host's group below the root of the hierarchy of version 2. The freezer uses the
/// same one on a machine that has no other hierarchy.
fn group(info: &Info, host: &HostInfo) -> PathBuf {
    PathBuf::from(format!("ob-lab-{}", info.id)).join(&host.name)
}

/// Puts this process into a group of its own. For that the hierarchy is mounted for a moment on
/// `at`, the host's `/sys/fs/cgroup`: a machine need not have mounted it.
pub fn join(info: &Info, host: &HostInfo, at: &Path) -> Result<()> {
    mount("cgroup2", c(at)?, "cgroup2", MountFlags::empty(), c"")
        .with_context(|| format!("cannot mount the control groups on {}", at.display()))?;
    let group = at.join(group(info, host));
    fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
    let procs = group.join("cgroup.procs");
    fs::write(&procs, "0").with_context(|| format!("cannot write {}", procs.display()))?;
    unmount(c(at)?, UnmountFlags::DETACH).context("cannot let go of the machine's groups")
}

/// Becomes systemd. The new namespace of control groups makes the host's own group the root of what
/// it sees; controllers that the machine has in other hierarchies are not there.
pub fn exec() -> anyhow::Error {
    let line = format!(
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec {SYSTEMD} --system \
         --unit=multi-user.target --show-status=no --log-target=journal"
    );
    let e = Command::new("unshare")
        .args(["--cgroup", "/bin/sh", "-c", &line])
        .env_clear()
        .envs([
            ("container", "lab"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C"),
        ])
        .exec();
    anyhow::Error::new(e).context("cannot start unshare")
}

/// Removes the groups of hosts that are off, in a mount of our own.
pub fn remove(info: &Info, hosts: &[&HostInfo]) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let line = "mount -t cgroup2 cgroup2 \"$0\" && cd \"$0\" || exit
for d in \"$@\"; do
  [ ! -d \"$d\" ] || find \"$d\" -depth -type d -exec rmdir {} +
  rmdir \"${d%/*}\"
done 2>/dev/null
cd / && umount \"$0\"";
    let _ = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "/bin/sh", "-c", line])
        .arg(dir.path())
        .args(hosts.iter().map(|h| group(info, h)))
        .status();
}
