//! Tables: from what a group is and what is asked to the order of steps.
use super::*;
use crate::base::{Directory, ObjectName};
use crate::component::seekdb::group::Standing::{self, *};
use crate::engine::{Engine, Graph, Host, NodeId, Port};
use crate::transport::Endpoint;

fn member(name: &str, n: u8) -> Node {
    let endpoint = Endpoint {
        name: format!("h{n}"),
        address: format!("10.0.0.{n}").parse().unwrap(),
        port: 22,
        user: "root".into(),
        identity: String::new(),
        host_key: String::new(),
    };
    let directory = Directory::parse(&format!("/data/{name}")).unwrap();
    let host = Host { endpoint, run_as: String::new() };
    let ports = [(Port::Sql, 2881), (Port::Rpc, 2882)];
    Node::new(ObjectName::parse(name).unwrap(), host, directory, ports)
}

fn package(version: &str) -> String {
    format!("seekdb-{version}-0123456789ab")
}

/// The creation of each group.
const CREATION: &str = "now";

/// A consent to a failover of such a group.
fn consent_to(to: &str, epoch: u64) -> Consent {
    let (to, creation) = (to.to_owned(), CREATION.to_owned());
    Consent { epoch, creation, to, accept_unfenced: false, max_loss: None }
}

/// The same group on 1.3.
fn on_1_3(want: &Want) -> Want {
    let packages = want.members.keys().map(|n| (n.clone(), package("1.3.0.post5"))).collect();
    Want { packages, ..want.clone() }
}

fn want(primary: &str, names: &[&str]) -> Want {
    let members: BTreeMap<_, _> =
        names.iter().zip(1..).map(|(n, i)| ((*n).to_owned(), member(n, i))).collect();
    Want {
        engine: Engine::Seekdb,
        name: ObjectName::parse("g").unwrap(),
        packages: members.keys().map(|n| (n.clone(), package("1.4.0.post1"))).collect(),
        members,
        primary: primary.into(),
        failover: None,
        rebuild: None,
        root_password: false,
        creation: CREATION.into(),
    }
}

fn seen(asked: &str, noted: &str, epoch: u64, standing: &[(&str, Standing)]) -> Seen {
    Seen {
        standing: standing.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect(),
        epoch,
        noted: noted.into(),
        asked: asked.into(),
        creation: CREATION.into(),
        members: want(asked, &["a", "b", "c"]).members,
        ..Seen::default()
    }
}

/// The steps as `kind(member)`, where the member is the one whose host the step changes.
fn steps(g: &Graph) -> Vec<String> {
    let of = |host: &str| ["a", "b", "c"][usize::from(host.as_bytes()[1] - b'1')];
    g.nodes()
        .iter()
        .map(|n| format!("{}({})", n.step.kind(), of(&n.step.host().endpoint.name)))
        .collect()
}

fn kinds(s: &Seen, w: &Want) -> String {
    match update(s, w, &BTreeMap::new()) {
        Ok(g) => steps(&g).join(" "),
        Err(p) => format!("refused: {} | {}", p.what, p.fix),
    }
}

const SWITCH: &str = "follow(b) note_fence(a) fence(a) write_group(a) write_group(b) promote(b) \
                      stop_server(a) start_server(a) point_source(a) follow(a) end_fence(a)";
/// What is left of [`SWITCH`] once the fenced primary runs. A step is skipped when the host says
/// that it is done.
const TAKE_UP: &str = "note_fence(a) fence(a) write_group(a) write_group(b) promote(b) \
                       stop_server(a) start_server(a) point_source(a) follow(a) end_fence(a)";
const BUILD_B: &str = "set_boot(b) copy_account(b) copy_root_passwords(b) begin_store(b) freeze_log(a) start_server(b) \
                       follow(b) end_store(b)";

/// The same on 1.3, where nothing is restarted and nothing frozen.
const SWITCH_1_3: &str = "follow(b) note_fence(a) fence(a) write_group(a) write_group(b) \
                          promote(b) point_source(a) follow(a) end_fence(a)";
const TAKE_UP_1_3: &str = "note_fence(a) fence(a) write_group(a) write_group(b) promote(b) \
                           point_source(a) follow(a) end_fence(a)";
const BUILD_B_1_3: &str = "set_boot(b) copy_account(b) copy_root_passwords(b) begin_store(b) start_server(b) follow(b) end_store(b)";

/// What is seen and what is asked; then the expected steps on 1.4 and on 1.3.
type Case = (&'static str, Seen, &'static str, String, String);

