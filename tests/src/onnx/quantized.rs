//! QuantizeLinear and DequantizeLinear: per tensor int8 and uint8, per channel weights.
//!
//! The oracle runs the graph without the pairs around activations; scales here cover the
//! range of what they carry, so that only rounding differs.

use tract_onnx::pb::TensorProto;

use super::{Agreement, Case, ModelBuilder, random, tensor_f32, tensor_i8, tensor_i32, tensor_u8};

/// Covers -2..2, the range of the inputs, with room for a zero point a few codes off the middle.
const IN_SCALE: f32 = 4.4 / 255.0;

/// The last float value through codes and back, with scalar parameters named after `stem`.
trait Requantize {
    fn pair(self, stem: &str, scale: f32, zero: TensorProto) -> Self;
}

impl Requantize for ModelBuilder {
    fn pair(self, stem: &str, scale: f32, zero: TensorProto) -> Self {
        let (scale_name, zero_name) = (format!("{stem}_scale"), format!("{stem}_zero"));
        self.constant(&scale_name, tensor_f32(&[], &[scale]))
            .constant(&zero_name, zero)
            .op_of(3, "QuantizeLinear")
            .again(&scale_name)
            .again(&zero_name)
            .op_of(3, "DequantizeLinear")
    }
}

fn i8_zero(zero: i8) -> TensorProto {
    tensor_i8(&[], &[zero])
}

fn u8_zero(zero: u8) -> TensorProto {
    tensor_u8(&[], &[zero])
}

/// Seeded int8 codes in -127..=127.
fn codes(key: &str, len: usize) -> Vec<i8> {
    random(key, len, -127.5, 127.5).iter().map(|v| v.round().clamp(-127.0, 127.0) as i8).collect()
}

pub(super) fn cases() -> Vec<Case> {
    let pairs = activations().into_iter().map(|m| m.case("QuantizeLinear"));
    pairs.chain(weights().into_iter().map(|m| m.case("DequantizeLinear"))).collect()
}

fn activations() -> Vec<ModelBuilder> {
    let map = &[1, 3, 4, 4];
    vec![
        ModelBuilder::new("quantizelinear_int8").input("x", map).pair("x", IN_SCALE, i8_zero(0)).output(map),
        ModelBuilder::new("quantizelinear_uint8")
            .input("x", map)
            .pair("x", IN_SCALE, u8_zero(128))
            .output(map),
        ModelBuilder::new("quantizelinear_relu_int8")
            .input("x", map)
            .pair("x", IN_SCALE, i8_zero(1))
            .op("Relu")
            .pair("y", 2.0 / 254.0, i8_zero(-128))
            .output(map),
        // After Relu a zero point above the lowest code: the clamp must hold at the zero point.
        ModelBuilder::new("quantizelinear_relu_odd_zero_point")
            .input("x", map)
            .pair("x", IN_SCALE, i8_zero(0))
            .op("Relu")
            .pair("y", 4.0 / 255.0, i8_zero(-37))
            .output(map),
        ModelBuilder::new("quantizelinear_add_uint8")
            .input("a", map)
            .pair("a", IN_SCALE, u8_zero(128))
            .input("b", map)
            .range(0.0, 3.0)
            .pair("b", 3.0 / 255.0, u8_zero(0))
            .op("Add")
            .pair("y", 7.1 / 255.0, u8_zero(73))
            .output(map),
        ModelBuilder::new("quantizelinear_maxpool_one_scale")
            .input("x", map)
            .pair("x", IN_SCALE, i8_zero(-3))
            .op("MaxPool")
            .attr_ints("kernel_shape", &[2, 2])
            .attr_ints("strides", &[2, 2])
            .pair("y", IN_SCALE, i8_zero(-3))
            .output(&[1, 3, 2, 2]),
        ModelBuilder::new("quantizelinear_softmax")
            .agrees(Agreement::Softmax)
            .input("x", &[1, 10])
            .pair("x", IN_SCALE, i8_zero(0))
            .op("Softmax")
            .attr_int("axis", 1)
            .pair("y", 1.0 / 256.0, i8_zero(-128))
            .output(&[1, 10]),
    ]
}

