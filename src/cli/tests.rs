//! Tables for the command line, for what commands print, and for runbooks of recorded plans. Tests
//! with real hosts are in `acceptance-tests`.
use super::journal;
use super::reach::{endpoint, told_apart};
use super::*;
use crate::base::{Directory, ObjectName};
use crate::engine::Host;
use crate::engine::history::{StepState, record};
use crate::engine::journal::{Entry, Event, FORMAT, Line};
use crate::engine::{Engine, Key, Node, Port};
use crate::operate::Kit;
use crate::operate::history::{State, find, merge, unfinished};
use crate::operate::inventory::{Gate, Object, Survey};
use crate::transport::Endpoint;
use serde_json::{Value as Json, json};

fn host(name: &str) -> Host {
    Host { endpoint: reach::endpoint(&format!("root@{name}")).unwrap(), run_as: String::new() }
}

#[test]
fn the_command_line_is_read() {
    <Cli as clap::CommandFactory>::command().debug_assert();
    for (line, good) in [
        ("ob operation list --host root@h", true),
        ("ob operation show 01K --state terraform.tfstate --json", true),
        ("ob operation abandon 01K --group kit.json --allow-data-loss a --yes", true),
        ("ob watch", true),
        ("ob watch 01K --host h --identity prod=/k --identity /k2 --accept-new --as admin", true),
        ("ob runbook plan.json", true),
        ("ob runbook", false),
        ("ob switchover --group kit.json --runbook", true),
        ("ob switchover --group kit.json --to b", true),
        ("ob switchover --to b", false),
        ("ob failover --group kit.json --to b --epoch 3 --max-loss 30s --accept-unfenced", true),
        ("ob failover --group kit.json --to b", false),
        ("ob failover --group kit.json --to b --epoch 3 --max-loss soon", false),
        ("ob start --group kit.json", true),
        ("ob stop --group kit.json", false),
        ("ob stop --group kit.json a --yes", true),
        ("ob status --group kit.json --json", true),
        ("ob kit --state s --out kit.json", true),
        ("ob standby diff --group kit.json --member a --aside epoch-2", true),
        ("ob doctor --host h", true),
        ("ob watch --wait --quiet 3s --host h", true),
        ("ob watch --quiet soon --host h", false),
        ("ob aside list --group kit.json", true),
        ("ob aside remove /data/a epoch-1 --host h --yes", true),
        ("ob aside remove /data/a --host h", false),
        ("ob completion bash", true),
        ("ob completion cmd", false),
        ("ob sudoers --user deploy --run-as ob", true),
        ("ob sudoers --user deploy --narrow", true),
        ("ob sudoers --narrow", false),
        ("ob schema write --check", true),
        ("ob frobnicate", false),
    ] {
        assert_eq!(Cli::try_parse_from(line.split(' ')).is_ok(), good, "{line}");
    }
}

#[test]
fn hosts_of_one_name_are_told_apart_by_their_addresses() {
    let host = |name: &str, at: &str| {
        let endpoint = Endpoint { name: name.into(), ..endpoint(at).unwrap() };
        Host { endpoint, run_as: String::new() }
    };
    let hosts = vec![host("db", "h1"), host("db", "h2:2222"), host("other", "h3")];
    let names: Vec<_> = told_apart(hosts).into_iter().map(|h| h.endpoint.name).collect();
    assert_eq!(names, ["db (h1:22)", "db (h2:2222)", "other"]);
}

#[test]
fn a_state_says_which_directories_of_a_host_have_a_database() {
    let server =
        json!({"host": {"name": "a", "address": "10.0.0.1", "port": null}, "base_dir": "/data/a"});
    let state = json!({"version": 4, "resources": [{"type": "ob_cluster", "instances": [
        {"attributes": {"zones": {"z1": {"servers": {"s1": server}}}}}
    ]}]});
    for (at, directory, want) in [
        (("10.0.0.1", 22), "/data/a", true),
        (("10.0.0.1", 22), "/data/b", false),
        (("10.0.0.1", 2222), "/data/a", false),
        (("10.0.0.2", 22), "/data/a", false),
    ] {
        assert_eq!(state_file::has_database(&state, at, directory), want, "{at:?} {directory}");
    }
}

