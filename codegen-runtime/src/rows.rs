//! Where a window meets its input: which rows, and which columns of a row.
//!
//! In: geometry. Out: views of rows, or ranges of taps. Invariant: what is
//! returned lies inside the input; everything else is padding.

use super::view::Bytes;

/// The `KH` input rows of a step, from row `first_row` on, `dilation` rows
/// apart; `None` for rows outside `0..rows`, which are padding. A row is
/// `row_bytes` long.
#[inline(always)]
pub fn window<'a, const KH: usize>(
    input: Bytes<'a>,
    row_bytes: usize,
    first_row: isize,
    dilation: usize,
    rows: usize,
) -> [Option<Bytes<'a>>; KH] {
    let mut window = [None; KH];
    let mut row = first_row;
    for slot in &mut window {
        if row >= 0 && (row as usize) < rows {
            *slot = Some(input.sub(row as usize * row_bytes, row_bytes));
        }
        row += dilation as isize;
    }
    window
}

/// The first position (row or column) of output position `index`'s window;
/// negative where the window begins in the padding.
#[inline(always)]
pub fn first(index: usize, stride: usize, pad: usize) -> isize {
    (index * stride) as isize - pad as isize
}

/// The taps of a window that lie inside the input, as a range of `0..kernel`:
/// tap `t` is at `first + t * dilation`, the input is `0..size`.
#[inline(always)]
pub fn taps(first: isize, dilation: usize, kernel: usize, size: usize) -> Taps {
    let at = |tap: usize| first + (tap * dilation) as isize;
    let mut begin = 0;
    while begin < kernel && at(begin) < 0 {
        begin += 1;
    }
    let mut end = kernel;
    while end > begin && at(end - 1) >= size as isize {
        end -= 1;
    }
    // Without a tap inside there is no position to speak of; zero is harmless.
    let position = if end > begin { at(begin) as usize } else { 0 };
    Taps { begin, end, position }
}

/// The taps of a window that lie inside the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taps {
    /// The first tap inside.
    pub begin: usize,
    /// One past the last tap inside; equal to `begin` where there is none.
    pub end: usize,
    /// Where in the input tap `begin` lies; zero where there is none.
    pub position: usize,
}
