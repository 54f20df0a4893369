//! Integers against hand calculation and the definition in floats.

use ndarray::ArrayD;
use tinyc::ir::{QuantParams, Shape};
use tinyc::lower::{Kernel, LowerError};
use tinyc::ops::conv::{Pads, Window};
use tinyc::ops::pool::{Kind, Pool};
use tinyc::ops::{self, Op};

use super::{codes, graph, run, uniform};

fn pool(kind: Kind, kernel: [usize; 2], stride: [usize; 2], pads: [usize; 4], ceil: bool) -> Pool {
    let [top, left, bottom, right] = pads;
    let window = Window { kernel, stride, dilation: [1, 1], pads: Pads { top, left, bottom, right } };
    Pool { kind, window, ceil }
}

/// A pooling of a 3 x 3 image with scale 1 and zero point 0 on both sides.
fn pooled(pool: Pool, image: [i8; 9]) -> Vec<i8> {
    let graph = graph(Op::Pool(pool), &[&[1, 3, 3, 1]]);
    run(&graph, &uniform(&graph, QuantParams::new(1.0, 0)), &[image.to_vec()]).codes
}

const MEAN: Kind = Kind::Average { count_include_pad: false };
const MEAN_WITH_PAD: Kind = Kind::Average { count_include_pad: true };

#[test]
fn means_divide_by_the_cells_inside_the_input() {
    // Corners have 1 cell, edges 2, the middle 4: by hand.
    let image = [8, 16, 24, 32, 40, 48, 56, 64, 72];
    let means = pooled(pool(MEAN, [2, 2], [1, 1], [1, 1, 1, 1], false), image);
    assert_eq!(means, [8, 12, 20, 24, 20, 24, 32, 36, 44, 48, 56, 60, 56, 60, 68, 72]);
}

#[test]
fn means_that_count_padding_divide_by_all_cells() {
    let image = [8, 16, 24, 32, 40, 48, 56, 64, 72];
    let means = pooled(pool(MEAN_WITH_PAD, [2, 2], [1, 1], [1, 1, 1, 1], false), image);
    assert_eq!(means, [2, 6, 10, 6, 10, 24, 32, 18, 22, 48, 56, 30, 14, 30, 34, 18]);
}

#[test]
fn cells_beyond_the_declared_padding_never_count() {
    // One row of padding, three of input, kernel 2, stride 3: with ceil_mode a
    // second window starts at the last row, and what follows is beyond the padding.
    let image = [9, 9, 60, 9, 9, 60, 90, 90, 120];
    let pads = [1, 1, 0, 0];
    let means = pooled(pool(MEAN_WITH_PAD, [2, 2], [3, 3], pads, true), image);
    // 9 / 4 = 2.25; 60 / 2; 90 / 2; 120 / 1.
    assert_eq!(means, [2, 30, 45, 120]);
    assert_eq!(pooled(pool(MEAN_WITH_PAD, [2, 2], [3, 3], pads, false), image), [2]);
}

#[test]
fn padding_never_wins_a_maximum() {
    let image = [-128, -100, -90, -80, -70, -60, -50, -40, -30];
    let maxima = pooled(pool(Kind::Max, [2, 2], [2, 2], [1, 1, 0, 0], false), image);
    assert_eq!(maxima, [-128, -90, -50, -30]);
}

#[test]
fn pooling_clamps_to_the_range_of_its_output() {
    for (kind, hi) in [(Kind::Max, 20), (MEAN, 10)] {
        let graph = graph(Op::Pool(pool(kind, [1, 2], [1, 2], [0; 4], false)), &[&[1, 1, 4, 1]]);
        let mut quant = uniform(&graph, QuantParams::new(1.0, 0));
        quant
            .activations
            .insert(graph.outputs[0], QuantParams { lo: hi - 5, hi, ..QuantParams::new(1.0, 0) });
        assert_eq!(run(&graph, &quant, &[vec![100, 90, -7, -9]]).codes, [hi, hi - 5]);
    }
}

