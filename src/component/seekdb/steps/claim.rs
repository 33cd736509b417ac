//! Ownership of a directory: the mark that precedes the first effect, and the stage in it.
use super::super::{Facts, LIB, about};
use super::{facts_of, id};
use crate::base::Problem;
use crate::component::database;
use crate::component::host::{MOUNT, objects};
use crate::engine::mark::{Mark, Stage};
use crate::engine::{
    Check, Cx, Effect, Engine, Host, Name, Node, Program, Step, StepId, Template, Values,
};
use crate::program;
use async_trait::async_trait;

/// Writes a mark with stage `building` into an empty directory, which makes the directory ours.
///
/// Refuses a directory with content that is not ours, and one with another owner's mark.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The instance that is made.
    pub node: Node,
    /// Whether it shall start with its host.
    pub boots: bool,
}

/// The user who runs a node's server; `None` when the configuration leaves it to the identity.
fn user(node: &Node) -> Option<&str> {
    let (run_as, login) = (&node.host.run_as, &node.host.endpoint.user);
    [run_as, login].into_iter().find(|u| !u.is_empty()).map(String::as_str)
}

/// Why `owner` must not go on with this mark; `None` when it may.
pub(crate) fn foreign(found: &Mark, node: &Node, owner: &str) -> Option<Problem> {
    let what = format!(
        "{} on host \"{}\" belongs to somebody else",
        node.directory, node.host.endpoint.name
    );
    let refuse =
        |why: String| Problem::refused(what.clone()).place(node.host.endpoint.show()).why(why);
    if found.owner != owner {
        Some(
            refuse(format!(
                "its mark says: {} \"{}\" of owner \"{}\"; this configuration is owner \"{owner}\"",
                found.kind, found.node.name, found.owner
            ))
            .fix(
                "if it is yours, correct owner in the provider block; else choose another base_dir; \
                 or, to take it over, remove it from that configuration's \
                 state and import it here",
            ),
        )
    } else if found.node.name != node.name {
        Some(
            refuse(format!(
                "its mark says: {} \"{}\", not \"{}\"",
                found.kind, found.node.name, node.name
            ))
            .fix("choose another base_dir, or the same name"),
        )
    } else if found.node.directory != node.directory {
        Some(
            refuse(format!(
                "its mark says that it was made as {}: the two paths lead to one directory",
                found.node.directory
            ))
            .fix("use that path, or choose another base_dir"),
        )
    } else if let (Some(was), Some(is)) = (user(&found.node), user(node))
        && was != is
    {
        Some(
            refuse(format!(
                "user \"{was}\" runs it, and not \"{is}\", in whose home no gate of it is"
            ))
            .fix("name that user (the login user, or run_as), or choose another base_dir"),
        )
    } else {
        None
    }
}

#[async_trait]
impl Step for Claim {
    fn id(&self) -> StepId {
        id("claim", &self.node)
    }
    fn title(&self) -> String {
        format!("claim {} on {}", self.node.directory, self.node.host.endpoint.name)
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(first_mark(&self.node, Stage::Building))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let owner = cx.operation().map_or("", |o| o.authority.as_str());
        let place = format!("{} on {}", self.node.directory, self.node.host.endpoint.show());
        Ok(match facts.mark {
            Some(found) if found.stage == Stage::Destroying && found.owner == owner => {
                Check::Refused(
                    Problem::refused(format!(
                        "cannot create \"{}\": a destroy of it was not finished",
                        self.node.name
                    ))
                    .place(place)
                    .why(format!("operation {} began to remove it", found.operation))
                    .fix(
                        "run `ob operation abandon` for it, which finishes the removal, then apply \
                         again",
                    ),
                )
            }
            Some(found) => foreign(&found, &self.node, owner).map_or(Check::Done, Check::Refused),
            None if facts.mark_damaged.is_some() => Check::Refused(
                Problem::refused("the mark cannot be read")
                    .place(place)
                    .why(facts.mark_damaged.unwrap_or_default())
                    .fix(
                        "compare .ob/mark with the journal (`ob operation list`); restore or \
                         remove it by hand",
                    ),
            ),
            None if facts.missing() && facts.strays.is_empty() => {
                Check::Refused(database::missing(&self.node))
            }
            None if facts.data || !facts.strays.is_empty() => Check::Refused(
                Problem::refused(format!(
                    "directory {} is not empty and carries no mark",
                    self.node.directory
                ))
                .place(place)
                .why(if facts.strays.is_empty() {
                    "it may hold somebody's data; nothing was changed".to_owned()
                } else {
                    format!("it holds {}; nothing was changed", facts.strays.join(", "))
                })
                .fix(format!(
                    "choose an empty base_dir, or import it: terraform import ob_cluster.NAME \
                     'ssh://{}@{}:{}{}'",
                    if self.node.host.endpoint.user.is_empty() {
                        "USER"
                    } else {
                        &self.node.host.endpoint.user
                    },
                    self.node.host.endpoint.address,
                    self.node.host.endpoint.port,
                    self.node.directory
                )),
            ),
            None => {
                let taken = match safe(cx, &self.node).await? {
                    Some(problem) => Some(problem),
                    None => match self.forbidden(cx).await? {
                        Some(problem) => Some(problem),
                        None => self.same_name(cx).await?,
                    },
                };
                taken.map_or_else(|| Check::Needed("the directory is free".into()), Check::Refused)
            }
        })
    }
}

