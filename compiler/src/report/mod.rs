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
pub mod choices;
pub mod code_size;
pub mod dead_channels;
pub mod imbalance;
pub mod memory;
pub mod memory_map;
pub mod memory_map_svg;
mod memory_map_text;
pub mod several;
mod stack_path;
pub mod traffic;
pub mod unrolled;

pub use analyze::{AnalyzeReport, LayerRow, Totals};
pub use build::{BuildReport, FileRow, OutputRow, ScalesRow};
pub use choices::{ChoiceRow, PassedOver};
pub use dead_channels::{BorderRow, DeadChannelsRow, DeadLayerRow, StayingRow};
pub use memory::{Budgets, Footprint, MemoryUse, OverBudget};
pub use memory_map::MemoryMap;
pub use several::{SeveralReport, TogetherRow};
pub use stack_path::StackFrame;
pub use unrolled::UnrollRow;

/// Characters of a layer's name that text shows.
const NAME_CHARS: usize = 36;

/// A layer's name for people: exporters join the names of what they fused with
/// `;`, and nest scopes; the last name, and of that the end, tells layers apart.
pub(crate) fn short(name: &str) -> String {
    let last = name.rsplit(';').next().unwrap_or(name);
    let chars = last.chars().count();
    match chars > NAME_CHARS {
        true => format!("..{}", last.chars().skip(chars - NAME_CHARS + 2).collect::<String>()),
        false => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn names_are_cut_to_what_tells_them_apart() {
        assert_eq!(short("conv1"), "conv1");
        assert_eq!(
            short("model/bn/Fused;model/conv2d_2/BiasAdd;model/conv2d_2/Conv2D"),
            "model/conv2d_2/Conv2D"
        );
        let long = short("/m/features/features.2/conv/conv.1/conv.1.0/Conv");
        assert_eq!(long, "..atures.2/conv/conv.1/conv.1.0/Conv".to_owned());
        assert!(long.chars().count() <= 36);
    }
}
