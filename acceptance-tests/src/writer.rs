//! Writes numbered rows under load to whichever of several servers accepts them, and counts what
//! was lost.
//!
//! A row is acknowledged when the server said so. A number whose outcome is unknown (the link
//! broke, no answer came in time) is never tried again: the row may or may not exist, and counts
//! neither as acknowledged nor as lost.
use crate::sql::{self, Login, READ_ONLY};
use anyhow::{Context, Result, bail};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What to write, where and how fast.
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers, in the order in which they are tried.
    pub servers: Vec<Login>,
    /// Name of the database; made when missing.
    pub database: String,
    /// Rows per second.
    pub rate: u32,
    /// How long a statement or a connect may take before the writer tries another server.
    pub patience: Duration,
    /// How often all servers are asked whether they accept a write; zero means never.
    pub probe: Duration,
}

impl Config {
    /// Settings for 100 rows a second, as root, to whichever of `servers` accepts them.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            servers: servers.into_iter().map(Login::from).collect(),
            database: "ob_lab".into(),
            rate: 100,
            patience: Duration::from_millis(1000),
            probe: Duration::from_millis(100),
        }
    }
}

/// One acknowledged row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ack {
    /// Number of the row.
    pub n: u64,
    /// When the acknowledgement came, in microseconds since 1970.
    pub at: u64,
    /// Index of the server that acknowledged the row.
    pub server: usize,
}

/// What happened during a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How many rows were acknowledged.
    pub acknowledged: usize,
    /// How many of all the rows that were tried exist at the end.
    pub present: usize,
    /// Acknowledged rows that do not exist.
    pub lost: Vec<u64>,
    /// Rows whose outcome was unknown to the writer.
    pub unsure: Vec<u64>,
    /// Longest time between two acknowledgements, in milliseconds. The begin and the end of the run
    /// count as acknowledgements.
    pub longest_gap_ms: f64,
    /// When that gap began, in microseconds since 1970.
    pub longest_gap_at: u64,
    /// How often a server refused a row because it is read-only.
    pub read_only: u64,
    /// The last other error of each server.
    pub errors: Vec<String>,
    /// Each change of the server that took the rows: the first row there, and the server's index.
    pub moves: Vec<(u64, usize)>,
    /// How many rounds asked all servers.
    pub probes: u64,
    /// The rounds in which two servers took writes in turns, in microseconds since 1970: two
    /// primaries.
    pub two_writable: Vec<u64>,
    /// Index of the server whose rows were read at the end.
    pub read_from: usize,
    /// Every acknowledged row.
    #[serde(skip)]
    pub acks: Vec<Ack>,
}

/// A writer at work. Dropping it stops it without a report.
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<Result<Report>>>,
}

impl Writer {
    /// Makes the tables on the server that accepts them, and begins to write on a thread of its
    /// own.
    ///
    /// # Errors
    /// No server accepts a write within 30 s.
    pub fn start(config: Config) -> Result<Self> {
        if config.servers.is_empty() || config.rate == 0 {
            bail!("a writer needs a server and a rate");
        }
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU64::new(0));
        let (begun, wait) = std::sync::mpsc::channel();
        let (stopped, counter) = (stop.clone(), count.clone());
        let thread = std::thread::spawn(move || {
            sql::block(async {
                let ready = prepare(&config).await;
                let first = match ready {
                    Ok(first) => first,
                    Err(e) => {
                        let _ = begun.send(Err(anyhow::anyhow!("{e:#}")));
                        return Err(e);
                    }
                };
                let _ = begun.send(Ok(()));
                let (report, probes) = tokio::join!(
                    write(&config, first, &stopped, &counter),
                    probe(&config, &stopped)
                );
                finish(&config, report, probes).await
            })
        });
        wait.recv().context("the writer ended at its start")??;
        Ok(Self { stop, count, thread: Some(thread) })
    }

    /// How many rows have been acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until `more` further rows have been acknowledged.
    ///
    /// # Errors
    /// They were not acknowledged within `limit`.
    pub fn wait_for(&self, more: u64, limit: Duration) -> Result<()> {
        let want = self.acknowledged() + more;
        if crate::process::until(limit, || self.acknowledged() >= want) {
            Ok(())
        } else {
            bail!("no {more} further rows were acknowledged within {limit:?}")
        }
    }

    /// Stops writing, reads back what exists, and reports.
    ///
    /// # Errors
    /// No server can be read.
    pub fn stop(mut self) -> Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(std::thread::JoinHandle::join) {
            Some(Ok(report)) => report,
            _ => bail!("the writer broke down"),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// How one statement ended.
enum Outcome {
    Done,
    ReadOnly,
    Refused(String),
    /// The server may or may not have executed the statement.
    Unknown(String),
}

async fn attempt(
    conn: &mut Option<Conn>,
    login: &Login,
    statement: &str,
    patience: Duration,
) -> Outcome {
    if conn.is_none() {
        match login.connect(patience).await {
            Ok(c) => *conn = Some(c),
            Err(e) => return Outcome::Refused(format!("{e:#}")),
        }
    }
    let Some(c) = conn.as_mut() else { return Outcome::Refused(String::new()) };
    match tokio::time::timeout(patience, c.query_drop(statement)).await {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(Error::Server(e))) if e.code == READ_ONLY => Outcome::ReadOnly,
        // The server answered, so it did not write the row. A duplicate would be the exception, but
        // numbers are never reused.
        Ok(Err(Error::Server(e))) => Outcome::Refused(e.to_string()),
        Ok(Err(e)) => {
            *conn = None;
            Outcome::Unknown(e.to_string())
        }
        Err(_) => {
            *conn = None;
            Outcome::Unknown(format!("{} gave no answer within {patience:?}", login.at))
        }
    }
}