#[test]
fn before_it_asks_a_command_shows_titles_and_with_a_flag_what_each_step_runs() {
    let part = runbook::parts(&plan()).unwrap().remove(0);
    let titles = steps::titles(&part.steps);
    assert_eq!(titles.lines().count(), part.steps.len(), "{titles}");
    for (line, step) in titles.lines().zip(&part.steps) {
        assert!(line.contains(&format!("{}  {}", step.number, step.title)), "{line}");
    }
    let all = steps::show(&part.steps);
    assert!(all.lines().count() > 2 * part.steps.len());
    assert!(titles.lines().all(|line| all.contains(line)));
}

#[test]
fn hosts_are_read_as_people_write_them() {
    for (text, want) in [
        ("root@10.0.0.1", Some(("root", "10.0.0.1", 22))),
        ("h1:2222", Some(("", "h1", 2222))),
        ("a@b@h1", Some(("a@b", "h1", 22))),
        ("u@[fd00::1]:2200", Some(("u", "fd00::1", 2200))),
        ("fd00::1", Some(("", "fd00::1", 22))),
        ("[fd00::1", None),
        ("u@", None),
        ("h:port", None),
        ("-oProxyCommand=x", None),
    ] {
        let got = reach::endpoint(text).ok();
        assert_eq!(got.as_ref().map(|e| (e.user.as_str(), &*e.address, e.port)), want, "{text}");
    }
}

#[test]
fn every_way_to_end_has_its_own_exit_status() {
    let codes: std::collections::BTreeSet<_> =
        [End::Done, End::Failed, End::Pending, End::Locked, End::Refused]
            .iter()
            .map(|e| format!("{:?}", ExitCode::from(*e)))
            .collect();
    assert_eq!(codes.len(), 5);
    let out = Out::default();
    for (problem, end) in [
        (Problem::user("x"), End::Failed),
        (Problem::refused("x"), End::Refused),
        (Problem::new(crate::base::Kind::Locked, "x"), End::Locked),
    ] {
        assert_eq!(out.fail(&problem), end);
    }
    assert_eq!(out.confirm("g", true), Ok(()));
}

const ID: &str = "01KAB4AAAAAAAAAAAAAAAAAAAA";

fn line(at: i64, event: Event, step: usize, titles: &[&str], note: &str) -> Line {
    let text = |s: &str| s.to_owned();
    Line {
        at,
        entry: Entry {
            v: FORMAT,
            op: ID.into(),
            event,
            step,
            of: 3,
            kind: String::new(),
            title: "switch over standby.g".into(),
            lease: 41,
            who: "ci-runner-3".into(),
            authority: "o".into(),
            epoch: 1,
            engine: None,
            nodes: Vec::new(),
            object: String::new(),
            titles: titles.iter().map(|t| text(t)).collect(),
            note: note.into(),
        },
    }
}

fn survey(name: &str, object: &str, now: i64, live: bool, lines: &[Line]) -> Survey {
    let gate = Gate { number: 41, live, who: "ci-runner-3".into(), holder: ID.into() };
    let key = Key::parse(object).unwrap();
    let object_ =
        Object { key: key.clone(), gate, home: None, mark: None, mark_damaged: false, group: None };
    Survey {
        host: host(name),
        now,
        objects: vec![object_],
        records: record(&key, &titled(object, lines), 0).into_iter().collect(),
    }
}

/// The same lines, about this object.
fn titled(object: &str, lines: &[Line]) -> Vec<Line> {
    let of =
        |l: &Line| Line { entry: Entry { object: object.into(), ..l.entry.clone() }, ..l.clone() };
    lines.iter().map(of).collect()
}

