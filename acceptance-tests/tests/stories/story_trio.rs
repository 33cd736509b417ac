//! The life of a group of three with the real terraform, sshd and seekdb: the role goes round, and
//! the members that are left follow whoever has it.
use lab::may_make_hosts;
use lab::process::until;
use lab::sql;
use lab::story::{Cluster, Config, Story, nothing_lost, trail};
use lab::writer::{self, Report, Writer};
use ob::engine::journal::{Event, Line};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);
const NAMES: [&str; 3] = ["a", "b", "c"];

fn writing(s: &Story) -> writer::Config {
    writer::Config { servers: (0..3).map(|h| s.root(h)).collect(), ..writer::Config::new([]) }
}

/// Demands that the group says this of itself: who takes writes, at which epoch, and what each
/// member is.
fn stands(s: &Story, primary: &str, epoch: u64, standing: &[(&str, &str)]) {
    let get = |name: &str| s.attribute("ob_standby.g", name).unwrap();
    assert_eq!(
        (get("current_primary").as_str(), get("epoch").as_u64()),
        (Some(primary), Some(epoch))
    );
    let status = get("member_status");
    let found: Vec<_> = status
        .as_object()
        .unwrap()
        .iter()
        .map(|(n, w)| (n.as_str(), w.as_str().unwrap()))
        .collect();
    assert_eq!(found, standing);
}

/// Demands that a member gets every row that is not lost: it follows, whatever it followed before.
fn has_all(s: &Story, member: usize, report: &Report) {
    let missing = || {
        writer::missing(&writing(s), member, report)
            .map(|all| all.iter().filter(|a| !report.lost.contains(&a.n)).count())
    };
    assert!(
        until(SOON, || matches!(missing(), Ok(0))),
        "\"{}\" does not get the rows: {:?}",
        NAMES[member],
        missing()
    );
}

/// The refresh looked at a cluster before its group built it again or let it go. So nothing is
/// planned, and one refresh notes the change.
fn noted(s: &Story) {
    s.tf.settled().unwrap();
    s.tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    s.settled().unwrap();
}

/// Proves: a planned move under load loses nothing, and the third member follows the new primary
/// without a restart.
fn switchover(s: &Story, config: Config) -> Config {
    let pid = |s: &Story| s.host(2).exec("cat /data/c/run/seekdb.pid").unwrap().stdout;
    let (before, writer) = (pid(s), Writer::start(writing(s)).unwrap());
    writer.wait_for(100, SOON).unwrap();
    let begun = Instant::now();
    let config = config.primary("b");
    s.apply(&config).unwrap();
    let took = begun.elapsed();
    writer.wait_for(100, SOON).unwrap();
    let report = writer.stop().unwrap();
    nothing_lost(&report).unwrap();
    assert_eq!(
        report.moves.iter().map(|m| m.1).collect::<Vec<_>>(),
        [0, 1],
        "one move: {:?}",
        report.moves
    );
    [0, 2].iter().for_each(|m| has_all(s, *m, &report));
    assert_eq!(pid(s), before, "the third member was not restarted");
    s.settled().unwrap();
    stands(s, "b", 2, &[("a", "standby"), ("b", "primary"), ("c", "standby")]);
    s.say(&format!(
        "switchover a to b: {} rows acknowledged, 0 lost, never two writable in {} probes, write \
         gap {:.0} ms, apply {:.1} s",
        report.acknowledged,
        report.probes,
        report.longest_gap_ms,
        took.as_secs_f64()
    ));
    config
}

