//! Lab hosts behave as machines: power, disk, freeze, partitions, settings, cron, logins.
use lab::scope::all;
use lab::{Host, HostKeys, Lab, Options, Output, may_make_hosts, run};
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_secs(10);

fn ssh(host: &Host, user: &str, line: &str) -> Result<String, anyhow::Error> {
    run(&mut host.ssh(user, line), b"", SHORT)?.ok()
}

fn connects(from: &Host, to: &Host) -> bool {
    from.exec(&format!("timeout 1 bash -c 'echo > /dev/tcp/{}/22'", to.address())).unwrap().status
        == 0
}

fn reachable(host: &Host) -> bool {
    TcpStream::connect_timeout(&host.at(22), Duration::from_millis(700)).is_ok()
}

#[test]
fn the_ssh_client_logs_in_as_root_and_as_an_ordinary_user() {
    if !may_make_hosts("logins") {
        return;
    }
    let lab = Lab::up(2).unwrap();
    for host in lab.hosts() {
        assert_eq!(
            ssh(&host, "root", "id -u; hostname; cat").unwrap(),
            format!("0\n{}", host.name())
        );
        assert_eq!(
            ssh(&host, "admin", "id -un; echo $HOME; echo x > mine; stat -c %U mine").unwrap(),
            "admin\n/home/admin\nadmin"
        );
        assert_eq!(ssh(&host, "root", "cat /home/admin/mine").unwrap(), "x");
    }
    let (a, b) = (lab.host(0), lab.host(1));
    assert_ne!(
        ssh(&a, "root", "cat /etc/machine-id").unwrap(),
        ssh(&b, "root", "cat /etc/machine-id").unwrap()
    );
    assert!(a.path("/home/admin/mine").exists());
    let foreign = ssh(&a, "root", "ls /root /tmp /opt; ps -e --no-headers | wc -l").unwrap();
    assert!(
        foreign.lines().last().unwrap().parse::<u32>().unwrap() < 15,
        "the machine's processes are not seen: {foreign}"
    );
}

#[test]
fn a_changed_host_key_is_refused_when_each_host_has_its_own() {
    if !may_make_hosts("host keys") {
        return;
    }
    let lab = Lab::with(Options { hosts: 2, host_keys: HostKeys::PerHost, ..Options::default() })
        .unwrap();
    let (a, b) = (lab.host(0), lab.host(1));
    assert!(ssh(&a, "root", "true").is_ok());
    let theirs = std::fs::read(b.path("/etc/ssh/lab_host_key")).unwrap();
    std::fs::write(a.path("/etc/ssh/lab_host_key"), theirs).unwrap();
    a.kill().unwrap();
    a.boot().unwrap();
    let e = ssh(&a, "root", "true").unwrap_err().to_string();
    assert!(e.contains("IDENTIFICATION HAS CHANGED"), "{e}");
}

#[test]
fn a_power_loss_is_silent_and_keeps_the_disk_only() {
    if !may_make_hosts("power loss") {
        return;
    }
    let lab = Lab::up(2).unwrap();
    let (host, other) = (lab.host(0), lab.host(1));
    host.exec("echo kept > /root/kept; echo gone > /run/gone; echo gone > /dev/shm/gone; setsid sleep 1000 >/dev/null 2>&1 &").unwrap().ok().unwrap();
    let boot_id = host.exec("cat /proc/sys/kernel/random/boot_id").unwrap().stdout;
    let mut open = TcpStream::connect(host.at(22)).unwrap();
    open.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut banner = [0; 256];
    assert!(open.read(&mut banner).unwrap() > 0);

    let begun = Instant::now();
    host.kill().unwrap();
    let quick = begun.elapsed() < Duration::from_secs(2);
    assert!(quick || !all(), "{:?}", begun.elapsed());
    assert!(!host.is_on());
    let end = open.read(&mut banner).map_err(|e| e.kind());
    assert_eq!(
        end,
        Err(std::io::ErrorKind::WouldBlock),
        "neither end nor reset may arrive from a host without power"
    );
    assert!(!reachable(&host) && !connects(&other, &host));
    assert!(host.exec("true").unwrap_err().to_string().contains("is off"));
    assert_eq!(std::fs::read_to_string(host.path("/root/kept")).unwrap(), "kept\n");
    host.kill().unwrap();

    host.boot().unwrap();
    host.boot().unwrap();
    assert_eq!(host.exec("cat /root/kept; ls /run/gone /dev/shm/gone 2>/dev/null; pgrep -x sleep -a | grep -c 'sleep 1000'").unwrap().stdout, "kept\n0\n");
    assert_ne!(host.exec("cat /proc/sys/kernel/random/boot_id").unwrap().stdout, boot_id);
    assert!(ssh(&host, "root", "true").is_ok());
    assert!(connects(&other, &host) && connects(&host, &other), "neighbours find it at once");
}

