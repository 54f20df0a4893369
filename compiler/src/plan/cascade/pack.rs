//! Offsets of items whose parts live at different times.
//!
//! In: [`Item`]s: runs of pieces, each with a life of its own. Out: an offset for
//! each. Invariants: pieces that live at the same moment do not overlap; the
//! result depends on the items alone.
//!
//! A row that lies anywhere is an item of one piece; a tensor that must lie in one
//! run is an item whose rows are its pieces, so that other rows can take the place
//! of those that nobody needs any more. Method: first fit in several orders, from
//! either end of the memory (a tensor whose first rows die first leaves its room
//! next to what lies below it); then two searches (`search`) for less and less memory,
//! bounded in steps.

mod conflicts;
mod descent;
mod first_fit;
mod search;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use descent::Descent;
use first_fit::{lasting_orders, place, starting_orders};
use rayon::prelude::*;
use search::Method;

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
    /// Whether the search stopped at its limit of steps, with bytes above the bound.
    pub stopped: bool,
}

/// The bytes that live at each moment; the largest is a bound of every placement.
pub fn profile<'a>(items: impl IntoIterator<Item = &'a Item, IntoIter: Clone>) -> Vec<usize> {
    let items = items.into_iter();
    let end = items.clone().map(Item::last).max().map_or(0, |last| last + 1);
    let mut change = vec![0isize; end + 1];
    for piece in items.flat_map(|i| &i.pieces) {
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

/// The items as they are, or upside down, with what they must keep from each other.
struct Side {
    items: Vec<Item>,
    /// Bytes of each, up to its alignment where the side is upside down.
    sizes: Vec<usize>,
    conflicts: Vec<Vec<conflicts::Conflict>>,
    upside_down: bool,
}

impl Side {
    fn upright(items: &[Item]) -> Side {
        let sizes = items.iter().map(Item::bytes).collect();
        Side { items: items.to_vec(), sizes, conflicts: conflicts::all(items), upside_down: false }
    }

    /// Turns items upside down whose upright side is there.
    fn turned(&self) -> Side {
        let items = &self.items;
        let sizes: Vec<usize> = items.iter().map(|i| i.bytes().next_multiple_of(i.align)).collect();
        let turn = |(item, &size): (&Item, &usize)| Item {
            align: item.align,
            pieces: item.pieces.iter().map(|p| Piece { start: size - p.start - p.bytes, ..*p }).collect(),
        };
        let items: Vec<Item> = items.iter().zip(&sizes).map(turn).collect();
        let conflicts = conflicts::upside_down(&self.conflicts, &sizes);
        Side { items, sizes, conflicts, upside_down: true }
    }

    /// Offsets on this side as those of the items.
    fn settle(&self, items: &[Item], mut offsets: Vec<usize>) -> Placed {
        let align = items.iter().map(|item| item.align).max().unwrap_or(1);
        if self.upside_down {
            let ends = offsets.iter().zip(&self.sizes).map(|(offset, size)| offset + size);
            let top = ends.max().unwrap_or(0).next_multiple_of(align);
            offsets.iter_mut().zip(&self.sizes).for_each(|(offset, size)| *offset = top - *offset - size);
            let unused = offsets.iter().min().map_or(0, |least| least / align * align);
            offsets.iter_mut().for_each(|offset| *offset -= unused);
        }
        let total_bytes = offsets.iter().zip(items).map(|(o, item)| o + item.bytes()).max().unwrap_or(0);
        Placed { offsets, total_bytes, stopped: false }
    }

    /// Looks that placing everything once takes, at least.
    fn work(&self) -> usize {
        self.conflicts.iter().map(|c| c.len() + 4).sum()
    }
}

/// Any number: what matters is that it never changes.
const SEED: u64 = 1;
/// Searches that start from the best of the starting orders.
const STARTS: usize = 3;
/// One this far above it is worth a longer search.
pub const FAR: usize = 64;
/// So many items are not placed earlier one by one: everything behind is placed again.
pub const MANY: usize = 500;
/// How much longer a long search is.
const LONGER: usize = 2;

/// Places the items, and spends up to `budget` looks at a conflict on searching, and no
/// more than those of placing everything `rounds` times.
pub fn pack(items: &[Item], budget: usize, rounds: usize) -> Placed {
    search_offsets(items, budget, rounds, false)
}

/// The same; where many items are left with much above the bound, longer searches follow.
pub fn pack_long(items: &[Item], budget: usize, rounds: usize) -> Placed {
    search_offsets(items, budget, rounds, true)
}

fn search_offsets(items: &[Item], budget: usize, rounds: usize, long: bool) -> Placed {
    let bound = profile(items).into_iter().max().unwrap_or(0);
    let upright = Side::upright(items);
    let turned = upright.turned();
    let sides = [upright, turned];
    let mut starts: Vec<(usize, &Side, Vec<usize>)> = Vec::new();
    let mut best: Option<Placed> = None;
    'sides: for side in &sides {
        for order in starting_orders(&side.items) {
            let placed = side.settle(items, place(&side.items, &side.conflicts, &order));
            starts.push((placed.total_bytes, side, order));
            if best.as_ref().is_none_or(|b| placed.total_bytes < b.total_bytes) {
                best = Some(placed);
            }
            if best.as_ref().is_some_and(|b| b.total_bytes == bound) {
                break 'sides;
            }
        }
    }
    let mut best = best.expect("there is a starting order");
    starts.sort_by_key(|start| start.0);
    starts.truncate(STARTS);
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let many = items.len() >= MANY;
    let methods: &[Method] = if many { &[Method::Eject] } else { &[Method::Reorder, Method::Eject] };
    let down = |method| Descent { items, bound, method };
    let most = budget.min(rounds * sides[0].work());
    for method in methods {
        for (_, side, order) in &mut starts {
            let looks = most / (methods.len() * STARTS);
            down(*method).run(side, order, looks, &mut best, &mut rng);
        }
    }
    if long && many && best.total_bytes > bound + bound / FAR {
        let again = |mut order: Vec<usize>| {
            let mut found = best.clone();
            let mut rng = ChaCha8Rng::seed_from_u64(SEED);
            down(Method::Eject).run(&sides[0], &mut order, LONGER * budget, &mut found, &mut rng);
            found
        };
        let orders = lasting_orders(&sides[0].items).into_par_iter();
        let found: Vec<Placed> = orders.map(again).collect();
        best = found.into_iter().min_by_key(|placed| placed.total_bytes).unwrap_or(best);
    }
    Placed { stopped: !descent::is_near(best.total_bytes, bound), ..best }
}
