//! Thumb-2 instructions, as far as their timing goes.
//!
//! In: the halfwords of an instruction. Out: [`Instruction`]: its length and
//! what the timing tables of Cortex-M cores ask of it. Invariant: every
//! encoding has an answer; what no table tells apart is [`Kind::Plain`].
//! Encodings as in the Armv7-M Architecture Reference Manual, chapter A5.

/// What a core has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Data processing, 32-bit products, saturation, hints: everything else.
    Plain,
    /// A 32-bit product with a 32-bit addend or subtrahend (MLA, MLS).
    MultiplyAdd,
    /// A 64-bit product; `accumulate` for SMLAL and UMLAL.
    MultiplyLong {
        /// Whether it adds to a 64-bit value.
        accumulate: bool,
    },
    /// Division.
    Divide,
    /// MRS or MSR.
    Status,
    /// One load of up to a word.
    Load(Access),
    /// One store of up to a word.
    Store(Access),
    /// Several words, doublewords and floating-point loads.
    LoadMany {
        /// Words moved.
        words: u32,
    },
    /// As [`Kind::LoadMany`], for stores.
    StoreMany {
        /// Words moved.
        words: u32,
    },
    /// A branch, whatever it depends on.
    Branch,
    /// TBB or TBH.
    TableBranch,
    /// Floating point in one cycle.
    Float,
    /// A move between two core registers and the floating-point unit.
    FloatPair,
    /// Floating-point product with a sum.
    FloatMultiplyAdd,
    /// Floating-point division or square root.
    FloatDivide,
}

/// The address of a load or store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The register that is loaded or stored.
    pub register: u8,
    /// The registers of which the address is made, a bit each.
    pub address: u16,
    /// Whether an offset comes from a register.
    pub indexed: bool,
}

/// An instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Length in bytes: 2 or 4.
    pub bytes: u32,
    /// What it does.
    pub kind: Kind,
    /// Whether it may continue elsewhere.
    pub jumps: bool,
    /// Whether it writes a return address: a call.
    pub links: bool,
}

const PC: u8 = 15;

/// Decodes the instruction that starts with these bytes; `None` if they end
/// within it.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Instruction> {
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let first = half(0)?;
    if first >> 11 < 0x1d {
        let kind = narrow(first);
        // BLX of a register.
        return Some(instruction(2, kind, jumps_narrow(first, kind), first & 0xff80 == 0x4780));
    }
    let second = half(2)?;
    let kind = wide(first, second);
    let links = first & 0xf800 == 0xf000 && second & 0xc000 == 0xc000 && !low_overhead(second);
    Some(instruction(4, kind, jumps_wide(first, second, kind), links))
}

fn instruction(bytes: u32, kind: Kind, jumps: bool, links: bool) -> Instruction {
    Instruction { bytes, kind, jumps, links }
}

fn bits(word: u16, low: u32, count: u32) -> u8 {
    ((word >> low) & ((1 << count) - 1)) as u8
}

fn based(register: u8, base: u8) -> Access {
    Access { register, address: 1 << base, indexed: false }
}

fn indexed(register: u8, base: u8, index: u8) -> Access {
    Access { register, address: 1 << base | 1 << index, indexed: true }
}

fn narrow(word: u16) -> Kind {
    let low = bits(word, 0, 3);
    let middle = bits(word, 3, 3);
    let high = bits(word, 8, 3);
    match word >> 11 {
        // ADD, MOV and BX with a target of pc.
        0b01000 if word & 0xff00 == 0x4700 => Kind::Branch,
        0b01000 if word & 0xfd87 == 0x4487 => Kind::Branch,
        0b01001 => Kind::Load(based(high, PC)),
        0b01010 | 0b01011 => match bits(word, 9, 3) {
            0..=2 => Kind::Store(indexed(low, middle, bits(word, 6, 3))),
            _ => Kind::Load(indexed(low, middle, bits(word, 6, 3))),
        },
        0b01100 | 0b01110 | 0b10000 => Kind::Store(based(low, middle)),
        0b01101 | 0b01111 | 0b10001 => Kind::Load(based(low, middle)),
        0b10010 => Kind::Store(based(high, 13)),
        0b10011 => Kind::Load(based(high, 13)),
        0b10110 | 0b10111 if word & 0x0500 == 0x0100 => Kind::Branch,
        0b10110 if word & 0xfe00 == 0xb400 => Kind::StoreMany { words: (word & 0x1ff).count_ones() },
        0b10111 if word & 0xfe00 == 0xbc00 => Kind::LoadMany { words: (word & 0x1ff).count_ones() },
        0b11000 => Kind::StoreMany { words: (word & 0xff).count_ones() },
        0b11001 => Kind::LoadMany { words: (word & 0xff).count_ones() },
        // The last two conditions are UDF and SVC.
        0b11010 | 0b11011 if bits(word, 8, 4) < 14 => Kind::Branch,
        0b11100 => Kind::Branch,
        _ => Kind::Plain,
    }
}

