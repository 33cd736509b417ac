//! Preparing real hosts: what is written, what a second run finds, what destroy leaves, and what a
//! power loss does to it.
use lab::{Host as Machine, Lab, Options, may_make_hosts};
use ob::base::{ObjectName, OperationId, Problem};
use ob::component::host::{
    Desired, Directory, Limits, Prepare, Site, User, doctor, flow, record, steps,
};
use ob::component::seekdb::steps::SetBoot;
use ob::engine::lease::Target;
use ob::engine::{
    Check, Cx, Effect, Engine, Graph, Host, Node, Operation, Outcome, Step, Values, run,
};
use ob::transport::config::{HostKeyPolicy, Identity, KeySource, SshConfig};
use ob::transport::{Endpoint, Pool};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

pub(crate) const OWNER: &str = "tests";

/// Makes transparent huge pages as a machine has them that nobody has prepared.
pub(crate) const HUGE: &str = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";

/// What a preparation may touch, as one text; what the lab itself changes at a boot is left out.
pub(crate) fn snapshot(host: &Machine) -> String {
    let line = "getent passwd | sort; getent group | sort; ls -A /home; find /data /srv -printf '%p %u %m\\n' 2>/dev/null | sort; \
        ls /etc/sysctl.d /etc/security/limits.d; sysctl -n fs.aio-max-nr fs.file-max vm.max_map_count vm.min_free_kbytes vm.overcommit_memory vm.swappiness net.core.somaxconn net.ipv4.tcp_rmem net.ipv4.tcp_fin_timeout; \
        sed 's/.*\\[\\(.*\\)\\].*/\\1/; s/^/thp=/' /sys/kernel/mm/transparent_hugepage/enabled; find / -xdev -name made -path '*/.ob/*' 2>/dev/null";
    host.exec(line).unwrap().ok().unwrap()
}

pub(crate) fn ssh(lab: &Lab) -> SshConfig {
    let key = KeySource::File { path: lab.info().key.clone(), passphrase: None };
    SshConfig {
        identities: [("lab".to_owned(), Identity { user: None, key, certificate: None })].into(),
        known_hosts_files: vec![lab.info().known_hosts.clone()],
        known_hosts_lines: Vec::new(),
        policy: HostKeyPolicy::Strict,
        bastion: Vec::new(),
        algorithms: None,
        observe: false,
        later: false,
    }
}

pub(crate) fn cx(lab: &Lab) -> Cx {
    Cx::new(
        Pool::new(ssh(lab), CancellationToken::new()),
        CancellationToken::new(),
        BTreeMap::new(),
    )
}

pub(crate) fn site(machine: &Machine, login: &str) -> Site {
    let endpoint = Endpoint {
        name: machine.name().into(),
        address: machine.address().to_string().parse().unwrap(),
        port: machine.port(),
        user: login.into(),
        identity: "lab".into(),
        host_key: String::new(),
    };
    Site { name: machine.name().into(), host: Host { endpoint, run_as: String::new() } }
}

pub(crate) fn wanted(machine: &Machine, login: &str, paths: &[&str]) -> Desired {
    let directories = paths
        .iter()
        .map(|p| {
            (
                (*p).to_owned(),
                Directory { path: (*p).to_owned(), owner: "obsvc".into(), mode: "0750".into() },
            )
        })
        .collect();
    let limits = Limits {
        user: "obsvc".into(),
        nofile: "655350".into(),
        nproc: "655360".into(),
        stack: "unlimited".into(),
        core: "unlimited".into(),
    };
    Desired {
        site: site(machine, login),
        network: Some(("eth0".into(), Some(machine.address().to_string()))),
        prepare: Some(Prepare {
            user: Some(User { name: "obsvc".into(), uid: Some(5001), home: None }),
            directories,
            limits: Some(limits),
            sysctl: Some((
                "oceanbase".into(),
                [("vm.swappiness".to_owned(), "1".to_owned())].into(),
            )),
            hugepage: Some("never".into()),
            clock: Some(Duration::from_secs(5)),
            declared: "{}".into(),
        }),
    }
}

