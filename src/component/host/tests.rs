//! Flows as tables, and the steps that need no system file on this machine's own shell.
use super::flow;
use super::record::{self, Record};
use super::*;
use crate::base::OperationId;
use crate::engine::{Cx, Graph, Operation, Outcome, run};
use crate::transport::local::Local;
use crate::transport::{Connector, Endpoint, Transport, TransportError};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

struct Here(String);

#[async_trait]
impl Connector for Here {
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(Local::new(
            endpoint.clone(),
            BTreeMap::from([("OB_STATE".to_owned(), self.0.clone())]),
        )))
    }
}

fn site() -> Site {
    let endpoint = Endpoint {
        name: "h".into(),
        address: "local".parse().unwrap(),
        port: 22,
        user: String::new(),
        identity: String::new(),
        host_key: String::new(),
    };
    Site { name: "h".into(), host: Host { endpoint, run_as: String::new() } }
}

fn cx(dir: &Path) -> Cx {
    Cx::new(
        Arc::new(Here(dir.join("state").display().to_string())),
        CancellationToken::new(),
        BTreeMap::new(),
    )
}

async fn go(cx: &Cx, graph: &Graph, owner: &str) -> Outcome {
    let operation = Operation {
        id: OperationId::fresh(),
        verb: "test".into(),
        object: "host.h".into(),
        who: "me".into(),
        authority: owner.into(),
        epoch: 0,
        engine: crate::engine::Engine::None,
        nodes: Vec::new(),
        titles: graph.titles(),
    };
    run(cx, operation, graph, vec![site().target()], &crate::engine::Limits::of(2)).await
}

fn full() -> Prepare {
    let d = |p: &str| {
        (p.to_owned(), Directory { path: p.into(), owner: "svc".into(), mode: "0750".into() })
    };
    Prepare {
        user: Some(User { name: "svc".into(), uid: None, home: None }),
        directories: [d("/data/a"), d("/data/b")].into(),
        limits: Some(Limits {
            user: "svc".into(),
            nofile: "1".into(),
            nproc: "1".into(),
            stack: "1".into(),
            core: "0".into(),
        }),
        sysctl: Some(("seekdb".into(), BTreeMap::new())),
        hugepage: Some("never".into()),
        clock: Some(std::time::Duration::from_millis(500)),
        declared: "{}".into(),
    }
}

fn desired(prepare: Option<Prepare>) -> Desired {
    Desired { site: site(), network: Some(("eth0".into(), None)), prepare }
}

fn kinds(graph: &Graph) -> Vec<&'static str> {
    graph.nodes().iter().map(|n| n.step.kind().as_str()).collect()
}

const ALL: [&str; 10] = [
    "claim_host",
    "check_clock",
    "check_network",
    "make_user",
    "make_directory",
    "make_directory",
    "set_limits",
    "set_sysctl",
    "set_hugepage",
    "set_host_stage",
];

