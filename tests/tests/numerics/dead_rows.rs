//! Dead rows and columns: N53.

use tinyc::ir::{NewNode, QuantParams, Shape};
use tinyc::ops::Op;
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::passes::remove_dead_rows::remove;
use tinyc::quant::QTensor;

use super::common::module;

#[test]
fn n53_rows_that_nobody_reads_are_not_computed() {
    let params = QuantParams::new(1.0, 0);
    let pads = Pads { top: 1, ..Pads::default() };
    // Over 5 rows the windows of two, one row of padding above, start at rows -1, 1, 3.
    let window = Window { kernel: [2, 1], stride: [2, 1], dilation: [1; 2], pads };
    let mean = Op::Pool(Pool { kind: Kind::Average { count_include_pad: true }, window, ceil: false });
    let (mut net, first) = module(mean, &[("x", &[1, 5, 1, 1], params)], &[], &[1, 3, 1, 1]);
    let mean = net.graph.node(first).output;
    let window = Window { kernel: [2, 1], stride: [2, 1], dilation: [1; 2], pads: Pads::default() };
    let max = Op::Pool(Pool { kind: Kind::Max, window, ceil: false });
    let second = net.graph.add_node(
        NewNode {
            name: "second",
            onnx_op: "Node",
            op: max,
            inputs: vec![mean],
            output_name: "second_out",
            shape: Shape(vec![1, 1, 1, 1]),
            origin: None,
        },
        None,
    );
    let max = net.graph.node(second).output;
    net.graph.outputs = vec![max];
    for value in [net.graph.inputs[0], mean, max] {
        net.quant.activations.insert(value, params);
    }
    remove(&mut net);
    assert_eq!(net.graph.shape(mean).0, [1, 2, 1, 1]);
    let x = QTensor { shape: Shape(vec![1, 5, 1, 1]), codes: vec![40, 10, 20, 90, 90], params };
    let means = tinyc::ops::reference(&net.graph, &net.quant, first, &[&x]);
    // (0 + 40) / 2, (10 + 20) / 2; the third, of two times 90, is gone.
    assert_eq!(means.codes, [20, 15]);
    let largest = tinyc::ops::reference(&net.graph, &net.quant, second, &[&means]);
    assert_eq!(largest.codes, [20]);
}
