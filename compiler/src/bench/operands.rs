//! Thumb-2 instructions, as far as a core that issues two at once asks.
//!
//! In: the bytes of an instruction. Out: [`Operands`]: what kind of unit it takes, which
//! registers it reads at which stage, which it writes. Invariant: every encoding has an
//! answer; one that is not known reads and writes nothing and is [`Class::Logic`].
//! Flags and registers of the floating-point unit are left out.
//! Encodings as in the Armv7-M Architecture Reference Manual, chapters A5 and A7.

use super::thumb::{Access, Kind, decode};

/// What an instruction takes of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A sum, difference or move.
    Sum,
    /// A plain shift or rotation.
    Shift,
    /// Any other operation on registers and constants.
    Logic,
    /// An operation whose second operand is shifted, or a rotated constant.
    Shifted,
    /// Bit fields, extensions, saturation, halfwords and bytes in parallel.
    Dsp {
        /// Whether its result is late: saturation, byte differences.
        slow: bool,
        /// Whether it shifts on the way.
        shifts: bool,
    },
    /// A product, with or without a sum.
    Product,
    /// A load of up to a word.
    Load {
        /// Whether it is less than a word.
        narrow: bool,
        /// Base register and offset, if those say which bank a word lies in.
        place: Option<(u8, i32)>,
    },
    /// A store of up to a word.
    Store,
    /// What issues with nothing beside it.
    Alone {
        /// Cycles that it issues in.
        cycles: u64,
    },
    /// A branch, or the IT that conditions hang on.
    Branch,
    /// A move between a core register and one of the floating-point unit.
    Move,
    /// Anything else of the floating-point unit.
    Float,
}

/// Registers are a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operands {
    /// What it is.
    pub class: Class,
    /// Read a stage before the others: addresses, what is shifted.
    pub early: u16,
    /// Read where most operands are.
    pub normal: u16,
    /// Read a stage later: what a product is added to, what is stored.
    pub late: u16,
    /// Results.
    pub writes: u16,
    /// Base registers that are moved on.
    pub updates: u16,
}

impl Operands {
    fn new(class: Class, normal: u16, writes: u16) -> Self {
        Self { class, early: 0, normal, late: 0, writes, updates: 0 }
    }

    fn early(self, early: u16) -> Self {
        Self { early, ..self }
    }

    fn late(self, late: u16) -> Self {
        Self { late, ..self }
    }
}

const SP: u16 = 1 << 13;
const PC: u8 = 15;

/// A register of a field, as a bit; the program counter is none.
fn bit(word: u16, low: u32, count: u32) -> u16 {
    match (word >> low) & ((1 << count) - 1) {
        15 => 0,
        register => 1 << register,
    }
}

/// The operands of the instruction that starts with these bytes; `None` if they end
/// within it.
#[must_use]
pub fn operands(bytes: &[u8]) -> Option<Operands> {
    let one = decode(bytes)?;
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let first = half(0)?;
    let second = if one.bytes == 4 { Some(half(2)?) } else { None };
    Some(match one.kind {
        Kind::Load(access) => load(first, second, access),
        Kind::Store(access) => store(first, second, access),
        Kind::LoadMany { words } => many(first, second, words, true),
        Kind::StoreMany { words } => many(first, second, words, false),
        Kind::Divide => multiply(first, second.unwrap_or(0), Class::Alone { cycles: 7 }),
        Kind::MultiplyAdd | Kind::MultiplyLong { .. } => multiply(first, second.unwrap_or(0), Class::Product),
        Kind::Branch => Operands::new(Class::Branch, branch_reads(first, second), 0),
        Kind::TableBranch => {
            let reads = bit(first, 0, 4) | bit(second.unwrap_or(0), 0, 4);
            Operands::new(Class::Alone { cycles: 2 }, 0, 0).early(reads)
        }
        Kind::Status => Operands::new(Class::Alone { cycles: 3 }, 0, bit(second.unwrap_or(0), 8, 4)),
        Kind::Float => float(first, second.unwrap_or(0)),
        Kind::FloatMultiplyAdd => Operands::new(Class::Float, 0, 0),
        Kind::FloatPair => {
            let (to_core, both) = (first & 0x10 != 0, bit(second.unwrap_or(0), 12, 4) | bit(first, 0, 4));
            let (reads, writes) = if to_core { (0, both) } else { (both, 0) };
            Operands::new(Class::Alone { cycles: 1 }, reads, writes)
        }
        Kind::FloatDivide => Operands::new(Class::Alone { cycles: 16 }, 0, 0),
        Kind::Plain => match second {
            None => narrow(first),
            Some(second) => wide(first, second),
        },
    })
}

