//! Directories for data and logs. These steps never take a directory that holds other people's
//! files, and never remove one. Root acts on a directory only where nobody else can swap it.
use super::super::{Directory, Site, objects};
use super::{ROOTS, Seen, id, prepare};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Step, StepId};
use async_trait::async_trait;

async fn look(cx: &Cx, site: &Site, path: &str) -> Result<Seen, Problem> {
    Seen::read(cx, site, &prepare!("look_directory.sh").arg(path)).await
}

/// Makes a directory, or gives an empty directory of root's to the owner that was asked for.
#[derive(Clone, Debug)]
pub struct MakeDirectory {
    /// The host.
    pub site: Site,
    /// The directory.
    pub directory: Directory,
}

impl MakeDirectory {
    fn owner(&self, seen: &Seen) -> String {
        if self.directory.owner.is_empty() {
            seen.get("me").to_owned()
        } else {
            self.directory.owner.clone()
        }
    }
}

#[async_trait]
impl Step for MakeDirectory {
    fn id(&self) -> StepId {
        id("make_directory", &self.site).about(self.directory.path.as_str())
    }
    fn title(&self) -> String {
        format!("make directory {} on {}", self.directory.path, self.site.name)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        let d = &self.directory;
        Effect::Shell(prepare!("make_directory.sh").args([&d.path, &d.owner, &d.mode]))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let (d, seen) = (&self.directory, look(cx, &self.site, &self.directory.path).await?);
        let refuse = |why: String, fix: &str| {
            Check::Refused(
                Problem::refused(format!("cannot use {} on host \"{}\"", d.path, self.site.name))
                    .place(self.site.host.endpoint.show())
                    .why(why)
                    .fix(fix)
                    .attribute(["prepare".to_owned(), "directories".into(), d.path.clone()]),
            )
        };
        if seen.has("link") {
            return Ok(refuse("it is a symbolic link".into(), "declare the directory it leads to"));
        }
        if seen.has("kind") && seen.get("kind") != "directory" {
            return Ok(refuse(
                format!("it is a {}", seen.get("kind")),
                "choose another path, or move it away",
            ));
        }
        let (owner, wanted) = (seen.get("owner"), self.owner(&seen));
        if owner == wanted && seen.get("mode") == d.mode {
            return Ok(Check::Done);
        }
        if let Some(why) = seen.swappable() {
            return Ok(refuse(
                format!("{why}: whoever may write there could swap it while root acts on it"),
                "prepare only that directory and let its owner make what is below; or make each \
                 directory above root's alone: chown root, chmod go-w",
            ));
        }
        if !seen.has("kind") {
            return Ok(Check::Needed(format!("{} does not exist", d.path)));
        }
        let known = seen.record.get(&format!("dir.{}", d.path)).is_some();
        if !known && owner != wanted {
            if owner != "root" {
                return Ok(refuse(
                    format!("it belongs to {owner}"),
                    "declare that owner, choose another path, or change its owner by hand",
                ));
            }
            if seen.has("holds") || seen.has("hidden") {
                let what = if seen.has("hidden") {
                    "its content cannot be seen".to_owned()
                } else {
                    format!("it holds {}", seen.get("holds"))
                };
                return Ok(refuse(
                    format!("it belongs to root and {what}"),
                    "choose another path, empty it, or change its owner by hand",
                ));
            }
        }
        Ok(Check::Needed(format!(
            "{} belongs to {owner} with mode {}, not to {wanted} with {}",
            d.path,
            seen.get("mode"),
            d.mode
        )))
    }
}

/// Undoes a directory: removes it if we made it and it is empty; gives one that was there before
/// back to its former owner.
#[derive(Clone, Debug)]
pub struct RemoveDirectory {
    /// The host.
    pub site: Site,
    /// The directory's path.
    pub path: String,
}

#[async_trait]
impl Step for RemoveDirectory {
    fn id(&self) -> StepId {
        id("remove_directory", &self.site).about(self.path.as_str())
    }
    fn title(&self) -> String {
        format!("undo directory {} on {}", self.path, self.site.name)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(prepare!("remove_directory.sh").arg(self.path.as_str()))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let seen = look(cx, &self.site, &self.path).await?;
        let Some(was) = seen.record.get(&format!("dir.{}", self.path)) else {
            return Ok(Check::Done);
        };
        let users: Vec<_> = seen.facts.get("owner").cloned().into_iter().collect();
        let here = objects::read(cx, &self.site.host, &users).await?;
        if let Some(o) = here
            .iter()
            .find(|o| o.base == self.path || o.base.starts_with(&format!("{}/", self.path)))
        {
            return Ok(Check::Refused(
                Problem::refused(format!("{} on host \"{}\" is in use", self.path, self.site.name))
                    .place(self.site.host.endpoint.show())
                    .why(format!("{} lives in {}", o.title, o.base))
                    .fix(format!("destroy {} first", o.title)),
            ));
        }
        if let Some(why) = seen.swappable().filter(|_| !seen.has("link")) {
            return Ok(Check::Refused(
                Problem::refused(format!(
                    "cannot undo {} on host \"{}\"",
                    self.path, self.site.name
                ))
                .place(self.site.host.endpoint.show())
                .why(format!("{why}: it could be swapped while root acts on it"))
                .fix(ROOTS),
            ));
        }
        Ok(Check::Needed(format!("its note says: {was}")))
    }
}
