//! Whose the directory is: the mark before the first effect, and how far the object is.
use super::super::Instance;
use super::facts_of;
use crate::base::{CreationId, Problem};
use crate::engine::journal::FORMAT;
use crate::engine::mark::{Mark, Stage};
use crate::engine::{Check, Cx, Host, Operation, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Writes the mark `building` into an empty directory: ours from now on.
///
/// Refuses a directory with content that is not ours, and another owner's mark.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What is made.
    pub instance: Instance,
}

fn mark(instance: &Instance, operation: &Operation, stage: Stage) -> Mark {
    Mark {
        format: FORMAT,
        kind: "ob_cluster".into(),
        name: instance.name.clone(),
        owner: operation.authority.clone(),
        creation: CreationId::fresh().to_string(),
        authority: operation.authority.clone(),
        epoch: operation.epoch,
        stage,
        operation: operation.id.to_string(),
        hosts: vec![instance.host.endpoint.name.clone()],
        group: None,
    }
}

/// Says whether a mark lets `owner` go on, and if not, why.
pub(crate) fn foreign(found: &Mark, instance: &Instance, owner: &str) -> Option<Problem> {
    let what = format!(
        "{} on host \"{}\" belongs to somebody else",
        instance.base_dir, instance.host.endpoint.name
    );
    let refuse =
        |why: String| Problem::refused(what.clone()).place(instance.host.endpoint.show()).why(why);
    if found.owner != owner {
        Some(
            refuse(format!("its mark says: {} \"{}\" of owner \"{}\"; this configuration is owner \"{owner}\"", found.kind, found.name, found.owner))
                .fix("choose another base_dir; or, to take it over, remove it from that configuration's state and import it here"),
        )
    } else if found.name != instance.name {
        Some(
            refuse(format!(
                "its mark says: {} \"{}\", not \"{}\"",
                found.kind, found.name, instance.name
            ))
            .fix("choose another base_dir, or the same name"),
        )
    } else {
        None
    }
}

#[async_trait]
impl Step for Claim {
    fn kind(&self) -> &'static str {
        "claim"
    }
    fn title(&self) -> String {
        format!("claim {} on {}", self.instance.base_dir, self.instance.host.endpoint.name)
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("mkdir -p {}/.ob  # and write the mark \"building\"", self.instance.base_dir)]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        let owner = cx.operation().map_or("", |o| o.authority.as_str());
        let place = format!("{} on {}", self.instance.base_dir, self.instance.host.endpoint.show());
        Ok(match facts.mark {
            Some(found) if found.stage == Stage::Destroying && found.owner == owner => Check::Refused(
                Problem::refused(format!("cannot create \"{}\": a destroy of it was not finished", self.instance.name))
                    .place(place)
                    .why(format!("operation {} began to remove it", found.operation))
                    .fix("run `ob operation abandon` for it, which finishes the removal, then apply again"),
            ),
            Some(found) => foreign(&found, &self.instance, owner).map_or(Check::Done, Check::Refused),
            None if facts.mark_damaged => Check::Refused(
                Problem::refused("the mark cannot be read")
                    .place(place)
                    .why("the file .ob/mark is damaged")
                    .fix("compare .ob/mark with the journal (`ob operation list`); restore or remove it by hand"),
            ),
            None if facts.occupied => Check::Refused(
                Problem::refused(format!("directory {} is not empty and carries no mark", self.instance.base_dir))
                    .place(place)
                    .why("it may hold somebody's data; nothing was changed")
                    .fix(format!(
                        "choose an empty base_dir, or import it: terraform import ob_cluster.NAME 'ssh://{}@{}:{}{}'",
                        if self.instance.host.endpoint.user.is_empty() { "USER" } else { &self.instance.host.endpoint.user },
                        self.instance.host.endpoint.address,
                        self.instance.host.endpoint.port,
                        self.instance.base_dir
                    )),
            ),
            None => Check::Needed("the directory is free".into()),
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let Some(operation) = cx.operation() else {
            return Err(Problem::internal("claim outside an operation"));
        };
        cx.effect(
            self,
            &first_mark(&self.instance, operation, Stage::Building, ":"),
            Duration::from_secs(30),
        )
        .await
        .map(drop)
    }
}