/// Mean of one window in reals, from the definition.
fn exact_mean(p: &Pool, input: &[i8], size: [i64; 2], params: QuantParams, at: [usize; 3]) -> f64 {
    let (w, [oy, ox, c], channels) = (p.window, at, input.len() / (size[0] * size[1]) as usize);
    let (mut sum, mut count) = (0.0, 0);
    for ky in 0..w.kernel[0] {
        for kx in 0..w.kernel[1] {
            let y = (oy * w.stride[0] + ky * w.dilation[0]) as i64 - w.pads.top as i64;
            let x = (ox * w.stride[1] + kx * w.dilation[1]) as i64 - w.pads.left as i64;
            let inside = (0..size[0]).contains(&y) && (0..size[1]).contains(&x);
            if inside {
                sum += params.real(input[(y * size[1] + x) as usize * channels + c]);
            }
            let declared = y < size[0] + w.pads.bottom as i64 && x < size[1] + w.pads.right as i64;
            count += usize::from(inside || (p.kind == MEAN_WITH_PAD && declared));
        }
    }
    sum / count as f64
}

#[test]
fn means_are_within_half_a_step_of_exact_ones() {
    let mut seed = 0;
    for (kernel, stride, pads, dilation) in [
        ([3, 3], [1, 1], [1, 1, 1, 1], [1, 1]),
        ([5, 2], [2, 3], [2, 0, 1, 1], [1, 1]),
        ([2, 3], [1, 2], [1, 2, 0, 2], [2, 2]),
        ([9, 7], [1, 1], [0; 4], [1, 1]),
        ([1, 1], [2, 2], [0; 4], [1, 1]),
    ] {
        for (s_in, z_in, s_out, z_out) in
            [(0.1, -128, 0.1, -128), (0.02, 5, 0.013, -40), (1.7, 127, 3.0, 0), (0.5, -3, 0.1, 100)]
        {
            for kind in [MEAN, MEAN_WITH_PAD] {
                seed += 1;
                let mut attributes = pool(kind, kernel, stride, pads, seed % 2 == 0);
                attributes.window.dilation = dilation;
                let graph = graph(Op::Pool(attributes), &[&[1, 9, 7, 11]]);
                let params = QuantParams::new(s_in, z_in);
                let mut quant = uniform(&graph, params);
                let out = QuantParams::new(s_out, z_out);
                quant.activations.insert(graph.outputs[0], out);
                let input = codes(seed, 9 * 7 * 11);
                let actual = run(&graph, &quant, std::slice::from_ref(&input));
                let columns = actual.shape.0[2];
                for (i, &code) in actual.codes.iter().enumerate() {
                    let at = [i / 11 / columns, i / 11 % columns, i % 11];
                    let exact = exact_mean(&attributes, &input, [9, 7], params, at) / f64::from(s_out)
                        + f64::from(z_out);
                    let error = f64::from(code) - exact.clamp(-128.0, 127.0);
                    assert!(error.abs() <= 0.51, "{code} for {exact} by {attributes:?}");
                }
            }
        }
    }
}

#[test]
fn a_window_without_input_is_refused() {
    let attributes = pool(Kind::Max, [1, 1], [1, 1], [1, 0, 0, 0], false);
    let error = attributes.output_shape(&[&Shape(vec![1, 2, 2, 1])]).unwrap_err();
    assert!(error.contains("window 0 along rows lies wholly in the padding"), "{error}");
}

#[test]
fn scales_too_far_apart_for_a_mean_are_an_error() {
    let graph = graph(Op::Pool(pool(MEAN, [1, 1], [1, 1], [0; 4], false)), &[&[1, 1, 1, 1]]);
    let mut quant = uniform(&graph, QuantParams::new(1e6, 0));
    quant.activations.insert(graph.outputs[0], QuantParams::new(1e-6, 0));
    let error = ops::lower(&graph, &quant, graph.order()[0]).unwrap_err();
    assert!(matches!(error, LowerError::Multiplier { real } if (0.9e12..1.1e12).contains(&real)));
}

#[test]
fn softmax_is_within_one_step_of_the_exact_one() {
    let mut seed = 1000;
    let outputs =
        [(1.0 / 256.0, -128), (0.00392, -128), (0.0003, -100), (0.3, 0)].map(|(s, z)| QuantParams::new(s, z));
    for n in [1, 2, 3, 10, 35, 100, 257, 1000, 1024, 2048] {
        for s_in in [1e-4, 0.003, 0.02, 0.1, 0.37, 1.0, 16.0] {
            for out in outputs {
                seed += 1;
                let graph = graph(Op::Softmax, &[&[3, n]]);
                let mut quant = uniform(&graph, QuantParams::new(s_in, 17));
                quant.activations.insert(graph.outputs[0], out);
                let mut input = codes(seed, 3 * n);
                // Extremes: all equal, then one at the top and the rest at the bottom.
                input[..2 * n].fill(-128);
                input[2 * n - 1] = 127;
                let actual = run(&graph, &quant, std::slice::from_ref(&input));
                for (row, result) in input.chunks(n).zip(actual.codes.chunks(n)) {
                    let top = f64::from(*row.iter().max().unwrap());
                    let exponentials: Vec<f64> =
                        row.iter().map(|&q| (f64::from(s_in) * (f64::from(q) - top)).exp()).collect();
                    let sum: f64 = exponentials.iter().sum();
                    for (e, &code) in exponentials.iter().zip(result) {
                        let exact = e / sum / f64::from(out.scale) + f64::from(out.zero_point);
                        let error = f64::from(code) - exact.clamp(-128.0, 127.0);
                        assert!(error.abs() <= 1.0, "{code} for {exact}, n {n}, scale {s_in}, {out}");
                    }
                }
            }
        }
    }
}

