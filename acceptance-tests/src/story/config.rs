//! A configuration as data, rendered as HCL.
use super::login;
pub use super::package::package;
use crate::{Lab, seekdb};
use anyhow::Result;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

/// root's password in stories. It contains every quote character, and what shells, SQL and HCL
/// treat as special.
pub const PASSWORD: &str = "Zk7kernel\"q'\\`x$y %{z} ${w};#--é";

/// The part of [`PASSWORD`] that no quoting changes.
pub const KERNEL: &str = "Zk7kernel";

/// One configuration: a provider, clusters, at most one group.
#[derive(Clone, Debug)]
pub struct Config {
    /// `owner` of the provider.
    pub owner: String,
    /// Clusters by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// The group of all clusters.
    pub group: Option<Group>,
    /// `deletion_protection` everywhere.
    pub protect: bool,
    /// Login user.
    pub user: String,
    /// Private key file; the lab's when `None`.
    pub key: Option<String>,
    /// `known_hosts` file; the lab's when `None`.
    pub known_hosts: Option<String>,
    /// More HCL at the end.
    pub more: String,
}

/// An `ob_cluster` of one seekdb.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Index of the host.
    pub host: usize,
    /// Version of the package.
    pub version: String,
    /// Base directory.
    pub base_dir: String,
    /// `initialize`.
    pub initialize: bool,
    /// `parameters`.
    pub parameters: BTreeMap<String, String>,
    /// `allow_data_loss`.
    pub allow: Vec<String>,
    /// Replaces the package's HCL.
    pub package: Option<String>,
    /// Replaces the HCL of the server's place: `host = …` and, when another user runs the server,
    /// `run_as = …`.
    pub server: Option<String>,
    /// Whether the cluster belongs to the group.
    pub member: bool,
    /// More attributes.
    pub more: String,
}

/// The `ob_standby` over all clusters that are members.
#[derive(Clone, Debug)]
pub struct Group {
    /// The member that shall take writes.
    pub primary: String,
    /// `failover`.
    pub failover: Option<Consent>,
    /// More attributes.
    pub more: String,
}

/// A failover consent.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The epoch that the consent is for.
    pub epoch: u64,
    /// Member to open.
    pub to: String,
    /// The group's creation that the consent is for.
    pub creation: String,
}

impl Cluster {
    /// A small seekdb of [`seekdb::DEFAULT`] in `/data/NAME` on the host with the index `host`; all
    /// its data may be removed.
    #[must_use]
    pub fn new(name: &str, host: usize, initialize: bool) -> Self {
        let sizes = [("datafile_size", "256M"), ("log_disk_size", "2G"), ("memory_limit", "2G")];
        Self {
            host,
            version: seekdb::DEFAULT.into(),
            base_dir: format!("/data/{name}"),
            initialize,
            parameters: sizes.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            allow: vec![name.into(), format!("{name}/aside")],
            package: None,
            server: None,
            member: true,
            more: String::new(),
        }
    }
}

impl Config {
    /// One seekdb "a" on the first host.
    #[must_use]
    pub fn single() -> Self {
        Self {
            owner: "stories".into(),
            clusters: [("a".to_owned(), Cluster::new("a", 0, true))].into(),
            group: None,
            protect: true,
            user: login::user(),
            key: None,
            known_hosts: None,
            more: String::new(),
        }
    }

    /// Group "g" of "a" (primary) and "b" on the first two hosts.
    #[must_use]
    pub fn pair() -> Self {
        let mut config = Self::single();
        config.clusters.insert("b".into(), Cluster::new("b", 1, false));
        config.group = Some(Group { primary: "a".into(), failover: None, more: String::new() });
        config
    }

    /// Group "g" of "a" (primary), "b" and "c" on the first three hosts.
    #[must_use]
    pub fn trio() -> Self {
        let mut config = Self::pair();
        config.clusters.insert("c".into(), Cluster::new("c", 2, false));
        config
    }

    /// The same configuration with another primary.
    #[must_use]
    pub fn primary(mut self, name: &str) -> Self {
        if let Some(group) = &mut self.group {
            group.primary = name.into();
        }
        self
    }

