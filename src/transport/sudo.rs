//! Root rights by named commands: the shell function `root`, and the one table of what goes through
//! it.
//!
//! A script calls `root tee /etc/sysctl.d/99-ob.conf`. For root that runs the command itself, for
//! everybody else `sudo -n` with it. [`sudoers`] prints the file that allows exactly the table, and
//! [`narrow`] the one that allows of it only what no unit and no path of the caller's choice comes
//! with. To allow another command, add a row to [`TABLE`].
use std::fmt::Write as _;

/// The shell function `root`, part of every script's prelude.
pub const ROOT: &str = "root() { [ -n \"${ob_uid:-}\" ] || ob_uid=$(id -u); \
                        if [ \"$ob_uid\" = 0 ]; then \"$@\"; else sudo -n -- \"$@\"; fi; }\n";

/// The shell function `only_root`. A script calls it right before root acts on a path.
pub const ONLY_ROOT: &str = include_str!("only_root.sh");

/// One command that runs as root.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Absolute path.
    pub path: &'static str,
    /// The exact arguments; see [`Word`].
    pub args: &'static [Word],
    /// What the command is for. It is printed into the file that administrators read.
    pub why: &'static str,
    /// How the command amounts to root; empty when it does not. Printed too.
    pub root: &'static str,
}