#[test]
fn softmax_beyond_its_limits_is_an_error() {
    for (n, scale, says) in [(2049, 1.0 / 256.0, "2049 values"), (4, 1.5, "output scale 1.5")] {
        let graph = graph(Op::Softmax, &[&[1, n]]);
        let mut quant = uniform(&graph, QuantParams::new(0.1, 0));
        quant.activations.insert(graph.outputs[0], QuantParams::new(scale, -128));
        let error = ops::lower(&graph, &quant, graph.order()[0]).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn transposes_move_every_element_or_cost_nothing() {
    for (shape, perm, loops) in [
        (&[1, 4, 5, 3][..], &[0, 3, 1, 2][..], 2),
        (&[2, 3, 4], &[2, 1, 0], 3),
        (&[1, 7, 1, 3], &[2, 1, 0, 3], 0),
        (&[2, 2, 2, 3, 2, 2], &[5, 0, 4, 1, 3, 2], 6),
        (&[2, 3, 2, 2, 2, 3, 2], &[0, 2, 1, 3, 4, 6, 5], 6),
        (&[2, 3, 2, 2, 2, 3, 2], &[4, 5, 6, 0, 1, 2, 3], 2),
    ] {
        let graph = graph(Op::Transpose(perm.to_vec()), &[shape]);
        let quant = uniform(&graph, QuantParams::new(1.0, 0));
        let lowered = ops::lower(&graph, &quant, graph.order()[0]).unwrap();
        let turns = lowered.calls.first().map_or(0, |call| match call.kernel {
            Kernel::Copy(p) => p.dims.iter().filter(|&&d| d > 1).count(),
            _ => panic!("a transpose is a copy"),
        });
        assert_eq!(turns, loops, "{shape:?} by {perm:?}");
        let input = codes(7, shape.iter().product());
        let array = ArrayD::from_shape_vec(shape, input.clone()).unwrap();
        let expected: Vec<i8> = array.permuted_axes(perm).iter().copied().collect();
        assert_eq!(run(&graph, &quant, &[input]).codes, expected);
    }
}

#[test]
fn more_loops_than_a_copy_has_are_an_error() {
    let graph = graph(Op::Transpose((0..7).rev().collect()), &[&[2; 7]]);
    let quant = uniform(&graph, QuantParams::new(1.0, 0));
    let error = ops::lower(&graph, &quant, graph.order()[0]).unwrap_err().to_string();
    assert!(error.contains("7 nested loops"), "{error}");
}

#[test]
fn padding_is_the_code_of_its_value() {
    for (value, fill) in [(0.0, 3), (1.0, 5), (-1000.0, -128), (f32::NEG_INFINITY, -128)] {
        let pad = ops::pad::Pad { before: vec![0, 1, 0, 0], after: vec![0, 0, 1, 0], value };
        let graph = graph(Op::Pad(pad), &[&[1, 1, 2, 1]]);
        let out = run(&graph, &uniform(&graph, QuantParams::new(0.5, 3)), &[vec![7, 8]]);
        assert_eq!(out.codes, [fill, fill, fill, 7, 8, fill]);
    }
}

#[test]
fn concatenation_joins_along_any_axis() {
    for (axis, expected) in [(0, [1, 2, 3, 4, 5, 6, 7, 8]), (1, [1, 2, 5, 6, 3, 4, 7, 8])] {
        let graph = graph(Op::Concat(axis), &[&[2, 2], &[2, 2]]);
        let quant = uniform(&graph, QuantParams::new(1.0, 0));
        assert_eq!(run(&graph, &quant, &[vec![1, 2, 3, 4], vec![5, 6, 7, 8]]).codes, expected);
    }
}
