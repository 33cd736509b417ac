//! What the printed rules allow, asked of a real sudo.
use super::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command as Process;

#[test]
fn every_row_says_why_and_keeps_free_names_last() {
    for row in TABLE {
        assert!(row.path.starts_with('/') && !row.why.is_empty(), "{row:?}");
        let free = row.args.iter().position(|w| matches!(w, Name(..) | Unit(..)));
        assert!(free.is_none_or(|n| n == row.args.len() - 1), "{row:?}");
    }
}

#[test]
fn the_page_says_what_amounts_to_root_and_the_narrow_form_has_none_of_it() {
    let all = sudoers("deploy", "ob");
    for row in TABLE.iter().filter(|r| r.path.ends_with("/tee") || r.path.ends_with("/chmod")) {
        let harmless =
            [Is(LIMITS), Is("/sys/kernel/mm/transparent_hugepage/enabled")].contains(&row.args[0]);
        assert_eq!(row.root.is_empty(), harmless, "{row:?}");
        assert!(all.contains(&format!("\n# {}\n", row.why)) && all.contains(row.root));
    }
    assert!(all.contains("WHO HAS ALL OF THIS IS ROOT") && all.contains("--narrow"));
    let narrow = narrow("deploy", "ob");
    let rights: Vec<_> = narrow.lines().filter(|l| l.contains("NOPASSWD")).collect();
    let (shell, units) = rights.split_first().unwrap();
    assert_eq!(*shell, "deploy ALL=(ob) NOPASSWD: /bin/sh, /usr/bin/sh");
    let unit = |l: &&str| l.starts_with("ob ALL=(root) NOPASSWD: /usr/bin/systemctl ");
    assert!(units.len() == 6 && units.iter().all(unit), "{narrow}");
    assert!(!narrow.contains("AMOUNTS"), "{narrow}");
}

#[test]
fn root_acts_only_where_root_alone_can_swap_a_path() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED root_acts_only_where_root_alone_can_swap_a_path: needs root");
        return;
    }
    // Not below /tmp, where others may write.
    let dir = tempfile::tempdir_in("/var").unwrap();
    let make = "cd \"$0\" && mkdir -p good theirs group all sticky && touch good/file && \
                ln -s good link && ln -s /etc good/link && ln -s gone good/dangling && \
                mkdir -p theirs/root && chown daemon theirs && chmod 0775 group && \
                chmod 0777 all && chmod 1777 sticky";
    let made = Process::new("sh").args(["-c", make]).arg(dir.path()).status().unwrap();
    assert!(made.success());
    for (path, why) in [
        ("good/x", ""),
        ("good/file", ""),
        ("good/new/deep/x", ""),
        ("theirs", ""),
        ("theirs/x", "theirs belongs to daemon"),
        ("theirs/root/x", "theirs belongs to daemon"),
        ("theirs/new/x", "theirs belongs to daemon"),
        ("group/x", "others than root may write in"),
        ("all/x", "others than root may write in"),
        ("sticky/x", "others than root may write in"),
        ("link/x", "link is a link"),
        ("link/new/x", "link is a link"),
        ("good/link", "good/link is a link"),
        ("good/dangling", "good/dangling is a link"),
        ("good/file/x", "only root can look below"),
    ] {
        let mut shell = Process::new("sh");
        shell.args(["-c", &format!("{ONLY_ROOT}\nonly_root \"$1\""), "sh"]);
        let out = shell.arg(dir.path().join(path)).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.success(), why.is_empty(), "{path}: {said}");
        assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{path}: {said}");
    }
}

