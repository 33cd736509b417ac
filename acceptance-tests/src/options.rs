//! What a lab is to be like.
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Whether hosts share a host key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostKeys {
    /// One key for all: saves a key generation per host.
    #[default]
    Shared,
    /// A key each.
    PerHost,
}

/// What a lab is to be like. `Options::default()` with `hosts` set is what [`crate::Lab::up`] uses.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many hosts, at most 250.
    pub hosts: usize,
    /// First part of each host's name; `h` when empty: `h1`, `h2`, ….
    pub prefix: String,
    /// The lab's number, the third byte of its addresses (10.99.ID.N); the lowest free one when
    /// absent.
    pub id: Option<u8>,
    /// Where the disks lie; `/tmp/ob-lab-ID` when absent.
    pub dir: Option<PathBuf>,
    /// Size limit of each host's disk in bytes; the disk is then a tmpfs of its own.
    pub disk: Option<u64>,
    /// Keeps disks on the file system of `dir` instead of in memory. Memory is the default because
    /// it is faster to make and to remove (a file system mounted with `discard` takes seconds for
    /// 50 hosts).
    pub on_disk: bool,
    /// Whether hosts share a host key.
    pub host_keys: HostKeys,
    /// Process whose end ends the lab, as `gc` sees it; absent: it stays until `down`.
    pub owner: Option<i32>,
}

/// Reads `64M`, `2G`, `512K` or bytes.
///
/// # Errors
/// Not a number with one of these units.
pub fn parse_size(text: &str) -> Result<u64> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let n: u64 =
        digits.parse().with_context(|| format!("{text:?} is not a size; write 64M or 2G"))?;
    n.checked_mul(1 << shift).with_context(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, want) in [
            ("1", Some(1)),
            ("64M", Some(64 << 20)),
            ("2g", Some(2 << 30)),
            ("3K", Some(3072)),
            ("", None),
            ("M", None),
            ("1T", None),
            ("99999999999G", None),
        ] {
            assert_eq!(parse_size(text).ok(), want, "{text:?}");
        }
    }
}
