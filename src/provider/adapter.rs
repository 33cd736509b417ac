//! The generic adapter. It makes a `tf_provider::Resource` of any [`crate::resource::Resource`],
//! and does the same for data sources.
//!
//! The adapter handles typed states only. [`super::wire`] does what the protocol demands beyond
//! that trait.
use super::registry::Shared;
use crate::base::{Kind, Problem};
use crate::resource::{
    Applied, ApplyInput, Context, DataSource, PlanInput, Planned, Resource, execute,
};
use crate::schema::{AttributePath, Diagnostics, Report, Schema, codec, tree};
use async_trait::async_trait;
use std::time::Duration;
use tf_provider::value::ValueEmpty;

/// How long the live look at plan time may take.
const FORESEE: Duration = Duration::from_secs(10);

/// A resource in the form that `tf-provider` knows.
pub struct Adapter<R> {
    /// The resource.
    pub resource: R,
    /// Its schema, made once.
    pub schema: Schema,
    pub(super) shared: Shared,
}

impl<R: Resource> Adapter<R> {
    /// Wraps `resource`.
    pub fn new(resource: R, shared: Shared) -> Self {
        Self { schema: resource.schema(), resource, shared }
    }

    pub(super) fn context(&self, diags: &mut Diagnostics) -> Option<Context> {
        let context = self.shared.context();
        if context.is_none() {
            diags.problem(Shared::not_configured());
        }
        context
    }

    async fn plan(
        &self,
        diags: &mut Diagnostics,
        input: PlanInput<'_, R::State>,
    ) -> Option<Planned<R::State>> {
        let planned = self.resource.plan(input, diags);
        if planned.is_none() && diags.errors.is_empty() {
            diags.problem(Problem::internal(format!(
                "the plan of {} ended without a plan and without an error",
                R::TYPE
            )));
        }
        let planned = planned.filter(|_| diags.errors.is_empty())?;
        self.owned(diags, input.prior, Some(&planned.state));
        self.foresee(diags, input, &planned.state).await;
        if let Some(prior) = input.prior
            && self.shared.told.plans()
            && let Some(problem) = self.disruptive(prior, &planned.state)
        {
            diags.caution(problem);
        }
        Some(planned).filter(|_| diags.errors.is_empty())
    }

    /// Refuses work that needs an owner when the provider block names none.
    fn owned(&self, diags: &mut Diagnostics, prior: Option<&R::State>, planned: Option<&R::State>) {
        let Some(context) = self.shared.context().filter(|c| c.session.owner.is_none()) else {
            return;
        };
        if let Ok(work) = self.resource.planned(prior, planned)
            && let Some(problem) = execute::ownerless(&context.session, &work)
        {
            diags.problem(problem);
        }
    }

    /// Warns, once more than the plan's attributes do, of a change that interrupts service.
    pub(super) fn disruptive(&self, prior: &R::State, planned: &R::State) -> Option<Problem> {
        let impact = self.resource.planned(Some(prior), Some(planned)).ok()?.impact();
        let disruptive: Vec<_> = impact.into_iter().filter(|i| i.disruptive()).collect();
        let words: Vec<_> = disruptive.iter().map(|i| i.as_str()).collect();
        let tree =
            codec::encode(&self.schema, "plan", planned, &mut Diagnostics::default()).ok()?;
        let line = tree::get(&tree, "runbook").as_str().unwrap_or_default();
        (!words.is_empty()).then(|| {
            Problem::user(format!("this change interrupts service: {}", words.join(", ")))
                .why(line)
                .fix("apply it when that may be; `ob runbook` prints each step and its impact")
        })
    }

    /// Reports what a look at plan time found: what will be refused is an error of the plan.
    fn foreseen(&self, diags: &mut Diagnostics, problem: Problem) {
        if problem.kind == Kind::Refused {
            diags.problem(problem);
        } else {
            self.caution(diags, problem);
        }
    }

