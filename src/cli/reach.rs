//! Which hosts a command talks to, and how it logs in.
use super::output::Out;
use super::state_file;
use crate::base::{Address, Problem};
use crate::engine::{Cx, Host};
use crate::operate::Kit;
use crate::operate::inventory::{self, Survey};
use crate::provider::config::identity_of_environment;
use crate::schema::Diagnostics;
use crate::transport::{
    Connector, Endpoint, HostKeyPolicy, Identity, KeySource, Pool, SshConfig, Transport,
    TransportError,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How to log in.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Ssh {
    /// Private key file, or NAME=FILE for hosts that ask for the identity NAME; a public key's file
    /// chooses that key of the SSH agent. Default: what OB_SSH_PRIVATE_KEY_FILE and its like say, as
    /// for the provider; else the agent's keys, then ~/.ssh/id_ed25519, id_ecdsa and id_rsa.
    #[arg(long, value_name = "[NAME=]FILE")]
    pub identity: Vec<String>,
    /// Login user of hosts that name none; default: the kit's, else OB_SSH_USER, else this machine's
    /// user.
    #[arg(long)]
    pub user: Option<String>,
    /// File of known host keys; default: OB_SSH_KNOWN_HOSTS_FILE, else ~/.ssh/known_hosts.
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
    /// A host to go through, the first one first; default: the kit's.
    #[arg(long, value_name = "USER@ADDRESS[:PORT]")]
    pub bastion: Vec<String>,
    /// Trusts and writes down the key of a host that is not known yet.
    #[arg(long)]
    pub accept_new: bool,
}

/// What a kit says about the way to its hosts.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Login users by identity name, for hosts that name none.
    pub users: BTreeMap<String, String>,
    /// Hosts to go through.
    pub bastion: Vec<Endpoint>,
    /// Lines of `known_hosts`.
    pub known_hosts: Vec<String>,
}

impl Way {
    /// The way of a kit.
    #[must_use]
    pub fn of(kit: &Kit) -> Self {
        let Kit { users, bastion, known_hosts, .. } = kit.clone();
        Self { users, bastion, known_hosts }
    }
}

/// Which hosts.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Where {
    /// A host.
    #[arg(long, value_name = "USER@ADDRESS[:PORT]")]
    pub host: Vec<String>,
    /// A kit: the hosts of its members.
    #[arg(long, value_name = "FILE")]
    pub group: Option<PathBuf>,
    /// A terraform state: the hosts of its ob_ objects.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// User that owns our files on hosts given by --host; default: the login user.
    #[arg(long = "as", value_name = "USER")]
    pub run_as: Option<String>,
    #[command(flatten)]
    pub ssh: Ssh,
}

impl Where {
    /// The hosts, their connector, and a context that reads them.
    ///
    /// # Errors
    /// No host is named, or a file cannot be read.
    pub fn open(
        &self,
        cancel: CancellationToken,
    ) -> Result<(Vec<Host>, Arc<dyn Connector>, Cx), Problem> {
        let mut hosts = Vec::new();
        let mut way = Way::default();
        for text in &self.host {
            hosts.push(Host {
                endpoint: endpoint(text)?,
                run_as: self.run_as.clone().unwrap_or_default(),
            });
        }
        if let Some(file) = &self.group {
            let kit = state_file::kit(file)?;
            hosts.extend(kit.members.values().map(|i| i.host.clone()));
            way = Way::of(&kit);
        }
        if let Some(file) = &self.state {
            hosts.extend(state_file::hosts(&state_file::load(file)?));
        }
        let mut known = std::collections::BTreeSet::new();
        hosts.retain(|h| {
            known.insert((
                h.endpoint.address.clone(),
                h.endpoint.port,
                h.endpoint.user.clone(),
                h.run_as.clone(),
            ))
        });
        if hosts.is_empty() {
            return Err(Problem::user("no host is named").fix(
                "give --host user@address, --group FILE (see `ob kit`) or --state \
                 terraform.tfstate",
            ));
        }
        let connector = self.ssh.connector(way, cancel.clone())?;
        let cx = Cx::new(connector.clone(), cancel, BTreeMap::new());
        Ok((hosts, connector, cx))
    }

