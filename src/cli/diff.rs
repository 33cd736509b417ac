//! `ob standby diff`: the rows that one store has and another has not.
//!
//! Of a former primary, the set-aside store is copied on its own host. A temporary server runs on
//! the copy, on a random port and without its replication port, for as long as this program holds
//! the SSH channel. The store and the member stay as they are. Of two members that both take writes,
//! each server is asked itself: nothing is copied.
mod compare;
mod temporary;

use super::break_glass::open;
use super::output::{End, Out, table};
use super::reach::Ssh;
use crate::base::units::Bytes;
use crate::base::{Kind, Problem};
use crate::component::database::Standing;
use crate::component::sql::Session;
use crate::engine::{Node, Port};
use crate::operate::group::Opened;
use compare::TableDiff;
use std::path::PathBuf;
use std::time::Duration;
use temporary::Temporary;
use tokio_util::sync::CancellationToken;

/// Standby databases.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Lists rows that only a former primary's store has, or one of two members that take writes.
    Diff(Args),
}

/// Which store.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kit (see `ob kit`).
    #[arg(long, value_name = "FILE")]
    group: PathBuf,
    /// The member whose former store is compared, or its rows while it runs.
    #[arg(long)]
    member: String,
    /// Name of the set-aside store (`ob status` lists them); default: the only one, or the member's
    /// own when it is stale.
    #[arg(long, value_name = "NAME")]
    aside: Option<String>,
    /// Rows shown per table.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Does not ask before it copies the store.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    ssh: Ssh,
}

/// How long one statement may take: whole tables are read. The server is told to end it after a
/// third of this time.
const STATEMENT: Duration = Duration::from_secs(3 * 1800);

/// Runs `ob standby diff`. The exit status is 2 when there are such rows.
///
/// # Errors
/// There is no such store, no room for a copy, the primary does not answer, or the copy does not
/// start.
pub async fn run(out: &Out, args: Args, cancel: CancellationToken) -> Result<End, Problem> {
    let group = open(&args.group, &args.ssh, cancel).await?;
    let tables = match rival(&group, &args)? {
        Some((member, other)) => {
            let (left, _) = group.database.session(&group.cx, member, STATEMENT).await?;
            compare_all(&group, member, left, other, args.limit).await?
        }
        None => of_copy(out, &group, &args).await?,
    };
    out.data(&tables, || show(&tables, args.limit))?;
    Ok(if tables.is_empty() { End::Done } else { End::Pending })
}

/// The member and the one that it is compared with, if both run and take writes.
///
/// # Errors
/// More than two do.
fn rival<'a>(group: &'a Opened, args: &Args) -> Result<Option<(&'a Node, &'a Node)>, Problem> {
    let writers = group.seen.writers();
    if args.aside.is_some() || !writers.contains(&args.member.as_str()) {
        return Ok(None);
    }
    let others: Vec<_> = writers.into_iter().filter(|n| *n != args.member).collect();
    let members = &group.kit.members;
    match others[..] {
        [] => Ok(None),
        [other] => Ok(members.get(&args.member).zip(members.get(other))),
        _ => Err(Problem::refused(format!("with whom is \"{}\" compared?", args.member))
            .why(format!("these take writes, too: {}", others.join(", ")))
            .fix("stop all but two (`ob stop`); then compare those")),
    }
}

/// Compares a store that nobody runs with the primary, by a temporary server on a copy of it.
async fn of_copy(out: &Out, group: &Opened, args: &Args) -> Result<Vec<TableDiff>, Problem> {
    let (instance, source) = choose(group, args)?;
    let primary = group.seen.primary().and_then(|p| group.kit.members.get(p)).ok_or_else(|| {
        Problem::new(Kind::Unreachable, "there is nothing to compare with")
            .why("no member takes writes, or several do")
            .fix("`ob status` shows the members; start or open the primary first")
    })?;
    let room = temporary::room(&group.cx, &instance, &source).await?;
    let (needed, free) = (mebi(room.needed), mebi(room.free));
    out.say(&format!(
        "copies {source} ({needed}, {free} free there) on {} and reads the copy with a temporary \
         server",
        instance.host.endpoint.show()
    ));
    if room.free < room.needed + room.needed / 10 {
        return Err(Problem::refused("there is no room for a copy")
            .place(instance.host.endpoint.show())
            .why(format!("it needs {needed} and {free} are free"))
            .fix("free space on that file system"));
    }
    out.confirm(&args.member, args.yes)?;
    let temporary = Temporary::start(group.database, &group.cx, &instance, &source).await?;
    // All members of a group have the same accounts, and had them when this store was in use.
    let mut copy = instance.clone();
    copy.ports.insert(Port::Sql, temporary.port);
    let result = match group.database.session_on_copy(&group.cx, &copy).await {
        Ok(left) => compare_all(group, &copy, left, primary, args.limit).await,
        Err(problem) => Err(problem),
    };
    temporary.end().await;
    result
}

