//! Asks a running server for its role, build, source and parameters, and logs in to it for effects.
use super::steps::{root_now, working_root};
use super::{ACCOUNT, Dialect, Facts, Instance, about, dialect};
use crate::base::{Kind, Pauses, Problem, Secret};
pub use crate::component::database::{Role, Root, Said};
use crate::component::sql::{self, ACCESS_DENIED, Login, READ_ONLY, STARTING, Session, SqlError};
use crate::engine::{Check, Cx, Node, SqlServer, SqlSession, Values, lease};
use crate::transport::key_values;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use sql::STATEMENT;

/// Reads our account's password from the instance's host.
///
/// # Errors
/// The host cannot be reached; there is no account: the instance was not deployed by us, or its
/// deployment has not got that far; the server does not run, or another process listens on its port.
pub async fn account(cx: &Cx, node: &Node) -> Result<Login, Problem> {
    let (login, said) = read_account(cx, node).await?;
    if said.contains_key("listener.other") {
        return Err(stranger(node, &another(node)));
    }
    // Whoever listens there while the server is down is not the server.
    if said.contains_key("listener.gone") {
        let what = format!("cannot log in to seekdb {}", node.show());
        let why = format!("no server runs from {}", &*node.directory);
        let problem = Problem::new(Kind::Unreachable, what).place(node.place()).why(why);
        return Err(problem.fix("start it: the next apply does, or `ob start` for a member"));
    }
    Ok(login)
}

/// The account, and what its script said.
async fn read_account(cx: &Cx, node: &Node) -> Result<(Login, BTreeMap<String, String>), Problem> {
    let program = about!(node, "steps/account.sh").arg(hex(node.sql_port()));
    let said = key_values(&cx.read(&node.host, &program).await?.stdout);
    let secret = |name: &str| said.get(name).filter(|s| !s.is_empty()).map(Secret::new);
    let password = secret("account").ok_or_else(|| no_account(node))?;
    Ok((Login { next: secret("next"), ..Login::new(ACCOUNT, &password) }, said))
}

/// Opens a session with a server that runs on a copy of the node's store, on the node's port.
///
/// # Errors
/// As [`session`].
pub async fn session_on_copy(cx: &Cx, copy: &Node) -> Result<Session, Problem> {
    let (login, _) = read_account(cx, copy).await?;
    session_as(cx, copy, &login, STATEMENT).await
}

/// A port as the kernel's tables have it.
pub(super) fn hex(port: u16) -> String {
    format!("{port:04X}")
}

fn no_account(node: &Node) -> Problem {
    Problem::user(format!("cannot log in to seekdb {}", node.show()))
        .place(node.own("account"))
        .why("there is no account of ours on that instance")
        .fix(
            "an instance that others made gets one with its first change (step \"adopt\"); give \
             root_password_wo for it",
        )
}

/// Opens a session on the instance's own host. Waits for a server that says that it is starting.
///
/// # Errors
/// As [`sql::open`]; the outer error says that the host cannot be reached.
pub async fn open(
    cx: &Cx,
    node: &Node,
    login: &Login,
) -> Result<Result<Session, SqlError>, Problem> {
    open_within(cx, node, login, STATEMENT).await
}

async fn open_within(
    cx: &Cx,
    node: &Node,
    login: &Login,
    limit: Duration,
) -> Result<Result<Session, SqlError>, Problem> {
    let transport = cx.connect(&node.host).await?;
    let mut pauses = Pauses::every(Duration::from_millis(500)).within(STARTS);
    loop {
        let port = node.sql_port();
        let mut done = sql::open(transport.as_ref(), "127.0.0.1", port, login, limit).await;
        if let Some(next) = login.following()
            && done.as_ref().is_err_and(|e| e.code() == Some(ACCESS_DENIED))
        {
            done = sql::open(transport.as_ref(), "127.0.0.1", port, &next, limit).await;
        }
        let starting = done.as_ref().is_err_and(|e| e.code() == Some(STARTING));
        if !starting || !cx.pause(&mut pauses).await? {
            return Ok(match done {
                Ok(session) => ending(session).await,
                error => error,
            });
        }
    }
}

/// Lets the server end the session when nobody uses it for as long as a lease lives: what a run
/// that froze, or whose link broke, has open is gone before another run may take over. A standby of
/// 1.4 lets nobody end a session (4688 to KILL, run on 1.4.0.post1).
async fn ending(mut session: Session) -> Result<Session, SqlError> {
    session.run(&format!("set session wait_timeout = {}", lease::ttl())).await?;
    Ok(session)
}

