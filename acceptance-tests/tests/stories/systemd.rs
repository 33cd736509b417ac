//! Hosts that run a real systemd: a server is started by its unit, lives in no login's session,
//! starts with its host, and says in systemd's journal what it says.
use crate::break_glass::Operator;
use lab::story::{Config, Story, login};
use lab::{Host, Lab, Options, may_make_hosts, process, seekdb, sql};
use std::time::Duration;

/// The unit of the server in `/data/a`.
const UNIT: &str = "ob@data-a.service";
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
    let groups = says(&host, "cat /sys/fs/cgroup/cgroup.procs; ls /sys/fs/cgroup");
    let foreign = groups.lines().find(|l| l.starts_with("ob-lab") || l.parse::<u32>().is_ok());
    assert_eq!(foreign, None, "{groups}");
}

/// PAM takes the key and refuses the account, and sshd ends the connection without a word.
#[test]
fn an_account_that_pam_refuses_is_told_from_a_host_that_is_away() {
    if !may_make_hosts("a host with PAM") {
        return;
    }
    let lab = Lab::with(options(1)).unwrap();
    let host = lab.host(0);
    runs_well(&host);
    let operator = Operator::named(&lab, "admin");
    let doctor = || {
        let out = operator.run(&["doctor", "--host", &host.address().to_string()]);
        format!("{}{}", out.stdout, out.stderr)
    };
    for (refuse, undo) in
        [("chage -E 0 admin", "chage -E -1 admin"), ("touch /etc/nologin", "rm /etc/nologin")]
    {
        says(&host, refuse);
        let told = doctor();
        for part in ["ended the login of admin", "tries in", "chage -l", "/etc/nologin"] {
            assert!(told.contains(part), "{refuse}: no {part:?} in {told}");
        }
        assert!(!told.contains("firewall"), "{told}");
        says(&host, undo);
        let told = doctor();
        assert!(!told.contains("ended the login"), "{undo}: {told}");
    }
}

/// The unit whose group of processes the server in `directory` is in.
fn unit_of_the_server(host: &Host, directory: &str) -> String {
    let line = format!(
        "sed -n 's/^0::.*\\/\\([^/]*\\)$/\\1/p' /proc/$(cat {directory}/run/seekdb.pid)/cgroup"
    );
    says(host, &line)
}

/// Hardens the host as administrators do: whatever a session left ends with it, root's too.
fn harden(host: &Host) {
    let line = r"mkdir -p /etc/systemd/logind.conf.d && cd /etc/systemd/logind.conf.d &&
        printf '[Login]\nKillUserProcesses=yes\nKillExcludeUsers=\n' >hard.conf &&
        systemctl restart systemd-logind";
    says(host, line);
}

/// Ends all sessions.
fn log_everybody_out(host: &Host) {
    let line = "for s in $(loginctl list-sessions --no-legend | awk '{ print $1 }'); do \
                loginctl terminate-session $s; done";
    says(host, line);
    let left = || says(host, "loginctl list-sessions --no-legend; pgrep -a sshd | grep @; :");
    assert!(process::until(SOON, || left().is_empty()), "sessions are left: {}", left());
}

