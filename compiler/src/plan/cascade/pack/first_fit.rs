//! Items one by one, each at the lowest offset that those before it leave.
//!
//! In: items in some order. Out: offsets. Invariant: an item is moved up, by its
//! alignment, from what it meets alone.

use super::conflicts::Conflict;
use super::{Item, profile};

/// The orders that are tried first.
pub fn starting_orders(items: &[Item]) -> Vec<Vec<usize>> {
    let never = usize::MAX;
    let [by_height, by_duration] = lasting_orders(items);
    vec![
        sorted(items, &|i| (i.bytes(), duration(i))),
        sorted(items, &|i| (i.pieces.len(), never - i.first())),
        by_height,
        by_duration,
        sorted(items, &|i| (i.bytes(), never - i.first())),
        sorted(items, &|i| (never - i.first(), i.bytes())),
    ]
}

/// Those from which long searches get the furthest: what lives through the fullest moments
/// first, and what lives the longest.
pub fn lasting_orders(items: &[Item]) -> [Vec<usize>; 2] {
    let live = profile(items);
    let height = |i: &Item| i.pieces.iter().flat_map(|p| &live[p.first..=p.last]).copied().max().unwrap_or(0);
    [sorted(items, &|i| (height(i), i.bytes())), sorted(items, &|i| (duration(i), i.bytes()))]
}

fn duration(item: &Item) -> usize {
    item.last() - item.first()
}

/// Items by descending keys.
fn sorted(items: &[Item], key: &dyn Fn(&Item) -> (usize, usize)) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_cached_key(|&i| {
        let (major, minor) = key(&items[i]);
        (std::cmp::Reverse(major), std::cmp::Reverse(minor), items[i].first(), i)
    });
    order
}

/// Offsets of the items that are placed.
#[derive(Debug, Clone)]
pub struct Offsets(Vec<u32>);

const NOWHERE: u32 = u32::MAX;

impl Offsets {
    /// Of so many items, none of them placed.
    pub fn nowhere(items: usize) -> Offsets {
        Offsets(vec![NOWHERE; items])
    }

    /// Places an item.
    pub fn set(&mut self, item: usize, offset: usize) {
        self.0[item] = offset as u32;
    }

    /// Takes an item out; whether it was placed.
    pub fn take(&mut self, item: usize) -> bool {
        std::mem::replace(&mut self.0[item], NOWHERE) != NOWHERE
    }

    /// All of them.
    pub fn all(self) -> Vec<usize> {
        debug_assert!(!self.0.contains(&NOWHERE), "everything was placed");
        self.0.into_iter().map(|offset| offset as usize).collect()
    }
}

/// Where an item must not start: strictly between `low` and `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Lower end.
    pub low: isize,
    /// Upper end.
    pub high: isize,
    /// The item that lies there.
    pub other: usize,
}

/// The room for lists of what those that are placed leave an item.
#[derive(Debug, Default)]
pub struct Looks {
    /// Lower ends, and which conflict each is of: searches sort little else, and single
    /// numbers are sorted the fastest.
    keys: Vec<u64>,
}

/// No end is below this.
const LEAST: isize = -(1 << 32);
/// Bits of a key that tell the conflict, or the item.
const INDEX_BITS: u32 = 24;

/// An end and whose it is as one number, in the order of ends.
pub fn end_key(end: isize, index: usize) -> u64 {
    ((end - LEAST) as u64) << INDEX_BITS | index as u64
}

/// What a key is of.
pub fn end_of(key: u64) -> (isize, usize) {
    ((key >> INDEX_BITS) as isize + LEAST, key as usize & ((1 << INDEX_BITS) - 1))
}

impl Looks {
    /// What those that are placed leave an item with these conflicts, by ascending lower ends.
    pub fn look<'a>(
        &'a mut self,
        conflicts: &'a [Conflict],
        offsets: &Offsets,
    ) -> impl ExactSizeIterator<Item = Taken> + Clone + use<'a> {
        let key = |(index, conflict): (usize, &Conflict)| {
            let offset = offsets.0[conflict.other as usize];
            (offset != NOWHERE).then(|| end_key(offset as isize + conflict.low as isize, index))
        };
        self.keys.clear();
        self.keys.extend(conflicts.iter().enumerate().filter_map(key));
        self.keys.sort_unstable();
        self.keys.iter().map(move |&key| {
            let (low, index) = end_of(key);
            let conflict = conflicts[index];
            let high = low + conflict.high as isize - conflict.low as isize;
            Taken { low, high, other: conflict.other as usize }
        })
    }
}

/// The lowest offset that is left.
pub fn lowest(taken: impl Iterator<Item = Taken>, align: usize) -> usize {
    let mut offset = 0usize;
    for taken in taken {
        if offset as isize <= taken.low {
            break;
        }
        if (offset as isize) < taken.high {
            offset = (taken.high as usize).next_multiple_of(align);
        }
    }
    offset
}

/// First fit in the given order.
pub fn place(items: &[Item], conflicts: &[Vec<Conflict>], order: &[usize]) -> Vec<usize> {
    let mut offsets = Offsets::nowhere(items.len());
    let mut looks = Looks::default();
    for &i in order {
        let offset = lowest(looks.look(&conflicts[i], &offsets), items[i].align);
        offsets.set(i, offset);
    }
    offsets.all()
}
