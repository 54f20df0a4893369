//! Targets as a user meets them: names, files, budgets, estimates, the list.
//! Expected sizes are written out here: KiB and MiB as the vendors state them.

use std::collections::BTreeSet;
use std::path::Path;

use tinyc::target::{Budget, BudgetError, Core, Fpu, Isa, Problem, Target, TargetError, rows, table, units};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

fn target(name: &str) -> Target {
    Target::lookup(name).unwrap_or_else(|error| panic!("{error}"))
}

/// A valid target file, to be broken by the tests.
const OWN: &str = r#"
name = "own-board"
part = "MY123"
vendor = "me"
core = "cortex-m4f"
clock_hz = 80_000_000
rust_target = "thumbv7em-none-eabi"
arch = "portable"
arena_region = "sram"

[[flash]]
name = "flash"
origin = 0x0800_0000
length_bytes = 262_144

[[ram]]
name = "sram"
origin = 0x2000_0000
length_bytes = 65_536

[[ram]]
name = "ccm"
origin = 0x1000_0000
length_bytes = 16_384

[provenance]
memory = "datasheet"
timing = "datasheet"
"#;

/// What is wrong with [`OWN`] after one replacement.
fn problem(from: &str, to: &str) -> Problem {
    assert!(OWN.contains(from), "nothing to replace: {from}");
    match Target::parse("own.toml", &OWN.replacen(from, to, 1)) {
        Err(TargetError::Invalid { problem, .. }) => problem,
        other => panic!("expected an invalid target, got {other:?}"),
    }
}

#[test]
fn every_file_of_the_folder_is_built_in_under_its_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../targets");
    let in_folder: BTreeSet<String> = std::fs::read_dir(&folder)
        .expect("the targets folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.ends_with(".toml"))
        .collect();
    let built_in: BTreeSet<String> = Target::builtin_files().map(str::to_owned).collect();
    assert_eq!(in_folder, built_in, "targets/table.rs must list every .toml file");
    for (file, target) in Target::builtin_files().zip(Target::builtin()) {
        assert_eq!(file, format!("{}.toml", target.name));
        let on_disk = Target::read(&folder.join(file)).expect("a valid file");
        assert_eq!(&on_disk, target, "{file} was embedded from another folder");
    }
}

#[test]
fn sizes_and_clocks_are_those_that_the_vendors_state() {
    // name, clock in MHz, flash, RAM in all, RAM for the arena
    let expected: &[(&str, u64, u64, u64, u64)] = &[
        ("arduino-nano33ble", 64, MIB, 256 * KIB, 256 * KIB),
        ("nrf52832", 64, 512 * KIB, 64 * KIB, 64 * KIB),
        ("nrf5340", 128, MIB, 512 * KIB, 512 * KIB),
        ("stm32f103", 72, 64 * KIB, 20 * KIB, 20 * KIB),
        ("stm32f407", 168, MIB, 192 * KIB, 128 * KIB),
        ("stm32f411", 100, 512 * KIB, 128 * KIB, 128 * KIB),
        ("stm32f446", 180, 512 * KIB, 128 * KIB, 128 * KIB),
        ("stm32f746", 216, MIB, 336 * KIB, 256 * KIB),
        ("stm32g071", 64, 128 * KIB, 36 * KIB, 36 * KIB),
        ("stm32g0b1", 64, 512 * KIB, 144 * KIB, 144 * KIB),
        ("stm32h743", 480, 2 * MIB, 1056 * KIB, 512 * KIB),
        ("stm32l4r5", 120, 2 * MIB, 640 * KIB, 640 * KIB),
        ("stm32u585", 160, 2 * MIB, 768 * KIB, 768 * KIB),
        ("rp2040", 133, 2 * MIB, 264 * KIB, 264 * KIB),
        ("rp2350", 150, 4 * MIB, 520 * KIB, 520 * KIB),
        ("samd21g18a", 48, 256 * KIB, 32 * KIB, 32 * KIB),
        ("samd51p19a", 120, 512 * KIB, 192 * KIB, 192 * KIB),
        ("esp32c3", 160, 4 * MIB, 384 * KIB, 384 * KIB),
        ("ensemble-e3-he", 160, 5632 * KIB, 4608 * KIB, 4096 * KIB),
        ("apollo4plus", 192, 1952 * KIB, 2816 * KIB, 2432 * KIB),
    ];
    for &(name, clock_mhz, flash_bytes, ram_bytes, arena_bytes) in expected {
        let target = target(name);
        assert_eq!(target.clock_hz, Some(clock_mhz * 1_000_000), "{name}");
        assert_eq!(target.flash_bytes(), flash_bytes, "flash of {name}");
        assert_eq!(target.ram_bytes(), ram_bytes, "RAM of {name}");
        assert_eq!(target.arena_bytes(), arena_bytes, "arena RAM of {name}");
    }
    assert_eq!(expected.len() + 1, Target::builtin().len(), "all but the host");
}

