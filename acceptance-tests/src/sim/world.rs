//! A lab with stand-ins. Snapshots on the hosts' own disks keep the states in which operations
//! begin, so that they can be restored within a moment.
use super::config::{self, Packages};
use super::core::{Core, States};
use super::link::{Links, Way};
use super::operation::{Operation, Start};
use super::received::{self, Received};
use super::strike::{At, operations};
use super::{Bug, digest, runbook};
use crate::options::Options;
use crate::story::Config;
use crate::{Lab, process, sql};
use anyhow::{Context, Result, bail};
use ob::cli::steps::Line;
use ob::engine::journal::Event;
use ob::provider::dispatch::Provider;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The time limit of each command and each wait.
pub const LIMIT: Duration = Duration::from_secs(100);

/// Removes everything of ours: processes, data, notes, the start at boot. A killed server holds its
/// port until it has ended, which takes a while under load.
const WIPE: &str = "kill -9 -1; while pgrep -x seekdb >/dev/null; do sleep 0.02; done; cd /; \
                    rm -rf /data /root/.ob /var/spool/cron/crontabs/root \
                    /var/log/sim-seekdb.ledger /etc/sim-seekdb.lies";

/// How operations end and which steps they have when nothing interrupts them. All worlds are alike
/// and share this.
pub type Runs = Mutex<BTreeMap<Operation, Run>>;

/// One operation that nothing interrupted.
#[derive(Clone, Debug)]
pub struct Run {
    /// The operation's steps that had effects, in order.
    pub steps: Vec<At>,
    /// The end state.
    pub end: Vec<String>,
}

/// A lab of three hosts in which operations run one after the other.
pub struct World {
    /// The hosts.
    pub lab: Lab,
    /// What Terraform keeps.
    pub states: Arc<Mutex<States>>,
    packages: Arc<Packages>,
    kept: BTreeMap<Start, States>,
    runs: Arc<Runs>,
    received: Arc<Mutex<Vec<Received>>>,
    prefix: String,
    /// The bug that is planted from now on.
    pub bug: Option<Bug>,
    /// How often, at most, the same command is run again.
    pub tries: usize,
    /// Time limit of a command.
    pub patience: Duration,
    /// Each step is applied twice ([`super::contract`]); then a statement that ran twice is no
    /// error.
    pub twice: bool,
    _dir: tempfile::TempDir,
}

/// A command under way, with a provider that can be killed.
pub struct Attempt<T> {
    /// The provider's links.
    pub links: Arc<Links>,
    runtime: tokio::runtime::Runtime,
    answer: Receiver<Result<T>>,
    ended: Option<Result<T>>,
    patience: Duration,
}

