//! What is swept: operations, where each begins, and the configuration that asks for it.
use super::config::VERSIONS;
use crate::story::{Cluster, Config, Consent, Group};

/// An operation of the product as a user asks for it: a change of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Operation {
    Create,
    Install,
    Parameter,
    Restart,
    Version,
    Destroy,
    Adopt,
    Build,
    Switchover,
    SwitchBack,
    Failover,
    FailoverOfThree,
    Rejoin,
    Grow,
    Leave,
    Disband,
    DestroyPair,
}

/// Where an operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// Empty hosts.
    Nothing,
    /// A server that others made, imported.
    Foreign,
    /// One database.
    Single,
    /// One database, and one that is only installed.
    Two,
    /// A group of two, "a" takes writes.
    Pair,
    /// The same, "b" takes writes.
    Switched,
    /// A group of three.
    Trio,
    /// A group of two after a failover to "b"; the host of "a" is back.
    Failed,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Create,
        Self::Install,
        Self::Parameter,
        Self::Restart,
        Self::Version,
        Self::Destroy,
        Self::Adopt,
        Self::Build,
        Self::Switchover,
        Self::SwitchBack,
        Self::Failover,
        Self::FailoverOfThree,
        Self::Rejoin,
        Self::Grow,
        Self::Leave,
        Self::Disband,
        Self::DestroyPair,
    ];

    /// Where it begins.
    #[must_use]
    pub fn start(self) -> Start {
        match self {
            Self::Create | Self::Install => Start::Nothing,
            Self::Adopt => Start::Foreign,
            Self::Parameter | Self::Restart | Self::Version | Self::Destroy => Start::Single,
            Self::Build => Start::Two,
            Self::Switchover | Self::Failover | Self::Grow | Self::Disband | Self::DestroyPair => {
                Start::Pair
            }
            Self::SwitchBack => Start::Switched,
            Self::Leave | Self::FailoverOfThree => Start::Trio,
            Self::Rejoin => Start::Failed,
        }
    }

    /// It is a planned move of the role.
    #[must_use]
    pub fn moves(self) -> bool {
        matches!(self, Self::Switchover | Self::SwitchBack)
    }

    /// It begins with the host of the primary off.
    #[must_use]
    pub fn without_primary(self) -> bool {
        matches!(self, Self::Failover | Self::FailoverOfThree)
    }

    /// The configuration that asks for it; `None` is `destroy`.
    #[must_use]
    pub fn asks(self) -> Option<Config> {
        Some(match self {
            Self::Create => Start::Single.config(),
            Self::Install => {
                let mut config = Start::Single.config();
                config.clusters.insert("a".into(), cluster("a", 0, false));
                config
            }
            Self::Parameter | Self::Adopt => {
                Start::Single.config().parameter("a", "syslog_level", "WARN")
            }
            Self::Restart => Start::Single.config().parameter("a", "stack_size", "1M"),
            Self::Version => Start::Single.config().version(VERSIONS[1]),
            Self::Destroy | Self::DestroyPair => return None,
            Self::Build | Self::SwitchBack | Self::Leave => Start::Pair.config(),
            Self::Switchover => Start::Switched.config(),
            Self::Failover | Self::Rejoin => Start::Failed.config(),
            Self::FailoverOfThree => {
                Config { group: Start::Failed.config().group, ..Start::Trio.config() }
            }
            Self::Grow => Start::Trio.config(),
            Self::Disband => Start::Two.config(),
        })
    }

    /// Hosts whose servers a writer may find open while it runs.
    #[must_use]
    pub fn writers(self) -> &'static [usize] {
        match self {
            Self::Create
            | Self::Install
            | Self::Destroy
            | Self::DestroyPair
            | Self::Failover
            | Self::FailoverOfThree
            | Self::Adopt => &[],
            Self::Parameter | Self::Restart | Self::Version => &[0],
            _ => &[0, 1],
        }
    }
}

fn cluster(name: &str, host: usize, initialize: bool) -> Cluster {
    let mut cluster = Cluster::new(name, host, initialize);
    cluster.version = VERSIONS[0].into();
    cluster
}

impl Start {
    /// The configuration that leads there.
    #[must_use]
    pub fn config(self) -> Config {
        let mut config = Config { protect: false, ..Config::single() };
        let names: &[&str] = match self {
            Self::Nothing | Self::Foreign | Self::Single => &["a"],
            Self::Two | Self::Pair | Self::Switched | Self::Failed => &["a", "b"],
            Self::Trio => &["a", "b", "c"],
        };
        config.clusters = names
            .iter()
            .enumerate()
            .map(|(host, name)| ((*name).to_owned(), cluster(name, host, host == 0)))
            .collect();
        let group = |primary: &str, failover| Some(Group { primary: primary.into(), failover });
        config.group = match self {
            Self::Nothing | Self::Foreign | Self::Single | Self::Two => None,
            Self::Pair | Self::Trio => group("a", None),
            Self::Switched => group("b", None),
            Self::Failed => group("b", Some(Consent { epoch: 1, to: "b".into() })),
        };
        config
    }
}
