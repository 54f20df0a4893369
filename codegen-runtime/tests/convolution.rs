//! `conv2d`, `depthwise` and `dense` against plain loops.

mod common;

use common::{
    Axis, CASES, Classes, Layer, Rng, guarded, guarded_rows, mostly_inside, no_scratch, requantize,
    share_inside,
};
use tinyc_runtime::kernels::{conv2d, conv2d_borders, dense, depthwise};

/// Runs a random convolution with these channels; returns the share of codes
/// that did not saturate.
fn check_conv2d(rng: &mut Rng, [h, w]: [Axis; 2], groups: usize, group_in: usize, group_out: usize) -> f64 {
    let (in_c, out_c) = (groups * group_in, groups * group_out);
    let taps = h.kernel * w.kernel * group_in;
    let shifts = rng.chance(3);
    let layer = Layer::random(rng, out_c, taps, shifts);
    let input = rng.codes(h.size * w.size * in_c, layer.codes.0, layer.codes.1);
    let p = conv2d::Params {
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
        groups,
        pad_code: rng.range(layer.codes.0, layer.codes.1) as i8,
        shifts,
        out: rng.out(),
    };
    let mut blob = layer.blob();
    let got = guarded(&input, h.out * w.out * out_c, |input, output| {
        with_kernel_rows!(h.kernel, conv2d::run, &p, blob.consts(), input, output, no_scratch())
    });
    let back = guarded(&input, h.out * w.out * out_c, |input, output| {
        with_kernel_rows!(h.kernel, conv2d::run_back, &p, blob.consts(), input, output, no_scratch())
    });
    assert_eq!(back, got, "{p:?}");
    let rows =
        guarded_rows([(&input, h.size)], (h.out, h.out, w.out * out_c), 0, |[input], out, part, none| {
            conv2d::run_rows::<5>(&p, blob.consts(), input, out, part, none);
        });
    assert_eq!(rows, got, "{p:?}");
    let classes = Classes::random(rng, [h.out, w.out], out_c);
    classes.append(&mut blob);
    let bordered = (groups == 1).then(|| {
        let bordered = guarded(&input, h.out * w.out * out_c, |input, output| {
            with_kernel_rows!(h.kernel, conv2d_borders::run, &p, blob.consts(), input, output, no_scratch())
        });
        let rows =
            guarded_rows([(&input, h.size)], (h.out, h.out, w.out * out_c), 0, |[input], out, part, none| {
                conv2d_borders::run_rows::<5>(&p, blob.consts(), input, out, part, none);
            });
        assert_eq!(rows, bordered, "{p:?}");
        bordered
    });
    let (mut expected, mut at_borders) = (Vec::new(), Vec::new());
    for oy in 0..h.out {
        for ox in 0..w.out {
            for oc in 0..out_c {
                let mut acc = layer.bias[oc];
                for ky in 0..h.kernel {
                    for kx in 0..w.kernel {
                        for c in 0..group_in {
                            let ic = oc / group_out * group_in + c;
                            let code = match (h.inside(oy, ky), w.inside(ox, kx)) {
                                (Some(y), Some(x)) => input[(y * w.size + x) * in_c + ic],
                                _ => p.pad_code,
                            };
                            let weight = layer.weights[((oc * h.kernel + ky) * w.kernel + kx) * group_in + c];
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
    assert!(bordered.is_none_or(|bordered| bordered == at_borders), "{p:?}");
    share_inside(&got, p.out)
}

fn check_depthwise(rng: &mut Rng, [h, w]: [Axis; 2], in_c: usize, multiplier: usize) -> f64 {
    let out_c = in_c * multiplier;
    let shifts = rng.chance(3);
    let layer = Layer::random(rng, out_c, h.kernel * w.kernel, shifts);
    let input = rng.codes(h.size * w.size * in_c, layer.codes.0, layer.codes.1);
    let p = depthwise::Params {
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
        multiplier,
        pad_code: rng.range(layer.codes.0, layer.codes.1) as i8,
        shifts,
        out: rng.out(),
    };
    let blob = layer.blob();
    let got = guarded(&input, h.out * w.out * out_c, |input, output| {
        with_kernel_rows!(h.kernel, depthwise::run, &p, blob.consts(), input, output, no_scratch())
    });
    let back = guarded(&input, h.out * w.out * out_c, |input, output| {
        with_kernel_rows!(h.kernel, depthwise::run_back, &p, blob.consts(), input, output, no_scratch())
    });
    assert_eq!(back, got, "{p:?}");
    let rows =
        guarded_rows([(&input, h.size)], (h.out, h.out, w.out * out_c), 0, |[input], out, part, none| {
            depthwise::run_rows::<5>(&p, blob.consts(), input, out, part, none);
        });
    assert_eq!(rows, got, "{p:?}");
    let mut expected = Vec::new();
    for oy in 0..h.out {
        for ox in 0..w.out {
            for oc in 0..out_c {
                let mut acc = layer.bias[oc];
                for ky in 0..h.kernel {
                    for kx in 0..w.kernel {
                        let code = match (h.inside(oy, ky), w.inside(ox, kx)) {
                            (Some(y), Some(x)) => input[(y * w.size + x) * in_c + oc / multiplier],
                            _ => p.pad_code,
                        };
                        acc += i64::from(code) * i64::from(layer.weights[(ky * w.kernel + kx) * out_c + oc]);
                    }
                }
                expected.push(requantize(acc, layer.m[oc], layer.k[oc], p.out));
            }
        }
    }
    assert_eq!(got, expected, "{p:?}");
    share_inside(&got, p.out)
}

#[test]
fn conv2d_equals_plain_loops() {
    let mut rng = Rng::new(1);
    let sizes = if cfg!(miri) { 5 } else { 9 };
    mostly_inside(0.5, CASES, || {
        let axes = [Axis::random(&mut rng, sizes), Axis::random(&mut rng, sizes)];
        let groups = if rng.chance(3) { rng.size(2, 4) } else { 1 };
        let widest = if groups == 1 && !cfg!(miri) { 19 } else { 5 };
        let (group_in, group_out) = (rng.size(1, widest), rng.size(1, widest));
        check_conv2d(&mut rng, axes, groups, group_in, group_out)
    });
}

#[test]
fn conv2d_over_time_and_pointwise() {
    let mut rng = Rng::new(2);
    let unit = Axis { size: 1, kernel: 1, stride: 1, pad: 0, pad_after: 0, dilation: 1, out: 1 };
    mostly_inside(0.5, CASES / 3, || {
        let time = Axis::random(&mut rng, 11);
        let (a, b) = (rng.size(1, 6), rng.size(1, 9));
        let line = Axis { size: 5, out: 5, ..unit };
        let shares = [
            check_conv2d(&mut rng, [time, unit], 1, a, b),
            check_conv2d(&mut rng, [unit, time], 1, a, b),
            check_conv2d(&mut rng, [line, line], 1, a + 16, b),
        ];
        shares.iter().sum::<f64>() / 3.0
    });
}

#[test]
fn depthwise_equals_plain_loops() {
    let mut rng = Rng::new(3);
    let sizes = if cfg!(miri) { 5 } else { 9 };
    mostly_inside(0.5, CASES, || {
        let axes = [Axis::random(&mut rng, sizes), Axis::random(&mut rng, sizes)];
        let in_c = rng.size(1, if cfg!(miri) { 21 } else { 39 });
        let multiplier = if rng.chance(3) { rng.size(2, 3) } else { 1 };
        check_depthwise(&mut rng, axes, in_c, multiplier)
    });
}

#[test]
fn dense_equals_plain_loops() {
    let mut rng = Rng::new(4);
    mostly_inside(0.5, CASES, || {
        let (rows, shifts) = (rng.size(1, 3), rng.chance(3));
        let (in_features, out_features) = (rng.size(1, 70), rng.size(1, 13));
        let layer = Layer::random(&mut rng, out_features, in_features, shifts);
        let input = rng.codes(rows * in_features, layer.codes.0, layer.codes.1);
        let p = dense::Params { rows, in_features, out_features, shifts, out: rng.out() };
        let blob = layer.blob();
        let got = guarded(&input, rows * out_features, |input, output| {
            dense::run(&p, blob.consts(), input, output, no_scratch())
        });
        let mut expected = Vec::new();
        for row in 0..rows {
            for o in 0..out_features {
                let mut acc = layer.bias[o];
                for i in 0..in_features {
                    let product = i64::from(input[row * in_features + i])
                        * i64::from(layer.weights[o * in_features + i]);
                    acc += product;
                }
                expected.push(requantize(acc, layer.m[o], layer.k[o], p.out));
            }
        }
        assert_eq!(got, expected, "{p:?}");
        share_inside(&got, p.out)
    });
}
