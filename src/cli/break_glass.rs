//! `ob switchover | failover | start | stop --group FILE`: the operations of terraform, without
//! terraform.
//!
//! The same pure functions make the same graphs, which run under the same lease with the same
//! journal. Only consent and wishes come from the command line. A command does only what it is
//! asked for: a rebuild of a stale member or a first build is left to the next apply.
use super::output::{End, Out};
use super::reach::{Ssh, Way, who};
use super::{progress, state_file, steps};
use crate::base::OperationId;
use crate::base::date::second;
use crate::base::units::{count, parse_duration, show_duration};
use crate::base::{Kind, Problem};
use crate::component::database::{Consent, Seen, Standing};
use crate::engine::{Executor, Graph, Limits};
use crate::operate::group::{self, Moving, Opened};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Which group, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// The kit (see `ob kit`).
    #[arg(long, value_name = "FILE")]
    pub group: PathBuf,
    /// Does not ask.
    #[arg(long)]
    pub yes: bool,
    /// Shows the shell and SQL of each step before it asks, as `ob runbook` does.
    #[arg(long)]
    pub runbook: bool,
    #[command(flatten)]
    pub ssh: Ssh,
}

/// A planned move of the role.
#[derive(Debug, clap::Args)]
pub struct Switchover {
    #[command(flatten)]
    common: Common,
    /// Member that shall take writes; with two members the other one when not given.
    #[arg(long, value_name = "MEMBER")]
    to: Option<String>,
}

/// An unplanned one.
#[derive(Debug, clap::Args)]
pub struct Failover {
    #[command(flatten)]
    common: Common,
    /// Member to open.
    #[arg(long, value_name = "MEMBER")]
    to: String,
    /// The group's epoch for which this is meant (`ob status` shows it); refused at any other.
    #[arg(long)]
    epoch: u64,
    /// Goes on although the old primary's host answers.
    #[arg(long)]
    accept_unfenced: bool,
    /// Refuses when the standby's log ends longer ago than this, such as 30s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    max_loss: Option<Duration>,
}

/// Starting members.
#[derive(Debug, clap::Args)]
pub struct Start {
    #[command(flatten)]
    common: Common,
    /// Only this member.
    member: Option<String>,
}

/// Stopping one.
#[derive(Debug, clap::Args)]
pub struct Stop {
    #[command(flatten)]
    common: Common,
    /// The member.
    member: String,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| "a duration is written like 500ms, 30s, 10m or 1h30m".to_owned())
}

/// Reads the kit and looks at all members.
///
/// # Errors
/// The kit cannot be used, or the members' notes contradict it.
pub async fn open(
    file: &std::path::Path,
    ssh: &Ssh,
    cancel: CancellationToken,
) -> Result<Opened, Problem> {
    let kit = state_file::kit(file)?;
    let connector = ssh.connector(Way::of(&kit), cancel.clone())?;
    group::open(kit, connector, cancel).await
}

/// What was seen, without the members that the command leaves alone: these count as unreachable. A
/// warning names those that only an apply may build or rebuild.
fn without(group: &Opened, out: &Out, leave: impl Fn(&str, Standing) -> bool) -> Seen {
    let mut seen = group.seen.clone();
    for (name, standing) in &mut seen.standing {
        if leave(name, *standing) {
            if matches!(standing, Standing::Stale | Standing::Empty | Standing::Building) {
                out.warn(
                    &Problem::user(format!(
                        "member \"{name}\" is {} and left alone",
                        standing.as_str()
                    ))
                    .fix(
                        "the next terraform apply sets its store aside where need be and builds it \
                         again",
                    ),
                );
            }
            *standing = Standing::Unreachable;
        }
    }
    seen
}