/// A sudoers file in force until it is dropped.
struct InForce(String);
impl InForce {
    fn new(name: &str, text: &str) -> Self {
        let scratch = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(scratch.path(), text).unwrap();
        let mut visudo = Process::new("visudo");
        let check = visudo.args(["-c", "-q", "-f"]).arg(scratch.path()).output().unwrap();
        assert!(check.status.success(), "{}\n{text}", String::from_utf8_lossy(&check.stderr));
        let file = format!("/etc/sudoers.d/ob-test-{name}-{}", std::process::id());
        let mut install = Process::new("install");
        let place = install.args(["-m", "0440"]).arg(scratch.path()).arg(&file);
        assert!(place.status().unwrap().success());
        Self(file)
    }
    /// Whether `user` may run the command; `sudo -l CMD` says so without running it.
    fn allows(&self, user: &str, line: &[&[u8]]) -> bool {
        let mut sudo = Process::new("runuser");
        sudo.args(["-u", user, "--", "sudo", "-n", "-l", "--"]);
        sudo.args(line.iter().map(|w| OsStr::from_bytes(w)));
        sudo.output().unwrap().status.success()
    }
}
impl Drop for InForce {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What somebody may try in the place of one of our names, after letters of a name: blanks,
/// slashes, options, several words, links of a directory to itself and to its parent, and bytes
/// that are no text.
const TRICKS: [&[u8]; 17] = [
    b"", b".", b"..", b"./", b"/", b"//", b"a/", b"a/.", b"a/..", b"../a", b".a", b"a b", b"a\tb",
    b"a\nb", b"a\xffb", b"a;b", b"-a",
];

fn may_ask_sudo(test: &str) -> bool {
    let may =
        rustix::process::geteuid().is_root() && std::path::Path::new("/usr/sbin/visudo").exists();
    if !may {
        eprintln!("SKIPPED {test}: needs root and the package sudo");
    }
    may
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

/// Asks a real sudo, as a real ordinary user, which command lines the file allows.
#[test]
fn a_real_sudo_allows_the_table_and_nothing_beside_it() {
    if !may_ask_sudo("a_real_sudo_allows_the_table_and_nothing_beside_it") {
        return;
    }
    let (login, service) = ("daemon", "games");
    let rules = InForce::new("all", &sudoers(login, service));
    let make = "useradd --create-home --comment ob-host";
    for line in [
        "tee /etc/sysctl.d/99-ob.conf",
        r"tee /etc/systemd/system/ob@data-main.z1_a\x2db.service",
        "tee /etc/systemd/system/ob-host.thp.service",
        "systemctl start ob@data-main.service",
        "systemctl daemon-reload",
        &format!("{make} --shell /bin/bash games"),
        &format!("{make} --uid 5001 --shell /bin/bash games --home-dir /data/games"),
        &format!("{make} --uid 59999 --shell /bin/bash games"),
        "chown -h games /data/main",
        "chown -h root /data/main",
        "rmdir /data",
        "mkdir /data",
        "mkdir /data/main",
        "mkdir /data/9_a.b@c-d",
        "chmod 0750 /data/main",
        r"rm -f /etc/systemd/system/ob@data-main\x2db.service",
        "rm -f /etc/systemd/system/ob-main.service",
        "systemctl disable ob-main.service",
    ] {
        let line = words(line);
        let present = Process::new("sh")
            .args(["-c", "command -v \"$0\""])
            .arg(OsStr::from_bytes(line[0]))
            .output()
            .unwrap()
            .status
            .success();
        let show = line.join(&b' ');
        assert!(
            !present || rules.allows(login, &line),
            "refused: {}",
            String::from_utf8_lossy(&show)
        );
    }
    for line in [
        "tee /etc/shadow",
        "tee /etc/sysctl.d/99-ob.conf /etc/shadow",
        "tee -a /etc/sysctl.d/99-ob.conf",
        "tee /etc/systemd/system/ob@x /etc/x.service",
        "tee /etc/systemd/system/ob@.service",
        "tee /etc/systemd/system/ob-x.service",
        "tee /etc/systemd/system/ob@x/../../passwd.service",
        "tee /etc/systemd/system/ssh.service",
        "systemctl start ssh.service",
        "systemctl start ob@a.service ssh.service",
        "systemctl enable ob@a /tmp/evil.service",
        "systemctl edit ob@a.service",
        "mkdir -p /data/a",
        "mkdir /data/../etc/x",
        "mkdir /data/a /etc/x",
        "chown games /data/a",
        "chown -h daemon /data/a",
        "chown -h games /etc/a",
        "chown -h games /data",
        &format!("{make} --uid 0 --shell /bin/bash games"),
        &format!("{make} --uid 1000 --non-unique --shell /bin/bash games"),
        &format!("{make} --shell /bin/bash games --home-dir /data/../root"),
        "rmdir /data/../etc",
        "chmod 4755 /data/a",
        "rm -f /etc/passwd",
        "rm -f /etc/systemd/system/ob@a /etc/b.service",
        "useradd evil",
        "sh -c id",
    ] {
        assert!(!rules.allows(login, &words(line)), "allowed: {line}");
    }
    // Every row with a free name, with every trick in the place of the name.
    for row in TABLE {
        let (before, after) = match row.args.last() {
            Some(Name(before)) => (before, ""),
            Some(Unit(before)) => (before, ".service"),
            _ => continue,
        };
        for trick in TRICKS {
            let name = [before.as_bytes(), trick, after.as_bytes()].concat();
            let mut line = vec![row.path.as_bytes()];
            line.extend(row.args[..row.args.len() - 1].iter().map(|word| match word {
                Is(text) => text.as_bytes(),
                User => service.as_bytes(),
                Number => b"0750".as_slice(),
                Uid => b"5001".as_slice(),
                Name(_) | Unit(_) => unreachable!("the test above: a free name is the last"),
            }));
            line.push(&name);
            let show = String::from_utf8_lossy(&line.join(&b' ')).into_owned();
            assert!(!rules.allows(login, &line), "allowed: {show:?}");
        }
    }
    let as_service = Process::new("runuser")
        .args(["-u", login, "--", "sudo", "-n", "-H", "-u", service, "/bin/sh", "-c", "id -un"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&as_service.stdout).trim(),
        service,
        "{}",
        String::from_utf8_lossy(&as_service.stderr)
    );
}

#[test]
fn a_real_sudo_allows_of_the_narrow_form_instances_of_one_unit_alone() {
    if !may_ask_sudo("a_real_sudo_allows_of_the_narrow_form_instances_of_one_unit_alone") {
        return;
    }
    // Others than in the test above, whose rules are in force at the same time.
    let (login, service) = ("bin", "sys");
    let rules = InForce::new("narrow", &narrow(login, service));
    for verb in ["enable", "disable", "start", "stop", "restart", "reset-failed"] {
        let line = format!(r"/usr/bin/systemctl {verb} ob@data-main\x2db.service");
        assert!(rules.allows(service, &words(&line)), "refused: {line}");
        assert!(!rules.allows(login, &words(&line)), "the login user needs it not: {line}");
        for trick in TRICKS {
            let name = [b"ob@".as_slice(), trick, b".service"].concat();
            let line: [&[u8]; 3] = [b"/usr/bin/systemctl", verb.as_bytes(), &name];
            assert!(!rules.allows(service, &line), "allowed: {verb} {name:?}");
        }
    }
    for line in [
        "systemctl daemon-reload",
        "systemctl enable ssh.service",
        "systemctl edit ob@a.service",
        "systemctl status ob@a.service",
        "systemctl enable ob@a.service --root=/tmp",
        "tee /etc/systemd/system/ob@a.service",
        "rm -f /etc/systemd/system/ob@a.service",
        "tee /etc/sysctl.d/99-ob.conf",
        "chown -h sys /data/a",
        "chmod 0755 /data/a",
        "mkdir /data/a",
    ] {
        for user in [service, login] {
            assert!(!rules.allows(user, &words(line)), "{user} may: {line}");
        }
    }
}
