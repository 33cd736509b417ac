//! The one place that quotes for SQL.

/// Quotes a string literal. OceanBase in MySQL mode takes backslash escapes, so both are doubled.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Quotes an identifier with back-quotes (double quotes are strings in OceanBase's grammar).
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_inside_their_quotes() {
        for (text, want) in [
            ("a", "'a'"),
            ("it's", "'it''s'"),
            ("a\\", "'a\\\\'"),
            ("\\'; drop", "'\\\\''; drop'"),
            ("\"`", "'\"`'"),
        ] {
            assert_eq!(literal(text), want);
        }
        for (name, want) in [("a", "`a`"), ("a`b", "`a``b`"), ("a'b\"", "`a'b\"`")] {
            assert_eq!(identifier(name), want);
        }
    }
}
