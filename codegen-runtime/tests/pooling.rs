//! `max_pool` and `avg_pool` against plain loops.

mod common;

use common::{Axis, Blob, CASES, Rng, guarded, guarded_rows, no_scratch, requantize};
use tinyc_runtime::kernels::{avg_pool, max_pool, pool_rows};

/// Two axes; with some chance the windows stick out beyond the padding, as
/// rounding the output size up makes them.
fn axes(rng: &mut Rng) -> [Axis; 2] {
    [0, 1].map(|_| {
        let mut axis = Axis::random(rng, if cfg!(miri) { 5 } else { 9 });
        if rng.chance(3) {
            axis.out += 1;
        }
        axis
    })
}

/// The input positions of a window.
fn inside(h: Axis, w: Axis, oy: usize, ox: usize) -> Vec<(usize, usize)> {
    let mut cells = Vec::new();
    for ky in 0..h.kernel {
        for kx in 0..w.kernel {
            if let (Some(y), Some(x)) = (h.inside(oy, ky), w.inside(ox, kx)) {
                cells.push((y, x));
            }
        }
    }
    cells
}

#[test]
fn max_pool_equals_plain_loops() {
    let mut rng = Rng::new(11);
    for _ in 0..CASES {
        let [h, w] = axes(&mut rng);
        let in_c = rng.size(1, 19);
        let input = rng.codes(h.size * w.size * in_c, -128, 127);
        let lo = if rng.chance(2) { -128 } else { rng.range(-128, 20) as i8 };
        let p = max_pool::Params {
            in_h: h.size,
            in_w: w.size,
            in_c,
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
            lo,
            hi: rng.range(lo.into(), 127) as i8,
        };
        let got = guarded(&input, h.out * w.out * in_c, |input, output| {
            with_kernel_rows!(h.kernel, max_pool::run, &p, input, output, no_scratch())
        });
        let back = guarded(&input, h.out * w.out * in_c, |input, output| {
            with_kernel_rows!(h.kernel, max_pool::run_back, &p, input, output, no_scratch())
        });
        assert_eq!(back, got, "{p:?}");
        let rows =
            guarded_rows([(&input, h.size)], (h.out, h.out, w.out * in_c), 0, |[input], out, part, none| {
                max_pool::run_rows::<5>(&p, input, out, part, none);
            });
        assert_eq!(rows, got, "{p:?}");
        let mut expected = Vec::new();
        for oy in 0..h.out {
            for ox in 0..w.out {
                let cells = inside(h, w, oy, ox);
                for c in 0..in_c {
                    let codes = cells.iter().map(|(y, x)| input[(y * w.size + x) * in_c + c]);
                    expected.push(codes.max().unwrap_or(-128).clamp(p.lo, p.hi));
                }
            }
        }
        assert_eq!(got, expected, "{p:?}");
    }
}

#[test]
fn avg_pool_equals_plain_loops() {
    let mut rng = Rng::new(12);
    let mut without_any = 0;
    for _ in 0..CASES {
        let [h, w] = axes(&mut rng);
        let in_c = rng.size(1, 19);
        let input = rng.codes(h.size * w.size * in_c, -128, 127);
        let out = rng.out();
        let p = avg_pool::Params {
            in_h: h.size,
            in_w: w.size,
            in_c,
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
            zero_point_in: rng.range(-128, 127) as i32,
            count_include_pad: rng.chance(2),
            first_count: 1,
            pad_bottom: h.pad_after,
            pad_right: w.pad_after,
            out,
        };
        // One multiplier a divisor: some real ratio of scales over the divisor, as m * 2^k / 2^32.
        let ratio = rng.range(10, 180) as f64 / 100.0;
        let multipliers: Vec<(i64, u32)> = (1..=h.kernel * w.kernel)
            .map(|divisor| {
                let real = ratio / divisor as f64;
                let k = u32::from(real >= 0.5) + u32::from(real >= 1.0);
                ((real * f64::from(1u32 << (31 - k)) * 2.0) as i64, k)
            })
            .collect();
        let mut blob = Blob::new();
        blob.words(multipliers.iter().map(|m| m.0));
        blob.bytes(multipliers.iter().map(|m| m.1 as u8));
        blob.align4();
        let got = guarded(&input, h.out * w.out * in_c, |input, output| {
            with_kernel_rows!(h.kernel, avg_pool::run, &p, blob.consts(), input, output, no_scratch())
        });
        let back = guarded(&input, h.out * w.out * in_c, |input, output| {
            with_kernel_rows!(h.kernel, avg_pool::run_back, &p, blob.consts(), input, output, no_scratch())
        });
        assert_eq!(back, got, "{p:?}");
        let rows =
            guarded_rows([(&input, h.size)], (h.out, h.out, w.out * in_c), 0, |[input], out, part, none| {
                avg_pool::run_rows::<5>(&p, blob.consts(), input, out, part, none);
            });
        assert_eq!(rows, got, "{p:?}");
        let mut expected = Vec::new();
        for oy in 0..h.out {
            for ox in 0..w.out {
                let cells = inside(h, w, oy, ox);
                let mut counted = cells.len();
                if p.count_include_pad {
                    let padded =
                        |a: &Axis, at: i64| at >= -(a.pad as i64) && at < (a.size + a.pad_after) as i64;
                    let rows = (0..h.kernel).filter(|&ky| padded(&h, h.at(oy, ky)));
                    let columns = (0..w.kernel).filter(|&kx| padded(&w, w.at(ox, kx)));
                    counted = rows.count() * columns.count();
                }
                without_any += usize::from(counted == 0);
                for c in 0..in_c {
                    let codes = cells.iter().map(|(y, x)| input[(y * w.size + x) * in_c + c]);
                    let sum: i64 = codes.map(|q| i64::from(q) - i64::from(p.zero_point_in)).sum();
                    expected.push(match counted {
                        0 => out.zero_point.clamp(out.lo, out.hi) as i8,
                        n => requantize(sum, multipliers[n - 1].0, multipliers[n - 1].1, out),
                    });
                }
            }
        }
        assert_eq!(got, expected, "{p:?}");
    }
    assert!(cfg!(miri) || without_any > 0, "no case had a window that counts nothing");
}

