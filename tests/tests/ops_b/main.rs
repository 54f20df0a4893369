//! Pooling, softmax and the operators that only move bytes.
//!
//! Expected values come from hand calculation, from plain floats computed here,
//! or from tract; each case also runs the runtime's kernels, which must give the
//! reference's bytes.

mod arithmetic;
mod onnx;

use std::collections::BTreeMap;

use tinyc::ir::{Def, Graph, NewNode, QuantParams, Shape, ValueId, verify};
use tinyc::lower::{Kernel, Lowered};
use tinyc::ops::{self, Op};
use tinyc::quant::{QTensor, QuantTable};
use tinyc_runtime::kernels;
use tinyc_runtime::view::{Bytes, Consts};

/// Codes that look random and are the same everywhere.
fn codes(seed: u64, n: usize) -> Vec<i8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as i8
        })
        .collect()
}

/// The instance of a kernel for a window's height.
macro_rules! of_height {
    ($run:ident, $actual:expr, $($height:literal)*) => {
        match $actual {
            $($height => $run!($height),)*
            other => panic!("add height {other} to the test"),
        }
    };
}

/// Runs the kernels of a lowered node; a view is the input's bytes.
fn execute(lowered: &Lowered, inputs: &BTreeMap<ValueId, Vec<i8>>, first: ValueId, len: usize) -> Vec<i8> {
    if lowered.is_view() {
        return inputs[&first].clone();
    }
    // What no call writes shows.
    let mut out = vec![0x55; len];
    for call in &lowered.calls {
        let mut input = inputs[&call.inputs[0]].clone();
        let mut scratch = vec![0; call.scratch_bytes];
        // Kernels read constants as aligned 32-bit words.
        let mut roomy = vec![0u8; call.consts.len() + 4];
        let start = roomy.as_ptr().align_offset(4);
        roomy[start..start + call.consts.len()].copy_from_slice(&call.consts);
        let consts = Consts::new(&roomy[start..start + call.consts.len()]);
        let (input, output) = (Bytes::from_mut(&mut input), Bytes::from_mut(&mut out));
        let scratch = Bytes::from_mut(&mut scratch);
        match call.kernel {
            Kernel::MaxPool(p) => {
                macro_rules! run {
                    ($height:literal) => {
                        kernels::max_pool::run::<$height>(&p, input, output, scratch)
                    };
                }
                of_height!(run, p.kernel_h, 1 2 3 4 5 6 7 8 9 12);
            }
            Kernel::AvgPool(p) => {
                macro_rules! run {
                    ($height:literal) => {
                        kernels::avg_pool::run::<$height>(&p, consts, input, output, scratch)
                    };
                }
                of_height!(run, p.kernel_h, 1 2 3 4 5 6 7 8 9 12);
            }
            Kernel::Softmax(p) => kernels::softmax::run(&p, consts, input, output, scratch),
            Kernel::Copy(p) => kernels::copy::run(&p, input, output, scratch),
            Kernel::Join(p) => {
                let mut operands: Vec<Vec<i8>> = call.inputs.iter().map(|v| inputs[v].clone()).collect();
                let operands: Vec<Bytes<'_>> = operands.iter_mut().map(|o| Bytes::from_mut(o)).collect();
                kernels::join::step(&p, &operands, output, p.rows * p.width);
            }
            other => panic!("{other:?} is not of these operators"),
        }
    }
    out
}

/// A graph of one node over inputs of the given shapes.
fn graph(op: Op, shapes: &[&[usize]]) -> Graph {
    let mut graph = Graph::new("one");
    for (i, &shape) in shapes.iter().enumerate() {
        let id = graph.add_value(&format!("x{i}"), Shape::from(shape), Def::Input, None);
        graph.inputs.push(id);
    }
    let inputs = graph.inputs.clone();
    let operands: Vec<&Shape> = inputs.iter().map(|&v| graph.shape(v)).collect();
    let shape = op.output_shape(&operands).unwrap().unwrap();
    let new = NewNode { name: "node", onnx_op: "Op", op, inputs, output_name: "y", shape, origin: None };
    let id = graph.add_node(new, None);
    graph.outputs.push(graph.node(id).output);
    graph
}

/// Reference and kernels of every node, which must agree; returns the output.
fn run(graph: &Graph, quant: &QuantTable, inputs: &[Vec<i8>]) -> QTensor {
    verify::verify(graph).unwrap();
    let mut values: BTreeMap<ValueId, Vec<i8>> =
        graph.inputs.iter().copied().zip(inputs.iter().cloned()).collect();
    for &id in graph.order() {
        let node = graph.node(id);
        // An empty chain between equal scales; a pass drops it.
        let result = if node.op == Op::Unary(Vec::new()) {
            values[&node.inputs[0]].clone()
        } else {
            let tensor = |v: &ValueId| QTensor {
                shape: graph.shape(*v).clone(),
                codes: values[v].clone(),
                params: quant.activation(*v),
            };
            let operands: Vec<QTensor> = node.inputs.iter().map(tensor).collect();
            let operands: Vec<&QTensor> = operands.iter().collect();
            let expected = ops::reference(graph, quant, id, &operands).codes;
            let lowered = ops::lower(graph, quant, id).unwrap();
            let actual = execute(&lowered, &values, node.inputs[0], expected.len());
            assert_eq!(actual, expected, "kernel against reference of {:?}", node.op);
            expected
        };
        values.insert(node.output, result);
    }
    let output = graph.outputs[0];
    let shape = graph.shape(output).clone();
    QTensor { shape, codes: values[&output].clone(), params: quant.activation(output) }
}

/// The same parameters for every activation; a softmax has its own output scale.
fn uniform(graph: &Graph, params: QuantParams) -> QuantTable {
    let mut quant = QuantTable::default();
    let mut probabilities = false;
    for id in graph.live_activations() {
        let op = graph.producer(id).map(|n| &graph.node(n).op);
        // Views behind a softmax carry its scale on.
        probabilities |= op == Some(&Op::Softmax);
        let params = if probabilities { QuantParams::new(1.0 / 256.0, -128) } else { params };
        quant.activations.insert(id, params);
    }
    quant
}