/// Proves: without the primary's host, the member that the consent names is opened, with all the
/// log that any living member has. The other member follows it.
fn failover(s: &Story, config: Config) -> Config {
    // Cuts c off for a moment, so that c lacks rows that a has when b loses its power.
    let writer = Writer::start(writing(s)).unwrap();
    writer.wait_for(200, SOON).unwrap();
    s.host(2).cut_from(&s.host(1)).unwrap();
    writer.wait_for(200, SOON).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    s.host(1).kill().unwrap();
    s.lab.heal().unwrap();

    let mut config = config.primary("c");
    let why = s.refused(&config).unwrap();
    assert!(
        why.contains("may lose rows")
            && why.contains("failover = { epoch = 2, to = \"c\", creation = \""),
        "{why}"
    );
    assert!(!s.writable(0).unwrap() && !s.writable(2).unwrap(), "nothing was opened");
    config.group.as_mut().unwrap().failover = Some(s.consent(2, "c").unwrap());
    let begun = Instant::now();
    s.apply(&config).unwrap();
    let took = begun.elapsed();
    writer.wait_for(100, SOON).unwrap();
    let report = writer.stop().unwrap();
    assert!(report.two_writable.is_empty());
    assert_eq!(report.acks.last().unwrap().server, 2);
    assert!(
        report.lost.len() < 100,
        "what only \"a\" had was not lost: {} rows",
        report.lost.len()
    );
    has_all(s, 0, &report);
    s.settled().unwrap();
    stands(s, "c", 3, &[("a", "standby"), ("b", "unreachable"), ("c", "primary")]);
    s.say(&format!(
        "failover b to c after power loss: {} rows acknowledged, {} lost, \"a\" follows c; \
         apply {:.1} s",
        report.acknowledged,
        report.lost.len(),
        took.as_secs_f64()
    ));
    config
}

/// Proves: the old primary's host boots, its server stays down, and an apply builds it again.
fn rejoin(s: &Story, config: &Config) {
    s.host(1).boot().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        s.host(1).exec("pgrep -c seekdb").unwrap().stdout.trim(),
        "0",
        "a former primary never starts by itself"
    );
    assert!(sql::query(s.root(1), "select 1").is_err(), "a writer there is refused");
    let writer = Writer::start(writing(s)).unwrap();
    s.apply(config).unwrap();
    writer.wait_for(50, SOON).unwrap();
    let report = writer.stop().unwrap();
    nothing_lost(&report).unwrap();
    assert_eq!(report.moves.len(), 1, "no role moved: {:?}", report.moves);
    [0, 1].iter().for_each(|m| has_all(s, *m, &report));
    noted(s);
    stands(s, "c", 3, &[("a", "standby"), ("b", "standby"), ("c", "primary")]);
    assert!(
        s.attribute("ob_standby.g", "set_aside").unwrap()["b"]
            .as_str()
            .is_some_and(|a| a.contains("epoch-3")),
        "its former store is kept"
    );
    s.say("rejoin: \"b\" stayed down after its boot, was built again, and follows c");
}

/// Proves: a member leaves and is removed while the group goes on.
fn leave(s: &Story, mut config: Config) -> Config {
    let writer = Writer::start(writing(s)).unwrap();
    writer.wait_for(50, SOON).unwrap();
    config.clusters.get_mut("a").unwrap().member = false;
    s.apply(&config).unwrap();
    noted(s);
    stands(s, "c", 3, &[("b", "standby"), ("c", "primary")]);
    assert_eq!(
        s.host(0).exec("pgrep -c seekdb").unwrap().stdout.trim(),
        "0",
        "who left is stopped"
    );
    let aside = s.host(0).exec("ls /data/a/.ob/aside").unwrap().stdout;
    assert!(aside.contains("left-a-3"), "its store is kept: {aside}");
    config.protect = false;
    s.apply(&config).unwrap();
    config.clusters.remove("a");
    s.apply(&config).unwrap();
    s.settled().unwrap();
    s.clean(0, &[]).unwrap();
    writer.wait_for(50, SOON).unwrap();
    let report = writer.stop().unwrap();
    nothing_lost(&report).unwrap();
    assert_eq!(report.moves.len(), 1, "no role moved: {:?}", report.moves);
    has_all(s, 1, &report);
    s.say(&format!(
        "\"a\" left and was removed: {} rows acknowledged meanwhile, 0 lost, its host clean",
        report.acknowledged
    ));
    config
}

/// Proves: one operation builds both standbys at the same time. By the journals, each began to be
/// built before the other was.
fn beside_each_other(s: &Story) {
    let journals = trail::read(&s.lab).unwrap();
    let built = |host: &str| {
        let lines = || journals.iter().filter(|j| j.host == host).flat_map(|j| &j.lines);
        let of = |event, kind| {
            let step = |l: &&Line| l.entry.event == event && l.entry.kind == kind;
            let line = lines().find(step).unwrap_or_else(|| panic!("{host}: no {event:?} {kind}"));
            (line.entry.op.clone(), line.at)
        };
        let ((operation, began), (_, ended)) =
            (of(Event::Begin, "begin_store"), of(Event::End, "end_store"));
        (operation, began, ended)
    };
    let ((one, b_began, b_ended), (other, c_began, c_ended)) = (built("h2"), built("h3"));
    assert_eq!(one, other, "one operation built both");
    assert!(b_began < c_ended && c_began < b_ended, "{b_began}-{b_ended}, {c_began}-{c_ended}");
}

