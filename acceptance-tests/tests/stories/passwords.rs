//! Passwords on real servers: a policy that refuses them, and a root whose password somebody else
//! has changed.
use crate::break_glass::Operator;
use lab::scope::{Scope, scope};
use lab::seekdb::{self, DEFAULT, OTHER};
use lab::story::config::{PASSWORD, hcl};
use lab::story::{Config, Story, words};
use lab::{may_make_hosts, sql};
use ob::base::sql::literal;
use std::time::Duration;

/// What the strict policy asks for; [`PASSWORD`] satisfies it.
const STRICT: [&str; 5] = [
    "validate_password_mixed_case_count = 1",
    "validate_password_number_count = 1",
    "validate_password_special_char_count = 2",
    "validate_password_length = 20",
    "validate_password_policy = medium",
];

/// Writes the configuration with this password of root's.
fn root(s: &Story, config: &Config, password: &str, version: u64) {
    let text = config.render(&s.lab).unwrap();
    let text = text.replace(&hcl(PASSWORD), &hcl(password));
    let text = text.replace("wo_version = 1\n", &format!("wo_version = {version}\n"));
    s.tf.write("main.tf", &text).unwrap();
}

fn login(s: &Story, password: &str) -> sql::Login {
    sql::Login { password: Some(password.into()), ..s.root(0) }
}

/// A server that somebody else made: its policy is strict and root has [`PASSWORD`]. Returns the
/// configuration that has imported it.
fn imported(s: &Story, version: &str) -> Config {
    let (host, limit) = (s.host(0), Duration::from_secs(90));
    let program = seekdb::share(&s.lab, version).unwrap();
    let line = seekdb::start_line(&program, "/data/a", 2881);
    let line = line.replace("enable_rpc_service=True", "syslog_level=INFO");
    host.exec_for(&line, b"", limit).unwrap().ok().unwrap();
    sql::wait(host.at(2881), limit).unwrap();
    for variable in STRICT {
        sql::query(host.at(2881), &format!("set global {variable}")).unwrap();
    }
    let root = format!("alter user root identified by {}", literal(PASSWORD));
    sql::query(host.at(2881), &root).unwrap();
    let config = Config::single().version(version);
    s.write(&config).unwrap();
    let id =
        format!("ssh://{}@{}:{}/data/a?identity=lab", config.user, host.address(), host.port());
    s.tf.run(&["import", "-no-color", "ob_cluster.a", &id]).unwrap().ok().unwrap();
    config
}

/// Proves: a server with a strict policy is adopted. A password that the policy refuses is named as
/// that, and however many are refused, the one in force is not lost: the next good one is set.
fn a_strict_policy(version: &str) {
    let s = Story::new(1).unwrap();
    let config = imported(&s, version);
    let plan = words(&s.tf.run(&["plan", "-no-color"]).unwrap());
    for word in [
        "\"a\" on h1 is adopted",
        "ob_service@127.0.0.1",
        "listens on port 2882",
        "does not repeat syslog_level=INFO,",
        "closed to other users",
    ] {
        assert!(plan.contains(word), "it does not say {word:?}: {plan}");
    }
    s.say(&plan[plan.find("Warning: \"a\" on h1 is adopted").unwrap_or_default()..]);
    s.tf.apply().unwrap();
    s.settled().unwrap();
    s.say("a server with a strict policy was adopted");

    let apply = ["apply", "-auto-approve", "-no-color"];
    for version in 2..=7 {
        root(&s, &config, &format!("weak{version}"), version);
        let why = s.fails(&apply).unwrap();
        for word in
            ["set root's password", "password policy refuses it", "validate_password_length = 20"]
        {
            assert!(why.contains(word), "it does not say {word:?}: {why}");
        }
        assert!(!why.contains(&format!("weak{version}")), "{why}");
    }
    sql::query(s.root(0), "select 1").unwrap();
    root(&s, &config, "Another-1-that_is-strong", 8);
    s.tf.apply().unwrap();
    s.settled().unwrap();
    sql::query(login(&s, "Another-1-that_is-strong"), "select 1").unwrap();
    s.say("six refused passwords were named, and the seventh was set");
    changed_by_hand(&s, &config, version == OTHER);
}

/// Proves: a root whose password somebody else has changed is told by plan and doctor, nothing is
/// planned because of it, and the way out that the message names works. `ours`: our account may set
/// root's password.
fn changed_by_hand(s: &Story, config: &Config, ours: bool) {
    let told = || {
        let out = s.tf.run(&["plan", "-detailed-exitcode", "-no-color"]).unwrap();
        assert_eq!(out.status, 0, "nothing is planned: {}", out.stdout);
        words(&out).contains("was changed by somebody else")
    };
    let at = format!("{}:{}", s.host(0).address(), s.host(0).port());
    let doctor = || Operator::of(&s.lab).run(&["doctor", "--host", &at]).stdout;
    assert!(!told() && !doctor().contains("by somebody else"));
    let by_hand = "alter user root identified by 'Hand-made-2-by_somebody'";
    sql::query(login(s, "Another-1-that_is-strong"), by_hand).unwrap();
    assert!(told() && doctor().contains("by somebody else"));
    s.tf.apply().unwrap();
    sql::query(login(s, "Hand-made-2-by_somebody"), "select 1").unwrap();

    root(s, config, "Another-3-that_is-strong", 9);
    if !ours {
        let why = s.fails(&["apply", "-auto-approve", "-no-color"]).unwrap();
        assert!(why.contains("annot log in as root"), "{why}");
        root(s, config, "Hand-made-2-by_somebody", 10);
        s.tf.apply().unwrap();
        assert!(!told());
        root(s, config, "Another-3-that_is-strong", 11);
    }
    s.tf.apply().unwrap();
    assert!(!told());
    sql::query(login(s, "Another-3-that_is-strong"), "select 1").unwrap();
    s.settled().unwrap();
    s.say("a password of root's that was changed by hand was told, and set again");
}

#[test]
fn a_strict_password_policy_is_met_or_named() {
    if may_make_hosts("a password policy") {
        a_strict_policy(DEFAULT);
    }
}

#[test]
fn a_strict_password_policy_is_met_or_named_on_1_3() {
    if scope() != Scope::Fixed && may_make_hosts("a password policy on 1.3") {
        a_strict_policy(OTHER);
    }
}