fn cases() -> Vec<Case> {
    let case = |name, noted, epoch, a, b, primary, new: &str, old: &str| -> Case {
        let seen = seen("a", noted, epoch, &[("a", a), ("b", b)]);
        (name, seen, primary, new.to_owned(), old.to_owned())
    };
    let same = |name, noted, epoch, a, b, primary, steps: &str| {
        case(name, noted, epoch, a, b, primary, steps, steps)
    };
    let built = |before: &str, name, epoch, b| {
        let (new, old) = (format!("{before}{BUILD_B}"), format!("{before}{BUILD_B_1_3}"));
        case(name, "a", epoch, Primary, b, "a", &new, &old)
    };
    let take_up = format!("nobody_writes(a) start_server(a) reopen(a) {TAKE_UP}");
    let take_up_1_3 = format!("nobody_writes(a) start_server(a) {TAKE_UP_1_3}");
    vec![
        same("nothing to do", "a", 1, Primary, Standby, "a", ""),
        case("switchover", "a", 1, Primary, Standby, "b", SWITCH, SWITCH_1_3),
        case("cut after the fence", "a", 1, Fenced, Standby, "b", &take_up, &take_up_1_3),
        case("the primary lost its power", "a", 1, Stopped, Standby, "b", &take_up, &take_up_1_3),
        case(
            "cut after the promotion",
            "b",
            2,
            Fenced,
            Primary,
            "b",
            "stop_server(a) start_server(a) point_source(a) follow(a) end_fence(a)",
            "start_server(a) point_source(a) follow(a) end_fence(a)",
        ),
        case(
            "the heir lost its power in the middle",
            "b",
            2,
            Fenced,
            Stopped,
            "b",
            "nobody_writes(b) start_server(b) write_group(a) write_group(b) promote(b) \
             stop_server(a) start_server(a) point_source(a) follow(a) end_fence(a)",
            "nobody_writes(b) start_server(b) write_group(a) write_group(b) promote(b) \
             start_server(a) point_source(a) follow(a) end_fence(a)",
        ),
        case(
            "cut, then asked back",
            "b",
            2,
            Fenced,
            Standby,
            "a",
            "write_group(a) write_group(b) stop_server(a) start_server(a) reopen(a) end_fence(a) \
             point_source(b)",
            "write_group(a) write_group(b) start_server(a) fence(a) reopen(a) end_fence(a) \
             point_source(b)",
        ),
        same("the role is elsewhere and nobody asked", "b", 2, Standby, Primary, "a", ""),
        same(
            "a stopped standby",
            "a",
            1,
            Primary,
            Stopped,
            "a",
            "start_server(b) point_source(b) follow(b) write_group(b)",
        ),
        built("end_rotated(a) write_group(b) ", "a standby that was never built", 1, Empty),
        built("write_group(b) ", "a half-built standby", 1, Building),
        built(
            "stop_server(b) set_aside(b) write_group(b) ",
            "a former primary after a failover",
            2,
            Stale,
        ),
        same(
            "everything off, then on: the noted primary starts first",
            "a",
            1,
            Stopped,
            Stopped,
            "a",
            "nobody_writes(a) start_server(a) start_server(b) point_source(b) follow(b) \
             write_group(b)",
        ),
        same("the standby's host is off", "a", 1, Primary, Unreachable, "a", ""),
        same("the primary's host is off and nobody asked", "a", 1, Unreachable, Standby, "a", ""),
    ]
}

#[test]
fn what_is_seen_and_asked_decides_the_steps() {
    for (name, seen, primary, new, old) in cases() {
        let want = want(primary, &["a", "b"]);
        assert_eq!(kinds(&seen, &want), new, "{name}");
        assert_eq!(kinds(&seen, &on_1_3(&want)), old, "{name}, on 1.3");
    }
}

