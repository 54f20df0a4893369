//! In: what went wrong with a target's name or file. Out: errors that name what
//! was given, the limit, and what to do.

use std::path::PathBuf;

use thiserror::Error;

/// Why no target could be had.
#[derive(Debug, Error)]
pub enum TargetError {
    /// No target has this name or alias.
    #[error("unknown target \"{given}\"{}`tinyc targets` lists all, and a path to a .toml file is accepted too", suggest(.suggestions))]
    Unknown {
        /// The name as the user gave it.
        given: String,
        /// Names and aliases that resemble it, the nearest first.
        suggestions: Vec<String>,
    },
    /// A target file cannot be read.
    #[error("cannot read target file {}: {source}; give a readable .toml file or a name from `tinyc targets`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A target file is not TOML, or lacks a field, or has one too many.
    #[error("target file {file} does not fit the format of targets/README.md: {source}")]
    Parse {
        /// The file.
        file: String,
        /// Line, column and reason.
        source: Box<toml::de::Error>,
    },
    /// A target file is well-formed, but what it says cannot be.
    #[error("target file {file}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong.
        problem: Problem,
    },
}

/// What is wrong in a well-formed target file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// A name is empty or has characters that a command line or file name
    /// handles badly.
    #[error("name \"{name}\" must consist of lower-case letters, digits, '-' and '.'")]
    BadName {
        /// The name or alias.
        name: String,
    },
    /// The same name or alias leads to two targets.
    #[error("\"{name}\" already names the target \"{other}\"; remove one of the two")]
    NameClash {
        /// The name or alias.
        name: String,
        /// The target that has it already.
        other: String,
    },
    /// No flash region, or no RAM region.
    #[error("at least one [[{kind}]] region is needed")]
    NoRegion {
        /// `flash` or `ram`.
        kind: &'static str,
    },
    /// A region of zero bytes.
    #[error("region \"{region}\" has length_bytes = 0; remove it or give its size")]
    EmptyRegion {
        /// The region.
        region: String,
    },
    /// A region that ends beyond the addresses of the core.
    #[error("region \"{region}\" ends beyond the address space (origin {origin:#x}, {length_bytes} B)")]
    RegionTooHigh {
        /// The region.
        region: String,
        /// Its first address.
        origin: u64,
        /// Its length in bytes.
        length_bytes: u64,
    },
    /// Two regions with the same name.
    #[error("two regions are called \"{region}\"")]
    RegionNameTwice {
        /// The name.
        region: String,
    },
    /// Two regions that share addresses.
    #[error("regions \"{first}\" and \"{second}\" overlap at {at:#x}")]
    Overlap {
        /// The region with the lower origin.
        first: String,
        /// The other one.
        second: String,
        /// First shared address.
        at: u64,
    },
    /// `arena_region` names no RAM region.
    #[error("arena_region \"{given}\" is not a [[ram]] region; there are: {}", known.join(", "))]
    ArenaRegion {
        /// The name given.
        given: String,
        /// The RAM regions that exist.
        known: Vec<String>,
    },
    /// A region for the arena is larger than `arena_region`, the last resort.
    #[error(
        "arena_region \"{given}\" is smaller than \"{larger}\", which has a speed_rank; name the larger one, or leave its speed_rank out"
    )]
    ArenaNotLargest {
        /// The region of `arena_region`.
        given: String,
        /// The larger one.
        larger: String,
    },
    /// The Rust target does not suit the core.
    #[error("rust_target {} does not suit core {core}; use {}", given.as_deref().unwrap_or("(none)"), if allowed.is_empty() { "none".to_owned() } else { allowed.join(" or ") })]
    RustTarget {
        /// The triple given, if any.
        given: Option<String>,
        /// The core's label.
        core: &'static str,
        /// The triples that suit it.
        allowed: Vec<&'static str>,
    },
    /// The arch file does not assemble for the core.
    #[error("arch \"{given}\" does not suit core {core}; use \"portable\"")]
    Arch {
        /// The arch file given.
        given: &'static str,
        /// The core's label.
        core: &'static str,
    },
    /// The clock is missing, zero, or given for the host.
    #[error("clock_hz must be {expected} for core {core}")]
    Clock {
        /// The core's label.
        core: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// A power figure that is not a positive finite number.
    #[error("[power] {field} must be a positive number")]
    Power {
        /// The field.
        field: &'static str,
    },
}

/// "; did you mean a, b or c? ", or just the semicolon.
fn suggest(names: &[String]) -> String {
    match names {
        [] => "; ".to_owned(),
        [one] => format!("; did you mean {one}? "),
        [front @ .., last] => format!("; did you mean {} or {last}? ", front.join(", ")),
    }
}
