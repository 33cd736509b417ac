//! The one place that quotes for POSIX sh.

/// Quotes `text` as one word for POSIX sh.
///
/// NUL cannot be in a shell word; it is dropped (inputs that may hold one are refused before they
/// get here).
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| {
            c.is_ascii_alphanumeric()
                || matches!(c, '-' | '_' | '.' | '/' | ':' | ',' | '+' | '@' | '=')
        });
    if plain && !text.starts_with('=') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("'\\''"),
            '\0' => {}
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Joins words into one command line, each quoted.
pub fn join<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    words.into_iter().map(|w| quote(w.as_ref())).collect::<Vec<_>>().join(" ")
}

/// A program with its arguments: `words` become `$1`, `$2`, …, each as it is.
pub fn program<S: AsRef<str>>(text: &str, words: impl IntoIterator<Item = S>) -> String {
    format!("set -- {}\n{text}", join(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_real_shell_gives_back_what_was_quoted() {
        for text in [
            "",
            "a",
            "a b",
            "it's",
            "\"$(id)\"",
            "`id`",
            "a\nb",
            "\\",
            "''",
            "$HOME",
            "*",
            "~",
            "=x",
            "a=b",
            "ä",
            "#",
            "-n",
            "!x",
            "a;b",
            "\t",
        ] {
            let out = Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", quote(text)))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), text, "{text:?}");
        }
    }
}