fn operation(verb: &str, site: &Site, graph: &Graph) -> Operation {
    Operation {
        id: OperationId::fresh(),
        verb: verb.into(),
        object: site.title(),
        who: "test".into(),
        authority: OWNER.into(),
        epoch: 0,
        engine: Engine::None,
        nodes: Vec::new(),
        titles: graph.titles(),
    }
}

async fn go(cx: &Cx, verb: &str, site: &Site, graph: &Graph) -> Outcome {
    let operation = operation(verb, site, graph);
    run(cx, operation, graph, vec![site.target()], &ob::engine::Limits::of(4)).await
}

async fn must(cx: &Cx, verb: &str, site: &Site, graph: &Graph) -> Outcome {
    let out = go(cx, verb, site, graph).await;
    assert_eq!(out.problem.as_ref().map(ToString::to_string), None, "{verb}: {out:?}");
    out
}

pub(crate) async fn creation(cx: &Cx, site: &Site) -> String {
    record::read(cx, &site.host).await.unwrap().text("creation").to_owned()
}

async fn undo(cx: &Cx, d: &Desired) -> Outcome {
    let graph = flow::destroy(&d.site, d.prepare.as_ref(), &creation(cx, &d.site).await);
    go(cx, "destroy", &d.site, &graph).await
}

pub(crate) fn refused(out: &Outcome) -> &Problem {
    out.problem.as_ref().unwrap_or_else(|| panic!("it was not refused: {out:?}"))
}

/// The rights that `ob sudoers` prints, and none beside them.
pub(crate) fn install_sudoers(machine: &Machine) {
    let text = ob::transport::sudo::sudoers("admin", "obsvc");
    let line = "rm -f /etc/sudoers.d/*; cat > /etc/sudoers.d/ob && chmod 0440 /etc/sudoers.d/ob && visudo -c -q";
    machine.exec_for(line, text.as_bytes(), Duration::from_secs(20)).unwrap().ok().unwrap();
    let other = machine.exec("su admin -c 'sudo -n cat /etc/shadow'").unwrap();
    assert_ne!(other.status, 0, "admin has other rights as well: this would test nothing");
}

async fn whole_life(lab: &Lab, machine: &Machine, login: &str, paths: &[&str]) {
    machine.exec(HUGE).unwrap().ok().unwrap();
    let (before, cx, d) = (snapshot(machine), cx(lab), wanted(machine, login, paths));
    let graph = flow::create(&d);
    let first = must(&cx, "create", &d.site, &graph).await;
    assert!(first.skipped.iter().all(|t| t.starts_with("prove")), "{first:?}");
    let second = must(&cx, "create", &d.site, &graph).await;
    assert_eq!(second.done, [], "a second run changes nothing");

    let there = |line: &str| machine.exec(line).unwrap().ok().unwrap();
    assert_eq!(
        there("id -u obsvc; getent passwd obsvc | cut -d: -f5-"),
        "5001\nob-host:/home/obsvc:/bin/bash"
    );
    for path in paths {
        assert_eq!(there(&format!("stat -c '%U %a' {path}")), "obsvc 750");
    }
    assert_eq!(
        there("sysctl -n vm.swappiness fs.aio-max-nr vm.max_map_count net.core.somaxconn")
            .lines()
            .next(),
        Some("1")
    );
    assert!(there("cat /etc/security/limits.d/99-ob.conf").contains("obsvc hard nofile 655350"));
    let file = there("cat /etc/sysctl.d/99-ob.conf");
    assert!(
        file.contains("vm.swappiness = 1") && !file.contains("overcommit"),
        "what was good already is not written: {file}"
    );
    assert!(
        ["never", "always madvise [never]"]
            .contains(&there("cat /sys/kernel/mm/transparent_hugepage/enabled").as_str())
    );

    drift(&cx, machine, &d, paths[0]).await;

    // Whoever changed something after us keeps it.
    machine
        .exec("sysctl -q -w net.core.somaxconn=7777; touch /home/obsvc/precious")
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(undo(&cx, &d).await.problem, None);
    assert_eq!(
        there("sysctl -n net.core.somaxconn; cat /home/obsvc/precious && rm -r /home/obsvc"),
        "7777"
    );
    let old = before.lines().find(|l| *l == "4096" || *l == "128").unwrap_or("4096").to_owned();
    machine.exec(&format!("sysctl -q -w net.core.somaxconn={old}")).unwrap().ok().unwrap();
    same(&snapshot(machine), &before, "destroy leaves the host as it was");
    assert_eq!(undo(&cx, &d).await.problem, None, "a second destroy finds nothing to do");
}

