//! One open session: sends statements, reads bounded answers.
use super::error::POLICY;
use super::wire::{Fields, Wire, server_error};
use super::{Refusal, SqlError};
use crate::base::Secret;
use std::time::Duration;
use tokio::time::timeout;

/// A result row: each value as text, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// The most rows that one answer may have.
pub const ROWS: usize = 500_000;
/// The most memory that one answer may take, roughly, in bytes.
pub const BYTES: usize = 64 << 20;
const ROWS_BEYOND: &str = "the answer has more than 500000 rows";
const BYTES_BEYOND: &str = "the answer has more than 64 MiB";

/// The most columns of a table (MySQL's own limit).
const COLUMNS: u64 = 4096;
/// Memory in bytes that a row and each of its values take beside their text, roughly.
const OVERHEAD: usize = 24;

const QUIT: u8 = 1;
const QUERY: u8 = 3;
/// Status flag: more results follow. Servers may set it only for clients with capabilities that
/// ours does not announce.
const MORE_RESULTS: u64 = 8;

/// The answer to a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Row>,
}

impl Answer {
    /// The value of a row in the column of this name. The server may write the name in any case.
    #[must_use]
    pub fn get<'a>(&self, row: &'a Row, column: &str) -> Option<&'a str> {
        let at = self.columns.iter().position(|c| c.eq_ignore_ascii_case(column))?;
        row.get(at)?.as_deref()
    }
}

/// One open SQL session.
pub struct Session {
    wire: Wire,
    deadline: Duration,
    /// Statements may carry secrets: nobody else can read the link, or the configuration trusts it.
    confidential: bool,
    /// The last answer was read to its end.
    ready: bool,
}

impl Session {
    pub(super) fn new(wire: Wire, deadline: Duration, confidential: bool) -> Self {
        Self { wire, deadline, confidential, ready: true }
    }

    /// Runs one statement and collects its rows.
    ///
    /// # Errors
    /// As [`SqlError`]. After any error but [`SqlError::Server`] the session is unusable: the rest
    /// of this statement's answer would be read as the answer to the next.
    pub async fn query(&mut self, statement: &str) -> Result<Vec<Row>, SqlError> {
        self.table(statement).await.map(|answer| answer.rows)
    }

    /// As [`Session::query`], with the names of the columns.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn table(&mut self, statement: &str) -> Result<Answer, SqlError> {
        match self.asked(statement).await {
            Err(SqlError::Server { code: POLICY, message }) => {
                // What it wants, beside what it says: the message names no variable.
                let policy = self.asked("show global variables like 'validate_password%'").await;
                Err(SqlError::Policy { message, asks: asks(&policy.unwrap_or_default()) })
            }
            answer => answer,
        }
    }

    async fn asked(&mut self, statement: &str) -> Result<Answer, SqlError> {
        if !self.ready {
            return Err(SqlError::Broken("an earlier statement was not read to its end".into()));
        }
        self.ready = false;
        let answer = timeout(self.deadline, ask(&mut self.wire, statement)).await;
        let answer = answer.unwrap_or(Err(SqlError::Timeout(self.deadline)));
        self.ready = matches!(answer, Ok(_) | Err(SqlError::Server { .. }));
        answer
    }

    /// Runs one statement whose rows do not matter.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn run(&mut self, statement: &str) -> Result<(), SqlError> {
        self.query(statement).await.map(drop)
    }

    /// Runs a statement that carries `secrets`.
    ///
    /// # Errors
    /// As [`Session::query`], with the secrets masked in the text of the error;
    /// [`Refusal::SecretInClear`] when others could read the secrets on the link.
    pub async fn run_with(&mut self, statement: &str, secrets: &[Secret]) -> Result<(), SqlError> {
        if !self.confidential && !secrets.is_empty() {
            return Err(SqlError::Refused(Refusal::SecretInClear));
        }
        self.run(statement).await.map_err(|e| e.masked(secrets))
    }

    /// Runs one statement and returns the first value of the first row.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn value(&mut self, statement: &str) -> Result<Option<String>, SqlError> {
        let rows = self.query(statement).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    /// Ends the session.
    pub async fn close(mut self) {
        let quit = async {
            if self.ready {
                self.wire.begin();
                let _ = self.wire.write(&[QUIT]).await;
            }
            self.wire.shut().await;
        };
        let _ = timeout(Duration::from_secs(2), quit).await;
    }
}

