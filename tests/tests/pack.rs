//! Offsets of rows: nothing overlaps, and little is wasted.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tinyc::plan::cascade::pack::{Item, Piece, Placed, pack, profile};

const BUDGET: usize = 2_000_000;
const ROUNDS: usize = 1000;

fn bound(items: &[Item]) -> usize {
    profile(items).into_iter().max().unwrap_or(0)
}

fn one(bytes: usize, first: usize, last: usize) -> Item {
    Item { align: 4, pieces: vec![Piece { start: 0, bytes, first, last }] }
}

/// That no two pieces share a byte at a moment, by marking every byte of every moment.
#[track_caller]
fn check(items: &[Item], placed: &Placed) {
    let moments = items.iter().flat_map(|i| &i.pieces).map(|p| p.last + 1).max().unwrap_or(0);
    let mut owner = vec![vec![usize::MAX; placed.total_bytes]; moments];
    for (index, (item, &offset)) in items.iter().zip(&placed.offsets).enumerate() {
        assert!(offset.is_multiple_of(item.align), "item {index} at {offset}");
        for piece in &item.pieces {
            for (moment, bytes) in owner.iter_mut().enumerate().take(piece.last + 1).skip(piece.first) {
                for byte in &mut bytes[offset + piece.start..offset + piece.start + piece.bytes] {
                    assert_eq!(*byte, usize::MAX, "items {index} and {byte} at moment {moment}");
                    *byte = index;
                }
            }
        }
    }
}

#[test]
fn nothing_overlaps_and_the_result_is_always_the_same() {
    for seed in 0..30 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pick = |n: usize| rng.next_u32() as usize % n;
        let items: Vec<Item> = (0..4 + pick(30))
            .map(|_| {
                // Pieces that follow each other or leave gaps, also before the first.
                let mut start = pick(3) * pick(12);
                let pieces = (0..1 + pick(5))
                    .map(|_| {
                        let (bytes, first) = (1 + pick(40), pick(30));
                        let piece = Piece { start, bytes, first, last: first + pick(12) };
                        start += bytes + pick(2) * pick(9);
                        piece
                    })
                    .collect();
                Item { align: [1, 4, 8, 16][pick(4)], pieces }
            })
            .collect();
        let placed = pack(&items, BUDGET, ROUNDS);
        check(&items, &placed);
        assert!(placed.total_bytes >= bound(&items));
        assert_eq!(pack(&items, BUDGET, ROUNDS), placed, "seed {seed}");
    }
}

#[test]
fn what_a_dying_tensor_leaves_is_used() {
    // 64 rows of 16 bytes die one after the other, from the first; two rows of 12 bytes
    // for each of them stay. The room that is left lies next to everything else.
    let rows = 0..64;
    let pieces = rows.clone().map(|r| Piece { start: 16 * r, bytes: 16, first: 0, last: r }).collect();
    let mut items = vec![Item { align: 4, pieces }];
    for row in rows {
        items.push(one(12, row + 1, 70));
    }
    let placed = pack(&items, BUDGET, ROUNDS);
    check(&items, &placed);
    assert!(placed.total_bytes <= bound(&items) * 103 / 100, "{} of {}", placed.total_bytes, bound(&items));
}

/// A rectangle of moments and bytes, cut at random: its parts fit into it again.
fn cut(moments: [usize; 2], units: usize, parts: usize, rng: &mut ChaCha8Rng, items: &mut Vec<Item>) {
    let [first, last] = moments;
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    if parts < 2 || (first == last && units == 1) {
        items.push(one(4 * units, first, last));
    } else if first < last && (units == 1 || pick(2) == 0) {
        let middle = first + pick(last - first);
        cut([first, middle], units, parts / 2, rng, items);
        cut([middle + 1, last], units, parts - parts / 2, rng, items);
    } else {
        let below = 1 + pick(units - 1);
        cut(moments, below, parts / 2, rng, items);
        cut(moments, units - below, parts - parts / 2, rng, items);
    }
}

#[test]
fn parts_of_a_rectangle_fit_into_little_more_than_it() {
    for seed in 0..12 {
        let mut items = Vec::new();
        cut([0, 199], 300, 48, &mut ChaCha8Rng::seed_from_u64(seed), &mut items);
        let placed = pack(&items, 4 * BUDGET, ROUNDS);
        check(&items, &placed);
        assert_eq!(bound(&items), 1200);
        assert!(placed.total_bytes * 100 <= 1200 * 103, "seed {seed}: {}", placed.total_bytes);
    }
}

#[test]
fn a_search_that_may_not_look_says_so() {
    // Two pairs of crossing lives: first fit wastes room that a search would find.
    let items: Vec<Item> = (0..40).map(|i| one(4 + 4 * (i * 7 % 11), i, i + 3 + i * 5 % 9)).collect();
    let hasty = pack(&items, 0, ROUNDS);
    let patient = pack(&items, BUDGET, ROUNDS);
    check(&items, &hasty);
    assert!(hasty.stopped && hasty.total_bytes > patient.total_bytes, "{hasty:?}");
}
