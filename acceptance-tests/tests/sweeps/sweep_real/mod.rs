//! The crash sweep on real hosts: whatever is killed at whatever point of whatever step, the same
//! command finishes the job. Each time the sweep checks the end state, an empty plan, that nothing
//! is tainted, that no acknowledged row is lost, that there were never two writable members, and
//! that no effect was done twice.
//!
//! The default points are committed in `real.points`. `OB_EXPLORE_MINUTES` chooses others by
//! `OB_SEED`. `OB_SWEEP_ONLY=operation:kind:place:blow,…` takes those. `OB_TEST_ALL=1` takes every
//! step of every operation at each of its five places, with blows in turn (`OB_SWEEP_BLOWS=all`:
//! each blow at each place); with `OB_SWEEP_PART=K/N` only one of N parts.
mod points;
mod twice;

use anyhow::Context;
use lab::may_make_hosts;
use lab::scope::{Scope, scope, seed};
use lab::story::blow::{Blow, Strike, Struck, strike};
use lab::story::{Config, Story, login, trail};
use lab::writer::{self, Writer};
use ob::engine::journal::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const APPLY: &[&str] = &["apply", "-auto-approve", "-no-color"];
const DESTROY: &[&str] = &["destroy", "-auto-approve", "-no-color"];
const SOON: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Create,
    Restart,
    Destroy,
    Build,
    Switchover,
    Failover,
    Rejoin,
    Disband,
}
use Operation::{Build, Create, Destroy, Disband, Failover, Rejoin, Restart, Switchover};

/// The operations, in an order in which each ends where the next begins, with the kinds of their
/// steps that act in every run. (In a pair that was switched over before, the old primary already
/// points at the other member.)
const OPERATIONS: [(Operation, &[&str]); 8] = [
    (
        Create,
        &[
            "claim",
            "place_package",
            "use_package",
            "start_server",
            "write_account",
            "create_account",
            "keep_root_password",
            "set_root_password",
            "set_boot",
            "set_stage",
        ],
    ),
    (Restart, &["begin_restart", "stop_server", "use_package", "start_server", "end_restart"]),
    (
        Destroy,
        &["set_stage", "set_boot", "stop_server", "remove_store", "prune_packages", "remove_home"],
    ),
    (
        Build,
        &[
            "write_group",
            "set_boot",
            "copy_account",
            "begin_store",
            "freeze_log",
            "start_server",
            "end_store",
        ],
    ),
    (
        Switchover,
        &[
            "note_fence",
            "fence",
            "write_group",
            "promote",
            "stop_server",
            "start_server",
            "end_fence",
        ],
    ),
    (Failover, &["write_group", "note_loss", "activate"]),
    (
        Rejoin,
        &["set_aside", "write_group", "begin_store", "freeze_log", "start_server", "end_store"],
    ),
    (
        Disband,
        &[
            "stop_server",
            "set_aside",
            "leave_group",
            "set_boot",
            "set_stage",
            "remove_store",
            "remove_home",
        ],
    ),
];

/// What exists in the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
enum World {
    Nothing,
    Single,
    Two,
    Pair,
    Failed,
    Unknown,
}

struct Sweep {
    s: Story,
    world: World,
    config: Config,
}

impl Sweep {
    fn new() -> Self {
        let mut s = Story::new(2).unwrap();
        s.tf = s.tf.clone().env("OB_FAULT_TTL", "12");
        Self { s, world: World::Nothing, config: Config::single() }
    }

    /// Removes everything without the product's help; the packages' cache stays.
    fn wipe(&mut self) {
        let (user, ob) = (login::user(), login::own(""));
        for host in self.s.lab.hosts() {
            host.boot().unwrap();
            host.heal().unwrap();
            host.exec(&format!(
                "{}; crontab -r -u {user} 2>/dev/null; \
                 rm -rf /data/* {ob}/objects {ob}/packages {ob}/fault*; :",
                lab::seekdb::END
            ))
            .unwrap()
            .ok()
            .unwrap();
        }
        for file in
            ["terraform.tfstate", "terraform.tfstate.backup", ".terraform.tfstate.lock.info"]
        {
            let _ = std::fs::remove_file(self.s.tf.work().join(file));
        }
        self.world = World::Nothing;
    }