#[test]
fn a_promotion_that_was_cut_goes_on_and_nobody_else_is_opened_beside_it() {
    let ab = |p| on_1_3(&want(p, &["a", "b"]));
    let cut = seen("a", "b", 2, &[("a", Fenced), ("b", Opening)]);
    assert_eq!(
        kinds(&cut, &ab("b")),
        format!("nobody_writes(a) start_server(a) {TAKE_UP_1_3}"),
        "to the end"
    );
    // Before a fenced member starts, the member in the middle of its promotion is not asked: it
    // could not say that it takes no writes.
    let graph = update(&cut, &ab("b"), &BTreeMap::new()).unwrap();
    let asks = graph.nodes().iter().any(|n| {
        format!("{:?}", n.step).contains("NobodyWrites")
            && format!("{:?}", n.step).contains("/data/b")
    });
    assert!(!asks);
    let back = kinds(&cut, &ab("a"));
    assert!(back.starts_with("refused") && back.contains("set primary = \"b\""), "{back}");
    let again = seen("a", "a", 3, &[("a", Opening), ("b", Standby)]);
    assert_eq!(
        kinds(&again, &ab("a")),
        "write_group(a) write_group(b) reopen(a) end_fence(a)",
        "it was opened again, and cut in it"
    );
    let third = on_1_3(&want("c", &["a", "b", "c"]));
    let three = seen("a", "a", 1, &[("a", Primary), ("b", Opening), ("c", Standby)]);
    assert!(kinds(&three, &third).starts_with("refused"), "beside a primary, too");
    assert_eq!(kinds(&three, &on_1_3(&want("a", &["a", "b", "c"]))), "", "nobody asked");
}

#[test]
fn members_of_two_families_are_no_group() {
    let mut w = want("a", &["a", "b"]);
    w.packages.insert("b".into(), package("1.3.0.post5"));
    let s = seen("a", "a", 1, &[("a", Primary), ("b", Empty)]);
    for refused in [create(&w), resume(&w, &s), update(&s, &w, &BTreeMap::new())] {
        let why = refused.err().unwrap().to_string();
        assert!(why.contains("\"a\" and \"b\" cannot be one group"), "{why}");
    }
}

#[test]
fn a_failover_needs_a_consent_that_names_its_epoch() {
    let off = seen("a", "a", 4, &[("a", Unreachable), ("b", Standby)]);
    let consent =
        |epoch, to: &str| Want { failover: Some(consent_to(to, epoch)), ..want("b", &["a", "b"]) };
    let asks = "failover = { epoch = 4, to = \"b\", creation = \"now\" }";
    assert!(kinds(&off, &want("b", &["a", "b"])).contains(asks));
    // It may answer and have no session left: its standing alone does not tell.
    assert!(kinds(&off, &want("b", &["a", "b"])).contains("cannot be asked"));
    let former = Consent { creation: "before".into(), ..consent_to("b", 4) };
    let former = Want { failover: Some(former), ..want("b", &["a", "b"]) };
    assert!(kinds(&off, &former).starts_with("refused"), "a consent of a former creation");
    for void in [consent(3, "b"), consent(5, "b"), consent(4, "a")] {
        assert!(kinds(&off, &void).starts_with("refused"), "{void:?}");
    }
    assert_eq!(
        kinds(&off, &consent(4, "b")),
        "prove_gone(b) write_group(b) note_loss(b) activate(b)"
    );
    // Its host was installed anew: it answers, and the consent says that this is known.
    let empty = seen("a", "a", 4, &[("a", Empty), ("b", Standby)]);
    let asks = kinds(&empty, &want("b", &["a", "b"]));
    assert!(asks.contains("has no store") && asks.contains("accept_unfenced = true"), "{asks}");
    assert!(kinds(&empty, &consent(4, "b")).starts_with("prove_gone(b) write_group(b)"));
    let cut = seen("a", "b", 5, &[("a", Unreachable), ("b", Standby)]);
    assert_eq!(
        kinds(&cut, &consent(4, "b")),
        "prove_gone(b) write_group(b) note_loss(b) activate(b)",
        "cut after the note: the same consent goes on"
    );
    let down = seen("b", "b", 5, &[("a", Unreachable), ("b", Stopped)]);
    assert_eq!(
        kinds(&down, &consent(4, "b")),
        "start_server(b) prove_gone(b) write_group(b) note_loss(b) activate(b)",
        "the heir lost its power after it"
    );
    assert_eq!(
        kinds(&down, &consent(3, "b")),
        "nobody_writes(b) start_server(b)",
        "without that consent the old primary is asked first"
    );
    let both = seen("a", "a", 4, &[("a", Unreachable), ("b", Stopped)]);
    assert_eq!(
        kinds(&both, &consent(4, "b")),
        "start_server(b) prove_gone(b) write_group(b) note_loss(b) activate(b)",
        "the heir lost its power before it"
    );
    assert!(kinds(&both, &consent(3, "b")).starts_with("refused"), "void consent");
    let done = seen("b", "b", 5, &[("a", Unreachable), ("b", Primary)]);
    assert_eq!(
        kinds(&done, &consent(4, "b")),
        "",
        "done once: the consent is void at the new epoch"
    );
    let third = Want { failover: consent(4, "b").failover, ..want("b", &["a", "b", "c"]) };
    let off3 = seen("a", "a", 4, &[("a", Unreachable), ("b", Standby), ("c", Standby)]);
    assert_eq!(
        kinds(&off3, &third),
        "prove_gone(b) take_log(b) write_group(b) note_loss(b) activate(b) point_source(c) \
         write_group(c)"
    );
}

