//! The declared objects of Terraform. One folder each: schema, read, plan, apply; none of them
//! knows gRPC or SSH.
//!
//! [`Resource`] has four verbs. `plan` is a pure function of prior state and configuration; what an
//! object looks like now comes from `read`, through the state. One generic adapter
//! (`provider::adapter`) carries all of them to the wire.
use crate::base::Problem;
use crate::component::mysql::Statement;
use crate::engine::Graph;
use crate::schema::{AttributePath, Diagnostics, Schema};
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
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

pub use looks::Looks;
pub use session::Session;

/// What a verb that looks at or changes the world gets.
#[derive(Clone)]
pub struct Context {
    /// The configured provider.
    pub session: Arc<Session>,
    /// Cancelled by StopProvider and by the death of the parent: reach a safe point within seconds.
    pub cancel: CancellationToken,
}

/// What a plan is made of. All three are whole objects of the schema; `proposed` is core's merge of
/// prior and config, in which computed attributes of objects that were not there before are
/// unknown: a plan may start from it as it is.
pub struct PlanInput<'a, S> {
    /// The last known state; `None` plans a create.
    pub prior: Option<&'a S>,
    /// The configuration, with unknowns and write-only values.
    pub config: &'a S,
    /// The configuration with prior computed values filled in; write-only values are null.
    pub proposed: &'a S,
}

// Derived, these would ask for `S: Copy`.
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

/// What a plan answers.
#[derive(Clone, Debug)]
pub struct Planned<S> {
    /// The state to come; unknown where only apply can tell.
    pub state: S,
    /// Attributes whose change needs a new object.
    pub replace: Vec<AttributePath>,
}

/// What a change does.
#[derive(Debug)]
pub enum Work {
    /// Steps on hosts.
    Steps(Graph),
    /// Statements in one session.
    Sql(Vec<Statement>),
    /// An input that shapes it is not known before apply.
    Unknown,
}

impl From<Option<Graph>> for Work {
    fn from(graph: Option<Graph>) -> Self {
        graph.map_or(Self::Unknown, Self::Steps)
    }
}

/// What an apply works from.
pub struct ApplyInput<'a, S> {
    /// The state before; `None` for a create.
    pub prior: Option<&'a S>,
    /// The planned state; `None` for a destroy.
    pub planned: Option<&'a S>,
    /// The configuration (write-only values are here alone); `None` for a destroy.
    pub config: Option<&'a S>,
}

/// What an apply answers. On a create with an error the adapter drops `state`: no tainted resource,
/// ever.
#[derive(Debug)]
pub struct Applied<S> {
    /// What is true now; `None` when the object is gone (or, with an error, when nothing is known
    /// beyond the prior state).
    pub state: Option<S>,
    /// Why it did not end well, if it did not.
    pub problem: Option<Problem>,
    /// Things the reader can act on.
    pub warnings: Vec<Problem>,
}

/// What a read answers.
#[derive(Debug)]
pub struct Found<S> {
    /// The object as it is; `None` only when it is proved gone.
    pub state: Option<S>,
    /// Things the reader can act on (unreachable, changed by others).
    pub warnings: Vec<Problem>,
}

/// One declared object: its schema and the four verbs read, plan, apply, import.
#[async_trait]
pub trait Resource: Send + Sync + 'static {
    /// The object's attributes; every field is a [`crate::schema::Value`] so that null and unknown
    /// can be told apart.
    type State: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;
    /// Terraform type, `ob_cluster`.
    const TYPE: &'static str;

    /// The schema; its doc texts are the registry page.
    fn schema(&self) -> Schema;

    /// Finds everything wrong with a configuration by itself, all at once. Unknown values are never
    /// an error.
    fn validate(&self, _config: &Self::State, _diags: &mut Diagnostics) {}

    /// Pure: decides what the state will be. `None` only with an error in `diags`.
    fn plan(
        &self,
        input: PlanInput<'_, Self::State>,
        diags: &mut Diagnostics,
    ) -> Option<Planned<Self::State>>;

    /// Pure: what a destroy must refuse or say (for instance `deletion_protection`).
    fn plan_destroy(&self, _prior: &Self::State, _diags: &mut Diagnostics) {}

    /// Pure: what an apply of this change does, by the functions that apply itself uses. `None` on a
    /// side: there is no object.
    ///
    /// # Errors
    /// It must not be done.
    fn planned(
        &self,
        prior: Option<&Self::State>,
        planned: Option<&Self::State>,
    ) -> Result<Work, Problem>;

    /// Live look at plan time that can only warn: "resumes operation X at step n of m".
    async fn foresee(
        &self,
        _cx: &Context,
        _prior: Option<&Self::State>,
        _planned: &Self::State,
    ) -> Vec<Problem> {
        Vec::new()
    }

    /// Looks at the world. Unreachable is not an error: the prior state comes back with a status
    /// and a warning.
    async fn read(&self, cx: &Context, state: Self::State) -> Result<Found<Self::State>, Problem>;

    /// Makes it so.
    async fn apply(&self, cx: &Context, input: ApplyInput<'_, Self::State>)
    -> Applied<Self::State>;

    /// Reads an object that exists by its import id; writes nothing.
    async fn import(&self, _cx: &Context, _id: &str) -> Result<Self::State, Problem> {
        Err(Problem::user(format!("{} cannot be imported", Self::TYPE)))
    }

    /// Names of the attributes that identify the object (all strings, required for import by
    /// identity); empty: no identity.
    fn identity(&self) -> &'static [&'static str] {
        &[]
    }

    /// The import id for an identity, values in the order of [`Resource::identity`].
    fn identity_to_id(&self, values: &[String]) -> String {
        values.join("/")
    }

    /// Brings a stored state of an older schema `version` to the current one, as JSON. The default
    /// takes it as it is.
    fn upgrade(
        &self,
        _version: i64,
        state: serde_json::Value,
    ) -> Result<serde_json::Value, Problem> {
        Ok(state)
    }
}

/// Something that is only read.
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
    /// Reads it; the answer holds every attribute.
    async fn read(&self, cx: &Context, config: Self::State) -> Result<Found<Self::State>, Problem>;
}

/// Whoever wants to see every resource and data source: the provider, the schema writer, the
/// contract tests.
pub trait Visitor {
    /// Sees one resource.
    fn resource<R: Resource>(&mut self, resource: R);
    /// Sees one data source.
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
