//! `ob_grant`: what one user may do in one place of an instance, a group or any MySQL-mode server.
//!
//! - `schema.rs` and `view.rs` hold the attributes. `plan.rs` is pure: the planned state.
//!   `object.rs` holds statements and facts.
mod object;
mod plan;
mod schema;
#[cfg(test)]
mod tests;
pub mod view;

pub use schema::GrantState;

use super::sql_object;
use super::{Applied, ApplyInput, Context, Found, PlanInput, Planned, Resource, Work};
use crate::base::Problem;
use crate::schema::{Diagnostics, Schema};
use async_trait::async_trait;

/// The resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObGrant;

#[async_trait]
impl Resource for ObGrant {
    type State = GrantState;
    const TYPE: &'static str = "ob_grant";

    fn schema(&self) -> Schema {
        schema::schema()
    }
    fn validate(&self, config: &GrantState, diags: &mut Diagnostics) {
        super::sql_target::validate(config, diags);
        config.view().validate(&[], diags);
    }
    fn plan(
        &self,
        input: PlanInput<'_, GrantState>,
        diags: &mut Diagnostics,
    ) -> Option<Planned<GrantState>> {
        Some(plan::plan(input, diags))
    }
    fn planned(
        &self,
        prior: Option<&GrantState>,
        planned: Option<&GrantState>,
    ) -> Result<Work, Problem> {
        sql_object::planned_statements(prior, planned, &object::believed(prior)).map(Work::Sql)
    }
    async fn read(&self, cx: &Context, state: GrantState) -> Result<Found<GrantState>, Problem> {
        sql_object::read(cx, state).await
    }
    async fn apply(&self, cx: &Context, input: ApplyInput<'_, GrantState>) -> Applied<GrantState> {
        sql_object::apply(cx, input).await
    }
    async fn import(&self, cx: &Context, id: &str) -> Result<GrantState, Problem> {
        object::import(cx, id).await
    }
    fn identity(&self) -> &'static [&'static str] {
        &["id"]
    }
}
