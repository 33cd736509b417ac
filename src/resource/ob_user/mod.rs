//! `ob_user`: one account on an instance, a group or any MySQL-mode server.
//!
//! - `schema.rs` holds the attributes. `plan.rs` is pure: checks and the planned state. `object.rs`
//!   holds statements and facts.
mod object;
mod plan;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use object::version as shown_version;
pub use schema::UserState;
pub(crate) use schema::{host as host_pattern, name as user_name};

use super::sql_object;
use super::{Applied, ApplyInput, Context, Found, PlanInput, Planned, Resource, Work};
use crate::base::Problem;
use crate::schema::{Diagnostics, Schema};
use async_trait::async_trait;

/// The resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObUser;

#[async_trait]
impl Resource for ObUser {
    type State = UserState;
    const TYPE: &'static str = "ob_user";

    fn schema(&self) -> Schema {
        schema::schema()
    }
    fn validate(&self, config: &UserState, diags: &mut Diagnostics) {
        plan::validate(config, diags);
    }
    fn plan(
        &self,
        input: PlanInput<'_, UserState>,
        diags: &mut Diagnostics,
    ) -> Option<Planned<UserState>> {
        plan::plan(input, diags)
    }
    fn planned(
        &self,
        prior: Option<&UserState>,
        planned: Option<&UserState>,
    ) -> Result<Work, Problem> {
        sql_object::planned_statements(prior, planned, &object::believed(prior)).map(Work::Sql)
    }
    async fn read(&self, cx: &Context, state: UserState) -> Result<Found<UserState>, Problem> {
        sql_object::read(cx, state).await
    }
    async fn apply(&self, cx: &Context, input: ApplyInput<'_, UserState>) -> Applied<UserState> {
        sql_object::apply(cx, input).await
    }
    async fn import(&self, cx: &Context, id: &str) -> Result<UserState, Problem> {
        object::import(cx, id).await
    }
    fn identity(&self) -> &'static [&'static str] {
        &["id"]
    }
}
