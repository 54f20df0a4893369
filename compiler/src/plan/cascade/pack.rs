//! Offsets of items whose parts live at different times.
//!
//! In: [`Item`]s: runs of pieces, each with a life of its own. Out: an offset for
//! each. Invariants: pieces that live at the same moment do not overlap; the
//! result depends on the items alone.
//!
//! A row that lies anywhere is an item of one piece; a tensor that must lie in one
//! run is an item whose rows are its pieces, so that other rows can take the place
//! of those that nobody needs any more. Method: first fit in several orders, then a
//! search that places what touches the top earlier, bounded in steps.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Bytes within an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// First byte, from the start of the item.
    pub start: usize,
    /// Size.
    pub bytes: usize,
    /// First moment.
    pub first: usize,
    /// Last moment, not before the first.
    pub last: usize,
}

/// Something that gets an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The offset is a multiple of this power of two.
    pub align: usize,
    /// Its parts.
    pub pieces: Vec<Piece>,
}

impl Item {
    /// One past the last byte, from the start of the item.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|p| p.start + p.bytes).max().unwrap_or(0)
    }

    fn first(&self) -> usize {
        self.pieces.iter().map(|p| p.first).min().unwrap_or(0)
    }

    fn last(&self) -> usize {
        self.pieces.iter().map(|p| p.last).max().unwrap_or(0)
    }
}

/// Offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// An offset for each item.
    pub offsets: Vec<usize>,
    /// One past the highest byte.
    pub total_bytes: usize,
}

/// The bytes that live at each moment; the largest is a bound of every placement.
pub fn profile(items: &[Item]) -> Vec<usize> {
    let end = items.iter().map(Item::last).max().map_or(0, |last| last + 1);
    let mut change = vec![0isize; end + 1];
    for piece in items.iter().flat_map(|i| &i.pieces) {
        change[piece.first] += piece.bytes as isize;
        change[piece.last + 1] -= piece.bytes as isize;
    }
    let mut live = 0;
    change[..end]
        .iter()
        .map(|c| {
            live += c;
            live as usize
        })
        .collect()
}

/// What an item must keep from another: its offset must not lie strictly between
/// `low` and `high`, counted from the other's.
#[derive(Debug, Clone, Copy)]
struct Conflict {
    other: usize,
    low: isize,
    high: isize,
}

const SEED: u64 = 1;

/// Places the items, and spends up to `budget` looks at a conflict on searching.
pub fn pack(items: &[Item], budget: usize) -> Placed {
    let bound = profile(items).into_iter().max().unwrap_or(0);
    let conflicts = conflicts(items);
    let work: usize = conflicts.iter().map(|c| c.len() + 4).sum();
    let (mut order, mut best) = starting_orders(items)
        .into_iter()
        .map(|order| {
            let placed = place(items, &conflicts, &order);
            (order, placed)
        })
        .min_by_key(|(_, placed)| placed.total_bytes)
        .expect("there is a starting order");
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for _ in 0..budget / work.max(1) {
        if best.total_bytes <= bound || items.len() < 2 {
            break;
        }
        let candidate = neighbour(items, &best, &order, &mut rng);
        let placed = place(items, &conflicts, &candidate);
        if placed.total_bytes <= best.total_bytes {
            (order, best) = (candidate, placed);
        }
    }
    best
}

fn neighbour(items: &[Item], best: &Placed, order: &[usize], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let top: Vec<usize> = (1..order.len())
        .filter(|&p| best.offsets[order[p]] + items[order[p]].bytes() == best.total_bytes)
        .collect();
    let mut order = order.to_vec();
    if !top.is_empty() && pick(4) > 0 {
        let from = top[pick(top.len())];
        let item = order.remove(from);
        order.insert(pick(from), item);
    } else {
        let (a, b) = (pick(order.len()), pick(order.len()));
        order.swap(a, b);
    }
    order
}

fn starting_orders(items: &[Item]) -> Vec<Vec<usize>> {
    let live = profile(items);
    let sorted = |key: &dyn Fn(&Item) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|&i| {
            let (major, minor) = key(&items[i]);
            (std::cmp::Reverse(major), std::cmp::Reverse(minor), items[i].first(), i)
        });
        order
    };
    let never = usize::MAX;
    let duration = |i: &Item| i.last() - i.first();
    // The fullest moment that an item lives through.
    let height = |i: &Item| i.pieces.iter().flat_map(|p| &live[p.first..=p.last]).copied().max().unwrap_or(0);
    vec![
        sorted(&|i| (i.bytes(), duration(i))),
        sorted(&|i| (i.pieces.len(), never - i.first())),
        sorted(&|i| (height(i), i.bytes())),
        sorted(&|i| (duration(i), i.bytes())),
        sorted(&|i| (i.bytes(), never - i.first())),
        sorted(&|i| (never - i.first(), i.bytes())),
    ]
}

/// Everything that each item must keep its distance from.
fn conflicts(items: &[Item]) -> Vec<Vec<Conflict>> {
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

/// First fit in the given order.
fn place(items: &[Item], conflicts: &[Vec<Conflict>], order: &[usize]) -> Placed {
    let mut offsets: Vec<Option<usize>> = vec![None; items.len()];
    let mut taken: Vec<(isize, isize)> = Vec::new();
    let mut total_bytes = 0;
    for &i in order {
        taken.clear();
        taken.extend(conflicts[i].iter().filter_map(|c| {
            let offset = offsets[c.other]? as isize;
            Some((offset + c.low, offset + c.high))
        }));
        taken.sort_unstable();
        let mut offset = 0usize;
        for &(low, high) in &taken {
            if offset as isize <= low {
                break;
            }
            if (offset as isize) < high {
                offset = (high as usize).next_multiple_of(items[i].align);
            }
        }
        offsets[i] = Some(offset);
        total_bytes = total_bytes.max(offset + items[i].bytes());
    }
    Placed { offsets: offsets.into_iter().map(|o| o.unwrap_or(0)).collect(), total_bytes }
}
