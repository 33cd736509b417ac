//! Makes text from outside safe for a terminal: what would steer the terminal becomes visible.
//!
//! A host may answer with anything. An escape sequence sets the title, clears the screen or writes
//! the clipboard, and a bidirectional control makes a line read as another one. Only this file
//! knows such characters; every text on its way to a person goes through [`visible`].
use std::borrow::Cow;

/// Whether a character may steer a terminal or mislead its reader.
fn steers(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // The bidirectional marks, embeddings, overrides and isolates.
        '\u{61c}' | '\u{200e}' | '\u{200f}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        // C0, DEL and C1; among them are what opens CSI, OSC, DCS, APC, PM and SOS.
        c => c.is_control(),
    }
}

fn replaced(text: &str, show: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) { out.push_str(&show(c)) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// The text with control characters (except newline and tab) as `\x1b` or `\u{202e}`. Text that
/// went through it once stays as it is.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    replaced(text, |c| match u32::from(c) {
        code @ ..0x80 => format!("\\x{code:02x}"),
        code => format!("\\u{{{code:x}}}"),
    })
}

/// The same for a JSON document, whose strings keep their meaning.
#[must_use]
pub fn visible_json(document: &str) -> Cow<'_, str> {
    replaced(document, |c| format!("\\u{:04x}", u32::from(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_and_nothing_else_changes() {
        for (text, want) in [
            ("plain, tab\tand\nlines", "plain, tab\tand\nlines"),
            ("ä€ 漢字 🙂 \\x1b", "ä€ 漢字 🙂 \\x1b"),
            ("\x1b[2J\x1b[1;1H", "\\x1b[2J\\x1b[1;1H"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\x1b]52;c;cm0gLXJm\x1b\\", "\\x1b]52;c;cm0gLXJm\\x1b\\"),
            ("gone\r\x08\x0b\x0c\0", "gone\\x0d\\x08\\x0b\\x0c\\x00"),
            ("\x7f", "\\x7f"),
            ("\u{80}\u{9b}31m\u{9d}0;t\u{9c}\u{9f}", "\\u{80}\\u{9b}31m\\u{9d}0;t\\u{9c}\\u{9f}"),
            ("a\u{202e}b\u{2066}c\u{2069}", "a\\u{202e}b\\u{2066}c\\u{2069}"),
            ("\u{202a}\u{202b}\u{202c}\u{202d}", "\\u{202a}\\u{202b}\\u{202c}\\u{202d}"),
            ("\u{2067}\u{2068}\u{200e}\u{200f}", "\\u{2067}\\u{2068}\\u{200e}\\u{200f}"),
            ("\u{61c}\u{2029}\u{206a}", "\\u{61c}\u{2029}\u{206a}"),
        ] {
            assert_eq!(visible(text), want, "{text:?}");
            assert_eq!(visible(&visible(text)), want, "once is enough: {text:?}");
        }
    }

    #[test]
    fn a_json_document_says_the_same_afterwards() {
        let said = ["\x1b[2J\u{9b}2J\u{202e}\u{7f}\r\n\t", "plain"];
        let text = serde_json::to_string_pretty(&said).unwrap();
        let shown = visible_json(&text);
        assert!(text.contains('\u{9b}') && !shown.contains(steers));
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), said);
    }
}
