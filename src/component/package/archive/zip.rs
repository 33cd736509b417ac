//! Zip; wheels are zips.
use super::guard::Guard;
use super::{ArchiveError, Kind, Next, See};
use std::fs::File;
use std::io::{BufReader, Read};
use zip::ZipArchive;
use zip::result::ZipError;

fn of(error: ZipError) -> ArchiveError {
    match error {
        ZipError::Io(e) => ArchiveError::of(&e),
        ZipError::UnsupportedArchive(what) => ArchiveError::Unsupported(what.to_string()),
        other => ArchiveError::Damaged(other.to_string()),
    }
}

/// Visits the members of a zip in the order of its directory.
pub(super) fn walk(
    file: &mut File,
    guard: &mut Guard,
    see: &mut See<'_>,
) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(BufReader::with_capacity(128 << 10, file)).map_err(of)?;
    // The library keeps only the last member of each name. It reports duplicates when the directory
    // has more entries than names.
    if archive.has_duplicate_names() {
        return Err(ArchiveError::Ambiguous("one name".into(), "is there twice"));
    }
    if archive.has_overlapping_entries().map_err(of)? {
        return Err(ArchiveError::Ambiguous(
            "one member".into(),
            "shares its bytes with another one: a bomb",
        ));
    }
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(of)?;
        if member.encrypted() {
            return Err(ArchiveError::Unsupported("it is encrypted".into()));
        }
        let raw = member.name_raw().to_vec();
        let mode = member.unix_mode().unwrap_or(0o644);
        let kind = match mode & 0o170_000 {
            _ if raw.ends_with(b"/") => Kind::Folder,
            0 | 0o100_000 => Kind::File,
            0o040_000 => Kind::Folder,
            0o120_000 => {
                let mut to = String::new();
                guard
                    .meter(&mut member)
                    .take(4096)
                    .read_to_string(&mut to)
                    .map_err(|e| ArchiveError::of(&e))?;
                Kind::Symlink(to)
            }
            _ => {
                return Err(ArchiveError::Special(
                    String::from_utf8_lossy(&raw).into_owned(),
                    "device or pipe",
                ));
            }
        };
        let file = kind == Kind::File;
        let Some(entry) = guard.admit(&raw, kind, mode)? else { continue };
        let next = if file {
            see(&entry, &mut guard.meter(&mut member))?
        } else {
            see(&entry, &mut std::io::empty())?
        };
        if next == Next::Stop {
            return Ok(());
        }
    }
    guard.finish()
}
