//! Element-wise functions of one tensor: Relu, Clip, LeakyRelu, Sigmoid, Tanh, HardSigmoid, HardSwish.

use super::{Agreement, Case, ModelBuilder};

/// A function of `x` over -4..4, which covers the bends of all of them.
fn unary(name: &'static str, op: &str, shape: &[usize]) -> ModelBuilder {
    ModelBuilder::new(name).input("x", shape).range(-4.0, 4.0).op(op)
}

pub(super) fn cases() -> Vec<Case> {
    let groups = [
        ("Relu", relu()),
        ("Clip", clip()),
        ("LeakyRelu", leaky()),
        ("Sigmoid", sigmoid()),
        ("Tanh", tanh()),
        ("HardSigmoid", hard_sigmoid()),
        ("HardSwish", hard_swish()),
    ];
    groups.into_iter().flat_map(|(op, models)| models.into_iter().map(|m| m.case(op))).collect()
}

fn relu() -> Vec<ModelBuilder> {
    vec![
        unary("relu_map", "Relu", &[1, 3, 5, 5]).output(&[1, 3, 5, 5]),
        unary("relu_vector", "Relu", &[1, 17]).output(&[1, 17]),
        unary("relu_1d", "Relu", &[1, 4, 9]).output(&[1, 4, 9]),
        // The value before the activation is an output as well: it cannot be fused away.
        ModelBuilder::new("relu_input_read_twice")
            .input("x", &[1, 2, 4, 4])
            .floats("c", &[1, 2, 1, 1], -1.0, 1.0)
            .op("Add")
            .output(&[1, 2, 4, 4])
            .again("add_0_out")
            .op("Relu")
            .output(&[1, 2, 4, 4]),
        ModelBuilder::new("relu_after_conv")
            .agrees(Agreement::Weights)
            .input("x", &[1, 3, 6, 6])
            .weight("w", &[4, 3, 3, 3])
            .weight("b", &[4])
            .op("Conv")
            .op("Relu")
            .output(&[1, 4, 4, 4]),
    ]
}

fn clip() -> Vec<ModelBuilder> {
    let start = |name| ModelBuilder::new(name).input("x", &[1, 3, 4, 4]).range(-3.0, 8.0);
    let out = &[1, 3, 4, 4];
    vec![
        start("clip_relu6").scalar("min", 0.0).scalar("max", 6.0).op("Clip").output(out),
        start("clip_both").scalar("min", -1.5).scalar("max", 2.25).op("Clip").output(out),
        start("clip_min_only").scalar("min", 0.5).op("Clip").output(out),
        start("clip_max_only").omit().scalar("max", 3.0).op("Clip").output(out),
        start("clip_unbounded").op("Clip").agrees(Agreement::Moves).output(out),
        start("clip_attributes")
            .opset(9)
            .op("Clip")
            .attr_float("min", -2.0)
            .attr_float("max", 5.0)
            .output(out),
        start("clip_attribute_max_only").opset(9).op("Clip").attr_float("max", 1.0).output(out),
        // A range without zero in it.
        start("clip_above_zero").scalar("min", 1.0).scalar("max", 3.0).op("Clip").output(out),
        ModelBuilder::new("clip_relu6_after_conv")
            .agrees(Agreement::Weights)
            .input("x", &[1, 3, 6, 6])
            .range(-1.0, 8.0)
            .weight("w", &[4, 3, 1, 1])
            .op("Conv")
            .scalar("min", 0.0)
            .scalar("max", 6.0)
            .op("Clip")
            .output(&[1, 4, 6, 6]),
    ]
}

fn leaky() -> Vec<ModelBuilder> {
    let map = &[1, 3, 5, 5];
    vec![
        unary("leakyrelu_default", "LeakyRelu", map).output(map),
        unary("leakyrelu_0_3", "LeakyRelu", map).attr_float("alpha", 0.3).output(map),
        unary("leakyrelu_negative_alpha", "LeakyRelu", &[1, 20]).attr_float("alpha", -0.5).output(&[1, 20]),
    ]
}

fn sigmoid() -> Vec<ModelBuilder> {
    vec![
        unary("sigmoid_map", "Sigmoid", &[1, 3, 5, 5]).output(&[1, 3, 5, 5]),
        unary("sigmoid_vector", "Sigmoid", &[1, 12]).output(&[1, 12]),
        // x * sigmoid(x), as PyTorch exports SiLU.
        unary("sigmoid_times_input", "Sigmoid", &[1, 2, 4, 4])
            .again("x")
            .swap()
            .op("Mul")
            .agrees(Agreement::RoundsTwice)
            .output(&[1, 2, 4, 4]),
    ]
}

fn tanh() -> Vec<ModelBuilder> {
    vec![
        unary("tanh_map", "Tanh", &[1, 3, 5, 5]).output(&[1, 3, 5, 5]),
        unary("tanh_vector", "Tanh", &[1, 12]).output(&[1, 12]),
        // A chain of functions is one table: x -> 0.5 * tanh(x) + 0.5.
        unary("tanh_scaled_shifted", "Tanh", &[1, 2, 4, 4])
            .scalar("half", 0.5)
            .op("Mul")
            .again("half")
            .op("Add")
            .agrees(Agreement::RoundsTwice)
            .output(&[1, 2, 4, 4]),
    ]
}

fn hard_sigmoid() -> Vec<ModelBuilder> {
    let map = &[1, 3, 5, 5];
    vec![
        unary("hardsigmoid_default", "HardSigmoid", map).output(map),
        unary("hardsigmoid_sixth", "HardSigmoid", map)
            .attr_float("alpha", 1.0 / 6.0)
            .attr_float("beta", 0.5)
            .output(map),
        unary("hardsigmoid_steep", "HardSigmoid", &[1, 20])
            .attr_float("alpha", 2.0)
            .attr_float("beta", -0.25)
            .output(&[1, 20]),
    ]
}

fn hard_swish() -> Vec<ModelBuilder> {
    vec![
        unary("hardswish_map", "HardSwish", &[1, 3, 5, 5]).output(&[1, 3, 5, 5]),
        unary("hardswish_vector", "HardSwish", &[1, 20]).output(&[1, 20]),
        ModelBuilder::new("hardswish_after_conv")
            .agrees(Agreement::Weights)
            .input("x", &[1, 3, 6, 6])
            .range(-4.0, 4.0)
            .weight("w", &[4, 3, 3, 3])
            .op("Conv")
            .op("HardSwish")
            .output(&[1, 4, 4, 4]),
    ]
}