fn branch_reads(first: u16, second: Option<u16>) -> u16 {
    match first {
        _ if second.is_some() => 0,
        _ if first & 0xff00 == 0x4700 => bit(first, 3, 4),
        _ if first & 0xf500 == 0xb100 => bit(first, 0, 3),
        _ => 0,
    }
}

/// Base and offset of a word, and whether the base moves.
fn place(first: u16, second: Option<u16>, access: Access) -> (Option<i32>, bool) {
    let Some(second) = second else {
        let offset = match first >> 11 {
            0b01100 | 0b01101 => Some(i32::from(first >> 6 & 31) * 4),
            0b10010 | 0b10011 => Some(i32::from(first & 255) * 4),
            _ => None,
        };
        return (offset, false);
    };
    if first & 0xf80f == 0xf80f || access.indexed || first & 0xfe00 != 0xf800 {
        return (None, false);
    }
    if first & 0x80 != 0 {
        return (Some(i32::from(second & 0xfff)), false);
    }
    let by = i32::from(second & 255);
    let moved = if second & 0x200 != 0 { by } else { -by };
    // Added before the access, or behind it.
    let offset = if second & 0x400 != 0 { moved } else { 0 };
    (Some(offset), second & 0x100 != 0)
}

fn is_word(first: u16, second: Option<u16>) -> bool {
    match second {
        None => {
            matches!(first >> 11, 0b01001 | 0b01100 | 0b01101 | 0b10010 | 0b10011)
                || first >> 11 == 0b01011 && first >> 9 & 3 == 0
        }
        Some(_) => first & 0x60 == 0x40,
    }
}

fn load(first: u16, second: Option<u16>, access: Access) -> Operands {
    let (offset, moves) = place(first, second, access);
    let narrow = !is_word(first, second);
    let base = access.address.trailing_zeros() as u8;
    let place = offset.filter(|_| !narrow && base != PC).map(|offset| (base, offset));
    let writes = if access.register == PC { 0 } else { 1 << access.register };
    let updates = if moves { access.address } else { 0 };
    let one = Operands::new(Class::Load { narrow, place }, 0, writes);
    Operands { updates, ..one.early(access.address & 0x7fff) }
}

fn store(first: u16, second: Option<u16>, access: Access) -> Operands {
    let (_, moves) = place(first, second, access);
    let updates = if moves { access.address } else { 0 };
    let one = Operands::new(Class::Store, 0, 0).early(access.address & 0x7fff);
    Operands { updates, ..one.late(1 << access.register) }
}

/// Several words: two a cycle.
fn many(first: u16, second: Option<u16>, words: u32, loads: bool) -> Operands {
    let (base, registers, moves) = match second {
        // PUSH with lr, POP with pc.
        None if first >> 12 == 0b1011 => {
            let lr = if !loads && first & 0x100 != 0 { 1 << 14 } else { 0 };
            (SP, first & 255 | lr, true)
        }
        None => (bit(first, 8, 3), first & 255, !loads || bit(first, 8, 3) & first == 0),
        // VLDR and VSTR of one register are like those of the core.
        Some(_) if first & 0xef20 == 0xed00 && words == 1 => {
            let class = if loads { Class::Load { narrow: false, place: None } } else { Class::Store };
            return Operands::new(class, 0, 0).early(bit(first, 0, 4));
        }
        Some(_) if first & 0xec00 == 0xec00 => (bit(first, 0, 4), 0, first & 0x20 != 0),
        Some(second) if first & 0xfe40 == 0xe800 => (bit(first, 0, 4), second & 0x7fff, first & 0x20 != 0),
        Some(second) => (bit(first, 0, 4), bit(second, 12, 4) | bit(second, 8, 4), first & 0x20 != 0),
    };
    let one = Operands::new(Class::Alone { cycles: u64::from(words.div_ceil(2)).max(1) }, 0, 0).early(base);
    let updates = if moves { base } else { 0 };
    match loads {
        true => Operands { writes: registers, updates, ..one },
        false => Operands { late: registers, updates, ..one },
    }
}

