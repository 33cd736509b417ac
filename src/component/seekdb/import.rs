//! Looks at an instance that others made, so that it can be imported. Only reads.
use super::{about, facts};
use crate::base::{Directory, ObjectName, Problem};
use crate::component::database::Probe;
use crate::component::package::{File, Package, package_id};
use crate::engine::{Cx, Host, Node, Port};
use crate::transport::key_values;
use std::collections::BTreeMap;
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
    let after =
        |flag: &str| args.iter().position(|a| *a == flag).and_then(|i| args.get(i + 1)).copied();
    let parameter = |key: &str| args.iter().find_map(|a| a.strip_prefix(key)?.strip_prefix('='));
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
    Ok(Probe {
        name,
        ports: BTreeMap::from([
            (Port::Sql, port(after("--port"), 2881)),
            (Port::Rpc, port(parameter("rpc_port"), 2882)),
        ]),
        package,
        initialized: found.store && found.group.is_none(),
        build: String::new(),
    })
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
