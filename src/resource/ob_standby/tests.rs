//! Tables: what a plan of a group says. The order of steps has its own tables in
//! `component::seekdb::pair::tests`.
use super::plan;
use super::schema::{Failover, MemberRef, RebuildConsent, Standby};
use crate::resource::PlanInput;
use crate::resource::common::{Connection, set_text};
use crate::resource::ob_cluster::InstanceRef;
use crate::schema::{Diagnostics, Value};
use std::collections::BTreeMap;

fn v(text: &str) -> Value<String> {
    Value::Value(text.into())
}

fn member(name: &str, n: u8) -> Value<MemberRef> {
    let host = Connection {
        name: v(&format!("h{n}")),
        address: v(&format!("10.0.0.{n}")),
        ..Connection::default()
    };
    Value::Value(MemberRef {
        instance: Value::Value(InstanceRef {
            engine: Value::Value("seekdb".into()),
            name: v(name),
            host: Value::Value(host),
            base_dir: v("/d"),
            sql_port: Value::Value(2881),
            rpc_port: Value::Value(2882),
            run_as: Value::Null,
            package: v("seekdb-1.4.0-0123456789ab"),
        }),
    })
}

fn config(primary: &str) -> Standby {
    Standby {
        name: v("g"),
        members: Value::Value(
            [("a".to_owned(), member("a", 1)), ("b".to_owned(), member("b", 2))].into(),
        ),
        primary: v(primary),
        ..Standby::default()
    }
}

fn words(rows: &[(&str, &str)]) -> Value<BTreeMap<String, Value<String>>> {
    Value::Value(rows.iter().map(|(k, w)| ((*k).to_owned(), v(w))).collect())
}

fn state(primary: &str, current: &str, rows: &[(&str, &str)]) -> Standby {
    Standby {
        id: v("g"),
        deletion_protection: Value::Value(true),
        creation: v("now"),
        epoch: Value::Value(1),
        current_primary: v(current),
        noted_primary: v("a"),
        member_status: words(rows),
        runbook: v("as it was"),
        ..config(primary)
    }
}

fn run(prior: Option<&Standby>, config: &Standby) -> (Option<Standby>, Diagnostics) {
    let mut proposed = config.clone();
    if let Some(p) = prior {
        proposed.creation = p.creation.clone();
        (proposed.epoch, proposed.current_primary, proposed.noted_primary) =
            (p.epoch, p.current_primary.clone(), p.noted_primary.clone());
        (proposed.member_status, proposed.endpoint, proposed.last_failover) =
            (p.member_status.clone(), p.endpoint.clone(), p.last_failover.clone());
        (proposed.set_aside, proposed.runbook, proposed.impact) =
            (p.set_aside.clone(), p.runbook.clone(), p.impact.clone());
    }
    let mut diags = Diagnostics::default();
    let planned = plan::plan(PlanInput { prior, config, proposed: &proposed }, &mut diags);
    (planned.map(|p| p.state), diags)
}

#[test]
fn the_runbook_names_what_happens() {
    let healthy = state("a", "a", &[("a", "primary"), ("b", "standby")]);
    let lost = state("a", "", &[("a", "unreachable"), ("b", "standby")]);
    let consent = Standby {
        failover: Value::Value(Failover {
            epoch: Value::Value(1),
            creation: v("now"),
            to: v("b"),
            max_loss: Value::Null,
            accept_unfenced: Value::Null,
        }),
        ..config("b")
    };
    for (name, prior, next, want) in [
        ("create", None, config("a"), "build standby b of \"a\": 12 steps"),
        (
            "switchover",
            Some(&healthy),
            config("b"),
            "#2 switch over from a to b: 11 steps, leader switch, clients cut, outage",
        ),
        (
            "failover",
            Some(&lost),
            consent,
            "#2 FAIL OVER from a to b (no bound on the loss): 4 steps, leader switch, data loss",
        ),
        ("no change", Some(&healthy), config("a"), "as it was"),
        (
            "rebuild",
            Some(&state("a", "a", &[("a", "primary"), ("b", "stale")])),
            config("a"),
            "#2 rebuild the standbys of a: 11 steps, clients cut, outage, no majority margin",
        ),
    ] {
        let (planned, diags) = run(prior, &next);
        assert!(diags.errors.is_empty(), "{name}: {diags:?}");
        assert_eq!(set_text(&planned.unwrap().runbook), Some(want), "{name}");
    }
}

