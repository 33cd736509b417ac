//! Limits of the service user's logins, in a file of our own.
use super::super::{Limits, Site};
use super::{LIMIT, Seen, lib, tee};
use crate::base::Problem;
use crate::engine::{Check, Cx, Host, Step};
use crate::transport::sudo::LIMITS as FILE;
use async_trait::async_trait;

/// Writes or removes the file of limits. They hold from the next login on.
#[derive(Clone, Debug)]
pub struct SetLimits {
    /// Which host.
    pub site: Site,
    /// What they shall be; `None` removes the file.
    pub limits: Option<Limits>,
}

async fn look(cx: &Cx, site: &Site) -> Result<Seen, Problem> {
    Seen::read(
        cx,
        site,
        &format!("printf 'me=%s\\n' \"$(id -un)\"\n[ ! -e {FILE} ] || sed 's/^/file./' {FILE}"),
    )
    .await
}

fn content(site: &Site, limits: &Limits, seen: &Seen) -> String {
    let user = if limits.user.is_empty() { seen.get("me") } else { &limits.user };
    let mut text = seen.header(site);
    for (item, value) in [
        ("nofile", &limits.nofile),
        ("nproc", &limits.nproc),
        ("stack", &limits.stack),
        ("core", &limits.core),
    ] {
        text += &format!("{user} soft {item} {value}\n{user} hard {item} {value}\n");
    }
    text
}

#[async_trait]
impl Step for SetLimits {
    fn kind(&self) -> &'static str {
        "set_limits"
    }
    fn title(&self) -> String {
        if self.limits.is_some() {
            format!("set limits on {}", self.site.name)
        } else {
            format!("remove the limits from {}", self.site.name)
        }
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effects(&self) -> Vec<String> {
        match &self.limits {
            Some(l) => vec![format!(
                "write {FILE}: {} soft and hard nofile {}, nproc {}, stack {}, core {}",
                if l.user.is_empty() { "LOGIN_USER" } else { &l.user },
                l.nofile,
                l.nproc,
                l.stack,
                l.core
            )],
            None => vec![format!("rm -f {FILE}")],
        }
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let seen = look(cx, &self.site).await?;
        let now = seen.file("file.");
        let Some(limits) = &self.limits else {
            return Ok(if seen.record.get("limits").is_some() {
                Check::Needed("our file is there".into())
            } else {
                Check::Done
            });
        };
        if let Some(problem) = seen.foreign(&self.site, FILE, &now) {
            return Ok(Check::Refused(problem));
        }
        let want = content(&self.site, limits, &seen);
        if now == want {
            return Ok(Check::Done);
        }
        let missing: Vec<_> =
            want.lines().skip(1).filter(|l| !now.lines().any(|n| n == *l)).collect();
        Ok(Check::Needed(if missing.is_empty() {
            format!("{FILE} holds other lines")
        } else {
            format!("{FILE} does not say: {}", missing.join(", "))
        }))
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let seen = look(cx, &self.site).await?;
        let body = match &self.limits {
            Some(limits) => format!(
                "{}ob_note limits {FILE} && {}",
                lib(&self.site),
                tee(FILE, &content(&self.site, limits, &seen))
            ),
            None if seen.foreign(&self.site, FILE, &seen.file("file.")).is_some() => {
                format!("{}ob_forget limits", lib(&self.site))
            }
            None => format!("{}root rm -f {FILE} && ob_forget limits", lib(&self.site)),
        };
        cx.effect(self, &body, LIMIT).await.map(drop)
    }
}
