//! (c) one cold command, (d) ten commands on each of twenty hosts: the product's transport library
//! beside its peers. Both sides start a new process each time.
use super::fleet::{Fleet, Job};
use super::{LIMIT, Table, Way, interleave, seconds};
use crate::outside::repository;
use crate::run::{command, run};
use anyhow::{Context, Result, ensure};
use ob::transport::config::{HostKeyPolicy, Identity, KeySource, SshConfig};
use ob::transport::{Connector, Endpoint, Pool, Script};
use std::path::PathBuf;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What `ob-bench exec` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Exec {
    /// File with one address a line.
    #[arg(long)]
    hosts: PathBuf,
    /// Private key.
    #[arg(long)]
    key: PathBuf,
    /// Known hosts.
    #[arg(long)]
    known_hosts: PathBuf,
    /// The script to run on each host, as one file.
    script: PathBuf,
}

impl Exec {
    /// Runs the script on all hosts at once through the product's transport, and prints the output
    /// of each.
    ///
    /// # Errors
    /// A host could not be reached, or its script failed.
    pub fn run(&self) -> Result<()> {
        let text = std::fs::read_to_string(&self.script).context("cannot read the script")?;
        let hosts = std::fs::read_to_string(&self.hosts).context("cannot read the hosts")?;
        let key = KeySource::File { path: self.key.clone(), passphrase: None };
        let config = SshConfig {
            known_hosts_lines: Vec::new(),
            identities: [(
                "bench".to_owned(),
                Identity { user: Some("root".into()), key, certificate: None },
            )]
            .into(),
            known_hosts_files: vec![self.known_hosts.clone()],
            policy: HostKeyPolicy::Strict,
            bastion: Vec::new(),
            algorithms: None,
            observe: false,
            later: false,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        runtime.block_on(async {
            let pool = Pool::new(config, CancellationToken::new());
            let mut all = JoinSet::new();
            for address in hosts.split_whitespace() {
                let endpoint = Endpoint {
                    name: address.into(),
                    address: address.parse().map_err(anyhow::Error::msg)?,
                    port: 22,
                    user: "root".into(),
                    identity: "bench".into(),
                    host_key: String::new(),
                };
                let (pool, script) = (pool.clone(), Script::read(&text));
                all.spawn(async move { pool.connect(&endpoint).await?.run(&script).await });
            }
            while let Some(done) = all.join_next().await {
                let out = done.context("a task broke down")??;
                ensure!(out.status == 0, "exit status {}: {}", out.status, out.stderr);
                print!("{}", out.stdout);
            }
            Ok(())
        })
    }
}

/// Runs `ob-bench exec` as a process of its own.
fn ours(fleet: &Fleet, script: &str) -> Result<()> {
    let me =
        std::env::current_exe().context("cannot tell what program this is")?.display().to_string();
    let at = |p: &std::path::Path| p.display().to_string();
    let info = fleet.lab.info();
    let words = [
        &me,
        "exec",
        "--hosts",
        &at(&fleet.dir.path().join("hosts")),
        "--key",
        &at(&info.key),
        "--known-hosts",
        &at(&info.known_hosts),
        script,
    ];
    run(&mut command(words), b"", LIMIT)?.ok().map(drop)
}

fn compare(
    fleet: &Fleet,
    rounds: usize,
    script: &str,
    peers: &[(&str, &[&str])],
) -> Vec<super::Row> {
    let mut ways = vec![Way::new("ob transport", || seconds(|| ours(fleet, script)))];
    for (name, words) in peers {
        ways.push(Way::new(*name, move || {
            // This directory holds the connections that ansible keeps. Without it the next round
            // begins cold.
            let _ = std::fs::remove_dir_all(fleet.dir.path().join("ansible"));
            seconds(|| fleet.peer(words, &Job::default()))
        }));
    }
    interleave(rounds, ways)
}

/// (c): one command on one host, cold.
///
/// # Errors
/// The lab cannot be made.
pub fn one(rounds: usize) -> Result<Vec<Table>> {
    let fleet = Fleet::up(1)?;
    let script = fleet.dir.path().join("true.sh");
    std::fs::write(&script, "true\n").context("cannot write a script")?;
    let peers: [(&str, &[&str]); 4] = [
        ("OpenSSH", &["sh", "openssh/one.sh"]),
        ("pyinfra", &["pyinfra", "-y", "pyinfra/inventory.py", "exec", "--", "true"]),
        ("ansible", &["ansible", "-i", "INVENTORY", "all", "-m", "command", "-a", "true"]),
        ("parallel-ssh", &["python", "pssh/job.py", "one"]),
    ];
    let rows = compare(&fleet, rounds, &script.display().to_string(), &peers);
    Ok(vec![Table::new("(c) one cold command on one host, start of the process included", rows)])
}

/// (d): ten commands on each of twenty hosts.
///
/// # Errors
/// The lab cannot be made.
pub fn many(rounds: usize) -> Result<Vec<Table>> {
    let fleet = Fleet::up(20)?;
    let script = repository().join("acceptance-tests/bench/commands.txt").display().to_string();
    let peers: [(&str, &[&str]); 5] = [
        ("OpenSSH + xargs, one script", &["sh", "openssh/commands.sh"]),
        ("parallel-ssh, ten commands", &["python", "pssh/job.py", "commands"]),
        (
            "pyinfra, ten operations",
            &["pyinfra", "-y", "pyinfra/inventory.py", "pyinfra/commands.py"],
        ),
        ("ansible, one script", &["ansible-playbook", "-i", "INVENTORY", "ansible/script.yml"]),
        ("ansible, ten tasks", &["ansible-playbook", "-i", "INVENTORY", "ansible/commands.yml"]),
    ];
    let rows = compare(&fleet, rounds, &script, &peers);
    Ok(vec![Table::new("(d) ten commands on each of twenty hosts, output collected", rows)])
}
