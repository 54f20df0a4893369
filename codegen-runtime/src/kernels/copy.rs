//! Strided copy: transposition, parts of a concatenation, slices, padding.
//!
//! In: a tensor with any strides. Out: a tensor with any strides. Invariant:
//! where `fill` is not asked for, only the addressed elements are written.
//!
//! Constants: none.

use super::super::view::Bytes;
use super::strides;

/// A copy. Offsets and strides are in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The shape that is copied; leading axes of 1 where there are fewer than 6.
    pub dims: [usize; 6],
    /// Where in the input the first element is.
    pub in_offset: usize,
    /// Elements from one index to the next along each axis of the input.
    pub in_strides: [usize; 6],
    /// Where in the output the first element goes.
    pub out_offset: usize,
    /// Elements from one index to the next along each axis of the output.
    pub out_strides: [usize; 6],
    /// Whether the whole output is set to `fill_code` first.
    pub fill: bool,
    /// The code to fill with.
    pub fill_code: i8,
    /// Elements of the whole output.
    pub out_len: usize,
}

/// Private bytes of the arena that the kernel needs.
pub const fn scratch_bytes(_p: &Params) -> usize {
    0
}

/// The whole tensor.
#[inline(always)]
pub fn run(p: &Params, input: Bytes<'_>, output: Bytes<'_>, _scratch: Bytes<'_>) {
    step(p, input, output);
}

/// The whole tensor too: rows of a transposition are no unit of work.
#[inline(never)]
pub fn step(p: &Params, input: Bytes<'_>, output: Bytes<'_>) {
    if p.fill {
        output.fill(p.fill_code, p.out_len);
    }
    let [.., len] = p.dims;
    let ([.., in_stride], [.., out_stride]) = (p.in_strides, p.out_strides);
    strides::lines(p.dims, [p.in_strides, p.out_strides], |[from, to]| {
        let from = input.sub(p.in_offset + from, strides::reach(len, in_stride));
        let to = output.sub(p.out_offset + to, strides::reach(len, out_stride));
        if in_stride == 1 && out_stride == 1 {
            to.copy_from(from, len);
        } else {
            for i in 0..len {
                to.set(i * out_stride, from.get(i * in_stride));
            }
        }
    });
}