/// Compares two snapshots, and shows only the lines that differ.
pub(crate) fn same(after: &str, before: &str, what: &str) {
    let (a, b): (Vec<_>, Vec<_>) = (after.lines().collect(), before.lines().collect());
    let more: Vec<_> = a.iter().filter(|l| !b.contains(l)).collect();
    let less: Vec<_> = b.iter().filter(|l| !a.contains(l)).collect();
    assert!(a == b, "{what}: more {more:?}, less {less:?}");
}

/// What is changed by hand is shown exactly, and corrected by a graph of just those parts.
async fn drift(cx: &Cx, machine: &Machine, d: &Desired, path: &str) {
    machine.exec(&format!("sysctl -q -w vm.swappiness=33; chmod 0700 {path}; echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; echo '* soft core 0' >> /etc/security/limits.d/99-ob.conf")).unwrap().ok().unwrap();
    let mut seen = BTreeMap::new();
    for (part, step) in flow::parts(&d.site, d.prepare.as_ref().unwrap()) {
        match step.check(cx).await.unwrap() {
            Check::Done => {}
            Check::Needed(why) => drop(seen.insert(part, why)),
            other => panic!("{part}: {other:?}"),
        }
    }
    let expected = [
        (
            format!("directories {path}"),
            format!("{path} belongs to obsvc with mode 0700, not to obsvc with 0750"),
        ),
        ("limits".into(), "/etc/security/limits.d/99-ob.conf holds other lines".into()),
        ("sysctl".into(), "vm.swappiness is 33, not 1".into()),
        ("transparent_hugepage".into(), "transparent huge pages are madvise, not never".into()),
    ];
    assert_eq!(seen, expected.into());
    let parts: BTreeSet<_> = seen.into_keys().collect();
    let graph = flow::update(d, d, &parts, &creation(cx, &d.site).await);
    let out = must(cx, "update", &d.site, &graph).await;
    assert_eq!(out.done.len(), 4, "{out:?}");
    assert!(flow::update(d, d, &BTreeSet::new(), "x").is_empty(), "no drift, no steps");
}