const TITLES: [&str; 3] = [
    "fence \"a\" on h1",
    "open \"b\" on h2 for writes",
    "start seekdb \"a\" on h1 as standby of h2:2882",
];

#[test]
fn an_operation_is_put_together_from_the_journals_of_all_its_hosts() {
    let one = [
        line(100, Event::Open, 0, &TITLES, ""),
        line(101, Event::Begin, 1, &[], ""),
        line(103, Event::End, 1, &[], ""),
    ];
    let two = [line(100, Event::Open, 0, &TITLES, ""), line(103, Event::Begin, 2, &[], "")];
    let running = merge(&[
        survey("h1", "cluster.a", 292, true, &one),
        survey("h2", "standby.g", 292, true, &two),
    ]);
    assert_eq!(
        journal::show(&running[0]),
        "switch over standby.g   running 3m12s (from 1970-01-01 00:01:40 UTC)   step 2 of 3   lease #41 held by ci-runner-3\n  done      fence \"a\" on h1                                2s\n  running   open \"b\" on h2 for writes                      3m09s\n  next      start seekdb \"a\" on h1 as standby of h2:2882"
    );
    let cut = merge(&[
        survey("h1", "cluster.a", 292, false, &one),
        survey("h2", "standby.g", 292, false, &two),
    ]);
    assert_eq!((cut[0].state, cut[0].objects.len()), (State::CutOff, 2));
    assert!(
        journal::show(&cut[0]).contains("cut off   open \"b\"")
            && journal::show(&cut[0]).contains("ob operation abandon"),
        "{}",
        journal::show(&cut[0])
    );
    let ended =
        [&two[..], &[line(110, Event::End, 2, &[], ""), line(111, Event::Close, 0, &[], "done")]]
            .concat();
    let done = merge(&[
        survey("h1", "cluster.a", 300, false, &one),
        survey("h2", "standby.g", 300, false, &ended),
    ]);
    assert_eq!(done[0].state, State::Done);
    let list = journal::list(&[&done[0]]);
    assert!(list.contains("2/3") && list.contains("1970-01-01 00:01:40 UTC"), "{list}");
    assert!(find(&done, "01kab4").is_ok() && find(&done, "zz").is_err());
}

#[test]
fn an_operation_is_unfinished_until_a_later_one_on_its_object_ended_well() {
    let of = |state: State, started: i64, object: &str| {
        let mut whole = merge(&[survey(
            "h1",
            object,
            300,
            false,
            &[line(started, Event::Open, 0, &TITLES, ""), line(started, Event::Begin, 1, &[], "")],
        )])
        .remove(0);
        (whole.state, whole.started) = (state, started);
        whole
    };
    for (all, want) in [
        (vec![of(State::Done, 1, "cluster.a")], vec![]),
        (vec![of(State::Abandoned, 1, "cluster.a")], vec![]),
        (vec![of(State::Running, 1, "cluster.a")], vec![1]),
        (vec![of(State::CutOff, 1, "cluster.a")], vec![1]),
        (vec![of(State::Stopped, 1, "cluster.a")], vec![1]),
        (vec![of(State::Stopped, 1, "cluster.a"), of(State::Stopped, 2, "cluster.a")], vec![1, 2]),
        (vec![of(State::Stopped, 1, "cluster.a"), of(State::Done, 2, "cluster.b")], vec![1]),
        (
            vec![
                of(State::CutOff, 1, "cluster.a"),
                of(State::Stopped, 2, "cluster.a"),
                of(State::Done, 3, "cluster.a"),
            ],
            vec![],
        ),
        (
            vec![
                of(State::Stopped, 1, "cluster.a"),
                of(State::Abandoned, 2, "cluster.a"),
                of(State::CutOff, 3, "cluster.a"),
            ],
            vec![3],
        ),
    ] {
        let got: Vec<_> = unfinished(&all).iter().map(|w| w.started).collect();
        assert_eq!(got, want, "{:?}", all.iter().map(|w| (w.state, w.started)).collect::<Vec<_>>());
    }
    // One that stopped before its first effect left nothing to finish; one that was cut there can
    // still be running on a host that was not asked.
    for (state, open) in [(State::Stopped, false), (State::CutOff, true)] {
        let mut all = vec![of(state, 1, "cluster.a")];
        all[0].steps[0].state = StepState::Skipped;
        assert_eq!(!unfinished(&all).is_empty(), open, "{state:?}");
    }
}

