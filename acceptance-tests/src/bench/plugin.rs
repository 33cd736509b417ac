//! (f) the plugin by itself: the time until its handshake line, its memory at that point, and plans
//! of 300 resources.
use super::objects::{head, server};
use super::{LIMIT, Row, Table, Way, interleave, seconds};
use crate::run::{command, run};
use crate::terraform::{Source, Terraform, provider};
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// go-plugin's magic cookie: it tells a program that it is started as a plugin.
const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// A plugin process; it ends when the value is dropped.
struct Plugin(Child);

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate like those of go-plugin's clients.
fn certificate() -> Result<String> {
    let words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-521 -nodes -keyout \
                 /dev/null -subj /CN=localhost -days 2";
    run(&mut command(words.split(' ')), b"", Duration::from_secs(20))?
        .ok()
        .context("cannot make a certificate")
}

/// Starts the plugin; returns the milliseconds until its handshake line and its peak memory in MiB.
fn start(certificate: &str) -> Result<(f64, f64)> {
    let begun = Instant::now();
    let child = Command::new(provider()?)
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
        .env("PLUGIN_CLIENT_CERT", certificate)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the provider")?;
    let mut plugin = Plugin(child);
    let mut line = String::new();
    BufReader::new(plugin.0.stdout.take().context("no output")?).read_line(&mut line)?;
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    ensure!(line.starts_with("1|6|unix|"), "no handshake: {line:?}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", plugin.0.id()))
        .context("cannot read its memory")?;
    let peak = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|v| v.trim().trim_end_matches(" kB").parse::<f64>().ok());
    Ok((took, peak.context("no VmHWM")? / 1024.0))
}

/// The plugin's tables.
///
/// # Errors
/// The plugin or the server does not start.
pub fn all(rounds: usize) -> Result<Vec<Table>> {
    let certificate = certificate()?;
    let starts = (0..rounds * 4).map(|_| start(&certificate)).collect::<Result<Vec<_>>>()?;
    let (times, memory) = starts.into_iter().unzip();
    let (_lab, at) = server()?;
    let ours = "resource \"ob_database\" \"d\" {\n  count = 300\n  \
                name = format(\"d%03d\", count.index)\n  endpoint = local.at\n}\n";
    let floor = "resource \"terraform_data\" \"d\" {\n  count = 300\n  \
                 input = { name = format(\"d%03d\", count.index), at = local.at }\n}\n";
    let dirs = [ours, floor].map(|text| (tempfile::tempdir(), head(at) + text));
    let mut all = Vec::new();
    for (dir, text) in &dirs {
        let dir = dir.as_ref().map_err(|e| anyhow::anyhow!("cannot make a directory: {e}"))?;
        let tf = Terraform::new(dir.path(), Source::Override)?.limit(LIMIT);
        tf.write("main.tf", text)?;
        all.push(tf);
    }
    let [ours, floor] = &all[..] else { return Ok(Vec::new()) };
    let new = |tf: &Terraform| seconds(|| tf.plan().map(drop));
    let first = interleave(
        rounds,
        vec![Way::new("ob_database", || new(ours)), Way::new("terraform_data", || new(floor))],
    );
    for tf in &all {
        tf.apply()?;
    }
    let settled = |tf: &Terraform| seconds(|| tf.settled());
    let second = interleave(
        rounds,
        vec![
            Way::new("ob_database", || settled(ours)),
            Way::new("terraform_data", || settled(floor)),
        ],
    );
    Ok(vec![
        Table::new(
            "(f) start of the plugin to its handshake line",
            vec![Row::of("terraform-provider-ob", times)],
        )
        .unit("ms"),
        Table::new(
            "(f) peak memory at the handshake",
            vec![Row::of("terraform-provider-ob", memory)],
        )
        .unit("MiB"),
        Table::new("(f) plan of 300 new resources", first),
        Table::new("(f) plan of 300 resources that are there, each read", second),
    ])
}
