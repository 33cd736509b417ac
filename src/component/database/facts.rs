//! What a host and a running server say of a database.
use super::{Group, Loss};
use crate::base::units::Bytes;
use crate::base::{Problem, Secret};
use crate::component::sql::Login;
use crate::engine::mark::Mark;
use crate::engine::{Host, Node};
use crate::transport::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// A server as its host shows it. Reading these facts needs no SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The base directory exists.
    pub exists: bool,
    /// A server of ours was made here and never removed, by the run user's own notes, which are
    /// not in the base directory.
    pub known: bool,
    /// The last server of the place was removed by us, or a person said that it is gone.
    pub gone: bool,
    /// The base directory holds what a server writes: its store, settings, logs or run files.
    pub data: bool,
    /// What else is in the base directory, at most ten names. `lost+found` is not counted.
    pub strays: Vec<String>,
    /// The base directory is empty and its user cannot remove it: it is a mount point, or its
    /// parent directory belongs to another user.
    pub stays: bool,
    /// Says who made the server.
    pub mark: Option<Mark>,
    /// Why the mark cannot be read, when there is one that cannot.
    pub mark_damaged: Option<String>,
    /// The store has been created.
    pub store: bool,
    /// The package directory of a store's build that has not ended; such a store may be wiped.
    pub building_store: Option<String>,
    /// Process id of the server while it runs.
    pub pid: Option<u32>,
    /// Another process listens on the server's SQL port.
    pub stranger: bool,
    /// Name of the package directory that the start script uses.
    pub package: Option<String>,
    /// That directory, or the program in it, is not there.
    pub package_lost: bool,
    /// Others than its user may enter a directory that holds rows, settings or passwords.
    pub exposed: bool,
    /// Command line of the running process, words separated by blanks.
    pub command: String,
    /// Name of the package directory that the running process uses.
    pub running_package: Option<String>,
    /// Password of our SQL account, if the account was made.
    pub account: Option<Secret>,
    /// The password that is to follow it, while it is being changed.
    pub account_next: Option<Secret>,
    /// For which leave of a member that password was changed last.
    pub rotated: String,
    /// The leave for which the next password was made; empty when there is none.
    pub rotating: String,
    /// The host's memory in bytes.
    pub memory: Option<Bytes>,
    /// An adoption of the server has begun and not ended.
    pub adopting: bool,
    /// Checksum (crc32 of cksum) of the start script.
    pub start_sum: String,
    /// The note of the group that the server is a member of.
    pub group: Option<Group>,
    /// Why the note of a group cannot be read, when there is one that cannot.
    pub group_damaged: Option<String>,
    /// A restart of the server has begun and not ended.
    pub restart: bool,
    /// The process that is to be restarted still runs.
    pub restart_runs: bool,
    /// What the last failover to this server may have lost.
    pub loss: Option<Loss>,
    /// A switchover that has not ended fenced the server.
    pub fenced: bool,
    /// The process that was fenced still runs.
    pub fenced_runs: bool,
    /// Somebody stopped the server by its unit; the command that starts it again.
    pub held: Option<String>,
    /// Stores that were set aside.
    pub aside: Vec<String>,
}

impl Facts {
    /// A server of ours was made here, nobody removed it, and nothing of it is there: the disk is
    /// not mounted, or the directory was moved or removed by hand. Never taken for "not there".
    #[must_use]
    pub fn missing(&self) -> bool {
        self.known && self.mark.is_none() && self.mark_damaged.is_none() && !self.data
    }
    /// Nothing of a server is here, and nobody removed one: of a server that was made here, the host
    /// was installed anew or its user's home is gone. A gate is no such word, as anybody who asks for
    /// a lease leaves one.
    #[must_use]
    pub fn nothing_known(&self) -> bool {
        let marked = self.mark.is_some() || self.mark_damaged.is_some();
        !marked && !self.data && !self.known && !self.gone
    }
    /// How `user`, an account of ours, logs in; `None` before that account was made.
    #[must_use]
    pub fn login(&self, user: &str) -> Option<Login> {
        let password = self.account.as_ref()?;
        Some(Login { next: self.account_next.clone(), ..Login::new(user, password) })
    }
    /// The server belongs to a group. Then the group alone says whether the server runs, and
    /// nothing else starts it.
    #[must_use]
    pub fn member(&self) -> bool {
        self.group.is_some() || self.group_damaged.is_some()
    }
}

