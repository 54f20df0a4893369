//! SqueezeNet 1.1 with seeded random weights: for plans, which depend on shapes alone.

use super::ModelBuilder;

/// What comes before the classes: pooling to half, or a module of a squeezing and two
/// expanding convolutions with so many channels (each of the two; they are joined).
enum Stage {
    Pool,
    Fire(i64, i64),
}

const STAGES: [Stage; 11] = [
    Stage::Pool,
    Stage::Fire(16, 64),
    Stage::Fire(16, 64),
    Stage::Pool,
    Stage::Fire(32, 128),
    Stage::Fire(32, 128),
    Stage::Pool,
    Stage::Fire(48, 192),
    Stage::Fire(48, 192),
    Stage::Fire(64, 256),
    Stage::Fire(64, 256),
];

/// The model for square images with three channels.
pub fn squeezenet(name: &'static str, side: usize, classes: usize) -> ModelBuilder {
    let mut net = ModelBuilder::new(name).input("x", &[1, 3, side, side]);
    net = conv(net, "first", [64, 3, 3], 2, 0);
    let mut inputs = 64;
    for (index, stage) in STAGES.iter().enumerate() {
        net = match *stage {
            Stage::Pool => net
                .op_of(1, "MaxPool")
                .attr_ints("kernel_shape", &[3, 3])
                .attr_ints("strides", &[2, 2])
                .attr_int("ceil_mode", 1),
            Stage::Fire(squeezed, expanded) => {
                let part = |part: &str| format!("{part}{index}");
                let net = conv(net, &part("squeeze"), [squeezed, inputs, 1], 1, 0).double();
                let net = conv(net, &part("narrow"), [expanded, squeezed, 1], 1, 0).swap();
                let net = conv(net, &part("wide"), [expanded, squeezed, 3], 1, 1);
                inputs = 2 * expanded;
                net.op_of(2, "Concat").attr_int("axis", 1)
            }
        };
    }
    conv(net, "classes", [classes as i64, inputs, 1], 1, 0)
        .op("GlobalAveragePool")
        .op("Flatten")
        .output(&[1, classes])
}

/// A convolution of output channels, input channels and side of the window, and its ReLU.
fn conv(
    net: ModelBuilder,
    name: &str,
    [outputs, inputs, side]: [i64; 3],
    stride: i64,
    pad: i64,
) -> ModelBuilder {
    net.weight(&format!("{name}_w"), &[outputs, inputs, side, side])
        .weight(&format!("{name}_b"), &[outputs])
        .op_of(3, "Conv")
        .attr_ints("strides", &[stride; 2])
        .attr_ints("pads", &[pad; 4])
        .op_of(1, "Relu")
}
