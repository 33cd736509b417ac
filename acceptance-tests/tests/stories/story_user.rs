//! The life of a pair without root. An ordinary login user has the rights that `ob sudoers` prints
//! and no others, `ob_host` prepares the hosts, and a service user runs the servers. From the first
//! apply to the last destroy no command is refused.
use lab::story::{Config, Story, login, nothing_lost};
use lab::writer::{self, Writer};
use lab::{Host, command, may_make_hosts, run, sql};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);
const LOGIN: &str = "dba";
const SERVICE: &str = "obsvc";
const LOG: &str = "/var/log/sudo.log";

/// Makes the login user, installs what `ob sudoers` prints as the only rules, and makes sudo log
/// what it is asked.
fn admit(host: &Host) {
    login::make(host, LOGIN).unwrap();
    let ob = super::break_glass::ob();
    let rules = run(
        &mut command([&ob.display().to_string(), "sudoers", "--user", LOGIN, "--run-as", SERVICE]),
        b"",
        SOON,
    )
    .unwrap();
    let install = format!(
        "rm -f /etc/sudoers.d/*; cat > /etc/sudoers.d/ob && \
         echo 'Defaults logfile={LOG}, loglinelen=0' > /etc/sudoers.d/log && \
         chmod 0440 /etc/sudoers.d/* && visudo -c -q"
    );
    host.exec_for(&install, rules.stdout.as_bytes(), SOON).unwrap().ok().unwrap();
    assert_ne!(
        host.exec(&format!("su {LOGIN} -c 'sudo -n cat /etc/shadow'")).unwrap().status,
        0,
        "other rights as well: this would test nothing"
    );
    host.exec(&format!(": > {LOG}")).unwrap().ok().unwrap();
}

/// What sudo was asked to run as root since the log was emptied. Demands that nothing was refused.
fn as_root(host: &Host) -> Vec<String> {
    let log = host.exec(&format!("cat {LOG}")).unwrap().stdout;
    let asked: Vec<&str> = log.lines().filter(|l| l.contains("COMMAND=")).collect();
    assert!(
        asked.iter().any(|l| l.contains(&format!("USER={SERVICE} ;"))),
        "sudo writes its log: {log}"
    );
    let refused: Vec<_> = log
        .lines()
        .filter(|l| {
            l.contains("not allowed")
                || l.contains("password is required")
                || l.contains("NOT in sudoers")
        })
        .collect();
    assert!(refused.is_empty(), "sudo refused on {}: {refused:#?}", host.name());
    asked
        .iter()
        .filter(|l| l.contains("USER=root ;"))
        .filter_map(|l| l.split("COMMAND=").nth(1))
        .map(str::to_owned)
        .collect()
}

/// Demands that every process on a host, except the lab's own sshd and cron, belongs to one of
/// `who`. Returns these processes.
fn processes(host: &Host, who: &[&str]) -> BTreeSet<String> {
    let all = host.exec("ps -eo user:32=,comm=").unwrap().ok().unwrap();
    let found: BTreeSet<(&str, &str)> =
        all.lines().filter_map(|l| l.trim().split_once(' ')).map(|(u, c)| (u, c.trim())).collect();
    let own = ["sh", "cron", "sshd", "ps", "sleep"];
    let others: Vec<_> = found
        .iter()
        .filter(|(user, program)| !own.contains(program) && !who.contains(user))
        .collect();
    assert!(others.is_empty(), "on {}: {others:?}", host.name());
    found
        .into_iter()
        .filter(|(user, _)| who.contains(user))
        .map(|(user, program)| format!("{user}:{program}"))
        .collect()
}

/// Accounts, files and directories that the configuration makes, as one text.
fn snapshot(host: &Host) -> String {
    let line = "getent passwd | sort; getent group | sort; \
                ls -A /home /etc/sysctl.d /etc/security/limits.d /var/spool/cron/crontabs; \
                find /data 2>/dev/null; :";
    host.exec(line).unwrap().ok().unwrap()
}

/// Prepares both hosts, each with a server in a prepared directory: "a" is in the directory itself,
/// "b" below it.
fn configuration(s: &Story) -> Config {
    let mut config = Config { user: LOGIN.into(), ..Config::pair() };
    config.clusters.get_mut("b").unwrap().base_dir = "/data/b/db".into();
    for (name, cluster) in &mut config.clusters {
        let host = s.host(cluster.host);
        cluster.server = Some(format!("host = ob_host.{name}.endpoint, run_as = \"{SERVICE}\""));
        config.more += &format!(
            r#"
resource "ob_host" "{name}" {{
  name    = "{}"
  address = "{}"
  network = {{ device = "eth0" }}
  prepare = {{
    user                 = {{ name = "{SERVICE}" }}
    directories          = {{ "/data/{name}" = {{ mode = "0750" }} }}
    limits               = {{}}
    sysctl               = {{ profile = "seekdb", values = {{ "vm.swappiness" = "1" }} }}
    transparent_hugepage = "never"
    clock                = {{ max_offset = "5s" }}
  }}
}}
"#,
            host.name(),
            host.address()
        );
    }
    config
}