/// Shows an operation, asks the operator to confirm it, and runs it.
async fn carry_out(
    out: &Out,
    common: &Common,
    confirm: &str,
    group: &Opened,
    moving: Moving<'_>,
) -> Result<End, Problem> {
    let (verb, graph, name) = (moving.verb, moving.graph, &group.kit.group);
    if graph.is_empty() {
        out.data(&serde_json::json!({ "verb": verb, "done": [], "skipped": [] }), || {
            format!("{verb} {name}: nothing to do")
        })?;
        return Ok(End::Done);
    }
    let impact = steps::impact(graph);
    out.say(&format!(
        "{verb} group \"{name}\" (epoch {}): {}{}{}\n",
        group.seen.epoch,
        count(graph.nodes().len(), "step"),
        if impact.is_empty() { "" } else { ", " },
        impact.join(", ")
    ));
    let lines = steps::lines(graph);
    out.say(&if common.runbook { steps::show(&lines) } else { steps::titles(&lines) });
    out.confirm(confirm, common.yes)?;
    let limits = Limits::of(16);
    let mut executor = Executor::new(group.connector.clone(), &*group.kit.owner, who(), limits);
    executor.events = progress::sink(*out);
    let began = std::time::Instant::now();
    let outcome = group.run(&executor, OperationId::fresh(), &moving).await;
    if let Some(problem) = outcome.problem {
        return Err(problem);
    }
    let done: Vec<_> = outcome
        .done
        .iter()
        .map(|(t, d)| serde_json::json!({ "title": t, "seconds": d.as_secs_f64() }))
        .collect();
    let skipped = outcome.skipped;
    let said = serde_json::json!({ "verb": verb, "group": name, "done": done, "skipped": skipped });
    out.data(&said, || {
        format!(
            "{verb} {name}: done in {}, {}, {} had nothing to do",
            show_duration(began.elapsed()),
            count(done.len(), "step"),
            skipped.len()
        )
    })?;
    Ok(End::Done)
}

/// Whether a member's store is left to the next apply.
fn for_apply(_: &str, standing: Standing) -> bool {
    matches!(standing, Standing::Stale | Standing::Empty | Standing::Building)
}

/// Runs `ob switchover`.
///
/// # Errors
/// The change must not be made (as its plan would say), or a step failed.
pub async fn switchover(
    out: &Out,
    args: Switchover,
    cancel: CancellationToken,
) -> Result<End, Problem> {
    let group = open(&args.common.group, &args.common.ssh, cancel).await?;
    group.noted()?;
    let others: Vec<_> = group.kit.members.keys().filter(|n| **n != group.seen.asked).collect();
    let to = match (args.to, &others[..]) {
        (Some(to), _) => to,
        (None, [one]) => (*one).clone(),
        (None, _) => {
            return Err(Problem::user("switch over to whom?")
                .why(format!("there are {} other members", others.len()))
                .fix("name one with --to"));
        }
    };
    group.member(&to)?;
    if group.seen.primary().is_none()
        && matches!(
            group.seen.standing.get(&group.seen.noted),
            None | Some(Standing::Unreachable | Standing::Stopped)
        )
        && group.seen.noted != to
    {
        return Err(Problem::refused(format!("cannot switch over to \"{to}\""))
            .why(format!(
                "the primary \"{}\" does not take part: it is {}",
                group.seen.noted,
                group.seen.standing.get(&group.seen.noted).map_or("unknown", |s| s.as_str())
            ))
            .fix(format!(
                "start it (`ob start`); or, when it is gone: ob failover --to {to} --epoch {}",
                group.seen.epoch
            )));
    }
    let want = group.want(&to, None);
    let seen = without(&group, out, for_apply);
    let graph = group.lead(&seen, &want)?;
    let moving = Moving { verb: "switch over", want: &want, seen: &seen, graph: &graph };
    carry_out(out, &args.common, &to, &group, moving).await
}

/// Runs `ob failover`.
///
/// # Errors
/// The primary answers, the epoch is another one, or a step refused.
pub async fn failover(
    out: &Out,
    args: Failover,
    cancel: CancellationToken,
) -> Result<End, Problem> {
    let group = open(&args.common.group, &args.common.ssh, cancel).await?;
    group.noted()?;
    group.member(&args.to)?;
    if let Some(now) = group.seen.primary()
        && now != args.to
    {
        return Err(Problem::refused(format!("refused to fail over to \"{}\"", args.to))
            .why(format!("the primary \"{now}\" answers and takes writes"))
            .fix(format!("use `ob switchover --to {}`, which loses no row", args.to)));
    }
    let want = group.want(
        &args.to,
        Some(Consent {
            epoch: args.epoch,
            creation: group.seen.creation.clone(),
            to: args.to.clone(),
            accept_unfenced: args.accept_unfenced,
            max_loss: args.max_loss,
        }),
    );
    let seen = without(&group, out, for_apply);
    let graph = group.lead(&seen, &want).map_err(|problem| {
        let consented = !problem.attribute.contains(&"failover".to_owned());
        let again = Problem {
            fix: format!(
                "bring it back; or consent for this epoch: ob failover --to {} --epoch {} (it is \
                 {} now)",
                args.to, group.seen.epoch, group.seen.epoch
            ),
            ..problem.clone()
        };
        if consented { problem } else { again }
    })?;
    let moving = Moving { verb: "fail over", want: &want, seen: &seen, graph: &graph };
    if !graph.is_empty() {
        out.warn(&estimate(&group, &args.to).await);
    }
    let end = carry_out(out, &args.common, &args.to, &group, moving).await?;
    let after = group.look().await;
    if let Some(loss) =
        after.values().filter_map(|m| m.facts.as_ref()?.loss.clone()).max_by_key(|l| l.epoch)
    {
        out.warn(
            &Problem::user(format!("the failover of epoch {} may have lost rows", loss.epoch))
                .why(format!(
                    "the log of \"{}\" ended at SCN {} ({}), known {} before it was opened; what \
                     the old primary acknowledged later may be lost",
                    loss.to,
                    loss.scn,
                    second(Duration::from_nanos(loss.scn)),
                    show_duration(Duration::from_millis(loss.age_ms))
                ))
                .fix(
                    "when the old primary's host is back, apply again: its store is set aside, and \
                     `ob standby diff` lists the rows it has more",
                ),
        );
    }
    Ok(end)
}

