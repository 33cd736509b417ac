//! Carries an adapted data source as messages: decodes by schema, calls, checks, encodes.
use super::adapter::SourceAdapter;
use super::registry::Shared;
use super::wire::lint_state;
use crate::base::Problem;
use crate::protocol::convert;
use crate::protocol::pb::tf;
use crate::resource::DataSource;
use crate::schema::codec::{self, Refused};
use crate::schema::{Diagnostics, Report, Schema, Tree, check, tree};
use async_trait::async_trait;
use tf_provider::DataSource as _;
use tf_provider::value::Value;

/// A data source as the service calls it.
#[async_trait]
pub trait WireSource: Send + Sync {
    /// Its schema.
    fn schema(&self) -> &Schema;
    /// Everything wrong with the type itself.
    fn lint(&self) -> Vec<String>;
    /// ValidateDataResourceConfig.
    async fn validate(
        &self,
        request: tf::validate_data_resource_config::Request,
    ) -> tf::validate_data_resource_config::Response;
    /// ReadDataSource.
    async fn read(&self, request: tf::read_data_source::Request) -> tf::read_data_source::Response;
}

/// Carries one adapted data source.
pub struct WireSourceOf<D>(SourceAdapter<D>);

impl<D: DataSource> WireSourceOf<D> {
    /// Carries `adapter`.
    pub fn new(adapter: SourceAdapter<D>) -> Self {
        Self(adapter)
    }
    async fn answer(
        &self,
        r: &tf::read_data_source::Request,
        diags: &mut Diagnostics,
    ) -> Result<Tree, Refused> {
        let config = codec::decode::<D::State>(
            &self.0.schema,
            "configuration",
            convert::bytes(r.config.as_ref()),
            diags,
        )?;
        let Some(config) = config else {
            diags.problem(Shared::not_configured());
            return Err(Refused);
        };
        let state = tf_provider::DataSource::read(&self.0, diags, config.state, Value::Null)
            .await
            .ok_or(Refused)?;
        let tree = codec::encode(&self.0.schema, "data that was read", &state, diags)?;
        if !tree::wholly_known(&tree) {
            diags.problem(Problem::internal(format!(
                "the read of {} answered with unknown values",
                D::TYPE
            )));
            return Err(Refused);
        }
        Ok(tree)
    }
}

#[async_trait]
impl<D: DataSource> WireSource for WireSourceOf<D> {
    fn schema(&self) -> &Schema {
        &self.0.schema
    }
    fn lint(&self) -> Vec<String> {
        self.0
            .schema
            .lint()
            .into_iter()
            .chain(lint_state::<D::State>(&self.0.schema))
            .map(|l| format!("data {}: {l}", D::TYPE))
            .collect()
    }
    async fn validate(
        &self,
        r: tf::validate_data_resource_config::Request,
    ) -> tf::validate_data_resource_config::Response {
        let mut diags = Diagnostics::default();
        if let Ok(Some(config)) = codec::decode::<D::State>(
            &self.0.schema,
            "configuration",
            convert::bytes(r.config.as_ref()),
            &mut diags,
        ) {
            check::validate(&self.0.schema, &config.tree, &mut diags);
            self.0.validate(&mut diags, config.state).await;
        }
        tf::validate_data_resource_config::Response {
            diagnostics: convert::diagnostics(Some(&self.0.schema), diags),
        }
    }
    async fn read(&self, r: tf::read_data_source::Request) -> tf::read_data_source::Response {
        let mut diags = Diagnostics::default();
        let state = self
            .answer(&r, &mut diags)
            .await
            .ok()
            .filter(|_| diags.errors.is_empty())
            .map(|t| convert::value(&t));
        tf::read_data_source::Response {
            state,
            diagnostics: convert::diagnostics(Some(&self.0.schema), diags),
            ..Default::default()
        }
    }
}