/// Shell that writes an instance's first mark, after `before`. A mark that is there meanwhile
/// stays: whose it is, the check after this says.
pub(super) fn first_mark(
    instance: &Instance,
    operation: &Operation,
    stage: Stage,
    before: &str,
) -> String {
    let write = mark(instance, operation, stage).write(&instance.key(), &instance.base_dir);
    format!(
        "if [ ! -e {} ]; then {before} && {write} && chmod 700 {}; fi",
        instance.own("mark"),
        instance.own("")
    )
}

/// Says in the mark how far the object is.
#[derive(Clone, Debug)]
pub struct SetStage {
    /// Whose mark.
    pub instance: Instance,
    /// What it will say.
    pub stage: Stage,
    /// The creation that must be there; destroy names the state's, so that it never removes another
    /// one's.
    pub creation: Option<String>,
}

#[async_trait]
impl Step for SetStage {
    fn kind(&self) -> &'static str {
        "set_stage"
    }
    fn title(&self) -> String {
        let word = match self.stage {
            Stage::Building => "building",
            Stage::Complete => "complete",
            Stage::Destroying => "being destroyed",
        };
        format!("mark {} as {word}", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("write {}/.ob/mark", self.instance.base_dir)]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        let owner = cx.operation().map_or("", |o| o.authority.as_str());
        let Some(found) = facts.mark else {
            if self.stage == Stage::Destroying && (!facts.exists || facts.stays) {
                return Ok(Check::Done);
            }
            return Ok(Check::Refused(
                Problem::refused(format!("{} carries no mark of ours", self.instance.base_dir))
                    .place(self.instance.host.endpoint.show())
                    .why("what this configuration did not create or adopt is not changed")
                    .fix("an imported object is adopted by its first change (any parameter); then run this again"),
            ));
        };
        if let Some(problem) = foreign(&found, &self.instance, owner) {
            return Ok(Check::Refused(problem));
        }
        if let Some(creation) = self.creation.as_ref().filter(|c| **c != found.creation) {
            return Ok(Check::Refused(
                Problem::refused(format!("{} was created anew by another run", self.instance.base_dir))
                    .place(self.instance.host.endpoint.show())
                    .why(format!("the state knows creation {creation}, the mark says {}", found.creation))
                    .fix("remove the object from this state (terraform state rm), then import it if it is yours"),
            ));
        }
        if found.stage == self.stage {
            return Ok(Check::Done);
        }
        if let Some(group) = facts.group.filter(|g| {
            self.stage == Stage::Destroying && facts.pid.is_some() && g.led_by(&self.instance)
        }) {
            return Ok(Check::Refused(
                Problem::refused(format!("seekdb {} is not destroyed: it is the running primary of group \"{}\"", self.instance.show(), group.name))
                    .place(self.instance.host.endpoint.show())
                    .why("its rows may be newer than those of any standby, and the group would have nobody who takes writes")
                    .fix("make another member the primary and take this one out of the group, or destroy the ob_standby first (import it if no state has it)"),
            ));
        }
        Ok(Check::Needed(format!("it says {:?}", found.stage)))
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        let Some(found) = facts.mark else { return Err(Problem::internal("the mark vanished")) };
        let new = Mark {
            stage: self.stage,
            operation: cx.operation().map(|o| o.id.to_string()).unwrap_or_default(),
            ..found
        };
        cx.effect(
            self,
            &new.write(&self.instance.key(), &self.instance.base_dir),
            Duration::from_secs(30),
        )
        .await
        .map(drop)
    }
}
