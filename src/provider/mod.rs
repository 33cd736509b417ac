//! The provider: its configuration, and the adapter between resources and the wire.
//!
//! [`adapter`] makes `tf-provider`'s trait `Resource` of our [`crate::resource::Resource`].
//! [`wire`] makes messages of that, and checks both directions by the schema and by core's own
//! [`rules`], [`source`] the same for data sources. `service` answers the calls of protocol 6.11 by
//! what [`dispatch`] has for all of them. [`config`] turns the provider block
//! and `OB_*` variables into a [`crate::resource::Session`].
pub mod adapter;
pub mod config;
pub mod config_schema;
pub mod dispatch;
pub mod document;
pub mod registry;
pub mod rules;
pub mod serve;
mod service;
pub mod source;
pub mod twins;
pub mod unknowns;
pub mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_destroy;
#[cfg(test)]
mod tests_plan;
#[cfg(test)]
mod tests_sql;
#[cfg(test)]
mod tests_state;

pub use document::schema_document;
pub use registry::{Connect, Registry};

/// The provider's source address.
pub const ADDRESS: &str = "registry.terraform.io/oceanbase/ob";

/// Everything that we offer. `connect` makes the connector for the hosts.
#[must_use]
pub fn registry(connect: Connect) -> Registry {
    let mut registry = Registry::new(connect);
    crate::resource::register(&mut registry);
    registry
}
