//! Arenas divided over RAM regions: what lies where, and the same bytes as ever.

mod emitted;
mod hand_made;

use emitted::{cargo, clippy_finds_nothing, fixture, options, runners, work_dir};
use hand_made::{Mutants, Net, branches, chain, expected, geometries, residual, strands, zoo};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tinyc::codegen::{CodegenError, Part as Model, Placement, generate, generate_several, write};
use tinyc::compile::{CompileOptions, Silent, compile};
use tinyc::lower::KernelSet;
use tinyc::plan::cascade::{self, Effort};
use tinyc::plan::choose::Limits;
use tinyc::plan::divide::{Things, Unit, divide};
use tinyc::plan::regions::{Regions, Room, Spread};
use tinyc::plan::strategy::{Asked, Chosen, Strategy, choose};
use tinyc::plan::verify::verify;
use tinyc::plan::{BufferKind, Plan, Work, assemble_over, lowered, plan_with};
use tinyc::report::{Budgets, MemoryMap};
use tinyc::target::{Budget, Dma, Target};
use tinyc::verify::emulator::Core;
use tinyc::verify::simulate::Simulator;
use tinyc::verify::validate::{ValidateOptions, validate_compiled};
use tinyc::{Feed, Module};
use tinyc_tests::needs;

/// Regions of these sizes, the fastest first.
fn regions(spread: Spread, sizes: &[usize]) -> Regions {
    let room = |(index, &limit_bytes): (usize, &usize)| Room { region: format!("ram{index}"), limit_bytes };
    let rooms = sizes.iter().enumerate().map(room).collect();
    Regions { spread, rooms, total_bytes: sizes.iter().sum() }
}

/// All plans of a module that are divided over the regions.
fn divided(module: &Module, kernels: KernelSet, regions: &Regions) -> Vec<Plan> {
    let steps = lowered(module, kernels).unwrap();
    let found = cascade::candidates(module, &steps, kernels, Effort::default());
    let rows = found.list.iter().map(|c| found.divided_plan(module, &steps, c, regions).unwrap());
    let whole = assemble_over(module, steps.clone(), regions).unwrap();
    rows.chain([whole]).filter_map(Result::ok).collect()
}

/// Whether a plan keeps to its regions, by plain loops over its buffers.
fn check(plan: &Plan, regions: &Regions) {
    let mut start = 0;
    for part in &plan.parts {
        let room = regions.rooms.iter().find(|room| room.region == part.region).expect("a region");
        assert!(part.bytes <= room.limit_bytes && part.start == start && part.bytes % 16 == 0, "{part:?}");
        start += part.bytes;
    }
    assert!(start <= regions.total_bytes);
    let part_of = |byte: usize| plan.parts.iter().position(|part| (part.start..part.end()).contains(&byte));
    for (index, buffer) in plan.buffers.iter().enumerate().filter(|(_, buffer)| buffer.bytes > 0) {
        let (first, last) = (part_of(buffer.offset), part_of(buffer.offset + buffer.bytes - 1));
        assert!(first.is_some() && first == last, "buffer {index} of\n{plan}");
        let local = buffer.offset - plan.parts[first.unwrap()].start;
        assert_eq!(local % buffer.align, 0, "buffer {index} of\n{plan}");
        // Where whole tensors overlap because one is read before it is overwritten, the bytes tell.
        for other in plan.buffers[..index].iter().filter(|_| !plan.cascades.is_empty()) {
            let meet = buffer.first <= other.last && other.first <= buffer.last;
            let apart = buffer.offset + buffer.bytes <= other.offset
                || other.offset + other.bytes <= buffer.offset
                || other.bytes == 0;
            assert!(!meet || apart, "buffer {index} of\n{plan}");
        }
    }
    for table in &plan.row_tables {
        let regions: Vec<_> = table.offsets.iter().map(|&offset| part_of(offset)).collect();
        assert!(regions.windows(2).all(|pair| pair[0] == pair[1]), "rows of {}", table.value);
    }
}

