//! MobileNetV2 with seeded random weights, batch norms folded: for plans, which
//! depend on shapes alone.

use super::ModelBuilder;

/// Stages: factor of expansion, output channels at width 1, blocks, stride of the first.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// Channels at a width in percent: a multiple of 8, at least nine tenths of the exact number.
fn channels(full: usize, width_percent: usize) -> usize {
    let nearest = ((full * width_percent + 400) / 800 * 8).max(8);
    if nearest * 1000 < full * width_percent * 9 { nearest + 8 } else { nearest }
}

/// The model for square images with three channels.
pub fn mobilenet_v2(name: &'static str, width_percent: usize, side: usize, classes: usize) -> ModelBuilder {
    let mut net = Net { builder: ModelBuilder::new(name).input("x", &[1, 3, side, side]), layers: 0 };
    let mut inputs = channels(32, width_percent);
    net = net.conv([inputs, 3, 3], 2, 1).relu6();
    for (expansion, full, blocks, first_stride) in STAGES {
        let outputs = channels(full, width_percent);
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            let residual = stride == 1 && inputs == outputs;
            net = net.block(inputs, outputs, expansion, stride, residual);
            inputs = outputs;
        }
    }
    let last = channels(1280, width_percent.max(100));
    let net = net.conv([last, inputs, 1], 1, 1).relu6();
    net.builder
        .op("GlobalAveragePool")
        .op("Flatten")
        .weight("classes", &[classes as i64, last as i64])
        .weight("classes_bias", &[classes as i64])
        .op("Gemm")
        .attr_int("transB", 1)
        .output(&[1, classes])
}

/// A chain under construction; values below the last one wait for their sum.
struct Net {
    builder: ModelBuilder,
    layers: usize,
}

impl Net {
    /// Output channels, input channels of a group, and side of the window.
    fn conv(self, [outputs, inputs, side]: [usize; 3], stride: usize, groups: usize) -> Net {
        let Net { builder, layers } = self;
        let dims = [outputs, inputs, side, side].map(|size| size as i64);
        let pad = side as i64 / 2;
        let builder = builder
            .weight(&format!("w{layers}"), &dims)
            .weight(&format!("b{layers}"), &dims[..1])
            .op_of(3, "Conv")
            .attr_ints("strides", &[stride as i64; 2])
            .attr_ints("pads", &[pad; 4])
            .attr_int("group", groups as i64);
        Net { builder, layers: layers + 1 }
    }

    fn relu6(self) -> Net {
        let Net { builder, layers } = self;
        let builder = builder
            .scalar(&format!("least{layers}"), 0.0)
            .scalar(&format!("most{layers}"), 6.0)
            .op_of(3, "Clip");
        Net { builder, layers }
    }

    fn block(
        mut self,
        inputs: usize,
        outputs: usize,
        expansion: usize,
        stride: usize,
        residual: bool,
    ) -> Net {
        if residual {
            self.builder = self.builder.double();
        }
        let inner = inputs * expansion;
        let mut net = self;
        if expansion > 1 {
            net = net.conv([inner, inputs, 1], 1, 1).relu6();
        }
        net = net.conv([inner, 1, 3], stride, inner).relu6().conv([outputs, inner, 1], 1, 1);
        if residual {
            net.builder = net.builder.op_of(2, "Add");
        }
        net
    }
}

#[cfg(test)]
mod tests {
    use super::channels;

    #[test]
    fn channels_are_those_of_the_paper() {
        let at = |percent| [32, 16, 24, 32, 64, 96, 160, 320].map(|full| channels(full, percent));
        assert_eq!(at(100), [32, 16, 24, 32, 64, 96, 160, 320]);
        assert_eq!(at(35), [16, 8, 8, 16, 24, 32, 56, 112]);
    }
}