/// How long to wait for a server that says that it is starting (8001; up to 11 s on 1.3.0.post5).
const STARTS: Duration = Duration::from_secs(30);

/// Opens a session with our account.
///
/// # Errors
/// There is no account, or the host or the server does not answer.
pub async fn session(cx: &Cx, node: &Node) -> Result<Session, Problem> {
    session_within(cx, node, STATEMENT).await
}

/// As [`session`], with a time limit for each statement.
///
/// # Errors
/// As [`session`].
pub async fn session_within(cx: &Cx, node: &Node, limit: Duration) -> Result<Session, Problem> {
    let login = account(cx, node).await?;
    session_as(cx, node, &login, limit).await
}

async fn session_as(
    cx: &Cx,
    node: &Node,
    login: &Login,
    limit: Duration,
) -> Result<Session, Problem> {
    open_within(cx, node, login, limit)
        .await?
        .map_err(|e| e.explain(&format!("log in to seekdb {}", node.show()), &node.place()))
}

/// Asks a server for everything in [`Said`] but root's password, in one session.
///
/// # Errors
/// There is no account, the host or the server does not answer, or the answer is not that of a
/// seekdb.
pub async fn ask(cx: &Cx, node: &Node) -> Result<Said, Problem> {
    let login = account(cx, node).await?;
    ask_as(cx, node, &login, false).await.map(|(said, _)| said)
}

/// Also gives what the server keeps of root's passwords, if `root` says so and it tells.
async fn ask_as(
    cx: &Cx,
    node: &Node,
    login: &Login,
    root: bool,
) -> Result<(Said, BTreeSet<String>), Problem> {
    let mut session = session_as(cx, node, login, STATEMENT).await?;
    let said = ask_in(&mut session, node).await;
    let digests = match said {
        Ok(_) if root => root_digests(&mut session).await.unwrap_or_default(),
        _ => BTreeSet::new(),
    };
    session.close().await;
    said.map(|said| (said, digests))
}

/// Asks a server for its role alone, which costs it a tenth of [`ask`]: steps between a fence and a
/// promotion ask while nobody takes writes.
///
/// # Errors
/// As [`ask`].
pub async fn role(cx: &Cx, node: &Node) -> Result<Role, Problem> {
    let mut session = session(cx, node).await?;
    let said = role_in(&mut session, node).await;
    session.close().await;
    said.map(|(_, _, role)| role)
}

/// As [`ask`], for a server whose process is known to run. Waits a while for the answer, because a
/// server that has just been started is not a dead one.
///
/// # Errors
/// As [`ask`].
pub async fn ask_running(cx: &Cx, node: &Node, facts: &Facts) -> Result<Said, Problem> {
    ask_patiently(cx, node, facts, false).await.map(|(said, _)| said)
}

/// As [`ask_running`], for root's password too.
///
/// # Errors
/// As [`ask`].
pub async fn ask_for_root(cx: &Cx, node: &Node, facts: &Facts) -> Result<Said, Problem> {
    // A fenced 1.4 answers nothing that it was not asked before, and waits long before it says so.
    let (said, digests) = ask_patiently(cx, node, facts, !facts.fenced).await?;
    Ok(Said { root: root_now(cx, node, &said.build, &digests).await, ..said })
}

async fn ask_patiently(
    cx: &Cx,
    node: &Node,
    facts: &Facts,
    root: bool,
) -> Result<(Said, BTreeSet<String>), Problem> {
    let login = facts.login(ACCOUNT).ok_or_else(|| no_account(node))?;
    if facts.stranger {
        return Err(stranger(node, &another(node)));
    }
    let runs = facts.running_package.as_deref().and_then(Dialect::of_package);
    let silence = runs.unwrap_or(&dialect::V1_4).silence;
    let mut pauses = Pauses::every(Duration::from_millis(500)).within(silence);
    loop {
        let said = ask_as(cx, node, &login, root).await;
        if !said.as_ref().is_err_and(is_silence) || !cx.pause(&mut pauses).await? {
            return said;
        }
    }
}

