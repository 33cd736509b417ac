//! `ob_host`: a host reached over SSH, and what is prepared on it.
//!
//! - `schema.rs` the attributes · `plan.rs` pure: what changes and by which graph · `read.rs` what is true
mod plan;
mod read;
mod schema;

pub use plan::connection;
pub use read::{devices, host};
pub use schema::{Disk, HostState, Network, Prepare};

use super::{Applied, ApplyInput, Context, Found, PlanInput, Planned, Resource};
use crate::base::Problem;
use crate::component::host::facts;
use crate::schema::{Diagnostics, Schema, Value};
use async_trait::async_trait;

/// The resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObHost;

#[async_trait]
impl Resource for ObHost {
    type State = HostState;
    const TYPE: &'static str = "ob_host";

    fn schema(&self) -> Schema {
        schema::schema()
    }
    fn plan(&self, input: PlanInput<'_, HostState>, diags: &mut Diagnostics) -> Option<Planned<HostState>> {
        plan::plan(input, diags)
    }
    async fn read(&self, cx: &Context, state: HostState) -> Result<Found<HostState>, Problem> {
        read::read(cx, state).await
    }
    fn identity(&self) -> &'static [&'static str] {
        &["id"]
    }

    async fn apply(&self, cx: &Context, input: ApplyInput<'_, HostState>) -> Applied<HostState> {
        let Some(planned) = input.planned else { return Applied { state: None, problem: None, warnings: Vec::new() } };
        match make(cx, planned).await {
            Ok(state) => Applied { state: Some(state), problem: None, warnings: Vec::new() },
            Err(problem) => Applied { state: input.prior.cloned(), problem: Some(problem), warnings: Vec::new() },
        }
    }
}

async fn make(cx: &Context, planned: &HostState) -> Result<HostState, Problem> {
    let mut state = planned.clone();
    let found = facts::read(&super::execute::reader(cx), &host(planned)?).await?;
    read::take(&mut state, &found);
    state.status = Value::Value("ready".to_owned());
    Ok(state)
}
