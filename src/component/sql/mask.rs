//! Masks a secret in a text that somebody else wrote.
use crate::base::Secret;

/// Shorter parts of a secret are not masked: ordinary words contain them too.
const PART: usize = 4;

/// Characters that quoting adds or changes. The comparison skips them on both sides.
fn quoting(c: char) -> bool {
    matches!(c, '\'' | '"' | '\\' | '`' | '\0')
}

fn plain(text: &str) -> Vec<(usize, char)> {
    let all = text.char_indices().filter(|(_, c)| !quoting(*c));
    all.map(|(at, c)| (at, c.to_ascii_lowercase())).collect()
}

/// Replaces each part of `secret` that has four characters or more by `***`, however the text
/// quotes it: servers cut and requote what they repeat.
#[must_use]
pub fn mask(text: &str, secret: &Secret) -> String {
    let wanted: Vec<char> = plain(secret.expose()).into_iter().map(|(_, c)| c).collect();
    if wanted.is_empty() {
        // A secret made of quotes alone cannot be told apart from the server's own quotes.
        return if secret.expose().is_empty() { text.to_owned() } else { "***".to_owned() };
    }
    let length = wanted.len().min(PART);
    let there = plain(text);
    let mut hidden = vec![false; there.len()];
    for (n, window) in there.windows(length).enumerate() {
        if wanted.windows(length).any(|w| w.iter().eq(window.iter().map(|(_, c)| c))) {
            hidden[n..n + length].fill(true);
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    let mut n = 0;
    for (at, c) in text.char_indices() {
        let of_secret = if there.get(n).is_some_and(|(place, _)| *place == at) {
            n += 1;
            hidden[n - 1]
        } else {
            // Quotes within a hidden part are hidden with it.
            inside && hidden.get(n).copied().unwrap_or(false)
        };
        match (of_secret, inside) {
            (true, false) => out.push_str("***"),
            (true, true) => {}
            (false, _) => out.push(c),
        }
        inside = of_secret;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_secret_is_left_however_it_is_quoted() {
        for (text, secret, want) in [
            ("near 'hunter2' at line 1", "hunter2", "near '***' at line 1"),
            ("cut: near 'bt 'hunt", "hunter2", "cut: near 'bt '***"),
            ("near 'nter2' x' at line 1", "hunter2", "near '***' x' at line 1"),
            ("near 'a''bc\\\\d$e' at 1", "a'bc\\d$e", "near '***' at 1"),
            ("near 'a\\'bc\\d$e' at 1", "a'bc\\d$e", "near '***' at 1"),
            ("HUNTER2 and hunter2", "Hunter2", "*** and ***"),
            ("a word", "ab", "a word"),
            ("is ab", "ab", "is ***"),
            ("is '\\\\''", "'\\", "***"),
            ("all", "", "all"),
            ("ein Schlüssel", "Schlüssel", "ein ***"),
        ] {
            assert_eq!(mask(text, &Secret::new(secret)), want, "{text} {secret}");
        }
    }
}
