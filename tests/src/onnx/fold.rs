//! What must vanish at compile time: Identity, Dropout, Constant, shape arithmetic.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Agreement, Case, ModelBuilder, random, tensor_f32, tensor_i64};

pub(super) fn cases() -> Vec<Case> {
    let groups = [
        ("Identity", identity()),
        ("Dropout", dropout()),
        ("Constant", constant()),
        ("Shape", shape_arithmetic()),
    ];
    groups.into_iter().flat_map(|(op, models)| models.into_iter().map(|m| m.case(op))).collect()
}

fn identity() -> Vec<ModelBuilder> {
    let map = &[1, 2, 4, 4];
    vec![
        ModelBuilder::new("identity_alone")
            .agrees(Agreement::Moves)
            .input("x", map)
            .op("Identity")
            .output(map),
        ModelBuilder::new("identity_between")
            .input("x", map)
            .op("Relu")
            .op("Identity")
            .op("Tanh")
            .output(map),
        ModelBuilder::new("identity_of_weight")
            .agrees(Agreement::Weights)
            .weight("w", &[3, 2, 3, 3])
            .op("Identity")
            .input("x", map)
            .swap()
            .op("Conv")
            .output(&[1, 3, 2, 2]),
    ]
}

fn dropout() -> Vec<ModelBuilder> {
    let map = &[1, 2, 4, 4];
    vec![
        ModelBuilder::new("dropout_attribute")
            .opset(10)
            .agrees(Agreement::Moves)
            .input("x", map)
            .op("Dropout")
            .attr_float("ratio", 0.4)
            .output(map),
        ModelBuilder::new("dropout_operand")
            .agrees(Agreement::Moves)
            .input("x", map)
            .scalar("ratio", 0.25)
            .op("Dropout")
            .output(map),
        ModelBuilder::new("dropout_between_dense")
            .agrees(Agreement::Weights)
            .input("x", &[1, 12])
            .weight("w1", &[8, 12])
            .op("Gemm")
            .attr_int("transB", 1)
            .op("Dropout")
            .weight("w2", &[5, 8])
            .op("Gemm")
            .attr_int("transB", 1)
            .output(&[1, 5]),
    ]
}

fn constant() -> Vec<ModelBuilder> {
    let map = &[1, 3, 4, 4];
    let weights = tensor_f32(&[4, 3, 1, 1], &random("constant_weight", 12, -1.0, 1.0));
    let matrix = tensor_f32(&[5, 12], &random("constant_matrix", 60, -0.5, 0.5));
    vec![
        ModelBuilder::new("constant_weight")
            .agrees(Agreement::Weights)
            .op("Constant")
            .attr_tensor("value", weights)
            .input("x", map)
            .swap()
            .op("Conv")
            .output(&[1, 4, 4, 4]),
        ModelBuilder::new("constant_floats")
            .op("Constant")
            .attr_floats("value_floats", &[0.5, -1.0, 0.25, 2.0])
            .input("x", map)
            .op("Add")
            .output(map),
        ModelBuilder::new("constant_float")
            .op("Constant")
            .attr_float("value_float", -0.75)
            .input("x", map)
            .op("Mul")
            .output(map),
        ModelBuilder::new("constant_ints_as_shape")
            .agrees(Agreement::Moves)
            .op("Constant")
            .attr_ints("value_ints", &[1, -1])
            .input("x", map)
            .swap()
            .op("Reshape")
            .output(&[1, 48]),
        // Weights that are computed from constants.
        ModelBuilder::new("constant_product_as_weight")
            .agrees(Agreement::Weights)
            .weight("w", &[4, 3, 3, 3])
            .op_of(0, "Constant")
            .attr_float("value_float", 0.5)
            .op("Mul")
            .input("x", map)
            .swap()
            .op("Conv")
            .output(&[1, 4, 2, 2]),
        ModelBuilder::new("constant_transposed_as_weight")
            .agrees(Agreement::Weights)
            .op("Constant")
            .attr_tensor("value", matrix)
            .op("Transpose")
            .attr_ints("perm", &[1, 0])
            .input("x", &[1, 12])
            .swap()
            .op("MatMul")
            .output(&[1, 5]),
    ]
}

/// Exporters compute the operand of Reshape from the shape of the map.
fn shape_arithmetic() -> Vec<ModelBuilder> {
    let map = &[1, 3, 4, 5];
    vec![
        // PyTorch: x.view(x.size(0), -1).
        ModelBuilder::new("shape_gather_concat_reshape")
            .agrees(Agreement::Moves)
            .input("x", map)
            .op("Shape")
            .constant("zero", tensor_i64(&[], &[0]))
            .op("Gather")
            .attr_int("axis", 0)
            .ints("axes", &[0])
            .op("Unsqueeze")
            .ints("rest", &[-1])
            .op("Concat")
            .attr_int("axis", 0)
            .again("x")
            .swap()
            .op("Reshape")
            .output(&[1, 60]),
        // tf2onnx: Shape -> Cast -> Slice -> Concat -> Cast -> Reshape.
        ModelBuilder::new("shape_cast_slice_reshape")
            .agrees(Agreement::Moves)
            .input("x", map)
            .op("Shape")
            .op("Cast")
            .attr_int("to", DataType::Int32 as i64)
            .ints("starts", &[0])
            .ints("ends", &[2])
            .ints("axes", &[0])
            .op("Slice")
            .op("Cast")
            .attr_int("to", DataType::Int64 as i64)
            .ints("rest", &[-1])
            .op("Concat")
            .attr_int("axis", 0)
            .again("x")
            .swap()
            .op("Reshape")
            .output(&[1, 3, 20]),
        // Sizes multiplied by hand: [batch, height * width * channels].
        ModelBuilder::new("shape_product_reshape")
            .agrees(Agreement::Moves)
            .input("x", map)
            .op("Shape")
            .ints("indices", &[1, 2])
            .op("Gather")
            .ints("factor", &[1, 5])
            .op("Mul")
            .ints("batch", &[1])
            .swap()
            .op("Concat")
            .attr_int("axis", 0)
            .again("x")
            .swap()
            .op("Reshape")
            .output(&[1, 3, 20]),
    ]
}
