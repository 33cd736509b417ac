//! A lab, from the moment it is made to its removal.
use crate::host::Host;
use crate::options::Options;
use crate::registry::{self, Cleaner, HostInfo, Info, Kind};
use crate::{files, keys, netns, plain, process};
use anyhow::{Context, Result, bail};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Hosts on one network. A lab made by [`Lab::up`] is removed when it is dropped, and also when
/// this process dies.
#[derive(Debug)]
pub struct Lab {
    info: Arc<Info>,
    watcher: Option<Child>,
}

impl Lab {
    /// Makes a lab of `hosts` hosts and boots them.
    ///
    /// # Errors
    /// A program is missing (`acceptance-tests/setup.sh` installs all), or a host did not boot;
    /// then nothing stays behind.
    pub fn up(hosts: usize) -> Result<Self> {
        Self::with(Options { hosts, ..Options::default() })
    }

    /// Makes a lab that is removed when it is dropped or when this process dies.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn with(mut options: Options) -> Result<Self> {
        options.owner = Some(process::Process::current().pid);
        let info = create(&options)?;
        let id = info.id;
        let mut lab = Self { info: Arc::new(info), watcher: Some(watcher(id)?) };
        lab.boot_all().inspect_err(|_| lab.drop_now())?;
        Ok(lab)
    }

    /// Makes a lab that stays until `down`, or until [`Options::owner`] is gone and `gc` runs.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn lasting(options: &Options) -> Result<Self> {
        let lab = Self { info: Arc::new(create(options)?), watcher: None };
        lab.boot_all().inspect_err(|_| drop(lab.down()))?;
        Ok(lab)
    }

    /// A handle on an existing lab; dropping it leaves the lab alone.
    ///
    /// # Errors
    /// There is no such lab.
    pub fn open(id: u8) -> Result<Self> {
        Ok(Self { info: Arc::new(registry::load(id)?), watcher: None })
    }

    /// The data about the lab that others need.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The host at this index, from 0.
    ///
    /// # Panics
    /// There are fewer hosts.
    #[must_use]
    pub fn host(&self, index: usize) -> Host {
        Host::new(self.info.clone(), self.info.hosts[index].clone())
    }

    /// All hosts in order.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        (0..self.info.hosts.len()).map(|i| self.host(i)).collect()
    }

    /// The host of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(&self, name: &str) -> Result<Host> {
        Ok(Host::new(self.info.clone(), self.info.host(name)?.clone()))
    }

    /// Ends every partition.
    ///
    /// # Errors
    /// The network refused a change.
    pub fn heal(&self) -> Result<()> {
        self.hosts().iter().try_for_each(Host::heal)
    }

    /// The things that this kind of lab cannot test.
    #[must_use]
    pub fn limits(&self) -> &'static [&'static str] {
        match self.info.kind {
            Kind::Netns => netns::LIMITS,
            Kind::Plain => plain::LIMITS,
        }
    }

    /// Removes the lab and everything it made. Anyone may call this, also repeatedly.
    ///
    /// # Errors
    /// Something could not be removed; everything else is.
    pub fn down(&self) -> Result<()> {
        down(&self.info)
    }

    fn boot_all(&self) -> Result<()> {
        let hosts: Vec<&HostInfo> = self.info.hosts.iter().collect();
        match self.info.kind {
            Kind::Netns => netns::boot(&self.info, &hosts),
            Kind::Plain => hosts.iter().try_for_each(|h| plain::boot(&self.info, h)),
        }
    }

    /// When a test fails: copies the databases of all hosts into the directory that `OB_LAB_KEEP`
    /// names.
    fn keep(&self) {
        let Some(dir) = std::env::var_os("OB_LAB_KEEP").filter(|_| std::thread::panicking()) else {
            return;
        };
        for host in self.hosts() {
            let to = PathBuf::from(&dir).join(format!("lab{}", self.info.id)).join(host.name());
            let done = std::fs::create_dir_all(&to).and_then(|()| {
                Command::new("cp")
                    .args(["-a", "--sparse=always"])
                    .arg(host.path("/data"))
                    .arg(&to)
                    .status()
            });
            eprintln!(
                "lab {}: /data of {} is kept in {}: {done:?}",
                self.info.id,
                host.name(),
                to.display()
            );
        }
    }

    fn drop_now(&mut self) {
        if let Some(mut child) = self.watcher.take() {
            if let Err(e) = down(&self.info) {
                eprintln!("lab {}: {e:#}", self.info.id);
            }
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.keep();
        self.drop_now();
    }
}

/// Removes every lab whose creator is gone; returns their numbers.
///
/// # Errors
/// A lab could not be removed.
pub fn gc() -> Result<Vec<u8>> {
    let mut gone = Vec::new();
    for id in registry::numbers(&registry::base()) {
        let held = registry::lock()?;
        match registry::load(id) {
            Ok(info) if info.abandoned() => {
                drop(held);
                down(&info)?;
                gone.push(id);
            }
            Ok(_) => {}
            // A number is claimed and its lab.json written under one lock, so a directory without
            // lab.json is a leftover.
            Err(_) => {
                netns::sweep(id)?;
                let _ = std::fs::remove_dir_all(registry::base().join(id.to_string()));
                gone.push(id);
            }
        }
    }
    Ok(gone)
}

