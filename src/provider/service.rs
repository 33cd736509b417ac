//! Answers the 36 calls of protocol 6.11, one after the other.
use super::dispatch::{
    Answer, Diagnosed, Events, Provider, capabilities, diagnostics, not_offered, one_event,
    unknown_type,
};
use crate::base::Problem;
use crate::protocol::convert;
use crate::protocol::pb::tf::{self, provider_server::Provider as Service};
use crate::schema::{Diagnostics, tree};
use tonic::{Request, Response, Streaming};

#[tonic::async_trait]
impl Service for Provider {
    async fn get_metadata(
        &self,
        _: Request<tf::get_metadata::Request>,
    ) -> Answer<tf::get_metadata::Response> {
        let resources = self
            .0
            .registry
            .resources
            .keys()
            .map(|n| tf::get_metadata::ResourceMetadata { type_name: (*n).to_owned() })
            .collect();
        let data_sources = self
            .0
            .registry
            .sources
            .keys()
            .map(|n| tf::get_metadata::DataSourceMetadata { type_name: (*n).to_owned() })
            .collect();
        Ok(Response::new(tf::get_metadata::Response {
            server_capabilities: Some(capabilities()),
            resources,
            data_sources,
            ..Default::default()
        }))
    }

    async fn get_provider_schema(
        &self,
        _: Request<tf::get_provider_schema::Request>,
    ) -> Answer<tf::get_provider_schema::Response> {
        let resource_schemas = self
            .0
            .registry
            .resources
            .iter()
            .map(|(n, r)| ((*n).to_owned(), convert::schema(r.schema())))
            .collect();
        let data_source_schemas = self
            .0
            .registry
            .sources
            .iter()
            .map(|(n, s)| ((*n).to_owned(), convert::schema(s.schema())))
            .collect();
        let provider = Some(convert::schema(&self.0.schema));
        Ok(Response::new(tf::get_provider_schema::Response {
            provider,
            resource_schemas,
            data_source_schemas,
            server_capabilities: Some(capabilities()),
            ..Default::default()
        }))
    }

    async fn get_resource_identity_schemas(
        &self,
        _: Request<tf::get_resource_identity_schemas::Request>,
    ) -> Answer<tf::get_resource_identity_schemas::Response> {
        let schema_of = |names: &[&str]| {
            let attribute = |name: &&str| tf::resource_identity_schema::IdentityAttribute {
                name: (*name).to_owned(),
                r#type: br#""string""#.to_vec(),
                required_for_import: true,
                ..Default::default()
            };
            tf::ResourceIdentitySchema {
                version: 0,
                identity_attributes: names.iter().map(attribute).collect(),
            }
        };
        let with = self.0.registry.resources.iter().filter(|(_, r)| !r.identity().is_empty());
        let identity_schemas =
            with.map(|(n, r)| ((*n).to_owned(), schema_of(r.identity()))).collect();
        Ok(Response::new(tf::get_resource_identity_schemas::Response {
            identity_schemas,
            ..Default::default()
        }))
    }

    async fn upgrade_resource_identity(
        &self,
        r: Request<tf::upgrade_resource_identity::Request>,
    ) -> Answer<tf::upgrade_resource_identity::Response> {
        // There is one version so far, so what is stored is what we would write.
        let r = r.into_inner();
        self.call(
            "UpgradeResourceIdentity",
            tf::upgrade_resource_identity::Response::default(),
            |inner| async move {
                let mut out = tf::upgrade_resource_identity::Response::default();
                let json = r
                    .raw_identity
                    .as_ref()
                    .and_then(|i| serde_json::from_slice::<serde_json::Value>(&i.json).ok());
                let known = inner
                    .registry
                    .resources
                    .get(r.type_name.as_str())
                    .map(|res| res.identity())
                    .unwrap_or_default();
                let values: Option<Vec<_>> = known
                    .iter()
                    .map(|n| {
                        Some((
                            tree::Tree::from(*n),
                            tree::Tree::from(json.as_ref()?.get(n)?.as_str()?),
                        ))
                    })
                    .collect();
                match values.filter(|v| !v.is_empty() && r.version == 0) {
                    Some(values) => {
                        out.upgraded_identity = Some(tf::ResourceIdentityData {
                            identity_data: Some(convert::value(&tree::Tree::Map(values))),
                        })
                    }
                    None => out.add(diagnostics(
                        Problem::user(format!(
                            "the stored identity of {} cannot be read",
                            r.type_name
                        ))
                        .fix(
                            "use the provider version that wrote it, or remove the object from the \
                             state and import it",
                        ),
                    )),
                }
                out
            },
        )
        .await
    }

