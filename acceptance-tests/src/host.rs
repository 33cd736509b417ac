//! One host and what can be done to it.
use crate::registry::{EVERYONE, HostInfo, Info, Kind, OPERATOR};
use crate::run::{Output, run};
use crate::{netns, plain};
use anyhow::{Result, bail};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// One host of a lab. It is cheap to clone and holds no state of its own.
#[derive(Clone, Debug)]
pub struct Host {
    lab: Arc<Info>,
    info: HostInfo,
}

impl Host {
    pub(crate) fn new(lab: Arc<Info>, info: HostInfo) -> Self {
        Self { lab, info }
    }

    /// The host's name, which is also its hostname.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.info.address
    }

    /// Port of the host's sshd.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.info.port
    }

    /// A port of the host as a socket address.
    #[must_use]
    pub fn at(&self, port: u16) -> SocketAddr {
        (self.info.address, port).into()
    }

    /// Whether the host is on (a frozen host counts as on).
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.lab.init_of(&self.info).is_some()
    }

    /// What the host's first process said; empty if it said nothing.
    #[must_use]
    pub fn boot_log(&self) -> String {
        self.lab.boot_log(&self.info)
    }

    /// Cuts the host's power: every process dies at once, nothing is sent to anybody, the disk
    /// stays. Does nothing when the host is off.
    ///
    /// # Errors
    /// A process did not die.
    pub fn kill(&self) -> Result<()> {
        match self.lab.kind {
            Kind::Netns => netns::kill(&self.lab, &[&self.info]),
            Kind::Plain => plain::kill(&self.lab, &self.info),
        }
    }

    /// Switches the host on, with the disk it has. Does nothing when the host is on.
    ///
    /// # Errors
    /// The host's sshd did not start in time; the message has the boot log.
    pub fn boot(&self) -> Result<()> {
        match self.lab.kind {
            Kind::Netns => netns::boot(&self.lab, &[&self.info]),
            Kind::Plain => plain::boot(&self.lab, &self.info),
        }
    }

    /// Stops every process of the host where it is. TCP connects still succeed, but nothing
    /// answers.
    ///
    /// # Errors
    /// The host is off, or did not stop.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true)
    }

    /// Lets a frozen host go on.
    ///
    /// # Errors
    /// The host is off.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        if !self.is_on() {
            bail!("host {} is off", self.name());
        }
        match self.lab.kind {
            Kind::Netns => netns::freezer::set(&self.lab, &self.info, frozen),
            Kind::Plain => plain::freeze(&self.lab, &self.info, frozen),
        }
    }

    /// Cuts the host off from every other host and from this machine, silently (no reset, no loss
    /// of carrier).
    ///
    /// # Errors
    /// The network refused the change, or this kind of lab has no network of its own.
    pub fn cut(&self) -> Result<()> {
        netns::net::cut(&self.lab, &self.info, EVERYONE)
    }

    /// Cuts the link between two hosts, silently and in both directions.
    ///
    /// # Errors
    /// As [`Host::cut`].
    pub fn cut_from(&self, other: &Host) -> Result<()> {
        netns::net::cut(&self.lab, &self.info, other.name())
    }

    /// Cuts the link between the host and this machine, silently and in both directions; the hosts
    /// still reach each other.
    ///
    /// # Errors
    /// As [`Host::cut`].
    pub fn cut_from_operator(&self) -> Result<()> {
        netns::net::cut(&self.lab, &self.info, OPERATOR)
    }

    /// Ends every partition that the host is part of.
    ///
    /// # Errors
    /// As [`Host::cut`].
    pub fn heal(&self) -> Result<()> {
        netns::net::heal(&self.lab, &self.info)
    }

    /// The host's network namespace, for programs of this machine that shall act from the host's
    /// address. Each boot makes a new one.
    ///
    /// # Errors
    /// This kind of lab has no network of its own.
    pub fn netns(&self) -> Result<PathBuf> {
        netns::needs_netns(&self.lab, "lend its network")?;
        Ok(PathBuf::from("/run/netns").join(netns::net::netns(&self.lab, &self.info)))
    }

    /// Runs a shell command line in the host as root, without sshd. Waits one minute at most.
    ///
    /// # Errors
    /// The host is off, or the command did not end. An exit status other than 0 is no error: see
    /// [`Output::ok`].
    pub fn exec(&self, line: &str) -> Result<Output> {
        self.exec_for(line, b"", Duration::from_secs(60))
    }

    /// As [`Host::exec`], with standard input and a deadline.
    ///
    /// # Errors
    /// As [`Host::exec`].
    pub fn exec_for(&self, line: &str, input: &[u8], limit: Duration) -> Result<Output> {
        run(&mut self.command(&["/bin/sh", "-c", line])?, input, limit)
    }

    /// A program in the host as root, for the caller to run.
    ///
    /// # Errors
    /// The host is off.
    pub fn command(&self, words: &[&str]) -> Result<Command> {
        match self.lab.kind {
            Kind::Netns => netns::command(&self.lab, &self.info, words),
            Kind::Plain => Ok(plain::command(&self.lab, &self.info, words)),
        }
    }

    /// The system's ssh client, ready to log in as `user` and to run `line`.
    #[must_use]
    pub fn ssh(&self, user: &str, line: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "ConnectTimeout=5",
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", self.lab.known_hosts.display()))
        .arg("-i")
        .arg(&self.lab.key)
        .args([
            "-p",
            &self.port().to_string(),
            &format!("{user}@{}", self.address()),
            line,
        ]);
        ssh
    }

    /// The path on this machine of an absolute path of the host: the live file system while the
    /// host is on, and otherwise what the host wrote to its disk.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        match self.lab.kind {
            Kind::Netns => netns::path(&self.lab, &self.info, path),
            Kind::Plain => plain::path(&self.lab, &self.info, path),
        }
    }
}
