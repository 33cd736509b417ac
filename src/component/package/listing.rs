//! Lists an archive's members with their digests. Each archive is read once per file and process.
use super::archive::{self, ArchiveError, Format, Kind, Label, Limits, Next};
use super::store;
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// One member of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Kind.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// Lower-case hex sha256 of the content.
    pub sha256: String,
}

/// The content of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Format.
    pub format: Format,
    /// What the archive says about itself.
    pub label: Label,
    /// Members by name.
    pub members: BTreeMap<String, Member>,
    /// The small text files in which wheels describe themselves, by name.
    pub texts: BTreeMap<String, String>,
}

/// Path, size, inode, mtime and ctime of a file: they tell two states of one file apart without
/// reading it.
type Stamp = (PathBuf, u64, u64, (i64, i64), (i64, i64));

static DIGESTS: LazyLock<Mutex<BTreeMap<Stamp, String>>> = LazyLock::new(Mutex::default);
static LISTINGS: LazyLock<Mutex<BTreeMap<String, Arc<Listing>>>> = LazyLock::new(Mutex::default);

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

/// Reads to the end; returns the size in bytes and the sha256.
///
/// # Errors
/// The input cannot be read.
pub fn digest(input: &mut dyn Read) -> std::io::Result<(u64, String)> {
    let (mut context, mut buffer, mut size) = (Context::new(&SHA256), vec![0; 128 << 10], 0);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                context.update(&buffer[..n]);
                size += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok((size, context.finish().as_ref().iter().map(|b| format!("{b:02x}")).collect()))
}

/// Opens the archive at a path or URL and checks that it is the declared one. Blocks while it reads
/// the archive, once per process. Downloads an archive at a URL unless [`store`] has it.
///
/// # Errors
/// The archive cannot be downloaded or read, or its digest is not the declared one.
pub fn open(location: &str, declared: &str) -> Result<File, ArchiveError> {
    if store::is_url(location) {
        store::own().open(location, declared)
    } else {
        checked(Path::new(location), declared)
    }
}

/// Opens a file and checks that it is the declared archive.
pub(super) fn checked(path: &Path, declared: &str) -> Result<File, ArchiveError> {
    let read = |e: std::io::Error| ArchiveError::Read(e.to_string());
    let mut file = File::open(path).map_err(read)?;
    if !file.metadata().map_err(read)?.is_file() {
        return Err(ArchiveError::Read("it is no file".into()));
    }
    let before = stamp(path, &file).map_err(read)?;
    let found = {
        // The lock is held while the file is read, so that ten hosts that need one archive read it
        // once.
        let mut known = DIGESTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&before) {
            found.clone()
        } else {
            let (_, found) = digest(&mut file).map_err(read)?;
            // The digest of a file that changed while it was read is not remembered.
            if stamp(path, &file).map_err(read)? == before {
                known.insert(before, found.clone());
            }
            found
        }
    };
    if found != declared {
        return Err(ArchiveError::Digest {
            found,
            declared: if declared.is_empty() { "nothing".into() } else { declared.into() },
        });
    }
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    Ok(file)
}

/// Lists the archive at a path or URL, whose digest must be `declared`. Does not parse the archive
/// before its digest was checked.
///
/// # Errors
/// Whatever is wrong with the archive.
pub fn list(location: &str, declared: &str) -> Result<Arc<Listing>, ArchiveError> {
    let mut file = open(location, declared)?;
    if let Some(known) = LISTINGS.lock().unwrap_or_else(PoisonError::into_inner).get(declared) {
        return Ok(known.clone());
    }
    let listing = store::own().listing(declared).map_or_else(
        || {
            read(&mut file, &Limits::default())
                .inspect(|listing| store::own().keep_listing(declared, listing))
        },
        Ok,
    )?;
    let listing = Arc::new(listing);
    LISTINGS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(declared.to_owned(), listing.clone());
    Ok(listing)
}

/// Lists an open archive.
///
/// # Errors
/// Whatever is wrong with the archive.
pub fn read(file: &mut File, limits: &Limits) -> Result<Listing, ArchiveError> {
    let (mut members, mut texts) = (BTreeMap::new(), BTreeMap::new());
    let (format, label) = archive::walk(file, limits, &mut |entry, content| {
        let mut text = Vec::new();
        let mut content: Box<dyn Read> = if is_text(&entry.name) {
            content.take(1 << 20).read_to_end(&mut text).map_err(|e| ArchiveError::of(&e))?;
            texts.insert(entry.name.clone(), String::from_utf8_lossy(&text).into_owned());
            Box::new(text.as_slice().chain(content))
        } else {
            Box::new(content)
        };
        let (size, sha256) = digest(&mut content).map_err(|e| ArchiveError::of(&e))?;
        members.insert(
            entry.name.clone(),
            Member { kind: entry.kind.clone(), mode: entry.mode, size, sha256 },
        );
        Ok(Next::Go)
    })?;
    Ok(Listing { format, label, members, texts })
}

fn is_text(name: &str) -> bool {
    name.split_once('/').is_some_and(|(folder, file)| {
        folder.ends_with(".dist-info") && matches!(file, "METADATA" | "WHEEL")
    })
}
