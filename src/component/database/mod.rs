//! What a database engine is to the layers above: one trait, and the words that engines share.
//!
//! Resources, commands and later the server ask [`of`] for the engine that a configuration, a mark,
//! a note or a kit names, and go through [`Database`]. Nothing above `component` names an engine; a
//! test in `layers.rs` guards that. Each implementation hides the differences between versions of
//! its engine behind a dialect.
mod facts;
mod group;
mod server;

pub use facts::{
    Facts, Role, Root, Said, foreign, gone_command, held, left, locked_out, missing, open_to_all,
    root_changed, unreadable, vanished,
};
pub use group::{
    Consent, Group, Loss, Member, Move, Rebuild, Seen, Standing, Want, Whose, look_all, newest,
};
pub use server::{Desired, Probe, Server, State};

use super::seekdb::Seekdb;
use super::sql::Session;
use crate::base::{Directory, Problem};
use crate::engine::{Cx, Engine, Graph, Host, Node, Program};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

/// One database engine: how to look at, ask, deploy, change and remove its servers, and how to move
/// the role within groups of them.
///
/// Graphs are pure functions of what is wanted and what was seen. Only methods that take a [`Cx`]
/// reach a host, and they only look.
#[async_trait]
pub trait Database: Debug + Send + Sync {
    /// Which engine this is.
    fn engine(&self) -> Engine;

    /// Everything wrong with what a configuration asks for. The problems name attributes of
    /// `ob_cluster`.
    fn validate(&self, asked: &Server) -> Vec<Problem>;
    /// Why a server cannot become `next` in place; `None` when it can. `prior` is `None` while
    /// there is no server yet.
    fn refused(&self, prior: Option<&Desired>, next: &Desired) -> Option<Problem>;
    /// Whether the value `found` of a parameter on a server means the value `asked`, perhaps in
    /// another spelling.
    fn same_value(&self, asked: &str, found: &str) -> bool;
    /// Installs and, unless `initialize` is false, starts a new database.
    fn create(&self, wanted: &Desired) -> Graph;
    /// Leads a server from `prior`, in `state`, to `next`. `adopt` means that others made the
    /// server or that its adoption was cut: the graph takes it over before it changes anything.
    fn update(&self, state: State, adopt: bool, prior: &Desired, next: &Desired) -> Graph;
    /// Stops the server of a node.
    fn stop(&self, node: &Node) -> Graph;
    /// Removes everything of ours from a node; gates and journals stay. `rows`: the rows in its
    /// store may be lost. `aside_too` also removes the stores that were set aside.
    fn destroy(&self, node: &Node, creation: &str, rows: bool, aside_too: bool) -> Graph;
    /// Removes the store of a standby that was being built; the installation stays.
    fn unbuild(&self, node: &Node) -> Graph;

    /// What a change will meet, as its host, its server and its group are now. `prior` is `None`
    /// for a server that is to be made. What apply would refuse for sure is a
    /// [`crate::base::Kind::Refused`] problem; the rest are warnings.
    async fn foresee(
        &self,
        cx: &Cx,
        prior: Option<&Desired>,
        next: &Desired,
        facts: &Facts,
    ) -> Vec<Problem>;
    /// What taking over a server that others made changes beside what the configuration asks for:
    /// on its host, in it, and at its next start.
    fn adoption(&self, next: &Desired, facts: &Facts) -> Problem;
    /// Reads what the host says of a node.
    ///
    /// # Errors
    /// The host cannot be reached.
    async fn facts(&self, cx: &Cx, node: &Node) -> Result<Facts, Problem>;
    /// Asks a server whose process runs, for root's password too. Waits a while for a server that
    /// has just been started.
    ///
    /// # Errors
    /// The server does not answer, or answers as another engine does.
    async fn ask(&self, cx: &Cx, node: &Node, facts: &Facts) -> Result<Said, Problem>;
    /// Whether root of a running server gets in without a password; `false` when that cannot be
    /// told.
    async fn root_is_open(&self, cx: &Cx, node: &Node) -> bool;
    /// Opens a session with our account on a node's own host, and returns the account's name too.
    /// `limit` bounds each statement.
    ///
    /// # Errors
    /// There is no account of ours, or the host or the server does not answer.
    async fn session(
        &self,
        cx: &Cx,
        node: &Node,
        limit: Duration,
    ) -> Result<(Session, String), Problem>;
    /// A program that copies the store in the directory `source` and runs a server on the copy, on
    /// the SQL port `port` of the node's host, for as long as the program's stdin is open. The
    /// program calls `ob_ready` once that server listens.
    fn on_copy(&self, node: &Node, source: &str, port: u16) -> Program;
    /// Opens a session with the server of [`Database::on_copy`], on the port of the node `copy`.
    ///
    /// # Errors
    /// As [`Database::session`].
    async fn session_on_copy(&self, cx: &Cx, copy: &Node) -> Result<Session, Problem>;
    /// Why a store may hold rows of users; `None` when it is proved empty.
    ///
    /// # Errors
    /// The host cannot be reached.
    async fn rows(&self, cx: &Cx, node: &Node, facts: &Facts) -> Result<Option<String>, Problem>;
    /// Looks at a server that others made in a directory, so that it can be imported.
    ///
    /// # Errors
    /// The directory holds nothing of this engine, or the host does not answer.
    async fn probe(&self, cx: &Cx, host: &Host, directory: &Directory) -> Result<Probe, Problem>;

