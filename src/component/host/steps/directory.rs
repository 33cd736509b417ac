//! Directories for data and logs. One that holds somebody's files is never taken, and never
//! removed.
use super::super::{Directory, Site, objects};
use super::{LIMIT, Seen, lib};
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;

async fn look(cx: &Cx, site: &Site, path: &str) -> Result<Seen, Problem> {
    let script = format!(
        "p={}; printf 'me=%s\\n' \"$(id -un)\"; if [ -L \"$p\" ]; then echo link=1; fi\n[ -e \"$p\" ] && stat -c 'owner=%U\nmode=%04a\nkind=%F' \"$p\"\nif [ -d \"$p\" ]; then if l=$(ls -A \"$p\" 2>/dev/null); then for f in $l; do [ \"$f\" = lost+found ] || {{ echo holds=\"$f\"; break; }}; done; else echo hidden=1; fi; fi",
        quote(path)
    );
    Seen::read(cx, site, &script).await
}

/// Shell: `gone DIR` removes an empty directory and says no when it stays, as one that is in use
/// does. Its content may be hidden from us, so `rmdir` itself is asked.
const GONE: &str = r#"gone() { [ -d "$1" ] || return 0; e=$(root rmdir "$1" 2>&1) && return 0; case $e in *"not empty"*|*busy*) echo "$1 stays: $e"; return 1 ;; esac; echo "$e" >&2; exit 1; }
"#;

/// Makes a directory, or gives an empty one of root's to its owner.
#[derive(Clone, Debug)]
pub struct MakeDirectory {
    /// Which host.
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
    fn kind(&self) -> &'static str {
        "make_directory"
    }
    fn title(&self) -> String {
        format!("make directory {} on {}", self.directory.path, self.site.name)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effects(&self) -> Vec<String> {
        let d = &self.directory;
        let owner = if d.owner.is_empty() { "LOGIN_USER" } else { &d.owner };
        vec![format!("mkdir -p {0} && chown {owner} {0} && chmod {1} {0}", d.path, d.mode)]
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
        if !seen.has("kind") {
            return Ok(Check::Needed(format!("{} does not exist", d.path)));
        }
        if seen.get("kind") != "directory" {
            return Ok(refuse(
                format!("it is a {}", seen.get("kind")),
                "choose another path, or move it away",
            ));
        }
        let (owner, wanted) = (seen.get("owner"), self.owner(&seen));
        if owner == wanted && seen.get("mode") == d.mode {
            return Ok(Check::Done);
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
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let (d, seen) = (&self.directory, look(cx, &self.site, &self.directory.path).await?);
        let body = format!(
            "{}p={}\nif [ ! -d \"$p\" ]; then\n q=$(dirname \"$p\"); while [ ! -d \"$q\" ]; do ob_note \"parent.$q\" made || exit 1; q=$(dirname \"$q\"); done\n ob_note \"dir.$p\" made && root mkdir -p \"$p\" || exit 1\nelif ! ob_noted \"dir.$p\" >/dev/null; then ob_note \"dir.$p\" \"was $(stat -c '%U %04a' \"$p\")\" || exit 1; fi\n[ \"$(stat -c %U \"$p\")\" = {owner} ] || root chown {owner} \"$p\" || exit 1\n[ \"$(stat -c %04a \"$p\")\" = {mode} ] || root chmod {mode} \"$p\"",
            lib(&self.site),
            quote(&d.path),
            owner = quote(&self.owner(&seen)),
            mode = quote(&d.mode),
        );
        cx.effect(self, &body, LIMIT).await.map(drop)
    }
}

/// Undoes a directory: removes an empty one that we made, gives one that was there back to its
/// owner.
#[derive(Clone, Debug)]
pub struct RemoveDirectory {
    /// Which host.
    pub site: Site,
    /// Its path.
    pub path: String,
}

#[async_trait]
impl Step for RemoveDirectory {
    fn kind(&self) -> &'static str {
        "remove_directory"
    }
    fn title(&self) -> String {
        format!("undo directory {} on {}", self.path, self.site.name)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!(
            "rmdir {0}  # if it was made for this host and is empty; one that was there gets its owner and mode back",
            self.path
        )]
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
                    .why(format!("{} lives in {}", o.key, o.base))
                    .fix(format!("destroy {} first", o.key)),
            ));
        }
        Ok(Check::Needed(format!("its note says: {was}")))
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        // Parents go as far as they were made by us and are empty. What is not empty stays as it
        // is.
        let body = format!(
            "{}p={}\n{GONE}w=$(ob_noted \"dir.$p\") || exit 0\nif [ -d \"$p\" ] && [ ! -L \"$p\" ]; then case $w in\nmade) gone \"$p\" ;;\nwas\\ *) set -- $w; [ \"$(stat -c %04a \"$p\")\" = \"$3\" ] || root chmod \"$3\" \"$p\" || exit 1; [ \"$(stat -c %U \"$p\")\" = \"$2\" ] || root chown \"$2\" \"$p\" || exit 1 ;;\nesac; fi\nq=$(dirname \"$p\"); while ob_noted \"parent.$q\" >/dev/null; do gone \"$q\" || break; ob_forget \"parent.$q\"; q=$(dirname \"$q\"); done\nob_forget \"dir.$p\"",
            lib(&self.site),
            quote(&self.path),
        );
        cx.effect(self, &body, LIMIT).await.map(drop)
    }
}
