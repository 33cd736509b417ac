//! The kit: one file with all that the break-glass commands need. No secret is in it.
use super::output::{End, Out};
use super::reach::Where;
use super::{state_file, survey};
use crate::base::{ObjectName, Problem};
use crate::component::seekdb::group::{self, Group};
use crate::engine::journal::FORMAT;
use crate::engine::{Cx, Engine, Node};
use crate::resource::common::text;
use crate::resource::ob_standby;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Kit {
    /// Format version.
    pub format: u32,
    /// What its members are.
    pub engine: Engine,
    /// Name of the replication group.
    pub group: ObjectName,
    /// Owner of the configuration that has authority over it.
    pub owner: String,
    /// Members by name.
    pub members: BTreeMap<String, Node>,
    /// Package directory each member starts from.
    pub packages: BTreeMap<String, String>,
    /// Login users by identity name, for hosts that name none; the keys themselves are the
    /// operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, String>,
}

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

impl Kit {
    /// Reads one.
    ///
    /// # Errors
    /// It cannot be read, or is of another format.
    pub fn load(file: &Path) -> Result<Self, Problem> {
        let fix = "`ob kit --state FILE` or `ob kit --host user@address` writes one";
        let json = state_file::json(file, "kit", fix)?;
        let bad =
            |why: String| Problem::user(format!("{} is no kit", file.display())).why(why).fix(fix);
        if json["format"] != FORMAT {
            return Err(bad(format!(
                "its format is {}, this program knows {FORMAT}",
                json["format"]
            )));
        }
        let kit: Self = serde_json::from_value(json).map_err(|e| bad(e.to_string()))?;
        for name in kit.members.keys().chain([&kit.owner]) {
            crate::schema::build::object_name(name)
                .map_err(|why| bad(format!("\"{name}\": {why}")))?;
        }
        Ok(kit)
    }
}

/// Runs it.
///
/// # Errors
/// There is no such group, nothing answers and no owner is given.
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
        for survey in survey::look_any(out, &cx, &hosts).await? {
            found.extend(
                survey
                    .objects
                    .into_iter()
                    .filter_map(|o| o.group)
                    .map(|g| (g.name.to_string(), (g.members, BTreeMap::new()))),
            );
        }
    }
    let names: Vec<_> = found.keys().cloned().collect();
    let one = match (&args.name, &names[..]) {
        (Some(name), _) => found.remove(name).map(|f| (name.clone(), f)),
        (None, [name]) => found.remove(name).map(|f| (name.clone(), f)),
        _ => None,
    };
    let Some((name, (members, packages))) = one else {
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
    let connector = args.at.ssh.connector(users.clone(), cx.cancel().clone())?;
    let kit = complete(
        &Cx::new(connector, cx.cancel().clone(), BTreeMap::new()),
        Kit {
            format: FORMAT,
            engine: Engine::Seekdb,
            group: ObjectName::parse(&name).map_err(Problem::internal)?,
            owner: args.owner.clone().unwrap_or_default(),
            members,
            packages,
            users,
        },
    )
    .await?;
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

type Found = BTreeMap<String, (BTreeMap<String, Node>, BTreeMap<String, String>)>;

fn from_state(args: &Args) -> Result<Found, Problem> {
    let Some(file) = &args.at.state else { return Ok(Found::new()) };
    let mut found = Found::new();
    for group in state_file::groups(&state_file::load(file)?) {
        if let Some(want) = ob_standby::want(&group) {
            found.insert(text(&group.name).unwrap_or_default(), (want.members, want.packages));
        }
    }
    Ok(found)
}

/// Fills in what the members' hosts know better: owner and packages.
async fn complete(cx: &Cx, mut kit: Kit) -> Result<Kit, Problem> {
    let seen = group::look_all(cx, &kit.members).await;
    for (name, member) in &seen {
        if let Some(package) = member.facts.as_ref().and_then(|f| f.package.clone()) {
            kit.packages.insert(name.clone(), package);
        }
    }
    if let Some(note) = group::newest(&seen) {
        check_note(&kit.group, &kit.owner, note)?;
        kit.owner.clone_from(&note.authority);
    }
    if kit.owner.is_empty() {
        let why = seen
            .values()
            .map(|m| m.why.as_str())
            .find(|w| !w.is_empty())
            .unwrap_or("no member carries a note");
        return Err(Problem::user("the owner is not known")
            .why(why)
            .fix("give --owner (the provider's owner), or reach a member's host"));
    }
    if let Some(missing) = kit.members.keys().find(|n| !kit.packages.contains_key(*n)) {
        return Err(Problem::user(format!("the package of member \"{missing}\" is not known"))
            .why("its host does not answer")
            .fix("write the kit from the terraform state (--state), or reach that host"));
    }
    Ok(kit)
}

/// Refuses when the newest note is not the group of the kit.
///
/// # Errors
/// It is another group's, or another owner's.
pub fn check_note(group: &str, owner: &str, note: &Group) -> Result<(), Problem> {
    if *note.name != *group {
        return Err(Problem::refused(format!(
            "the members belong to group \"{}\", not \"{group}\"",
            note.name
        ))
        .fix("write a new kit: ob kit --host user@address"));
    }
    if !owner.is_empty() && note.authority != owner {
        return Err(Problem::refused(format!(
            "group \"{group}\" belongs to owner \"{}\", not \"{owner}\"",
            note.authority
        ))
        .fix("write a new kit: ob kit --host user@address"));
    }
    Ok(())
}
