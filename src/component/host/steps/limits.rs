//! Limits of the service user's logins, in a file of our own.
use super::super::{Limits, Site};
use super::{Seen, header_template, id, prepare};
use crate::base::Problem;
use crate::engine::template::OWNER;
use crate::engine::{Check, Cx, Effect, Form, Host, Name, Step, StepId, Template, Values};
use crate::transport::sudo::LIMITS as FILE;
use async_trait::async_trait;

/// Name of the value: the user that logs in.
const LOGIN: Name = Name("login user");

/// Writes or removes the file of limits. New limits hold from the next login on.
#[derive(Clone, Debug)]
pub struct SetLimits {
    /// The host.
    pub site: Site,
    /// The limits; `None` removes the file.
    pub limits: Option<Limits>,
}

async fn look(cx: &Cx, site: &Site) -> Result<Seen, Problem> {
    Seen::read(cx, site, &prepare!("look_limits.sh").arg(FILE)).await
}

/// The text that the file shall have.
fn content(site: &Site, limits: &Limits) -> Template {
    let mut text = header_template(site).then("\n");
    for (item, value) in [
        ("nofile", &limits.nofile),
        ("nproc", &limits.nproc),
        ("stack", &limits.stack),
        ("core", &limits.core),
    ] {
        for side in ["soft", "hard"] {
            text = if limits.user.is_empty() {
                text.and(LOGIN, Form::Plain)
            } else {
                text.then(limits.user.as_str())
            };
            text = text.then(format!(" {side} {item} {value}\n"));
        }
    }
    text
}

/// What the kernel allows, when that is less than `nofile`.
fn too_many(nofile: &str, nr_open: &str) -> Option<u64> {
    let most: u64 = nr_open.trim().parse().ok()?;
    // What is no number is a word for "as many as there are".
    (nofile.parse().unwrap_or(u64::MAX) > most).then_some(most)
}

impl SetLimits {
    fn locks_out(&self, nofile: &str, most: u64) -> Problem {
        let what = format!("nofile = {nofile} is more than host \"{}\" allows", self.site.name);
        Problem::refused(what)
            .place(self.site.host.endpoint.show())
            .why(format!(
                "its fs.nr_open is {most}: with such a limit the kernel refuses each new login of \
                 the user, ours too"
            ))
            .fix(format!(
                "set nofile to {most} or less; or raise fs.nr_open before, in an apply of its own \
                 (sysctl = {{ values = {{ \"fs.nr_open\" = … }} }})"
            ))
    }
}

fn values(seen: &Seen) -> Values {
    Values::default().with(LOGIN, seen.get("me"))
}

#[async_trait]
impl Step for SetLimits {
    fn id(&self) -> StepId {
        id("set_limits", &self.site).about(if self.limits.is_some() { "set" } else { "removed" })
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
    fn effect(&self) -> Effect {
        Effect::Shell(match &self.limits {
            Some(limits) => prepare!("set_limits.sh").arg(FILE).arg(content(&self.site, limits)),
            None => prepare!("remove_limits.sh").arg(FILE).arg(header_template(&self.site)),
        })
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
        if let Some(most) = too_many(&limits.nofile, seen.get("nr_open")) {
            return Ok(Check::Refused(self.locks_out(&limits.nofile, most)));
        }
        let owner = seen.record.text("owner");
        let want = content(&self.site, limits).fill(&values(&seen).with(OWNER, owner))?;
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
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        Ok(Some(values(&look(cx, &self.site).await?)))
    }
}

#[cfg(test)]
mod tests {
    use super::too_many;

    #[test]
    fn a_limit_that_locks_its_user_out_is_seen() {
        for (nofile, nr_open, most) in [
            ("655350", "1048576", None),
            ("1048576", "1048576\n", None),
            ("1048577", "1048576", Some(1_048_576)),
            ("unlimited", "1048576", Some(1_048_576)),
            ("655350", "", None),
        ] {
            assert_eq!(too_many(nofile, nr_open), most, "{nofile} of {nr_open:?}");
        }
    }
}