/// What an instance is in a replication group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows another server, or is fenced.
    Standby,
    /// Takes no writes, but its fence was cut in the middle: the fence has to be made again.
    #[strum(serialize = "in the middle of its fence")]
    Fencing,
    /// Its promotion was cut in the middle. A promotion that is repeated opens this server whatever
    /// the others are (run on 1.3.0.post5: a second server then takes writes).
    #[strum(serialize = "in the middle of its promotion")]
    Opening,
}

impl Role {
    /// Why this server may take writes; `None` when it surely takes none.
    #[must_use]
    pub fn may_write(self) -> Option<&'static str> {
        match self {
            Self::Standby => None,
            Self::Primary => Some("it takes writes"),
            Self::Fencing => Some("its fence has not come to its end"),
            Self::Opening => Some("its promotion has not come to its end"),
        }
    }
    /// The role in words for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a running server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its role.
    pub role: Role,
    /// `@@version_comment`: nothing else tells two builds of one version apart.
    pub build: String,
    /// Where the server reads its log from; empty when it reads from nowhere.
    pub source: String,
    /// All parameters.
    pub parameters: BTreeMap<String, String>,
    /// Names of hidden parameters (they begin with `_`) that do not have their defaults.
    pub hidden: BTreeSet<String>,
    /// Parameters that somebody has set, without hidden ones and those that the server sets itself.
    pub changed: BTreeMap<String, String>,
    /// What became of root's password.
    pub root: Root,
}

/// What became of root's password, as far as our account can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Root {
    /// It was not asked, cannot be told, or none of root's passwords is kept.
    #[default]
    Unknown,
    /// It is one of those that are kept.
    Kept,
    /// Somebody else has set another one.
    Changed {
        /// Whether our account may set it again; otherwise only root may.
        ours: bool,
    },
    /// Somebody else has taken it away.
    Open,
}

/// The command by which a person says that what was made in a directory is gone for good.
#[must_use]
pub fn gone_command(host: &Host, directory: &str) -> String {
    let Endpoint { user, address, port, .. } = &host.endpoint;
    let user = if user.is_empty() { "USER" } else { user };
    let run_as =
        if host.run_as.is_empty() { String::new() } else { format!(" --as {}", host.run_as) };
    format!("ob gone {directory} --host {user}@{address}:{port}{run_as}")
}

/// Says of a server that was made in a directory that the directory or what was in it is missing.
#[must_use]
pub fn missing(node: &Node) -> Problem {
    Problem::refused(format!("the directory of {} is missing", node.show()))
        .place(format!("{} on {}", node.directory, node.host.endpoint.show()))
        .why(
            "a database was made there and nobody removed it, by the notes in ~/.ob/objects: its \
             disk may not be mounted, or the directory was moved; a new one would be empty",
        )
        .fix(format!(
            "mount the disk or move the directory back; only if the database is gone for good, say \
             so: {}",
            gone_command(&node.host, &node.directory)
        ))
}

/// Says of a server that somebody stopped it by its unit, and which command starts it again.
#[must_use]
pub fn held(node: &Node, command: &str) -> Problem {
    Problem::user(format!("{} was stopped by hand", node.show()))
        .place(format!("{} on {}", node.directory, node.host.endpoint.show()))
        .why("its unit was asked to stop, or is disabled; no plan undoes that")
        .fix(format!("start it on its host when it shall run again: {command}"))
}

/// Says of a server that was made on a host that the host knows nothing of it, not even that
/// somebody worked there.
#[must_use]
pub fn vanished(node: &Node) -> Problem {
    Problem::refused(format!("the host of {} knows nothing of it", node.show()))
        .place(format!("{} on {}", node.directory, node.host.endpoint.show()))
        .why(
            "a database was made there, by the state, and the host has neither its directory nor a \
             note of it: it was installed anew, another machine answers at its address, or the \
             home of the user who works there is not mounted; a new database would be empty",
        )
        .fix(format!(
            "check the address first: if it is wrong, correct it in the configuration; only if \
             this is the machine and the database is gone for good, say so: {} --state FILE \
             (`terraform state pull` prints it)",
            gone_command(&node.host, &node.directory)
        ))
}

