//! The naive integer references over a whole graph.
//!
//! In: the codes of the graph's inputs. Out: the codes of every activation.
//! Invariant: no runtime kernel and no plan takes part, so that this is an
//! independent statement of what the emitted crate must compute.

use std::collections::BTreeMap;

use crate::Module;
use crate::ir::ValueId;
use crate::ops;
use crate::quant::QTensor;

/// Runs the references in the graph's order; `inputs` are in the order of
/// `module.graph.inputs`.
///
/// # Panics
/// If there are fewer inputs than the graph has, or quantization has not run.
pub fn run(module: &Module, inputs: &[QTensor]) -> BTreeMap<ValueId, QTensor> {
    let graph = &module.graph;
    let mut tensors: BTreeMap<ValueId, QTensor> = BTreeMap::new();
    for (index, &id) in graph.inputs.iter().enumerate() {
        tensors.insert(id, inputs[index].clone());
    }
    for &node in graph.order() {
        let operands: Vec<&QTensor> = graph.activations(node).iter().map(|v| &tensors[v]).collect();
        let result = ops::reference(graph, &module.quant, node, &operands);
        tensors.insert(graph.node(node).output, result);
    }
    tensors
}

/// The tensors of codes that [`run`] takes, from plain codes in the order of the
/// graph's inputs.
///
/// # Panics
/// If a slice has another number of elements than its input, or one is missing.
pub fn inputs(module: &Module, codes: &[&[i8]]) -> Vec<QTensor> {
    let graph = &module.graph;
    let tensor = |(&id, codes): (&ValueId, &&[i8])| {
        let shape = graph.shape(id).clone();
        assert_eq!(codes.len(), shape.elements(), "codes of input '{}'", graph.value(id).name);
        QTensor { shape, codes: codes.to_vec(), params: module.quant.activation(id) }
    };
    assert_eq!(codes.len(), graph.inputs.len(), "one slice of codes for each input");
    graph.inputs.iter().zip(codes).map(tensor).collect()
}
