//! Conv: 1-D and 2-D, padding in every form, strides, dilations, groups, depthwise.

use super::{Agreement, Case, ModelBuilder, tensor_f32};

/// Input and weight shapes; attributes follow.
fn start(name: &'static str, input: &[usize], weight: &[i64]) -> ModelBuilder {
    ModelBuilder::new(name).agrees(Agreement::Weights).input("x", input).weight("w", weight)
}

/// Without a bias.
fn conv(name: &'static str, input: &[usize], weight: &[i64]) -> ModelBuilder {
    start(name, input, weight).op("Conv").attr_ints("kernel_shape", &weight[2..])
}

/// With a bias.
fn biased(name: &'static str, input: &[usize], weight: &[i64]) -> ModelBuilder {
    start(name, input, weight).weight("b", &weight[..1]).op("Conv").attr_ints("kernel_shape", &weight[2..])
}

pub(super) fn cases() -> Vec<Case> {
    [plain(), auto_pad(), groups(), one_dimensional(), special()]
        .concat()
        .into_iter()
        .map(|builder| builder.case("Conv"))
        .collect()
}

fn plain() -> Vec<ModelBuilder> {
    vec![
        biased("conv_valid", &[1, 3, 8, 8], &[4, 3, 3, 3]).output(&[1, 4, 6, 6]),
        conv("conv_pad_all", &[1, 3, 8, 8], &[4, 3, 3, 3])
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 4, 8, 8]),
        biased("conv_pad_end_stride2", &[1, 3, 8, 8], &[4, 3, 3, 3])
            .attr_ints("pads", &[0, 0, 1, 1])
            .attr_ints("strides", &[2, 2])
            .output(&[1, 4, 4, 4]),
        biased("conv_pad_four_values", &[1, 2, 7, 9], &[5, 2, 3, 5])
            .attr_ints("pads", &[1, 0, 2, 3])
            .output(&[1, 5, 8, 8]),
        conv("conv_stride_2_1", &[1, 4, 9, 6], &[4, 4, 3, 3])
            .attr_ints("strides", &[2, 1])
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 4, 5, 6]),
        biased("conv_stride_leaves_rest", &[1, 2, 10, 10], &[3, 2, 3, 3])
            .attr_ints("strides", &[3, 3])
            .attr_ints("pads", &[0, 0, 0, 0])
            .output(&[1, 3, 3, 3]),
        biased("conv_dilation_2", &[1, 3, 9, 9], &[4, 3, 3, 3])
            .attr_ints("dilations", &[2, 2])
            .attr_ints("pads", &[2, 2, 2, 2])
            .output(&[1, 4, 9, 9]),
        conv("conv_dilation_1_3", &[1, 2, 6, 12], &[3, 2, 2, 3])
            .attr_ints("dilations", &[1, 3])
            .output(&[1, 3, 5, 6]),
        biased("conv_pointwise", &[1, 16, 5, 5], &[8, 16, 1, 1]).output(&[1, 8, 5, 5]),
        conv("conv_pointwise_stride2", &[1, 8, 7, 7], &[16, 8, 1, 1])
            .attr_ints("strides", &[2, 2])
            .output(&[1, 16, 4, 4]),
        biased("conv_pointwise_padded", &[1, 4, 3, 3], &[4, 4, 1, 1])
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 4, 5, 5]),
        biased("conv_first_layer", &[1, 1, 16, 10], &[8, 1, 10, 4])
            .attr_ints("strides", &[2, 2])
            .attr_ints("pads", &[4, 1, 5, 1])
            .output(&[1, 8, 8, 5]),
        biased("conv_kernel_fills_map", &[1, 6, 4, 4], &[10, 6, 4, 4]).output(&[1, 10, 1, 1]),
        biased("conv_kernel_over_map", &[1, 4, 2, 2], &[4, 4, 3, 3])
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 4, 2, 2]),
        biased("conv_odd_channels_width_1", &[1, 5, 8, 1], &[7, 5, 3, 1])
            .attr_ints("pads", &[1, 0, 1, 0])
            .output(&[1, 7, 8, 1]),
    ]
}

fn auto_pad() -> Vec<ModelBuilder> {
    vec![
        conv("conv_same_upper", &[1, 3, 8, 8], &[4, 3, 3, 3])
            .attr_string("auto_pad", "SAME_UPPER")
            .output(&[1, 4, 8, 8]),
        biased("conv_same_upper_stride2_even", &[1, 3, 8, 8], &[4, 3, 5, 5])
            .attr_string("auto_pad", "SAME_UPPER")
            .attr_ints("strides", &[2, 2])
            .output(&[1, 4, 4, 4]),
        biased("conv_same_upper_stride2_odd", &[1, 3, 9, 7], &[4, 3, 3, 3])
            .attr_string("auto_pad", "SAME_UPPER")
            .attr_ints("strides", &[2, 2])
            .output(&[1, 4, 5, 4]),
        biased("conv_same_lower_stride2", &[1, 3, 8, 8], &[4, 3, 3, 3])
            .attr_string("auto_pad", "SAME_LOWER")
            .attr_ints("strides", &[2, 2])
            .output(&[1, 4, 4, 4]),
        biased("conv_same_lower_even_kernel", &[1, 2, 6, 6], &[4, 2, 2, 2])
            .attr_string("auto_pad", "SAME_LOWER")
            .output(&[1, 4, 6, 6]),
        conv("conv_auto_valid_stride3", &[1, 2, 10, 10], &[4, 2, 3, 3])
            .attr_string("auto_pad", "VALID")
            .attr_ints("strides", &[3, 3])
            .output(&[1, 4, 3, 3]),
        conv("conv_notset_pads", &[1, 2, 6, 6], &[4, 2, 3, 3])
            .attr_string("auto_pad", "NOTSET")
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 4, 6, 6]),
    ]
}

