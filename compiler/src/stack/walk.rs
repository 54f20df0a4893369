//! One function, instruction by instruction, along every branch.
//!
//! In: a linked firmware and a function's first instruction. Out:
//! [`Function`]: its deepest point, and at which depth it calls what.
//! Invariant: the depth at an instruction is the same on every way to it, and
//! 0 where the function returns or jumps to another one.
//!
//! A computed jump is taken to stay in the function only where the function
//! holds its targets: as a table of distances or of its own addresses, or in
//! assembly as an ADR of its own code. A pointer to another function is none of
//! these. Where the table cannot be read, the targets are all instructions that
//! no other way reaches, at the depth of the jump.

use std::collections::BTreeMap;

use super::graph::{Functions, Place};
use super::step::{Conditional, Effect, Flow, Registers, Step};
use super::{StackError, riscv, thumb};
use crate::target::Isa;

/// What a function does to the stack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Function {
    /// Its deepest point, calls aside.
    pub own_bytes: u32,
    /// The functions that it calls, each with the greatest depth at a call.
    pub calls: BTreeMap<u32, u32>,
}

/// A value that may reach the stack pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Number(u32),
    /// So far below the stack pointer of the caller.
    Below(i32),
}

/// What is known before an instruction.
#[derive(Debug, Clone, Copy)]
struct State {
    depth: i32,
    /// The frame pointer.
    frame: Option<i32>,
    /// What the instruction in front put in a register.
    scratch: Option<(u8, Value)>,
    conditional: Conditional,
}

struct Walk<'a> {
    functions: &'a Functions<'a>,
    registers: Registers,
    /// Past the function's last instruction.
    end: u32,
    start: u32,
    /// Whether a call to within the function is a jump.
    far_jumps: bool,
    seen: BTreeMap<(u32, Conditional), i32>,
    work: Vec<(u32, State)>,
    found: Function,
    /// A jump within the function whose targets are not known.
    computed: Option<State>,
}

/// Walks the function that starts at an address.
///
/// A BL to within the function is a jump too far for B on Armv6-M (its return
/// address is saved), or a call of a part of the function: one of the two
/// leaves the stack balanced.
pub fn walk(functions: &Functions<'_>, start: u32) -> Result<Function, StackError> {
    walk_with(functions, start, true).or_else(|error| walk_with(functions, start, false).map_err(|_| error))
}

fn walk_with(functions: &Functions<'_>, start: u32, far_jumps: bool) -> Result<Function, StackError> {
    let Some(end) = functions.end(start) else { return Err(StackError::NoCode(functions.place(start))) };
    let registers = match functions.isa {
        Isa::Rv32imc => riscv::REGISTERS,
        _ => thumb::REGISTERS,
    };
    let mut walk = Walk {
        functions,
        registers,
        end,
        start,
        far_jumps,
        seen: BTreeMap::new(),
        work: Vec::new(),
        found: Function::default(),
        computed: None,
    };
    let first = State { depth: 0, frame: None, scratch: None, conditional: Conditional::default() };
    walk.work.push((start, first));
    loop {
        while let Some((at, state)) = walk.work.pop() {
            walk.instruction(at, state)?;
        }
        // Where a computed jump may go: what nothing else reaches.
        let Some(state) = walk.computed else { return Ok(walk.found) };
        let Some(at) = walk.unreached() else { return Ok(walk.found) };
        walk.work.push((at, State { scratch: None, ..state }));
    }
}