fn narrow(word: u16) -> Operands {
    let (low, middle, high) = (bit(word, 0, 3), bit(word, 3, 3), bit(word, 8, 3));
    let sum = |reads, writes| Operands::new(Class::Sum, reads, writes);
    match word >> 11 {
        0b00000..=0b00010 if word >> 6 == 0 => sum(middle, low),
        0b00000..=0b00010 => Operands::new(Class::Shift, middle, low),
        0b00011 if word & 0x400 == 0 => sum(middle | bit(word, 6, 3), low),
        0b00011 => sum(middle, low),
        0b00100 => sum(0, high),
        0b00101 => Operands::new(Class::Logic, high, 0),
        0b00110 | 0b00111 => sum(high, high),
        0b01000 if word & 0x400 == 0 => register(word >> 6 & 15, low, middle),
        0b01000 => {
            let (to, from) = (bit(word & 7 | word >> 4 & 8, 0, 4), bit(word, 3, 4));
            match word >> 8 & 3 {
                0 => sum(to | from, to),
                1 => Operands::new(Class::Logic, to | from, 0),
                _ => sum(from, to),
            }
        }
        0b10100 => sum(0, high),
        0b10101 => sum(SP, high),
        0b10110 if word & 0xff00 == 0xb000 => sum(SP, SP),
        0b10110 if word & 0xff00 == 0xb200 => dsp(false, 0, low).early(middle),
        0b10111 if word & 0xff00 == 0xba00 => dsp(false, 0, low).early(middle),
        0b10111 if word & 0xff00 == 0xbf00 && word & 15 != 0 => Operands::new(Class::Branch, 0, 0),
        _ => Operands::new(Class::Logic, 0, 0),
    }
}

/// Two registers, of which the first is the result's.
fn register(operation: u16, to: u16, from: u16) -> Operands {
    match operation {
        2 | 3 | 4 | 7 => Operands::new(Class::Shift, to | from, to),
        8 | 10 | 11 => Operands::new(Class::Logic, to | from, 0),
        9 => Operands::new(Class::Sum, from, to),
        13 => Operands::new(Class::Product, to | from, to),
        15 => Operands::new(Class::Logic, from, to),
        _ => Operands::new(Class::Logic, to | from, to),
    }
}

fn dsp(slow: bool, normal: u16, writes: u16) -> Operands {
    Operands::new(Class::Dsp { slow, shifts: true }, normal, writes)
}

fn wide(first: u16, second: u16) -> Operands {
    match first >> 8 {
        0xea | 0xeb => shifted(first, second),
        0xf0..=0xf7 if second & 0x8000 != 0 => Operands::new(Class::Alone { cycles: 3 }, 0, 0),
        0xf0 | 0xf1 | 0xf4 | 0xf5 => constant(first, second),
        0xf2 | 0xf3 | 0xf6 | 0xf7 => immediate(first, second),
        0xfa => registers(first, second),
        0xfb => multiply(first, second, Class::Product),
        _ => Operands::new(Class::Logic, 0, 0),
    }
}

