//! A value that cannot be printed by accident.
use std::fmt;
use zeroize::Zeroize;

/// A password, key or token. `Debug` shows `***`; there is no `Display` and no `Serialize`; memory
/// is cleared on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Makes a random one of 127 bits, which satisfies any usual policy: 10 capitals, 10 small
    /// letters, 8 digits and 4 of `._-`. It is safe in every quoting.
    #[must_use]
    pub fn random() -> Self {
        use rand::seq::IndexedRandom;
        const KINDS: [(usize, &[u8]); 4] = [
            (10, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            (10, b"abcdefghijklmnopqrstuvwxyz"),
            (8, b"0123456789"),
            (4, b"._-"),
        ];
        let mut rng = rand::rng();
        // Whole from the start: a text that grows leaves copies behind.
        let mut text = String::with_capacity(32);
        for (count, kind) in KINDS {
            text.extend((0..count).filter_map(|_| kind.choose(&mut rng).copied()).map(char::from));
        }
        Self(text)
    }

    /// Hands the secret out; each call is a place to look at in a review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// How many capitals, small letters, digits and signs that are safe everywhere a text has.
#[cfg(test)]
#[must_use]
pub fn kinds(text: &str) -> [usize; 4] {
    let of = |kind: fn(&char) -> bool| text.chars().filter(kind).count();
    [
        of(char::is_ascii_uppercase),
        of(char::is_ascii_lowercase),
        of(char::is_ascii_digit),
        of(|c| "._-".contains(*c)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_it() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(***)");
    }

    #[test]
    fn a_random_one_satisfies_any_usual_policy() {
        let (a, b) = (Secret::random(), Secret::random());
        assert_eq!((kinds(a.expose()), a.expose().len()), ([10, 10, 8, 4], 32));
        assert_ne!(a, b);
    }
}
