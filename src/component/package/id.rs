//! Parses and prints the directory name of a package on hosts.
use std::fmt;

/// The parts of the name of a package's directory, such as `seekdb-1.4.0.post1-0123456789ab`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageId {
    /// Name of the software.
    pub name: String,
    /// Version as the archive gives it; it may contain dashes.
    pub version: String,
    /// The first 12 hex digits of the digest over the package's files. A directory that others
    /// named may have any other word here.
    pub digest: String,
}

impl PackageId {
    /// Parses a directory name. The version begins at the first digit that follows a dash. `None`
    /// when the name has no version.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let (rest, digest) = id.rsplit_once('-')?;
        let digit = |at: usize| rest[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        let (at, _) = rest.match_indices('-').find(|(at, _)| *at > 0 && digit(*at))?;
        let (name, version) = (rest[..at].to_owned(), rest[at + 1..].to_owned());
        Some(Self { name, version, digest: digest.to_owned() })
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.name, self.version, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::PackageId;

    #[test]
    fn an_id_is_taken_apart_and_put_together_again() {
        for (id, want) in [
            ("seekdb-1.4.0.post1-0123456789ab", Some(("seekdb", "1.4.0.post1"))),
            (
                "oceanbase-ce-4.3.5.0-100.el8-0123456789ab",
                Some(("oceanbase-ce", "4.3.5.0-100.el8")),
            ),
            ("seekdb-1.4.0-mine", Some(("seekdb", "1.4.0"))),
            ("seekdb-0123456789ab", None),
            ("-1.4.0-0123456789ab", None),
            ("p1", None),
            ("", None),
        ] {
            let found = PackageId::parse(id);
            let parts = found.as_ref().map(|p| (p.name.as_str(), p.version.as_str()));
            assert_eq!(parts, want, "{id}");
            assert!(found.is_none_or(|p| p.to_string() == id), "{id}");
        }
    }
}
