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

/// Where an item must not start: strictly between `low` and `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// Lower end.
    pub low: isize,
    /// Upper end.
    pub high: isize,
    /// The item that lies there.
    pub other: usize,
}

/// What those that are placed leave an item, by ascending lower ends.
pub fn taken(conflicts: &[Conflict], offsets: &[Option<usize>], found: &mut Vec<Taken>) {
    found.clear();
    found.extend(conflicts.iter().filter_map(|c| {
        let offset = offsets[c.other]? as isize;
        Some(Taken { low: offset + c.low, high: offset + c.high, other: c.other })
    }));
    found.sort_unstable();
}

/// The lowest offset that is left.
pub fn lowest(taken: &[Taken], align: usize) -> usize {
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
    let mut offsets: Vec<Option<usize>> = vec![None; items.len()];
    let mut found = Vec::new();
    for &i in order {
        taken(&conflicts[i], &offsets, &mut found);
        offsets[i] = Some(lowest(&found, items[i].align));
    }
    offsets.into_iter().flatten().collect()
}