#[test]
fn a_third_member_follows_whoever_has_the_role_and_blocks_nobody_when_its_host_is_off() {
    let abc = |p| want(p, &["a", "b", "c"]);
    let with = |c| seen("a", "a", 1, &[("a", Primary), ("b", Standby), ("c", c)]);
    let switch = |before: &str, after: &str| {
        SWITCH.replace(" note_fence(a)", &format!("{before} note_fence(a)")) + after
    };
    assert_eq!(
        kinds(&with(Standby), &abc("b")),
        switch(" nobody_writes(b)", " point_source(c) write_group(c)"),
        "it is asked before the fence, never after it alone"
    );
    assert_eq!(kinds(&with(Unreachable), &abc("b")), SWITCH, "its host is off");
    let back = seen("b", "b", 2, &[("a", Standby), ("b", Primary), ("c", Behind)]);
    assert_eq!(
        kinds(&back, &abc("b")),
        "point_source(c) follow(c) write_group(c)",
        "it is back and still reads from the old primary"
    );
    assert!(
        kinds(&back, &abc("c"))
            .starts_with("point_source(c) follow(c) nobody_writes(c) note_fence(b) fence(b)"),
        "asked to take the role it follows first"
    );
    let lost = Want { failover: Some(consent_to("c", 2)), ..abc("c") };
    let off = seen("b", "b", 2, &[("a", Standby), ("b", Unreachable), ("c", Behind)]);
    assert!(
        kinds(&off, &lost).starts_with("refused"),
        "what it missed may be only with the one that is gone"
    );
}

#[test]
fn another_address_of_the_primary_re_points_the_standbys_one_after_the_other() {
    let moved = |who: &str, primary: &str| {
        let mut want = want(primary, &["a", "b", "c"]);
        let node = want.members.get_mut(who).unwrap();
        node.service_address = Some("10.1.0.9".parse().unwrap());
        want
    };
    let s = seen("a", "a", 1, &[("a", Primary), ("b", Standby), ("c", Standby)]);
    let notes = "write_group(a) write_group(b) write_group(c)";
    let one_by_one = "point_source(b) follow(b) point_source(c) follow(c)";
    assert_eq!(kinds(&s, &moved("a", "a")), format!("{one_by_one} {notes}"));
    assert_eq!(kinds(&s, &moved("b", "a")), notes, "a standby's own: nobody reads from it");
    let back = update(&s, &moved("a", "a"), &BTreeMap::new()).unwrap();
    let ways: Vec<_> =
        back.nodes().iter().filter(|n| !n.way_back.is_empty()).map(|n| n.step.title()).collect();
    assert_eq!(ways.len(), 2, "who does not follow there is pointed back: {ways:?}");
    assert!(
        kinds(&s, &moved("a", "b")).starts_with("point_source(b) follow(b) nobody_writes(b)"),
        "the heir reads from there before the role moves"
    );
    let off = seen("a", "a", 1, &[("a", Primary), ("b", Unreachable), ("c", Standby)]);
    assert_eq!(
        kinds(&off, &moved("a", "a")),
        "point_source(c) follow(c) write_group(a) write_group(c)"
    );
    let other_port = {
        let mut want = want("a", &["a", "b", "c"]);
        want.members.get_mut("a").unwrap().host.endpoint.port = 2201;
        want
    };
    assert_eq!(kinds(&s, &other_port), notes, "the way in by SSH is in the notes alone");
}

#[test]
fn a_role_is_never_given_to_who_does_not_follow() {
    for standing in [Stopped, Stale, Empty, Building, Unreachable, Fenced] {
        let s = seen("a", "a", 1, &[("a", Primary), ("b", standing)]);
        assert!(kinds(&s, &want("b", &["a", "b"])).starts_with("refused"), "{standing:?}");
    }
    let two = seen("a", "a", 1, &[("a", Primary), ("b", Primary)]);
    assert!(kinds(&two, &want("a", &["a", "b"])).starts_with("refused"), "two that take writes");
}

