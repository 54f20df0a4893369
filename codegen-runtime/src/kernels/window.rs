//! The window of one output pixel, gathered into one run.
//!
//! In: input rows, channel-last. Out: `[kernel_h][kernel_w][channels]`, contiguous.
//! Invariant: positions outside the input are filled with the padding's code, so
//! that whoever reads the window need not know of borders.

use super::super::rows;
use super::super::view::Bytes;

/// The shape of a window and of the rows that it meets.
#[derive(Clone, Copy)]
pub struct Window {
    /// Columns of the input.
    pub in_w: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Columns of the kernel.
    pub kernel_w: usize,
    /// Input columns from one kernel column to the next.
    pub dilation_w: usize,
    /// What positions outside the input read as.
    pub pad_code: i8,
}

impl Window {
    /// Gathers the window whose first column is `first` from its input rows.
    #[inline(always)]
    pub fn gather<'a>(&self, rows: impl Iterator<Item = &'a Option<Bytes<'a>>>, first: isize, to: Bytes<'_>) {
        let row_bytes = self.kernel_w * self.channels;
        let taps = rows::taps(first, self.dilation_w, self.kernel_w, self.in_w);
        let before = taps.begin * self.channels;
        let inside = (taps.end - taps.begin) * self.channels;
        let after = row_bytes - before - inside;
        let mut at = 0;
        for row in rows {
            let to = to.sub(at, row_bytes);
            if let Some(row) = row {
                to.fill(self.pad_code, before);
                if self.dilation_w == 1 {
                    copy(row.sub(taps.position * self.channels, inside), to.sub(before, inside), inside);
                } else {
                    for tap in 0..taps.end - taps.begin {
                        let at = (taps.position + tap * self.dilation_w) * self.channels;
                        let tap = to.sub(before + tap * self.channels, self.channels);
                        copy(row.sub(at, self.channels), tap, self.channels);
                    }
                }
                to.sub(before + inside, after).fill(self.pad_code, after);
            } else {
                to.fill(self.pad_code, row_bytes);
            }
            at += row_bytes;
        }
    }
}

/// Copies `len` bytes; for a few, a call costs more than the copy.
#[inline(always)]
fn copy(from: Bytes<'_>, to: Bytes<'_>, len: usize) {
    if len <= 8 {
        for i in 0..len {
            to.set(i, from.get(i));
        }
    } else {
        to.copy_from(from, len);
    }
}
