//! The simulated crash sweep: every operation × every step × five fault points × {provider, host,
//! link, frozen holder, lost state}.
//!
//! Each point is checked: the same command finishes the job, the end state is that of an
//! uninterrupted run, the next plan is empty, nothing is tainted, no effect ran twice, no
//! acknowledged row is lost, and there were never two that take writes.
//!
//! The default points are committed in `sim.points`. `OB_EXPLORE_MINUTES` chooses others by
//! `OB_SEED`. `OB_TEST_ALL=1` takes every point. `OB_SIM_ONLY=part of a point's name,…` takes
//! those. `OB_SIM_WORKERS` labs run side by side.
use lab::may_make_hosts;
use lab::scope::{Scope, number, scope, seed};
use lab::sim::core::GROUP;
use lab::sim::world::{LIMIT, Runs};
use lab::sim::{At, Blow, Bug, Operation, Strike, World, digest};
use lab::story::say;
use ob::engine::fault::Point;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The committed points, one per line.
const COMMITTED: &str = include_str!("sim.points");

/// Every point of an operation.
fn points(operation: Operation, steps: &[At]) -> Vec<Strike> {
    let at = |at: &At| {
        Point::ALL
            .map(|point| Blow::ALL.map(|blow| Strike { operation, at: at.clone(), point, blow }))
    };
    steps.iter().flat_map(at).flatten().filter(|s| s.blow.fits(operation)).collect()
}

/// The committed points among `every`. Of several steps of one kind on one host, the first by
/// title.
fn committed(every: &[Strike]) -> Vec<Strike> {
    let named = |name: &str| every.iter().filter(|s| s.to_string() == name).min_by_key(|s| &s.at);
    let names = || COMMITTED.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let unknown: Vec<_> = names().filter(|n| named(n).is_none()).collect();
    assert!(unknown.is_empty(), "sim.points names what no operation does: {unknown:#?}");
    let chosen: Vec<_> = names().filter_map(named).cloned().collect();
    let missing: Vec<_> = parts(every).difference(&parts(&chosen)).cloned().collect();
    assert!(missing.is_empty(), "no line of sim.points has {missing:#?}");
    chosen
}

/// The parts that points are made of: operations, kinds of steps, places in a step, blows.
fn parts(points: &[Strike]) -> BTreeSet<String> {
    let of = |s: &Strike| {
        let (operation, place, blow) = (s.operation, s.point.as_str(), s.blow);
        [
            format!("{operation:?}:"),
            format!(":{}@", s.at.kind),
            format!(":{place}:"),
            format!(":{blow:?}"),
        ]
    };
    points.iter().flat_map(of).collect()
}

/// What the workers share.
struct Sweep {
    left: Mutex<Vec<Strike>>,
    failed: Mutex<Vec<String>>,
    missed: Mutex<Vec<String>>,
    done: Mutex<BTreeMap<String, usize>>,
    until: Option<Instant>,
}

impl Sweep {
    fn next(&self) -> Option<Strike> {
        if self.until.is_some_and(|u| Instant::now() >= u) {
            None
        } else {
            self.left.lock().unwrap().pop()
        }
    }

    fn work(&self, mut world: World) {
        while let Some(strike) = self.next() {
            let (name, begun) = (strike.to_string(), Instant::now());
            match world.strike(&strike) {
                Ok(passed) if passed.hit => {
                    if std::env::var_os("OB_SIM_VERBOSE").is_some() {
                        say(&format!(
                            "{name}: finished by command {} after it, {} rows, {:.1} s",
                            passed.tries,
                            passed.rows,
                            begun.elapsed().as_secs_f64()
                        ));
                    }
                }
                Ok(_) => self.missed.lock().unwrap().push(name),
                Err(e) => {
                    say(&format!("FAILED {name}: {e:#}"));
                    self.failed.lock().unwrap().push(format!("{name}: {e:#}"));
                }
            }
            *self.done.lock().unwrap().entry(format!("{:?}", strike.operation)).or_default() += 1;
        }
    }
}

