//! Plans as tables.
use super::*;
use crate::schema::Value as V;
use serde_json::json;

fn config(change: impl FnOnce(&mut HostState)) -> HostState {
    let mut state = HostState {
        name: V::Value("h".into()),
        address: V::Value("10.0.0.1".into()),
        ..HostState::default()
    };
    change(&mut state);
    state
}

fn prepare(json: serde_json::Value) -> V<Prepare> {
    V::Value(serde_json::from_value(json).unwrap())
}

fn small() -> V<Prepare> {
    prepare(json!({
        "user": {"name": "svc", "uid": null, "home": null},
        "directories": {"/data/1": {"owner": null, "mode": null}},
        "limits": null, "sysctl": null, "transparent_hugepage": null, "clock": null
    }))
}

/// The state that an apply leaves.
fn applied(config: &HostState) -> HostState {
    let mut diags = Diagnostics::default();
    let mut s =
        ObHost.plan(PlanInput { prior: None, config, proposed: config }, &mut diags).unwrap().state;
    assert!(diags.errors.is_empty());
    (s.os, s.kernel, s.arch, s.status) = (
        V::Value("os".into()),
        V::Value("k".into()),
        V::Value("x86_64".into()),
        V::Value("ready".into()),
    );
    (s.cores, s.memory_bytes, s.disks, s.devices) =
        (V::Value(2), V::Value(4), V::Value([].into()), V::Value([].into()));
    if s.creation_id.is_unknown() {
        s.creation_id = V::Value("C".into());
    }
    s
}

fn replan(prior: &HostState, config: &HostState) -> (Option<HostState>, Vec<String>) {
    let words = |s: &HostState| {
        (
            s.name.clone(),
            s.address.clone(),
            s.port,
            s.region.clone(),
            s.prepare.clone(),
            s.host_key.clone(),
        )
    };
    let mut proposed = prior.clone();
    (
        proposed.name,
        proposed.address,
        proposed.port,
        proposed.region,
        proposed.prepare,
        proposed.host_key,
    ) = words(config);
    let mut diags = Diagnostics::default();
    let planned =
        ObHost.plan(PlanInput { prior: Some(prior), config, proposed: &proposed }, &mut diags);
    (planned.map(|p| p.state), diags.errors.iter().map(|e| e.summary.to_string()).collect())
}

#[test]
fn the_connection_is_known_at_plan_from_the_configuration_alone() {
    let c = config(|s| s.identity = V::Value("prod".into()));
    let s = ObHost
        .plan(PlanInput { prior: None, config: &c, proposed: &c }, &mut Diagnostics::default())
        .unwrap()
        .state;
    let endpoint = s.endpoint.as_ref_option().and_then(|c| c.endpoint()).unwrap();
    assert_eq!(
        (&*endpoint.address, endpoint.port, endpoint.identity.as_str()),
        ("10.0.0.1", 22, "prod")
    );
    assert_eq!(s.id, V::Value("ssh://10.0.0.1:22/h?identity=prod".into()));
    assert_eq!(
        (s.creation_id, s.runbook),
        (V::Null, V::Null),
        "nothing is done on a host without prepare"
    );
    let c = config(|s| s.address = V::Unknown);
    let s = ObHost
        .plan(PlanInput { prior: None, config: &c, proposed: &c }, &mut Diagnostics::default())
        .unwrap()
        .state;
    assert!(
        s.id.is_unknown()
            && s.endpoint
                .as_ref_option()
                .is_some_and(|c| c.address.is_unknown() && c.name.is_value()),
        "what is known stays known"
    );
}

