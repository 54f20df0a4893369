//! Whether a model fits a chip, and what the error says where it does not.

use tinyc::report::memory::{check, flash, place, placement, ram};
use tinyc::report::{Budgets, Footprint};
use tinyc::target::{Budget, Dma, Target};

fn need(weights_bytes: u64, arena_bytes: u64) -> Footprint {
    let peak_step = Some("conv_3".to_owned());
    Footprint {
        weights_bytes,
        tables_bytes: 0,
        code_bytes: 10_000,
        arena_bytes,
        smallest_bytes: arena_bytes,
        peak_step,
        parts: Vec::new(),
        undivided: None,
    }
}

fn chip(name: &str) -> Target {
    Target::lookup(name).expect("a built-in target")
}

#[test]
fn eighty_percent_is_the_limit_to_the_byte() {
    // 80 % of 131,072 is 104,857.6.
    let f411 = chip("stm32f411");
    let budgets = Budgets::default();
    assert!(check(&need(0, 104_857), &f411, &budgets, &[]).is_ok());
    assert!(check(&need(0, 104_858), &f411, &budgets, &[]).is_err());
    assert_eq!(ram(&need(0, 1), &f411, &budgets).limit_bytes, 104_857);
    assert_eq!(flash(&need(5, 1), &f411, &budgets).needed_bytes, 10_005);
}

#[test]
fn the_error_names_step_limit_and_what_to_do() {
    let error = check(&need(0, 143_360), &chip("stm32f411"), &Budgets::default(), Target::builtin());
    let text = error.expect_err("over").to_string();
    assert!(
        text.contains("arena 143,360 B, stm32f411 offers 104,857 B (80 % of 131,072): peak at conv_3"),
        "{text}"
    );
    assert!(
        text.contains("the smallest arena found, row by row and with whole tensors, is 143,360 B"),
        "{text}"
    );
    assert!(text.contains("RAM regions of stm32f411: sram 131,072 B (for the arena)"), "{text}");
    assert!(text.contains("it would fit --target "), "{text}");
    // More than the chip has: no budget can help.
    assert!(!text.contains("raise"), "{text}");
}

#[test]
fn a_budget_that_can_be_raised_is_named() {
    let budgets = Budgets { flash: Budget::from_bytes(5_000).expect("bytes"), ram: Budget::default() };
    let error = check(&need(2_000, 10), &chip("stm32f411"), &budgets, Target::builtin());
    let text = error.expect_err("over").to_string();
    assert!(text.contains("flash: 12,000 B (weights 2,000 B, tables 0 B, code about 10,000 B)"), "{text}");
    assert!(text.contains("raise --budget-flash,"), "{text}");
    // A budget in bytes is the same on every chip.
    assert!(text.contains("no target that tinyc knows"), "{text}");
}

#[test]
fn the_suggested_target_fits_and_is_the_smallest() {
    let budgets = Budgets::default();
    let need = need(100_000, 143_360);
    let text = check(&need, &chip("stm32f411"), &budgets, Target::builtin()).expect_err("over").to_string();
    let name = text.split("--target ").nth(1).and_then(|t| t.split(';').next()).expect("a name");
    let suggested = chip(name);
    assert!(check(&need, &suggested, &budgets, &[]).is_ok());
    for other in Target::builtin().iter().filter(|t| t.clock_hz.is_some()) {
        let fits = check(&need, other, &budgets, &[]).is_ok();
        assert!(!fits || other.arena_bytes() >= suggested.arena_bytes(), "{} is smaller", other.name);
    }
}

#[test]
fn every_region_is_named_and_a_smaller_plan_too() {
    let need = Footprint { smallest_bytes: 400_000, ..need(0, 500_000) };
    let budgets = Budgets { ram: Budget::from_bytes(450_000).expect("bytes"), ..Budgets::default() };
    let text = check(&need, &chip("stm32h743"), &budgets, &[]).expect_err("over").to_string();
    // The smallest plan would fit: the strategy asked for another.
    assert!(text.contains("an arena of 400,000 B fits: leave --ram-strategy out"), "{text}");
    let regions =
        "axi 524,288 B (for the arena), dtcm 131,072 B, d2 294,912 B, sram4 65,536 B, itcm 65,536 B";
    assert!(text.contains(regions), "{text}");
    // A peak at which no layer runs.
    let need = Footprint { peak_step: None, ..need };
    let text = check(&need, &chip("stm32h743"), &budgets, &[]).expect_err("over").to_string();
    assert!(text.contains("peak at its inputs or outputs"), "{text}");
}

#[test]
fn the_arena_goes_to_the_fastest_region_that_has_room() {
    let budgets = Budgets::default();
    // 80 % of 64 KiB is 52,428.8, of 128 KiB 104,857.6. Code memory is no place for it, nor is
    // what has no clock after reset.
    let cases: [(&str, u64, &str); 10] = [
        ("stm32f746", 52_428, "dtcm"),
        ("stm32f746", 52_429, "sram"),
        ("stm32f407", 52_428, "ccm"),
        ("stm32f407", 52_429, "sram"),
        ("stm32h743", 104_857, "dtcm"),
        ("stm32h743", 104_858, "axi"),
        ("apollo4plus", 300_000, "tcm"),
        ("apollo4plus", 400_000, "sram"),
        ("stm32f411", 10, "sram"),
        // It does not fit: of all the largest.
        ("stm32h743", 500_000, "axi"),
    ];
    for (name, arena_bytes, region) in cases {
        let chip = chip(name);
        assert_eq!(place(arena_bytes, &chip, &budgets).name, region, "{arena_bytes} B on {name}");
        let used = ram(&need(0, arena_bytes), &chip, &budgets);
        assert_eq!(used.total_bytes, chip.ram_region(region).expect("a region").length_bytes);
    }
    // A budget in bytes is one of each region, and never more than it has.
    let bytes = Budgets { ram: Budget::from_bytes(60_000).expect("bytes"), ..budgets };
    assert_eq!(place(60_000, &chip("stm32f746"), &bytes).name, "dtcm");
    assert_eq!(place(60_001, &chip("stm32f746"), &bytes).name, "sram");

    assert_eq!(placement(52_429, &chip("stm32f746"), &budgets), None, "where all statics lie");
    let placed = placement(1_000, &chip("stm32f407"), &budgets).expect("the CCM");
    assert_eq!((placed.origin, placed.dma, &placed.instead_of[..]), (0x1000_0000, Some(Dma::None), "sram"));
}
