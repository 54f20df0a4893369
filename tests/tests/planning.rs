//! The smallest plans of large seeded networks: in how much RAM, and how near to what
//! lives at one moment of them.

use tinyc::Feed;
use tinyc::verify::simulate::Simulator;
use tinyc_tests::planning::{MOBILENET_144, MOBILENET_224, Seeded, seeded, seeded_fed, smallest};

/// The arena of a model's smallest plan, at most 3 % above its bound.
fn arena_bytes(model: Seeded) -> usize {
    let (compiled, options) = seeded(model).unwrap();
    let (chosen, _) = smallest(&compiled, options.asked()).unwrap();
    let (arena, bound) = (chosen.plan.arena_bytes, chosen.plan.live_bound_bytes);
    assert!(arena * 100 <= bound * 103, "{}: {arena} B, {bound} B live", model.name);
    arena
}

/// Its input of 62,208 bytes is there as a whole, once.
#[test]
fn mobilenet_of_a_third_of_the_width() {
    let bytes = arena_bytes(MOBILENET_144);
    assert!(bytes <= 70_000, "{bytes}");
}

/// Its input of 150,528 bytes is there as a whole, once.
#[test]
fn mobilenet_of_full_width() {
    let bytes = arena_bytes(MOBILENET_224);
    assert!(bytes <= 210_000, "{bytes}");
}

/// Its input is never there as a whole; the plan is at most a quarter slower than the fastest,
/// and gives the bytes of whole tensors.
#[test]
fn mobilenet_of_a_third_of_the_width_fed_by_rows() {
    let (compiled, options) = seeded_fed(MOBILENET_144, Feed::Rows).unwrap();
    let (chosen, _) = smallest(&compiled, options.asked()).unwrap();
    let (bytes, bound) = (chosen.plan.arena_bytes, chosen.plan.live_bound_bytes);
    assert!(bytes <= 28_000 && bytes * 100 <= bound * 103, "{bytes} B, {bound} B live");
    let point = chosen.curve.iter().find(|point| point.arena_bytes == bytes).unwrap();
    assert!(point.cycles * 4 <= chosen.curve.last().unwrap().cycles * 5, "{:?}", chosen.curve);
    let whole = seeded(MOBILENET_144).unwrap().0.plan;
    assert!(whole.arena_bytes > 5 * bytes, "{} B", whole.arena_bytes);
    let codes: Vec<i8> = (0..144 * 144 * 3).map(|i| (i * 37 % 256) as u8 as i8).collect();
    let outputs = Simulator::new(&whole).run(&[&codes]);
    assert!(outputs[0].iter().any(|code| *code != outputs[0][0]));
    assert_eq!(Simulator::new(&chosen.plan).run(&[&codes]), outputs);
}
