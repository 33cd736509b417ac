//! The commands of `ob`, the operator's tool, one file each. They use the same steps, lease and
//! journal as terraform.
//!
//! Data goes to stdout, everything else to stderr; with `--json` both are JSON. Exit status: 0 done, 1 failed, 2 changes
//! pending, 3 locked, 4 refused.
mod abandon;
mod aside;
mod break_glass;
mod completion;
mod diff;
mod doctor;
mod gone;
mod journal;
mod kit;
mod operation;
mod output;
mod pages;
mod progress;
mod reach;
mod runbook;
mod schema;
mod state_file;
mod status;
pub mod steps;
mod sudoers;
mod watch;

#[cfg(test)]
mod tests;

pub use output::{End, Out};

use crate::base::Problem;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Operates OceanBase databases that terraform deployed, from any machine with an SSH key.
#[derive(Debug, Parser)]
#[command(name = "ob", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Prints data as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Operations, from the journals on the hosts.
    #[command(subcommand)]
    Operation(operation::Verb),
    /// Follows an operation until it ends.
    Watch(watch::Args),
    /// Prints every step of a plan with its exact shell and SQL.
    Runbook(runbook::Args),
    /// Moves the role to a standby; no acknowledged row is lost.
    Switchover(break_glass::Switchover),
    /// Opens a standby although the primary is gone; rows can be lost.
    Failover(break_glass::Failover),
    /// Starts stopped members after the others were asked.
    Start(break_glass::Start),
    /// Stops a member.
    Stop(break_glass::Stop),
    /// Says what each member of a group is.
    Status(status::Args),
    /// Writes the file that the break-glass commands need.
    Kit(kit::Args),
    /// Standby databases.
    #[command(subcommand)]
    Standby(diff::Verb),
    /// Says that a database whose directory is missing is gone for good.
    Gone(gone::Args),
    /// Checks hosts and what lies on them.
    Doctor(doctor::Args),
    /// Prints the sudoers file that an ordinary login user needs.
    Sudoers(sudoers::Args),
    /// Stores of databases that were set aside.
    #[command(subcommand)]
    Aside(aside::Verb),
    /// Prints a script that lets a shell complete the words of `ob`.
    Completion(completion::Args),
    /// Schemas and registry pages.
    #[command(subcommand)]
    Schema(schema::Verb),
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() && std::env::args_os().any(|word| word == "--json") {
                return Out::of_process(true).fail(&misread(&error)).into();
            }
            let _ = error.print();
            // clap's own exit status 2 would mean "changes pending" here.
            return if error.use_stderr() { End::Failed } else { End::Done }.into();
        }
    };
    let out = Out::of_process(cli.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out.say(&Problem::internal(format!("no runtime: {error}")).to_string());
            return End::Failed.into();
        }
    };
    let end = runtime.block_on(async {
        let cancel = CancellationToken::new();
        tokio::spawn(interrupts(cancel.clone()));
        match run(&out, cli.command, cancel).await {
            Ok(end) => end,
            Err(problem) => out.fail(&problem),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    end.into()
}

/// A command line that cannot be read, as a problem.
fn misread(error: &clap::Error) -> Problem {
    let text = error.to_string();
    let (why, fix) = text.split_once("\n\n").unwrap_or((&text, ""));
    Problem::user("the command line cannot be read")
        .why(why.trim_start_matches("error: ").trim())
        .fix(fix.trim())
}

/// The first Ctrl-C asks the command to stop at its next safe point; the second one ends the
/// program at once.
async fn interrupts(cancel: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        cancel.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    }
}

async fn run(out: &Out, command: Command, cancel: CancellationToken) -> Result<End, Problem> {
    match command {
        Command::Operation(verb) => operation::run(out, verb, cancel).await,
        Command::Watch(args) => watch::run(out, args, cancel).await,
        Command::Runbook(args) => runbook::run(out, &args),
        Command::Switchover(args) => break_glass::switchover(out, args, cancel).await,
        Command::Failover(args) => break_glass::failover(out, args, cancel).await,
        Command::Start(args) => break_glass::start(out, args, cancel).await,
        Command::Stop(args) => break_glass::stop(out, args, cancel).await,
        Command::Status(args) => status::run(out, args, cancel).await,
        Command::Kit(args) => kit::run(out, args, cancel).await,
        Command::Standby(diff::Verb::Diff(args)) => diff::run(out, args, cancel).await,
        Command::Gone(args) => gone::run(out, args, cancel).await,
        Command::Doctor(args) => doctor::run(out, args, cancel).await,
        Command::Sudoers(args) => sudoers::run(out, &args),
        Command::Aside(aside::Verb::List(args)) => aside::list(out, &args, cancel).await,
        Command::Aside(aside::Verb::Remove(args)) => aside::remove(out, args, cancel).await,
        Command::Completion(args) => completion::run(out, &args),
        Command::Schema(verb) => schema::run(out, verb),
    }
}
