//! (a) the first deploy on ten hosts; (b) the same again with nothing to do, and the way back to a
//! package that is already there.
//!
//! Ours goes through the real terraform and the real provider. It also makes accounts, sets root's
//! password, writes marks, gates and journals, and waits until SQL answers. Peers copy the files,
//! write the start script, start the server, and wait for the port.
use super::fleet::{BASE, DEPLOYERS, Fleet, Job};
use super::{LIMIT, Row, Table, Way, interleave, seconds, wanted};
use crate::story::{Cluster, Config};
use crate::terraform::{Source, Terraform};
use crate::{Host, seekdb};
use anyhow::{Context, Result};
use std::cell::Cell;
use std::fmt::Write;
use std::time::Duration;

const HOSTS: usize = 10;
/// The current package and the one before it.
const VERSIONS: [&str; 2] = [seekdb::DEFAULT, "1.4.0"];

/// The configuration: a cluster on each host, with the package from the data source, as users write
/// it.
fn config(version: &str, initialize: bool) -> Result<Config> {
    let mut config = Config::single();
    config.clusters.clear();
    config.protect = false;
    let wheel = seekdb::fetch(version)?;
    let _ = writeln!(
        config.more,
        "data \"ob_package\" \"p\" {{\n  files = [{{ path = {:?}, sha256 = {:?} }}]\n}}",
        wheel.path, wheel.sha256
    );
    for n in 0..HOSTS {
        let name = format!("c{n}");
        let mut cluster = Cluster::new(&name, n, initialize);
        cluster.package = Some("data.ob_package.p.package".to_owned());
        config.clusters.insert(name, cluster);
    }
    Ok(config)
}

fn terraform(fleet: &Fleet) -> Result<Terraform> {
    Ok(Terraform::new(&fleet.dir.path().join("ours"), Source::Override)?.limit(LIMIT))
}

/// Writes the configuration; this is not measured.
fn want(tf: &Terraform, fleet: &Fleet, version: &str, initialize: bool) -> Result<()> {
    tf.write("main.tf", &config(version, initialize)?.render(&fleet.lab)?).map(drop)
}

fn apply(tf: &Terraform, fleet: &Fleet, version: &str, initialize: bool) -> Result<()> {
    want(tf, fleet, version, initialize)?;
    tf.apply().map(drop)
}

/// Terraform by itself, with as many objects that do nothing.
fn alone(tf: &Terraform) -> Result<()> {
    tf.write(
        "main.tf",
        &format!(
            "resource \"terraform_data\" \"x\" {{\n  count = {HOSTS}\n  \
             input = {{ name = \"x\" }}\n}}\n"
        ),
    )?;
    tf.apply().map(drop)
}

fn job(version: &str, start: bool) -> Result<Job> {
    Ok(Job { files: seekdb::server(version)?, start })
}

/// The bare start of the servers on all hosts at once, with their files already there: no tool can
/// do without it.
fn bare(fleet: &Fleet) -> Result<f64> {
    for version in [seekdb::DEFAULT] {
        let program = seekdb::share(&fleet.lab, version)?;
        for host in fleet.lab.hosts() {
            host.exec(&format!(
                "mkdir -p {BASE} && cp {program} $(dirname {program})/libaio.so.1 /data/"
            ))?
            .ok()?;
        }
    }
    seconds(|| {
        let start = |host: Host| {
            std::thread::spawn(move || {
                seekdb::start(&host, "/data/seekdb", BASE, 2881, Duration::from_secs(300))
            })
        };
        let all: Vec<_> = fleet.lab.hosts().into_iter().map(start).collect();
        all.into_iter()
            .try_for_each(|t| t.join().unwrap_or_else(|_| anyhow::bail!("a start broke down")))
    })
}

