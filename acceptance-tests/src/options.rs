//! The options of a lab.
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Whether hosts share a host key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostKeys {
    /// One key for all hosts, which saves generating a key per host.
    #[default]
    Shared,
    /// A key for each host.
    PerHost,
}

/// The options of a lab. [`crate::Lab::up`] uses `Options::default()` with `hosts` set.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many hosts, at most 250.
    pub hosts: usize,
    /// First part of each host's name: `h1`, `h2`, …. `h` when empty.
    pub prefix: String,
    /// The lab's number, the third byte of its addresses (10.99.ID.N); the next free one when
    /// absent.
    pub id: Option<u8>,
    /// Directory of the disks; `/tmp/ob-lab-ID` when absent.
    pub dir: Option<PathBuf>,
    /// Size limit of each host's disk in bytes; each disk is then a tmpfs of its own.
    pub disk: Option<u64>,
    /// Keeps disks on the file system of `dir` instead of in memory. Memory is the default because
    /// disks there are faster to make and to remove (a file system mounted with `discard` takes
    /// seconds for 50 hosts).
    pub on_disk: bool,
    /// Whether hosts share a host key.
    pub host_keys: HostKeys,
    /// Boots a real systemd on each host, with `UsePAM yes`; needs root. `OB_LAB_SYSTEMD=1` does so
    /// in every lab.
    pub systemd: bool,
    /// The process whose end lets `gc` remove the lab; without one the lab stays until `down`.
    pub owner: Option<i32>,
}

/// Parses `64M`, `2G`, `512K`, or a number of bytes.
///
/// # Errors
/// The text is not a number with one of these units.
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