/// The build, its dialect and the role.
async fn role_in(
    session: &mut Session,
    node: &Node,
) -> Result<(String, &'static Dialect, Role), Problem> {
    let explain = |e: SqlError| unheard(node, &e);
    // Asked first in every session: the answer decides which statements follow.
    let build = session.value("select @@version_comment").await.map_err(explain)?;
    let build = build.unwrap_or_default();
    let dialect =
        Dialect::of_version(&build).ok_or_else(|| dialect::unknown(&node.place(), &build))?;
    Ok((build, dialect, role_as(session, dialect, node).await?))
}

async fn role_as(session: &mut Session, dialect: &Dialect, node: &Node) -> Result<Role, Problem> {
    let explain = |e: SqlError| unheard(node, &e);
    let words = session.value(dialect.role).await.map_err(explain)?;
    let role = words.as_deref().and_then(dialect.read_role);
    role.ok_or_else(|| explain(SqlError::Broken(format!("it says of its role: {words:?}"))))
}

/// A session that was asked for the role, and can be asked again in one round trip.
pub struct Asked {
    session: Session,
    dialect: &'static Dialect,
    node: Node,
}

impl Asked {
    /// Opens the session and asks.
    ///
    /// # Errors
    /// As [`ask`].
    pub async fn open(cx: &Cx, node: &Node) -> Result<Self, Problem> {
        let mut session = session(cx, node).await?;
        let (_, dialect, _) = role_in(&mut session, node).await?;
        Ok(Self { session, dialect, node: node.clone() })
    }
    /// The role now.
    ///
    /// # Errors
    /// As [`ask`].
    pub async fn role(&mut self) -> Result<Role, Problem> {
        role_as(&mut self.session, self.dialect, &self.node).await
    }
}

fn unheard(node: &Node, error: &SqlError) -> Problem {
    error.explain(&format!("ask seekdb {}", node.show()), &node.place())
}

async fn ask_in(session: &mut Session, node: &Node) -> Result<Said, Problem> {
    let (build, dialect, role) = role_in(session, node).await?;
    let answer = session.table("show parameters").await.map_err(|e| unheard(node, &e))?;
    let (mut parameters, mut changed) = (BTreeMap::new(), BTreeMap::new());
    let mut hidden = BTreeSet::new();
    for row in &answer.rows {
        let Some(name) = answer.get(row, "name") else { continue };
        let value = answer.get(row, "value").unwrap_or_default();
        let set = answer.get(row, "isdefault") == Some("0");
        if set && name.starts_with('_') {
            if !dialect.own_hidden.contains(&name) {
                hidden.insert(name.to_owned());
            }
        } else if set && !dialect.own.contains(&name) {
            changed.insert(name.to_owned(), value.to_owned());
        }
        parameters.insert(name.to_owned(), value.to_owned());
    }
    let source = parameters.get("log_restore_source").cloned().unwrap_or_default();
    Ok(Said { role, build, source, parameters, hidden, changed, root: Root::Unknown })
}

/// What the server keeps of root's passwords, one for each host from which root may come; empty for
/// a root that has none. Our account may read it, so no login as root is tried.
///
/// # Errors
/// As [`SqlError`].
pub async fn root_digests(session: &mut Session) -> Result<BTreeSet<String>, SqlError> {
    let rows = session.query("select password from mysql.user where user = 'root'").await?;
    Ok(rows.into_iter().map(|row| row.into_iter().next().flatten().unwrap_or_default()).collect())
}

/// Proves that the server of the node's directory, and nobody else, listens on the node's SQL port.
/// Asked before root logs in for an effect: what follows changes accounts and passwords.
///
/// # Errors
/// Another process listens there, or none; the host cannot be reached.
pub async fn proved(cx: &Cx, node: &Node) -> Result<(), Problem> {
    let program = about!(node, "own_port.sh").arg(hex(node.sql_port()));
    let said = cx.read(&node.host, &program).await?.stdout;
    let says = |word: &str| said.lines().any(|l| l == word);
    Err(stranger(
        node,
        &if says("gone") {
            "no server runs from that directory".to_owned()
        } else if says("other") {
            another(node)
        } else if says("own") {
            return Ok(());
        } else {
            format!("the server does not listen on port {}", node.sql_port())
        },
    ))
}

fn another(node: &Node) -> String {
    format!("another process listens on port {}", node.sql_port())
}