/// An operation that was cut before it made anything could not be given up: it stayed open.
#[tokio::test]
async fn an_operation_that_claimed_nothing_is_closed_by_giving_it_up() {
    use crate::transport::{Pool, SshConfig};
    let cancel = CancellationToken::new();
    let pool = Pool::new(SshConfig::default(), cancel.clone());
    let cx = crate::engine::Cx::new(pool, cancel, std::collections::BTreeMap::new());
    let open = line(1, Event::Open, 0, &TITLES, "");
    let begun = line(2, Event::Begin, 1, &[], "");
    let failed = line(3, Event::Fail, 1, &[], "");
    let stopped = line(4, Event::Stop, 0, &[], "it was refused");
    let (cut, tried) = (vec![open.clone()], vec![open, begun, failed, stopped]);
    for (what, object, lines, home, closes) in [
        ("cut before its first effect", "cluster.a", &cut, None, true),
        ("of a group", "group-g", &cut, None, true),
        ("its first effect failed", "cluster.a", &tried, None, true),
        ("something lies there", "cluster.a", &tried, Some("/data/a".to_owned()), false),
        ("of a group whose effect began", "group-g", &tried, None, false),
    ] {
        let mut survey = survey("h1", object, 300, false, lines);
        survey.objects[0].home = home;
        let whole = merge(std::slice::from_ref(&survey)).remove(0);
        let pieces = crate::operate::abandon::pieces(&cx, &[survey], &whole, &[]).await;
        assert_eq!(pieces.is_ok(), closes, "{what}: {pieces:?}");
        assert!(pieces.is_err() || pieces.is_ok_and(|p| p.len() == 1), "{what}");
    }
}

#[test]
fn every_shell_completes_every_command() {
    use clap::ValueEnum;
    for shell in clap_complete::Shell::value_variants() {
        let script = completion::script(*shell);
        for command in <Cli as clap::CommandFactory>::command().get_subcommands() {
            assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
        }
        assert_eq!(crate::base::visible(&script), script, "{shell}: nothing in it is escaped");
    }
}

fn plan() -> Json {
    serde_json::from_str(include_str!("fixtures/plan.json")).unwrap()
}

#[test]
fn the_runbook_of_a_recorded_plan_is_the_graph_that_apply_runs() {
    let parts = runbook::parts(&plan()).unwrap();
    let seen: Vec<_> = parts
        .iter()
        .map(|p| (p.address.as_str(), p.action.as_str(), p.unknown, p.steps.len()))
        .collect();
    assert_eq!(
        seen,
        [
            ("ob_cluster.a", "create", false, 15),
            ("ob_cluster.b", "create", false, 5),
            ("ob_standby.g", "create", false, 12)
        ],
        "objects of other providers are passed over"
    );
    let group = &parts[2].steps;
    let first = group[1].program.as_ref().unwrap();
    assert_eq!((first.name.as_str(), first.sha256.len()), ("put_note.sh", 64));
    assert_eq!(first.arguments[..2], ["/data/a", "group"]);
    let note = &first.arguments[2];
    assert!(note.contains("\"epoch\":1") && note.contains("\"primary\":\"a\""), "{note}");
    assert!(note.contains("\"authority\":<owner>"), "values of the run by name: {note}");
    assert!(
        group.iter().any(|s| s.effects.iter().any(|e| e == "ALTER SYSTEM MINOR FREEZE")),
        "{group:#?}"
    );
    assert!(group.iter().zip(1..).all(|(s, n)| s.number == n && s.after.iter().all(|a| *a < n)));
}

