//! Streams a package's files out of its archives. A blocking thread reads; a short queue bounds how
//! far the thread is ahead of the sender.
//!
//! Each archive is unpacked once per run, to an unnamed temporary file (the spool). All hosts read
//! from the spool and follow it while it still grows: the first byte leaves as soon as it is
//! unpacked, and ten hosts cost one unpacking.
use super::archive::{self, ArchiveError, Kind, Limits, Next};
use super::archives::{Archives, blocking};
use crate::engine::effect::{Archive, Contents, FileData};
use crate::transport::Input;
use crate::transport::files::Opener;
use rustix::buffer::spare_capacity;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Cursor};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How many bytes are read at once.
const CHUNK: usize = 256 << 10;
/// How many chunks the reader may be ahead of the sender.
const AHEAD: usize = 4;

/// One archive of a package, and the members of it that the package needs.
#[derive(Debug)]
struct Origin {
    archives: Archives,
    archive: Archive,
    members: BTreeSet<String>,
    spool: Mutex<Option<Arc<Spool>>>,
}

/// Members of an archive, unpacked one after the other into one file.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    progress: Mutex<Progress>,
    moved: Condvar,
}

/// How far a spool has got.
#[derive(Debug, Default)]
struct Progress {
    /// Where each member begins and, once all of it is there, where it ends.
    places: BTreeMap<String, (u64, Option<u64>)>,
    /// Bytes in the file.
    written: u64,
    /// How the unpacking ended.
    ended: Option<Result<(), ArchiveError>>,
}

/// The spools that are being unpacked or are still read from, by archive and members.
#[derive(Debug, Default)]
pub(super) struct Spools(Mutex<BTreeMap<String, Weak<Spool>>>);

impl Contents for Archives {
    fn openers(&self, files: &[FileData]) -> Vec<Opener> {
        let mut wanted: BTreeMap<&Archive, BTreeSet<String>> = BTreeMap::new();
        for file in files {
            if let Some(archive) = &file.from {
                wanted.entry(archive).or_default().insert(file.member.clone());
            }
        }
        let origin = |(archive, members): (_, &BTreeSet<String>)| {
            let (archives, members) = (self.clone(), members.clone());
            (
                archive,
                Arc::new(Origin {
                    archives,
                    archive: Archive::clone(archive),
                    members,
                    spool: Mutex::default(),
                }),
            )
        };
        let origins: BTreeMap<&Archive, Arc<Origin>> =
            wanted.iter().map(|(a, m)| origin((*a, m))).collect();
        let opener = |file: &FileData| -> Opener {
            let origin = file.from.as_ref().and_then(|a| origins.get(a)).cloned();
            let member = file.member.clone();
            Arc::new(move || match &origin {
                Some(origin) => Ok(feed(origin.clone(), member.clone())),
                None => Err(io::Error::other(
                    "the package does not say which archive has it (it was imported): set \
                     `package` from data.ob_package",
                )),
            })
        };
        files.iter().map(opener).collect()
    }
}

fn feed(origin: Arc<Origin>, member: String) -> Input {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let job = tokio::spawn(async move {
        let said =
            |e: ArchiveError| io::Error::other(format!("archive {}: {e}", origin.archive.location));
        // The archive on this machine must still be the one that was planned with.
        let Archive { location, sha256 } = &origin.archive;
        let archive = origin.archives.open(location, sha256).await.map_err(said)?;
        let pours = origin.clone();
        blocking(move || pours.pour(archive, &member, &sender)).await.map_err(said)
    });
    Box::new(Feed { chunk: Cursor::default(), receiver, job: Some(job) })
}

/// The reading end of a file. It ends with an error when the archive could not be read to its end.
struct Feed {
    chunk: Cursor<Vec<u8>>,
    receiver: mpsc::Receiver<Vec<u8>>,
    job: Option<JoinHandle<io::Result<()>>>,
}

impl Drop for Feed {
    /// Nobody wants the rest: a download for this reader alone ends.
    fn drop(&mut self) {
        if let Some(job) = &self.job {
            job.abort();
        }
    }
}

