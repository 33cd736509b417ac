//! Hosts behind one gateway, known by a name: SSH goes to ports of the gateway, and the servers
//! reach each other at addresses of their own, which change.
use super::break_glass::Operator;
use lab::gateway::Forward;
use lab::story::{Config, Story, nothing_lost};
use lab::writer::{self, Writer};
use lab::{HostKeys, Options, may_make_hosts, sql};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The gateway's name. No host can tell whom others mean by it.
const GATEWAY: &str = "localhost";

struct Behind {
    s: Story,
    gateway: String,
    ports: [Forward; 2],
    known_hosts: PathBuf,
}

impl Behind {
    /// Two hosts with keys of their own, known by the gateway's name and their ports.
    fn new() -> Self {
        let options = Options { hosts: 2, host_keys: HostKeys::PerHost, ..Options::default() };
        let s = Story::with(options).unwrap();
        Self::at(s, GATEWAY, Ipv4Addr::LOCALHOST)
    }
    /// The hosts behind the gateway `name`, which listens on `address`.
    fn at(s: Story, name: &str, address: Ipv4Addr) -> Self {
        let ports = [0, 1].map(|n| {
            let ssh = s.host(n).at(s.host(n).port());
            Forward::start(IpAddr::V4(address), ssh).unwrap()
        });
        let known = std::fs::read_to_string(&s.lab.info().known_hosts).unwrap();
        let line = |n: usize| {
            let own = s.host(n).address().to_string();
            let named = known.lines().find(|l| l.split([' ', ',']).any(|w| w == own)).unwrap();
            let key = named.split_once(' ').unwrap().1;
            format!("[{name}]:{} {key}\n", ports[n].at.port())
        };
        let known_hosts = s.dir.path().join("known_hosts");
        let before = std::fs::read_to_string(&known_hosts).unwrap_or_default();
        std::fs::write(&known_hosts, before + &line(0) + &line(1)).unwrap();
        Self { s, gateway: name.to_owned(), ports, known_hosts }
    }
    /// The pair in one and the same directory of both hosts, whose servers reach each other at
    /// `services`.
    fn pair(&self, services: [&str; 2]) -> Config {
        let mut config = Config::pair();
        for (n, (cluster, service)) in config.clusters.values_mut().zip(services).enumerate() {
            cluster.base_dir = "/data/db".into();
            cluster.server = Some(format!(
                "host = {{ name = \"h{n}\", address = \"{}\", port = {}, \
                 service_address = {service} }}",
                self.gateway,
                self.ports[n].at.port()
            ));
        }
        config.known_hosts = Some(self.known_hosts.display().to_string());
        config
    }
    fn source(&self, host: usize) -> String {
        let row = sql::query(self.s.root(host), "show parameters like 'log_restore_source'");
        let row = row.unwrap().remove(0);
        let at = row.iter().position(|value| value == "log_restore_source").unwrap();
        row[at + 2].clone()
    }
    fn address(&self, host: usize, net: &str, line: &str) {
        let host = self.s.host(host);
        host.exec(&format!("ip addr {line} {net} dev eth0")).unwrap().ok().unwrap();
    }
}

