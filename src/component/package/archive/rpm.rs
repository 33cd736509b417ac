//! RPM: the label comes from the header, the members from the payload.
use super::guard::Guard;
use super::{ArchiveError, Label, See, cpio, packing, unpack};
use std::io::{BufRead, Read};

/// Visits the members of an rpm of `size` bytes.
pub(super) fn walk(
    mut input: impl BufRead,
    size: u64,
    guard: &mut Guard,
    see: &mut See<'_>,
) -> Result<Label, ArchiveError> {
    // The parser allocates what a header claims to need. So no header may claim more than the file
    // holds, or more than 64 MiB.
    let head = checked_head(&mut input, size)?;
    let label = {
        let damaged = |e: rpm::Error| ArchiveError::Damaged(e.to_string());
        let meta = rpm::PackageMetadata::parse(&mut head.as_slice()).map_err(damaged)?;
        if meta.is_source_package() {
            return Err(ArchiveError::Unsupported("it is a source package".into()));
        }
        let text = |t: Result<&str, rpm::Error>| t.map(str::to_owned).map_err(damaged);
        Label {
            name: text(meta.get_name())?,
            version: format!("{}-{}", text(meta.get_version())?, text(meta.get_release())?),
            arch: text(meta.get_arch())?,
        }
    };
    let first = input.fill_buf().map_err(|e| ArchiveError::of(&e))?;
    let packing = packing(first);
    if packing == super::Packing::Plain && !first.starts_with(b"0707") {
        return Err(if first.is_empty() {
            ArchiveError::Damaged("it ends early".into())
        } else {
            ArchiveError::Unsupported("its payload is packed with neither gzip, xz nor zstd".into())
        });
    }
    let mut stream = guard.meter(unpack(packing, &mut input)?);
    cpio::walk(&mut stream, guard, see)?;
    Ok(label)
}

/// Reads the lead and both headers, byte for byte, and checks the numbers that the parser would
/// trust.
fn checked_head(input: &mut impl Read, size: u64) -> Result<Vec<u8>, ArchiveError> {
    let damaged = |why: &str| ArchiveError::Damaged(why.to_owned());
    let mut head = vec![0; 96];
    input.read_exact(&mut head).map_err(|e| ArchiveError::of(&e))?;
    for padded in [true, false] {
        let mut index = [0; 16];
        input.read_exact(&mut index).map_err(|e| ArchiveError::of(&e))?;
        if index[..4] != [0x8e, 0xad, 0xe8, 0x01] {
            return Err(damaged("a header is missing"));
        }
        let number = |at: usize| {
            u64::from(u32::from_be_bytes([index[at], index[at + 1], index[at + 2], index[at + 3]]))
        };
        let (entries, data) = (number(8), number(12));
        let rest = entries * 16 + data;
        if rest > size.min(64 << 20) {
            return Err(damaged("a header is larger than the file"));
        }
        let padding = if padded { data.wrapping_neg() % 8 } else { 0 };
        let start = head.len();
        head.extend_from_slice(&index);
        head.resize(start + 16 + usize::try_from(rest + padding).unwrap_or(0), 0);
        input.read_exact(&mut head[start + 16..]).map_err(|e| ArchiveError::of(&e))?;
        // An entry consists of tag, type, offset and count. The parser slices by offset and
        // allocates count items.
        for entry in head[start + 16..].chunks_exact(16).take(usize::try_from(entries).unwrap_or(0))
        {
            let number = |at: usize| {
                u64::from(u32::from_be_bytes([
                    entry[at],
                    entry[at + 1],
                    entry[at + 2],
                    entry[at + 3],
                ]))
            };
            if number(8) > data || number(12) > data {
                return Err(damaged("a header entry lies outside of its header"));
            }
        }
    }
    Ok(head)
}
