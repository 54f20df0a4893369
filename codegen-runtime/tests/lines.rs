//! `depthwise_lines` against plain loops, with constants packed here from the description
//! of the format.

mod common;

use common::{Axis, Blob, CASES, Layer, Rng, guarded, mostly_inside, requantize, share_inside};
use tinyc_runtime::kernels::depthwise_lines;
use tinyc_runtime::rows::Rows;
use tinyc_runtime::view::Bytes;

const SCRATCH: usize = 8192;

#[repr(align(4))]
struct AlignedBytes([i8; SCRATCH]);

fn axis(rng: &mut Rng, longest: usize, kernel: usize, stride: usize) -> Axis {
    loop {
        let pads = if kernel == 1 { 0 } else { kernel };
        let (size, pad, pad_after) = (rng.size(1, longest), rng.size(0, pads), rng.size(0, pads));
        if size + pad + pad_after >= kernel {
            let out = (size + pad + pad_after - kernel) / stride + 1;
            return Axis { size, kernel, stride, pad, pad_after, dilation: 1, out };
        }
    }
}

#[test]
fn any_kernel_equals_plain_loops() {
    let mut rng = Rng::new(91);
    let longest = if cfg!(miri) { 9 } else { 40 };
    mostly_inside(0.3, CASES, || {
        let down = rng.chance(3);
        let [kernel_h, kernel_w] = if down { [rng.size(2, 30), 1] } else { [rng.size(1, 8), rng.size(1, 8)] };
        let [stride_h, stride_w] = [rng.size(1, 2), rng.size(1, 2)];
        let h = axis(&mut rng, longest, kernel_h, stride_h);
        let w = axis(&mut rng, if down { 3 } else { longest }, kernel_w, stride_w);
        let channels = rng.size(4, 9);
        let layer = Layer::random(&mut rng, channels, kernel_h * kernel_w, false);
        let input = rng.codes(h.size * w.size * channels, -128, 127);
        let p = depthwise_lines::Params {
            in_h: h.size,
            in_w: w.size,
            channels,
            out_h: h.out,
            out_w: w.out,
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            pad_top: h.pad,
            pad_left: w.pad,
            pad_code: rng.range(-128, 127) as i8,
            rows: 0,
            columns: 0,
            out: rng.out(),
        };
        let (rows, columns) = (rng.size(1, p.most_rows()), rng.size(1, p.most_columns()));
        let p = depthwise_lines::Params { rows, columns, ..p };
        let mut blob = Blob::new();
        for first in (0..channels).step_by(4).map(|first| first.min(channels - 4)) {
            blob.words(layer.bias[first..first + 4].iter().copied());
            blob.words(layer.m[first..first + 4].iter().copied());
            let taps = kernel_h * kernel_w;
            blob.bytes((0..4 * taps).map(|i| layer.weights[i / 4 * channels + first + i % 4] as u8));
        }
        let mut scratch = AlignedBytes([rng.bits() as i8; SCRATCH]);
        let scratch_len = depthwise_lines::scratch_bytes(&p);
        let back = rng.chance(2);
        let got = guarded(&input, h.out * w.out * channels, |input, output| {
            let scratch = Bytes::from_mut(&mut scratch.0[..scratch_len]);
            // The portable bodies go by the parameters.
            let run = match (back, p.down()) {
                (false, false) => depthwise_lines::run::<1, 1, 1, false>,
                (false, true) => depthwise_lines::run::<1, 1, 1, true>,
                (true, false) => depthwise_lines::run_back::<1, 1, 1, false>,
                (true, true) => depthwise_lines::run_back::<1, 1, 1, true>,
            };
            run(&p, blob.consts(), input, output, scratch);
        });
        assert_eq!(by_rows(&p, &blob, &input, &mut rng), got, "{p:?}");
        let mut expected = Vec::new();
        for oy in 0..h.out {
            for ox in 0..w.out {
                for c in 0..channels {
                    let mut acc = layer.bias[c];
                    for ky in 0..kernel_h {
                        for kx in 0..kernel_w {
                            let code = match (h.inside(oy, ky), w.inside(ox, kx)) {
                                (Some(y), Some(x)) => input[(y * w.size + x) * channels + c],
                                _ => p.pad_code,
                            };
                            let weight = layer.weights[(kernel_w * ky + kx) * channels + c];
                            acc += i64::from(code) * i64::from(weight);
                        }
                    }
                    expected.push(requantize(acc, layer.m[c], 0, p.out));
                }
            }
        }
        assert_eq!(got, expected, "{p:?}");
        share_inside(&got, p.out)
    });
}

/// In steps of any length, from rows that lie backwards, each apart from the others.
fn by_rows(p: &depthwise_lines::Params, blob: &Blob, input: &[i8], rng: &mut Rng) -> Vec<i8> {
    let (in_row, out_row) = (p.in_w * p.channels, p.out_w * p.channels);
    let scratch_len = depthwise_lines::scratch_bytes(p);
    let outputs = scratch_len + p.in_h * (in_row + 3);
    let place = |row: usize| scratch_len + (p.in_h - 1 - row) * (in_row + 3);
    let len = outputs + p.out_h * out_row + 8;
    let mut memory: Vec<i8> = (0..len + 4).map(|i| (i * 37 + 11) as i8).collect();
    let start = memory.as_ptr().align_offset(4);
    let arena = &mut memory[start..start + len];
    for (row, codes) in input.chunks_exact(in_row).enumerate() {
        arena[place(row)..place(row) + in_row].copy_from_slice(codes);
    }
    let before = arena.to_vec();
    let from: Vec<u16> = (0..p.in_h).map(|row| place(row) as u16).collect();
    let to: Vec<u16> = (0..p.out_h).map(|row| (outputs + row * out_row) as u16).collect();
    {
        let view = Bytes::from_mut(arena);
        let (from, to) = (Rows::new(view, &from, 0, in_row), Rows::new(view, &to, 0, out_row));
        let mut y = 0;
        while y < p.out_h {
            let count = rng.size(1, p.step_rows()).min(p.out_h - y);
            let scratch = view.sub(0, scratch_len);
            if p.down() {
                depthwise_lines::run_rows::<1, 1, 1, true>(p, blob.consts(), from, to, (y, count), scratch);
            } else {
                depthwise_lines::run_rows::<1, 1, 1, false>(p, blob.consts(), from, to, (y, count), scratch);
            }
            y += count;
        }
    }
    let end = outputs + p.out_h * out_row;
    assert_eq!(arena[scratch_len..outputs], before[scratch_len..outputs], "written beside the output");
    assert_eq!(arena[end..], before[end..], "written behind the output");
    arena[outputs..end].to_vec()
}
