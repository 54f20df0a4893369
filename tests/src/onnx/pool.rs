//! MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, ReduceMean as global pooling.

use super::{Agreement, Case, ModelBuilder};

fn pool(name: &'static str, op: &str, input: &[usize], kernel: &[i64], strides: &[i64]) -> ModelBuilder {
    ModelBuilder::new(name)
        .input("x", input)
        .op(op)
        .attr_ints("kernel_shape", kernel)
        .attr_ints("strides", strides)
}

/// Selects values: nothing but the input's rounding may differ.
fn max(name: &'static str, input: &[usize], kernel: &[i64], strides: &[i64]) -> ModelBuilder {
    pool(name, "MaxPool", input, kernel, strides).agrees(Agreement::Moves)
}

fn average(name: &'static str, input: &[usize], kernel: &[i64], strides: &[i64]) -> ModelBuilder {
    pool(name, "AveragePool", input, kernel, strides)
}

fn global(name: &'static str, op: &'static str, input: &[usize]) -> ModelBuilder {
    let mut output = vec![1; input.len()];
    output[1] = input[1];
    ModelBuilder::new(name).input("x", input).op(op).output(&output)
}

pub(super) fn cases() -> Vec<Case> {
    let groups = [
        ("MaxPool", max_pool()),
        ("AveragePool", average_pool()),
        ("GlobalAveragePool", global_average()),
        ("GlobalMaxPool", global_max()),
        ("ReduceMean", reduce_mean()),
    ];
    groups.into_iter().flat_map(|(op, models)| models.into_iter().map(|m| m.case(op))).collect()
}

fn max_pool() -> Vec<ModelBuilder> {
    vec![
        max("maxpool_2x2", &[1, 4, 8, 8], &[2, 2], &[2, 2]).output(&[1, 4, 4, 4]),
        max("maxpool_3x3_pad", &[1, 4, 9, 9], &[3, 3], &[2, 2])
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 4, 5, 5]),
        // All values negative: padding must not win.
        ModelBuilder::new("maxpool_negative_pad")
            .agrees(Agreement::Moves)
            .input("x", &[1, 2, 5, 5])
            .range(-3.0, -0.5)
            .op("MaxPool")
            .attr_ints("kernel_shape", &[3, 3])
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 2, 5, 5]),
        max("maxpool_pad_end", &[1, 3, 8, 6], &[3, 3], &[2, 2])
            .attr_ints("pads", &[0, 0, 1, 1])
            .output(&[1, 3, 4, 3]),
        max("maxpool_same_upper", &[1, 4, 7, 8], &[3, 3], &[2, 2])
            .attr_string("auto_pad", "SAME_UPPER")
            .output(&[1, 4, 4, 4]),
        max("maxpool_same_lower", &[1, 4, 8, 8], &[3, 3], &[2, 2])
            .attr_string("auto_pad", "SAME_LOWER")
            .output(&[1, 4, 4, 4]),
        max("maxpool_ceil", &[1, 3, 8, 8], &[3, 3], &[2, 2]).attr_int("ceil_mode", 1).output(&[1, 3, 4, 4]),
        max("maxpool_ceil_odd", &[1, 2, 7, 7], &[2, 2], &[2, 2])
            .attr_int("ceil_mode", 1)
            .output(&[1, 2, 4, 4]),
        max("maxpool_leaves_rest", &[1, 2, 7, 7], &[2, 2], &[2, 2]).output(&[1, 2, 3, 3]),
        max("maxpool_rectangle", &[1, 5, 6, 9], &[1, 3], &[1, 3]).output(&[1, 5, 6, 3]),
        max("maxpool_overlapping", &[1, 3, 6, 6], &[3, 2], &[1, 1]).output(&[1, 3, 4, 5]),
        max("maxpool_dilated", &[1, 2, 8, 8], &[2, 2], &[1, 1])
            .attr_ints("dilations", &[3, 3])
            .output(&[1, 2, 5, 5]),
        max("maxpool_1d", &[1, 4, 16], &[2], &[2]).output(&[1, 4, 8]),
        max("maxpool_1d_pad", &[1, 3, 11], &[3], &[2]).attr_ints("pads", &[1, 1]).output(&[1, 3, 6]),
    ]
}

