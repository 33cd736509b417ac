//! An operation: one run of one graph. It is the unit of lease, journal, resume, audit and
//! progress.
use super::journal::{Entry, Event, FORMAT};
use super::node::{Engine, Node};
use crate::base::OperationId;

/// What leases, journals and events say of an operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The operation's id.
    pub id: OperationId,
    /// The verb, `create`, `update`, `destroy`, `switchover`.
    pub verb: String,
    /// The object, `cluster.main`.
    pub object: String,
    /// Who runs the operation: a CI run, or user and host.
    pub who: String,
    /// Owner of the configuration that has authority over the object.
    pub authority: String,
    /// Epoch of that authority.
    pub epoch: u64,
    /// What the object is.
    pub engine: Engine,
    /// The object's nodes.
    pub nodes: Vec<Node>,
    /// Titles of the operation's steps, in order.
    pub titles: Vec<String>,
}

impl Operation {
    /// File name of the operation's journal.
    #[must_use]
    pub fn journal(&self) -> String {
        format!("{}.log", self.id)
    }

    /// Verb and object: `create cluster.main`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.verb, self.object)
    }

    /// A journal line about step `step` (from 1; 0 is the operation itself).
    #[must_use]
    pub fn entry(&self, event: Event, step: usize, kind: &str, title: &str, lease: u64) -> Entry {
        Entry {
            v: FORMAT,
            op: self.id.to_string(),
            event,
            step,
            of: self.titles.len(),
            kind: kind.into(),
            title: title.into(),
            lease,
            who: String::new(),
            authority: String::new(),
            epoch: self.epoch,
            engine: None,
            nodes: Vec::new(),
            object: String::new(),
            titles: Vec::new(),
            note: String::new(),
        }
    }

    /// The journal's first line.
    #[must_use]
    pub fn opening(&self, lease: u64) -> Entry {
        Entry {
            who: self.who.clone(),
            authority: self.authority.clone(),
            engine: Some(self.engine),
            nodes: self.nodes.clone(),
            object: self.object.clone(),
            titles: self.titles.clone(),
            ..self.entry(Event::Open, 0, &self.verb, &self.title(), lease)
        }
    }

    /// The journal's last line. `problem` is what stopped the operation; `None`: it ended well.
    #[must_use]
    pub fn closing(&self, lease: u64, problem: Option<&str>) -> Entry {
        let (event, note) = problem.map_or((Event::Close, "done"), |why| (Event::Stop, why));
        Entry { note: note.into(), ..self.entry(event, 0, &self.verb, &self.title(), lease) }
    }
}
