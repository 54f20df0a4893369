//! Newtype ids into the tables of a [`Graph`](super::Graph).
//!
//! In: nothing. Out: [`ValueId`], [`NodeId`]. Invariant: an id is an index into
//! the table of the graph that made it and stays valid for that graph's life;
//! removed entries leave a hole, ids are never reused.

/// A tensor of the graph: an input, a constant, or the output of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(super) u32);

/// An operation of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl ValueId {
    /// The position in the graph's value table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeId {
    /// The position in the graph's node table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for ValueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{}", self.0)
    }
}
