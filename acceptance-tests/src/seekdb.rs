//! Real seekdb packages for tests: fetched from PyPI once, kept outside the repository, and started
//! on lab hosts.
use crate::files;
use crate::host::Host;
use crate::lab::Lab;
use crate::process::Process;
use crate::registry::Kind;
use crate::run::{command, run};
use crate::story::turn::{self, Turn};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde::Serialize;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The versions that the stories use; their wheels contain the server. 1.4 refuses the store of
/// 1.3.
pub const VERSIONS: &[&str] = &["1.3.0.post5", "1.4.0", "1.4.0.post1"];

/// The version that stories use when the version does not matter.
pub const DEFAULT: &str = "1.4.0.post1";

/// The other supported family, which has stories of its own.
pub const OTHER: &str = "1.3.0.post5";

/// A package file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wheel {
    /// Version as PyPI names it.
    pub version: String,
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

/// The directory that keeps downloads: `OB_LAB_CACHE`, or else `~/.cache/ob-lab`.
#[must_use]
pub fn cache() -> PathBuf {
    match std::env::var_os("OB_LAB_CACHE") {
        Some(dir) => dir.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into()))
            .join(".cache/ob-lab"),
    }
}

/// Fetches the wheel of a version, or returns the one that was fetched before. Several processes
/// may call this at once.
///
/// `OB_LAB_WHEELS` may name a directory of wheels that is searched before PyPI.
///
/// # Errors
/// pip could not download it.
pub fn fetch(version: &str) -> Result<Wheel> {
    let dir = cache();
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lock = fs::File::create(dir.join("lock")).context("cannot create the cache's lock")?;
    lock.lock().context("cannot lock the cache")?;
    let seeds = std::env::var_os("OB_LAB_WHEELS").map(PathBuf::from);
    if let Some(path) = find(&dir, version).or_else(|| find(&seeds?, version)) {
        return wheel(version, path);
    }
    let partial = tempfile::tempdir_in(&dir).context("cannot make a directory for the download")?;
    let platform = format!("manylinux_2_28_{}", std::env::consts::ARCH);
    let to = partial.path().display().to_string();
    let wanted = format!("pylibseekdb=={version}");
    // Always the same build, whatever Python runs pip: the server in the wheel does not depend on
    // it.
    let words = [
        "python3",
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
        "--abi",
        "cp311",
        "--platform",
        &platform,
        "--dest",
        &to,
        &wanted,
    ];
    let out = run(&mut command(words), b"", Duration::from_secs(900))?;
    let Some(path) = find(partial.path(), version) else {
        bail!("cannot fetch {wanted} from PyPI: {}{}", out.stdout.trim(), out.stderr.trim());
    };
    let kept = dir.join(path.file_name().context("a wheel without a name")?);
    fs::rename(&path, &kept).with_context(|| format!("cannot keep {}", kept.display()))?;
    wheel(version, kept)
}

fn find(dir: &Path, version: &str) -> Option<PathBuf> {
    let start = format!("pylibseekdb-{version}-");
    fs::read_dir(dir).ok()?.flatten().map(|e| e.path()).find(|p| {
        p.file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|n| n.starts_with(&start) && n.ends_with(".whl"))
    })
}

fn wheel(version: &str, path: PathBuf) -> Result<Wheel> {
    let out = run(
        &mut command(["sha256sum", &path.display().to_string()]),
        b"",
        Duration::from_secs(60),
    )?
    .ok()?;
    let sha256 = out.split(' ').next().unwrap_or_default().to_owned();
    Ok(Wheel { version: version.to_owned(), path, sha256 })
}

/// The directory that holds `seekdb` and `libaio.so.1` of a version; the wheel is unpacked once.
///
/// # Errors
/// The wheel could not be fetched or read.
pub fn server(version: &str) -> Result<PathBuf> {
    let wheel = fetch(version)?;
    let dir = cache().join(format!("server-{version}"));
    let lock = fs::File::create(cache().join("lock")).context("cannot create the cache's lock")?;
    lock.lock().context("cannot lock the cache")?;
    if dir.join("complete").exists() {
        return Ok(dir);
    }
    let script = "import sys, zipfile, shutil, os
z = zipfile.ZipFile(sys.argv[1])
for name in ('seekdb', 'libaio.so.1'):
    with z.open('pylibseekdb/' + name) as a, open(os.path.join(sys.argv[2], name), 'wb') as b:
        shutil.copyfileobj(a, b, 1 << 20)
";
    files::dir(&dir, 0o755)?;
    run(
        &mut command([
            "python3",
            "-c",
            script,
            &wheel.path.display().to_string(),
            &dir.display().to_string(),
        ]),
        b"",
        Duration::from_secs(120),
    )?
    .ok()
    .with_context(|| format!("cannot unpack {}", wheel.path.display()))?;
    files::chmod(&dir.join("seekdb"), 0o755)?;
    files::write(dir.join("complete"), "", 0o644)?;
    Ok(dir)
}