    /// Warns, once for each host that does not answer.
    fn caution(&self, diags: &mut Diagnostics, problem: Problem) {
        if let Some(problem) = self.shared.told.once(problem) {
            diags.caution(problem);
        }
    }

    /// Takes a live look at the hosts and reports what it finds. Only with a configured
    /// provider and a known configuration, and never for longer than [`FORESEE`].
    async fn foresee(
        &self,
        diags: &mut Diagnostics,
        input: PlanInput<'_, R::State>,
        planned: &R::State,
    ) {
        let Some(context) = self.shared.context() else { return };
        let known =
            codec::encode(&self.schema, "configuration", input.config, &mut Diagnostics::default())
                .is_ok_and(|t| tree::wholly_known(&t));
        if !known {
            return;
        }
        let look = self.resource.foresee(&context, input.prior, planned);
        match tokio::time::timeout(FORESEE, look).await {
            Ok(problems) => problems.into_iter().for_each(|p| self.foreseen(diags, p)),
            Err(_) => tracing::warn!(
                r#type = R::TYPE,
                "the look at the hosts at plan time took more than 10 s and was left out"
            ),
        }
    }

    async fn apply(
        &self,
        diags: &mut Diagnostics,
        input: ApplyInput<'_, R::State>,
    ) -> Option<R::State> {
        let context = self.context(diags)?;
        let Applied { state, problem, warnings } = self.resource.apply(&context, input).await;
        warnings.into_iter().for_each(|p| diags.caution(p));
        if let Some(problem) = problem {
            diags.problem(problem);
        }
        state
    }
}

#[async_trait]
impl<R: Resource> tf_provider::Resource for Adapter<R> {
    type State<'a> = R::State;
    /// Private bytes stay as they came. What shapes a plan is in attributes, where people can read
    /// it.
    type PrivateState<'a> = ();
    type ProviderMetaState<'a> = ValueEmpty;

    fn schema(&self, _: &mut Diagnostics) -> Option<tf_provider::schema::Schema> {
        Some(self.schema.inner().clone())
    }

