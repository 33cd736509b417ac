//! The directed acyclic graph of steps that carries out a change. Building a graph is pure.
use super::step::{Impact, Step, StepId};
use crate::base::Problem;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A node of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// One step, and what it waits for.
#[derive(Clone, Debug)]
pub struct Node {
    /// The step.
    pub step: Arc<dyn Step>,
    /// The nodes that must have ended well before this one begins.
    pub after: Vec<NodeId>,
    /// Steps that lead back when this one fails (a new version that does not come up), in order.
    pub way_back: Vec<Arc<dyn Step>>,
    /// The step before it in its chain; see [`Graph::chain`].
    pub follows: Option<NodeId>,
}

/// An ordered set of steps.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    after_take_over: Vec<Arc<dyn Step>>,
    /// An identity that two steps share: a mistake, see [`Graph::fault`].
    twice: Option<StepId>,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step that waits for others. Only earlier nodes can be named, so that no cycle can be
    /// written.
    pub fn add(&mut self, step: impl Step + 'static, after: &[NodeId]) -> NodeId {
        self.push(Arc::new(step), after.to_vec())
    }

    fn push(&mut self, step: Arc<dyn Step>, after: Vec<NodeId>) -> NodeId {
        let id = step.id();
        if self.has(&id) {
            self.twice.get_or_insert(id);
        }
        self.nodes.push(Node { step, after, way_back: Vec::new(), follows: None });
        NodeId(self.nodes.len() - 1)
    }

    /// Whether the graph has a step of this identity.
    #[must_use]
    pub fn has(&self, id: &StepId) -> bool {
        self.nodes.iter().any(|n| n.step.id() == *id)
    }

    /// The problem of a graph in which two steps share one identity. Such a graph is not run.
    #[must_use]
    pub fn fault(&self) -> Option<Problem> {
        let id = self.twice.as_ref()?;
        Some(Problem::internal(format!("two steps of one graph are {id:?}")))
    }

    /// Adds a step that waits for everything that is there.
    pub fn then(&mut self, step: impl Step + 'static) -> NodeId {
        let after = self.leaves();
        self.add(step, &after)
    }

    /// Like [`Graph::then`], for a step behind an [`Arc`].
    pub fn then_arc(&mut self, step: Arc<dyn Step>) -> NodeId {
        let after = self.leaves();
        self.push(step, after)
    }

    /// Adds a step that runs before all others when the lease was taken over from a holder that did
    /// not give it back.
    pub fn after_take_over(&mut self, step: impl Step + 'static) {
        self.after_take_over.push(Arc::new(step));
    }

    /// The steps added with [`Graph::after_take_over`].
    #[must_use]
    pub fn take_over(&self) -> &[Arc<dyn Step>] {
        &self.after_take_over
    }

    /// Sets the steps that lead back when `node` fails.
    pub fn way_back(&mut self, node: NodeId, steps: Vec<Arc<dyn Step>>) {
        if let Some(node) = self.nodes.get_mut(node.0) {
            node.way_back = steps;
        }
    }

    /// Makes a chain of the steps from `first` to the last one that is there. Each must wait for the
    /// one before it and for no other. All are made ready before the first has its effect, so that
    /// no time passes between their effects; see [`super::chain`].
    pub fn chain(&mut self, first: NodeId) {
        for i in first.0 + 1..self.nodes.len() {
            let before = NodeId(i - 1);
            self.nodes[i].follows = (self.nodes[i].after == [before]).then_some(before);
        }
    }

    /// The chain that begins with a node: that node alone if it is in none.
    #[must_use]
    pub fn chain_from(&self, first: NodeId) -> Vec<NodeId> {
        let mut chain = vec![first];
        let next = |id: NodeId| self.nodes.iter().position(|n| n.follows == Some(id));
        while let Some(id) = chain.last().and_then(|last| next(*last)) {
            chain.push(NodeId(id));
        }
        chain
    }

    /// Puts another graph behind this one: its first steps wait for the last ones here. A step that
    /// is here already is not added again; what waits for it waits for the last steps here.
    pub fn append(&mut self, other: Graph) {
        self.each([other]);
    }

    /// Puts graphs behind this one that may run at the same time. What is added next waits for all
    /// of them. In lists their steps stand one after the other.
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
                let follows = node.follows.and_then(|n| match places[n.0][..] {
                    [one] if after == [one] => Some(one),
                    _ => None,
                });
                let place = self.push(node.step, after);
                self.way_back(place, node.way_back);
                self.nodes[place.0].follows = follows;
                places.push(vec![place]);
            }
        }
    }

    /// The nodes that nothing waits for.
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

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The titles of the steps, in order.
    #[must_use]
    pub fn titles(&self) -> Vec<String> {
        self.nodes.iter().map(|n| n.step.title()).collect()
    }

    /// What all steps together do to users.
    #[must_use]
    pub fn impact(&self) -> BTreeSet<Impact> {
        self.nodes.iter().flat_map(|n| n.step.impact().iter().copied()).collect()
    }

    /// Titles of the steps that are in this graph and not in `planned`: work that the plan did not
    /// show.
    #[must_use]
    pub fn beyond(&self, planned: &Graph) -> Vec<String> {
        let known: BTreeSet<_> = planned.nodes.iter().map(|n| n.step.id()).collect();
        let more = self.nodes.iter().filter(|n| !known.contains(&n.step.id()));
        more.map(|n| n.step.title()).collect()
    }
}