#[test]
fn a_role_that_moved_elsewhere_is_said_and_never_moved_back() {
    let moved = state("a", "b", &[("a", "standby"), ("b", "primary")]);
    let (planned, diags) =
        run(Some(&Standby { noted_primary: v("b"), ..moved.clone() }), &config("a"));
    assert_eq!(set_text(&planned.unwrap().runbook), Some("as it was"), "no step is planned");
    let detail = diags.warnings[0].detail.to_string();
    assert!(
        detail.contains("primary = \"b\"") && detail.contains("primary = \"a\""),
        "both ways out: {detail}"
    );
}

#[test]
fn a_failover_without_consent_says_what_to_write() {
    let lost = state("a", "", &[("a", "unreachable"), ("b", "standby")]);
    let (planned, diags) = run(Some(&lost), &config("b"));
    assert!(planned.is_none());
    assert!(
        diags.errors[0].detail.contains("failover = { epoch = 1, to = \"b\", creation = \"now\" }"),
        "{diags:?}"
    );
    let (planned, diags) = run(Some(&lost), &config("a"));
    assert!(
        planned.is_some() && diags.errors.is_empty(),
        "that the primary is away plans nothing by itself"
    );
}

#[test]
fn bad_configurations_are_named() {
    let rows: [(&str, fn(&mut Standby)); 5] = [
        ("Rebuild names the primary", |c| {
            c.rebuild = Value::Value(RebuildConsent {
                member: v("a"),
                epoch: Value::Value(1),
                creation: v("now"),
            })
        }),
        ("at least two", |c| c.members = Value::Value([("a".to_owned(), member("a", 1))].into())),
        ("is no member", |c| c.primary = v("x")),
        ("which is no member", |c| {
            c.failover = Value::Value(Failover {
                epoch: Value::Value(1),
                creation: v("now"),
                to: v("x"),
                max_loss: Value::Null,
                accept_unfenced: Value::Null,
            })
        }),
        ("one and the same", |c| {
            c.members = Value::Value(
                [("a".to_owned(), member("a", 1)), ("b".to_owned(), member("b", 1))].into(),
            )
        }),
    ];
    for (want, change) in rows {
        let mut c = config("a");
        change(&mut c);
        let mut diags = Diagnostics::default();
        plan::validate(&c, &mut diags);
        assert!(diags.errors.iter().any(|e| e.summary.contains(want)), "{want}: {diags:?}");
    }
    // Two hosts behind one address of SSH are two; where others reach them by it too, they are one.
    for (services, twins) in [
        ([v("10.1.0.1"), v("10.1.0.2")], false),
        ([v("10.1.0.1"), v("10.1.0.1")], true),
        ([Value::Null, Value::Null], true),
    ] {
        let mut c = config("a");
        let behind = |name: &str, port, service| {
            let mut member = member(name, 9);
            if let Value::Value(m) = &mut member
                && let Value::Value(i) = &mut m.instance
                && let Value::Value(host) = &mut i.host
            {
                (host.port, host.service_address) = (Value::Value(port), service);
            }
            (name.to_owned(), member)
        };
        let [x, y] = services.clone();
        c.members = Value::Value([behind("a", 2201, x), behind("b", 2202, y)].into());
        let mut diags = Diagnostics::default();
        plan::validate(&c, &mut diags);
        let said = diags.errors.iter().any(|e| e.summary.contains("one and the same"));
        assert_eq!(said, twins, "{services:?}: {diags:?}");
    }
    for unknown in [
        Standby { members: Value::Unknown, ..config("a") },
        Standby { primary: Value::Unknown, ..config("a") },
        Standby { failover: Value::Unknown, ..config("a") },
    ] {
        let mut diags = Diagnostics::default();
        plan::validate(&unknown, &mut diags);
        let (planned, more) =
            run(Some(&state("a", "a", &[("a", "primary"), ("b", "standby")])), &unknown);
        assert!(
            planned.is_some() && diags.errors.is_empty() && more.errors.is_empty(),
            "{unknown:?}"
        );
    }
}

