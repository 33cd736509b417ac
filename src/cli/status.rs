//! `ob status`: what each member of a group is, now.
use super::break_glass::open;
use super::output::{End, Out, table};
use super::reach::Ssh;
use crate::base::Problem;
use crate::base::units::show_duration;
use crate::component::database::{self, Member, Standing};
use serde::Serialize;
use std::collections::BTreeMap;
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
    /// While nobody takes writes: who did last, if that can be told.
    former_primary: Option<String>,
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
    // Who takes writes itself lags behind nobody: its log is its own.
    let writers = group.seen.writers();
    for row in rows.iter_mut().filter(|r| !writers.contains(&r.name.as_str())) {
        row.behind_ms =
            goal.zip(row.end_scn).map(|(goal, end)| goal.saturating_sub(end) / 1_000_000);
    }
    let healthy = primary.is_some()
        && group.seen.standing.iter().all(|(n, s)| {
            *s == if Some(n) == primary.as_ref() { Standing::Primary } else { Standing::Standby }
        });
    let former_primary = primary.is_none().then(|| former(&group.members)).flatten();
    let status = Status {
        group: group.kit.group.to_string(),
        owner: group.kit.owner.clone(),
        epoch: group.seen.epoch,
        primary,
        noted_primary: group.seen.noted.clone(),
        former_primary,
        healthy,
        members: rows,
    };
    out.data(&status, || show(&status))?;
    Ok(if healthy { End::Done } else { End::Pending })
}

/// Who took writes last, of members none of which does. A switchover writes the new primary into the
/// notes before it opens it. So where it was cut, the note's primary is the heir, and the former one
/// is fenced, stale, or named by an older note.
fn former(members: &BTreeMap<String, Member>) -> Option<String> {
    let is = |wanted: Standing| {
        let mut all = members.iter().filter(move |(_, m)| m.standing == wanted);
        all.next().map(|(name, _)| name.clone())
    };
    let newest = database::newest(members)?;
    let older = || {
        let notes = members.values().filter_map(|m| m.note.as_ref());
        let older = notes.filter(|n| n.epoch < newest.epoch).max_by_key(|n| n.epoch);
        older.map(|n| n.primary.clone())
    };
    // The heir's promotion was cut: it was never the one that took writes.
    let heir = is(Standing::Opening);
    is(Standing::Fenced)
        .or_else(|| is(Standing::Stale))
        .or_else(older)
        .or_else(|| (heir.as_ref() != Some(&newest.primary)).then(|| newest.primary.clone()))
}

fn no_primary(former: Option<&str>, noted: &str) -> String {
    match former {
        Some(name) if name == noted => format!("no primary (it was {name})"),
        Some(name) => format!("no primary (it was {name}; the move to {noted} was cut)"),
        None => format!("no primary (the move to {noted} was cut)"),
    }
}

/// The same while that cannot be told: no member could be asked, or none has the group's note.
fn unknown(asked: bool, noted: &str) -> String {
    match (asked, noted) {
        (true, _) => "no member has the group's note".to_owned(),
        (false, "") => "no member could be asked".to_owned(),
        (false, noted) => format!("no member could be asked (their notes name {noted})"),
    }
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
    let asked = status.members.iter().any(|m| m.standing != Standing::Unreachable.as_str());
    let primary = match &status.primary {
        Some(name) => format!("primary {name}"),
        None if !asked || status.noted_primary.is_empty() => unknown(asked, &status.noted_primary),
        None => no_primary(status.former_primary.as_deref(), &status.noted_primary),
    };
    let epoch = if status.epoch == 0 { "unknown".to_owned() } else { status.epoch.to_string() };
    let mut text = format!(
        "group {}   epoch {epoch}   {primary}   owner {}\n{}",
        status.group,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ObjectName;
    use crate::component::database::Group;
    use crate::engine::Engine;

    #[test]
    fn nothing_is_said_of_a_move_while_no_member_can_be_asked() {
        for (standing, epoch, noted, want) in [
            (Standing::Unreachable, 0, "", "epoch unknown   no member could be asked   owner"),
            (Standing::Unreachable, 3, "a", "no member could be asked (their notes name a)"),
            (Standing::Stopped, 0, "", "epoch unknown   no member has the group's note"),
            (Standing::Stopped, 3, "a", "epoch 3   no primary (it was a)"),
        ] {
            let row = Row {
                name: "a".into(),
                standing: standing.as_str(),
                host: "h".into(),
                base_dir: "/d".into(),
                note_epoch: None,
                end_scn: None,
                behind_ms: None,
                set_aside: Vec::new(),
                why: String::new(),
            };
            let status = Status {
                group: "pair".into(),
                owner: "o".into(),
                epoch,
                primary: None,
                noted_primary: noted.into(),
                former_primary: (!noted.is_empty()).then(|| noted.to_owned()),
                healthy: false,
                members: vec![row],
            };
            let text = show(&status);
            assert!(text.contains(want), "{text}");
        }
    }

    #[test]
    fn who_took_writes_last_is_told_wherever_a_switchover_was_cut() {
        let member = |standing, epoch, primary: &str| {
            let name = ObjectName::parse("g").unwrap();
            let note = Group::new(Engine::Seekdb, &name, "c", epoch, primary, BTreeMap::new());
            let note = (epoch > 0).then_some(note);
            Member {
                standing,
                facts: None,
                note,
                why: String::new(),
                source: String::new(),
                later: false,
                refusal: None,
            }
        };
        use Standing::{Fenced, Opening, Stale, Standby, Stopped, Unreachable};
        for (cut, a, b, want) in [
            ("nothing was moved", (Stopped, 1, "a"), (Standby, 1, "a"), "it was a)"),
            ("after the fence", (Fenced, 1, "a"), (Standby, 1, "a"), "it was a)"),
            ("after the note of a", (Fenced, 2, "b"), (Standby, 1, "a"), "it was a; the move to b"),
            ("after both notes", (Fenced, 2, "b"), (Standby, 2, "b"), "it was a; the move to b"),
            ("while b opens", (Fenced, 2, "b"), (Opening, 2, "b"), "it was a; the move to b"),
            ("a missed it", (Stale, 1, "a"), (Stopped, 2, "b"), "it was a; the move to b"),
            ("a is away", (Unreachable, 0, ""), (Opening, 2, "b"), "(the move to b was cut)"),
            ("b is away", (Fenced, 2, "b"), (Unreachable, 0, ""), "it was a; the move to b"),
            ("back to a, cut", (Fenced, 3, "a"), (Standby, 2, "b"), "it was a)"),
        ] {
            let of = |(standing, epoch, primary)| member(standing, epoch, primary);
            let members = [("a".to_owned(), of(a)), ("b".to_owned(), of(b))].into();
            let noted = database::newest(&members).unwrap().primary.clone();
            let text = no_primary(former(&members).as_deref(), &noted);
            assert!(text.contains(want), "{cut}: {text}");
        }
    }
}