/// Says that what lies in a directory is not what a state knows.
#[must_use]
pub fn foreign(node: &Node) -> Problem {
    Problem::refused(format!(
        "what is in the directory of {} is not what was made there",
        node.show()
    ))
    .place(format!("{} on {}", node.directory, node.host.endpoint.show()))
    .why("its mark names another creation than the state: somebody removed it and made it anew")
    .fix(
        "first see whether host, base_dir and login user are those that it was made with; else remove \
         it from this state (terraform state rm), and import what is there, if it is yours",
    )
}

/// Says that everybody who reaches a server's port can be root there.
#[must_use]
pub fn open_to_all(node: &Node) -> Problem {
    Problem::user(format!("root of {} has no password", node.show()))
        .place(node.place())
        .why("whoever reaches that port can do everything in it")
        .fix("set root_password_wo and root_password_wo_version; or ALTER USER root IDENTIFIED BY '…'")
}

/// Says that somebody else has changed root's password, and the way out; `None` when nobody has.
/// `group`: the server is a member of a group, which root's password then belongs to.
#[must_use]
pub fn root_changed(node: &Node, root: Root, group: bool) -> Option<Problem> {
    let of = if group { "those of the ob_standby" } else { "both in its ob_cluster" };
    let fix = match root {
        Root::Unknown | Root::Kept => return None,
        Root::Open => return Some(open_to_all(node)),
        Root::Changed { ours: true } => format!(
            "nothing, if that is wanted; else raise root_password_wo_version, and root_password_wo \
             is set again ({of})"
        ),
        Root::Changed { ours: false } => format!(
            "set root_password_wo to the password in force and raise root_password_wo_version \
             ({of}): on this version only root may change root's password, so the next rotation \
             needs the one in force"
        ),
    };
    Some(
        Problem::user(format!("root's password of {} was changed by somebody else", node.show()))
            .place(node.place())
            .why(format!("it is none of those that {} keeps; nothing was undone", node.own("root")))
            .fix(fix),
    )
}

/// Says that a server refuses our account. `group`: as for [`root_changed`].
#[must_use]
pub fn locked_out(node: &Node, why: &str, group: bool) -> Problem {
    Problem::user(format!("{} refuses the provider's account", node.show()))
        .place(node.place())
        .why(format!("it was dropped, or its password was changed, by hand ({why})"))
        .fix(account_again(group))
}

/// The way out of a server, or a group, that refuses our account.
#[must_use]
pub fn account_again(group: bool) -> &'static str {
    if group {
        "apply: the account is made again by root in whoever has the role, with root's password that \
         is kept on the host. If that was changed by hand, too, log in as root, set the former one \
         again and apply; root_password_wo of the ob_standby then sets another one"
    } else {
        "apply: the account is made again by root, whose password is kept on the host"
    }
}

/// Says that the mark of a server cannot be read.
#[must_use]
pub fn unreadable(node: &Node, why: &str) -> Problem {
    Problem::refused(format!("the mark of {} cannot be read", node.show()))
        .place(format!("{} on {}", node.own("mark"), node.host.endpoint.show()))
        .why(if why.is_empty() { "it is damaged, or of a newer version of ob" } else { why })
        .fix(
            "use the newest release; if the file is damaged, compare it with the journal (`ob \
             operation list`) and restore it",
        )
}

/// Says what was left in a directory because it is not ours; `None` when nothing was.
#[must_use]
pub fn left(node: &Node, facts: &Facts) -> Option<Problem> {
    (facts.exists && !facts.strays.is_empty()).then(|| {
        Problem::user(format!("{} was not removed: it holds what is not ours", &*node.directory))
            .place(node.host.endpoint.show())
            .why(facts.strays.join(", "))
            .fix("look at it, and remove it by hand")
    })
}