async fn prepare(config: &Config) -> Result<usize> {
    let db = &config.database;
    let statements = [
        format!("create database if not exists `{db}`"),
        format!(
            "create table if not exists `{db}`.rows_written (n bigint primary key, at bigint not \
             null)"
        ),
        format!(
            "create table if not exists `{db}`.probes (server int primary key, n bigint not null)"
        ),
    ];
    let end = Instant::now() + Duration::from_secs(30);
    let mut last = String::new();
    while Instant::now() < end {
        'server: for (i, login) in config.servers.iter().enumerate() {
            let mut conn = None;
            // Does not create tables that exist: once, a server that had just been started left DDL
            // without an answer for 30 s (1.4.0.post1).
            let mut there = true;
            for s in [format!("select 1 from `{db}`.rows_written limit 1"), probe_of(config, i)] {
                let done = attempt(&mut conn, login, &s, Duration::from_secs(10)).await;
                there &= matches!(done, Outcome::Done);
            }
            if there {
                return Ok(i);
            }
            for s in &statements {
                match attempt(&mut conn, login, s, Duration::from_secs(10)).await {
                    Outcome::Done => {}
                    Outcome::ReadOnly => continue 'server,
                    Outcome::Refused(e) | Outcome::Unknown(e) => {
                        last = e;
                        continue 'server;
                    }
                }
            }
            return Ok(i);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("no server accepts a write: {last}")
}

/// A statement that writes to the server with this index, if the server takes writes.
fn probe_of(config: &Config, server: usize) -> String {
    format!(
        "insert into `{}`.probes values ({server}, 1) on duplicate key update n = n + 1",
        config.database
    )
}

/// Microseconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
        .unwrap_or(0)
}

async fn write(config: &Config, first: usize, stop: &AtomicBool, count: &AtomicU64) -> Report {
    let mut report =
        Report { errors: vec![String::new(); config.servers.len()], ..Report::default() };
    let mut conns: Vec<Option<Conn>> = config.servers.iter().map(|_| None).collect();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / config.rate);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Numbers begin at the time, so that a run on another run's tables goes on above its numbers.
    let mut n = now();
    let mut server = first;
    let begun = now();
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        n += 1;
        let statement =
            format!("insert into `{}`.rows_written values ({n}, {})", config.database, now());
        match attempt(&mut conns[server], &config.servers[server], &statement, config.patience)
            .await
        {
            Outcome::Done => {
                if report.acks.last().is_none_or(|a| a.server != server) {
                    report.moves.push((n, server));
                }
                report.acks.push(Ack { n, at: now(), server });
                count.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Outcome::ReadOnly => report.read_only += 1,
            Outcome::Refused(e) => report.errors[server] = e,
            Outcome::Unknown(e) => {
                report.errors[server] = e;
                report.unsure.push(n);
            }
        }
        server = (server + 1) % config.servers.len();
        if config.servers.len() == 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    (report.longest_gap_ms, report.longest_gap_at) = longest_gap(begun, &report.acks, now());
    report
}

