//! The embedded execution engine. It runs steps on hosts in a given order. Only one run at a time
//! may change an object. A run that crashed is finished by running the same command again.
//!
//! The parts, in the order a reader meets them:
//! - A [`Step`] is the smallest idempotent effect on one host.
//! - A [`Graph`] orders steps.
//! - An [`Operation`] is one run of one graph; [`run`] executes it.
//! - The [`journal`] on the hosts records the operation.
//! - A [`lease`] keeps two runs apart. Its number only grows, and the [`gate`] on a host checks the
//!   number at each effect.
//! - A [`mark`] says to whom an object belongs.
//!
//! The engine knows no database: that is the `component` layer.
//!
//! The hosts hold the truth: a step's `check` decides what is left to do. The journal only informs.
mod along;
mod chain;
mod cx;
pub mod effect;
pub mod event;
pub mod executor;
pub mod fault;
pub mod gate;
pub mod graph;
pub mod history;
mod hold;
pub mod journal;
pub mod key;
pub mod lease;
pub mod limits;
pub mod mark;
pub mod node;
pub mod operation;
pub mod process;
pub mod program;
pub mod runner;
pub mod step;
pub mod template;

pub use cx::{Cx, cancelled, on_the_way};
pub use effect::{Effect, Sql, SqlServer, SqlSession};
pub use executor::{Executor, Job};
pub use graph::{Graph, NodeId};
pub use key::Key;
pub use limits::Limits;
pub use node::{Engine, Node, Port};
pub use operation::Operation;
pub use program::Program;
pub use runner::{Outcome, run};
pub use step::{Check, Host, Impact, Proof, Step, StepId, StepKind};
pub use template::{Form, Name, Template, Values};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_busy;
#[cfg(test)]
mod tests_chain;
#[cfg(test)]
mod tests_lease;
