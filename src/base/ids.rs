//! Identifiers that are written into marks, gates and journals.
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            schemars::JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Makes a new one: sortable by time, unique without coordination.
            #[must_use]
            pub fn fresh() -> Self {
                Self(ulid::Ulid::generate().to_string())
            }

            /// Takes text that a host or a user gave; `None` if it is no ULID.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                ulid::Ulid::from_string(text).ok().map(|id| Self(id.to_string()))
            }

            /// The text form, 26 characters.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

ulid_id!(
    /// Names one operation: one run of one graph.
    OperationId
);
ulid_id!(
    /// Names one creation of an object; destroy needs the same one in the state and in the mark.
    CreationId
);

/// Tells whether `name` can be the name of one of our objects: it becomes part of file names on
/// hosts.
///
/// Letters, digits, `-`, `_` and `.`, not starting with `.` or `-`, at most 64 characters.
#[must_use]
pub fn is_object_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_are_safe_in_paths() {
        for (name, ok) in [
            ("main", true),
            ("a.b-c_1", true),
            ("", false),
            (".x", false),
            ("-x", false),
            ("a/b", false),
            ("ä", false),
            ("a b", false),
        ] {
            assert_eq!(is_object_name(name), ok, "{name}");
        }
        assert!(!is_object_name(&"x".repeat(65)));
    }

    #[test]
    fn ids_survive_text() {
        let id = OperationId::fresh();
        assert_eq!(OperationId::parse(id.as_str()), Some(id));
        assert_eq!(OperationId::parse("../../etc"), None);
    }
}
