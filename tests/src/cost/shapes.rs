//! Models of many independent layers, each kind in many shapes.
//!
//! In: nothing. Out: ONNX models, small enough to be counted on every core.
//! Invariant: no layer reads another's output, so that nothing is fused.

use crate::onnx::{ModelBuilder, random, tensor_f32};

/// A convolution's sizes: channels, rows, columns, output channels, kernel,
/// stride, padding on all sides.
type Conv = [usize; 8];

/// The models, by name.
#[must_use]
pub fn models() -> Vec<(&'static str, ModelBuilder)> {
    vec![
        ("cost_pointwise", convolutions("cost_pointwise", &POINTWISE, false)),
        ("cost_convolution", convolutions("cost_convolution", &CONVOLUTIONS, false)),
        ("cost_convolution_2", convolutions("cost_convolution_2", &CONVOLUTIONS_2, false)),
        ("cost_depthwise", convolutions("cost_depthwise", &DEPTHWISE, true)),
        ("cost_depthwise_2", convolutions("cost_depthwise_2", &DEPTHWISE_2, true)),
        ("cost_depthwise_3", convolutions("cost_depthwise_3", &DEPTHWISE_3, true)),
        ("cost_sparse", sparse()),
        ("cost_dense", dense()),
        ("cost_pool", pools()),
        ("cost_elements", elements()),
    ]
}

const POINTWISE: [Conv; 16] = [
    [8, 12, 12, 16, 1, 1, 1, 0],
    [16, 10, 10, 32, 1, 1, 1, 0],
    [16, 7, 5, 8, 1, 1, 1, 0],
    [32, 8, 8, 32, 1, 1, 1, 0],
    [64, 5, 5, 64, 1, 1, 1, 0],
    [64, 25, 5, 64, 1, 1, 1, 0],
    [64, 6, 6, 128, 1, 1, 1, 0],
    [128, 3, 3, 256, 1, 1, 1, 0],
    [256, 3, 3, 64, 1, 1, 1, 0],
    [13, 9, 9, 24, 1, 1, 1, 0],
    [27, 6, 6, 30, 1, 1, 1, 0],
    [5, 16, 16, 13, 1, 1, 1, 0],
    [40, 7, 7, 6, 1, 1, 1, 0],
    [16, 16, 16, 32, 1, 1, 2, 0],
    [32, 16, 16, 64, 1, 1, 2, 0],
    [16, 12, 12, 96, 1, 1, 1, 0],
];

const CONVOLUTIONS: [Conv; 12] = [
    [3, 24, 24, 8, 3, 3, 2, 1],
    [3, 16, 16, 16, 3, 3, 1, 1],
    [1, 20, 12, 16, 5, 3, 2, 1],
    [1, 25, 10, 32, 10, 4, 2, 1],
    [16, 8, 8, 16, 3, 3, 1, 1],
    [32, 6, 6, 32, 3, 3, 1, 1],
    [64, 4, 4, 64, 3, 3, 1, 1],
    [16, 12, 12, 32, 3, 3, 2, 1],
    [32, 8, 8, 64, 3, 3, 2, 1],
    [9, 9, 9, 11, 3, 3, 1, 1],
    [8, 10, 10, 8, 5, 5, 1, 2],
    [128, 4, 4, 16, 3, 3, 1, 0],
];

const CONVOLUTIONS_2: [Conv; 13] = [
    [16, 16, 16, 16, 3, 3, 1, 1],
    [8, 14, 14, 24, 3, 3, 1, 1],
    [24, 8, 8, 8, 3, 3, 1, 1],
    [48, 6, 6, 48, 3, 3, 1, 1],
    [3, 32, 32, 8, 3, 3, 2, 1],
    [1, 28, 28, 8, 3, 3, 1, 0],
    [6, 40, 1, 16, 5, 1, 1, 0],
    [16, 36, 1, 32, 5, 1, 1, 0],
    [128, 5, 5, 32, 3, 3, 1, 1],
    [160, 4, 4, 20, 3, 3, 1, 1],
    [1200, 2, 2, 8, 1, 1, 1, 0],
    [1536, 3, 1, 12, 1, 1, 1, 0],
    [144, 4, 4, 8, 3, 3, 2, 1],
];

const DEPTHWISE: [Conv; 16] = [
    [8, 24, 24, 8, 3, 3, 1, 1],
    [16, 16, 16, 16, 3, 3, 1, 1],
    [32, 12, 12, 32, 3, 3, 1, 1],
    [64, 25, 5, 64, 3, 3, 1, 1],
    [64, 6, 6, 64, 3, 3, 1, 1],
    [128, 6, 6, 128, 3, 3, 1, 1],
    [128, 3, 3, 128, 3, 3, 1, 1],
    [4, 32, 32, 4, 3, 3, 1, 1],
    [12, 10, 14, 12, 3, 3, 1, 1],
    [16, 24, 24, 16, 3, 3, 2, 1],
    [32, 16, 16, 32, 3, 3, 2, 1],
    [64, 12, 12, 64, 3, 3, 2, 1],
    [128, 6, 6, 128, 3, 3, 2, 1],
    [24, 20, 10, 24, 3, 3, 2, 1],
    [8, 10, 10, 8, 5, 5, 1, 2],
    [13, 12, 12, 13, 3, 3, 1, 1],
];