/// What a failover to `to` loses at most, as far as it can be told before it.
async fn estimate(group: &Opened, to: &str) -> Problem {
    let end = match group.kit.members.get(to) {
        Some(node) => group.database.end_of_log(&group.cx, node).await,
        None => Err(Problem::internal("the heir is no member")),
    };
    let what = "this failover can lose rows";
    match end {
        Ok(scn) => {
            let end = Duration::from_nanos(scn);
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let age = now.unwrap_or_default().saturating_sub(end);
            Problem::user(what)
                .why(format!(
                    "the log of \"{to}\" ends at {} ({} ago by this machine's clock); what the old \
                     primary acknowledged after that is lost",
                    second(end),
                    show_duration(age)
                ))
                .fix(
                    "if that is too much, bring the old primary back instead; --max-loss refuses \
                     beyond a limit",
                )
        }
        Err(problem) => Problem::user(what)
            .why(format!("how many cannot be told before \"{to}\" runs: {}", problem.why))
            .fix("--max-loss refuses beyond a limit once the end of its log is known"),
    }
}

/// Runs `ob start`.
///
/// # Errors
/// Another member takes writes or cannot be asked, or a step failed.
pub async fn start(out: &Out, args: Start, cancel: CancellationToken) -> Result<End, Problem> {
    let group = open(&args.common.group, &args.common.ssh, cancel).await?;
    group.noted()?;
    if let Some(member) = &args.member {
        group.member(member)?;
        if group.seen.standing.get(member) == Some(&Standing::Stale) {
            return Err(Problem::refused(format!("refused to start \"{member}\""))
                .why(format!(
                    "it was primary before epoch {}: on its store it would take writes next to \
                     \"{}\"",
                    group.seen.epoch, group.seen.noted
                ))
                .fix(
                    "the next terraform apply sets its store aside and builds it again as a \
                     standby",
                ));
        }
    }
    let primary = group.seen.asked.clone();
    let want = group.want(&primary, None);
    let only = |name: &str, standing| {
        for_apply(name, standing)
            || (standing == Standing::Stopped && args.member.as_deref().is_some_and(|m| m != name))
    };
    let seen = without(&group, out, only);
    let graph = group.lead(&seen, &want)?;
    let moving = Moving { verb: "start", want: &want, seen: &seen, graph: &graph };
    carry_out(out, &args.common, &group.kit.group, &group, moving).await
}

/// Runs `ob stop`.
///
/// # Errors
/// The member's host does not answer, or the step failed.
pub async fn stop(out: &Out, args: Stop, cancel: CancellationToken) -> Result<End, Problem> {
    let group = open(&args.common.group, &args.common.ssh, cancel).await?;
    group.noted()?;
    group.member(&args.member)?;
    let mut graph = Graph::new();
    if let (Some(instance), Some(member)) =
        (group.kit.members.get(&args.member), group.members.get(&args.member))
    {
        let Some(facts) = &member.facts else {
            return Err(Problem::new(
                Kind::Unreachable,
                format!("cannot stop \"{}\"", args.member),
            )
            .place(instance.host.endpoint.show())
            .why(&member.why)
            .fix("bring its host back"));
        };
        if facts.pid.is_some() {
            graph = group.database.stop(instance);
        }
    }
    let want = group.want(&group.seen.asked, None);
    let moving = Moving { verb: "stop", want: &want, seen: &group.seen, graph: &graph };
    carry_out(out, &args.common, &args.member, &group, moving).await
}
