//! A real MariaDB with TLS for one test: it runs as an ordinary user on loopback, and ends when the
//! value is dropped.
use crate::files;
use crate::run::{command, run};
use crate::sql::{self, Login};
use anyhow::{Context, Result};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Name and password of the superuser of these servers.
pub const ADMIN: (&str, &str) = ("admin", "admin's");

/// A running server.
pub struct MariaDb {
    dir: tempfile::TempDir,
    process: Child,
    /// The address that the server listens on.
    pub at: SocketAddr,
}

/// The user `nobody`. The server runs as this user when the test is root, because it refuses to run
/// as root.
const NOBODY: u32 = 65534;

/// A program with arguments, run as an ordinary user.
fn ordinary(words: &[&str]) -> Command {
    let id = NOBODY.to_string();
    let become_nobody = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
    let root = rustix::process::geteuid().is_root();
    let mut all = if root { become_nobody.to_vec() } else { Vec::new() };
    all.extend(words);
    let mut command = command(all);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin")).stdin(Stdio::null());
    command
}

impl MariaDb {
    /// Makes a store and starts a server on it, with this certificate and key (PEM).
    ///
    /// # Errors
    /// MariaDB is not installed on this machine, or the server does not serve.
    pub fn start(certificate: &str, key: &str, options: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("ob-mariadb-").tempdir_in("/tmp")?;
        let init = format!(
            "CREATE USER IF NOT EXISTS '{0}'@'127.0.0.1' IDENTIFIED BY '{1}';\n\
             GRANT ALL ON *.* TO '{0}'@'127.0.0.1' WITH GRANT OPTION;\n",
            ADMIN.0,
            ADMIN.1.replace('\'', "''")
        );
        for (name, text) in [("cert.pem", certificate), ("key.pem", key), ("init.sql", &init)] {
            files::write(dir.path().join(name), text, 0o644)?;
        }
        files::chmod(dir.path(), 0o755)?;
        let data = dir.path().join("data");
        files::dir(&data, 0o700)?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY))?;
        }
        let at = format!("--datadir={}", data.display());
        // Nothing is forced to the disk: no test here loses power.
        let words = [
            "mariadb-install-db",
            "--no-defaults",
            &at,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-flush-method=nosync",
        ];
        run(&mut ordinary(&words), b"", Duration::from_secs(180))?
            .ok()
            .context("mariadb-install-db (see setup.sh)")?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = spawn(dir.path(), address, options)?;
        let server = Self { dir, process, at: address };
        server.serves()?;
        Ok(server)
    }

    /// Starts the server again with other options.
    ///
    /// # Errors
    /// The server does not serve again.
    pub fn restart(&mut self, options: &[&str]) -> Result<()> {
        self.end();
        self.process = spawn(self.dir.path(), self.at, options)?;
        self.serves()
    }

    fn serves(&self) -> Result<()> {
        sql::wait(self.admin(), Duration::from_secs(120)).with_context(|| {
            std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
        })
    }

    /// The superuser's login.
    #[must_use]
    pub fn admin(&self) -> Login {
        Login { at: self.at, user: ADMIN.0.into(), password: Some(ADMIN.1.into()) }
    }

    /// Runs a statement as the superuser.
    ///
    /// # Errors
    /// The server refused it.
    pub fn run(&self, statement: &str) -> Result<Vec<Vec<String>>> {
        sql::query(self.admin(), statement)
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(dir: &Path, at: SocketAddr, options: &[&str]) -> Result<Child> {
    let path = |option: &str, name: &str| format!("--{option}={}", dir.join(name).display());
    let log = std::fs::File::create(dir.join("log"))?;
    let mut words = vec!["mariadbd".to_owned(), "--no-defaults".into()];
    words.extend([
        path("datadir", "data"),
        path("socket", "data/s"),
        path("pid-file", "data/pid"),
        path("init-file", "init.sql"),
        path("ssl-cert", "cert.pem"),
        path("ssl-key", "key.pem"),
        format!("--bind-address={}", at.ip()),
        format!("--port={}", at.port()),
    ]);
    let fixed = ["--skip-name-resolve", "--innodb-buffer-pool-size=8M", "--performance-schema=0"];
    words.extend(fixed.iter().chain(options).map(|o| (*o).to_owned()));
    words.push("--innodb-flush-method=nosync".into());
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    ordinary(&words)
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        .spawn()
        .context("cannot start mariadbd (see setup.sh)")
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.end();
    }
}