impl AsyncRead for Feed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.chunk).poll_read(cx, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(chunk) = ready!(self.receiver.poll_recv(cx)) {
            self.chunk = Cursor::new(chunk);
            return Pin::new(&mut self.chunk).poll_read(cx, buffer);
        }
        let Some(job) = &mut self.job else { return Poll::Ready(Ok(())) };
        let done = ready!(Pin::new(job).poll(cx));
        self.job = None;
        Poll::Ready(done.unwrap_or_else(|e| Err(io::Error::other(e))))
    }
}

impl Origin {
    fn pour(
        &self,
        archive: File,
        member: &str,
        out: &mpsc::Sender<Vec<u8>>,
    ) -> Result<(), ArchiveError> {
        let spool = self.spool(archive)?;
        let mut read = 0;
        while let Some((from, to)) = spool.wait(member, read)? {
            let mut chunk =
                Vec::with_capacity(usize::try_from(to - from).unwrap_or(usize::MAX).min(CHUNK));
            let n = rustix::io::pread(&spool.file, spare_capacity(&mut chunk), from)
                .map_err(|e| ArchiveError::Read(e.to_string()))?;
            read += n as u64;
            // A receiver that wants no more hangs up; that is no failure of the archive.
            if n == 0 || out.blocking_send(chunk).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The spool of this archive in this run; the first caller starts the unpacking.
    fn spool(&self, mut archive: File) -> Result<Arc<Spool>, ArchiveError> {
        let mut own = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spool) = &*own {
            return Ok(spool.clone());
        }
        let mut all = self.archives.spools().0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, spool| spool.strong_count() > 0);
        let key = format!("{} {:?}", self.archive.sha256, self.members);
        let spool = if let Some(spool) = all.get(&key).and_then(Weak::upgrade) {
            spool
        } else {
            let spool = Arc::new(Spool {
                file: tempfile::tempfile().map_err(|e| room(&e))?,
                progress: Mutex::default(),
                moved: Condvar::new(),
            });
            let (writer, members) = (spool.clone(), self.members.clone());
            std::thread::spawn(move || {
                let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    writer.unpack(&mut archive, &members)
                }));
                // Otherwise readers that wait for more would wait forever.
                if whole.is_err() {
                    writer.note(|p| {
                        p.ended = Some(Err(ArchiveError::Damaged("reading it broke down".into())))
                    });
                }
            });
            spool
        };
        all.insert(key, Arc::downgrade(&spool));
        *own = Some(spool.clone());
        Ok(spool)
    }
}

fn room(e: &io::Error) -> ArchiveError {
    ArchiveError::Read(format!("cannot unpack it to {}: {e}", std::env::temp_dir().display()))
}

impl Spool {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
        self.moved.notify_all();
    }

    /// Waits until more than `read` bytes of a member are there. Returns the range of the spool
    /// that can be read now, or `None` after the member's last byte.
    fn wait(&self, member: &str, read: u64) -> Result<Option<(u64, u64)>, ArchiveError> {
        let mut now = self.progress();
        loop {
            match (now.places.get(member), &now.ended) {
                (Some((start, Some(end))), _) => {
                    return Ok((start + read < *end).then_some((start + read, *end)));
                }
                (_, Some(Err(e))) => return Err(e.clone()),
                (Some((start, None)), _) if start + read < now.written => {
                    return Ok(Some((start + read, now.written)));
                }
                (None, Some(Ok(()))) => return Err(ArchiveError::NoMember(member.to_owned())),
                _ => now = self.moved.wait(now).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Unpacks the wanted members into the file.
    fn unpack(&self, archive: &mut File, members: &BTreeSet<String>) {
        let mut buffer = vec![0; CHUNK];
        let (mut at, mut done) = (0, 0);
        let ended = archive::walk(archive, &Limits::default(), &mut |entry, content| {
            if entry.kind == Kind::File && members.contains(&entry.name) {
                let start = at;
                self.note(|p| _ = p.places.insert(entry.name.clone(), (start, None)));
                loop {
                    let n = content.read(&mut buffer).map_err(|e| ArchiveError::of(&e))?;
                    if n == 0 {
                        break;
                    }
                    self.file.write_all_at(&buffer[..n], at).map_err(|e| room(&e))?;
                    at += n as u64;
                    self.note(|p| p.written = at);
                }
                self.note(|p| _ = p.places.insert(entry.name.clone(), (start, Some(at))));
                done += 1;
            }
            Ok(if done == members.len() { Next::Stop } else { Next::Go })
        });
        self.note(|p| p.ended = Some(ended.map(drop)));
    }
}
