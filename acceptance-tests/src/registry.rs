//! Where labs are written down: one directory per lab, so that any process can act on it and clean
//! it up.
//!
//! `BASE/ID/lab.json` holds what never changes; `hosts/NAME` the ns init of a host that is on;
//! `cuts/A--B` a partition. BASE is `/run/ob-lab` for root. Numbers are given out under a lock
//! file, so that several `up` at once are safe.
use crate::files;
use crate::process::Process;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// How a lab's hosts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Namespaces: the real thing, needs root.
    Netns,
    /// Plain sshds on 127.x.y.z.
    Plain,
}

/// Who takes the lab down when its creator did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleaner {
    /// Nobody but `down`.
    None,
    /// `gc`, once this process is gone.
    Owner(Process),
}

/// One host as the outside needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// Its name, also its hostname.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Where its sshd listens.
    pub port: u16,
}

/// One lab as the outside needs it: what `ob-lab up --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its number.
    pub id: u8,
    /// How its hosts are made.
    pub kind: Kind,
    /// Where disks and keys lie.
    pub dir: PathBuf,
    /// The machine's own address in the lab's network.
    pub gateway: Ipv4Addr,
    /// Users who can log in with the key.
    pub users: Vec<String>,
    /// Private key file.
    pub key: PathBuf,
    /// `known_hosts` file with the host keys of all hosts.
    pub known_hosts: PathBuf,
    /// The hosts in order.
    pub hosts: Vec<HostInfo>,
    /// Size limit of each disk in bytes.
    pub disk: Option<u64>,
    /// Whether `dir` is a tmpfs of the lab's own.
    pub tmpfs: bool,
    /// Who cleans up.
    pub cleaner: Cleaner,
}

impl Info {
    /// The lab's directory in the registry.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        base().join(self.id.to_string())
    }

    /// The directory of one host: disk and boot log.
    #[must_use]
    pub fn home(&self, host: &HostInfo) -> PathBuf {
        self.dir.join(&host.name)
    }

    /// First process of a host that is on.
    #[must_use]
    pub fn init_of(&self, host: &HostInfo) -> Option<Process> {
        let text = fs::read_to_string(self.state().join("hosts").join(&host.name)).ok()?;
        Process::parse(&text).filter(Process::alive)
    }

    /// The host of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn host(&self, name: &str) -> Result<&HostInfo> {
        self.hosts
            .iter()
            .find(|h| h.name == name)
            .with_context(|| format!("lab {} has no host {name:?}", self.id))
    }

    /// The partitions in force, each as a pair; the second name is [`EVERYONE`] or [`OPERATOR`]
    /// where no host is meant.
    #[must_use]
    pub fn cuts(&self) -> Vec<(String, String)> {
        let Ok(dir) = fs::read_dir(self.state().join("cuts")) else { return Vec::new() };
        dir.flatten()
            .filter_map(|e| {
                e.file_name().to_str()?.split_once("--").map(|(a, b)| (a.to_owned(), b.to_owned()))
            })
            .collect()
    }

    /// Notes or forgets a partition.
    pub(crate) fn note_cut(&self, a: &str, b: &str, on: bool) -> Result<()> {
        let file = self.state().join("cuts").join(format!("{a}--{b}"));
        if on {
            return files::write(file, "", 0o600);
        }
        match fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// Whether its creator is known and gone.
    #[must_use]
    pub fn abandoned(&self) -> bool {
        matches!(self.cleaner, Cleaner::Owner(p) if !p.alive())
    }

    /// Writes it down.
    pub(crate) fn save(&self) -> Result<()> {
        let partial = self.state().join("lab.json.partial");
        files::write(&partial, serde_json::to_vec_pretty(self)?, 0o600)?;
        fs::rename(&partial, self.state().join("lab.json")).context("cannot write lab.json")
    }
}

/// The other side of a cut that separates a host from every other and from this machine.
pub const EVERYONE: &str = "everyone";
/// This machine, as one side of a cut.
pub const OPERATOR: &str = "operator";

/// The directory of all labs of this user.
#[must_use]
pub fn base() -> PathBuf {
    let uid = rustix::process::getuid();
    if uid.is_root() {
        PathBuf::from("/run/ob-lab")
    } else {
        PathBuf::from(format!("/tmp/ob-lab-of-{}", uid.as_raw()))
    }
}

/// Holds the registry until dropped.
pub(crate) fn lock() -> Result<fs::File> {
    files::dir(base(), 0o700)?;
    let path = base().join("lock");
    let file = fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    file.lock().context("cannot lock the registry of labs")?;
    Ok(file)
}

/// Highest number of a lab.
const LAST: u8 = 250;

/// Takes a free number (or `wanted`) and makes its directory; the lock must be held.
///
/// Numbers are given in turn, as a system gives process ids: who still asks after a lab that is
/// down does not meet another.
pub(crate) fn claim(
    wanted: Option<u8>,
    _held: &fs::File,
    taken: impl Fn(u8) -> bool,
) -> Result<u8> {
    let given = base().join("given");
    let before =
        fs::read_to_string(&given).ok().and_then(|t| t.trim().parse::<u8>().ok()).unwrap_or(0)
            % LAST;
    let candidates =
        wanted.map_or_else(|| (before + 1..=LAST).chain(1..=before).collect(), |id| vec![id]);
    for id in candidates {
        let dir = base().join(id.to_string());
        if dir.exists() || taken(id) {
            continue;
        }
        files::dir(dir.join("hosts"), 0o700)?;
        files::dir(dir.join("cuts"), 0o700)?;
        if wanted.is_none() {
            files::write(&given, id.to_string(), 0o600)?;
        }
        return Ok(id);
    }
    match wanted {
        Some(id) => bail!(
            "lab {id} exists; take it down with `ob-lab down --lab {id}` or choose another number"
        ),
        None => bail!("all 250 lab numbers are taken; see `ob-lab list` and `ob-lab gc`"),
    }
}

/// The lab of this number.
///
/// # Errors
/// There is none, or it is being made at this moment.
pub fn load(id: u8) -> Result<Info> {
    let path = base().join(id.to_string()).join("lab.json");
    let text = files::read(&path).with_context(|| format!("there is no lab {id}"))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// All labs, by number.
#[must_use]
pub fn list() -> Vec<Info> {
    numbers(&base()).into_iter().filter_map(|id| load(id).ok()).collect()
}

/// Numbers whose directory exists, with or without a lab.json.
pub(crate) fn numbers(base: &Path) -> Vec<u8> {
    let Ok(dir) = fs::read_dir(base) else { return Vec::new() };
    let mut ids: Vec<u8> =
        dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    ids
}
