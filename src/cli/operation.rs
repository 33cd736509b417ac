//! `ob operation list | show | abandon`.
use super::abandon;
use super::journal;
use super::output::{End, Out};
use super::reach::{Where, look, told_apart};
use crate::base::Problem;
use crate::operate::history;
use tokio_util::sync::CancellationToken;

/// What to do with operations.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Lists them, oldest first.
    List {
        /// Only those whose work is not done: running, cut off, or stopped by a problem and not
        /// finished by a later run.
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Shows one with its steps.
    Show {
        /// Operation id, or its first characters.
        id: String,
        #[command(flatten)]
        at: Where,
    },
    /// Gives up an unfinished create or destroy: removes what it put on the hosts.
    Abandon(abandon::Args),
}

/// Runs `ob operation`.
///
/// # Errors
/// No host answers, there is no such operation, or it must not be given up.
pub async fn run(out: &Out, verb: Verb, cancel: CancellationToken) -> Result<End, Problem> {
    match verb {
        Verb::List { open, at } => {
            let (hosts, _, cx) = at.open(cancel)?;
            let all = history::merge(&look(out, &cx, &told_apart(hosts)).await?);
            let shown = if open { history::unfinished(&all) } else { all.iter().collect() };
            out.data(&shown, || journal::list(&shown))?;
            Ok(End::Done)
        }
        Verb::Show { id, at } => {
            let (hosts, _, cx) = at.open(cancel)?;
            let all = history::merge(&look(out, &cx, &told_apart(hosts)).await?);
            let whole = history::find(&all, &id)?;
            out.data(whole, || journal::show(whole))?;
            Ok(End::Done)
        }
        Verb::Abandon(args) => abandon::run(out, args, cancel).await,
    }
}
