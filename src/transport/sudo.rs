//! Root rights by named commands: the shell function `root`, and the one table of what goes through
//! it.
//!
//! A script calls `root tee /etc/sysctl.d/99-ob.conf`. For root that runs the command itself, for
//! everybody else `sudo -n` with it. [`sudoers`] prints the file that allows exactly the table. To
//! allow another command, add a row to [`TABLE`].
use std::fmt::Write as _;

/// The shell function `root`, part of every script's prelude.
pub const ROOT: &str = "root() { [ -n \"${ob_uid:-}\" ] || ob_uid=$(id -u); \
                        if [ \"$ob_uid\" = 0 ]; then \"$@\"; else sudo -n -- \"$@\"; fi; }\n";

/// One command that runs as root.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Absolute path.
    pub path: &'static str,
    /// The exact arguments; see [`Word`].
    pub args: &'static [Word],
    /// What the command is for. It is printed into the file that administrators read.
    pub why: &'static str,
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
    /// `before`, then one of our names (letters, digits, `-`, `_`, `.`, `@`), then `after`. The
    /// last word of its command.
    Name(&'static str, &'static str),
}

use Word::{Is, Name, Number, Uid, User};

/// Our sysctl file.
pub const SYSCTL: &str = "/etc/sysctl.d/99-ob.conf";
/// Our limits file.
pub const LIMITS: &str = "/etc/security/limits.d/99-ob.conf";
/// Every unit of ours is `ob-<name>.service` here.
pub const UNITS: &str = "/etc/systemd/system/ob-";

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
            Name("/data/", ""),
        ],
        why: "the service user with a home",
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
            Name("/data/", ""),
        ],
        why: "the service user with a number and a home",
    },
    Command {
        path: "/usr/sbin/userdel",
        args: &[User],
        why: "destroy: the user that prepare made",
    },
    Command {
        path: "/usr/sbin/userdel",
        args: &[Is("--remove"), User],
        why: "destroy: with its home, when prepare made it",
    },
    Command { path: "/usr/bin/tee", args: &[Is(SYSCTL)], why: "kernel settings, in our own file" },
    Command {
        path: "/usr/bin/tee",
        args: &[Is(LIMITS)],
        why: "limits of the service user, in our own file",
    },
    Command { path: "/usr/bin/tee", args: &[Name(UNITS, ".service")], why: "units of our servers" },
    Command {
        path: "/usr/bin/tee",
        args: &[Is("/sys/kernel/mm/transparent_hugepage/enabled")],
        why: "transparent huge pages",
    },
    Command {
        path: "/usr/sbin/sysctl",
        args: &[Is("-p"), Is(SYSCTL)],
        why: "puts our kernel settings into force",
    },
    Command {
        path: "/usr/bin/mkdir",
        args: &[Is("-p"), Name("/data/", "")],
        why: "data folders below /data",
    },
    Command {
        path: "/usr/bin/chown",
        args: &[User, Name("/data/", "")],
        why: "data folders belong to the service user",
    },
    Command {
        path: "/usr/bin/chown",
        args: &[Is("root"), Name("/data/", "")],
        why: "destroy: data folders that were root's",
    },
    Command {
        path: "/usr/bin/chmod",
        args: &[Number, Name("/data/", "")],
        why: "rights of data folders",
    },
    Command {
        path: "/usr/bin/rmdir",
        args: &[Name("/data/", "")],
        why: "destroy: data folders, when they are empty",
    },
    Command { path: "/usr/bin/rmdir", args: &[Is("/data")], why: "destroy: when prepare made it" },
    Command {
        path: "/usr/bin/chmod",
        args: &[Is("0644"), Name(UNITS, ".service")],
        why: "units are readable",
    },
    Command { path: "/usr/bin/rm", args: &[Is("-f"), Is(SYSCTL)], why: "destroy: our own file" },
    Command { path: "/usr/bin/rm", args: &[Is("-f"), Is(LIMITS)], why: "destroy: our own file" },
    Command {
        path: "/usr/bin/rm",
        args: &[Is("-f"), Name(UNITS, ".service")],
        why: "destroy: our own units",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("daemon-reload")],
        why: "after a unit was written",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("enable"), Name("ob-", ".service")],
        why: "a server starts with its host",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("disable"), Name("ob-", ".service")],
        why: "a server no longer starts with its host",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("start"), Name("ob-", ".service")],
        why: "starts a server",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("stop"), Name("ob-", ".service")],
        why: "stops a server",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("restart"), Name("ob-", ".service")],
        why: "restarts a server",
    },
    Command {
        path: "/usr/bin/systemctl",
        args: &[Is("reset-failed"), Name("ob-", ".service")],
        why: "forgets a failed start",
    },
];

