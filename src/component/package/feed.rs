//! Streams a package's files out of its archives: a blocking thread reads, a small pipe bounds what it is ahead.
//!
//! A member of a zip is read where it is. A tar or rpm has to be unpacked from its start for every member, so it is
//! unpacked once, to an unnamed temporary file that all hosts of a run share.
use super::archive::{self, ArchiveError, Kind, Limits, Next};
use super::{Package, listing};
use crate::transport::Input;
use crate::transport::files::Opener;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;
use tokio_util::io::SyncIoBridge;

/// How far reading may be ahead of sending.
const AHEAD: usize = 256 << 10;

/// One archive of a package and the members that are wanted of it.
#[derive(Debug)]
struct Origin {
    path: PathBuf,
    sha256: String,
    members: BTreeSet<String>,
    spool: Mutex<Option<Arc<Spool>>>,
}

/// Members unpacked one after the other.
#[derive(Debug)]
struct Spool {
    file: File,
    places: BTreeMap<String, (u64, u64)>,
}

static SPOOLS: LazyLock<Mutex<BTreeMap<String, Weak<Spool>>>> = LazyLock::new(Mutex::default);

/// Openers for every file of `package`, by the file's name. Nothing is read before one is called.
#[must_use]
pub fn openers(package: &Package) -> BTreeMap<String, Opener> {
    let mut origins: BTreeMap<&str, Arc<Origin>> = BTreeMap::new();
    for (sha256, path) in &package.sources {
        let members = package.files.values().filter(|f| &f.source == sha256).map(|f| f.member.clone()).collect();
        origins.insert(sha256, Arc::new(Origin { path: path.into(), sha256: sha256.clone(), members, spool: Mutex::default() }));
    }
    let opener = |file: &super::File| -> Opener {
        let (origin, member) = (origins.get(file.source.as_str()).cloned(), file.member.clone());
        Arc::new(move || match &origin {
            Some(origin) => Ok(feed(origin.clone(), member.clone())),
            None => Err(io::Error::other("the package does not say which archive has it (it was imported): set `package` from data.ob_package")),
        })
    };
    package.files.iter().map(|(name, file)| (name.clone(), opener(file))).collect()
}

fn feed(origin: Arc<Origin>, member: String) -> Input {
    let (sender, receiver) = tokio::io::duplex(AHEAD);
    let job = tokio::task::spawn_blocking(move || {
        let mut out = SyncIoBridge::new(sender);
        origin.pour(&member, &mut out).map_err(|e| io::Error::other(format!("archive {}: {e}", origin.path.display())))
    });
    Box::new(Feed { receiver, job: Some(job) })
}

/// The reading end; its end is an error when the archive could not be read to its end.
struct Feed {
    receiver: DuplexStream,
    job: Option<JoinHandle<io::Result<()>>>,
}

impl AsyncRead for Feed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.receiver).poll_read(cx, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let Some(job) = &mut self.job else { return Poll::Ready(Ok(())) };
        let done = ready!(Pin::new(job).poll(cx));
        self.job = None;
        Poll::Ready(done.unwrap_or_else(|e| Err(io::Error::other(e))))
    }
}

impl Origin {
    fn pour(&self, member: &str, out: &mut dyn Write) -> Result<(), ArchiveError> {
        // The archive on this machine must still be the one that was planned with.
        let mut file = listing::open(&self.path, &self.sha256)?;
        if is_zip(&file) {
            return archive::zip_member(&mut file, member, |content| copy(content, out));
        }
        let spool = self.spool(&mut file)?;
        let (at, size) = *spool.places.get(member).ok_or_else(|| ArchiveError::NoMember(member.to_owned()))?;
        copy(&mut Piece { file: &spool.file, at, end: at + size }, out)
    }

    fn spool(&self, archive: &mut File) -> Result<Arc<Spool>, ArchiveError> {
        let mut own = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spool) = &*own {
            return Ok(spool.clone());
        }
        // Held while it unpacks: hosts that need the same archive wait for it instead of unpacking it too.
        let mut all = SPOOLS.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, spool| spool.strong_count() > 0);
        let key = format!("{} {:?}", self.sha256, self.members);
        let spool = match all.get(&key).and_then(Weak::upgrade) {
            Some(spool) => spool,
            None => Arc::new(unpack(archive, &self.members)?),
        };
        all.insert(key, Arc::downgrade(&spool));
        *own = Some(spool.clone());
        Ok(spool)
    }
}

fn unpack(archive: &mut File, members: &BTreeSet<String>) -> Result<Spool, ArchiveError> {
    let room = |e: io::Error| ArchiveError::Read(format!("cannot unpack it to {}: {e}", std::env::temp_dir().display()));
    let mut file = tempfile::tempfile().map_err(room)?;
    let (mut places, mut at) = (BTreeMap::new(), 0);
    archive::walk(archive, &Limits::default(), &mut |entry, content| {
        if entry.kind == Kind::File && members.contains(&entry.name) {
            let mut buffer = vec![0; 128 << 10];
            let start = at;
            loop {
                let n = content.read(&mut buffer).map_err(|e| ArchiveError::of(&e))?;
                if n == 0 {
                    break;
                }
                file.write_all(&buffer[..n]).map_err(room)?;
                at += n as u64;
            }
            places.insert(entry.name.clone(), (start, at - start));
        }
        Ok(if places.len() == members.len() { Next::Stop } else { Next::Go })
    })?;
    Ok(Spool { file, places })
}

fn copy(content: &mut dyn Read, out: &mut dyn Write) -> Result<(), ArchiveError> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = content.read(&mut buffer).map_err(|e| ArchiveError::of(&e))?;
        // Who does not want the rest hangs up; that is no failure of the archive.
        if n == 0 || out.write_all(&buffer[..n]).is_err() {
            return Ok(());
        }
    }
}

fn is_zip(file: &File) -> bool {
    let mut magic = [0; 2];
    file.read_exact_at(&mut magic, 0).is_ok() && &magic == b"PK"
}

/// A range of a file that others read too.
struct Piece<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