#[test]
fn a_change_has_the_steps_of_what_changed_or_drifted_and_no_others() {
    type Change = fn(&mut Prepare);
    let cases: [(&str, Change, &[&str], &[&str]); 9] = [
        ("nothing", |_| {}, &[], &[]),
        (
            "a mode",
            |p| p.directories.get_mut("/data/b").unwrap().mode = "0700".into(),
            &[],
            &["make_directory"],
        ),
        ("a setting changed by hand", |_| {}, &["sysctl"], &["set_sysctl"]),
        (
            "two parts changed by hand",
            |_| {},
            &["user", "directories /data/a"],
            &["make_user", "make_directory"],
        ),
        ("limits dropped", |p| p.limits = None, &[], &["set_limits"]),
        (
            "a directory dropped",
            |p| drop(p.directories.remove("/data/a")),
            &[],
            &["remove_directory"],
        ),
        (
            "another user",
            |p| p.user.as_mut().unwrap().name = "db".into(),
            &[],
            &["make_user", "remove_user"],
        ),
        ("an unfinished preparation", |_| {}, &["preparation"], &ALL[3..9]),
        ("the record gone", |_| {}, &["record"], &ALL[3..9]),
    ];
    for (name, change, drift, want) in cases {
        let mut next = full();
        change(&mut next);
        let drift: BTreeSet<_> = drift.iter().map(|d| (*d).to_owned()).collect();
        let graph = flow::update(&desired(Some(full())), &desired(Some(next)), &drift, "C");
        let inner: Vec<_> = kinds(&graph)
            .into_iter()
            .filter(|k| {
                !["claim_host", "check_clock", "check_network", "set_host_stage"].contains(k)
            })
            .collect();
        assert_eq!(inner, want, "{name}");
        assert_eq!(graph.is_empty(), want.is_empty(), "{name}");
        if !graph.is_empty() {
            assert!(
                kinds(&graph)[0] == "claim_host" && kinds(&graph).last() == Some(&"set_host_stage"),
                "{name}"
            );
        }
    }
    assert_eq!(kinds(&flow::create(&desired(Some(full())))), ALL);
    assert!(flow::create(&desired(None)).is_empty(), "without prepare nothing is changed");
    let gone = [
        "set_host_stage",
        "set_hugepage",
        "set_sysctl",
        "set_limits",
        "remove_directory",
        "remove_directory",
        "remove_user",
        "forget_record",
    ];
    assert_eq!(
        kinds(&flow::update(&desired(Some(full())), &desired(None), &BTreeSet::new(), "C")),
        gone
    );
    let titles: BTreeSet<_> = flow::create(&desired(Some(full()))).titles().into_iter().collect();
    assert_eq!(titles.len(), ALL.len(), "titles tell steps apart");
}

#[test]
fn a_record_that_was_cut_or_is_foreign_text_is_no_record() {
    assert!(!Record::parse("").exists());
    assert!(!Record::parse("made.format=1\nmade.na").exists());
    let r = Record::parse(
        "x=1\nmade.creation=C\nmade.dir./data/a=was root 0755\nmade.stage=destroying\n",
    );
    assert!(r.exists() && r.stage() == Some(crate::engine::mark::Stage::Destroying));
    assert_eq!(r.below("dir.").collect::<Vec<_>>(), [("/data/a", "was root 0755")]);
}

fn directories(dir: &Path, names: &[&str]) -> Desired {
    let all = names.iter().map(|n| dir.join(n).display().to_string());
    let directories = all
        .map(|path| (path.clone(), Directory { path, owner: String::new(), mode: "0710".into() }))
        .collect();
    Desired {
        site: site(),
        network: None,
        prepare: Some(Prepare {
            directories,
            declared: "{\"a\":\"'$x\"}".into(),
            ..Prepare::default()
        }),
    }
}

#[tokio::test]
async fn directories_are_made_once_and_undone_as_far_as_they_are_empty() {
    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "SKIPPED directories_are_made_once_and_undone_as_far_as_they_are_empty: needs root"
        );
        return;
    }
    // Not below /tmp, where others may write.
    let dir = tempfile::tempdir_in("/var").unwrap();
    std::fs::create_dir(dir.path().join("there")).unwrap();
    let (cx, d) = (cx(dir.path()), directories(dir.path(), &["there", "new/one", "new/two"]));
    let graph = flow::create(&d);
    let first = go(&cx, &graph, "me").await;
    assert_eq!((first.problem, first.done.len()), (None, 5));
    let again = go(&cx, &graph, "me").await;
    assert_eq!((again.problem, again.done.len()), (None, 0));
    let foreign = go(&cx, &graph, "other").await.problem.unwrap();
    assert!(foreign.why.contains("owner \"me\""), "{foreign}");

    let found = record::read(&cx, &d.site.host).await.unwrap();
    assert_eq!(found.text("declared"), "{\"a\":\"'$x\"}");
    let wrong = go(&cx, &flow::destroy(&d.site, d.prepare.as_ref(), "another"), "me")
        .await
        .problem
        .unwrap();
    assert!(wrong.what.contains("prepared anew"), "{wrong}");

    std::fs::write(dir.path().join("new/one/data"), "rows").unwrap();
    let out =
        go(&cx, &flow::destroy(&d.site, d.prepare.as_ref(), found.text("creation")), "me").await;
    assert_eq!(out.problem, None);
    let mode = |p: &str| {
        std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(dir.path().join(p)).unwrap().permissions(),
        ) & 0o777
    };
    assert!(dir.path().join("new/one/data").exists() && !dir.path().join("new/two").exists());
    assert_eq!(mode("there"), 0o755, "what was there gets its mode back");
    assert!(!record::read(&cx, &d.site.host).await.unwrap().exists());
    assert!(dir.path().join("state/objects/host/gate").exists(), "gates outlive the object");
}