/// First deploys, each on new hosts.
fn first(rounds: usize, start: bool) -> Vec<Row> {
    let ours = Way::new("ob_cluster by terraform apply", move || {
        let fleet = Fleet::up(HOSTS)?;
        let tf = terraform(&fleet)?;
        want(&tf, &fleet, seekdb::DEFAULT, start)?;
        seconds(|| tf.apply().map(drop))
    });
    let mut ways = vec![ours];
    for (name, words) in DEPLOYERS {
        ways.push(Way::new(name, move || {
            let fleet = Fleet::up(HOSTS)?;
            let job = job(seekdb::DEFAULT, start)?;
            seconds(|| fleet.peer(words, &job))
        }));
    }
    if start {
        ways.push(Way::new("(bare start of the ten servers, files already there)", || {
            bare(&Fleet::up(HOSTS)?)
        }));
    }
    ways.push(Way::new("(terraform alone, ten terraform_data)", || {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let tf = Terraform::new(dir.path(), Source::Override)?;
        seconds(|| alone(&tf))
    }));
    interleave(rounds, ways)
}

/// (a): the first deploy, without and with the start of the servers. Ten real servers that start on
/// a few cores take most of the time, whoever starts them. The table without the start shows what
/// the tools do; the other one has a third of the rounds.
///
/// # Errors
/// Never; a way that fails says so in its row.
pub fn fresh(rounds: usize) -> Result<Vec<Table>> {
    Ok(vec![
        Table::new("(a) deploy on ten hosts: 139 MB file and config", first(rounds, false)),
        Table::new(
            "(a') the same with the start of ten real servers and the wait for their ports",
            first(rounds.div_ceil(3), true),
        ),
    ])
}

/// (b): the same again with nothing to do, and the change to a package that is already there.
///
/// # Errors
/// The first deploy failed.
pub fn again(rounds: usize) -> Result<Vec<Table>> {
    let table = Table::new("(b) the same again with nothing to do, servers running", idle(rounds)?);
    Ok(vec![
        table,
        Table::new(
            "(b') change to the other of two packages, both deployed before, servers not started",
            back(rounds)?,
        ),
    ])
}

fn idle(rounds: usize) -> Result<Vec<Row>> {
    let fleet = &Fleet::up(HOSTS)?;
    let tf = terraform(fleet)?;
    apply(&tf, fleet, seekdb::DEFAULT, true)?;
    let dir = tempfile::tempdir().context("cannot make a directory")?;
    let other = Terraform::new(dir.path(), Source::Override)?;
    alone(&other)?;
    let mut ways =
        vec![Way::new("ob_cluster by terraform apply", || seconds(|| tf.apply().map(drop)))];
    // OpenSSH has no "copy when different". The other peers find the servers that ours started.
    for (name, words) in DEPLOYERS.into_iter().filter(|d| d.0 != "OpenSSH + xargs" && wanted(d.0)) {
        let job = job(seekdb::DEFAULT, true)?;
        fleet.peer(words, &job).with_context(|| format!("the first deploy by {name}"))?;
        ways.push(Way::new(name, move || seconds(|| fleet.peer(words, &job))));
    }
    ways.push(Way::new("(terraform alone, ten terraform_data)", || {
        seconds(|| other.apply().map(drop))
    }));
    Ok(interleave(rounds, ways))
}

fn back(rounds: usize) -> Result<Vec<Row>> {
    let fleet = &Fleet::up(HOSTS)?;
    let tf = &terraform(fleet)?;
    for version in VERSIONS {
        apply(tf, fleet, version, false)?;
    }
    let turn = Cell::new(0);
    let ours = Way::new("ob_cluster by terraform apply", move || {
        let version = VERSIONS[turn.replace(turn.get() + 1) % 2];
        want(tf, fleet, version, false)?;
        seconds(|| tf.apply().map(drop))
    });
    let mut ways = vec![ours];
    for (name, words) in DEPLOYERS.into_iter().filter(|d| wanted(d.0)) {
        for version in VERSIONS {
            fleet
                .peer(words, &job(version, false)?)
                .with_context(|| format!("the first deploy by {name}"))?;
        }
        let turn = Cell::new(0);
        ways.push(Way::new(name, move || {
            let version = VERSIONS[turn.replace(turn.get() + 1) % 2];
            // The way before may have left either version, so the file that is to be replaced is
            // put there first.
            let job = job(version, false)?;
            fleet.lab.hosts().iter().try_for_each(|h| {
                h.exec("echo other > /data/seekdb; touch -d @1 /data/seekdb")
                    .and_then(crate::Output::ok)
                    .map(drop)
            })?;
            seconds(|| fleet.peer(words, &job))
        }));
    }
    Ok(interleave(rounds, ways))
}