#[test]
fn three_are_deployed_switched_failed_over_rejoined_reduced_and_destroyed() {
    if !may_make_hosts("the story of three") {
        return;
    }
    let s = Story::new(3).unwrap();
    let begun = Instant::now();
    let mut config = Config::trio();
    s.apply(&config).unwrap();
    s.say(&format!("three deployed in {:.1} s", begun.elapsed().as_secs_f64()));
    beside_each_other(&s);
    s.settled().unwrap();
    stands(&s, "a", 1, &[("a", "primary"), ("b", "standby"), ("c", "standby")]);
    config = switchover(&s, config);
    config = failover(&s, config);
    rejoin(&s, &config);
    leave(&s, config);
    s.tf.destroy().unwrap();
    (0..3).for_each(|h| s.clean(h, &[]).unwrap());
    s.say("destroyed: all three hosts clean");
}

/// Proves: one apply replaces a host that is gone for good. Nobody waits for that host, and if it
/// does come back, its server stays down. As a new member it gets another store; the one that it had
/// as the primary is kept, and nobody opens it.
#[test]
fn a_host_that_is_gone_for_good_is_replaced_by_another() {
    if !may_make_hosts("the story of a host that is gone") {
        return;
    }
    let s = Story::new(3).unwrap();
    let mut config = Config::trio();
    config.protect = false;
    s.apply(&config).unwrap();
    // One apply removes a member and its server, as removing one entry from one map asks for.
    config.clusters.remove("c");
    s.apply(&config).unwrap();
    stands(&s, "a", 1, &[("a", "primary"), ("b", "standby")]);
    s.settled().unwrap();
    s.clean(2, &[]).unwrap();
    s.host(0).kill().unwrap();
    config = config.primary("b");
    config.group.as_mut().unwrap().failover = Some(s.consent(1, "b").unwrap());
    let both = {
        let mut both = config.clone();
        both.clusters.remove("a");
        both.clusters.insert("c".into(), Cluster::new("c", 2, false));
        both.more =
            "removed {\n  from = ob_cluster.a\n  lifecycle {\n    destroy = false\n  }\n}\n".into();
        both
    };
    let why = s.refused(&both).unwrap();
    assert!(why.contains("cannot leave group") && why.contains("then remove it"), "{why}");
    s.apply(&config).unwrap();
    stands(&s, "b", 2, &[("a", "unreachable"), ("b", "primary")]);

    let writer = Writer::start(writer::Config {
        servers: vec![s.root(1), s.root(2)],
        ..writer::Config::new([])
    })
    .unwrap();
    writer.wait_for(50, SOON).unwrap();
    config = both;
    config.group.as_mut().unwrap().failover = None;
    s.apply(&config).unwrap();
    stands(&s, "b", 2, &[("b", "primary"), ("c", "standby")]);
    s.settled().unwrap();
    config.more.clear();
    s.host(0).boot().unwrap();
    s.apply(&config).unwrap();
    s.settled().unwrap();
    assert_eq!(
        s.host(0).exec("pgrep -c seekdb").unwrap().stdout.trim(),
        "0",
        "who was left behind stays down"
    );
    config.clusters.insert("a".into(), Cluster::new("a", 0, false));
    s.apply(&config).unwrap();
    stands(&s, "b", 2, &[("a", "standby"), ("b", "primary"), ("c", "standby")]);
    s.settled().unwrap();
    let kept = s.host(0).exec("ls /data/a/.ob/aside").unwrap().stdout;
    assert!(kept.starts_with("former-2"), "its former store is kept: {kept}");
    writer.wait_for(50, SOON).unwrap();
    let report = writer.stop().unwrap();
    nothing_lost(&report).unwrap();
    has_all(&s, 2, &report);
    has_all(&s, 0, &report);
    s.tf.destroy().unwrap();
    (0..3).for_each(|h| s.clean(h, &[]).unwrap());
    s.say(&format!(
        "\"a\" was replaced by \"c\" and came back: {} rows acknowledged meanwhile, 0 lost",
        report.acknowledged
    ));
}
