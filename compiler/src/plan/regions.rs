//! The RAM regions of a chip as planning takes them.
//!
//! In: what a target and the budgets leave. Out: [`Regions`]. Invariant: the fastest region
//! is the first; limits are those of the budgets.

use std::str::FromStr;

/// When an arena is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spread {
    /// Never.
    One,
    /// Where it fits no region whole.
    #[default]
    Auto,
    /// Wherever it does not fit the fastest region whole.
    Split,
}

impl FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "one" => Ok(Spread::One),
            "auto" => Ok(Spread::Auto),
            "split" => Ok(Spread::Split),
            other => Err(format!("'{other}' is no way to use RAM regions: use auto, one or split")),
        }
    }
}

/// A region of RAM for an arena or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its name in the target's file.
    pub region: String,
    /// Bytes that may be used.
    pub limit_bytes: usize,
}

/// The regions of a chip, and when to use several of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Regions {
    /// When.
    pub spread: Spread,
    /// The regions, the fastest first.
    pub rooms: Vec<Room>,
    /// Bytes that may be used of all of them together.
    pub total_bytes: usize,
}

impl Regions {
    /// Whether dividing an arena may help.
    #[must_use]
    pub fn may_divide(&self) -> bool {
        let largest = self.rooms.iter().map(|room| room.limit_bytes).max().unwrap_or(0);
        match self.spread {
            Spread::One => false,
            Spread::Auto => self.rooms.len() > 1 && self.total_bytes > largest,
            Spread::Split => self.rooms.len() > 1,
        }
    }

    /// Whether an arena is to be divided that fits a region whole.
    #[must_use]
    pub fn prefers_fast(&self) -> bool {
        self.spread == Spread::Split && self.rooms.len() > 1
    }

    /// Whether an arena fits the fastest region whole.
    #[must_use]
    pub fn fits_fastest(&self, arena_bytes: usize) -> bool {
        self.rooms.first().is_none_or(|room| arena_bytes <= room.limit_bytes)
    }
}
