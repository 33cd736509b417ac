//! What the SQL objects share: each read, apply and import takes one session.
//!
//! SQL objects take no lease. An apply checks, runs statements that may be repeated, and verifies.
//! The statements are a pure function of what the server has and what is asked for; the same
//! function gives the lines of the runbook.
use super::common::{self, set_text};
use super::looks::Seen;
use super::sql_target::{self, Target, Targeted, target};
use super::sql_way::open;
use super::{Applied, ApplyInput, Context, Found, execute};
use crate::base::{Kind, Problem, Secret};
use crate::component::mysql::user::Password;
use crate::component::mysql::{Catalog, Link, Statement, What};
use crate::engine::Impact;
use crate::schema::Value;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// Where the passwords of statements come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passwords {
    /// From the configuration.
    Given,
    /// From nowhere: statements hold only their names, for the runbook.
    Named,
    /// The passwords have been set already (a verify).
    Set,
}

/// The inputs from which statements are computed.
pub struct Change<'a, S> {
    /// The last known state; `None` for a create.
    pub prior: Option<&'a S>,
    /// The planned state; `None` for a destroy.
    pub next: Option<&'a S>,
    /// The configuration, for write-only values.
    pub config: Option<&'a S>,
    /// How to treat passwords.
    pub passwords: Passwords,
}

impl<S> Clone for Change<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Change<'_, S> {}

impl<S> Change<'_, S> {
    /// The password to set, if its version changed; `None` otherwise.
    #[must_use]
    pub fn password(
        &self,
        name: &str,
        value: Option<&Value<String>>,
        before: Option<&Value<i64>>,
        after: &Value<i64>,
    ) -> Option<Password> {
        if self.passwords == Passwords::Set || after.is_null() || before == Some(after) {
            return None;
        }
        let value = match self.passwords {
            Passwords::Given => Some(Secret::new(value.and_then(set_text)?)),
            _ => None,
        };
        Some(Password { name: name.to_owned(), value })
    }
}

/// For which verb a state is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// A read: all drift shows.
    Read,
    /// An apply that ended well: what was planned stays. What others do at the same time shows at
    /// the next read.
    Applied,
}

/// One kind of SQL object.
pub trait SqlObject: Targeted + Clone + Send + Sync + 'static {
    /// What must be known of the server to fill in this state; `None` while the object's name is
    /// unknown.
    fn what(&self) -> Option<What>;
    /// What must be known of the server for a change from `prior` to this state.
    fn what_with(&self, _prior: &Self) -> Option<What> {
        self.what()
    }
    /// Pure: the statements that make `change` true on a server that has `now`.
    ///
    /// # Errors
    /// The change must not be made.
    fn statements(change: Change<'_, Self>, now: &Catalog) -> Result<Vec<Statement>, Problem>;
    /// The plan's one line.
    fn headline(statements: &[Statement]) -> String {
        statements.iter().map(|s| s.shown.as_str()).collect::<Vec<_>>().join("; ")
    }
    /// Fills in what is true; `None` when the server does not have the object.
    fn fill(self, now: &Catalog, how: Fill) -> Option<Self>;
    /// Refuses a change that would cut off the login in use. Called before anything is done.
    ///
    /// # Errors
    /// The object is that login, or belongs to the server.
    fn spare(&self, _login: &str) -> Result<(), Problem> {
        Ok(())
    }
    /// Removes the login in use from what others made.
    fn login(&mut self, _login: &str) {}
    /// A warning, at a create, that the object existed already; `None` when it did not.
    fn adopted(&self, _now: &Catalog) -> Option<Problem> {
        None
    }
}

fn unknown_input() -> Problem {
    Problem::internal("a value that must be known at apply is not")
}

/// The status of an object that its server has.
const PRESENT: &str = "present";
/// The status of an object whose server could not be asked.
const UNREACHABLE: &str = "unreachable";

/// Fills in what is true of an object whose server answered.
fn seen<S: SqlObject>(state: S, now: &Catalog, how: Fill) -> Option<S> {
    let mut state = state.fill(now, how)?;
    // A planned status stays, like every other planned attribute.
    if how == Fill::Read || state.status().is_unknown() {
        *state.status() = Value::Value(PRESENT.into());
    }
    Some(state)
}

