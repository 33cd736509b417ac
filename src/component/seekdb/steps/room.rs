//! Whether a host has what a server needs of it: memory, disks, free ports, the right processor.
use super::super::server::hex;
use super::super::{Facts, LIB};
use super::{facts_of, id};
use crate::base::Problem;
use crate::base::units::Bytes;
use crate::component::host::MOUNT;
use crate::component::package::{Package, place};
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use crate::program;
use crate::transport::key_values;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Proves, before anything is written or sent, that a host can carry a server. Only looks, also at
/// plan time, where what it finds is a warning. The server itself starts with any `memory_limit`
/// (run on 1.4.0.post1 with 900G on 24G), and the kernel kills it later.
#[derive(Clone, Debug)]
pub struct ProveRoom {
    /// The server.
    pub node: Node,
    /// The package that it is to run.
    pub package: Package,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
}

/// What a host has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ground {
    arch: String,
    /// Free bytes where the base directory is, and for packages; empty when not told.
    base: Option<u64>,
    home: Option<u64>,
    /// Both are on one disk.
    one_disk: bool,
    /// Ports that somebody listens on.
    taken: Vec<u16>,
}

impl Ground {
    fn parse(text: &str, ports: &[u16]) -> Self {
        let said = key_values(text);
        let bytes = |key: &str| said.get(key).and_then(|v| v.parse().ok());
        Self {
            arch: said.get("arch").cloned().unwrap_or_default(),
            base: bytes("base.free"),
            home: bytes("home.free"),
            one_disk: said.get("base.mount") == said.get("home.mount"),
            taken: ports
                .iter()
                .copied()
                .filter(|p| said.contains_key(&format!("taken.{}", hex(*p))))
                .collect(),
        }
    }
}

impl ProveRoom {
    fn ports(&self) -> Vec<u16> {
        self.node.ports.values().copied().collect()
    }

    /// Everything that the host lacks.
    ///
    /// # Errors
    /// The host cannot be reached.
    pub async fn problems(&self, cx: &Cx, facts: &Facts) -> Result<Vec<Problem>, Problem> {
        let hexed: Vec<_> = self.ports().into_iter().map(hex).collect();
        let program = program!("room.sh", LIB, MOUNT)
            .arg(&*self.node.directory)
            .args(hexed.iter().map(String::as_str));
        let said = cx.read(&self.node.host, &program).await?.stdout;
        let ground = Ground::parse(&said, &self.ports());
        let placed = place::is_there(cx, &self.node.host, &self.package).await?;
        Ok(self.lacks(facts, &ground, placed))
    }

    /// What a host with these facts and this ground lacks. `placed`: the package is there.
    fn lacks(&self, facts: &Facts, ground: &Ground, placed: bool) -> Vec<Problem> {
        let place = self.node.host.endpoint.show();
        let problem = |what: String| Problem::user(what).place(place.clone());
        let mut found: Vec<_> = self.memory(facts).into_iter().collect();
        let (want, is) = (self.package.arch.as_str(), ground.arch.as_str());
        if !["", "noarch"].contains(&want) && !is.is_empty() && want != is {
            found.push(
                problem(format!("the package of {} is for {want}", self.node.show()))
                    .why(format!("the host is {is}"))
                    .fix(format!("use the package for {is}"))
                    .attribute(["package"]),
            );
        }
        // A server that was begun has its room and its ports already.
        let made = facts.mark.is_some() || facts.data;
        let size = |name: &str| self.parameters.get(name).and_then(|v| Bytes::parse(v));
        let sizes = ["datafile_size", "log_disk_size"].map(size);
        let store: u64 = sizes.into_iter().flatten().map(|b| b.0).sum();
        let store = if made { 0 } else { store };
        let files: u64 = self.package.files.values().map(|f| f.size).sum();
        let files = if placed { 0 } else { files };
        let disks = if ground.one_disk {
            vec![("base_dir and packages", store + files, ground.base)]
        } else {
            vec![("base_dir", store, ground.base), ("packages", files, ground.home)]
        };
        for (of, need, free) in disks {
            if let Some(free) = free.filter(|free| need > *free) {
                found.push(
                    problem(format!("the disk of {of} of {} has no room for it", self.node.show()))
                        .why(format!(
                            "it needs {} (package {}, datafile_size and log_disk_size {}); {} are \
                             free",
                            rounded(need),
                            rounded(files),
                            rounded(store),
                            rounded(free)
                        ))
                        .fix("make room there, or give smaller sizes"),
                );
            }
        }
        for port in ground.taken.iter().filter(|_| !made) {
            found.push(
                problem(format!("port {port} of {} is taken", self.node.show()))
                    .why("somebody listens on it")
                    .fix("choose another sql_port or rpc_port, or end who listens there")
                    .attribute(["zones"]),
            );
        }
        found
    }

