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
pub mod effect;
pub mod fault;
pub mod gate;
pub mod graph;
pub mod history;
pub mod journal;
pub mod lease;
pub mod mark;
pub mod operation;
pub mod runner;
pub mod step;

pub use effect::Cx;
pub use graph::{Graph, NodeId};
pub use operation::Operation;
pub use runner::{Outcome, run};
pub use step::{Check, Host, Impact, Step};

#[cfg(test)]
mod tests;