    async fn validate<'a>(&self, diags: &mut Diagnostics, config: R::State) -> Option<()> {
        self.resource.validate(&config, diags);
        Some(())
    }

    async fn read<'a>(
        &self,
        diags: &mut Diagnostics,
        state: R::State,
        (): (),
        _: ValueEmpty,
    ) -> Option<(R::State, ())> {
        let Some(context) = self.context(diags) else { return Some((state, ())) };
        self.shared.told.refresh();
        match self.resource.read(&context, state.clone()).await {
            Ok(found) => {
                found.warnings.into_iter().for_each(|p| self.caution(diags, p));
                found.state.map(|s| (s, ()))
            }
            // What is known stays, and the plan is made from it.
            Err(problem) if problem.kind == Kind::Later => {
                self.caution(diags, problem);
                Some((state, ()))
            }
            // Never null on an error: that would mean "the object is gone, create it again".
            Err(problem) => {
                diags.problem(problem);
                Some((state, ()))
            }
        }
    }

    async fn plan_create<'a>(
        &self,
        diags: &mut Diagnostics,
        proposed: R::State,
        config: R::State,
        _: ValueEmpty,
    ) -> Option<(R::State, ())> {
        let planned = self
            .plan(diags, PlanInput { prior: None, config: &config, proposed: &proposed })
            .await?;
        Some((planned.state, ()))
    }

    async fn plan_update<'a>(
        &self,
        diags: &mut Diagnostics,
        prior: R::State,
        proposed: R::State,
        config: R::State,
        (): (),
        _: ValueEmpty,
    ) -> Option<(R::State, (), Vec<AttributePath>)> {
        let planned = self
            .plan(diags, PlanInput { prior: Some(&prior), config: &config, proposed: &proposed })
            .await?;
        Some((planned.state, (), planned.replace))
    }

    async fn plan_destroy<'a>(
        &self,
        diags: &mut Diagnostics,
        prior: R::State,
        (): (),
        _: ValueEmpty,
    ) -> Option<()> {
        self.resource.plan_destroy(&prior, diags);
        self.owned(diags, Some(&prior), None);
        diags.errors.is_empty().then_some(())
    }

    async fn create<'a>(
        &self,
        diags: &mut Diagnostics,
        planned: R::State,
        config: R::State,
        (): (),
        _: ValueEmpty,
    ) -> Option<(R::State, ())> {
        let state = self
            .apply(
                diags,
                ApplyInput { prior: None, planned: Some(&planned), config: Some(&config) },
            )
            .await;
        // Core would store a state beside an error as tainted, and the next plan would destroy what
        // only needs to go on.
        state.filter(|_| diags.errors.is_empty()).map(|s| (s, ()))
    }

    async fn update<'a>(
        &self,
        diags: &mut Diagnostics,
        prior: R::State,
        planned: R::State,
        config: R::State,
        (): (),
        _: ValueEmpty,
    ) -> Option<(R::State, ())> {
        let state = self
            .apply(
                diags,
                ApplyInput { prior: Some(&prior), planned: Some(&planned), config: Some(&config) },
            )
            .await;
        state.map(|s| (s, ()))
    }

    async fn destroy<'a>(
        &self,
        diags: &mut Diagnostics,
        prior: R::State,
        (): (),
        _: ValueEmpty,
    ) -> Option<()> {
        let left = self
            .apply(diags, ApplyInput { prior: Some(&prior), planned: None, config: None })
            .await;
        if left.is_some() && diags.errors.is_empty() {
            diags.problem(Problem::internal(format!(
                "the destroy of {} left something and did not say why",
                R::TYPE
            )));
        }
        diags.errors.is_empty().then_some(())
    }

    async fn import<'a>(&self, diags: &mut Diagnostics, id: String) -> Option<(R::State, ())> {
        let context = self.context(diags)?;
        match self.resource.import(&context, &id).await {
            Ok(state) => Some((state, ())),
            Err(problem) => {
                diags.problem(problem);
                None
            }
        }
    }
}

/// A data source in the form that `tf-provider` knows.
pub struct SourceAdapter<D> {
    /// The data source.
    pub source: D,
    /// Its schema, made once.
    pub schema: Schema,
    pub(super) shared: Shared,
}

impl<D: DataSource> SourceAdapter<D> {
    /// Wraps `source`.
    pub fn new(source: D, shared: Shared) -> Self {
        Self { schema: source.schema(), source, shared }
    }
}

#[async_trait]
impl<D: DataSource> tf_provider::DataSource for SourceAdapter<D> {
    type State<'a> = D::State;
    type ProviderMetaState<'a> = ValueEmpty;

    fn schema(&self, _: &mut Diagnostics) -> Option<tf_provider::schema::Schema> {
        Some(self.schema.inner().clone())
    }

    async fn validate<'a>(&self, diags: &mut Diagnostics, config: D::State) -> Option<()> {
        self.source.validate(&config, diags);
        Some(())
    }

    async fn read<'a>(
        &self,
        diags: &mut Diagnostics,
        config: D::State,
        _: ValueEmpty,
    ) -> Option<D::State> {
        let Some(context) = self.shared.context() else {
            diags.problem(Shared::not_configured());
            return None;
        };
        match self.source.read(&context, config).await {
            Ok(found) => {
                found.warnings.into_iter().for_each(|p| diags.caution(p));
                if found.state.is_none() {
                    diags.problem(
                        Problem::user(format!("{} found nothing", D::TYPE)).fix(
                            "check the arguments; a data source must find what it is asked for",
                        ),
                    );
                }
                found.state
            }
            Err(problem) => {
                diags.problem(problem);
                None
            }
        }
    }
}
