//! Thumb instructions, as far as the stack goes: Armv6-M to Armv8.1-M Main.
//!
//! In: the bytes of an instruction and its address. Out: [`Step`]. Invariant:
//! every instruction that writes the stack pointer or may continue elsewhere
//! is told as such. Encodings as in the Armv7-M Architecture Reference Manual,
//! chapter A5 and A7; loops and vectors as in the Armv8-M one, chapter C2.

use super::step::{Conditional, Effect, Flow, Registers, Step};
use crate::verify::elf::Elf;

pub const REGISTERS: Registers = Registers { stack: SP, frame: 7, link: LINK };

const SP: u8 = 13;
const LINK: u8 = 14;
const PC: u8 = 15;

/// The instruction at an address; `None` if the file ends within it.
pub fn decode(elf: &Elf, at: u32) -> Option<Step> {
    let bytes = elf.at(at)?;
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let first = half(0)?;
    let pc = at.wrapping_add(4);
    if first >> 11 < 0x1d {
        let (effect, flow) = narrow(elf, first, pc);
        return Some(Step { bytes: 2, effect, flow });
    }
    let (effect, flow) = wide(elf, first, half(2)?, pc);
    Some(Step { bytes: 4, effect, flow })
}

/// The address that an ADR at this address makes.
pub fn own_address(elf: &Elf, at: u32) -> Option<u32> {
    let bytes = elf.at(at)?;
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let base = at.wrapping_add(4) & !3;
    let first = half(0)?;
    if first >> 11 == 0b10100 {
        return Some(base.wrapping_add(4 * u32::from(first & 0xff)));
    }
    let second = half(2)?;
    let distance = imm12(first, second);
    match (first & 0xfbff, second & 0x8000) {
        (0xf20f, 0) => Some(base.wrapping_add(distance)),
        (0xf2af, 0) => Some(base.wrapping_sub(distance)),
        _ => None,
    }
}

fn bits(word: u16, low: u32, count: u32) -> u8 {
    ((word >> low) & ((1 << count) - 1)) as u8
}

/// A number of so many bits with its sign.
fn signed(value: u32, bits: u32) -> u32 {
    let shift = 32 - bits;
    (((value << shift).cast_signed()) >> shift).cast_unsigned()
}

fn words(list: u16) -> i32 {
    4 * list.count_ones().cast_signed()
}

/// A register that is loaded from the literal at an address.
fn literal(elf: &Elf, to: u8, address: u32) -> Effect {
    let word = elf.at(address).and_then(|bytes| bytes.get(..4)).and_then(|bytes| bytes.try_into().ok());
    word.map_or(Effect::None, |bytes| Effect::Literal { to, value: u32::from_le_bytes(bytes) })
}

fn narrow(elf: &Elf, word: u16, pc: u32) -> (Effect, Flow) {
    let low = bits(word, 0, 3);
    let middle = bits(word, 3, 3);
    let high = bits(word, 8, 3);
    let imm8 = i32::from(word & 0xff);
    let wide_low = low | bits(word, 7, 1) << 3;
    let from = bits(word, 3, 4);
    let effect = |effect| (effect, Flow::Next);
    match word >> 8 {
        0x1c | 0x1d => effect(Effect::Move { to: low, from: middle, add: i32::from(bits(word, 6, 3)) }),
        0x1e | 0x1f => effect(Effect::Move { to: low, from: middle, add: -i32::from(bits(word, 6, 3)) }),
        0x20..=0x27 => effect(Effect::Literal { to: high, value: u32::from(word & 0xff) }),
        0x30..=0x37 => effect(Effect::Move { to: high, from: high, add: imm8 }),
        0x38..=0x3f => effect(Effect::Move { to: high, from: high, add: -imm8 }),
        0x44 if wide_low == SP => effect(Effect::Sum { by: from, negative: false }),
        0x44 if wide_low == PC => (Effect::None, Flow::Computed),
        // Compilers make tables of this one, and jump to functions by BX.
        0x46 if wide_low == PC && from != LINK => (Effect::None, Flow::Computed),
        0x46 if wide_low == PC => (Effect::None, Flow::Register { register: from, add: 0, links: false }),
        0x46 => effect(Effect::Move { to: wide_low, from, add: 0 }),
        0x47 => (Effect::None, Flow::Register { register: from, add: 0, links: word & 0x80 != 0 }),
        0x48..=0x4f => effect(literal(elf, high, (pc & !3).wrapping_add(4 * u32::from(word & 0xff)))),
        0xa8..=0xaf => effect(Effect::Move { to: high, from: SP, add: 4 * imm8 }),
        0xb0 if word & 0x80 == 0 => effect(Effect::Grow(-4 * i32::from(word & 0x7f))),
        0xb0 => effect(Effect::Grow(4 * i32::from(word & 0x7f))),
        0xb4 | 0xb5 => effect(Effect::Grow(words(word & 0x1ff))),
        0xbc => effect(Effect::Grow(-words(word & 0xff))),
        0xbd => (Effect::Grow(-words(word & 0x1ff)), Flow::Return),
        0xb1 | 0xb3 | 0xb9 | 0xbb => {
            let distance = u32::from(word & 0xf8) >> 2 | u32::from(word & 0x200) >> 3;
            (Effect::None, Flow::Branch(pc.wrapping_add(distance)))
        }
        0xbf if word & 15 != 0 => (Effect::None, Flow::If(conditional(word))),
        0xd0..=0xdd => (Effect::None, Flow::Branch(pc.wrapping_add(signed(u32::from(word & 0xff) << 1, 9)))),
        0xde => (Effect::None, Flow::Stop),
        0xe0..=0xe7 => (Effect::None, Flow::Jump(pc.wrapping_add(signed(u32::from(word & 0x7ff) << 1, 12)))),
        _ => effect(Effect::None),
    }
}

