//! Hosts that run a real systemd: a server is started by its unit, lives in no login's session,
//! starts with its host, and says in systemd's journal what it says.
use lab::story::{Config, Story};
use lab::{Host, Lab, Options, may_make_hosts, process, sql};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn options(hosts: usize) -> Options {
    Options { hosts, systemd: true, ..Options::default() }
}

fn says(host: &Host, line: &str) -> String {
    host.exec(line).unwrap().ok().unwrap()
}

/// Waits until the host has booted to its end, and demands that nothing failed there.
fn runs_well(host: &Host) {
    let state = host.exec("systemctl is-system-running --wait").unwrap().stdout;
    let failed = says(host, "systemctl --failed --no-legend --plain");
    assert_eq!((state.trim(), failed.as_str()), ("running", ""), "{}", host.name());
}

/// Switches the host off and on again.
fn power(host: &Host) {
    host.kill().unwrap();
    host.boot().unwrap();
    runs_well(host);
}

#[test]
fn a_host_boots_systemd_and_takes_logins_into_sessions_and_leaves_the_machine_alone() {
    if !may_make_hosts("a host with systemd") {
        return;
    }
    let lab = Lab::with(options(1)).unwrap();
    let host = lab.host(0);
    runs_well(&host);
    for user in ["root", "admin"] {
        let line = "cat /proc/self/cgroup; systemctl --user is-system-running --wait";
        let out = lab::run(&mut host.ssh(user, line), b"", SOON).unwrap().ok().unwrap();
        assert!(out.contains(".slice/session-") && out.ends_with("running"), "{user}: {out}");
    }
    // What the host changes of its systemd is its own.
    says(&host, "systemctl mask cron.service && systemctl set-environment LAB=1");
    assert!(!std::path::Path::new("/etc/systemd/system/cron.service").exists());
    let enabled = says(&host, "systemctl list-unit-files --state=enabled --no-legend --plain");
    assert!(
        enabled.contains("lab-sshd.service") && !enabled.contains("\nssh.service"),
        "{enabled}"
    );
    let boot = says(&host, "cat /proc/sys/kernel/random/boot_id");
    power(&host);
    assert_ne!(says(&host, "cat /proc/sys/kernel/random/boot_id"), boot);
    assert_eq!(
        says(&host, "journalctl --list-boots -q --no-pager | wc -l"),
        "2",
        "its journal stays"
    );
    let groups = says(&host, "mount -t cgroup,cgroup2");
    assert_eq!(groups.lines().count(), 1, "it sees no group of the machine's: {groups}");
    let groups = format!("/sys/fs/cgroup/systemd/ob-lab-{}", lab.info().id);
    drop(lab);
    assert!(!std::path::Path::new(&groups).exists(), "{groups} is left");
}

/// The unit whose group of processes the server in `directory` is in.
fn unit_of_the_server(host: &Host, directory: &str) -> String {
    let line = format!(
        "sed -n 's/.*name=systemd:.*\\/\\([^/]*\\)$/\\1/p' \
                        /proc/$(cat {directory}/run/seekdb.pid)/cgroup"
    );
    says(host, &line)
}

fn answers(s: &Story, host: usize) -> bool {
    sql::query(s.root(host), "select 1").is_ok()
}

#[test]
fn a_server_lives_by_its_unit_from_the_first_start_to_the_destroy() {
    if !may_make_hosts("a server by its unit") {
        return;
    }
    let s = Story::with(options(1)).unwrap();
    let host = s.host(0);
    runs_well(&host);
    let before = says(&host, "find /etc/systemd ! -type d | sort");
    let mut config = Config { protect: false, ..Config::single() };
    s.apply(&config).unwrap();
    s.settled().unwrap();
    s.say(&format!("deployed; it is in {}", unit_of_the_server(&host, "/data/a")));

    power(&host);
    assert!(process::until(SOON, || answers(&s, 0)), "it starts with its host");
    assert_eq!(unit_of_the_server(&host, "/data/a"), "ob@data-a.service");
    s.settled().unwrap();
    s.say("the host lost its power; the server runs again");

    config = config.parameter("a", "stack_size", "1M");
    s.apply(&config).unwrap();
    s.settled().unwrap();
    s.say("restarted");

    s.tf.destroy().unwrap();
    s.clean(0, &[]).unwrap();
    assert_eq!(says(&host, "find /etc/systemd ! -type d | sort"), before);
    s.say("destroyed");
}
