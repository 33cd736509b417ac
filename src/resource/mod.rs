//! The declared objects of Terraform, each in a folder with schema, read, plan and apply. None of
//! them knows gRPC or SSH.
//!
//! [`Resource`] has four verbs. `plan` is a pure function of prior state and configuration. What an
//! object looks like now comes from `read`, through the state. One generic adapter
//! (`provider::adapter`) connects all of them to Terraform's protocol.
use crate::base::Problem;
use crate::component::mysql::Statement;
use crate::engine::{Graph, Impact};
use crate::schema::{AttributePath, Diagnostics, Schema};
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub mod common;
pub mod execute;
pub mod looks;
pub mod ob_access;
pub mod ob_cluster;
pub mod ob_database;
pub mod ob_grant;
pub mod ob_host;
pub mod ob_host_facts;
pub mod ob_package;
pub mod ob_standby;
pub mod ob_user;
pub mod place;
pub mod session;
pub mod sql_import;
pub mod sql_object;
pub mod sql_target;
pub mod sql_way;
#[cfg(test)]
mod testing;

pub use looks::Looks;
pub use session::Session;

/// What the verbs get that look at or change the world.
#[derive(Clone)]
pub struct Context {
    /// The configured provider.
    pub session: Arc<Session>,
    /// Cancelled by StopProvider and when the parent dies: the verb then stops at a safe point
    /// within seconds.
    pub cancel: CancellationToken,
}

/// The inputs of a plan. All three are whole objects of the schema. `proposed` is core's merge of
/// prior and config, in which computed attributes of new objects are unknown; a plan may start from
/// it as it is.
pub struct PlanInput<'a, S> {
    /// The last known state; `None` plans a create.
    pub prior: Option<&'a S>,
    /// The configuration, with unknowns and write-only values.
    pub config: &'a S,
    /// The configuration with prior computed values filled in; write-only values are null.
    pub proposed: &'a S,
}

// A derive would ask for `S: Copy`.
impl<S> Clone for PlanInput<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for PlanInput<'_, S> {}
impl<S> Clone for ApplyInput<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for ApplyInput<'_, S> {}

/// The result of a plan.
#[derive(Clone, Debug)]
pub struct Planned<S> {
    /// The planned state; unknown where only apply can tell.
    pub state: S,
    /// Attributes whose change needs a new object.
    pub replace: Vec<AttributePath>,
}

/// Something on a machine that only one object can have: a directory, a port, a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The machine: address and SSH port.
    pub machine: String,
    /// What it is, in words for people: `port 2881`.
    pub what: String,
}

/// What a change does when it is applied.
#[derive(Debug)]
pub enum Work {
    /// Steps on hosts.
    Steps(Graph),
    /// Statements in one session.
    Sql(Vec<Statement>),
    /// Unknown before apply: an input that shapes the work is not known yet.
    Unknown,
}

impl Work {
    /// What clients notice of it, and what it does to rows.
    #[must_use]
    pub fn impact(&self) -> BTreeSet<Impact> {
        match self {
            Self::Steps(graph) => graph.impact(),
            Self::Sql(statements) => sql_object::impact_of(statements),
            Self::Unknown => BTreeSet::new(),
        }
    }
}

impl From<Option<Graph>> for Work {
    fn from(graph: Option<Graph>) -> Self {
        graph.map_or(Self::Unknown, Self::Steps)
    }
}

/// The inputs of an apply.
pub struct ApplyInput<'a, S> {
    /// The state before; `None` for a create.
    pub prior: Option<&'a S>,
    /// The planned state; `None` for a destroy.
    pub planned: Option<&'a S>,
    /// The configuration; only here are write-only values. `None` for a destroy.
    pub config: Option<&'a S>,
}

/// The result of an apply. When a create fails, the adapter drops `state`, so that no resource is
/// ever tainted.
#[derive(Debug)]
pub struct Applied<S> {
    /// What is true now. `None` when the object is gone or, with a problem, when nothing is known
    /// beyond the prior state.
    pub state: Option<S>,
    /// Why the apply failed, if it did.
    pub problem: Option<Problem>,
    /// Warnings that the reader can act on.
    pub warnings: Vec<Problem>,
}

/// The result of a read.
#[derive(Debug)]
pub struct Found<S> {
    /// The object as it is; `None` only when it is proved gone.
    pub state: Option<S>,
    /// Warnings that the reader can act on (the host is unreachable, others changed something).
    pub warnings: Vec<Problem>,
}

