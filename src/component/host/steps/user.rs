//! The OS user that owns files and runs servers.
use super::super::{Site, User, objects};
use super::{LIMIT, Seen, lib};
use crate::base::Problem;
use crate::base::shell::{join, quote};
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;

/// Stands in the comment of users that we make: the account itself says so.
const COMMENT: &str = "ob-host";

async fn look(cx: &Cx, site: &Site, name: &str) -> Result<Seen, Problem> {
    let script = format!(
        "e=$(getent passwd {0} || grep ^{0}: /etc/passwd) && {{ IFS=: read -r _ _ uid _ comment home _ <<EOF\n$e\nEOF\nprintf 'uid=%s\\ncomment=%s\\nhome=%s\\n' \"$uid\" \"$comment\" \"$home\"; }}\ng=$(getent group {0}) && echo group=1",
        quote(name)
    );
    Seen::read(cx, site, &script).await
}

/// Makes the user, unless there is one of that name.
#[derive(Clone, Debug)]
pub struct MakeUser {
    /// Which host.
    pub site: Site,
    /// Who.
    pub user: User,
}

impl MakeUser {
    fn command(&self) -> String {
        let mut words =
            vec!["useradd".to_owned(), "--create-home".into(), "--comment".into(), COMMENT.into()];
        words.extend(self.user.uid.iter().flat_map(|uid| ["--uid".to_owned(), uid.to_string()]));
        words.extend(["--shell".into(), "/bin/bash".into(), self.user.name.clone()]);
        words
            .extend(self.user.home.iter().flat_map(|home| ["--home-dir".to_owned(), home.clone()]));
        join(words)
    }
}

#[async_trait]
impl Step for MakeUser {
    fn kind(&self) -> &'static str {
        "make_user"
    }
    fn title(&self) -> String {
        format!("make user {} on {}", self.user.name, self.site.name)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effects(&self) -> Vec<String> {
        vec![self.command()]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let seen = look(cx, &self.site, &self.user.name).await?;
        let refuse = |why: String, fix: &str| {
            Check::Refused(
                Problem::refused(format!(
                    "cannot make user \"{}\" on host \"{}\"",
                    self.user.name, self.site.name
                ))
                .place(self.site.host.endpoint.show())
                .why(why)
                .fix(fix)
                .attribute(["prepare", "user"]),
            )
        };
        if !seen.has("uid") {
            return Ok(if seen.has("group") {
                refuse(
                    "a group of that name exists without such a user".into(),
                    "remove the group, make the user by hand, or choose another name",
                )
            } else {
                Check::Needed(format!("user {} does not exist", self.user.name))
            });
        }
        if let Some(uid) = self.user.uid.filter(|uid| uid.to_string() != seen.get("uid")) {
            return Ok(refuse(
                format!("it exists with the number {}, not {uid}", seen.get("uid")),
                "declare the number it has, or choose another name",
            ));
        }
        if let Some(home) = self.user.home.as_ref().filter(|home| *home != seen.get("home")) {
            return Ok(refuse(
                format!("it exists with the home {}, not {home}", seen.get("home")),
                "declare the home it has, or choose another name",
            ));
        }
        Ok(Check::Done)
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let body = format!(
            "{}ob_note user {} && root {}",
            lib(&self.site),
            quote(&self.user.name),
            self.command()
        );
        cx.effect(self, &body, LIMIT).await.map(drop)
    }
}

/// Removes the user if we made it; its home too when nothing is in it but what a new home has, and
/// our notes.
#[derive(Clone, Debug)]
pub struct RemoveUser {
    /// Which host.
    pub site: Site,
    /// Who.
    pub name: String,
}

#[async_trait]
impl Step for RemoveUser {
    fn kind(&self) -> &'static str {
        "remove_user"
    }
    fn title(&self) -> String {
        format!("remove user {} from {} if it was made for it", self.name, self.site.name)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!(
            "userdel --remove {0}  # without --remove while its home holds other files",
            self.name
        )]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let seen = look(cx, &self.site, &self.name).await?;
        if seen.record.get("user") != Some(self.name.as_str()) {
            return Ok(Check::Done);
        }
        if !seen.has("uid") {
            return Ok(Check::Partial("only its note is left".into()));
        }
        let refuse = |why: String, fix: String| {
            Check::Refused(
                Problem::refused(format!(
                    "cannot remove user \"{}\" from host \"{}\"",
                    self.name, self.site.name
                ))
                .place(self.site.host.endpoint.show())
                .why(why)
                .fix(fix),
            )
        };
        if seen.get("comment") != COMMENT {
            return Ok(refuse(
                format!(
                    "its comment is {:?}, not \"{COMMENT}\": somebody made it anew",
                    seen.get("comment")
                ),
                format!(
                    "to keep it, remove the line user={0} from ~/.ob/objects/{1}/made; to let it go: usermod --comment {COMMENT} {0}",
                    self.name,
                    self.site.key()
                ),
            ));
        }
        let here = objects::read(cx, &self.site.host, std::slice::from_ref(&self.name)).await?;
        if let Some(o) = here.iter().find(|o| o.user == self.name) {
            return Ok(refuse(
                format!("{} lives in {} and runs as that user", o.key, o.base),
                format!("destroy {} first", o.key),
            ));
        }
        Ok(Check::Needed("it was made for this host".into()))
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let seen = look(cx, &self.site, &self.name).await?;
        let mut command = String::new();
        if seen.has("uid") {
            let inside = Host { run_as: self.name.clone(), ..self.site.host.clone() };
            // Said as that user, whose home may be closed to us. Silence means that nobody looked:
            // then it stays.
            let look = format!(
                "cd {} && echo looked && for f in * .[!.]* ..?*; do [ -e \"$f\" ] || [ -L \"$f\" ] || continue; [ -f \"$f\" ] && [ -f \"/etc/skel/$f\" ] && [ \"$(cksum < \"$f\")\" = \"$(cksum < \"/etc/skel/$f\")\" ] && continue; case $f in .ob|.bash_history) ;; *) echo \"$f\" ;; esac; done; :",
                quote(seen.get("home"))
            );
            let said = cx.read(&inside, &look).await?.stdout;
            let others = said.strip_prefix("looked\n").unwrap_or("it could not be looked at");
            if others.trim().is_empty() {
                command = format!("root userdel --remove {} && ", quote(&self.name));
            } else {
                tracing::warn!(host = %self.site.name, "the home of {} stays: {}", self.name, others.trim().replace('\n', ", "));
                command = format!("root userdel {} && ", quote(&self.name));
            }
        }
        cx.effect(self, &format!("{}{command}ob_forget user", lib(&self.site)), LIMIT)
            .await
            .map(drop)
    }
}