    async fn validate_provider_config(
        &self,
        r: Request<tf::validate_provider_config::Request>,
    ) -> Answer<tf::validate_provider_config::Response> {
        let r = r.into_inner();
        self.call(
            "ValidateProviderConfig",
            tf::validate_provider_config::Response::default(),
            |inner| async move {
                let mut diags = Diagnostics::default();
                inner.block(r.config.as_ref(), &mut diags);
                tf::validate_provider_config::Response {
                    diagnostics: convert::diagnostics(Some(&inner.schema), diags),
                }
            },
        )
        .await
    }

    async fn configure_provider(
        &self,
        r: Request<tf::configure_provider::Request>,
    ) -> Answer<tf::configure_provider::Response> {
        let r = r.into_inner();
        self.call(
            "ConfigureProvider",
            tf::configure_provider::Response::default(),
            |inner| async move {
                let mut diags = Diagnostics::default();
                inner.configure(r.config.as_ref(), &mut diags);
                tf::configure_provider::Response {
                    diagnostics: convert::diagnostics(Some(&inner.schema), diags),
                }
            },
        )
        .await
    }

    async fn stop_provider(
        &self,
        _: Request<tf::stop_provider::Request>,
    ) -> Answer<tf::stop_provider::Response> {
        let calls = self.running().count();
        tracing::warn!(calls, "asked to stop: what is under way ends at its next safe point");
        self.running().cancel();
        // Core would show a text in `error` as a failure to stop.
        Ok(Response::new(tf::stop_provider::Response::default()))
    }

    async fn validate_resource_config(
        &self,
        r: Request<tf::validate_resource_config::Request>,
    ) -> Answer<tf::validate_resource_config::Response> {
        let r = r.into_inner();
        self.call(
            "ValidateResourceConfig",
            tf::validate_resource_config::Response::default(),
            |inner| async move {
                match inner.registry.resources.get(r.type_name.as_str()) {
                    Some(resource) => resource.validate(r).await,
                    None => tf::validate_resource_config::Response {
                        diagnostics: unknown_type("resource", &r.type_name),
                    },
                }
            },
        )
        .await
    }

    async fn upgrade_resource_state(
        &self,
        r: Request<tf::upgrade_resource_state::Request>,
    ) -> Answer<tf::upgrade_resource_state::Response> {
        let r = r.into_inner();
        self.call(
            "UpgradeResourceState",
            tf::upgrade_resource_state::Response::default(),
            |inner| async move {
                match inner.registry.resources.get(r.type_name.as_str()) {
                    Some(resource) => resource.upgrade(r),
                    None => tf::upgrade_resource_state::Response {
                        diagnostics: unknown_type("resource", &r.type_name),
                        ..Default::default()
                    },
                }
            },
        )
        .await
    }

    async fn read_resource(
        &self,
        r: Request<tf::read_resource::Request>,
    ) -> Answer<tf::read_resource::Response> {
        let r = r.into_inner();
        let prior = tf::read_resource::Response {
            new_state: r.current_state.clone(),
            private: r.private.clone(),
            new_identity: r.current_identity.clone(),
            ..Default::default()
        };
        self.call("ReadResource", prior.clone(), |inner| async move {
            match inner.registry.resources.get(r.type_name.as_str()) {
                Some(resource) => resource.read(r).await,
                None => tf::read_resource::Response {
                    diagnostics: unknown_type("resource", &r.type_name),
                    ..prior
                },
            }
        })
        .await
    }

    async fn plan_resource_change(
        &self,
        r: Request<tf::plan_resource_change::Request>,
    ) -> Answer<tf::plan_resource_change::Response> {
        let r = r.into_inner();
        self.call(
            "PlanResourceChange",
            tf::plan_resource_change::Response::default(),
            |inner| async move {
                match inner.registry.resources.get(r.type_name.as_str()) {
                    Some(resource) => resource.plan(r).await,
                    None => tf::plan_resource_change::Response {
                        diagnostics: unknown_type("resource", &r.type_name),
                        ..Default::default()
                    },
                }
            },
        )
        .await
    }