    /// Whether the kit or the state says that a database was made in a directory of this host.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn claims(&self, host: &Host, directory: &str) -> Result<bool, Problem> {
        let at = (&*host.endpoint.address, host.endpoint.port);
        let kit = self.group.as_ref().map(|file| state_file::kit(file)).transpose()?;
        let by_kit = kit.is_some_and(|kit| {
            kit.members.values().any(|n| {
                let its = &n.host.endpoint;
                (&*its.address, its.port) == at && *n.directory == *directory
            })
        });
        let state = self.state.as_ref().map(|file| state_file::load(file)).transpose()?;
        Ok(by_kit || state.is_some_and(|state| state_file::has_database(&state, at, directory)))
    }
}

/// The hosts under names that tell them apart: where several share a name, the address stands beside
/// it. For people only.
#[must_use]
pub fn told_apart(mut hosts: Vec<Host>) -> Vec<Host> {
    let names: Vec<_> = hosts.iter().map(|h| h.endpoint.name.clone()).collect();
    for host in &mut hosts {
        let Endpoint { name, address, port, .. } = &mut host.endpoint;
        if names.iter().filter(|n| *n == name).count() > 1 {
            *name = format!("{name} ({address}:{port})");
        }
    }
    hosts
}

/// Looks at all hosts and warns about those that do not answer. At least one must answer.
///
/// # Errors
/// None answers.
pub async fn look(out: &Out, cx: &Cx, hosts: &[Host]) -> Result<Vec<Survey>, Problem> {
    let (good, bad) = inventory::look_any(cx, hosts).await?;
    bad.iter().for_each(|problem| out.warn(problem));
    Ok(good)
}

/// Takes `user@address:port` apart. An IPv6 address may stand in `[…]`.
///
/// # Errors
/// The text is no such thing.
pub fn endpoint(text: &str) -> Result<Endpoint, Problem> {
    let bad = |why: &str| {
        Problem::user(format!("\"{text}\" is no host"))
            .why(why.to_owned())
            .fix("write it as user@address or user@address:port, an IPv6 address in [ ]")
    };
    let (user, rest) = text.rsplit_once('@').unwrap_or(("", text));
    let (address, port) = match rest.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .map(|(a, p)| (a, p.strip_prefix(':')))
            .ok_or_else(|| bad("a ] is missing"))?,
        None if rest.matches(':').count() > 1 => (rest, None),
        None => rest.split_once(':').map_or((rest, None), |(a, p)| (a, Some(p))),
    };
    let port = port.map_or(Ok(22), str::parse).map_err(|_| bad("the port is no number"))?;
    if address.is_empty() {
        return Err(bad("it names no address"));
    }
    let address = Address::parse(address).map_err(|why| bad(&why))?;
    Ok(Endpoint {
        name: address.to_string(),
        address,
        port,
        user: user.to_owned(),
        identity: String::new(),
        host_key: String::new(),
    })
}

const DEFAULT: &str = "operator";

fn home(path: &str) -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from(path), |h| PathBuf::from(h).join(path))
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The user of the environment, else this machine's.
fn own_user() -> String {
    if let Some(user) = env("OB_SSH_USER") {
        return user;
    }
    std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "root".into())
}

impl Ssh {
    /// The hosts to go through: those of the command line, else those of the kit.
    ///
    /// # Errors
    /// One of them is no host.
    pub fn hops(&self, way: &Way) -> Result<Vec<Endpoint>, Problem> {
        if self.bastion.is_empty() {
            return Ok(way.bastion.clone());
        }
        self.bastion.iter().map(|text| endpoint(text)).collect()
    }

    /// How to log in, and whom to trust. `way` is the kit's.
    ///
    /// # Errors
    /// A key file is not there, or a bastion is no host.
    pub fn config(&self, way: &Way) -> Result<SshConfig, Problem> {
        self.config_in(way, &env)
    }

