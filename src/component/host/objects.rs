//! Other objects of ours on a host. A preparation must not be undone under them, and their
//! unfinished work is shown.
use crate::base::Problem;
use crate::engine::mark::{Mark, Stage};
use crate::engine::{Cx, Host};
use crate::program;

/// An object of ours on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Name for people, such as `cluster.main`; the object's key when its mark cannot be read.
    pub title: String,
    /// The object's base directory.
    pub base: String,
    /// The object's mark, if it can be read.
    pub mark: Option<Mark>,
    /// Somebody may hold the object's lease right now.
    pub live: bool,
    /// The OS user whose home notes the object; empty for the login user.
    pub user: String,
}

/// Objects that are noted in the home of the login user and in the homes of `users`, as far as
/// these exist.
///
/// # Errors
/// The host cannot be reached.
pub async fn read(cx: &Cx, host: &Host, users: &[String]) -> Result<Vec<Object>, Problem> {
    let mut found = scan(cx, host, "").await?;
    for user in users {
        let there = cx.read(host, &program!("has_user.sh").arg(user)).await?;
        if there.stdout.contains("yes") {
            found.extend(scan(cx, host, user).await?);
        }
    }
    Ok(found)
}

/// Objects that are noted in the home of the user who runs the host's servers.
///
/// # Errors
/// The host cannot be reached.
pub async fn own(cx: &Cx, host: &Host) -> Result<Vec<Object>, Problem> {
    scan(cx, host, &host.run_as).await
}

async fn scan(cx: &Cx, host: &Host, user: &str) -> Result<Vec<Object>, Problem> {
    let at = Host { run_as: user.to_owned(), ..host.clone() };
    let text = cx.read(&at, &program!("objects.sh")).await?.stdout;
    let parts = text.split("object=").skip(1).map(|part| {
        let (key, rest) = part.split_once('\n').unwrap_or((part, ""));
        let facts = crate::transport::key_values(rest);
        let value = |name: &str| facts.get(name).cloned().unwrap_or_default();
        let mark = Mark::parse(&value("mark")).ok();
        let named = |m: &Mark| format!("cluster.{}", m.node.name);
        Object {
            title: mark.as_ref().map_or_else(|| key.to_owned(), named),
            base: value("base"),
            mark,
            live: value("live") == "1",
            user: user.to_owned(),
        }
    });
    Ok(parts.collect())
}

impl Object {
    /// The object's create or destroy has not ended.
    #[must_use]
    pub fn unfinished(&self) -> bool {
        self.mark.as_ref().is_some_and(|m| m.stage != Stage::Complete)
    }
    /// A warning about unfinished work that nobody is carrying on.
    #[must_use]
    pub fn warning(&self, host: &Host) -> Option<Problem> {
        let mark = self.mark.as_ref().filter(|m| m.stage != Stage::Complete && !self.live)?;
        let (what, verb) = if mark.stage == Stage::Building {
            ("creation", "apply its configuration again, which goes on where it stopped")
        } else {
            ("destroy", "destroy it again")
        };
        Some(
            Problem::user(format!(
                "an unfinished {what} of {} lies on host \"{}\"",
                self.title, host.endpoint.name
            ))
            .place(format!("{} on {}", self.base, host.endpoint.show()))
            .why(format!("operation {} of owner \"{}\" did not end", mark.operation, mark.owner))
            .fix(format!("{verb}; or give it up with `ob operation abandon {}`", mark.operation)),
        )
    }
}