/// Sums of up to 256 codes lie in 16 bits, others in 32.
#[test]
fn a_mean_of_all_rows_added_up_one_by_one_equals_plain_loops() {
    let mut rng = Rng::new(13);
    let mut wide = 0;
    for _ in 0..CASES {
        let w = Axis::random(&mut rng, if cfg!(miri) { 5 } else { 9 });
        let in_h = if cfg!(miri) { rng.size(1, 70) } else { rng.size(1, 120) };
        let in_c = rng.size(1, 19);
        let extreme = rng.chance(3);
        let input = match extreme {
            true => vec![-128; in_h * w.size * in_c],
            false => rng.codes(in_h * w.size * in_c, -128, 127),
        };
        let out = rng.out();
        let p = avg_pool::Params {
            in_h,
            in_w: w.size,
            in_c,
            out_h: 1,
            out_w: w.out,
            kernel_h: in_h,
            kernel_w: w.kernel,
            stride_h: 1,
            stride_w: w.stride,
            pad_top: 0,
            pad_left: w.pad,
            dilation_h: 1,
            dilation_w: w.dilation,
            zero_point_in: rng.range(-128, 127) as i32,
            count_include_pad: false,
            first_count: 1,
            pad_bottom: 0,
            pad_right: w.pad_after,
            out,
        };
        assert!(pool_rows::serves(&p), "{p:?}");
        wide += usize::from(in_h * w.kernel > 256);
        // A divisor's multiplier is a little below 2^32 over it: the mean, nearly.
        let multipliers: Vec<(i64, u32)> = (1..=in_h * w.kernel)
            .map(|divisor| {
                let k = u32::from(divisor == 1) + u32::from(divisor <= 2);
                (((1i64 << (32 - k)) - 1) / divisor as i64, k)
            })
            .collect();
        let mut blob = Blob::new();
        blob.words(multipliers.iter().map(|m| m.0));
        blob.bytes(multipliers.iter().map(|m| m.1 as u8));
        blob.align4();
        let sums = pool_rows::scratch_bytes(&p);
        let got =
            guarded_rows([(&input, in_h)], (in_h, 1, w.out * in_c), sums, |[input], out, part, sums| {
                pool_rows::run_rows(&p, blob.consts(), input, out, part, sums);
            });
        let mut expected = Vec::new();
        for ox in 0..w.out {
            let columns: Vec<usize> = (0..w.kernel).filter_map(|kx| w.inside(ox, kx)).collect();
            for c in 0..in_c {
                let mut sum = 0;
                for y in 0..in_h {
                    for x in &columns {
                        let code = input[(y * w.size + x) * in_c + c];
                        sum += i64::from(code) - i64::from(p.zero_point_in);
                    }
                }
                expected.push(match in_h * columns.len() {
                    0 => out.zero_point.clamp(out.lo, out.hi) as i8,
                    n => requantize(sum, multipliers[n - 1].0, multipliers[n - 1].1, out),
                });
            }
        }
        assert_eq!(got, expected, "{p:?}");
    }
    assert!(cfg!(miri) || wide > 0, "no case had sums of 32 bits");
}

#[test]
fn a_two_by_two_mean_rounds_ties_up() {
    // Codes 1, 2, 2, 1 (zero point 0): 1.5 -> 2. Codes -1, -2, -2, -1: -1.5 -> -1.
    let p = avg_pool::Params {
        in_h: 2,
        in_w: 4,
        in_c: 1,
        out_h: 1,
        out_w: 2,
        kernel_h: 2,
        kernel_w: 2,
        stride_h: 2,
        stride_w: 2,
        pad_top: 0,
        pad_left: 0,
        dilation_h: 1,
        dilation_w: 1,
        zero_point_in: 0,
        count_include_pad: false,
        first_count: 1,
        pad_bottom: 0,
        pad_right: 0,
        out: tinyc_runtime::requant::Out { zero_point: 0, lo: -128, hi: 127 },
    };
    let mut blob = Blob::new();
    blob.words([0, 0, 0, 1 << 30]);
    blob.bytes([0; 4]);
    let got = guarded(&[1, 2, -1, -2, 2, 1, -2, -1], 2, |input, output| {
        avg_pool::run::<2>(&p, blob.consts(), input, output, no_scratch());
    });
    assert_eq!(got, [2, -1]);
}