/// Moves the server's directory to a disk of its own. Proves: a boot without that disk starts no
/// server and makes no store, and the next boot with it starts the server as it was.
fn a_disk_that_is_missing(s: &Story, host: &Host) {
    let disk = "[Unit]\nDescription=The data disk\n\
                [Mount]\nWhat=/srv/disk\nWhere=/data\nType=none\nOptions=bind\n";
    std::fs::write(host.path("/etc/systemd/system/data.mount"), disk).unwrap();
    says(
        host,
        &format!(
            "systemctl stop {UNIT} && mv /data /srv/disk && mkdir /data && \
                  systemctl daemon-reload && systemctl start {UNIT} && mountpoint -q /data"
        ),
    );
    assert!(process::until(SOON, || answers(s, 0)), "its unit mounts the disk");
    host.kill().unwrap();
    std::fs::rename(host.path("/srv/disk"), host.path("/srv/lost")).unwrap();
    // A file cannot be mounted on a directory. An absent source would be made, and be empty.
    std::fs::write(host.path("/srv/disk"), "").unwrap();
    host.boot().unwrap();
    let state = host.exec("systemctl is-system-running --wait").unwrap().stdout;
    assert_eq!(state.trim(), "degraded");
    assert_eq!(says(host, &format!("systemctl is-active {UNIT}; find /data")), "inactive\n/data");
    s.say("a boot without the data disk: no server, no store");

    // The directory is there and its store is not: another disk may be missing.
    says(
        host,
        &format!(
            "rm /srv/disk && mv /srv/lost /srv/disk && systemctl start data.mount && \
                  mv /data/a/store /data/a/elsewhere; ! systemctl start {UNIT} 2>/dev/null; \
                  [ ! -e /data/a/store ] && mv /data/a/elsewhere /data/a/store"
        ),
    );
    let log = says(host, &format!("journalctl -b -u {UNIT} -o cat"));
    assert!(log.contains("there is no store, and none was to be made"), "{log}");
    says(host, &format!("systemctl start {UNIT}"));
    assert!(process::until(SOON, || answers(s, 0)), "it is as it was");
    says(
        host,
        &format!(
            "systemctl stop {UNIT} && umount /data && rmdir /data && mv /srv/disk /data && \
                  rm /etc/systemd/system/data.mount && systemctl daemon-reload && \
                  systemctl start {UNIT}"
        ),
    );
    assert!(process::until(SOON, || answers(s, 0)));
    s.settled().unwrap();
    s.say("with the disk the server is as it was");
}

fn status(s: &Story) -> String {
    s.attribute("ob_cluster.a", "status").unwrap().as_str().unwrap().to_owned()
}

/// Proves: who stops a server by its unit is not contradicted by a plan; a crash is mended; a unit
/// that does not start it is named with what systemd says.
fn stopped_by_hand(s: &Story, host: &Host, config: &Config) {
    for (stop, start) in [
        (format!("systemctl stop {UNIT}"), format!("systemctl start {UNIT}")),
        (format!("systemctl disable --now {UNIT}"), format!("systemctl enable --now {UNIT}")),
    ] {
        says(host, &stop);
        let told = s.apply(config).unwrap();
        assert!(told.contains("was stopped by hand") && !answers(s, 0), "{stop}: {told}");
        let words = told.split_whitespace().filter(|w| *w != "│").collect::<Vec<_>>().join(" ");
        assert!(words.contains(&start.replace(UNIT, &format!("'{UNIT}'"))), "{words}");
        assert_eq!(status(s), "stopped by hand");
        s.settled().unwrap();
        says(host, &start);
        assert!(process::until(SOON, || answers(s, 0)));
        s.apply(config).unwrap();
        assert_eq!(status(s), "running");
    }
    s.settled().unwrap();
    s.say("stopped by hand: a status, and no plan undoes it");

    let crash = "kill -9 $(cat /data/a/run/seekdb.pid)";
    says(host, crash);
    let broken = format!("/etc/systemd/system/{UNIT}.d");
    let line = "printf '[Service]\nExecStartPre=/bin/false\n'";
    says(host, &format!("mkdir {broken} && {line} >{broken}/x.conf && systemctl daemon-reload"));
    // A consent runs nothing on any host, so it is kept whatever becomes of the rest.
    let mut consents = config.clone();
    consents.clusters.get_mut("a").unwrap().allow.clear();
    let why = s.refused(&consents).unwrap();
    assert_eq!(s.attribute("ob_cluster.a", "allow_data_loss").unwrap(), serde_json::json!([]));
    assert!(why.contains("ExecStartPre=/bin/false") && why.contains("status=1/FAILURE"), "{why}");
    says(host, &format!("rm -r {broken} && systemctl daemon-reload"));
    s.apply(config).unwrap();
    assert_eq!(unit_of_the_server(host, "/data/a"), UNIT);
    s.settled().unwrap();
    s.say("a crash is mended by the next apply");
}