fn weights() -> Vec<ModelBuilder> {
    let map = &[1, 3, 4, 4];
    let scales = [0.004, 0.001, 0.0025, 0.003];
    vec![
        ModelBuilder::new("dequantizelinear_conv_per_channel")
            .input("x", map)
            .pair("x", IN_SCALE, i8_zero(-1))
            .constant("w", tensor_i8(&[4, 3, 3, 3], &codes("dequantize_conv", 108)))
            .constant("w_scale", tensor_f32(&[4], &scales))
            .constant("w_zero", tensor_i8(&[4], &[0; 4]))
            .op_of(3, "DequantizeLinear")
            .attr_int("axis", 0)
            .constant("b", tensor_i32(&[4], &[9000, -4000, 0, 77]))
            .constant("b_scale", tensor_f32(&[4], &scales.map(|s| s * IN_SCALE)))
            .constant("b_zero", tensor_i32(&[4], &[0; 4]))
            .op_of(3, "DequantizeLinear")
            .attr_int("axis", 0)
            .op("Conv")
            .pair("y", 20.0 / 255.0, i8_zero(5))
            .output(&[1, 4, 2, 2]),
        // No zero point operand, and a float bias.
        ModelBuilder::new("dequantizelinear_depthwise_float_bias")
            .input("x", map)
            .pair("x", IN_SCALE, u8_zero(120))
            .constant("w", tensor_i8(&[3, 1, 3, 3], &codes("dequantize_depthwise", 27)))
            .constant("w_scale", tensor_f32(&[3], &[0.004, 0.002, 0.003]))
            .op_of(2, "DequantizeLinear")
            .attr_int("axis", 0)
            .weight("b", &[3])
            .op("Conv")
            .attr_int("group", 3)
            .attr_ints("pads", &[1, 1, 1, 1])
            .pair("y", 12.0 / 255.0, u8_zero(127))
            .output(map),
        ModelBuilder::new("dequantizelinear_gemm_per_tensor")
            .input("x", &[1, 12])
            .pair("x", IN_SCALE, u8_zero(125))
            .constant("w", tensor_i8(&[5, 12], &codes("dequantize_gemm", 60)))
            .scalar("w_scale", 0.006)
            .constant("w_zero", i8_zero(0))
            .op_of(3, "DequantizeLinear")
            .constant("b", tensor_i32(&[5], &[100, -2000, 3000, 0, 1]))
            .constant("b_scale", tensor_f32(&[1], &[0.006 * IN_SCALE]))
            .constant("b_zero", tensor_i32(&[], &[0]))
            .op_of(3, "DequantizeLinear")
            .op("Gemm")
            .attr_int("transB", 1)
            .pair("y", 16.0 / 255.0, u8_zero(128))
            .output(&[1, 5]),
        ModelBuilder::new("dequantizelinear_matmul_columns")
            .input("x", &[1, 8])
            .pair("x", IN_SCALE, i8_zero(0))
            .constant("w", tensor_i8(&[8, 4], &codes("dequantize_matmul", 32)))
            .constant("w_scale", tensor_f32(&[4], &scales))
            .constant("w_zero", tensor_i8(&[4], &[0; 4]))
            .op_of(3, "DequantizeLinear")
            .attr_int("axis", 1)
            .op("MatMul")
            .pair("y", 10.0 / 255.0, i8_zero(0))
            .output(&[1, 4]),
        // Weight codes down to -128 and a zero point: allowed by ONNX, to be folded.
        ModelBuilder::new("dequantizelinear_weight_zero_point")
            .input("x", map)
            .pair("x", IN_SCALE, i8_zero(0))
            .constant("w", tensor_i8(&[2, 3, 1, 1], &[-128, 3, 100, 50, -60, 7]))
            .scalar("w_scale", 0.01)
            .constant("w_zero", i8_zero(10))
            .op_of(3, "DequantizeLinear")
            .op("Conv")
            .pair("y", 14.0 / 255.0, i8_zero(0))
            .output(&[1, 2, 4, 4]),
        // Float weights that pass through a pair, as training frameworks export them.
        ModelBuilder::new("dequantizelinear_of_quantized_weight")
            .input("x", map)
            .pair("x", IN_SCALE, i8_zero(0))
            .weight("w", &[4, 3, 3, 3])
            .pair("w", 1.0 / 254.0, i8_zero(0))
            .op("Conv")
            .pair("y", 12.0 / 255.0, i8_zero(0))
            .output(&[1, 4, 2, 2]),
    ]
}
