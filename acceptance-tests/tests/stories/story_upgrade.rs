//! Versions, with real packages: a server that does not come up goes back by itself; a pair is
//! upgraded under load, standby first, and loses nothing.
use lab::story::config::package;
use lab::story::{Config, Story, login, nothing_lost};
use lab::writer::{self, Writer};
use lab::{Options, may_make_hosts, sql};
use std::time::{Duration, Instant};

const OLD: &str = "1.3.0.post5";
const BEFORE: &str = "1.4.0";
const NEW: &str = "1.4.0.post1";
const SOON: Duration = Duration::from_secs(30);

fn build(s: &Story, host: usize) -> String {
    sql::query(s.root(host), "select @@version_comment").unwrap()[0][0].clone()
}

fn rows(s: &Story) -> Vec<Vec<String>> {
    sql::query(s.root(0), "select n from t.kept order by n").unwrap()
}

fn keep_rows(s: &Story) {
    for statement in [
        "create database t",
        "create table t.kept (n bigint primary key)",
        "insert into t.kept values (1), (2), (3)",
    ] {
        sql::query(s.root(0), statement).unwrap();
    }
}

/// Proves: the plan refuses 1.3 to 1.4. A package that claims to be another 1.3 and is a 1.4 does
/// not come up on the store; the old server is back by itself with its rows, and the error says so.
#[test]
fn a_new_version_that_does_not_come_up_leaves_the_old_one_running_with_its_rows() {
    if !may_make_hosts("an upgrade that cannot work") {
        return;
    }
    let s = Story::new(1).unwrap();
    let old = Config::single().version(OLD);
    s.apply(&old).unwrap();
    s.settled().unwrap();
    keep_rows(&s);
    let before = build(&s, 0);
    s.say(&format!("{OLD} deployed"));

    s.write(&old.clone().version(NEW)).unwrap();
    let why = s.fails(&["plan", "-no-color"]).unwrap();
    assert!(why.contains("cannot move from 1.3 to 1.4"), "{why}");

    let mut lies = old.clone();
    let other = package(NEW).unwrap().replace(NEW, "1.3.9");
    // Only the version that the package claims is another; the archive stays where it was.
    let other = other.replace("pylibseekdb-1.3.9-", &format!("pylibseekdb-{NEW}-"));
    lies.clusters.get_mut("a").unwrap().package = Some(other);
    let why = s.refused(&lies).unwrap();
    assert!(why.contains("cannot start seekdb") || why.contains("Cannot start seekdb"), "{why}");
    assert!(
        why.contains("went back") && why.contains("why") && why.contains("fix"),
        "the error says that the old one is back: {why}"
    );
    assert_eq!(build(&s, 0), before, "the old server runs");
    assert_eq!(rows(&s).len(), 3, "rows intact");
    assert!(s.tainted().unwrap().is_empty());
    assert!(s.tf.plan().unwrap().is_some(), "the next plan shows what is left");
    s.write(&old).unwrap();
    s.settled().unwrap();
    s.say(&format!(
        "{OLD} to {NEW}: the new server did not come up, went back by itself, rows intact"
    ));
}

/// Proves: an upgrade in place keeps every row, and so does the way back.
#[test]
fn a_single_database_is_upgraded_in_place_and_back() {
    if may_make_hosts("an upgrade in place") {
        there_and_back(&Story::new(1).unwrap());
    }
}

/// The same, where systemd runs the server.
#[test]
fn a_single_database_is_upgraded_in_place_by_its_unit() {
    if !may_make_hosts("an upgrade in place with systemd")
        || !login::is_root("an upgrade in place with systemd")
    {
        return;
    }
    let s = Story::with(Options { hosts: 1, systemd: true, ..Options::default() }).unwrap();
    there_and_back(&s);
    let unit = s.host(0).exec("cat /proc/$(cat /data/a/run/seekdb.pid)/cgroup").unwrap();
    assert!(unit.stdout.contains("/ob@data-a.service"), "{}", unit.stdout);
}

