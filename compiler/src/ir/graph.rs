//! The graph: tables of values and nodes, with the edits that passes make.
//!
//! In: [`Op`]s and shapes from the importer. Out: topologically ordered nodes.
//! Invariant (checked by [`super::verify`]): every value has one definition,
//! every node reads values defined before it, constants are float32.

use std::collections::BTreeMap;

use ndarray::ArrayD;

use super::ids::{NodeId, ValueId};
use super::tensor::{Clamp, Origin, Shape};
use crate::ops::Op;

/// Who defines a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Def {
    /// The caller, on every run.
    Input,
    /// The model: a trained or folded constant, float32, row-major.
    Const(ArrayD<f32>),
    /// A node's output.
    Node(NodeId),
}

/// A tensor.
#[derive(Debug, Clone)]
pub struct Value {
    /// Unique; the ONNX tensor's name where there is one.
    pub name: String,
    /// Concrete dimensions.
    pub shape: Shape,
    /// Who defines it.
    pub def: Def,
    /// Its relation to a tensor of the ONNX file; `None` for constants that passes made.
    pub origin: Option<Origin>,
}

/// An operation with one output.
#[derive(Debug, Clone)]
pub struct Node {
    /// The ONNX node's name (or its first output's name where it has none).
    pub name: String,
    /// The ONNX operator that it was imported from.
    pub onnx_op: String,
    /// What it computes, with its attributes.
    pub op: Op,
    /// Operands, constants included.
    pub inputs: Vec<ValueId>,
    /// The result.
    pub output: ValueId,
    /// The range to which the result is clamped after the operation.
    pub clamp: Clamp,
    /// Rows and columns at the end of what a convolution or a pooling gives by its own
    /// rule that nobody reads: they are not computed, and the output's shape lacks them.
    pub crop: [usize; 2],
    /// Names of the ONNX nodes that were fused into this one, in order.
    pub fused: Vec<String>,
}

