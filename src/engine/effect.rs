//! What a step does, as data. The engine runs an [`Effect`] ([`Cx::execute`]), and the runbook
//! prints the same value. A step has no other way to change anything.
use super::cx::Part;
use super::program::Program;
use super::template::{Name, Template, Values};
use super::{Cx, Step};
use crate::base::Problem;
use crate::transport::files::{FileSpec, Opener, Place, place};
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;

/// What a step does.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Changes nothing: the step only proves something. The lines tell people what it asks.
    Look(Vec<String>),
    /// Runs a program on the step's host.
    Shell(Program),
    /// Places files on the step's host, then runs a program there that publishes them.
    Files(Files),
    /// Runs statements on a server, under the gate's lock on the step's host.
    Sql(Sql),
}

/// The run user's state directory on the step's host. A step that places files must give this value
/// ([`Step::values`]).
pub const STATE: Name = Name("state");

/// A file to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileData {
    /// Name below the folder, `/` between its parts.
    pub name: String,
    /// Digest of the content, 64 lower-case hex digits.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits, such as `0o755`.
    pub mode: u32,
    /// Who has the content; `None` when that is not known, as after an import.
    pub from: Option<Archive>,
    /// Its name in there.
    pub member: String,
}

/// An archive on the machine of the run, or by URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Archive {
    /// Path or URL.
    pub location: String,
    /// Its digest.
    pub sha256: String,
}

/// Opens the contents of files: what an executor brings beside the way to hosts.
pub trait Contents: Send + Sync {
    /// One opener for each file, in their order. Nothing is read before one is called.
    fn openers(&self, files: &[FileData]) -> Vec<Opener>;
}

/// Has no content of any file.
#[derive(Debug)]
pub struct NoContents;

impl Contents for NoContents {
    fn openers(&self, files: &[FileData]) -> Vec<Opener> {
        let none = || Err(std::io::Error::other("this command brings no files to hosts"));
        files.iter().map(|_| Arc::new(none) as Opener).collect()
    }
}

/// Files to place, and a program that publishes them. Placing needs no gate, because the files are
/// named by their content. Publishing is the effect under the gate.
#[derive(Clone, Debug)]
pub struct Files {
    /// The files. Each is opened only when the host lacks it.
    pub files: Vec<FileData>,
    /// The destination folder below the user's state directory: `packages/ID`.
    pub folder: String,
    /// The program that publishes the files.
    pub then: Program,
}

impl Files {
    /// The files with what opens them.
    #[must_use]
    pub fn specs(&self, contents: &dyn Contents) -> Vec<FileSpec> {
        let spec = |(file, open): (&FileData, Opener)| FileSpec {
            name: file.name.clone(),
            sha256: file.sha256.clone(),
            size: file.size,
            mode: file.mode,
            open,
        };
        self.files.iter().zip(contents.openers(&self.files)).map(spec).collect()
    }
}

/// SQL statements that run in order, in one session.
#[derive(Clone, Debug)]
pub struct Sql {
    /// The server that runs them.
    pub server: Arc<dyn SqlServer>,
    /// The statements.
    pub statements: Vec<Template>,
    /// Whether every other session of the same account is ended, before the first statement and
    /// after the last one: who got in before a password was changed is out then. After a take-over
    /// the engine ends them before the first statement in any case.
    pub end_others: bool,
}

impl Sql {
    /// Statements on a server; other sessions stay.
    pub fn new<T: Into<Template>>(
        server: impl SqlServer + 'static,
        statements: impl IntoIterator<Item = T>,
    ) -> Self {
        let statements = statements.into_iter().map(Into::into).collect();
        Self { server: Arc::new(server), statements, end_others: false }
    }
}

/// A server that runs SQL statements. The component that implements this knows how to log in.
#[async_trait]
pub trait SqlServer: Send + Sync + fmt::Debug {
    /// Who logs in and where, for people: `ob_service at 192.0.2.1:2881`.
    fn show(&self) -> String;
    /// Opens a session. `title` is the step's title, for error messages; `values` holds what the
    /// step has read.
    ///
    /// # Errors
    /// The login failed; the problem says that `title` cannot be done.
    async fn open(
        &self,
        cx: &Cx,
        values: &Values,
        title: &str,
    ) -> Result<Box<dyn SqlSession>, Problem>;
}

/// An open session.
#[async_trait]
pub trait SqlSession: Send {
    /// Runs one statement whose rows do not matter.
    ///
    /// # Errors
    /// The statement failed, or the link broke.
    async fn run(&mut self, statement: &str) -> Result<(), Problem>;
    /// Ids of the other sessions of the same account.
    ///
    /// # Errors
    /// The query failed, or the link broke.
    async fn others(&mut self) -> Result<Vec<String>, Problem>;
    /// Ends another session. One that is gone already is no error.
    ///
    /// # Errors
    /// The session cannot be ended, or the link broke.
    async fn end(&mut self, id: &str) -> Result<(), Problem>;
    /// Ends this session.
    async fn close(self: Box<Self>);
}