#[test]
fn who_takes_writes_is_given_up_by_a_consent_alone_and_never_by_a_note() {
    let rebuild = |member: &str, epoch, creation: &str| {
        let (member, creation) = (member.to_owned(), creation.to_owned());
        Some(Rebuild { member, epoch, creation })
    };
    let with = |primary: &str, rebuild| Want { rebuild, ..want(primary, &["a", "b"]) };
    let build = |m: &str, p: &str| {
        format!(
            "end_rotated({p}) write_group({m}) set_boot({m}) copy_account({m}) copy_root_passwords({m}) begin_store({m}) \
             freeze_log({p}) start_server({m}) follow({m}) end_store({m})"
        )
    };
    let gives_up = |m: &str, p: &str, note: &str| {
        format!("stop_server({m}) set_aside({m}) {note}{}", build(m, p))
    };
    // The standby "b" has a note of epoch 999, and perhaps opened itself; "a" is what it was.
    for (a, b) in [(Rival, Standby), (Rival, Primary), (Primary, Primary), (Rival, Unreachable)] {
        let s = seen("a", "b", 999, &[("a", a), ("b", b)]);
        for void in [
            with("a", None),
            with("b", None),
            with("a", rebuild("b", 998, CREATION)),
            with("a", rebuild("b", 999, "before")),
            with("b", rebuild("c", 999, CREATION)),
        ] {
            let why = kinds(&s, &void);
            assert!(why.starts_with("refused") && why.contains("rebuild = {"), "{a:?} {b:?} {why}");
        }
    }
    // A consent that is void says which field differs, and what it must be.
    let s = seen("a", "b", 999, &[("a", Rival), ("b", Primary)]);
    for (void, want) in [
        (rebuild("b", 998, CREATION), "rebuild.epoch is 998 and must be 999; \"a\" and"),
        (rebuild("b", 999, "x"), &*format!("creation is \"x\" and must be \"{CREATION}\"; \"a\"")),
        (rebuild("c", 999, CREATION), "rebuild.member is \"c\" and must be \"a\" or \"b\"; \"a\""),
    ] {
        let why = update(&s, &with("a", void), &BTreeMap::new()).unwrap_err().why;
        assert!(why.contains(want), "{why}");
    }
    let why = update(&s, &with("a", None), &BTreeMap::new()).unwrap_err().why;
    assert!(why.starts_with("\"a\" and \"b\" take writes"), "{why}");
    for b in [Standby, Primary] {
        let s = seen("a", "b", 999, &[("a", Rival), ("b", b)]);
        assert_eq!(
            kinds(&s, &with("a", rebuild("b", 999, CREATION))),
            gives_up("b", "a", "write_group(a) ")
        );
    }
    // Cut after the stop, after the store was set aside, and after the note of the one that stays.
    for (b, a, noted, epoch) in
        [(Stopped, Rival, "b", 999), (Empty, Rival, "b", 999), (Empty, Primary, "a", 1000)]
    {
        let cut = seen("a", noted, epoch, &[("a", a), ("b", b)]);
        let goes_on = kinds(&cut, &with("a", rebuild("b", 999, CREATION)));
        assert!(goes_on.ends_with(&build("b", "a")), "{b:?}: {goes_on}");
    }
    let s = seen("a", "b", 999, &[("a", Rival), ("b", Primary)]);
    let s = Seen { asked: "b".into(), ..s };
    assert_eq!(
        kinds(&s, &with("b", rebuild("a", 999, CREATION))),
        gives_up("a", "b", "write_group(b) ")
    );
    // Three that write: no consent names one of them alone.
    let three = seen("a", "b", 9, &[("a", Rival), ("b", Primary), ("c", Primary)]);
    let all = Want { rebuild: rebuild("a", 9, CREATION), ..want("b", &["a", "b", "c"]) };
    let why = update(&three, &all, &BTreeMap::new()).unwrap_err().why;
    assert!(why.contains("2 would still take writes: stop all but one"), "{why}");
    let stale = seen("b", "b", 2, &[("a", Stale), ("b", Primary)]);
    // It takes no writes, and knows the account's password already.
    let rebuilt = gives_up("a", "b", "").replace("end_rotated(b) ", "");
    assert_eq!(kinds(&stale, &with("b", None)), rebuilt);
}

