//! `ob gone`: says that a database whose directory is missing is gone for good.
use super::output::{End, Out};
use super::progress;
use super::reach::{Where, who};
use crate::base::{Directory, Problem};
use crate::engine::{Check, Executor, Limits, Step};
use crate::operate::gone::{self, ForgetHome};
use tokio_util::sync::CancellationToken;

/// Which database.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its base directory.
    directory: String,
    #[command(flatten)]
    at: Where,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

/// Runs `ob gone`.
///
/// # Errors
/// Not exactly one host is named, the directory is there, nothing knows of a database in it, or the
/// host does not answer.
pub async fn run(out: &Out, args: Args, cancel: CancellationToken) -> Result<End, Problem> {
    let directory = Directory::parse(&args.directory).map_err(|why| {
        Problem::user(format!("\"{}\" is no base directory", args.directory))
            .why(why)
            .fix("write it as the configuration does: /data/main")
    })?;
    let (hosts, connector, cx) = args.at.open(cancel)?;
    // Those of --host come first.
    let ((1, [host, ..]) | (0, [host])) = (args.at.host.len(), &hosts[..]) else {
        return Err(Problem::user("more than one host is named")
            .why("a directory is gone on one host")
            .fix("give one --host"));
    };
    let claimed = args.at.claims(host, &directory)?;
    let step = ForgetHome { host: host.clone(), directory, claimed };
    match step.check(&cx).await? {
        Check::Refused(problem) => return Err(problem),
        Check::Done => {
            out.say(&format!("nothing is known of {} there", &*step.directory));
            return Ok(End::Done);
        }
        Check::Needed(_) | Check::Partial(_) | Check::Unknown(_) => {}
    }
    out.say(&format!(
        "{}: the next terraform apply makes an empty database there; nothing that was in it comes \
         back by that",
        step.title()
    ));
    out.confirm("forget it", args.yes)?;
    let mut executor = Executor::new(connector, "", who(), Limits::of(1));
    executor.events = progress::sink(*out);
    if let Some(problem) = gone::run(&executor, &step, cx.cancel()).await.problem {
        return Err(problem);
    }
    out.data(&serde_json::json!({ "forgotten": &*step.directory }), || {
        format!("forgotten: {}", &*step.directory)
    })?;
    Ok(End::Done)
}
