//! What items must keep from each other.
//!
//! In: [`Item`]s. Out: for each, the [`Conflict`]s with the others. Invariant: offsets
//! that keep all of them give no two pieces the same byte at the same moment.

use super::Item;

/// What an item must keep from another: its offset must not lie strictly between
/// `low` and `high`, counted from the other's.
#[derive(Debug, Clone, Copy)]
pub struct Conflict {
    /// The other item.
    pub other: usize,
    /// See above.
    pub low: isize,
    /// See above.
    pub high: isize,
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
            for (low, high) in forbidden(&items[this], &items[other]) {
                found[this].push(Conflict { other, low, high });
                found[other].push(Conflict { other: this, low: -high, high: -low });
            }
        }
        alive.push(this);
    }
    found
}

/// The open intervals in which the distance from `other` to `this` must not lie.
fn forbidden(this: &Item, other: &Item) -> Vec<(isize, isize)> {
    let mut intervals: Vec<(isize, isize)> = Vec::new();
    for a in &this.pieces {
        for b in &other.pieces {
            if a.first <= b.last && b.first <= a.last && a.bytes > 0 && b.bytes > 0 {
                let shift = b.start as isize - a.start as isize;
                intervals.push((shift - a.bytes as isize, shift + b.bytes as isize));
            }
        }
    }
    intervals.sort_unstable();
    let mut merged: Vec<(isize, isize)> = Vec::new();
    for (low, high) in intervals {
        match merged.last_mut() {
            Some(last) if low < last.1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}
