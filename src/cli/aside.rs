//! `ob aside`: stores that were set aside, by a failover or when a member left its group.
use super::output::{End, Out, moment, table};
use super::progress;
use super::reach::{Where, look, told_apart, who};
use crate::base::units::Bytes;
use crate::base::{Directory, Problem};
use crate::engine::{Check, Executor, Limits, Step};
use crate::operate::aside::{self, RemoveAside, Store};
use tokio_util::sync::CancellationToken;

/// Stores that were set aside.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Lists them.
    List(Where),
    /// Removes one for good.
    Remove(Remove),
}

/// Which store.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Base directory of its database.
    directory: String,
    /// Its name (`ob aside list` shows it).
    name: String,
    #[command(flatten)]
    at: Where,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

/// Runs `ob aside list`.
///
/// # Errors
/// No host answers.
pub async fn list(out: &Out, at: &Where, cancel: CancellationToken) -> Result<End, Problem> {
    let (hosts, _, cx) = at.open(cancel)?;
    let stores = aside::list(&cx, &look(out, &cx, &told_apart(hosts)).await?).await?;
    out.data(&stores, || show(&stores))?;
    Ok(End::Done)
}

fn show(stores: &[Store]) -> String {
    if stores.is_empty() {
        return "no store is set aside".into();
    }
    let mut rows =
        vec![["HOST", "DIRECTORY", "STORE", "SIZE", "SINCE"].map(str::to_owned).to_vec()];
    for store in stores {
        rows.push(vec![
            store.host.clone(),
            store.directory.to_string(),
            store.name.clone(),
            Bytes(store.kib.saturating_mul(1024)).to_string(),
            moment(store.since),
        ]);
    }
    table(&rows)
}

/// Runs `ob aside remove`.
///
/// # Errors
/// Not exactly one host has the directory, nothing of that name was set aside there, or it was not
/// confirmed.
pub async fn remove(out: &Out, args: Remove, cancel: CancellationToken) -> Result<End, Problem> {
    let directory = Directory::parse(&args.directory).map_err(|why| {
        Problem::user(format!("\"{}\" is no base directory", args.directory))
            .why(why)
            .fix("write it as `ob aside list` does")
    })?;
    let (hosts, connector, cx) = args.at.open(cancel)?;
    let surveys = look(out, &cx, &hosts).await?;
    let here = |home: Option<&str>| home.is_some_and(|home| *home == *directory);
    let with: Vec<_> =
        surveys.iter().filter(|s| s.objects.iter().any(|o| here(o.home.as_deref()))).collect();
    let host = match (&with[..], &hosts[..]) {
        ([one], _) => one.host.clone(),
        // Of a database that was destroyed only what was set aside may be left.
        ([], [one]) => one.clone(),
        _ => {
            return Err(Problem::user(format!("on which host is {}?", &*directory))
                .why(format!("{} of these hosts have a database of ours there", with.len()))
                .fix("give one --host"));
        }
    };
    let step = RemoveAside { host, directory: directory.clone(), name: args.name };
    if let Check::Refused(problem) = step.check(&cx).await? {
        return Err(problem);
    }
    out.say(&format!("{}: its rows are gone then, and no command brings them back", step.title()));
    out.confirm(&step.name, args.yes)?;
    let own = |s: &&crate::operate::inventory::Survey| s.host == step.host;
    let marks = surveys.iter().filter(own).flat_map(|s| &s.objects);
    let mark = marks.filter(|o| here(o.home.as_deref())).find_map(|o| o.mark.as_ref());
    let owner = mark.map(|m| m.owner.clone()).unwrap_or_default();
    let mut executor = Executor::new(connector, owner, who(), Limits::of(1));
    executor.events = progress::sink(*out);
    if let Some(problem) = aside::run(&executor, &step, &surveys, cx.cancel()).await.problem {
        return Err(problem);
    }
    let said = serde_json::json!({ "removed": step.name, "directory": &*step.directory });
    out.data(&said, || format!("removed: {} in {}", step.name, &*step.directory))?;
    Ok(End::Done)
}
