//! `sparse` against plain loops, with constants packed here from the description of
//! the format.

mod common;

use common::{Axis, CASES, Layer, Rng, guarded, guarded_rows, requantize};
use tinyc_runtime::kernels::sparse;
use tinyc_runtime::view::Bytes;

fn check(rng: &mut Rng, [h, w]: [Axis; 2], in_c: usize, out_c: usize) {
    let taps = h.kernel * w.kernel * in_c;
    let shifts = rng.chance(4);
    let mut layer = Layer::random(rng, out_c, taps, shifts);
    // From none to all of them.
    let zeros = rng.range(0, 100);
    for weight in &mut layer.weights {
        if rng.range(0, 99) < zeros {
            *weight = 0;
        }
    }
    let input = rng.codes(h.size * w.size * in_c, layer.codes.0, layer.codes.1);
    let p = sparse::Params {
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
        nonzeros: layer.weights.iter().filter(|&&w| w != 0).count(),
        shifts,
        out: rng.out(),
    };
    let weights = std::mem::take(&mut layer.weights);
    let mut blob = layer.blob();
    for channel in weights.chunks(taps) {
        for word in channel.chunks(32) {
            blob.words([word.iter().rev().fold(0, |mask, &w| mask << 1 | i64::from(w != 0))]);
        }
    }
    blob.bytes(weights.iter().filter(|&&w| w != 0).map(|&w| w as u8));
    let mut scratch = vec![rng.bits() as i8; sparse::scratch_bytes(&p)];
    let got = guarded(&input, h.out * w.out * out_c, |input, output| {
        let scratch = Bytes::from_mut(&mut scratch);
        with_kernel_rows!(h.kernel, sparse::run, &p, blob.consts(), input, output, scratch)
    });
    let rows = (h.out, h.out, w.out * out_c);
    let rows = guarded_rows([(&input, h.size)], rows, scratch.len(), |[input], output, part, scratch| {
        sparse::run_rows::<5>(&p, blob.consts(), input, output, part, scratch);
    });
    assert_eq!(rows, got, "{p:?}");
    let mut expected = Vec::new();
    for oy in 0..h.out {
        for ox in 0..w.out {
            for oc in 0..out_c {
                let mut acc = layer.bias[oc];
                for (tap, weight) in weights[oc * taps..][..taps].iter().enumerate() {
                    let (ky, kx, c) = (tap / in_c / w.kernel, tap / in_c % w.kernel, tap % in_c);
                    let code = match (h.inside(oy, ky), w.inside(ox, kx)) {
                        (Some(y), Some(x)) => input[(y * w.size + x) * in_c + c],
                        _ => p.pad_code,
                    };
                    acc += i64::from(code) * i64::from(*weight);
                }
                expected.push(requantize(acc, layer.m[oc], layer.k[oc], p.out));
            }
        }
    }
    assert_eq!(got, expected, "{p:?}");
}

#[test]
fn sparse_convolutions_equal_plain_loops() {
    let mut rng = Rng::new(41);
    let (sizes, widest) = if cfg!(miri) { (4, 5) } else { (9, 19) };
    for _ in 0..CASES {
        let axes = [Axis::random(&mut rng, sizes), Axis::random(&mut rng, sizes)];
        let (in_c, out_c) = (rng.size(1, widest), rng.size(1, widest));
        check(&mut rng, axes, in_c, out_c);
    }
}

#[test]
fn sparse_rows_equal_plain_loops() {
    let mut rng = Rng::new(42);
    for _ in 0..CASES / 2 {
        let axis = |size| Axis { size, kernel: 1, stride: 1, pad: 0, pad_after: 0, dilation: 1, out: size };
        let axes = [axis(1), axis(rng.size(1, 6))];
        let (in_c, out_c) = (rng.size(1, 130), rng.size(1, 9));
        check(&mut rng, axes, in_c, out_c);
    }
}
