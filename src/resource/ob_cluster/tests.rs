//! Tables: configuration and prior state to plan, errors and steps.
use super::plan;
use super::schema::{Cluster, FileRef, PackageRef, Server, Zone};
use crate::component::database::Facts;
use crate::resource::PlanInput;
use crate::resource::common::{Connection, set_text, texts};
use crate::schema::{Diagnostics, Value};
use std::collections::BTreeMap;

fn v(text: &str) -> Value<String> {
    Value::Value(text.into())
}

fn package(version: &str) -> Value<PackageRef> {
    let file = FileRef {
        source: v("s"),
        member: v("m"),
        size: Value::Value(1),
        sha256: v(&format!("digest of {version}")),
        mode: v("0755"),
    };
    Value::Value(PackageRef {
        id: v(&format!("seekdb-{version}")),
        name: v("seekdb"),
        version: v(version),
        arch: v("x86_64"),
        sources: Value::Value([("s".to_owned(), v("/tmp/x"))].into()),
        files: Value::Value([("seekdb".to_owned(), Value::Value(file))].into()),
    })
}

fn zones(server: Server) -> Value<BTreeMap<String, Value<Zone>>> {
    let zone = Zone { servers: Value::Value([("s1".to_owned(), Value::Value(server))].into()) };
    Value::Value([("z1".to_owned(), Value::Value(zone))].into())
}

fn server() -> Server {
    Server {
        host: Value::Value(Connection {
            name: v("h1"),
            address: v("10.0.0.1"),
            ..Connection::default()
        }),
        base_dir: v("/data/main"),
        ..Server::default()
    }
}

fn config() -> Cluster {
    Cluster {
        name: v("main"),
        engine: v("seekdb"),
        package: package("1.4.0"),
        zones: zones(server()),
        parameters: Value::Value([("memory_limit".to_owned(), v("2G"))].into()),
        ..Cluster::default()
    }
}

/// The state that a read gives after a create of [`config`].
fn state() -> Cluster {
    let planned = run(None, &config()).0.unwrap();
    Cluster {
        creation_id: v("01J"),
        status: v("running"),
        build: v("b"),
        unmanaged: Value::Value(BTreeMap::new()),
        runbook: v("as it was"),
        ..planned
    }
}

/// Imitates core's merge: computed values of the prior state stay where the configuration says
/// nothing.
fn run(prior: Option<&Cluster>, config: &Cluster) -> (Option<Cluster>, Diagnostics) {
    let mut proposed = config.clone();
    if let Some(prior) = prior {
        (proposed.id, proposed.creation_id, proposed.status) =
            (prior.id.clone(), prior.creation_id.clone(), prior.status.clone());
        (proposed.build, proposed.instance, proposed.unmanaged) =
            (prior.build.clone(), prior.instance.clone(), prior.unmanaged.clone());
        (proposed.runbook, proposed.impact) = (prior.runbook.clone(), prior.impact.clone());
    }
    proposed.root_password_wo = Value::Null;
    let mut diags = Diagnostics::default();
    let planned = plan::plan(PlanInput { prior, config, proposed: &proposed }, &mut diags);
    (planned.map(|p| p.state), diags)
}