    /// The same with other variables of the environment.
    ///
    /// # Errors
    /// As [`Ssh::config`].
    pub fn config_in(
        &self,
        way: &Way,
        env: &impl Fn(&str) -> Option<String>,
    ) -> Result<SshConfig, Problem> {
        let passphrase = || env("OB_SSH_PASSPHRASE").map(crate::base::Secret::new);
        let identity = |key| Identity { user: None, key, certificate: None };
        let mut identities = BTreeMap::new();
        for given in &self.identity {
            let (name, path) = given.split_once('=').unwrap_or((DEFAULT, given));
            if !std::path::Path::new(path).is_file() {
                return Err(Problem::user(format!("there is no key file {path}"))
                    .fix("give --identity an existing key file"));
            }
            let file = KeySource::File { path: path.into(), passphrase: passphrase() };
            identities.insert(name.to_owned(), identity(file));
        }
        if !identities.contains_key(DEFAULT) {
            let mut diags = Diagnostics::default();
            let given = identity_of_environment(env, &mut diags);
            if let Some(bad) = diags.errors.into_iter().next() {
                return Err(Problem::user(bad.summary).why(bad.detail));
            }
            identities.extend(given.map(|i| (DEFAULT.to_owned(), i)));
        }
        identities.entry(DEFAULT.to_owned()).or_insert_with(|| {
            let agent = std::env::var_os("SSH_AUTH_SOCK").is_some_and(|s| !s.is_empty());
            let files = ["id_ed25519", "id_ecdsa", "id_rsa"].map(|f| home(&format!(".ssh/{f}")));
            let mut there: Vec<_> = files.iter().filter(|f| f.is_file()).cloned().collect();
            if there.is_empty() && !agent {
                there = files.into();
            }
            identity(KeySource::Own { agent, files: there, passphrase: passphrase() })
        });
        let mut bastion = self.hops(way)?;
        for hop in &mut bastion {
            if hop.user.is_empty() {
                let kit = way.users.get(&hop.identity).cloned();
                hop.user = self.user.clone().or(kit).unwrap_or_else(own_user);
            }
            if !identities.contains_key(&hop.identity) {
                DEFAULT.clone_into(&mut hop.identity);
            }
        }
        Ok(SshConfig {
            identities,
            known_hosts_files: vec![
                self.known_hosts
                    .clone()
                    .or_else(|| env("OB_SSH_KNOWN_HOSTS_FILE").map(PathBuf::from))
                    .unwrap_or_else(|| home(".ssh/known_hosts")),
            ],
            known_hosts_lines: way.known_hosts.clone(),
            policy: if self.accept_new { HostKeyPolicy::AcceptNew } else { HostKeyPolicy::Strict },
            bastion,
            ..SshConfig::default()
        })
    }

    /// Makes the connector.
    ///
    /// # Errors
    /// As [`Ssh::config`].
    pub fn connector(
        &self,
        way: Way,
        cancel: CancellationToken,
    ) -> Result<Arc<dyn Connector>, Problem> {
        let config = self.config(&way)?;
        Ok(Arc::new(Operator {
            names: config.identities.keys().cloned().collect(),
            pool: Pool::new(config, cancel),
            users: way.users,
            user: self.user.clone(),
        }))
    }
}

/// Logs in with the operator's own key on every host whose identity was not given on the command
/// line.
struct Operator {
    pool: Arc<Pool>,
    names: std::collections::BTreeSet<String>,
    users: BTreeMap<String, String>,
    user: Option<String>,
}

#[async_trait]
impl Connector for Operator {
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        let mut to = endpoint.clone();
        if to.user.is_empty() {
            to.user = self
                .user
                .clone()
                .or_else(|| self.users.get(&endpoint.identity).cloned())
                .unwrap_or_else(own_user);
        }
        if !self.names.contains(&to.identity) {
            DEFAULT.clone_into(&mut to.identity);
        }
        self.pool.connect(&to).await
    }
}

/// Who runs this, for the journal on the hosts.
#[must_use]
pub fn who() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user}@{} (ob)", rustix::system::uname().nodename().to_string_lossy())
}