#[tokio::test(flavor = "multi_thread")]
async fn root_prepares_a_host_twice_and_leaves_it_as_it_was() {
    if !may_make_hosts("preparing hosts") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    whole_life(&lab, &lab.host(0), "root", &["/data/1", "/srv/deep/er/log"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_with_the_printed_sudo_rules_does_the_same() {
    if !may_make_hosts("preparing hosts with sudo") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    install_sudoers(&lab.host(0));
    whole_life(&lab, &lab.host(0), "admin", &["/data/1", "/data/log1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_neither_taken_nor_removed() {
    if may_make_hosts("preparing hosts") {
        others(Lab::up(1).unwrap()).await;
    }
}

/// There the users' own managers outlive their sessions, and systemd applies the settings at boot.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_systemd_is_prepared_and_left_the_same_way() {
    if !may_make_hosts("preparing hosts with systemd") {
        return;
    }
    let systemd = || Options { hosts: 1, systemd: true, ..Options::default() };
    let lab = Lab::with(systemd()).unwrap();
    install_sudoers(&lab.host(0));
    whole_life(&lab, &lab.host(0), "admin", &["/data/1", "/data/log1"]).await;
    others(Lab::with(systemd()).unwrap()).await;
}

async fn others(lab: Lab) {
    let (machine, cx) = (lab.host(0), cx(&lab));
    let mut d = wanted(&machine, "root", &["/data/mount", "/data/theirs"]);
    machine.exec("mkdir -p /data/mount/lost+found /data/theirs && echo x > /data/theirs/file && chmod 0711 /data/mount").unwrap().ok().unwrap();
    let before = snapshot(&machine);
    let out = go(&cx, "create", &d.site, &flow::create(&d)).await;
    assert!(refused(&out).why.contains("holds file"), "{out:?}");
    assert_eq!(refused(&out).attribute, ["prepare", "directories", "/data/theirs"]);

    d.prepare.as_mut().unwrap().directories.remove("/data/theirs");
    must(&cx, "create", &d.site, &flow::create(&d)).await;
    assert_eq!(
        machine.exec("stat -c '%U %a' /data/mount").unwrap().stdout,
        "obsvc 750\n",
        "an empty file system of root's is taken"
    );

    // A second configuration, and a second name, are told whose it is.
    let other = Operation {
        id: OperationId::fresh(),
        verb: "create".into(),
        object: d.site.title(),
        who: "t".into(),
        authority: "somebody-else".into(),
        epoch: 0,
        engine: Engine::None,
        nodes: Vec::new(),
        titles: Vec::new(),
    };
    let out =
        run(&cx, other, &flow::create(&d), vec![d.site.target()], &ob::engine::Limits::of(4)).await;
    assert!(refused(&out).why.contains("owner \"tests\""), "{out:?}");
    let mut alias = d.clone();
    alias.site.name = "alias".into();
    let out = go(&cx, "create", &alias.site, &flow::create(&alias)).await;
    assert!(refused(&out).what.contains("already prepared as \"h1\""), "{out:?}");

    // Objects in the home of the user we made: an unfinished one, then a complete one.
    let mark = |stage: &str| {
        let json = format!(
            "{{\"format\":1,\"type\":\"ob_cluster\",\"engine\":\"seekdb\",\"node\":{{\"name\":\"main\",\"host\":{{\"endpoint\":{{\"name\":\"h\",\"address\":\"h\",\"port\":22}}}},\"directory\":\"/home/obsvc/db\",\"ports\":{{}}}},\"owner\":\"tests\",\"creation\":\"c\",\"authority\":\"tests\",\"epoch\":0,\"stage\":\"{stage}\",\"operation\":\"01OP\"}}"
        );
        machine
            .exec(&format!("su obsvc -c 'mkdir -p ~/.ob/objects/cluster.main ~/db/.ob; echo ~/db > ~/.ob/objects/cluster.main/home'; echo '{json}' > /home/obsvc/db/.ob/mark"))
            .unwrap()
            .ok()
            .unwrap();
    };
    mark("building");
    let out = undo(&cx, &d).await;
    assert!(
        refused(&out).fix.contains("ob operation abandon 01OP") && out.done.is_empty(),
        "{out:?}"
    );
    mark("complete");
    let out = undo(&cx, &d).await;
    assert!(
        refused(&out).what.contains("in use") && refused(&out).why.contains("cluster.main"),
        "{out:?}"
    );
    machine
        .exec("rm -r /home/obsvc/db /home/obsvc/.ob/objects/cluster.main/home")
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(undo(&cx, &d).await.problem, None);
    assert_eq!(
        snapshot(&machine),
        before,
        "owner and mode of the mount are back, the home is gone"
    );
}

/// Swaps `x` in a directory of its own as fast as it can: not there, a directory, and a link to the
/// directory `to`.
fn attack(machine: &Machine, directory: &str, to: &str) {
    let line = format!(
        "useradd --system mallory 2>/dev/null; install -d -o mallory {directory} && \
         printf 'cd {directory} || exit\\nwhile [ ! -e stop ]; do mkdir x; rmdir x; ln -s {to} x; \
         rm -f x; done\\n' > /tmp/swap && \
         {{ setsid su -s /bin/sh mallory -c 'sh /tmp/swap' >/dev/null 2>&1 </dev/null & }}"
    );
    machine.exec(&line).unwrap().ok().unwrap();
}

/// Who owns a directory swaps what is below for a link, between each check and effect and within
/// the effect itself. Root never changes what the link leads to.
#[tokio::test(flavor = "multi_thread")]
async fn who_owns_a_directory_turns_root_to_no_other_file() {
    if !may_make_hosts("an attack on root") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    let (machine, cx) = (lab.host(0), cx(&lab));
    // What root may not touch; it looks like a directory that root would give away.
    machine.exec("mkdir -m 0755 /srv/roots && mkdir /data").unwrap().ok().unwrap();
    attack(&machine, "/data/mallory", "/srv/roots");
    let path = "/data/mallory/x";
    let mut d = wanted(&machine, "root", &[path]);
    d.prepare.as_mut().unwrap().limits = None;
    let roots = || {
        let line = "stat -c '%U %G %a' /srv/roots /etc /data; ls -A /srv/roots";
        machine.exec(line).unwrap().ok().unwrap()
    };
    let before = roots();
    let mut said = BTreeSet::new();
    for _ in 0..5 {
        let out = go(&cx, "create", &d.site, &flow::create(&d)).await;
        said.insert(refused(&out).why.clone());
        assert_eq!(roots(), before, "{said:?}");
    }

    // The effects by themselves, as if each check had been passed right before. The undo believes
    // that the directory was root's.
    let prelude = [ob::transport::sudo::ROOT, include_str!("../../../src/engine/host.sh")].concat();
    let directory = d.prepare.as_ref().unwrap().directories[path].clone();
    let make = steps::MakeDirectory { site: d.site.clone(), directory }.effect();
    let undo = steps::RemoveDirectory { site: d.site.clone(), path: path.into() }.effect();
    for (effect, note) in [(make, ""), (undo, "dir./data/mallory/x=was daemon 0711\n")] {
        let Effect::Shell(program) = effect else { panic!("{effect:?}") };
        let script = format!("{prelude}{}", program.script(&Values::default()).unwrap());
        let rounds = format!(
            "cat > /tmp/effect; mkdir -p ~/.ob/objects/host; for i in $(seq 200); do \
             printf '{note}' > ~/.ob/objects/host/made; sh /tmp/effect; \
             done 2>/tmp/said; sort /tmp/said | uniq -c"
        );
        let all = machine.exec_for(&rounds, script.as_bytes(), Duration::from_secs(120)).unwrap();
        let said = all.ok().unwrap();
        assert_eq!(roots(), before, "{said}");
        assert!(said.contains("/data/mallory belongs to mallory"), "{said}");
        println!("200 effects against a swapping owner: {said}");
    }
    assert!(said.iter().any(|w| w.contains("/data/mallory belongs to mallory")), "{said:?}");
    machine.exec("touch /data/mallory/stop").unwrap().ok().unwrap();
}

/// The narrow form of `ob sudoers`: after an administrator ran what it prints, the service user
/// makes its server start with the host by the template, with the machine's own systemctl and sudo,
/// and may nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_with_its_host_by_the_template_and_rights_that_are_not_root() {
    if !may_make_hosts("the narrow rights") {
        return;
    }
    if !std::path::Path::new("/usr/bin/systemctl").exists() {
        eprintln!("SKIPPED: the narrow rights: needs systemctl");
        return;
    }
    let lab = Lab::up(1).unwrap();
    let (machine, cx) = (lab.host(0), cx(&lab));
    let there = |line: &str| machine.exec(line).unwrap().ok().unwrap();
    // No systemd runs on a lab host: its systemctl works on the files alone.
    there(
        "mv /usr/bin/systemctl /usr/bin/systemctl.real && printf '#!/bin/sh\nSYSTEMD_OFFLINE=1 \
         exec /usr/bin/systemctl.real \"$@\"\n' > /usr/bin/systemctl && chmod 755 \
         /usr/bin/systemctl && mkdir -p /run/systemd/system /etc/systemd/system; rm -f /etc/sudoers.d/*; \
         useradd --create-home obsvc && install -d -o obsvc /data/my-db /data/other",
    );
    let ob = super::break_glass::ob().display().to_string();
    let words = [&ob, "sudoers", "--user", "admin", "--run-as", "obsvc", "--narrow"];
    let soon = Duration::from_secs(20);
    let install = lab::run(&mut lab::command(words), b"", soon).unwrap().ok().unwrap();
    machine.exec_for("sh", install.as_bytes(), soon).unwrap().ok().unwrap();

    let node = |name: &str, directory: &str| {
        let host = Host { run_as: "obsvc".into(), ..site(&machine, "admin").host };
        let name = ObjectName::parse(name).unwrap();
        Node::new(name, host, ob::base::Directory::parse(directory).unwrap(), [])
    };
    let set = async |node: &Node, on: bool| {
        let mut graph = Graph::new();
        graph.then(SetBoot::new(node, on));
        let site = site(&machine, "admin");
        let target = Target::new(node.key(), "boot", vec![node.host.clone()]);
        let operation = operation("boot", &site, &graph);
        run(&cx, operation, &graph, vec![target], &ob::engine::Limits::of(1)).await
    };
    let files = "cd /etc/systemd/system && ls -d ob* *.wants/ob*; crontab -u obsvc -l 2>&1; :";
    let none = "no crontab for obsvc";
    let link = r"multi-user.target.wants/ob@data-my\x2ddb.service";
    let (ours, theirs) = (node("main", "/data/my-db"), node("main", "/data/other"));
    for done in [1, 0] {
        let out = set(&ours, true).await;
        assert_eq!((out.problem, out.done.len()), (None, done));
        assert_eq!(there(files), format!("{link}\nob@.service\n{none}"));
    }
    assert_eq!(
        there(&format!("readlink /etc/systemd/system/'{link}'")).rsplit('/').next(),
        Some("ob@.service")
    );
    // Another object of the same name is another unit.
    assert_eq!(set(&theirs, true).await.problem, None);
    assert!(there(files).contains("wants/ob@data-other.service"));
    assert_eq!(set(&theirs, false).await.problem, None);
    assert_eq!(there(files), format!("{link}\nob@.service\n{none}"));
    // What somebody disables by hand is seen where it works.
    there(&format!("rm /etc/systemd/system/'{link}'"));
    assert_eq!(set(&ours, true).await.done.len(), 1);
    assert_eq!(set(&ours, false).await.problem, None);
    assert_eq!(there(files), format!("ob@.service\n{none}"));
    // Without the template the same rights are worth nothing, and the crontab is used.
    there("rm /etc/systemd/system/ob@.service");
    assert_eq!(set(&ours, true).await.problem, None);
    assert!(there(files).contains("@reboot /data/my-db/.ob/start"));
    assert_eq!(set(&ours, false).await.problem, None);

    for user in ["admin", "obsvc"] {
        for line in [
            "cat /etc/shadow",
            "systemctl daemon-reload",
            "systemctl enable ssh.service",
            "tee /etc/systemd/system/ob@data-other.service",
            "chown -h obsvc /data/my-db",
        ] {
            let tried =
                machine.exec(&format!("su -s /bin/sh {user} -c 'sudo -n {line}' </dev/null"));
            assert_ne!(tried.unwrap().status, 0, "{user}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_device_address_clock_and_setting_are_refused_by_name() {
    if !may_make_hosts("preparing hosts") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    let (machine, cx) = (lab.host(0), cx(&lab));
    let before = snapshot(&machine);
    let cases: [(&str, fn(&mut Desired), &str); 4] = [
        ("device", |d| d.network = Some(("eth9".into(), None)), "it has eth0, lo"),
        (
            "address",
            |d| d.network = Some(("eth0".into(), Some("192.0.2.1".into()))),
            "it carries 10.99.",
        ),
        (
            "clock",
            |d| d.prepare.as_mut().unwrap().clock = Some(Duration::from_millis(1)),
            "ahead of this machine's",
        ),
        (
            "setting",
            |d| {
                d.prepare.as_mut().unwrap().sysctl =
                    Some((String::new(), [("vm.no_such".to_owned(), "1".to_owned())].into()))
            },
            "no such file below /proc/sys",
        ),
    ];
    // A clock that is an hour ahead, for scripts that ask `date`.
    machine.exec("printf '#!/bin/sh\\necho $(( $(/bin/date +%%s%%3N) + 3600000 ))\\n' > /usr/local/bin/date && chmod 755 /usr/local/bin/date").unwrap().ok().unwrap();
    for (name, change, why) in cases {
        if name != "clock" {
            machine.exec("rm -f /usr/local/bin/date").unwrap();
        }
        let mut d = wanted(&machine, "root", &["/data/1"]);
        if name != "clock" {
            d.prepare.as_mut().unwrap().clock = None;
        } else {
            machine.exec("printf '#!/bin/sh\\n[ \"$1\" = +%%s%%3N ] && exec echo $(( $(/bin/date +%%s%%3N) + 3600000 ))\\nexec /bin/date \"$@\"\\n' > /usr/local/bin/date && chmod 755 /usr/local/bin/date").unwrap().ok().unwrap();
        }
        change(&mut d);
        let out = go(&cx, "create", &d.site, &flow::create(&d)).await;
        assert!(
            refused(&out).why.contains(why) && !refused(&out).fix.is_empty(),
            "{name}: {out:?}"
        );
        machine.exec("rm -f /usr/local/bin/date").unwrap();
        assert_eq!(undo(&cx, &d).await.problem, None, "{name}");
        assert_eq!(snapshot(&machine), before, "{name}");
    }
}

/// Runs `graph` until `point` stops it on the host, then cuts the power there, boots, and runs it
/// again to its end.
async fn cut_at(
    lab: &Lab,
    machine: &Machine,
    site: &Site,
    verb: &'static str,
    graph: &Graph,
    point: &str,
) {
    machine
        .exec(&format!("mkdir -p /root/.ob && echo {point} > /root/.ob/fault"))
        .unwrap()
        .ok()
        .unwrap();
    let stuck = {
        let (cx, site, graph) = (cx(lab), site.clone(), graph.clone());
        tokio::spawn(async move { go(&cx, verb, &site, &graph).await })
    };
    let until = Instant::now() + Duration::from_secs(20);
    while !machine.path("/root/.ob/fault.hit").exists() {
        assert!(
            Instant::now() < until && !stuck.is_finished(),
            "{point} was not reached: {:?}",
            stuck.is_finished()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stuck.abort();
    machine.kill().unwrap();
    machine.boot().unwrap();
    // Booted, it has its huge pages as before: there is something to do and, later, to undo.
    machine
        .exec(&format!("rm -f /root/.ob/fault.hit; {}", if verb == "create" { HUGE } else { ":" }))
        .unwrap()
        .ok()
        .unwrap();
    must(&cx(lab), verb, site, graph).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_loss_before_or_after_any_effect_is_made_good_by_the_same_command() {
    if !may_make_hosts("power loss while preparing") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    let machine = lab.host(0);
    let d = wanted(&machine, "root", &["/data/1"]);
    // The machine forgets its huge pages at a boot, as machines do without systemd: what counts is
    // that nothing of ours is left.
    let left = || {
        snapshot(&machine).lines().filter(|l| !l.starts_with("thp=")).collect::<Vec<_>>().join("\n")
    };
    let before = left();
    let create = flow::create(&d);
    let making: BTreeSet<_> = create
        .nodes()
        .iter()
        .map(|n| n.step.kind().as_str())
        .filter(|k| !k.starts_with("check"))
        .collect();
    for (i, kind) in making.iter().enumerate() {
        for point in ["began", "effected"] {
            machine.exec(HUGE).unwrap().ok().unwrap();
            cut_at(&lab, &machine, &d.site, "create", &create, &format!("{kind}:{point}")).await;
            let again = must(&cx(&lab), "create", &d.site, &create).await;
            assert_eq!(again.done, [], "{kind}:{point}: one run makes it good");
            let destroy =
                flow::destroy(&d.site, d.prepare.as_ref(), &creation(&cx(&lab), &d.site).await);
            let undoing: Vec<_> = destroy.nodes().iter().map(|n| n.step.kind()).collect();
            let at = if point == "began" {
                undoing.get(i)
            } else {
                undoing.get(undoing.len() - 1 - i.min(undoing.len() - 1))
            };
            match at {
                Some(undo) => {
                    cut_at(&lab, &machine, &d.site, "destroy", &destroy, &format!("{undo}:{point}"))
                        .await
                }
                None => drop(must(&cx(&lab), "destroy", &d.site, &destroy).await),
            }
            same(&left(), &before, &format!("create cut at {kind}:{point}, destroy at {at:?}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_what_is_wrong_and_says_what_to_do() {
    if !may_make_hosts("doctor") {
        return;
    }
    let lab = Lab::up(1).unwrap();
    let (machine, cx) = (lab.host(0), cx(&lab));
    let d = wanted(&machine, "root", &["/data/1"]);
    machine.exec("sysctl -q -w vm.max_map_count=65530 vm.swappiness=60").unwrap().ok().unwrap();
    let state = |all: &[ob::component::host::Finding], what: &str| {
        all.iter().find(|f| f.what == what).map(|f| format!("{:?}", f.state)).unwrap_or_default()
    };
    let all = doctor(&cx, &d.site.host).await.unwrap();
    assert_eq!(
        (
            state(&all, "sysctl vm.max_map_count"),
            state(&all, "glibc"),
            state(&all, "tools"),
            state(&all, "port 2881")
        ),
        ("Bad".into(), "Ok".into(), "Ok".into(), "Ok".into()),
        "{all:#?}"
    );
    must(&cx, "create", &d.site, &flow::create(&d)).await;
    machine.exec("echo vm.swappiness=60 > /etc/sysctl.d/99-zz.conf; mkdir -p /opt/p; (setsid timeout 60 sh -c 'exec nc -l -p 2881 || exec python3 -m http.server 2881' >/dev/null 2>&1 &)").unwrap().ok().unwrap();
    let all = doctor(&cx, &d.site.host).await.unwrap();
    assert_eq!(
        (
            state(&all, "sysctl vm.max_map_count"),
            state(&all, "transparent huge pages"),
            state(&all, "clock")
        ),
        ("Ok".into(), "Ok".into(), "Ok".into()),
        "{all:#?}"
    );
    let swap = all.iter().find(|f| f.what == "sysctl vm.swappiness").unwrap();
    assert!(swap.why.contains("99-zz.conf") || swap.why.contains("not 0"), "{swap:?}");
    assert!(all.iter().all(|f| (format!("{:?}", f.state) == "Ok") == f.fix.is_empty()), "{all:#?}");
}
