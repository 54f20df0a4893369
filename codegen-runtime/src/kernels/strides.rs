//! Walks several strided tensors of one shape at once.
//!
//! In: a shape, and a tensor's strides in elements for each axis (0 repeats the
//! element: broadcasting). Out: where each innermost line of each tensor begins,
//! in row-major order. Invariant: nothing is visited where an axis is empty.

/// Calls `line` with the offset of each tensor's line along the last axis, for
/// every index of the other axes.
#[inline(always)]
pub fn lines<const TENSORS: usize>(
    [a, b, c, d, e, len]: [usize; 6],
    strides: [[usize; 6]; TENSORS],
    mut line: impl FnMut([usize; TENSORS]),
) {
    if len == 0 {
        return;
    }
    for i in 0..a {
        for j in 0..b {
            for k in 0..c {
                for l in 0..d {
                    for m in 0..e {
                        line(strides.map(|[a, b, c, d, e, _]| i * a + j * b + k * c + l * d + m * e));
                    }
                }
            }
        }
    }
}

/// Four axes as six: the first two are of size 1, or of stride 0.
#[inline(always)]
pub const fn six([a, b, c, d]: [usize; 4], leading: usize) -> [usize; 6] {
    [leading, leading, a, b, c, d]
}

/// The row-major strides of `shape`.
#[inline(always)]
pub const fn contiguous([_, b, c, d]: [usize; 4]) -> [usize; 4] {
    [b * c * d, c * d, d, 1]
}

/// The length and the strides of the only line, if two operands of `shape` make
/// a single one with the row-major result: both as long as it and row-major, or
/// one of them a single repeated element.
#[inline(always)]
pub fn joined(shape: [usize; 4], a: [usize; 4], b: [usize; 4]) -> Option<(usize, usize, usize)> {
    let stride = |strides: [usize; 4]| {
        // The stride of an axis of size 1 is never used.
        let like = |other: [usize; 4]| {
            shape.iter().zip(strides.iter().zip(other)).all(|(&size, (&a, b))| size == 1 || a == b)
        };
        if like(contiguous(shape)) {
            Some(1)
        } else if like([0; 4]) {
            Some(0)
        } else {
            None
        }
    };
    let [h, i, j, k] = shape;
    Some((h * i * j * k, stride(a)?, stride(b)?))
}

/// The elements from the first to the last of a line of `len`, both included.
#[inline(always)]
pub const fn reach(len: usize, stride: usize) -> usize {
    len.saturating_sub(1) * stride + 1
}