/// One argument, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Exactly this.
    Is(&'static str),
    /// The service user (`run_as`).
    User,
    /// Permission bits: four octal digits, the first one 0.
    Number,
    /// The number of an ordinary user: 1000 to 59999.
    Uid,
    /// The text, then one of our names: a letter, a digit or `_`, then any of these and `-`, `.`,
    /// `@`. The last word of its command.
    Name(&'static str),
    /// The text, then a directory as `systemd-escape --path` writes it, then `.service`. The last
    /// word of its command.
    Unit(&'static str),
}

use Word::{Is, Name, Number, Uid, Unit, User};

/// Our sysctl file.
pub const SYSCTL: &str = "/etc/sysctl.d/99-ob.conf";
/// Our limits file.
pub const LIMITS: &str = "/etc/security/limits.d/99-ob.conf";
/// Our unit for transparent huge pages, and where it lies.
pub const HUGEPAGE: (&str, &str) =
    ("ob-host.thp.service", "/etc/systemd/system/ob-host.thp.service");

/// How `tee` of a unit amounts to root.
const ANY_PROGRAM: &str = "a unit can name any program, and systemd runs it as root";
/// How a change of owner or rights amounts to root.
const ANY_FILE: &str = "unless /data is root's alone: then a name in it can be a link to any file";

/// Everything we do as root.
pub const TABLE: &[Command] = &[
    Command {
        path: "/usr/sbin/useradd",
        args: &[
            Is("--create-home"),
            Is("--comment"),
            Is("ob-host"),
            Is("--shell"),
            Is("/bin/bash"),
            User,
        ],
        why: "the service user",
        root: "",
    },
    Command {
        path: "/usr/sbin/useradd",
        args: &[
            Is("--create-home"),
            Is("--comment"),
            Is("ob-host"),
            Is("--uid"),
            Uid,
            Is("--shell"),
            Is("/bin/bash"),
            User,
        ],
        why: "the service user with a number",
        root: "",
    },
    Command {
        path: "/usr/sbin/useradd",
        args: &[
            Is("--create-home"),
            Is("--comment"),
            Is("ob-host"),
            Is("--shell"),
            Is("/bin/bash"),
            User,
            Is("--home-dir"),
            Name("/data/"),
        ],
        why: "the service user with a home",
        root: "",
    },
    Command {
        path: "/usr/sbin/useradd",
        args: &[
            Is("--create-home"),
            Is("--comment"),
            Is("ob-host"),
            Is("--uid"),
            Uid,
            Is("--shell"),
            Is("/bin/bash"),
            User,
            Is("--home-dir"),
            Name("/data/"),
        ],
        why: "the service user with a number and a home",
        root: "",
    },
    Command {
        path: "/usr/sbin/userdel",
        args: &[User],
        why: "destroy: the user that prepare made",
        root: "",
    },
    Command {
        path: "/usr/sbin/userdel",
        args: &[Is("--remove"), User],
        why: "destroy: with its home, when prepare made it",
        root: "",
    },
    Command {
        path: "/usr/bin/tee",
        args: &[Is(SYSCTL)],
        why: "kernel settings, in our own file",
        root: "a setting can name a program that the kernel runs as root (kernel.core_pattern)",
    },
    Command {
        path: "/usr/sbin/sysctl",
        args: &[Is("-p"), Is(SYSCTL)],
        why: "puts our kernel settings into force",
        root: "",
    },
    Command {
        path: "/usr/bin/rm",
        args: &[Is("-f"), Is(SYSCTL)],
        why: "destroy: our own file",
        root: "",
    },
    Command {
        path: "/usr/bin/tee",
        args: &[Is(LIMITS)],
        why: "limits of the service user, in our own file",
        root: "",
    },
    Command {
        path: "/usr/bin/rm",
        args: &[Is("-f"), Is(LIMITS)],
        why: "destroy: our own file",
        root: "",
    },
    Command {
        path: "/usr/bin/tee",
        args: &[Is("/sys/kernel/mm/transparent_hugepage/enabled")],
        why: "transparent huge pages",
        root: "",
    },
    Command {
        path: "/usr/bin/tee",
        args: &[Is(HUGEPAGE.1)],
        why: "transparent huge pages at boot",
        root: ANY_PROGRAM,
    },
    Command {
        path: "/usr/bin/rm",
        args: &[Is("-f"), Is(HUGEPAGE.1)],
        why: "destroy: our own unit",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("enable"), Is(HUGEPAGE.0)],
        why: "transparent huge pages at boot",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("disable"), Is(HUGEPAGE.0)],
        why: "destroy: our own unit",
        root: "",
    },
    Command {
        path: "/usr/bin/mkdir",
        args: &[Is("/data")],
        why: "the parent of data folders",
        root: "",
    },
    Command {
        path: "/usr/bin/mkdir",
        args: &[Name("/data/")],
        why: "data folders below /data",
        root: "",
    },
    Command {
        path: "/usr/bin/chown",
        args: &[Is("-h"), User, Name("/data/")],
        why: "data folders belong to the service user",
        root: ANY_FILE,
    },
    Command {
        path: "/usr/bin/chown",
        args: &[Is("-h"), Is("root"), Name("/data/")],
        why: "destroy: data folders that were root's",
        root: "",
    },
    Command {
        path: "/usr/bin/chmod",
        args: &[Number, Name("/data/")],
        why: "rights of data folders",
        root: ANY_FILE,
    },
    Command {
        path: "/usr/bin/rmdir",
        args: &[Name("/data/")],
        why: "destroy: data folders, when they are empty",
        root: "",
    },
    Command {
        path: "/usr/bin/rmdir",
        args: &[Is("/data")],
        why: "destroy: when prepare made it",
        root: "",
    },
    Command {
        path: "/usr/bin/tee",
        args: &[Unit("/etc/systemd/system/ob@")],
        why: "units of our servers",
        root: ANY_PROGRAM,
    },
    Command {
        path: "/usr/bin/rm",
        args: &[Is("-f"), Unit("/etc/systemd/system/ob@")],
        why: "destroy: our own units",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("daemon-reload")],
        why: "after a unit was written",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("enable"), Unit("ob@")],
        why: "a server starts with its host",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("disable"), Unit("ob@")],
        why: "a server no longer starts with its host",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("start"), Unit("ob@")],
        why: "starts a server",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("stop"), Unit("ob@")],
        why: "stops a server",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("restart"), Unit("ob@")],
        why: "restarts a server",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("reset-failed"), Unit("ob@")],
        why: "forgets a failed start",
        root: "",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("disable"), Unit("ob-")],
        why: "units by their former names",
        root: "",
    },
    Command {
        path: "/usr/bin/rm",
        args: &[Is("-f"), Unit("/etc/systemd/system/ob-")],
        why: "units by their former names",
        root: "",
    },
];

impl Command {
    /// Whether the narrow form allows it: it acts on instances of `ob@.service`, which root
    /// installed, and on nothing else. None of these commands opens a pager.
    fn narrow(&self) -> bool {
        self.path == "/usr/bin/systemctl" && self.args.last() == Some(&Unit("ob@"))
    }
}

/// The exact sudoers file for the login user `user` and the service user `run_as`; `visudo -c`
/// accepts it.
#[must_use]
pub fn sudoers(user: &str, run_as: &str) -> String {
    let mut out = String::from(
        "# Printed by `ob sudoers`. Install as /etc/sudoers.d/ob with mode 0440, check with \
         `visudo -c`.\n\
         # No terminal is used; each line says what it is for.\n\
         # WHO HAS ALL OF THIS IS ROOT: each line that amounts to root says how. Where that is too\n\
         # much, let an administrator prepare the host, and give the rights that\n\
         # `ob sudoers --narrow` prints, none of which amounts to root.\n",
    );
    out += &quiet(user);
    out += &as_service(user, run_as);
    TABLE.iter().for_each(|c| row(&mut out, user, run_as, c));
    out
}

