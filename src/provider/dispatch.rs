//! What the calls of the protocol have in common; [`super::service`] has the calls.
//!
//! Each call runs in a task of its own ([`guard::run`]). So a panic becomes one diagnostic and a
//! harmless answer, and a broken connection does not cut an apply in half. A call about a kind of
//! thing that we do not offer gets an empty list or a diagnostic that says so, never a bare gRPC
//! error.
use super::config;
use super::config_schema::{self, Block};
use super::registry::Registry;
use crate::base::Problem;
use crate::protocol::convert;
use crate::protocol::guard::{self, Panicked};
use crate::protocol::pb::tf;
use crate::protocol::running::Running;
use crate::schema::{Diagnostics, Report, Schema, check, codec, tree};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio_stream::Stream;
use tonic::{Response, Status};

/// The gRPC service. Clones share everything.
#[derive(Clone)]
pub struct Provider(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) registry: Registry,
    pub(super) schema: Schema,
    env: Box<dyn Fn(&str) -> Option<String> + Send + Sync>,
}

pub(super) type Answer<T> = Result<Response<T>, Status>;
pub(super) type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Provider {
    /// Serves what `registry` holds; `env` reads the environment.
    pub fn new(
        registry: Registry,
        env: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner { registry, schema: config_schema::schema(), env: Box::new(env) }))
    }
    /// Counts the calls under way, and asks them to stop.
    #[must_use]
    pub fn running(&self) -> Running {
        self.0.registry.running()
    }

    /// Runs one call. If it panics, the answer is `fallback` with a diagnostic.
    pub(super) async fn call<T, F>(
        &self,
        name: &'static str,
        fallback: T,
        work: impl FnOnce(Arc<Inner>) -> F,
    ) -> Answer<T>
    where
        T: Diagnosed + Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let entered = self.running().enter();
        let work = work(Arc::clone(&self.0));
        let out = guard::run(async move {
            let _entered = entered;
            work.await
        });
        Ok(Response::new(match out.await {
            Ok(answer) => answer,
            Err(Panicked(place)) => {
                let mut answer = fallback;
                answer.add(diagnostics(Problem::internal(format!("{name} panicked at {place}"))));
                answer
            }
        }))
    }
}

/// An answer that carries diagnostics.
pub(super) trait Diagnosed {
    fn add(&mut self, diagnostics: Vec<tf::Diagnostic>);
}
macro_rules! diagnosed {
    ($($module:ident),+ $(,)?) => { $(impl Diagnosed for tf::$module::Response {
        fn add(&mut self, mut diagnostics: Vec<tf::Diagnostic>) {
            self.diagnostics.append(&mut diagnostics);
        }
    })+ };
}
diagnosed!(
    validate_provider_config,
    configure_provider,
    validate_resource_config,
    validate_data_resource_config,
    upgrade_resource_state,
    upgrade_resource_identity,
    read_resource,
    plan_resource_change,
    apply_resource_change,
    import_resource_state,
    read_data_source,
);

pub(super) fn diagnostics(problem: Problem) -> Vec<tf::Diagnostic> {
    let mut diags = Diagnostics::default();
    diags.problem(problem);
    convert::diagnostics(None, diags)
}
pub(super) fn unknown_type(kind: &str, name: &str) -> Vec<tf::Diagnostic> {
    diagnostics(
        Problem::user(format!("there is no {kind} {name} in this provider"))
            .why(format!("version {} does not know it", env!("CARGO_PKG_VERSION")))
            .fix("check the name, or use a newer provider (terraform init -upgrade)"),
    )
}
pub(super) fn not_offered(what: &str) -> Vec<tf::Diagnostic> {
    diagnostics(
        Problem::user(format!("this provider has no {what}"))
            .why(format!("version {} does not offer any", env!("CARGO_PKG_VERSION")))
            .fix(
                "remove it from the configuration, or use a newer provider (terraform init \
                 -upgrade)",
            ),
    )
}
pub(super) fn one_event<T: Send + 'static>(event: T) -> Answer<Events<T>> {
    Ok(Response::new(Box::pin(tokio_stream::once(Ok(event)))))
}

pub(super) fn capabilities() -> tf::ServerCapabilities {
    // Without plan_destroy the plan could not check deletion_protection. Moves between types and
    // generated configuration are not offered; core generates configuration from the state.
    tf::ServerCapabilities {
        plan_destroy: true,
        get_provider_schema_optional: true,
        move_resource_state: false,
        generate_resource_config: false,
    }
}

impl Inner {
    pub(super) fn block(
        &self,
        config: Option<&tf::DynamicValue>,
        diags: &mut Diagnostics,
    ) -> Option<Block> {
        // Some callers send an empty provider block as null. Then the environment alone counts.
        let (what, bytes) = ("provider configuration", convert::bytes(config));
        let mut tree = codec::decode_tree(&self.schema, what, bytes, diags).ok()?;
        if tree == tree::Tree::Nil {
            tree = codec::from_json(&self.schema, what, &serde_json::json!({}), diags).ok()?;
        }
        check::validate(&self.schema, &tree, diags);
        let block = codec::typed::<Block>(what, tree, diags).ok()?.state;
        config::validate(&block, diags);
        diags.errors.is_empty().then_some(block)
    }

    pub(super) fn configure(&self, config: Option<&tf::DynamicValue>, diags: &mut Diagnostics) {
        let Some(block) = self.block(config, diags) else { return };
        let shared = &self.registry.shared;
        let cancel = shared.running.renew();
        if let Some(session) =
            config::session(&block, &*self.env, &self.registry.connect, cancel, diags)
        {
            tracing::info!(
                owner = session.owner.as_deref().unwrap_or("-"),
                who = session.who,
                observe = session.observe,
                "configured"
            );
            shared.configure(session);
        }
    }
}
