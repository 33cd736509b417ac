//! What only 1.3 does, with real servers; `make explore` runs it. The life of a pair of 1.3 is in
//! `story_pair`.
use lab::scope::{Scope, scope};
use lab::seekdb::{self, OTHER};
use lab::story::{Config, Story};
use lab::{may_make_hosts, sql};
use std::time::Duration;

fn explores(what: &str) -> bool {
    scope() != Scope::Fixed && may_make_hosts(what)
}

/// The two words that tell the role on 1.3.
fn role(s: &Story, host: usize) -> String {
    let words = "select concat(s.role, '/', t.switchover_status) from oceanbase.V$OB_SERVER_STAT \
                 s, oceanbase.__all_virtual_server_stat t";
    sql::query(s.root(host), words).unwrap()[0][0].clone()
}

const FENCE: &str = "alter system switchover to standby";
const PROMOTE: &str = "alter system switchover to primary";
const REOPEN: &str = "alter system activate standby";

/// Runs a move of the role in sessions whose timeout cuts it, until the server is in the middle of
/// the move. A move that came to its end is undone, and tried again.
fn cut(s: &Story, host: usize, (statement, undo): (&str, &str), middle: &[&str]) {
    let (before, mut seen) = (role(s, host), Vec::new());
    for millis in (1..=60).flat_map(|n| [n * 2, 150 - n]) {
        let setting = format!("set ob_query_timeout = {}", millis * 1000);
        let ended = sql::query_with(s.root(host), &setting, statement).is_ok();
        std::thread::sleep(Duration::from_millis(700));
        let now = role(s, host);
        if middle.contains(&now.as_str()) {
            s.say(&format!("{statement}, cut after {millis} ms: {now}"));
            return;
        }
        if now != before {
            sql::query(s.root(host), undo).unwrap();
        }
        seen.push((millis, ended, now));
    }
    panic!("never cut: {seen:?}");
}

/// Proves: the next apply finishes a fence and a promotion that were cut in the middle. While one
/// of them is in the middle, nobody else is opened.
#[test]
fn moves_that_were_cut_are_finished_on_1_3() {
    if !explores("moves that were cut") {
        return;
    }
    let s = Story::new(2).unwrap();
    let config = Config::pair().version(OTHER);
    s.apply(&config).unwrap();
    let noted = |host: usize, name: &str| {
        s.host(host).exec(&format!(": > /data/{name}/.ob/fenced")).unwrap().ok().unwrap();
    };
    let unset = "alter system set log_restore_source = ''";

    noted(0, "a");
    sql::query(s.root(0), unset).unwrap();
    cut(&s, 0, (FENCE, REOPEN), &["STANDBY/SWITCHING TO STANDBY"]);
    s.tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    assert_eq!(s.attribute("ob_standby.g", "member_status").unwrap()["a"], "fenced");
    s.apply(&config.clone().primary("b")).unwrap();
    assert_eq!((role(&s, 0), role(&s, 1)), ("STANDBY/NORMAL".into(), "PRIMARY/NORMAL".into()));
    s.settled().unwrap();

    noted(1, "b");
    sql::query(s.root(1), unset).unwrap();
    cut(&s, 1, (FENCE, REOPEN), &["STANDBY/SWITCHING TO STANDBY"]);
    s.apply(&config.clone().primary("b")).unwrap();
    assert_eq!(role(&s, 1), "PRIMARY/NORMAL", "the way back out of a fence that was cut");
    s.settled().unwrap();

    noted(1, "b");
    sql::query(s.root(1), unset).unwrap();
    sql::query(s.root(1), FENCE).unwrap();
    let middle = [
        "STANDBY/FLASHBACK",
        "STANDBY/SWITCHING TO PRIMARY",
        "STANDBY/PREPARE SWITCHING TO PRIMARY",
    ];
    cut(&s, 0, (PROMOTE, FENCE), &middle);
    s.tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    assert_eq!(s.attribute("ob_standby.g", "member_status").unwrap()["a"], "opening");
    let why = s.refused(&config.clone().primary("b")).unwrap();
    assert!(why.contains("promotion of \"a\"") && why.contains("set primary = \"a\""), "{why}");
    assert_eq!(role(&s, 1), "STANDBY/NORMAL", "nobody was opened beside it");
    s.apply(&config).unwrap();
    assert_eq!((role(&s, 0), role(&s, 1)), ("PRIMARY/NORMAL".into(), "STANDBY/NORMAL".into()));
    s.settled().unwrap();
}

/// Proves: a first start that lost its power leaves a store on which a server lives and never
/// serves. The next apply begins again without that store.
#[test]
fn a_first_start_that_lost_its_power_is_begun_again_on_1_3() {
    if !explores("a first start that was cut") {
        return;
    }
    let s = Story::new(1).unwrap();
    let config = Config::single().version(OTHER);
    s.write(&config).unwrap();
    let host = s.host(0);
    std::thread::scope(|scope| {
        let cut = scope.spawn(|| s.tf.apply().map(drop));
        host.exec_for(
            "until [ -s /data/a/run/seekdb.pid ]; do sleep 0.05; done; sleep 1.5",
            b"",
            Duration::from_secs(60),
        )
        .unwrap();
        host.kill().unwrap();
        assert!(cut.join().unwrap().is_err(), "it was cut");
    });
    host.boot().unwrap();
    s.apply(&config).unwrap();
    assert!(s.writable(0).unwrap());
    s.settled().unwrap();
}

/// Proves: a server that somebody made by hand is imported, its first change adopts it, and root
/// gets its password.
#[test]
fn a_server_made_by_hand_is_imported_on_1_3() {
    if !explores("an import") {
        return;
    }
    let s = Story::new(1).unwrap();
    let program = seekdb::share(&s.lab, OTHER).unwrap();
    seekdb::start(&s.host(0), &program, "/data/a", 2881, Duration::from_secs(90)).unwrap();
    let config = Config::single().version(OTHER);
    s.write(&config).unwrap();
    let (user, host) = (&config.user, s.host(0));
    let id = format!("ssh://{user}@{}:{}/data/a?identity=lab", host.address(), host.port());
    s.tf.run(&["import", "-no-color", "ob_cluster.a", &id]).unwrap().ok().unwrap();
    let unmanaged = s.attribute("ob_cluster.a", "unmanaged").unwrap();
    assert_eq!(unmanaged, serde_json::json!({}), "nobody has set anything beside the sizes");
    s.tf.apply().unwrap();
    assert!(s.writable(0).unwrap(), "root has its password");
    s.settled().unwrap();
}
