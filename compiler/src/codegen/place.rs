//! How to place the arena in another RAM region than the usual, for the README.
//!
//! In: a [`Placement`]. Out: text. Invariant: it says that startup code does not zero
//! such a section, since a cell that is not zero hands nothing out.

use std::fmt::Write;

use super::Placement;
use super::names::{grouped, snake};
use crate::target::Dma;

/// Adds the section; `cell` is the type of the static `name` in `library`.
pub fn text(text: &mut String, placement: &Placement, library: &str, name: &str, cell: &str) {
    let Placement { region, instead_of, origin, length_bytes, dma, description } = placement;
    let what = description.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
    let dma = match dma {
        Some(Dma::All) => "DMA reaches it.",
        Some(Dma::Some) => {
            "Not every DMA controller reaches it: what another one delivers, the core must copy."
        }
        Some(Dma::None) => "No DMA reaches it: what one delivers, the core must copy into the input.",
        None => "Whether DMA reaches it is not known: see the chip's manual.",
    };
    let _ = writeln!(
        text,
        "### In `{region}`\n\nThe arena fits `{region}`, {} B at {origin:#010x}, the chip's fastest RAM for it{what}.\n{dma} Nothing has to be done for it to lie in `{instead_of}`, with all other statics. To place it:\n",
        grouped(*length_bytes)
    );
    let section = snake(region);
    let _ = writeln!(
        text,
        "```rust\n#[unsafe(link_section = \".{section}\")]\nstatic {name}: {library}::{cell} = {library}::{cell}::new();\n```\n"
    );
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
