//! The one seam to the `tf-provider` crate: its types re-exported, and what they lack.
//!
//! - [`Value`], [`Diagnostics`], [`AttributePath`] and the schema types are that crate's; nothing
//!   else names it, except the adapter.
//! - [`Schema`] wraps its schema with a side table: write-only, deprecation texts, validators.
//! - [`build`] is the vocabulary in which resources write their schema.
//! - [`report`] turns a [`crate::base::Problem`] into a diagnostic. Never use `Diagnostic::new` or
//!   the methods of `Diagnostics` that call it: they append a backtrace to what people read
//!   whenever `RUST_BACKTRACE` is set.
//! - [`codec`] goes between the wire and typed states, and names the attribute path of every bad
//!   value.
//!
//! Knows no gRPC.
pub mod build;
pub mod check;
pub mod codec;
pub mod report;
mod table;
pub mod tree;

#[cfg(test)]
mod tests;

pub use report::Report;
pub use table::{Extra, Schema};
pub use tf_provider::schema::{Attribute, AttributeConstraint, AttributeType, StringKind};
pub use tf_provider::value::Value;
pub use tf_provider::{AttributePath, AttributePathStep, Diagnostic, Diagnostics};
pub use tree::Tree;