/// The sums, moves and comparisons among the operations of A5.3.1 and A5.3.11.
fn operation(first: u16, second: u16, other: u16, class: Class) -> Operands {
    let (code, from, to) = (first >> 5 & 15, bit(first, 0, 4), bit(second, 8, 4));
    // A move has no first operand, a comparison no result.
    let plain = class == Class::Logic && (code == 2 && from == 0 || matches!(code, 8 | 13 | 14) && to != 0);
    let class = if plain { Class::Sum } else { class };
    let one = Operands::new(class, from | other, to);
    if class == Class::Shifted { Operands { normal: from, ..one }.early(other) } else { one }
}

fn shifted(first: u16, second: u16) -> Operands {
    let (by, from) = (second & 0x70f0, bit(second, 0, 4));
    match first >> 5 & 15 {
        6 => dsp(false, 0, bit(second, 8, 4)).early(bit(first, 0, 4) | from),
        2 if first & 15 == 15 && by != 0 => Operands::new(Class::Shift, from, bit(second, 8, 4)),
        _ if by != 0 => operation(first, second, from, Class::Shifted),
        _ => operation(first, second, from, Class::Logic),
    }
}

fn constant(first: u16, second: u16) -> Operands {
    // The upper two of the twelve bits rotate.
    let rotated = first & 0x400 != 0 || second & 0x4000 != 0;
    operation(first, second, 0, if rotated { Class::Shifted } else { Class::Logic })
}

fn immediate(first: u16, second: u16) -> Operands {
    let (from, to) = (bit(first, 0, 4), bit(second, 8, 4));
    match first >> 4 & 31 {
        0 | 10 => Operands::new(Class::Sum, from, to),
        4 => Operands::new(Class::Sum, 0, to),
        12 => Operands::new(Class::Logic, to, to),
        16..=19 | 24..=27 => dsp(true, 0, to).early(from),
        22 => dsp(false, to, to).early(from),
        _ => dsp(false, 0, to).early(from),
    }
}

/// A5.3.12 to A5.3.15.
fn registers(first: u16, second: u16) -> Operands {
    let (a, b, to) = (bit(first, 0, 4), bit(second, 0, 4), bit(second, 8, 4));
    let parallel = |slow| Operands::new(Class::Dsp { slow, shifts: false }, a | b, to);
    match (first & 0x80 != 0, second & 0x80 != 0) {
        (false, false) => Operands::new(Class::Shift, a | b, to),
        (false, true) => dsp(false, a, to).early(b),
        // Those that saturate: Q and UQ.
        (true, false) => parallel(second & 0x30 == 0x10),
        (true, true) => match first >> 4 & 3 {
            0 => Operands::new(Class::Dsp { slow: true, shifts: second & 0x10 != 0 }, 0, to).early(a | b),
            1 => dsp(false, 0, to).early(b),
            2 => parallel(false),
            _ => Operands::new(Class::Dsp { slow: false, shifts: false }, b, to),
        },
    }
}

fn multiply(first: u16, second: u16, class: Class) -> Operands {
    let (factors, low, high) = (bit(first, 0, 4) | bit(second, 0, 4), bit(second, 12, 4), bit(second, 8, 4));
    let accumulates = first & 0x40 != 0;
    match first & 0x80 {
        0 if first & 0xf0 == 0x70 => {
            Operands::new(Class::Dsp { slow: true, shifts: false }, factors, high).late(low)
        }
        0 => Operands::new(class, factors, high).late(low),
        _ if class != Class::Product => Operands::new(class, factors, high),
        _ => Operands::new(class, factors, low | high).late(if accumulates { low | high } else { 0 }),
    }
}

/// A move between the two kinds of registers, or what stays among floats.
fn float(first: u16, second: u16) -> Operands {
    let register = bit(second, 12, 4);
    match (first & 0xfff0, second & 0x0f7f) {
        (0xee10, 0x0a10) => Operands::new(Class::Move, 0, register),
        (0xee00, 0x0a10) => Operands::new(Class::Move, register, 0),
        (0xeef0 | 0xeee0, 0x0a10) => Operands::new(Class::Alone { cycles: 1 }, 0, register),
        _ => Operands::new(Class::Float, 0, 0),
    }
}
