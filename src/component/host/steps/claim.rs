//! Ownership of a host's preparation: the record that precedes the first effect, the stage in it,
//! and its removal at the end.
use super::super::record::{self, Record};
use super::super::{Site, objects};
use super::{id, prepare};
use crate::base::Problem;
use crate::engine::journal::FORMAT;
use crate::engine::mark::Stage;
use crate::engine::template::{CREATION, EPOCH, OPERATION, OWNER};
use crate::engine::{Check, Cx, Effect, Form, Host, Step, StepId, Template};
use async_trait::async_trait;

/// Writes the record with stage `building`, or proves that the record on the host is ours.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The host.
    pub site: Site,
    /// The creation that the record must name. It proves that a changed address still leads to the
    /// same host.
    pub creation: Option<String>,
}

/// Why `owner` must not go on with this record; `None` when it may.
fn foreign(found: &Record, site: &Site, owner: &str) -> Option<Problem> {
    (found.text("owner") != owner).then(|| {
        Problem::refused(format!(
            "host \"{}\" is prepared by somebody else",
            site.host.endpoint.name
        ))
        .place(site.host.endpoint.show())
        .why(format!(
            "its record says: host \"{}\" of owner \"{}\"; this configuration is owner \"{owner}\"",
            found.text("name"),
            found.text("owner")
        ))
        .fix(
            "if it is yours, correct owner in the provider block; else leave prepare out here, or \
             destroy it there first",
        )
    })
}

fn other_creation(found: &Record, site: &Site, creation: &str) -> Option<Problem> {
    (found.text("creation") != creation).then(|| {
        Problem::refused(format!(
            "host \"{}\" was prepared anew by another run",
            site.host.endpoint.name
        ))
        .place(site.host.endpoint.show())
        .why(format!(
            "the state knows creation {creation}, the record says {}",
            found.text("creation")
        ))
        .fix(
            "remove the object from this state (terraform state rm), then import it if it is yours",
        )
    })
}

#[async_trait]
impl Step for Claim {
    fn id(&self) -> StepId {
        id("claim_host", &self.site)
    }
    fn title(&self) -> String {
        if self.creation.is_some() {
            format!("prove that host {} is the one that was prepared", self.site.name)
        } else {
            format!("claim the preparation of host {}", self.site.name)
        }
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        let record = Template::from(format!(
            "format={FORMAT}
type=ob_host
name={}
",
            self.site.name
        ))
        .then("owner=")
        .and(OWNER, Form::Plain)
        .then(
            "
creation=",
        )
        .and(CREATION, Form::Plain)
        .then(
            "
authority=",
        )
        .and(OWNER, Form::Plain)
        .then(
            "
epoch=",
        )
        .and(EPOCH, Form::Plain)
        .then(
            "
stage=building
operation=",
        )
        .and(OPERATION, Form::Plain)
        .then(
            "
",
        );
        Effect::Shell(prepare!("claim.sh").arg(record))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let owner = cx.operation().map_or("", |o| o.authority.as_str());
        let place = self.site.host.endpoint.show();
        let found = &record::read(cx, &self.site.host).await?;
        if found.exists() && found.text("name") == self.site.name {
            if let Some(problem) = foreign(found, &self.site, owner).or_else(|| {
                self.creation.as_ref().and_then(|c| other_creation(found, &self.site, c))
            }) {
                return Ok(Check::Refused(problem));
            }
            if found.stage() == Some(Stage::Destroying) {
                return Ok(Check::Refused(
                    Problem::refused(format!(
                        "cannot prepare host \"{}\": a destroy of its preparation was not finished",
                        self.site.name
                    ))
                    .place(place)
                    .why(format!("operation {} began it", found.text("operation")))
                    .fix(
                        "finish the destroy (or run `ob operation abandon` for it), then apply \
                         again",
                    ),
                ));
            }
            return Ok(Check::Done);
        }
        if let Some(creation) = &self.creation {
            return Ok(Check::Refused(
                Problem::refused(format!(
                    "host \"{}\" is not the one that was prepared",
                    self.site.name
                ))
                .place(place)
                .why(format!(
                    "no record of creation {creation} lies there: another machine, another login \
                     user, or its files are gone"
                ))
                .fix(
                    "correct the address, or the login user; or, for a new machine, destroy this host \
                     first (or terraform state rm) and apply again",
                ),
            ));
        }
        if found.exists() {
            let other = found;
            return Ok(Check::Refused(
                Problem::refused(format!(
                    "this host is already prepared as \"{}\"",
                    other.text("name")
                ))
                .place(place)
                .why(format!(
                    "its record says: host \"{}\" of owner \"{}\"; two preparations of one host \
                     would undo each other",
                    other.text("name"),
                    other.text("owner")
                ))
                .fix("keep one ob_host with prepare for each host"),
            ));
        }
        Ok(Check::Needed("it is not prepared".into()))
    }
}

