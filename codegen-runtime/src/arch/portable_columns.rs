//! Codes widened to 16 bits for the tiles of two pixels, in plain Rust.
//!
//! In: pixels, or columns of rows that windows reach over. Out: tiles. Invariant:
//! this file defines the result, as `portable.rs` says.
//!
//! A tile is words of two inputs, 8 bytes for the two pixels: at byte `8 * word` those
//! of pixel 0, 4 bytes further those of pixel 1. The windows of two pixels side by side
//! and of the pairs after them overlap; so their inputs are taken column by column,
//! and a column is widened once, to the place where pixel 0 has it and to that where
//! pixel 1 has it. A window is then a run of columns, and the next pair's begins a few
//! columns further.

use super::super::view::Bytes;

/// Bytes of a word of both pixels.
const WORD: usize = 8;

/// Words of a column of `rows` rows with `channels` channels.
#[inline(always)]
pub const fn column_words(channels: usize, rows: usize) -> usize {
    (rows * channels).div_ceil(2)
}

/// The byte within a column's words at which pixel 0 has an input.
///
/// - Channels in fours: of four inputs a, b, c, d two words, (a, c) and (b, d).
/// - Three channels: a word (0, 2) for each row, then channel 1 of all rows.
/// - Others: in order.
#[inline(always)]
pub const fn column_place(channels: usize, rows: usize, row: usize, channel: usize) -> usize {
    let input = row * channels + channel;
    if channels.is_multiple_of(4) {
        input / 4 * (2 * WORD) + input % 2 * WORD + input / 2 % 2 * 2
    } else if channels != 3 {
        input / 2 * WORD + input % 2 * 2
    } else if channel == 1 {
        (rows + row / 2) * WORD + row % 2 * 2
    } else {
        row * WORD + channel
    }
}

/// Columns next to each other.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    /// The rows; `None` is padding.
    pub rows: &'a [Option<Bytes<'a>>],
    /// Whether the columns exist; otherwise all of them is padding.
    pub inside: bool,
    /// The first one's byte in a row.
    pub first: usize,
    /// Channels of a column.
    pub channels: usize,
    /// How many.
    pub count: usize,
    /// The code of padding.
    pub pad_code: i8,
}

/// Widens columns, each to two places (which may be one): bytes `places` of the tile
/// for the first one, and a column's words further for each one after it. Halves of
/// words that are no input may change.
#[inline(always)]
pub fn widen_columns(columns: Columns<'_>, tile: Bytes<'_>, places: [usize; 2]) {
    let Columns { rows, inside, first, channels, count, pad_code } = columns;
    let pitch = column_words(channels, rows.len()) * WORD;
    for (y, row) in rows.iter().enumerate() {
        for column in 0..count {
            for channel in 0..channels {
                let code = match row {
                    Some(row) if inside => row.get(first + column * channels + channel),
                    _ => pad_code,
                };
                let byte = column * pitch + column_place(channels, rows.len(), y, channel);
                for place in places {
                    tile.set_i16((place + byte) / 2, i16::from(code));
                }
            }
        }
    }
}

/// Four codes of a row that are one window's: those at byte `first`, moved up by `skip`
/// (down where it is negative), with padding for those that this leaves open.
#[derive(Clone, Copy)]
pub struct Four {
    /// Where four codes of the row begin.
    pub first: usize,
    /// How many codes of padding come before them; after them where it is negative.
    pub skip: isize,
    /// The code of padding.
    pub pad_code: i8,
}

/// Widens four codes of each row (`None` is padding), row after row, as pixel 0 or 1
/// of a tile, in the order of a column of four channels.
#[inline(always)]
pub fn widen_fours(rows: &[Option<Bytes<'_>>], four: Four, tile: Bytes<'_>, pixel: usize) {
    for (y, row) in rows.iter().enumerate() {
        for i in 0..4 {
            let from = i as isize - four.skip;
            let code = match row {
                Some(row) if (0..4).contains(&from) => row.get(four.first + from as usize),
                _ => four.pad_code,
            };
            tile.set_i16((column_place(4, rows.len(), y, i) + 4 * pixel) / 2, i16::from(code));
        }
    }
}

/// Widens `pairs` pairs of pixels, one tile after the other, `quads` groups of four
/// codes each, in the order of a column with channels in fours. `codes` are the first
/// pair's, `step` bytes further lie the next one's.
#[inline(always)]
pub fn widen_pairs(codes: [Bytes<'_>; 2], step: usize, quads: usize, tiles: Bytes<'_>, pairs: usize) {
    for pair in 0..pairs {
        for (pixel, codes) in codes.iter().enumerate() {
            for i in 0..4 * quads {
                let byte = pair * 2 * WORD * quads + column_place(4, quads, i / 4, i % 4) + 4 * pixel;
                tiles.set_i16(byte / 2, i16::from(codes.get(pair * step + i)));
            }
        }
    }
}
