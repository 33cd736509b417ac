//! Hosts whose first process is a real systemd: units, sessions, journald, PAM.
//!
//! Of the machine's services none runs on such a host: the disk hides what the machine enables, what
//! its generators would make of its `fstab` and its init scripts, and [`MASKED`] names the rest.
use super::disk;
use crate::files::{self, c};
use crate::registry::{HostInfo, Info};
use anyhow::{Context, Result};
use rustix::fs::{XattrFlags, setxattr};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program.
const SYSTEMD: &str = "/lib/systemd/systemd";

/// The hierarchy of control groups that systemd keeps its units in. It has no controllers.
const HIERARCHY: &std::ffi::CStr = c"none,name=systemd";

/// Words of a kernel's command line, which systemd reads from its own in a container: it keeps its
/// units in that hierarchy alone.
const ALONE: &str = "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1";

/// What Debian's packages start without being enabled, and what a lab host must not have: some of it
/// would reach the machine's kernel, and none of it is of use.
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

/// Makes a disk that of systemd: its own sshd and cron are enabled, and nothing else.
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

/// Whether the machine has control groups of version 2 alone.
fn unified() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The path of a host's group below a hierarchy's root.
fn group(info: &Info, host: &HostInfo) -> PathBuf {
    PathBuf::from(format!("ob-lab-{}", info.id)).join(&host.name)
}

fn hierarchy(at: &Path) -> Result<()> {
    mount("cgroup", c(at)?, "cgroup", MountFlags::empty(), HIERARCHY)
        .with_context(|| format!("cannot mount systemd's hierarchy on {}", at.display()))
}

/// Puts this process into a group of its own in systemd's hierarchy, and prepares the place where
/// the host mounts it, below the host's `root`.
pub fn join(info: &Info, host: &HostInfo, root: &Path) -> Result<()> {
    // With version 2 the freezer's group is the host's group already.
    if unified() {
        return Ok(());
    }
    // systemd would mount what this file names: the machine's own hierarchies, and make groups there.
    let none = info.home(host).join("cgroups");
    files::write(&none, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n", 0o444)?;
    mount_bind(c(&none)?, c(&root.join("proc/cgroups"))?)
        .context("cannot hide the machine's control groups")?;
    let at = &root.join("sys/fs/cgroup");
    mount("tmpfs", c(at)?, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=755")
        .with_context(|| format!("cannot mount a tmpfs on {}", at.display()))?;
    let own = at.join("systemd");
    files::dir(&own, 0o755)?;
    hierarchy(&own)?;
    let group = own.join(group(info, host));
    fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
    let procs = group.join("cgroup.procs");
    fs::write(&procs, "0").with_context(|| format!("cannot write {}", procs.display()))?;
    unmount(c(&own)?, UnmountFlags::DETACH).context("cannot let go of the machine's groups")
}

/// Becomes systemd. The new namespace of control groups makes the host's own group the root of what
/// it sees.
pub fn exec() -> anyhow::Error {
    let (mounts, alone) = if unified() {
        ("mount -t cgroup2 cgroup2 /sys/fs/cgroup", "")
    } else {
        ("mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd", ALONE)
    };
    let line = format!(
        "{mounts} && exec {SYSTEMD} --system --unit=multi-user.target --show-status=no \
         --log-target=journal {alone}"
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

/// Removes the groups of hosts that are off. They are looked for in a mount of our own, because a
/// machine need not have mounted that hierarchy.
pub fn remove(info: &Info, hosts: &[&HostInfo]) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let line = if unified() {
        "mount -t cgroup2 cgroup2 \"$0\" || exit"
    } else {
        "mount -t cgroup -o none,name=systemd cgroup \"$0\" || exit"
    };
    let line = format!(
        "{line}; cd \"$0\" || exit; for d in \"$@\"; do\n[ ! -d \"$d\" ] || \
         find \"$d\" -depth -type d -exec rmdir {{}} +\nrmdir \"${{d%/*}}\"\ndone 2>/dev/null\n\
         cd / && umount \"$0\""
    );
    let _ = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "/bin/sh", "-c", &line])
        .arg(dir.path())
        .args(hosts.iter().map(|h| group(info, h)))
        .status();
}
