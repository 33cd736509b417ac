//! Stores that are being built, and stores that are set aside. Only a store that this build made
//! may be wiped.
use super::super::{Instance, facts};
use super::facts_of;
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::{Check, Cx, Host, Impact, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Notes that a standby's store is being built from a source, and empties what a former try of the
/// same build left.
#[derive(Clone, Debug)]
pub struct BeginStore {
    /// Whose store.
    pub instance: Instance,
    /// From whom it is built, `address:rpc_port`.
    pub source: String,
}

#[async_trait]
impl Step for BeginStore {
    fn kind(&self) -> &'static str {
        "begin_store"
    }
    fn title(&self) -> String {
        format!("begin a standby store for {}", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!(
            "write {}/.ob/building; remove what a former try of it left",
            self.instance.base_dir
        )]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        let ours = facts.building_store.as_deref() == Some(self.source.as_str());
        Ok(match (facts.store, ours) {
            (true, true) if facts.pid.is_some() => Check::Done,
            (true, true) => Check::Partial("a former try left an unfinished store".into()),
            (true, false) if facts.building_store.is_none() => Check::Done,
            (true, false) => {
                Check::Partial("a try from another source left an unfinished store".into())
            }
            (false, true) => Check::Done,
            (false, false) => Check::Needed("there is no store".into()),
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        // The note comes before the first byte of the store; a store without it is never wiped
        // here.
        let body = format!(
            "{lib}if [ -e {note} ]; then sdb_end 0 || exit 1; rm -rf \"$base/store\" \"$base/etc\" \"$base/run\" \"$base/log\"; elif [ -n \"$(sdb_pid)\" ] || [ -d \"$base/store/redo\" ]; then echo 'a server or a store that this build did not make' >&2; exit 1; fi\nprintf %s {source} | ob_put {note}",
            lib = facts::lib(&self.instance),
            note = self.instance.own("building"),
            source = quote(&self.source),
        );
        cx.effect(self, &body, Duration::from_secs(60)).await.map(drop)
    }
}

/// Sets a store aside: kept and named, never started again by us.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// Whose store.
    pub instance: Instance,
    /// Name it gets below `.ob/aside`.
    pub name: String,
}

impl SetAside {
    /// Its name until all of it is there.
    fn part(&self) -> String {
        format!("{}.part", self.name)
    }
}

#[async_trait]
impl Step for SetAside {
    fn kind(&self) -> &'static str {
        "set_aside"
    }
    fn title(&self) -> String {
        format!("set the store of {} aside as {}", self.instance.show(), self.name)
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!(
            "mv {0}/{{store,etc,run,log}} {0}/.ob/aside/{1}/",
            self.instance.base_dir, self.name
        )]
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::NoMajorityMargin]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        if facts.aside.contains(&self.name) {
            return Ok(Check::Done);
        }
        if facts.aside.contains(&self.part()) {
            return Ok(Check::Partial("a part of it was moved".into()));
        }
        if facts.pid.is_some() {
            return Ok(Check::Refused(
                Problem::refused(format!("seekdb {} runs", self.instance.show()))
                    .place(self.instance.host.endpoint.show())
                    .why("a running server's store cannot be set aside")
                    .fix("run the same command again"),
            ));
        }
        Ok(if facts.store { Check::Needed("there is a store".into()) } else { Check::Done })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        // Into a temporary name first: a cut move is taken up again, and the final name says that
        // all of it is there.
        let aside = self.instance.own(&format!("aside/{}", self.name));
        let part = self.instance.own(&format!("aside/{}", self.part()));
        let body = format!(
            "{lib}[ -z \"$(sdb_pid)\" ] || exit 1\n[ ! -e {aside} ] || exit 0\nmkdir -p {part} && for d in store etc run log; do [ -e \"$base/$d\" ] && {{ mv \"$base/$d\" {part}/ || exit 1; }}; done\nmv -T {part} {aside} && sync {root}",
            lib = facts::lib(&self.instance),
            root = self.instance.own("aside"),
        );
        cx.effect(self, &body, Duration::from_secs(60)).await.map(drop)
    }
}
