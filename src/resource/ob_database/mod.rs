//! `ob_database`: one database (schema) on an instance, a group or any MySQL-mode server.
//!
//! - `schema.rs` holds the attributes. `plan.rs` is pure: checks and the planned state. `object.rs`
//!   holds statements and facts.
mod object;
mod plan;
mod schema;
#[cfg(test)]
mod tests;

pub use schema::DatabaseState;
pub(crate) use schema::name as name_check;

use super::sql_object;
use super::{Applied, ApplyInput, Context, Found, PlanInput, Planned, Resource, Work};
use crate::base::Problem;
use crate::schema::{Diagnostics, Schema};
use async_trait::async_trait;

/// The resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObDatabase;

#[async_trait]
impl Resource for ObDatabase {
    type State = DatabaseState;
    const TYPE: &'static str = "ob_database";

    fn schema(&self) -> Schema {
        schema::schema()
    }
    fn validate(&self, config: &DatabaseState, diags: &mut Diagnostics) {
        plan::validate(config, diags);
    }
    fn plan(
        &self,
        input: PlanInput<'_, DatabaseState>,
        diags: &mut Diagnostics,
    ) -> Option<Planned<DatabaseState>> {
        plan::plan(input, diags)
    }
    fn plan_destroy(&self, prior: &DatabaseState, diags: &mut Diagnostics) {
        plan::plan_destroy(prior, diags);
    }
    fn planned(
        &self,
        prior: Option<&DatabaseState>,
        planned: Option<&DatabaseState>,
    ) -> Result<Work, Problem> {
        sql_object::planned_statements(prior, planned, &object::believed(prior)).map(Work::Sql)
    }
    async fn read(
        &self,
        cx: &Context,
        state: DatabaseState,
    ) -> Result<Found<DatabaseState>, Problem> {
        sql_object::read(cx, state).await
    }
    async fn apply(
        &self,
        cx: &Context,
        input: ApplyInput<'_, DatabaseState>,
    ) -> Applied<DatabaseState> {
        sql_object::apply(cx, input).await
    }
    async fn import(&self, cx: &Context, id: &str) -> Result<DatabaseState, Problem> {
        object::import(cx, id).await
    }
    fn identity(&self) -> &'static [&'static str] {
        &["id"]
    }
}