/// Makes a version's server visible on every host of the lab; returns the program's path there.
///
/// # Errors
/// The server could not be fetched, or there is no room.
pub fn share(lab: &Lab, version: &str) -> Result<String> {
    let from = server(version)?;
    if lab.info().kind == Kind::Plain {
        return Ok(from.join("seekdb").display().to_string());
    }
    let name = format!("seekdb-{version}");
    let to = lab.info().dir.join("shared").join(&name);
    if !to.exists() {
        let partial = lab.info().dir.join("shared").join(format!(".{name}.partial"));
        files::dir(&partial, 0o755)?;
        for file in ["seekdb", "libaio.so.1"] {
            fs::copy(from.join(file), partial.join(file))
                .with_context(|| format!("cannot copy {file} into the lab"))?;
        }
        fs::rename(&partial, &to).context("cannot share the server")?;
    }
    Ok(format!("/lab/{name}/seekdb"))
}

/// The command line that starts a primary with small files that also serves standbys. The same line
/// starts it again.
#[must_use]
pub fn start_line(program: &str, base_dir: &str, port: u16) -> String {
    let rpc = port + 1;
    format!(
        "mkdir -p {base_dir} && cd {base_dir} && {program} --port {port} --base-dir {base_dir} \
         --parameter datafile_size=256M --parameter log_disk_size=2G --parameter memory_limit=2G \
         --parameter enable_rpc_service=True --parameter rpc_port={rpc} >/dev/null 2>&1 </dev/null"
    )
}

/// Ends every seekdb of a host at once and waits for the end: until then a new start exits with 96,
/// because the old server holds its files.
pub const END: &str = "pkill -9 -x seekdb; while pgrep -x seekdb >/dev/null; do sleep 0.05; done";

/// Starts an instance on a host with [`start_line`] and waits until it answers this machine.
///
/// # Errors
/// It did not start or did not serve within `limit`.
pub fn start(host: &Host, program: &str, base_dir: &str, port: u16, limit: Duration) -> Result<()> {
    let out = host.exec_for(&start_line(program, base_dir, port), b"", limit)?;
    if out.status != 0 {
        bail!(
            "seekdb on {} did not start: exit status {} {}",
            host.name(),
            out.status,
            out.stderr.trim()
        );
    }
    crate::sql::wait(host.at(port), limit)
        .with_context(|| format!("seekdb on {} does not serve", host.name()))
}

/// Makes a primary on the lab's first host and its standby on the second by hand; returns the path
/// of the program there.
///
/// # Errors
/// One of them does not serve. A young standby that ends by itself is begun again, up to three
/// times.
/// One of them did not serve; a young standby that ends by itself is begun again.
pub fn pair(lab: &Lab, base_dir: &str) -> Result<String> {
    let (a, b) = (lab.host(0), lab.host(1));
    let program = share(lab, DEFAULT)?;
    start(&a, &program, base_dir, 2881, Duration::from_secs(60))?;
    crate::sql::query(a.at(2881), "alter system minor freeze")?;
    let line = start_line(&program, base_dir, 2881);
    let line = line.split(" >/dev/null").next().unwrap_or_default();
    let standby = format!(
        "{line} --role STANDBY --parameter log_restore_source={}:2882 >/dev/null 2>&1 </dev/null",
        a.address()
    );
    for _ in 0..3 {
        b.exec(&format!("{END}; rm -rf {base_dir}"))?;
        b.exec(&standby)?;
        if crate::sql::wait(b.at(2881), Duration::from_secs(40)).is_ok() {
            return Ok(program);
        }
    }
    bail!("the hand-made standby never served")
}

/// A server on this machine for one test; it ends when the value is dropped.
pub struct Alone {
    dir: tempfile::TempDir,
    /// The address that the server listens on.
    pub at: SocketAddr,
    _turn: Turn,
}

impl Alone {
    /// Starts a server on a new store and waits until it serves.
    ///
    /// # Errors
    /// The server cannot be fetched, or does not serve.
    pub fn start() -> Result<Self> {
        Self::of(DEFAULT)
    }

    /// As [`Alone::start`], a server of this version.
    ///
    /// # Errors
    /// As [`Alone::start`].
    pub fn of(version: &str) -> Result<Self> {
        let turn = turn::take()?;
        let program = server(version)?.join("seekdb");
        let dir = tempfile::Builder::new().prefix("ob-sql-").tempdir_in("/tmp")?;
        let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (port, base) = (at.port().to_string(), dir.path().display().to_string());
        let mut words = vec!["--port", &port, "--base-dir", &base];
        for parameter in ["datafile_size=256M", "log_disk_size=2G", "memory_limit=2G"] {
            words.extend(["--parameter", parameter]);
        }
        let status = Command::new(program)
            .args(words)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot start seekdb")?;
        if !status.success() {
            bail!("seekdb did not start: {status}");
        }
        let server = Self { dir, at, _turn: turn };
        crate::sql::wait(at, Duration::from_secs(90))?;
        Ok(server)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.dir.path().join("run/seekdb.pid"));
        let process = pid.ok().and_then(|p| p.trim().parse().ok()).and_then(Process::of);
        // A server that has ended leaves its file behind, and its number may be another's now.
        let runs_here = |p: &Process| {
            fs::read_link(format!("/proc/{}/cwd", p.pid)).is_ok_and(|d| d == self.dir.path())
        };
        if let Some(process) = process.filter(runs_here) {
            process.signal(Signal::KILL);
            let _ = process.gone_within(Duration::from_secs(20));
        }
    }
}