#[test]
fn whatever_is_cut_at_whatever_point_the_same_command_finishes_the_job() {
    if !may_make_hosts("the simulated crash sweep") {
        return;
    }
    let begun = Instant::now();
    let (scope, seed) = (scope(), seed());
    let workers = usize::try_from(number("OB_SIM_WORKERS").unwrap_or(3)).unwrap().max(1);
    let name = |n: usize| format!("s{n}x");
    let runs = Arc::new(Runs::default());
    // Each worker finds the steps of some operations in its own lab.
    let mut worlds: Vec<World> = std::thread::scope(|s| {
        let find = |n: usize| {
            let mut world = World::new(&name(n), runs.clone()).unwrap();
            for operation in Operation::ALL.iter().skip(n).step_by(workers) {
                let begun = Instant::now();
                world.run(*operation).unwrap();
                if std::env::var_os("OB_SIM_VERBOSE").is_some() {
                    say(&format!("{operation:?}: found in {:.1} s", begun.elapsed().as_secs_f64()));
                }
            }
            world
        };
        let all: Vec<_> = (0..workers).map(|n| s.spawn(move || find(n))).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let every: Vec<_> = runs
        .lock()
        .unwrap()
        .iter()
        .flat_map(|(operation, run)| points(*operation, &run.steps))
        .collect();
    let total = every.len();
    let mut left = if let Ok(only) = std::env::var("OB_SIM_ONLY") {
        every.into_iter().filter(|s| only.split(',').any(|o| s.to_string().contains(o))).collect()
    } else if scope == Scope::Fixed {
        committed(&every)
    } else {
        every
    };
    if scope == Scope::Fixed {
        left.reverse(); // Workers take from the end.
    } else {
        left.shuffle(&mut StdRng::seed_from_u64(seed));
    }
    let found = begun.elapsed().as_secs_f64();
    let sweep = Sweep {
        left: Mutex::new(left),
        failed: Mutex::default(),
        missed: Mutex::default(),
        done: Mutex::default(),
        until: if let Scope::Explore(limit) = scope { Some(begun + limit) } else { None },
    };
    std::thread::scope(|s| {
        for world in worlds.drain(..) {
            let sweep = &sweep;
            s.spawn(move || sweep.work(world));
        }
    });
    let (failed, missed, done) = (
        sweep.failed.into_inner().unwrap(),
        sweep.missed.into_inner().unwrap(),
        sweep.done.into_inner().unwrap(),
    );
    let count: usize = done.values().sum();
    let chosen = match scope {
        Scope::Fixed => "committed ones".to_owned(),
        _ => format!("OB_SEED={seed}"),
    };
    say(&format!("points by operation: {done:?}; the steps were found in {found:.0} s"));
    say(&format!(
        "simulated sweep: {count} of {total} points ({chosen}), {} failed, {} not reached, {:.0} s",
        failed.len(),
        missed.len(),
        begun.elapsed().as_secs_f64()
    ));
    assert!(failed.is_empty(), "{} of {count} points:\n{}", failed.len(), failed.join("\n"));
    assert!(missed.is_empty(), "points that no command reaches: {missed:?}");
    assert!(count > 0, "no point was tried");
}

/// Whether a server runs on a host.
fn runs(world: &World, host: usize) -> bool {
    world
        .lab
        .host(host)
        .exec("kill -0 $(cat /data/*/run/seekdb.pid) 2>/dev/null")
        .unwrap()
        .ok()
        .is_ok()
}

/// After a failover the old primary's host is back, and everything that Terraform knew is lost.
/// Then no apply starts the old primary, and the error names the way back.
#[test]
fn a_lost_state_starts_no_former_primary() {
    if !may_make_hosts("a lost state") {
        return;
    }
    let mut world = World::new("lost", Arc::default()).unwrap();
    world.prepare(Operation::Rejoin).unwrap();
    world.states().objects.clear();
    for _ in 0..2 {
        let said = format!("{:#}", world.apply(Operation::Rejoin.row().asks).unwrap_err());
        assert!(said.contains("import it"), "{said}");
        assert!(!runs(&world, 0), "the former primary was started");
        assert_eq!(
            world.lab.host(0).exec("crontab -l 2>/dev/null; :").unwrap().stdout.trim(),
            "",
            "it does not start with its host"
        );
        assert!(runs(&world, 1), "the primary goes on, and the check can see a server");
    }
}

/// The cluster is in another state than the group, or the group was forgotten. Then Terraform sees
/// no order between the two.
#[test]
fn a_primary_is_not_destroyed_under_its_group() {
    if !may_make_hosts("a primary that is to be destroyed") {
        return;
    }
    let mut world = World::new("rob", Arc::default()).unwrap();
    world.prepare(Operation::Switchover).unwrap();
    let pair = world.states().objects.clone();
    world.states().objects.remove(GROUP);
    let said = format!("{:#}", world.apply(None).unwrap_err());
    assert!(
        said.contains("the running primary of group") && said.contains("ob_standby first"),
        "{said}"
    );
    assert!(runs(&world, 0), "the primary goes on");
    world.states().objects = pair;
    world.apply(None).unwrap();
    assert!(!runs(&world, 0), "with its group it goes, and the check can see that");
}

/// A real server ends its start by itself now and then, and comes up with the next start. Nothing
/// goes back, and nobody is asked.
#[test]
fn a_start_that_ends_by_itself_is_made_once_more() {
    if !may_make_hosts("a start that ends by itself") {
        return;
    }
    let mut world = World::new("end", Arc::default()).unwrap();
    for operation in [Operation::Create, Operation::Restart, Operation::Switchover] {
        let whole = world.run(operation).unwrap().end;
        world.prepare(operation).unwrap();
        for host in world.lab.hosts() {
            host.exec("touch /etc/sim-seekdb.ends").unwrap().ok().unwrap();
        }
        world.apply(operation.row().asks).unwrap_or_else(|e| panic!("{operation:?}: {e:#}"));
        let left =
            world.lab.hosts().iter().filter(|h| h.path("/etc/sim-seekdb.ends").exists()).count();
        assert!(left < 3, "{operation:?}: a start has ended by itself");
        assert_eq!(digest::of(&world.lab).unwrap(), whole, "{operation:?}");
    }
}

/// What a sweep says of a command that never ends.
const ENDLESS: &str = "does not end";

/// Where each planted bug must be found, and a word of the message that finds it.
const PLANTED: [(Bug, Operation, &str, Point, Blow, &str); 12] = [
    (
        Bug::GateUnchecked,
        Operation::Parameter,
        "use_package",
        Point::Decided,
        Blow::Frozen,
        "woke up",
    ),
    (
        Bug::NobodyEvicted,
        Operation::Parameter,
        "use_package",
        Point::Began,
        Blow::Provider,
        ENDLESS,
    ),
    (
        Bug::EndBeforeEffect,
        Operation::Parameter,
        "use_package",
        Point::Began,
        Blow::Provider,
        "the journal at began",
    ),
    (
        Bug::NoJournal,
        Operation::Parameter,
        "use_package",
        Point::Effected,
        Blow::Provider,
        "the journal at effected",
    ),
    (Bug::FenceLies, Operation::Switchover, "note_fence", Point::Verified, Blow::Provider, ENDLESS),
    (Bug::BaseLies, Operation::Build, "freeze_log", Point::Decided, Blow::Provider, "too early"),
    (Bug::NoGroupNote, Operation::Build, "write_group", Point::Decided, Blow::Provider, ENDLESS),
    (Bug::StoreWiped, Operation::Restart, "stop_server", Point::Verified, Blow::Provider, ""),
    (
        Bug::EffectTwice,
        Operation::Create,
        "keep_root_password",
        Point::Decided,
        Blow::Provider,
        "another end state",
    ),
    (Bug::BuildingStays, Operation::Build, "end_store", Point::Decided, Blow::Provider, ENDLESS),
    (
        Bug::BootStays,
        Operation::Destroy,
        "set_boot",
        Point::Decided,
        Blow::Provider,
        "starting with its host",
    ),
    (
        Bug::RestartForgets,
        Operation::Restart,
        "begin_restart",
        Point::Decided,
        Blow::Provider,
        ENDLESS,
    ),
];

#[test]
fn each_bug_that_is_planted_is_found() {
    if !may_make_hosts("bugs planted into the simulated crash sweep") {
        return;
    }
    let mut world = World::new("bug", Arc::default()).unwrap();
    let mut hidden = Vec::new();
    for (bug, operation, kind, point, blow, word) in PLANTED {
        (world.bug, world.patience) = (None, LIMIT);
        let at = world
            .run(operation)
            .unwrap()
            .steps
            .into_iter()
            .find(|s| s.kind == kind)
            .expect("a step of that kind");
        // Only what is found by a command that does not end is not worth a longer wait: on a busy
        // machine a command that does end must not be taken for one.
        let patience = if ["", ENDLESS].contains(&word) { Duration::from_secs(7) } else { LIMIT };
        (world.bug, world.tries, world.patience) = (Some(bug), 1, patience);
        let strike = Strike { operation, at, point, blow };
        match world.strike(&strike) {
            Err(e) if format!("{e:#}").contains(word) => {
                say(&format!("{bug:?}: found at {strike}: {e:#}"))
            }
            other => hidden.push(format!("{bug:?} at {strike}: {other:?}")),
        }
    }
    assert!(hidden.is_empty(), "bugs that nothing found as expected:\n{}", hidden.join("\n"));
    assert_eq!(PLANTED.map(|p| p.0), Bug::ALL);
}

/// A member leaves, comes back and leaves again, while the role does not move. Each time it knows
/// our account's password, so each time there is another one afterwards, also after a change that
/// was cut for another leave; and each time its store is kept.
#[test]
fn each_leave_changes_the_password_and_keeps_the_store() {
    if !may_make_hosts("a member that leaves twice") {
        return;
    }
    let mut world = World::new("twice", Arc::default()).unwrap();
    world.prepare(Operation::Leave).unwrap();
    let at = |world: &World, host: usize, file: &str| {
        let path =
            world.lab.host(host).path(&format!("/data/{}/.ob/{file}", ["a", "b", "c"][host]));
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let mut known = vec![at(&world, 2, "account")];
    for turn in 0..3 {
        if turn == 2 {
            // A change for the leave of "b" was cut; "c" was told what was to follow.
            for host in 0..3 {
                let path = format!("/data/{}/.ob", ["a", "b", "c"][host]);
                let file = format!("{}\ntold", at(&world, host, "account"));
                std::fs::write(world.lab.host(host).path(&format!("{path}/account")), file)
                    .unwrap();
            }
            std::fs::write(world.lab.host(0).path("/data/a/.ob/rotating"), "b-1\n").unwrap();
            known.push("told".into());
        }
        let mut without_c = Operation::Grow.row().asks.unwrap();
        without_c.clusters.get_mut("c").unwrap().member = false;
        world.apply(Some(without_c)).unwrap();
        for host in 0..2 {
            let now = at(&world, host, "account");
            assert!(!now.contains('\n') && !known.contains(&now), "turn {turn}: {now} {known:?}");
        }
        let kept = world.lab.host(2).path("/data/c/.ob/aside");
        assert_eq!(std::fs::read_dir(&kept).unwrap().count(), turn + 1, "{kept:?}");
        world.apply(Operation::Grow.row().asks).unwrap();
        known.push(at(&world, 2, "account"));
    }
}