    /// The same configuration with every cluster on another version.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.clusters.values_mut().for_each(|c| c.version = version.into());
        self
    }

    /// The same configuration with one parameter of one cluster set.
    #[must_use]
    pub fn parameter(mut self, cluster: &str, name: &str, value: &str) -> Self {
        if let Some(c) = self.clusters.get_mut(cluster) {
            c.parameters.insert(name.into(), value.into());
        }
        self
    }

    /// Renders the configuration as HCL.
    ///
    /// # Errors
    /// A package cannot be fetched.
    pub fn render(&self, lab: &Lab) -> Result<String> {
        let info = lab.info();
        let key = self.key.clone().unwrap_or_else(|| info.key.display().to_string());
        let known =
            self.known_hosts.clone().unwrap_or_else(|| info.known_hosts.display().to_string());
        let mut text = format!(
            "terraform {{\n  required_providers {{\n    ob = {{ source = \"oceanbase/ob\" }}\n  \
             }}\n}}\nprovider \"ob\" {{\n  owner = {}\n  ssh = {{\n    \
             identities       = {{ lab = {{ user = {}, private_key_file = {} }} }}\n    \
             known_hosts_file = {}\n  }}\n}}\n",
            hcl(&self.owner),
            hcl(&self.user),
            hcl(&key),
            hcl(&known)
        );
        for (name, cluster) in &self.clusters {
            let host = lab.host(cluster.host);
            let package = match &cluster.package {
                Some(given) => given.clone(),
                None => package(&cluster.version)?,
            };
            let named = || {
                format!(
                    "host = {{ name = {}, address = \"{}\", port = {} }}",
                    hcl(host.name()),
                    host.address(),
                    host.port()
                )
            };
            let server = cluster.server.clone().unwrap_or_else(named);
            let parameters: String =
                cluster.parameters.iter().map(|(k, v)| format!("    {k} = {}\n", hcl(v))).collect();
            let allow = cluster.allow.iter().map(|a| hcl(a)).collect::<Vec<_>>().join(", ");
            let password = if cluster.initialize {
                format!(
                    "  root_password_wo         = {}\n  root_password_wo_version = 1\n",
                    hcl(PASSWORD)
                )
            } else {
                String::new()
            };
            let _ = write!(
                text,
                "resource \"ob_cluster\" \"{name}\" {{\n  name       = \"{name}\"\n  \
                 engine     = \"seekdb\"\n  package    = {package}\n  initialize = {}\n  \
                 zones = {{ z1 = {{ servers = {{ s1 = {{ {server}, base_dir = {} }} }} }} }}\n  \
                 parameters = {{\n{parameters}  }}\n{password}  deletion_protection = {}\n  \
                 allow_data_loss     = [{allow}]\n{}\n}}\n",
                cluster.initialize,
                hcl(&cluster.base_dir),
                self.protect,
                cluster.more
            );
        }
        if let Some(group) = &self.group {
            let members: String = self
                .clusters
                .iter()
                .filter(|(_, c)| c.member)
                .map(|(n, _)| format!("    {n} = {{ instance = ob_cluster.{n}.instance }}\n"))
                .collect();
            let failover = group.failover.as_ref().map_or(String::new(), |c| {
                format!(
                    "  failover = {{ epoch = {}, creation = {}, to = {} }}\n",
                    c.epoch,
                    hcl(&c.creation),
                    hcl(&c.to)
                )
            });
            let _ = write!(
                text,
                "resource \"ob_standby\" \"g\" {{\n  name    = \"g\"\n  members = {{\n\
                 {members}  }}\n  primary = {}\n{failover}  deletion_protection = {}\n{}}}\n",
                hcl(&group.primary),
                self.protect,
                group.more
            );
        }
        Ok(text + &self.more)
    }
}

/// A string as HCL writes it: quotes and backslashes are escaped, and nothing begins a template.
#[must_use]
pub fn hcl(text: &str) -> String {
    json!(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

#[cfg(test)]
mod tests {
    use super::hcl;

    #[test]
    fn strings_reach_terraform_as_they_are() {
        for (text, want) in
            [("a", "\"a\""), ("${x}", "\"$${x}\""), ("%{x}", "\"%%{x}\""), ("\"\\", "\"\\\"\\\\\"")]
        {
            assert_eq!(hcl(text), want);
        }
    }
}