#[test]
fn a_frozen_host_takes_connections_and_never_answers() {
    if !may_make_hosts("freeze") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    let host = lab.host(0);
    // Moved into place: a beat that is read while it is written would be an empty one.
    host.exec("(while :; do date +%s%N > /root/new; mv /root/new /root/beat; sleep 0.01; done) >/dev/null 2>&1 &")
        .unwrap()
        .ok()
        .unwrap();
    let beat = || std::fs::read_to_string(host.path("/root/beat")).ok();
    assert!(lab::process::until(SHORT, || beat().is_some()), "it beats");
    host.freeze().unwrap();
    let before = beat();
    let mut open = TcpStream::connect(host.at(22)).unwrap();
    open.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(open.read(&mut [0; 16]).is_err(), "no banner while frozen");
    assert_eq!(beat(), before, "programs started by exec freeze too");
    host.thaw().unwrap();
    open.set_read_timeout(Some(SHORT)).unwrap();
    assert!(open.read(&mut [0; 16]).unwrap() > 0, "the same connection goes on");
    assert!(
        lab::process::until(SHORT, || beat() != before),
        "and what was started by exec goes on"
    );
    host.freeze().unwrap();
    host.kill().unwrap();
    assert!(host.freeze().unwrap_err().to_string().contains("is off"));
    host.boot().unwrap();
    assert!(ssh(&host, "root", "true").is_ok(), "a host that died frozen boots thawed");
}

#[test]
fn partitions_are_silent_both_ways_survive_a_boot_and_heal() {
    if !may_make_hosts("partitions") {
        return;
    }
    let lab = Lab::up(3).unwrap();
    let (a, b, c) = (lab.host(0), lab.host(1), lab.host(2));
    a.cut_from(&b).unwrap();
    assert!(!connects(&a, &b) && !connects(&b, &a), "cut pair");
    assert!(
        connects(&a, &c) && connects(&c, &b) && reachable(&a) && reachable(&b),
        "everything else stays"
    );
    b.kill().unwrap();
    b.boot().unwrap();
    assert!(!connects(&a, &b) && !connects(&b, &a), "a boot does not heal");
    b.heal().unwrap();
    assert!(connects(&a, &b) && connects(&b, &a));

    c.cut().unwrap();
    assert!(!connects(&c, &a) && !connects(&a, &c) && !reachable(&c));
    assert_eq!(
        c.exec("cat /sys/class/net/eth0/carrier").unwrap().stdout,
        "1\n",
        "the host sees no cable pulled"
    );
    c.kill().unwrap();
    c.boot().unwrap();
    assert!(!reachable(&c));
    c.heal().unwrap();
    assert!(connects(&c, &a) && connects(&a, &c) && reachable(&c));

    a.cut_from_operator().unwrap();
    assert!(!reachable(&a) && connects(&a, &b) && connects(&b, &a));
    lab.heal().unwrap();
    assert!(reachable(&a));
    assert!(a.cut_from(&a).is_err());
}

