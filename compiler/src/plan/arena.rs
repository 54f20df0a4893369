//! Offsets in the arena: packing of blocks that live for a while.
//!
//! In: [`Block`]s (bytes, alignment, first and last moment). Out: [`Packing`]:
//! an offset a block and the total. Invariants: blocks that live at the same
//! moment never overlap; the total is never below [`lower_bound`]; the result
//! depends on the blocks alone (the search is seeded and bounded in steps, not
//! in seconds).
//!
//! Method: place blocks one by one at the lowest offset that is free among
//! those already placed that they meet in time ("greedy by size"; Pisarchyk and
//! Lee 2020, "Efficient memory management for deep neural net inference", with
//! first fit); then try other orders, and search around the best one by moving
//! blocks that touch the top earlier in the order, until the bound is met or
//! the budget is spent.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::ids::Time;

/// Something that occupies bytes from one moment to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Size.
    pub bytes: usize,
    /// The offset is a multiple of this power of two.
    pub align: usize,
    /// First moment.
    pub first: Time,
    /// Last moment, not before the first.
    pub last: Time,
}

impl Block {
    /// Whether both live at some moment.
    pub fn meets(&self, other: &Block) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where the blocks lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// An offset for each block, in their order.
    pub offsets: Vec<usize>,
    /// One past the highest byte.
    pub total_bytes: usize,
}

/// Work units (a comparison of two blocks) that the search may spend: about a
/// tenth of a second.
const BUDGET: usize = 12_000_000;
/// Rounds of the search for small problems.
const MAX_ROUNDS: usize = 4_000;
/// Any number: what matters is that it never changes.
const SEED: u64 = 1;

/// The largest sum of bytes that live at one moment: no packing is smaller.
pub fn lower_bound(blocks: &[Block]) -> usize {
    let moments = blocks.iter().map(|b| b.last.index() + 1).max().unwrap_or(0);
    (0..moments).map(|t| live_bytes(blocks, t)).max().unwrap_or(0)
}

/// The bytes of the blocks that live at a moment.
pub fn live_bytes(blocks: &[Block], time: usize) -> usize {
    blocks.iter().filter(|b| b.first.index() <= time && time <= b.last.index()).map(|b| b.bytes).sum()
}

/// Packs blocks; see the module's text.
pub fn pack(blocks: &[Block]) -> Packing {
    let bound = lower_bound(blocks);
    let conflicts: Vec<Vec<usize>> = blocks
        .iter()
        .enumerate()
        .map(|(i, b)| (0..blocks.len()).filter(|&j| j != i && b.meets(&blocks[j])).collect())
        .collect();
    let (mut order, mut best) = starting_orders(blocks)
        .into_iter()
        .map(|order| {
            let packing = place(blocks, &conflicts, &order);
            (order, packing)
        })
        .min_by_key(|(_, packing)| packing.total_bytes)
        .expect("there is at least one starting order");
    let work: usize = conflicts.iter().map(|c| c.len() + 1).sum();
    let rounds = (BUDGET / work.max(1)).min(MAX_ROUNDS);
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for _ in 0..rounds {
        if best.total_bytes <= bound || blocks.len() < 2 {
            break;
        }
        let candidate = neighbour(blocks, &best, &order, &mut rng);
        let packing = place(blocks, &conflicts, &candidate);
        // Equal totals are taken too: plateaus are wide, and walking them finds the way down.
        if packing.total_bytes <= best.total_bytes {
            (order, best) = (candidate, packing);
        }
    }
    best
}

/// The orders in which blocks are tried first.
fn starting_orders(blocks: &[Block]) -> Vec<Vec<usize>> {
    let sorted = |key: &dyn Fn(&Block) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&i| {
            let (major, minor) = key(&blocks[i]);
            (std::cmp::Reverse(major), std::cmp::Reverse(minor), i)
        });
        order
    };
    let duration = |b: &Block| b.last.index() - b.first.index() + 1;
    let peak = (0..=blocks.iter().map(|b| b.last.index()).max().unwrap_or(0))
        .max_by_key(|&t| live_bytes(blocks, t))
        .unwrap_or(0);
    let at_peak = |b: &Block| usize::from(b.first.index() <= peak && peak <= b.last.index());
    vec![
        sorted(&|b| (b.bytes, duration(b))),
        sorted(&|b| (duration(b), b.bytes)),
        sorted(&|b| (b.bytes * duration(b), b.bytes)),
        sorted(&|b| (at_peak(b), b.bytes)),
        (0..blocks.len()).collect(),
    ]
}

/// Another order: mostly, a block that touches the top is placed earlier.
fn neighbour(blocks: &[Block], best: &Packing, order: &[usize], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let top: Vec<usize> = (0..order.len())
        .filter(|&p| p > 0 && best.offsets[order[p]] + blocks[order[p]].bytes == best.total_bytes)
        .collect();
    let mut order = order.to_vec();
    if !top.is_empty() && pick(4) > 0 {
        let from = top[pick(top.len())];
        let to = pick(from);
        let block = order.remove(from);
        order.insert(to, block);
    } else {
        let (a, b) = (pick(order.len()), pick(order.len()));
        order.swap(a, b);
    }
    order
}

/// First fit in the given order.
fn place(blocks: &[Block], conflicts: &[Vec<usize>], order: &[usize]) -> Packing {
    let mut offsets: Vec<Option<usize>> = vec![None; blocks.len()];
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut total_bytes = 0;
    for &i in order {
        taken.clear();
        taken.extend(
            conflicts[i]
                .iter()
                .filter_map(|&j| offsets[j].map(|o| (o, o + blocks[j].bytes)))
                .filter(|(start, end)| start < end),
        );
        taken.sort_unstable();
        let mut offset = 0usize;
        for &(start, end) in &taken {
            if offset + blocks[i].bytes <= start {
                break;
            }
            offset = offset.max(end.next_multiple_of(blocks[i].align));
        }
        offsets[i] = Some(offset);
        total_bytes = total_bytes.max(offset + blocks[i].bytes);
    }
    Packing { offsets: offsets.into_iter().map(|o| o.unwrap_or(0)).collect(), total_bytes }
}
