//! Databases (schemas): their statements and the checks of their names.
use super::Statement;
use crate::component::sql::identifier;

/// Character set and collation of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// Character set.
    pub charset: String,
    /// Collation.
    pub collation: String,
}

/// Statements that make or change a database. `None` for a character set or collation leaves the
/// choice to the server.
#[must_use]
pub fn statements(
    name: &str,
    now: Option<&Database>,
    charset: Option<&str>,
    collation: Option<&str>,
) -> Vec<Statement> {
    let Some(now) = now else {
        return vec![Statement::new(format!(
            "CREATE DATABASE IF NOT EXISTS {}{}",
            identifier(name),
            clause(charset, collation)
        ))];
    };
    let differs =
        |wanted: Option<&str>, now: &str| wanted.is_some_and(|w| !w.eq_ignore_ascii_case(now));
    if !differs(charset, &now.charset) && !differs(collation, &now.collation) {
        return Vec::new();
    }
    vec![Statement::new(format!(
        "ALTER DATABASE {}{}",
        identifier(name),
        clause(charset, collation)
    ))]
}

fn clause(charset: Option<&str>, collation: Option<&str>) -> String {
    // `word` has checked before that both are plain words.
    let charset = charset.map(|c| format!(" CHARACTER SET = {c}")).unwrap_or_default();
    charset + &collation.map(|c| format!(" COLLATE = {c}")).unwrap_or_default()
}

/// The statement that removes a database and its rows.
#[must_use]
pub fn drop(name: &str) -> Statement {
    Statement::new(format!("DROP DATABASE IF EXISTS {}", identifier(name)))
}

/// What is wrong with a database name; `None` when nothing is. The limits are those that seekdb
/// 1.4.0 enforces.
#[must_use]
pub fn fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a database name must not be empty".into());
    }
    if name.chars().count() > 128 {
        return Some("a database name has at most 128 characters".into());
    }
    if name.ends_with(' ') || name.contains('\0') {
        return Some("a database name cannot end with a blank or hold a NUL character".into());
    }
    if name.contains(['"', '\\']) {
        // Measured: the server makes such a database, but its DROP DATABASE puts the name into
        // double quotes, unescaped.
        return Some(
            "the server cannot drop a database with a double quote or a backslash in its name"
                .into(),
        );
    }
    super::is_system_database(name).then(|| "this database belongs to the server".into())
}

/// Checks the name of a character set or collation.
///
/// # Errors
/// The name is no plain word.
pub fn word(text: &str) -> Result<(), String> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Ok(())
    } else {
        Err("a character set or collation is a word such as utf8mb4 or utf8mb4_bin".into())
    }
}

/// What is wrong with a character set and a collation together; `None` when nothing is.
#[must_use]
pub fn pair_fault(charset: &str, collation: &str) -> Option<String> {
    let (charset, collation) = (charset.to_lowercase(), collation.to_lowercase());
    let belongs = collation == charset
        || collation.strip_prefix(&charset).is_some_and(|r| r.starts_with('_'));
    (!belongs).then(|| format!("collation {collation} is not one of character set {charset}"))
}
