//! RV32IMC instructions, as far as the stack goes.
//!
//! In: the bytes of an instruction and its address. Out: [`Step`]. Invariant:
//! every instruction that writes the stack pointer or may continue elsewhere
//! is told as such. Encodings as in the RISC-V Instruction Set Manual, volume
//! I, chapters 2 and 16.

use super::step::{Effect, Flow, Registers, Step};
use crate::verify::elf::Elf;

pub const REGISTERS: Registers = Registers { stack: SP, frame: 8, link: 1 };

const SP: u8 = 2;
const LINK: u8 = 1;
/// CSRRW of a counter that cannot be written: how compilers spell a trap.
const UNIMPLEMENTED: u32 = 0xc000_1073;

/// The instruction at an address; `None` if the file ends within it.
pub fn decode(elf: &Elf, at: u32) -> Option<Step> {
    let bytes = elf.at(at)?;
    let first = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
    if first & 3 != 3 {
        let (effect, flow) = short(u32::from(first), at);
        return Some(Step { bytes: 2, effect, flow });
    }
    let (effect, flow) = long(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?), at);
    Some(Step { bytes: 4, effect, flow })
}

fn bits(word: u32, low: u32, count: u32) -> u32 {
    (word >> low) & ((1 << count) - 1)
}

fn register(word: u32, low: u32) -> u8 {
    bits(word, low, 5) as u8
}

/// One of the eight registers that short encodings name.
fn popular(word: u32, low: u32) -> u8 {
    8 + bits(word, low, 3) as u8
}

/// The bits of a number, each from its place in the word; the first one is the
/// sign.
fn gather<const N: usize>(word: u32, places: [(u32, u32); N]) -> i32 {
    let mut value = 0;
    for (from, to) in places {
        value |= bits(word, from, 1) << to;
    }
    let shift = 31 - places[0].1;
    (value << shift).cast_signed() >> shift
}

fn near(at: u32, distance: i32) -> u32 {
    at.wrapping_add_signed(distance)
}

fn lost(to: u8) -> Effect {
    if to == SP { Effect::Lost } else { Effect::None }
}

fn short(word: u32, at: u32) -> (Effect, Flow) {
    let to = register(word, 7);
    let small = gather(word, [(12, 5), (6, 4), (5, 3), (4, 2), (3, 1), (2, 0)]);
    let effect = |effect| (effect, Flow::Next);
    let jump = || {
        near(
            at,
            gather(
                word,
                [(12, 11), (11, 4), (10, 9), (9, 8), (8, 10), (7, 6), (6, 7), (5, 3), (4, 2), (3, 1), (2, 5)],
            ),
        )
    };
    match (word & 3, word >> 13) {
        _ if word == 0 => (Effect::None, Flow::Stop),
        (0, 0) => {
            let add = bits(word, 11, 2) << 4 | bits(word, 7, 4) << 6 | bits(word, 6, 1) << 2;
            let add = (add | bits(word, 5, 1) << 3).cast_signed();
            effect(Effect::Move { to: popular(word, 2), from: SP, add })
        }
        (1, 0) => effect(Effect::Move { to, from: to, add: small }),
        (1, 1) => (Effect::None, Flow::Call(jump())),
        (1, 2) => effect(Effect::Literal { to, value: small.cast_unsigned() }),
        (1, 3) if to == SP => {
            let add = gather(word, [(12, 9), (4, 8), (3, 7), (5, 6), (2, 5), (6, 4)]);
            effect(Effect::Move { to, from: SP, add })
        }
        (1, 3) => effect(Effect::Literal { to, value: (small << 12).cast_unsigned() }),
        (1, 5) => (Effect::None, Flow::Jump(jump())),
        (1, 6 | 7) => {
            let distance = gather(word, [(12, 8), (6, 7), (5, 6), (2, 5), (11, 4), (10, 3), (4, 2), (3, 1)]);
            (Effect::None, Flow::Branch(near(at, distance)))
        }
        (2, 4) => match (bits(word, 12, 1), to, register(word, 2)) {
            (1, 0, 0) => effect(Effect::None), // a breakpoint: the host goes on behind it
            (links, register, 0) => (Effect::None, Flow::Register { register, add: 0, links: links == 1 }),
            (0, to, from) => effect(Effect::Move { to, from, add: 0 }),
            (_, SP, by) => effect(Effect::Sum { by, negative: false }),
            _ => effect(Effect::None),
        },
        // Shifts and loads from the stack.
        (2, 0 | 2) => effect(lost(to)),
        _ => effect(Effect::None),
    }
}

fn long(word: u32, at: u32) -> (Effect, Flow) {
    let (to, from, other) = (register(word, 7), register(word, 15), register(word, 20));
    let add = word.cast_signed() >> 20;
    let upper = word & 0xffff_f000;
    let effect = |effect| (effect, Flow::Next);
    match word & 0x7f {
        _ if word == UNIMPLEMENTED => (Effect::None, Flow::Stop),
        0x17 => effect(Effect::Literal { to, value: at.wrapping_add(upper) }),
        0x37 => effect(Effect::Literal { to, value: upper }),
        0x13 if bits(word, 12, 3) == 0 && from == 0 => {
            effect(Effect::Literal { to, value: add.cast_unsigned() })
        }
        0x13 if bits(word, 12, 3) == 0 => effect(Effect::Move { to, from, add }),
        0x33 if to == SP && from == SP && word >> 25 == 0 && bits(word, 12, 3) == 0 => {
            effect(Effect::Sum { by: other, negative: false })
        }
        0x33 if to == SP && from == SP && word >> 25 == 0x20 && bits(word, 12, 3) == 0 => {
            effect(Effect::Sum { by: other, negative: true })
        }
        0x03 | 0x13 | 0x33 | 0x73 => effect(lost(to)),
        0x63 => {
            let high = bits(word, 31, 1) << 12 | bits(word, 7, 1) << 11;
            let distance = high | bits(word, 25, 6) << 5 | bits(word, 8, 4) << 1;
            let distance = (distance << 19).cast_signed() >> 19;
            (Effect::None, Flow::Branch(near(at, distance)))
        }
        // Another return address: what it calls may move the stack.
        0x67 if to > LINK => (Effect::Lost, Flow::Stop),
        0x67 => (Effect::None, Flow::Register { register: from, add, links: to == LINK }),
        0x6f => {
            let high = bits(word, 31, 1) << 20 | bits(word, 12, 8) << 12;
            let distance = high | bits(word, 20, 1) << 11 | bits(word, 21, 10) << 1;
            let target = near(at, (distance << 11).cast_signed() >> 11);
            match to {
                0 => (Effect::None, Flow::Jump(target)),
                LINK => (Effect::None, Flow::Call(target)),
                _ => (Effect::Lost, Flow::Stop),
            }
        }
        _ => effect(Effect::None),
    }
}

/// The constant that an ADDI or a load of a word adds to a register: the lower
/// part of an address.
pub fn low_part(elf: &Elf, at: u32) -> Option<i32> {
    let word = u32::from_le_bytes(elf.at(at)?.get(..4)?.try_into().ok()?);
    matches!(word & 0x707f, 0x0013 | 0x2003).then_some(word.cast_signed() >> 20)
}
