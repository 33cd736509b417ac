//! `ob operation list | show | abandon`.
use super::abandon;
use super::journal::{self, Whole};
use super::output::{End, Out};
use super::reach::Where;
use super::survey;
use crate::base::Problem;
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

/// Runs it.
///
/// # Errors
/// No host answers, there is no such operation, it must not be given up.
pub async fn run(out: &Out, verb: Verb, cancel: CancellationToken) -> Result<End, Problem> {
    match verb {
        Verb::List { open, at } => {
            let (hosts, _, cx) = at.open(cancel)?;
            let all = journal::merge(&survey::look_any(out, &cx, &hosts).await?);
            let shown = if open { journal::unfinished(&all) } else { all.iter().collect() };
            out.data(&shown, || journal::list(&shown))?;
            Ok(End::Done)
        }
        Verb::Show { id, at } => {
            let (hosts, _, cx) = at.open(cancel)?;
            let all = journal::merge(&survey::look_any(out, &cx, &hosts).await?);
            let whole = find(&all, &id)?;
            out.data(whole, || whole.show())?;
            Ok(End::Done)
        }
        Verb::Abandon(args) => abandon::run(out, args, cancel).await,
    }
}

/// The operation whose id begins with `id`.
///
/// # Errors
/// There is none, or more than one.
pub fn find<'a>(all: &'a [Whole], id: &str) -> Result<&'a Whole, Problem> {
    let id = id.to_ascii_uppercase();
    let found: Vec<_> = all.iter().filter(|w| w.operation.starts_with(&id)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Problem::user(format!("there is no operation {id}"))
            .why("no journal of these hosts knows it")
            .fix("`ob operation list` shows what there is")),
        _ => Err(Problem::user(format!("{} operations begin with {id}", found.len()))
            .fix("give more of the id")),
    }
}
