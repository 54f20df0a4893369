//! How to place the arena, or each of its parts, in RAM regions, for the README.
//!
//! In: a [`Placement`]. Out: text. Invariant: it says that startup code does not zero
//! such a section, since a cell that is not zero hands nothing out.

use std::fmt::Write;

use super::Placement;
use super::names::{grouped, snake};
use super::parts::{self, Name};
use crate::plan::{Part, Plan};
use crate::target::Dma;

/// Adds the section; `declaration` is that of the static `name`.
pub fn text(text: &mut String, placement: &Placement, name: &str, declaration: &str) {
    let Placement { region, instead_of, origin, length_bytes, .. } = placement;
    let _ = writeln!(
        text,
        "### In `{region}`\n\nThe arena fits `{region}`, {} B at {origin:#010x}, the chip's fastest RAM for it{}.\n{} Nothing has to be done for it to lie in `{instead_of}`, with all other statics. To place it:\n",
        grouped(*length_bytes),
        what(placement),
        dma(placement)
    );
    how(text, placement, name, declaration);
}

/// Says that there are parts.
pub fn head(text: &mut String, plan: &Plan) {
    let _ = writeln!(
        text,
        "The memory is divided over RAM regions: {}. Each part computes the same wherever it lies; `Memory`\nholds them all in one place, for hosts and tests.\n",
        parts::text(plan)
    );
}

/// Adds the section of a part; `declaration` is that of its static.
pub fn part(text: &mut String, placement: &Placement, part: &Part, name: &Name, declaration: &str) {
    let Placement { region, instead_of, origin, length_bytes, .. } = placement;
    let (bytes, length) = (grouped(part.bytes as u64), grouped(*length_bytes));
    let lies = format!(
        "`{}` takes {bytes} B of `{region}`, {length} B at {origin:#010x}{}.",
        name.constant,
        what(placement)
    );
    let dma = dma(placement);
    if region == instead_of {
        let _ = writeln!(
            text,
            "### In `{region}`\n\n{lies} {dma}\nNothing has to be done for it: all statics lie there.\n"
        );
        return;
    }
    let _ = writeln!(text, "### In `{region}`\n\n{lies}\n{dma} To place it:\n");
    how(text, placement, &name.constant, declaration);
}

fn what(placement: &Placement) -> String {
    placement.description.as_ref().map_or_else(String::new, |text| format!(" ({text})"))
}

fn dma(placement: &Placement) -> &'static str {
    match placement.dma {
        Some(Dma::All) => "DMA reaches it.",
        Some(Dma::Some) => {
            "Not every DMA controller reaches it: what another one delivers, the core must copy."
        }
        Some(Dma::None) => "No DMA reaches it: what one delivers, the core must copy into the input.",
        None => "Whether DMA reaches it is not known: see the chip's manual.",
    }
}

/// What to write into the firmware and its linker script.
fn how(text: &mut String, placement: &Placement, name: &str, declaration: &str) {
    let Placement { region, origin, length_bytes, .. } = placement;
    let section = snake(region);
    let _ = writeln!(text, "```rust\n#[unsafe(link_section = \".{section}\")]\n{declaration}\n```\n");
    let upper = section.to_uppercase();
    let _ = writeln!(
        text,
        "```ld\nMEMORY {{ {upper} (rw) : ORIGIN = {origin:#010x}, LENGTH = {length_bytes} }}\nSECTIONS {{\n  .{section} (NOLOAD) : ALIGN(16) {{\n    __{section}_start = .;\n    *(.{section} .{section}.*);\n    . = ALIGN(4);\n    __{section}_end = .;\n  }} > {upper}\n}} INSERT AFTER .bss;\n```\n"
    );
    let _ = writeln!(
        text,
        "Startup code zeroes `.bss` alone: zero the words from `__{section}_start` to `__{section}_end` as well, before\n`{name}.take()`. Leave room there for whatever else lies in `{region}`, such as the stack.\n"
    );
}