/// Why nothing may be put into a node's directory: somebody else can move it, and what starts from
/// it would be theirs.
pub(super) async fn safe(cx: &Cx, node: &Node) -> Result<Option<Problem>, Problem> {
    let said = cx.read(&node.host, &about!(node, "look_parents.sh")).await?.stdout;
    let first = said.lines().find_map(|l| l.split_once(' '));
    Ok(first.map(|(owner, path)| {
        Problem::refused(format!("{} is not safe from others", node.directory))
            .place(node.host.endpoint.show())
            .why(format!(
                "{path} belongs to {owner}, or others may write in it: they could put another \
                 server, or another start script, in its place"
            ))
            .fix(
                "choose a base_dir below directories of root's or of the user who runs the server, \
                 in which nobody else may write (chmod go-w)",
            )
    }))
}

impl Claim {
    /// Why no server could run there, or start with its host. This is asked before the package is
    /// sent.
    async fn forbidden(&self, cx: &Cx) -> Result<Option<Problem>, Problem> {
        let boots = if self.boots { "1" } else { "0" };
        let program = program!("look_place.sh", LIB, MOUNT).arg(&*self.node.directory).arg(boots);
        let said = cx.read(&self.node.host, &program).await?.stdout;
        Ok(said.lines().find_map(|l| l.split_once(' ')).and_then(|(w, t)| self.forbids(w, t)))
    }

    /// The problem that a line of `look_place.sh` is about.
    fn forbids(&self, word: &str, text: &str) -> Option<Problem> {
        let host = &self.node.host.endpoint;
        let (what, why, fix) = match word {
            "noexec" => (
                format!("no program may run in {text} on host \"{}\"", host.name),
                "its file system is mounted with noexec; the start script lies in base_dir, the \
                 programs in ~/.ob of the user who runs the server"
                    .to_owned(),
                "mount it without noexec; or choose another base_dir, or a user whose home is \
                 elsewhere (run_as)",
            ),
            "readonly" => (
                format!("nothing can be written in {text} on host \"{}\"", host.name),
                "its file system is read-only: mounted so, or made so by the kernel after an error \
                 of the disk (dmesg)"
                    .to_owned(),
                "mount it for writing, or choose another base_dir",
            ),
            "cron" => (
                format!("seekdb {} could not start with its host", self.node.show()),
                format!(
                    "it would need a line in the crontab of the user who runs it, and cron says: \
                     {text}"
                ),
                "name that user in /etc/cron.allow (or take it out of cron.deny); or give it what \
                 `ob sudoers` prints",
            ),
            _ => return None,
        };
        Some(Problem::refused(what).place(host.show()).why(why).fix(fix))
    }

