//! `ob kit`: writes the one file that the break-glass commands need.
use super::output::{End, Out};
use super::reach::{Way, Where, look};
use super::state_file;
use crate::base::{ObjectName, Problem};
use crate::engine::journal::FORMAT;
use crate::engine::{Cx, Engine, Node};
use crate::operate::Kit;
use crate::operate::kit::complete;
use crate::resource::common::text;
use crate::resource::ob_standby;
use crate::transport::lines_about;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// From where and to where.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// Name of the group, where there are several.
    #[arg(long)]
    name: Option<String>,
    /// Owner, when no member's host answers now; default: what the members' notes say.
    #[arg(long, env = "OB_OWNER")]
    owner: Option<String>,
    /// File to write; default: standard output.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs `ob kit`.
///
/// # Errors
/// There is no such group, or nothing answers and no owner is given.
pub async fn run(out: &Out, args: Args, cancel: CancellationToken) -> Result<End, Problem> {
    let (hosts, _, cx) = args.at.open(cancel)?;
    let mut users = BTreeMap::new();
    if let Some(user) =
        args.at.ssh.user.clone().or_else(|| {
            args.at.host.iter().find_map(|h| h.rsplit_once('@').map(|(u, _)| u.to_owned()))
        })
    {
        users.insert(String::new(), user);
    }
    let mut found = from_state(&args)?;
    if found.is_empty() {
        for survey in look(out, &cx, &hosts).await? {
            found.extend(
                survey
                    .objects
                    .into_iter()
                    .filter_map(|o| o.group)
                    .map(|g| (g.name.to_string(), (g.engine, g.members, BTreeMap::new()))),
            );
        }
    }
    let names: Vec<_> = found.keys().cloned().collect();
    let one = match (&args.name, &names[..]) {
        (Some(name), _) => found.remove(name).map(|f| (name.clone(), f)),
        (None, [name]) => found.remove(name).map(|f| (name.clone(), f)),
        _ => None,
    };
    let Some((name, (engine, members, packages))) = one else {
        let why = if names.is_empty() {
            "no member's note and no ob_standby was found there".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        return Err(Problem::user("which replication group?")
            .why(why)
            .fix("name a member's host with --host, or the group with --name"));
    };
    for identity in members
        .values()
        .filter(|i| i.host.endpoint.user.is_empty())
        .map(|i| &i.host.endpoint.identity)
    {
        if let Some(user) = users.get("").cloned() {
            users.entry(identity.clone()).or_insert(user);
        }
    }
    let mut way = match &args.at.group {
        Some(file) => Way::of(&state_file::kit(file)?),
        None => Way::default(),
    };
    way.users.clone_from(&users);
    let bastion = args.at.ssh.hops(&way)?;
    let connector = args.at.ssh.connector(way.clone(), cx.cancel().clone())?;
    let mut kit = complete(
        &Cx::new(connector, cx.cancel().clone(), BTreeMap::new()),
        Kit {
            format: FORMAT,
            engine,
            group: ObjectName::parse(&name).map_err(Problem::internal)?,
            owner: args.owner.clone().unwrap_or_default(),
            members,
            packages,
            users,
            bastion,
            known_hosts: Vec::new(),
        },
    )
    .await?;
    // After the first contact: --accept-new may have written some of them.
    let config = args.at.ssh.config(&way)?;
    for host in kit.bastion.iter().chain(kit.members.values().map(|m| &m.host.endpoint)) {
        let lines = lines_about(&config, host).await.map_err(|e| e.explain(host))?;
        kit.known_hosts.extend(lines);
    }
    kit.known_hosts.sort_unstable();
    kit.known_hosts.dedup();
    match &args.out {
        None => out.json(&serde_json::to_string_pretty(&kit).unwrap_or_default())?,
        Some(file) => {
            let text = serde_json::to_string_pretty(&kit).unwrap_or_default() + "\n";
            std::fs::write(file, text).map_err(|e| {
                Problem::user(format!("cannot write {}", file.display()))
                    .why(e.to_string())
                    .fix("choose another file with --out")
            })?;
            out.say(&format!(
                "wrote {}: group \"{}\" of owner \"{}\", members {}",
                file.display(),
                kit.group,
                kit.owner,
                kit.members.keys().cloned().collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Ok(End::Done)
}

/// Groups by name: engine, members, packages.
type Found = BTreeMap<String, (Engine, BTreeMap<String, Node>, BTreeMap<String, String>)>;

fn from_state(args: &Args) -> Result<Found, Problem> {
    let Some(file) = &args.at.state else { return Ok(Found::new()) };
    let mut found = Found::new();
    for group in state_file::groups(&state_file::load(file)?) {
        if let Some(want) = ob_standby::want(&group) {
            let name = text(&group.name).unwrap_or_default();
            found.insert(name, (want.engine, want.members, want.packages));
        }
    }
    Ok(found)
}
