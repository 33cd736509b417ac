//! The OS user that owns files and runs servers.
use super::super::{Site, User, objects};
use super::{ROOTS, Seen, id, prepare};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Name, Step, StepId, Template, Values};
use async_trait::async_trait;

/// The comment in the accounts that we make: it shows that an account is ours.
const COMMENT: &str = "ob-host";

/// Name of a value: userdel's option for the home.
const HOME: Name = Name("--remove, unless its home holds other files");

/// Looks at the account. `home` is the home that it would get.
async fn look(cx: &Cx, site: &Site, name: &str, home: &str) -> Result<Seen, Problem> {
    Seen::read(cx, site, &prepare!("look_user.sh").args([name, home])).await
}

/// Makes the user, unless one of that name exists.
#[derive(Clone, Debug)]
pub struct MakeUser {
    /// The host.
    pub site: Site,
    /// The user.
    pub user: User,
}

impl MakeUser {
    fn home(&self) -> String {
        self.user.home.clone().unwrap_or_else(|| format!("/home/{}", self.user.name))
    }
    fn command(&self) -> Vec<String> {
        let mut words =
            vec!["useradd".to_owned(), "--create-home".into(), "--comment".into(), COMMENT.into()];
        words.extend(self.user.uid.iter().flat_map(|uid| ["--uid".to_owned(), uid.to_string()]));
        words.extend(["--shell".into(), "/bin/bash".into(), self.user.name.clone()]);
        words
            .extend(self.user.home.iter().flat_map(|home| ["--home-dir".to_owned(), home.clone()]));
        words
    }
}

#[async_trait]
impl Step for MakeUser {
    fn id(&self) -> StepId {
        id("make_user", &self.site).about(self.user.name.as_str())
    }
    fn title(&self) -> String {
        format!("make user {} on {}", self.user.name, self.site.name)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        let program = prepare!("make_user.sh").args([&self.user.name, &self.home()]);
        Effect::Shell(program.args(self.command()))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let seen = look(cx, &self.site, &self.user.name, &self.home()).await?;
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
            } else if let Some(why) = seen.swappable() {
                let why = format!("root would make its home {}, and {why}", self.home());
                refuse(why, ROOTS)
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
}

/// Removes the user if we made it. Removes the home, too, if it holds only what a new home has and
/// our notes.
#[derive(Clone, Debug)]
pub struct RemoveUser {
    /// The host.
    pub site: Site,
    /// The user's name.
    pub name: String,
}

#[async_trait]
impl Step for RemoveUser {
    fn id(&self) -> StepId {
        id("remove_user", &self.site).about(self.name.as_str())
    }
    fn title(&self) -> String {
        format!("remove user {} from {} if it was made for it", self.name, self.site.name)
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        let program = prepare!("remove_user.sh").arg(self.name.as_str());
        Effect::Shell(program.arg(Template::value(HOME)))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let seen = look(cx, &self.site, &self.name, "").await?;
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
                    "to keep it, remove the line user={0} from ~/.ob/objects/host/made; to let it \
                     go: usermod --comment {COMMENT} {0}",
                    self.name
                ),
            ));
        }
        let here = objects::read(cx, &self.site.host, std::slice::from_ref(&self.name)).await?;
        if let Some(o) = here.iter().find(|o| o.user == self.name) {
            return Ok(refuse(
                format!("{} lives in {} and runs as that user", o.title, o.base),
                format!("destroy {} first", o.title),
            ));
        }
        Ok(Check::Needed("it was made for this host".into()))
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let seen = look(cx, &self.site, &self.name, "").await?;
        let gone = Values::default().with(HOME, "");
        if !seen.has("uid") {
            return Ok(Some(gone));
        }
        if let Some(why) = seen.swappable() {
            tracing::warn!(host = %self.site.name, "the home of {} stays: {why}", self.name);
            return Ok(Some(gone));
        }
        let inside = Host { run_as: self.name.clone(), ..self.site.host.clone() };
        let said = cx.read(&inside, &prepare!("look_home.sh").arg(seen.get("home"))).await?.stdout;
        // No output means that nobody could look into the home: then it stays.
        let others = said.strip_prefix("looked\n").unwrap_or("it could not be looked at").trim();
        if others.is_empty() {
            return Ok(Some(gone.with(HOME, "--remove")));
        }
        let list = others.replace('\n', ", ");
        tracing::warn!(host = %self.site.name, "the home of {} stays: {list}", self.name);
        Ok(Some(gone))
    }
}
