//! `ob-bench`: the benchmark of docs/benchmarks.md.
use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use lab::bench::{Table, commands, deploy, fleet, objects, pair, plugin};
use std::path::PathBuf;
use std::process::ExitCode;

/// The provider and its peers side by side on lab hosts of this machine.
#[derive(Parser)]
#[command(name = "ob-bench")]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Measures the parts that are named, or all; prints Markdown.
    Run {
        /// Which parts.
        parts: Vec<Part>,
        /// Rounds of each way.
        #[arg(long, env = "OB_BENCH_ROUNDS", default_value_t = 5)]
        rounds: usize,
        /// Directory for the tables, one file a part.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Runs one script on many hosts through the product's transport: what (c) and (d) measure.
    Exec(commands::Exec),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// First deploy on ten hosts.
    A,
    /// Again with nothing to do, and back to a package that is there.
    B,
    /// One cold command.
    C,
    /// Ten commands on each of twenty hosts.
    D,
    /// 800 SQL objects.
    E,
    /// The plugin, a single server, a switchover.
    F,
}

impl Part {
    fn measure(self, rounds: usize) -> Result<Vec<Table>> {
        match self {
            Self::A => deploy::fresh(rounds),
            Self::B => deploy::again(rounds),
            Self::C => commands::one(rounds),
            Self::D => commands::many(rounds),
            Self::E => objects::all(rounds),
            Self::F => Ok([plugin::all(rounds)?, pair::all(rounds)?].concat()),
        }
    }
}

fn main() -> ExitCode {
    let good = match Cli::parse().command {
        Verb::Exec(exec) => exec.run().map(|()| true),
        Verb::Run { parts, rounds, out } => measure(&parts, rounds, out),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("ob-bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures part by part. A part that fails does not stop the others; then the result is false.
fn measure(parts: &[Part], rounds: usize, out: Option<PathBuf>) -> Result<bool> {
    fleet::set_up()?;
    let mut good = true;
    for part in Part::value_variants().iter().filter(|p| parts.is_empty() || parts.contains(p)) {
        eprintln!("== part {part:?}");
        match part.measure(rounds) {
            Ok(tables) => {
                let text = tables.iter().map(Table::markdown).collect::<Vec<_>>().join("\n");
                println!("{text}");
                if let Some(dir) = &out {
                    std::fs::create_dir_all(dir).context("cannot make the directory of results")?;
                    std::fs::write(dir.join(format!("{part:?}.md").to_lowercase()), text)
                        .context("cannot write a result")?;
                }
            }
            Err(e) => {
                eprintln!("part {part:?} failed: {e:#}");
                good = false;
            }
        }
    }
    Ok(good)
}