/// Proves: a server that somebody started by hand, as one that was adopted runs, is never joined by
/// a second one on its store, however often its unit is started.
fn started_by_hand(s: &Story, host: &Host) {
    says(host, &format!("systemctl stop {UNIT}"));
    let program = says(host, "readlink -f /data/a/.ob/package/seekdb");
    says(host, &seekdb::start_line(&program, "/data/a", 2881));
    assert!(process::until(SOON, || answers(s, 0)));
    let running = "cat /data/a/run/seekdb.pid; pgrep -x seekdb";
    let before = says(host, running);
    for _ in 0..3 {
        let out = host.exec(&format!("systemctl start {UNIT}")).unwrap();
        assert_ne!(out.status, 0);
        assert_eq!(says(host, running), before, "the same one, and its pid file");
    }
    let log = says(host, &format!("journalctl -b -u {UNIT} -o cat"));
    assert!(log.contains("a server of this directory runs as process"), "{log}");
    s.settled().unwrap();
    says(host, seekdb::END);
    says(host, &format!("systemctl start {UNIT}"));
    assert!(process::until(SOON, || answers(s, 0)));
    s.say("a server that was started by hand gets no second one beside it");
}

fn answers(s: &Story, host: usize) -> bool {
    sql::query(s.root(host), "select 1").is_ok()
}

#[test]
fn a_server_lives_by_its_unit_from_the_first_start_to_the_destroy() {
    if !may_make_hosts("a server by its unit") || !login::is_root("a server by its unit") {
        return;
    }
    let s = Story::with(options(1)).unwrap();
    let host = s.host(0);
    runs_well(&host);
    harden(&host);
    let before = says(&host, "find /etc/systemd ! -type d | sort");
    let mut config = Config { protect: false, ..Config::single() };
    s.apply(&config).unwrap();
    s.settled().unwrap();
    assert_eq!(unit_of_the_server(&host, "/data/a"), UNIT);
    let limits = says(&host, "cat /proc/$(cat /data/a/run/seekdb.pid)/limits");
    let open = limits.lines().find(|l| l.starts_with("Max open files")).unwrap();
    let open: Vec<&str> = open.split_whitespace().collect();
    // A lab host has at most what the machine has.
    assert!(open[3] == open[4] && open[3] != "1024", "its limits are the unit's: {open:?}");
    let log = says(&host, &format!("journalctl -u {UNIT} -o cat"));
    assert!(log.contains("The log file is in the directory: '/data/a/log/'"), "{log}");
    let described = says(&host, &format!("systemctl show -p Description --value {UNIT}"));
    assert_eq!(described, "a of stories: Database server in /data/a");
    s.say("deployed by its unit");

    log_everybody_out(&host);
    assert!(answers(&s, 0), "it is in nobody's session");
    s.settled().unwrap();
    s.say("every session ended; the server lives on");

    power(&host);
    assert!(process::until(SOON, || answers(&s, 0)), "it starts with its host");
    assert_eq!(unit_of_the_server(&host, "/data/a"), UNIT);
    s.settled().unwrap();
    s.say("the host lost its power; the server runs again");

    config = config.parameter("a", "stack_size", "1M");
    s.apply(&config).unwrap();
    s.settled().unwrap();
    assert_eq!(unit_of_the_server(&host, "/data/a"), UNIT);
    log_everybody_out(&host);
    assert!(answers(&s, 0), "it is in nobody's session");
    s.say("restarted");

    stopped_by_hand(&s, &host, &config);
    started_by_hand(&s, &host);
    a_disk_that_is_missing(&s, &host);

    s.tf.destroy().unwrap();
    s.clean(0, &[]).unwrap();
    assert_eq!(says(&host, "find /etc/systemd ! -type d | sort"), before);
    runs_well(&host);
    s.say("destroyed");
}

/// A host's users without any right as root: one who logs in, and one who runs servers.
fn admit(host: &Host) {
    let rule = format!("{USER} ALL=({SERVICE}) NOPASSWD: /bin/sh, /usr/bin/sh");
    [USER, SERVICE].iter().for_each(|user| lab::story::login::make(host, user).unwrap());
    let line = format!("rm -f /etc/sudoers.d/*; echo '{rule}' >/etc/sudoers.d/ob; mkdir /data");
    says(host, &line);
}

const USER: &str = "dba";
const SERVICE: &str = "obsvc";

