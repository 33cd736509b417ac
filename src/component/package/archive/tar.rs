//! Tar: ustar, GNU long names and pax headers. This module reads the blocks itself, so that no
//! header can make it hold more than 1 MiB.
use super::guard::Guard;
use super::{ArchiveError, Kind, Next, See, fill, show, skip};
use std::io::Read;
use tar::{EntryType, Header};

/// The most bytes of a long name or a pax header.
const META: u64 = 1 << 20;

/// What headers said about the member that follows them.
#[derive(Default)]
struct Pending {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Whether a block is a tar header; its checksum tells.
pub(super) fn is_header(block: &[u8]) -> bool {
    let Ok(block) = <&[u8; 512]>::try_from(block) else { return false };
    let header = Header::from_byte_slice(block);
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) })
        .sum();
    block[0] != 0 && header.cksum().is_ok_and(|stored| stored == sum)
}

/// Visits the members of `input`, an uncompressed tar.
pub(super) fn walk(
    input: &mut dyn Read,
    guard: &mut Guard,
    see: &mut See<'_>,
) -> Result<(), ArchiveError> {
    let mut pending = Pending::default();
    let mut first = true;
    loop {
        let mut block = [0; 512];
        if !fill(input, &mut block)? {
            return Err(if first {
                ArchiveError::NotAnArchive("it is empty inside".into())
            } else {
                ArchiveError::Damaged("the end mark is missing".into())
            });
        }
        if block.iter().all(|b| *b == 0) && !first {
            break;
        }
        if !is_header(&block) {
            return Err(if first {
                ArchiveError::NotAnArchive("what it unpacks to is no tar".into())
            } else {
                ArchiveError::Damaged("a header's checksum is wrong".into())
            });
        }
        first = false;
        if member(&block, &mut pending, input, guard, see)? == Next::Stop {
            return Ok(());
        }
    }
    if pending.name.is_some() || pending.link.is_some() || pending.size.is_some() {
        return Err(ArchiveError::Damaged("a long name belongs to no member".into()));
    }
    guard.finish()?;
    // Reads to the very end, where the checksums of the compression are.
    std::io::copy(input, &mut std::io::sink()).map_err(|e| ArchiveError::of(&e))?;
    Ok(())
}

fn member(
    block: &[u8; 512],
    pending: &mut Pending,
    input: &mut dyn Read,
    guard: &mut Guard,
    see: &mut See<'_>,
) -> Result<Next, ArchiveError> {
    let header = Header::from_byte_slice(block);
    let own_size = header.entry_size().map_err(|e| ArchiveError::Damaged(e.to_string()))?;
    let kind = header.entry_type();
    if matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader) {
        let text = meta(input, own_size)?;
        let until_nul = |t: &[u8]| t.split(|b| *b == 0).next().unwrap_or_default().to_vec();
        match kind {
            EntryType::GNULongName => pending.name = Some(until_nul(&text)),
            EntryType::GNULongLink => pending.link = Some(until_nul(&text)),
            _ => pax(&text, pending)?,
        }
        return Ok(Next::Go);
    }
    let size = pending.size.take().unwrap_or(own_size);
    let padding = size.wrapping_neg() % 512;
    if kind == EntryType::XGlobalHeader {
        skip(input, size.saturating_add(padding))?;
        return Ok(Next::Go);
    }
    let name = pending.name.take().unwrap_or_else(|| header.path_bytes().into_owned());
    let link = pending
        .link
        .take()
        .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
        .unwrap_or_default();
    let shown = || String::from_utf8_lossy(&name).into_owned();
    let target = || {
        String::from_utf8(link.clone())
            .map_err(|_| ArchiveError::BadName(shown(), "its link is no UTF-8"))
    };
    let kind = match kind {
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => Kind::Folder,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Folder,
        EntryType::Symlink => Kind::Symlink(target()?),
        EntryType::Link => Kind::HardLink(target()?),
        EntryType::Char => return Err(ArchiveError::Special(shown(), "character device")),
        EntryType::Block => return Err(ArchiveError::Special(shown(), "block device")),
        EntryType::Fifo => return Err(ArchiveError::Special(shown(), "named pipe")),
        EntryType::GNUSparse => {
            return Err(ArchiveError::Unsupported(format!(
                "member {:?} is a sparse file",
                shown()
            )));
        }
        other => {
            return Err(ArchiveError::Unsupported(format!(
                "member {:?} is of the unknown kind {:?}",
                shown(),
                char::from(other.as_byte())
            )));
        }
    };
    let mode = header.mode().map_err(|e| ArchiveError::Damaged(e.to_string()))?;
    let content = if kind == Kind::File { size } else { 0 };
    let next = match guard.admit(&name, kind, mode)? {
        Some(entry) => show(&entry, input, content, see)?,
        None => Next::Go,
    };
    skip(input, size - content + padding)?;
    Ok(next)
}

fn meta(input: &mut dyn Read, size: u64) -> Result<Vec<u8>, ArchiveError> {
    if size > META {
        return Err(ArchiveError::BadName(format!("a header of {size} bytes"), "it is too long"));
    }
    let mut text = vec![0; usize::try_from(size).unwrap_or(0)];
    if !text.is_empty() && !fill(input, &mut text)? {
        return Err(ArchiveError::Damaged("it ends early".into()));
    }
    skip(input, size.wrapping_neg() % 512)?;
    Ok(text)
}

/// Reads `LENGTH KEY=VALUE\n` records.
fn pax(mut text: &[u8], pending: &mut Pending) -> Result<(), ArchiveError> {
    let damaged = || ArchiveError::Damaged("a pax header is malformed".into());
    while !text.is_empty() {
        let blank = text.iter().position(|b| *b == b' ').ok_or_else(damaged)?;
        let length: usize = std::str::from_utf8(&text[..blank])
            .ok()
            .and_then(|n| n.parse().ok())
            .ok_or_else(damaged)?;
        let record =
            text.get(blank + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(damaged)?;
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(damaged)?;
        let value = &record[equals + 1..];
        match &record[..equals] {
            b"path" => pending.name = Some(value.to_vec()),
            b"linkpath" => pending.link = Some(value.to_vec()),
            b"size" => {
                pending.size = Some(
                    std::str::from_utf8(value)
                        .ok()
                        .and_then(|n| n.parse().ok())
                        .ok_or_else(damaged)?,
                )
            }
            key if key.starts_with(b"GNU.sparse") => {
                return Err(ArchiveError::Unsupported("it has sparse files".into()));
            }
            _ => {}
        }
        text = &text[length..];
    }
    Ok(())
}
