//! A plugin of the emulator that counts what an emulated core executes.
//!
//! In: arguments `NAME=VALUE`, addresses in hexadecimal: `start` and `stop`
//! (the measured region lies between the two), `flash` and `flash_end`,
//! `layers` (the entry of each layer's function, 0 where it has none of its
//! own), `functions` (the entries of all functions), both joined by `:`, and
//! `out`, a file. Out: that file, a line a fact, the last layer standing for
//! what no layer executes:
//! `code LAYER ADDRESS COUNT AFTER_2 AFTER_4`: how often an instruction ran,
//! and how often the next one lay 2 or 4 bytes behind it;
//! `data LAYER CHANGES LINES`: how often a load from flash left the 16 bytes
//! of the load before, and how many such lines were read at all.
//! Invariant: counts are exact, and the same on every run. The layer changes
//! where the entry of a layer's function is executed, and ends where that
//! call returns to; so kernels are counted for the layer that calls them.
//! Instructions are never looked at, only their addresses: the calls used
//! here have been the same in every version of the emulator's interface.
//! One core, one thread of execution.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt::Write;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

type PluginId = u64;
type Executed = extern "C" fn(c_uint, *mut c_void);
type Accessed = extern "C" fn(c_uint, u32, u64, *mut c_void);

/// A block of instructions as the emulator translates it.
#[repr(C)]
pub struct Block {
    _opaque: [u8; 0],
}

/// An instruction of such a block.
#[repr(C)]
pub struct Instruction {
    _opaque: [u8; 0],
}

const NO_REGISTERS: c_int = 0;
/// Reads and writes: nothing writes to flash, and release 7.2 takes the one for the other.
const ALL_ACCESSES: c_int = 3;
const LINE_BYTES: u64 = 16;

unsafe extern "C" {
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        call: Executed,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_mem_cb(
        instruction: *mut Instruction,
        call: Accessed,
        flags: c_int,
        accesses: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: PluginId, call: extern "C" fn(PluginId, *mut Block));
    fn qemu_plugin_register_atexit_cb(
        id: PluginId,
        call: extern "C" fn(PluginId, *mut c_void),
        data: *mut c_void,
    );
}

/// What the harness asks for.
#[derive(Default)]
struct Arguments {
    start: u64,
    stop: u64,
    flash: Range<u64>,
    layers: Vec<u64>,
    functions: HashSet<u64>,
    out: String,
}

/// How often an instruction ran, and the next one lay 2 or 4 bytes behind it.
#[derive(Clone, Copy, Default)]
struct Count {
    executed: u64,
    after: [u64; 2],
}

/// What an address means beside its instruction.
#[derive(Clone, Copy)]
enum Mark {
    None,
    Start,
    Stop,
    Layer(usize),
}

/// Loads from flash, by lines.
#[derive(Default)]
struct Loads {
    last: Option<u64>,
    changes: u64,
    lines: HashSet<u64>,
}

#[derive(Default)]
struct State {
    arguments: Arguments,
    /// Address -> position in `instructions`.
    slots: HashMap<u64, usize>,
    instructions: Vec<(u64, Mark)>,
    counting: bool,
    layer: usize,
    entered: usize,
    /// Where the layer's call was made.
    called_at: u64,
    /// Address, position and layer of the instruction before.
    previous: Option<(u64, usize, usize)>,
    /// A layer's counts by position.
    counts: Vec<Vec<Count>>,
    loads: Vec<Loads>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn state() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn new(arguments: Arguments) -> Self {
        let layers = arguments.layers.len() + 1;
        Self {
            layer: layers - 1,
            entered: usize::MAX,
            counts: vec![Vec::new(); layers],
            loads: (0..layers).map(|_| Loads::default()).collect(),
            arguments,
            ..Self::default()
        }
    }

    fn outside(&self) -> usize {
        self.arguments.layers.len()
    }

    fn slot(&mut self, address: u64) -> usize {
        if let Some(&slot) = self.slots.get(&address) {
            return slot;
        }
        let Arguments { start, stop, layers, .. } = &self.arguments;
        let mark = match address {
            _ if address == *start => Mark::Start,
            _ if address == *stop => Mark::Stop,
            _ => layers.iter().position(|&entry| entry == address).map_or(Mark::None, Mark::Layer),
        };
        let slot = self.instructions.len();
        self.instructions.push((address, mark));
        self.slots.insert(address, slot);
        slot
    }