    async fn apply_resource_change(
        &self,
        r: Request<tf::apply_resource_change::Request>,
    ) -> Answer<tf::apply_resource_change::Response> {
        let r = r.into_inner();
        // On a create the prior state is null, and so is this answer: a panic taints nothing
        // either.
        let prior = tf::apply_resource_change::Response {
            new_state: r.prior_state.clone(),
            private: r.planned_private.clone(),
            ..Default::default()
        };
        self.call("ApplyResourceChange", prior.clone(), |inner| async move {
            match inner.registry.resources.get(r.type_name.as_str()) {
                Some(resource) => resource.apply(r).await,
                None => tf::apply_resource_change::Response {
                    diagnostics: unknown_type("resource", &r.type_name),
                    ..prior
                },
            }
        })
        .await
    }

    async fn import_resource_state(
        &self,
        r: Request<tf::import_resource_state::Request>,
    ) -> Answer<tf::import_resource_state::Response> {
        let r = r.into_inner();
        self.call(
            "ImportResourceState",
            tf::import_resource_state::Response::default(),
            |inner| async move {
                match inner.registry.resources.get(r.type_name.as_str()) {
                    Some(resource) => resource.import(r).await,
                    None => tf::import_resource_state::Response {
                        diagnostics: unknown_type("resource", &r.type_name),
                        ..Default::default()
                    },
                }
            },
        )
        .await
    }

    async fn validate_data_resource_config(
        &self,
        r: Request<tf::validate_data_resource_config::Request>,
    ) -> Answer<tf::validate_data_resource_config::Response> {
        let r = r.into_inner();
        self.call(
            "ValidateDataResourceConfig",
            tf::validate_data_resource_config::Response::default(),
            |inner| async move {
                match inner.registry.sources.get(r.type_name.as_str()) {
                    Some(source) => source.validate(r).await,
                    None => tf::validate_data_resource_config::Response {
                        diagnostics: unknown_type("data source", &r.type_name),
                    },
                }
            },
        )
        .await
    }

    async fn read_data_source(
        &self,
        r: Request<tf::read_data_source::Request>,
    ) -> Answer<tf::read_data_source::Response> {
        let r = r.into_inner();
        self.call("ReadDataSource", tf::read_data_source::Response::default(), |inner| async move {
            match inner.registry.sources.get(r.type_name.as_str()) {
                Some(source) => source.read(r).await,
                None => tf::read_data_source::Response {
                    diagnostics: unknown_type("data source", &r.type_name),
                    ..Default::default()
                },
            }
        })
        .await
    }

    async fn move_resource_state(
        &self,
        r: Request<tf::move_resource_state::Request>,
    ) -> Answer<tf::move_resource_state::Response> {
        let r = r.into_inner();
        let problem = Problem::user(format!(
            "cannot move {} to {}",
            r.source_type_name, r.target_type_name
        ))
        .why("objects of different types are not the same thing on the hosts")
        .fix(
            "use a removed block with destroy = false for the old one and an import block for the \
             new one",
        );
        Ok(Response::new(tf::move_resource_state::Response {
            diagnostics: diagnostics(problem),
            ..Default::default()
        }))
    }

    async fn generate_resource_config(
        &self,
        _: Request<tf::generate_resource_config::Request>,
    ) -> Answer<tf::generate_resource_config::Response> {
        Ok(Response::new(tf::generate_resource_config::Response {
            diagnostics: not_offered("generated configuration of its own"),
            ..Default::default()
        }))
    }

    async fn get_functions(
        &self,
        _: Request<tf::get_functions::Request>,
    ) -> Answer<tf::get_functions::Response> {
        Ok(Response::new(tf::get_functions::Response::default()))
    }

    async fn call_function(
        &self,
        r: Request<tf::call_function::Request>,
    ) -> Answer<tf::call_function::Response> {
        let text = format!("this provider has no function {}", r.into_inner().name);
        Ok(Response::new(tf::call_function::Response {
            result: None,
            error: Some(tf::FunctionError { text, function_argument: None }),
        }))
    }

    async fn validate_ephemeral_resource_config(
        &self,
        _: Request<tf::validate_ephemeral_resource_config::Request>,
    ) -> Answer<tf::validate_ephemeral_resource_config::Response> {
        Ok(Response::new(tf::validate_ephemeral_resource_config::Response {
            diagnostics: not_offered("ephemeral resources"),
        }))
    }

    async fn open_ephemeral_resource(
        &self,
        _: Request<tf::open_ephemeral_resource::Request>,
    ) -> Answer<tf::open_ephemeral_resource::Response> {
        Ok(Response::new(tf::open_ephemeral_resource::Response {
            diagnostics: not_offered("ephemeral resources"),
            ..Default::default()
        }))
    }

