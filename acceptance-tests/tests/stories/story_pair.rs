//! The life of a pair of databases with the real terraform, sshd and seekdb. A planned change never
//! loses an acknowledged row, a failover says what it may have lost, and no apply moves a role
//! unasked.
use lab::scope::{Scope, all, scope};
use lab::story::{Config, Story, nothing_lost, trail};
use lab::writer::{self, Writer};
use lab::{may_make_hosts, seekdb, sql};
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SOON: Duration = Duration::from_secs(30);

fn writer_config(s: &Story) -> writer::Config {
    writer::Config { servers: vec![s.root(0), s.root(1)], ..writer::Config::new([]) }
}

fn current(s: &Story) -> String {
    s.attribute("ob_standby.g", "current_primary").unwrap().as_str().unwrap_or_default().to_owned()
}

fn epoch(s: &Story) -> u64 {
    s.attribute("ob_standby.g", "epoch").unwrap().as_u64().unwrap()
}

/// The changes of a plan: the address, and the runbook before and after.
fn changes(plan: &Value) -> Vec<(String, String)> {
    let all = plan["resource_changes"].as_array().cloned().unwrap_or_default();
    all.iter()
        .filter(|c| c["change"]["actions"] != serde_json::json!(["no-op"]))
        .map(|c| {
            (
                c["address"].as_str().unwrap_or_default().to_owned(),
                c["change"]["after"]["runbook"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

fn parameter(s: &Story, host: usize, name: &str) -> String {
    let row =
        sql::query(s.root(host), &format!("show parameters like '{name}'")).unwrap().remove(0);
    // 1.3 has one column more before the name. The order name, data_type, value is the same on
    // both.
    let at = row.iter().position(|value| value == name).unwrap();
    row[at + 2].clone()
}

/// Proves: a change of a parameter changes the start script and the server, and nothing else. Drift
/// is shown exactly and corrected. A restart is planned as a restart.
fn parameters(s: &Story, mut config: Config) -> Config {
    config = config.parameter("a", "open_cursors", "70");
    s.write(&config).unwrap();
    let plan = s.tf.plan_json().unwrap();
    let planned = changes(&plan);
    assert!(planned.len() == 1 && planned[0].0 == "ob_cluster.a", "{planned:?}");
    s.tf.apply().unwrap();
    s.settled().unwrap();
    assert_eq!(parameter(s, 0, "open_cursors"), "70");

    sql::query(s.root(0), "alter system set open_cursors = '90'").unwrap();
    let text = s.tf.plan().unwrap().expect("drift is planned");
    assert!(text.contains("\"90\" -> \"70\""), "drift is shown exactly: {text}");
    assert!(
        changes(&s.tf.plan_json().unwrap())[0].1.contains("2 steps"),
        "its start script and the running server"
    );
    assert_eq!(parameter(s, 0, "open_cursors"), "90", "a plan writes nothing");
    s.tf.apply().unwrap();
    assert_eq!(parameter(s, 0, "open_cursors"), "70");

    let pid = |s: &Story| s.host(0).exec("cat /data/a/run/seekdb.pid").unwrap().stdout;
    let before = pid(s);
    config = config.parameter("a", "stack_size", "1M").parameter("b", "stack_size", "1M");
    s.write(&config).unwrap();
    let text = s.tf.plan().unwrap().unwrap();
    assert!(text.contains("outage") && text.contains("clients cut"), "a restart is named: {text}");
    s.tf.apply().unwrap();
    s.settled().unwrap();
    assert_ne!(pid(s), before, "it was restarted");
    assert_eq!(parameter(s, 0, "stack_size"), "1M");
    assert_eq!((current(s), s.writable(0).unwrap()), ("a".into(), true), "the role stayed");
    let times = |name: &str| {
        let (from, to) = (format!("note that \"{name}\""), format!("the restart of \"{name}\""));
        let at = |title: &str| {
            let journals = trail::read(&s.lab).unwrap();
            let mut lines = journals.into_iter().flat_map(|j| j.lines);
            lines.find(|l| l.entry.title.starts_with(title)).expect(title).at
        };
        (at(&from), at(&to))
    };
    let (a, b) = (times("a"), times("b"));
    assert!(a.1 <= b.0 || b.1 <= a.0, "two members do not restart together: {a:?} {b:?}");

    // What is dropped is not managed any more; that is no reason to restart anything.
    let before = pid(s);
    config.clusters.get_mut("a").unwrap().parameters.remove("stack_size");
    s.write(&config).unwrap();
    let text = s.tf.plan().unwrap().unwrap();
    let planned = changes(&s.tf.plan_json().unwrap());
    assert!(planned.len() == 1 && !planned[0].1.contains("outage"), "{planned:?}");
    let unmanaged = |text: &str| text.lines().find(|l| l.contains("unmanaged")).map(str::to_owned);
    assert!(!unmanaged(&text).is_some_and(|l| l.contains("known after apply")), "{text}");
    s.tf.apply().unwrap();
    s.settled().unwrap();
    assert_eq!((pid(s), parameter(s, 0, "stack_size")), (before, "1M".to_owned()));
    config
}

/// Proves: planned switchovers under load lose nothing and never open two members.
fn switchovers(s: &Story, config: &Config) -> Config {
    let rounds = if all() { 10 } else { 2 };
    let (mut config, mut gaps) = (config.clone(), Vec::new());
    for round in 0..rounds {
        let (from, to) = if current(s) == "a" { ("a", "b") } else { ("b", "a") };
        let writer = Writer::start(writer_config(s)).unwrap();
        writer.wait_for(100, SOON).unwrap();
        let begun = Instant::now();
        config = config.primary(to);
        s.apply(&config).unwrap();
        let took = begun.elapsed();
        writer.wait_for(100, SOON).unwrap();
        let report = writer.stop().unwrap();
        nothing_lost(&report).unwrap();
        assert!(
            report.probes > 5 && report.moves.len() == 2,
            "one move, watched: {} probes, moves {:?}",
            report.probes,
            report.moves
        );
        assert_eq!(current(s), to);
        gaps.push(report.longest_gap_ms);
        s.say(&format!(
            "switchover {} of {rounds}, {from} to {to}: {} rows acknowledged, 0 lost, write gap \
             {:.0} ms, apply {:.1} s",
            round + 1,
            report.acknowledged,
            report.longest_gap_ms,
            took.as_secs_f64()
        ));
        s.settled().unwrap();
    }
    gaps.sort_by(f64::total_cmp);
    s.say(&format!(
        "write gap of {rounds} switchovers: median {:.0} ms, longest {:.0} ms",
        gaps[gaps.len() / 2],
        gaps[gaps.len() - 1]
    ));
    config
}

/// Proves: with the primary's host off, a plain `apply` with a consent opens the standby, and
/// states a true bound of what is lost.
fn failover(s: &Story, config: &Config) -> Config {
    let (old, new) = if current(s) == "a" { ("a", "b") } else { ("b", "a") };
    let dead = usize::from(old == "b");
    let writer = Writer::start(writer_config(s)).unwrap();
    writer.wait_for(200, SOON).unwrap();
    // The log's clock leaps ahead of the wall clock when a role moves (up to 10 s) and stands still
    // there. Until the wall clock has caught up, a time says nothing about an SCN. Only afterwards
    // can acknowledgements be compared with the reported end.
    let ahead = |s: &Story| {
        let end: u128 =
            sql::query(s.root(dead), "select max(END_SCN) from oceanbase.V$OB_LOG_STAT").unwrap()
                [0][0]
                .parse()
                .unwrap();
        end > SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
    };
    let caught_up = Instant::now();
    while ahead(s) {
        assert!(caught_up.elapsed() < SOON, "the log's clock stays ahead");
        std::thread::sleep(Duration::from_millis(200));
    }
    writer.wait_for(200, SOON).unwrap();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let alive = now();
    s.host(dead).kill().unwrap();
    let killed = now();

    let why = s.refused(&config.clone().primary(new)).unwrap();
    assert!(
        why.contains("may lose rows") && why.contains("failover = {"),
        "without consent it is refused, with the way out: {why}"
    );
    let stale = s.consent(epoch(s) + 7, new).unwrap();
    let mut other = config.clone().primary(new);
    other.group.as_mut().unwrap().failover = Some(stale);
    let why = s.refused(&other).unwrap();
    assert!(why.contains("cannot be asked"), "a consent for another epoch is none: {why}");
    assert!(!s.writable(1 - dead).unwrap(), "nothing was opened");

    // A consent with a limit of the loss: a refusal leaves everything as it is, and the old primary
    // may come back.
    let note = |s: &Story| {
        s.host(1 - dead).exec(&format!("cat /data/{new}/.ob/group")).unwrap().ok().unwrap()
    };
    let before = note(s);
    other.group.as_mut().unwrap().failover = Some(s.consent(epoch(s), new).unwrap());
    let bound = other
        .render(&s.lab)
        .unwrap()
        .replace(&format!("to = \"{new}\" }}"), &format!("to = \"{new}\", max_loss = \"2s\" }}"));
    s.tf.write("main.tf", &bound).unwrap();
    let why = s.fails(&["apply", "-auto-approve", "-no-color"]).unwrap();
    assert!(why.contains("max_loss is 2.0s"), "{why}");
    assert_eq!(note(s), before, "no epoch began");

    let begun = Instant::now();
    s.apply(&other).unwrap();
    let took = begun.elapsed();
    writer.wait_for(100, SOON).unwrap();
    let report = writer.stop().unwrap();
    assert_eq!(report.acks.last().unwrap().server, 1 - dead);
    let said = s.attribute("ob_standby.g", "last_failover").unwrap().as_str().unwrap().to_owned();
    let scn: u64 = said
        .split("SCN ")
        .nth(1)
        .and_then(|t| t.split(' ').next())
        .and_then(|n| n.parse().ok())
        .expect(&said);
    // An acknowledgement comes after its commit, and all hosts share one clock. So a lost row was
    // acknowledged after the SCN.
    let at = |n: &u64| report.acks.iter().find(|a| a.n == *n).unwrap().at * 1000;
    for n in &report.lost {
        assert!(
            at(n) >= scn,
            "row {n}, acknowledged at {} ns, is lost although the log was said to end later, at \
             {scn}",
            at(n)
        );
    }
    let before: Vec<_> = report.acks.iter().filter(|a| a.at * 1000 < scn).collect();
    assert!(
        before.len() >= 100 && before.iter().all(|a| !report.lost.contains(&a.n)),
        "everything acknowledged before the SCN is there"
    );
    let bound = Duration::from_nanos(scn);
    assert!(
        bound <= killed + Duration::from_secs(2) && bound + Duration::from_secs(5) >= alive,
        "the bound is near the death: {bound:?} and {killed:?}"
    );
    assert!(report.two_writable.is_empty());
    s.say(&format!(
        "failover {old} to {new} after power loss: {} rows acknowledged, {} lost, all after the \
         reported SCN ({:.0} ms before the power went); apply {:.1} s",
        report.acknowledged,
        report.lost.len(),
        killed.saturating_sub(bound).as_secs_f64() * 1000.0,
        took.as_secs_f64()
    ));
    assert_eq!(current(s), new);
    other
}

/// Proves: the old host boots and its server stays down. An unrelated change moves no role. An
/// apply brings the old primary back as a standby.
fn rejoin(s: &Story, config: &Config) -> Config {
    let new = current(s);
    let (dead, old) = if new == "b" { (0, "a") } else { (1, "b") };
    s.host(dead).boot().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        s.host(dead).exec("pgrep -c seekdb").unwrap().stdout.trim(),
        "0",
        "a former primary never starts by itself"
    );
    assert!(sql::query(s.root(dead), "select 1").is_err(), "a writer there is refused");
    let before = epoch(s);
    // A change that has nothing to do with the group. The role stays, and the member that is behind
    // comes back.
    let config = config.clone().parameter(&new, "open_cursors", "80");
    s.apply(&config).unwrap();
    assert_eq!((current(s), epoch(s)), (new.clone(), before), "no role moved");
    let status = s.attribute("ob_standby.g", "member_status").unwrap();
    assert_eq!((status[old].as_str(), status[&new].as_str()), (Some("standby"), Some("primary")));
    let aside = s.host(dead).exec(&format!("ls /data/{old}/.ob/aside")).unwrap().stdout;
    assert!(aside.contains("epoch-"), "the old store is kept: {aside}");
    assert!(s.attribute("ob_standby.g", "set_aside").unwrap()[old].as_str().is_some());
    // The refresh looked at the cluster before its group brought it back. So nothing is planned,
    // and one refresh notes the change.
    s.tf.settled().unwrap();
    s.tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    s.settled().unwrap();
    s.say(&format!(
        "rejoin: \"{old}\" follows \"{new}\" again, its former store kept as {}",
        aside.trim()
    ));
    config
}

/// Proves: a standby whose host was off follows again after the next apply, and no role moves.
fn standby_back(s: &Story, config: &Config) {
    let (off, name) = if current(s) == "a" { (1, "b") } else { (0, "a") };
    let before = epoch(s);
    s.host(off).kill().unwrap();
    assert!(s.tf.plan().unwrap().is_none(), "a host that is off plans nothing");
    s.host(off).boot().unwrap();
    s.apply(config).unwrap();
    let status = s.attribute("ob_standby.g", "member_status").unwrap();
    assert_eq!((status[name].as_str(), epoch(s)), (Some("standby"), before));
    s.settled().unwrap();
    s.say(&format!("the standby \"{name}\" lost its power and follows again"));
}

#[test]
fn a_pair_is_deployed_changed_switched_failed_over_rejoined_and_destroyed() {
    life(seekdb::DEFAULT, true);
}

/// The same on 1.3. `make explore` also tries what a dead primary's host leaves behind.
#[test]
fn a_pair_of_1_3_lives_the_same_life() {
    life(seekdb::OTHER, scope() != Scope::Fixed);
}

fn life(version: &str, power_loss: bool) {
    if !may_make_hosts("the story of a pair") {
        return;
    }
    let s = Story::new(2).unwrap();
    let mut config = Config::pair().version(version);
    s.write(&config).unwrap();
    let planned = changes(&s.tf.plan_json().unwrap());
    assert_eq!(planned.len(), 3, "{planned:?}");
    let begun = Instant::now();
    s.tf.apply().unwrap();
    s.say(&format!("deployed in {:.1} s", begun.elapsed().as_secs_f64()));
    s.settled().unwrap();
    assert_eq!((s.writable(0).unwrap(), s.writable(1).unwrap()), (true, false));

    config = parameters(&s, config);
    config = switchovers(&s, &config);
    standby_back(&s, &config);
    if power_loss {
        config = failover(&s, &config);
        config = rejoin(&s, &config);
    }

    let why = s.fails(&["destroy", "-auto-approve", "-no-color"]).unwrap();
    assert!(why.contains("protected from destroy"), "{why}");
    // Consent only for the store of b that was set aside: a's stays, and nothing else does.
    config.protect = false;
    config.clusters.get_mut("a").unwrap().allow = vec!["a".into()];
    s.apply(&config).unwrap();
    s.tf.destroy().unwrap();
    assert_eq!(
        s.host(0).path("/data/a/.ob/aside").exists(),
        power_loss,
        "the set-aside store stays without consent"
    );
    s.clean(0, &["/data/a/.ob/aside/"]).unwrap();
    s.clean(1, &[]).unwrap();
    s.say("destroyed: hosts clean, a set-aside store without consent kept");
}
