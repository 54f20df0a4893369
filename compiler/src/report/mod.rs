//! Reports: what the compiler knows of a model, for people and for machines.
//!
//! In: a compiled model, a target, budgets. Out: plain structs of facts
//! ([`BuildReport`], [`AnalyzeReport`]) that serialize to JSON and print as text.
//! Invariant: text and JSON are two views of the same struct, so that they cannot
//! disagree; docs/json.md documents every field. Nothing here changes a model.

pub mod analyze;
mod analyze_text;
pub mod build;
mod build_text;
pub mod code_size;
pub mod imbalance;
pub mod memory;
pub mod traffic;

pub use analyze::{AnalyzeReport, LayerRow, Totals};
pub use build::{BuildReport, FileRow, OutputRow, ScalesRow};
pub use memory::{Budgets, Footprint, MemoryUse, OverBudget};
