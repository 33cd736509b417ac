//! How much a sweep tries: the committed points, other points each time, or all points.
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The committed points, which are the same each time: what CI runs.
    Fixed,
    /// Points that [`seed`] chooses, for this long: `OB_EXPLORE_MINUTES`.
    Explore(Duration),
    /// Every point, however long it takes: `OB_TEST_ALL=1`.
    All,
}

/// How much this run tries.
#[must_use]
pub fn scope() -> Scope {
    if std::env::var_os("OB_TEST_ALL").is_some_and(|v| v != "0" && !v.is_empty()) {
        return Scope::All;
    }
    number("OB_EXPLORE_MINUTES")
        .map_or(Scope::Fixed, |minutes| Scope::Explore(Duration::from_secs(60 * minutes)))
}

/// Whether everything is to be tried.
#[must_use]
pub fn all() -> bool {
    scope() == Scope::All
}

/// The seed that chooses where [`Scope::Explore`] looks: `OB_SEED`, which repeats a run, or else
/// the clock.
#[must_use]
pub fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    number("OB_SEED").unwrap_or_else(now)
}

/// The number in an environment variable.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|v| v.parse().ok())
}
