//! Keys of gates, locks and journals on a host. A key is made of the object's place, so that two
//! objects of one name have two keys.
use super::node::Node;
use crate::base::names::encode;
use crate::base::{Directory, ObjectName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The folder of an object in `$OB_STATE/objects`. Owner and creation are checked under it.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Key(String);

impl Key {
    /// The key of what lives in a directory.
    #[must_use]
    pub fn place(directory: &Directory) -> Self {
        Self(format!("at{}", encode(directory)))
    }
    /// The key of the host itself.
    #[must_use]
    pub fn host() -> Self {
        Self("host".into())
    }
    /// The key of a replication group: its name with a checksum of its members' addresses, ports
    /// and directories. The names that people give the hosts do not count.
    #[must_use]
    pub fn group<'a>(name: &ObjectName, members: impl Iterator<Item = &'a Node>) -> Self {
        let mut places: Vec<_> = members
            .map(|m| {
                let e = &m.host.endpoint;
                format!("{}:{}{}\n", e.address, e.port, m.directory)
            })
            .collect();
        places.sort();
        let mut crc = flate2::Crc::new();
        crc.update(places.concat().as_bytes());
        Self(format!("group-{name}-{:08x}", crc.sum()))
    }
    /// Whether this is the key of a replication group.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.0.starts_with("group-")
    }
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Reads a key that a host gave. Only a plain file name passes, so that a key is safe in a
    /// path.
    ///
    /// # Errors
    /// The text is not a plain file name of at most 255 characters.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '%');
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if first && text.len() <= 255 && text.chars().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} is no key of an object"))
        }
    }
}

impl TryFrom<String> for Key {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}
impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_place_and_safe_in_a_path() {
        let key = |d: &str| Key::place(&Directory::parse(d).unwrap()).to_string();
        assert_eq!(key("/data/db1/"), "at%2Fdata%2Fdb1");
        assert_ne!(key("/data/db1"), key("/data/db10"));
        for hostile in ["../x", "a/b", "", ".x", "a b", "a\nb", "$(id)"] {
            assert!(Key::parse(hostile).is_err(), "{hostile:?}");
        }
        assert!(Key::parse(&key("/data/ä '$(id)")).is_ok());
    }
}