/// Kernels other than 3 x 3, of maps.
const DEPTHWISE_2: [Conv; 18] = [
    [12, 15, 18, 12, 5, 5, 2, 2],
    [9, 13, 9, 9, 3, 5, 2, 1],
    [16, 9, 14, 16, 4, 4, 2, 1],
    [20, 10, 10, 20, 5, 5, 2, 2],
    [8, 16, 16, 8, 5, 5, 1, 2],
    [16, 12, 12, 16, 5, 5, 1, 2],
    [32, 8, 8, 32, 5, 5, 1, 2],
    [13, 10, 11, 13, 5, 5, 1, 2],
    [16, 24, 24, 16, 5, 5, 2, 2],
    [32, 16, 16, 32, 5, 5, 2, 2],
    [24, 11, 7, 24, 5, 5, 2, 2],
    [16, 12, 12, 16, 7, 7, 1, 3],
    [32, 7, 7, 32, 7, 7, 1, 3],
    [16, 14, 14, 16, 7, 7, 2, 3],
    [16, 8, 24, 16, 1, 5, 1, 2],
    [8, 20, 5, 8, 10, 4, 1, 0],
    [16, 9, 24, 16, 2, 2, 2, 0],
    [32, 9, 9, 32, 4, 4, 1, 1],
];

/// Along one dimension.
const DEPTHWISE_3: [Conv; 14] = [
    [8, 128, 1, 8, 3, 1, 1, 1],
    [16, 64, 1, 16, 3, 1, 1, 1],
    [32, 40, 1, 32, 3, 1, 1, 1],
    [16, 64, 1, 16, 5, 1, 1, 2],
    [32, 51, 1, 32, 5, 1, 1, 2],
    [64, 25, 1, 64, 5, 1, 1, 2],
    [16, 64, 1, 16, 9, 1, 1, 4],
    [32, 49, 1, 32, 9, 1, 1, 4],
    [21, 40, 1, 21, 9, 1, 1, 4],
    [16, 80, 1, 16, 15, 1, 1, 7],
    [16, 64, 1, 16, 3, 1, 2, 1],
    [32, 49, 1, 32, 5, 1, 2, 2],
    [16, 64, 1, 16, 9, 1, 2, 4],
    [16, 12, 6, 16, 3, 1, 1, 1],
];

fn convolutions(name: &'static str, sizes: &[Conv], depthwise: bool) -> ModelBuilder {
    let mut model = ModelBuilder::new(name);
    for (i, &[in_c, h, w, out_c, kernel_h, kernel_w, stride, pad]) in sizes.iter().enumerate() {
        // Windows of one row or column need no padding beside it.
        let pads = [kernel_h, kernel_w].map(|size| if size == 1 { 0 } else { pad });
        // A window of one column moves along the rows alone.
        let strides = [stride, if w == 1 { 1 } else { stride }];
        let size = |i: usize, size: usize, kernel: usize| (size + 2 * pads[i] - kernel) / strides[i] + 1;
        let groups = if depthwise { in_c } else { 1 };
        let weights = [out_c, in_c / groups, kernel_h, kernel_w].map(|n| n as i64);
        model = model
            .input(&format!("x{i}"), &[1, in_c, h, w])
            .weight(&format!("w{i}"), &weights)
            .weight(&format!("b{i}"), &weights[..1])
            .op("Conv")
            .attr_ints("pads", &[pads[0], pads[1], pads[0], pads[1]].map(|n| n as i64))
            .attr_ints("strides", &strides.map(|n| n as i64))
            .attr_int("group", groups as i64)
            .output(&[1, out_c, size(0, h, kernel_h), size(1, w, kernel_w)]);
    }
    model
}