#[tokio::test]
async fn root_makes_and_undoes_nothing_below_a_directory_of_others() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED root_makes_and_undoes_nothing_below_a_directory_of_others: needs root");
        return;
    }
    let dir = tempfile::tempdir_in("/var").unwrap();
    let (cx, parent) = (cx(dir.path()), dir.path().join("theirs"));
    std::fs::create_dir(&parent).unwrap();
    let theirs = |uid: u32| std::os::unix::fs::chown(&parent, Some(uid), None).unwrap();
    let d = directories(dir.path(), &["theirs/new", "theirs/there"]);
    let one = |name: &str| directories(dir.path(), &[&format!("theirs/{name}")]);
    std::fs::create_dir(parent.join("there")).unwrap();
    theirs(1);
    for name in ["new", "there"] {
        let problem = go(&cx, &flow::create(&one(name)), "me").await.problem.unwrap();
        assert!(problem.why.contains("theirs belongs to daemon"), "{problem}");
        assert!(problem.fix.contains("prepare only that directory"), "{problem}");
    }
    theirs(0);
    let made = go(&cx, &flow::create(&d), "me").await;
    assert_eq!(made.problem, None);
    // What is as it shall be is left alone, whoever owns the parent.
    theirs(1);
    let again = go(&cx, &flow::create(&d), "me").await;
    assert_eq!((again.problem, again.done.len()), (None, 0));
    let creation = record::read(&cx, &d.site.host).await.unwrap().text("creation").to_owned();
    let destroy = flow::destroy(&d.site, d.prepare.as_ref(), &creation);
    let problem = go(&cx, &destroy, "me").await.problem.unwrap();
    assert!(
        problem.why.contains("theirs belongs to daemon") && problem.fix.contains("chown root"),
        "{problem}"
    );
    theirs(0);
    assert_eq!(go(&cx, &destroy, "me").await.problem, None);
    assert!(!parent.join("new").exists() && parent.join("there").exists());
}

#[tokio::test]
async fn links_and_files_are_no_directories() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
    for (name, why) in [("file", "regular empty file"), ("link", "symbolic link")] {
        let problem = go(&cx(dir.path()), &flow::create(&directories(dir.path(), &[name])), "me")
            .await
            .problem
            .unwrap();
        assert!(problem.why.contains(why) && !problem.fix.is_empty(), "{problem}");
    }
}

#[tokio::test]
async fn facts_and_doctor_say_something_about_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let (cx, host) = (cx(dir.path()), site().host);
    let (stable, moving) =
        (facts::read(&cx, &host).await.unwrap(), facts::moving(&cx, &host).await.unwrap());
    assert!(
        stable.cores > 0
            && stable.memory_bytes > 1 << 20
            && stable.devices.contains("lo")
            && stable.disks.contains_key("/"),
        "{stable:?}"
    );
    assert!(moving.memory_available_bytes > 0 && moving.uptime_seconds > 0, "{moving:?}");
    assert!(facts::clock(&cx, &host).await.unwrap().0.abs() < 1000);
    let all = doctor(&cx, &host).await.unwrap();
    assert!(
        all.len() > 20 && all.iter().all(|f| (f.state == doctor::State::Ok) == f.fix.is_empty()),
        "{all:#?}"
    );
}
