//! Cycles from counts, by the timing tables that Arm publishes.
//!
//! In: the counts of a layer, the bytes of its instructions, a core. Out: its
//! cycles with memory that never waits, or `None` for a core without a
//! published table. Invariant: the sum over layers is the estimate of the
//! whole run: nothing depends on where a layer begins.
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

use super::thumb::{Instruction, Kind, decode};
use crate::target::{Isa, TimingTable};
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
pub fn time(counts: &LayerCounts, elf: &Elf, isa: Isa, table: Option<TimingTable>) -> Option<Timed> {
    let mut timed = Timed { instructions: counts.executed(), ..Timed::default() };
    // Address behind it, how often that followed, the instruction.
    let mut before: Option<(u32, u64, Instruction)> = None;
    let mut line = None;
    for count in &counts.instructions {
        let bytes = elf.at(count.address)?;
        let after = |bytes: u32| if bytes == 2 { count.after_2 } else { count.after_4 };
        let length = length(bytes, isa)?;
        let jumps = count.executed - after(length);
        timed.jumps += jumps;
        for at in [count.address, count.address + length - 1] {
            let this = Some(at / LINE_BYTES);
            timed.code_lines += u64::from(line < this);
            line = line.max(this);
        }
        let Some(table) = table else { continue };
        let one = decode(bytes)?;
        let straight = table.straight(&one);
        timed.cycles += match one.jumps {
            // One that may jump and does not takes one cycle, whatever it loads.
            true => jumps * (straight + table.refill(&one)) + (count.executed - jumps),
            false => count.executed * straight,
        };
        if let Some((behind, times, first)) = before
            && behind == count.address
            && table.overlaps_loads()
            && overlap(&first, &one)
        {
            timed.cycles -= times;
        }
        before = Some((count.address + length, after(length), one));
    }
    Some(timed)
}

/// Length of the instruction that starts with these bytes.
fn length(bytes: &[u8], isa: Isa) -> Option<u32> {
    match isa {
        Isa::Rv32imc => bytes.first().map(|byte| if byte & 3 == 3 { 4 } else { 2 }),
        _ => decode(bytes).map(|one| one.bytes),
    }
}
