//! Walks several strided tensors of one shape at once.
//!
//! In: a shape, and a tensor's strides in elements for each axis (0 repeats the
//! element: broadcasting). Out: where each innermost line of each tensor begins,
//! in row-major order. Invariant: nothing is visited where an axis is empty.

/// Calls `line` with the offset of each tensor's line along the last axis, for
/// every index of the other axes.
#[inline(always)]
pub fn lines<const AXES: usize, const TENSORS: usize>(
    shape: [usize; AXES],
    strides: [[usize; AXES]; TENSORS],
    mut line: impl FnMut([usize; TENSORS]),
) {
    if shape.contains(&0) {
        return;
    }
    let mut index = [0usize; AXES];
    let mut offsets = [0usize; TENSORS];
    loop {
        line(offsets);
        // An odometer: the last axis belongs to the line, the others count up from the right.
        let mut wrapped = true;
        for (axis, (count, size)) in index.iter_mut().zip(shape).enumerate().rev().skip(1) {
            *count += 1;
            wrapped = *count == size;
            for (offset, strides) in offsets.iter_mut().zip(&strides) {
                let stride = strides.get(axis).copied().unwrap_or(0);
                *offset = if wrapped { *offset - (size - 1) * stride } else { *offset + stride };
            }
            if !wrapped {
                break;
            }
            *count = 0;
        }
        if wrapped {
            return;
        }
    }
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
