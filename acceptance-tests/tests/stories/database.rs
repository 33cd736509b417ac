//! Real seekdb on lab hosts, and what the writer says about it.
use lab::story::turn;
use lab::writer::{Config, Writer};
use lab::{Lab, may_make_hosts, seekdb, sql};
use ob::base::{Directory, ObjectName};
use ob::component::seekdb::Instance;
use ob::component::seekdb::steps::FENCE;
use ob::engine::{Host, Node, Port};
use ob::transport::Endpoint;
use std::time::Duration;

const SERVES: Duration = Duration::from_secs(60);

#[test]
fn a_real_seekdb_survives_a_power_loss_under_load_and_loses_nothing_it_acknowledged() {
    if !may_make_hosts("real seekdb") {
        return;
    }
    let _turn = turn::take().unwrap();
    let lab = Lab::up(1).unwrap();
    let host = lab.host(0);
    let program = seekdb::share(&lab, seekdb::DEFAULT).unwrap();
    seekdb::start(&host, &program, "/home/admin/db", 2881, SERVES).unwrap();
    let at = host.at(2881);
    assert!(sql::query(at, "select version()").unwrap()[0][0].contains("seekdb-v1.4.0.0"));

    let mut config = Config::new([at]);
    config.patience = Duration::from_millis(500);
    let writer = Writer::start(config.clone()).unwrap();
    writer.wait_for(100, SERVES).unwrap();
    host.kill().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    host.boot().unwrap();
    assert!(sql::query(at, "select 1").is_err(), "nothing starts it but us");
    seekdb::start(&host, &program, "/home/admin/db", 2881, SERVES).unwrap();
    writer.wait_for(50, SERVES).unwrap();
    let report = writer.stop().unwrap();
    assert!(
        report.acknowledged >= 150
            && report.lost.is_empty()
            && report.present >= report.acknowledged,
        "{report:?}"
    );
    assert!(report.longest_gap_ms > 300.0, "the outage is seen: {} ms", report.longest_gap_ms);

    // The writer finds a missing row by its number.
    let victim = report.acks[70].n;
    sql::query(at, &format!("delete from ob_lab.rows_written where n = {victim}")).unwrap();
    let missing = lab::writer::missing(&config, 0, &report).unwrap();
    assert_eq!(missing.iter().map(|a| a.n).collect::<Vec<_>>(), [victim]);
}

#[test]
fn the_writer_notices_two_servers_that_both_take_writes() {
    if !may_make_hosts("two primaries") {
        return;
    }
    let _turn = turn::take().unwrap();
    let lab = Lab::up(2).unwrap();
    let program = seekdb::share(&lab, seekdb::DEFAULT).unwrap();
    let servers: Vec<_> = lab.hosts().iter().map(|h| h.at(2881)).collect();
    for host in lab.hosts() {
        seekdb::start(&host, &program, "/home/admin/db", 2881, SERVES).unwrap();
    }
    for at in &servers {
        sql::query(*at, "create database ob_lab").unwrap();
        sql::query(*at, "create table ob_lab.probes (server int primary key, n bigint not null)")
            .unwrap();
    }
    let writer = Writer::start(Config::new(servers)).unwrap();
    writer.wait_for(100, SERVES).unwrap();
    let report = writer.stop().unwrap();
    assert!(report.probes > 0 && report.two_writable.len() as u64 == report.probes, "{report:?}");
    assert!(report.lost.is_empty() && report.moves.len() == 1, "{report:?}");
}

/// The product's fence first takes away the source that a former standby still has. With that
/// source the server would end at each start, because its log is longer than that of the source
/// that answers (-4234).
#[test]
fn a_fenced_primary_that_dies_before_its_last_log_was_read_starts_again() {
    if !may_make_hosts("a fenced primary that dies") {
        return;
    }
    let _turn = turn::take().unwrap();
    let lab = Lab::up(2).unwrap();
    let (a, b) = (lab.host(0), lab.host(1));
    let program = seekdb::pair(&lab, "/home/admin/db").unwrap();
    let run = |host: &lab::Host, statement: &str| sql::query(host.at(2881), statement).unwrap();
    run(&a, "alter system switchover to standby");
    run(&b, "alter system switchover to primary");
    run(&b, "create database t");
    run(&b, "create table t.r (n bigint primary key)");
    a.cut_from(&b).unwrap();
    run(&b, "insert into t.r values (1)");
    FENCE.iter().for_each(|statement| drop(run(&b, statement)));
    b.exec(seekdb::END).unwrap();
    lab.heal().unwrap();
    seekdb::start(&b, &program, "/home/admin/db", 2881, SERVES).unwrap();
    run(&b, "alter system activate standby");
    assert_eq!(run(&b, "select n from t.r"), [["1"]], "it has what its standby has not");
}

