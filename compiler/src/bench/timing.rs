//! Cycles from counts, by the timing tables that Arm publishes, or by a model.
//!
//! In: the counts of a layer, the bytes of its instructions, what times them.
//! Out: its cycles with memory that never waits. Invariant: with a table the sum
//! over layers is the estimate of the whole run: nothing depends on where a layer
//! begins.
//!
//! Cortex-M4: Technical Reference Manual r0p1, 3.3. A taken branch refills the
//! pipeline in 2 cycles. A load takes 2 cycles, 1 behind another load whose
//! result its address does not need; so does a store with a register offset.
//! A division counts 7 (2 to 12 on the core).
//! Cortex-M3: TRM r2p1, 3.3: as above, but MLA and MLS take 2, 64-bit products
//! up to 5 and 7: the upper ends are counted.
//! Cortex-M0+: TRM r0p1, 3.3: branches 2 if taken, calls 3, loads and stores 2.
//! Cortex-M0: TRM r0p0, 3.3: branches 3, calls 4, the rest alike.
//! Both with the multiplier of one cycle.
//! Cortex-M7: no table; the model of [`dual_issue`](super::dual_issue).

use super::dual_issue::{MISPREDICTED, Pipeline};
use super::operands::operands;
use super::thumb::{Instruction, Kind, decode};
use crate::target::{Isa, Timing, TimingTable};
use crate::verify::counting::{LINE_BYTES, LayerCounts};
use crate::verify::elf::Elf;

impl TimingTable {
    /// Whether a load can overlap the one in front of it.
    fn overlaps_loads(self) -> bool {
        matches!(self, Self::M3 | Self::M4)
    }

    /// Cycles of an instruction that goes on behind itself.
    fn straight(self, one: &Instruction) -> u64 {
        let small = !self.overlaps_loads();
        match one.kind {
            Kind::Plain | Kind::Branch | Kind::Float => 1,
            Kind::Status => match self {
                Self::M0 => 4,
                Self::M0Plus => 3,
                _ => 2,
            },
            Kind::MultiplyAdd => 1 + u64::from(self == Self::M3),
            Kind::MultiplyLong { accumulate } => match (self, accumulate) {
                (Self::M3, false) => 5,
                (Self::M3, true) => 7,
                _ => 1,
            },
            Kind::Divide => 7,
            Kind::Load(_) => 2,
            Kind::Store(access) => 1 + u64::from(small || access.indexed),
            Kind::LoadMany { words } | Kind::StoreMany { words } => 1 + u64::from(words),
            Kind::TableBranch | Kind::FloatMultiplyAdd => 3,
            Kind::FloatPair => 2,
            Kind::FloatDivide => 14,
        }
    }

    /// Cycles more if it goes on elsewhere.
    fn refill(self, one: &Instruction) -> u64 {
        match (self, one.kind) {
            (Self::M3 | Self::M4, _) => 2,
            (Self::M0, Kind::LoadMany { .. }) => 3,
            (Self::M0Plus, Kind::LoadMany { .. }) => 2,
            (Self::M0, _) => 2 + u64::from(one.bytes == 4),
            (Self::M0Plus, _) => 1 + u64::from(one.bytes == 4),
        }
    }
}

/// Whether `second`, right behind `first`, takes one cycle less.
fn overlap(first: &Instruction, second: &Instruction) -> bool {
    let Kind::Load(before) = first.kind else { return false };
    let address = match second.kind {
        Kind::Load(access) => access.address,
        Kind::Store(access) if access.indexed => access.address,
        _ => return false,
    };
    !first.jumps && address & (1 << before.register) == 0
}

/// A layer by the numbers that times follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timed {
    /// Instructions executed.
    pub instructions: u64,
    /// Cycles; 0 without a table.
    pub cycles: u64,
    /// Instructions that went on elsewhere than behind themselves.
    pub jumps: u64,
    /// Lines of code that were executed.
    pub code_lines: u64,
}

/// Times a layer. `None` where the file holds no instruction at a counted address.
#[must_use]
pub fn time(counts: &LayerCounts, elf: &Elf, isa: Isa, timing: Option<Timing>) -> Option<Timed> {
    let mut timed = Timed { instructions: counts.executed(), ..Timed::default() };
    let mut cycles = timing.map(Cycles::new);
    let mut line = None;
    for count in &counts.instructions {
        let bytes = elf.at(count.address)?;
        let length = length(bytes, isa)?;
        let after = if length == 2 { count.after_2 } else { count.after_4 };
        timed.jumps += count.executed - after;
        for at in [count.address, count.address + length - 1] {
            let this = Some(at / LINE_BYTES);
            timed.code_lines += u64::from(line < this);
            line = line.max(this);
        }
        if let Some(cycles) = &mut cycles {
            let ran = Ran { address: count.address, executed: count.executed, after };
            timed.cycles += cycles.of(&ran, bytes)?;
        }
    }
    Some(timed)
}

/// How often an instruction ran, and how often it went on behind itself.
#[derive(Debug, Clone, Copy)]
struct Ran {
    address: u32,
    executed: u64,
    after: u64,
}

/// Times instructions in the order of their addresses.
struct Cycles {
    timing: Timing,
    /// Address behind the one before, how often that followed, the instruction.
    before: Option<(u32, u64, Instruction)>,
    pipeline: Pipeline,
}

impl Cycles {
    fn new(timing: Timing) -> Self {
        Self { timing, before: None, pipeline: Pipeline::default() }
    }

    fn of(&mut self, ran: &Ran, bytes: &[u8]) -> Option<u64> {
        let one = decode(bytes)?;
        let before = self.before.filter(|(behind, ..)| *behind == ran.address);
        let jumps = ran.executed - ran.after;
        let cycles = match self.timing {
            Timing::Table(table) => {
                let straight = table.straight(&one);
                let cycles = match one.jumps {
                    // One that may jump and does not takes one cycle, whatever it loads.
                    true => jumps * (straight + table.refill(&one)) + ran.after,
                    false => ran.executed * straight,
                };
                let overlaps = |&(_, _, first): &(u32, u64, Instruction)| {
                    table.overlaps_loads() && overlap(&first, &one)
                };
                cycles - before.filter(overlaps).map_or(0, |(_, times, _)| times)
            }
            Timing::DualIssue => {
                let from_before = before.map_or(0, |(_, times, _)| times);
                // Most came by a jump.
                if 2 * from_before < ran.executed {
                    self.pipeline.jump();
                }
                let mispredicted = if one.jumps { jumps.min(ran.after) } else { 0 };
                ran.executed * self.pipeline.issue(&operands(bytes)?) + mispredicted * MISPREDICTED
            }
        };
        self.before = Some((ran.address + one.bytes, ran.after, one));
        Some(cycles)
    }
}

/// Length of the instruction that starts with these bytes.
fn length(bytes: &[u8], isa: Isa) -> Option<u32> {
    match isa {
        Isa::Rv32imc => bytes.first().map(|byte| if byte & 3 == 3 { 4 } else { 2 }),
        _ => decode(bytes).map(|one| one.bytes),
    }
}