/// The problem of a port on which not the node's own server listens.
fn stranger(node: &Node, why: &str) -> Problem {
    Problem::refused(format!("it is not proved which server is {}", node.show()))
        .place(node.place())
        .why(format!("{why}; no statement was sent"))
        .fix(format!(
            "compare sql_port with the command line of the server of {}, and end whatever else \
             listens there",
            &*node.directory
        ))
}

/// Whether a login works: done, or still to be made.
///
/// # Errors
/// The host cannot be reached.
pub async fn accepts(cx: &Cx, node: &Node, login: &Login) -> Result<Check, Problem> {
    Ok(match open(cx, node, login).await? {
        Ok(session) => {
            session.close().await;
            Check::Done
        }
        Err(error) if error.code() == Some(ACCESS_DENIED) => {
            Check::Needed("its login is refused".into())
        }
        Err(error) => Check::Unknown(error.to_string()),
    })
}

/// The user that logs in for an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Our account.
    Service,
    /// root, with whichever of its known passwords works.
    Root,
}

/// A server, and the user that effects log in as.
#[derive(Clone, Debug)]
pub struct On {
    node: Node,
    who: Who,
}

impl On {
    /// As our account.
    #[must_use]
    pub fn service(node: &Node) -> Self {
        Self { node: node.clone(), who: Who::Service }
    }
    /// As root.
    #[must_use]
    pub fn root(node: &Node) -> Self {
        Self { node: node.clone(), who: Who::Root }
    }
}

#[async_trait]
impl SqlServer for On {
    fn show(&self) -> String {
        let user = match self.who {
            Who::Service => ACCOUNT,
            Who::Root => "root",
        };
        format!("{user} at {}", self.node.place())
    }
    async fn open(
        &self,
        cx: &Cx,
        _values: &Values,
        title: &str,
    ) -> Result<Box<dyn SqlSession>, Problem> {
        let login = match self.who {
            Who::Service => account(cx, &self.node).await?,
            Who::Root => {
                proved(cx, &self.node).await?;
                working_root(cx, &self.node).await?
            }
        };
        let place = self.node.place();
        let session = open(cx, &self.node, &login).await?;
        let session = session.map_err(|e| e.explain(title, &place))?;
        Ok(Box::new(Opened { session, user: login.user, title: title.to_owned(), place }))
    }
}

struct Opened {
    session: Session,
    user: String,
    title: String,
    place: String,
}

impl Opened {
    fn explain(&self, error: &SqlError) -> Problem {
        error.explain(&self.title, &self.place)
    }
}

#[async_trait]
impl SqlSession for Opened {
    async fn run(&mut self, statement: &str) -> Result<(), Problem> {
        self.session.run(statement).await.map_err(|e| self.explain(&e))
    }
    async fn others(&mut self) -> Result<Vec<String>, Problem> {
        others(&mut self.session, &self.user).await.map_err(|e| self.explain(&e))
    }
    async fn end(&mut self, id: &str) -> Result<(), Problem> {
        if id.parse::<u64>().is_err() {
            return Err(Problem::refused(format!("{id:?} is no id of a session"))
                .place(self.place.clone())
                .why("SHOW PROCESSLIST gave it")
                .fix("find out what answers on that port"));
        }
        match self.session.run(&format!("kill {id}")).await {
            // The session ended by itself meanwhile, or will ([`ending`]).
            Err(SqlError::Server { code: NO_SESSION | READ_ONLY, .. }) | Ok(()) => Ok(()),
            Err(error) => Err(self.explain(&error)),
        }
    }
    async fn close(self: Box<Self>) {
        self.session.close().await;
    }
}

/// `ER_NO_SUCH_THREAD`.
const NO_SESSION: u16 = 1094;

/// The ids of all other sessions of `user`.
///
/// # Errors
/// As [`SqlError`].
pub async fn others(session: &mut Session, user: &str) -> Result<Vec<String>, SqlError> {
    let own = session.value("select connection_id()").await?.unwrap_or_default();
    let rows = session.query("show processlist").await?;
    // Columns: Id, User, Host, db, Command, …
    let of_user = |r: &Vec<Option<String>>| r.get(1).is_some_and(|u| u.as_deref() == Some(user));
    let ids = rows.into_iter().filter(of_user).filter_map(|r| r.into_iter().next().flatten());
    Ok(ids.filter(|id| *id != own).collect())
}

/// Whether `problem` only says that nothing answers.
#[must_use]
pub fn is_silence(problem: &Problem) -> bool {
    problem.kind == Kind::Unreachable
}
