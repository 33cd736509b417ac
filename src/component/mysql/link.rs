//! One session on a server, for one verb of one object.
use super::Statement;
use crate::base::{Kind, Problem};
use crate::component::sql::{ACCESS_DENIED, READ_ONLY, READ_ONLY_USERS, Row, Session, SqlError};

/// "Table does not exist".
const NO_SUCH_TABLE: u16 = 1146;

/// A session that knows which server it is connected to.
pub struct Link {
    session: Session,
    place: String,
    /// The account that is logged in.
    pub user: String,
}

impl Link {
    /// Wraps an open session.
    #[must_use]
    pub fn new(session: Session, place: String, user: String) -> Self {
        Self { session, place, user }
    }

    /// Returns the rows of a query.
    ///
    /// # Errors
    /// As [`Session::query`], explained.
    pub async fn rows(&mut self, what: &str, query: &str) -> Result<Vec<Row>, Problem> {
        let answer = self.session.query(query).await;
        answer.map_err(|e| self.unread(&e, what))
    }

    /// As [`Link::rows`]; `None` when the server has no such table.
    ///
    /// # Errors
    /// As [`Link::rows`].
    pub async fn rows_if_there(
        &mut self,
        what: &str,
        query: &str,
    ) -> Result<Option<Vec<Row>>, Problem> {
        match self.session.query(query).await {
            Err(e) if e.code() == Some(NO_SUCH_TABLE) => Ok(None),
            answer => answer.map(Some).map_err(|e| self.unread(&e, what)),
        }
    }

    fn unread(&self, error: &SqlError, what: &str) -> Problem {
        let problem = error.explain(what, &self.place);
        match error.code() {
            Some(1142 | 1044 | NO_SUCH_TABLE) => problem.fix(format!(
                "the login \"{}\" must be able to read oceanbase.DBA_OB_USERS, mysql.db and \
                 information_schema: grant it SELECT on oceanbase.* and mysql.*",
                self.user
            )),
            _ => problem,
        }
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// As [`Session::run`], explained; no secret of the statement is repeated.
    pub async fn run(&mut self, statement: &Statement) -> Result<(), Problem> {
        let done = self.session.run_with(statement.text(), statement.secrets()).await;
        done.map_err(|e| explain(&e, statement, &self.place))
    }

    /// The server that the session is connected to.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Ends the session.
    pub async fn close(self) {
        self.session.close().await;
    }
}

pub(super) fn explain(error: &SqlError, statement: &Statement, place: &str) -> Problem {
    let mut problem = error.explain(&format!("run {}", statement.shown), place);
    let grant = statement.shown.starts_with("GRANT ");
    let fix = match error.code() {
        Some(ACCESS_DENIED | 1410) if grant => {
            "the user does not exist (the server calls that \"access denied\"), or the login may \
             not grant: make the user first, with ob_user, and refer to it"
        }
        Some(1044 | 1142 | 1227) => {
            "the login must be allowed to do this itself: grant it the privilege WITH GRANT \
             OPTION, or use another credential"
        }
        Some(NO_SUCH_TABLE) => "make the table first: a grant on a table needs it",
        Some(1144 | 1221) => {
            "that privilege cannot be granted on this level: see which ones the server takes there"
        }
        Some(1064 | 1149) => {
            "the server does not know a word of this statement: leave out a privilege that this \
             version does not have"
        }
        Some(1115 | 1273 | 1253) => {
            "choose a character set and collation that the server has: SHOW COLLATION lists them"
        }
        Some(1235) => "the server keeps this name for itself: choose another",
        Some(READ_ONLY | READ_ONLY_USERS) => {
            "this server does not take writes now: target the group instead of one member, then \
             run the same command again"
        }
        _ => return problem,
    };
    problem.kind = Kind::User;
    problem.fix(fix)
}
