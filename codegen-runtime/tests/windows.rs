//! `conv_window`, `depthwise_window` and the multiplication that goes with them
//! against plain loops, with constants packed here from the description of the format.

mod common;

use common::{
    Axis, Blob, CASES, Classes, Layer, Rng, guarded, guarded_rows, mostly_inside, requantize, share_inside,
};
use tinyc_runtime::arch::{pair_windows, window_sums};
use tinyc_runtime::kernels::{conv_window, conv_window_borders, depthwise_window};
use tinyc_runtime::requant::{Out, multiply_by_halves};
use tinyc_runtime::view::{Bytes, Consts};

const SCRATCH: usize = 16384;

#[repr(align(16))]
struct AlignedBytes([i8; SCRATCH]);

/// The layer's blob with weights `[channel][tap]` in blocks of four channels.
fn pack(layer: &Layer) -> Blob {
    let channels = layer.bias.len();
    let taps = layer.weights.len() / channels;
    let mut weights = Vec::new();
    for first in (0..channels).step_by(4) {
        for tap in 0..taps {
            for channel in first..first + 4 {
                weights.push(if channel < channels { layer.weights[channel * taps + tap] } else { 0 });
            }
        }
    }
    let (bias, m, k) = (layer.bias.clone(), layer.m.clone(), layer.k.clone());
    Layer { bias, m, k, weights, shifts: layer.shifts, codes: layer.codes }.blob()
}

/// The sum of a window's products with weights by row, column and channel.
fn window(
    input: &[i8],
    [h, w]: [Axis; 2],
    [oy, ox]: [usize; 2],
    channels: usize,
    pad_code: i8,
    weight: impl Fn(usize, usize, usize) -> i64,
) -> i64 {
    let mut sum = 0;
    for ky in 0..h.kernel {
        for kx in 0..w.kernel {
            for c in 0..channels {
                let code = match (h.inside(oy, ky), w.inside(ox, kx)) {
                    (Some(y), Some(x)) => input[(y * w.size + x) * channels + c],
                    _ => pad_code,
                };
                sum += i64::from(code) * weight(ky, kx, c);
            }
        }
    }
    sum
}

fn check_conv(rng: &mut Rng, [h, w]: [Axis; 2], in_c: usize, out_c: usize) -> f64 {
    let taps = h.kernel * w.kernel * in_c;
    let shifts = rng.chance(4);
    let layer = Layer::random(rng, out_c, taps, shifts);
    let input = rng.codes(h.size * w.size * in_c, layer.codes.0, layer.codes.1);
    let p = conv_window::Params {
        in_h: h.size,
        in_w: w.size,
        in_c,
        out_h: h.out,
        out_w: w.out,
        out_c,
        kernel_h: h.kernel,
        kernel_w: w.kernel,
        stride_h: h.stride,
        stride_w: w.stride,
        pad_top: h.pad,
        pad_left: w.pad,
        dilation_h: h.dilation,
        dilation_w: w.dilation,
        pad_code: rng.range(layer.codes.0, layer.codes.1) as i8,
        shifts,
        out: rng.out(),
    };
    let mut blob = pack(&layer);
    // Whatever the scratch holds at first must not matter.
    let mut scratch = AlignedBytes([rng.bits() as i8; SCRATCH]);
    let scratch_len = conv_window::scratch_bytes(&p);
    let got = guarded(&input, h.out * w.out * out_c, |input, output| {
        let scratch = Bytes::from_mut(&mut scratch.0[..scratch_len]);
        with_kernel_rows!(h.kernel, conv_window::run, &p, blob.consts(), input, output, scratch)
    });
    let rows = (h.out, h.out, w.out * out_c);
    let rows = guarded_rows([(&input, h.size)], rows, scratch_len, |[input], output, part, scratch| {
        conv_window::run_rows::<15, 3>(&p, blob.consts(), input, output, part, scratch);
    });
    assert_eq!(rows, got, "{p:?}");
    let classes = Classes::random(rng, [h.out, w.out], out_c);
    classes.append(&mut blob);
    let bordered = guarded(&input, h.out * w.out * out_c, |input, output| {
        let scratch = Bytes::from_mut(&mut scratch.0[..scratch_len]);
        with_kernel_rows!(h.kernel, conv_window_borders::run, &p, blob.consts(), input, output, scratch)
    });
    let rows = (h.out, h.out, w.out * out_c);
    let rows = guarded_rows([(&input, h.size)], rows, scratch_len, |[input], output, part, scratch| {
        conv_window_borders::run_rows::<15, 3>(&p, blob.consts(), input, output, part, scratch);
    });
    assert_eq!(rows, bordered, "{p:?}");
    let (mut expected, mut at_borders) = (Vec::new(), Vec::new());
    for oy in 0..h.out {
        for ox in 0..w.out {
            for oc in 0..out_c {
                let weight =
                    |ky, kx, c| i64::from(layer.weights[((oc * h.kernel + ky) * w.kernel + kx) * in_c + c]);
                let products = window(&input, [h, w], [oy, ox], in_c, p.pad_code, weight);
                let acc = layer.bias[oc] + products;
                expected.push(requantize(acc, layer.m[oc], layer.k[oc], p.out));
                let acc = acc + classes.at(oy, ox, oc);
                at_borders.push(requantize(acc, layer.m[oc], layer.k[oc], p.out));
            }
        }
    }
    assert_eq!(got, expected, "{p:?}");
    assert_eq!(bordered, at_borders, "{p:?}");
    share_inside(&got, p.out)
}

