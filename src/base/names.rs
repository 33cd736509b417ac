//! Names that become parts of paths, scripts and statements. Each has a type of its own with one
//! parser, and every source goes through that parser: configuration, state, import ids, notes,
//! marks and kits.
use super::ids::is_object_name;
use serde::{Deserialize, Serialize};
use std::fmt;
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
    fn what_is_read_back_goes_through_the_same_parser() {
        let read = |json: &str| serde_json::from_str::<ObjectName>(json);
        assert_eq!(read("\"main\"").unwrap().to_string(), "main");
        for hostile in ["\"x$(id>/tmp/f)\"", "\"../x\"", "\"\"", "\"-rf\""] {
            assert!(read(hostile).is_err(), "{hostile}");
        }
        assert!(serde_json::from_str::<Directory>("\"/data/..\"").is_err());
    }
}
