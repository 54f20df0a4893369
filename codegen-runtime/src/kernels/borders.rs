//! Biases that differ at borders: what constant channels add where windows reach
//! into the padding.
//!
//! In: `[n i32][row u8 x out_h][column u8 x out_w][class u8 x n, padded to 4][i32 x
//! channels]...`. Out: what is added to the sums of a pixel. Invariant: pixel `(y, x)`
//! is of class `class[row[y] + column[x]]`; class 0 adds nothing, class `i` the `i`-th
//! run of numbers, one a channel, before requantization.

use super::super::view::Consts;

/// What the pixels of some rows add, by class.
#[derive(Clone, Copy)]
pub struct Borders<'a> {
    /// The class of each row from the first one on, and of each column.
    rows: Consts<'a>,
    columns: Consts<'a>,
    classes: Consts<'a>,
    words: Consts<'a>,
    width: usize,
    channels: usize,
}

/// What a pixel adds to its sums: a number a channel, or nothing.
pub type Extra<'a> = Option<Consts<'a>>;

impl<'a> Borders<'a> {
    /// Of an output `[rows][columns][channels]` from row `y` on, from byte `at` of `consts`
    /// on, which is rounded up to a multiple of 4.
    #[inline(never)]
    pub fn new(consts: Consts<'a>, at: usize, [rows, columns, channels]: [usize; 3], y: usize) -> Self {
        let at = at.next_multiple_of(4);
        let count = consts.i32_at(at) as usize;
        let classes = at + 4 + rows + columns;
        let mut most = 0;
        let mut i = 0;
        while i < count {
            most = usize::from(consts.u8_at(classes + i)).max(most);
            i += 1;
        }
        Borders {
            rows: consts.sub(at + 4 + y, rows - y),
            columns: consts.sub(at + 4 + rows, columns),
            classes: consts.sub(classes, count),
            words: consts.sub((classes + count).next_multiple_of(4), 4 * channels * most),
            width: columns,
            channels,
        }
    }

    /// What pixel `column` of the `row`-th row adds.
    #[inline(always)]
    pub fn extra(self, row: usize, column: usize) -> Extra<'a> {
        let line = usize::from(self.rows.u8_at(row)) + usize::from(self.columns.u8_at(column));
        let class = usize::from(self.classes.u8_at(line));
        let bytes = 4 * self.channels;
        if class == 0 { None } else { Some(self.words.sub((class - 1) * bytes, bytes)) }
    }

    /// Adds it to the sums of the channels from `channel` on, as far as there are any.
    #[inline(always)]
    pub fn add<const N: usize>(self, extra: Extra<'_>, channel: usize, mut sums: [i32; N]) -> [i32; N] {
        if let Some(words) = extra {
            for (n, sum) in sums.iter_mut().enumerate() {
                if channel + n < self.channels {
                    *sum = sum.wrapping_add(words.i32_at(4 * (channel + n)));
                }
            }
        }
        sums
    }

    /// How many of the `pairs` pairs of pixels from `column` on can be done at once: none
    /// of them adds anything, or it is the first alone. At least 1, unless there are none.
    #[inline(always)]
    pub fn alike(self, row: usize, column: usize, pairs: usize) -> usize {
        if pairs == 0 || self.extra(row, column).is_some() {
            return pairs.min(1);
        }
        // Columns of one class are alike.
        let class = self.columns.u8_at(column);
        let end = column + 2 * pairs;
        let mut next = column + 1;
        while next < end && next < self.width && self.columns.u8_at(next) == class {
            next += 1;
        }
        ((next - column) / 2).max(1)
    }
}
