//! `copy` against plain loops over coordinates, for the operators it stands for.

mod common;

use common::{CASES, Rng, guarded, no_scratch};
use tinyc_runtime::kernels::copy::{self, Params};

/// The row-major strides of a shape.
fn row_major(dims: [usize; 6]) -> [usize; 6] {
    let mut strides = [1; 6];
    for axis in (0..5).rev() {
        strides[axis] = strides[axis + 1] * dims[axis + 1];
    }
    strides
}

/// Every index of a shape, in row-major order.
fn indices(dims: [usize; 6]) -> Vec<[usize; 6]> {
    let mut all = vec![[0; 6]];
    for axis in 0..6 {
        all = all
            .iter()
            .flat_map(|index| {
                (0..dims[axis]).map(move |i| {
                    let mut index = *index;
                    index[axis] = i;
                    index
                })
            })
            .collect();
    }
    all
}

fn dot(index: [usize; 6], strides: [usize; 6]) -> usize {
    index.iter().zip(strides).map(|(i, s)| i * s).sum()
}

fn shape(rng: &mut Rng) -> [usize; 6] {
    let mut dims = [1; 6];
    for _ in 0..4 {
        dims[rng.size(0, 5)] = rng.size(1, 5);
    }
    dims
}

#[test]
fn transposes() {
    let mut rng = Rng::new(31);
    for _ in 0..CASES / 2 {
        let from = shape(&mut rng);
        let mut order = [0, 1, 2, 3, 4, 5];
        for axis in (1..6).rev() {
            order.swap(axis, rng.size(0, axis));
        }
        let dims = order.map(|axis| from[axis]);
        let strides = row_major(from);
        let len = from.iter().product();
        let input = rng.codes(len, -128, 127);
        // In the order of the output: gathering. In that of the input: scattering.
        let scatter = rng.chance(2);
        let mut scattered = [0; 6];
        for (axis, stride) in order.into_iter().zip(row_major(dims)) {
            scattered[axis] = stride;
        }
        let p = Params {
            dims: if scatter { from } else { dims },
            in_offset: 0,
            in_strides: if scatter { strides } else { order.map(|axis| strides[axis]) },
            out_offset: 0,
            out_strides: if scatter { scattered } else { row_major(dims) },
            fill: false,
            fill_code: 0,
            out_len: len,
        };
        let got = guarded(&input, len, |input, output| copy::run(&p, input, output, no_scratch()));
        let mut expected = vec![0; len];
        for (code, index) in input.iter().zip(indices(from)) {
            expected[dot(order.map(|axis| index[axis]), row_major(dims))] = *code;
        }
        assert_eq!(got, expected, "{p:?}");
    }
}

#[test]
fn pads_and_slices() {
    let mut rng = Rng::new(32);
    for _ in 0..CASES / 2 {
        // A box of the input lands in a box of the output; the rest is filled.
        let dims = shape(&mut rng);
        let grow = |rng: &mut Rng| dims.map(|size| (rng.size(0, 1) * rng.size(0, 2), size + rng.size(0, 2)));
        let (cut, pad) = (grow(&mut rng), grow(&mut rng));
        let (in_begin, in_dims) = (cut.map(|c| c.0), cut.map(|c| c.0 + c.1));
        let (out_begin, out_dims) = (pad.map(|c| c.0), pad.map(|c| c.0 + c.1));
        let input = rng.codes(in_dims.iter().product(), -128, 127);
        let out_len = out_dims.iter().product();
        let p = Params {
            dims,
            in_offset: dot(in_begin, row_major(in_dims)),
            in_strides: row_major(in_dims),
            out_offset: dot(out_begin, row_major(out_dims)),
            out_strides: row_major(out_dims),
            fill: true,
            fill_code: rng.range(-128, 127) as i8,
            out_len,
        };
        let got = guarded(&input, out_len, |input, output| copy::run(&p, input, output, no_scratch()));
        let expected: Vec<i8> = indices(out_dims)
            .into_iter()
            .map(|index| {
                let mut from = [0; 6];
                for axis in 0..6 {
                    match index[axis].checked_sub(out_begin[axis]) {
                        Some(i) if i < dims[axis] => from[axis] = in_begin[axis] + i,
                        _ => return p.fill_code,
                    }
                }
                input[dot(from, row_major(in_dims))]
            })
            .collect();
        assert_eq!(got, expected, "{p:?}");
    }
}

#[test]
fn concatenates_channels_without_touching_the_others() {
    // Two pixels of 3 and of 2 channels make two pixels of 5.
    let part = |channels, out_offset| Params {
        dims: [1, 1, 1, 1, 2, channels],
        in_offset: 0,
        in_strides: [0, 0, 0, 0, channels, 1],
        out_offset,
        out_strides: [0, 0, 0, 0, 5, 1],
        fill: false,
        fill_code: 0,
        out_len: 10,
    };
    let mut second = [7, 8, 9, 10];
    let got = guarded(&[1, 2, 3, 4, 5, 6], 10, |first, output| {
        copy::run(&part(3, 0), first, output, no_scratch());
        let second = tinyc_runtime::view::Bytes::from_mut(&mut second);
        copy::run(&part(2, 3), second, output, no_scratch());
    });
    assert_eq!(got, [1, 2, 3, 7, 8, 4, 5, 6, 9, 10]);
}

#[test]
fn an_empty_axis_copies_nothing() {
    let p = Params {
        dims: [1, 1, 1, 3, 0, 2],
        in_offset: 0,
        in_strides: [0, 0, 0, 0, 2, 1],
        out_offset: 0,
        out_strides: [6, 6, 6, 2, 2, 1],
        fill: true,
        fill_code: 5,
        out_len: 6,
    };
    assert_eq!(guarded(&[], 6, |input, output| copy::run(&p, input, output, no_scratch())), [5; 6]);
}
