//! `ob status`: what each member of a group is, now.
use super::break_glass::open;
use super::output::{End, Out, table};
use super::reach::Ssh;
use crate::base::Problem;
use crate::base::units::show_duration;
use crate::component::database::Standing;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Which group.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kit (see `ob kit`).
    #[arg(long, value_name = "FILE")]
    group: PathBuf,
    #[command(flatten)]
    ssh: Ssh,
}

#[derive(Serialize)]
struct Status {
    group: String,
    owner: String,
    epoch: u64,
    primary: Option<String>,
    noted_primary: String,
    healthy: bool,
    members: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    standing: &'static str,
    host: String,
    base_dir: String,
    note_epoch: Option<u64>,
    end_scn: Option<u64>,
    behind_ms: Option<u64>,
    set_aside: Vec<String>,
    why: String,
}

/// Runs `ob status`. The exit status is 2 unless one member takes writes and all others follow.
///
/// # Errors
/// The kit cannot be used.
pub async fn run(out: &Out, args: Args, cancel: CancellationToken) -> Result<End, Problem> {
    let group = open(&args.group, &args.ssh, cancel).await?;
    let primary = group.seen.primary().map(str::to_owned);
    let mut rows = Vec::new();
    for (name, member) in &group.members {
        let Some(instance) = group.kit.members.get(name) else { continue };
        let running = member.facts.as_ref().is_some_and(|f| f.pid.is_some())
            && member.standing != Standing::Unreachable;
        let end =
            if running { group.database.end_of_log(&group.cx, instance).await.ok() } else { None };
        rows.push(Row {
            name: name.clone(),
            standing: member.standing.as_str(),
            host: instance.host.endpoint.show(),
            base_dir: instance.directory.to_string(),
            note_epoch: member.note.as_ref().map(|n| n.epoch),
            end_scn: end,
            behind_ms: None,
            set_aside: member.facts.as_ref().map(|f| f.aside.clone()).unwrap_or_default(),
            why: member.why.clone(),
        });
    }
    let goal = rows.iter().find(|r| Some(&r.name) == primary.as_ref()).and_then(|r| r.end_scn);
    for row in rows.iter_mut().filter(|r| Some(&r.name) != primary.as_ref()) {
        row.behind_ms =
            goal.zip(row.end_scn).map(|(goal, end)| goal.saturating_sub(end) / 1_000_000);
    }
    let healthy = primary.is_some()
        && group.seen.standing.iter().all(|(n, s)| {
            *s == if Some(n) == primary.as_ref() { Standing::Primary } else { Standing::Standby }
        });
    let status = Status {
        group: group.kit.group.to_string(),
        owner: group.kit.owner.clone(),
        epoch: group.seen.epoch,
        primary,
        noted_primary: group.seen.noted.clone(),
        healthy,
        members: rows,
    };
    out.data(&status, || show(&status))?;
    Ok(if healthy { End::Done } else { End::Pending })
}

fn show(status: &Status) -> String {
    let mut rows =
        vec![["MEMBER", "IS", "BEHIND", "EPOCH", "HOST", "DIRECTORY"].map(str::to_owned).to_vec()];
    for row in &status.members {
        let behind =
            row.behind_ms.map_or_else(String::new, |ms| show_duration(Duration::from_millis(ms)));
        rows.push(vec![
            row.name.clone(),
            row.standing.into(),
            behind,
            row.note_epoch.map_or_else(String::new, |e| e.to_string()),
            row.host.clone(),
            row.base_dir.clone(),
        ]);
    }
    let primary = match &status.primary {
        Some(name) => format!("primary {name}"),
        None => format!("no primary (it was {})", status.noted_primary),
    };
    let mut text = format!(
        "group {}   epoch {}   {primary}   owner {}\n{}",
        status.group,
        status.epoch,
        status.owner,
        table(&rows)
    );
    for row in &status.members {
        if !row.why.is_empty() {
            text += &format!("\n{}: {}", row.name, row.why);
        }
        if !row.set_aside.is_empty() {
            text += &format!("\n{}: stores set aside: {}", row.name, row.set_aside.join(", "));
        }
    }
    text
}
