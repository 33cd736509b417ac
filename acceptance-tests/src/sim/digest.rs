//! The end state in lines that do not vary from run to run: whatever a fault did on the way, they
//! must be the same.
use crate::story::config::PASSWORD;
use crate::{Host, Lab, sql};
use anyhow::Result;
use std::path::Path;

/// The end state of all hosts, as lines.
///
/// # Errors
/// A running server cannot be asked.
pub fn of(lab: &Lab) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for (n, host) in lab.hosts().into_iter().enumerate() {
        let (mut lines, at) = (Vec::new(), |path: &str| host.path(path));
        for base in names(&at("/data")) {
            lines.extend(
                instance(&at(&format!("/data/{base}")))
                    .into_iter()
                    .map(|l| format!("/data/{base}: {l}")),
            );
        }
        let objects = at("/root/.ob/objects");
        lines.extend(
            names(&objects)
                .into_iter()
                .filter(|o| objects.join(o).join("home").exists())
                .map(|o| format!("{o} has a home")),
        );
        lines.extend(names(&at("/root/.ob/packages")).into_iter().map(|p| format!("package {p}")));
        lines.extend(
            text(&at("/var/spool/cron/crontabs/root"))
                .lines()
                .filter(|l| !l.starts_with('#'))
                .map(|l| format!("cron {l}")),
        );
        if host.is_on() && runs(&host)? {
            lines.extend(server(&host)?);
        }
        all.extend(lines.into_iter().map(|l| format!("host {}: {l}", n + 1)));
    }
    // Labs differ only in their network's number.
    let network = format!("10.99.{}.", lab.info().id);
    Ok(all.into_iter().map(|l| l.replace(&network, "10.99.x.")).collect())
}

/// Whether a server runs on the host.
///
/// # Errors
/// The host cannot be asked.
pub fn runs(host: &Host) -> Result<bool> {
    Ok(host.exec("pgrep -x seekdb")?.status == 0)
}

/// Asks the stand-in as root for one value, with the stories' password or, if that fails, with
/// none.
///
/// # Errors
/// It does not answer.
pub fn ask(host: &Host, statement: &str) -> Result<String> {
    Ok(query(host, statement)?
        .into_iter()
        .next()
        .and_then(|r| r.into_iter().next())
        .unwrap_or_default())
}

fn query(host: &Host, statement: &str) -> Result<Vec<Vec<String>>> {
    let login =
        sql::Login { at: host.at(2881), user: "root".into(), password: Some(PASSWORD.into()) };
    sql::query(login.clone(), statement)
        .or_else(|_| sql::query(sql::Login { password: None, ..login }, statement))
}

/// What the server of a host holds, if one answers; without the rows that clients write.
#[must_use]
pub fn state(host: &Host) -> Vec<String> {
    server(host).unwrap_or_default()
}

fn server(host: &Host) -> Result<Vec<String>> {
    let mut lines: Vec<String> = query(host, "show sim state")?
        .into_iter()
        .flatten()
        .filter(|l| !l.starts_with("rows "))
        .map(|l| format!("server {l}"))
        .collect();
    lines.push(format!("server {}", ask(host, "select @@version_comment")?));
    Ok(lines)
}

/// What we keep in a base directory.
fn instance(base: &Path) -> Vec<String> {
    let own = base.join(".ob");
    // start.log and lock are left out: whoever starts the server writes them, and we did not start
    // an adopted server.
    let mut lines: Vec<String> = names(&own)
        .into_iter()
        .filter(|n| n != "start.log" && n != "lock")
        .map(|n| format!(".ob/{n}"))
        .collect();
    let json = |name: &str| {
        serde_json::from_str::<serde_json::Value>(&text(&own.join(name))).unwrap_or_default()
    };
    lines.push(format!("mark {}", json("mark")["stage"]));
    let group = json("group");
    lines.push(format!("group epoch {} primary {}", group["epoch"], group["primary"]));
    lines.push(format!("loss of epoch {}", json("loss")["epoch"]));
    lines.push(format!("{} passwords of root are kept", text(&own.join("root")).lines().count()));
    lines.extend(text(&own.join("start")).lines().map(|l| format!("start {l}")));
    lines.push(format!("package {:?}", std::fs::read_link(own.join("package")).ok()));
    // A leave's name ends with that of the group's creation, which is another one in each run.
    let aside = |n: String| match n.rsplit_once('-') {
        Some((leave, _)) if n.starts_with("left-") => format!("aside {leave}"),
        _ => format!("aside {n}"),
    };
    lines.extend(names(&own.join("aside")).into_iter().map(aside));
    lines.push(format!("store {}", base.join("store").exists()));
    lines
}

fn names(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    all.sort();
    all
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The lines that only one of two end states has.
#[must_use]
pub fn differing(want: &[String], got: &[String]) -> Vec<String> {
    let lacks = want.iter().filter(|l| !got.contains(l)).map(|l| format!("- {l}"));
    lacks.chain(got.iter().filter(|l| !want.contains(l)).map(|l| format!("+ {l}"))).collect()
}