fn jumps_narrow(word: u16, kind: Kind) -> bool {
    match kind {
        Kind::Branch => true,
        Kind::LoadMany { .. } => word & 0xff00 == 0xbd00,
        _ => false,
    }
}

fn wide(first: u16, second: u16) -> Kind {
    match bits(first, 11, 2) {
        _ if first & 0xec00 == 0xec00 => float(first, second),
        0b01 if first & 0xfe40 == 0xe800 => many(first, u32::from(second).count_ones()),
        0b01 if first & 0xfe40 == 0xe840 => double(first, second),
        0b10 if second & 0x8000 != 0 => control(first, second),
        0b11 if first & 0xfe00 == 0xf800 => single(first, second),
        0b11 => multiply(first, second),
        _ => Kind::Plain,
    }
}

fn jumps_wide(first: u16, second: u16, kind: Kind) -> bool {
    match kind {
        Kind::Branch | Kind::TableBranch => true,
        Kind::Load(access) => access.register == PC,
        Kind::LoadMany { .. } => first & 0xfe40 == 0xe800 && second & 0x8000 != 0,
        _ => false,
    }
}

fn many(first: u16, words: u32) -> Kind {
    match first & 0x10 {
        0 => Kind::StoreMany { words },
        _ => Kind::LoadMany { words },
    }
}

/// Doublewords, exclusive accesses and table branches.
fn double(first: u16, second: u16) -> Kind {
    let register = (second >> 12) as u8;
    let base = bits(first, 0, 4);
    match (first & 0xfff0, bits(second, 4, 4)) {
        (0xe8d0, 0 | 1) => Kind::TableBranch,
        (0xe850 | 0xe8d0, _) => Kind::Load(based(register, base)),
        (0xe840 | 0xe8c0, _) => Kind::Store(based(register, base)),
        _ => many(first, 2),
    }
}

/// Whether a branch is one of the loop instructions of Armv8.1-M, or VCTP.
fn low_overhead(second: u16) -> bool {
    second & 0x5001 == 0x4001
}

fn control(first: u16, second: u16) -> Kind {
    let conditional = second & 0x5000 == 0;
    match first & 0xffe0 {
        0xf380 | 0xf3e0 if conditional => Kind::Status,
        // The start of a loop, and VCTP.
        _ if low_overhead(second) && second & 0x2000 != 0 => Kind::Plain,
        // Hints and barriers.
        _ if conditional && first & 0x0380 == 0x0380 => Kind::Plain,
        _ => Kind::Branch,
    }
}

fn single(first: u16, second: u16) -> Kind {
    let register = (second >> 12) as u8;
    let base = bits(first, 0, 4);
    let load = first & 0x10 != 0;
    let word = first & 0x60 == 0x40;
    if load && register == PC && !word {
        return Kind::Plain; // a preload
    }
    let access = match base != PC && first & 0x80 == 0 && second & 0x0fc0 == 0 {
        true => indexed(register, base, bits(second, 0, 4)),
        false => based(register, base),
    };
    if load { Kind::Load(access) } else { Kind::Store(access) }
}

fn multiply(first: u16, second: u16) -> Kind {
    match (first & 0xfff0, bits(second, 4, 4)) {
        (0xfb90 | 0xfbb0, 0xf) => Kind::Divide,
        (0xfb80 | 0xfba0, _) => Kind::MultiplyLong { accumulate: false },
        (0xfbc0 | 0xfbe0, _) => Kind::MultiplyLong { accumulate: true },
        (0xfb00, _) if second >> 12 != u16::from(PC) => Kind::MultiplyAdd,
        _ => Kind::Plain,
    }
}

fn float(first: u16, second: u16) -> Kind {
    if bits(second, 9, 3) != 0b101 {
        return Kind::Plain;
    }
    let words = u32::from(second & 0xff);
    match first & 0x0300 {
        0x0000 | 0x0100 if first & 0xffe0 == 0xec40 => Kind::FloatPair,
        // VLDR and VSTR; the others count their words themselves.
        0x0100 if first & 0x20 == 0 => many(first, 1 + u32::from(second & 0x100 != 0)),
        0x0000 | 0x0100 => many(first, words),
        0x0200 if second & 0x10 == 0 => match (first & 0xb0, second & 0x40) {
            (0x00 | 0x10, _) | (0x90 | 0xa0, _) => Kind::FloatMultiplyAdd,
            (0x80, _) => Kind::FloatDivide,
            (0xb0, 0x40) if first & 0xf == 1 && second & 0x80 != 0 => Kind::FloatDivide,
            _ => Kind::Float,
        },
        _ => Kind::Float,
    }
}
