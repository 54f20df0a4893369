//! Cycles of a core that issues two instructions at once, in order: Cortex-M7.
//!
//! In: instructions one after the other, as they run. Out: cycles from issue to issue.
//! Invariant: a model of published rules, never a measurement: Arm publishes no table for
//! this core. Where its sources disagree, the slower rule counts.
//!
//! Sources: LLVM's scheduling model (`ARMScheduleM7.td`), and what others measured and
//! published of boards: jnk0le, "cortex m7", and quinapalus.com, "Cortex-M7 instruction
//! cycle counts". Their rules, as far as they are used here:
//!
//! - Two instructions next to each other issue in one cycle if neither needs the other's
//!   result, and together they ask for no more than the core has: one multiplier, one
//!   store, one branch, one shifter for second operands, two loads from different banks
//!   (words of even and odd number: known for one base register alone; else they count as
//!   one bank). A product and a store do not go together.
//! - Bit fields, extensions and halfwords in parallel can only be the first of two.
//! - Several words, doublewords, division and status registers issue alone.
//! - Results are there a cycle later; two for products, saturation, moves from the
//!   floating-point unit and loads of less than a word, and for a loaded word that is
//!   multiplied or shifted. What is added to a product or stored is read a cycle later than
//!   the rest, addresses and what is shifted a cycle earlier; a sum or move that issues
//!   first, of operands that were there early, is in time for the next address.
//! - A branch goes where it mostly goes without loss; each other time costs 8 cycles.
//!
//! Left out: caches, banks of different memories, the store buffer, fetching, flags,
//! results within the floating-point unit, the size of the branch predictor. Instructions
//! behind a jump begin a cycle, with everything at hand.

use super::operands::{Class, Operands};

/// Cycles of a branch that goes the rarer way.
pub const MISPREDICTED: u64 = 8;

/// A core on its way.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    cycle: u64,
    /// What issued alone in this cycle, so that another may join it.
    first: Option<Operands>,
    /// The first cycles in which an instruction may issue that reads the register.
    ready: [Ready; 16],
}

/// By where it is read.
#[derive(Debug, Clone, Copy, Default)]
struct Ready {
    early: u64,
    /// A factor, or any operand of what shifts another one.
    factor: u64,
    normal: u64,
}

impl Pipeline {
    /// What follows was jumped to.
    pub fn jump(&mut self) {
        *self = Self { cycle: self.cycle, ..Self::default() };
    }

    /// Issues an instruction; cycles since the one before issued, 0 if it joins it.
    pub fn issue(&mut self, one: &Operands) -> u64 {
        let before = self.cycle;
        let ready = self.ready(one);
        let joins = ready <= before && self.first.is_some_and(|first| go_together(&first, one));
        let at = if joins { before } else { ready.max(before + 1) };
        let in_time = !joins && registers(one.normal).all(|r| self.ready[r].early <= at);
        let last = match one.class {
            Class::Alone { cycles } => at + cycles - 1,
            _ => at,
        };
        for r in registers(one.updates) {
            self.ready[r] = Ready { early: at + 1, factor: at + 1, normal: at + 1 };
        }
        for r in registers(one.writes) {
            self.ready[r] = result(one.class, in_time, last);
        }
        self.cycle = last;
        self.first = if joins || last != at { None } else { Some(*one) };
        last - before
    }

    /// When all that an instruction reads is there.
    fn ready(&self, one: &Operands) -> u64 {
        let factors = one.class == Class::Product || one.early != 0;
        let early = registers(one.early).map(|r| self.ready[r].early);
        let normal = registers(one.normal).map(|r| match factors {
            true => self.ready[r].factor,
            false => self.ready[r].normal,
        });
        let late = registers(one.late).map(|r| self.ready[r].normal.saturating_sub(1));
        early.chain(normal).chain(late).max().unwrap_or(0)
    }
}

/// When a result is there that was issued in a cycle.
fn result(class: Class, in_time: bool, at: u64) -> Ready {
    let late = |by: u64| Ready { early: at + by + 1, factor: at + by, normal: at + by };
    match class {
        Class::Sum | Class::Shift if in_time => Ready { early: at + 1, factor: at + 1, normal: at + 1 },
        Class::Load { narrow: false, .. } | Class::Alone { .. } => {
            Ready { early: at + 2, factor: at + 2, normal: at + 1 }
        }
        Class::Load { narrow: true, .. } | Class::Product | Class::Move | Class::Dsp { slow: true, .. } => {
            late(2)
        }
        _ => late(1),
    }
}

/// Whether `second`, right behind `first`, can issue in its cycle, results aside.
fn go_together(first: &Operands, second: &Operands) -> bool {
    use Class::{Alone, Branch, Dsp, Float, Load, Product, Shift, Shifted, Store};
    let shifts = |class| matches!(class, Shifted | Dsp { shifts: true, .. });
    let apart = match (first.class, second.class) {
        (Alone { .. }, _) | (_, Alone { .. } | Dsp { .. }) => true,
        (Product, Product | Store) | (Store, Product | Store) => true,
        (Branch, Branch) | (Float, Float) => true,
        (Load { place: a, .. }, Load { place: b, .. }) => !other_bank(first, a, b),
        (Shift, Shifted) => true,
        (a, b) => shifts(a) && shifts(b),
    };
    let both = (first.writes | first.updates) & (second.writes | second.updates) != 0;
    !apart && !both
}

