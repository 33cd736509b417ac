//! Real sshds on loopback for tests: own keys, own configuration, ended by pid.
use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A private folder with keys. Everything in it goes away with it.
pub struct Keys {
    pub dir: tempfile::TempDir,
}

impl Keys {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("ob-ssh").tempdir_in("/tmp").unwrap();
        // sshd's StrictModes wants every folder above authorized_keys closed to others.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let keys = Self { dir };
        keys.key("user", "ed25519", "");
        keys.key("host", "ed25519", "");
        keys
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap().trim().to_owned()
    }
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
    /// Makes a key pair; `passphrase` may be empty.
    pub fn key(&self, name: &str, kind: &str, passphrase: &str) -> PathBuf {
        self.keygen(&[
            "-q",
            "-t",
            kind,
            "-N",
            passphrase,
            "-C",
            name,
            "-f",
            self.path(name).to_str().unwrap(),
        ]);
        self.path(name)
    }
    pub fn keygen(&self, args: &[&str]) {
        let out = Command::new("ssh-keygen")
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "ssh-keygen {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
    /// The public host key as `known_hosts` and `host_key` write it.
    pub fn public(&self, name: &str) -> String {
        self.read(&format!("{name}.pub")).split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }
}

/// One running sshd.
pub struct Sshd {
    pub port: u16,
    child: Child,
}

impl Sshd {
    /// Starts one with `host` as its host key and `user.pub` authorized; `extra` lines come first
    /// and win.
    pub fn start(keys: &Keys, extra: &str) -> Self {
        std::fs::create_dir_all("/run/sshd").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let sshd = Self::start_on(keys, port, extra);
        sshd.wait_ready();
        sshd
    }
    pub fn start_on(keys: &Keys, port: u16, extra: &str) -> Self {
        let dir = keys.dir.path().display();
        if !keys.path("authorized_keys").exists() {
            std::fs::copy(keys.path("user.pub"), keys.path("authorized_keys")).unwrap();
        }
        // A HOME of its own: the login shell's start files of this machine are not part of the
        // test.
        let config = format!(
            "{extra}\n\
             ListenAddress 127.0.0.1\n\
             Port {port}\n\
             HostKey {dir}/host\n\
             AuthorizedKeysFile {dir}/authorized_keys\n\
             PidFile none\n\
             UsePAM no\n\
             UseDNS no\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\n\
             StrictModes no\n\
             PrintLastLog no\n\
             SetEnv HOME={dir}\n"
        );
        let file = keys.write(&format!("sshd_config.{port}"), &config);
        let child = Command::new("/usr/sbin/sshd")
            .arg("-D")
            .arg("-f")
            .arg(&file)
            .arg("-E")
            .arg(keys.path("sshd.log"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { port, child }
    }
    fn wait_ready(&self) {
        for _ in 0..400 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("sshd did not come up on port {}", self.port);
    }
    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            name: format!("host-{}", self.port),
            address: "127.0.0.1".parse().unwrap(),
            port: self.port,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        }
    }
    /// The listener and its sessions (their own groups, found as children).
    pub fn pids(&self) -> Vec<i32> {
        let mut all = vec![self.child.id().cast_signed()];
        let mut next = 0;
        while let Some(pid) = all.get(next).copied() {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
                .unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|p| p.parse::<i32>().ok()));
            next += 1;
        }
        all
    }
    pub fn signal(&self, signal: rustix::process::Signal) {
        for pid in self.pids() {
            let _ =
                rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal);
        }
    }
    /// How many connections are logged in or logging in now.
    pub fn connections(&self) -> usize {
        let pid = self.child.id();
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
            .unwrap_or_default()
            .split_whitespace()
            .count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Log in as root with the key in `keys/user`, trusting nothing yet.
pub fn config(keys: &Keys) -> SshConfig {
    let identity = Identity {
        user: Some("root".into()),
        key: KeySource::File { path: keys.path("user"), passphrase: None },
        certificate: None,
    };
    SshConfig {
        identities: BTreeMap::from([("main".into(), identity)]),
        known_hosts_files: vec![keys.path("known_hosts")],
        ..SshConfig::default()
    }
}

/// Short limits, so that failing connections fail fast.
pub fn quick() -> pool::Patience {
    pool::Patience {
        connect: Duration::from_secs(3),
        refused: Duration::from_millis(500),
        dropped: Duration::from_secs(5),
        idle: pool::Patience::default().idle,
        dead: Duration::from_millis(500),
    }
}

pub fn pool(config: SshConfig) -> Arc<Pool> {
    Pool::with_patience(config, tokio_util::sync::CancellationToken::new(), quick())
}

/// A running sshd that is trusted, with its pool.
pub fn trusted(extra: &str) -> (Keys, Sshd, Arc<Pool>) {
    let keys = Keys::new();
    let sshd = Sshd::start(&keys, extra);
    let mut config = config(&keys);
    keys.write("known_hosts", &format!("[127.0.0.1]:{} {}\n", sshd.port, keys.public("host")));
    config.known_hosts_files = vec![keys.path("known_hosts")];
    (keys, sshd, pool(config))
}

/// Whether this machine has a program.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).exists())
}
