//! Flatten, Reshape, Squeeze, Unsqueeze, Transpose, Concat, Pad: bytes that move.

use super::{Agreement, Case, ModelBuilder, tensor_f32};

pub(super) fn cases() -> Vec<Case> {
    let groups = [
        ("Flatten", flatten()),
        ("Reshape", reshape()),
        ("Squeeze", squeeze()),
        ("Unsqueeze", unsqueeze()),
        ("Transpose", transpose()),
        ("Concat", concat()),
        ("Pad", pad()),
    ];
    groups.into_iter().flat_map(|(op, models)| models.into_iter().map(|m| m.case(op))).collect()
}

fn moves(name: &'static str) -> ModelBuilder {
    ModelBuilder::new(name).agrees(Agreement::Moves)
}

fn flatten() -> Vec<ModelBuilder> {
    let map = |name| moves(name).input("x", &[1, 3, 4, 5]).op("Flatten");
    vec![
        map("flatten_default").output(&[1, 60]),
        map("flatten_axis_2").attr_int("axis", 2).output(&[3, 20]),
        map("flatten_axis_0").attr_int("axis", 0).output(&[1, 60]),
        map("flatten_axis_negative").attr_int("axis", -3).output(&[1, 60]),
        moves("flatten_1d").input("x", &[1, 6, 7]).op("Flatten").attr_int("axis", 1).output(&[1, 42]),
    ]
}

fn reshape() -> Vec<ModelBuilder> {
    let to = |name, input: &[usize], shape: &[i64]| {
        moves(name).input("x", input).ints("shape", shape).op("Reshape")
    };
    vec![
        to("reshape_rest", &[1, 3, 4, 5], &[1, -1]).output(&[1, 60]),
        to("reshape_copy_and_rest", &[1, 3, 4, 5], &[0, -1]).output(&[1, 60]),
        to("reshape_copy_two", &[1, 3, 4, 5], &[0, 0, -1]).output(&[1, 3, 20]),
        to("reshape_batch_rest", &[1, 8, 1, 1], &[-1, 8]).output(&[1, 8]),
        to("reshape_vector_to_map", &[1, 48], &[1, 3, 4, 4]).output(&[1, 3, 4, 4]),
        to("reshape_map_to_map", &[1, 4, 6, 2], &[1, 2, 4, 6]).output(&[1, 2, 4, 6]),
        to("reshape_drop_rank", &[1, 4, 3, 1], &[1, 4, 3]).output(&[1, 4, 3]),
        // A map between two convolutions: the order of bytes is visible.
        moves("reshape_between_convs")
            .agrees(Agreement::Weights)
            .input("x", &[1, 2, 4, 4])
            .weight("w1", &[4, 2, 1, 1])
            .op("Conv")
            .ints("shape", &[1, 2, 4, 8])
            .op("Reshape")
            .weight("w2", &[3, 2, 3, 3])
            .op("Conv")
            .output(&[1, 3, 2, 6]),
    ]
}

fn squeeze() -> Vec<ModelBuilder> {
    vec![
        moves("squeeze_attribute")
            .opset(11)
            .input("x", &[1, 6, 1, 1])
            .op("Squeeze")
            .attr_ints("axes", &[2, 3])
            .output(&[1, 6]),
        moves("squeeze_attribute_negative")
            .opset(11)
            .input("x", &[1, 6, 5, 1])
            .op("Squeeze")
            .attr_ints("axes", &[-1])
            .output(&[1, 6, 5]),
        moves("squeeze_operand")
            .input("x", &[1, 6, 1, 1])
            .ints("axes", &[2, 3])
            .op("Squeeze")
            .output(&[1, 6]),
        moves("squeeze_operand_unsorted")
            .without_oracle("tract 0.23.9 panics on axes that are not ascending")
            .input("x", &[1, 6, 1, 1])
            .ints("axes", &[3, 2])
            .op("Squeeze")
            .output(&[1, 6]),
        moves("squeeze_operand_middle")
            .input("x", &[1, 4, 1, 5])
            .ints("axes", &[-2])
            .op("Squeeze")
            .output(&[1, 4, 5]),
    ]
}

fn unsqueeze() -> Vec<ModelBuilder> {
    vec![
        moves("unsqueeze_attribute")
            .opset(11)
            .input("x", &[1, 6])
            .op("Unsqueeze")
            .attr_ints("axes", &[2, 3])
            .output(&[1, 6, 1, 1]),
        moves("unsqueeze_attribute_channel")
            .opset(11)
            .input("x", &[1, 5, 7])
            .op("Unsqueeze")
            .attr_ints("axes", &[1])
            .output(&[1, 1, 5, 7]),
        moves("unsqueeze_operand")
            .input("x", &[1, 5, 7])
            .ints("axes", &[2])
            .op("Unsqueeze")
            .output(&[1, 5, 1, 7]),
        moves("unsqueeze_operand_negative")
            .input("x", &[1, 5, 7])
            .ints("axes", &[-1])
            .op("Unsqueeze")
            .output(&[1, 5, 7, 1]),
    ]
}

