//! The simulated crash sweep: the product's own code in this process, hosts of the lab without
//! sshd, a stand-in for seekdb.
//!
//! - [`link`]: scripts and streams to hosts, which can be cut or held.
//! - [`core`]: Terraform's core in miniature, over the provider's own calls.
//! - [`operation`]: what is swept, and from where it begins.
//! - [`world`]: a lab with its stand-ins, brought back to where an operation begins within a
//!   moment.
//! - [`strike`]: one fault at one point of one step, the same command again, and all that must hold
//!   after it.
//! - [`digest`]: the end state in words that do not change from run to run.
//! - [`runbook`]: what was planned, held against what ran.
//! - [`contract`]: what each step must hold to, tried at each step of a run.
//! - [`bug`]: bugs planted on purpose, so that each check is seen to fail.
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