    /// Brings the lab to where `operation` begins, and returns the configuration that asks for it.
    fn prepare(&mut self, operation: Operation) -> Config {
        let (want, base) = match operation {
            Create => (World::Nothing, Config::single()),
            Restart | Destroy => (World::Single, Config::single()),
            Build => (World::Two, Config { group: None, ..Config::pair() }),
            Switchover | Failover | Disband => (World::Pair, Config::pair()),
            Rejoin => (World::Failed, Config::pair()),
        };
        if self.world != want {
            if want == World::Failed {
                let next = self.prepare(Failover);
                self.s.apply(&next).unwrap();
                self.config = next;
                self.world = World::Failed;
            } else {
                self.wipe();
                self.config = Config { protect: false, ..base };
                if want != World::Nothing {
                    self.s.apply(&self.config).unwrap();
                }
                self.world = want;
            }
        }
        let mut next = self.config.clone();
        next.protect = false;
        match operation {
            Create => next = Config { protect: false, ..Config::single() },
            Restart => {
                let now = next.clusters["a"].parameters.get("stack_size").cloned();
                next = next.parameter(
                    "a",
                    "stack_size",
                    if now.as_deref() == Some("1M") { "2M" } else { "1M" },
                );
            }
            Destroy | Disband | Rejoin => {}
            Build => next.group = Config::pair().group,
            Switchover => {
                let to = self.other();
                next = next.primary(&to);
            }
            Failover => {
                let (dead, to) = (usize::from(self.primary() == "b"), self.other());
                let epoch = self.s.attribute("ob_standby.g", "epoch").unwrap().as_u64().unwrap();
                next = next.primary(&to);
                next.group.as_mut().unwrap().failover = Some(self.s.consent(epoch, &to).unwrap());
                self.s.host(dead).kill().unwrap();
            }
        }
        if operation == Rejoin {
            for host in self.s.lab.hosts() {
                host.boot().unwrap();
                // Removes the stores that former points set aside: each takes two gigabytes of a
                // disk in memory.
                host.exec("rm -rf /data/*/.ob/aside/*").unwrap().ok().unwrap();
            }
        }
        next
    }

    fn primary(&self) -> String {
        self.config.group.as_ref().unwrap().primary.clone()
    }

    fn other(&self) -> String {
        if self.primary() == "a" { "b".into() } else { "a".into() }
    }