/// A size in whole mebibytes, at least one.
fn mebi(bytes: u64) -> String {
    Bytes((bytes >> 20 << 20).max(1 << 20)).to_string()
}

/// The member whose store is read, and the path of that store.
fn choose(group: &Opened, args: &Args) -> Result<(Node, String), Problem> {
    let (Some(instance), Some(member)) =
        (group.kit.members.get(&args.member), group.members.get(&args.member))
    else {
        return Err(Problem::user(format!(
            "\"{}\" is no member of group \"{}\"",
            args.member, group.kit.group
        ))
        .fix("`ob status` lists the members"));
    };
    let Some(facts) = &member.facts else {
        return Err(Problem::new(
            Kind::Unreachable,
            format!("the host of \"{}\" does not answer", args.member),
        )
        .place(instance.host.endpoint.show())
        .why(&member.why)
        .fix("bring it back"));
    };
    let own = member.standing == Standing::Stale && facts.store;
    let list = facts.aside.join(", ");
    let name = match (&args.aside, &facts.aside[..]) {
        (None, _) if own && facts.pid.is_none() => {
            return Ok((instance.clone(), instance.directory.to_string()));
        }
        (None, _) if own => {
            return Err(Problem::refused(format!(
                "\"{}\" runs on the store that is to be read",
                args.member
            ))
            .why("it is a former primary and takes writes")
            .fix(format!("ob stop --group FILE {}", args.member)));
        }
        (Some(name), all) if all.contains(name) => name,
        (None, [one]) => one,
        _ => {
            return Err(Problem::user("which store?")
                .why(if list.is_empty() {
                    format!("no store of \"{}\" is set aside", args.member)
                } else {
                    format!("set aside: {list}")
                })
                .fix("name one with --aside"));
        }
    };
    if name.starts_with("left-") {
        return Err(Problem::refused(format!("store \"{name}\" is not read"))
            .why(
                "it was a standby's: it has no rows of its own, and would go on following its \
                 primary",
            )
            .fix("only stores of former primaries (epoch-N) can have rows that others lack"));
    }
    Ok((instance.clone(), instance.own(&format!("aside/{name}"))))
}

/// Compares the rows of `node`, of which `left` is a session, with those of `other`.
async fn compare_all(
    group: &Opened,
    node: &Node,
    mut left: Session,
    other: &Node,
    limit: usize,
) -> Result<Vec<TableDiff>, Problem> {
    let (mut right, _) = group.database.session(&group.cx, other, STATEMENT).await?;
    let tables = compare::all(&mut left, &mut right, limit)
        .await
        .map_err(|e| e.explain("compare the tables", &node.place()));
    left.close().await;
    right.close().await;
    tables
}

fn show(tables: &[TableDiff], limit: usize) -> String {
    if tables.is_empty() {
        return "the other has every row of it".into();
    }
    let mut text = Vec::new();
    for t in tables {
        let mut counts = vec![format!("{} rows only there", t.only_there)];
        if t.differ > 0 {
            counts.push(format!("{} rows with other values there", t.differ));
        }
        if !t.note.is_empty() {
            counts.push(t.note.clone());
        }
        text.push(format!("{}.{}: {}", t.database, t.table, counts.join(", ")));
        let head = std::iter::once(String::new()).chain(t.columns.iter().cloned()).collect();
        let cell = |v: &Option<String>| {
            v.as_ref().map_or("NULL".to_owned(), |v| {
                v.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect()
            })
        };
        let row = |sign: &str, r: &Vec<Option<String>>| {
            std::iter::once(format!("  {sign}")).chain(r.iter().map(cell)).collect::<Vec<_>>()
        };
        let rows: Vec<_> = std::iter::once(head)
            .chain(t.rows.iter().map(|r| row("+", r)))
            .chain(t.differing.iter().map(|r| row("~", r)))
            .collect();
        if rows.len() > 1 {
            text.push(table(&rows));
        }
        if t.rows.len() as u64 + (t.differing.len() as u64) < t.only_there + t.differ {
            text.push(format!("  … the first {limit} are shown (--limit)"));
        }
    }
    text.join("\n")
}
