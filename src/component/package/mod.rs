//! Packages: sets of files out of archives. The sha256 of each file is known before anything is
//! planned.
//!
//! [`archive`] reads one archive safely, and [`listing`] lists its members with their digests.
//! [`layout`] and [`describe`] make a [`Package`] of several archives. [`feed`] streams the
//! package's files, and [`place`] places them on hosts. [`Archives`] is what a process knows of
//! archives; [`store`] is what this machine keeps of them.
pub mod archive;
pub mod archives;
pub mod describe;
mod download;
pub mod feed;
mod id;
pub mod layout;
pub mod listing;
pub mod place;
pub mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_store;

pub use archives::Archives;
pub use id::PackageId;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One file of a package as it is placed on hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Digest of the archive in [`Package::sources`] that holds the file.
    pub source: String,
    /// Name of the member in that archive.
    pub member: String,
    /// Size in bytes, unpacked.
    pub size: u64,
    /// Lower-case hex digest of the unpacked file.
    pub sha256: String,
    /// Permission bits, `0755`.
    pub mode: u32,
}

/// A package: the software, its version, and its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Directory name on hosts: name, version, and a digest over the files.
    pub id: String,
    /// Name of the software, such as `seekdb`.
    pub name: String,
    /// Version as the archive gives it.
    pub version: String,
    /// `x86_64`, `aarch64`, `noarch`.
    pub arch: String,
    /// Archives: path on this machine, or URL, by sha256.
    pub sources: BTreeMap<String, String>,
    /// Files by their path below the package's directory.
    pub files: BTreeMap<String, File>,
}

impl Package {
    /// Whether both have the same files, whatever archives these come from and whatever the
    /// versions are called.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let digests = |p: &Self| {
            p.files.iter().map(|(n, f)| (n.clone(), f.sha256.clone())).collect::<Vec<_>>()
        };
        digests(self) == digests(other)
    }
}

/// The directory name of a package on hosts. The same files give the same name, whatever archives
/// they come from.
#[must_use]
pub fn package_id(name: &str, version: &str, files: &BTreeMap<String, File>) -> String {
    let mut text = String::new();
    for (path, file) in files {
        text += &format!("{path} {}\n", file.sha256);
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let hex: String = digest.as_ref().iter().take(6).map(|b| format!("{b:02x}")).collect();
    PackageId { name: name.into(), version: version.into(), digest: hex }.to_string()
}