/// The variables of a password policy that ask for something, with their values.
fn asks(policy: &Answer) -> String {
    let set = policy.rows.iter().filter_map(|row| match &row[..] {
        [Some(name), Some(value), ..] if !["", "0"].contains(&&**value) => {
            let short = |text: &str| text.chars().take(64).collect::<String>();
            Some(format!("{} = {}", short(name), short(value)))
        }
        _ => None,
    });
    let set: Vec<_> = set.take(10).collect();
    if set.is_empty() { "one that it does not show".into() } else { set.join(", ") }
}

fn nonsense(what: &str) -> SqlError {
    SqlError::Broken(format!("{what} cannot be read"))
}

/// Fails when a packet's status says that more results follow.
fn single(status: Option<u64>) -> Result<(), SqlError> {
    match status {
        Some(status) if status & MORE_RESULTS == 0 => Ok(()),
        Some(_) => Err(SqlError::Broken("the server gave more results than were asked".into())),
        None => Err(nonsense("the end of an answer")),
    }
}

/// The status in the packet that ends columns or rows; `None` for another packet. A row can begin
/// with the same byte, but is longer.
fn end(packet: &[u8]) -> Option<Option<u64>> {
    let mut fields = Fields(packet.strip_prefix(&[0xfe])?);
    (packet.len() < 9).then(|| {
        fields.number(2)?;
        fields.number(2)
    })
}

/// The name in a column's definition: the fifth field, after catalogue, schema and two tables.
fn column(definition: &[u8]) -> Option<String> {
    let mut fields = Fields(definition);
    let name = (0..5).try_fold(None, |_, _| fields.value())?;
    name.map(|name| String::from_utf8_lossy(name).into_owned())
}

async fn ask(wire: &mut Wire, statement: &str) -> Result<Answer, SqlError> {
    wire.begin();
    wire.write(&[&[QUERY], statement.as_bytes()].concat()).await?;
    let first = wire.read(BYTES, BYTES_BEYOND).await?;
    let columns = match first.split_first() {
        Some((0x00, ok)) => {
            let mut fields = Fields(ok);
            let status = fields.length().and(fields.length()).and(fields.number(2));
            return single(status).map(|()| Answer::default());
        }
        Some((0xff, error)) => return Err(server_error(error)),
        Some((0xfb, _)) => return Err(SqlError::Refused(Refusal::File)),
        _ => Fields(&first).length().filter(|n| (1..=COLUMNS).contains(n)),
    };
    let columns = columns.ok_or_else(|| nonsense("an answer"))?;
    let (mut room, mut names) = (BYTES, Vec::new());
    for _ in 0..columns {
        let definition = wire.read(room, BYTES_BEYOND).await?;
        room -= definition.len();
        names.push(column(&definition).ok_or_else(|| nonsense("a column"))?);
    }
    let packet = wire.read(room, BYTES_BEYOND).await?;
    single(end(&packet).ok_or_else(|| nonsense("the head of an answer"))?)?;
    let mut rows = Vec::new();
    loop {
        let packet = wire.read(room, BYTES_BEYOND).await?;
        if let Some(status) = end(&packet) {
            return single(status).map(|()| Answer { columns: names, rows });
        }
        if let Some((0xff, error)) = packet.split_first() {
            return Err(server_error(error));
        }
        let mut fields = Fields(&packet);
        let row: Option<Row> = (0..columns)
            .map(|_| fields.value().map(|v| v.map(|b| String::from_utf8_lossy(b).into_owned())))
            .collect();
        let row = row.filter(|_| fields.0.is_empty()).ok_or_else(|| nonsense("a row"))?;
        let text: usize = row.iter().flatten().map(String::len).sum();
        let taken = text.max(packet.len()) + OVERHEAD * (row.len() + 1);
        room = room.checked_sub(taken).ok_or(SqlError::TooMuch(BYTES_BEYOND))?;
        rows.push(row);
        if rows.len() > ROWS {
            return Err(SqlError::TooMuch(ROWS_BEYOND));
        }
    }
}
