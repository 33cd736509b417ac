//! Asking a running server: role, version, parameters, lag; and the one way to send it a dangerous
//! statement.
use super::{ACCOUNT, Facts, Instance};
use crate::base::{Kind, Problem, Secret};
use crate::component::sql::{self, Login, Session, SqlError};
use crate::engine::{Cx, Step};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one statement may take.
pub const STATEMENT: Duration = Duration::from_secs(30);

/// What an instance is in a replication group. Read by `tx_blocked`, never from role columns (they
/// are not refreshed).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows another one, or is fenced.
    Standby,
}

/// What a running server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its role.
    pub role: Role,
    /// `@@version_comment`: the only place that tells two builds of one version apart.
    pub build: String,
    /// Where it reads its log from; empty if nowhere.
    pub source: String,
    /// All parameters.
    pub parameters: BTreeMap<String, String>,
    /// Those that differ from their default, hidden ones left out.
    pub changed: BTreeMap<String, String>,
}

/// Reads our account's password from the instance's host.
///
/// # Errors
/// The host cannot be reached; there is no account (not deployed by us, or not that far).
pub async fn account(cx: &Cx, instance: &Instance) -> Result<Login, Problem> {
    let output = cx
        .read(&instance.host, &format!("cat {} 2>/dev/null || :", instance.own("account")))
        .await?;
    let password = output.stdout.trim();
    if password.is_empty() {
        return Err(no_account(instance));
    }
    Ok(Login::new(ACCOUNT, &Secret::new(password)))
}

fn no_account(instance: &Instance) -> Problem {
    Problem::user(format!("cannot log in to seekdb {}", instance.show()))
        .place(format!("{}/.ob/account", instance.base_dir))
        .why("there is no account of ours on that instance")
        .fix("an instance that others made gets one with its first change (step \"adopt\"); give root_password_wo for it")
}

/// Opens a session on the instance's own host.
///
/// # Errors
/// As [`sql::open`], and what keeps us from reaching the host.
pub async fn open(
    cx: &Cx,
    instance: &Instance,
    login: &Login,
) -> Result<Result<Session, SqlError>, Problem> {
    let transport = cx.connect(&instance.host).await?;
    Ok(sql::open(transport.as_ref(), "127.0.0.1", instance.sql_port, login, STATEMENT).await)
}

/// Opens a session with our account.
///
/// # Errors
/// No account, no host, no server.
pub async fn session(cx: &Cx, instance: &Instance) -> Result<Session, Problem> {
    let login = account(cx, instance).await?;
    session_as(cx, instance, &login).await
}

async fn session_as(cx: &Cx, instance: &Instance, login: &Login) -> Result<Session, Problem> {
    open(cx, instance, login)
        .await?
        .map_err(|e| e.explain(&format!("log in to seekdb {}", instance.show()), &place(instance)))
}

/// `host:port` for messages.
#[must_use]
pub fn place(instance: &Instance) -> String {
    format!("{}:{}", instance.host.endpoint.address, instance.sql_port)
}

/// Asks everything we want to know in one session.
///
/// # Errors
/// No account, no host, no server, or it does not answer as seekdb does.
pub async fn ask(cx: &Cx, instance: &Instance) -> Result<Said, Problem> {
    let login = account(cx, instance).await?;
    ask_as(cx, instance, &login).await
}

async fn ask_as(cx: &Cx, instance: &Instance, login: &Login) -> Result<Said, Problem> {
    let mut session = session_as(cx, instance, login).await?;
    let said = ask_in(&mut session)
        .await
        .map_err(|e| e.explain(&format!("ask seekdb {}", instance.show()), &place(instance)));
    session.close().await;
    said
}

/// How long a server whose process runs may take until it answers: one that has just been started
/// is no dead one.
const STARTING: Duration = Duration::from_secs(12);

/// As [`ask`], of a server whose process is known to run: silence is waited out for a while.
///
/// # Errors
/// As [`ask`].
pub async fn ask_running(cx: &Cx, instance: &Instance, facts: &Facts) -> Result<Said, Problem> {
    let login = facts.login().ok_or_else(|| no_account(instance))?;
    let until = tokio::time::Instant::now() + STARTING;
    loop {
        match ask_as(cx, instance, &login).await {
            Err(problem) if is_silence(&problem) && tokio::time::Instant::now() < until => {
                cx.sleep(Duration::from_millis(500)).await?
            }
            said => return said,
        }
    }
}

