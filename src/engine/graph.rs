//! The directed acyclic graph of steps that carries out a change. Building one is pure.
use super::step::{Impact, Step, StepId};
use crate::base::Problem;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A node of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// One step with what it waits for.
#[derive(Clone, Debug)]
pub struct Node {
    /// The step.
    pub step: Arc<dyn Step>,
    /// Nodes that must have ended well before.
    pub after: Vec<NodeId>,
    /// Steps that lead back when this one fails (a new version that does not come up), in order.
    pub way_back: Vec<Arc<dyn Step>>,
}

/// An ordered set of steps.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    after_take_over: Vec<Arc<dyn Step>>,
    /// An identity that two steps have.
    twice: Option<StepId>,
}

impl Graph {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step after others. Only earlier nodes can be named, so that a cycle cannot be
    /// written.
    pub fn add(&mut self, step: impl Step + 'static, after: &[NodeId]) -> NodeId {
        self.push(Arc::new(step), after.to_vec())
    }

    fn push(&mut self, step: Arc<dyn Step>, after: Vec<NodeId>) -> NodeId {
        let id = step.id();
        if self.has(&id) {
            self.twice.get_or_insert(id);
        }
        self.nodes.push(Node { step, after, way_back: Vec::new() });
        NodeId(self.nodes.len() - 1)
    }

    /// Whether a step of this identity is here.
    #[must_use]
    pub fn has(&self, id: &StepId) -> bool {
        self.nodes.iter().any(|n| n.step.id() == *id)
    }

    /// Says that two steps have one identity: such a graph is not run.
    #[must_use]
    pub fn fault(&self) -> Option<Problem> {
        let id = self.twice.as_ref()?;
        Some(Problem::internal(format!("two steps of one graph are {id:?}")))
    }

    /// Adds a step after everything that is there.
    pub fn then(&mut self, step: impl Step + 'static) -> NodeId {
        let after = self.leaves();
        self.add(step, &after)
    }

    /// As [`Graph::then`], for a step that is shared already.
    pub fn then_arc(&mut self, step: Arc<dyn Step>) -> NodeId {
        let after = self.leaves();
        self.push(step, after)
    }

    /// Steps that run first when the lease was taken over from a holder that did not give it back.
    pub fn after_take_over(&mut self, step: impl Step + 'static) {
        self.after_take_over.push(Arc::new(step));
    }

    /// As said by [`Graph::after_take_over`].
    #[must_use]
    pub fn take_over(&self) -> &[Arc<dyn Step>] {
        &self.after_take_over
    }

    /// Says how to go back when `node` fails.
    pub fn way_back(&mut self, node: NodeId, steps: Vec<Arc<dyn Step>>) {
        if let Some(node) = self.nodes.get_mut(node.0) {
            node.way_back = steps;
        }
    }

    /// Puts another graph behind this one: its roots wait for all of our leaves. A step that is
    /// here already is not added again; who waits for it waits for our leaves.
    pub fn append(&mut self, other: Graph) {
        self.each([other]);
    }

    /// Puts graphs behind this one that may run beside each other; what is added next waits for all
    /// of them. Written down, they stand one after the other.
    pub fn each(&mut self, others: impl IntoIterator<Item = Graph>) {
        let leaves = self.leaves();
        let here: BTreeSet<StepId> = self.nodes.iter().map(|n| n.step.id()).collect();
        for other in others {
            self.after_take_over.extend(other.after_take_over);
            self.twice = self.twice.take().or(other.twice);
            let mut places: Vec<Vec<NodeId>> = Vec::new();
            for node in other.nodes {
                if here.contains(&node.step.id()) {
                    places.push(leaves.clone());
                    continue;
                }
                let after = if node.after.is_empty() {
                    leaves.clone()
                } else {
                    node.after.iter().flat_map(|n| places[n.0].clone()).collect()
                };
                let place = self.push(node.step, after);
                self.way_back(place, node.way_back);
                places.push(vec![place]);
            }
        }
    }

    /// Nodes that nothing waits for.
    #[must_use]
    pub fn leaves(&self) -> Vec<NodeId> {
        let waited: BTreeSet<_> = self.nodes.iter().flat_map(|n| n.after.iter().copied()).collect();
        (0..self.nodes.len()).map(NodeId).filter(|n| !waited.contains(n)).collect()
    }

    /// The nodes in an order that respects every edge.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The titles, in order.
    #[must_use]
    pub fn titles(&self) -> Vec<String> {
        self.nodes.iter().map(|n| n.step.title()).collect()
    }

    /// What all of it does to users.
    #[must_use]
    pub fn impact(&self) -> BTreeSet<Impact> {
        self.nodes.iter().flat_map(|n| n.step.impact().iter().copied()).collect()
    }

    /// Titles of the steps that are in this graph and not in `planned`: work that nobody has seen
    /// in the plan.
    #[must_use]
    pub fn beyond(&self, planned: &Graph) -> Vec<String> {
        let known: BTreeSet<_> = planned.nodes.iter().map(|n| n.step.id()).collect();
        let more = self.nodes.iter().filter(|n| !known.contains(&n.step.id()));
        more.map(|n| n.step.title()).collect()
    }
}