#[test]
fn random_graphs_over_random_regions_give_the_references_bytes() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let (mut whole, mut by_rows, mut only_divided, mut three) = (0, 0, 0, 0);
    for seed in 0..3 {
        for (kernels, mut net) in [
            (KernelSet::General, geometries(seed)),
            (KernelSet::Tiles, geometries(seed)),
            (KernelSet::Tiles, residual(seed)),
            (KernelSet::Windows, branches()),
            (KernelSet::General, zoo()),
            (KernelSet::General, strands(seed)),
        ] {
            let undivided = plan_with(&net.module, kernels).unwrap().arena_bytes;
            let sizes: Vec<usize> =
                (0..2 + pick(2)).map(|_| undivided / 4 + pick(undivided * 3 / 4)).collect();
            let regions = regions(Spread::Split, &sizes);
            let sample = net.sample();
            let (slices, expected): (Vec<&[i8]>, _) =
                (sample.iter().map(Vec::as_slice).collect(), expected(&net, &sample));
            for plan in divided(&net.module, kernels, &regions) {
                if plan.parts.is_empty() {
                    continue;
                }
                check(&plan, &regions);
                assert_eq!(Simulator::new(&plan).run(&slices), expected, "seed {seed}\n{plan}");
                *if plan.cascades.is_empty() { &mut whole } else { &mut by_rows } += 1;
                three += usize::from(plan.parts.len() == 3);
                let largest = sizes.iter().max().unwrap();
                only_divided += usize::from(plan.cascades.is_empty() && undivided > *largest);
            }
        }
    }
    assert!(
        whole > 6 && by_rows > 12 && only_divided > 6 && three > 5,
        "{whole} {by_rows} {only_divided} {three}"
    );
}

#[test]
fn rows_in_other_regions_are_caught() {
    let mut mutants = Mutants::default();
    let mut crossing = 0;
    for seed in 0..2 {
        let mut net = residual(seed);
        let sample = net.sample();
        let expected = expected(&net, &sample);
        let undivided = plan_with(&net.module, KernelSet::Tiles).unwrap().arena_bytes;
        let regions = regions(Spread::Split, &[undivided / 3, undivided]);
        let plans = divided(&net.module, KernelSet::Tiles, &regions);
        let plans = plans.iter().filter(|plan| !plan.parts.is_empty() && !plan.cascades.is_empty());
        for plan in plans.take(2) {
            for buffer in (0..plan.buffers.len()).step_by(3) {
                let BufferKind::Row { values, row } = &plan.buffers[buffer].kind else { continue };
                let bytes = plan.buffers[buffer].bytes;
                for offset in (0..plan.arena_bytes.saturating_sub(bytes)).step_by(36) {
                    let mut mutant = plan.clone();
                    mutant.buffers[buffer].offset = offset;
                    for table in mutant.row_tables.iter_mut().filter(|t| values.contains(&t.value)) {
                        if let Some(place) = table.offsets.get_mut(*row) {
                            *place = offset;
                        }
                    }
                    let boundary = plan.parts[1].start;
                    if offset < boundary && offset + bytes > boundary {
                        crossing += 1;
                        assert!(verify(&mutant).is_err(), "seed {seed}, buffer {buffer} at {offset}");
                    }
                    mutants.judge(&mutant, &sample, &expected, &format!("seed {seed}, {buffer} at {offset}"));
                }
            }
        }
    }
    assert!(mutants.caught > 500 && mutants.harmless > 20 && crossing > 10, "{mutants:?} {crossing}");
}

#[test]
fn parts_that_are_none_are_refused() {
    let net = chain();
    let undivided = plan_with(&net.module, KernelSet::General).unwrap().arena_bytes;
    let regions = regions(Spread::Split, &[undivided / 2, undivided]);
    let plan = divided(&net.module, KernelSet::General, &regions).pop().unwrap();
    assert_eq!(plan.parts.len(), 2);
    let refused = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        let error = verify(&plan).expect_err("no such parts");
        assert!(error.starts_with("(13)"), "{error}");
    };
    refused(&|plan| plan.parts[0].limit_bytes = plan.parts[0].bytes - 1);
    refused(&|plan| plan.parts[1].start += 16);
    refused(&|plan| plan.parts.truncate(1));
    refused(&|plan| {
        plan.parts[0].bytes -= 16;
        plan.parts[1].start -= 16;
        plan.parts[1].bytes += 16;
    });
}