    fn memory(&self, facts: &Facts) -> Option<Problem> {
        let limit = self.parameters.get("memory_limit")?;
        let total = facts.memory.filter(|t| Bytes::parse(limit).is_some_and(|l| l > *t))?;
        Some(
            Problem::user(format!(
                "memory_limit = \"{limit}\" of seekdb {} is more than its host has",
                self.node.show()
            ))
            .place(self.node.host.endpoint.show())
            .why(format!(
                "the host has {total}; the server starts all the same, and is ended by the kernel \
                 when it uses it"
            ))
            .fix("set a memory_limit that leaves the system some memory")
            .attribute(["parameters", "memory_limit"]),
        )
    }
}

/// A size for people, in whole mebibytes.
fn rounded(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[async_trait]
impl Step for ProveRoom {
    fn id(&self) -> StepId {
        id("prove_room", &self.node).about(self.package.id.as_str())
    }
    fn title(&self) -> String {
        format!("prove that the host can carry {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Look(
            ["grep MemTotal /proc/meminfo", "uname -m", "df", "cat /proc/net/tcp"]
                .map(Into::into)
                .into(),
        )
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let first = self.problems(cx, &facts).await?.into_iter().next();
        Ok(first.map_or(Check::Done, Check::Refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Directory, ObjectName};
    use crate::component::package::File;
    use crate::engine::Port;
    use crate::transport::Endpoint;

    fn step(parameters: &[(&str, &str)]) -> ProveRoom {
        let endpoint = Endpoint {
            name: "h".into(),
            address: "10.0.0.1".parse().unwrap(),
            port: 22,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        };
        let host = Host { endpoint, run_as: String::new() };
        let (name, directory) = (ObjectName::parse("a"), Directory::parse("/data/a"));
        let ports = [(Port::Sql, 2881), (Port::Rpc, 2882)];
        let file = File {
            source: String::new(),
            member: String::new(),
            size: 100 << 20,
            sha256: String::new(),
            mode: 0o755,
        };
        ProveRoom {
            node: Node::new(name.unwrap(), host, directory.unwrap(), ports),
            package: Package {
                id: "seekdb-1.4.0-0123456789ab".into(),
                name: "seekdb".into(),
                version: "1.4.0".into(),
                arch: "x86_64".into(),
                sources: BTreeMap::new(),
                files: [("seekdb".to_owned(), file)].into(),
            },
            parameters: parameters.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        }
    }

    #[test]
    fn what_a_host_lacks_is_named() {
        let text = "arch=x86_64\nbase.free=1073741824\nbase.mount=/data\nhome.free=1073741824\n\
                    home.mount=/\n";
        let good = Ground::parse(text, &[2881, 2882]);
        assert_eq!((good.base, good.one_disk), (Some(1 << 30), false));
        let memory = Facts { memory: Some(Bytes(4 << 30)), ..Facts::default() };
        let made = Facts { data: true, ..memory.clone() };
        let small = Ground { base: Some(50 << 20), home: Some(50 << 20), ..good.clone() };
        let sized = &[("datafile_size", "40M"), ("log_disk_size", "20M")][..];
        let taken = Ground::parse(&format!("{text}taken.0B42=1\n"), &[2881, 2882]);
        for (name, parameters, facts, ground, placed, want) in [
            ("all is there", sized, &memory, &good, false, &[][..]),
            ("memory", &[("memory_limit", "8G")], &memory, &good, false, &["memory_limit"]),
            (
                "arch",
                &[],
                &memory,
                &Ground { arch: "aarch64".into(), ..good.clone() },
                false,
                &["is for x86_64"],
            ),
            ("room for neither", sized, &memory, &small, false, &["disk of base_dir", "packages"]),
            ("it is placed", sized, &memory, &small, true, &["disk of base_dir"]),
            ("it is made", sized, &made, &small, true, &[]),
            (
                "one disk",
                &[("datafile_size", "960M")],
                &memory,
                &Ground { one_disk: true, ..good.clone() },
                false,
                &["base_dir and packages"],
            ),
            ("a port", &[], &memory, &taken, true, &["port 2882"]),
            ("its own port", &[], &made, &taken, true, &[]),
            ("nothing is told", sized, &memory, &Ground::default(), false, &[]),
        ] {
            let found = step(parameters).lacks(facts, ground, placed);
            assert_eq!(found.len(), want.len(), "{name}: {found:?}");
            for (problem, word) in found.iter().zip(want) {
                assert!(problem.what.contains(word), "{name}: {problem}");
                assert!(!problem.fix.is_empty() && !problem.why.is_empty(), "{name}");
            }
        }
    }
}
