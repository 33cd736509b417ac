//! The contract of every step. `check` changes nothing; after its effect a step is seen to be done;
//! a step that is applied twice has the effect of one. Also: a preparation of a host that is killed
//! at any point of any step is finished by the same command.
//!
//! The kinds of steps are read from the product's sources, so a new step is tested as soon as it
//! exists.
use lab::may_make_hosts;
use lab::scope::{Scope, scope, seed};
use lab::sim::contract::Contract;
use lab::sim::link::{Links, Way};
use lab::sim::strike::reach;
use lab::sim::{At, Blow, Bug, Operation, Strike, World, digest};
use lab::story::say;
use ob::base::OperationId;
use ob::component::host::{Desired, Directory, Limits, Prepare, Site, User, flow, record};
use ob::engine::fault::Point;
use ob::engine::{Cx, Engine, Graph, Host, Outcome, run};
use ob::transport::Endpoint;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Operations that together contain every kind of step.
const OPERATIONS: [Operation; 12] = [
    Operation::Create,
    Operation::Parameter,
    Operation::Restart,
    Operation::Version,
    Operation::Adopt,
    Operation::Destroy,
    Operation::Build,
    Operation::Switchover,
    Operation::Failover,
    Operation::FailoverOfThree,
    Operation::Rejoin,
    Operation::Leave,
];

/// How many kinds of steps the sources have.
const KINDS: usize = 64;

/// One of this many points of a preparation is tried. It is no multiple of five, so that the place
/// in the step varies.
const EVERY: usize = 11;

/// Kinds that only commands of the CLI run, or a group that had another life before, and the test
/// that proves them.
const ELSEWHERE: [(&str, &str); 4] = [
    ("end_record", "break_glass"),
    ("forget_home", "guarded"),
    ("remove_aside", "break_glass"),
    ("end_rotated", "each_leave_changes_the_password_and_keeps_the_store"),
];

/// Collects every kind of step in the sources below `dir`.
fn kinds(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            kinds(&entry.path(), found);
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        // A step names its kind as id("kind", …) or StepKind("kind"); a step of several kinds names
        // them in a match.
        for mark in ["id(\"", "StepKind(\"", "=> \"end_"] {
            let own = mark.strip_prefix("=> \"").unwrap_or("");
            let words = text.split(mark).skip(1).filter_map(|rest| rest.split_once('"'));
            let plain = |w: &&str| w.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let words = words.map(|(word, _)| word).filter(plain);
            found.extend(words.map(|word| format!("{own}{word}")));
        }
    }
}

#[test]
fn every_step_reads_only_in_its_check_and_applied_twice_is_applied_once() {
    if !may_make_hosts("the contract of steps") {
        return;
    }
    let mut world = World::new("con", Arc::default()).unwrap();
    let ends: BTreeMap<_, _> = OPERATIONS.into_iter().map(|o| (o, world.run(o).unwrap())).collect();
    let contract = Contract::hold(&world.lab);
    for (operation, run) in &ends {
        let begun = Instant::now();
        world.prepare(*operation).unwrap();
        world.apply(operation.row().asks).unwrap();
        let found = digest::differing(&run.end, &digest::of(&world.lab).unwrap());
        assert!(
            found.is_empty(),
            "{operation:?}, each step applied twice, ends otherwise: {found:?}"
        );
        say(&format!("{operation:?}: {:.1} s", begun.elapsed().as_secs_f64()));
    }
    world.twice = true;
    // These make a take-over end sessions, and a fence that lost its power be opened again.
    for (kind, point) in [("fence", Point::Applied), ("promote", Point::Decided)] {
        let at: At =
            ends[&Operation::Switchover].steps.iter().find(|s| s.kind == kind).unwrap().clone();
        world
            .strike(&Strike { operation: Operation::Switchover, at, point, blow: Blow::Host })
            .unwrap();
    }
    let at: At = ends[&Operation::Parameter]
        .steps
        .iter()
        .find(|s| s.kind == "set_parameter")
        .unwrap()
        .clone();
    world
        .strike(&Strike {
            operation: Operation::Parameter,
            at,
            point: Point::Decided,
            blow: Blow::Provider,
        })
        .unwrap();
    let making = Making::of(&world);
    let (before, steps) = prepare_and_undo(&world, &making);
    let (broken, seen) = (contract.broken(), contract.seen());
    drop(contract);
    assert!(
        broken.is_empty(),
        "{} steps break their contract:\n{}",
        broken.len(),
        broken.join("\n")
    );
    let mut all = BTreeSet::new();
    for dir in ["src/component", "src/operate"] {
        kinds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(dir), &mut all);
    }
    // If kinds are one day written differently, the sources must not look empty.
    assert_eq!(all.len(), KINDS, "kinds of steps in the sources: {all:?}");
    let unseen: Vec<_> = all
        .iter()
        .filter(|k| !seen.contains(k.as_str()) && !ELSEWHERE.iter().any(|e| e.0 == *k))
        .collect();
    assert!(unseen.is_empty(), "steps that no run of this test contains: {unseen:?}");
    say(&format!("{} kinds of steps hold to their contract", seen.len()));
    killed_everywhere(&world, &making, &before, &steps);
}