/// A model as tables of values and nodes; see the module's text.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The model's name.
    pub name: String,
    values: Vec<Value>,
    nodes: Vec<Option<Node>>,
    order: Vec<NodeId>,
    /// The values that the caller fills.
    pub inputs: Vec<ValueId>,
    /// The values that the caller reads.
    pub outputs: Vec<ValueId>,
    names: BTreeMap<String, ValueId>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Graph { name: name.to_string(), ..Graph::default() }
    }

    /// Adds a value; a name that is taken gets a numbered suffix.
    pub fn add_value(&mut self, name: &str, shape: Shape, def: Def, origin: Option<Origin>) -> ValueId {
        let id = ValueId(self.values.len() as u32);
        let mut unique = name.to_string();
        let numbered = name.rsplit_once('.').filter(|(_, end)| end.parse::<usize>().is_ok());
        let base = numbered.map_or(name, |(base, _)| base);
        let mut suffix = 1;
        while self.names.contains_key(&unique) {
            suffix += 1;
            unique = format!("{base}.{suffix}");
        }
        self.names.insert(unique.clone(), id);
        self.values.push(Value { name: unique, shape, def, origin });
        id
    }

    /// Adds a constant.
    pub fn add_const(&mut self, name: &str, data: ArrayD<f32>) -> ValueId {
        let shape = Shape::from(data.shape());
        self.add_value(name, shape, Def::Const(data), None)
    }

    /// Adds a node at the end of the order, or right before `before`; its output
    /// becomes a new value of `shape`.
    pub fn add_node(&mut self, node: NewNode<'_>, before: Option<NodeId>) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        let output = self.add_value(node.output_name, node.shape, Def::Node(id), node.origin);
        self.nodes.push(Some(Node {
            name: node.name.to_string(),
            onnx_op: node.onnx_op.to_string(),
            op: node.op,
            inputs: node.inputs,
            output,
            clamp: Clamp::NONE,
            crop: [0; 2],
            fused: Vec::new(),
        }));
        let at = before.and_then(|b| self.order.iter().position(|&n| n == b)).unwrap_or(self.order.len());
        self.order.insert(at, id);
        id
    }

    /// Removes a node; its output must have no reader left.
    pub fn remove_node(&mut self, id: NodeId) {
        self.nodes[id.index()] = None;
        self.order.retain(|&n| n != id);
    }

    /// Moves a node right after `after` in the order.
    pub fn move_after(&mut self, id: NodeId, after: NodeId) {
        self.order.retain(|&n| n != id);
        let at = self.order.iter().position(|&n| n == after).map_or(self.order.len(), |p| p + 1);
        self.order.insert(at, id);
    }

    /// The nodes in execution order.
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// A node. Panics for a removed one: that is a bug of the caller.
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes[id.index()].as_ref().expect("node was removed")
    }

    /// A node to edit. Panics for a removed one.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id.index()].as_mut().expect("node was removed")
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// A value to edit.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.index()]
    }

    /// The value of that name.
    pub fn value_named(&self, name: &str) -> Option<ValueId> {
        self.names.get(name).copied()
    }

    /// Gives two values each other's names, so that a replacement keeps the name users know.
    pub fn swap_names(&mut self, a: ValueId, b: ValueId) {
        let name_a = std::mem::take(&mut self.values[a.index()].name);
        let name_b = std::mem::replace(&mut self.values[b.index()].name, name_a);
        self.values[a.index()].name = name_b;
        self.names.insert(self.values[a.index()].name.clone(), a);
        self.names.insert(self.values[b.index()].name.clone(), b);
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> &Shape {
        &self.value(id).shape
    }

    /// The data of a constant, or `None` for an activation.
    pub fn constant(&self, id: ValueId) -> Option<&ArrayD<f32>> {
        match &self.value(id).def {
            Def::Const(data) => Some(data),
            _ => None,
        }
    }

    /// The node that defines a value.
    pub fn producer(&self, id: ValueId) -> Option<NodeId> {
        match self.value(id).def {
            Def::Node(n) => Some(n),
            _ => None,
        }
    }

    /// The nodes that read a value, in order; a node that reads it twice stands once.
    pub fn readers(&self, id: ValueId) -> Vec<NodeId> {
        self.order.iter().copied().filter(|&n| self.node(n).inputs.contains(&id)).collect()
    }

    /// The only reader of a value that is not a graph output, if it has exactly one.
    pub fn sole_reader(&self, id: ValueId) -> Option<NodeId> {
        if self.outputs.contains(&id) {
            return None;
        }
        match self.readers(id)[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Makes every reader of `old`, and the graph's outputs, use `new`.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        for node in self.nodes.iter_mut().flatten() {
            for input in &mut node.inputs {
                if *input == old {
                    *input = new;
                }
            }
        }
        for output in &mut self.outputs {
            if *output == old {
                *output = new;
            }
        }
    }

    /// All values in id order.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, &Value)> {
        self.values.iter().enumerate().map(|(i, v)| (ValueId(i as u32), v))
    }

    /// The operands of a node that are not constants.
    pub fn activations(&self, id: NodeId) -> Vec<ValueId> {
        self.node(id).inputs.iter().copied().filter(|&v| self.constant(v).is_none()).collect()
    }

    /// Every activation that is still in use: inputs and the outputs of live nodes, in order.
    pub fn live_activations(&self) -> Vec<ValueId> {
        let mut live = self.inputs.clone();
        live.extend(self.order.iter().map(|&n| self.node(n).output));
        live
    }
}

/// What [`Graph::add_node`] needs.
#[derive(Debug)]
pub struct NewNode<'a> {
    /// The ONNX node's name.
    pub name: &'a str,
    /// The ONNX operator.
    pub onnx_op: &'a str,
    /// What it computes.
    pub op: Op,
    /// Operands.
    pub inputs: Vec<ValueId>,
    /// Name of the output value.
    pub output_name: &'a str,
    /// Shape of the output value.
    pub shape: Shape,
    /// Relation of the output value to an ONNX tensor.
    pub origin: Option<Origin>,
}
