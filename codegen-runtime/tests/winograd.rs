//! `conv_winograd` against plain loops, with weights transformed here by the
//! matrices of docs/numerics.md.

mod common;

use common::{Blob, CASES, Layer, Rng, guarded, guarded_rows, mostly_inside, requantize, share_inside};
use tinyc_runtime::kernels::conv_winograd;
use tinyc_runtime::view::Bytes;

/// Rows of the kernel transform.
fn matrix(size: usize) -> &'static [[i64; 3]] {
    match size {
        2 => &[[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]],
        _ => &[[6, 0, 0], [-1, -1, -1], [-1, 1, -1], [1, 2, 4], [1, -2, 4], [0, 0, 6]],
    }
}

/// The blob of a layer whose weights are `[channel][3][3][in_c]`.
fn pack(layer: &Layer, in_c: usize, tile: [usize; 2]) -> Blob {
    let channels = layer.bias.len();
    let weight = |channel: usize, ky: usize, kx: usize, input: usize| match channel < channels && input < in_c
    {
        true => i64::from(layer.weights[((channel * 3 + ky) * 3 + kx) * in_c + input]),
        false => 0,
    };
    let mut blob = Blob::new();
    for first in (0..channels).step_by(4) {
        for values in [&layer.bias, &layer.m] {
            blob.words((first..first + 4).map(|c| values.get(c).copied().unwrap_or(0)));
        }
        for row in matrix(tile[0]) {
            for column in matrix(tile[1]) {
                for quad in (0..in_c).step_by(4) {
                    for input in [quad, quad + 1] {
                        for channel in first..first + 4 {
                            for input in [input, input + 2] {
                                let sum: i64 = (0..9)
                                    .map(|tap| (tap / 3, tap % 3))
                                    .map(|(y, x)| row[y] * column[x] * weight(channel, y, x, input))
                                    .sum();
                                blob.bytes(i16::try_from(sum).unwrap().to_le_bytes());
                            }
                        }
                    }
                }
            }
        }
    }
    blob
}

/// An axis: input size, pads before and after.
type Axis = [usize; 3];

fn axis(rng: &mut Rng, most: usize) -> Axis {
    loop {
        let axis = [rng.size(1, most), rng.size(0, 3), rng.size(0, 3)];
        if axis.iter().sum::<usize>() >= 3 {
            return axis;
        }
    }
}

#[repr(align(4))]
struct AlignedBytes([i8; 32768]);

fn check(
    rng: &mut Rng,
    [h, w]: [Axis; 2],
    [in_c, out_c]: [usize; 2],
    tile: [usize; 2],
    layer: &Layer,
) -> f64 {
    let out_size = |axis: Axis| axis.iter().sum::<usize>() - 2;
    let input = rng.codes(h[0] * w[0] * in_c, -128, 127);
    let p = conv_winograd::Params {
        in_h: h[0],
        in_w: w[0],
        in_c,
        out_h: out_size(h),
        out_w: out_size(w),
        out_c,
        pad_top: h[1],
        pad_left: w[1],
        pad_code: rng.range(-128, 127) as i8,
        tile_h: tile[0],
        tile_w: tile[1],
        out: rng.out(),
    };
    let blob = pack(layer, in_c, tile);
    // Whatever the scratch holds at first must not matter.
    let mut scratch = Box::new(AlignedBytes([rng.bits() as i8; 32768]));
    let scratch_len = conv_winograd::scratch_bytes(&p);
    let got = guarded(&input, p.out_h * p.out_w * out_c, |input, output| {
        let scratch = Bytes::from_mut(&mut scratch.0[..scratch_len]);
        conv_winograd::run(&p, blob.consts(), input, output, scratch)
    });
    let rows = (p.out_h, p.out_h, p.out_w * out_c);
    let rows = guarded_rows([(&input, p.in_h)], rows, scratch_len, |[input], output, (y, count), scratch| {
        for first in (y..y + count).step_by(p.tile_h) {
            let part = (first, p.tile_h.min(y + count - first));
            conv_winograd::run_rows(&p, blob.consts(), input, output, part, scratch);
        }
    });
    assert_eq!(rows, got, "{p:?}");
    let out = p.out;
    let mut expected = Vec::new();
    for oy in 0..p.out_h {
        for ox in 0..p.out_w {
            for oc in 0..out_c {
                let mut acc = layer.bias[oc];
                for tap in 0..9 {
                    let (y, x) = ((oy + tap / 3).wrapping_sub(h[1]), (ox + tap % 3).wrapping_sub(w[1]));
                    for c in 0..in_c {
                        let inside = y < h[0] && x < w[0];
                        let code = if inside { input[(y * w[0] + x) * in_c + c] } else { p.pad_code };
                        acc += i64::from(code) * i64::from(layer.weights[(oc * 9 + tap) * in_c + c]);
                    }
                }
                expected.push(requantize(acc, layer.m[oc], 0, out));
            }
        }
    }
    assert_eq!(got, expected, "{p:?}");
    share_inside(&got, out)
}

fn random_shapes(tile: [usize; 2], seed: u64) {
    let mut rng = Rng::new(seed);
    let (size, widest, cases) = if cfg!(miri) { (4, 5, 2) } else { (11, 17, CASES / 2) };
    mostly_inside(0.5, cases, || {
        let axes = [axis(&mut rng, size), axis(&mut rng, size)];
        let channels = [rng.size(1, widest), rng.size(1, widest)];
        let layer = Layer::random(&mut rng, channels[1], 9 * channels[0], false);
        check(&mut rng, axes, channels, tile, &layer)
    });
}

#[test]
fn tiles_of_two_equal_plain_loops() {
    random_shapes([2, 2], 31);
}

#[test]
fn tiles_of_four_equal_plain_loops() {
    random_shapes([4, 4], 32);
}

#[test]
fn tiles_of_two_by_four_equal_plain_loops() {
    random_shapes([2, 4], 34);
}

/// Transformed numbers reach their ends, and the products wrap.
#[test]
#[cfg(not(miri))]
fn extreme_weights_are_exact() {
    let mut rng = Rng::new(33);
    for case in 0..36 {
        let channels = [64, 5];
        let mut layer = Layer::random(&mut rng, channels[1], 9 * channels[0], false);
        for (i, weight) in layer.weights.iter_mut().enumerate() {
            let alternating = if (i / 64) % 2 == 0 { 127 } else { -127 };
            *weight = match case % 4 {
                0 => 127,
                1 => -127,
                2 => alternating,
                _ => [127, -127][rng.size(0, 1)],
            };
        }
        for m in &mut layer.m {
            *m /= 60;
        }
        check(&mut rng, [[5, 1, 1], [6, 1, 1]], channels, [[2, 2], [2, 4], [4, 4]][case / 4 % 3], &layer);
    }
}