fn longest_gap(begun: u64, acks: &[Ack], ended: u64) -> (f64, u64) {
    let mut before = begun;
    let mut longest = (0, begun);
    for at in acks.iter().map(|a| a.at).chain([ended]) {
        longest = longest.max((at.saturating_sub(before), before));
        before = at;
    }
    #[allow(clippy::cast_precision_loss)]
    (longest.0 as f64 / 1000.0, longest.1)
}

/// Asks all servers; when two accept a write, asks them again in turns. If all accept again, twice
/// within milliseconds, this was no switchover: there are two primaries.
async fn probe(config: &Config, stop: &AtomicBool) -> (u64, Vec<u64>) {
    let mut conns: Vec<Option<Conn>> = config.servers.iter().map(|_| None).collect();
    let (mut rounds, mut found) = (0, Vec::new());
    while !config.probe.is_zero() && config.servers.len() > 1 && !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(config.probe).await;
        let mut took = Vec::new();
        for (i, conn) in conns.iter_mut().enumerate() {
            if matches!(
                attempt(conn, &config.servers[i], &probe_of(config, i), config.patience).await,
                Outcome::Done
            ) {
                took.push(i);
            }
        }
        rounds += 1;
        if took.len() < 2 {
            continue;
        }
        let mut again = 0;
        for i in took.iter().chain(&took) {
            again += usize::from(matches!(
                attempt(
                    &mut conns[*i],
                    &config.servers[*i],
                    &probe_of(config, *i),
                    config.patience
                )
                .await,
                Outcome::Done
            ));
        }
        if again == took.len() * 2 {
            found.push(now());
        }
    }
    (rounds, found)
}

async fn finish(
    config: &Config,
    mut report: Report,
    (probes, two): (u64, Vec<u64>),
) -> Result<Report> {
    (report.probes, report.two_writable) = (probes, two);
    report.acknowledged = report.acks.len();
    report.errors.retain(|e| !e.is_empty());
    // The server that took the last row is asked first, because a standby may lag.
    let last = report.acks.last().map_or(0, |a| a.server);
    let order: Vec<usize> =
        std::iter::once(last).chain((0..config.servers.len()).filter(|i| *i != last)).collect();
    let mut why = String::new();
    for i in order {
        match present(config, i, &report).await {
            Ok(rows) => {
                report.read_from = i;
                report.present = rows.len();
                report.lost =
                    report.acks.iter().map(|a| a.n).filter(|n| !rows.contains(n)).collect();
                return Ok(report);
            }
            Err(e) => why = format!("{e:#}"),
        }
    }
    bail!("no server can be read after the run: {why}")
}

async fn present(config: &Config, server: usize, report: &Report) -> Result<BTreeSet<u64>> {
    let numbers = report.acks.iter().map(|a| a.n).chain(report.unsure.iter().copied());
    let (low, high) = numbers.fold((u64::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
    let mut conn = config.servers[server].connect(Duration::from_secs(10)).await?;
    let statement = format!(
        "select n from `{}`.rows_written where n between {} and {high}",
        config.database,
        low.min(high)
    );
    let rows: Vec<u64> = tokio::time::timeout(Duration::from_secs(60), conn.query(statement))
        .await
        .context("reading the rows back took over a minute")??;
    Ok(rows.into_iter().collect())
}

/// The acknowledged rows that `server` does not have. Run against each member, it shows what each
/// one lacks.
///
/// # Errors
/// The server cannot be read.
pub fn missing(config: &Config, server: usize, report: &Report) -> Result<Vec<Ack>> {
    let rows = sql::block(present(config, server, report))?;
    Ok(report.acks.iter().copied().filter(|a| !rows.contains(&a.n)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_counts_begin_and_end() {
        let acks = |times: &[u64]| -> Vec<Ack> {
            times.iter().map(|at| Ack { n: *at, at: *at, server: 0 }).collect()
        };
        for (name, times, ended, want) in [
            ("between two rows", &[1000, 2000, 9000, 9500][..], 10_000, (7.0, 2000)),
            ("before the first", &[8000, 9000], 9500, (8.0, 0)),
            ("after the last", &[1000], 60_000, (59.0, 1000)),
            ("no row at all", &[], 5000, (5.0, 0)),
        ] {
            assert_eq!(longest_gap(0, &acks(times), ended), want, "{name}");
        }
    }
}
