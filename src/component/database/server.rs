//! One server: as it shall be, as it was found, and how far it has got.
use super::Facts;
use crate::base::Directory;
use crate::component::package::Package;
use crate::engine::mark::Stage;
use crate::engine::{Node, Port};
use std::collections::BTreeMap;

/// The part of a server's configuration that is known at plan time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Version of the package.
    pub version: Option<String>,
    /// How many zones the configuration names; `None` while unknown.
    pub zones: Option<usize>,
    /// How many servers there are in all zones together; `None` while unknown.
    pub servers: Option<usize>,
    /// Parameters whose value is known.
    pub parameters: BTreeMap<String, String>,
}

/// A server as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Name, host, directory and ports of the server.
    pub node: Node,
    /// The package that the server runs.
    pub package: Package,
    /// Parameters, passed at every start.
    pub parameters: BTreeMap<String, String>,
    /// Whether to make a database; `false` only installs, for a standby that is built later.
    pub initialize: bool,
    /// Whether root gets a password (from the configuration's write-only attribute).
    pub root_password: bool,
    /// Changes whenever root's password shall be set again.
    pub root_password_version: i64,
}

/// What can be learned without a login of a server that others made.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The name in the server's mark, or else the name of its directory.
    pub name: String,
    /// The directory that its mark names; `None` without a mark.
    pub known_as: Option<Directory>,
    /// Ports of the server.
    pub ports: BTreeMap<Port, u16>,
    /// The files that the server runs from.
    pub package: Package,
    /// There is a store.
    pub initialized: bool,
    /// What the log or the binary says of the build; may be empty.
    pub build: String,
}

/// How far a server has got. The word for it goes into state, where it stays equal while nothing
/// changes.
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
    /// The server is being made.
    Building,
    /// The server is being removed.
    #[strum(serialize = "being destroyed")]
    Destroying,
    /// There is a package and no store, or the group of this member decides about its server.
    Installed,
    /// The server runs.
    Running,
    /// The server has a store and does not run.
    Stopped,
    /// Somebody stopped the server by its unit: no plan starts it.
    #[strum(serialize = "stopped by hand")]
    Held,
    /// A restart was cut before the new process was there.
    Restarting,
    /// A restart was cut after the new process was there.
    Restarted,
    /// An adoption was cut; the server runs.
    Adopting,
    /// An adoption was cut; the server does not run.
    #[strum(serialize = "adopting, stopped")]
    AdoptingDown,
    /// The server was made, nobody removed it, and its directory is not there.
    Missing,
    /// The host knows nothing of the server, which was made there.
    Vanished,
    /// The mark is of another creation than the state knows.
    Foreign,
    /// The mark cannot be read, or a newer version wrote it.
    Unreadable,
    /// The package that the server starts from is lost.
    #[strum(serialize = "package lost")]
    PackageLost,
    /// Every user of the host may read the server's files.
    Exposed,
    /// The server refuses our account, which was dropped or changed by hand.
    #[strum(serialize = "locked out")]
    LockedOut,
    /// The host or the server does not answer.
    Unreachable,
}

impl State {
    /// All states.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The word for state and output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
    /// The state of a word; `None` when the word names none.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
    /// The state that a host's facts show. `initialize` means that the object makes a database
    /// itself. Without it the group decides about the server, so that what the group does never
    /// shows as a change of the member's own object.
    #[must_use]
    pub fn of(facts: &Facts, initialize: bool) -> Self {
        if facts.missing() {
            return Self::Missing;
        }
        if facts.mark_damaged.is_some() {
            return Self::Unreadable;
        }
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
        let stopped = initialize && !runs && facts.store && !facts.member();
        if stopped {
            return if facts.held.is_some() { Self::Held } else { Self::Stopped };
        }
        if facts.package_lost && facts.mark.is_some() {
            return Self::PackageLost;
        }
        if facts.exposed && facts.mark.is_some() {
            return Self::Exposed;
        }
        if initialize && (runs || facts.member()) { Self::Running } else { Self::Installed }
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
        let json = r#"{"format":1,"type":"ob_cluster","engine":"seekdb","node":{"name":"a",
            "host":{"endpoint":{"name":"h","address":"10.0.0.1","port":22,"user":"",
            "identity":"","host_key":""}},"directory":"/d","ports":{}},"owner":"o",
            "creation":"c","authority":"o","epoch":0,"stage":"complete","operation":"x"}"#;
        let mark = || Some(crate::engine::mark::Mark::parse(json).unwrap());
        let runs = || Facts { pid: Some(1), store: true, ..none() };
        let held = || Facts { store: true, held: Some("systemctl start x".into()), ..none() };
        for (facts, initialize, want) in [
            (none(), true, State::Installed),
            (Facts { store: true, ..none() }, true, State::Stopped),
            (Facts { store: true, ..none() }, false, State::Installed),
            (held(), true, State::Held),
            (held(), false, State::Installed),
            (Facts { held: held().held, ..runs() }, true, State::Running),
            (Facts { restart: true, ..held() }, true, State::Restarting),
            (Facts { adopting: true, ..held() }, true, State::AdoptingDown),
            (runs(), true, State::Running),
            (runs(), false, State::Installed),
            (Facts { adopting: true, ..runs() }, true, State::Adopting),
            (Facts { adopting: true, ..none() }, true, State::AdoptingDown),
            (Facts { restart: true, restart_runs: true, ..runs() }, true, State::Restarting),
            (Facts { restart: true, ..runs() }, true, State::Restarted),
            (Facts { restart: true, ..none() }, false, State::Restarting),
            (Facts { exposed: true, mark: mark(), ..runs() }, true, State::Exposed),
            (Facts { exposed: true, mark: mark(), ..runs() }, false, State::Exposed),
            (Facts { exposed: true, ..runs() }, true, State::Running),
            (Facts { package_lost: true, mark: mark(), ..runs() }, true, State::PackageLost),
            (
                Facts { package_lost: true, store: true, mark: mark(), ..none() },
                true,
                State::Stopped,
            ),
        ] {
            assert_eq!(State::of(&facts, initialize), want, "{facts:?}");
        }
    }
}