#[test]
fn a_state_that_says_too_little_is_named_as_that() {
    let good = state("a", "a", &[("a", "primary"), ("b", "standby")]);
    assert!(plan::found(&good).is_ok());
    let with = |change: fn(&mut InstanceRef)| {
        let mut bad = good.clone();
        let Value::Value(members) = &mut bad.members else { panic!() };
        let Some(Value::Value(b)) = members.get_mut("b") else { panic!() };
        let Value::Value(instance) = &mut b.instance else { panic!() };
        change(instance);
        bad
    };
    let members = |members| Standby { members, ..good.clone() };
    for (what, bad) in [
        ("no members", members(Value::Null)),
        ("members without one", members(Value::Value(BTreeMap::new()))),
        ("a member that is null", members(Value::Value([("a".to_owned(), Value::Null)].into()))),
        ("a negative port", with(|i| i.sql_port = Value::Value(-5))),
        ("no port", with(|i| i.rpc_port = Value::Null)),
        ("no host", with(|i| i.host = Value::Null)),
        ("a directory that is none", with(|i| i.base_dir = v("d"))),
        ("no engine", with(|i| i.engine = Value::Null)),
    ] {
        let mut destroyed = Diagnostics::default();
        plan::plan_destroy(&bad, &mut destroyed);
        for diags in [run(Some(&bad), &config("b")).1, destroyed] {
            let said = format!("{} {}", diags.errors[0].summary, diags.errors[0].detail);
            for word in ["state of an ob_standby cannot be used", "damaged", "terraform state"] {
                assert!(said.contains(word), "{what}: it does not say {word:?}: {said}");
            }
        }
    }
}

#[test]
fn an_apply_gives_back_what_was_planned_whatever_it_finds() {
    let planned = state("a", "", &[("a", "unreachable"), ("b", "standby")]);
    let planned = Standby { endpoint: Value::Unknown, ..planned };
    let found = state("a", "a", &[("a", "primary"), ("b", "standby")]);
    let kept = plan::merge(&planned, found);
    assert_eq!((&kept.current_primary, &kept.member_status), (&v(""), &planned.member_status));
    assert!(!kept.endpoint.is_unknown());
}

#[test]
fn who_is_only_in_the_notes_is_named_and_a_plan_takes_it_out() {
    let noted = state("a", "a", &[("a", "primary"), ("b", "standby"), ("c", "no_member")]);
    let (planned, diags) = run(Some(&noted), &config("a"));
    let planned = planned.unwrap();
    assert_eq!(
        set_text(&planned.runbook),
        Some("#2 take who is no member out of the notes of a: 2 steps")
    );
    assert!(planned.member_status.is_unknown());
    assert!(diags.warnings.iter().any(|w| w.summary.contains("name \"c\"")), "{diags:?}");
    // One that is to join again is a member.
    let mut next = config("a");
    if let Value::Value(members) = &mut next.members {
        members.insert("c".to_owned(), member("c", 3));
    }
    let (planned, diags) = run(Some(&noted), &next);
    assert!(diags.warnings.iter().all(|w| !w.summary.contains("name \"c\"")), "{diags:?}");
    assert!(set_text(&planned.unwrap().runbook).unwrap().contains("build standbys of a"));
}