    async fn renew_ephemeral_resource(
        &self,
        _: Request<tf::renew_ephemeral_resource::Request>,
    ) -> Answer<tf::renew_ephemeral_resource::Response> {
        Ok(Response::new(tf::renew_ephemeral_resource::Response {
            diagnostics: not_offered("ephemeral resources"),
            ..Default::default()
        }))
    }

    async fn close_ephemeral_resource(
        &self,
        _: Request<tf::close_ephemeral_resource::Request>,
    ) -> Answer<tf::close_ephemeral_resource::Response> {
        Ok(Response::new(tf::close_ephemeral_resource::Response {
            diagnostics: not_offered("ephemeral resources"),
        }))
    }

    type ListResourceStream = Events<tf::list_resource::Event>;
    async fn list_resource(
        &self,
        _: Request<tf::list_resource::Request>,
    ) -> Answer<Self::ListResourceStream> {
        one_event(tf::list_resource::Event {
            diagnostic: not_offered("list resources"),
            ..Default::default()
        })
    }

    async fn validate_list_resource_config(
        &self,
        _: Request<tf::validate_list_resource_config::Request>,
    ) -> Answer<tf::validate_list_resource_config::Response> {
        Ok(Response::new(tf::validate_list_resource_config::Response {
            diagnostics: not_offered("list resources"),
        }))
    }

    async fn validate_state_store_config(
        &self,
        _: Request<tf::validate_state_store::Request>,
    ) -> Answer<tf::validate_state_store::Response> {
        Ok(Response::new(tf::validate_state_store::Response {
            diagnostics: not_offered("state stores"),
        }))
    }

    async fn configure_state_store(
        &self,
        _: Request<tf::configure_state_store::Request>,
    ) -> Answer<tf::configure_state_store::Response> {
        Ok(Response::new(tf::configure_state_store::Response {
            diagnostics: not_offered("state stores"),
            ..Default::default()
        }))
    }

    type ReadStateBytesStream = Events<tf::read_state_bytes::Response>;
    async fn read_state_bytes(
        &self,
        _: Request<tf::read_state_bytes::Request>,
    ) -> Answer<Self::ReadStateBytesStream> {
        one_event(tf::read_state_bytes::Response {
            diagnostics: not_offered("state stores"),
            ..Default::default()
        })
    }

    async fn write_state_bytes(
        &self,
        _: Request<Streaming<tf::write_state_bytes::RequestChunk>>,
    ) -> Answer<tf::write_state_bytes::Response> {
        Ok(Response::new(tf::write_state_bytes::Response {
            diagnostics: not_offered("state stores"),
        }))
    }

    async fn lock_state(
        &self,
        _: Request<tf::lock_state::Request>,
    ) -> Answer<tf::lock_state::Response> {
        Ok(Response::new(tf::lock_state::Response {
            diagnostics: not_offered("state stores"),
            ..Default::default()
        }))
    }

    async fn unlock_state(
        &self,
        _: Request<tf::unlock_state::Request>,
    ) -> Answer<tf::unlock_state::Response> {
        Ok(Response::new(tf::unlock_state::Response { diagnostics: not_offered("state stores") }))
    }

    async fn get_states(
        &self,
        _: Request<tf::get_states::Request>,
    ) -> Answer<tf::get_states::Response> {
        Ok(Response::new(tf::get_states::Response {
            diagnostics: not_offered("state stores"),
            ..Default::default()
        }))
    }

    async fn delete_state(
        &self,
        _: Request<tf::delete_state::Request>,
    ) -> Answer<tf::delete_state::Response> {
        Ok(Response::new(tf::delete_state::Response { diagnostics: not_offered("state stores") }))
    }

    async fn plan_action(
        &self,
        _: Request<tf::plan_action::Request>,
    ) -> Answer<tf::plan_action::Response> {
        Ok(Response::new(tf::plan_action::Response {
            diagnostics: not_offered("actions"),
            ..Default::default()
        }))
    }

    type InvokeActionStream = Events<tf::invoke_action::Event>;
    async fn invoke_action(
        &self,
        _: Request<tf::invoke_action::Request>,
    ) -> Answer<Self::InvokeActionStream> {
        let completed = tf::invoke_action::event::Completed { diagnostics: not_offered("actions") };
        one_event(tf::invoke_action::Event {
            r#type: Some(tf::invoke_action::event::Type::Completed(completed)),
        })
    }

    async fn validate_action_config(
        &self,
        _: Request<tf::validate_action_config::Request>,
    ) -> Answer<tf::validate_action_config::Response> {
        Ok(Response::new(tf::validate_action_config::Response {
            diagnostics: not_offered("actions"),
        }))
    }
}