/// Waits until standard input ends, then removes the lab. Runs in a process of its own, so that a
/// [`Lab`] leaves nothing even when its own process dies.
///
/// # Errors
/// As [`Lab::down`].
pub fn watch(id: u8) -> Result<()> {
    // Leads its own session, so that Ctrl-C and the end of the creator's terminal do not reach it.
    let _ = rustix::process::setsid();
    let mine = registry::load(id);
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    mine.map_or(Ok(()), |info| down(&info))
}

/// Removes this lab, but never another one that got its number since: several processes may remove
/// a lab whose owner has died.
fn down(info: &Info) -> Result<()> {
    let _held = registry::lock()?;
    if registry::load(info.id).is_ok_and(|now| now != *info) {
        return Ok(());
    }
    match info.kind {
        Kind::Netns => netns::down(info),
        Kind::Plain => plain::down(info),
    }
}

/// Registers a lab and makes its keys and disks; nothing runs yet.
fn create(options: &Options) -> Result<Info> {
    if options.hosts == 0 || options.hosts > 250 {
        bail!("a lab has 1 to 250 hosts, not {}", options.hosts);
    }
    let root = rustix::process::getuid().is_root();
    let systemd = options.systemd || std::env::var_os("OB_LAB_SYSTEMD").is_some();
    if systemd && !root {
        bail!("hosts with systemd need root");
    }
    let kind = if root { Kind::Netns } else { Kind::Plain };
    let _ = gc();
    let held = registry::lock()?;
    let id =
        registry::claim(options.id, &held, |id| kind == Kind::Netns && netns::network_in_use(id))?;
    let dir = options.dir.clone().unwrap_or_else(|| {
        PathBuf::from(format!("/tmp/ob-lab-{id}{}", if root { "" } else { "-plain" }))
    });
    let prefix = if options.prefix.is_empty() { "h" } else { &options.prefix };
    let (net, port) = match kind {
        Kind::Netns => ([10, 99], 22),
        Kind::Plain => ([127, 99], 2222),
    };
    let address = |n: usize| Ipv4Addr::new(net[0], net[1], id, u8::try_from(n).unwrap_or(u8::MAX));
    let owner = options
        .owner
        .map(|pid| {
            process::Process::of(pid)
                .with_context(|| format!("there is no process {pid} to own the lab"))
        })
        .transpose();
    let claimed = registry::base().join(id.to_string());
    let info = Info {
        id,
        kind,
        gateway: if kind == Kind::Netns { address(254) } else { Ipv4Addr::LOCALHOST },
        users: if kind == Kind::Netns {
            vec!["root".into(), "admin".into()]
        } else {
            vec![plain::user()]
        },
        key: dir.join("id_ed25519"),
        known_hosts: dir.join("known_hosts"),
        hosts: (1..=options.hosts)
            .map(|n| HostInfo { name: format!("{prefix}{n}"), address: address(n), port })
            .collect(),
        disk: options.disk,
        tmpfs: kind == Kind::Netns && (!options.on_disk || netns::disk::needs_tmpfs(&dir)),
        systemd,
        cleaner: match owner {
            Ok(Some(p)) => Cleaner::Owner(p),
            Ok(None) => Cleaner::None,
            Err(e) => {
                let _ = std::fs::remove_dir_all(claimed);
                return Err(e);
            }
        },
        dir,
    };
    let written = if info.dir.exists() {
        Err(anyhow::anyhow!(
            "{} exists; remove it or choose another directory with --dir",
            info.dir.display()
        ))
    } else {
        info.save()
    };
    if let Err(e) = written {
        let _ = std::fs::remove_dir_all(claimed);
        return Err(e);
    }
    drop(held);
    let made = files::dir(&info.dir, 0o755).and_then(|()| match kind {
        Kind::Netns => netns::prepare(&info, options.host_keys),
        Kind::Plain => keys::make(&info, options.host_keys).and_then(|()| plain::prepare(&info)),
    });
    if let Err(e) = made {
        let _ = down(&info);
        return Err(e);
    }
    Ok(info)
}

/// Starts the process that removes the lab when this one dies.
fn watcher(id: u8) -> Result<Child> {
    let tool = tool()?;
    Command::new(&tool)
        .args(["__watch", &id.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", tool.display()))
}

/// The path of the `ob-lab` program: `OB_LAB_BIN`, this program, or the one that cargo built beside
/// this test.
pub(crate) fn tool() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("OB_LAB_BIN") {
        return Ok(path.into());
    }
    let me = std::env::current_exe().context("cannot tell what program this is")?;
    if me.file_name().is_some_and(|n| n == "ob-lab") {
        return Ok(me);
    }
    let near = me.ancestors().skip(1).take(3).map(|d| d.join("ob-lab")).find(|p| p.is_file());
    near.context(
        "ob-lab is not built; run `cargo build -p acceptance-tests --bin ob-lab` or set OB_LAB_BIN",
    )
}

/// How long a host may take to boot: a busy machine boots many at once.
pub(crate) const BOOT: Duration = Duration::from_secs(60);
