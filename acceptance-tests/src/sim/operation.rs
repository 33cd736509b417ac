//! The operations of the sweep: where each begins, and the configuration that asks for it.
use super::config::VERSIONS;
use crate::story::{Cluster, Config, Consent, Group};
use Start::{Failed, Foreign, Nothing, Pair, Single, Switched, Trio, Two};

/// The state in which an operation begins.
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
    /// A group of two; "b" takes writes.
    Switched,
    /// A group of three.
    Trio,
    /// A group of two after a failover to "b"; the host of "a" is on again.
    Failed,
}

/// What the sweep needs to know about one operation.
#[derive(Clone, Debug)]
pub struct Row {
    /// The state in which the operation begins.
    pub start: Start,
    /// The configuration that asks for the operation; `None` is `destroy`.
    pub asks: Option<Config>,
    /// Hosts whose servers take the writer's rows while the operation runs.
    pub writers: &'static [usize],
    /// The operation begins with the primary's host off.
    pub without_primary: bool,
    /// The operation is a planned move of the role.
    pub moves: bool,
    /// The same command still makes sense after Terraform's state is lost: it changes and removes
    /// nothing that only the state names.
    pub stateless: bool,
    /// The operation ends with members that do not start with their hosts.
    pub members_stay_off: bool,
}

impl Row {
    fn new(start: Start, asks: impl Into<Option<Config>>) -> Self {
        Self {
            start,
            asks: asks.into(),
            writers: &[],
            without_primary: false,
            moves: false,
            stateless: false,
            members_stay_off: false,
        }
    }
}

macro_rules! operations {
    ($($name:ident: $row:expr,)*) => {
        /// An operation of the product as a user asks for it: a change of the configuration.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Operation { $($name,)* }

        impl Operation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What the sweep needs to know about the operation.
            #[must_use]
            pub fn row(self) -> Row {
                match self { $(Self::$name => $row,)* }
            }
        }
    };
}

// A new operation needs only one row here. The sweep finds its steps by running it once.
operations! {
    Create: Row { stateless: true, ..Row::new(Nothing, Single.config()) },
    Install: Row { stateless: true, ..Row::new(Nothing, installed()) },
    Parameter: Row { writers: &[0], ..Row::new(Single, set("syslog_level", "WARN")) },
    Restart: Row { writers: &[0], ..Row::new(Single, set("stack_size", "1M")) },
    Version: Row { writers: &[0], ..Row::new(Single, Single.config().version(VERSIONS[1])) },
    Destroy: Row::new(Single, None),
    Adopt: Row::new(Foreign, set("syslog_level", "WARN")),
    Build: Row { writers: &[0, 1], stateless: true, ..Row::new(Two, Pair.config()) },
    Switchover: Row {
        writers: &[0, 1],
        moves: true,
        stateless: true,
        ..Row::new(Pair, Switched.config())
    },
    SwitchBack: Row {
        writers: &[0, 1],
        moves: true,
        stateless: true,
        ..Row::new(Switched, Pair.config())
    },
    Failover: Row { without_primary: true, ..Row::new(Pair, Failed.config()) },
    FailoverOfThree: Row {
        without_primary: true,
        ..Row::new(Trio, Config { group: Failed.config().group, ..Trio.config() })
    },
    Rejoin: Row { writers: &[0, 1], ..Row::new(Failed, Failed.config()) },
    Grow: Row { writers: &[0, 1], stateless: true, ..Row::new(Pair, Trio.config()) },
    Leave: Row { writers: &[0, 1], ..Row::new(Trio, Pair.config()) },
    Disband: Row { writers: &[0, 1], members_stay_off: true, ..Row::new(Pair, Two.config()) },
    DestroyPair: Row::new(Pair, None),
}

/// One database that is only installed.
fn installed() -> Config {
    let mut config = Single.config();
    config.clusters.insert("a".into(), cluster("a", 0, false));
    config
}

/// One database with this parameter.
fn set(name: &str, value: &str) -> Config {
    Single.config().parameter("a", name, value)
}

fn cluster(name: &str, host: usize, initialize: bool) -> Cluster {
    let mut cluster = Cluster::new(name, host, initialize);
    cluster.version = VERSIONS[0].into();
    cluster
}

impl Start {
    /// The configuration that leads to this state.
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
        let group = |primary: &str, failover| {
            Some(Group { primary: primary.into(), failover, more: String::new() })
        };
        config.group = match self {
            Self::Nothing | Self::Foreign | Self::Single | Self::Two => None,
            Self::Pair | Self::Trio => group("a", None),
            Self::Switched => group("b", None),
            Self::Failed => {
                group("b", Some(Consent { epoch: 1, to: "b".into(), creation: String::new() }))
            }
        };
        config
    }
}
