//! `ob operation abandon`: gives up an unfinished create or destroy by removing what it put on the
//! hosts.
use super::output::{End, Out};
use super::reach::{Where, look, who};
use super::{progress, steps};
use crate::base::Problem;
use crate::base::units::count;
use crate::component::database;
use crate::engine::{Executor, Limits};
use crate::operate::abandon::{Piece, pieces};
use crate::operate::history;
use tokio_util::sync::CancellationToken;

/// What is given up.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Operation id, or its first characters.
    id: String,
    #[command(flatten)]
    at: Where,
    /// Names an object whose rows may be dropped.
    #[arg(long, value_name = "NAME")]
    allow_data_loss: Vec<String>,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

/// Runs `ob operation abandon`.
///
/// # Errors
/// The operation runs, has ended well or cannot be given up; or there are rows that
/// `--allow-data-loss` does not name.
pub async fn run(out: &Out, args: Args, cancel: CancellationToken) -> Result<End, Problem> {
    let (hosts, connector, cx) = args.at.open(cancel)?;
    let surveys = look(out, &cx, &hosts).await?;
    let all = history::merge(&surveys);
    let whole = history::find(&all, &args.id)?;
    let pieces = pieces(&cx, &surveys, whole, &args.allow_data_loss).await?;
    for piece in &pieces {
        out.say(&format!(
            "abandon {} on {}: {}\n",
            piece.title(),
            piece.host.endpoint.show(),
            count(piece.graph.nodes().len(), "step")
        ));
        out.say(&steps::show(&steps::lines(&piece.graph)));
    }
    out.confirm("abandon", args.yes)?;
    for piece in &pieces {
        let mut executor = Executor::new(connector.clone(), &*piece.owner, who(), Limits::of(4));
        executor.events = progress::sink(*out);
        if let Some(problem) = piece.run(&executor, cx.cancel()).await.problem {
            return Err(problem);
        }
        if let Some((engine, node)) = &piece.server
            && let Some(database) = database::of(*engine)
            && let Ok(facts) = database.facts(&cx, node).await
            && let Some(problem) = database::left(node, &facts)
        {
            out.warn(&problem);
        }
    }
    let names: Vec<_> = pieces.iter().map(Piece::title).collect();
    out.data(&serde_json::json!({ "abandoned": whole.operation, "objects": names }), || {
        format!("abandoned {}: {}", whole.operation, names.join(", "))
    })?;
    Ok(End::Done)
}
