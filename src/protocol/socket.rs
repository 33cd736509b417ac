//! The unix socket. It lies in a folder that only we may enter and has mode 0600 itself, and every
//! peer's uid is checked.
use super::host::HostError;
use rand::distr::{Alphanumeric, SampleString};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// `sun_path` holds 108 bytes on Linux and 104 on macOS, one of them for the end.
const SUN_PATH: usize = 103;

/// An open socket; dropping it removes its folder.
pub struct Socket {
    /// Accepts connections.
    pub listener: UnixListener,
    path: Folder,
}

struct Folder {
    dir: PathBuf,
    socket: PathBuf,
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        let _ = std::fs::remove_dir(&self.dir);
    }
}

impl Socket {
    /// Opens a socket in the first of `dirs` that can be written and gives a path that is short
    /// enough.
    ///
    /// # Errors
    /// None of the folders will do.
    pub fn open(dirs: &[PathBuf]) -> Result<Self, HostError> {
        let mut last = (String::new(), "no folder given".to_owned());
        for dir in dirs {
            match Self::open_in(dir) {
                Ok(socket) => return Ok(socket),
                Err(e) => last = (dir.display().to_string(), e),
            }
        }
        Err(HostError::Socket(last.0, last.1))
    }

    fn open_in(parent: &Path) -> Result<Self, String> {
        let dir = parent.join(format!(
            "ob-plugin-{}-{}",
            std::process::id(),
            Alphanumeric.sample_string(&mut rand::rng(), 8)
        ));
        let socket = dir.join("s");
        if socket.as_os_str().len() > SUN_PATH {
            return Err(format!("its path is longer than a socket's {SUN_PATH} bytes"));
        }
        // Make a folder of mode 0700 first: nobody else can reach the socket between bind and
        // chmod, and no umask has to be changed.
        std::fs::DirBuilder::new().mode(0o700).create(&dir).map_err(|e| e.to_string())?;
        let path = Folder { dir, socket };
        let listener = UnixListener::bind(&path.socket).map_err(|e| e.to_string())?;
        std::fs::set_permissions(&path.socket, std::fs::Permissions::from_mode(0o600))
            .map_err(|e| e.to_string())?;
        Ok(Self { listener, path })
    }

    /// The socket's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path.socket
    }
}

/// Tells whether the other end is this user (or root).
#[must_use]
pub fn peer_is_us(stream: &UnixStream) -> bool {
    let me = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|c| uid_allowed(c.uid(), me))
}

pub(super) fn uid_allowed(peer: u32, me: u32) -> bool {
    peer == me || peer == 0
}