/// Blocks that all live at the same time.
struct Together(Vec<usize>);

impl Things for Together {
    fn bound(&self, members: &[usize]) -> usize {
        members.iter().map(|&member| self.0[member]).sum()
    }

    fn pack(&self, members: &[usize]) -> (Vec<usize>, usize) {
        let offsets = (0..members.len()).map(|count| self.bound(&members[..count]));
        (offsets.collect(), self.bound(members))
    }
}

#[test]
fn the_hottest_go_into_the_fastest_region() {
    let of = |sizes: &[usize], heats: &[u64], regions: &Regions| {
        let unit =
            |(index, &heat): (usize, &u64)| Unit { name: format!("u{index}"), members: vec![index], heat };
        let units: Vec<Unit> = heats.iter().enumerate().map(unit).collect();
        divide(regions, &units, sizes.len(), &Together(sizes.to_vec()))
    };
    // The fast region has room for one and a half of three equal ones.
    let two = regions(Spread::Auto, &[48, 96]);
    let found = of(&[32, 32, 32], &[1, 3, 2], &two).unwrap();
    assert_eq!(found.offsets, [64, 0, 32]);
    assert_eq!((found.parts[0].bytes, found.parts[1].bytes, found.total_bytes), (32, 64, 96));
    // What only the slow one has room for does not wait until others have taken that.
    let found = of(&[80, 32, 48], &[1, 3, 2], &regions(Spread::Auto, &[32, 96, 64])).unwrap();
    assert_eq!(found.offsets, [32, 0, 112]);
    // Where the hottest first leaves no place for the largest, the largest go first.
    let found = of(&[16, 48, 48, 16], &[9, 1, 1, 8], &regions(Spread::Auto, &[64, 64])).unwrap();
    assert!(found.parts.iter().all(|part| part.bytes == 64), "{:?}", found.parts);
    // Everything in one region is an arena that is one buffer.
    assert_eq!(of(&[16, 16], &[1, 1], &two).unwrap().parts, []);
    // Too large for any region, and too much for all of them.
    let full = of(&[100, 16], &[1, 1], &two).unwrap_err();
    assert_eq!(full.to_string(), "u0 of 100 B fits no region whole");
    let full = of(&[48, 48, 48, 16], &[4, 3, 2, 1], &two).unwrap_err();
    assert_eq!(full.to_string(), "160 B live at one moment, more than all of them together may hold");
    let full = of(&[40, 60, 40], &[4, 3, 2], &two).unwrap_err();
    assert_eq!(full.to_string(), "no region has room for u2 of 40 B beside what lives with it");
    // A limit for all of them together.
    let short = Regions { total_bytes: 95, ..two };
    assert!(of(&[32, 32, 32], &[1, 3, 2], &short).is_err());
}