fn groups() -> Vec<ModelBuilder> {
    vec![
        biased("conv_group_2", &[1, 6, 6, 6], &[8, 3, 3, 3])
            .attr_int("group", 2)
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 8, 6, 6]),
        conv("conv_group_4_stride2", &[1, 8, 8, 8], &[12, 2, 3, 3])
            .attr_int("group", 4)
            .attr_ints("strides", &[2, 2])
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 12, 4, 4]),
        biased("conv_depthwise", &[1, 8, 8, 8], &[8, 1, 3, 3])
            .attr_int("group", 8)
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 8, 8, 8]),
        biased("conv_depthwise_stride2_pad_end", &[1, 6, 8, 8], &[6, 1, 3, 3])
            .attr_int("group", 6)
            .attr_ints("strides", &[2, 2])
            .attr_ints("pads", &[0, 0, 1, 1])
            .output(&[1, 6, 4, 4]),
        biased("conv_depthwise_multiplier_2", &[1, 4, 6, 6], &[8, 1, 3, 3])
            .attr_int("group", 4)
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 8, 6, 6]),
        conv("conv_depthwise_multiplier_3_5x5", &[1, 3, 8, 8], &[9, 1, 5, 5])
            .attr_int("group", 3)
            .attr_string("auto_pad", "SAME_UPPER")
            .output(&[1, 9, 8, 8]),
        biased("conv_depthwise_dilated", &[1, 4, 9, 9], &[4, 1, 3, 3])
            .attr_int("group", 4)
            .attr_ints("dilations", &[2, 2])
            .output(&[1, 4, 5, 5]),
    ]
}

fn one_dimensional() -> Vec<ModelBuilder> {
    vec![
        biased("conv_1d", &[1, 3, 16], &[8, 3, 5]).attr_ints("pads", &[2, 2]).output(&[1, 8, 16]),
        conv("conv_1d_stride_dilation", &[1, 4, 16], &[6, 4, 3])
            .attr_ints("strides", &[2])
            .attr_ints("dilations", &[2])
            .attr_ints("pads", &[3, 1])
            .output(&[1, 6, 8]),
        biased("conv_1d_depthwise", &[1, 6, 12], &[6, 1, 3])
            .attr_int("group", 6)
            .attr_ints("pads", &[1, 1])
            .output(&[1, 6, 12]),
        biased("conv_1d_same_upper", &[1, 2, 15], &[4, 2, 4])
            .attr_string("auto_pad", "SAME_UPPER")
            .attr_ints("strides", &[2])
            .output(&[1, 4, 8]),
        biased("conv_1d_causal", &[1, 2, 10], &[4, 2, 3]).attr_ints("pads", &[2, 0]).output(&[1, 4, 10]),
    ]
}

fn special() -> Vec<ModelBuilder> {
    // Channel 1 has no weights at all: its output is the bias, whatever the input.
    let mut dead = vec![0.25_f32; 3 * 2 * 9];
    dead[18..36].fill(0.0);
    vec![
        start("conv_inferred_kernel_shape", &[1, 3, 6, 6], &[4, 3, 3, 3]).op("Conv").output(&[1, 4, 4, 4]),
        ModelBuilder::new("conv_dead_channel")
            .agrees(Agreement::Weights)
            .input("x", &[1, 2, 6, 6])
            .constant("w", tensor_f32(&[3, 2, 3, 3], &dead))
            .constant("b", tensor_f32(&[3], &[0.5, -3.0, 0.0]))
            .op("Conv")
            .output(&[1, 3, 4, 4]),
        // One channel a thousand times smaller than its neighbours.
        ModelBuilder::new("conv_unequal_channels")
            .agrees(Agreement::Weights)
            .input("x", &[1, 1, 5, 5])
            .constant("w", tensor_f32(&[2, 1, 2, 2], &[0.5, -0.25, 1.0, 0.75, 5e-4, 2e-4, -1e-3, 7e-4]))
            .op("Conv")
            .output(&[1, 2, 4, 4]),
        ModelBuilder::new("conv_positive_input")
            .agrees(Agreement::Weights)
            .input("x", &[1, 3, 6, 6])
            .range(0.5, 3.0)
            .weight("w", &[4, 3, 3, 3])
            .op("Conv")
            .attr_ints("pads", &[1, 1, 1, 1])
            .output(&[1, 4, 6, 6]),
    ]
}
