//! What a database engine is, to everything above: one trait, and the words for what engines have
//! in common.
//!
//! Resources, commands and later the server ask [`of`] for the engine that a configuration, a mark,
//! a note or a kit names, and go through [`Database`]. Nothing above `component` names an engine; a
//! test in `layers.rs` holds that. What differs between versions of one engine is a dialect behind
//! its implementation.
mod facts;
mod group;
mod server;

pub use facts::{Facts, Role, Said};
pub use group::{Consent, Group, Loss, Member, Move, Seen, Standing, Want, look_all, newest};
pub use server::{Desired, Probe, Server, State};

use super::seekdb::Seekdb;
use super::sql::Session;
use crate::base::{Directory, Problem};
use crate::engine::{Cx, Engine, Graph, Host, Node, Program};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

/// One database engine: how its servers are looked at, asked, deployed, changed and removed, and
/// how groups of them move the role.
///
/// Graphs are pure functions of what is wanted and what was seen; only methods that take a [`Cx`]
/// reach a host, and those only look.
#[async_trait]
pub trait Database: Debug + Send + Sync {
    /// Which one it is.
    fn engine(&self) -> Engine;

    /// Everything wrong with what a configuration asks for. Attributes of the problems are those of
    /// `ob_cluster`.
    fn validate(&self, asked: &Server) -> Vec<Problem>;
    /// Why a server cannot become `next` in place; without `prior` there is none yet.
    fn refused(&self, prior: Option<&Desired>, next: &Desired) -> Option<Problem>;
    /// Whether a parameter's value on a server is what was asked for, in another spelling perhaps.
    fn same_value(&self, asked: &str, found: &str) -> bool;
    /// What the host has too little of for the change, so that a plan can warn.
    fn foresee(&self, prior: Option<&Desired>, next: &Desired, facts: &Facts) -> Option<Problem>;

    /// Installs and, unless `initialize` is false, starts a new database.
    fn create(&self, wanted: &Desired) -> Graph;
    /// Leads from `prior`, which is in `state`, to `next`. `adopt`: others made it, or its adoption
    /// was cut; it is taken over before anything of it changes.
    fn update(&self, state: State, adopt: bool, prior: &Desired, next: &Desired) -> Graph;
    /// Stops the server of a node.
    fn stop(&self, node: &Node) -> Graph;
    /// Removes everything of ours; gates and journals stay.
    fn destroy(&self, node: &Node, creation: &str, aside_too: bool) -> Graph;
    /// Removes a standby's store that was being built; the installation stays.
    fn unbuild(&self, node: &Node) -> Graph;

    /// Reads what the host says of a node.
    ///
    /// # Errors
    /// The host cannot be reached.
    async fn facts(&self, cx: &Cx, node: &Node) -> Result<Facts, Problem>;
    /// Asks a server whose process runs; one that has just been started is waited for a while.
    ///
    /// # Errors
    /// It does not answer, or not as this engine does.
    async fn ask(&self, cx: &Cx, node: &Node, facts: &Facts) -> Result<Said, Problem>;
    /// Opens a session with our account on a node's own host, and names the account. `limit` is for
    /// each statement.
    ///
    /// # Errors
    /// There is no account of ours; host or server do not answer.
    async fn session(
        &self,
        cx: &Cx,
        node: &Node,
        limit: Duration,
    ) -> Result<(Session, String), Problem>;
    /// A program that copies the store in the directory `source`, and runs a server on the copy on
    /// this SQL port of the node's host as long as its stdin is open. It calls `ob_ready` once that
    /// server listens.
    fn on_copy(&self, node: &Node, source: &str, port: u16) -> Program;
    /// Why a store may hold rows of users; `None`: it is proved empty.
    ///
    /// # Errors
    /// The host cannot be reached.
    async fn rows(&self, cx: &Cx, node: &Node, facts: &Facts) -> Result<Option<String>, Problem>;
    /// Looks at what others made in a directory, so that it can be imported.
    ///
    /// # Errors
    /// Nothing of this engine is there, or the host does not answer.
    async fn probe(&self, cx: &Cx, host: &Host, directory: &Directory) -> Result<Probe, Problem>;

    /// Looks at one member of a group; never fails: what cannot be seen is
    /// [`Standing::Unreachable`].
    async fn look(&self, cx: &Cx, node: &Node) -> Member;
    /// The end of a member's log, in ns since 1970 by the log's own clock.
    ///
    /// # Errors
    /// It cannot be asked.
    async fn end_of_log(&self, cx: &Cx, node: &Node) -> Result<u64, Problem>;
    /// Builds a group: its primary runs, the others are installed.
    ///
    /// # Errors
    /// They cannot be one group.
    fn group(&self, want: &Want) -> Result<Graph, Problem>;
    /// Goes on with a first build that was cut.
    ///
    /// # Errors
    /// As [`Database::group`].
    fn resume(&self, want: &Want, seen: &Seen) -> Result<Graph, Problem>;
    /// Leads a group from what is seen to what is wanted; `gone` are members that leave. An empty
    /// graph: nothing to do, or nothing that is done unasked.
    ///
    /// # Errors
    /// It must not or cannot be done; the problem says what is missing.
    fn lead(
        &self,
        seen: &Seen,
        want: &Want,
        gone: &BTreeMap<String, Node>,
    ) -> Result<Graph, Problem>;
    /// Ends a group: standbys leave, the primary stays what it is.
    fn disband(&self, members: &BTreeMap<String, Node>, primary: &str, epoch: u64) -> Graph;
    /// All that a graph about a group does to roles and stores; the gravest is the last.
    fn moves(&self, graph: &Graph) -> BTreeSet<Move>;
}

/// Every engine there is.
pub const ALL: [&dyn Database; 1] = [&Seekdb];

/// Their names in configurations.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|d| d.engine().as_str()).collect()
}

/// The engine of this name; `None` when it is none that has databases.
#[must_use]
pub fn of(engine: Engine) -> Option<&'static dyn Database> {
    ALL.into_iter().find(|d| d.engine() == engine)
}

/// As [`of`], for what a mark, a note or a kit says.
///
/// # Errors
/// It is about no database.
pub fn named(engine: Engine) -> Result<&'static dyn Database, Problem> {
    of(engine).ok_or_else(|| {
        Problem::refused(format!("\"{}\" is no database engine", engine.as_str()))
            .why("the mark, note or kit names it")
            .fix("use the newest release of ob; if the file was written by hand, correct it")
    })
}

/// Looks at what others made in a directory, whichever engine it is.
///
/// # Errors
/// No engine finds anything of its own there; the host does not answer.
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
