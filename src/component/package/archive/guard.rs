//! Keeps hostile archives out: bad names and links, duplicates, devices and bombs. Every member of
//! every format passes here.
use super::{ArchiveError, Entry, Kind, Limits};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;

/// Longest name of a member.
const NAME: usize = 1024;

/// Checks one archive while it is read.
pub(super) struct Guard {
    limit: u64,
    archive: u64,
    members: usize,
    used: Rc<Cell<u64>>,
    /// Names seen so far; true for a folder.
    seen: BTreeMap<String, bool>,
}

impl Guard {
    /// A guard for an archive of `archive` bytes.
    pub(super) fn new(archive: u64, limits: &Limits) -> Self {
        let limit =
            archive.saturating_mul(limits.ratio).saturating_add(limits.always).min(limits.unpacked);
        Self { limit, archive, members: limits.members, used: Rc::default(), seen: BTreeMap::new() }
    }

    /// Counts what is read from `inner` against the one budget of the archive.
    pub(super) fn meter<R: Read>(&self, inner: R) -> Meter<R> {
        Meter { inner, used: self.used.clone(), limit: self.limit, archive: self.archive }
    }

    /// Checks a member's raw name and kind; `None` for the root folder itself.
    pub(super) fn admit(
        &mut self,
        name: &[u8],
        kind: Kind,
        mode: u32,
    ) -> Result<Option<Entry>, ArchiveError> {
        let name = clean(name)?;
        if name.is_empty() {
            return if kind == Kind::Folder {
                Ok(None)
            } else {
                Err(ArchiveError::BadName(name, "it is empty"))
            };
        }
        if self.seen.len() >= self.members {
            return Err(ArchiveError::TooMany(self.members));
        }
        let folder = kind == Kind::Folder;
        if let Some(was) = self.seen.insert(name.clone(), folder)
            && !(was && folder)
        {
            return Err(ArchiveError::Ambiguous(name, "is there twice"));
        }
        let kind = match kind {
            Kind::Symlink(to) => Kind::Symlink(follow(&name, &to)?),
            Kind::HardLink(to) => Kind::HardLink(
                clean(to.as_bytes())
                    .map_err(|_| ArchiveError::Escapes(name.clone(), "its hard link does"))?,
            ),
            other => other,
        };
        Ok(Some(Entry { name, kind, mode: mode & 0o777 }))
    }

    /// Called after the last member: no member may lie below one that is no folder.
    pub(super) fn finish(&self) -> Result<(), ArchiveError> {
        for name in self.seen.keys() {
            let above = name.match_indices('/').map(|(at, _)| &name[..at]);
            if above.into_iter().any(|folder| self.seen.get(folder) == Some(&false)) {
                return Err(ArchiveError::Ambiguous(name.clone(), "lies below a file or link"));
            }
        }
        Ok(())
    }
}

/// Removes `./` and doubled slashes from a name. A name that could lead elsewhere is refused, never
/// repaired.
fn clean(raw: &[u8]) -> Result<String, ArchiveError> {
    let shown = || String::from_utf8_lossy(&raw[..raw.len().min(200)]).into_owned();
    let name =
        std::str::from_utf8(raw).map_err(|_| ArchiveError::BadName(shown(), "it is no UTF-8"))?;
    if name.len() > NAME {
        return Err(ArchiveError::BadName(shown(), "it is too long"));
    }
    if name.starts_with('/') {
        return Err(ArchiveError::Escapes(shown(), "it is absolute"));
    }
    if name.chars().any(char::is_control) || name.contains('\\') {
        return Err(ArchiveError::BadName(shown(), "it has control characters or backslashes"));
    }
    let parts: Vec<&str> = name.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.contains(&"..") {
        return Err(ArchiveError::Escapes(shown(), "it has a .. in it"));
    }
    Ok(parts.join("/"))
}

/// Where a symbolic link at `name` leads, as a member's name.
fn follow(name: &str, to: &str) -> Result<String, ArchiveError> {
    let escapes = || ArchiveError::Escapes(name.to_owned(), "its link does");
    if to.is_empty() || to.starts_with('/') || to.len() > NAME || to.chars().any(char::is_control) {
        return Err(escapes());
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(escapes)?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// A reader that counts against the archive's budget.
pub(super) struct Meter<R> {
    inner: R,
    used: Rc<Cell<u64>>,
    limit: u64,
    archive: u64,
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.used.set(self.used.get().saturating_add(n as u64));
        if self.used.get() > self.limit {
            return Err(ArchiveError::Bomb(self.limit >> 20, self.archive).into_io());
        }
        Ok(n)
    }
}
