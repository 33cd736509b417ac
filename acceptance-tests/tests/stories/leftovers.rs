//! A lab leaves nothing behind, however it ends.
use lab::process::until;
use lab::scope::all;
use lab::{Lab, Options, may_make_hosts, registry};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Everything on this machine that has the lab's number: links, namespaces, mounts, groups,
/// processes, files.
fn traces(id: u8) -> Vec<String> {
    let (link, veth, netns, dir) =
        (format!("obl{id}"), format!("obl{id}v"), format!("obl{id}-"), format!("ob-lab-{id}"));
    let mut found = Vec::new();
    let mut names = |what: &str, path: &str, hit: &dyn Fn(&str) -> bool| {
        for e in std::fs::read_dir(path).into_iter().flatten().flatten() {
            let name = e.file_name().to_string_lossy().into_owned();
            if hit(&name) {
                found.push(format!("{what} {name}"));
            }
        }
    };
    names("link", "/sys/class/net", &|n| {
        n == link || n == format!("{link}x") || n.starts_with(&veth)
    });
    names("netns", "/run/netns", &|n| n.starts_with(&netns));
    names("directory", "/tmp", &|n| n == dir);
    names("registry", &registry::base().display().to_string(), &|n| n == id.to_string());
    names("group", "/sys/fs/cgroup/freezer", &|n| n == dir);
    names("group", "/sys/fs/cgroup/unified", &|n| n == dir);
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    found.extend(
        mounts
            .lines()
            .filter(|l| {
                l.contains(&format!("/{dir}/"))
                    || l.contains(&format!("/{dir} "))
                    || l.contains(&format!("/{netns}"))
            })
            .map(|l| format!("mount {l}")),
    );
    for e in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = e.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let group = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .replace('\0', " ");
        let gone =
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| s.contains(") Z "));
        if !gone
            && (group.contains(&format!("/{dir}/"))
                || line.contains(&format!("__watch {id} "))
                || line.contains(&format!("__init {id} ")))
        {
            found.push(format!("process {pid} {line}"));
        }
    }
    found
}

#[test]
fn twenty_hosts_up_and_down_leave_nothing_and_are_quick() {
    if !may_make_hosts("twenty hosts") {
        return;
    }
    let begun = Instant::now();
    let lab = Lab::up(20).unwrap();
    let up = begun.elapsed();
    let id = lab.info().id;
    let there = traces(id);
    for what in ["link", "netns", "directory", "registry", "group", "mount", "process"] {
        assert!(
            there.iter().any(|t| t.starts_with(what)),
            "the check must be able to see a {what}: {there:?}"
        );
    }
    assert!(there.iter().filter(|t| t.starts_with("netns")).count() == 20);
    let begun = Instant::now();
    lab.host(3).kill().unwrap();
    lab.host(4).freeze().unwrap();
    lab.host(5).cut().unwrap();
    drop(lab);
    let down = begun.elapsed();
    assert_eq!(traces(id), Vec::<String>::new());
    // Other load on this machine counts, too, so there is no time limit in the tests that must have
    // the same result each time.
    let quick = up < Duration::from_secs(20) && down < Duration::from_secs(10);
    assert!(quick || !all(), "up {up:?}, down {down:?}");
}

#[test]
fn down_twice_and_from_elsewhere_is_no_error() {
    if !may_make_hosts("down twice") {
        return;
    }
    let lab = Lab::lasting(&Options { hosts: 1, on_disk: true, disk: None, ..Options::default() })
        .unwrap();
    let id = lab.info().id;
    let other = Lab::open(id).unwrap();
    other.down().unwrap();
    lab.down().unwrap();
    assert_eq!(traces(id), Vec::<String>::new());
    assert!(Lab::open(id).is_err());
}

/// A number is given again only after all others. Until then, whoever asks after a lab that is down
/// finds none.
#[test]
fn the_number_of_a_lab_that_is_down_is_not_given_again_at_once() {
    if !may_make_hosts("numbers") {
        return;
    }
    let numbers: Vec<u8> = (0..3).map(|_| Lab::up(1).unwrap().info().id).collect();
    assert!(
        numbers[0] != numbers[1] && numbers[1] != numbers[2] && numbers[0] != numbers[2],
        "{numbers:?}"
    );
}

#[test]
fn labs_made_at_the_same_time_do_not_collide() {
    if !may_make_hosts("labs at the same time") {
        return;
    }
    let makers: Vec<_> = (0..4).map(|_| std::thread::spawn(|| Lab::up(2).unwrap())).collect();
    let labs: Vec<Lab> = makers.into_iter().map(|m| m.join().unwrap()).collect();
    let mut addresses: Vec<_> = labs.iter().flat_map(Lab::hosts).map(|h| h.address()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 8);
    for lab in &labs {
        assert_eq!(lab.host(1).exec("hostname").unwrap().stdout, "h2\n");
        assert!(
            Lab::with(Options { hosts: 1, id: Some(lab.info().id), ..Options::default() })
                .unwrap_err()
                .to_string()
                .contains("exists")
        );
        assert!(lab.host(0).is_on(), "the refused one took nothing down");
    }
}

/// Not a test: the lab that the next tests kill.
#[test]
#[ignore = "started by other tests"]
fn holder() {
    let lab = Lab::up(3).unwrap();
    println!("lab {}", lab.info().id);
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn a_test_killed_with_sigkill_leaves_nothing() {
    if !may_make_hosts("killed test") {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leftovers::holder", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let id: u8 = lines
        .map_while(Result::ok)
        .find_map(|l| l.split("lab ").nth(1)?.trim().parse().ok())
        .unwrap();
    assert!(!traces(id).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(until(Duration::from_secs(20), || traces(id).is_empty()), "{:?}", traces(id));
}

#[test]
fn gc_removes_labs_whose_owner_is_gone_and_no_other() {
    if !may_make_hosts("gc") {
        return;
    }
    let mut owner = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = i32::try_from(owner.id()).unwrap();
    let orphan = Lab::lasting(&Options { hosts: 1, owner: Some(pid), ..Options::default() })
        .unwrap()
        .info()
        .id;
    let kept = Lab::lasting(&Options { hosts: 1, ..Options::default() }).unwrap();
    lab::gc().unwrap();
    assert!(!traces(orphan).is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();
    lab::gc().unwrap();
    assert!(until(Duration::from_secs(5), || traces(orphan).is_empty()), "{:?}", traces(orphan));
    assert!(kept.host(0).is_on());
    kept.down().unwrap();
}
