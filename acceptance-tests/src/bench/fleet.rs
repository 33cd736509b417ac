//! Lab hosts for the benchmark, and the peers' jobs on them. The jobs themselves are in
//! acceptance-tests/bench/.
use super::LIMIT;
use crate::outside::{repository, tools};
use crate::run::run;
use crate::{Lab, files, seekdb};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directory of the server that peers deploy; the server has the same sizes as ours.
pub const BASE: &str = "/data/db";

/// Hosts, and what the peers need to know about them. Dropping it removes everything.
#[derive(Debug)]
pub struct Fleet {
    /// The hosts.
    pub lab: Lab,
    /// Work directory for a peer or for terraform.
    pub dir: tempfile::TempDir,
}

impl Fleet {
    /// Makes this many hosts, and an inventory of them for each peer.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn up(hosts: usize) -> Result<Self> {
        let lab = Lab::up(hosts)?;
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let addresses: String = lab.hosts().iter().map(|h| format!("{}\n", h.address())).collect();
        files::write(dir.path().join("hosts"), &addresses, 0o644)?;
        let info = lab.info();
        let ini = format!(
            "[all:vars]\nansible_user=root\nansible_ssh_private_key_file={}\n\
             ansible_ssh_common_args='-o UserKnownHostsFile={} -o IdentitiesOnly=yes'\n\n[all]\n\
             {addresses}",
            info.key.display(),
            info.known_hosts.display()
        );
        files::write(dir.path().join("inventory.ini"), ini, 0o644)?;
        files::write(
            dir.path().join("start.sh"),
            seekdb::start_line("/data/seekdb", BASE, 2881) + "\n",
            0o644,
        )?;
        Ok(Self { lab, dir })
    }

    /// Runs a peer's job to its end: a program of acceptance-tests/bench/ or of the peers' Python
    /// environment.
    ///
    /// # Errors
    /// The job failed; the message has its output.
    pub fn peer(&self, words: &[&str], job: &Job) -> Result<()> {
        let bench = repository().join("acceptance-tests/bench");
        let venv = environment()?;
        let at = |p: &str| self.dir.path().join(p).display().to_string();
        let mut c = Command::new("env");
        let place = |w: &&str| {
            if w.contains('/') {
                bench.join(w).display().to_string()
            } else {
                w.replace("INVENTORY", &at("inventory.ini"))
            }
        };
        c.args(words.iter().map(place)).current_dir(self.dir.path());
        let path = std::env::var("PATH").unwrap_or_default();
        c.env("PATH", format!("{}:{path}", venv.join("bin").display()))
            .env("BENCH_HOSTS", at("hosts"))
            .env("BENCH_KEY", &self.lab.info().key)
            .env("BENCH_KNOWN_HOSTS", &self.lab.info().known_hosts)
            .env("BENCH_CONFIG", at("start.sh"))
            .env("BENCH_FILES", &job.files)
            .env("BENCH_START", if job.start { "1" } else { "0" })
            .env("ANSIBLE_CONFIG", bench.join("ansible/ansible.cfg"))
            .env("ANSIBLE_HOME", at("ansible"))
            .env("PYTHONWARNINGS", "ignore");
        let out = run(&mut c, b"", LIMIT)?;
        if out.status != 0 {
            let text = format!("{}{}", out.stdout, out.stderr);
            let end: Vec<_> = text.lines().rev().take(12).collect();
            bail!(
                "{} ended with {}: {}",
                words.join(" "),
                out.status,
                end.into_iter().rev().collect::<Vec<_>>().join(" | ")
            );
        }
        Ok(())
    }
}

/// What a peer's job is about.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// Directory of the server's files on this machine.
    pub files: PathBuf,
    /// Whether the server is to be started.
    pub start: bool,
}

/// The directory into which `setup.sh` has installed the peers.
fn environment() -> Result<PathBuf> {
    let dir = tools()?.join("bench-peers");
    if dir.join("installed").is_file() {
        Ok(dir)
    } else {
        bail!("the peers are not installed: make bench")
    }
}

/// The peers that deploy, with their command lines.
pub const DEPLOYERS: [(&str, &[&str]); 5] = [
    ("ansible", &["ansible-playbook", "-i", "INVENTORY", "ansible/deploy.yml"]),
    ("pyinfra", &["pyinfra", "-y", "pyinfra/inventory.py", "pyinfra/deploy.py"]),
    ("parallel-ssh", &["python", "pssh/job.py", "deploy"]),
    ("rsync + ssh", &["sh", "openssh/rsync.sh"]),
    ("OpenSSH + xargs", &["sh", "openssh/deploy.sh"]),
];

/// Installs the peers.
///
/// # Errors
/// PyPI or the system's packages cannot be reached.
pub fn set_up() -> Result<()> {
    let script: &Path = &repository().join("acceptance-tests/bench/setup.sh");
    let status = Command::new("sh")
        .arg(script)
        .arg(tools()?.join("bench-peers"))
        .status()
        .context("cannot start setup.sh")?;
    if status.success() { Ok(()) } else { bail!("setup.sh failed") }
}
