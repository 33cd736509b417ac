//! `ob switchover | failover | start | stop --group FILE`: the operations of terraform, without
//! terraform.
//!
//! The same graphs by the same pure functions, under the same lease and journal; only consent and
//! wishes come from the command line. What is not asked for (a rebuild of a stale member, a first
//! build) is left to the next apply.
use super::kit::{Kit, check_note};
use super::output::{End, Out};
use super::reach::{Ssh, who};
use super::{progress, steps};
use crate::base::OperationId;
use crate::base::units::{count, parse_duration, show_duration};
use crate::base::{Kind, Problem};
use crate::component::seekdb::group::{self, Member, Standing};
use crate::component::seekdb::pair::{self, Consent, Seen, Want};
use crate::component::seekdb::steps::StopServer;
use crate::engine::{Cx, Graph};
use crate::engine::{Executor, Job, Key, Limits};
use crate::program;
use crate::resource::ob_standby;
use crate::transport::Connector;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
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

/// A group as it is now.
pub struct Opened {
    /// The kit, its packages as the hosts know them.
    pub kit: Kit,
    /// The members.
    pub members: BTreeMap<String, Member>,
    /// What they are, for the pure functions.
    pub seen: Seen,
    /// For reading.
    pub cx: Cx,
    connector: Arc<dyn Connector>,
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
    let mut kit = Kit::load(file)?;
    let connector = ssh.connector(kit.users.clone(), cancel.clone())?;
    let cx = Cx::new(connector.clone(), cancel, BTreeMap::new());
    let members = group::look_all(&cx, &kit.members).await;
    for (name, member) in &members {
        if let Some(package) = member.facts.as_ref().and_then(|f| f.package.clone()) {
            kit.packages.insert(name.clone(), package);
        }
    }
    same_home(&cx, &kit, &members).await?;
    let mut seen = Seen {
        standing: members.iter().map(|(n, m)| (n.clone(), m.standing)).collect(),
        ..Seen::default()
    };
    if let Some(note) = group::newest(&members) {
        check_note(&kit.group, &kit.owner, note)?;
        if let Some(unknown) = note.members.keys().find(|n| !kit.members.contains_key(*n)) {
            return Err(Problem::refused(format!("the kit does not know member \"{unknown}\""))
                .why(format!("the note of epoch {} names it", note.epoch))
                .fix("write a new kit: ob kit --host user@address"));
        }
        (seen.epoch, seen.noted) = (note.epoch, note.primary.clone());
    }
    seen.asked = seen.primary().map_or_else(|| seen.noted.clone(), str::to_owned);
    Ok(Opened { kit, members, seen, cx, connector })
}

/// Gates lie in the home of the user that logs in (or runs the servers). Another user would take
/// gates that nobody else looks at.
async fn same_home(cx: &Cx, kit: &Kit, members: &BTreeMap<String, Member>) -> Result<(), Problem> {
    for name in members.iter().filter(|(_, m)| m.note.is_some()).map(|(n, _)| n) {
        let host = &kit.members[name].host;
        let key = Key::group(&kit.group, kit.members.values());
        let said = cx.read(host, &program!("home.sh").arg(key.as_str())).await?;
        let mut lines = said.stdout.lines();
        let user = lines.next().unwrap_or_default();
        if lines.next().is_none() {
            return Err(Problem::refused(format!("user \"{user}\" is not the one that manages group \"{}\" on {}", kit.group, host.endpoint.name))
                .place(host.endpoint.show())
                .why("the group's gate is not in its home: what it did would not be kept apart from what Terraform does")
                .fix("name the login user of the provider's configuration: --user USER"));
        }
    }
    Ok(())
}

impl Opened {
    fn member(&self, name: &str) -> Result<(), Problem> {
        if self.kit.members.contains_key(name) {
            return Ok(());
        }
        let names: Vec<_> = self.kit.members.keys().map(String::as_str).collect();
        Err(Problem::user(format!("\"{name}\" is no member of group \"{}\"", self.kit.group))
            .why(format!("members: {}", names.join(", ")))
            .fix("name one of them"))
    }

    fn noted(&self) -> Result<(), Problem> {
        if self.seen.epoch > 0 {
            return Ok(());
        }
        let why = self
            .members
            .iter()
            .map(|(n, m)| {
                format!(
                    "{n} is {}{}",
                    m.standing.as_str(),
                    if m.why.is_empty() { String::new() } else { format!(" ({})", m.why) }
                )
            })
            .collect::<Vec<_>>()
            .join(", ");
        Err(Problem::new(
            Kind::Unreachable,
            format!("no member of group \"{}\" shows its note", self.kit.group),
        )
        .why(why)
        .fix("bring at least one member's host back"))
    }

    fn want(&self, primary: &str, failover: Option<Consent>) -> Want {
        Want {
            name: self.kit.group.clone(),
            members: self.kit.members.clone(),
            packages: self.kit.packages.clone(),
            primary: primary.to_owned(),
            failover,
        }
    }

    /// What this command leaves alone counts as not there: members that only an apply may rebuild
    /// or build.
    fn without(&self, out: &Out, leave: impl Fn(&str, Standing) -> bool) -> Seen {
        let mut seen = self.seen.clone();
        for (name, standing) in &mut seen.standing {
            if leave(name, *standing) {
                if matches!(standing, Standing::Stale | Standing::Empty | Standing::Building) {
                    out.warn(
                        &Problem::user(format!("member \"{name}\" is {} and left alone", standing.as_str()))
                            .fix("the next terraform apply sets its store aside where need be and builds it again"),
                    );
                }
                *standing = Standing::Unreachable;
            }
        }
        seen
    }

