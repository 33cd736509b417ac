//! The scope of a grant: everything, the databases of a pattern, one table, or one object of
//! another kind.
use crate::component::sql::identifier;

/// The level of a grant and what it names there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `*.*`.
    Global,
    /// Databases whose name matches the pattern; the pattern is spelled as the server keeps it.
    Database(String),
    /// One table; here the server takes both names literally. A privilege on a column is held in
    /// this scope too, under a name such as "SELECT (`a`)".
    Table(String, String),
    /// One procedure of a database.
    Procedure(String, String),
    /// One function of a database.
    Function(String, String),
    /// One catalog (seekdb 1.3.0.post5).
    Catalog(String),
    /// One location (seekdb 1.3.0.post5).
    Location(String),
}

/// The levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Global,
    /// Databases.
    Database,
    /// A table.
    Table,
    /// A routine, a catalog or a location. No resource declares a grant on one; what others granted
    /// is only shown and taken away.
    Object,
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
            Self::Procedure(..) | Self::Function(..) | Self::Catalog(_) | Self::Location(_) => {
                Level::Object
            }
        }
    }
    /// The scope as statements name it.
    #[must_use]
    pub fn on(&self) -> String {
        let pair = |database, name| format!("{}.{}", identifier(database), identifier(name));
        match self {
            Self::Global => "*.*".into(),
            Self::Database(pattern) => format!("{}.*", identifier(pattern)),
            Self::Table(database, table) => pair(database, table),
            Self::Procedure(database, name) => format!("PROCEDURE {}", pair(database, name)),
            Self::Function(database, name) => format!("FUNCTION {}", pair(database, name)),
            Self::Catalog(name) => format!("CATALOG {}", identifier(name)),
            // In a session without a database the server wants one here, and takes any.
            Self::Location(name) => format!("LOCATION {}", pair("mysql", name)),
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
