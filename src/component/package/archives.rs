//! The archives that a process works with: each is downloaded, read and listed once, whoever asks
//! and however many at once.
use super::archive::{ArchiveError, Limits};
use super::download::download;
use super::feed::Spools;
use super::listing::{self, Listing};
use super::store::{self, Store};
use crate::base::Memo;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Archives whose digest or listing is remembered. A package has a handful.
const MOST: usize = 64;

/// What tells two states of one file apart without reading it.
type Stamp = (PathBuf, u64, u64, (i64, i64), (i64, i64));

fn stamp(path: &Path, file: &File) -> std::io::Result<Stamp> {
    let m = file.metadata()?;
    Ok((
        path.to_owned(),
        m.size(),
        m.ino(),
        (m.mtime(), m.mtime_nsec()),
        (m.ctime(), m.ctime_nsec()),
    ))
}

/// What one process knows of archives. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Archives(Arc<Known>);

#[derive(Debug)]
struct Known {
    store: Store,
    /// What is being downloaded, by digest.
    downloads: Memo<String, ()>,
    digests: Memo<Stamp, String>,
    listings: Memo<String, Arc<Listing>>,
    spools: Spools,
}

impl Archives {
    /// Keeps downloads and listings below this folder ([`store::folder`]); without one, archives
    /// by URL cannot be used.
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Known {
            store: Store::new(folder),
            downloads: Memo::new(MOST),
            digests: Memo::new(MOST),
            listings: Memo::new(MOST),
            spools: Spools::default(),
        }))
    }

    /// What is being unpacked.
    pub(super) fn spools(&self) -> &Spools {
        &self.0.spools
    }

    /// Opens the archive at a path or URL and makes sure that it is the declared one. One by URL is
    /// downloaded unless the store has it.
    ///
    /// # Errors
    /// It cannot be downloaded or read; it is another one.
    pub async fn open(&self, location: &str, declared: &str) -> Result<File, ArchiveError> {
        if !store::is_url(location) {
            return self.checked(Path::new(location), declared).await;
        }
        let kept = self.0.store.archives()?.join(declared);
        if let Ok(file) = self.checked(&kept, declared).await {
            return Ok(file);
        }
        let key = declared.to_owned();
        let done = self.0.downloads.get(key.clone(), self.fetch(location, declared)).await;
        // The next one looks into the store again: somebody may have emptied it.
        self.0.downloads.forget(&key);
        done?;
        self.checked(&kept, declared).await
    }

    async fn fetch(&self, url: &str, declared: &str) -> Result<(), ArchiveError> {
        let folder = self.0.store.ready()?;
        let part = download(url, &folder).await?;
        self.checked(part.path(), declared).await?;
        part.persist(folder.join(declared)).map(drop).map_err(|e| {
            ArchiveError::Download(format!("cannot keep it in {}: {}", folder.display(), e.error))
        })
    }

    /// Opens a file and makes sure that it is the declared archive.
    async fn checked(&self, path: &Path, declared: &str) -> Result<File, ArchiveError> {
        let read = |e: std::io::Error| ArchiveError::Read(e.to_string());
        let (opened, path) = (path.to_owned(), path.to_owned());
        let (mut file, mut copy, before) = blocking(move || {
            let file = File::open(&opened).map_err(read)?;
            if !file.metadata().map_err(read)?.is_file() {
                return Err(ArchiveError::Read("it is no file".into()));
            }
            let (copy, before) = (file.try_clone().map_err(read)?, stamp(&opened, &file));
            Ok((file, copy, before.map_err(read)?))
        })
        .await?;
        let expected = before.clone();
        let digest = blocking(move || {
            let (_, found) = listing::digest(&mut copy).map_err(read)?;
            if stamp(&path, &copy).map_err(read)? == expected {
                Ok(found)
            } else {
                Err(ArchiveError::Read("it was changed while it was read".into()))
            }
        });
        let found = self.0.digests.get(before, digest).await?;
        if found != declared {
            return Err(ArchiveError::Digest {
                found,
                declared: if declared.is_empty() { "nothing".into() } else { declared.into() },
            });
        }
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        Ok(file)
    }

    /// Lists the archive at a path or URL, whose digest must be `declared`. Its content is not
    /// looked at before its digest is right.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub async fn list(&self, location: &str, declared: &str) -> Result<Arc<Listing>, ArchiveError> {
        let mut file = self.open(location, declared).await?;
        let (known, sha256) = (self.0.clone(), declared.to_owned());
        let listing = blocking(move || {
            if let Some(listing) = known.store.listing(&sha256) {
                return Ok(Arc::new(listing));
            }
            let listing = listing::read(&mut file, &Limits::default())?;
            known.store.keep_listing(&sha256, &listing);
            Ok(Arc::new(listing))
        });
        self.0.listings.get(declared.to_owned(), listing).await
    }
}

/// Runs what waits for a disk where it keeps nobody from working.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(ArchiveError::Damaged(format!("reading it broke down: {e}"))))
}
