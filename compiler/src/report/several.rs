//! The facts of a build of several models.
//!
//! In: the report of each model, what they need together. Out: [`SeveralReport`], as
//! text and JSON. Invariant: what is said of one model is what a build of it alone says
//! of the same plan; sums are of the firmware that holds them all.

use std::fmt;

use serde::Serialize;

use super::build::{BuildReport, Emitted, FileRow};
use super::build_text::{files_text, line, verdict};
use super::memory::{self, Footprint, MemoryUse, RegionRow};
use crate::several::{Member, plans};
use crate::target::units::format_bytes;

/// What `tinyc build` made of several models; docs/json.md names every field for users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeveralReport {
    /// Name of the target.
    pub target: String,
    /// Full part name of the target.
    pub part: String,
    /// Name of the emitted package.
    pub package: String,
    /// The models, in the order in which they were given.
    pub models: Vec<TogetherRow>,
    /// Bytes of weights and biases of all models.
    pub weights_bytes: u64,
    /// Bytes of multipliers, shifts and tables of all models.
    pub tables_bytes: u64,
    /// Estimated code of all, shared kernels once; see [`super::code_size`].
    pub code_bytes_estimate: u64,
    /// Bytes of the arena: of the greatest.
    pub arena_bytes: u64,
    /// The model whose arena that is.
    pub greatest: Option<String>,
    /// Deepest stack of any run of any model; null without `--stack`.
    pub stack_bytes: Option<u64>,
    /// What the models keep in static memory beside the arena; null without `--stack`.
    pub static_bytes: Option<u64>,
    /// `arena_bytes + stack_bytes + static_bytes`; null without `--stack`.
    pub ram_bytes: Option<u64>,
    /// Weights and code of all against the target's flash.
    pub flash: MemoryUse,
    /// The arena against the RAM region in which it lies.
    pub ram: MemoryUse,
    /// The RAM region for the arena: the fastest in which it is within the budget.
    pub arena_region: RegionRow,
    /// Whether flash and RAM are within their budgets.
    pub fits: bool,
    /// Folder of the crate.
    pub out_dir: String,
    /// Files of the crate.
    pub files: Vec<FileRow>,
}

/// A model among others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TogetherRow {
    /// The name of its module.
    pub name: String,
    /// What there is to say of it alone.
    #[serde(flatten)]
    pub report: BuildReport,
}

impl SeveralReport {
    /// The report of models that were emitted together: a row for each, and what is the
    /// same of all.
    #[must_use]
    pub fn new(members: &[Member], models: Vec<TogetherRow>, emitted: &Emitted<'_>) -> Self {
        let need = Footprint::together(&plans(members));
        let flash = memory::flash(&need, emitted.target, emitted.budgets);
        let ram = memory::ram(&need, emitted.target, emitted.budgets);
        let known = |of: fn(&BuildReport) -> Option<u64>| -> Option<Vec<u64>> {
            models.iter().map(|row| of(&row.report)).collect()
        };
        let stack_bytes = known(|report| report.stack_bytes).and_then(|bytes| bytes.into_iter().max());
        let static_bytes = known(|report| report.static_bytes).map(|bytes| bytes.into_iter().sum::<u64>());
        let greatest = models.iter().find(|row| row.report.arena_bytes == need.arena_bytes);
        Self {
            target: emitted.target.name.clone(),
            part: emitted.target.part.clone(),
            package: emitted.package.to_owned(),
            greatest: greatest.map(|row| row.name.clone()),
            weights_bytes: need.weights_bytes,
            tables_bytes: need.tables_bytes,
            code_bytes_estimate: need.code_bytes,
            arena_bytes: need.arena_bytes,
            stack_bytes,
            static_bytes,
            ram_bytes: stack_bytes.zip(static_bytes).map(|(stack, s)| need.arena_bytes + stack + s),
            flash,
            ram,
            arena_region: RegionRow::of(need.arena_bytes, emitted.target, emitted.budgets),
            fits: flash.fits() && ram.fits(),
            out_dir: emitted.out_dir.display().to_string(),
            files: emitted.files.to_vec(),
            models,
        }
    }
}

impl fmt::Display for SeveralReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.models {
            writeln!(f, "{}: {} for {} ({})", row.name, row.report.model, self.target, self.part)?;
            row.report.facts(f, false)?;
            writeln!(f)?;
        }
        writeln!(f, "{} models together", self.models.len())?;
        let flash = format!(
            "{} = weights {} + tables {} + code about {}, shared; {}",
            format_bytes(self.flash.needed_bytes),
            format_bytes(self.weights_bytes),
            format_bytes(self.tables_bytes),
            format_bytes(self.code_bytes_estimate),
            verdict(&self.flash)
        );
        line(f, "flash", &flash)?;
        let of = self.greatest.as_ref().map_or_else(String::new, |name| format!(", that of {name}"));
        let ram = format!("{} arena{of}; {}", format_bytes(self.arena_bytes), verdict(&self.ram));
        line(f, "RAM", &ram)?;
        if let Some(text) = self.arena_region.text() {
            line(f, "region", &text)?;
        }
        if let (Some(stack), Some(statics), Some(ram)) = (self.stack_bytes, self.static_bytes, self.ram_bytes)
        {
            let text = format!(
                "{} at most, of each in a crate of its own; RAM in all {} = arena {} + stack {} + statics {}",
                format_bytes(stack),
                format_bytes(ram),
                format_bytes(self.arena_bytes),
                format_bytes(stack),
                format_bytes(statics)
            );
            line(f, "stack", &text)?;
        }
        line(f, "verdict", if self.fits { "fits" } else { "does not fit" })?;
        files_text(f, &self.out_dir, &self.files)?;
        let library = self.package.replace('-', "_");
        writeln!(f, "\n  {} = {{ path = {:?} }}", self.package, self.out_dir)?;
        writeln!(f, "  static ARENA: {library}::ArenaCell = {library}::ArenaCell::new();")?;
        for (index, row) in self.models.iter().enumerate() {
            let note = if index == 0 { " // inputs and outputs by name: README.md" } else { "" };
            writeln!(f, "  let mut {0} = {library}::{0}::Model::new(arena);{note}", row.name)?;
        }
        Ok(())
    }
}