    /// Tries one point: strikes, repeats the command until it works, and checks.
    fn point(&mut self, operation: Operation, blow: &Strike) -> anyhow::Result<Outcome> {
        let next = self.prepare(operation);
        self.s.write(&next)?;
        let args = if matches!(operation, Destroy | Disband) { DESTROY } else { APPLY };
        let writer = match operation {
            Build | Restart => Some(vec![self.s.root(0)]),
            Switchover | Rejoin => Some(vec![self.s.root(0), self.s.root(1)]),
            _ => None,
        };
        let writer = writer
            .map(|servers| Writer::start(writer::Config { servers, ..writer::Config::new([]) }))
            .transpose()?;
        if let Some(w) = &writer {
            w.wait_for(20, SOON)?;
        }
        let before = operations(&self.s)?;
        let known = self.s.addresses()?;
        let mut finished = BTreeMap::new();
        self.world = World::Unknown;
        let mut blow = blow.clone();
        blow.host = match operation {
            Create | Restart | Destroy => 0,
            // The other host has no power.
            Failover => usize::from(next.group.as_ref().is_some_and(|g| g.primary == "b")),
            _ => blow.host,
        };
        let blow = &blow;
        let state = self.s.tf.work().join("terraform.tfstate");
        let kept = std::fs::read(&state).unwrap_or_default();
        let struck = strike(&self.s, args, blow, || {
            finished = ended(&self.s, &before)?;
            Ok(())
        })?;
        let first = operations(&self.s)?;
        let hit = match struck {
            Struck::Hit(text) => {
                let now = self.s.addresses()?;
                let lost: Vec<_> = known.iter().filter(|a| !now.contains(a)).collect();
                if !lost.is_empty() && (args == APPLY || blow.blow == Blow::CtrlCTwice) {
                    // At the second Ctrl-C Terraform itself warns that "data loss may have
                    // occurred". Without its state Terraform does not know what was asked before
                    // and what is to go. So a copy is put back, as users do. Where the operation
                    // only makes things, the next apply adopts them.
                    if !matches!(operation, Create | Build) {
                        std::fs::write(&state, &kept)?;
                    }
                    self.s.say(&format!(
                        "terraform's state lost {lost:?}; it had printed: {}",
                        text.chars()
                            .rev()
                            .take(1500)
                            .collect::<Vec<_>>()
                            .into_iter()
                            .rev()
                            .collect::<String>()
                    ));
                }
                true
            }
            Struck::Missed(0, _) => false,
            Struck::Missed(status, text) => {
                anyhow::bail!("without any fault terraform ended with {status}: {text}")
            }
        };
        let (mut tries, mut said, mut last) = (0, String::new(), String::new());
        if hit {
            loop {
                tries += 1;
                let out = self.s.tf.run(args)?;
                let text = lab::story::words(&out);
                last.clone_from(&text);
                if out.status == 0 {
                    break;
                }
                // What was planned precedes the error and does not matter here.
                said = text.find("Error: ").map_or(text.clone(), |at| text[at..].to_owned());
                anyhow::ensure!(!said.contains("is tainted"), "tainted: {said}");
                anyhow::ensure!(tries < 3, "the same command does not finish it: {said}");
            }
        }
        self.config = next;
        let twice = if hit { again(&self.s, &first, &finished, blow)? } else { Vec::new() };
        anyhow::ensure!(twice.is_empty(), "done twice: {twice:?}");
        self.check(operation).with_context(|| format!("the last command said: {last}"))?;
        let mut rows = 0;
        if let Some(writer) = writer {
            writer.wait_for(20, SOON)?;
            let report = writer.stop()?;
            lab::story::nothing_lost(&report)?;
            rows = report.acknowledged;
        }
        Ok(Outcome { hit, tries, rows, said })
    }

    /// Checks the end state of an operation.
    fn check(&mut self, operation: Operation) -> anyhow::Result<()> {
        let s = &self.s;
        let tainted = s.tainted()?;
        anyhow::ensure!(tainted.is_empty(), "tainted: {tainted:?}");
        if matches!(operation, Destroy | Disband) {
            for host in 0..2 {
                s.clean(host, &[&login::own("cache"), &login::own("fault.hit")])?;
            }
            self.world = World::Nothing;
            return Ok(());
        }
        s.tf.settled()?;
        if operation != Failover {
            for host in 0..self.config.clusters.len() {
                let marks = s
                    .host(host)
                    .exec("cat /data/*/.ob/mark; ls /data/*/.ob; pgrep -c -x seekdb; :")?
                    .ok()?;
                anyhow::ensure!(
                    marks.contains("\"complete\""),
                    "the mark is not complete: {marks}"
                );
                for note in ["restart", "fenced", "building"] {
                    anyhow::ensure!(
                        !marks.lines().any(|l| l == note),
                        "the note {note:?} was left behind: {marks}"
                    );
                }
            }
        }
        self.world = match operation {
            Create | Restart => {
                anyhow::ensure!(s.writable(0)?, "it does not take writes");
                let cron = s.host(0).exec("crontab -l 2>/dev/null; :")?.stdout;
                anyhow::ensure!(
                    cron.contains("@reboot"),
                    "it does not start with its host: {cron:?}"
                );
                World::Single
            }
            Failover => {
                anyhow::ensure!(
                    s.writable(usize::from(self.primary() == "b"))?,
                    "the heir does not take writes"
                );
                World::Failed
            }
            _ => {
                let now = (s.writable(0)?, s.writable(1)?);
                anyhow::ensure!(
                    now == (self.primary() == "a", self.primary() == "b"),
                    "writable: {now:?}, asked: {}",
                    self.primary()
                );
                World::Pair
            }
        };
        Ok(())
    }
}