#[test]
fn the_plan_says_in_one_line_what_will_be_done() {
    let bare = applied(&config(|_| {}));
    let made = applied(&config(|s| s.prepare = small()));
    assert_eq!(made.runbook, V::Value("prepare host \"h\": 4 steps".into()));
    let with = |p: V<Prepare>| config(|s| s.prepare = p);
    for (name, prior, next, line, creation) in [
        ("prepared later", &bare, with(small()), "prepare host \"h\": 4 steps", V::Unknown),
        (
            "no longer prepared",
            &made,
            config(|_| {}),
            "undo the preparation of host \"h\": 4 steps",
            V::Null,
        ),
        (
            "one part more",
            &made,
            with(prepare(json!({
                "user": {"name": "svc", "uid": null, "home": null},
                "directories": {"/data/1": {"owner": null, "mode": null}},
                "limits": null, "sysctl": null, "transparent_hugepage": "never", "clock": null
            }))),
            "change host \"h\": 3 steps",
            V::Value("C".into()),
        ),
        (
            "moved",
            &made,
            config(|s| (s.prepare, s.address) = (small(), V::Value("10.0.0.2".into()))),
            "change host \"h\": 2 steps",
            V::Value("C".into()),
        ),
    ] {
        let (planned, errors) = replan(prior, &next);
        let planned = planned.unwrap();
        assert_eq!(
            (planned.runbook, planned.creation_id, errors.len()),
            (V::Value(format!("#2 {line}")), creation, 0),
            "{name}"
        );
        assert!(planned.status.is_unknown(), "{name}");
    }
}

#[test]
fn what_changes_nothing_on_the_host_plans_no_steps() {
    let made = applied(&config(|s| s.prepare = small()));
    for (name, next) in [
        ("nothing", config(|s| s.prepare = small())),
        ("a region", config(|s| (s.prepare, s.region) = (small(), V::Value("r".into())))),
        (
            "a host key",
            config(|s| (s.prepare, s.host_key) = (small(), V::Value("ssh-ed25519 A".into()))),
        ),
    ] {
        let planned = replan(&made, &next).0.unwrap();
        assert_eq!((&planned.runbook, &planned.status), (&made.runbook, &made.status), "{name}");
    }
    let off = HostState { status: V::Value("unreachable".into()), ..made.clone() };
    assert_eq!(
        replan(&off, &config(|s| s.prepare = small())).0,
        Some(off.clone()),
        "a host that is off plans no change by itself"
    );
    let drifted = HostState {
        drift: V::Value([("user".to_owned(), V::Value("it is gone".to_owned()))].into()),
        ..made
    };
    let planned = replan(&drifted, &config(|s| s.prepare = small())).0.unwrap();
    assert_eq!(
        (planned.drift, planned.runbook),
        (V::Value([].into()), V::Value("#2 change host \"h\": 3 steps".into())),
        "drift is corrected by the next apply"
    );
}

#[test]
fn a_prepared_host_keeps_its_name() {
    let made = applied(&config(|s| s.prepare = small()));
    let (planned, errors) =
        replan(&made, &config(|s| (s.prepare, s.name) = (small(), V::Value("other".into()))));
    assert!(planned.is_none() && errors[0].contains("name of a prepared host"), "{errors:?}");
    assert!(
        replan(&applied(&config(|_| {})), &config(|s| s.name = V::Value("other".into())))
            .1
            .is_empty()
    );
}

#[test]
fn unknown_input_is_no_error() {
    let c = config(|s| s.prepare = V::Unknown);
    let mut diags = Diagnostics::default();
    ObHost.validate(&c, &mut diags);
    let s =
        ObHost.plan(PlanInput { prior: None, config: &c, proposed: &c }, &mut diags).unwrap().state;
    assert!(diags.errors.is_empty() && s.runbook.is_unknown() && s.creation_id.is_unknown());
}

#[test]
fn what_an_ordinary_user_may_not_do_is_said_at_plan() {
    let deep = || {
        prepare(json!({
            "user": {"name": "svc", "uid": null, "home": "/srv/svc"},
            "directories": {
                "/data/1/x": {"owner": null, "mode": null},
                "/data/ok": {"owner": null, "mode": null}
            },
            "limits": null, "sysctl": null, "transparent_hugepage": null, "clock": null
        }))
    };
    for (login, errors) in
        [(V::Value("admin".into()), 2), (V::Value("root".into()), 0), (V::Null, 0), (V::Unknown, 0)]
    {
        let mut diags = Diagnostics::default();
        ObHost.validate(&config(|s| (s.user, s.prepare) = (login.clone(), deep())), &mut diags);
        assert_eq!(diags.errors.len(), errors, "{login:?}");
    }
}

