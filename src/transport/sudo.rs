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
mod tests;
