//! The registry of labs: one directory per lab, so that any process can act on a lab and remove it.
//!
//! `BASE/ID/lab.json` holds what never changes. `hosts/NAME` names the first process of a host that
//! is on. `cuts/A--B` is a partition. BASE is `/run/ob-lab` for root. A lock file guards the
//! numbers, so that several `up` at once are safe.
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
    /// Made of namespaces: full hosts; needs root.
    Netns,
    /// Plain sshds on 127.x.y.z.
    Plain,
}

/// Who removes the lab when its creator did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleaner {
    /// Only `down` removes it.
    None,
    /// `gc` removes it once this process is gone.
    Owner(Process),
}

/// The data about one host that others need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// Name, also the hostname.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Port of the host's sshd.
    pub port: u16,
}

/// The data about one lab that others need: `ob-lab up --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The lab's number.
    pub id: u8,
    /// How the hosts are made.
    pub kind: Kind,
    /// Directory of disks and keys.
    pub dir: PathBuf,
    /// The machine's own address in the lab's network.
    pub gateway: Ipv4Addr,
    /// Users that can log in with the key.
    pub users: Vec<String>,
    /// Private key file.
    pub key: PathBuf,
    /// `known_hosts` file with the host keys of all hosts.
    pub known_hosts: PathBuf,
    /// The hosts in order.
    pub hosts: Vec<HostInfo>,
    /// Size limit of each disk in bytes.
    pub disk: Option<u64>,
    /// Whether `dir` is a tmpfs that belongs to the lab.
    pub tmpfs: bool,
    /// Whether the first process of each host is a real systemd.
    #[serde(default)]
    pub systemd: bool,
    /// Who removes the lab.
    pub cleaner: Cleaner,
}

impl Info {
    /// The lab's directory in the registry.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        base().join(self.id.to_string())
    }

    /// The directory of one host: its disk and its boot log.
    #[must_use]
    pub fn home(&self, host: &HostInfo) -> PathBuf {
        self.dir.join(&host.name)
    }

    /// What the host's first process said; empty if it said nothing.
    #[must_use]
    pub fn boot_log(&self, host: &HostInfo) -> String {
        let text = fs::read_to_string(self.home(host).join("boot.log")).unwrap_or_default();
        text.trim().to_owned()
    }

    /// First process of a host; `None` when the host is off.
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

    /// The partitions in force, as pairs of names. The second name is [`EVERYONE`] or [`OPERATOR`]
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

    /// Adds or removes the note of a partition.
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

    /// Whether the lab's creator is known and gone.
    #[must_use]
    pub fn abandoned(&self) -> bool {
        matches!(self.cleaner, Cleaner::Owner(p) if !p.alive())
    }

    /// Writes lab.json.
    pub(crate) fn save(&self) -> Result<()> {
        let partial = self.state().join("lab.json.partial");
        files::write(&partial, serde_json::to_vec_pretty(self)?, 0o600)?;
        fs::rename(&partial, self.state().join("lab.json")).context("cannot write lab.json")
    }
}

/// In a pair: the host is cut off from every other host and from this machine.
pub const EVERYONE: &str = "everyone";
/// In a pair: this machine.
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

/// Locks the registry until the file is dropped.
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

/// Takes a free number (or `wanted`) and makes its directory. The lock must be held.
///
/// Numbers are given in turn, like process ids: whoever still asks after a removed lab does not
/// find another one.
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
/// There is no such lab, or it is being made at this moment.
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