    /// Why the name or a port cannot be taken: another object of ours on the host has it.
    async fn same_name(&self, cx: &Cx) -> Result<Option<Problem>, Problem> {
        let here = objects::own(cx, &self.node.host).await?;
        let others = || here.iter().filter(|o| o.base != *self.node.directory);
        let taken = |m: &Mark| {
            m.node.ports.values().copied().find(|p| self.node.ports.values().any(|own| own == p))
        };
        let port = others().find_map(|o| Some((o, taken(o.mark.as_ref()?)?)));
        if let Some((o, port)) = port {
            return Ok(Some(
                Problem::refused(format!(
                    "port {port} of host \"{}\" belongs to another server",
                    self.node.host.endpoint.name
                ))
                .place(format!("{} on {}", o.base, self.node.host.endpoint.show()))
                .why(format!("{} has it, whether it runs or not", o.title))
                .fix("choose another sql_port and rpc_port"),
            ));
        }
        let named = |m: &Mark| m.node.name == self.node.name;
        let other = others().find(|o| o.mark.as_ref().is_some_and(named));
        Ok(other.map(|o| {
            let owner = o.mark.as_ref().map_or("", |m| m.owner.as_str());
            Problem::refused(format!(
                "there is a \"{}\" on host \"{}\" already",
                self.node.name, self.node.host.endpoint.name
            ))
            .place(format!("{} on {}", o.base, self.node.host.endpoint.show()))
            .why(format!(
                "owner \"{owner}\" made it; messages and units could not tell the two apart"
            ))
            .fix("choose another name")
        }))
    }
}

/// Writes an instance's first mark. If there is a mark meanwhile, it stays, and the check after
/// this says whose it is.
pub(super) fn first_mark(node: &Node, stage: Stage) -> Program {
    let mark = Mark::first("ob_cluster", Engine::Seekdb, node, stage);
    about!(node, "claim.sh").arg(node.key().as_str()).arg(mark)
}

/// Sets the stage in the mark.
#[derive(Clone, Debug)]
pub struct SetStage {
    /// The instance whose mark it is.
    pub node: Node,
    /// The stage that the mark will say.
    pub stage: Stage,
    /// The creation that the mark must name. A destroy passes the one in its state, so that it
    /// never removes what another creation made.
    pub creation: Option<String>,
    /// The rows in the store may be lost: a consent names them. Only a destroy asks.
    pub rows: bool,
}

impl SetStage {
    /// Why the server must not be destroyed: rows are in it that nobody gave up, whatever made
    /// them, or it runs in a group whose note cannot be read.
    fn keeps_rows(&self, facts: &Facts) -> Option<Problem> {
        let refused = |why: &str, fix: String| {
            let what = format!("destroying {} would drop its rows", self.node.show());
            let place = self.node.host.endpoint.show();
            Some(Problem::refused(what).place(place).why(why).fix(fix))
        };
        if facts.store && facts.building_store.is_none() && !self.rows {
            return refused(
                "there is a store, and its name is not in allow_data_loss",
                format!("set allow_data_loss = [\"{}\"], apply, then destroy", self.node.name),
            );
        }
        if facts.pid.is_some() && facts.group_damaged.is_some() {
            return refused(
                "it runs, and the note of its group cannot be read",
                "copy .ob/group from another member, then run the same command again".into(),
            );
        }
        None
    }

    /// Name of the value: the present mark, with another stage and operation.
    fn new_mark(&self) -> Name {
        Name(match self.stage {
            Stage::Building => "the mark, stage building",
            Stage::Complete => "the mark, stage complete",
            Stage::Destroying => "the mark, stage destroying",
        })
    }
}