#[test]
fn a_target_is_found_by_name_part_or_board_in_any_case() {
    for name in ["stm32f411", "STM32F411RE", "Nucleo-F411RE", " blackpill "] {
        assert_eq!(target(name).name, "stm32f411");
    }
    assert_eq!(target("nRF52840").name, "arduino-nano33ble");
}

#[test]
fn an_unknown_target_names_its_neighbours_and_the_list() {
    let Err(error) = Target::lookup("stm32f412") else {
        panic!("no such chip is built in");
    };
    let text = error.to_string();
    assert!(text.starts_with("unknown target \"stm32f412\"; did you mean "), "{text}");
    assert!(text.contains("stm32f411") && text.contains("`tinyc targets`"), "{text}");

    let Err(TargetError::Unknown { suggestions, .. }) = Target::lookup("esp32-c33") else {
        panic!("no such chip is built in");
    };
    assert_eq!(suggestions.first().map(String::as_str), Some("esp32-c3"));

    let Err(TargetError::Unknown { suggestions, .. }) = Target::lookup("zzzz") else {
        panic!("no such chip is built in");
    };
    assert!(suggestions.is_empty(), "{suggestions:?}");
}

#[test]
fn a_file_of_the_users_own_is_a_target() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("Own.toml");
    std::fs::write(&path, OWN).expect("written");
    let own = target(path.to_str().expect("UTF-8"));
    assert_eq!((own.name.as_str(), own.arena_bytes()), ("own-board", 64 * KIB));
    assert_eq!(own.energy_uj(1), None, "without [power] nothing is estimated");

    let missing = folder.path().join("missing.toml");
    let error = Target::lookup(missing.to_str().expect("UTF-8")).expect_err("no such file");
    assert!(matches!(error, TargetError::Read { .. }));
    assert!(error.to_string().contains("missing.toml"), "{error}");
}

