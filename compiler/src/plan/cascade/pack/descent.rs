//! Searches for less and less memory.
//!
//! In: a placement, a [`Side`] and an order to search with. Out: the best placement that was
//! found on the way down. Invariant: it is never larger than the one at the beginning.

use rand_chacha::ChaCha8Rng;

use super::search::{Effort, Method, search};
use super::{Item, Placed, Side};

/// A placement this near to the bound (one part in so many above it) is near enough.
const NEAR: usize = 1024;
/// A search first goes down by this part of what the placement is above the bound.
const STRIDE: usize = 8;

/// Whether a placement of so many bytes is near enough to its bound.
pub fn is_near(total_bytes: usize, bound: usize) -> bool {
    total_bytes <= bound + bound / NEAR
}

/// How to search, and for what.
pub struct Descent<'a> {
    /// What is placed.
    pub items: &'a [Item],
    /// The most bytes that live at one moment.
    pub bound: usize,
    /// What to do with an item that finds no room.
    pub method: Method,
}

impl Descent<'_> {
    /// Goes down from `best` as far as `looks` reach.
    pub fn run(
        &self,
        side: &Side,
        order: &mut [usize],
        looks: usize,
        best: &mut Placed,
        rng: &mut ChaCha8Rng,
    ) {
        let mut effort = Effort { looks };
        let mut stride = true;
        while !is_near(best.total_bytes, self.bound) {
            let down = if stride { 1 + (best.total_bytes - self.bound) / STRIDE } else { 1 };
            let target = best.total_bytes - down;
            // Half of the looks may go into one stride; the rest is for the smallest step.
            let mut part = if stride { Effort { looks: effort.looks / 2 } } else { effort };
            let before = part.looks;
            let found = search(self.method, side, order, target, &mut part, rng);
            effort.looks -= before - part.looks;
            match found.map(|offsets| side.settle(self.items, offsets)) {
                Some(placed) if placed.total_bytes < best.total_bytes => *best = placed,
                _ if stride => stride = false,
                _ => break,
            }
        }
    }
}