/// Looks at the server. If the server does not answer, only the status changes.
///
/// # Errors
/// The server answers, but not as it should; the state is damaged.
pub async fn read<S: SqlObject>(cx: &Context, mut state: S) -> Result<Found<S>, Problem> {
    let bad = || common::bad_state("an object in SQL", "what it is, and on which server");
    let (at, what) = target(&state).zip(state.what()).ok_or_else(bad)?;
    match cx
        .session
        .looks
        .look(&sql_target::key(&at), look(cx, &at, &what), look(cx, &at, &What::Everything))
        .await
    {
        Ok(found) => {
            let mut state = seen(state, &found.now, Fill::Read);
            state.iter_mut().for_each(|s| s.login(&found.login));
            Ok(Found { state, warnings: Vec::new() })
        }
        Err(problem) if problem.unseen() => {
            let what = format!("{} could not be looked at", sql_target::show(&at));
            *state.status() = Value::Value(UNREACHABLE.into());
            let warning = Problem {
                kind: Kind::Unreachable,
                what,
                then: "its last known state is used; nothing is planned because of this alone"
                    .into(),
                ..problem
            };
            Ok(Found { state: Some(state), warnings: vec![warning] })
        }
        Err(problem) => Err(problem),
    }
}

async fn look(cx: &Context, at: &Target, what: &What) -> Result<Seen, Problem> {
    let mut link = open(cx, at).await?;
    let (now, login) = (Catalog::read(&mut link, what).await, link.user.clone());
    link.close().await;
    Ok(Seen { now: now?, login })
}

/// Makes a change.
pub async fn apply<S: SqlObject>(cx: &Context, input: ApplyInput<'_, S>) -> Applied<S> {
    let result = carry_out(cx, input).await;
    result.unwrap_or_else(|problem| Applied {
        state: input.prior.cloned(),
        problem: Some(problem),
        warnings: Vec::new(),
    })
}

async fn carry_out<S: SqlObject>(
    cx: &Context,
    input: ApplyInput<'_, S>,
) -> Result<Applied<S>, Problem> {
    let subject = input.planned.or(input.prior).ok_or_else(unknown_input)?;
    let at = target(subject).ok_or_else(unknown_input)?;
    let what = match (input.prior, input.planned) {
        (Some(prior), Some(planned)) => planned.what_with(prior),
        _ => subject.what(),
    };
    let what = what.ok_or_else(unknown_input)?;
    let verb =
        if input.prior.is_none() { "create" } else { input.planned.map_or("delete", |_| "update") };
    let timeout = common::timeout(subject.timeouts(), verb).unwrap_or(cx.session.operation_timeout);
    if cx.session.observe {
        return Err(Problem::refused("nothing is changed in mode \"observe\"")
            .place(sql_target::show(&at))
            .fix("set mode = \"apply\" in provider \"ob\" (or OB_MODE)"));
    }
    let cancel = cx.cancel.child_token();
    let work = async {
        let mut link = open(cx, &at).await?;
        let done = on_link(&cancel, &mut link, input, &what).await;
        link.close().await;
        done
    };
    let (mut done, late) = execute::until(&cancel, timeout, work).await;
    cx.session.looks.forget(&sql_target::key(&at));
    if late && let Ok(Applied { problem: Some(problem), .. }) = &mut done {
        execute::explain_late(problem, timeout);
    }
    done
}

async fn on_link<S: SqlObject>(
    cancel: &CancellationToken,
    link: &mut Link,
    input: ApplyInput<'_, S>,
    what: &What,
) -> Result<Applied<S>, Problem> {
    for state in [input.prior, input.planned].into_iter().flatten() {
        state.spare(&link.user)?;
    }
    let mut now = Catalog::read(link, what).await?;
    let change = Change {
        prior: input.prior,
        next: input.planned,
        config: input.config,
        passwords: Passwords::Given,
    };
    let statements = S::statements(change, &now)?;
    let suicide = format!("DROP USER IF EXISTS {}@", crate::component::sql::literal(&link.user));
    if let Some(statement) = statements.iter().find(|s| s.shown.starts_with(&suicide)) {
        return Err(Problem::refused(format!("{} is not run", statement.shown))
            .place(link.place())
            .why("it is the login in use")
            .fix("declare that user, or use another credential"));
    }
    let warnings: Vec<_> = input
        .planned
        .filter(|_| input.prior.is_none())
        .and_then(|p| p.adopted(&now))
        .into_iter()
        .collect();
    let mut failed = None;
    for statement in &statements {
        if cancel.is_cancelled() {
            failed = Some(
                Problem::new(Kind::Cancelled, "cancelled before all statements had run")
                    .place(link.place())
                    .fix("run the same command again: it goes on where this one stopped"),
            );
            break;
        }
        if let Err(problem) = link.run(statement).await {
            failed = Some(problem);
            break;
        }
    }
    if !statements.is_empty() {
        now = match Catalog::read(link, what).await {
            Ok(now) => now,
            Err(problem) => return Err(failed.unwrap_or(problem)),
        };
    }
    let left = S::statements(Change { passwords: Passwords::Set, ..change }, &now)?;
    let secret_failed = failed.is_some() && statements.iter().any(Statement::holds_secret);
    if left.is_empty() && !secret_failed {
        // All done, perhaps by another run that was faster.
        let mut state = input.planned.cloned().and_then(|s| seen(s, &now, Fill::Applied));
        if let Some(state) = &mut state {
            state.login(&link.user);
            if state.outlook().0.is_unknown() {
                tell(state, &statements);
            }
        }
        return Ok(Applied { state, problem: None, warnings });
    }
    let problem = failed.unwrap_or_else(|| not_recorded(link.place(), &left));
    Ok(Applied {
        state: input.prior.cloned().and_then(|s| seen(s, &now, Fill::Read)),
        problem: Some(problem),
        warnings,
    })
}

