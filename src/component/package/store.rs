//! What this machine keeps between runs: archives that were downloaded and listings, each under its
//! archive's digest.
//!
//! All of it can be removed at any time and is made again. A downloaded archive is read and its
//! digest compared each time it is used, as one that was named by its path; a listing follows from
//! its archive's digest alone.
use super::archive::ArchiveError;
use super::listing::Listing;
use percent_encoding::percent_decode_str;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Format of listings: another one is not read.
const LISTINGS: &str = "listings-1";
/// A part that was left behind by a download that was killed.
const LEFT: Duration = Duration::from_secs(86_400);

/// A folder of this machine, or none: then nothing is kept and nothing can be downloaded.
#[derive(Debug, Default)]
pub struct Store {
    folder: Option<PathBuf>,
}

/// The folder that the environment asks for: `$XDG_CACHE_HOME/terraform-provider-ob`, else
/// `~/.cache/terraform-provider-ob`.
#[must_use]
pub fn folder(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| var(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("terraform-provider-ob"))
}

/// Whether an archive is named by its URL.
#[must_use]
pub fn is_url(location: &str) -> bool {
    let lower = location.to_ascii_lowercase();
    lower.starts_with("https://") || lower.starts_with("http://")
}

/// The name of an archive's file: of one by URL, the last part of its path, without a query.
#[must_use]
pub fn file_name(location: &str) -> String {
    let url = is_url(location).then(|| url::Url::parse(location).ok()).flatten();
    let last = url.as_ref().and_then(|u| u.path_segments()?.next_back());
    match last {
        Some(name) => percent_decode_str(name).decode_utf8_lossy().into_owned(),
        None => Path::new(location).file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

/// A folder for nobody else.
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Removes what downloads left behind that were killed.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let old = entry
            .metadata()
            .and_then(|m| m.modified())
            .is_ok_and(|t| t.elapsed().is_ok_and(|age| age > LEFT));
        if old && entry.file_name().to_string_lossy().ends_with(".partial") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Store {
    /// Keeps everything below this folder.
    #[must_use]
    pub const fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// Where downloaded archives are.
    ///
    /// # Errors
    /// There is nowhere to keep them.
    pub fn archives(&self) -> Result<PathBuf, ArchiveError> {
        let none = "there is nowhere to keep it: neither XDG_CACHE_HOME nor HOME is set";
        let folder = self.folder.as_ref().ok_or_else(|| ArchiveError::Download(none.into()))?;
        Ok(folder.join("archives"))
    }

    /// Makes that folder, and removes what downloads left there that were killed.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn ready(&self) -> Result<PathBuf, ArchiveError> {
        let folder = self.archives()?;
        make(&folder).map_err(|e| {
            ArchiveError::Download(format!("cannot keep it in {}: {e}", folder.display()))
        })?;
        sweep(&folder);
        Ok(folder)
    }

    /// The listing that was kept for an archive of this digest.
    #[must_use]
    pub fn listing(&self, sha256: &str) -> Option<Listing> {
        let text = std::fs::read(self.folder.as_ref()?.join(LISTINGS).join(sha256)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps a listing; one that cannot be kept is made again next time.
    pub fn keep_listing(&self, sha256: &str, listing: &Listing) {
        let keep = |folder: &Path| -> io::Result<()> {
            make(folder)?;
            let mut part = tempfile::Builder::new().suffix(".partial").tempfile_in(folder)?;
            serde_json::to_writer(&mut part, listing)?;
            part.persist(folder.join(sha256)).map(drop).map_err(|e| e.error)
        };
        let _ = self.folder.as_ref().map(|folder| keep(&folder.join(LISTINGS)));
    }
}