impl Walk<'_> {
    fn place(&self, at: u32) -> Place {
        self.functions.place(at)
    }

    fn inside(&self, at: u32) -> bool {
        (self.start..self.end).contains(&at)
    }

    fn decode(&self, at: u32) -> Option<Step> {
        match self.functions.isa {
            Isa::Rv32imc => riscv::decode(self.functions.elf, at),
            _ => thumb::decode(self.functions.elf, at),
        }
    }

    /// One instruction, unless it was seen already.
    fn instruction(&mut self, at: u32, mut state: State) -> Result<(), StackError> {
        if !self.inside(at) {
            return Err(StackError::NoCode(self.place(at)));
        }
        if let Some(&first) = self.seen.get(&(at, state.conditional)) {
            return match first == state.depth {
                true => Ok(()),
                false => Err(StackError::Unbalanced { at: self.place(at), first, second: state.depth }),
            };
        }
        self.seen.insert((at, state.conditional), state.depth);
        let step = self.decode(at).ok_or_else(|| StackError::NoCode(self.place(at)))?;
        let skipped = state.conditional.skips();
        state.conditional = state.conditional.next();
        let next = at.wrapping_add(step.bytes);
        if skipped {
            state.scratch = None;
            self.work.push((next, state));
            return Ok(());
        }
        let before = state;
        self.apply(at, step.effect, &mut state)?;
        self.found.own_bytes = self.found.own_bytes.max(state.depth.cast_unsigned());
        match step.flow {
            Flow::Next => self.work.push((next, state)),
            Flow::Stop => (),
            Flow::Return => self.leave(at, &state)?,
            Flow::Jump(to) => self.jump(at, to, state)?,
            Flow::Branch(to) => {
                self.jump(at, to, state)?;
                self.work.push((next, state));
            }
            Flow::If(conditional) => {
                self.work.push((next, State { conditional, ..state }));
                self.work.push((next, State { conditional: conditional.other(), ..state }));
            }
            Flow::Call(to) if self.far_jumps && to != self.start && self.inside(to) => {
                self.jump(at, to, state)?;
            }
            Flow::Call(to) => self.call(to, next, state),
            Flow::Table { entry_bytes } => {
                for to in self.table(next, entry_bytes)? {
                    self.jump(at, to, state)?;
                }
            }
            // A table behind the jump is one of the function's own places.
            Flow::Computed => self.stay(at, state, self.functions.data_end(next).is_some())?,
            Flow::Register { register, add, links } => {
                // The low bit tells Thumb code, or does not count.
                match (before.scratch, links) {
                    (Some((known, Value::Number(value))), _) if known == register => {
                        let to = value.wrapping_add_signed(add) & !1;
                        match links {
                            true => self.call(to, next, state),
                            false => self.jump(at, to, state)?,
                        }
                    }
                    (_, true) => return Err(StackError::IndirectCall(self.place(at))),
                    (_, false) if register == self.registers.link && add == 0 => self.leave(at, &state)?,
                    (_, false) => self.stay(at, state, false)?,
                }
            }
        }
        Ok(())
    }

    fn apply(&self, at: u32, effect: Effect, state: &mut State) -> Result<(), StackError> {
        let value = |register: u8| match register {
            _ if register == self.registers.stack => Some(Value::Below(state.depth)),
            _ if register == self.registers.frame => state.frame.map(Value::Below),
            _ => state.scratch.filter(|&(known, _)| known == register).map(|(_, value)| value),
        };
        let (to, value) = match effect {
            Effect::None => {
                state.scratch = None;
                return Ok(());
            }
            Effect::Grow(bytes) => (self.registers.stack, Some(Value::Below(state.depth + bytes))),
            Effect::Move { to, from, add } => {
                let moved = value(from).map(|value| match value {
                    Value::Number(number) => Value::Number(number.wrapping_add_signed(add)),
                    Value::Below(depth) => Value::Below(depth.wrapping_sub(add)),
                });
                (to, moved)
            }
            Effect::Literal { to, value } => (to, Some(Value::Number(value))),
            Effect::Upper { to, value: upper } => match value(to) {
                Some(Value::Number(low)) => (to, Some(Value::Number(low & 0xffff | u32::from(upper) << 16))),
                _ => (to, None),
            },
            Effect::Sum { by, negative } => match value(by) {
                Some(Value::Number(number)) => {
                    let grows = if negative { number } else { number.wrapping_neg() };
                    let depth = state.depth.wrapping_add_unsigned(grows);
                    (self.registers.stack, Some(Value::Below(depth)))
                }
                _ => (self.registers.stack, None),
            },
            Effect::Lost => (self.registers.stack, None),
        };
        state.scratch = None;
        if to == self.registers.stack {
            match value {
                Some(Value::Below(depth)) if depth >= 0 => state.depth = depth,
                _ => return Err(StackError::NotConstant(self.place(at))),
            }
        } else if to == self.registers.frame {
            state.frame = match value {
                Some(Value::Below(depth)) => Some(depth),
                _ => None,
            };
        } else {
            state.scratch = value.map(|value| (to, value));
        }
        Ok(())
    }

    /// A return: the stack must be as the caller left it.
    fn leave(&self, at: u32, state: &State) -> Result<(), StackError> {
        match state.depth {
            0 => Ok(()),
            depth => Err(StackError::Unbalanced { at: self.place(at), first: depth, second: 0 }),
        }
    }

    /// A jump: one out of the function is a call that returns to the caller.
    fn jump(&mut self, at: u32, to: u32, state: State) -> Result<(), StackError> {
        if self.inside(to) {
            self.work.push((to, state));
            return Ok(());
        }
        self.leave(at, &state)?;
        self.found.calls.entry(to).or_insert(0);
        Ok(())
    }

    fn call(&mut self, to: u32, next: u32, state: State) {
        let depth = state.depth.cast_unsigned();
        let deepest = self.found.calls.entry(to).or_insert(0);
        *deepest = depth.max(*deepest);
        // A function that does not return may end its caller.
        if self.inside(next) {
            self.work.push((next, State { scratch: None, ..state }));
        }
    }

    /// The targets of a table of distances that lies behind its jump.
    fn table(&self, at: u32, entry_bytes: u32) -> Result<Vec<u32>, StackError> {
        let end = self.functions.data_end(at).filter(|&end| end <= self.end);
        let end = end.ok_or_else(|| StackError::IndirectJump(self.place(at)))?;
        let mut targets = Vec::new();
        for entry in (at..end).step_by(entry_bytes as usize) {
            let bytes = self.functions.elf.at(entry).and_then(|bytes| bytes.get(..entry_bytes as usize));
            let bytes = bytes.ok_or_else(|| StackError::NoCode(self.place(entry)))?;
            let distance = bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
            let to = at.wrapping_add(2 * distance);
            if !self.inside(to) {
                return Err(StackError::IndirectJump(self.place(at)));
            }
            // A byte that fills the table up points into it.
            if to >= end {
                targets.push(to);
            }
        }
        Ok(targets)
    }

    /// A jump that has to stay in the function, or is an error.
    fn stay(&mut self, at: u32, state: State, own: bool) -> Result<(), StackError> {
        let error = || StackError::IndirectJump(self.place(at));
        if self.functions.isa == Isa::Rv32imc {
            let targets = self.words_of_tables();
            if targets.is_empty() {
                return Err(error());
            }
            for to in targets {
                self.work.push((to, State { scratch: None, ..state }));
            }
            return Ok(());
        }
        if !own && !self.makes_own_addresses() {
            return Err(error());
        }
        match self.computed {
            Some(other) if other.depth != state.depth => {
                Err(StackError::Unbalanced { at: self.place(at), first: other.depth, second: state.depth })
            }
            _ => {
                self.computed = Some(state);
                Ok(())
            }
        }
    }

    /// Whether the function makes an address of its own code.
    fn makes_own_addresses(&self) -> bool {
        let code = |at: &u32| self.functions.is_code(*at);
        let made = |at| thumb::own_address(self.functions.elf, at);
        (self.start..self.end)
            .step_by(2)
            .filter(code)
            .filter_map(made)
            .any(|made| self.inside(made) && self.functions.is_code(made))
    }

    /// The targets in tables of addresses that the function reads: words in
    /// constant memory that are addresses of its own code.
    fn words_of_tables(&self) -> Vec<u32> {
        /// Instructions between the two that make an address.
        const APART: u32 = 8;
        let literal = |at| match self.decode(at)?.effect {
            Effect::Literal { value, .. } if value & 0xffff_f000 != 0 => Some(value),
            _ => None,
        };
        let mut targets = Vec::new();
        for upper in (self.start..self.end).step_by(2) {
            let Some(base) = literal(upper) else { continue };
            for at in (upper..self.end.min(upper + 4 * APART)).step_by(2) {
                let Some(add) = riscv::low_part(self.functions.elf, at) else { continue };
                let mut entry = base.wrapping_add_signed(add);
                if self.inside(entry) {
                    continue;
                }
                while let Some(to) = self.functions.word(entry).filter(|&to| self.inside(to)) {
                    targets.push(to);
                    entry = entry.wrapping_add(4);
                }
            }
        }
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// Whether an instruction does nothing but align the data behind it.
    fn fills_up(&self, at: u32) -> bool {
        /// MOV r8, r8 and NOP.
        const NOTHING: [[u8; 2]; 2] = [[0xc0, 0x46], [0x00, 0xbf]];
        let nothing =
            NOTHING.iter().any(|nop| self.functions.elf.at(at).is_some_and(|code| code.starts_with(nop)));
        nothing && self.functions.data_end(at + 2).is_some()
    }

    /// The first instruction that no way reached.
    fn unreached(&self) -> Option<u32> {
        let mut at = self.start;
        while at < self.end {
            let reached = self.seen.range((at, Conditional::default())..).next().map(|(key, _)| key.0);
            if reached != Some(at) && self.functions.is_code(at) && !self.fills_up(at) {
                return Some(at);
            }
            at += match self.functions.is_code(at) {
                true => self.decode(at).map_or(2, |step| step.bytes),
                false => 2,
            };
        }
        None
    }
}