fn average_pool() -> Vec<ModelBuilder> {
    vec![
        average("averagepool_2x2", &[1, 4, 8, 8], &[2, 2], &[2, 2]).output(&[1, 4, 4, 4]),
        average("averagepool_pad_excluded", &[1, 3, 7, 7], &[3, 3], &[2, 2])
            .attr_ints("pads", &[1, 1, 1, 1])
            .attr_int("count_include_pad", 0)
            .output(&[1, 3, 4, 4]),
        average("averagepool_pad_included", &[1, 3, 7, 7], &[3, 3], &[2, 2])
            .attr_ints("pads", &[1, 1, 1, 1])
            .attr_int("count_include_pad", 1)
            .output(&[1, 3, 4, 4]),
        average("averagepool_pad_end_excluded", &[1, 2, 6, 5], &[3, 2], &[1, 1])
            .attr_ints("pads", &[0, 0, 2, 1])
            .output(&[1, 2, 6, 5]),
        average("averagepool_pad_end_included", &[1, 2, 6, 5], &[3, 2], &[1, 1])
            .attr_ints("pads", &[0, 0, 2, 1])
            .attr_int("count_include_pad", 1)
            .output(&[1, 2, 6, 5]),
        average("averagepool_same_upper", &[1, 4, 7, 8], &[3, 3], &[2, 2])
            .attr_string("auto_pad", "SAME_UPPER")
            .output(&[1, 4, 4, 4]),
        average("averagepool_same_lower_included", &[1, 4, 8, 8], &[3, 3], &[2, 2])
            .attr_string("auto_pad", "SAME_LOWER")
            .attr_int("count_include_pad", 1)
            .output(&[1, 4, 4, 4]),
        // The last window hangs over the edge by one; those cells never count.
        average("averagepool_ceil", &[1, 2, 8, 8], &[3, 3], &[2, 2])
            .attr_int("ceil_mode", 1)
            .output(&[1, 2, 4, 4]),
        average("averagepool_whole_map", &[1, 6, 5, 7], &[5, 7], &[1, 1]).output(&[1, 6, 1, 1]),
        average("averagepool_3x5", &[1, 3, 6, 10], &[3, 5], &[3, 5]).output(&[1, 3, 2, 2]),
        average("averagepool_1d", &[1, 4, 12], &[3], &[3]).output(&[1, 4, 4]),
        average("averagepool_1d_pad_excluded", &[1, 3, 9], &[3], &[1])
            .attr_ints("pads", &[1, 1])
            .output(&[1, 3, 9]),
    ]
}

fn global_average() -> Vec<ModelBuilder> {
    vec![
        global("globalaveragepool_8x8", "GlobalAveragePool", &[1, 8, 8, 8]),
        global("globalaveragepool_5x3", "GlobalAveragePool", &[1, 5, 5, 3]),
        global("globalaveragepool_1x1", "GlobalAveragePool", &[1, 4, 1, 1]),
        global("globalaveragepool_1d", "GlobalAveragePool", &[1, 6, 13]),
    ]
}

fn global_max() -> Vec<ModelBuilder> {
    let moves = |m: ModelBuilder| m.agrees(Agreement::Moves);
    vec![
        moves(global("globalmaxpool_6x6", "GlobalMaxPool", &[1, 8, 6, 6])),
        moves(global("globalmaxpool_3x7", "GlobalMaxPool", &[1, 3, 3, 7])),
        moves(global("globalmaxpool_1x1", "GlobalMaxPool", &[1, 4, 1, 1])),
        moves(global("globalmaxpool_1d", "GlobalMaxPool", &[1, 5, 11])),
    ]
}

fn reduce_mean() -> Vec<ModelBuilder> {
    let mean = |name, input: &[usize], axes: &[i64], keep: i64| {
        ModelBuilder::new(name)
            .input("x", input)
            .op("ReduceMean")
            .attr_ints("axes", axes)
            .attr_int("keepdims", keep)
    };
    vec![
        mean("reducemean_keep", &[1, 6, 5, 5], &[2, 3], 1).output(&[1, 6, 1, 1]),
        mean("reducemean_drop", &[1, 6, 5, 4], &[2, 3], 0).output(&[1, 6]),
        mean("reducemean_negative_axes", &[1, 4, 3, 6], &[-1, -2], 0).output(&[1, 4]),
        mean("reducemean_1d", &[1, 8, 12], &[2], 0).output(&[1, 8]),
        // Height and width of a channel-last tensor, as Keras exports it.
        mean("reducemean_channel_last", &[1, 4, 4, 6], &[1, 2], 0).output(&[1, 6]),
        // From opset 18 on the axes are an operand.
        ModelBuilder::new("reducemean_axes_operand_keep")
            .opset(18)
            .input("x", &[1, 4, 6, 6])
            .ints("axes", &[2, 3])
            .op("ReduceMean")
            .output(&[1, 4, 1, 1]),
        ModelBuilder::new("reducemean_axes_operand_drop")
            .opset(18)
            .input("x", &[1, 4, 6, 6])
            .ints("axes", &[-2, -1])
            .op("ReduceMean")
            .attr_int("keepdims", 0)
            .output(&[1, 4]),
    ]
}
