//! The runtime sources that the models need, copied into the crate.
//!
//! In: the kernels of the plans and the chip's arch file. Out: `src/runtime/`.
//! Invariant: every file but the `mod.rs` files is the runtime's own text.

use std::collections::BTreeSet;

use tinyc_runtime::sources::{ARCH, SOURCES, Source};

use super::{CodegenError, CrateFiles, TargetFacts};
use crate::lower::Kernel;
use crate::plan::unroll::Shape;
use crate::plan::{Plan, family};

/// The first line of the `mod.rs` files.
fn head(models: usize) -> &'static str {
    match models {
        1 => "//! Kernels of tinyc's runtime, those that this model needs.\n",
        _ => "//! Kernels of tinyc's runtime, those that these models need.\n",
    }
}

/// The `target_arch` that a file of `arch/` is assembly for; `None` for plain Rust.
fn machine(name: &str) -> Option<&'static str> {
    let plain = name.starts_with("portable") || name == "rv32imc";
    (!plain).then_some("arm")
}

/// The kernel whose primitives are re-exported only where it is.
const LINES: &str = "kernels/depthwise_lines.rs";

/// The stream of weights that the tile kernels share.
const BLOCKS: &str = "kernels/blocks.rs";

/// Whether a kernel's constants end in half a block.
fn halves(kernel: &Kernel) -> bool {
    match kernel.even() {
        Kernel::ConvTile(p) => p.halves(),
        Kernel::DenseTile(p) => p.halves(),
        _ => false,
    }
}

/// Adds what any of the plans needs of the runtime.
///
/// # Errors
/// [`CodegenError::Arch`] for an arch file that does not exist.
pub fn emit(plans: &[&Plan], target: &TargetFacts, files: &mut CrateFiles) -> Result<(), CodegenError> {
    let arch = format!("arch/{}.rs", target.arch);
    if find(&arch).is_none() {
        let stem = |s: &Source| s.path.strip_prefix("arch/")?.strip_suffix(".rs").map(str::to_string);
        return Err(CodegenError::Arch {
            target: target.name.clone(),
            arch: target.arch.clone(),
            known: SOURCES.iter().filter_map(stem).collect(),
        });
    }
    let steps = plans.iter().flat_map(|plan| &plan.steps);
    let kernels = steps.flat_map(|s| s.work.calls()).map(|c| family::family(&c.kernel).name);
    let mut needed: BTreeSet<String> = BTreeSet::new();
    let by_rows =
        plans.iter().flat_map(|plan| super::layers::row_works(plan)).map(super::cascades::kernel_name);
    let mut open: Vec<String> = kernels.chain(by_rows).map(|name| format!("kernels/{name}.rs")).collect();
    open.push("view.rs".to_string());
    if plans.iter().any(|plan| !plan.row_tables.is_empty()) {
        open.push("rows.rs".to_string());
    }
    let unrolled = Unrolled::of(plans, &arch);
    if let Some(unrolled) = &unrolled {
        open.push(format!("arch/{}.rs", unrolled.bodies));
    }
    if open.iter().any(|path| path == LINES) {
        open.push("arch/portable_lines.rs".to_string());
        let dsp = ["arch/dsp_pairs.rs", "arch/cortex_m_dsp.rs"];
        let has_dsp = find(&arch).is_some_and(|source| source.needs.iter().any(|need| dsp.contains(need)));
        open.extend(has_dsp.then(|| "arch/dsp_lines.rs".to_string()));
    }
    while let Some(path) = open.pop() {
        let path = if path == ARCH { arch.clone() } else { path };
        if needed.contains(&path) {
            continue;
        }
        let source = find(&path).ok_or_else(|| CodegenError::Bug(format!("the runtime has no {path}")))?;
        open.extend(source.needs.iter().map(ToString::to_string));
        files.add(format!("src/runtime/{path}"), source.text);
        needed.insert(path);
    }
    let mut calls = plans.iter().flat_map(|plan| &plan.steps).flat_map(|step| step.work.calls());
    let halves = calls.any(|call| halves(&call.kernel));
    modules(&needed, &target.arch, (unrolled.as_ref(), halves), head(plans.len()), files);
    Ok(())
}

/// What is unrolled.
struct Unrolled {
    /// The file of `arch/` with the bodies.
    bodies: &'static str,
    /// Never none.
    shapes: BTreeSet<Shape>,
}