#[test]
fn an_arena_is_divided_where_it_must_be_or_was_asked_to_be() {
    let net = residual(7);
    let of = |strategy, spread, sizes: &[usize]| -> Chosen {
        let largest = sizes.iter().max().map(|&bytes| bytes as u64);
        let asked = Asked {
            kernels: KernelSet::Tiles,
            strategy,
            limits: Limits { ram_bytes: largest, flash_bytes: None },
            regions: regions(spread, sizes),
            ..Asked::default()
        };
        choose(&net.module, asked, &|plan| plan.weights.len() as u64).unwrap()
    };
    let bytes = |strategy| of(strategy, Spread::One, &[1 << 20]).plan.arena_bytes;
    let (fast, min) = (bytes(Strategy::Fast), bytes(Strategy::Min));
    // Room for the fastest plan in the slow region: one buffer, unless more is asked for.
    let sizes = [fast / 2, fast];
    let whole = of(Strategy::Auto, Spread::Auto, &sizes);
    assert_eq!(whole.plan, of(Strategy::Auto, Spread::One, &sizes).plan);
    assert_eq!((whole.plan.parts.len(), whole.plan.arena_bytes), (0, fast));
    let split = of(Strategy::Auto, Spread::Split, &sizes);
    assert_eq!(split.plan.parts[0].region, "ram0");
    assert!(split.plan.cascades.is_empty());
    // Where it fits the fast region, it stays one buffer.
    assert_eq!(of(Strategy::Auto, Spread::Split, &[fast, fast]).plan, whole.plan);
    // No region has room even for the smallest.
    let sizes = [min * 3 / 4, min * 3 / 4];
    for strategy in [Strategy::Auto, Strategy::Min] {
        let small = of(strategy, Spread::Auto, &sizes);
        assert!(!small.plan.parts.is_empty() && small.undivided.is_none(), "{}", small.plan);
        let one = of(strategy, Spread::One, &sizes);
        assert!(one.plan.parts.is_empty() && one.plan.arena_bytes > sizes[0] && one.undivided.is_none());
    }
    // Nor do all of them together.
    let nothing = of(Strategy::Auto, Spread::Auto, &[min / 4, min / 4]);
    assert!(nothing.plan.parts.is_empty());
    assert!(nothing.undivided.is_some());
}

/// A chip with two RAM regions of these sizes.
fn chip(core: &str, dtcm: usize, sram: usize) -> Target {
    let name = if core == "m7" { "stm32f746" } else { "stm32g0b1" };
    let mut text = std::fs::read_to_string(fixture("../targets").join(format!("{name}.toml"))).unwrap();
    text = text.replace("length_bytes = 262_144", &format!("length_bytes = {sram}"));
    text = text.replace("length_bytes = 65_536", &format!("length_bytes = {dtcm}"));
    if core == "m0" {
        let bank = format!(
            "speed_rank = 2\n\n[[ram]]\nname = \"bank b\"\norigin = 0x3000_0000\nlength_bytes = {dtcm}\nspeed_rank = 1\n"
        );
        text = text.replace("length_bytes = 147_456\n", &format!("length_bytes = {sram}\n{bank}"));
    }
    Target::parse("chip.toml", &text).unwrap()
}

/// Models that fit no region whole, on the host and on emulated cores: whole tensors, rows
/// of cascades, rows that are pushed, windows that slide.
#[test]
fn models_that_fit_only_divided_compute_the_same_bytes() {
    let cases = [
        ("m7", Core::M7, "residual", Feed::Whole, Strategy::Fast),
        ("m7", Core::M7, "residual", Feed::Whole, Strategy::Min),
        ("m0", Core::M0, "depthwise", Feed::Whole, Strategy::Min),
        ("m7", Core::M7, "depthwise", Feed::Rows, Strategy::Min),
        ("m7", Core::M7, "conv1d", Feed::Frames { hop: 2 }, Strategy::Fast),
    ];
    for (core_name, core, name, feed, strategy) in cases {
        let model = fixture(name).join("model.onnx");
        let compile_for = |target: &Target, spread| {
            let regions = Regions { spread, ..Regions::default() };
            let kernels = target.arch.kernels();
            let budgets = Budgets { ram: Budget::from_percent(100).unwrap(), ..Budgets::default() };
            let options = CompileOptions { feed, strategy, kernels, regions, ..CompileOptions::default() };
            let options = options.within(&budgets, target);
            compile(&model, &options, &Silent, &mut |_, _| {}).unwrap()
        };
        let alone = compile_for(&chip(core_name, 1 << 15, 1 << 16), Spread::One).plan.arena_bytes;
        let target = chip(core_name, alone * 5 / 8, alone * 7 / 8);
        let compiled = compile_for(&target, Spread::Auto);
        assert_eq!(compiled.plan.parts.len(), 2, "{name}: {:?}\n{}", compiled.undivided, compiled.plan);
        let mut options = ValidateOptions::new(target, &fixture(name).join("model.calib.npz"));
        options.samples = Some(6);
        options.cores = needs::emulators(&[core]);
        options.emulate_samples = 3;
        options.host.work_dir = runners();
        options.firmware.work_dir = runners();
        let report = validate_compiled(&compiled, &options, &Silent).unwrap();
        assert!(report.identical, "{name}: {report}");
        for one in &report.emulated {
            assert!(one.stack_bytes as u64 <= one.stack_bound_bytes, "{report}");
        }
    }
}