fn writer(s: &Story) -> Writer {
    let writer = Writer::start(writer::Config {
        servers: vec![s.root(0), s.root(1)],
        ..writer::Config::new([])
    })
    .unwrap();
    writer.wait_for(100, SOON).unwrap();
    writer
}

/// Proves: restart, switchover, failover and rejoin need no command as root.
fn life(s: &Story, mut config: Config) -> Config {
    config = config.parameter("a", "stack_size", "1M");
    s.apply(&config).unwrap();
    s.settled().unwrap();
    assert_eq!(sql::query(s.root(0), "show parameters like 'stack_size'").unwrap()[0][3], "1M");
    s.say("restarted with another parameter");

    let load = writer(s);
    config = config.primary("b");
    s.apply(&config).unwrap();
    load.wait_for(100, SOON).unwrap();
    let report = load.stop().unwrap();
    nothing_lost(&report).unwrap();
    s.settled().unwrap();
    s.say(&format!(
        "switchover a to b: {} rows acknowledged, 0 lost, write gap {:.0} ms",
        report.acknowledged, report.longest_gap_ms
    ));

    let load = writer(s);
    s.host(1).kill().unwrap();
    config = config.primary("a");
    config.group.as_mut().unwrap().failover = Some(s.consent(2, "a").unwrap());
    s.apply(&config).unwrap();
    load.wait_for(100, SOON).unwrap();
    let report = load.stop().unwrap();
    assert!(report.two_writable.is_empty() && report.acks.last().unwrap().server == 0);
    s.host(1).boot().unwrap();
    s.apply(&config).unwrap();
    s.tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    s.settled().unwrap();
    assert_eq!((s.writable(0).unwrap(), s.writable(1).unwrap()), (true, false));
    s.say(&format!(
        "failover b to a and rejoin: {} rows acknowledged, {} lost with the power",
        report.acknowledged,
        report.lost.len()
    ));
    config
}

#[test]
fn a_pair_lives_and_goes_without_root_under_the_printed_sudo_rules() {
    if !may_make_hosts("a pair without root") || !login::is_root("a pair without root") {
        return;
    }
    let s = Story::new(2).unwrap();
    s.lab.hosts().iter().for_each(admit);
    let before: Vec<_> = s.lab.hosts().iter().map(snapshot).collect();
    let mut config = configuration(&s);
    let begun = Instant::now();
    s.apply(&config).unwrap();
    s.say(&format!("hosts prepared and pair deployed in {:.1} s", begun.elapsed().as_secs_f64()));
    s.settled().unwrap();
    let mut commands = 0;
    for host in s.lab.hosts() {
        let prepared = as_root(&host);
        assert!(
            prepared.iter().any(|c| c.starts_with("/usr/sbin/useradd"))
                && prepared.iter().any(|c| c.contains("sysctl")),
            "{prepared:?}"
        );
        commands += prepared.len();
        assert_eq!(processes(&host, &[SERVICE]), [format!("{SERVICE}:seekdb")].into());
        assert!(!Path::new(&host.path("/root/.ob")).exists(), "nothing of ours in root's home");
        host.exec(&format!("grep -q USER={SERVICE} {LOG} && sed -i /USER=root/d {LOG}"))
            .unwrap()
            .ok()
            .unwrap();
    }

    config = life(&s, config);
    for host in s.lab.hosts() {
        assert_eq!(as_root(&host), [""; 0], "the databases need no root");
        assert_eq!(processes(&host, &[SERVICE]), [format!("{SERVICE}:seekdb")].into());
    }

    config.protect = false;
    s.apply(&config).unwrap();
    s.tf.destroy().unwrap();
    for (host, before) in s.lab.hosts().iter().zip(&before) {
        let undone = as_root(host);
        assert!(undone.iter().any(|c| c.starts_with("/usr/sbin/userdel")), "{undone:?}");
        commands += undone.len();
        assert_eq!(
            processes(host, &[SERVICE, LOGIN])
                .into_iter()
                .filter(|p| !p.ends_with(":sshd"))
                .collect::<Vec<_>>(),
            [""; 0]
        );
        assert_eq!(snapshot(host), *before, "{}", host.name());
    }
    (0..2).for_each(|h| s.clean(h, &[]).unwrap());
    s.say(&format!(
        "destroyed: hosts as they were; {commands} commands as root to prepare and to undo, none \
         for the databases, none refused"
    ));
}
