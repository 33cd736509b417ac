//! Cpio in its `newc` format, the payload of an rpm.
use super::guard::Guard;
use super::{ArchiveError, Kind, Next, See, fill, show, skip};
use std::io::Read;

const TRAILER: &[u8] = b"TRAILER!!!";
const LINK: u64 = 4096;

struct Head {
    inode: u64,
    mode: u64,
    links: u64,
    size: u64,
    name: u64,
}

fn head(raw: &[u8; 110]) -> Result<Head, ArchiveError> {
    match &raw[..6] {
        b"070701" | b"070702" => {}
        b"07070X" => {
            return Err(ArchiveError::Unsupported("it holds files of 4 GiB and more".into()));
        }
        _ => return Err(ArchiveError::Damaged("the payload is no cpio".into())),
    }
    let field = |n: usize| {
        let text = &raw[6 + 8 * n..14 + 8 * n];
        let plain = text.iter().all(u8::is_ascii_hexdigit);
        std::str::from_utf8(text)
            .ok()
            .filter(|_| plain)
            .and_then(|t| u64::from_str_radix(t, 16).ok())
            .ok_or_else(|| ArchiveError::Damaged("a payload header is malformed".into()))
    };
    Ok(Head {
        inode: field(0)?,
        mode: field(1)?,
        links: field(4)?,
        size: field(6)?,
        name: field(11)?,
    })
}

/// Walks over `input`, which is the unpacked payload.
pub(super) fn walk(
    input: &mut dyn Read,
    guard: &mut Guard,
    see: &mut See<'_>,
) -> Result<(), ArchiveError> {
    // Hard links: all names of one inode come in a row, and only the last has the content.
    let mut waiting: Vec<(u64, Vec<u8>, u32)> = Vec::new();
    loop {
        let mut raw = [0; 110];
        if !fill(input, &mut raw)? {
            return Err(ArchiveError::Damaged("the end mark is missing".into()));
        }
        let head = head(&raw)?;
        if head.name == 0 || head.name > 8192 {
            return Err(ArchiveError::BadName(
                format!("a name of {} bytes", head.name),
                "it is too long or empty",
            ));
        }
        let mut name = vec![0; usize::try_from(head.name).unwrap_or(0)];
        if !fill(input, &mut name)? {
            return Err(ArchiveError::Damaged("it ends early".into()));
        }
        skip(input, (110 + head.name).wrapping_neg() % 4)?;
        if name.pop() != Some(0) || name.contains(&0) {
            return Err(ArchiveError::BadName(
                String::from_utf8_lossy(&name).into_owned(),
                "it has a NUL in it",
            ));
        }
        if name == TRAILER {
            break;
        }
        let mode = u32::try_from(head.mode & 0o7777).unwrap_or(0);
        let shown = || String::from_utf8_lossy(&name).into_owned();
        let special = |what| Err(ArchiveError::Special(shown(), what));
        let mut size = head.size;
        let kind = match head.mode & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Folder,
            0o120_000 => {
                if size > LINK {
                    return Err(ArchiveError::BadName(shown(), "its link is too long"));
                }
                let mut to = vec![0; usize::try_from(size).unwrap_or(0)];
                if !to.is_empty() && !fill(input, &mut to)? {
                    return Err(ArchiveError::Damaged("it ends early".into()));
                }
                size = 0;
                Kind::Symlink(inside(
                    &name,
                    String::from_utf8(to)
                        .map_err(|_| ArchiveError::BadName(shown(), "its link is no UTF-8"))?,
                ))
            }
            0o020_000 => return special("character device"),
            0o060_000 => return special("block device"),
            0o010_000 => return special("named pipe"),
            0o140_000 => return special("socket"),
            _ => return Err(ArchiveError::Damaged("a member of no kind".into())),
        };
        if kind == Kind::File && head.links > 1 && size == 0 {
            waiting.push((head.inode, name, mode));
            continue;
        }
        let mut next = Next::Go;
        if let Some(entry) = guard.admit(&name, kind, mode)? {
            next = show(&entry, input, size, see)?;
            let names: Vec<_> =
                waiting.extract_if(.., |(inode, ..)| *inode == head.inode).collect();
            for (_, other, mode) in names {
                if let Some(link) = guard.admit(&other, Kind::HardLink(entry.name.clone()), mode)? {
                    see(&link, &mut std::io::empty())?;
                }
            }
        } else {
            skip(input, size)?;
        }
        skip(input, head.size.wrapping_neg() % 4)?;
        if next == Next::Stop {
            return Ok(());
        }
    }
    // An inode whose names all come without content is an empty file.
    for (_, name, mode) in waiting {
        if let Some(entry) = guard.admit(&name, Kind::File, mode)? {
            see(&entry, &mut std::io::empty())?;
        }
    }
    guard.finish()?;
    std::io::copy(input, &mut std::io::sink()).map_err(|e| ArchiveError::of(&e))?;
    Ok(())
}

/// In an rpm an absolute link starts at the root of the installation; this makes it relative.
fn inside(name: &[u8], to: String) -> String {
    let Some(rest) = to.strip_prefix('/') else { return to };
    let depth = name
        .split(|b| *b == b'/')
        .filter(|p| !p.is_empty() && *p != b".")
        .count()
        .saturating_sub(1);
    "../".repeat(depth) + rest
}
