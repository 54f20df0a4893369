//! What looking for less RAM may take.
//!
//! In steps and not in seconds: equal inputs give equal plans on every machine. Invariant:
//! whatever the limits, there is a plan; with less effort it needs more RAM.

/// Limits of the planner's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Units of work (rows, for most kernels) that are run through, for each way to divide
    /// the layers' work, until cascades of more than one layer are no longer considered.
    pub units: usize,
    /// Looks at two things in each other's way that each search for offsets may take,
    /// and twice as many where many things are left with much above the bound.
    pub looks: usize,
}

impl Default for Effort {
    /// Some ten times what MobileNetV2 of full width takes on images of 224 x 224.
    fn default() -> Effort {
        Effort { units: 4_000_000, looks: 10_000_000 }
    }
}

/// Which limits were met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stopped {
    /// That of [`Effort::units`].
    pub units: bool,
    /// That of [`Effort::looks`].
    pub looks: bool,
}

impl Stopped {
    /// A sentence for the user about a plan of so many bytes; `None` where nothing was
    /// left to try.
    pub fn note(self, arena_bytes: usize, bound_bytes: usize) -> Option<String> {
        let looks = format!(
            "the arena of {arena_bytes} B is {} B above the most that lives at one moment: the search for offsets stopped at its limit of steps",
            arena_bytes.saturating_sub(bound_bytes)
        );
        let units =
            "planning stopped at its limit of steps: with longer runs of layers row by row, less RAM may do";
        match (self.units, self.looks) {
            (false, false) => None,
            (false, true) => Some(looks),
            (true, false) => Some(units.to_owned()),
            (true, true) => Some(format!("{units}; {looks}")),
        }
    }
}