#[test]
fn import_ids_come_apart() {
    for (id, want) in [
        (
            "ssh://admin@10.0.0.1:2222/db-1?identity=prod",
            Some(("admin", "10.0.0.1", 2222, "prod", Some("db-1"))),
        ),
        ("ssh://admin@10.0.0.1:22?identity=prod", Some(("admin", "10.0.0.1", 22, "prod", None))),
        ("ssh://10.0.0.1", Some(("", "10.0.0.1", 22, "", None))),
        ("ssh://[fd00::1]:22/h", Some(("", "fd00::1", 22, "", Some("h")))),
        ("10.0.0.1", None),
        ("ssh://a@h:x", None),
        ("ssh://a@h/b/c", None),
        ("ssh://", None),
    ] {
        let got = parse_id(id).ok();
        let got = got.as_ref().map(|(e, n)| {
            (e.user.as_str(), &*e.address, e.port, e.identity.as_str(), n.as_deref())
        });
        assert_eq!(got, want, "{id}");
    }
}

/// What shuts the way to a host, each with an attribute of its own.
fn shut() -> [(&'static str, fn(&mut HostState)); 5] {
    [
        ("host_key", |s| s.host_key = V::Value("wrong".into())),
        ("user", |s| s.user = V::Value("stranger".into())),
        ("identity", |s| s.identity = V::Value("lost".into())),
        ("port", |s| s.port = V::Value(9)),
        ("address", |s| s.address = V::Value("10.0.0.9".into())),
    ]
}

#[tokio::test]
async fn a_way_that_is_shut_stops_no_refresh_and_the_corrected_one_is_planned_and_applied() {
    for (name, wrong) in shut() {
        let doors = crate::resource::testing::Doors::new();
        let cx = doors.context();
        let right = config(|_| {});
        let shut = applied(&config(wrong));
        let found = ObHost.read(&cx, shut.clone()).await.unwrap();
        let state = found.state.unwrap();
        assert_eq!(state.status, V::Value("unreachable".into()), "{name}");
        assert_eq!((found.warnings.len(), doors.entered()), (1, 0), "{name}: nothing was sent");
        if name == "host_key" {
            assert!(found.warnings[0].fix.contains("host_key"), "{:?}", found.warnings);
        }
        let mut proposed = state.clone();
        (proposed.address, proposed.port) = (right.address.clone(), right.port);
        (proposed.user, proposed.identity) = (right.user.clone(), right.identity.clone());
        proposed.host_key = right.host_key.clone();
        let input = PlanInput { prior: Some(&state), config: &right, proposed: &proposed };
        let planned = ObHost.plan(input, &mut Diagnostics::default()).unwrap().state;
        let input =
            ApplyInput { prior: Some(&state), planned: Some(&planned), config: Some(&right) };
        let applied = ObHost.apply(&cx, input).await;
        assert_eq!(applied.problem, None, "{name}");
        assert_eq!(applied.state.unwrap().status, V::Value("ready".into()), "{name}");
    }
}

#[tokio::test]
async fn a_way_that_is_shut_never_gets_into_the_state() {
    for (name, wrong) in shut() {
        let doors = crate::resource::testing::Doors::new();
        let (prior, next) = (applied(&config(|_| {})), config(wrong));
        let planned = applied(&next);
        let input =
            ApplyInput { prior: Some(&prior), planned: Some(&planned), config: Some(&next) };
        let applied = ObHost.apply(&doors.context(), input).await;
        assert!(applied.problem.is_some(), "{name}: what leads nowhere was taken");
        let kept = applied.state.unwrap();
        assert_eq!(format!("{kept:?}"), format!("{prior:?}"), "{name}");
    }
}