#[test]
fn conv_window_equals_plain_loops() {
    let mut rng = Rng::new(31);
    let sizes = if cfg!(miri) { 4 } else { 9 };
    mostly_inside(0.3, CASES, || {
        let axes = [Axis::random(&mut rng, sizes), Axis::random(&mut rng, sizes)];
        let widest = if cfg!(miri) { 5 } else { 19 };
        let (in_c, out_c) = (rng.size(1, widest), rng.size(1, widest));
        check_conv(&mut rng, axes, in_c, out_c)
    });
}

#[test]
fn conv_window_pointwise_crosses_row_ends() {
    let mut rng = Rng::new(32);
    mostly_inside(0.3, CASES / 2, || {
        let axis = |size| Axis { size, kernel: 1, stride: 1, pad: 0, pad_after: 0, dilation: 1, out: size };
        let axes = [axis(rng.size(1, 4)), axis(rng.size(1, 5))];
        let (in_c, out_c) = (rng.size(1, 70), rng.size(1, 21));
        check_conv(&mut rng, axes, in_c, out_c)
    });
}

#[test]
fn conv_window_pointwise_in_place() {
    let mut rng = Rng::new(33);
    for _ in 0..CASES / 3 {
        let (pixels, channels) = (rng.size(1, 9), rng.size(1, 30));
        let layer = Layer::random(&mut rng, channels, channels, false);
        let input = rng.codes(pixels * channels, -128, 127);
        let p = conv_window::Params {
            in_h: 1,
            in_w: pixels,
            in_c: channels,
            out_h: 1,
            out_w: pixels,
            out_c: channels,
            kernel_h: 1,
            kernel_w: 1,
            stride_h: 1,
            stride_w: 1,
            pad_top: 0,
            pad_left: 0,
            dilation_h: 1,
            dilation_w: 1,
            pad_code: 0,
            shifts: false,
            out: Out { zero_point: 3, lo: -128, hi: 127 },
        };
        let blob = pack(&layer);
        let mut scratch = AlignedBytes([0; SCRATCH]);
        let mut bytes = input.clone();
        let arena = Bytes::from_mut(&mut bytes);
        let scratch = Bytes::from_mut(&mut scratch.0[..conv_window::scratch_bytes(&p)]);
        conv_window::run::<1>(&p, blob.consts(), arena, arena, scratch);
        for pixel in 0..pixels {
            for oc in 0..channels {
                let products = (0..channels).map(|c| {
                    i64::from(input[pixel * channels + c]) * i64::from(layer.weights[oc * channels + c])
                });
                let expected = requantize(layer.bias[oc] + products.sum::<i64>(), layer.m[oc], 0, p.out);
                assert_eq!(bytes[pixel * channels + oc], expected, "pixel {pixel}, channel {oc} of {p:?}");
            }
        }
    }
}

