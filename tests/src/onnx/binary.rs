//! Add, Sub, Mul: two tensors or a tensor and a constant, every broadcast, both orders.

use super::{Agreement, Case, ModelBuilder};

/// Two inputs of different ranges.
fn two(name: &'static str, left: &[usize], right: &[usize], op: &str, output: &[usize]) -> ModelBuilder {
    ModelBuilder::new(name).input("a", left).input("b", right).range(-0.5, 3.0).op(op).output(output)
}

/// An input and a constant, the constant on the right.
fn right(name: &'static str, input: &[usize], constant: &[i64], op: &str) -> ModelBuilder {
    ModelBuilder::new(name).input("x", input).floats("c", constant, -1.5, 1.5).op(op).output(input)
}

/// An input and a constant, the constant on the left.
fn left(name: &'static str, input: &[usize], constant: &[i64], op: &str) -> ModelBuilder {
    ModelBuilder::new(name).floats("c", constant, -1.5, 1.5).input("x", input).op(op).output(input)
}

pub(super) fn cases() -> Vec<Case> {
    let groups = [("Add", add()), ("Sub", sub()), ("Mul", mul())];
    groups.into_iter().flat_map(|(op, models)| models.into_iter().map(|m| m.case(op))).collect()
}

fn add() -> Vec<ModelBuilder> {
    let map = &[1, 4, 5, 5];
    vec![
        two("add_same", map, map, "Add", map),
        two("add_vectors", &[1, 10], &[1, 10], "Add", &[1, 10]),
        two("add_1d_maps", &[1, 4, 9], &[1, 4, 9], "Add", &[1, 4, 9]),
        two("add_channel_right", map, &[1, 4, 1, 1], "Add", map),
        two("add_channel_left", &[1, 4, 1, 1], map, "Add", map),
        two("add_plane", map, &[1, 1, 5, 5], "Add", map),
        two("add_both_broadcast", &[1, 4, 1, 5], &[1, 1, 3, 1], "Add", &[1, 4, 3, 5]),
        two("add_one_value", map, &[1, 1, 1, 1], "Add", map),
        ModelBuilder::new("add_to_itself").input("x", map).again("x").op("Add").output(map),
        ModelBuilder::new("add_relu").input("a", map).input("b", map).op("Add").op("Relu").output(map),
        right("add_constant_channel", map, &[4, 1, 1], "Add"),
        right("add_constant_full", map, &[1, 4, 5, 5], "Add"),
        right("add_constant_width", map, &[5], "Add"),
        left("add_constant_left", map, &[1, 4, 1, 1], "Add"),
        ModelBuilder::new("add_scalar").input("x", map).scalar("c", 2.5).op("Add").output(map),
    ]
}

fn sub() -> Vec<ModelBuilder> {
    let map = &[1, 3, 4, 6];
    vec![
        two("sub_same", map, map, "Sub", map),
        two("sub_channel_right", map, &[1, 3, 1, 1], "Sub", map),
        two("sub_channel_left", &[1, 3, 1, 1], map, "Sub", map),
        two("sub_row_left", &[1, 1, 1, 6], map, "Sub", map),
        right("sub_constant_channel", map, &[1, 3, 1, 1], "Sub"),
        left("sub_constant_left", map, &[3, 1, 1], "Sub"),
        ModelBuilder::new("sub_from_scalar").scalar("c", 1.0).input("x", map).op("Sub").output(map),
        ModelBuilder::new("sub_scalar").input("x", &[1, 12]).scalar("c", 0.75).op("Sub").output(&[1, 12]),
    ]
}

fn mul() -> Vec<ModelBuilder> {
    let map = &[1, 4, 5, 5];
    vec![
        two("mul_same", map, map, "Mul", map),
        two("mul_vectors", &[1, 9], &[1, 9], "Mul", &[1, 9]),
        two("mul_gate_right", map, &[1, 4, 1, 1], "Mul", map),
        two("mul_gate_left", &[1, 4, 1, 1], map, "Mul", map),
        two("mul_plane", map, &[1, 1, 5, 5], "Mul", map),
        ModelBuilder::new("mul_square").input("x", map).again("x").op("Mul").output(map),
        right("mul_constant_channel", map, &[1, 4, 1, 1], "Mul"),
        left("mul_constant_channel_left", map, &[4, 1, 1], "Mul"),
        right("mul_constant_full", map, &[1, 4, 5, 5], "Mul"),
        ModelBuilder::new("mul_scalar").input("x", map).scalar("c", 0.125).op("Mul").output(map),
        ModelBuilder::new("mul_negative_scalar").scalar("c", -3.0).input("x", map).op("Mul").output(map),
        // Squeeze-and-excitation in small: a gate computed from the map that it scales.
        ModelBuilder::new("mul_gate_from_map")
            .agrees(Agreement::RoundsTwice)
            .input("x", map)
            .again("x")
            .op_of(1, "GlobalAveragePool")
            .op_of(1, "HardSigmoid")
            .op("Mul")
            .output(map),
    ]
}