fn there_and_back(s: &Story) {
    let config = Config::single().version(BEFORE);
    s.apply(&config).unwrap();
    keep_rows(s);
    let before = build(s, 0);
    for version in [NEW, BEFORE] {
        let begun = Instant::now();
        s.apply(&config.clone().version(version)).unwrap();
        let now = build(s, 0);
        assert_eq!(now == before, version == BEFORE, "{version}: {now}");
        assert_eq!(s.attribute("ob_cluster.a", "build").unwrap(), now);
        assert_eq!(rows(s).len(), 3);
        s.settled().unwrap();
        s.say(&format!(
            "single moved to {version} in {:.1} s, rows intact",
            begun.elapsed().as_secs_f64()
        ));
    }
}

/// Proves: when one apply changes the version of both, the standby goes first and the primary is
/// refused by name. After a switchover the other one follows. The writer loses nothing on the way.
#[test]
fn a_pair_is_upgraded_standby_first_under_load_without_losing_a_row() {
    if !may_make_hosts("the upgrade of a pair") {
        return;
    }
    let s = Story::new(2).unwrap();
    let mut config = Config::pair().version(BEFORE);
    s.apply(&config).unwrap();
    let before = build(&s, 0);
    let writer = Writer::start(writer::Config {
        servers: vec![s.root(0), s.root(1)],
        ..writer::Config::new([])
    })
    .unwrap();
    writer.wait_for(100, SOON).unwrap();

    s.write(&config.clone().version(NEW)).unwrap();
    let why = s.fails(&["plan", "-no-color"]).unwrap();
    assert!(
        why.contains("he package of \"a\" on h1 cannot change")
            && why.contains("primary of group \"g\"")
            && why.contains("in three applies"),
        "by name, with the way: {why}"
    );
    assert_eq!((build(&s, 0), build(&s, 1)), (before.clone(), before.clone()), "nothing was done");

    config.clusters.get_mut("b").unwrap().version = NEW.into();
    s.apply(&config).unwrap();
    assert_eq!(build(&s, 0), before, "the primary was not touched");
    assert_ne!(build(&s, 1), before, "the standby is upgraded");
    config = config.primary("b");
    s.apply(&config).unwrap();
    s.settled().unwrap();
    config = config.version(NEW);
    s.apply(&config).unwrap();
    writer.wait_for(100, SOON).unwrap();
    let report = writer.stop().unwrap();
    nothing_lost(&report).unwrap();
    assert_eq!((build(&s, 0) == before, build(&s, 1) == before), (false, false));
    assert_eq!(
        report.moves.iter().map(|m| m.1).collect::<Vec<_>>(),
        [0, 1],
        "one move, by the switchover: {:?}",
        report.moves
    );
    s.settled().unwrap();

    // Root's password belongs to the group, and is set in whoever has the role.
    let text = config.render(&s.lab).unwrap();
    let of_a = text.replacen("root_password_wo_version = 1", "root_password_wo_version = 2", 1);
    s.tf.write("main.tf", &of_a).unwrap();
    let why = s.fails(&["plan", "-no-color"]).unwrap();
    assert!(why.contains("belongs to its group") && why.contains("of the ob_standby"), "{why}");
    config.group.as_mut().unwrap().more =
        "  root_password_wo = \"Another1\"\n  root_password_wo_version = 1\n".into();
    s.apply(&config).unwrap();
    s.settled().unwrap();
    for host in [0, 1] {
        let login = sql::Login { password: Some("Another1".into()), ..s.root(host) };
        sql::wait(login, SOON).unwrap();
        assert!(sql::query(s.root(host), "select 1").is_err(), "the former one is none");
    }
    s.say(&format!(
        "pair {BEFORE} to {NEW}, standby first: {} rows acknowledged, 0 lost, longest write gap \
         {:.0} ms",
        report.acknowledged, report.longest_gap_ms
    ));
}
