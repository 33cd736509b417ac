//! The step contract: the smallest idempotent effect on one host.
use super::Cx;
use super::effect::Effect;
use super::template::Values;
use crate::base::{Pauses, Problem};
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

impl Host {
    /// Whether both are the same machine and user, whatever names people gave them.
    #[must_use]
    pub fn same_machine(&self, other: &Self) -> bool {
        let (a, b) = (&self.endpoint, &other.endpoint);
        let name = |e: &Endpoint| e.address.is_local().then(|| e.name.clone());
        (&a.address, a.port, name(a), &self.run_as) == (&b.address, b.port, name(b), &other.run_as)
    }
}

/// What a step finds before or after its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing to do.
    Done,
    /// There is something to do, and the reason.
    Needed(String),
    /// The effect was begun and not finished; running it again finishes it.
    Partial(String),
    /// The effect must not run.
    Refused(Problem),
    /// Nothing can be told now (nothing answers). This is never treated as "not done".
    Unknown(String),
}

/// What an operation does to the users of a database. A policy may have a line for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Impact {
    /// Servers restart one after the other.
    #[strum(serialize = "rolling restart")]
    RollingRestart,
    /// The role or a leader moves.
    #[strum(serialize = "leader switch")]
    LeaderSwitch,
    /// Open connections are cut.
    #[strum(serialize = "clients cut")]
    ClientsCut,
    /// Nothing serves for a while.
    Outage,
    /// Data is copied between hosts.
    #[strum(serialize = "data movement")]
    DataMovement,
    /// No schema changes meanwhile.
    #[strum(serialize = "DDL blocked")]
    DdlBlocked,
    /// One more failure loses the majority (or, for a pair, the other side).
    #[strum(serialize = "no majority margin")]
    NoMajorityMargin,
    /// Rows can be lost.
    #[strum(serialize = "data loss")]
    DataLoss,
}

impl Impact {
    /// Whether clients notice it, or rows can be lost.
    #[must_use]
    pub fn disruptive(self) -> bool {
        match self {
            Self::RollingRestart
            | Self::LeaderSwitch
            | Self::ClientsCut
            | Self::Outage
            | Self::DataLoss => true,
            Self::DataMovement | Self::DdlBlocked | Self::NoMajorityMargin => false,
        }
    }
    /// The words that plans and policies use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A kind of step, such as `start_server`. Journals and fault points name steps by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKind(pub &'static str);

impl StepKind {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl std::fmt::Display for StepKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// The identity of a step: what it does, and on what. No two steps of a graph share one. Apply
/// recognises by it the steps that a plan has shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId {
    /// The step's kind.
    pub kind: StepKind,
    /// Where: the host's name, then a directory or another subject there.
    pub on: String,
    /// What tells the step apart from others of its kind there: a value, a member, a version.
    pub about: String,
}

impl StepId {
    /// The identity of a step of this kind; `on` is its subject on `host`.
    #[must_use]
    pub fn new(kind: StepKind, host: &Host, on: &str) -> Self {
        let on = format!("{}:{on}", host.endpoint.name);
        Self { kind, on, about: String::new() }
    }
    /// Sets what tells the step apart from others of its kind there.
    #[must_use]
    pub fn about(self, about: impl Into<String>) -> Self {
        Self { about: about.into(), ..self }
    }
}

/// What a step of a chain asks right before its effect, with everything open that this needs.
#[async_trait]
pub trait Proof: Send {
    /// Whether the effect may run.
    ///
    /// # Errors
    /// It may not, or that cannot be told. Its check is then made anew, and says which.
    async fn holds(&mut self) -> Result<(), Problem>;
}

/// The smallest idempotent effect on one host.
///
/// The contract, to which the contract suite holds every kind of step: `check` only reads. The
/// effect is data, and is safe to repeat after any crash. After the effect, `verify` says
/// [`Check::Done`] within [`Step::deadline`]. Done twice equals done once. Parameters are plain
/// data.
#[async_trait]
pub trait Step: Send + Sync + Debug {
    /// The step's identity.
    fn id(&self) -> StepId;
    /// The step's kind.
    fn kind(&self) -> StepKind {
        self.id().kind
    }
    /// The title that people read everywhere: imperative, lower case, no full stop.
    fn title(&self) -> String;
    /// The host whose state the step changes.
    fn host(&self) -> &Host;
    /// What the step does. The engine runs the effect, and the runbook shows it.
    fn effect(&self) -> Effect;
    /// What the step does to users.
    fn impact(&self) -> &'static [Impact] {
        &[]
    }
    /// Whether there is no way back.
    fn irreversible(&self) -> bool {
        false
    }
    /// How many times the effect may run: until `verify` sees it done, or while the server answers
    /// that it cannot do it now ([`crate::base::Kind::Busy`]). More than once only for effects that
    /// can fail by bad luck.
    fn tries(&self) -> usize {
        1
    }
    /// How long `verify` waits.
    fn deadline(&self) -> Duration {
        Duration::from_secs(30)
    }
    /// The attribute of the configuration that a failure of the step is about; empty: none.
    fn attribute(&self) -> Vec<String> {
        Vec::new()
    }
    /// Reads whether there is something to do.
    async fn check(&self, cx: &Cx) -> Result<Check, Problem>;
    /// As [`Step::check`], made before the steps that come before this one in its chain. What only
    /// they make true is asked by the [`Proof`], right before the effect. The default is for a step
    /// whose check they do not change.
    async fn ahead(&self, cx: &Cx) -> Result<(Check, Option<Box<dyn Proof>>), Problem> {
        Ok((self.check(cx).await?, None))
    }
    /// Reads the values that the effect names, right before it runs. `None`: nothing is left to do.
    async fn values(&self, _cx: &Cx) -> Result<Option<Values>, Problem> {
        Ok(Some(Values::default()))
    }
    /// Waits, up to the deadline, until the effect is seen to be done. The default repeats `check`.
    async fn verify(&self, cx: &Cx) -> Result<Check, Problem> {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut pauses = Pauses::growing(first, longest).within(self.deadline());
        loop {
            let found = self.check(cx).await?;
            if matches!(found, Check::Done | Check::Refused(_)) || !cx.pause(&mut pauses).await? {
                return Ok(found);
            }
        }
    }
}
