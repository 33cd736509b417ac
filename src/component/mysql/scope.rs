//! The scope of a grant: everything, the databases of a pattern, or one table.
use crate::component::sql::identifier;

/// The level of a grant and what it names there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `*.*`.
    Global,
    /// Databases whose name matches the pattern; the pattern is spelled as the server keeps it.
    Database(String),
    /// One table; here the server takes both names literally.
    Table(String, String),
}

/// The three levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Global,
    /// Databases.
    Database,
    /// A table.
    Table,
}

/// The pattern that matches exactly the database `name`.
#[must_use]
pub fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '_' | '%' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The one name that `pattern` matches; `None` when it has wildcards.
#[must_use]
pub fn literal_name(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '_' | '%' => return None,
            '\\' => out.push(chars.next()?),
            c => out.push(c),
        }
    }
    (escape(&out) == pattern).then_some(out)
}

/// Whether `pattern` matches `name`, a database or a pattern, by the server's rules.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    fn from(p: &[char], n: &[char]) -> bool {
        match p {
            [] => n.is_empty(),
            ['%', rest @ ..] => (0..=n.len()).any(|i| from(rest, &n[i..])),
            ['_', rest @ ..] => !n.is_empty() && from(rest, &n[1..]),
            ['\\', c, rest @ ..] | [c, rest @ ..] => n.first() == Some(c) && from(rest, &n[1..]),
        }
    }
    let (p, n): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    from(&p, &n)
}

impl Scope {
    /// The level of the scope.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Global => Level::Global,
            Self::Database(_) => Level::Database,
            Self::Table(..) => Level::Table,
        }
    }
    /// The scope as statements name it.
    #[must_use]
    pub fn on(&self) -> String {
        match self {
            Self::Global => "*.*".into(),
            Self::Database(pattern) => format!("{}.*", identifier(pattern)),
            Self::Table(database, table) => {
                format!("{}.{}", identifier(database), identifier(table))
            }
        }
    }
    /// The scope in the spelling of a server that keeps names in lower case.
    #[must_use]
    pub fn folded(&self, folds: bool) -> Self {
        match self {
            Self::Database(pattern) if folds => Self::Database(pattern.to_lowercase()),
            Self::Table(database, table) if folds => {
                Self::Table(database.to_lowercase(), table.to_lowercase())
            }
            other => other.clone(),
        }
    }
}