#[test]
fn kernel_settings_of_a_host_reach_neither_the_machine_nor_other_hosts() {
    if !may_make_hosts("kernel settings") {
        return;
    }
    let lab = Lab::up(2).unwrap();
    let (host, other) = (lab.host(0), lab.host(1));
    let names = ["vm/swappiness", "fs/file-max", "kernel/panic", "vm/max_map_count"];
    let machine = || names.map(|n| std::fs::read_to_string(format!("/proc/sys/{n}")).unwrap());
    let before = machine();
    host.exec("sysctl -q -w vm.swappiness=7 fs.file-max=4242424 kernel.panic=77 vm.max_map_count=655361 net.core.somaxconn=99").unwrap().ok().unwrap();
    assert_eq!(
        host.exec(
            "sysctl -n vm.swappiness fs.file-max kernel.panic vm.max_map_count net.core.somaxconn"
        )
        .unwrap()
        .stdout,
        "7\n4242424\n77\n655361\n99\n"
    );
    assert_eq!(machine(), before);
    assert_eq!(other.exec("cat /proc/sys/vm/swappiness").unwrap().stdout, before[0]);
    host.exec("echo never > /sys/kernel/mm/transparent_hugepage/enabled").unwrap().ok().unwrap();
    for locked in ["/proc/sysrq-trigger", "/proc/sys/dev/cdrom/debug", "/sys/kernel/mm/ksm/run"] {
        assert_ne!(
            host.exec(&format!(
                "[ ! -e {locked} ] || echo 0 > {locked} || exit 7; [ -e {locked} ]"
            ))
            .unwrap()
            .status,
            0,
            "{locked}"
        );
    }
    host.exec("mkdir -p /etc/sysctl.d; echo vm.max_map_count=655362 > /etc/sysctl.d/90-test.conf")
        .unwrap()
        .ok()
        .unwrap();
    host.kill().unwrap();
    host.boot().unwrap();
    assert_eq!(
        host.exec("cat /proc/sys/vm/swappiness").unwrap().stdout,
        before[0],
        "as on a machine, a boot forgets"
    );
    assert_eq!(
        host.exec("cat /proc/sys/vm/max_map_count").unwrap().stdout,
        "655362\n",
        "except what sysctl.d says"
    );
    assert_eq!(machine(), before);
}

/// sshd goes into the background before the program that started it has ended.
#[test]
fn a_host_that_has_booted_survives_the_end_of_all_its_processes() {
    if !may_make_hosts("the end of all processes") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    let host = lab.host(0);
    let slow = "mv /usr/sbin/sshd /usr/sbin/sshd.lab && printf '#!/bin/sh\n\
                /usr/sbin/sshd.lab \"$@\"; sleep 2\n' >/usr/sbin/sshd && chmod 755 /usr/sbin/sshd";
    host.exec(slow).unwrap().ok().unwrap();
    host.kill().unwrap();
    host.boot().unwrap();
    for _ in 0..2 {
        host.exec("kill -9 -1; sleep 0.5").unwrap().ok().unwrap();
    }
}

#[test]
fn cron_runs_reboot_entries_at_each_boot_once() {
    if !may_make_hosts("cron @reboot") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    let host = lab.host(0);
    host.exec("echo '@reboot echo ran >> /root/marks' | crontab -").unwrap().ok().unwrap();
    ssh(&host, "admin", "echo '@reboot id -un >> $HOME/marks' | crontab -").unwrap();
    for boot in 1..=2 {
        host.kill().unwrap();
        host.boot().unwrap();
        let lines =
            |file: &str| std::fs::read_to_string(host.path(file)).map_or(0, |t| t.lines().count());
        assert!(
            lab::process::until(SHORT, || lines("/root/marks") == boot
                && lines("/home/admin/marks") == boot),
            "boot {boot}: {} {}",
            lines("/root/marks"),
            lines("/home/admin/marks")
        );
    }
    assert_eq!(host.exec("cat /home/admin/marks").unwrap().stdout, "admin\nadmin\n");
}