fn change<'a>(plan: &'a mut Json, address: &str) -> &'a mut Json {
    plan["resource_changes"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|c| c["address"] == address)
        .map(|c| &mut c["change"])
        .unwrap()
}

#[test]
fn an_input_that_only_apply_knows_makes_the_steps_unknown() {
    for (what, path) in [
        ("a base_dir", "/zones/z1/servers/s1/base_dir"),
        ("an address", "/zones/z1/servers/s1/host/address"),
        ("a parameter", "/parameters/memory_limit"),
        ("all parameters", "/parameters"),
        ("the package", "/package"),
    ] {
        let mut plan = plan();
        let body = change(&mut plan, "ob_cluster.a");
        let (above, name) = path.rsplit_once('/').unwrap();
        body["after"].pointer_mut(above).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        body["after_unknown"].pointer_mut(above).unwrap()[name] = json!(true);
        let parts = runbook::parts(&plan).unwrap();
        assert!(parts[0].unknown && parts[0].steps.is_empty(), "{what}");
        assert!(!parts[1].unknown, "{what}: the other object is known");
    }
}

#[test]
fn a_change_a_destroy_and_a_refusal_have_their_runbooks() {
    let mut plan = plan();
    let body = change(&mut plan, "ob_cluster.a");
    let mut before = body["after"].clone();
    (before["status"], before["creation_id"]) = (json!("running"), json!("01K"));
    (body["before"], body["actions"]) = (before.clone(), json!(["update"]));
    body["after"]["parameters"]["memory_limit"] = json!("s3cret-size");
    body["after_sensitive"]["parameters"] = json!({ "memory_limit": true });
    let body = change(&mut plan, "ob_cluster.b");
    (body["before"], body["after"], body["actions"]) = (before, Json::Null, json!(["delete"]));
    let body = change(&mut plan, "ob_standby.g");
    let mut before = body["after"].clone();
    (before["epoch"], before["noted_primary"], before["current_primary"]) =
        (json!(1), json!("a"), json!(""));
    before["member_status"] = json!({ "a": "unreachable", "b": "standby" });
    (body["before"], body["actions"]) = (before, json!(["update"]));
    body["after"]["primary"] = json!("b");
    let parts = runbook::parts(&plan).unwrap();
    let text = serde_json::to_string(&parts).unwrap();
    assert!(
        !text.contains("s3cret-size") && text.contains("<parameters.memory_limit>"),
        "a sensitive value is a name: {text}"
    );
    assert!(
        parts[0].address == "ob_cluster.b"
            && parts[0].steps.iter().any(|s| s.irreversible && s.impact == ["data loss"]),
        "what is destroyed comes first: {:#?}",
        parts[0]
    );
    assert!(
        parts[2].refused.as_ref().is_some_and(|r| r.contains("failover = { epoch = 1")),
        "{:#?}",
        parts[2]
    );
}

