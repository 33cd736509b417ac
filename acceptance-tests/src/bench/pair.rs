//! (f) the deploy of one seekdb beside its bare start, and the write gap of a switchover beside the
//! bare SQL statements.
use super::{LIMIT, Table, Way, interleave, seconds};
use crate::story::{Cluster, Config, config, nothing_lost};
use crate::terraform::{Source, Terraform};
use crate::writer::{self, Writer};
use crate::{Host, Lab, seekdb, sql};
use anyhow::{Context, Result};
use std::cell::Cell;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(90);
const BASE: &str = "/home/admin/db";

/// The tables of a single server and of a pair.
///
/// # Errors
/// A pair does not come up.
pub fn all(rounds: usize) -> Result<Vec<Table>> {
    let deploys = interleave(
        rounds,
        vec![
            Way::new("ob_cluster by terraform apply, package copied", deploy),
            Way::new("bare start, files already there", bare_start),
        ],
    );
    Ok(vec![
        Table::new("(f) deploy of one seekdb", deploys),
        Table::new("(f) write gap of a planned switchover, 100 rows a second", gaps(rounds)?)
            .unit("ms"),
    ])
}

fn deploy() -> Result<f64> {
    let lab = Lab::up(1)?;
    let dir = tempfile::tempdir().context("cannot make a directory")?;
    let tf = Terraform::new(dir.path(), Source::Override)?.limit(LIMIT);
    tf.write("main.tf", &Config::single().render(&lab)?)?;
    seconds(|| tf.apply().map(drop))
}

fn bare_start() -> Result<f64> {
    let lab = Lab::up(1)?;
    let program = seekdb::share(&lab, seekdb::DEFAULT)?;
    seconds(|| seekdb::start(&lab.host(0), &program, BASE, 2881, SOON))
}

/// The longest time, in ms, without an acknowledged row while `work` moves the role. A lost row is
/// an error.
fn gap(servers: &[sql::Login], work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let writer =
        Writer::start(writer::Config { servers: servers.to_vec(), ..writer::Config::new([]) })?;
    writer.wait_for(100, SOON)?;
    work()?;
    writer.wait_for(100, SOON)?;
    let report = writer.stop()?;
    nothing_lost(&report)?;
    Ok(report.longest_gap_ms)
}

fn gaps(rounds: usize) -> Result<Vec<super::Row>> {
    let ours = &Lab::up(2)?;
    let dir = tempfile::tempdir().context("cannot make a directory")?;
    let tf = &Terraform::new(dir.path(), Source::Override)?.limit(LIMIT);
    let mut pair = Config::pair();
    pair.clusters.values_mut().for_each(|c: &mut Cluster| c.allow.clear());
    tf.write("main.tf", &pair.render(ours)?)?;
    tf.apply()?;
    let login = |h: Host| sql::Login {
        at: h.at(2881),
        user: "root".into(),
        password: Some(config::PASSWORD.into()),
    };
    let servers: Vec<_> = ours.hosts().into_iter().map(login).collect();
    let turn = Cell::new(0);
    let by_terraform = Way::new("ob_standby by terraform apply", move || {
        let to = ["b", "a"][turn.replace(turn.get() + 1) % 2];
        tf.write("main.tf", &pair.clone().primary(to).render(ours)?)?;
        gap(&servers, || tf.apply().map(drop))
    });
    // A new pair each time: a fenced process is never opened again (4179), and its restart is no
    // part of the gap.
    let by_sql = Way::new("bare SQL: source, switchover to standby, switchover to primary", || {
        let theirs = by_hand()?;
        let (old, new) = (theirs.host(0), theirs.host(1));
        let all: Vec<_> = theirs.hosts().iter().map(|h| sql::Login::from(h.at(2881))).collect();
        gap(&all, || {
            sql::query(
                old.at(2881),
                &format!("alter system set log_restore_source = '{}:2882'", new.address()),
            )?;
            sql::query(old.at(2881), "alter system switchover to standby")?;
            sql::query(new.at(2881), "alter system switchover to primary").map(drop)
        })
    });
    Ok(interleave(rounds, vec![by_terraform, by_sql]))
}

/// Makes a pair without the provider.
fn by_hand() -> Result<Lab> {
    let lab = Lab::up(2)?;
    seekdb::pair(&lab, BASE)?;
    Ok(lab)
}