#[test]
fn a_disk_with_a_limit_gets_full_and_its_neighbour_does_not() {
    if !may_make_hosts("disk full") {
        return;
    }
    let lab = Lab::with(Options { hosts: 2, disk: Some(32 << 20), ..Options::default() }).unwrap();
    let (host, other) = (lab.host(0), lab.host(1));
    let full = host.exec("dd if=/dev/zero of=/root/big bs=1M count=40").unwrap();
    assert!(full.status != 0 && full.stderr.contains("No space left"), "{full:?}");
    other.exec("dd if=/dev/zero of=/root/big bs=1M count=20").unwrap().ok().unwrap();
    host.kill().unwrap();
    host.boot().unwrap();
    host.exec("rm /root/big && dd if=/dev/zero of=/root/small bs=1M count=20")
        .unwrap()
        .ok()
        .unwrap();
}

#[test]
fn a_folder_shared_by_all_hosts_cannot_be_written_there() {
    if !may_make_hosts("shared folder") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    std::fs::write(lab.info().dir.join("shared/file"), "for all").unwrap();
    assert_eq!(lab.host(0).exec("cat /lab/file").unwrap().stdout, "for all");
    assert_ne!(lab.host(0).exec("echo x > /lab/file").unwrap().status, 0);
}

/// Runs the story of a lab without root as `sh` runs a line: an ordinary user's shell.
fn life_without_root(tool: &str, sh: &dyn Fn(&str) -> Output) {
    let ok = |line: &str| {
        let out = sh(&format!("{tool} {line}"));
        assert_eq!(out.status, 0, "{line}: {out:?}");
        out
    };
    let fails = |line: &str, why: &str| {
        let out = sh(&format!("timeout 5 {tool} {line}"));
        assert!(out.status != 0 && out.stderr.contains(why), "{line}: {out:?}");
    };
    let up = ok("--lab 201 up 2");
    assert!(up.stderr.contains("cannot test") && up.stderr.contains("no partitions"), "{up:?}");
    assert_eq!(ok("--lab 201 ssh h1 -- 'echo $OB_LAB_HOST'").stdout, "201/h1\n");
    ok("--lab 201 ssh h1 -- 'setsid sleep 98765 >/dev/null 2>&1 </dev/null &'");
    assert_eq!(sh("pgrep -fx 'sleep 98765' | wc -l").stdout, "1\n");
    ok("--lab 201 freeze h1");
    fails("--lab 201 ssh h1 -- true", "");
    ok("--lab 201 thaw h1");
    ok("--lab 201 ssh h1 -- true");
    ok("--lab 201 kill h1");
    assert_eq!(sh("pgrep -fx 'sleep 98765' | wc -l").stdout, "0\n", "daemons die with their host");
    fails("--lab 201 ssh h1 -- true", "refused");
    ok("--lab 201 ssh h2 -- true");
    ok("--lab 201 boot h1");
    ok("--lab 201 ssh h1 -- true");
    fails("--lab 201 partition h1", "without root");
    ok("--lab 201 down");
    assert_eq!(sh("ls -d /tmp/ob-lab-[2]01* 2>/dev/null").stdout, "");
    assert_eq!(sh("pgrep -fa '[o]b-lab-201'").stdout, "");
}

#[test]
fn hosts_without_root_are_plain_sshds_and_say_what_they_cannot_do() {
    let tool = env!("CARGO_BIN_EXE_ob-lab");
    let limit = Duration::from_secs(60);
    if !rustix::process::getuid().is_root() {
        life_without_root(tool, &|line| {
            run(std::process::Command::new("sh").args(["-c", line]), b"", limit).unwrap()
        });
        return;
    }
    // Root plays the ordinary user inside a lab host, where there is one.
    let lab = Lab::up(1).unwrap();
    std::fs::copy(tool, lab.info().dir.join("shared/ob-lab")).unwrap();
    let host = lab.host(0);
    life_without_root("/lab/ob-lab", &|line| {
        run(
            host.command(&["su", "admin", "-c", line]).unwrap().env("HOME", "/home/admin"),
            b"",
            limit,
        )
        .unwrap()
    });
}
