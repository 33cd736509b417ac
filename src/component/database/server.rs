//! One server as it shall be, as it was found, and how far it is.
use super::Facts;
use crate::component::package::Package;
use crate::engine::mark::Stage;
use crate::engine::{Node, Port};
use std::collections::BTreeMap;

/// What a configuration asks for, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Version of its package.
    pub version: Option<String>,
    /// How many zones it names; `None` while unknown.
    pub zones: Option<usize>,
    /// How many servers, in all of them; `None` while unknown.
    pub servers: Option<usize>,
    /// Parameters with a value.
    pub parameters: BTreeMap<String, String>,
}

/// A server as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Which one.
    pub node: Node,
    /// What it runs.
    pub package: Package,
    /// Parameters, passed at every start.
    pub parameters: BTreeMap<String, String>,
    /// Make a database; false only installs, for a future standby.
    pub initialize: bool,
    /// root gets a password (from the configuration's write-only attribute).
    pub root_password: bool,
    /// Changes whenever root's password shall be set again.
    pub root_password_version: i64,
}

/// What a server that others made says of itself without a login.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Name in its mark, else its directory's.
    pub name: String,
    /// Its ports.
    pub ports: BTreeMap<Port, u16>,
    /// Files it runs from.
    pub package: Package,
    /// There is a store.
    pub initialized: bool,
    /// What its log or binary says of its build; may be empty.
    pub build: String,
}

/// How far a server is. The word goes into state, where it stays equal while nothing changes.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// It is being made.
    Building,
    /// It is being removed.
    #[strum(serialize = "being destroyed")]
    Destroying,
    /// There is a package and no store; or it is a member, whose server is its group's business.
    Installed,
    /// It runs.
    Running,
    /// It has a store and does not run.
    Stopped,
    /// A restart was cut before its new process was there.
    Restarting,
    /// A restart was cut after its new process was there.
    Restarted,
    /// Its adoption was cut; it runs.
    Adopting,
    /// Its adoption was cut; it does not run.
    #[strum(serialize = "adopting, stopped")]
    AdoptingDown,
    /// Its host or its server does not answer.
    Unreachable,
}

impl State {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The word in state and output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
    /// Back from the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
    /// What a host shows. `initialize`: the object makes a database itself; a member that others
    /// build is the group's business, and must not show as a change of its own object.
    #[must_use]
    pub fn of(facts: &Facts, initialize: bool) -> Self {
        match facts.mark.as_ref().map(|m| m.stage) {
            Some(Stage::Destroying) => return Self::Destroying,
            Some(Stage::Building) if initialize => return Self::Building,
            Some(Stage::Building | Stage::Complete) | None => {}
        }
        let runs = facts.pid.is_some();
        if facts.restart {
            let new = runs && !facts.restart_runs;
            return if new { Self::Restarted } else { Self::Restarting };
        }
        if facts.adopting {
            return if runs { Self::Adopting } else { Self::AdoptingDown };
        }
        if !initialize {
            return Self::Installed;
        }
        if runs || facts.group.is_some() {
            return Self::Running;
        }
        if facts.store { Self::Stopped } else { Self::Installed }
    }
    /// An adoption was cut.
    #[must_use]
    pub fn adopting(self) -> bool {
        matches!(self, Self::Adopting | Self::AdoptingDown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_word_of_its_own() {
        for state in State::ALL.iter().copied() {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse(""), None);
    }

    #[test]
    fn the_state_follows_from_what_the_host_shows() {
        let none = Facts::default;
        let runs = || Facts { pid: Some(1), store: true, ..none() };
        for (facts, initialize, want) in [
            (none(), true, State::Installed),
            (Facts { store: true, ..none() }, true, State::Stopped),
            (Facts { store: true, ..none() }, false, State::Installed),
            (runs(), true, State::Running),
            (runs(), false, State::Installed),
            (Facts { adopting: true, ..runs() }, true, State::Adopting),
            (Facts { adopting: true, ..none() }, true, State::AdoptingDown),
            (Facts { restart: true, restart_runs: true, ..runs() }, true, State::Restarting),
            (Facts { restart: true, ..runs() }, true, State::Restarted),
            (Facts { restart: true, ..none() }, false, State::Restarting),
        ] {
            assert_eq!(State::of(&facts, initialize), want, "{facts:?}");
        }
    }
}