#[async_trait]
impl Step for SetStage {
    fn id(&self) -> StepId {
        id("set_stage", &self.node).about(match self.stage {
            Stage::Building => "building",
            Stage::Complete => "complete",
            Stage::Destroying => "destroying",
        })
    }
    fn title(&self) -> String {
        let word = match self.stage {
            Stage::Building => "building",
            Stage::Complete => "complete",
            Stage::Destroying => "being destroyed",
        };
        format!("mark {} as {word}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let mark = Template::value(self.new_mark());
        let program = about!(self.node, "set_mark.sh");
        Effect::Shell(program.arg(self.node.key().as_str()).arg(mark))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let owner = cx.operation().map_or("", |o| o.authority.as_str());
        let Some(found) = facts.mark.clone() else {
            if self.stage == Stage::Destroying && (!facts.exists || facts.stays) {
                return Ok(Check::Done);
            }
            return Ok(Check::Refused(
                Problem::refused(format!("{} carries no mark of ours", self.node.directory))
                    .place(self.node.host.endpoint.show())
                    .why("what this configuration did not create or adopt is not changed")
                    .fix(
                        "an imported object is adopted by its first change (any parameter); then \
                         run this again",
                    ),
            ));
        };
        if let Some(problem) = foreign(&found, &self.node, owner) {
            return Ok(Check::Refused(problem));
        }
        if let Some(creation) = self.creation.as_ref().filter(|c| **c != found.creation) {
            return Ok(Check::Refused(
                Problem::refused(format!(
                    "{} was created anew by another run",
                    self.node.directory
                ))
                .place(self.node.host.endpoint.show())
                .why(format!(
                    "the state knows creation {creation}, the mark says {}",
                    found.creation
                ))
                .fix(
                    "remove the object from this state (terraform state rm), then import it if it \
                     is yours",
                ),
            ));
        }
        if found.stage == self.stage {
            return Ok(Check::Done);
        }
        if self.stage == Stage::Destroying
            && let Some(problem) = self.keeps_rows(&facts)
        {
            return Ok(Check::Refused(problem));
        }
        if let Some(group) = facts.group.filter(|g| {
            self.stage == Stage::Destroying && facts.pid.is_some() && g.led_by(&self.node)
        }) {
            return Ok(Check::Refused(
                Problem::refused(format!(
                    "seekdb {} is not destroyed: it is the running primary of group \"{}\"",
                    self.node.show(),
                    group.name
                ))
                .place(self.node.host.endpoint.show())
                .why(
                    "its rows may be newer than those of any standby, and the group would have \
                     nobody who takes writes",
                )
                .fix(
                    "make another member the primary and take this one out of the group, or \
                     destroy the ob_standby first (import it if no state has it)",
                ),
            ));
        }
        Ok(Check::Needed(format!("it says {:?}", found.stage)))
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let Some(found) = facts.mark else { return Err(Problem::internal("the mark vanished")) };
        let operation = cx.operation().map(|o| o.id.to_string()).unwrap_or_default();
        let new = Mark { stage: self.stage, operation, ..found };
        let json = serde_json::to_string(&new).unwrap_or_default();
        Ok(Some(Values::default().with(self.new_mark(), json)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Directory, ObjectName};
    use crate::transport::Endpoint;

    fn node(name: &str, directory: &str, login: &str, run_as: &str) -> Node {
        let endpoint = Endpoint {
            name: "h".into(),
            address: "10.0.0.1".parse().unwrap(),
            port: 22,
            user: login.into(),
            identity: String::new(),
            host_key: String::new(),
        };
        let host = Host { endpoint, run_as: run_as.into() };
        let directory = Directory::parse(directory).unwrap();
        Node::new(ObjectName::parse(name).unwrap(), host, directory, [])
    }

    #[test]
    fn what_a_host_forbids_is_refused_by_name() {
        let claim = Claim { node: node("a", "/data/a", "root", ""), boots: true };
        for (line, what) in [
            ("noexec /data/a", "no program may run in /data/a on host \"h\""),
            ("readonly /home/ob", "nothing can be written in /home/ob on host \"h\""),
            ("cron You (ob) are not allowed", "\"a\" on h could not start with its host"),
        ] {
            let (word, text) = line.split_once(' ').unwrap();
            let problem = claim.forbids(word, text).unwrap();
            assert!(problem.what.contains(what) && !problem.fix.is_empty(), "{problem}");
        }
        assert_eq!(claim.forbids("else", "x"), None);
    }

    #[test]
    fn one_directory_has_one_owner_one_name_one_path_and_one_user() {
        let mark = |owner: &str, node: Node| Mark {
            format: 1,
            kind: "ob_cluster".into(),
            engine: Engine::Seekdb,
            node,
            owner: owner.into(),
            creation: "c".into(),
            authority: owner.into(),
            epoch: 0,
            stage: Stage::Complete,
            operation: "x".into(),
            group: None,
        };
        let ours = || node("a", "/data/a", "root", "obsvc");
        for (word, found, asked) in [
            ("", mark("o", ours()), ours()),
            ("", mark("o", node("a", "/data/a", "admin", "obsvc")), ours()),
            ("", mark("o", node("a", "/data/a", "", "")), node("a", "/data/a", "root", "")),
            ("of owner \"p\"", mark("p", ours()), ours()),
            ("\"b\", not \"a\"", mark("o", node("b", "/data/a", "root", "obsvc")), ours()),
            ("one directory", mark("o", node("a", "/mnt/a", "root", "obsvc")), ours()),
            ("user \"other\" runs it", mark("o", node("a", "/data/a", "root", "other")), ours()),
        ] {
            let problem = foreign(&found, &asked, "o");
            assert_eq!(problem.is_none(), word.is_empty(), "{word}: {problem:?}");
            assert!(problem.is_none_or(|p| p.why.contains(word)), "{word}");
        }
    }
}
