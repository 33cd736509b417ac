//! The user that stories log in as: root, or the ordinary user that `OB_LAB_LOGIN` names.
//!
//! `OB_LAB_LOGIN=dba make test` runs every story as that user. Each host of a story gets the user
//! with the lab's key. `/data` belongs to the user, and the user has no right of sudo at all, so
//! whatever such a story does is done without root.
use crate::Host;
use anyhow::Result;

/// The user that logs in; `root` unless `OB_LAB_LOGIN` names another.
#[must_use]
pub fn user() -> String {
    std::env::var("OB_LAB_LOGIN").ok().filter(|u| !u.is_empty()).unwrap_or_else(|| "root".into())
}

/// Whether stories log in as root; says so when they do not. For a story that is about what root, or
/// a user of the story's own, does.
#[must_use]
pub fn is_root(what: &str) -> bool {
    let root = user() == "root";
    if !root {
        eprintln!(
            "SKIPPED {what}: it has users of its own, and OB_LAB_LOGIN changes nothing there"
        );
    }
    root
}

/// The home of a user on a lab host.
#[must_use]
pub fn home(user: &str) -> String {
    if user == "root" { "/root".into() } else { format!("/home/{user}") }
}

/// A path below the directory that the product keeps for the login user; that directory itself when
/// `name` is empty.
#[must_use]
pub fn own(name: &str) -> String {
    format!("{}/.ob/{name}", home(&user())).trim_end_matches('/').to_owned()
}

/// Makes `user` on a host, unless it exists, with the keys that let root in.
///
/// # Errors
/// A command failed on the host.
pub fn make(host: &Host, user: &str) -> Result<()> {
    let line = format!(
        "id -u {user} >/dev/null 2>&1 || \
         {{ useradd --create-home --shell /bin/bash {user} && usermod -p '*' {user}; }} || exit 1
install -d -m 0700 -o {user} -g {user} {home}/.ssh && \
         install -m 0600 -o {user} -g {user} /root/.ssh/authorized_keys {home}/.ssh/",
        home = home(user)
    );
    host.exec(&line)?.ok().map(drop)
}

/// Makes the login user of the stories, unless it is root, and gives it `/data`.
///
/// # Errors
/// As [`make`].
pub fn admit(host: &Host) -> Result<()> {
    let user = user();
    if user == "root" {
        return Ok(());
    }
    make(host, &user)?;
    host.exec(&format!("install -d -o {user} -g {user} /data"))?.ok().map(drop)
}