fn other_bank(first: &Operands, a: Option<(u8, i32)>, b: Option<(u8, i32)>) -> bool {
    let (Some((base, a)), Some((other, b))) = (a, b) else { return false };
    base == other && (first.writes | first.updates) & (1 << base) == 0 && (a ^ b) & 4 != 0
}

fn registers(bits: u16) -> impl Iterator<Item = usize> {
    (0..16).filter(move |r| bits & (1 << r) != 0)
}

#[cfg(test)]
mod tests {
    use super::super::operands::operands;
    use super::Pipeline;

    /// Cycles from issue to issue of encoded instructions.
    fn cycles(halfwords: &[&[u16]]) -> Vec<u64> {
        let mut core = Pipeline::default();
        let issue = |one: &&[u16]| {
            let bytes: Vec<u8> = one.iter().flat_map(|half| half.to_le_bytes()).collect();
            core.issue(&operands(&bytes).unwrap())
        };
        halfwords.iter().map(issue).collect()
    }

    #[test]
    fn two_words_of_different_banks_load_at_once() {
        // ldr r2, [r0]; ldr r3, [r0, #4]; ldr r4, [r0, #8]; ldr r5, [r0, #16].
        assert_eq!(cycles(&[&[0x6802], &[0x6843], &[0x6884], &[0x6905]]), [1, 0, 1, 1]);
        // ldr r2, [r0]; ldr r3, [r1, #4]: of two bases nothing is known.
        assert_eq!(cycles(&[&[0x6802], &[0x684b]]), [1, 1]);
        // ldr r0, [r0]; ldr r3, [r0, #4]: the address is there two cycles later.
        assert_eq!(cycles(&[&[0x6800], &[0x6843]]), [1, 2]);
    }

    #[test]
    fn products_wait_for_factors_and_not_for_sums() {
        let smlad = [0xfb24, 0x6602]; // smlad r6, r4, r2, r6
        // A chain through the sum takes a cycle each.
        assert_eq!(cycles(&[&smlad, &smlad, &smlad]), [1, 1, 1]);
        // ldr r2, [r0]; smlad: a loaded factor is there two cycles later.
        assert_eq!(cycles(&[&[0x6802], &smlad]), [1, 2]);
        // ldr r6, [r0]; smlad r7, r4, r2, r6: a loaded sum at once, as the second of two.
        assert_eq!(cycles(&[&[0x6806], &[0xfb24, 0x6702]]), [1, 0]);
        // smlad; ldr r2, [r0]: a load beside a product, over one of its factors.
        assert_eq!(cycles(&[&smlad, &[0x6802]]), [1, 0]);
        // smlad; str r5, [r0]: a store does not go with a product.
        assert_eq!(cycles(&[&smlad, &[0x6005]]), [1, 1]);
        // smlad r6; adds r1, r6, #1: a product is there two cycles later.
        assert_eq!(cycles(&[&smlad, &[0x1c71]]), [1, 2]);
    }

    #[test]
    fn extensions_are_first_and_ask_early() {
        let sxtb16 = [0xfa2f, 0xf584]; // sxtb16 r5, r4
        let smlad = [0xfb25, 0x7702]; // smlad r7, r5, r2, r7
        let other = [0xfb24, 0x6602]; // smlad r6, r4, r2, r6
        // First of two with a product that does not need it, the next one does.
        assert_eq!(cycles(&[&sxtb16, &other, &smlad]), [1, 0, 1]);
        // Never second.
        assert_eq!(cycles(&[&other, &sxtb16]), [1, 1]);
        // ldr r4, [r1]; sxtb16 r5, r4: what is shifted is read a stage before.
        assert_eq!(cycles(&[&[0x680c], &sxtb16]), [1, 2]);
    }

    #[test]
    fn saturation_and_stores() {
        let smmlar = [0xfb57, 0x0712]; // smmlar r7, r7, r2, r0
        let ssat = [0xf307, 0x0707]; // ssat r7, #8, r7
        let strb = [0x701f]; // strb r7, [r3]
        // The product is there two cycles later and asked for one before; saturated codes
        // two cycles later, stored ones being asked for one after.
        assert_eq!(cycles(&[&smmlar, &ssat, &strb]), [1, 3, 1]);
        // push {r4, r5, r6, lr}; pop {r4, r5, r6, pc}: two words a cycle, alone.
        assert_eq!(cycles(&[&[0xb570], &[0xbd70]]), [2, 2]);
    }

    #[test]
    fn sums_are_in_time_for_addresses_if_they_issue_first() {
        // adds r0, #4; ldr r2, [r0].
        assert_eq!(cycles(&[&[0x3004], &[0x6802]]), [1, 1]);
        // adds r1, #4; adds r0, #4; ldr r2, [r0]: the second of two is late.
        assert_eq!(cycles(&[&[0x3104], &[0x3004], &[0x6802]]), [1, 0, 2]);
        // ands r0, r1; ldr r2, [r0].
        assert_eq!(cycles(&[&[0x4008], &[0x6802]]), [1, 2]);
    }
}