/// The mask of an IT instruction: below the condition's lowest bit a bit for
/// each further instruction, equal to that bit if it runs with the first one,
/// then a one.
fn conditional(word: u16) -> Conditional {
    let left = 4 - (word & 15).trailing_zeros() as u8;
    let first = bits(word, 4, 1);
    let mut runs = 1;
    for index in 1..left {
        let bit = bits(word, u32::from(4 - index), 1);
        runs |= u8::from(bit == first) << index;
    }
    Conditional { left, runs }
}

fn wide(elf: &Elf, first: u16, second: u16, pc: u32) -> (Effect, Flow) {
    let base = bits(first, 0, 4);
    let writes_back = first & 0x20 != 0;
    let loads = first & 0x10 != 0;
    if first & 0xfe40 == 0xe800 {
        let bytes = words(second);
        let effect = match writes_back && base == SP {
            true if first & 0x80 != 0 => Effect::Grow(-bytes),
            true => Effect::Grow(bytes),
            false => Effect::None,
        };
        return (effect, if loads { to_pc(second & 0x8000 != 0, effect) } else { Flow::Next });
    }
    if first & 0xfff0 == 0xe8d0 && second & 0xffe0 == 0xf000 {
        let entry_bytes = 1 + u32::from(bits(second, 4, 1));
        return (Effect::None, if base == PC { Flow::Table { entry_bytes } } else { Flow::Computed });
    }
    // Doublewords, and floating-point registers: eight bits of words.
    let float = first & 0xfe00 == 0xec00 && bits(second, 9, 3) == 0b101;
    if first & 0xfe40 == 0xe840 || float {
        let bytes = 4 * i32::from(second & 0xff);
        let effect = match writes_back && base == SP {
            true if first & 0x80 != 0 => Effect::Grow(-bytes),
            true => Effect::Grow(bytes),
            false => Effect::None,
        };
        return (effect, Flow::Next);
    }
    match first >> 11 {
        0b11110 if second & 0x8000 != 0 => (Effect::None, control(first, second, pc)),
        0b11110 => (immediate(first, second), Flow::Next),
        0b11101 if first & 0xfe00 == 0xea00 => (shifted(first, second), Flow::Next),
        0b11111 if first & 0xfe00 == 0xf800 => single(elf, first, second, pc),
        _ => (Effect::None, Flow::Next),
    }
}

/// Where a load continues that may write pc; from the stack it is a return.
fn to_pc(writes: bool, effect: Effect) -> Flow {
    match (writes, effect) {
        (false, _) => Flow::Next,
        (true, Effect::Grow(..0)) => Flow::Return,
        (true, _) => Flow::Computed,
    }
}

