//! Reads archives on this machine, member by member, and holds none of them in memory.
//!
//! [`walk`] is the only entry point. It tells the format by the archive's first bytes, passes every
//! member through one guard (hostile names, links, devices, duplicates, bombs), and hands out name,
//! kind and a reader. Nothing is ever unpacked to a path that an archive names.
mod cpio;
pub mod error;
mod guard;
#[cfg(test)]
pub(super) mod making;
mod rpm;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

pub use error::ArchiveError;

use guard::Guard;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

/// The kind of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A file with content.
    File,
    /// A folder.
    Folder,
    /// A symbolic link to another member, by that member's name.
    Symlink(String),
    /// Another name of a member.
    HardLink(String),
}

/// One member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name: `/` between folders, never absolute, without `..`.
    pub name: String,
    /// Kind.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
}

/// How much an archive may unpack to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes that any archive may unpack to.
    pub unpacked: u64,
    /// How many bytes each byte of the archive may unpack to, in addition to [`Limits::always`].
    pub ratio: u64,
    /// The bytes that an archive of any size may unpack to.
    pub always: u64,
    /// The most members.
    pub members: usize,
}

impl Default for Limits {
    /// 16 GiB in all; 100 times the archive's size plus 64 MiB; 100,000 members. The largest server
    /// package needs a tenth of that.
    fn default() -> Self {
        Self { unpacked: 16 << 30, ratio: 100, always: 64 << 20, members: 100_000 }
    }
}

/// What an archive says about itself; fields are empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Name of the software.
    pub name: String,
    /// Version; an rpm's includes the release.
    pub version: String,
    /// Architecture.
    pub arch: String,
}

/// Archive formats, told by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Zip; wheels are zips.
    Zip,
    /// Tar, plain or compressed.
    Tar,
    /// RPM.
    Rpm,
}

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Xz,
    Zstd,
}

/// Whether to go on with the next member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Go,
    /// Stop: nothing more is wanted.
    Stop,
}

/// Called with each member and a reader of its content. What the callback does not read is skipped.
pub type See<'a> = dyn FnMut(&Entry, &mut dyn Read) -> Result<Next, ArchiveError> + 'a;

/// Visits all members in the archive's order.
///
/// # Errors
/// Whatever is wrong with the archive, and whatever `see` returns.
pub fn walk(
    file: &mut File,
    limits: &Limits,
    see: &mut See<'_>,
) -> Result<(Format, Label), ArchiveError> {
    let read = |e: std::io::Error| ArchiveError::Read(e.to_string());
    let size = file.metadata().map_err(read)?.len();
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let mut head = Vec::new();
    Read::by_ref(file).take(512).read_to_end(&mut head).map_err(read)?;
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let mut guard = Guard::new(size, limits);
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return zip::walk(file, &mut guard, see).map(|()| (Format::Zip, Label::default()));
    }
    let mut input = BufReader::with_capacity(128 << 10, file);
    if head.starts_with(&[0xed, 0xab, 0xee, 0xdb]) {
        return rpm::walk(input, size, &mut guard, see).map(|label| (Format::Rpm, label));
    }
    let packing = packing(&head);
    if packing == Packing::Plain && !tar::is_header(&head) {
        return Err(ArchiveError::NotAnArchive(format!("it begins with {}", shown(&head))));
    }
    let mut stream = guard.meter(unpack(packing, &mut input)?);
    tar::walk(&mut stream, &mut guard, see).map(|()| (Format::Tar, Label::default()))
}

fn packing(head: &[u8]) -> Packing {
    match head {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        _ => Packing::Plain,
    }
}

fn unpack<'a>(
    packing: Packing,
    input: &'a mut dyn std::io::BufRead,
) -> Result<Box<dyn Read + 'a>, ArchiveError> {
    let damaged = |e: std::io::Error| ArchiveError::Damaged(e.to_string());
    Ok(match packing {
        Packing::Plain => Box::new(input),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Packing::Xz => {
            // At most 256 MiB of memory; `xz -9` needs 65 MiB.
            let stream = liblzma::stream::Stream::new_stream_decoder(256 << 20, 0)
                .map_err(|e| ArchiveError::Damaged(e.to_string()))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(damaged)?;
            // A window of 128 MiB, the most that zstd itself takes by default.
            decoder.window_log_max(27).map_err(damaged)?;
            Box::new(decoder)
        }
    })
}

fn shown(head: &[u8]) -> String {
    let head = &head[..head.len().min(16)];
    if head.is_empty() {
        "nothing: it is empty".to_owned()
    } else {
        format!("{:?}", String::from_utf8_lossy(head))
    }
}

/// Reads and drops `n` bytes.
fn skip(input: &mut dyn Read, n: u64) -> Result<(), ArchiveError> {
    let done = std::io::copy(&mut input.take(n), &mut std::io::sink())
        .map_err(|e| ArchiveError::of(&e))?;
    if done == n { Ok(()) } else { Err(ArchiveError::Damaged("it ends early".into())) }
}

/// Fills the buffer; `false` when the input has ended before its first byte.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> Result<bool, ArchiveError> {
    let mut at = 0;
    while at < buffer.len() {
        match input.read(&mut buffer[at..]) {
            Ok(0) if at == 0 => return Ok(false),
            Ok(0) => return Err(ArchiveError::Damaged("it ends early".into())),
            Ok(n) => at += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(ArchiveError::of(&e)),
        }
    }
    Ok(true)
}

/// Shows one member of `size` bytes, whose content comes next in `input`, then skips what `see` did
/// not read.
fn show(
    entry: &Entry,
    input: &mut dyn Read,
    size: u64,
    see: &mut See<'_>,
) -> Result<Next, ArchiveError> {
    let mut exact = Exact { inner: input, left: size };
    let next = see(entry, &mut exact)?;
    let left = exact.left;
    skip(input, left)?;
    Ok(next)
}

/// The next `left` bytes of a stream; if the stream ends earlier, that is an error.
struct Exact<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        match self.inner.read(&mut buffer[..most])? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}
