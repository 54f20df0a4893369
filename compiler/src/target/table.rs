//! In: targets. Out: what `tinyc targets` prints, as rows for `--json` and as a
//! table for people; both show the same facts.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::cores::{Fpu, Isa};
use super::schema::Target;
use super::units::format_bytes_short;

/// One target in the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetRow {
    /// Name for `--target`.
    pub name: String,
    /// Further names for `--target`.
    pub aliases: Vec<String>,
    /// Full part name.
    pub part: String,
    /// Processor core, for people.
    pub core: &'static str,
    /// Instruction set.
    pub isa: Isa,
    /// Whether the Arm DSP instructions exist.
    pub dsp: bool,
    /// Floating-point unit.
    pub fpu: Fpu,
    /// Highest core clock in Hz; `None` for the host.
    pub clock_hz: Option<u64>,
    /// Flash in bytes, all regions.
    pub flash_bytes: u64,
    /// RAM in bytes, all regions.
    pub ram_bytes: u64,
    /// Bytes of the RAM region in which the arena lies.
    pub arena_bytes: u64,
    /// Rust target triple; `None` for the host.
    pub rust_target: Option<String>,
}

/// The rows of the list, in the order of `targets`.
#[must_use]
pub fn rows(targets: &[Target]) -> Vec<TargetRow> {
    targets
        .iter()
        .map(|target| TargetRow {
            name: target.name.clone(),
            aliases: target.aliases.clone(),
            part: target.part.clone(),
            core: target.core.label(),
            isa: target.core.isa(),
            dsp: target.core.has_dsp(),
            fpu: target.core.fpu(),
            clock_hz: target.clock_hz,
            flash_bytes: target.flash_bytes(),
            ram_bytes: target.ram_bytes(),
            arena_bytes: target.arena_bytes(),
            rust_target: target.rust_target.clone(),
        })
        .collect()
}

/// The list as a table; "arena" is the RAM region in which the arena lies.
#[must_use]
pub fn table(targets: &[Target]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["name", "part", "core", "MHz", "flash", "RAM", "arena", "rust target"]);
    for row in rows(targets) {
        table.add_row([
            row.name,
            row.part,
            row.core.to_owned(),
            row.clock_hz.map_or_else(|| "-".to_owned(), megahertz),
            format_bytes_short(row.flash_bytes),
            format_bytes_short(row.ram_bytes),
            format_bytes_short(row.arena_bytes),
            row.rust_target.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    for index in 3..=6 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// "100" for 100 MHz, "0.5" for 500 kHz.
fn megahertz(clock_hz: u64) -> String {
    (clock_hz as f64 / 1e6).to_string()
}
