//! Around a restart: the note before the stop, so that a cut between it and the end is seen and
//! finished.
use super::super::group::Group;
use super::super::{Instance, Role, facts, server};
use super::facts_of;
use crate::base::Problem;
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;

/// Notes that a running server is about to be restarted. One that does not run is left stopped by
/// the whole restart.
///
/// Refuses to move the primary of a group to another package while a standby still runs another
/// one: the standby first.
#[derive(Clone, Debug)]
pub struct BeginRestart {
    /// Which one.
    pub instance: Instance,
    /// The package it shall run from.
    pub package: String,
    /// The package it runs from.
    pub from: String,
    /// The parameters it shall start with.
    pub parameters: BTreeMap<String, String>,
}

#[async_trait]
impl Step for BeginRestart {
    fn kind(&self) -> &'static str {
        "begin_restart"
    }
    fn title(&self) -> String {
        format!("note that {} is about to be restarted", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("write {}/.ob/restart, if it runs", self.instance.base_dir)]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        let set = facts.package.as_ref() == Some(&self.package)
            && facts.start_sum == facts::cksum(&self.instance.start_script(&self.parameters));
        // Noted for a process that has lost its power: its successor is the restart, unless it was
        // started by the old script.
        if facts.pid.is_none() || (facts.restart && (facts.restart_runs || set)) {
            return Ok(Check::Done);
        }
        // Restarted already, and cut before that could be said: it runs by the script as it shall
        // be.
        let runs = facts.running_package.as_ref() == Some(&self.package)
            && facts
                .command
                .starts_with(&(self.instance.command(&self.parameters).join(" ") + " "));
        if set && runs && !facts.restart {
            return Ok(Check::Done);
        }
        if self.package != self.from {
            if facts.running_package.as_ref() == Some(&self.package) {
                return Ok(Check::Done);
            }
            if let Some(group) = &facts.group
                && let Some(problem) = self.behind(cx, group).await?
            {
                return Ok(Check::Refused(problem));
            }
        }
        Ok(Check::Needed("it runs".into()))
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let body = format!(
            "{}printf %s \"$(sdb_process)\" | ob_put {}",
            facts::lib(&self.instance),
            self.instance.own("restart")
        );
        cx.effect(self, &body, Duration::from_secs(30)).await.map(drop)
    }
}

impl BeginRestart {
    /// The standby that still runs another package than the one this primary is to get.
    async fn behind(&self, cx: &Cx, group: &Group) -> Result<Option<Problem>, Problem> {
        if server::ask(cx, &self.instance).await?.role != Role::Primary {
            return Ok(None);
        }
        for (name, member) in group.members.iter().filter(|(_, m)| m.name != self.instance.name) {
            let found = facts_of(cx, member).await?;
            // One in the middle of its own restart has not proven that it comes up.
            if found.restart
                || (found.pid.is_some() && found.running_package.as_ref() != Some(&self.package))
            {
                return Ok(Some(
                    Problem::refused(format!("refused to upgrade {}: it is the primary of group \"{}\"", self.instance.show(), group.name))
                        .place(server::place(&self.instance))
                        .why(format!("its standby \"{name}\" runs {} and not {}", found.running_package.unwrap_or_else(|| "nothing, being restarted,".into()), self.package))
                        .fix("the standby is upgraded first (by this same apply, if it is in it); then switch over to it (primary of ob_standby), then apply again to upgrade this one"),
                ));
            }
        }
        Ok(None)
    }
}