#[test]
fn the_bastion_is_the_command_lines_else_the_kits() {
    let kit = reach::Way {
        users: [("lab".to_owned(), "admin".to_owned())].into(),
        bastion: vec![reach::endpoint("jump@kit:2200").unwrap()],
        known_hosts: vec!["[kit]:2200 ssh-ed25519 AAAA".to_owned()],
    };
    let own = |bastion: &[&str]| reach::Ssh {
        user: Some("me".into()),
        bastion: bastion.iter().map(|b| (*b).to_owned()).collect(),
        ..reach::Ssh::default()
    };
    for (what, given, way, want) in [
        ("none", &[][..], reach::Way::default(), &[][..]),
        ("the kit's", &[], kit.clone(), &[("jump", "kit", 2200)]),
        ("another", &["a", "x@b:1"], kit, &[("me", "a", 22), ("x", "b", 1)]),
    ] {
        let config = own(given).config(&way).unwrap();
        let got: Vec<_> =
            config.bastion.iter().map(|e| (e.user.as_str(), &*e.address, e.port)).collect();
        assert_eq!(got, want, "{what}");
        assert_eq!(config.known_hosts_lines, way.known_hosts, "{what}");
        assert!(config.bastion.iter().all(|e| config.identities.contains_key(&e.identity)));
    }
    assert!(own(&["-oProxyCommand=x"]).config(&reach::Way::default()).is_err());
}

/// `ob` logs in by the same variables as the provider.
#[test]
fn the_identity_is_the_command_lines_else_the_environments_else_ones_own() {
    let env = |all: &'static [(&str, &str)]| {
        move |name: &str| all.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    };
    let key: &[_] = &[("OB_SSH_PRIVATE_KEY_FILE", "/key"), ("OB_SSH_KNOWN_HOSTS_FILE", "/kh")];
    let own = reach::Ssh::default();
    let config = own.config_in(&reach::Way::default(), &env(key)).unwrap();
    let used = format!("{:?}", config.identities.values().next().unwrap().key);
    assert!(used.contains("\"/key\"") && config.identities.len() == 1, "{used}");
    assert_eq!(config.known_hosts_files, [std::path::PathBuf::from("/kh")]);
    let given = reach::Ssh { identity: vec!["/dev/null".into()], ..reach::Ssh::default() };
    assert!(given.config_in(&reach::Way::default(), &env(key)).is_err(), "it is no key file");
    let config = own.config_in(&reach::Way::default(), &env(&[])).unwrap();
    let used = format!("{:?}", config.identities.values().next().unwrap().key);
    assert!(used.contains("Own"), "{used}");
    let bad = own.config_in(&reach::Way::default(), &env(&[("OB_SSH_AGENT", "perhaps")]));
    assert!(bad.unwrap_err().what.contains("OB_SSH_AGENT"));
}

/// Two members on one machine, and two machines of one name, are planned like any other group.
#[test]
fn members_on_one_machine_and_hosts_of_one_name_are_planned() {
    for (what, name, address, directory, port) in [
        ("one machine", "h1", None, "/data/other", 3881),
        ("one name", "h1", Some("10.9.9.9"), "/data/b", 2881),
    ] {
        let mut plan = plan();
        let members = &mut change(&mut plan, "ob_standby.g")["after"]["members"];
        let first = members["a"]["instance"]["host"]["address"].clone();
        let b = &mut members["b"]["instance"];
        (b["host"]["name"], b["host"]["port"]) = (json!(name), json!(1));
        b["host"]["address"] = address.map_or(first, Json::from);
        (b["base_dir"], b["sql_port"], b["rpc_port"]) =
            (json!(directory), json!(port), json!(port + 1));
        let parts = runbook::parts(&plan).unwrap();
        let group = parts.iter().find(|p| p.address == "ob_standby.g").unwrap();
        assert_eq!((group.steps.len(), &group.refused), (12, &None), "{what}");
    }
}