/// One declared object: its schema and the four verbs read, plan, apply, import.
#[async_trait]
pub trait Resource: Send + Sync + 'static {
    /// The object's attributes. Each field is a [`crate::schema::Value`], so that null and unknown
    /// can be told apart.
    type State: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;
    /// The Terraform type, such as `ob_cluster`.
    const TYPE: &'static str;

    /// The schema; its doc texts are the registry page.
    fn schema(&self) -> Schema;

    /// Finds everything that is wrong with a configuration by itself, all at once. Unknown values
    /// are never an error.
    fn validate(&self, _config: &Self::State, _diags: &mut Diagnostics) {}

    /// Pure: computes the planned state. Returns `None` only with an error in `diags`.
    fn plan(
        &self,
        input: PlanInput<'_, Self::State>,
        diags: &mut Diagnostics,
    ) -> Option<Planned<Self::State>>;

    /// What the object needs for itself alone. Two blocks of one run that need the same are refused.
    fn claims(&self, _planned: &Self::State) -> Vec<Claim> {
        Vec::new()
    }

    /// Pure: what a destroy must refuse or say (for instance because of `deletion_protection`).
    fn plan_destroy(&self, _prior: &Self::State, _diags: &mut Diagnostics) {}

    /// Pure: what an apply of this change does, computed by the functions that apply itself uses.
    /// `None` on a side means that there is no object.
    ///
    /// # Errors
    /// The change must not be made.
    fn planned(
        &self,
        prior: Option<&Self::State>,
        planned: Option<&Self::State>,
    ) -> Result<Work, Problem>;

    /// Looks at the world at plan time. What it finds is a warning, such as "resumes operation X at
    /// step n of m"; a [`Kind::Refused`] problem is what apply would refuse, and fails the plan.
    ///
    /// [`Kind::Refused`]: crate::base::Kind::Refused
    async fn foresee(
        &self,
        _cx: &Context,
        _prior: Option<&Self::State>,
        _planned: &Self::State,
    ) -> Vec<Problem> {
        Vec::new()
    }

    /// Reads what is true. A host that cannot be reached is not an error: the prior state comes
    /// back with a status and a warning.
    async fn read(&self, cx: &Context, state: Self::State) -> Result<Found<Self::State>, Problem>;

    /// Makes the planned change.
    async fn apply(&self, cx: &Context, input: ApplyInput<'_, Self::State>)
    -> Applied<Self::State>;

    /// Reads an existing object by its import id; writes nothing.
    async fn import(&self, _cx: &Context, _id: &str) -> Result<Self::State, Problem> {
        Err(Problem::user(format!("{} cannot be imported", Self::TYPE)))
    }

    /// Names of the attributes that identify the object (all are strings and required for import by
    /// identity). Empty: the object has no identity.
    fn identity(&self) -> &'static [&'static str] {
        &[]
    }

    /// The import id for an identity; values are in the order of [`Resource::identity`].
    fn identity_to_id(&self, values: &[String]) -> String {
        values.join("/")
    }

    /// Upgrades a stored state of an older schema `version` to the current one, as JSON. The
    /// default returns the state unchanged.
    fn upgrade(
        &self,
        _version: i64,
        state: serde_json::Value,
    ) -> Result<serde_json::Value, Problem> {
        Ok(state)
    }
}

/// An object that is only read.
#[async_trait]
pub trait DataSource: Send + Sync + 'static {
    /// As [`Resource::State`].
    type State: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;
    /// Terraform type.
    const TYPE: &'static str;
    /// The schema; its doc texts are the registry page.
    fn schema(&self) -> Schema;
    /// As [`Resource::validate`].
    fn validate(&self, _config: &Self::State, _diags: &mut Diagnostics) {}
    /// Reads the object; the result holds every attribute.
    async fn read(&self, cx: &Context, config: Self::State) -> Result<Found<Self::State>, Problem>;
}

/// Visits every resource and data source. The provider, the schema writer and the contract tests
/// implement it.
pub trait Visitor {
    /// Visits one resource.
    fn resource<R: Resource>(&mut self, resource: R);
    /// Visits one data source.
    fn data_source<D: DataSource>(&mut self, source: D);
}

/// The registry: one line per type.
pub fn register(visitor: &mut impl Visitor) {
    visitor.resource(ob_cluster::ObCluster);
    visitor.resource(ob_host::ObHost);
    visitor.resource(ob_standby::ObStandby);
    visitor.resource(ob_database::ObDatabase);
    visitor.resource(ob_user::ObUser);
    visitor.resource(ob_grant::ObGrant);
    visitor.resource(ob_access::ObAccess);
    visitor.data_source(ob_host_facts::ObHostFacts);
    visitor.data_source(ob_package::ObPackage);
}