/// The sudoers file of the narrow form. The service user `run_as` may say which servers start with
/// the host by the unit `ob@.service`, and the login user `user` may act as the service user. A
/// unit runs what it runs as the service user, so nothing here amounts to root.
#[must_use]
pub fn narrow(user: &str, run_as: &str) -> String {
    let mut out = String::from(
        "# Printed by `ob sudoers --narrow`. Nothing here amounts to root.\n\
         # No terminal is used; each line says what it is for.\n",
    );
    out += &quiet(user);
    if run_as != user {
        out += &quiet(run_as);
        out += &as_service(user, run_as);
    }
    TABLE.iter().filter(|c| c.narrow()).for_each(|c| row(&mut out, run_as, run_as, c));
    out
}

fn quiet(user: &str) -> String {
    format!("Defaults:{} !requiretty, !use_pty\n", escape(user))
}

fn as_service(user: &str, run_as: &str) -> String {
    format!(
        "\n# Everything of the service user itself, no root rights in it.\n\
         {} ALL=({}) NOPASSWD: /bin/sh, /usr/bin/sh\n",
        escape(user),
        escape(run_as)
    )
}

/// Allows `user` one command.
///
/// sudo's `*` also matches blanks and slashes, so `tee /etc/x/ob@*` alone would allow `tee
/// /etc/x/ob@ /etc/shadow`. A row with a free name is therefore followed by its denial for every
/// name with another character; the last match counts. A free name begins with a letter, a digit or
/// `_`, so it is never empty, `.`, `..` or hidden.
fn row(out: &mut String, user: &str, run_as: &str, command: &Command) {
    let (login, service) = (escape(user), escape(run_as));
    let (mut allowed, mut denied) = (Vec::new(), Vec::new());
    let mut free = false;
    for word in command.args {
        let mut free_name = |before: &str, first: &str, class: &str, after: &str| {
            free = true;
            let before = escape(before);
            (format!("{before}[{first}]*{after}"), format!("{before}*[!{class}]*"))
        };
        let (yes, no) = match word {
            Is(text) => (escape(text), escape(text)),
            User => (service.clone(), service.clone()),
            Number => ("0[0-7][0-7][0-7]".to_owned(), "0[0-7][0-7][0-7]".to_owned()),
            Uid => (UID.to_owned(), UID.to_owned()),
            Name(before) => free_name(before, "A-Za-z0-9_", "A-Za-z0-9_.@-", ""),
            // The backslash of an escaped directory is within `A-z`: sudoers reads a backslash that
            // is written out in more than one way.
            Unit(before) => free_name(before, "A-z0-9", "A-z0-9.@-", ".service"),
        };
        allowed.push(yes);
        denied.push(no);
    }
    let _ = writeln!(out, "\n# {}", command.why);
    if !command.root.is_empty() {
        let _ = writeln!(out, "# AMOUNTS TO ROOT: {}", command.root);
    }
    // A number has four or five digits, each its own wildcard: `*` would let anything follow.
    let numbers: &[&str] = if command.args.contains(&Uid) {
        &["[1-9][0-9][0-9][0-9]", "[1-5][0-9][0-9][0-9][0-9]"]
    } else {
        &[""]
    };
    for number in numbers {
        let line =
            |words: &[String]| format!("{} {}", command.path, words.join(" ").replace(UID, number));
        let _ = writeln!(out, "{login} ALL=(root) NOPASSWD: {}", line(&allowed));
        if free {
            let _ = writeln!(out, "{login} ALL=(root) !{}", line(&denied));
        }
    }
}

/// Stands for a [`Uid`] until its wildcards are known.
const UID: &str = "\0uid";

/// Escapes what sudoers itself would read: blanks, commas, colons, equal signs, backslashes, and
/// its wildcards.
fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            matches!(
                c,
                ' ' | ','
                    | ':'
                    | '='
                    | '\\'
                    | '*'
                    | '?'
                    | '['
                    | ']'
                    | '!'
                    | '#'
                    | '"'
                    | '%'
                    | '('
                    | ')'
            )
            .then_some('\\')
            .into_iter()
            .chain([c])
        })
        .collect()
}

#[cfg(test)]
mod tests {
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
            let harmless = [Is(LIMITS), Is("/sys/kernel/mm/transparent_hugepage/enabled")]
                .contains(&row.args[0]);
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
        b"", b".", b"..", b"./", b"/", b"//", b"a/", b"a/.", b"a/..", b"../a", b".a", b"a b",
        b"a\tb", b"a\nb", b"a\xffb", b"a;b", b"-a",
    ];

    fn may_ask_sudo(test: &str) -> bool {
        let may = rustix::process::geteuid().is_root()
            && std::path::Path::new("/usr/sbin/visudo").exists();
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
}