struct Outcome {
    hit: bool,
    tries: usize,
    rows: usize,
    said: String,
}

fn operations(s: &Story) -> anyhow::Result<BTreeSet<String>> {
    Ok(trail::read(&s.lab)?.iter().flat_map(|j| &j.lines).map(|l| l.entry.op.clone()).collect())
}

/// Titles and kinds of the steps whose effect ended, in operations that are not in `before`.
fn ended(s: &Story, before: &BTreeSet<String>) -> anyhow::Result<BTreeMap<String, String>> {
    let journals = trail::read(&s.lab)?;
    let lines = journals
        .iter()
        .flat_map(|j| &j.lines)
        .filter(|l| l.entry.event == Event::End && !before.contains(&l.entry.op));
    Ok(lines.map(|l| (l.entry.title.clone(), l.entry.kind.clone())).collect())
}

/// The steps that had ended before the blow and began again in a later operation.
fn again(
    s: &Story,
    first: &BTreeSet<String>,
    finished: &BTreeMap<String, String>,
    blow: &Strike,
) -> anyhow::Result<Vec<String>> {
    let journals = trail::read(&s.lab)?;
    let later = journals
        .iter()
        .flat_map(|j| &j.lines)
        .filter(|l| l.entry.event == Event::Begin && !first.contains(&l.entry.op));
    let later: Vec<(&str, &str)> =
        later.map(|l| (l.entry.kind.as_str(), l.entry.title.as_str())).collect();
    Ok(twice::twice(&later, finished, blow.blow))
}

fn run(
    sweep: &mut Sweep,
    operation: Operation,
    blow: &Strike,
    failed: &mut Vec<String>,
    missed: &mut Vec<String>,
) {
    let name = format!("{operation:?}:{}:{}:{:?}", blow.kind, blow.point.as_str(), blow.blow);
    let begun = Instant::now();
    match sweep.point(operation, blow) {
        Ok(o) if o.hit => {
            let rows =
                if o.rows > 0 { format!(", {} rows, 0 lost", o.rows) } else { String::new() };
            let said = if o.tries > 1 {
                format!(" (first: {})", o.said.chars().take(300).collect::<String>())
            } else {
                String::new()
            };
            sweep.s.say(&format!(
                "{name}: finished by command {} after it{rows}, {:.0} s{said}",
                o.tries,
                begun.elapsed().as_secs_f64()
            ));
        }
        Ok(_) => missed.push(name),
        Err(e) => {
            let what = format!("{name}: {e:#}\n{}", trail::tail(&sweep.s.lab, 60));
            sweep.s.say(&format!("FAILED {what}"));
            failed.push(what);
            sweep.world = World::Unknown;
        }
    }
}

#[test]
fn whatever_is_killed_at_whatever_point_the_same_command_finishes_the_job() {
    if !may_make_hosts("the crash sweep on real hosts") {
        return;
    }
    let (scope, seed) = (scope(), seed());
    let chosen = match scope {
        Scope::Fixed => "committed ones".to_owned(),
        _ => format!("OB_SEED={seed}"),
    };
    let mut sweep = Sweep::new();
    let (mut failed, mut missed, mut done) = (Vec::new(), Vec::new(), 0);
    let begun = Instant::now();
    sweep.s.say(&format!("crash sweep on real hosts: {chosen}"));
    for (operation, blow) in points::chosen(scope, seed) {
        if matches!(scope, Scope::Explore(limit) if begun.elapsed() > limit) {
            break;
        }
        run(&mut sweep, operation, &blow, &mut failed, &mut missed);
        done += 1;
    }
    sweep.s.say(&format!(
        "real sweep: {done} points ({chosen}) in {:.1} min, {} failed, {} not reached {missed:?}",
        begun.elapsed().as_secs_f64() / 60.0,
        failed.len(),
        missed.len()
    ));
    assert!(failed.is_empty(), "{} of {done} points:\n{}", failed.len(), failed.join("\n"));
    assert!(missed.is_empty(), "points that no command reaches: {missed:?}");
}
