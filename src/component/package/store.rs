//! What this machine keeps between runs: archives that were downloaded and listings, each under its
//! archive's digest.
//!
//! All of it can be removed at any time and is made again. A downloaded archive is read and its
//! digest compared each time it is used, as one that was named by its path; a listing follows from
//! its archive's digest alone.
use super::archive::{ArchiveError, Limits};
use super::listing::{self, Listing};
use percent_encoding::percent_decode_str;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tempfile::NamedTempFile;

/// Format of listings: another one is not read.
const LISTINGS: &str = "listings-1";
/// To reach a server, and until it answers.
const ANSWER: Duration = Duration::from_secs(30);
/// For a whole download.
const WHOLE: Duration = Duration::from_secs(3600);
/// A part that was left behind by a download that was killed.
const LEFT: Duration = Duration::from_secs(86_400);

/// A folder of this machine, or none: then nothing is kept and nothing can be downloaded.
#[derive(Debug, Default)]
pub struct Store {
    folder: Option<PathBuf>,
    /// Held while it downloads: ten hosts that need one archive fetch it once.
    one: Mutex<()>,
}

static OWN: OnceLock<Store> = OnceLock::new();

/// This process's store.
#[must_use]
pub fn own() -> &'static Store {
    static NONE: LazyLock<Store> = LazyLock::new(Store::default);
    OWN.get().unwrap_or(&NONE)
}

/// Keeps everything below this folder from now on; the first call counts.
pub fn keep_in(folder: PathBuf) {
    let _ = OWN.set(Store::new(folder));
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

/// Downloads an archive to an unfinished file in `folder`. Its content is not looked at.
fn download(url: &str, folder: &Path) -> Result<NamedTempFile, ArchiveError> {
    let failed = |e: &dyn std::fmt::Display| ArchiveError::Download(e.to_string());
    let mut part =
        tempfile::Builder::new().suffix(".partial").tempfile_in(folder).map_err(|e| failed(&e))?;
    let tls = ureq::tls::TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .build();
    let agent = ureq::Agent::config_builder()
        .timeout_connect(Some(ANSWER))
        .timeout_recv_response(Some(ANSWER))
        .timeout_global(Some(WHOLE))
        .user_agent(concat!("terraform-provider-ob/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent();
    let answer = agent.get(url).call().map_err(|e| failed(&e))?;
    let length =
        answer.headers().get("content-length").and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
    let most = Limits::default().unpacked;
    let got = io::copy(&mut answer.into_body().into_reader().take(most), &mut part)
        .map_err(|e| failed(&e))?;
    part.flush().map_err(|e| failed(&e))?;
    if got == most || length.is_some_and(|length| length != got) {
        return Err(failed(&format!(
            "{got} bytes came, {} were announced",
            length.map_or_else(|| "fewer".into(), |l| l.to_string())
        )));
    }
    Ok(part)
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
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: Some(folder), one: Mutex::default() }
    }

    /// Opens the archive at a URL, downloaded unless it is here, and makes sure that it is the
    /// declared one. Blocks.
    ///
    /// # Errors
    /// The server cannot be reached or refuses, the download ends early, the disk is full; it is
    /// another archive.
    pub fn open(&self, url: &str, declared: &str) -> Result<File, ArchiveError> {
        let Some(folder) = &self.folder else {
            return Err(ArchiveError::Download(
                "there is nowhere to keep it: neither XDG_CACHE_HOME nor HOME is set".into(),
            ));
        };
        let folder = folder.join("archives");
        let kept = folder.join(declared);
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(file) = listing::checked(&kept, declared) {
            return Ok(file);
        }
        let cannot = |e: io::Error| {
            ArchiveError::Download(format!("cannot keep it in {}: {e}", folder.display()))
        };
        make(&folder).map_err(cannot)?;
        sweep(&folder);
        let part = download(url, &folder)?;
        let file = listing::checked(part.path(), declared)?;
        part.persist(&kept).map_err(|e| cannot(e.error))?;
        Ok(file)
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