fn not_recorded(place: &str, left: &[Statement]) -> Problem {
    let shown: Vec<_> = left.iter().map(|s| s.shown.as_str()).collect();
    let problem = Problem::user("the server took the statements, but did not do them")
        .place(place)
        .why(format!("still missing: {}", shown.join("; ")));
    if left.iter().all(|s| s.shown.starts_with("GRANT ")) {
        // Measured: the server does not record a grant on a database that a pattern of the same
        // user covers.
        problem.fix(
            "the user has this already by a grant on a wider pattern (`_` and `%` in a database \
             name match any character): look at mysql.db, then revoke the wider one, or manage it \
             instead with database_pattern",
        )
    } else {
        problem.fix("somebody changed the same object meanwhile: run the same command again")
    }
}

/// Reads an object that an import names.
///
/// # Errors
/// The server does not have the object, or does not answer.
pub async fn import<S: SqlObject>(cx: &Context, state: S, id: &str) -> Result<S, Problem> {
    let at = target(&state).ok_or_else(unknown_input)?;
    let what = state.what().ok_or_else(unknown_input)?;
    let found = look(cx, &at, &what).await?;
    seen(state, &found.now, Fill::Read).ok_or_else(|| {
        Problem::user(format!("there is no \"{id}\" to import"))
            .place(sql_target::show(&at))
            .why("the server answers, and does not have it")
            .fix("correct the import id")
    })
}

/// The statements that a planned change runs if the server is as the prior state says; for `ob
/// runbook`.
///
/// # Errors
/// As [`SqlObject::statements`].
pub fn planned_statements<S: SqlObject>(
    prior: Option<&S>,
    next: Option<&S>,
    believed: &Catalog,
) -> Result<Vec<Statement>, Problem> {
    S::statements(Change { prior, next, config: None, passwords: Passwords::Named }, believed)
}

/// Fills in a plan's `status`, `runbook` and `impact`; they stay as they are when the change runs
/// no statement. Returns the statements; `None` unless everything that they depend on is known
/// (`shaped`).
///
/// # Errors
/// As [`SqlObject::statements`].
pub fn foretell<S: SqlObject>(
    prior: Option<&S>,
    next: &mut S,
    shaped: bool,
    believed: &Catalog,
) -> Result<Option<Vec<Statement>>, Problem> {
    if !shaped {
        *next.status() = Value::Unknown;
        let (runbook, impact) = next.outlook();
        (*runbook, *impact) = (Value::Unknown, Value::Unknown);
        return Ok(None);
    }
    let statements = planned_statements(prior, Some(next), believed)?;
    if prior.is_none() || !statements.is_empty() {
        tell(next, &statements);
        if let Some(mut prior) = prior.cloned() {
            let line = std::mem::replace(next.outlook().0, Value::Null);
            *next.outlook().0 = common::numbered(prior.outlook().0, line);
        }
    }
    Ok(Some(statements))
}

fn tell<S: SqlObject>(state: &mut S, statements: &[Statement]) {
    *state.status() = Value::Value(PRESENT.into());
    let line = if statements.is_empty() { "nothing to do".into() } else { S::headline(statements) };
    let words = impact_of(statements).into_iter().map(|i| Value::Value(i.as_str().to_owned()));
    let words = words.collect();
    let (runbook, impact) = state.outlook();
    (*runbook, *impact) = (Value::Value(line), Value::Value(words));
}

/// What clients notice of statements, and what they do to rows.
#[must_use]
pub fn impact_of(statements: &[Statement]) -> BTreeSet<Impact> {
    let any =
        |starts: &[&str]| statements.iter().any(|s| starts.iter().any(|p| s.shown.starts_with(p)));
    let lost = any(&["DROP DATABASE"]).then_some(Impact::DataLoss);
    let cut = (any(&["DROP USER", "RENAME USER", "REVOKE"])
        || statements.iter().any(|s| s.shown.ends_with(" ACCOUNT LOCK")))
    .then_some(Impact::ClientsCut);
    [lost, cut].into_iter().flatten().collect()
}

/// The statements that a resource plans for a change.
#[cfg(test)]
pub fn statements_of<R: super::Resource>(
    resource: &R,
    prior: Option<&R::State>,
    next: Option<&R::State>,
) -> Result<Vec<Statement>, Problem> {
    match resource.planned(prior, next)? {
        super::Work::Sql(statements) => Ok(statements),
        work => Err(Problem::internal(format!("{work:?} is no SQL"))),
    }
}
