//! The simulated crash sweep: the product's own code in this process, lab hosts without sshd, and a
//! stand-in for seekdb.
//!
//! - [`link`]: scripts and streams to hosts; a link can be cut or held.
//! - [`core`]: Terraform's core in miniature, over the provider's own calls.
//! - [`operation`]: the operations, and where each begins.
//! - [`world`]: a lab with stand-ins that can be brought back within a moment to where an operation
//!   begins.
//! - [`strike`]: one fault at one point of one step, the same command again, and everything that
//!   must hold after it.
//! - [`digest`]: the end state in lines that do not vary from run to run.
//! - [`runbook`]: compares what was planned with what ran.
//! - [`contract`]: the contract of a step, tried at each step of a run.
//! - [`bug`]: bugs that are planted on purpose, so that each check is seen to fail.
pub mod bug;
pub mod config;
pub mod contract;
pub mod core;
pub mod digest;
pub mod link;
pub mod operation;
mod pipe;
pub mod received;
pub mod runbook;
pub mod strike;
pub mod world;

pub use bug::Bug;
pub use operation::Operation;
pub use strike::{At, Blow, Strike};
pub use world::World;