#[test]
fn misspelt_fields_and_unknown_cores_are_refused_with_their_place() {
    for (from, to, word) in [
        ("clock_hz", "clock_mhz", "clock_mhz"),
        ("cortex-m4f", "cortex-m5", "cortex-m5"),
        ("vendor = \"me\"\n", "", "vendor"),
        ("\"portable\"", "\"fast\"", "fast"),
    ] {
        let error = Target::parse("own.toml", &OWN.replacen(from, to, 1)).expect_err(to);
        assert!(matches!(error, TargetError::Parse { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("own.toml") && text.contains(word), "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_is_refused() {
    assert_eq!(
        problem("length_bytes = 65_536", "length_bytes = 0"),
        Problem::EmptyRegion { region: "sram".into() }
    );
    // 0x1000_0000 + 16 KiB reaches into a region that starts 4 KiB later.
    assert_eq!(
        problem("origin = 0x2000_0000", "origin = 0x1000_1000"),
        Problem::Overlap { first: "ccm".into(), second: "sram".into(), at: 0x1000_1000 }
    );
    assert_eq!(
        problem("origin = 0x2000_0000", "origin = 0xffff_8000"),
        Problem::RegionTooHigh { region: "sram".into(), origin: 0xffff_8000, length_bytes: 65_536 }
    );
    assert_eq!(
        problem("name = \"ccm\"", "name = \"sram\""),
        Problem::RegionNameTwice { region: "sram".into() }
    );
    assert_eq!(
        problem("arena_region = \"sram\"", "arena_region = \"flash\""),
        Problem::ArenaRegion { given: "flash".into(), known: vec!["sram".into(), "ccm".into()] }
    );
    assert_eq!(
        problem("length_bytes = 16_384", "length_bytes = 131_072\nspeed_rank = 1").to_string(),
        "arena_region \"sram\" is smaller than \"ccm\", which has a speed_rank; name the larger one, or leave its \
         speed_rank out"
    );
    assert_eq!(
        problem("thumbv7em-none-eabi", "thumbv6m-none-eabi").to_string(),
        "rust_target thumbv6m-none-eabi does not suit core Cortex-M4F; \
         use thumbv7em-none-eabihf or thumbv7em-none-eabi"
    );
    assert_eq!(problem("own-board", "Own Board"), Problem::BadName { name: "Own Board".into() });
    assert!(matches!(problem("80_000_000", "0"), Problem::Clock { .. }));
}

#[test]
fn adjacent_regions_do_not_overlap() {
    let text = OWN.replacen("origin = 0x2000_0000", "origin = 0x1000_4000", 1);
    assert!(Target::parse("own.toml", &text).is_ok());
}

#[test]
fn no_name_leads_to_two_targets() {
    let names: Vec<&String> = Target::builtin()
        .iter()
        .flat_map(|target| std::iter::once(&target.name).chain(&target.aliases))
        .collect();
    let distinct: BTreeSet<&&String> = names.iter().collect();
    assert_eq!(names.len(), distinct.len());
}

#[test]
fn what_follows_from_the_core() {
    let facts = |name: &str| {
        let core = target(name).core;
        (core.isa(), core.has_dsp(), core.fpu())
    };
    assert_eq!(facts("rp2040"), (Isa::Armv6M, false, Fpu::None));
    assert_eq!(facts("stm32f103"), (Isa::Armv7M, false, Fpu::None));
    assert_eq!(facts("stm32f411"), (Isa::Armv7EM, true, Fpu::Single));
    assert_eq!(facts("stm32h743"), (Isa::Armv7EM, true, Fpu::Double));
    assert_eq!(facts("nrf5340"), (Isa::Armv8MMain, true, Fpu::Single));
    assert_eq!(facts("ensemble-e3-he"), (Isa::Armv81MMain, true, Fpu::Double));
    assert_eq!(facts("esp32c3"), (Isa::Rv32imc, false, Fpu::None));
    assert!(!Core::CortexM33.has_dsp());
}

#[test]
fn each_core_has_its_emulated_machine() {
    for (name, program, machine) in [
        ("rp2040", "qemu-system-arm", "microbit"),
        ("stm32f103", "qemu-system-arm", "mps2-an385"),
        ("stm32f411", "qemu-system-arm", "mps2-an386"),
        ("stm32f746", "qemu-system-arm", "mps2-an500"),
        ("nrf5340", "qemu-system-arm", "mps2-an505"),
        ("ensemble-e3-he", "qemu-system-arm", "mps3-an547"),
        ("esp32c3", "qemu-system-riscv32", "virt"),
    ] {
        let emulator = target(name).emulator().expect("an emulator");
        assert_eq!((emulator.program, emulator.machine), (program, machine), "{name}");
        assert_eq!(emulator.machine_args()[..2], ["-machine", machine]);
    }
    assert!(target("host").emulator().is_none());
}

#[test]
fn budgets_are_shares_or_bytes() {
    let limit = |text: &str| text.parse::<Budget>().expect(text).limit_bytes(131_072);
    assert_eq!(limit("90%"), 117_964); // 117,964.8 rounded down
    assert_eq!(limit("100 %"), 131_072);
    assert_eq!(limit("87.5%"), 114_688);
    assert_eq!(limit("0.01%"), 13); // 13.1072
    assert_eq!(limit("65536"), 65_536);
    assert_eq!(limit("65_536 B"), 65_536);
    for text in ["64K", "64KiB", "64 kb"] {
        assert_eq!(limit(text), 65_536, "{text}");
    }
    assert_eq!(limit("1M"), 131_072, "never more than the memory");
    assert_eq!(
        Budget::default().limit_bytes(u64::MAX),
        14_757_395_258_967_641_292, // floor(0.8 * (2^64 - 1))
    );
}

#[test]
fn texts_that_are_no_budgets_are_told_apart() {
    let error = |text: &str| text.parse::<Budget>().expect_err(text);
    for text in ["", "%", "lots", "-5", "64G", "1.5K", "0x100", "80 percent", "1e3", "._%"] {
        assert_eq!(error(text), BudgetError::NotABudget { given: text.into() });
    }
    for text in ["0%", "101%", "100.01%", "99999999999%"] {
        assert_eq!(error(text), BudgetError::ShareOutOfRange { given: text.into() });
    }
    assert_eq!(error("1.234%"), BudgetError::ShareTooFine { given: "1.234%".into() });
    for text in ["0", "0K", "18446744073709551616", "18014398509481984K"] {
        assert_eq!(error(text), BudgetError::BytesOutOfRange { given: text.into() });
    }
}

#[test]
fn a_budget_describes_itself_as_in_error_messages() {
    let offered = target("stm32f411").arena_bytes();
    assert_eq!(Budget::default().describe(offered), "104,857 B (80 % of 131,072)");
    let half: Budget = "64K".parse().expect("a budget");
    assert_eq!(half.describe(offered), "65,536 B (of 131,072)");
    assert_eq!("87.50%".parse::<Budget>().expect("a budget").to_string(), "87.5 %");
    assert_eq!("1.05%".parse::<Budget>().expect("a budget").to_string(), "1.05 %");
}

#[test]
fn the_quoted_limit_of_the_thesis_can_be_set() {
    let flash_bytes = target("arduino-nano33ble").flash_bytes();
    let quoted: Budget = "256K".parse().expect("a budget");
    assert_eq!(quoted.limit_bytes(flash_bytes), 262_144);
}

#[test]
fn byte_counts_are_readable() {
    for (bytes, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1,000 B"),
        (143_360, "143,360 B"),
        (u64::MAX, "18,446,744,073,709,551,615 B"),
    ] {
        assert_eq!(units::format_bytes(bytes), text);
    }
    assert_eq!(units::format_bytes_short(131_072), "128 KiB");
    assert_eq!(units::format_bytes_short(131_073), "131,073 B");
}

#[test]
fn estimates_follow_current_clock_and_voltage() {
    // 1 M cycles at 100 MHz are 10 ms; 100 uA/MHz are 10 mA; at 3.3 V that is
    // 33 mW, hence 330 uJ.
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * b;
    assert!(close(units::energy_uj(1_000_000, 100.0, 3.3), 330.0));
    let target = target("stm32f411");
    assert!(close(target.latency_ms(1_000_000).expect("a clock"), 10.0));
    assert!(close(target.energy_uj(1_000_000).expect("power figures"), 330.0));
    let host = self::target("host");
    assert_eq!((host.latency_ms(1), host.energy_uj(1)), (None, None));
}

#[test]
fn every_power_figure_names_its_source() {
    for target in Target::builtin() {
        let Some(power) = &target.power else {
            // Of the others, no public source was found that states one.
            let without = ["host", "ensemble-e3-he"].contains(&target.name.as_str());
            assert!(without, "{} has no power figure", target.name);
            continue;
        };
        assert!(power.source.len() > 20, "{}", target.name);
        assert_eq!(power.checked, !power.source.contains("verify"), "{}", target.name);
    }
}

#[test]
fn the_list_shows_every_target_on_one_line() {
    let text = table(Target::builtin());
    let line = text.lines().find(|line| line.contains(" stm32f746 ")).expect("a line");
    for word in ["STM32F746ZG", "216", "1 MiB", "336 KiB", "256 KiB", "thumbv7em-none-eabihf"] {
        assert!(line.contains(word), "{word} in {line}");
    }
    let json = serde_json::to_value(rows(Target::builtin())).expect("JSON");
    let row = &json.as_array().expect("an array")[Target::builtin().len() - 1];
    assert_eq!(row["name"], "host");
    assert!(row["clock_hz"].is_null() && row["rust_target"].is_null());
}
