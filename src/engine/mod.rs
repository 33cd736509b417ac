//! The embedded execution engine: steps on hosts, in an order, by one holder at a time, resumable
//! after any crash.
//!
//! In the order a reader meets them: a [`Step`] is the smallest idempotent effect on one host; a
//! [`Graph`] orders steps; an [`Operation`] is one run of one graph, executed by [`run`]; the
//! [`journal`] on the hosts records it; a [`lease`] with a number that only grows, checked on the
//! host at each effect by the [`gate`], keeps two runs apart; a [`mark`] says whose an object is.
//! The engine knows no database: that is the `component` layer.
//!
//! Truth is on the hosts: `check` decides, the journal only informs.
mod along;
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
pub mod program;
pub mod runner;
pub mod step;
pub mod template;

pub use cx::{Cx, cancelled};
pub use effect::{Effect, Sql, SqlServer, SqlSession};
pub use executor::{Executor, Job};
pub use graph::{Graph, NodeId};
pub use key::Key;
pub use limits::Limits;
pub use node::{Engine, Node, Port};
pub use operation::Operation;
pub use program::Program;
pub use runner::{Outcome, run};
pub use step::{Check, Host, Impact, Step, StepId, StepKind};
pub use template::{Form, Name, Template, Values};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_busy;