impl<T> Attempt<T> {
    /// Whether the command has ended.
    pub fn ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.answer.try_recv().ok();
        }
        self.ended.is_some()
    }

    /// Waits for the end of the command.
    ///
    /// # Errors
    /// The command failed, or did not end in time.
    pub fn wait(mut self) -> Result<T> {
        let ended = match self.ended.take() {
            Some(ended) => ended,
            None => self
                .answer
                .recv_timeout(self.patience)
                .unwrap_or_else(|_| Err(anyhow::anyhow!("the command does not end"))),
        };
        self.runtime.shutdown_background();
        ended
    }

    /// Kills the provider: nothing of it runs any more, and its connections are closed.
    pub fn kill(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

impl World {
    /// Makes the lab. `name` is the first part of its hosts' names; no other lab of this process
    /// may have it.
    ///
    /// # Errors
    /// The lab cannot be made, or the stand-in is not built.
    pub fn new(name: &str, runs: Arc<Runs>) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let packages = Arc::new(config::packages(dir.path())?);
        let lab = Lab::with(Options { hosts: 3, prefix: name.into(), ..Options::default() })?;
        Ok(Self {
            lab,
            states: Arc::default(),
            packages,
            kept: BTreeMap::new(),
            runs,
            received: Arc::default(),
            prefix: name.into(),
            bug: None,
            tries: 3,
            patience: LIMIT,
            twice: false,
            _dir: dir,
        })
    }

    /// Starts a command with a fresh provider.
    ///
    /// # Errors
    /// The runtime cannot be started.
    pub fn start<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        work: impl FnOnce(Core) -> F,
    ) -> Result<Attempt<T>> {
        self.start_on(self.states.clone(), work)
    }

    /// As [`World::start`], with other states: another copy of the state file.
    ///
    /// # Errors
    /// As [`World::start`].
    pub fn start_on<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        states: Arc<Mutex<States>>,
        work: impl FnOnce(Core) -> F,
    ) -> Result<Attempt<T>> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let links = Links::new(self.lab.hosts(), self.bug, self.received.clone());
        let way = links.clone();
        let registry = ob::provider::registry(Arc::new(move |_, _| Arc::new(Way(way.clone()))));
        let provider = Provider::new(registry, |_| None);
        let core = Core::new(provider, states, self.packages.clone(), &self.lab);
        let (sender, answer) = channel();
        let work = work(core);
        runtime.spawn(async move {
            let _ = sender.send(work.await);
        });
        Ok(Attempt { links, runtime, answer, ended: None, patience: self.patience })
    }

    /// Runs `apply` (or `destroy`) to its end.
    ///
    /// # Errors
    /// It failed.
    pub fn apply(&self, config: Option<Config>) -> Result<()> {
        self.start(|core| core.apply(config))?.wait()
    }

    /// What a plan would change.
    ///
    /// # Errors
    /// It failed.
    pub fn differences(&self, config: Config) -> Result<Vec<String>> {
        self.start(|core| core.differences(config))?.wait()
    }

    /// Runs a script on every host at once; all hosts must be on.
    fn everywhere(&self, script: &str) -> Result<()> {
        let run = |host: crate::Host| {
            host.exec(script).and_then(crate::run::Output::ok).with_context(|| {
                let state = if host.is_on() { "on" } else { "off" };
                format!("on {}, which is {state}; its init said: {}", host.name(), host.boot_log())
            })
        };
        std::thread::scope(|s| {
            let all: Vec<_> =
                self.lab.hosts().into_iter().map(|h| s.spawn(move || run(h))).collect();
            all.into_iter().try_for_each(|t| {
                t.join().unwrap_or_else(|_| bail!("a thread broke down")).map(drop)
            })
        })
    }

    /// Brings the lab to the state in which `operation` begins.
    ///
    /// # Errors
    /// That state cannot be made.
    pub fn prepare(&mut self, operation: Operation) -> Result<()> {
        let bug = self.bug.take();
        let done = self.restore(operation.row().start);
        self.bug = bug;
        done?;
        if let Some(lie) = bug.and_then(Bug::lie) {
            self.everywhere(&format!("echo {lie} > /etc/sim-seekdb.lies"))?;
        }
        if operation.row().without_primary {
            self.lab.host(0).kill()?;
        }
        Ok(())
    }

    fn restore(&mut self, start: Start) -> Result<()> {
        self.lab.hosts().iter().try_for_each(crate::Host::boot)?;
        if let Some(states) = self.kept.get(&start) {
            let states = states.clone();
            self.everywhere(&format!("{WIPE}; cp -a /snap/{start:?}/root/. /"))?;
            // The servers start only after all hosts are restored: a server must not meet one of
            // the former state, nor its port.
            self.everywhere(&format!(
                "for b in $(cat /snap/{start:?}/running); do n=0; until {{ [ -x $b/.ob/start ] && \
                 $b/.ob/start || $b/start; }} </dev/null >/tmp/start.log 2>&1; do n=$((n + 1)); \
                 [ $n -lt 25 ] || {{ cat /tmp/start.log >&2; exit 1; }}; sleep 0.2; done; done"
            ))?;
            *self.states() = states;
        } else {
            self.make(start)?;
            self.everywhere(&format!(
                "s=/snap/{start:?}; rm -rf $s; mkdir -p $s/root/root $s/root/var/spool/cron && \
                 for d in /data /root/.ob /var/spool/cron/crontabs; do [ ! -e $d ] || \
                 cp -a $d $s/root/$(dirname $d)/ || exit 1; done; for p in $(pgrep -x seekdb); \
                 do readlink /proc/$p/cwd; done > $s/running; rm -f /var/log/sim-seekdb.ledger"
            ))?;
            let states = self.states().clone();
            self.kept.insert(start, states);
        }
        self.serving(start)
    }

    /// Makes a start state for the first time, from the one that precedes it.
    fn make(&mut self, start: Start) -> Result<()> {
        let before = match start {
            Start::Nothing | Start::Foreign => {
                self.everywhere(&format!("{WIPE}; :"))?;
                *self.states() = States::default();
                return if start == Start::Foreign { self.foreign() } else { Ok(()) };
            }
            Start::Single => Start::Nothing,
            Start::Two => Start::Single,
            Start::Pair => Start::Two,
            Start::Switched | Start::Trio | Start::Failed => Start::Pair,
        };
        self.restore(before)?;
        if start == Start::Failed {
            self.lab.host(0).kill()?;
        }
        self.apply(Some(start.config())).with_context(|| format!("cannot make {start:?}"))?;
        self.lab.host(0).boot()
    }

    /// Starts a server by hand and imports it.
    fn foreign(&self) -> Result<()> {
        let path = self.packages[config::VERSIONS[0]]["sources"]
            .as_object()
            .and_then(|s| s.values().next()?.as_str().map(str::to_owned))
            .context("no archive")?;
        let host = self.lab.host(0);
        let archive = std::fs::read(path)?;
        let line = "mkdir -p /data/a /root/by-hand && tar xzf - -C /root/by-hand && \
             printf '#!/bin/sh\\ncd /data/a && exec /root/by-hand/seekdb --port 2881 \
             --base-dir /data/a --parameter datafile_size=256M --parameter log_disk_size=2G \
             --parameter memory_limit=2G --parameter enable_rpc_service=True \
             --parameter rpc_port=2882 </dev/null >/dev/null 2>&1\\n' > /data/a/start && \
             chmod 755 /data/a/start && /data/a/start";
        host.exec_for(line, &archive, LIMIT)?.ok()?;
        sql::wait(host.at(2881), LIMIT)?;
        let id = format!("ssh://{}:22/data/a", host.address());
        self.start(|core| core.import("ob_cluster.a", id))?.wait()
    }

    /// Waits until the servers of a start state answer and follow.
    fn serving(&self, start: Start) -> Result<()> {
        let servers: &[usize] = match start {
            Start::Nothing => &[],
            Start::Foreign | Start::Single | Start::Two => &[0],
            Start::Pair | Start::Switched => &[0, 1],
            Start::Trio => &[0, 1, 2],
            Start::Failed => &[1],
        };
        let ends = || -> Result<Vec<String>> {
            servers
                .iter()
                .map(|i| {
                    digest::ask(
                        &self.lab.host(*i),
                        "select max(END_SCN) from oceanbase.V$OB_LOG_STAT",
                    )
                })
                .collect()
        };
        let equal = || ends().is_ok_and(|all| all.windows(2).all(|w| w[0] == w[1]));
        if process::until(LIMIT, equal) {
            return Ok(());
        }
        let logs = |i: &usize| {
            self.lab
                .host(*i)
                .exec("tail -n 3 /data/*/log/seekdb.log")
                .map_or_else(|e| format!("{e:#}"), |out| out.stdout)
        };
        bail!(
            "the servers of {start:?} do not serve: {:?}\n{}",
            ends(),
            servers.iter().map(logs).collect::<String>()
        )
    }

    /// The states.
    pub fn states(&self) -> std::sync::MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an operation without interruption, once; later calls return the same result.
    ///
    /// # Errors
    /// The operation fails without any fault.
    pub fn run(&mut self, operation: Operation) -> Result<Run> {
        if let Some(run) = self.runs().get(&operation) {
            return Ok(run.clone());
        }
        let bug = self.bug.take();
        let run = self
            .uninterrupted(operation)
            .with_context(|| format!("{operation:?} without any fault"));
        self.bug = bug;
        let run = run?;
        self.runs().insert(operation, run.clone());
        Ok(run)
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, BTreeMap<Operation, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn network(&self) -> String {
        format!("10.99.{}.", self.lab.info().id)
    }

    /// A text in the form that is the same in all labs, which differ in their network and in the
    /// first part of their hosts' names.
    fn neutral(&self, text: &str) -> String {
        text.replace(&self.prefix, "#").replace(&self.network(), "10.99.#.")
    }

    /// The text of this lab for a text in the common form.
    pub(super) fn local(&self, text: &str) -> String {
        text.replace("10.99.#.", &self.network()).replace('#', &self.prefix)
    }

    /// The statements that changed something on any server.
    fn ledger(&self) -> Result<Vec<String>> {
        let text: String = self
            .lab
            .hosts()
            .iter()
            .map(|h| {
                std::fs::read_to_string(h.path("/var/log/sim-seekdb.ledger")).unwrap_or_default()
            })
            .collect();
        Ok(text.lines().map(|l| l.split_once(' ').map_or(l, |l| l.1).to_owned()).collect())
    }

    fn received(&self) -> std::sync::MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uninterrupted(&mut self, operation: Operation) -> Result<Run> {
        self.prepare(operation)?;
        let before = operations(&self.trail()?);
        self.states().runbooks.clear();
        self.received().clear();

        self.apply(operation.row().asks)?;
        let mut steps = Vec::new();
        let ran: Vec<_> = self
            .trail()?
            .into_iter()
            .map(|(host, line)| (host, line.entry))
            .filter(|(_, e)| !before.contains(&e.op))
            .collect();
        runbook::compare(&self.states().runbooks, &ran, &self.ledger()?)?;
        let begun = |l: &Line| {
            ran.iter()
                .any(|(h, e)| *h == l.host && e.title == l.title && matches!(e.event, Event::Begin))
        };
        received::compare(&self.states().runbooks, &self.received(), begun)?;
        for (host, line) in self.trail()? {
            let at = At { host, kind: line.entry.kind, title: line.entry.title }
                .map(|text| self.neutral(text));
            if line.entry.event == Event::Begin
                && !before.contains(&line.entry.op)
                && !steps.contains(&at)
            {
                steps.push(at);
            }
        }
        Ok(Run { steps, end: digest::of(&self.lab)? })
    }
}
