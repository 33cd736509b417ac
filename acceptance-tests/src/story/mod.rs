//! What the stories share: one lab with one Terraform directory, the configuration as data, and the
//! checks that must hold after a story.
//!
//! - [`Story`]: hosts, terraform, `apply` of a [`Config`], attributes of the state, journals, and
//!   whether a host is clean.
//! - [`blow`]: one fault at one point of a step.
//! - [`config`]: clusters and groups, rendered as HCL.
//! - [`login`]: the user that stories log in as; `OB_LAB_LOGIN=dba` runs all stories as an ordinary
//!   user.
//! - [`trail`]: the journals of all hosts, read back: which step began how often.
//! - [`turn`]: limits how many stories run at once to what the machine carries.
pub mod blow;
pub mod config;
pub mod login;
mod package;
pub mod trail;
pub mod turn;

pub use config::{Cluster, Config, Consent, Group};

use crate::host::Host;
use crate::options::Options;
use crate::run::Output;
use crate::sql::Login;
use crate::terraform::{Source, Terraform};
use crate::writer::Report;
use crate::{Lab, sql};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The time limit of each command of a story.
pub const LIMIT: Duration = Duration::from_secs(240);

/// One lab with one Terraform work directory. Dropping it removes everything.
#[derive(Debug)]
pub struct Story {
    /// The hosts.
    pub lab: Lab,
    /// Terraform in its directory.
    pub tf: Terraform,
    /// That directory.
    pub dir: tempfile::TempDir,
    began: Instant,
    _turn: turn::Turn,
}

impl Story {
    /// Waits for its turn, then makes a lab of `hosts` hosts.
    ///
    /// # Errors
    /// The lab cannot be made, or the provider is not built.
    pub fn new(hosts: usize) -> Result<Self> {
        Self::with(Options { hosts, ..Options::default() })
    }

    /// As [`Story::new`], with other options of the lab.
    ///
    /// # Errors
    /// As [`Story::new`].
    pub fn with(options: Options) -> Result<Self> {
        let turn = turn::take()?;
        let lab = Lab::with(options)?;
        lab.hosts().iter().try_for_each(login::admit)?;
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let tf = Terraform::new(dir.path(), Source::Override)?.limit(LIMIT);
        Ok(Self { lab, tf, dir, began: Instant::now(), _turn: turn })
    }

    /// A second Terraform directory on the same lab: another state, or none.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn other_state(&self, name: &str) -> Result<Terraform> {
        Ok(Terraform::new(&self.dir.path().join(name), Source::Override)?.limit(LIMIT))
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// The directory cannot be written, or the package cannot be fetched.
    pub fn write(&self, config: &Config) -> Result<()> {
        self.tf.write("main.tf", &config.render(&self.lab)?)
    }

    /// Writes the configuration and applies it.
    ///
    /// # Errors
    /// terraform failed; the message carries its output.
    pub fn apply(&self, config: &Config) -> Result<String> {
        self.write(config)?;
        self.tf.apply()
    }

    /// Writes the configuration and applies it; the apply must fail. Returns the error text.
    ///
    /// # Errors
    /// The apply succeeded.
    pub fn refused(&self, config: &Config) -> Result<String> {
        self.write(config)?;
        self.fails(&["apply", "-auto-approve", "-no-color"])
    }

    /// Runs a command that must fail. Returns its error text as one line of words, because
    /// Terraform breaks lines anywhere.
    ///
    /// # Errors
    /// The command succeeded.
    /// It worked.
    pub fn fails(&self, args: &[&str]) -> Result<String> {
        let out = self.tf.run(args)?;
        if out.status == 0 {
            bail!("terraform {} was to fail and did not: {}", args.join(" "), out.stdout);
        }
        Ok(words(&out))
    }

    /// Demands that a plan and a refresh find no changes.
    ///
    /// # Errors
    /// One of them does.
    pub fn settled(&self) -> Result<()> {
        self.tf.settled()?;
        let out = self.tf.run(&["plan", "-refresh-only", "-detailed-exitcode", "-no-color"])?;
        if out.status != 0 {
            bail!("a refresh finds changes: {}{}", out.stdout, out.stderr);
        }
        Ok(())
    }

    /// One attribute of a resource in the state.
    ///
    /// # Errors
    /// There is no such resource.
    pub fn attribute(&self, address: &str, name: &str) -> Result<Value> {
        let state = self.tf.state_json()?;
        let all =
            state["values"]["root_module"]["resources"].as_array().cloned().unwrap_or_default();
        let found = all
            .into_iter()
            .find(|r| r["address"] == address)
            .with_context(|| format!("{address} is not in the state"))?;
        Ok(found["values"][name].clone())
    }

