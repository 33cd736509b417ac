//! Names that become parts of paths, scripts and statements. Each has a type of its own with one
//! parser, and every source goes through that parser: configuration, state, import ids, notes,
//! marks and kits.
use super::ids::is_object_name;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Deref;

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            schemars::JsonSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::parse(text)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

text_type!(
    /// The name of an object of ours: letters, digits, `-`, `_` and `.`, not beginning with `.` or
    /// `-`, at most 64 characters.
    ObjectName
);
text_type!(
    /// An absolute directory in its canonical spelling: no empty, `.` or `..` part, no control
    /// character, no slash at its end, never the root itself.
    Directory
);

text_type!(
    /// Where a host is: an IPv4 or IPv6 address or a host name, in one spelling, or `local` for
    /// this machine.
    Address
);

impl Address {
    /// This machine, without SSH.
    #[must_use]
    pub fn local() -> Self {
        Self("local".into())
    }

    /// Whether it is this machine. Only a person may say so, never a host.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0 == "local"
    }

    /// Takes an address from outside. Addresses get the spelling of RFC 5952, names lower case and
    /// no dot at their end.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is no address: {why}"));
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_string()));
        }
        let word = |part: &str, more: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if let Some((address, zone)) = text.split_once('%')
            && let Ok(address) = address.parse::<Ipv6Addr>()
        {
            return if word(zone, "-_.") {
                Ok(Self(format!("{address}%{zone}")))
            } else {
                wrong("its zone is none")
            };
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return wrong("it is empty");
        }
        if name.len() > 253 || !name.split('.').all(|l| word(l, "-_") && !l.starts_with('-')) {
            return wrong(
                "write an IPv4 address, an IPv6 address without [ ], or a host name of letters, \
                 digits, '-', '_' and '.'",
            );
        }
        if name.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return wrong("an IPv4 address has four numbers up to 255");
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl ObjectName {
    /// Takes a name from outside.
    ///
    /// # Errors
    /// Says what a name may hold.
    pub fn parse(text: &str) -> Result<Self, String> {
        if is_object_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "{text:?} is no name: use letters, digits, '-', '_' and '.', at most 64, and begin \
             with a letter, a digit or '_'"
        ))
    }
}

/// The most bytes of a directory when it is percent-encoded: as a name in `~/.ob/objects` it has to
/// fit into a file name.
const LONGEST: usize = 200;

impl Directory {
    /// Takes a directory from outside; a slash at its end and doubled slashes are dropped.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is no directory of ours: {why}"));
        if !text.starts_with('/') {
            return wrong("it is not absolute");
        }
        if text.chars().any(char::is_control) {
            return wrong("it holds a control character");
        }
        let parts: Vec<_> = text.split('/').filter(|p| !p.is_empty()).collect();
        if parts.iter().any(|p| matches!(*p, "." | "..")) {
            return wrong("write it without '.' and '..'");
        }
        if parts.is_empty() {
            return wrong("it is the root of the file system");
        }
        let path = format!("/{}", parts.join("/"));
        if encode(&path).len() > LONGEST {
            return wrong("it is too long");
        }
        Ok(Self(path))
    }

    /// A path below the directory.
    #[must_use]
    pub fn join(&self, below: &str) -> String {
        format!("{}/{below}", self.0)
    }
}

/// Text as one file name: every byte is percent-encoded except letters, digits, `-`, `_` and `.`.
#[must_use]
pub fn encode(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_spelling() {
        for (text, want) in [
            ("/data/a", Some("/data/a")),
            ("/data//a/", Some("/data/a")),
            ("/data/a b'$(id)", Some("/data/a b'$(id)")),
            ("data/a", None),
            ("/", None),
            ("//", None),
            ("", None),
            ("/data/../etc", None),
            ("/data/./a", None),
            ("/data/a\n", None),
            ("/data/\u{7f}", None),
        ] {
            assert_eq!(Directory::parse(text).ok().as_deref(), want, "{text:?}");
        }
        assert!(Directory::parse(&format!("/{}", "ä".repeat(40))).is_err(), "too long encoded");
        assert_eq!(encode("/data/a b"), "%2Fdata%2Fa%20b");
    }

    #[test]
    fn an_address_has_one_spelling() {
        for (text, want) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("0:0:0:0:0:0:0:1", Some("::1")),
            ("2001:DB8::0001", Some("2001:db8::1")),
            ("fe80::1%eth0", Some("fe80::1%eth0")),
            ("DB-1.Example.org.", Some("db-1.example.org")),
            ("ob_1", Some("ob_1")),
            ("local", Some("local")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("-oProxyCommand=x", None),
            ("a.-b", None),
            ("10.0.0.256", None),
            ("10.0.0", None),
            ("[::1]", None),
            ("h:22", None),
            ("user@h", None),
            ("x$(id>/tmp/f)", None),
            ("a b", None),
            ("a\n", None),
            ("fe80::1%eth0;id", None),
            ("hôte", None),
        ] {
            assert_eq!(Address::parse(text).ok().as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn what_is_read_back_goes_through_the_same_parser() {
        let read = |json: &str| serde_json::from_str::<ObjectName>(json);
        assert_eq!(read("\"main\"").unwrap().to_string(), "main");
        for hostile in ["\"x$(id>/tmp/f)\"", "\"../x\"", "\"\"", "\"-rf\""] {
            assert!(read(hostile).is_err(), "{hostile}");
        }
        assert!(serde_json::from_str::<Directory>("\"/data/..\"").is_err());
        assert!(serde_json::from_str::<Address>("\"-x\"").is_err());
    }
}
