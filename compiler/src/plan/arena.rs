//! Offsets in the arena: packing of blocks that live for a while.
//!
//! In: [`Block`]s (bytes, alignment, first and last moment), the pairs of them that
//! may [`Overlap`], and which lie in one [`Piece`] of memory. Out: [`Packing`]: an
//! offset a block and the total. Invariants: blocks that live at the same moment do not
//! overlap, but for those pairs, which keep their distances; blocks of one piece lie
//! where they lie in it; the total is never below [`lower_bound`];
//! the result depends on the blocks and pairs alone (the search is seeded and
//! bounded in steps, not in seconds).
//!
//! Method: place pieces one by one at the lowest offset that those already
//! placed, which they meet in time, leave them ("greedy by size"; Pisarchyk and
//! Lee 2020, "Efficient memory management for deep neural net inference", with
//! first fit); then try other orders, and search around the best one by moving
//! pieces that touch the top earlier in the order, until the bound is met or
//! the budget is spent.

use std::collections::BTreeMap;

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

/// Two blocks that meet at one moment only, at which one is made from the other
/// row by row: their bytes may overlap, if the born one starts far enough below
/// or above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Position of the block that dies.
    pub dying: usize,
    /// Position of the block that is born.
    pub born: usize,
    /// The born block may start this many bytes below the start of the dying one, or more.
    pub below_bytes: usize,
    /// It may start this many bytes above the start of the dying one, or more.
    pub above_bytes: usize,
}

impl Overlap {
    /// The fewest bytes that the two cover together, when one starts at its
    /// distance from the other.
    fn union_bytes(&self, blocks: &[Block]) -> usize {
        let (dying, born) = (blocks[self.dying].bytes, blocks[self.born].bytes);
        let below = born.max(self.below_bytes + dying);
        let above = dying.max(self.above_bytes + born);
        below.min(above).min(dying + born)
    }
}

/// Where a block lies in a piece of memory whose other blocks lie where they lie in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Which; blocks of the same number are of one piece, and each byte of it is of one of them.
    pub number: usize,
    /// The block's first byte in it.
    pub at: usize,
}