/// Layers most of whose weights are zero.
fn sparse() -> ModelBuilder {
    // Input channels, rows and columns, output channels, kernel, percent of zeros.
    let convolutions = [
        [16, 10, 10, 16, 3, 60],
        [32, 8, 8, 32, 1, 75],
        [16, 7, 7, 24, 3, 90],
        [64, 9, 5, 32, 1, 60],
        [8, 12, 12, 16, 3, 70],
        [128, 4, 4, 64, 1, 95],
        [3, 11, 11, 20, 5, 70],
    ];
    let dense = [[128, 64, 60], [561, 64, 70], [64, 33, 90], [400, 30, 80], [256, 10, 60]];
    let weights = |name: &str, dims: &[i64], percent: usize| {
        let len = dims.iter().product::<i64>() as usize;
        let kept = random(&format!("{name}/kept"), len, 0.0, 100.0);
        let mut values = random(name, len, -0.2, 0.2);
        values.iter_mut().zip(kept).filter(|(_, kept)| *kept < percent as f32).for_each(|(w, _)| *w = 0.0);
        tensor_f32(dims, &values)
    };
    let mut model = ModelBuilder::new("cost_sparse");
    for (i, [in_c, h, w, out_c, kernel, zeros]) in convolutions.into_iter().enumerate() {
        let name = format!("cw{i}");
        let tensor = weights(&name, &[out_c, in_c, kernel, kernel].map(|n| n as i64), zeros);
        model = model
            .input(&format!("c{i}"), &[1, in_c, h, w])
            .constant(&name, tensor)
            .weight(&format!("cb{i}"), &[out_c as i64])
            .op("Conv")
            .attr_ints("pads", &[(kernel / 2) as i64; 4])
            .output(&[1, out_c, h, w]);
    }
    for (i, [inputs, outputs, zeros]) in dense.into_iter().enumerate() {
        let name = format!("dw{i}");
        let tensor = weights(&name, &[outputs, inputs].map(|n| n as i64), zeros);
        model = model
            .input(&format!("d{i}"), &[1, inputs])
            .constant(&name, tensor)
            .weight(&format!("db{i}"), &[outputs as i64])
            .op("Gemm")
            .attr_int("transB", 1)
            .output(&[1, outputs]);
    }
    model
}

fn dense() -> ModelBuilder {
    let sizes = [
        [640, 128],
        [128, 128],
        [128, 8],
        [8, 128],
        [128, 640],
        [64, 10],
        [64, 12],
        [256, 2],
        [561, 128],
        [33, 6],
        [400, 30],
        [1500, 16],
        [2048, 10],
    ];
    let mut model = ModelBuilder::new("cost_dense");
    for (i, [inputs, outputs]) in sizes.into_iter().enumerate() {
        model = model
            .input(&format!("x{i}"), &[1, inputs])
            .weight(&format!("w{i}"), &[outputs as i64, inputs as i64])
            .weight(&format!("b{i}"), &[outputs as i64])
            .op("Gemm")
            .attr_int("transB", 1)
            .output(&[1, outputs]);
    }
    model
}

fn pools() -> ModelBuilder {
    let sizes = [
        [8, 8, 8, 2, 2],
        [16, 12, 12, 2, 2],
        [64, 8, 8, 2, 2],
        [32, 10, 10, 3, 2],
        [5, 14, 14, 2, 2],
        [64, 25, 5, 0, 1],
        [64, 8, 8, 0, 1],
        [256, 3, 3, 0, 1],
        [13, 6, 6, 0, 1],
    ];
    let mut model = ModelBuilder::new("cost_pool");
    for op in ["MaxPool", "AveragePool"] {
        for (i, [channels, h, w, kernel, stride]) in sizes.into_iter().enumerate() {
            // A kernel of 0 stands for the whole input.
            let window = if kernel == 0 { [h, w] } else { [kernel, kernel] };
            let size = |size: usize, kernel: usize| (size - kernel) / stride + 1;
            model = model
                .input(&format!("{op}{i}"), &[1, channels, h, w])
                .op(op)
                .attr_ints("kernel_shape", &window.map(|n| n as i64))
                .attr_ints("strides", &[stride as i64; 2])
                .output(&[1, channels, size(h, window[0]), size(w, window[1])]);
        }
    }
    model
}

fn elements() -> ModelBuilder {
    let mut model = ModelBuilder::new("cost_elements");
    for (i, shape) in [[1, 16, 16, 16], [1, 8, 8, 64], [1, 3, 5, 7], [1, 1, 1, 200]].into_iter().enumerate() {
        for op in ["Add", "Mul"] {
            model = model
                .input(&format!("{op}a{i}"), &shape)
                .input(&format!("{op}b{i}"), &shape)
                .op(op)
                .output(&shape);
        }
        model = model.input(&format!("l{i}"), &shape).op("Sigmoid").output(&shape);
    }
    for (i, classes) in [2, 10, 12, 100].into_iter().enumerate() {
        model = model.input(&format!("s{i}"), &[1, classes]).op("Softmax").output(&[1, classes]);
    }
    for (i, shape) in [[1, 8, 6, 10], [1, 32, 12, 4], [1, 16, 3, 40]].into_iter().enumerate() {
        let [n, a, b, c] = shape;
        model = model
            .input(&format!("t{i}"), &shape)
            .op("Transpose")
            .attr_ints("perm", &[0, 2, 3, 1])
            .output(&[n, b, c, a])
            .input(&format!("c{i}"), &shape)
            .input(&format!("d{i}"), &shape)
            .input(&format!("g{i}"), &shape)
            .op("Concat")
            .attr_int("axis", 1)
            .output(&[n, 3 * a, b, c])
            .input(&format!("e{i}"), &shape)
            .input(&format!("f{i}"), &shape)
            .op("Concat")
            .attr_int("axis", 3)
            .output(&[n, a, b, 2 * c]);
    }
    model
}
