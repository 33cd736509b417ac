//! The step contract: the smallest idempotent effect on one host.
use super::Cx;
use crate::base::Problem;
use crate::transport::Endpoint;
use async_trait::async_trait;
use std::fmt::Debug;
use std::time::Duration;

/// A host as steps see it: where it is and which user owns what we put there.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub struct Host {
    /// The way to log in.
    pub endpoint: Endpoint,
    /// The user that owns our files and runs the servers; empty means the login user.
    #[serde(default)]
    pub run_as: String,
}

/// What a step finds before or after its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing to do.
    Done,
    /// There is something to do, and why.
    Needed(String),
    /// Begun and not finished: `apply` will finish it.
    Partial(String),
    /// It must not be done.
    Refused(Problem),
    /// It cannot be told now (nothing answers); never treated as "not done".
    Unknown(String),
}

/// What an operation does to the users of a database; one line for a policy each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impact {
    /// Servers restart one after the other.
    RollingRestart,
    /// The role or a leader moves.
    LeaderSwitch,
    /// Open connections are cut.
    ClientsCut,
    /// Nothing serves for a while.
    Outage,
    /// Data is copied between hosts.
    DataMovement,
    /// No schema changes meanwhile.
    DdlBlocked,
    /// One more failure loses the majority (or, for a pair, the other side).
    NoMajorityMargin,
    /// Rows can be lost.
    DataLoss,
}

impl Impact {
    /// The words of plans and policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RollingRestart => "rolling restart",
            Self::LeaderSwitch => "leader switch",
            Self::ClientsCut => "clients cut",
            Self::Outage => "outage",
            Self::DataMovement => "data movement",
            Self::DdlBlocked => "DDL blocked",
            Self::NoMajorityMargin => "no majority margin",
            Self::DataLoss => "data loss",
        }
    }
}

/// The smallest idempotent effect on one host.
///
/// The contract, which the contract suite holds every registered step to: `check` only reads;
/// `apply` has one effect and is safe to repeat after any crash; after `apply`, `verify` says
/// [`Check::Done`] within [`Step::deadline`]; applied twice equals applied once. Parameters are
/// plain data; secrets are looked up by name in [`Cx::secret`].
#[async_trait]
pub trait Step: Send + Sync + Debug {
    /// The type's name in the journal, `start_server`.
    fn kind(&self) -> &'static str;
    /// What people read everywhere: imperative, lower case, no full stop.
    fn title(&self) -> String;
    /// The host whose state it changes.
    fn host(&self) -> &Host;
    /// The exact shell and SQL it may run, secrets as names: the runbook.
    fn effects(&self) -> Vec<String>;
    /// What it does to users.
    fn impact(&self) -> &'static [Impact] {
        &[]
    }
    /// True when there is no way back.
    fn irreversible(&self) -> bool {
        false
    }
    /// How often it is tried when it was not seen to be done; only for effects that can fail by bad
    /// luck.
    fn tries(&self) -> usize {
        1
    }
    /// How long `verify` waits.
    fn deadline(&self) -> Duration {
        Duration::from_secs(30)
    }
    /// Reads whether there is something to do.
    async fn check(&self, cx: &Cx) -> Result<Check, Problem>;
    /// Does it.
    async fn apply(&self, cx: &Cx) -> Result<(), Problem>;
    /// Waits, bounded, until it is seen to be done. The default asks `check` until the deadline.
    async fn verify(&self, cx: &Cx) -> Result<Check, Problem> {
        let until = tokio::time::Instant::now() + self.deadline();
        let mut pause = Duration::from_millis(100);
        loop {
            let found = self.check(cx).await?;
            if matches!(found, Check::Done | Check::Refused(_))
                || tokio::time::Instant::now() >= until
            {
                return Ok(found);
            }
            cx.sleep(pause).await?;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }
}