    /// How a server differs from how it shall start with its host; a member of a group must not.
    ///
    /// # Errors
    /// The host cannot be reached.
    async fn boot(&self, cx: &Cx, node: &Node, member: bool) -> Result<Option<Problem>, Problem>;
    /// The systemd unit `ob@.service` that starts the servers of `run_as` with their host.
    fn template(&self, run_as: &str) -> String;

    /// Looks at one member of a group. Never fails: a member that cannot be seen is
    /// [`Standing::Unreachable`].
    async fn look(&self, cx: &Cx, node: &Node) -> Member;
    /// Where others read the log of a member, in the words in which a server says it of itself
    /// ([`Member::source`]).
    fn source(&self, node: &Node) -> String;
    /// The end of a member's log, in ns since 1970 by the log's own clock.
    ///
    /// Errors
    /// The member cannot be asked.
    async fn end_of_log(&self, cx: &Cx, node: &Node) -> Result<u64, Problem>;
    /// Builds a group whose primary runs and whose other members are installed.
    ///
    /// # Errors
    /// The members cannot form one group.
    /// They cannot be one group.
    fn group(&self, want: &Want) -> Result<Graph, Problem>;
    /// Continues the first build of a group that was cut.
    ///
    /// # Errors
    /// As [`Database::group`].
    fn resume(&self, want: &Want, seen: &Seen) -> Result<Graph, Problem>;
    /// Leads a group from what is seen to what is wanted; `gone` are members that leave. The graph
    /// is empty when there is nothing to do, or nothing that may be done unasked.
    ///
    /// # Errors
    /// The change must not or cannot be made; the problem says what is missing.
    fn lead(
        &self,
        seen: &Seen,
        want: &Want,
        gone: &BTreeMap<String, Node>,
    ) -> Result<Graph, Problem>;
    /// Ends a group: standbys leave, the primary stays what it is.
    fn disband(
        &self,
        members: &BTreeMap<String, Node>,
        primary: &str,
        epoch: u64,
        creation: &str,
    ) -> Graph;
    /// Everything that a graph about a group does to roles and stores; the gravest is the last.
    fn moves(&self, graph: &Graph) -> BTreeSet<Move>;
}

/// Every engine there is.
pub const ALL: [&dyn Database; 1] = [&Seekdb];

/// Names of the engines in configurations.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|d| d.engine().as_str()).collect()
}

/// The implementation of an engine; `None` for an engine that has no databases.
#[must_use]
pub fn of(engine: Engine) -> Option<&'static dyn Database> {
    ALL.into_iter().find(|d| d.engine() == engine)
}

/// As [`of`], for an engine that a mark, a note or a kit names.
///
/// # Errors
/// The engine has no databases.
pub fn named(engine: Engine) -> Result<&'static dyn Database, Problem> {
    of(engine).ok_or_else(|| {
        Problem::refused(format!("\"{}\" is no database engine", engine.as_str()))
            .why("the mark, note or kit names it")
            .fix("use the newest release of ob; if the file was written by hand, correct it")
    })
}

/// Looks at a server that others made in a directory; tries each engine in turn.
///
/// # Errors
/// No engine finds anything of its own there, or the host does not answer.
pub async fn probe(
    cx: &Cx,
    host: &Host,
    directory: &Directory,
) -> Result<(&'static dyn Database, Probe), Problem> {
    let mut last = None;
    for database in ALL {
        match database.probe(cx, host, directory).await {
            Ok(probe) => return Ok((database, probe)),
            Err(problem) => last = Some(problem),
        }
    }
    Err(last.unwrap_or_else(|| Problem::internal("there is no engine")))
}