    /// Counts an instruction that is about to be executed.
    fn execute(&mut self, slot: usize) {
        let (address, mark) = self.instructions[slot];
        match mark {
            Mark::Start => {
                // The instruction at `start` itself is not part of the region.
                self.counting = true;
                self.previous = None;
                self.layer = self.outside();
                return;
            }
            Mark::Stop => self.counting = false,
            _ => {}
        }
        if !self.counting {
            return;
        }
        if let Mark::Layer(entry) = mark {
            // Equal functions become one: a layer without an entry of its own
            // is the one that is due.
            let due = self.entered.wrapping_add(1);
            let merged = self.arguments.layers.get(due) == Some(&0);
            self.entered = if merged { due } else { entry };
            self.layer = self.entered;
            self.called_at = self.previous.map_or(0, |(at, _, _)| at);
        } else if self.layer != self.outside() && self.returned_to(address) {
            self.layer = self.outside();
        }
        if let Some((before, slot, layer)) = self.previous {
            match address.wrapping_sub(before) {
                2 => self.counts[layer][slot].after[0] += 1,
                4 => self.counts[layer][slot].after[1] += 1,
                _ => {}
            }
        }
        let counts = &mut self.counts[self.layer];
        if counts.len() <= slot {
            counts.resize(slot + 1, Count::default());
        }
        counts[slot].executed += 1;
        self.previous = Some((address, slot, self.layer));
    }

    /// Whether the layer's call returned to this address. Behind a jump that
    /// was no call there is another function or nothing.
    fn returned_to(&self, address: u64) -> bool {
        matches!(address.wrapping_sub(self.called_at), 2 | 4) && !self.arguments.functions.contains(&address)
    }

    fn load(&mut self, address: u64) {
        if !self.counting || !self.arguments.flash.contains(&address) {
            return;
        }
        let loads = &mut self.loads[self.layer];
        let line = Some(address / LINE_BYTES);
        if loads.last != line {
            loads.changes += 1;
            loads.last = line;
            loads.lines.extend(line);
        }
    }

    fn report(&self) -> String {
        let mut text = String::new();
        for (layer, (counts, loads)) in self.counts.iter().zip(&self.loads).enumerate() {
            let _ = writeln!(text, "data {layer} {} {}", loads.changes, loads.lines.len());
            for (count, (address, _)) in counts.iter().zip(&self.instructions) {
                let Count { executed, after: [after_2, after_4] } = count;
                if *executed > 0 {
                    let _ = writeln!(text, "code {layer} {address:x} {executed} {after_2} {after_4}");
                }
            }
        }
        text
    }
}

extern "C" fn on_executed(_: c_uint, slot: *mut c_void) {
    if let Some(state) = &mut *state() {
        state.execute(slot.addr());
    }
}

extern "C" fn on_accessed(_: c_uint, _: u32, address: u64, _: *mut c_void) {
    if let Some(state) = &mut *state() {
        state.load(address);
    }
}

extern "C" fn on_translated(_: PluginId, block: *mut Block) {
    let Some(state) = &mut *state() else { return };
    // SAFETY: the emulator gives a block that lives during this call, and
    // instructions of it for indices below its length.
    unsafe {
        for index in 0..qemu_plugin_tb_n_insns(block) {
            let instruction = qemu_plugin_tb_get_insn(block, index);
            let slot = state.slot(qemu_plugin_insn_vaddr(instruction));
            // A number in a pointer's place: nobody follows it.
            let data = std::ptr::without_provenance_mut(slot);
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_executed, NO_REGISTERS, data);
            qemu_plugin_register_vcpu_mem_cb(instruction, on_accessed, NO_REGISTERS, ALL_ACCESSES, data);
        }
    }
}

extern "C" fn on_exit(_: PluginId, _: *mut c_void) {
    if let Some(state) = &*state()
        && let Err(error) = std::fs::write(&state.arguments.out, state.report())
    {
        eprintln!("counting: cannot write {}: {error}", state.arguments.out);
    }
}

fn address(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn parse<'a>(given: impl Iterator<Item = &'a str>) -> Option<Arguments> {
    let mut arguments = Arguments::default();
    for argument in given {
        let (name, value) = argument.split_once('=')?;
        let list = || value.split(':').filter(|part| !part.is_empty()).map(address);
        match name {
            "start" => arguments.start = address(value)?,
            "stop" => arguments.stop = address(value)?,
            "flash" => arguments.flash.start = address(value)?,
            "flash_end" => arguments.flash.end = address(value)?,
            "layers" => arguments.layers = list().collect::<Option<_>>()?,
            "functions" => arguments.functions = list().collect::<Option<_>>()?,
            "out" => arguments.out = value.to_owned(),
            _ => return None,
        }
    }
    Some(arguments)
}

/// Called by the emulator when it loads the plugin; 0 if all is well.
///
/// # Safety
/// `arguments` points to `count` strings that end with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: PluginId,
    _: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: the emulator gives so many strings, which live during this call.
    let given = (0..count).map(|index| unsafe { CStr::from_ptr(*arguments.add(index)) }.to_str().unwrap_or(""));
    let Some(parsed) = parse(given) else {
        eprintln!("counting: an argument that is not known");
        return -1;
    };
    *state() = Some(State::new(parsed));
    // SAFETY: the calls have the types that the emulator documents, and live
    // as long as this library, which is never unloaded.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
        qemu_plugin_register_atexit_cb(id, on_exit, std::ptr::null_mut());
    }
    0
}
