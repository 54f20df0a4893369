//! The generated one-node models are valid, and the oracle runs each of them.

use std::collections::{BTreeMap, BTreeSet};

use tinyc_tests::onnx::{Case, Oracle, cases};
use tract_onnx::pb;
use tract_onnx::prelude::*;

/// The case through tract, one sample: the outputs' shapes and values.
fn run(case: &Case) -> TractResult<Vec<(Vec<usize>, Vec<f32>)>> {
    let model = tract_onnx::onnx().model_for_proto_model(&case.model)?.into_typed()?;
    // Not optimized where there are Q/DQ pairs: see `Oracle::Tract`.
    let quantized = ["QuantizeLinear", "DequantizeLinear"].contains(&case.op);
    let model = if quantized { model } else { model.into_optimized()? };
    let plan = model.into_runnable()?;
    let mut inputs = TVec::new();
    for (spec, data) in case.inputs.iter().zip(case.samples(1, 1)) {
        let array = tract_ndarray::ArrayD::from_shape_vec(spec.shape.clone(), data)?;
        inputs.push(array.into_tensor().into());
    }
    let outputs = plan.run(inputs)?;
    outputs
        .iter()
        .map(|t| {
            let view = t.to_plain_array_view::<f32>()?;
            Ok((view.shape().to_vec(), view.iter().copied().collect()))
        })
        .collect()
}

#[test]
fn oracle_runs_every_case_to_the_shape_written_by_hand() {
    let mut wrong = Vec::new();
    for case in cases() {
        if case.oracle != Oracle::Tract {
            continue;
        }
        match run(&case) {
            Err(error) => wrong.push(format!("{}: {error:#}", case.name)),
            Ok(outputs) => {
                let shapes: Vec<_> = outputs.iter().map(|(shape, _)| shape.clone()).collect();
                if shapes != case.output_shapes {
                    wrong.push(format!("{}: {shapes:?}, not {:?}", case.name, case.output_shapes));
                }
                if outputs.iter().flat_map(|(_, values)| values).any(|v| !v.is_finite()) {
                    wrong.push(format!("{}: not finite", case.name));
                }
                // A constant output would let a broken kernel pass.
                let varied = |values: &Vec<f32>| values.len() < 2 || values.iter().any(|v| *v != values[0]);
                if !outputs.iter().all(|(_, values)| varied(values)) {
                    wrong.push(format!("{}: constant output", case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn names_are_unique_and_every_operator_has_its_cases() {
    let cases = cases();
    let names: BTreeSet<_> = cases.iter().map(|c| c.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases share a name");

    // Operators whose geometry varies have four cases at least, the others two.
    let geometric = ["Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean"];
    let geometric = geometric.into_iter().chain(["Gemm", "MatMul", "Add", "Sub", "Mul", "Softmax"]);
    let geometric = geometric.chain(["BatchNormalization", "Flatten", "Reshape", "Squeeze", "Unsqueeze"]);
    let geometric = geometric.chain(["Transpose", "Concat", "Pad"]).map(|op| (op, 4));
    let others = ["Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish"];
    let others = others.into_iter().chain(["Identity", "Dropout", "Constant", "Shape"]);
    let others = others.chain(["QuantizeLinear", "DequantizeLinear"]).map(|op| (op, 2));
    let wanted: BTreeMap<&str, usize> = geometric.chain(others).collect();

    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        *counts.entry(case.op).or_default() += 1;
        let graph = case.model.graph.as_ref().expect("a graph");
        assert!(graph.node.iter().any(|n| n.op_type == case.op), "{} has no {}", case.name, case.op);
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (op, least) in wanted {
        assert!(counts[op] >= least, "{op} has {} cases, wants {least}", counts[op]);
    }
}

#[test]
fn shapes_are_static_small_and_start_with_a_batch_of_one() {
    for case in cases() {
        let graph = case.model.graph.as_ref().expect("a graph");
        for input in &graph.input {
            let dims = shape(input);
            assert_eq!(dims[0], Some(1), "{}: input {}", case.name, input.name);
        }
        for value in graph.input.iter().chain(&graph.output) {
            let dims = shape(value);
            let size: Option<i64> = dims.iter().copied().product();
            assert!(size.is_some_and(|n| (1..=4096).contains(&n)), "{}: {dims:?}", case.name);
        }
    }
}

fn shape(value: &pb::ValueInfoProto) -> Vec<Option<i64>> {
    use pb::tensor_shape_proto::dimension::Value;
    let pb::type_proto::Value::TensorType(tensor) =
        value.r#type.as_ref().and_then(|t| t.value.as_ref()).expect("a tensor type");
    let dims = &tensor.shape.as_ref().expect("a shape").dim;
    dims.iter()
        .map(|d| match d.value {
            Some(Value::DimValue(size)) => Some(size),
            _ => None,
        })
        .collect()
}

#[test]
fn samples_are_seeded_and_reach_both_ends_of_the_range() {
    let case = cases().into_iter().find(|c| c.name == "concat_three").expect("the case");
    let (first, again, other) = (case.samples(3, 4), case.samples(3, 4), case.samples(4, 4));
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(first[1].len(), 4 * 9);
    assert_eq!(first[1][..2], [-8.0, 1.0]);
    assert!(first[1].iter().all(|v| (-8.0..=1.0).contains(v)));
}