fn transpose() -> Vec<ModelBuilder> {
    let by = |name, input: &[usize], perm: &[i64]| {
        moves(name).input("x", input).op("Transpose").attr_ints("perm", perm)
    };
    vec![
        by("transpose_to_channel_first", &[1, 4, 5, 3], &[0, 3, 1, 2]).output(&[1, 3, 4, 5]),
        by("transpose_to_channel_last", &[1, 3, 4, 5], &[0, 2, 3, 1]).output(&[1, 4, 5, 3]),
        by("transpose_height_width", &[1, 3, 4, 5], &[0, 1, 3, 2]).output(&[1, 3, 5, 4]),
        by("transpose_channel_height", &[1, 3, 4, 5], &[0, 2, 1, 3]).output(&[1, 4, 3, 5]),
        by("transpose_time", &[1, 6, 9], &[0, 2, 1]).output(&[1, 9, 6]),
        by("transpose_identity", &[1, 2, 3, 4], &[0, 1, 2, 3]).output(&[1, 2, 3, 4]),
        // Channel-last outside, convolution inside.
        by("transpose_around_conv", &[1, 6, 6, 3], &[0, 3, 1, 2])
            .weight("w", &[4, 3, 3, 3])
            .op("Conv")
            .op("Transpose")
            .attr_ints("perm", &[0, 2, 3, 1])
            .agrees(Agreement::Weights)
            .output(&[1, 4, 4, 4]),
    ]
}

fn concat() -> Vec<ModelBuilder> {
    // Different ranges: one side has to be requantized.
    let two = |name, a: &[usize], b: &[usize], axis: i64| {
        ModelBuilder::new(name)
            .input("a", a)
            .range(-1.0, 1.0)
            .input("b", b)
            .range(0.0, 5.0)
            .op("Concat")
            .attr_int("axis", axis)
    };
    vec![
        two("concat_channels", &[1, 3, 4, 4], &[1, 5, 4, 4], 1).output(&[1, 8, 4, 4]),
        two("concat_height", &[1, 3, 2, 4], &[1, 3, 3, 4], 2).output(&[1, 3, 5, 4]),
        two("concat_width", &[1, 3, 4, 2], &[1, 3, 4, 5], -1).output(&[1, 3, 4, 7]),
        two("concat_vectors", &[1, 6], &[1, 9], 1).output(&[1, 15]),
        two("concat_time", &[1, 3, 7], &[1, 3, 4], 2).output(&[1, 3, 11]),
        ModelBuilder::new("concat_three")
            .input("a", &[1, 2, 3, 3])
            .input("b", &[1, 1, 3, 3])
            .range(-8.0, 1.0)
            .input("c", &[1, 4, 3, 3])
            .range(0.0, 0.5)
            .op("Concat")
            .attr_int("axis", 1)
            .output(&[1, 7, 3, 3]),
        moves("concat_same_twice")
            .input("x", &[1, 3, 4, 4])
            .again("x")
            .op("Concat")
            .attr_int("axis", 1)
            .output(&[1, 6, 4, 4]),
        ModelBuilder::new("concat_constant")
            .input("x", &[1, 2, 3, 3])
            .floats("c", &[1, 3, 3, 3], -1.0, 1.0)
            .op("Concat")
            .attr_int("axis", 1)
            .output(&[1, 5, 3, 3]),
    ]
}

/// Constant padding only, and only pads of zero or more: negative ones crop, which is
/// another operation.
fn pad() -> Vec<ModelBuilder> {
    let by =
        |name, input: &[usize], pads: &[i64]| ModelBuilder::new(name).input("x", input).ints("pads", pads);
    vec![
        by("pad_zero", &[1, 2, 4, 4], &[0, 0, 1, 1, 0, 0, 1, 1]).op("Pad").output(&[1, 2, 6, 6]),
        by("pad_one_side", &[1, 3, 4, 4], &[0, 0, 0, 0, 0, 0, 1, 2]).op("Pad").output(&[1, 3, 5, 6]),
        by("pad_value", &[1, 2, 4, 4], &[0, 0, 1, 2, 0, 0, 2, 0])
            .scalar("value", 1.5)
            .op("Pad")
            .attr_string("mode", "constant")
            .output(&[1, 2, 7, 6]),
        by("pad_channels", &[1, 2, 3, 3], &[0, 1, 0, 0, 0, 2, 0, 0]).op("Pad").output(&[1, 5, 3, 3]),
        by("pad_1d", &[1, 3, 8], &[0, 0, 2, 0, 0, 1]).op("Pad").output(&[1, 3, 11]),
        ModelBuilder::new("pad_attributes")
            .opset(10)
            .input("x", &[1, 2, 4, 4])
            .op("Pad")
            .attr_ints("pads", &[0, 0, 1, 0, 0, 0, 1, 0])
            .attr_float("value", -0.5)
            .output(&[1, 2, 6, 4]),
        by("pad_nothing", &[1, 2, 3, 3], &[0; 8]).op("Pad").agrees(Agreement::Moves).output(&[1, 2, 3, 3]),
        by("pad_into_conv", &[1, 3, 6, 6], &[0, 0, 0, 0, 0, 0, 1, 1])
            .op("Pad")
            .weight("w", &[4, 3, 3, 3])
            .op("Conv")
            .attr_ints("strides", &[2, 2])
            .agrees(Agreement::Weights)
            .output(&[1, 4, 3, 3]),
        by("pad_value_into_conv", &[1, 3, 5, 5], &[0, 0, 1, 1, 0, 0, 1, 1])
            .constant("value", tensor_f32(&[], &[0.75]))
            .op("Pad")
            .weight("w", &[4, 3, 3, 3])
            .op("Conv")
            .agrees(Agreement::Weights)
            .output(&[1, 4, 5, 5]),
    ]
}