impl Effect {
    /// The lines that a runbook shows. Secrets and values stand as `<name>`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Look(lines) => lines.clone(),
            Self::Shell(program) => program.lines(),
            Self::Files(files) => {
                let line = |f: &FileData| {
                    format!("place {} ({} bytes, sha256 {})", f.name, f.size, f.sha256)
                };
                files.files.iter().map(line).chain(files.then.lines()).collect()
            }
            Self::Sql(sql) => {
                let head = format!("-- as {}", sql.server.show());
                let ends = sql.end_others.then(|| "KILL <each other session of it>".to_owned());
                let statements = sql.statements.iter().map(Template::show);
                std::iter::once(head).chain(ends).chain(statements).collect()
            }
        }
    }

    /// The program that the host receives for this effect, if it receives one.
    #[must_use]
    pub fn program(&self) -> Option<&Program> {
        match self {
            Self::Shell(program) => Some(program),
            Self::Files(files) => Some(&files.then),
            Self::Look(_) | Self::Sql(_) => None,
        }
    }
}

impl Cx {
    /// Runs the effect of a step. The caller has decided by a check that it is needed. Nothing runs
    /// when [`Step::values`] finds that nothing is left to do.
    ///
    /// # Errors
    /// The gate refuses (somebody else holds the object now), the host cannot be reached, the
    /// program or a statement failed.
    pub async fn execute(&self, step: &dyn Step) -> Result<(), Problem> {
        let effect = step.effect();
        if matches!(effect, Effect::Look(_)) {
            return Ok(());
        }
        let Some(values) = step.values(self).await? else { return Ok(()) };
        let values = self.known(values);
        let done = match &effect {
            Effect::Look(_) => Ok(()),
            Effect::Shell(program) => self.shell(step, program, &values).await,
            Effect::Files(files) => self.files(step, files, &values).await,
            Effect::Sql(sql) => self.sql(step, sql, &values).await,
        };
        done.map_err(|problem| told(step, &values, problem))
    }

    async fn files(&self, step: &dyn Step, files: &Files, values: &Values) -> Result<(), Problem> {
        let host = step.host();
        let state = Template::value(STATE).fill(values)?;
        let to = Place {
            run_as: host.run_as.clone(),
            cache: format!("{state}/cache"),
            dest: format!("{state}/{}", files.folder),
            deep: false,
        };
        place(&self.connect(host).await?, &to, &files.specs(self.contents())).await?;
        self.shell(step, &files.then, values).await
    }

    /// Runs the statements under the gate's lock on the step's host. The order is: take the lock,
    /// open the session, prove that the lock is still held, run the statements. A run that was
    /// frozen and taken over finds its lock or its session ended when it wakes, so no statement of
    /// it runs late.
    async fn sql(&self, step: &dyn Step, sql: &Sql, values: &Values) -> Result<(), Problem> {
        let fill = |t: &Template| t.fill(values);
        let statements = sql.statements.iter().map(fill).collect::<Result<Vec<_>, _>>()?;
        let title = step.title();
        let mut hold = self.hold(&[Part { number: 0, step, program: None }]).await?;
        let mut session = match sql.server.open(self, values, &title).await {
            Ok(session) => session,
            Err(problem) => {
                let _ = hold.close().await;
                return Err(problem);
            }
        };
        // Ask for the other sessions each time, even if nobody uses the answer: a fenced server
        // answers only queries that it was asked shortly before (4012 to all else, seen on seekdb
        // 1.4.0.post1), and a run that takes over needs this answer.
        let others = session.others().await?;
        if self.took_over() || sql.end_others {
            end(session.as_mut(), &others).await?;
        }
        hold.begin(0).await?;
        let mut result = all(session.as_mut(), &statements).await;
        if result.is_ok() && sql.end_others && !statements.is_empty() {
            result = end_all(session.as_mut()).await;
        }
        session.close().await;
        self.forget();
        hold.end(0, result.is_ok()).await?;
        hold.close().await?;
        result
    }
}

/// The problem of a step's effect, as people may see it.
pub(super) fn told(step: &dyn Step, values: &Values, problem: Problem) -> Problem {
    let problem = values.hide(problem);
    let attribute = step.attribute();
    if attribute.is_empty() { problem } else { problem.attribute(attribute) }
}

/// Runs statements in order, until one fails.
pub(super) async fn all(
    session: &mut dyn SqlSession,
    statements: &[String],
) -> Result<(), Problem> {
    for statement in statements {
        session.run(statement).await?;
    }
    Ok(())
}

async fn end(session: &mut dyn SqlSession, ids: &[String]) -> Result<(), Problem> {
    for id in ids {
        session.end(id).await?;
    }
    Ok(())
}

/// Ends every other session of the same account.
async fn end_all(session: &mut dyn SqlSession) -> Result<(), Problem> {
    let others = session.others().await?;
    end(session, &others).await
}