#[test]
fn an_effect_that_is_not_safe_to_repeat_is_found() {
    if !may_make_hosts("a bug planted into a step") {
        return;
    }
    let mut world = World::new("bad", Arc::default()).unwrap();
    world.bug = Some(Bug::EffectTwice);
    let contract = Contract::hold(&world.lab);
    world.prepare(Operation::Create).unwrap();
    world.apply(Operation::Create.row().asks).unwrap();
    assert!(
        contract.broken().iter().any(|b| b.starts_with("keep_root_password")),
        "{:?}",
        contract.broken()
    );
}

/// The preparation of a host, step by step.
struct Making {
    desired: Desired,
    links: Arc<Links>,
    /// Kinds of steps, by title.
    kinds: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Making {
    fn of(world: &World) -> Self {
        let machine = world.lab.host(0);
        let endpoint = Endpoint {
            name: machine.name().into(),
            address: machine.address().to_string().parse().unwrap(),
            port: 22,
            user: "root".into(),
            identity: String::new(),
            host_key: String::new(),
        };
        let site =
            Site { name: machine.name().into(), host: Host { endpoint, run_as: String::new() } };
        let folder = |path: &str| {
            (
                path.to_owned(),
                Directory { path: path.into(), owner: "obsvc".into(), mode: "0750".into() },
            )
        };
        let prepare = Prepare {
            user: Some(User { name: "obsvc".into(), uid: Some(5001), home: None }),
            directories: [folder("/data/1"), folder("/srv/deep/er")].into(),
            limits: Some(Limits {
                user: "obsvc".into(),
                nofile: "655350".into(),
                nproc: "655360".into(),
                stack: "unlimited".into(),
                core: "unlimited".into(),
            }),
            sysctl: Some((
                "oceanbase".into(),
                [("vm.swappiness".to_owned(), "1".to_owned())].into(),
            )),
            hugepage: Some("never".into()),
            clock: Some(Duration::from_secs(5)),
            declared: "{}".into(),
        };
        let network = Some(("eth0".into(), Some(machine.address().to_string())));
        Self {
            desired: Desired { site, network, prepare: Some(prepare) },
            links: Links::new(world.lab.hosts(), None, Arc::default()),
            kinds: Arc::default(),
        }
    }

    fn cx(&self) -> Cx {
        Cx::new(Arc::new(Way(self.links.clone())), CancellationToken::new(), BTreeMap::new())
    }

    /// Starts a run on its own runtime, which stands for a process of its own.
    fn start(&self, verb: &'static str) -> (Runtime, std::sync::mpsc::Receiver<Outcome>) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let (cx, d, kinds) = (self.cx(), self.desired.clone(), self.kinds.clone());
        runtime.spawn(async move {
            let graph = if verb == "create" {
                flow::create(&d)
            } else {
                let creation =
                    record::read(&cx, &d.site.host).await.unwrap().text("creation").to_owned();
                flow::destroy(&d.site, d.prepare.as_ref(), &creation)
            };
            kinds
                .lock()
                .unwrap()
                .extend(graph.nodes().iter().map(|n| (n.step.title(), n.step.kind().to_string())));
            let _ = sender.send(go(&cx, verb, &d.site, &graph).await);
        });
        (runtime, receiver)
    }

    /// Runs to the end, and returns the steps that had an effect.
    fn must(&self, verb: &'static str) -> Vec<At> {
        let (runtime, receiver) = self.start(verb);
        let out = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        runtime.shutdown_background();
        assert_eq!(out.problem.as_ref().map(ToString::to_string), None, "{verb}: {out:?}");
        let host = &self.desired.site.name;
        out.done
            .into_iter()
            .map(|(title, _)| At {
                host: host.clone(),
                kind: self.kinds.lock().unwrap()[&title].clone(),
                title,
            })
            .collect()
    }
}

async fn go(cx: &Cx, verb: &str, site: &Site, graph: &Graph) -> Outcome {
    let operation = ob::engine::Operation {
        id: OperationId::fresh(),
        verb: verb.into(),
        object: site.title(),
        who: "test".into(),
        authority: "sim".into(),
        epoch: 0,
        engine: Engine::None,
        nodes: Vec::new(),
        titles: graph.titles(),
    };
    run(cx, operation, graph, vec![site.target()], &ob::engine::Limits::of(4)).await
}

/// Everything that a preparation may touch.
fn snapshot(world: &World) -> Vec<String> {
    let line = "getent passwd | sort; getent group | sort; ls -A /home; \
                find /data /srv -printf '%p %u %m\\n' 2>/dev/null | sort; \
                ls /etc/sysctl.d /etc/security/limits.d; \
                cat /etc/sysctl.d/* /etc/security/limits.d/* 2>/dev/null; \
                sysctl -n fs.aio-max-nr vm.max_map_count vm.swappiness net.core.somaxconn; \
                cat /sys/kernel/mm/transparent_hugepage/enabled; \
                find / -xdev -name made -path '*/.ob/*' 2>/dev/null";
    world.lab.host(0).exec(line).unwrap().stdout.lines().map(str::to_owned).collect()
}

/// The steps with an effect, and what the host holds after them.
type Done = [(&'static str, Vec<At>, Vec<String>); 2];

/// Prepares a host and undoes the preparation.
fn prepare_and_undo(world: &World, making: &Making) -> (Vec<String>, Done) {
    let machine = world.lab.host(0);
    machine
        .exec(
            "kill -9 -1; rm -rf /data /root/.ob /srv/*; \
             echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )
        .unwrap();
    let before = snapshot(world);
    let created = making.must("create");
    let prepared = snapshot(world);
    let destroyed = making.must("destroy");
    assert_eq!(
        digest::differing(&before, &snapshot(world)),
        Vec::<String>::new(),
        "a destroy leaves the host as it was"
    );
    (before.clone(), [("create", created, prepared), ("destroy", destroyed, before)])
}

/// The same, killed at points of its steps: with `OB_TEST_ALL=1` at every point, and otherwise at a
/// few, with each of the five places among them. `OB_EXPLORE_MINUTES` chooses other points by
/// `OB_SEED`.
fn killed_everywhere(world: &World, making: &Making, before: &[String], done: &Done) {
    let machine = world.lab.host(0);
    let (scope, seed) = (scope(), seed());
    let mut rng = StdRng::seed_from_u64(seed);
    let mut chosen = |n: usize| match scope {
        Scope::All => true,
        Scope::Fixed => n.is_multiple_of(EVERY),
        Scope::Explore(_) => rng.random_range(0..EVERY) == 0,
    };
    let (mut all, mut points) = (0, 0);
    for (verb, steps, end) in done {
        for (at, point) in steps.iter().flat_map(|at| Point::ALL.map(|point| (at, point))) {
            all += 1;
            if !chosen(all - 1) {
                continue;
            }
            if *verb == "destroy" {
                making.must("create");
            }
            let (runtime, receiver) = making.start(verb);
            let held = reach(&machine, at, point, || receiver.try_recv().is_ok()).unwrap();
            assert!(held.is_some(), "{verb}: {:?} is not reached", at.title);
            runtime.shutdown_timeout(Duration::from_secs(5));
            world.age_leases().unwrap();
            making.must(verb);
            assert_eq!(
                digest::differing(end, &snapshot(world)),
                Vec::<String>::new(),
                "{verb} killed at {} of {:?}",
                point.as_str(),
                at.title
            );
            points += 1;
            if *verb == "create" {
                making.must("destroy");
                assert_eq!(digest::differing(before, &snapshot(world)), Vec::<String>::new());
            }
        }
    }
    say(&format!(
        "a preparation and its end, killed at {points} of {all} points, were finished by the same \
         command{}",
        if matches!(scope, Scope::Explore(_)) {
            format!("; OB_SEED={seed}")
        } else {
            String::new()
        }
    ));
}