/// Sets the stage in the record. Before a destroy the step also proves that no object of ours still
/// uses the preparation.
#[derive(Clone, Debug)]
pub struct SetStage {
    /// The host.
    pub site: Site,
    /// The stage that the record will say.
    pub stage: Stage,
    /// The creation that the record must name.
    pub creation: Option<String>,
    /// The declaration as JSON, for an import.
    pub declared: String,
    /// The user whose home may hold objects of ours.
    pub user: Option<String>,
}

impl SetStage {
    /// Why the preparation must stay; `None` when nothing uses it.
    async fn in_use(&self, cx: &Cx, found: &Record) -> Result<Option<Problem>, Problem> {
        let users: Vec<_> = self.user.iter().cloned().collect();
        let here = objects::read(cx, &self.site.host, &users).await?;
        let refuse = |what: String, why: String, fix: String| {
            Some(Problem::refused(what).place(self.site.host.endpoint.show()).why(why).fix(fix))
        };
        if let Some(o) = here.iter().find(|o| o.unfinished()) {
            let (op, owner) =
                o.mark.as_ref().map_or(("?", "?"), |m| (m.operation.as_str(), m.owner.as_str()));
            return Ok(refuse(
                format!("an unfinished operation lies on host \"{}\"", self.site.name),
                format!(
                    "{} in {}: operation {op} of owner \"{owner}\" did not end",
                    o.title, o.base
                ),
                format!(
                    "apply its configuration again so that it ends, or give it up with `ob \
                     operation abandon {op}`; then destroy the host"
                ),
            ));
        }
        let stands = |o: &&objects::Object| {
            (found.get("user").is_some_and(|u| u == o.user))
                || found
                    .below("dir.")
                    .any(|(dir, _)| o.base == dir || o.base.starts_with(&format!("{dir}/")))
        };
        if let Some(o) = here.iter().find(stands) {
            return Ok(refuse(
                format!("host \"{}\" is in use", self.site.name),
                format!(
                    "{} lives in {}, which needs the user or the directory that this preparation \
                     made",
                    o.title, o.base
                ),
                format!("destroy {} first", o.title),
            ));
        }
        Ok(None)
    }
}

#[async_trait]
impl Step for SetStage {
    fn id(&self) -> StepId {
        id("set_host_stage", &self.site).about(self.stage.as_str())
    }
    fn title(&self) -> String {
        format!(
            "note that the preparation of host {} is {}",
            self.site.name,
            if self.stage == Stage::Destroying { "being undone" } else { self.stage.as_str() }
        )
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        let program = prepare!("set_stage.sh").arg(self.declared.as_str());
        Effect::Shell(program.arg(Template::value(OPERATION)).arg(self.stage.as_str()))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let found = record::read(cx, &self.site.host).await?;
        let owner = cx.operation().map_or("", |o| o.authority.as_str());
        if !found.exists() {
            // The record is gone already: a destroy was cut after its last step.
            let done = self.stage == Stage::Destroying;
            return Ok(if done {
                Check::Done
            } else {
                Check::Refused(
                    Problem::refused(format!("the record of host \"{}\" is gone", self.site.name))
                        .place(self.site.host.endpoint.show())
                        .why("somebody removed ~/.ob meanwhile")
                        .fix("apply again"),
                )
            });
        }
        if let Some(problem) = foreign(&found, &self.site, owner)
            .or_else(|| self.creation.as_ref().and_then(|c| other_creation(&found, &self.site, c)))
        {
            return Ok(Check::Refused(problem));
        }
        if found.stage() == Some(self.stage)
            && (self.stage == Stage::Destroying || found.text("declared") == self.declared)
        {
            return Ok(Check::Done);
        }
        if self.stage == Stage::Destroying
            && let Some(problem) = self.in_use(cx, &found).await?
        {
            return Ok(Check::Refused(problem));
        }
        Ok(Check::Needed(format!("it says {}", found.text("stage"))))
    }
}

/// Removes the record, as the last step of a destroy. Gate and journal stay.
#[derive(Clone, Debug)]
pub struct ForgetRecord {
    /// The host.
    pub site: Site,
}

#[async_trait]
impl Step for ForgetRecord {
    fn id(&self) -> StepId {
        id("forget_record", &self.site)
    }
    fn title(&self) -> String {
        format!("remove the record of host {}", self.site.name)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(prepare!("forget_record.sh"))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        Ok(if record::read(cx, &self.site.host).await?.exists() {
            Check::Needed("it is there".into())
        } else {
            Check::Done
        })
    }
}
