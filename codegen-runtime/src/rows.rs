//! Where a window meets its input: which rows, and which columns of a row.
//!
//! In: geometry, or a table of places. Out: views of rows, or ranges of taps.
//! Invariant: what is returned lies inside the input; everything else is padding.

use super::arch;
use super::view::{ArenaView, Bytes};

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

/// Fills `window` as [`window`] does, in a loop that is small and ends with it.
#[inline(always)]
pub fn fill<'a>(
    window: &mut [Option<Bytes<'a>>],
    input: Bytes<'a>,
    row_bytes: usize,
    first_row: isize,
    dilation: usize,
    rows: usize,
) {
    let mut row = first_row as usize;
    for slot in window {
        // A row above the input is a large number.
        *slot = if row < rows { Some(input.sub(row * row_bytes, row_bytes)) } else { None };
        row = arch::opaque_count(row.wrapping_add(dilation));
    }
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

/// The same for `dilation` 1, of columns that follow each other, without a loop.
#[inline(always)]
pub fn inside(first: isize, count: usize, size: usize) -> Taps {
    let last = count as isize;
    let begin = first.wrapping_neg().max(0).min(last);
    let end = (size as isize).wrapping_sub(first).max(begin).min(last);
    let position = if end > begin { first.wrapping_add(begin) as usize } else { 0 };
    Taps { begin: begin as usize, end: end as usize, position }
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

/// The rows of a tensor, each at its own place of the arena.
///
/// Offsets count in units of `1 << shift` bytes. Invariant: whoever makes one has
/// proven that every row lies inside `arena` (an emitted crate: by [`RowTable`]).
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    arena: Bytes<'a>,
    offsets: &'a [u16],
    shift: u32,
    row_bytes: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `row_bytes` each, at `offsets`.
    #[inline(always)]
    pub fn new(arena: Bytes<'a>, offsets: &'a [u16], shift: u32, row_bytes: usize) -> Self {
        Rows { arena, offsets, shift, row_bytes }
    }

    /// Row `index`, `None` outside the tensor.
    #[inline(always)]
    pub fn get(self, index: isize) -> Option<Bytes<'a>> {
        let index = usize::try_from(index).ok()?;
        let offset = *self.offsets.get(index)?;
        Some(self.arena.sub(usize::from(offset) << self.shift, self.row_bytes))
    }

    /// Row `index`, which exists; rows `index..index + count` if they are known to
    /// follow each other.
    #[inline(always)]
    pub fn run(self, index: usize, count: usize) -> Bytes<'a> {
        let offset = self.offsets.get(index).copied().unwrap_or(0);
        self.arena.sub(usize::from(offset) << self.shift, self.row_bytes * count)
    }

    /// Fills `window` with the rows from `first` on, `dilation` apart.
    #[inline(always)]
    pub fn window(self, first: isize, dilation: usize, window: &mut [Option<Bytes<'a>>]) {
        let mut row = first;
        for slot in window {
            *slot = self.get(row);
            row += dilation as isize;
        }
    }
}

/// Where the rows of a tensor lie in an arena of `ARENA` bytes: a constant of an
/// emitted crate, checked when that is built.
pub struct RowTable<const ROWS: usize, const ARENA: usize> {
    row_bytes: usize,
    shift: u32,
    offsets: [u16; ROWS],
}

impl<const ROWS: usize, const ARENA: usize> RowTable<ROWS, ARENA> {
    /// Rows of `row_bytes` at `offsets`, in units of `1 << shift` bytes.
    ///
    /// # Panics
    /// If a row reaches out of the arena; in a constant, this does not compile.
    pub const fn new(row_bytes: usize, shift: u32, offsets: [u16; ROWS]) -> Self {
        let mut row = 0;
        while row < ROWS {
            let offset = (offsets[row] as usize) << shift;
            assert!(offset <= ARENA && row_bytes <= ARENA - offset, "a row outside the arena");
            row += 1;
        }
        RowTable { row_bytes, shift, offsets }
    }

    /// The first byte of a row; `None` for a row that lies nowhere.
    #[inline(always)]
    pub fn offset(&self, row: usize) -> Option<usize> {
        self.offsets.get(row).map(|&offset| usize::from(offset) << self.shift)
    }

    /// The rows in an arena.
    #[inline(always)]
    pub fn rows<'a>(&'a self, arena: ArenaView<'a, ARENA>) -> Rows<'a> {
        Rows::new(arena.whole(), &self.offsets, self.shift, self.row_bytes)
    }
}
