//! `conv_lanes`, `depthwise_lanes` and `dense_lanes` against plain loops, with constants
//! packed here from the description of the format.

mod common;

use common::{Axis, Blob, CASES, Layer, Rng, guarded, guarded_rows, mostly_inside, requantize, share_inside};
use tinyc_runtime::kernels::{conv_lanes, dense_lanes, depthwise_lanes};
use tinyc_runtime::view::Bytes;

const SCRATCH: usize = 65536;

/// The stream of blocks of four channels.
fn pack(layer: &Layer, weights: &[i8]) -> Blob {
    let channels = layer.bias.len();
    let taps = weights.len() / channels;
    let mut blob = Blob::new();
    for first in (0..channels).step_by(4) {
        let of = |words: &[i64]| [0, 1, 2, 3].map(|c| words.get(first + c).copied().unwrap_or(0));
        blob.words(of(&layer.bias));
        for from in (0..taps).step_by(16) {
            let width = if taps - from < 16 { (taps - from).div_ceil(4) * 4 } else { 16 };
            for channel in first..first + 4 {
                let weight = |tap: usize| match channel < channels && tap < taps {
                    true => weights[channel * taps + tap] as u8,
                    false => 0,
                };
                blob.bytes((from..from + width).map(weight));
            }
        }
        blob.words(of(&layer.m));
        if layer.shifts {
            let k: Vec<i64> = layer.k.iter().map(|&k| i64::from(k)).collect();
            blob.words(of(&k));
        }
    }
    blob
}

/// The stream of groups of 16 channels, of weights `[tap][channel]`, each channel `repeat`
/// times.
fn pack_depthwise(layer: &Layer, repeat: usize) -> Blob {
    // Even channels before odd ones, and of each of them those at even places first.
    let order = [0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15];
    let channels = layer.bias.len();
    let mut blob = Blob::new();
    for first in (0..channels).step_by(16) {
        let channel = |lane: usize| if repeat > 1 { lane % channels } else { first + lane };
        let of = |words: &[i64]| order.map(|lane| words.get(channel(lane)).copied().unwrap_or(0));
        blob.words(of(&layer.bias));
        for tap in 0..9 {
            blob.bytes((0..16).map(channel).map(|c| match c < channels {
                true => layer.weights[tap * channels + c] as u8,
                false => 0x55,
            }));
        }
        blob.words(of(&layer.m));
        if layer.shifts {
            let k: Vec<i64> = layer.k.iter().map(|&k| i64::from(k)).collect();
            blob.words(of(&k));
        }
    }
    blob
}

/// The code at a position of a window.
fn code(
    input: &[i8],
    [h, w]: [Axis; 2],
    [oy, ox]: [usize; 2],
    [ky, kx]: [usize; 2],
    at: usize,
    pad: i8,
) -> i64 {
    let channels = input.len() / (h.size * w.size);
    i64::from(match (h.inside(oy, ky), w.inside(ox, kx)) {
        (Some(y), Some(x)) => input[(y * w.size + x) * channels + at],
        _ => pad,
    })
}

fn check_conv(rng: &mut Rng, [h, w]: [Axis; 2], in_c: usize, out_c: usize) -> f64 {
    let taps = h.kernel * w.kernel * in_c;
    let shifts = rng.chance(4);
    let layer = Layer::random(rng, out_c, taps, shifts);
    let input = rng.codes(h.size * w.size * in_c, layer.codes.0, layer.codes.1);
    let p = conv_lanes::Params {
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
        strip: rng.size(1, 5),
        shifts,
        out: rng.out(),
    };
    // Column by column.
    let mut turned = Vec::new();
    for channel in layer.weights.chunks(taps) {
        for kx in 0..w.kernel {
            for ky in 0..h.kernel {
                turned.extend_from_slice(&channel[(ky * w.kernel + kx) * in_c..][..in_c]);
            }
        }
    }
    let blob = pack(&layer, &turned);
    // Whatever the scratch holds at first must not matter.
    let mut scratch = vec![rng.bits() as i8; SCRATCH];
    let scratch_len = conv_lanes::scratch_bytes(&p);
    let got = guarded(&input, h.out * w.out * out_c, |input, output| {
        let scratch = Bytes::from_mut(&mut scratch[..scratch_len]);
        with_kernel_rows!(h.kernel, conv_lanes::run, &p, blob.consts(), input, output, scratch)
    });
    let rows = (h.out, h.out, w.out * out_c);
    let rows = guarded_rows([(&input, h.size)], rows, scratch_len, |[input], output, part, scratch| {
        conv_lanes::run_rows::<5>(&p, blob.consts(), input, output, part, scratch);
    });
    assert_eq!(rows, got, "{p:?}");
    let mut expected = Vec::new();
    for oy in 0..h.out {
        for ox in 0..w.out {
            for oc in 0..out_c {
                let mut acc = layer.bias[oc];
                for (tap, &weight) in layer.weights[oc * taps..][..taps].iter().enumerate() {
                    let place = [tap / in_c / w.kernel, tap / in_c % w.kernel];
                    acc += i64::from(weight) * code(&input, [h, w], [oy, ox], place, tap % in_c, p.pad_code);
                }
                expected.push(requantize(acc, layer.m[oc], layer.k[oc], p.out));
            }
        }
    }
    assert_eq!(got, expected, "{p:?}");
    share_inside(&got, p.out)
}

