//! The configuration of a story in the form that the provider gets, and the packages of the
//! stand-in.
use super::core::GROUP;
use crate::run::{command, run};
use crate::story::Config;
use crate::{Host, files};
use anyhow::{Context, Result};
use ob::schema::{Tree, tree};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Packages by version.
pub type Packages = BTreeMap<String, Value>;

/// The versions: the same program, with another file beside it.
pub const VERSIONS: [&str; 2] = ["1.4.1", "1.4.2"];

/// Packs the stand-in into archives below `dir`, one for each version.
///
/// # Errors
/// The stand-in is not built, or cannot be packed.
pub fn packages(dir: &Path) -> Result<Packages> {
    let program = crate::lab::tool()?.with_file_name("sim-seekdb");
    let text = |words: &[&str]| run(&mut command(words), b"", Duration::from_secs(60))?.ok();
    let mut all = Packages::new();
    for version in VERSIONS {
        let from = dir.join(version);
        std::fs::create_dir_all(&from)?;
        let seekdb = from.join("seekdb");
        // Without debug information the program is a tenth as large.
        text(&["strip", "-o", &seekdb.display().to_string(), &program.display().to_string()])
            .context("sim-seekdb is not built")?;
        files::write(from.join("libaio.so.1"), format!("build {version}\n"), 0o755)?;
        let archive = dir.join(format!("sim-{version}.tar.gz")).display().to_string();
        text(&[
            "tar",
            "--mtime=@0",
            "-czf",
            &archive,
            "-C",
            &from.display().to_string(),
            "seekdb",
            "libaio.so.1",
        ])?;
        let digest = |path: &str| -> Result<String> {
            Ok(text(&["sha256sum", path])?.split(' ').next().unwrap_or_default().to_owned())
        };
        let source = digest(&archive)?;
        let mut members = BTreeMap::new();
        for name in ["seekdb", "libaio.so.1"] {
            let path = from.join(name);
            let size = std::fs::metadata(&path)?.len();
            members.insert(
                name,
                json!({
                    "source": source, "member": name, "size": size,
                    "sha256": digest(&path.display().to_string())?, "mode": "0755"
                }),
            );
        }
        let id = format!("seekdb-{version}-{}", &source[..12]);
        let package = json!({
            "id": id, "name": "seekdb", "version": version, "arch": std::env::consts::ARCH,
            "sources": { source: archive }, "files": members
        });
        all.insert(version.to_owned(), package);
    }
    Ok(all)
}

/// Addresses in the order in which they are applied.
#[must_use]
pub fn addresses(config: &Config) -> Vec<String> {
    let clusters = config.clusters.keys().map(|n| format!("ob_cluster.{n}"));
    clusters.chain(config.group.iter().map(|_| GROUP.to_owned())).collect()
}

/// The configuration of one resource.
///
/// # Errors
/// There is no such resource, or no such package.
pub fn json(address: &str, config: &Config, hosts: &[Host], packages: &Packages) -> Result<Value> {
    let name = address.split_once('.').map_or("", |a| a.1);
    if address == GROUP {
        let group = config.group.as_ref().context("there is no group")?;
        let failover = group.failover.as_ref().map(|c| json!({ "epoch": c.epoch, "to": c.to }));
        return Ok(json!({
            "name": "g", "primary": group.primary, "failover": failover,
            "deletion_protection": config.protect
        }));
    }
    let cluster = config.clusters.get(name).with_context(|| format!("there is no {address}"))?;
    let host = &hosts[cluster.host];
    let server = json!({
        "host": { "name": host.name(), "address": host.address(), "port": 22 },
        "base_dir": cluster.base_dir
    });
    let (password, version) = if cluster.initialize {
        (json!(crate::story::config::PASSWORD), json!(1))
    } else {
        (Value::Null, Value::Null)
    };
    Ok(json!({
        "name": name, "engine": "seekdb",
        "package": packages.get(&cluster.version).context("no such package")?,
        "initialize": cluster.initialize, "zones": { "z1": { "servers": { "s1": server } } },
        "parameters": cluster.parameters, "deletion_protection": config.protect,
        "allow_data_loss": cluster.allow,
        "root_password_wo": password, "root_password_wo_version": version,
    }))
}

/// Puts `ob_cluster.x.instance` of `others` into the group's members; the value is unknown where
/// there is none yet. A consent gets the creation that the prior state knows.
pub fn refer(group: &mut Tree, config: &Config, others: &BTreeMap<String, Tree>, prior: &Tree) {
    if let Some(consent) = tree::get_mut(group, "failover")
        && let Some(creation) = tree::get_mut(consent, "creation")
    {
        creation.clone_from(tree::get(prior, "creation"));
    }
    let member = |name: &String| {
        let instance = others
            .get(&format!("ob_cluster.{name}"))
            .map_or_else(tree::unknown, |c| tree::get(c, "instance").clone());
        (Tree::from(name.as_str()), Tree::Map(vec![(Tree::from("instance"), instance)]))
    };
    if let Some(members) = tree::get_mut(group, "members") {
        let in_group = config.clusters.iter().filter(|(_, c)| c.member);
        *members = Tree::Map(in_group.map(|(name, _)| member(name)).collect());
    }
}
