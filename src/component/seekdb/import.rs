//! Looks at an instance that others made, so that it can be imported. Only reads.
use super::{about, facts};
use crate::base::{Directory, ObjectName, Problem};
use crate::component::database::Probe;
use crate::component::package::{File, Package, package_id};
use crate::engine::{Cx, Host, Node, Port};
use crate::transport::key_values;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Reads the name, ports, package and store of an instance.
///
/// # Errors
/// The directory does not exist, there is neither a running server nor a start script, or the host
/// does not answer.
pub async fn probe(cx: &Cx, host: &Host, directory: &Directory) -> Result<Probe, Problem> {
    // The instance has no name of ours yet.
    let nameless = ObjectName::parse("seekdb").map_err(Problem::internal)?;
    let node = Node::new(nameless, host.clone(), directory.clone(), []);
    let place = format!("{directory} on {}", host.endpoint.show());
    let found = facts::read(cx, &node).await?;
    if !found.exists {
        return Err(Problem::user("there is nothing to import")
            .place(place)
            .why("the directory does not exist")
            .fix("correct the import id"));
    }
    let name = found.mark.as_ref().map_or_else(
        || directory.rsplit('/').next().unwrap_or("seekdb").to_owned(),
        |m| m.node.name.to_string(),
    );
    let program = about!(node, "probe.sh").within(DEADLINE);
    let output = cx.read(host, &program).await?.stdout;
    let args: Vec<&str> = output.lines().filter_map(|l| l.strip_prefix("arg=")).collect();
    let parameter = |key: &str| {
        let pairs = args.iter().flat_map(|a| a.split(','));
        pairs.filter_map(|a| a.strip_prefix(key)?.strip_prefix('=')).next_back()
    };
    let mut package = Package {
        id: String::new(),
        name: "seekdb".into(),
        version: version(&output),
        arch: key_values(&output).get("arch").cloned().unwrap_or_default(),
        sources: [].into(),
        files: [].into(),
    };
    for line in output.lines().filter_map(|l| l.strip_prefix("file=")) {
        if let [file, size, mode, sha256] = line.split(' ').collect::<Vec<_>>()[..] {
            package.files.insert(
                file.into(),
                File {
                    source: String::new(),
                    member: String::new(),
                    size: size.parse().unwrap_or(0),
                    sha256: sha256.into(),
                    mode: u32::from_str_radix(mode, 8).unwrap_or(0o755),
                },
            );
        }
    }
    if package.files.is_empty() {
        return Err(Problem::user("there is no seekdb to import")
            .place(place)
            .why("no server runs from that directory and no start script of ours is in it")
            .fix("start it first, then import it"));
    }
    package.id = package_id(&package.name, &package.version, &package.files);
    let port =
        |text: Option<&str>, default: u16| text.and_then(|t| t.parse().ok()).unwrap_or(default);
    let listens: Vec<u16> = output
        .lines()
        .filter_map(|l| u16::from_str_radix(l.strip_prefix("listens=")?, 16).ok())
        .collect();
    let sql_port = port(flag(&args, "--port", "-P"), 2881);
    if found.pid.is_some() && !listens.contains(&sql_port) {
        let all: BTreeSet<_> = listens.iter().map(u16::to_string).collect();
        return Err(Problem::refused("cannot tell on which port the server takes SQL")
            .place(place)
            .why(format!(
                "its command line says {sql_port}; the process listens on {}",
                if all.is_empty() {
                    "none that this user can see".to_owned()
                } else {
                    all.into_iter().collect::<Vec<_>>().join(", ")
                }
            ))
            .fix(
                "start it with --port N, or log in as the user who runs it, then import it again",
            ));
    }
    Ok(Probe {
        name,
        known_as: found.mark.map(|m| m.node.directory),
        ports: BTreeMap::from([
            (Port::Sql, sql_port),
            (Port::Rpc, port(parameter("rpc_port"), 2882)),
        ]),
        package,
        initialized: found.store && found.group.is_none(),
        build: String::new(),
    })
}

/// The value of a flag in any of its spellings: `--port 1`, `--port=1`, `-P 1`, `-P1`. The last one
/// counts.
fn flag<'a>(args: &[&'a str], long: &str, short: &str) -> Option<&'a str> {
    let at = |i: usize| -> Option<&'a str> {
        let arg = args[i];
        if arg == long || arg == short {
            return args.get(i + 1).copied();
        }
        let joined = arg.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        joined.or_else(|| arg.strip_prefix(short).filter(|rest| !rest.is_empty()))
    };
    (0..args.len()).filter_map(at).next_back()
}

/// Time limit of a probe: it hashes 140 MB, perhaps from a slow disk.
const DEADLINE: Duration = Duration::from_secs(60);

fn version(output: &str) -> String {
    // `seekdb --version` prints, among others, "REVISION: …" and "observer (OceanBase seekdb
    // 1.4.0.0)".
    let words =
        output.lines().filter_map(|l| l.strip_prefix("version=")).flat_map(str::split_whitespace);
    let digits = words
        .map(|w| w.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
        .find(|w| w.contains('.') && w.chars().all(|c| c.is_ascii_digit() || c == '.'));
    digits.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::flag;

    #[test]
    fn a_flag_is_read_in_each_of_its_spellings() {
        for (line, want) in [
            ("seekdb --port 3881 --base-dir /x", Some("3881")),
            ("seekdb --port=3881", Some("3881")),
            ("seekdb -P 3881", Some("3881")),
            ("seekdb -P3881", Some("3881")),
            ("seekdb --port 1 --port=2", Some("2")),
            ("seekdb --portx=1 --base-dir /-P", None),
            ("seekdb --port", None),
            ("seekdb", None),
        ] {
            let args: Vec<&str> = line.split(' ').collect();
            assert_eq!(flag(&args, "--port", "-P"), want, "{line}");
        }
    }
}