#[test]
fn conv_lanes_equals_plain_loops() {
    let mut rng = Rng::new(61);
    let sizes = if cfg!(miri) { 4 } else { 9 };
    mostly_inside(0.3, CASES, || {
        let axes = [Axis::random(&mut rng, sizes), Axis::random(&mut rng, sizes)];
        let widest = if cfg!(miri) { 5 } else { 21 };
        let (in_c, out_c) = (rng.size(1, widest), rng.size(1, widest));
        check_conv(&mut rng, axes, in_c, out_c)
    });
}

/// Windows that are runs of rows: one row high, without padding.
#[test]
fn conv_lanes_reads_windows_where_they_lie() {
    let mut rng = Rng::new(62);
    mostly_inside(0.3, CASES / 2, || {
        let axis = |size: usize, kernel: usize, stride: usize| Axis {
            size,
            kernel,
            stride,
            pad: 0,
            pad_after: 0,
            dilation: 1,
            out: (size - kernel) / stride + 1,
        };
        let (stride, kernel) = (rng.size(1, 2), rng.size(1, 3));
        let (kernel, stride) = if rng.chance(2) { (1, 1) } else { (kernel, stride) };
        let axes = [axis(rng.size(1, 4), 1, stride), axis(rng.size(3, 7), kernel, stride)];
        let (in_c, out_c) = (rng.size(1, 70), rng.size(1, 21));
        check_conv(&mut rng, axes, in_c, out_c)
    });
}

/// Forward and backward.
#[test]
fn depthwise_lanes_equals_plain_loops() {
    let mut rng = Rng::new(63);
    let sizes = if cfg!(miri) { 4 } else { 9 };
    mostly_inside(0.3, CASES, || {
        let mut axis = || loop {
            let axis = Axis::random(&mut rng, sizes);
            if axis.kernel == 3 {
                return axis;
            }
        };
        let [h, w] = [axis(), axis()];
        let channels =
            if rng.chance(3) { 1 << rng.size(0, 3) } else { rng.size(1, if cfg!(miri) { 18 } else { 49 }) };
        let repeat = if w.stride == 1 && 16 % channels == 0 { 16 / channels } else { 1 };
        let shifts = rng.chance(4);
        let layer = Layer::random(&mut rng, channels, 9, shifts);
        let input = rng.codes(h.size * w.size * channels, layer.codes.0, layer.codes.1);
        let p = depthwise_lanes::Params {
            in_h: h.size,
            in_w: w.size,
            in_c: channels,
            out_h: h.out,
            out_w: w.out,
            stride_h: h.stride,
            stride_w: w.stride,
            pad_top: h.pad,
            pad_left: w.pad,
            dilation_h: h.dilation,
            dilation_w: w.dilation,
            pad_code: rng.range(layer.codes.0, layer.codes.1) as i8,
            repeat,
            shifts,
            out: rng.out(),
        };
        let blob = pack_depthwise(&layer, repeat);
        let mut scratch = vec![rng.bits() as i8; SCRATCH];
        let scratch_len = depthwise_lanes::scratch_bytes(&p);
        let back = rng.chance(2);
        let got = guarded(&input, h.out * w.out * channels, |input, output| {
            let scratch = Bytes::from_mut(&mut scratch[..scratch_len]);
            match back {
                true => depthwise_lanes::run_back::<3>(&p, blob.consts(), input, output, scratch),
                false => depthwise_lanes::run::<3>(&p, blob.consts(), input, output, scratch),
            }
        });
        let rows = (h.out, h.out, w.out * channels);
        let rows = guarded_rows([(&input, h.size)], rows, scratch_len, |[input], output, part, scratch| {
            depthwise_lanes::run_rows(&p, blob.consts(), input, output, part, scratch);
        });
        assert_eq!(rows, got, "{p:?}");
        let mut expected = Vec::new();
        for oy in 0..h.out {
            for ox in 0..w.out {
                for c in 0..channels {
                    let products = (0..9).map(|tap| {
                        let weight = i64::from(layer.weights[tap * channels + c]);
                        weight * code(&input, [h, w], [oy, ox], [tap / 3, tap % 3], c, p.pad_code)
                    });
                    let acc = layer.bias[c] + products.sum::<i64>();
                    expected.push(requantize(acc, layer.m[c], layer.k[c], p.out));
                }
            }
        }
        assert_eq!(got, expected, "{p:?}");
        share_inside(&got, p.out)
    });
}

#[test]
fn dense_lanes_equals_plain_loops() {
    let mut rng = Rng::new(64);
    mostly_inside(0.3, CASES, || {
        let (rows, in_features, out_features) = (rng.size(1, 4), rng.size(1, 90), rng.size(1, 20));
        let shifts = rng.chance(4);
        let layer = Layer::random(&mut rng, out_features, in_features, shifts);
        let input = rng.codes(rows * in_features, layer.codes.0, layer.codes.1);
        let p = dense_lanes::Params { rows, in_features, out_features, shifts, out: rng.out() };
        let blob = pack(&layer, &layer.weights);
        let got = guarded(&input, rows * out_features, |input, output| {
            dense_lanes::run(&p, blob.consts(), input, output, Bytes::from_mut(&mut []));
        });
        let mut expected = Vec::new();
        for row in input.chunks(in_features) {
            for (c, weights) in layer.weights.chunks(in_features).enumerate() {
                let products = row.iter().zip(weights).map(|(&q, &w)| i64::from(q) * i64::from(w));
                expected.push(requantize(
                    layer.bias[c] + products.sum::<i64>(),
                    layer.m[c],
                    layer.k[c],
                    p.out,
                ));
            }
        }
        assert_eq!(got, expected, "{p:?}");
        share_inside(&got, p.out)
    });
}