/// What a piece must keep from one that is placed: its offset must not lie
/// strictly between `other's offset - before` and `other's offset + after`.
#[derive(Debug, Clone, Copy)]
struct Conflict {
    other: usize,
    before: isize,
    after: isize,
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

/// The largest number of bytes that are covered at one moment: no packing is
/// smaller. A pair that may overlap counts with what it covers where it overlaps
/// most; a block is in one pair at a moment, at most.
pub fn lower_bound(blocks: &[Block], overlaps: &[Overlap]) -> usize {
    let moments = blocks.iter().map(|b| b.last.index() + 1).max().unwrap_or(0);
    (0..moments).map(|t| live_bytes(blocks, overlaps, t)).max().unwrap_or(0)
}

/// The bytes that the blocks that live at a moment cover, at least.
pub fn live_bytes(blocks: &[Block], overlaps: &[Overlap], time: usize) -> usize {
    let lives = |b: &Block| b.first.index() <= time && time <= b.last.index();
    let sum: usize = blocks.iter().filter(|b| lives(b)).map(|b| b.bytes).sum();
    let saved = |pair: &Overlap| {
        let (dying, born) = (&blocks[pair.dying], &blocks[pair.born]);
        let both = lives(dying) && lives(born);
        if both { dying.bytes + born.bytes - pair.union_bytes(blocks) } else { 0 }
    };
    sum - overlaps.iter().map(saved).sum::<usize>()
}

/// Packs blocks, each of which is a piece of its own; see the module's text.
pub fn pack(blocks: &[Block], overlaps: &[Overlap]) -> Packing {
    let alone: Vec<Piece> = (0..blocks.len()).map(|number| Piece { number, at: 0 }).collect();
    pack_pieces(blocks, overlaps, &alone)
}

/// Packs blocks that lie in these pieces.
pub fn pack_pieces(blocks: &[Block], overlaps: &[Overlap], pieces: &[Piece]) -> Packing {
    let packing = search(blocks, overlaps, pieces);
    if overlaps.is_empty() || packing.total_bytes <= lower_bound(blocks, overlaps) {
        return packing;
    }
    // More freedom misleads first fit now and then; it must never cost anything.
    let apart = search(blocks, &[], pieces);
    if apart.total_bytes < packing.total_bytes { apart } else { packing }
}

/// The best packing that the search finds.
fn search(blocks: &[Block], overlaps: &[Overlap], pieces: &[Piece]) -> Packing {
    let bound = lower_bound(blocks, overlaps);
    let (hulls, hull_of) = hulls(blocks, pieces);
    let conflicts = conflicts(blocks, overlaps, pieces, &hull_of);
    let (mut order, mut best) = starting_orders(&hulls, blocks, overlaps)
        .into_iter()
        .map(|order| {
            let packing = place(&hulls, &conflicts, &order);
            (order, packing)
        })
        .min_by_key(|(_, packing)| packing.total_bytes)
        .expect("there is at least one starting order");
    let work: usize = conflicts.iter().map(|c| c.len() + 1).sum();
    let rounds = (BUDGET / work.max(1)).min(MAX_ROUNDS);
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for _ in 0..rounds {
        if best.total_bytes <= bound || hulls.len() < 2 {
            break;
        }
        let candidate = neighbour(&hulls, &best, &order, &mut rng);
        let packing = place(&hulls, &conflicts, &candidate);
        // Equal totals are taken too: plateaus are wide, and walking them finds the way down.
        if packing.total_bytes <= best.total_bytes {
            (order, best) = (candidate, packing);
        }
    }
    let offsets = hull_of.iter().zip(pieces).map(|(&hull, piece)| best.offsets[hull] + piece.at).collect();
    Packing { offsets, total_bytes: best.total_bytes }
}

/// What each piece covers, as a block, and which of them each block is of.
fn hulls(blocks: &[Block], pieces: &[Piece]) -> (Vec<Block>, Vec<usize>) {
    let mut hulls: Vec<Block> = Vec::new();
    let mut known: BTreeMap<usize, usize> = BTreeMap::new();
    let mut hull_of = Vec::with_capacity(blocks.len());
    for (block, piece) in blocks.iter().zip(pieces) {
        let bytes = piece.at + block.bytes;
        let hull = *known.entry(piece.number).or_insert_with(|| {
            hulls.push(Block { bytes, ..*block });
            hulls.len() - 1
        });
        let own = &mut hulls[hull];
        own.bytes = own.bytes.max(bytes);
        own.align = own.align.max(block.align);
        own.first = own.first.min(block.first);
        own.last = own.last.max(block.last);
        hull_of.push(hull);
    }
    (hulls, hull_of)
}

/// Everything that each piece must keep its distance from.
fn conflicts(
    blocks: &[Block],
    overlaps: &[Overlap],
    pieces: &[Piece],
    hull_of: &[usize],
) -> Vec<Vec<Conflict>> {
    let mut conflicts: Vec<Vec<Conflict>> = vec![Vec::new(); hull_of.iter().max().map_or(0, |last| last + 1)];
    for (this, block) in blocks.iter().enumerate() {
        let meets =
            |j: &usize| hull_of[*j] != hull_of[this] && block.meets(&blocks[*j]) && blocks[*j].bytes > 0;
        for other in (0..blocks.len()).filter(|_| block.bytes > 0).filter(meets) {
            let pair = |dying, born| overlaps.iter().find(|o| o.dying == dying && o.born == born);
            let (before, after) = match (pair(other, this), pair(this, other)) {
                (Some(o), _) => (o.below_bytes, o.above_bytes),
                (None, Some(o)) => (o.above_bytes, o.below_bytes),
                (None, None) => (block.bytes, blocks[other].bytes),
            };
            // How much further into its piece the other one lies.
            let apart = pieces[other].at as isize - pieces[this].at as isize;
            conflicts[hull_of[this]].push(Conflict {
                other: hull_of[other],
                before: before as isize - apart,
                after: after as isize + apart,
            });
        }
    }
    conflicts
}

/// The orders in which blocks are tried first.
fn starting_orders(hulls: &[Block], blocks: &[Block], overlaps: &[Overlap]) -> Vec<Vec<usize>> {
    let sorted = |key: &dyn Fn(&Block) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..hulls.len()).collect();
        order.sort_by_key(|&i| {
            let (major, minor) = key(&hulls[i]);
            (std::cmp::Reverse(major), std::cmp::Reverse(minor), i)
        });
        order
    };
    let duration = |b: &Block| b.last.index() - b.first.index() + 1;
    let peak = (0..=blocks.iter().map(|b| b.last.index()).max().unwrap_or(0))
        .max_by_key(|&t| live_bytes(blocks, overlaps, t))
        .unwrap_or(0);
    let at_peak = |b: &Block| usize::from(b.first.index() <= peak && peak <= b.last.index());
    vec![
        sorted(&|b| (b.bytes, duration(b))),
        sorted(&|b| (duration(b), b.bytes)),
        sorted(&|b| (b.bytes * duration(b), b.bytes)),
        sorted(&|b| (at_peak(b), b.bytes)),
        (0..hulls.len()).collect(),
        (0..hulls.len()).rev().collect(),
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
fn place(blocks: &[Block], conflicts: &[Vec<Conflict>], order: &[usize]) -> Packing {
    let mut offsets: Vec<Option<usize>> = vec![None; blocks.len()];
    // Where the block must not start: strictly between the two, the first one shifted
    // by `lift` so that it is never negative.
    let lift = blocks.iter().map(|b| b.bytes).max().unwrap_or(0);
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut total_bytes = 0;
    for &i in order {
        taken.clear();
        taken.extend(conflicts[i].iter().filter_map(|c| {
            let other = offsets[c.other]?;
            Some(((other + lift).saturating_add_signed(-c.before), other.saturating_add_signed(c.after)))
        }));
        taken.sort_unstable();
        let mut offset = 0usize;
        for &(start, end) in &taken {
            if offset + lift <= start {
                break;
            }
            offset = offset.max(end.next_multiple_of(blocks[i].align));
        }
        offsets[i] = Some(offset);
        total_bytes = total_bytes.max(offset + blocks[i].bytes);
    }
    Packing { offsets: offsets.into_iter().map(|o| o.unwrap_or(0)).collect(), total_bytes }
}
