//! The host under the servers: what it is, and what we prepare on it.
pub mod facts;

pub use facts::{Disk, Facts, Moving};
