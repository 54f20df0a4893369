//! The parts of an arena that is divided over RAM regions.
//!
//! In: a plan. Out: which part an offset is of, and where in it. Invariant: offsets of a
//! plan count through all parts, so that everything which compares ranges need not know of
//! regions; where a part begins says which region an offset is of.

use super::{ArenaRange, Plan, RegionId, RowTable};

/// What lies in one RAM region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The region's name in the target's file.
    pub region: String,
    /// Its first byte among the offsets of the plan; a multiple of [`Part::ALIGN`].
    pub start: usize,
    /// Size, a multiple of [`Part::ALIGN`].
    pub bytes: usize,
    /// What the region may hold at most.
    pub limit_bytes: usize,
}

impl Part {
    /// What sizes are multiples of: that of the static which it becomes.
    pub const ALIGN: usize = 16;

    /// One past its last byte.
    pub fn end(&self) -> usize {
        self.start + self.bytes
    }

    /// Whether all of a range lies in it.
    pub fn holds(&self, range: ArenaRange) -> bool {
        self.start <= range.offset && range.end() <= self.end()
    }
}

/// The first byte of the part that an offset is of; 0 where there are no parts.
pub fn start_of(parts: &[Part], offset: usize) -> usize {
    parts.iter().rev().map(|part| part.start).find(|&start| start <= offset).unwrap_or(0)
}

impl Plan {
    /// The region in which a range lies; `None` where the arena is one buffer, and for a
    /// range that no region holds all of.
    pub fn region_of(&self, range: ArenaRange) -> Option<RegionId> {
        let position = self.parts.iter().position(|part| part.holds(range));
        position.map(|position| RegionId(position as u8))
    }

    /// What lies in a region.
    pub fn part(&self, region: RegionId) -> &Part {
        &self.parts[region.index()]
    }

    /// Where the part begins in which the rows of a table lie.
    pub fn start_of(&self, table: &RowTable) -> usize {
        start_of(&self.parts, table.hull().offset)
    }

    /// Whether the places of a table's rows can be emitted.
    pub fn addressable(&self, table: &RowTable) -> bool {
        table.fits(self.start_of(table))
    }
}

/// Property 13 of [`verify`](super::verify).
///
/// # Errors
/// The first violation.
pub fn check(plan: &Plan) -> Result<(), String> {
    if plan.parts.is_empty() {
        return Ok(());
    }
    let mut end = 0;
    for part in &plan.parts {
        let whole = part.start == std::mem::replace(&mut end, part.end()) && part.bytes > 0;
        if !whole || !part.bytes.is_multiple_of(Part::ALIGN) || part.bytes > part.limit_bytes {
            return Err(format!("(13) the part of {} bytes in '{}'", part.bytes, part.region));
        }
    }
    if end != plan.arena_bytes || plan.parts.len() < 2 {
        return Err(format!("(13) parts of {end} bytes are an arena of {}", plan.arena_bytes));
    }
    let inside = |what: &str, range: ArenaRange| match plan.region_of(range) {
        None if range.bytes > 0 => Err(format!("(13) {what} at {range} lies in no region or in several")),
        _ => Ok(()),
    };
    for (index, buffer) in plan.buffers.iter().enumerate() {
        inside(&format!("buffer {index}"), buffer.range())?;
        let start = plan.region_of(buffer.range()).map_or(0, |region| plan.part(region).start);
        if !(buffer.offset - start).is_multiple_of(buffer.align) {
            return Err(format!("(13) buffer {index} at {} of a part at {start}", buffer.offset));
        }
    }
    for io in plan.inputs.iter().chain(&plan.outputs) {
        inside(&format!("port '{}'", io.name), io.range)?;
    }
    for (step, call) in
        plan.steps.iter().flat_map(|step| step.work.calls().iter().map(move |call| (step, call)))
    {
        let ranges = call.inputs.iter().map(|operand| operand.range).chain([call.output, call.scratch]);
        ranges.into_iter().try_for_each(|range| inside(&format!("what '{}' gets", step.name), range))?;
    }
    plan.row_tables.iter().try_for_each(|table| inside(&format!("the rows of {}", table.value), table.hull()))
}