    #[allow(clippy::too_many_arguments)] // one call, one place: a struct for it would only be unpacked again
    async fn carry_out(
        &self,
        out: &Out,
        common: &Common,
        verb: &'static str,
        confirm: &str,
        want: &Want,
        seen: &Seen,
        graph: &Graph,
    ) -> Result<End, Problem> {
        if graph.is_empty() {
            out.data(&serde_json::json!({ "verb": verb, "done": [], "skipped": [] }), || {
                format!("{verb} {}: nothing to do", self.kit.group)
            })?;
            return Ok(End::Done);
        }
        let impact = steps::impact(graph);
        out.say(&format!(
            "{verb} group \"{}\" (epoch {}): {}{}{}\n",
            self.kit.group,
            self.seen.epoch,
            count(graph.nodes().len(), "step"),
            if impact.is_empty() { "" } else { ", " },
            impact.join(", ")
        ));
        out.say(&steps::show(&steps::lines(graph)));
        out.confirm(confirm, common.yes)?;
        let limits = Limits::of(16);
        let mut executor = Executor::new(self.connector.clone(), &*self.kit.owner, who(), limits);
        executor.events = progress::sink(*out);
        let began = std::time::Instant::now();
        let targets = ob_standby::targets(want, &BTreeMap::new(), graph, seen);
        let job = Job {
            id: OperationId::fresh(),
            verb,
            object: ob_standby::title(want),
            graph,
            targets,
            secrets: BTreeMap::new(),
            epoch: self.seen.epoch,
            timeout: Duration::from_secs(7200),
            cancel: self.cx.cancel().clone(),
        };
        let outcome = executor.run(job).await;
        if let Some(problem) = outcome.problem {
            return Err(problem);
        }
        let done: Vec<_> = outcome
            .done
            .iter()
            .map(|(t, d)| serde_json::json!({ "title": t, "seconds": d.as_secs_f64() }))
            .collect();
        out.data(&serde_json::json!({ "verb": verb, "group": self.kit.group, "done": done, "skipped": outcome.skipped }), || {
            format!("{verb} {}: done in {}, {}, {} had nothing to do", self.kit.group, show_duration(began.elapsed()), count(outcome.done.len(), "step"), outcome.skipped.len())
        })?;
        Ok(End::Done)
    }
}

/// Members whose stores an apply must see to.
fn for_apply(_: &str, standing: Standing) -> bool {
    matches!(standing, Standing::Stale | Standing::Empty | Standing::Building)
}

/// Runs `ob switchover`.
///
/// # Errors
/// As the plan of such a change, and as its steps.
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
    let seen = group.without(out, for_apply);
    let graph = pair::update(&seen, &want, &BTreeMap::new())?;
    group.carry_out(out, &args.common, "switch over", &to, &want, &seen, &graph).await
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
            to: args.to.clone(),
            accept_unfenced: args.accept_unfenced,
            max_loss: args.max_loss,
        }),
    );
    let seen = group.without(out, for_apply);
    let graph = pair::update(&seen, &want, &BTreeMap::new()).map_err(|problem| {
        let consented = !problem.attribute.contains(&"failover".to_owned());
        let again = Problem {
            fix: format!("bring it back; or consent for this epoch: ob failover --to {} --epoch {} (it is {} now)", args.to, group.seen.epoch, group.seen.epoch),
            ..problem.clone()
        };
        if consented { problem } else { again }
    })?;
    let end =
        group.carry_out(out, &args.common, "fail over", &args.to, &want, &seen, &graph).await?;
    let after = group::look_all(&group.cx, &group.kit.members).await;
    if let Some(loss) =
        after.values().filter_map(|m| m.facts.as_ref()?.loss.clone()).max_by_key(|l| l.epoch)
    {
        out.warn(
            &Problem::user(format!("the failover of epoch {} may have lost rows", loss.epoch))
                .why(format!(
                    "the log of \"{}\" ended at SCN {} (ns since 1970), known {} before it was opened; what the old primary acknowledged later may be lost",
                    loss.to,
                    loss.scn,
                    show_duration(Duration::from_millis(loss.age_ms))
                ))
                .fix("when the old primary's host is back, apply again: its store is set aside, and `ob standby diff` lists the rows it has more"),
        );
    }
    Ok(end)
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
                .why(format!("it was primary before epoch {}: on its store it would take writes next to \"{}\"", group.seen.epoch, group.seen.noted))
                .fix("the next terraform apply sets its store aside and builds it again as a standby"));
        }
    }
    let primary = group.seen.asked.clone();
    let want = group.want(&primary, None);
    let only = |name: &str, standing| {
        for_apply(name, standing)
            || (standing == Standing::Stopped && args.member.as_deref().is_some_and(|m| m != name))
    };
    let seen = group.without(out, only);
    let graph = pair::update(&seen, &want, &BTreeMap::new())?;
    group.carry_out(out, &args.common, "start", &group.kit.group, &want, &seen, &graph).await
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
            graph.then(StopServer { node: instance.clone(), fenced_only: false, restart: false });
        }
    }
    let want = group.want(&group.seen.asked, None);
    group.carry_out(out, &args.common, "stop", &args.member, &want, &group.seen, &graph).await
}
