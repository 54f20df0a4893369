//! What items must keep from each other.
//!
//! In: [`Item`]s. Out: for each, the [`Conflict`]s with the others. Invariant: offsets
//! that keep all of them give no two pieces the same byte at the same moment.

use super::{Item, Piece};

/// What an item must keep from another: its offset must not lie strictly between
/// `low` and `high`, counted from the other's.
///
/// Small, because searches go through millions of these; no arena has 2 GiB.
#[derive(Debug, Clone, Copy)]
pub struct Conflict {
    /// The other item.
    pub other: u32,
    /// See above.
    pub low: i32,
    /// See above.
    pub high: i32,
}

/// Everything that each item must keep its distance from.
pub fn all(items: &[Item]) -> Vec<Vec<Conflict>> {
    // By time: an item meets only those that live until it is born, or are born while it lives.
    let mut by_first: Vec<usize> = (0..items.len()).collect();
    by_first.sort_by_key(|&i| items[i].first());
    let mut found: Vec<Vec<Conflict>> = vec![Vec::new(); items.len()];
    let mut alive: Vec<usize> = Vec::new();
    for &this in &by_first {
        let born = items[this].first();
        alive.retain(|&other| items[other].last() >= born);
        for &other in &alive {
            between(&items[this], &items[other], |low, high| {
                found[this].push(Conflict { other: other as u32, low, high });
                found[other].push(Conflict { other: this as u32, low: -high, high: -low });
            });
        }
        alive.push(this);
    }
    found
}

/// The same for items that are upside down, each of its size in `sizes`.
pub fn upside_down(conflicts: &[Vec<Conflict>], sizes: &[usize]) -> Vec<Vec<Conflict>> {
    let turn = |this: usize, c: &Conflict| {
        let longer = sizes[c.other as usize] as i32 - sizes[this] as i32;
        Conflict { other: c.other, low: longer - c.high, high: longer - c.low }
    };
    conflicts.iter().enumerate().map(|(this, of)| of.iter().map(|c| turn(this, c)).collect()).collect()
}

/// Tells the open intervals in which the distance from `other` to `this` must not lie.
fn between(this: &Item, other: &Item, mut tell: impl FnMut(i32, i32)) {
    // Most items are rows.
    if let ([a], [b]) = (&this.pieces[..], &other.pieces[..]) {
        if let Some((low, high)) = apart(a, b) {
            tell(low, high);
        }
        return;
    }
    let pairs = this.pieces.iter().flat_map(|a| other.pieces.iter().map(move |b| (a, b)));
    let mut intervals: Vec<(i32, i32)> = pairs.filter_map(|(a, b)| apart(a, b)).collect();
    intervals.sort_unstable();
    let mut merged: Option<(i32, i32)> = None;
    for (low, high) in intervals {
        match &mut merged {
            Some(last) if low < last.1 => last.1 = last.1.max(high),
            _ => {
                if let Some((low, high)) = merged.replace((low, high)) {
                    tell(low, high);
                }
            }
        }
    }
    if let Some((low, high)) = merged {
        tell(low, high);
    }
}

/// The distances from the item of `b` to that of `a` at which the two share a byte, if
/// they ever live at the same moment.
fn apart(a: &Piece, b: &Piece) -> Option<(i32, i32)> {
    let meet = a.first <= b.last && b.first <= a.last && a.bytes > 0 && b.bytes > 0;
    let shift = b.start as i32 - a.start as i32;
    meet.then_some((shift - a.bytes as i32, shift + b.bytes as i32))
}
