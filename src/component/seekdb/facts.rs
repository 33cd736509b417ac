//! What the host says about an instance; one script reads it all.
use super::server::hex;
use super::steps::unit;
use super::{Instance, about};
use crate::base::units::Bytes;
use crate::base::{Problem, Secret};
use crate::engine::mark::Mark;
use crate::engine::{Cx, Engine, Node, Program};
use crate::transport::key_values;

pub use crate::component::database::Facts;
use crate::component::database::Group;

/// Reads the facts.
///
/// # Errors
/// The host cannot be reached or the program failed.
pub async fn read(cx: &Cx, node: &Node) -> Result<Facts, Problem> {
    let text = cx.read(&node.host, &look(node)).await?.stdout;
    Ok(Facts { held: held(&text, &name(node)), ..parse(&text) })
}

fn look(node: &Node) -> Program {
    about!(node, "look.sh").args([node.key().as_str(), &hex(node.sql_port()), &name(node)])
}

/// The node's unit; empty when none can be its own.
fn name(node: &Node) -> String {
    unit(&node.directory).unwrap_or_default()
}

/// The command that starts a server that somebody stopped by `unit`. The host says only which
/// manager has the unit.
fn held(text: &str, unit: &str) -> Option<String> {
    Some(match key_values(text).get("held")?.as_str() {
        "system" => format!("systemctl start '{unit}'"),
        "system,disabled" => format!("systemctl enable --now '{unit}'"),
        "user" => format!("systemctl --user start '{unit}'"),
        "user,disabled" => format!("systemctl --user enable --now '{unit}'"),
        _ => return None,
    })
}

fn parse(text: &str) -> Facts {
    let facts = key_values(text);
    let has = |key: &str| facts.contains_key(key);
    let file = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    // Whether the process that a note names still runs: it is the process that runs now.
    let runs = |name: &str| {
        file(name).is_some_and(|noted| facts.get("process").is_some_and(|p| p == noted))
    };
    let mark = note(has("has.mark"), file("mark"), Mark::parse);
    let group = note(has("has.group"), file("group"), parse_group);
    Facts {
        exists: has("exists"),
        known: has("known"),
        gone: has("gone"),
        data: has("data"),
        strays: facts
            .iter()
            .filter(|(k, _)| k.starts_with("stray."))
            .map(|(_, v)| v.clone())
            .collect(),
        stays: has("stays"),
        group_damaged: group.clone().err(),
        group: group.ok().flatten(),
        loss: file("loss").and_then(|l| serde_json::from_str(l).ok()),
        restart: has("has.restart"),
        restart_runs: runs("restart"),
        fenced: has("has.fenced"),
        fenced_runs: runs("fenced"),
        mark_damaged: mark.clone().err(),
        mark: mark.ok().flatten(),
        store: has("store"),
        building_store: has("has.building")
            .then(|| file("building").unwrap_or_default().to_owned()),
        stranger: has("listener.other"),
        pid: facts.get("pid").and_then(|p| p.parse().ok()),
        package: facts.get("package").cloned(),
        package_lost: has("package.lost"),
        exposed: has("exposed"),
        command: facts.get("command").cloned().unwrap_or_default(),
        running_package: facts.get("running").cloned(),
        account: facts.get("account").map(Secret::new),
        account_next: facts.get("account.next").map(Secret::new),
        rotated: file("rotated").unwrap_or_default().to_owned(),
        rotating: file("rotating").unwrap_or_default().to_owned(),
        memory: facts.get("memory").and_then(|m| Bytes::parse(m)),
        adopting: has("has.adopting"),
        start_sum: facts.get("start").cloned().unwrap_or_default(),
        held: None,
        aside: facts.keys().filter_map(|k| k.strip_prefix("aside.")).map(str::to_owned).collect(),
    }
}

/// Parses the note of a group, which must be about this engine.
fn parse_group(text: &str) -> Result<Group, String> {
    let group = Group::parse(text)?;
    if group.engine == Engine::Seekdb {
        return Ok(group);
    }
    Err(format!("it is about the engine {}", group.engine.as_str()))
}

/// A note: `None` if there is none, an error that says why it cannot be read.
fn note<T>(
    there: bool,
    text: Option<&str>,
    parse: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if there { parse(text.unwrap_or_default()).map(Some) } else { Ok(None) }
}

/// The checksum that `cksum` prints for `text`. With it a start script can be compared without
/// sending it.
#[must_use]
pub fn cksum(text: &str) -> String {
    let mut crc: u32 = 0;
    let mut feed = |byte: u8| {
        crc ^= u32::from(byte) << 24;
        for _ in 0..8 {
            crc = if crc & 0x8000_0000 == 0 { crc << 1 } else { (crc << 1) ^ 0x04C1_1DB7 };
        }
    };
    text.bytes().for_each(&mut feed);
    let mut length = text.len();
    while length > 0 {
        #[allow(clippy::cast_possible_truncation)]
        feed((length & 0xff) as u8);
        length >>= 8;
    }
    format!("{} {}", !crc, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cksum_is_that_of_coreutils() {
        for text in ["", "a", "123456789", "#!/bin/sh\nexec x\n"] {
            let mut child = std::process::Command::new("cksum")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
            let out = child.wait_with_output().unwrap();
            assert_eq!(cksum(text), String::from_utf8(out.stdout).unwrap().trim(), "{text:?}");
        }
    }

    #[test]
    fn who_was_stopped_by_hand_is_started_by_the_unit_that_the_host_names_by_a_word() {
        for (text, want) in [
            ("held=system", Some("systemctl start 'u'")),
            ("held=system,disabled", Some("systemctl enable --now 'u'")),
            ("held=user", Some("systemctl --user start 'u'")),
            ("held=user,disabled", Some("systemctl --user enable --now 'u'")),
            ("held=rm -rf /", None),
            ("", None),
        ] {
            assert_eq!(held(text, "u").as_deref(), want, "{text}");
        }
    }

    #[test]
    fn facts_come_from_what_the_script_printed() {
        let facts = parse(
            "exists=1\nknown=1\ndata=1\nstray.1=core.7\nstray.2=x=y\nstore=1\npid=42\nprocess=42 7 b\nrestart:42 7 b\nfenced:42 6 b\n\
             running=p1\npackage=p2\nstart=1 2\naside.x=1\n",
        );
        assert!(facts.restart_runs && !facts.fenced_runs, "another process has that pid");
        assert!(facts.exists && facts.data && facts.store && facts.account.is_none());
        assert_eq!(
            (facts.pid, facts.running_package.as_deref(), facts.package.as_deref()),
            (Some(42), Some("p1"), Some("p2"))
        );
        assert_eq!(
            (facts.aside.clone(), facts.strays.clone()),
            (vec!["x".into()], vec!["core.7".into(), "x=y".into()])
        );
        assert!(!facts.missing() && parse("known=1\nexists=1\nstray.1=x\n").missing());
        for there in ["known=1\nhas.mark=1\nmark:{half\n", "known=1\ndata=1\n", "exists=1\n", ""] {
            assert!(!parse(there).missing(), "{there:?}");
        }
        assert!(parse("has.mark=1\nmark:{half\n").mark_damaged.is_some());
        let newer = parse("has.mark=1\nmark:{\"format\":99}\n").mark_damaged.unwrap();
        assert!(newer.contains("newer version"), "{newer}");
    }
}
