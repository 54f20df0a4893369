//! `conv_tile`, `dense_tile` and `depthwise_quad` against plain loops, with constants packed here
//! from the description of the format.

mod common;

use common::{
    Axis, Blob, CASES, Classes, Layer, Rng, guarded, guarded_rows, mostly_inside, no_scratch, requantize,
    share_inside,
};
use tinyc_runtime::kernels::{conv_tile, conv_tile_borders, dense_tile, depthwise_quad};
use tinyc_runtime::requant::Out;
use tinyc_runtime::view::Bytes;

/// Where inputs go: of every four a, b, c, d two words, (a, c) and (b, d).
fn in_fours(input: usize) -> usize {
    input / 4 * 4 + [0, 2, 1, 3][input % 4]
}

/// Where each input `[ky][kx][channel]` of a window goes, and how many words there are.
fn places([kernel_h, kernel_w, in_c]: [usize; 3], own: bool, fours: bool) -> (Vec<usize>, usize) {
    let mut places = Vec::new();
    let column = (kernel_h * in_c).div_ceil(2);
    for ky in 0..kernel_h {
        for kx in 0..kernel_w {
            for c in 0..in_c {
                let input = ky * in_c + c;
                places.push(match in_c {
                    _ if own => in_fours(c),
                    _ if fours => in_fours(4 * ky + kx * in_c + c),
                    _ if in_c % 4 == 0 => kx * 2 * column + in_fours(input),
                    3 if c == 1 => kx * 2 * column + 2 * kernel_h + ky,
                    3 => kx * 2 * column + 2 * ky + c / 2,
                    _ => kx * 2 * column + input,
                });
            }
        }
    }
    let words = if own {
        2 * in_c.div_ceil(4)
    } else if fours {
        2 * kernel_h
    } else {
        kernel_w * column
    };
    (places, words.max(2))
}

/// The blob of a layer whose weights are `[channel][input]`.
fn pack(layer: &Layer, (places, words): (Vec<usize>, usize), dual: bool) -> Blob {
    let channels = layer.bias.len();
    let taps = layer.weights.len() / channels;
    let mut inputs = vec![None; 2 * words];
    places.iter().enumerate().for_each(|(input, &place)| inputs[place] = Some(input));
    let weight = |channel: usize, place: usize| match inputs[place] {
        Some(input) if channel < channels => i64::from(layer.weights[channel * taps + input]),
        _ => 0,
    };
    let or_zero = |values: &[i64], channel: usize| values.get(channel).copied().unwrap_or(0);
    let mut blob = Blob::new();
    for first in (0..channels).step_by(4) {
        // One or two channels at the end are half a block, unless it is a small or a large one.
        let halves = channels - first <= 2 && (12..=64).contains(&words);
        let pairs = if halves { vec![first] } else { vec![first, first + 2] };
        for &a in &pairs {
            let (bias_a, bias_b) = (or_zero(&layer.bias, a), or_zero(&layer.bias, a + 1));
            blob.words(if dual { [256 * bias_b + bias_a, bias_a] } else { [bias_b, bias_a] });
        }
        for place in (0..2 * words).step_by(2) {
            for &a in &pairs {
                let (a0, a1) = (weight(a, place), weight(a, place + 1));
                let (b0, b1) = (weight(a + 1, place), weight(a + 1, place + 1));
                if dual {
                    blob.bytes(((256 * b0 + a0) as i16).to_le_bytes());
                    blob.bytes(((256 * b1 + a1) as i16).to_le_bytes());
                } else {
                    blob.bytes([a0, b0, a1, b1].map(|w| w as u8));
                }
            }
        }
        blob.words((first..first + 2 * pairs.len()).map(|channel| or_zero(&layer.m, channel)));
    }
    if layer.shifts {
        blob.bytes(layer.k.iter().map(|&k| k as u8));
        blob.align4();
    }
    blob
}

/// Whether 24 bits hold every accumulator of the odd channels.
fn fits(layer: &Layer) -> bool {
    let taps = layer.weights.len() / layer.bias.len();
    layer.bias.iter().zip(layer.weights.chunks(taps)).skip(1).step_by(2).all(|(bias, weights)| {
        let reach: i64 = weights.iter().map(|&w| i64::from(w).abs()).sum();
        bias.abs() + 128 * reach < 1 << 23
    })
}