/// The exact sudoers file for the login user `user` and the service user `run_as`; `visudo -c`
/// accepts it.
///
/// sudo's `*` also matches blanks and slashes, so `tee /etc/x/ob-*` alone would allow `tee
/// /etc/x/ob- /etc/shadow`. Each row with a free name is therefore followed by its denial for every
/// name with another character; the last match counts.
#[must_use]
pub fn sudoers(user: &str, run_as: &str) -> String {
    let (login, service) = (escape(user), escape(run_as));
    let mut out = format!(
        "# Printed by `ob sudoers`. Install as /etc/sudoers.d/ob with mode 0440, check with \
         `visudo -c`.\n\
         # No terminal is used; each line says what it is for.\n\
         Defaults:{login} !requiretty, !use_pty\n\n\
         # Everything of the service user itself, no root rights in it.\n\
         {login} ALL=({service}) NOPASSWD: /bin/sh, /usr/bin/sh\n"
    );
    for command in TABLE {
        let (mut allowed, mut denied) = (Vec::new(), Vec::new());
        let mut free = false;
        for word in command.args {
            let (yes, no) = match word {
                Is(text) => (escape(text), escape(text)),
                User => (service.clone(), service.clone()),
                Number => ("0[0-7][0-7][0-7]".to_owned(), "0[0-7][0-7][0-7]".to_owned()),
                Uid => (UID.to_owned(), UID.to_owned()),
                Name(before, after) => {
                    free = true;
                    (
                        format!("{}*{}", escape(before), escape(after)),
                        format!("{}*[!A-Za-z0-9_.@-]*", escape(before)),
                    )
                }
            };
            allowed.push(yes);
            denied.push(no);
        }
        let _ = writeln!(out, "\n# {}", command.why);
        // A number has four or five digits, each its own wildcard: `*` would let anything follow.
        let numbers: &[&str] = if command.args.contains(&Uid) {
            &["[1-9][0-9][0-9][0-9]", "[1-5][0-9][0-9][0-9][0-9]"]
        } else {
            &[""]
        };
        for number in numbers {
            let _ = writeln!(
                out,
                "{login} ALL=(root) NOPASSWD: {} {}",
                command.path,
                allowed.join(" ").replace(UID, number)
            );
            if free {
                let denied = denied.join(" ").replace(UID, number);
                let _ = writeln!(out, "{login} ALL=(root) !{} {denied}", command.path);
                let _ = writeln!(
                    out,
                    "{login} ALL=(root) !{} {}",
                    command.path,
                    denied.replace("*[!A-Za-z0-9_.@-]*", "*..*")
                );
            }
        }
    }
    out
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
    use std::process::Command as Process;

    #[test]
    fn every_row_says_why_and_keeps_free_names_last() {
        for row in TABLE {
            assert!(row.path.starts_with('/') && !row.why.is_empty(), "{row:?}");
            let free = row.args.iter().position(|w| matches!(w, Name(..)));
            assert!(free.is_none_or(|n| n == row.args.len() - 1), "{row:?}");
        }
    }

    /// Asks a real sudo, as a real ordinary user, which command lines the file allows.
    #[test]
    fn a_real_sudo_allows_the_table_and_nothing_beside_it() {
        if !rustix::process::geteuid().is_root()
            || !std::path::Path::new("/usr/sbin/visudo").exists()
        {
            eprintln!(
                "SKIPPED a_real_sudo_allows_the_table_and_nothing_beside_it: needs root and the \
                 package sudo"
            );
            return;
        }
        let (login, service) = ("daemon", "games");
        let file = format!("/etc/sudoers.d/ob-test-{}", std::process::id());
        let text = sudoers(login, service);
        struct Remove(String);
        impl Drop for Remove {
            fn drop(&mut self) {
                let _ = std::fs::remove_file(&self.0);
            }
        }
        let scratch = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(scratch.path(), &text).unwrap();
        let check =
            Process::new("visudo").args(["-c", "-q", "-f"]).arg(scratch.path()).output().unwrap();
        assert!(check.status.success(), "{}\n{text}", String::from_utf8_lossy(&check.stderr));
        let _remove = Remove(file.clone());
        let placed = Process::new("install")
            .args(["-m", "0440"])
            .arg(scratch.path())
            .arg(&file)
            .status()
            .unwrap();
        assert!(placed.success());
        // `sudo -l CMD` says whether CMD would be allowed, without running it.
        let allowed = |line: &[&str]| {
            Process::new("runuser")
                .args(["-u", login, "--", "sudo", "-n", "-l", "--"])
                .args(line)
                .output()
                .unwrap()
                .status
                .success()
        };
        let good: &[&[&str]] = &[
            &["tee", "/etc/sysctl.d/99-ob.conf"],
            &["tee", "/etc/systemd/system/ob-main.z1_a.service"],
            &["systemctl", "start", "ob-main.service"],
            &["systemctl", "daemon-reload"],
            &["useradd", "--create-home", "--comment", "ob-host", "--shell", "/bin/bash", "games"],
            &[
                "useradd",
                "--create-home",
                "--comment",
                "ob-host",
                "--uid",
                "5001",
                "--shell",
                "/bin/bash",
                "games",
                "--home-dir",
                "/data/games",
            ],
            &[
                "useradd",
                "--create-home",
                "--comment",
                "ob-host",
                "--uid",
                "59999",
                "--shell",
                "/bin/bash",
                "games",
            ],
            &["chown", "root", "/data/main"],
            &["rmdir", "/data"],
            &["mkdir", "-p", "/data/main"],
            &["chmod", "0750", "/data/main"],
            &["rm", "-f", "/etc/systemd/system/ob-main.service"],
        ];
        for line in good {
            let present = Process::new("sh")
                .args(["-c", "command -v \"$0\"", line[0]])
                .output()
                .unwrap()
                .status
                .success();
            assert!(!present || allowed(line), "refused: {line:?}");
        }
        let bad: &[&[&str]] = &[
            &["tee", "/etc/shadow"],
            &["tee", "/etc/sysctl.d/99-ob.conf", "/etc/shadow"],
            &["tee", "-a", "/etc/sysctl.d/99-ob.conf"],
            &["tee", "/etc/systemd/system/ob-x", "/etc/x.service"],
            &["tee", "/etc/systemd/system/ob-x/../../passwd.service"],
            &["tee", "/etc/systemd/system/ssh.service"],
            &["systemctl", "start", "ssh.service"],
            &["systemctl", "start", "ob-a.service", "ssh.service"],
            &["systemctl", "enable", "ob-a", "/tmp/evil.service"],
            &["mkdir", "-p", "/data/../etc/x"],
            &["mkdir", "-p", "/data/a", "/etc/x"],
            &["chown", "games", "/data/.."],
            &["chown", "daemon", "/data/a"],
            &[
                "useradd",
                "--create-home",
                "--comment",
                "ob-host",
                "--uid",
                "0",
                "--shell",
                "/bin/bash",
                "games",
            ],
            &[
                "useradd",
                "--create-home",
                "--comment",
                "ob-host",
                "--uid",
                "1000 --non-unique",
                "--shell",
                "/bin/bash",
                "games",
            ],
            &[
                "useradd",
                "--create-home",
                "--comment",
                "ob-host",
                "--shell",
                "/bin/bash",
                "games",
                "--home-dir",
                "/data/../root",
            ],
            &["rmdir", "/data/../etc"],
            &["chmod", "4755", "/data/a"],
            &["rm", "-f", "/etc/passwd"],
            &["rm", "-f", "/etc/systemd/system/ob-a", "/etc/b.service"],
            &["useradd", "evil"],
            &["sh", "-c", "id"],
        ];
        for line in bad {
            assert!(!allowed(line), "allowed: {line:?}");
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
}
