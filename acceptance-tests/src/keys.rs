//! Keys and sshd configuration of a lab.
use crate::files;
use crate::options::HostKeys;
use crate::registry::{HostInfo, Info};
use crate::run::{command, run};
use anyhow::{Result, bail};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Makes the login key, the host keys and the `known_hosts` file in `info.dir`.
pub fn make(info: &Info, keys: HostKeys) -> Result<()> {
    generate(&info.key, "lab-operator")?;
    if keys == HostKeys::Shared {
        generate(&info.dir.join("host_key"), "lab-host")?;
    }
    let mut known = String::new();
    for host in &info.hosts {
        if keys == HostKeys::PerHost {
            generate(&info.dir.join(format!("host_key.{}", host.name)), &host.name)?;
        }
        let public = files::read(public(&host_key(info, host)))?;
        let words: Vec<&str> = public.split_whitespace().take(2).collect();
        let place = if host.port == 22 {
            host.address.to_string()
        } else {
            format!("[{}]:{}", host.address, host.port)
        };
        let _ = writeln!(known, "{place} {}", words.join(" "));
    }
    files::write(&info.known_hosts, known, 0o644)
}

/// The private host key of a host.
pub fn host_key(info: &Info, host: &HostInfo) -> PathBuf {
    let own = info.dir.join(format!("host_key.{}", host.name));
    if own.exists() { own } else { info.dir.join("host_key") }
}

/// The public half of the login key.
pub fn authorized(info: &Info) -> Result<String> {
    files::read(public(&info.key))
}

fn generate(path: &Path, comment: &str) -> Result<()> {
    let name = path.display().to_string();
    let out = run(
        &mut command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", &name]),
        b"",
        Duration::from_secs(20),
    )?;
    if out.status != 0 {
        bail!("ssh-keygen failed: {}{} (run acceptance-tests/setup.sh)", out.stdout, out.stderr);
    }
    Ok(())
}

/// The part of the sshd configuration that all hosts share. `MaxStartups` is wide: its default (10)
/// drops logins at random under load.
pub const SSHD: &str = "UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200:30:400
MaxSessions 100
Subsystem sftp internal-sftp
PrintMotd no
PrintLastLog no
AcceptEnv LANG LC_*
";

/// The file of the public key that belongs to a private key.
pub fn public(private: &Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}
