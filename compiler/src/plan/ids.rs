//! Newtype ids and ranges of a plan.
//!
//! Invariant: an id indexes the table of the plan that made it; a range says in
//! its type which memory it is of, so that RAM and flash cannot be mixed up.

use std::fmt;

/// A buffer of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub(super) u32);

/// A step of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub(super) u32);

/// A RAM region over which a plan's arena is divided: the position of its [`Part`](super::Part).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionId(pub(super) u8);

/// A moment: 0 is when the caller has written the inputs, the plan's event `i` happens
/// at `i + 1` (where there are no cascades, that is step `i`), and the moment after the
/// last is when the caller reads the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub(super) u32);

impl BufferId {
    /// The position in the plan's buffer table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl RegionId {
    /// The position in the plan's table of parts.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl StepId {
    /// The position in the plan's step table.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The step at a position of the plan's step table.
    pub fn of(index: usize) -> StepId {
        StepId(index as u32)
    }

    /// When the step runs.
    pub fn time(self) -> Time {
        Time(self.0 + 1)
    }
}

impl Time {
    /// When the caller has written the inputs.
    pub const START: Time = Time(0);

    /// When the caller reads the outputs of a plan of that many moments.
    pub fn end(steps: usize) -> Time {
        Time(steps as u32 + 1)
    }

    /// The moment at a position of the time axis.
    pub fn of(index: usize) -> Time {
        Time(index as u32)
    }

    /// The position on the time axis.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for BufferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// Bytes of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ArenaRange {
    /// First byte, from the start of the arena.
    pub offset: usize,
    /// Length in bytes.
    pub bytes: usize,
}

/// Bytes of the weights blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConstRange {
    /// First byte, from the start of the blob.
    pub offset: usize,
    /// Length in bytes.
    pub bytes: usize,
    /// Bytes of multipliers, shifts and tables among them; the rest are weights and biases.
    pub table_bytes: usize,
}

impl ArenaRange {
    /// One past the last byte.
    pub fn end(&self) -> usize {
        self.offset + self.bytes
    }

    /// Whether any byte belongs to both.
    pub fn overlaps(&self, other: &ArenaRange) -> bool {
        self.bytes > 0 && other.bytes > 0 && self.offset < other.end() && other.offset < self.end()
    }
}

impl ConstRange {
    /// One past the last byte.
    pub fn end(&self) -> usize {
        self.offset + self.bytes
    }
}

impl fmt::Display for ArenaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.offset, self.end())
    }
}

impl fmt::Display for ConstRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.offset, self.end())
    }
}
