//! Biases that differ from pixel to pixel near the borders of a convolution.
//!
//! In: a bias for each class of output pixels, where a class is a class of rows by one
//! of columns. Out: the bias of most pixels, and [`BorderBias`], what the others add to
//! it. Invariant: for every pixel both together are the bias of its class.

use std::collections::BTreeMap;

use crate::lower::{Constants, Packer};

/// What classes of pixels add to the layer's bias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BorderBias {
    /// The class of each output row.
    rows: Vec<usize>,
    /// The class of each output column.
    columns: Vec<usize>,
    /// `[class of rows][class of columns]`: 0 for nothing, `i` for `corrections[i - 1]`.
    index: Vec<usize>,
    /// What is added, a number a channel.
    corrections: Vec<Vec<i32>>,
}

/// Classes of pixels that a layer may have at most: a class is a byte in the constants.
pub const MOST_CLASSES: usize = 25;

impl BorderBias {
    /// The bias of most pixels, and what the others add; `biases` are `[class of
    /// rows][class of columns]`, each with a number a channel, no two further apart than
    /// an `i32` reaches.
    #[must_use]
    pub fn split(
        rows: Vec<usize>,
        columns: Vec<usize>,
        biases: &[Vec<i32>],
    ) -> (Vec<i32>, Option<BorderBias>) {
        let across = columns.iter().max().map_or(0, |most| most + 1);
        let mut pixels: BTreeMap<&Vec<i32>, usize> = BTreeMap::new();
        for row in &rows {
            for column in &columns {
                *pixels.entry(&biases[row * across + column]).or_default() += 1;
            }
        }
        let most = pixels.iter().max_by_key(|(_, count)| **count).map(|(bias, _)| (*bias).clone());
        let base = most.unwrap_or_default();
        let mut corrections: Vec<Vec<i32>> = Vec::new();
        let mut entry = |bias: &Vec<i32>| {
            if *bias == base {
                return 0;
            }
            let more: Vec<i32> = bias.iter().zip(&base).map(|(bias, base)| bias - base).collect();
            match corrections.iter().position(|known| *known == more) {
                Some(known) => known + 1,
                None => {
                    corrections.push(more);
                    corrections.len()
                }
            }
        };
        let index: Vec<usize> = biases.iter().map(&mut entry).collect();
        let border = (!corrections.is_empty()).then_some(BorderBias { rows, columns, index, corrections });
        (base, border)
    }

    /// What pixel `(y, x)` adds to the bias, a number a channel; nothing inside.
    #[must_use]
    pub fn at(&self, y: usize, x: usize) -> Option<&[i32]> {
        let class = self.rows[y] * self.across() + self.columns[x];
        self.index[class].checked_sub(1).map(|i| self.corrections[i].as_slice())
    }

    /// The numbers that some pixel adds in a channel.
    pub fn of_channel(&self, channel: usize) -> impl Iterator<Item = i32> {
        self.corrections.iter().map(move |correction| correction[channel])
    }

    /// The same for some of the channels.
    #[must_use]
    pub fn select(&self, channels: &[usize]) -> BorderBias {
        let of = |correction: &Vec<i32>| channels.iter().map(|&c| correction[c]).collect();
        BorderBias { corrections: self.corrections.iter().map(of).collect(), ..self.clone() }
    }

    /// How many pixels add something.
    #[must_use]
    pub fn pixels(&self) -> usize {
        let adds = |row: usize| (0..self.columns.len()).filter(move |&x| self.at(row, x).is_some()).count();
        (0..self.rows.len()).map(adds).sum()
    }

    /// Distinct corrections.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.corrections.len()
    }

    /// As the kernels read it (`kernels/borders.rs` of the runtime).
    #[must_use]
    pub fn pack(&self) -> Constants {
        let across = self.across();
        let rows = self.rows.iter().map(|&row| (row * across) as u8);
        let columns = self.columns.iter().map(|&column| column as u8);
        let index = self.index.iter().map(|&class| class as u8);
        Packer::new()
            .table((self.index.len() as i32).to_le_bytes())
            .shifts(rows.chain(columns).chain(index))
            .biases(self.corrections.iter().flatten().copied())
            .finish()
    }

    fn across(&self) -> usize {
        self.columns.iter().max().map_or(0, |most| most + 1)
    }
}