/// Full range most of the time: that is what the fast variant is for.
fn out(rng: &mut Rng) -> Out {
    let narrow = rng.out();
    if rng.chance(3) { narrow } else { Out { lo: -128, hi: 127, ..narrow } }
}

fn check_conv(rng: &mut Rng, [h, w]: [Axis; 2], in_c: usize, out_c: usize) -> f64 {
    let taps = h.kernel * w.kernel * in_c;
    let shifts = rng.chance(4);
    let layer = Layer::random(rng, out_c, taps, shifts);
    let input = rng.codes(h.size * w.size * in_c, layer.codes.0, layer.codes.1);
    let p = conv_tile::Params {
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
        strip: rng.size(1, 4),
        dual: fits(&layer) && !rng.chance(4),
        shifts,
        out: out(rng),
    };
    let last = |a: Axis| (a.out - 1) * a.stride < a.size;
    let own = [h, w].iter().all(|a| a.kernel == 1 && a.pad == 0 && last(*a));
    let fours = w.kernel * in_c == 4 && w.dilation == 1 && w.size >= w.kernel;
    let mut blob = pack(&layer, places([h.kernel, w.kernel, in_c], own, fours), p.dual);
    // Whatever the scratch holds at first must not matter.
    let mut scratch = AlignedBytes([rng.bits() as i8; SCRATCH]);
    let scratch_len = conv_tile::scratch_bytes(&p);
    let got = guarded(&input, h.out * w.out * out_c, |input, output| {
        let scratch = Bytes::from_mut(&mut scratch.0[..scratch_len]);
        with_kernel_rows!(h.kernel, conv_tile::run, &p.layer(), blob.consts(), input, output, scratch)
    });
    let rows = (h.out, h.out, w.out * out_c);
    let rows = guarded_rows([(&input, h.size)], rows, scratch_len, |[input], output, part, scratch| {
        conv_tile::run_rows::<15, 3>(&p.layer(), blob.consts(), input, output, part, scratch);
    });
    assert_eq!(rows, got, "{p:?}");
    let classes = Classes::random(rng, [h.out, w.out], out_c);
    classes.append(&mut blob);
    let bordered = guarded(&input, h.out * w.out * out_c, |input, output| {
        let scratch = Bytes::from_mut(&mut scratch.0[..scratch_len]);
        with_kernel_rows!(h.kernel, conv_tile_borders::run, &p.layer(), blob.consts(), input, output, scratch)
    });
    let rows = (h.out, h.out, w.out * out_c);
    let rows = guarded_rows([(&input, h.size)], rows, scratch_len, |[input], output, part, scratch| {
        conv_tile_borders::run_rows::<15, 3>(&p.layer(), blob.consts(), input, output, part, scratch);
    });
    assert_eq!(rows, bordered, "{p:?}");
    let (mut expected, mut at_borders) = (Vec::new(), Vec::new());
    for oy in 0..h.out {
        for ox in 0..w.out {
            for oc in 0..out_c {
                let mut acc = layer.bias[oc];
                for ky in 0..h.kernel {
                    for kx in 0..w.kernel {
                        for c in 0..in_c {
                            let code = match (h.inside(oy, ky), w.inside(ox, kx)) {
                                (Some(y), Some(x)) => input[(y * w.size + x) * in_c + c],
                                _ => p.pad_code,
                            };
                            let weight = layer.weights[((oc * h.kernel + ky) * w.kernel + kx) * in_c + c];
                            acc += i64::from(code) * i64::from(weight);
                        }
                    }
                }
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

const SCRATCH: usize = 16384;

#[repr(align(4))]
struct AlignedBytes([i8; SCRATCH]);

#[test]
fn conv_tile_equals_plain_loops() {
    let mut rng = Rng::new(21);
    let sizes = if cfg!(miri) { 4 } else { 9 };
    mostly_inside(0.5, CASES, || {
        let axes = [Axis::random(&mut rng, sizes), Axis::random(&mut rng, sizes)];
        let widest = if cfg!(miri) { 5 } else { 19 };
        let (in_c, out_c) = (rng.size(1, widest), rng.size(1, widest));
        check_conv(&mut rng, axes, in_c, out_c)
    });
}

#[test]
fn conv_tile_pointwise_crosses_row_ends() {
    let mut rng = Rng::new(22);
    mostly_inside(0.5, CASES / 2, || {
        let axis = |size| Axis { size, kernel: 1, stride: 1, pad: 0, pad_after: 0, dilation: 1, out: size };
        let axes = [axis(rng.size(1, 4)), axis(rng.size(1, 5))];
        let (in_c, out_c) = (rng.size(1, 70), rng.size(1, 21));
        check_conv(&mut rng, axes, in_c, out_c)
    });
}

#[test]
fn conv_tile_pointwise_in_place() {
    let mut rng = Rng::new(23);
    for _ in 0..CASES / 3 {
        let (pixels, in_c) = (rng.size(1, 9), rng.size(1, 30));
        let out_c = rng.size(1, in_c);
        let layer = Layer::random(&mut rng, out_c, in_c, false);
        let input = rng.codes(pixels * in_c, -128, 127);
        let p = conv_tile::Params {
            in_h: 1,
            in_w: pixels,
            in_c,
            out_h: 1,
            out_w: pixels,
            out_c,
            kernel_h: 1,
            kernel_w: 1,
            stride_h: 1,
            stride_w: 1,
            pad_top: 0,
            pad_left: 0,
            dilation_h: 1,
            dilation_w: 1,
            pad_code: 0,
            strip: 1 + pixels % 3,
            dual: true,
            shifts: false,
            out: Out { zero_point: 3, lo: -128, hi: 127 },
        };
        let blob = pack(&layer, places([1, 1, in_c], true, false), true);
        let mut scratch = AlignedBytes([0; SCRATCH]);
        let mut bytes = input.clone();
        let arena = Bytes::from_mut(&mut bytes);
        let output = arena.sub(0, pixels * out_c);
        let scratch = Bytes::from_mut(&mut scratch.0[..conv_tile::scratch_bytes(&p)]);
        conv_tile::run::<1>(&p.layer(), blob.consts(), arena, output, scratch);
        for pixel in 0..pixels {
            for oc in 0..out_c {
                let products = (0..in_c)
                    .map(|c| i64::from(input[pixel * in_c + c]) * i64::from(layer.weights[oc * in_c + c]));
                let expected = requantize(layer.bias[oc] + products.sum::<i64>(), layer.m[oc], 0, p.out);
                assert_eq!(bytes[pixel * out_c + oc], expected, "pixel {pixel}, channel {oc} of {p:?}");
            }
        }
    }
}

#[test]
fn dense_tile_equals_plain_loops() {
    let mut rng = Rng::new(24);
    mostly_inside(0.5, CASES, || {
        let (rows, shifts) = (rng.size(1, 3), rng.chance(4));
        // Now and then around the largest block of which half can be left out.
        let in_features = if rng.chance(8) { rng.size(120, 136) } else { rng.size(1, 70) };
        let out_features = rng.size(1, 13);
        let layer = Layer::random(&mut rng, out_features, in_features, shifts);
        let input = rng.codes(rows * in_features, layer.codes.0, layer.codes.1);
        let dual = fits(&layer) && !rng.chance(4);
        let p = dense_tile::Params { rows, in_features, out_features, dual, shifts, out: out(&mut rng) };
        let blob = pack(&layer, places([1, 1, in_features], true, false), dual);
        let mut scratch = AlignedBytes([rng.bits() as i8; SCRATCH]);
        let got = guarded(&input, rows * out_features, |input, output| {
            let scratch = Bytes::from_mut(&mut scratch.0[..dense_tile::scratch_bytes(&p)]);
            dense_tile::run(&p, blob.consts(), input, output, scratch)
        });
        let mut expected = Vec::new();
        for row in 0..rows {
            for o in 0..out_features {
                let products = (0..in_features).map(|i| {
                    i64::from(input[row * in_features + i]) * i64::from(layer.weights[o * in_features + i])
                });
                let acc = layer.bias[o] + products.sum::<i64>();
                expected.push(requantize(acc, layer.m[o], layer.k[o], p.out));
            }
        }
        assert_eq!(got, expected, "{p:?}");
        share_inside(&got, p.out)
    });
}

/// Accumulators at the very ends of the 24 bits that packing in pairs allows.
#[test]
fn dual_packing_reaches_its_limits() {
    // 516 weights of 127 are 65,532: with inputs of -128 and a bias, every bit is used.
    let len = 516;
    let reach = 128 * 127 * len as i64;
    for (weight, code, bias) in [(127i8, -128i8, -((1 << 23) - reach)), (-127, -128, (1 << 23) - 1 - reach)] {
        let layer = Layer {
            bias: vec![bias; 4],
            m: vec![(127 * (1i64 << 32) + (1 << 22)) >> 23; 4],
            k: vec![0; 4],
            weights: vec![weight; 4 * len],
            shifts: false,
            codes: (-128, 127),
        };
        let p = dense_tile::Params {
            rows: 1,
            in_features: len,
            out_features: 4,
            dual: true,
            shifts: false,
            out: Out { zero_point: 0, lo: -128, hi: 127 },
        };
        let blob = pack(&layer, places([1, 1, len], true, false), true);
        let got = guarded(&vec![code; len], 4, |input, output| {
            dense_tile::run(&p, blob.consts(), input, output, no_scratch())
        });
        assert_eq!(got, [if weight < 0 { 127 } else { -127 }; 4]);
    }
}

#[test]
fn depthwise_quad_equals_plain_loops() {
    let mut rng = Rng::new(25);
    let longest = if cfg!(miri) { 9 } else { 40 };
    mostly_inside(0.5, CASES, || {
        let stride = rng.size(1, 2);
        let axis = |rng: &mut Rng| loop {
            let (size, pad, pad_after) = (rng.size(1, longest), rng.size(0, 2), rng.size(0, 2));
            if size + pad + pad_after >= 3 {
                let out = (size + pad + pad_after - 3) / stride + 1;
                return Axis { size, kernel: 3, stride, pad, pad_after, dilation: 1, out };
            }
        };
        let (h, w) = (axis(&mut rng), axis(&mut rng));
        let channels = rng.size(4, 13);
        let layer = Layer::random(&mut rng, channels, 9, false);
        let input = rng.codes(h.size * w.size * channels, -128, 127);
        let p = depthwise_quad::Params {
            in_h: h.size,
            in_w: w.size,
            channels,
            out_h: h.out,
            out_w: w.out,
            stride,
            pad_top: h.pad,
            pad_left: w.pad,
            pad_code: rng.range(-128, 127) as i8,
            rows: rng.size(1, depthwise_quad::MOST_ROWS / stride),
            columns: 2 * rng.size(1, depthwise_quad::MOST_COLUMNS / stride / 2),
            out: rng.out(),
        };
        let mut blob = Blob::new();
        for first in (0..channels).step_by(4) {
            let group = first..channels.min(first + 4);
            blob.words(group.clone().flat_map(|c| [layer.bias[c], layer.m[c]]));
            blob.bytes(vec![0xEE; 4 - group.len()]);
            blob.bytes(
                group
                    .flat_map(|c| (0..9).map(move |tap| (c, tap)))
                    .map(|(c, tap)| layer.weights[tap * channels + c] as u8),
            );
        }
        let mut scratch = AlignedBytes([rng.bits() as i8; SCRATCH]);
        let scratch_len = depthwise_quad::scratch_bytes(&p);
        let back = rng.chance(2);
        let got = guarded(&input, h.out * w.out * channels, |input, output| {
            let scratch = Bytes::from_mut(&mut scratch.0[..scratch_len]);
            if back {
                depthwise_quad::run_back::<3>(&p.layer(), blob.consts(), input, output, scratch);
            } else {
                depthwise_quad::run::<3>(&p.layer(), blob.consts(), input, output, scratch);
            }
        });
        let rows = (h.out, h.out, w.out * channels);
        let rows = guarded_rows([(&input, h.size)], rows, scratch_len, |[input], output, part, scratch| {
            for y in part.0..part.0 + part.1 {
                depthwise_quad::run_rows(&p.layer(), blob.consts(), input, output, (y, 1), scratch);
            }
        });
        assert_eq!(rows, got, "{p:?}");
        let out = p.out;
        let mut expected = Vec::new();
        for oy in 0..h.out {
            for ox in 0..w.out {
                for c in 0..channels {
                    let mut acc = layer.bias[c];
                    for ky in 0..3 {
                        for kx in 0..3 {
                            let code = match (h.inside(oy, ky), w.inside(ox, kx)) {
                                (Some(y), Some(x)) => input[(y * w.size + x) * channels + c],
                                _ => p.pad_code,
                            };
                            let weight = layer.weights[(3 * ky + kx) * channels + c];
                            acc += i64::from(code) * i64::from(weight);
                        }
                    }
                    expected.push(requantize(acc, layer.m[c], 0, out));
                }
            }
        }
        assert_eq!(got, expected, "{p:?}");
        share_inside(&got, out)
    });
}