fn life(version: &str) {
    let g = Behind::new();
    let s = &g.s;
    let own = [0, 1].map(|n| format!("\"{}\"", s.host(n).address()));
    let own = [own[0].as_str(), own[1].as_str()];
    let config = |services: [&str; 2]| g.pair(services).version(version);

    // Without addresses of their own the two would read from one place, and a name is none that a
    // server can follow: nothing is begun.
    for (services, word) in [
        (["null", "null"], "one and the same"),
        (["\"db1.example.internal\"", own[1]], "member can follow \"a\""),
    ] {
        let why = s.refused(&config(services)).unwrap();
        assert!(why.contains(word) && why.contains("service_address"), "{why}");
        assert!(!s.host(0).path("/data/db").exists(), "{word}: nothing was made");
    }
    let pair = config(own);
    s.apply(&pair).unwrap();
    s.settled().unwrap();
    assert_eq!(g.source(1), format!("{}:2882", s.host(0).address()));
    s.say("a pair behind one gateway is deployed: one address, two ports");

    let logins =
        || writer::Config { servers: vec![s.root(0), s.root(1)], ..writer::Config::new([]) };
    let writer = Writer::start(logins()).unwrap();
    writer.wait_for(100, SOON).unwrap();
    s.apply(&pair.clone().primary("b")).unwrap();
    s.apply(&pair.clone().primary("a")).unwrap();
    writer.wait_for(100, SOON).unwrap();
    s.settled().unwrap();

    // Another address of the primary: its standby follows there, and the role stays.
    let net = |n: u8| {
        let [a, b, c, _] = s.host(0).address().octets();
        Ipv4Addr::new(a, b, c, n).to_string()
    };
    let (second, nobody) = (net(101), net(102));
    g.address(0, &format!("{second}/24"), "add");
    let pids = |s: &Story| [0, 1].map(|n| s.host(n).exec("pgrep -x seekdb").unwrap().stdout);
    let (before, epoch) = (pids(s), s.attribute("ob_standby.g", "epoch").unwrap());
    let wrong = config([&format!("\"{nobody}\""), own[1]]);
    let why = s.refused(&wrong).unwrap();
    assert!(why.contains(&nobody) && why.contains("service_address"), "{why}");
    assert_eq!(g.source(1), format!("{}:2882", s.host(0).address()), "it follows as before");
    let other = config([&format!("\"{second}\""), own[1]]);
    s.write(&other).unwrap();
    let plan = s.tf.plan().unwrap().expect("it is planned");
    assert!(plan.contains("let the standbys follow a at its new address"), "{plan}");
    s.tf.apply().unwrap();
    s.settled().unwrap();
    assert_eq!(g.source(1), format!("{second}:2882"));
    let report = writer.stop().unwrap();
    nothing_lost(&report).unwrap();
    assert_eq!((pids(s), s.attribute("ob_standby.g", "epoch").unwrap()), (before, epoch));
    s.say(&format!("re-pointed under a writer: {} rows, none lost", report.acknowledged));

    // Notes and kits tell the new address, and an older kit is refused.
    let operator = Operator::of(&s.lab);
    let ob = |args: &[&str]| operator.run_knowing(&g.known_hosts, args);
    let file = |name: &str| s.dir.path().join(name).display().to_string();
    let (kit, old) = (file("kit.json"), file("old.json"));
    let at = format!("{}@{GATEWAY}:{}", pair.user, g.ports[1].at.port());
    assert_eq!(ob(&["kit", "--host", &at, "--out", &kit]).status, 0);
    let text = std::fs::read_to_string(&kit).unwrap();
    assert!(text.contains(&second), "{text}");
    let former = text.replace(&second, &s.host(0).address().to_string());
    std::fs::write(&old, former).unwrap();
    let out = ob(&["switchover", "--group", &old, "--to", "b", "--yes"]);
    assert!(out.status != 0 && out.stderr.contains("write a new kit"), "{out:?}");
    let out = ob(&["status", "--group", &kit, "--json"]);
    let status: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!((&status["primary"], &status["healthy"]), (&"a".into(), &true.into()));

    // Somebody points the standby elsewhere by hand: the next apply points it back.
    let elsewhere = format!("alter system set log_restore_source = '{nobody}:2882'");
    sql::query(s.root(1), &elsewhere).unwrap();
    s.tf.apply().unwrap();
    s.settled().unwrap();
    assert_eq!(g.source(1), format!("{second}:2882"));

    assert_eq!(ob(&["switchover", "--group", &kit, "--to", "b", "--yes"]).status, 0);
    assert_eq!((s.writable(0).unwrap(), s.writable(1).unwrap()), (false, true));
    s.apply(&other.primary("b")).unwrap();
    s.settled().unwrap();

    // Another gateway, which the hosts reach too: it takes connections for one that is off.
    let at = g.s.lab.info().gateway;
    let g = Behind::at(g.s, &at.to_string(), at);
    let s = &g.s;
    let here = g.pair([&format!("\"{second}\""), own[1]]).version(version).primary("b");
    s.apply(&here).unwrap();
    s.settled().unwrap();
    s.host(1).kill().unwrap();
    let epoch = s.attribute("ob_standby.g", "epoch").unwrap().as_u64().unwrap();
    let mut lost = here.primary("a");
    lost.group.as_mut().unwrap().failover = Some(s.consent(epoch, "a").unwrap());
    s.apply(&lost).unwrap();
    assert!(s.writable(0).unwrap());
    s.say("its primary's host is off: a failover behind the gateway");
    s.host(1).boot().unwrap();
    let back = Config { protect: false, ..lost };
    s.apply(&back).unwrap();
    s.tf.settled().unwrap();
    s.tf.destroy().unwrap();
    [0, 1].iter().for_each(|n| s.clean(*n, &[]).unwrap());
}

/// Proves: a pair is deployed, switched over and re-pointed behind one address with two ports, by a
/// name.
#[test]
fn a_pair_behind_one_gateway_lives_by_its_ports_and_follows_new_addresses() {
    if may_make_hosts("a pair behind a gateway") {
        life(lab::seekdb::DEFAULT);
    }
}

/// The same on 1.3, where `make explore` runs it.
#[test]
fn a_pair_of_1_3_behind_one_gateway_does_the_same() {
    if lab::scope::scope() != lab::scope::Scope::Fixed && may_make_hosts("a pair behind a gateway")
    {
        life(lab::seekdb::OTHER);
    }
}