/// Forward and backward.
#[test]
fn depthwise_window_equals_plain_loops() {
    let mut rng = Rng::new(34);
    let sizes = if cfg!(miri) { 4 } else { 9 };
    mostly_inside(0.3, CASES, || {
        let [h, w] = [Axis::random(&mut rng, sizes), Axis::random(&mut rng, sizes)];
        let channels = rng.size(1, if cfg!(miri) { 5 } else { 19 });
        let shifts = rng.chance(4);
        let layer = Layer::random(&mut rng, channels, h.kernel * w.kernel, shifts);
        let input = rng.codes(h.size * w.size * channels, layer.codes.0, layer.codes.1);
        let p = depthwise_window::Params {
            in_h: h.size,
            in_w: w.size,
            in_c: channels,
            out_h: h.out,
            out_w: w.out,
            kernel_h: h.kernel,
            kernel_w: w.kernel,
            stride_h: h.stride,
            stride_w: w.stride,
            pad_top: h.pad,
            pad_left: w.pad,
            dilation_h: h.dilation,
            dilation_w: w.dilation,
            pad_code: rng.range(layer.codes.0, layer.codes.1) as i8,
            shifts,
            out: rng.out(),
        };
        let blob = layer.blob();
        let mut scratch = AlignedBytes([rng.bits() as i8; SCRATCH]);
        let scratch_len = depthwise_window::scratch_bytes(&p);
        let back = rng.chance(2);
        let got = guarded(&input, h.out * w.out * channels, |input, output| {
            let scratch = Bytes::from_mut(&mut scratch.0[..scratch_len]);
            if back {
                with_kernel_rows!(
                    h.kernel,
                    depthwise_window::run_back,
                    &p,
                    blob.consts(),
                    input,
                    output,
                    scratch
                )
            } else {
                with_kernel_rows!(h.kernel, depthwise_window::run, &p, blob.consts(), input, output, scratch)
            }
        });
        let rows = (h.out, h.out, w.out * channels);
        let rows = guarded_rows([(&input, h.size)], rows, scratch_len, |[input], output, part, scratch| {
            depthwise_window::run_rows::<5>(&p, blob.consts(), input, output, part, scratch);
        });
        assert_eq!(rows, got, "{p:?}");
        let mut expected = Vec::new();
        for oy in 0..h.out {
            for ox in 0..w.out {
                for oc in 0..channels {
                    let weight = |ky, kx, c| match c == oc {
                        true => i64::from(layer.weights[(ky * w.kernel + kx) * channels + c]),
                        false => 0,
                    };
                    let products = window(&input, [h, w], [oy, ox], channels, p.pad_code, weight);
                    expected.push(requantize(layer.bias[oc] + products, layer.m[oc], layer.k[oc], p.out));
                }
            }
        }
        assert_eq!(got, expected, "{p:?}");
        share_inside(&got, p.out)
    });
}

/// All weights and codes at their ends: the sums of two products that the packed form
/// must hold.
#[test]
fn packed_pairs_reach_their_limits() {
    for weight in [-127i8, 127] {
        for (first, second) in [(-128i8, -128i8), (-128, 127), (127, -128), (127, 127)] {
            let mut memory = AlignedBytes([0; SCRATCH]);
            let arena = Bytes::from_mut(&mut memory.0);
            let (len, pair) = (7, arena.sub(0, 28));
            arena.sub(100, len).fill(first, len);
            arena.sub(200, len).fill(second, len);
            pair_windows(arena.sub(100, len), arena.sub(200, len), len, pair);
            let weights = [weight as u8; 28];
            let sum = |code: i8| 7 * i32::from(code) * i32::from(weight);
            let got = window_sums(pair, len, Consts::new(&weights));
            assert_eq!(got, [[sum(first); 4], [sum(second); 4]]);
        }
    }
}

#[test]
fn products_of_halves_equal_the_wide_product() {
    let check = |acc: i32, m: i32| {
        let expected = ((i128::from(acc) * i128::from(m) + (1 << 31)) >> 32) as i32;
        assert_eq!(multiply_by_halves(acc, m), expected, "{acc} * {m}");
    };
    // The ends of the halves, of the words, and around one half of the result.
    let ends: Vec<i64> = (0..32)
        .flat_map(|bit| (-2..=2).flat_map(move |near| [(1i64 << bit) + near, near - (1i64 << bit)]))
        .collect();
    for &acc in &ends {
        for &m in &ends {
            if let (Ok(acc), Ok(m)) = (i32::try_from(acc), u32::try_from(m))
                && m < 1 << 31
            {
                check(acc, m as i32);
            }
        }
    }
    let mut rng = Rng::new(35);
    for _ in 0..if cfg!(miri) { 500 } else { 1_000_000 } {
        let (acc, m) = (rng.bits() as i32, (rng.bits() & 0x7FFF_FFFF) as i32);
        check(acc >> rng.size(0, 31), m >> rng.size(0, 30));
    }
}
