//! A host's disk: an overlay over this machine's root. It hides the operator's own files and
//! deletes nothing of this machine.
use super::systemd;
use crate::files::{self, c};
use crate::keys;
use crate::registry::{HostInfo, Info};
use anyhow::{Context, Result};
use rand::RngExt;
use rustix::fs::{XattrFlags, setxattr, statfs};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// `f_type` of overlayfs, on which no upper directory can lie.
const OVERLAYFS: u64 = 0x794c_7630;

/// Directories whose content on this machine the host does not see, with their mode in the host.
const HIDDEN: &[(&str, u32)] = &[
    ("tmp", 0o1777),
    ("home", 0o755),
    ("root", 0o700),
    ("opt", 0o755),
    ("srv", 0o755),
    ("mnt", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
    ("var/spool/cron", 0o755),
    ("etc/cron.d", 0o755),
    ("etc/cron.hourly", 0o755),
    ("etc/cron.daily", 0o755),
    ("etc/cron.weekly", 0o755),
    ("etc/cron.monthly", 0o755),
    ("etc/sysctl.d", 0o755),
    ("etc/systemd", 0o755),
    ("etc/security/limits.d", 0o755),
];

/// Settings of which hosts get a copy: the path on this machine, and the name of the copy.
pub const COPIED: &[(&str, &str)] = &[
    ("/proc/sys/vm", "vm"),
    ("/proc/sys/fs", "fs"),
    ("/proc/sys/kernel", "kernel"),
    ("/sys/kernel/mm/transparent_hugepage", "thp"),
];

/// Whether disks below `dir` need a tmpfs of their own.
pub fn needs_tmpfs(dir: &Path) -> bool {
    let there = dir.ancestors().find(|d| d.exists()).unwrap_or(Path::new("/"));
    statfs(there).is_ok_and(|s| u64::try_from(s.f_type).is_ok_and(|t| t == OVERLAYFS))
}

/// The part of the disk that the host wrote.
pub fn upper(info: &Info, host: &HostInfo) -> PathBuf {
    info.home(host).join("upper")
}

/// Mounts the lab's own tmpfs, if it is to have one.
pub fn mount_dir(info: &Info) -> Result<()> {
    if info.tmpfs { tmpfs(&info.dir, "mode=755,size=75%") } else { Ok(()) }
}

/// Makes all disks, and the copies of the kernel's settings with which hosts start.
pub fn prepare(info: &Info) -> Result<()> {
    files::dir(info.dir.join("shared"), 0o755)?;
    for (from, name) in COPIED {
        copy_settings(Path::new(from), &info.dir.join("settings").join(name));
    }
    let thp = info.dir.join("settings/thp");
    for name in ["enabled", "defrag"] {
        files::dir(&thp, 0o755)?;
        files::write(thp.join(name), "always madvise [never]\n", 0o644)?;
    }
    let accounts = Accounts::read()?;
    let mut names = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost\n");
    for host in &info.hosts {
        let _ = writeln!(names, "{} {}", host.address, host.name);
    }
    for host in &info.hosts {
        one(info, host, &accounts, &names)
            .with_context(|| format!("cannot make the disk of {}", host.name))?;
    }
    Ok(())
}

fn one(info: &Info, host: &HostInfo, accounts: &Accounts, names: &str) -> Result<()> {
    let home = info.home(host);
    files::dir(&home, 0o755)?;
    if let Some(bytes) = info.disk {
        tmpfs(&home, &format!("mode=755,size={bytes}"))?;
    }
    let upper = upper(info, host);
    for dir in [
        &upper,
        &home.join("work"),
        &home.join("merged"),
        &upper.join("var"),
        &upper.join("var/spool"),
        &upper.join("etc"),
        &upper.join("etc/ssh"),
        &upper.join("etc/security"),
        &upper.join("lab"),
    ] {
        files::dir(dir, 0o755)?;
    }
    for (name, mode) in HIDDEN {
        let path = upper.join(name);
        files::dir(&path, *mode)?;
        setxattr(&path, "trusted.overlay.opaque", b"y", XattrFlags::empty())
            .with_context(|| format!("cannot hide /{name}"))?;
    }
    let crontabs = upper.join("var/spool/cron/crontabs");
    files::dir(&crontabs, 0o1730)?;
    std::os::unix::fs::chown(&crontabs, Some(0), accounts.crontab)?;
    files::chmod(&crontabs, 0o1730)?;
    let etc = upper.join("etc");
    files::write(etc.join("hostname"), format!("{}\n", host.name), 0o644)?;
    files::write(etc.join("hosts"), names, 0o644)?;
    files::write(etc.join("resolv.conf"), "options timeout:1 attempts:1\n", 0o644)?;
    files::write(
        etc.join("machine-id"),
        format!("{:032x}\n", rand::rng().random::<u128>()),
        0o444,
    )?;
    files::write(etc.join("crontab"), "", 0o644)?;
    files::write(etc.join("passwd"), &accounts.passwd, 0o644)?;
    files::write(etc.join("group"), &accounts.group, 0o644)?;
    files::write(etc.join("shadow"), &accounts.shadow, 0o640)?;
    std::os::unix::fs::chown(etc.join("shadow"), Some(0), accounts.shadow_group)?;
    let key = keys::host_key(info, host);
    files::write(etc.join("ssh/lab_host_key"), fs::read(&key)?, 0o600)?;
    files::write(etc.join("ssh/lab_host_key.pub"), fs::read(keys::public(&key))?, 0o644)?;
    files::write(
        etc.join("ssh/sshd_config"),
        format!(
            "Port 22\nHostKey /etc/ssh/lab_host_key\nPidFile /run/lab-sshd.pid\nUsePAM {}\n{}",
            if info.systemd { "yes" } else { "no" },
            keys::SSHD
        ),
        0o644,
    )?;
    let authorized = keys::authorized(info)?;
    for (dir, id) in [("root", 0), ("home/admin", accounts.admin)] {
        let dir = upper.join(dir);
        files::dir(&dir, 0o700)?;
        files::dir(dir.join(".ssh"), 0o700)?;
        files::write(dir.join(".ssh/authorized_keys"), &authorized, 0o600)?;
        for path in [dir.clone(), dir.join(".ssh"), dir.join(".ssh/authorized_keys")] {
            std::os::unix::fs::chown(&path, Some(id), Some(id))?;
        }
    }
    if info.systemd { systemd::prepare(info, host) } else { Ok(()) }
}

/// The machine's accounts, and the ordinary user `admin`.
struct Accounts {
    passwd: String,
    group: String,
    shadow: String,
    admin: u32,
    crontab: Option<u32>,
    shadow_group: Option<u32>,
}

impl Accounts {
    fn read() -> Result<Self> {
        let without = |path: &str| -> Result<String> {
            Ok(files::read(path)?
                .lines()
                .filter(|l| !l.starts_with("admin:"))
                .map(|l| format!("{l}\n"))
                .collect())
        };
        let (mut passwd, mut group, mut shadow) =
            (without("/etc/passwd")?, without("/etc/group")?, without("/etc/shadow")?);
        let number = |text: &str, name: Option<&str>| -> Vec<u32> {
            text.lines()
                .filter(|l| name.is_none_or(|n| l.split(':').next() == Some(n)))
                .filter_map(|l| l.split(':').nth(2)?.parse().ok())
                .collect()
        };
        let taken: Vec<u32> =
            number(&passwd, None).into_iter().chain(number(&group, None)).collect();
        let admin = (1000..).find(|n| !taken.contains(n)).unwrap_or(1000);
        let [crontab, shadow_group] =
            ["crontab", "shadow"].map(|name| number(&group, Some(name)).first().copied());
        let _ = writeln!(passwd, "admin:x:{admin}:{admin}:lab user:/home/admin:/bin/bash");
        let _ = writeln!(group, "admin:x:{admin}:");
        // `*` and not `!`: sshd refuses a login to a locked account.
        let _ = writeln!(shadow, "admin:*:19000:0:99999:7:::");
        Ok(Self { passwd, group, shadow, admin, crontab, shadow_group })
    }
}

/// Copies every readable setting; write-only ones become empty files.
fn copy_settings(from: &Path, to: &Path) {
    let _ = fs::create_dir_all(to);
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else { continue };
        if kind.is_dir() {
            // Mount points of other file systems are not copied.
            if name != "binfmt_misc" {
                copy_settings(&entry.path(), &to.join(&name));
            }
        } else {
            let _ = fs::write(to.join(&name), fs::read(entry.path()).unwrap_or_default());
        }
    }
}

fn tmpfs(at: &Path, options: &str) -> Result<()> {
    let data = CString::new(options)?;
    mount("ob-lab", c(at)?, "tmpfs", MountFlags::empty(), data.as_c_str())
        .with_context(|| format!("cannot mount a tmpfs on {}", at.display()))
}

/// Unmounts and deletes all disks.
pub fn remove(info: &Info) -> Result<()> {
    if info.disk.is_some() {
        for host in &info.hosts {
            let _ = unmount(c(&info.home(host))?, UnmountFlags::DETACH);
        }
    }
    // A lab that boots at this moment has a copy of our mount in its namespace until it lets go of
    // the machine's mounts. During that moment the directory is busy.
    let mut tries = 50;
    loop {
        if info.tmpfs {
            let _ = unmount(c(&info.dir)?, UnmountFlags::DETACH);
        }
        match fs::remove_dir_all(&info.dir) {
            Err(e) if e.kind() == std::io::ErrorKind::ResourceBusy && tries > 0 => tries -= 1,
            Err(e) if info.dir.exists() => {
                return Err(e).with_context(|| format!("cannot remove {}", info.dir.display()));
            }
            _ => return Ok(()),
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