async fn ask_in(session: &mut Session) -> Result<Said, SqlError> {
    let role = role(session).await?;
    let build = session.value("select @@version_comment").await?.unwrap_or_default();
    let (mut parameters, mut changed) = (BTreeMap::new(), BTreeMap::new());
    for row in session.query("show parameters").await? {
        // svr_type, name, data_type, value, info, section, scope, source, edit_level,
        // default_value, isdefault
        if let (Some(Some(name)), Some(value)) = (row.get(1), row.get(3)) {
            let value = value.clone().unwrap_or_default();
            if row.get(10).is_some_and(|d| d.as_deref() == Some("0")) && !name.starts_with('_') {
                changed.insert(name.clone(), value.clone());
            }
            parameters.insert(name.clone(), value);
        }
    }
    let source = parameters.get("log_restore_source").cloned().unwrap_or_default();
    Ok(Said { role, build, source, parameters, changed })
}

/// Reads the role.
///
/// # Errors
/// As [`SqlError`]; a server without the column is none we know.
pub async fn role(session: &mut Session) -> Result<Role, SqlError> {
    match session
        .value("select max(tx_blocked) from oceanbase.__all_virtual_ls_info")
        .await?
        .as_deref()
    {
        Some("0") => Ok(Role::Primary),
        Some("1") => Ok(Role::Standby),
        other => Err(SqlError::Broken(format!("tx_blocked is {other:?}"))),
    }
}

/// Runs a dangerous statement (role, topology, parameter): on a session that was opened while the
/// gate's lock is held on the host, and proved to be held still after it was opened. A holder that
/// was frozen and woken finds its lock or its session ended.
///
/// # Errors
/// Somebody took over, the way broke, or the server said no (with its error number in `why`).
pub async fn dangerous(
    cx: &Cx,
    step: &dyn Step,
    instance: &Instance,
    login: &Login,
    statements: &[String],
) -> Result<(), Problem> {
    let mut hold = cx.hold(step).await?;
    let explain = |e: SqlError| e.explain(&step.title(), &place(instance));
    let mut session = match open(cx, instance, login).await? {
        Ok(session) => session,
        Err(error) => {
            hold.end(false).await?;
            return Err(explain(error));
        }
    };
    // Asked each time: once it is fenced, a server answers only what it was asked shortly before
    // (4012 to all else, run on 1.4.0.post1), and whoever takes over has to ask this.
    let others = others(&mut session, &login.user).await.map_err(explain)?;
    if cx.took_over() {
        end_all(&mut session, &others).await.map_err(explain)?;
    }
    hold.still().await?;
    let mut result = Ok(());
    for statement in statements {
        result = session.run(statement).await;
        if result.is_err() {
            break;
        }
    }
    session.close().await;
    cx.forget();
    hold.end(result.is_ok()).await?;
    result.map_err(explain)
}

/// The ids of every other session of `user`.
///
/// # Errors
/// As [`SqlError`].
pub async fn others(session: &mut Session, user: &str) -> Result<Vec<String>, SqlError> {
    let own = session.value("select connection_id()").await?.unwrap_or_default();
    let rows = session.query("show processlist").await?;
    // Id, User, Host, db, Command, …
    Ok(rows
        .into_iter()
        .filter(|r| r.get(1).is_some_and(|u| u.as_deref() == Some(user)))
        .filter_map(|r| r.into_iter().next().flatten())
        .filter(|id| *id != own)
        .collect())
}

/// Ends sessions: what a former holder may still have open.
async fn end_all(session: &mut Session, ids: &[String]) -> Result<(), SqlError> {
    for id in ids {
        // 1094: it ended by itself meanwhile.
        match session.run(&format!("kill {id}")).await {
            Err(SqlError::Server { code: 1094, .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Tells whether `problem` only says that nothing answers.
#[must_use]
pub fn is_silence(problem: &Problem) -> bool {
    problem.kind == Kind::Unreachable
}
