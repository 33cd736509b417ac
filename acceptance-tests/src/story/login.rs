//! As whom the stories log in: root, or the ordinary user that `OB_LAB_LOGIN` names.
//!
//! `OB_LAB_LOGIN=dba make test` runs every story as that user. It is made on each host of a story,
//! with the lab's key; `/data` belongs to it, and it has no right of sudo at all: what a story then
//! does is done without root.
use crate::Host;
use anyhow::Result;

/// Who logs in; `root` when nothing is said.
#[must_use]
pub fn user() -> String {
    std::env::var("OB_LAB_LOGIN").ok().filter(|u| !u.is_empty()).unwrap_or_else(|| "root".into())
}

/// Where a user's home lies on a lab host.
#[must_use]
pub fn home(user: &str) -> String {
    if user == "root" { "/root".into() } else { format!("/home/{user}") }
}

/// A path in the directory that the product keeps for the login user; the directory itself for an
/// empty `name`.
#[must_use]
pub fn own(name: &str) -> String {
    format!("{}/.ob/{name}", home(&user())).trim_end_matches('/').to_owned()
}

/// Makes `user` on a host, with the keys that let root in, if it is not there.
///
/// # Errors
/// The host refused a command.
pub fn make(host: &Host, user: &str) -> Result<()> {
    let line = format!(
        "id -u {user} >/dev/null 2>&1 || {{ useradd --create-home --shell /bin/bash {user} && usermod -p '*' {user}; }} || exit 1
install -d -m 0700 -o {user} -g {user} {home}/.ssh && install -m 0600 -o {user} -g {user} /root/.ssh/authorized_keys {home}/.ssh/",
        home = home(user)
    );
    host.exec(&line)?.ok().map(drop)
}

/// Makes the login user of the stories, when it is not root, and gives it `/data`.
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