#[test]
fn a_user_without_root_uses_its_own_manager_or_cron_by_choice() {
    if !may_make_hosts("a user's own manager") || !login::is_root("a user's own manager") {
        return;
    }
    let s = Story::with(options(1)).unwrap();
    let host = s.host(0);
    runs_well(&host);
    admit(&host);
    harden(&host);
    let files = "find /etc/systemd /home ! -type d ! -path '*/.ob/*' | sort";
    let before = says(&host, files);
    let mut config = Config { protect: false, user: USER.into(), ..Config::single() };
    let place = format!("name = \"{}\", address = \"{}\"", host.name(), host.address());
    config.clusters.get_mut("a").unwrap().server =
        Some(format!("host = {{ {place} }}, run_as = \"{SERVICE}\""));
    says(&host, &format!("chown {SERVICE} /data"));
    let why = s.refused(&config).unwrap();
    assert!(why.contains("KillUserProcesses=yes"), "{why}");
    assert!(why.contains(&format!("loginctl enable-linger {SERVICE}")), "{why}");
    s.say("a host that would end the server with the session is refused by name");

    says(&host, &format!("loginctl enable-linger {SERVICE}"));
    s.apply(&config).unwrap();
    s.settled().unwrap();
    assert_eq!(unit_of_the_server(&host, "/data/a"), UNIT);
    log_everybody_out(&host);
    assert!(answers(&s, 0), "it is in nobody's session");
    power(&host);
    assert!(process::until(SOON, || answers(&s, 0)), "it starts with its host");
    assert_eq!(unit_of_the_server(&host, "/data/a"), UNIT);
    s.settled().unwrap();
    let own = format!("XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user stop {UNIT}");
    says(&host, &format!("su {SERVICE} -c '{own}'"));
    s.apply(&config).unwrap();
    assert_eq!((status(&s).as_str(), answers(&s, 0)), ("stopped by hand", false));
    s.tf.destroy().unwrap();
    s.clean(0, &[]).unwrap();
    assert_eq!(says(&host, files), before);
    s.say("by its own manager: started, restarted by a boot, stopped by hand, destroyed");

    says(
        &host,
        &format!(
            "rm -r /etc/systemd/logind.conf.d; chown {USER} /data; \
                  systemctl restart systemd-logind"
        ),
    );
    config.clusters.get_mut("a").unwrap().server = None;
    s.apply(&config).unwrap();
    s.settled().unwrap();
    assert!(says(&host, &format!("crontab -l -u {USER}")).contains("@reboot /data/a/.ob/start"));
    power(&host);
    assert!(process::until(SOON, || answers(&s, 0)), "it starts with its host");
    s.settled().unwrap();
    s.tf.destroy().unwrap();
    s.clean(0, &[]).unwrap();
    s.say("by cron, where the manager does not linger");
}

#[test]
fn a_member_is_started_by_its_unit_and_does_not_start_with_its_host() {
    if !may_make_hosts("members by their units") || !login::is_root("members by their units") {
        return;
    }
    let s = Story::with(options(2)).unwrap();
    s.lab.hosts().iter().for_each(|h| {
        runs_well(h);
        harden(h);
    });
    let mut config = Config { protect: false, ..Config::pair() };
    s.apply(&config).unwrap();
    s.settled().unwrap();
    let units = [UNIT, "ob@data-b.service"];
    let by_units = || {
        for (n, (name, unit)) in ["a", "b"].iter().zip(units).enumerate() {
            let host = s.host(n);
            assert_eq!(unit_of_the_server(&host, &format!("/data/{name}")), unit);
            let enabled = host.exec(&format!("systemctl is-enabled {unit}")).unwrap().stdout;
            assert_ne!(enabled.trim(), "enabled");
        }
    };
    by_units();
    s.lab.hosts().iter().for_each(log_everybody_out);
    assert!(answers(&s, 0) && answers(&s, 1), "they are in nobody's session");
    config = config.primary("b");
    s.apply(&config).unwrap();
    s.settled().unwrap();
    by_units();
    s.say("a pair by its units, switched over");

    s.lab.hosts().iter().for_each(power);
    assert!(!answers(&s, 0) && !answers(&s, 1), "no member starts with its host");
    s.apply(&config).unwrap();
    s.settled().unwrap();
    by_units();
    assert_eq!((s.writable(0).unwrap(), s.writable(1).unwrap()), (false, true));
    s.say("both hosts lost their power; the next apply started both by their units");

    s.tf.destroy().unwrap();
    for (n, host) in s.lab.hosts().iter().enumerate() {
        s.clean(n, &[]).unwrap();
        assert_eq!(says(host, "find /etc/systemd -name 'ob@*'"), "");
        runs_well(host);
    }
}
