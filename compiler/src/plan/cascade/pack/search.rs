//! Offsets below a given end.
//!
//! In: a [`Side`], an order to begin with, the end. Out: offsets, if any are found.
//! Invariant: the looks that a search takes are counted, and never more than allowed.
//!
//! Both searches place items one by one, each at the lowest offset. They differ in what
//! happens to one that would pass the end: [`Method::Reorder`] puts it before one of those
//! that are in its way and places everything from there on again, which suits few items;
//! [`Method::Eject`] puts it where the fewest are in its way and places these again, which
//! suits many. An item that was in the way often is left where it is.

use std::collections::BTreeSet;
use std::iter::once;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::Side;
use super::first_fit::{Looks, Offsets, Taken, end_key, end_of, lowest};

/// What to do with an item that finds no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Place it earlier.
    Reorder,
    /// Take out those in its way.
    Eject,
}

/// What a search may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Looks at a conflict.
    pub looks: usize,
}

impl Effort {
    /// Takes looks; whether there were so many.
    fn take(&mut self, looks: usize) -> bool {
        let left = self.looks.checked_sub(looks);
        self.looks = left.unwrap_or(0);
        left.is_some()
    }
}

/// Looks for offsets with nothing past `end`; `order` keeps what was learnt.
pub fn search(
    method: Method,
    side: &Side,
    order: &mut [usize],
    end: usize,
    effort: &mut Effort,
    rng: &mut ChaCha8Rng,
) -> Option<Vec<usize>> {
    if side.sizes.iter().any(|&size| size > end) {
        return None;
    }
    match method {
        Method::Reorder => reorder(side, order, end, effort, rng),
        Method::Eject => eject(side, order, end, effort, rng),
    }
}

fn reorder(
    side: &Side,
    order: &mut [usize],
    end: usize,
    effort: &mut Effort,
    rng: &mut ChaCha8Rng,
) -> Option<Vec<usize>> {
    let mut offsets = Offsets::nowhere(order.len());
    let mut place_of = ranks(order);
    let mut looks = Looks::default();
    let mut next = 0;
    while next < order.len() {
        let item = order[next];
        if !effort.take(side.conflicts[item].len() + 4) {
            return None;
        }
        let found = looks.look(&side.conflicts[item], &offsets);
        let offset = lowest(found.clone(), side.items[item].align);
        if offset + side.sizes[item] <= end {
            offsets.set(item, offset);
            next += 1;
            continue;
        }
        // An item may be in the way with several pieces.
        let in_the_way: BTreeSet<usize> = found.map(|t| place_of[t.other]).collect();
        let pick = rng.next_u32() as usize % in_the_way.len().max(1);
        let earlier = in_the_way.into_iter().nth(pick)?;
        order[earlier..=next].rotate_right(1);
        for place in earlier..=next {
            offsets.take(order[place]);
            place_of[order[place]] = place;
        }
        next = earlier;
    }
    Some(offsets.all())
}

fn eject(
    side: &Side,
    order: &[usize],
    end: usize,
    effort: &mut Effort,
    rng: &mut ChaCha8Rng,
) -> Option<Vec<usize>> {
    let mut offsets = Offsets::nowhere(order.len());
    let rank = ranks(order);
    let mut waiting: BTreeSet<(usize, usize)> = order.iter().copied().enumerate().collect();
    // How often each found no room.
    let mut failed = vec![1u64; order.len()];
    let mut looks = Looks::default();
    while let Some((_, item)) = waiting.pop_first() {
        if !effort.take(side.conflicts[item].len() + 4) {
            return None;
        }
        let found = looks.look(&side.conflicts[item], &offsets);
        let align = side.items[item].align;
        let mut offset = lowest(found.clone(), align);
        if offset + side.sizes[item] > end {
            if !effort.take(3 * found.len()) {
                return None;
            }
            failed[item] += 1;
            let last = (end - side.sizes[item]) / align * align;
            offset = least_in_the_way(found.clone(), align, last, &failed, rng);
            for taken in found.filter(|t| t.low < offset as isize && (offset as isize) < t.high) {
                // An item may be in the way with several pieces.
                if offsets.take(taken.other) {
                    waiting.insert((rank[taken.other], taken.other));
                }
            }
        }
        offsets.set(item, offset);
    }
    Some(offsets.all())
}

/// The offset up to `last` where what is in the way weighs least; chance decides ties.
fn least_in_the_way(
    found: impl Iterator<Item = Taken> + Clone,
    align: usize,
    last: usize,
    weight: &[u64],
    rng: &mut ChaCha8Rng,
) -> usize {
    // Upper ends and whose they are, as single numbers: nothing else must be sorted.
    let mut highs: Vec<u64> = found.clone().map(|t| end_key(t.high, t.other)).collect();
    highs.sort_unstable();
    let leaving = highs.iter().map(|&key| end_of(key));
    let mut ups = leaving
        .clone()
        .filter_map(|(high, _)| usize::try_from(high).ok())
        .map(|high| high.next_multiple_of(align))
        .peekable();
    let mut downs =
        found.clone().filter_map(|t| usize::try_from(t.low).ok()).map(|low| low / align * align).peekable();
    let ends = std::iter::from_fn(|| match (ups.peek(), downs.peek()) {
        (Some(up), Some(down)) if down < up => downs.next(),
        (None, _) => downs.next(),
        _ => ups.next(),
    });
    let offsets = once(0).chain(ends.take_while(|&offset| offset <= last)).chain([last]);
    let (mut entering, mut leaving) = (found.peekable(), leaving.peekable());
    let mut sum = 0;
    let mut before = None;
    let mut best: Option<(u64, u32, usize)> = None;
    for offset in offsets {
        if before.replace(offset) == Some(offset) {
            continue;
        }
        while let Some(taken) = entering.next_if(|t| t.low < offset as isize) {
            sum += weight[taken.other];
        }
        while let Some((_, other)) = leaving.next_if(|(high, _)| *high <= offset as isize) {
            sum -= weight[other];
        }
        let candidate = (sum, rng.next_u32(), offset);
        if best.is_none_or(|b| candidate < b) {
            best = Some(candidate);
        }
    }
    best.map_or(0, |(_, _, offset)| offset)
}

/// The place of each item in an order.
fn ranks(order: &[usize]) -> Vec<usize> {
    let mut ranks = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &item)| ranks[item] = place);
    ranks
}