fn steps(prior: &Cluster, next: &Cluster) -> String {
    let next = run(Some(prior), next).0.unwrap();
    plan::graph(prior, &next)
        .unwrap()
        .nodes()
        .iter()
        .map(|n| n.step.kind().as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_create_says_what_it_will_do_and_repeats_itself() {
    let (once, diags) = run(None, &config());
    assert!(diags.errors.is_empty());
    let once = once.unwrap();
    assert_eq!(set_text(&once.runbook), Some("deploy seekdb 1.4.0 \"main\" on h1: 13 steps"));
    assert_eq!(set_text(&once.id), Some("ssh://10.0.0.1:22/data/main"));
    assert!(once.status.is_unknown() && once.creation_id.is_unknown());
    assert_eq!(run(None, &config()).0.unwrap(), once, "core plans twice and compares");
}

#[test]
fn what_cannot_be_known_is_unknown_and_never_an_error() {
    let unknown = [
        Cluster { package: Value::Unknown, ..config() },
        Cluster { zones: Value::Unknown, ..config() },
        Cluster { zones: zones(Server { host: Value::Unknown, ..server() }), ..config() },
        Cluster {
            parameters: Value::Value([("memory_limit".to_owned(), Value::Unknown)].into()),
            ..config()
        },
        Cluster { name: Value::Unknown, ..config() },
    ];
    for config in unknown {
        let mut diags = Diagnostics::default();
        plan::validate(&config, &mut diags);
        for prior in [None, Some(&state())] {
            let (planned, more) = run(prior, &config);
            assert!(
                diags.errors.is_empty() && more.errors.is_empty(),
                "{config:?}: {diags:?} {more:?}"
            );
            let planned = planned.unwrap();
            assert!(planned.runbook.is_unknown() && planned.impact.is_unknown(), "{config:?}");
        }
    }
}

#[test]
fn each_change_has_its_steps_and_no_change_has_none() {
    let s = state();
    let with = |f: fn(&mut Cluster)| {
        let mut c = config();
        f(&mut c);
        c
    };
    let rows: [(&str, Cluster, Cluster, &str); 12] = [
        ("nothing", s.clone(), config(), ""),
        (
            "a dynamic parameter",
            s.clone(),
            with(|c| c.parameters = Value::Value([("memory_limit".to_owned(), v("4G"))].into())),
            "prove_room use_package set_parameter",
        ),
        (
            "a parameter that needs a restart",
            s.clone(),
            with(|c| {
                c.parameters = Value::Value(
                    [("memory_limit".to_owned(), v("2G")), ("stack_size".to_owned(), v("1M"))]
                        .into(),
                )
            }),
            "place_package begin_restart use_package stop_server start_server end_restart",
        ),
        (
            "another version",
            s.clone(),
            with(|c| c.package = package("1.4.1")),
            "prove_room place_package begin_restart use_package stop_server start_server end_restart",
        ),
        (
            "a password",
            s.clone(),
            with(|c| c.root_password_wo_version = Value::Value(1)),
            "keep_root_password set_root_password",
        ),
        (
            "it was found stopped",
            Cluster { status: v("stopped"), ..s.clone() },
            config(),
            "place_package start_server set_boot",
        ),
        (
            "somebody stopped it by its unit",
            Cluster { status: v("stopped by hand"), ..s.clone() },
            config(),
            "",
        ),
        (
            "its package is lost",
            Cluster { status: v("package lost"), ..s.clone() },
            config(),
            "place_package",
        ),
        (
            "its package is lost, and it gets another one",
            Cluster { status: v("package lost"), ..s.clone() },
            with(|c| c.package = package("1.4.1")),
            "prove_room place_package begin_restart use_package stop_server start_server end_restart",
        ),
        (
            "every user can read its rows",
            Cluster { status: v("exposed"), ..s.clone() },
            config(),
            "close_files",
        ),
        (
            "a restart was cut",
            Cluster { status: v("restarting"), ..s.clone() },
            config(),
            "place_package stop_server start_server end_restart",
        ),
        ("it does not answer", Cluster { status: v("unreachable"), ..s.clone() }, config(), ""),
    ];
    for (name, prior, next, want) in rows {
        assert_eq!(steps(&prior, &next), want, "{name}");
    }
    let kept = run(Some(&s), &config()).0.unwrap();
    assert_eq!(kept, s, "a plan without change keeps every computed value");
}

#[test]
fn a_host_may_get_another_name_or_another_address_but_not_both() {
    let at = |name: &str, address: &str| {
        let host = Connection { name: v(name), address: v(address), ..Connection::default() };
        Cluster { zones: zones(Server { host: Value::Value(host), ..server() }), ..config() }
    };
    for (name, address, refused) in [
        ("h1", "10.0.0.1", false),
        ("renamed", "10.0.0.1", false),
        ("h1", "10.0.0.9", false),
        ("other", "10.0.0.9", true),
    ] {
        let (_, diags) = run(Some(&state()), &at(name, address));
        assert_eq!(!diags.errors.is_empty(), refused, "{name} at {address}: {diags:?}");
    }
    assert_eq!(steps(&state(), &at("renamed", "10.0.0.1")), "", "a name is for people only");
    let moved = run(Some(&state()), &at("h1", "10.0.0.9")).0.unwrap();
    assert!(
        matches!(&moved.id, Value::Value(id) if id.starts_with("ssh://10.0.0.9:")),
        "the id is the way to it: {:?}",
        moved.id
    );
}

#[test]
fn an_imported_object_is_adopted_by_its_first_change_only() {
    let imported = Cluster { creation_id: Value::Null, ..state() };
    assert_eq!(steps(&imported, &config()), "");
    let mut next = config();
    next.parameters = Value::Value([("memory_limit".to_owned(), v("4G"))].into());
    let adopts = "adopt place_package use_package write_account create_account set_boot \
                  close_files end_adopt";
    assert!(steps(&imported, &next).starts_with(adopts), "{}", steps(&imported, &next));
    let cut = |status: &str| Cluster { status: v(status), ..state() };
    assert_eq!(
        steps(&cut("adopting"), &config()),
        adopts,
        "an adoption that was cut is finished, whatever else is asked"
    );
    assert_eq!(
        steps(&cut("adopting, stopped"), &config()),
        adopts.replace("write_account", "start_server write_account"),
        "on a server that is down since"
    );
}

/// The list of steps in the test before is that of an adoption: a step more needs words here.
#[test]
fn the_plan_of_an_adoption_names_all_that_it_changes() {
    let next = config();
    let imported = Cluster { creation_id: Value::Null, ..state() };
    assert!(!plan::adopts(&imported, &run(None, &next).0.unwrap()), "nothing changes");
    assert!(!plan::adopts(&state(), &changed()), "it is ours");
    assert!(plan::adopts(&imported, &changed()));
    let cut = Cluster { status: v("adopting"), ..state() };
    assert!(plan::adopts(&cut, &run(None, &next).0.unwrap()), "an adoption that was cut");

    let desired = plan::desired(&run(None, &next).0.unwrap()).unwrap();
    let says = |facts: &Facts| plan::database(&next).unwrap().adoption(&desired, facts).why;
    let of = |more: &str| Facts {
        pid: Some(1),
        command: format!("/opt/seekdb --port 2881 --base-dir /data/main {more} "),
        ..Facts::default()
    };
    for always in ["/data/main/.ob", "seekdb-1.4.0", "ob_service@127.0.0.1", "with its host"] {
        assert!(says(&of("")).contains(always), "{always}: {}", says(&of("")));
    }
    let (rpc, lost) = ("listens on port 2882", "does not repeat");
    for (more, want, not) in [
        ("", rpc, vec![lost, "closed to other users", "is started"]),
        ("--parameter enable_rpc_service=true", "", vec![rpc, lost]),
        ("--parameter=enable_rpc_service=False", rpc, vec![lost]),
        ("--parameter memory_limit=2048M,rpc_port=2882", rpc, vec![lost]),
        (
            "--parameter memory_limit=3G --parameter syslog_level=WARN",
            "does not repeat memory_limit=3G, syslog_level=WARN",
            vec![],
        ),
    ] {
        let why = says(&of(more));
        assert!(why.contains(want) && !not.iter().any(|w| why.contains(w)), "{more}: {why}");
    }
    let down = says(&Facts { exposed: true, ..Facts::default() });
    assert!(down.contains("closed to other users") && down.contains("is started"), "{down}");
}

fn changed_config() -> Cluster {
    let parameters = Value::Value([("memory_limit".to_owned(), v("4G"))].into());
    Cluster { parameters, ..config() }
}

/// The planned state of [`changed_config`].
fn changed() -> Cluster {
    run(Some(&state()), &changed_config()).0.unwrap()
}

/// What a read, a plan and a destroy say of a stored state; all the same when it is damaged.
fn damage(state: &Cluster) -> Vec<String> {
    let mut destroyed = Diagnostics::default();
    plan::plan_destroy(state, &mut destroyed);
    let planned = run(Some(state), &changed_config()).1;
    let read = plan::found(state).err().map(|p| format!("{}\n{}\n{}", p.what, p.why, p.fix));
    let first = |diags: Diagnostics| {
        diags.errors.first().map(|d| format!("{}\n{}", d.summary, d.detail)).unwrap_or_default()
    };
    [read.unwrap_or_default(), first(planned), first(destroyed)].into()
}

#[test]
fn a_state_that_says_too_little_is_named_as_that() {
    let with = |change: fn(&mut Server)| {
        let mut server = server();
        (server.sql_port, server.rpc_port) = (Value::Value(2881), Value::Value(2882));
        change(&mut server);
        Cluster { zones: zones(server), ..state() }
    };
    assert!(
        damage(&with(|_| {})).iter().all(|said| !said.contains("cannot be used")),
        "a good one"
    );
    for (what, bad) in [
        ("a negative port", with(|s| s.sql_port = Value::Value(-5))),
        ("a port that is none", with(|s| s.rpc_port = Value::Value(70_000))),
        ("no directory", with(|s| s.base_dir = Value::Null)),
        ("a directory that is none", with(|s| s.base_dir = v("data"))),
        ("no host", with(|s| s.host = Value::Null)),
        ("a host without an address", with(|s| s.host = Value::Value(Connection::default()))),
        ("no zones", Cluster { zones: Value::Null, ..state() }),
        ("zones without one", Cluster { zones: Value::Value(BTreeMap::new()), ..state() }),
        (
            "a zone that is null",
            Cluster { zones: Value::Value([("z1".to_owned(), Value::Null)].into()), ..state() },
        ),
        ("no name", Cluster { name: Value::Null, ..state() }),
        ("a name that is none", Cluster { name: v("../x"), ..state() }),
        ("no engine", Cluster { engine: Value::Null, ..state() }),
        ("an unknown engine", Cluster { engine: v("oracle"), ..state() }),
    ] {
        for said in damage(&bad) {
            for word in ["state of an ob_cluster cannot be used", "damaged", "terraform state"] {
                assert!(said.contains(word), "{what}: it does not say {word:?}: {said}");
            }
        }
    }
    // Where it is suffices to look at it and to destroy it, not to change it.
    let bad = Cluster { package: Value::Null, ..state() };
    let said: Vec<_> = damage(&bad).iter().map(|s| s.contains("cannot be used")).collect();
    assert_eq!(said, [false, true, false]);
}

#[test]
fn the_same_files_under_another_archive_are_no_change() {
    let s = state();
    let mut next = config();
    if let Value::Value(p) = &mut next.package {
        (p.id, p.version) = (v("seekdb-x"), v("x"));
    }
    assert_eq!(run(Some(&s), &next).0.unwrap(), s);
}

#[test]
fn what_cannot_change_in_place_is_refused_by_name() {
    let rows: [(&str, fn(&mut Cluster)); 4] = [
        ("the name", |c| c.name = v("other")),
        ("base_dir", |c| c.zones = zones(Server { base_dir: v("/data/other"), ..server() })),
        ("sql_port", |c| c.zones = zones(Server { sql_port: Value::Value(3306), ..server() })),
        ("initialize", |c| c.initialize = Value::Value(false)),
    ];
    for (what, change) in rows {
        let mut next = config();
        change(&mut next);
        let (_, diags) = run(Some(&state()), &next);
        assert!(
            diags.errors.iter().any(|e| e.summary.to_lowercase().starts_with(what)),
            "{what}: {diags:?}"
        );
    }
}

#[test]
fn a_version_that_no_store_takes_and_the_rpc_port_of_1_3_are_refused_with_the_reason() {
    let old = |c: Cluster| Cluster { package: package("1.3.0.post5"), ..c };
    let moved = zones(Server { rpc_port: Value::Value(4000), ..server() });
    let rows = [
        ("another family", Some(state()), old(config()), "cannot move from 1.4 to 1.3"),
        ("another family", Some(old(state())), config(), "cannot move from 1.3 to 1.4"),
        (
            "unknown",
            None,
            Cluster { package: package("1.5.0"), ..config() },
            "\"1.5.0\"; known are",
        ),
        (
            "its RPC port",
            Some(old(state())),
            old(Cluster { zones: moved.clone(), ..config() }),
            "never starts on its store with another RPC port",
        ),
        ("that of 1.4", Some(state()), Cluster { zones: moved, ..config() }, "would drop its data"),
    ];
    for (what, prior, next, why) in rows {
        let (_, diags) = run(prior.as_ref(), &next);
        let said = format!("{:?}", diags.errors);
        assert!(said.contains(&why.replace('"', "\\\"")), "{what}: {said}");
    }
    let mut c = old(config());
    c.parameters = Value::Value([("observer_id".to_owned(), v("2"))].into());
    let mut diags = Diagnostics::default();
    plan::validate(&c, &mut diags);
    assert!(format!("{diags:?}").contains("observer_id cannot be set"), "{diags:?}");
    let wide = |c: Cluster| Cluster {
        parameters: Value::Value([("sql_work_area".to_owned(), v("2G"))].into()),
        ..c
    };
    assert!(steps(&old(state()), &old(wide(config()))).contains("begin_restart"));
    assert!(!steps(&state(), &wide(config())).contains("begin_restart"));
}

#[test]
fn bad_configurations_are_named_all_at_once() {
    let mut c = config();
    c.parameters = Value::Value(
        [
            ("memory_limit".to_owned(), v("512M")),
            ("log_disk_size".to_owned(), v("big")),
            ("data_dir".to_owned(), v("/x")),
            ("rpc_port".to_owned(), v("1")),
        ]
        .into(),
    );
    c.zones = zones(Server { sql_port: Value::Value(2882), ..server() });
    c.root_password_wo = v("x");
    let mut diags = Diagnostics::default();
    plan::validate(&c, &mut diags);
    let found: Vec<_> = diags.errors.iter().map(|e| e.summary.to_string()).collect();
    for want in [
        "memory_limit = \"512M\" is too small",
        "log_disk_size = \"big\" is no size",
        "arameter data_dir cannot be set",
        "arameter rpc_port is set by this provider",
        "are the same",
        "belong together",
    ] {
        assert!(found.iter().any(|f| f.contains(want)), "{want} in {found:?}");
    }
    assert_eq!(found.len(), 6);
}

#[test]
fn a_destroy_that_would_lose_rows_needs_both_consents() {
    let s = state();
    let off = Cluster { deletion_protection: Value::Value(false), ..s.clone() };
    let named = Cluster { allow_data_loss: Value::Value([v("main")].into()), ..off.clone() };
    let other = Cluster { allow_data_loss: Value::Value([v("other")].into()), ..off.clone() };
    let member = Cluster { initialize: Value::Value(false), ..off.clone() };
    let empty = Cluster { status: v("installed"), ..member.clone() };
    for (name, state, errors) in [
        ("protected", &s, 2),
        ("not named", &off, 1),
        ("another named", &other, 1),
        ("named", &named, 0),
        ("holds no data", &empty, 0),
        ("has a group's rows", &member, 1),
    ] {
        let mut diags = Diagnostics::default();
        plan::plan_destroy(state, &mut diags);
        assert_eq!(diags.errors.len(), errors, "{name}: {diags:?}");
        assert_eq!(diags.warnings.len(), 1, "{name}: the steps are listed");
    }
    assert!(texts(&named.allow_data_loss).contains("main"));
}

/// [`config`] with another way to its host.
fn by(change: impl FnOnce(&mut Connection)) -> Cluster {
    let mut host = Connection { name: v("h1"), address: v("10.0.0.1"), ..Connection::default() };
    change(&mut host);
    let server = Server { host: Value::Value(host), base_dir: v("/no/such/dir"), ..server() };
    Cluster { zones: zones(server), ..config() }
}

#[tokio::test]
async fn a_way_that_is_shut_is_a_status_and_the_way_to_another_machine_is_refused_by_name() {
    use super::read;
    let doors = crate::resource::testing::Doors::new();
    let cx = doors.reader();
    let made = |config: Cluster| Cluster { zones: config.zones, ..state() };
    let shut: [fn(&mut Connection); 4] = [
        |h| h.host_key = v("wrong"),
        |h| h.user = v("stranger"),
        |h| h.identity = v("lost"),
        |h| h.address = v("10.0.0.9"),
    ];
    for change in shut {
        let found = read::read(&cx, made(by(change))).await.unwrap();
        let state = found.state.unwrap();
        assert_eq!(set_text(&state.status), Some("unreachable"));
        assert_eq!((found.warnings.len(), doors.entered()), (1, 0), "nothing was sent");
        // The corrected way may find any status.
        let planned = run(Some(&state), &by(|_| {})).0.unwrap();
        assert!(planned.status.is_unknown(), "{planned:?}");
        // The other way round it is refused before it gets into the state.
        let prior = made(by(|_| {}));
        let problem = read::by_the_way_of(&cx, &prior, &made(by(change))).await.unwrap_err();
        assert!(problem.unseen(), "{problem}");
    }
    let prior = made(by(|h| h.address = v("10.0.0.2")));
    let problem = read::by_the_way_of(&cx, &prior, &made(by(|_| {}))).await.unwrap_err();
    assert!(problem.what.contains("not on the host that is configured for it now"), "{problem}");
    assert!(problem.fix.starts_with("check address") && !problem.fix.contains("ob gone"));
    assert!(problem.kind == crate::base::Kind::Refused && problem.place.contains("10.0.0.1"));
    // By the same way it is what a plan says of it.
    let problem = read::by_the_way_of(&cx, &prior, &prior).await.unwrap_err();
    assert!(problem.what.contains("knows nothing of it"), "{problem}");
    assert!(problem.fix.starts_with("check the address"), "{problem}");
}

#[test]
fn an_apply_gives_back_what_was_planned_whatever_it_finds() {
    let planned = Cluster { status: v("unreachable"), build: Value::Unknown, ..state() };
    let found = Cluster { status: v("running"), build: v("new"), creation_id: v("x"), ..state() };
    let kept = super::merge(&planned, found);
    assert_eq!((set_text(&kept.status), set_text(&kept.build)), (Some("unreachable"), Some("new")));
    assert_eq!(kept.creation_id, planned.creation_id);
}
