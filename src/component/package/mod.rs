//! Packages: a set of files out of archives, each known by its sha256 before anything is planned.
//!
//! [`archive`] reads one archive safely, [`listing`] its members with their digests, [`layout`] and
//! [`describe`] make a [`Package`] of several, [`feed`] streams its files, [`place`] has them on
//! hosts. [`Archives`] is what a process knows of archives, [`store`] what this machine keeps of
//! them.
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

/// One file of a package as it lies on hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The archive of [`Package::sources`] it comes from.
    pub source: String,
    /// Its name in the archive.
    pub member: String,
    /// Size in bytes, unpacked.
    pub size: u64,
    /// Lower-case hex digest of the unpacked file.
    pub sha256: String,
    /// Permission bits, `0755`.
    pub mode: u32,
}

/// A package: which software in which version, and its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Directory name on hosts: name, version and a digest over the files.
    pub id: String,
    /// Software, `seekdb`.
    pub name: String,
    /// Version as its archive says.
    pub version: String,
    /// `x86_64`, `aarch64`, `noarch`.
    pub arch: String,
    /// Archives: path on this machine (or URL) by sha256.
    pub sources: BTreeMap<String, String>,
    /// Files by the name they have below the package's directory.
    pub files: BTreeMap<String, File>,
}

impl Package {
    /// The same files, wherever they come from and whatever the version is called.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let digests = |p: &Self| {
            p.files.iter().map(|(n, f)| (n.clone(), f.sha256.clone())).collect::<Vec<_>>()
        };
        digests(self) == digests(other)
    }
}

/// The directory name of a package on hosts: the same files give the same name, whoever unpacked
/// them.
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