fn control(first: u16, second: u16, pc: u32) -> Flow {
    let sign = u32::from(first >> 10 & 1);
    let (j1, j2) = (u32::from(second >> 13 & 1), u32::from(second >> 11 & 1));
    let low = u32::from(second & 0x7ff) << 1;
    let far = {
        let (i1, i2) = (1 ^ j1 ^ sign, 1 ^ j2 ^ sign);
        signed(sign << 24 | i1 << 23 | i2 << 22 | u32::from(first & 0x3ff) << 12 | low, 25)
    };
    match second & 0x5000 {
        0x5000 => Flow::Call(pc.wrapping_add(far)),
        0x4000 if second & 1 == 1 => low_overhead(first, second, pc),
        // To another instruction set, which no Cortex-M core has.
        0x4000 => Flow::Stop,
        0x1000 => Flow::Jump(pc.wrapping_add(far)),
        _ if first & 0xfff0 == 0xf7f0 && second & 0xf000 == 0xa000 => Flow::Stop,
        // Hints, barriers, special registers.
        _ if first & 0x0380 == 0x0380 => Flow::Next,
        _ => {
            let near = sign << 20 | j2 << 19 | j1 << 18 | u32::from(first & 0x3f) << 12 | low;
            Flow::Branch(pc.wrapping_add(signed(near, 21)))
        }
    }
}

/// The loop instructions of Armv8.1-M, and VCTP, which shares their space: LE and LETP
/// go back or on, WLS and WLSTP on or ahead, the others on.
fn low_overhead(first: u16, second: u16, pc: u32) -> Flow {
    let distance = u32::from(second >> 1 & 0x3ff) << 2 | u32::from(second >> 11 & 1) << 1;
    match bits(first, 0, 4) {
        _ if second & 0x2000 != 0 => Flow::Next,
        PC => Flow::Branch(pc.wrapping_sub(distance)),
        _ => Flow::Branch(pc.wrapping_add(distance)),
    }
}

fn imm12(first: u16, second: u16) -> u32 {
    u32::from(first >> 10 & 1) << 11 | u32::from(second >> 12 & 7) << 8 | u32::from(second & 0xff)
}

/// An immediate as data processing spells it.
fn expand(imm12: u32) -> u32 {
    let byte = imm12 & 0xff;
    match imm12 >> 8 {
        0 => byte,
        1 => byte << 16 | byte,
        2 => byte << 24 | byte << 8,
        3 => byte << 24 | byte << 16 | byte << 8 | byte,
        _ => (byte | 0x80).rotate_right(imm12 >> 7),
    }
}

fn immediate(first: u16, second: u16) -> Effect {
    let (to, from) = (bits(second, 8, 4), bits(first, 0, 4));
    let imm = imm12(first, second);
    let half = u32::from(first & 15) << 12 | imm;
    // Whether the immediate is plain, and the operation.
    let (value, operation) = match first & 0x200 {
        0 => (expand(imm), bits(first, 5, 4)),
        _ => (imm, 0x10 | bits(first, 5, 4)),
    };
    match (operation, from) {
        _ if to == PC => Effect::None,
        (0x12, _) if first & 0x10 == 0 => Effect::Literal { to, value: half },
        (0x16, _) if first & 0x10 == 0 => Effect::Upper { to, value: half as u16 },
        (0x02, PC) => Effect::Literal { to, value },
        (0x08 | 0x10, from) if from != PC => Effect::Move { to, from, add: value.cast_signed() },
        (0x0d | 0x15, from) if from != PC => {
            Effect::Move { to, from, add: value.cast_signed().wrapping_neg() }
        }
        _ => lost(to),
    }
}

fn lost(to: u8) -> Effect {
    if to == SP { Effect::Lost } else { Effect::None }
}

fn shifted(first: u16, second: u16) -> Effect {
    let (to, from, other) = (bits(second, 8, 4), bits(first, 0, 4), bits(second, 0, 4));
    match (bits(first, 5, 4), from) {
        _ if second & 0x70f0 != 0 => lost(to),
        (2, PC) => Effect::Move { to, from: other, add: 0 },
        (8, SP) if to == SP => Effect::Sum { by: other, negative: false },
        (13, SP) if to == SP => Effect::Sum { by: other, negative: true },
        _ => lost(to),
    }
}

fn single(elf: &Elf, first: u16, second: u16, pc: u32) -> (Effect, Flow) {
    let (register, base) = (bits(second, 12, 4), bits(first, 0, 4));
    let imm8 = i32::from(second & 0xff);
    let loads_word = first & 0x70 == 0x50;
    let effect = if base == PC {
        let distance = u32::from(second & 0xfff);
        let at = match first & 0x80 {
            0 => (pc & !3).wrapping_sub(distance),
            _ => (pc & !3).wrapping_add(distance),
        };
        if loads_word { literal(elf, register, at) } else { Effect::None }
    } else if base == SP && first & 0x80 == 0 && second & 0x0900 == 0x0900 {
        Effect::Grow(if second & 0x200 != 0 { -imm8 } else { imm8 })
    } else if loads_word {
        lost(register)
    } else {
        Effect::None
    };
    (effect, to_pc(loads_word && register == PC, effect))
}