#[test]
fn a_kit_survives_its_file_and_refuses_what_it_cannot_use() {
    let name = |n: &str| ObjectName::parse(n).unwrap();
    let directory = Directory::parse("/data/a").unwrap();
    let ports = [(Port::Sql, 2881), (Port::Rpc, 2882)];
    let instance = Node::new(name("a"), host("h1"), directory, ports);
    let kit = Kit {
        format: FORMAT,
        engine: Engine::Seekdb,
        group: name("g"),
        owner: "o".into(),
        members: [("a".to_owned(), instance)].into(),
        packages: [("a".to_owned(), "p".to_owned())].into(),
        users: [("lab".to_owned(), "root".to_owned())].into(),
        bastion: vec![reach::endpoint("jump@b:2200").unwrap()],
        known_hosts: vec!["[b]:2200 ssh-ed25519 AAAA".to_owned()],
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kit.json");
    let good = serde_json::to_value(&kit).unwrap();
    for (what, pointer, value, ok) in [
        ("as written", "/format", json!(FORMAT), true),
        ("of a later format", "/format", json!(9), false),
        ("a name that would be a path", "/group", json!("../x"), false),
        ("no members", "/members", Json::Null, false),
    ] {
        let mut json = good.clone();
        *json.pointer_mut(pointer).unwrap() = value;
        std::fs::write(&file, json.to_string()).unwrap();
        assert_eq!(state_file::kit(&file).is_ok(), ok, "{what}");
    }
    std::fs::write(&file, good.to_string()).unwrap();
    assert_eq!(state_file::kit(&file).unwrap(), kit);
    assert!(state_file::kit(&dir.path().join("none")).unwrap_err().fix.contains("ob kit"));
}

#[test]
fn hosts_and_groups_are_found_in_a_state() {
    let plan = plan();
    let of = |address: &str| {
        plan["resource_changes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["address"] == address)
            .unwrap()["change"]["after"]
            .clone()
    };
    let resource = |kind: &str, attributes: Json| json!({ "mode": "managed", "type": kind, "name": "x", "instances": [{ "attributes": attributes }] });
    let state = json!({ "version": 4, "resources": [resource("ob_cluster", of("ob_cluster.a")), resource("ob_standby", of("ob_standby.g")), resource("other_host", json!({ "name": "no", "address": "no", "port": 1, "user": null, "identity": null, "host_key": null }))] });
    let hosts: Vec<_> = state_file::hosts(&state).into_iter().map(|h| h.endpoint.name).collect();
    assert_eq!(hosts, ["h1", "h2"]);
    let groups = state_file::groups(&state);
    assert_eq!(
        crate::resource::ob_standby::want(&groups[0]).unwrap().members.keys().collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn written_schemas_and_pages_are_those_of_this_program() {
    let registry = crate::provider::registry(std::sync::Arc::new(|ssh, cancel| {
        crate::transport::Pool::new(ssh, cancel)
    }));
    let document = crate::provider::schema_document(&registry);
    let pages = pages::pages(&document, &|path| {
        path.ends_with("ob_cluster/import.sh")
            .then(|| "terraform import ob_cluster.a ssh://h/data/a".to_owned())
    });
    let page = &pages["docs/resources/cluster.md"];
    for part in [
        "page_title: \"ob_cluster Resource - ob\"",
        "# ob_cluster (Resource)",
        "### Required",
        "### Read-Only",
        "<a id=\"nestedatt--zones--servers--host\"></a>\n\
         ### Nested Schema for `zones.servers.host`",
        "## Import",
        "[Write-only]",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(
        page.matches("(see [below for nested schema](#nestedatt--").count(),
        page.matches("<a id=\"nestedatt--").count(),
        "each link has its anchor"
    );
    let provider: Json =
        serde_json::from_str(&schema::schemas(&document)["schemas/provider.json"]).unwrap();
    let host = &provider["provider_schemas"][crate::provider::ADDRESS]["resource_schemas"]["ob_cluster"]
        ["block"]["attributes"]["zones"]["nested_type"];
    assert_eq!(
        (&host["nesting_mode"], &host["attributes"]["servers"]["required"]),
        (&json!("map"), &json!(true))
    );
}

#[test]
fn tables_are_plain_and_aligned() {
    assert_eq!(
        output::table(&[
            vec!["A".into(), "B".into()],
            vec!["long".into(), String::new()],
            vec!["ä".into(), "x".into()]
        ]),
        "A      B\nlong\nä      x"
    );
}
