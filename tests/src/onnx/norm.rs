//! Softmax and BatchNormalization.

use super::{Agreement, Case, ModelBuilder};

pub(super) fn cases() -> Vec<Case> {
    let softmax = softmax().into_iter().map(|m| m.case("Softmax"));
    softmax.chain(batch_norm().into_iter().map(|m| m.case("BatchNormalization"))).collect()
}

fn softmax() -> Vec<ModelBuilder> {
    let over = |name, shape: &[usize], axis: i64, opset| {
        ModelBuilder::new(name)
            .opset(opset)
            .agrees(Agreement::Softmax)
            .input("x", shape)
            .range(-6.0, 6.0)
            .op("Softmax")
            .attr_int("axis", axis)
            .output(shape)
    };
    vec![
        over("softmax_vector", &[1, 10], 1, 17),
        over("softmax_last_axis", &[1, 10], -1, 13),
        over("softmax_two_classes", &[1, 2], -1, 17),
        over("softmax_one_class", &[1, 1], -1, 17),
        over("softmax_channels_of_map", &[1, 5, 3, 4], 1, 17),
        over("softmax_width_of_map", &[1, 3, 4, 6], 3, 17),
        over("softmax_time", &[1, 4, 9], 2, 17),
        // Before opset 13 the axes from `axis` on are one axis.
        over("softmax_old_vector", &[1, 10], 1, 11),
        over("softmax_old_whole_map", &[1, 3, 4, 4], 1, 11),
        ModelBuilder::new("softmax_default_axis")
            .agrees(Agreement::Softmax)
            .input("x", &[1, 12])
            .range(-20.0, 20.0)
            .op("Softmax")
            .output(&[1, 12]),
    ]
}

fn batch_norm() -> Vec<ModelBuilder> {
    let start = |name, shape: &[usize]| ModelBuilder::new(name).input("x", shape);
    let norm = |builder: ModelBuilder, channels: i64| {
        builder
            .floats("scale", &[channels], 0.5, 1.5)
            .floats("shift", &[channels], -0.5, 0.5)
            .floats("mean", &[channels], -0.5, 0.5)
            .floats("var", &[channels], 0.3, 1.7)
            .op("BatchNormalization")
    };
    vec![
        norm(start("batchnorm_map", &[1, 4, 5, 5]), 4).output(&[1, 4, 5, 5]),
        norm(start("batchnorm_1d", &[1, 6, 9]), 6).output(&[1, 6, 9]),
        norm(start("batchnorm_vector", &[1, 8]), 8).output(&[1, 8]),
        norm(start("batchnorm_epsilon", &[1, 3, 4, 4]), 3).attr_float("epsilon", 0.1).output(&[1, 3, 4, 4]),
        norm(start("batchnorm_relu", &[1, 4, 4, 4]), 4).op("Relu").output(&[1, 4, 4, 4]),
        start("batchnorm_negative_scale", &[1, 3, 4, 4])
            .floats("scale", &[3], -2.0, -0.5)
            .floats("shift", &[3], -0.5, 0.5)
            .floats("mean", &[3], -0.5, 0.5)
            .floats("var", &[3], 0.3, 1.7)
            .op("BatchNormalization")
            .output(&[1, 3, 4, 4]),
        norm(start("batchnorm_after_conv", &[1, 3, 6, 6]).weight("w", &[4, 3, 3, 3]).op("Conv"), 4)
            .agrees(Agreement::Weights)
            .output(&[1, 4, 4, 4]),
        norm(start("batchnorm_before_padded_conv", &[1, 3, 6, 6]), 3)
            .weight("w", &[4, 3, 3, 3])
            .op("Conv")
            .attr_ints("pads", &[1, 1, 1, 1])
            .agrees(Agreement::Weights)
            .output(&[1, 4, 6, 6]),
    ]
}