    /// A consent to a failover of the group in the state.
    ///
    /// # Errors
    /// There is no group in the state.
    pub fn consent(&self, epoch: u64, to: &str) -> Result<Consent> {
        let creation = self.attribute("ob_standby.g", "creation")?;
        let creation = creation.as_str().context("the group has no creation")?.to_owned();
        Ok(Consent { epoch, to: to.to_owned(), creation })
    }

    /// Addresses of all resources in the state.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn addresses(&self) -> Result<Vec<String>> {
        let state = self.tf.state_json()?;
        Ok(state["values"]["root_module"]["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|r| r["address"].as_str().map(str::to_owned))
            .collect())
    }

    /// Addresses of the resources that the state has as tainted.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn tainted(&self) -> Result<Vec<String>> {
        let state = self.tf.state_json()?;
        let all =
            state["values"]["root_module"]["resources"].as_array().cloned().unwrap_or_default();
        Ok(all.iter().filter(|r| r["tainted"] == true).map(|r| r["address"].to_string()).collect())
    }

    /// The host at this index.
    #[must_use]
    pub fn host(&self, index: usize) -> Host {
        self.lab.host(index)
    }

    /// The login of root at the seekdb on a host.
    #[must_use]
    pub fn root(&self, index: usize) -> Login {
        Login {
            at: self.host(index).at(2881),
            user: "root".into(),
            password: Some(config::PASSWORD.into()),
        }
    }

    /// Whether the server on a host takes writes. Asks the one place that tells this in the
    /// server's family.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn writable(&self, index: usize) -> Result<bool> {
        let ask = |statement| sql::query(self.root(index), statement);
        let build = &ask("select @@version_comment")?[0][0];
        Ok(if build.contains("(r1.3.") {
            ask("select role from oceanbase.V$OB_SERVER_STAT")?[0][0] == "PRIMARY"
        } else {
            ask("select max(tx_blocked) from oceanbase.__all_virtual_ls_info")?[0][0] == "0"
        })
    }

    /// Demands that a host holds nothing of ours but gates and journals, and the paths that begin
    /// with an entry of `also`.
    ///
    /// # Errors
    /// The host holds more.
    pub fn clean(&self, index: usize, also: &[&str]) -> Result<()> {
        let host = self.host(index);
        let line = "pgrep -a seekdb; find /data /root/.ob /home/*/.ob -mindepth 1 ! -type d \
                    2>/dev/null; find /data -mindepth 1 -type d 2>/dev/null; \
                    find /root/.ob /home/*/.ob -mindepth 1 -maxdepth 1 -type d 2>/dev/null; :";
        let found = host.exec(line)?.ok()?;
        let kept = |line: &str| {
            let gate = line
                .split_once("/.ob/objects/")
                .and_then(|(home, rest)| {
                    (home == "/root" || home.starts_with("/home/")).then_some(rest)?.split_once('/')
                })
                .is_some_and(|(_, file)| {
                    file.starts_with("journal/")
                        || ["gate", "gate.lock", "lock", "lock.pid", "gone"].contains(&file)
                });
            gate || line.ends_with("/.ob/objects")
                || line.ends_with("/.ob/machine")
                || line.ends_with("/.ob/lock")
                || also.iter().any(|a| line.starts_with(a) || a.starts_with(line))
        };
        let left: Vec<&str> = found.lines().filter(|l| !kept(l)).collect();
        if left.is_empty() {
            Ok(())
        } else {
            bail!("host {} is not clean: {}", host.name(), left.join(" | "))
        }
    }

    /// Prints a line with the time since the story began. The line is visible also when the test
    /// passes.
    pub fn say(&self, line: &str) {
        say(&format!("[{:6.1} s] {line}", self.began.elapsed().as_secs_f64()));
    }
}

/// Prints a line that is visible also when the test passes.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The output of terraform as one line of words, without the frame that it draws.
#[must_use]
pub fn words(out: &Output) -> String {
    let text = format!("{} {}", out.stdout, out.stderr);
    text.split_whitespace().filter(|w| !matches!(*w, "│" | "╷" | "╵")).collect::<Vec<_>>().join(" ")
}

/// Demands what must hold after every planned change under the writer: no acknowledged row is lost,
/// and there were never two writable members.
///
/// # Errors
/// One of the two does not hold.
pub fn nothing_lost(report: &Report) -> Result<()> {
    if !report.lost.is_empty() {
        bail!(
            "{} of {} acknowledged rows are lost, the first {:?}",
            report.lost.len(),
            report.acknowledged,
            &report.lost[..report.lost.len().min(3)]
        );
    }
    if !report.two_writable.is_empty() {
        bail!("two members took writes at {:?}", report.two_writable);
    }
    Ok(())
}
