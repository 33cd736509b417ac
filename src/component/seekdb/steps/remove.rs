//! Removing an instance: first its store, then its directory. Gates and journals stay.
use super::super::{Instance, facts};
use super::facts_of;
use crate::base::Problem;
use crate::engine::{Check, Cx, Host, Impact, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Removes the store, logs and run files of a stopped instance.
#[derive(Clone, Debug)]
pub struct RemoveStore {
    /// Which one.
    pub instance: Instance,
}

#[async_trait]
impl Step for RemoveStore {
    fn kind(&self) -> &'static str {
        "remove_store"
    }
    fn title(&self) -> String {
        format!("remove the data of {}", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("rm -rf {0}/store {0}/etc {0}/log {0}/run", self.instance.base_dir)]
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::DataLoss]
    }
    fn irreversible(&self) -> bool {
        true
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        if facts.pid.is_some() {
            return Ok(Check::Refused(
                Problem::refused(format!("seekdb {} still runs", self.instance.show()))
                    .place(self.instance.host.endpoint.show())
                    .why("its store cannot be removed under it")
                    .fix("run the same command again"),
            ));
        }
        Ok(if facts.occupied { Check::Needed("there is data".into()) } else { Check::Done })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let body = format!(
            "{}[ -z \"$(sdb_pid)\" ] || {{ echo 'it runs' >&2; exit 1; }}; rm -rf \"$base/store\" \"$base/etc\" \"$base/log\" \"$base/run\"",
            facts::lib(&self.instance)
        );
        cx.effect(self, &body, Duration::from_secs(120)).await.map(drop)
    }
}

/// Removes our own files and the empty directory; one that was prepared by somebody else
/// (`ob_host`, a mount) stays, empty.
#[derive(Clone, Debug)]
pub struct RemoveHome {
    /// Which one.
    pub instance: Instance,
    /// Remove set-aside stores as well (a consent names them).
    pub aside_too: bool,
}

#[async_trait]
impl Step for RemoveHome {
    fn kind(&self) -> &'static str {
        "remove_home"
    }
    fn title(&self) -> String {
        format!("remove {} on {}", self.instance.base_dir, self.instance.host.endpoint.name)
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("rm -rf {0}/.ob && rmdir {0}", self.instance.base_dir)]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        if !facts.exists
            || facts.stays
            || (!self.aside_too && !facts.aside.is_empty() && facts.mark.is_none())
        {
            return Ok(Check::Done);
        }
        Ok(Check::Needed("it is there".into()))
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        // Set-aside stores without consent stay, and with them the directory; everything else of
        // ours goes, the mark last.
        let aside = if self.aside_too { "rm -rf \"$base/.ob/aside\"\n" } else { "" };
        let body = format!(
            "{}{aside}for f in \"$base\"/.ob/*; do case ${{f##*/}} in mark|aside) ;; *) rm -rf \"$f\" ;; esac; done\nrmdir \"$base/.ob/aside\" 2>/dev/null\nrm -f \"$base/.ob/mark\" \"$OB_STATE/objects/{}/home\"\nrmdir \"$base/.ob\" 2>/dev/null && rmdir \"$base\" 2>/dev/null\n:",
            facts::lib(&self.instance),
            self.instance.key()
        );
        cx.effect(self, &body, Duration::from_secs(120)).await.map(drop)
    }
}