#[test]
fn no_order_of_standings_ever_opens_a_second_member_while_one_may_take_writes() {
    let all = [
        Primary,
        Standby,
        Behind,
        Fenced,
        Opening,
        Stopped,
        Stale,
        Rival,
        Empty,
        Building,
        Unreachable,
    ];
    for a in all {
        for b in all {
            for c in all {
                for (asked, target, noted) in [
                    ("a", "a", "a"),
                    ("a", "b", "a"),
                    ("b", "a", "b"),
                    ("a", "b", "b"),
                    ("a", "c", "a"),
                ] {
                    let s = seen(asked, noted, 3, &[("a", a), ("b", b), ("c", c)]);
                    let consent = Some(consent_to(target, 3));
                    let both =
                        [None, consent].into_iter().flat_map(|c| [(c.clone(), false), (c, true)]);
                    for (failover, old) in both {
                        let w =
                            Want { failover: failover.clone(), ..want(target, &["a", "b", "c"]) };
                        let w = if old { on_1_3(&w) } else { w };
                        let Ok(g) = update(&s, &w, &BTreeMap::new()) else { continue };
                        let done = steps(&g);
                        let opens: Vec<_> = done
                            .iter()
                            .filter(|k| {
                                ["promote", "activate", "reopen"].iter().any(|o| k.starts_with(o))
                            })
                            .collect();
                        // Only the target is opened. A fenced member that lost its power is opened
                        // only to be fenced anew first.
                        let member = |open: &str| {
                            open.split_once('(')
                                .map(|(_, m)| m.trim_end_matches(')').to_owned())
                                .unwrap()
                        };
                        let at = |k: &str| done.iter().position(|d| d == k);
                        let last = opens.last().map(|o| member(o));
                        for open in opens.iter().rev().skip(1) {
                            assert!(
                                open.starts_with("reopen")
                                    && at(&format!("fence({})", member(open))) > at(open),
                                "{s:?} {done:?}"
                            );
                            assert!(
                                at(&format!("fence({})", member(open))) < at(opens.last().unwrap()),
                                "{s:?} {done:?}"
                            );
                        }
                        assert!(opens.len() <= 2, "{s:?} {done:?}");
                        if let (Some(open), Some(primary)) = (opens.last(), s.primary()) {
                            let fence = at(&format!("fence({primary})"));
                            assert!(
                                fence.is_some() && fence < at(open),
                                "opened before the fence: {s:?} {done:?}"
                            );
                        }
                        assert!(
                            failover.is_some() || !done.iter().any(|k| k.starts_with("activate")),
                            "a failover without consent"
                        );
                        let stale =
                            ["a", "b", "c"].into_iter().zip([a, b, c]).filter(|(_, s)| *s == Stale);
                        for (name, _) in stale {
                            let start =
                                done.iter().position(|k| *k == format!("start_server({name})"));
                            let aside =
                                done.iter().position(|k| *k == format!("set_aside({name})"));
                            assert!(
                                start.is_none() || aside.is_some_and(|x| Some(x) < start),
                                "a stale store is started: {s:?} {done:?}"
                            );
                        }
                        // The role goes to the target or stays; nobody else gets it.
                        assert!(last.is_none_or(|l| l == target), "{s:?} {done:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn leaving_members_are_stopped_and_kept_never_opened() {
    let w = want("a", &["a", "b"]);
    let s = seen("a", "a", 2, &[("a", Primary), ("b", Standby), ("c", Standby)]);
    let gone = [("c".to_owned(), member("c", 3))].into();
    let g = update(&s, &w, &gone).unwrap();
    assert_eq!(
        steps(&g).join(" "),
        "write_group(a) write_group(b) stop_server(c) set_aside(c) leave_group(c) \
         offer_password(a) share_password(b) change_password(a) end_sessions(b) \
         keep_password(b) end_sessions(a) keep_password(a)"
    );
    let off = seen("a", "a", 2, &[("a", Primary), ("b", Unreachable), ("c", Standby)]);
    let g = update(&off, &w, &gone).unwrap();
    assert!(
        !steps(&g).iter().any(|k| k.contains("password")),
        "who stays and does not answer would lose its way in"
    );
    // Nothing of that is decided while the primary cannot be asked.
    let silent = seen("a", "a", 2, &[("a", Unreachable), ("b", Standby), ("c", Standby)]);
    let problem = update(&silent, &w, &gone).unwrap_err();
    assert!(problem.what.contains("cannot change now"), "{problem}");
    let joins = update(&silent, &want("a", &["a", "b", "c", "d"]), &BTreeMap::new()).unwrap_err();
    assert!(joins.what.contains("cannot change now"), "{joins}");
    let end = |a| destroy(&w, &seen("a", "a", 2, &[("a", a), ("b", Standby)]));
    let d = end(Primary);
    let (leaves, ends) = (
        "stop_server(b) set_aside(b) leave_group(b)",
        "offer_password(a) change_password(a) end_sessions(a) keep_password(a) set_boot(a) \
         leave_group(a)",
    );
    assert_eq!(steps(&d).join(" "), format!("{leaves} {ends}"));
    assert_eq!(steps(&end(Stopped)).join(" "), format!("{leaves} start_server(a) {ends}"));
    assert!(!steps(&d).iter().any(|k| k.starts_with("activate")));
}

#[test]
fn a_member_whose_host_is_gone_leaves_without_being_asked_and_a_primary_never_leaves() {
    let w = want("a", &["a", "b"]);
    let gone = |name: &str| [(name.to_owned(), member(name, 3))].into();
    let s = seen("a", "a", 2, &[("a", Primary), ("b", Standby), ("c", Unreachable)]);
    assert_eq!(
        steps(&update(&s, &w, &gone("c")).unwrap()).join(" "),
        "write_group(a) write_group(b) offer_password(a) share_password(b) change_password(a) \
         end_sessions(b) keep_password(b) end_sessions(a) keep_password(a)"
    );
    for (name, s) in [
        ("it has the role", seen("a", "c", 2, &[("a", Standby), ("b", Standby), ("c", Primary)])),
        (
            "it had the role and is gone",
            seen("a", "c", 2, &[("a", Standby), ("b", Standby), ("c", Unreachable)]),
        ),
        (
            "it had the role and is fenced",
            seen("c", "c", 2, &[("a", Standby), ("b", Standby), ("c", Fenced)]),
        ),
    ] {
        let problem = update(&s, &w, &gone("c")).unwrap_err();
        assert!(
            problem.what.contains("cannot leave") && problem.attribute == ["members"],
            "{name}: {problem}"
        );
    }
}

#[test]
fn a_first_build_whose_primary_lost_its_power_starts_it_unless_a_role_has_moved() {
    let w = want("a", &["a", "b"]);
    let built = steps(&create(&w).unwrap()).join(" ");
    for (name, noted, epoch, a, starts) in [
        ("off", "a", 1, Stopped, true),
        ("on", "a", 1, Primary, false),
        ("moved", "b", 2, Stopped, false),
        ("moved back", "a", 3, Stopped, false),
    ] {
        let done =
            steps(&resume(&w, &seen("a", noted, epoch, &[("a", a), ("b", Building)])).unwrap())
                .join(" ");
        assert_eq!(
            done,
            if starts { format!("start_server(a) {built}") } else { built.clone() },
            "{name}"
        );
    }
}

#[test]
fn titles_are_unique_so_that_progress_can_name_steps() {
    let w = want("b", &["a", "b", "c"]);
    for s in [
        seen("a", "a", 1, &[("a", Primary), ("b", Standby), ("c", Standby)]),
        seen("a", "a", 1, &[("a", Primary), ("b", Standby), ("c", Stale)]),
        seen("a", "a", 1, &[("a", Fenced), ("b", Standby), ("c", Empty)]),
    ] {
        let mut titles = update(&s, &w, &BTreeMap::new()).unwrap().titles();
        let all = titles.len();
        titles.sort();
        titles.dedup();
        assert_eq!(titles.len(), all, "{s:?}");
    }
}

#[test]
fn a_member_that_is_reached_by_a_name_is_no_source_and_nothing_is_half_built() {
    let at = |ssh: &str, service: Option<&str>| {
        let mut want = want("a", &["a", "b"]);
        let a = want.members.get_mut("a").unwrap();
        a.host.endpoint.address = ssh.parse().unwrap();
        a.service_address = service.map(|s| s.parse().unwrap());
        want
    };
    let built = seen("a", "a", 1, &[("a", Primary), ("b", Standby)]);
    for (ssh, service, refused) in [
        ("10.0.0.1", None, false),
        ("fd00::1", None, false),
        ("db1.example.internal", Some("10.0.0.1"), false),
        ("db1.example.internal", Some("fd00::1"), false),
        ("db1.example.internal", None, true),
        ("10.0.0.1", Some("db1.example.internal"), true),
        ("10.0.0.1", Some("fe80::1%eth0"), true),
        ("local", None, true),
        ("local", Some("10.0.0.1"), true),
    ] {
        let want = at(ssh, service);
        for graph in [create(&want), resume(&want, &built), update(&built, &want, &BTreeMap::new())]
        {
            let problem = graph.err();
            assert_eq!(problem.is_some(), refused, "{ssh} {service:?}");
            let Some(problem) = problem else { continue };
            assert!(problem.what.contains("follow \"a\""), "{problem}");
            assert!(problem.fix.contains("service_address of host \"h1\""), "{problem}");
        }
    }
}

#[test]
fn a_password_that_was_asked_for_is_set_or_fails_by_name() {
    let asked = |names: &[&str]| Want { root_password: true, ..want("a", names) };
    let two = |a, b| seen("a", "a", 1, &[("a", a), ("b", b)]);
    use Standing::{Primary, Standby, Unreachable};
    for (a, b, want) in [
        (Primary, Standby, "keep_root_password(a) keep_root_password(b) set_root_password(a)"),
        (Primary, Unreachable, "keep_root_password(a) set_root_password(a)"),
        // Our account may be what is refused, and root gets in.
        (Unreachable, Standby, "keep_root_password(a) keep_root_password(b) set_root_password(a)"),
        (Unreachable, Unreachable, "keep_root_password(a) set_root_password(a)"),
    ] {
        assert_eq!(kinds(&two(a, b), &asked(&["a", "b"])), want, "{a:?} {b:?}");
    }
}

#[test]
fn who_is_only_in_the_notes_is_taken_out_of_them_and_nothing_else_is_done() {
    let two = |b, strays: &[&str]| Seen {
        strays: strays.iter().map(|n| (*n).to_owned()).collect(),
        ..seen("a", "a", 1, &[("a", Primary), ("b", b)])
    };
    let pair = want("a", &["a", "b"]);
    for (b, strays, want) in [
        (Standby, &[][..], ""),
        (Standby, &["c"], "write_group(a) write_group(b)"),
        (Unreachable, &["c"], "write_group(a)"),
        (Standby, &["b"], ""),
    ] {
        assert_eq!(kinds(&two(b, strays), &pair), want, "{b:?} {strays:?}");
    }
    // Who joins is no stray, although a first try has noted it.
    let joins = kinds(&two(Standby, &["c"]), &self::want("a", &["a", "b", "c"]));
    assert!(joins.contains("begin_store(c)"), "{joins}");
}

#[test]
fn a_void_consent_to_a_failover_says_which_field_differs() {
    let s = seen("a", "a", 3, &[("a", Unreachable), ("b", Standby)]);
    let good = consent_to("b", 3);
    for (consent, start) in [
        (None, "members: "),
        (Some(Consent { epoch: 2, ..good.clone() }), "failover.epoch is 2 and must be 3; members"),
        (
            Some(Consent { to: "a".into(), ..good.clone() }),
            "failover.to is \"a\" and must be \"b\"; ",
        ),
        (
            Some(Consent { creation: "x".into(), ..good.clone() }),
            "failover.creation is \"x\" and must",
        ),
    ] {
        let w = Want { failover: consent, ..want("b", &["a", "b"]) };
        let why = update(&s, &w, &BTreeMap::new()).unwrap_err().why;
        assert!(why.starts_with(start), "{why}");
    }
}

/// From the fence on nobody takes writes: what follows is made ready before it.
#[test]
fn a_switchover_is_one_chain_from_its_fence_to_its_promotion() {
    let two = [("a", Primary), ("b", Standby)];
    let three = [("a", Primary), ("b", Standby), ("c", Standby)];
    let taken_up = [("a", Fenced), ("b", Standby), ("c", Standby)];
    for standing in [&two[..], &three, &taken_up] {
        let names: Vec<_> = standing.iter().map(|(n, _)| *n).collect();
        let new = want("b", &names);
        for want in [on_1_3(&new), new] {
            let g = update(&seen("a", "a", 1, standing), &want, &BTreeMap::new()).unwrap();
            let all = steps(&g);
            let fence = all.iter().position(|s| s == "fence(a)").unwrap();
            let chain: Vec<_> =
                g.chain_from(NodeId(fence)).into_iter().map(|n| all[n.0].as_str()).collect();
            assert_eq!(chain, ["fence(a)", "write_group(a)", "write_group(b)", "promote(b)"]);
        }
    }
}