impl Unrolled {
    /// `None` where nothing is, and for a core without such bodies: its crate of the same
    /// plan has nothing to unroll.
    fn of(plans: &[&Plan], arch: &str) -> Option<Self> {
        let needs = find(arch)?.needs;
        let bodies = match () {
            () if needs.contains(&"arch/m7_tile.rs") => "m7_unrolled",
            () if needs.contains(&"arch/dsp_tile.rs") => "dsp_unrolled",
            () => return None,
        };
        let shapes: BTreeSet<Shape> = plans.iter().flat_map(|plan| plan.unrolled.iter().copied()).collect();
        (!shapes.is_empty()).then_some(Self { bodies, shapes })
    }
}

fn find(path: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|s| s.path == path)
}

/// The `mod.rs` files.
fn modules(
    needed: &BTreeSet<String>,
    arch: &str,
    (unrolled, halves): (Option<&Unrolled>, bool),
    head: &str,
    files: &mut CrateFiles,
) {
    let mut tops: BTreeSet<&str> = BTreeSet::new();
    let mut kernels = String::from(head) + "\n";
    let mut arches = format!("{head}//! The primitives of `{arch}`, which the chip asks for.\n\n");
    for path in needed {
        let stem = path.trim_end_matches(".rs");
        match stem.split_once('/') {
            Some(("kernels", name)) => kernels += &format!("pub mod {name};\n"),
            Some((_, name)) => {
                // Assembly is `unsafe`, and nothing for the machine that tests the crate.
                if let Some(machine) = machine(name) {
                    arches += &format!("#[cfg(target_arch = \"{machine}\")]\n#[allow(unsafe_code)]\n");
                }
                arches += &format!("pub mod {name};\n");
            }
            None => {}
        }
        tops.insert(stem.split('/').next().unwrap_or(stem));
    }
    let mut root = String::from(head) + "\n";
    for top in &tops {
        let allow = if *top == "view" { "#[allow(unsafe_code)]\n" } else { "" };
        root += &format!("{allow}pub mod {top};\n");
    }
    files.add("src/runtime/mod.rs", root);
    if tops.contains("kernels") {
        files.add("src/runtime/kernels/mod.rs", kernels);
    }
    if tops.contains("arch") {
        arches += "\n";
        if let Some(machine) = machine(arch) {
            arches += &format!("#[cfg(target_arch = \"{machine}\")]\npub use self::{arch}::*;\n");
            arches += &format!("#[cfg(not(target_arch = \"{machine}\"))]\npub use self::portable::*;\n");
        } else {
            arches += &format!("pub use self::{arch}::*;\n");
        }
        if needed.contains(LINES) {
            arches += "pub use self::portable_lines::*;\n";
        }
        if needed.contains("arch/dsp_lines.rs") {
            let machine = machine("dsp_lines").unwrap_or_default();
            arches += &format!("#[cfg(target_arch = \"{machine}\")]\n");
            arches += "pub use self::dsp_lines::{Segment, depthwise_lines};\n";
        }
        if needed.contains(BLOCKS) {
            arches += "
/// Whether a layer's last block is stored by half.
";
            arches += &format!("pub const HALVES: bool = {halves};\n");
        }
        arches += &unrolled.map_or_else(String::new, |unrolled| dispatch(arch, unrolled));
        files.add("src/runtime/arch/mod.rs", arches);
    }
}

/// The branch between unrolled bodies, in front of the one that serves all shapes.
fn dispatch(arch: &str, Unrolled { bodies, shapes }: &Unrolled) -> String {
    let arms: String = shapes
        .iter()
        .map(|Shape { words, channels }| {
            format!(
                "            ({words}, {channels}) => {{
                {bodies}::unrolled_2x4::<{words}, {channels}>(tiles, stream, last, out, zero_point)
            }}
"
            )
        })
        .collect();
    format!(
        "
#[cfg(target_arch = \"arm\")]
use super::view::{{Bytes, Consts}};

/// As `{arch}::tiles_2x4`; the shapes that are unrolled have bodies of their own.
#[cfg(target_arch = \"arm\")]
#[inline(never)]
pub fn tiles_2x4<const DUAL: bool>(
    tiles: Tiles<'_>,
    stream: Consts<'_>,
    last: Consts<'_>,
    channels: usize,
    out: [Bytes<'_>; 2],
    zero_point: i32,
) {{
    let done = DUAL
        && match (tiles.words, channels) {{
{arms}            _ => false,
        }};
    if !done {{
        {arch}::tiles_2x4::<DUAL>(tiles, stream, last, channels, out, zero_point);
    }}
}}
"
    )
}
