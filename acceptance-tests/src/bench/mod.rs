//! The benchmark: the provider and its peers side by side on lab hosts of this machine. It is no
//! test and judges nothing.
//!
//! - This file: rounds, medians, tables. [`fleet`]: hosts and the peers' jobs
//!   (acceptance-tests/bench/).
//! - [`deploy`]: (a), (b). [`commands`]: (c), (d). [`objects`]: (e). [`plugin`], [`pair`]: (f).
//!
//! Rounds are interleaved, each round begins with another way, and medians are compared: so other
//! load on the machine hits all ways alike. A way that fails is reported and left out; the others
//! go on.
pub mod commands;
pub mod deploy;
pub mod fleet;
pub mod objects;
pub mod pair;
pub mod plugin;

use anyhow::Result;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// One way to do a job: its name, and a run that returns its result in the table's unit.
pub struct Way<'a> {
    name: String,
    run: Box<dyn FnMut() -> Result<f64> + 'a>,
}

impl<'a> Way<'a> {
    /// A way with this name.
    pub fn new(name: impl Into<String>, run: impl FnMut() -> Result<f64> + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// The results of one way, one per round.
#[derive(Clone, Debug)]
pub struct Row {
    /// Name of the way.
    pub name: String,
    /// One value per round.
    pub values: Vec<f64>,
    /// Why the way could not be measured.
    pub failed: Option<String>,
}

impl Row {
    /// A row of values.
    #[must_use]
    pub fn of(name: impl Into<String>, values: Vec<f64>) -> Self {
        Self { name: name.into(), values, failed: None }
    }

    /// The median.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        (n > 0).then(|| {
            if n % 2 == 1 { sorted[n / 2] } else { f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]) }
        })
    }
}

/// The seconds that `work` takes.
///
/// # Errors
/// Those of `work`.
pub fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Whether a way is to be measured. `OB_BENCH_WAYS` lists parts of names, separated by commas; when
/// it is not set, all ways are measured.
fn wanted(name: &str) -> bool {
    std::env::var("OB_BENCH_WAYS")
        .map_or(true, |all| all.split(',').any(|part| name.contains(part)))
}

/// Runs all ways `rounds` times, in turns; each round begins with the next way.
pub fn interleave(rounds: usize, mut ways: Vec<Way<'_>>) -> Vec<Row> {
    ways.retain(|w| wanted(&w.name));
    let mut rows: Vec<Row> = ways.iter().map(|w| Row::of(w.name.clone(), Vec::new())).collect();
    for round in 0..rounds {
        for turn in 0..ways.len() {
            let n = (round + turn) % ways.len();
            if rows[n].failed.is_some() {
                continue;
            }
            match (ways[n].run)() {
                Ok(value) => {
                    eprintln!("  round {} of {rounds}: {} {value:.3}", round + 1, ways[n].name);
                    rows[n].values.push(value);
                }
                Err(e) => {
                    eprintln!("  round {} of {rounds}: {} FAILED: {e:#}", round + 1, ways[n].name);
                    rows[n].failed = Some(
                        format!("{e:#}")
                            .lines()
                            .next()
                            .unwrap_or_default()
                            .chars()
                            .take(120)
                            .collect(),
                    );
                }
            }
        }
    }
    rows
}

/// One table of the result.
#[derive(Clone, Debug)]
pub struct Table {
    /// What was measured.
    pub title: String,
    /// The unit of its values.
    pub unit: &'static str,
    /// The rows; the others are compared with the first one.
    pub rows: Vec<Row>,
}

impl Table {
    /// A table in seconds.
    #[must_use]
    pub fn new(title: impl Into<String>, rows: Vec<Row>) -> Self {
        Self { title: title.into(), unit: "s", rows }
    }

    /// The same table in another unit.
    #[must_use]
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// The table as Markdown: medians, multiples of the first row, least and most, and the number
    /// of values.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "### {}\n\n| way | median, {} | multiple of the first | least to most | runs |\n\
             | --- | --- | --- | --- | --- |\n",
            self.title, self.unit
        );
        let base = self.rows.first().and_then(Row::median);
        for row in &self.rows {
            let _ = match (row.median(), base) {
                (Some(m), base) => {
                    let multiple = base
                        .filter(|b| *b > 0.0)
                        .map_or_else(|| "–".into(), |b| format!("{}x", short(m / b)));
                    let (least, most) = row
                        .values
                        .iter()
                        .fold((f64::MAX, 0_f64), |(a, b), v| (a.min(*v), b.max(*v)));
                    let failed = row
                        .failed
                        .as_ref()
                        .map(|f| format!("; then failed: {f}"))
                        .unwrap_or_default();
                    writeln!(
                        text,
                        "| {} | {} | {multiple} | {} to {} | {}{failed} |",
                        row.name,
                        short(m),
                        short(least),
                        short(most),
                        row.values.len()
                    )
                }
                (None, _) => writeln!(
                    text,
                    "| {} | – | – | – | failed: {} |",
                    row.name,
                    row.failed.as_deref().unwrap_or("not run")
                ),
            };
        }
        text
    }
}

/// About three significant digits.
fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// Time limit of a single command of a benchmark.
const LIMIT: Duration = Duration::from_secs(580);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_interleaved_and_a_way_that_fails_does_not_stop_the_others() {
        let order = std::cell::RefCell::new(Vec::new());
        let way = |name: &'static str, good: bool| {
            let order = &order;
            Way::new(name, move || {
                order.borrow_mut().push(name);
                if good { Ok(1.0) } else { anyhow::bail!("no") }
            })
        };
        let rows = interleave(2, vec![way("a", true), way("b", false), way("c", true)]);
        assert_eq!(*order.borrow(), ["a", "b", "c", "c", "a"]);
        assert_eq!(
            (rows[0].values.len(), rows[1].failed.as_deref(), rows[2].values.len()),
            (2, Some("no"), 2)
        );
    }

    #[test]
    fn a_table_shows_medians_and_multiples_of_its_first_row() {
        for (values, want) in
            [(vec![3.0, 1.0, 2.0], Some(2.0)), (vec![1.0, 2.0], Some(1.5)), (vec![], None)]
        {
            assert_eq!(Row::of("x", values).median(), want);
        }
        let failed = Row { failed: Some("no rsync".into()), ..Row::of("rsync", vec![]) };
        let text = Table::new(
            "job",
            vec![Row::of("ours", vec![0.2]), Row::of("theirs", vec![1.0, 3.0, 2.0]), failed],
        )
        .markdown();
        assert!(text.contains("| ours | 0.200 | 1.00x | 0.200 to 0.200 | 1 |"), "{text}");
        assert!(
            text.contains("| theirs | 2.00 | 10.0x | 1.00 to 3.00 | 3 |")
                && text.contains("failed: no rsync"),
            "{text}"
        );
    }
}
