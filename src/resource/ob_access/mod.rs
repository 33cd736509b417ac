//! `ob_access`: all databases, users and grants of one server or group as maps.
//!
//! Terraform writes its whole state after each resource, so hundreds of single objects cost seconds
//! that have nothing to do with the server. This resource takes one session, a set query for
//! each kind, and only the statements that are needed.
//!
//! - `schema.rs` holds the attributes. `plan.rs` is pure: checks and the planned state. `object.rs`
//!   holds statements and facts, `import.rs` takes what is there.
mod import;
mod object;
mod plan;
mod schema;
#[cfg(test)]
mod tests;

pub use schema::AccessState;

use super::sql_object;
use super::{Applied, ApplyInput, Context, Found, PlanInput, Planned, Resource, Work};
use crate::base::Problem;
use crate::schema::{Diagnostics, Schema};
use async_trait::async_trait;

/// The resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObAccess;

#[async_trait]
impl Resource for ObAccess {
    type State = AccessState;
    const TYPE: &'static str = "ob_access";

    fn schema(&self) -> Schema {
        schema::schema()
    }
    fn validate(&self, config: &AccessState, diags: &mut Diagnostics) {
        plan::validate(config, diags);
    }
    fn plan(
        &self,
        input: PlanInput<'_, AccessState>,
        diags: &mut Diagnostics,
    ) -> Option<Planned<AccessState>> {
        plan::plan(input, diags)
    }
    fn plan_destroy(&self, prior: &AccessState, diags: &mut Diagnostics) {
        plan::plan_destroy(prior, diags);
    }
    fn planned(
        &self,
        prior: Option<&AccessState>,
        planned: Option<&AccessState>,
    ) -> Result<Work, Problem> {
        sql_object::planned_statements(prior, planned, &object::believed(prior)).map(Work::Sql)
    }
    async fn read(&self, cx: &Context, state: AccessState) -> Result<Found<AccessState>, Problem> {
        sql_object::read(cx, state).await
    }
    async fn apply(
        &self,
        cx: &Context,
        input: ApplyInput<'_, AccessState>,
    ) -> Applied<AccessState> {
        sql_object::apply(cx, input).await
    }
    async fn import(&self, cx: &Context, id: &str) -> Result<AccessState, Problem> {
        import::import(cx, id).await
    }
    fn identity(&self) -> &'static [&'static str] {
        &["id"]
    }
}
