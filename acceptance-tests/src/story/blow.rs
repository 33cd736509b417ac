//! Strikes with one fault at one point: starts terraform with the point armed, strikes when it is
//! reached, and lets it go on.
use super::{Story, login};
use crate::process::until;
use crate::terraform::Running;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Duration;

pub use ob::engine::fault::Point;

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// `kill -9` of the provider.
    KillProvider,
    /// `kill -9` of terraform.
    KillTerraform,
    /// Ctrl-C.
    CtrlC,
    /// Ctrl-C twice: terraform gives up without waiting.
    CtrlCTwice,
    /// The host loses its power, and boots when terraform has ended.
    PowerLoss,
    /// The host's network is cut, and healed when terraform has ended.
    Partition,
}

impl Blow {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::KillProvider,
        Self::KillTerraform,
        Self::CtrlC,
        Self::CtrlCTwice,
        Self::PowerLoss,
        Self::Partition,
    ];
}

/// One fault at one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Kind of the step.
    pub kind: String,
    /// The point in the step.
    pub point: Point,
    /// The fault.
    pub blow: Blow,
    /// Index of the host that suffers the fault, where the point itself does not name a host.
    pub host: usize,
}

/// How a strike went.
#[derive(Debug)]
pub enum Struck {
    /// The point was reached; the text is what terraform printed.
    Hit(String),
    /// The command ended before the point; its exit status and output.
    Missed(i32, String),
}

/// How long it may take to reach a point.
const REACH: Duration = Duration::from_secs(300);
/// How long a struck command may take to end: faults of hosts end only with the time-outs of
/// connections.
const END: Duration = Duration::from_secs(200);

/// Runs `terraform ARGS` with the point armed and strikes when the point is reached. `at_point`
/// runs just before the strike. Then waits until the command and its providers have ended.
///
/// # Errors
/// The command does not end, or a provider outlives its terraform.
pub fn strike(
    s: &Story,
    args: &[&str],
    strike: &Strike,
    at_point: impl FnOnce() -> Result<()>,
) -> Result<Struck> {
    let word = format!("{}:{}", strike.kind, strike.point.as_str());
    let mark = s.dir.path().join("fault.mark");
    let _ = std::fs::remove_file(&mark);
    let on_host = matches!(strike.point, Point::Began | Point::Effected);
    let mut tf = s.tf.clone();
    if on_host {
        for host in s.lab.hosts().iter().filter(|h| h.is_on()) {
            arm(host, &word)?;
        }
    } else {
        tf = tf.env("OB_FAULT", &word).env("OB_FAULT_MARK", mark.display().to_string());
    }
    let hits: Vec<PathBuf> =
        s.lab.hosts().iter().map(|h| h.path(&login::own("fault.hit"))).collect();
    let hit = || {
        if on_host {
            hits.iter().position(|p| p.exists())
        } else {
            mark.exists().then_some(strike.host)
        }
    };
    let mut run = tf.start(args)?;
    let reached = until(REACH, || hit().is_some() || run.ended());
    let at = hit();
    disarm(s);
    let Some(at) = at else {
        if !reached {
            bail!(
                "{word} was not reached and the command did not end within {REACH:?}: {}",
                run.printed()
            );
        }
        let out = run.wait(END)?;
        return Ok(Struck::Missed(out.status, out.stdout + &out.stderr));
    };
    at_point()?;
    let providers = run.providers();
    let host = s.host(at);
    land(&mut run, strike.blow, &host)?;
    // Let go: whatever was struck goes on as far as it can. A killed provider leaves its script
    // waiting on the host.
    let _ = std::fs::remove_file(&mark);
    if strike.blow != Blow::KillProvider {
        for hit in &hits {
            let _ = std::fs::remove_file(hit);
        }
    }
    let out = run.wait(END).with_context(|| format!("{word} under {:?}", strike.blow))?;
    for provider in providers {
        if !provider.gone_within(Duration::from_secs(30)) {
            bail!(
                "the provider (pid {}) outlives its terraform by 30 s after {:?} at {word}",
                provider.pid,
                strike.blow
            );
        }
    }
    match strike.blow {
        Blow::PowerLoss => host.boot()?,
        Blow::Partition => host.heal()?,
        _ => {}
    }
    Ok(Struck::Hit(out.stdout + &out.stderr))
}

fn land(run: &mut Running, blow: Blow, host: &crate::Host) -> Result<()> {
    match blow {
        Blow::KillProvider => run.kill_provider(),
        Blow::KillTerraform => {
            run.kill_terraform();
            Ok(())
        }
        Blow::CtrlC => {
            run.interrupt();
            Ok(())
        }
        Blow::CtrlCTwice => {
            run.interrupt();
            std::thread::sleep(Duration::from_millis(300));
            run.interrupt();
            Ok(())
        }
        Blow::PowerLoss => host.kill(),
        Blow::Partition => host.cut(),
    }
}

/// Arms a point: the next effect on `host` that reaches it stops there.
fn arm(host: &crate::Host, word: &str) -> Result<()> {
    let (user, dir) = (login::user(), login::own(""));
    host.exec(&format!(
        "install -d -m 700 -o {user} -g {user} {dir} && rm -f {dir}/fault.hit && \
         echo {word} > {dir}/fault"
    ))?
    .ok()
    .map(drop)
}

/// Disarms the points on all hosts.
pub fn disarm(s: &Story) {
    for host in s.lab.hosts() {
        let _ = std::fs::remove_file(host.path(&login::own("fault")));
    }
}
