//! Opens a group by its kit and looks at its members. The break-glass commands and a server begin
//! with this.
use super::Kit;
use super::kit::check_note;
use crate::base::{Kind, OperationId, Problem};
use crate::component::database::{self, Consent, Database, Member, Seen, Want, Whose};
use crate::engine::lease::Target;
use crate::engine::{Cx, Executor, Graph, Job, Node, Outcome};
use crate::program;
use crate::resource::ob_standby;
use crate::transport::Connector;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A group as it is now.
pub struct Opened {
    /// The kit, with the packages that the hosts report.
    pub kit: Kit,
    /// The members.
    pub members: BTreeMap<String, Member>,
    /// What was seen of the members, for the pure functions.
    pub seen: Seen,
    /// The database engine of the members.
    pub database: &'static dyn Database,
    /// A context that can only read.
    pub cx: Cx,
    /// Connects to the members' hosts.
    pub connector: Arc<dyn Connector>,
}

/// Looks at all members of a kit's group.
///
/// # Errors
/// The members' notes contradict the kit.
pub async fn open(
    mut kit: Kit,
    connector: Arc<dyn Connector>,
    cancel: CancellationToken,
) -> Result<Opened, Problem> {
    let database = kit.database()?;
    let cx = Cx::new(connector.clone(), cancel, BTreeMap::new());
    let members = look(database, &cx, &kit).await;
    for (name, member) in &members {
        if let Some(package) = member.facts.as_ref().and_then(|f| f.package.clone()) {
            kit.packages.insert(name.clone(), package);
        }
    }
    same_home(&cx, &kit, &members).await?;
    let mut seen = Seen {
        standing: members.iter().map(|(n, m)| (n.clone(), m.standing)).collect(),
        members: kit.members.clone(),
        ..Seen::default()
    };
    if let Some(note) = database::newest(&members) {
        check_note(&kit.group, &kit.owner, note)?;
        if let Some(unknown) = note.members.keys().find(|n| !kit.members.contains_key(*n)) {
            return Err(Problem::refused(format!("the kit does not know member \"{unknown}\""))
                .why(format!("the note of epoch {} names it", note.epoch))
                .fix("write a new kit: ob kit --host user@address"));
        }
        // Nobody starts or opens a member that left: its store is no part of the group any more.
        if let Some(left) = kit.members.keys().find(|n| !note.members.contains_key(*n)) {
            return Err(Problem::refused(format!("member \"{left}\" of the kit left the group"))
                .why(format!("the note of epoch {} does not name it", note.epoch))
                .fix("write a new kit: ob kit --host user@address"));
        }
        let other = |(name, node): &(&String, &Node)| {
            note.members.get(*name).is_some_and(|now| database.source(now) != database.source(node))
        };
        if let Some((name, node)) = kit.members.iter().find(other) {
            return Err(Problem::refused(format!("the kit is older than member \"{name}\""))
                .why(format!(
                    "others follow it at {} by the note of epoch {}, and at {} by the kit",
                    database.source(&note.members[name]),
                    note.epoch,
                    database.source(node)
                ))
                .fix("write a new kit: ob kit --state FILE, or ob kit --host user@address"));
        }
        (seen.epoch, seen.noted) = (note.epoch, note.primary.clone());
        seen.creation.clone_from(&note.creation);
    }
    seen.asked = seen.primary().map_or_else(|| seen.noted.clone(), str::to_owned);
    Ok(Opened { kit, members, seen, database, cx, connector })
}

async fn look(database: &'static dyn Database, cx: &Cx, kit: &Kit) -> BTreeMap<String, Member> {
    let whose = Whose { name: &kit.group, authority: &kit.owner, creation: "", epoch: 0 };
    database::look_all(database, cx, &kit.members, whose).await
}

/// Proves that the login user is the one whose home has the members' gates. Gates lie in the home of
/// the user that logs in (or runs the servers). Another user would take gates that nobody else
/// looks at.
async fn same_home(cx: &Cx, kit: &Kit, members: &BTreeMap<String, Member>) -> Result<(), Problem> {
    for name in members.iter().filter(|(_, m)| m.note.is_some()).map(|(n, _)| n) {
        let host = &kit.members[name].host;
        // The gate of the member itself: that of the group has another name after each change of
        // the members.
        let key = kit.members[name].key();
        let said = cx.read(host, &program!("home.sh").arg(key.as_str())).await?;
        let mut lines = said.stdout.lines();
        let user = lines.next().unwrap_or_default();
        if lines.next().is_none() {
            return Err(Problem::refused(format!(
                "user \"{user}\" is not the one that manages group \"{}\" on {}",
                kit.group, host.endpoint.name
            ))
            .place(host.endpoint.show())
            .why(
                "the member's gate is not in its home: what it did would not be kept apart from \
                 what Terraform does",
            )
            .fix("name the login user of the provider's configuration: --user USER"));
        }
    }
    Ok(())
}

impl Opened {
    /// Looks at all members again.
    pub async fn look(&self) -> BTreeMap<String, Member> {
        look(self.database, &self.cx, &self.kit).await
    }

    /// Proves that `name` is a member.
    ///
    /// # Errors
    /// There is no such member.
    pub fn member(&self, name: &str) -> Result<(), Problem> {
        if self.kit.members.contains_key(name) {
            return Ok(());
        }
        let names: Vec<_> = self.kit.members.keys().map(String::as_str).collect();
        Err(Problem::user(format!("\"{name}\" is no member of group \"{}\"", self.kit.group))
            .why(format!("members: {}", names.join(", ")))
            .fix("name one of them"))
    }

    /// Proves that at least one member shows the group's note.
    ///
    /// # Errors
    /// No member shows it.
    pub fn noted(&self) -> Result<(), Problem> {
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

    /// What an operation on the group asks for: which member is to be primary, and the consent to a
    /// failover.
    #[must_use]
    pub fn want(&self, primary: &str, failover: Option<Consent>) -> Want {
        Want {
            engine: self.kit.engine,
            name: self.kit.group.clone(),
            members: self.kit.members.clone(),
            packages: self.kit.packages.clone(),
            primary: primary.to_owned(),
            failover,
            rebuild: None,
            root_password: false,
            creation: self.seen.creation.clone(),
        }
    }

    /// The graph that leads from what is seen to what is wanted.
    ///
    /// # Errors
    /// The change must not or cannot be made.
    pub fn lead(&self, seen: &Seen, want: &Want) -> Result<Graph, Problem> {
        self.database.lead(seen, want, &BTreeMap::new())
    }

    /// Runs a graph on the group, under the leases that terraform takes for the same change.
    pub async fn run(&self, executor: &Executor, id: OperationId, move_: &Moving<'_>) -> Outcome {
        let Moving { verb, want, seen, graph } = move_;
        let targets: Vec<Target> =
            ob_standby::targets(self.database, want, &BTreeMap::new(), graph, seen);
        let job = Job {
            id,
            verb,
            object: ob_standby::title(want),
            graph,
            targets,
            secrets: BTreeMap::new(),
            epoch: self.seen.epoch,
            timeout: Duration::from_secs(7200),
            cancel: self.cx.cancel().clone(),
        };
        executor.run(job).await
    }
}

/// One operation on a group.
#[derive(Debug)]
pub struct Moving<'a> {
    /// `switch over`, `fail over`, `start`, `stop`.
    pub verb: &'static str,
    /// What the operation asks for.
    pub want: &'a Want,
    /// What the operation starts from.
    pub seen: &'a Seen,
    /// The operation's steps.
    pub graph: &'a Graph,
}