/// A host that boots and an apply may start a server at the same moment. Without the lock in the
/// product's start script both begin a server, and now and then the pid file names the one that
/// ends.
#[test]
fn of_starts_in_the_same_moment_one_serves_and_the_pid_file_names_it() {
    if !may_make_hosts("starts in the same moment") {
        return;
    }
    let _turn = turn::take().unwrap();
    let lab = Lab::up(1).unwrap();
    let host = lab.host(0);
    let program = seekdb::share(&lab, seekdb::DEFAULT).unwrap();
    let [name, user] = [host.name(), "root"].map(str::to_owned);
    let endpoint = Endpoint {
        name,
        address: host.address().to_string().parse().unwrap(),
        port: 22,
        user,
        identity: String::new(),
        host_key: String::new(),
    };
    let instance = Node::new(
        ObjectName::parse("a").unwrap(),
        Host { endpoint, run_as: String::new() },
        Directory::parse("/data/a").unwrap(),
        [(Port::Sql, 2881), (Port::Rpc, 2882)],
    );
    let sizes = ["datafile_size=256M", "log_disk_size=2G", "memory_limit=2G"]
        .map(|p| p.split_once('=').unwrap());
    let script = instance.start_script(&sizes.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    let run = |line: &str| host.exec_for(line, script.as_bytes(), SERVES).unwrap();
    let there = program.strip_suffix("/seekdb").unwrap();
    let starts = |n: usize| {
        format!(
            "cd /data/a; for n in $(seq {n}); do {{ .ob/start >/dev/null 2>&1 </dev/null; \
             echo $?; }} & done; wait"
        )
    };
    run(&format!(
        "mkdir -p /data/a/.ob && cd /data/a && cat > .ob/start && chmod +x .ob/start && \
         ln -s {there} .ob/package && touch .ob/mark .ob/new"
    ))
    .ok()
    .unwrap();
    for round in 0..4 {
        let mut codes: Vec<_> = run(&starts(if round == 0 { 1 } else { 4 }))
            .stdout
            .lines()
            .map(str::to_owned)
            .collect();
        codes.sort();
        assert_eq!(codes, ["0", "96", "96", "96"][..codes.len()], "round {round}");
        sql::wait(host.at(2881), SERVES).unwrap_or_else(|e| panic!("round {round}: {e:#}"));
        let found = run("cat /data/a/run/seekdb.pid; echo; pgrep -x seekdb").stdout;
        let pids: Vec<_> = found.lines().collect();
        assert!(
            pids.len() == 2 && pids[0] == pids[1],
            "round {round}: the pid file and what runs: {pids:?}"
        );
        run(seekdb::END);
    }
}

#[test]
fn the_writer_follows_a_switchover_and_sees_one_primary_at_a_time() {
    if !may_make_hosts("switchover under the writer") {
        return;
    }
    let _turn = turn::take().unwrap();
    let lab = Lab::up(2).unwrap();
    let (a, b) = (lab.host(0), lab.host(1));
    seekdb::pair(&lab, "/home/admin/db").unwrap();
    let writer = Writer::start(Config::new([b.at(2881), a.at(2881)])).unwrap();
    writer.wait_for(200, SERVES).unwrap();
    for (host, statement) in [
        (&a, format!("alter system set log_restore_source='{}:2882'", b.address())),
        (&a, "alter system switchover to standby".into()),
        (&b, "alter system switchover to primary".into()),
    ] {
        sql::query(host.at(2881), &statement).unwrap();
    }
    writer.wait_for(200, SERVES).unwrap();
    let report = writer.stop().unwrap();
    assert!(
        report.lost.is_empty() && report.two_writable.is_empty() && report.probes > 5,
        "{report:?}"
    );
    assert_eq!(
        report.moves.iter().map(|m| m.1).collect::<Vec<_>>(),
        [1, 0],
        "from the second server to the first"
    );
    assert!(report.read_only > 0 && report.longest_gap_ms < 10_000.0, "{report:?}");
}