/// The chain over two regions, of which the fast one has no DMA.
fn chain_in_parts() -> (Net, Plan) {
    let net = chain();
    let undivided = plan_with(&net.module, KernelSet::General).unwrap().arena_bytes;
    let mut regions = regions(Spread::Split, &[undivided / 2, undivided]);
    regions.rooms[0].region = "ccm".to_owned();
    regions.rooms[1].region = "sram".to_owned();
    let plan = assemble_over(&net.module, lowered(&net.module, KernelSet::General).unwrap(), &regions);
    (net, plan.unwrap().unwrap())
}

#[test]
fn the_emitted_crate_has_a_part_for_each_region() {
    let (mut net, plan) = chain_in_parts();
    let sample = net.sample();
    let mut options = emitted::with_pixels(sample.clone(), expected(&net, &sample));
    let region = |name: &str, origin, length_bytes, dma| Placement {
        region: name.to_owned(),
        instead_of: "sram".to_owned(),
        origin,
        length_bytes,
        dma: Some(dma),
        description: None,
    };
    options.regions =
        vec![region("ccm", 0x1000_0000, 65_536, Dma::None), region("sram", 0x2000_0000, 131_072, Dma::All)];
    let files = generate(&plan, &net.module, &options).unwrap();
    insta::assert_snapshot!("parts_lib", files.text("src/lib.rs").unwrap());
    insta::assert_snapshot!("parts_readme", files.text("README.md").unwrap());
    insta::assert_snapshot!("parts_example", files.text("examples/run.rs").unwrap());

    let dir = work_dir("parts").join("chain_net");
    write::write(&dir, &files).unwrap();
    clippy_finds_nothing(&dir);
    // The example, and the README's own lines with the part in a section of its own.
    assert!(cargo(&dir, &["run", "--quiet", "--example", "run"]).starts_with("output = ["));
    let test = "
        #[unsafe(link_section = \".ccm\")]
        static CCM_PART: chain_net::PartCell<chain_net::CcmPart> = chain_net::PartCell::new(chain_net::CcmPart::new());
        static SRAM_PART: chain_net::PartCell<chain_net::SramPart> = chain_net::PartCell::new(chain_net::SramPart::new());
        #[test]
        fn works() {
            let mut model = chain_net::Model::new(CCM_PART.take().unwrap(), SRAM_PART.take().unwrap());
            assert!(CCM_PART.take().is_none());
            assert!(model.self_test());
            let mut memory = chain_net::Memory::new();
            assert!(chain_net::Model::of(&mut memory).self_test());
            let bytes = chain_net::CCM_PART_BYTES + chain_net::SRAM_PART_BYTES;
            assert_eq!((size_of::<chain_net::Memory>(), bytes), (chain_net::ARENA_BYTES, chain_net::ARENA_BYTES));
        }";
    std::fs::create_dir_all(dir.join("tests")).unwrap();
    std::fs::write(dir.join("tests/parts.rs"), test).unwrap();
    cargo(&dir, &["test", "--quiet", "--release", "--features", "self_test,checked"]);
}

#[test]
fn models_of_one_crate_are_not_divided() {
    let (net, plan) = chain_in_parts();
    let part = Model {
        name: "chain".to_owned(),
        plan: &plan,
        module: &net.module,
        preprocessing: vec![],
        self_test: None,
        ram: None,
    };
    let error = generate_several("all", &options("all").target, &[part], None).unwrap_err();
    assert!(matches!(error, CodegenError::Divided { .. }), "{error}");
}

#[test]
fn the_memory_map_shows_each_region() {
    let (_, plan) = chain_in_parts();
    assert!(plan.steps.iter().all(|step| !matches!(step.work, Work::Rows(_))));
    insta::assert_snapshot!("parts_map", MemoryMap::of(&plan).to_string());
}
