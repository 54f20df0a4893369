//! The firmware around one emitted model, for an emulator with semihosting.
//!
//! In: `input.bin` in the emulator's working folder: samples one after the
//! other, each the bytes of every input in order. Without that file one
//! sample of zeros runs, so that the firmware can be measured on its own.
//! Out: `output.bin`, every output of every sample in order; with the feature
//! `trace` also `trace.bin`, a record a layer (step, name length, data length
//! as u32 in little endian; name; data); on the console lines `name value`:
//! `input_bytes`, `output_bytes` (a sample), `model_ram_bytes`, `samples`,
//! `stack_bytes` (the deepest stack of a run).
//! Invariant: only the model's `run` (with the feature `rows`, `push_row` for every
//! row of a frame, with `frames`, `step` for the last frame of a window) lies between `bench_start` and
//! `bench_stop`, called by `bench_run`; what is not the model's lies in sections
//! `.harness`; the panic handler links only if nothing can panic, except
//! with the feature `locate`, where a panic is a fault that tells its place.

#![no_std]
#![no_main]

mod arch;
mod semihosting;

use core::hint::black_box;
use core::panic::PanicInfo;
use model::Model;
use semihosting::{File, exit, print, print_fact, print_number, text};

unsafe extern "C" {
    safe fn bench_start();
    safe fn bench_stop();
    /// Fills the stack below the caller with a pattern.
    safe fn paint_stack();
    /// Bytes between the caller and the deepest word that lost the pattern.
    safe fn stack_peak() -> usize;
    static _stack_limit: u8;
    static _stack_top: u8;
}

#[cfg(not(feature = "divided"))]
static mut MODEL: Model = Model::new();
#[cfg(feature = "divided")]
static mut MODEL: model::Memory = model::Memory::new();

/// Bytes of a frame that lies outside the model.
#[cfg(any(feature = "rows", feature = "frames"))]
const FRAME_BYTES: usize = Model::INPUT_BYTES[0];
#[cfg(not(any(feature = "rows", feature = "frames")))]
const FRAME_BYTES: usize = 0;

/// Where a sensor's rows come from.
#[unsafe(link_section = ".frame")]
static mut FRAME: [i8; FRAME_BYTES] = [0; FRAME_BYTES];

/// The lowest address of the stack, and the one past its end.
pub fn stack_bounds() -> (usize, usize) {
    ((&raw const _stack_limit).addr(), (&raw const _stack_top).addr())
}

/// Ends a run that faulted; `cause` is the core's own number for it.
#[unsafe(link_section = ".harness")]
pub fn fault(cause: u32, pc: u32) -> ! {
    print(text!("fault cause "));
    print_number(cause, 10);
    if pc == u32::MAX {
        print(text!(" stack overflow"));
    } else {
        print(text!(" pc 0x"));
        print_number(pc, 16);
    }
    print(text!("\n"));
    exit(false)
}

#[unsafe(link_section = ".harness")]
fn fail(why: &core::ffi::CStr) -> ! {
    print(why);
    print(text!("\n"));
    exit(false)
}

#[cfg(not(feature = "locate"))]
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    unsafe extern "C" {
        // Defined nowhere: the firmware links only if this is unreachable.
        safe fn tinyc_panic_path_exists() -> !;
    }
    tinyc_panic_path_exists()
}

#[cfg(feature = "locate")]
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    // The place is kept whole, so that it can be found in the linked file.
    if let (Some(place), Some(console)) = (black_box(info.location()), File::write_to(text!(":tt"))) {
        console.write(b"fault panic at ");
        console.write(place.file().as_bytes());
        console.write(b":");
        print_number(place.line(), 10);
    }
    fail(text!(""))
}

#[cfg(not(any(feature = "trace", feature = "rows", feature = "frames")))]
#[inline(never)]
#[unsafe(export_name = "bench_run")]
fn run(model: &mut Model, _: &[i8; FRAME_BYTES]) {
    let _ = model.run();
}

#[cfg(all(feature = "rows", not(feature = "trace")))]
#[inline(never)]
#[unsafe(export_name = "bench_run")]
fn run(model: &mut Model, frame: &[i8; FRAME_BYTES]) {
    for row in frame.as_chunks::<{ Model::ROW_BYTES }>().0 {
        let _ = black_box(model.push_row(row));
    }
}

#[cfg(all(feature = "frames", not(feature = "trace")))]
#[inline(never)]
#[unsafe(export_name = "bench_run")]
fn run(model: &mut Model, window: &[i8; FRAME_BYTES]) {
    if let Some(newest) = window.last_chunk::<{ Model::FRAME_BYTES }>() {
        let _ = black_box(model.step(newest));
    }
}

#[cfg(feature = "trace")]
#[inline(never)]
#[unsafe(export_name = "bench_run")]
fn run(model: &mut Model, frame: &[i8; FRAME_BYTES]) {
    let Some(file) = File::write_to(text!("trace.bin")) else {
        fail(text!("error trace.bin cannot be written"))
    };
    let mut sink = |step: usize, name: &str, data: &[i8]| {
        let mut taken = true;
        for number in [step, name.len(), data.len()] {
            taken &= file.write(&(number as u32).to_le_bytes());
        }
        taken &= file.write(name.as_bytes());
        if !(taken & file.write(data)) {
            fail(text!("error trace.bin cannot be written"));
        }
    };
    #[cfg(any(feature = "rows", feature = "frames"))]
    model.run_traced(frame, &mut sink);
    #[cfg(not(any(feature = "rows", feature = "frames")))]
    {
        let _ = frame;
        model.run_traced(&mut sink);
    }
}

/// The inputs, one after the other.
#[cfg(not(any(feature = "rows", feature = "frames")))]
fn inputs(model: &mut Model, _: &mut [i8; FRAME_BYTES], mut fill: impl FnMut(&mut [i8])) {
    for index in 0..Model::INPUT_BYTES.len() {
        fill(model.input_slice(index));
    }
}

#[cfg(feature = "rows")]
fn inputs(_: &mut Model, frame: &mut [i8; FRAME_BYTES], mut fill: impl FnMut(&mut [i8])) {
    fill(frame);
}

/// All frames of a window but the last, which is measured.
#[cfg(feature = "frames")]
fn inputs(model: &mut Model, window: &mut [i8; FRAME_BYTES], mut fill: impl FnMut(&mut [i8])) {
    const BEFORE: usize = Model::STEPS * Model::FRAME_BYTES - FRAME_BYTES;
    fill(window);
    model.restart();
    for step in 0..Model::STEPS - 1 {
        let frame = core::array::from_fn(|index| {
            let place = (step * Model::FRAME_BYTES + index).checked_sub(BEFORE);
            place.and_then(|place| window.get(place)).copied().unwrap_or(0)
        });
        let _ = black_box(model.step(&frame));
    }
}

/// One measured run; returns the bytes of stack that it took.
#[inline(never)]
#[unsafe(link_section = ".harness")]
fn measure(model: &mut Model, frame: &[i8; FRAME_BYTES]) -> usize {
    let (model, frame) = (black_box(model), black_box(frame));
    paint_stack();
    bench_start();
    run(model, frame);
    bench_stop();
    stack_peak()
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".harness")]
extern "C" fn firmware_main() -> ! {
    let model = &raw mut MODEL;
    // SAFETY: this function is entered once, and nothing else names MODEL.
    let model = unsafe { &mut *model };
    let model_ram_bytes = size_of_val(model);
    #[cfg(feature = "divided")]
    let model = &mut Model::of(model);
    let frame = &raw mut FRAME;
    // SAFETY: the same holds of FRAME, whose bytes are any.
    let frame = unsafe { &mut *frame };
    let input_bytes: usize = Model::INPUT_BYTES.iter().sum();
    let output_bytes: usize = Model::OUTPUT_BYTES.iter().sum();
    print_fact(text!("input_bytes"), input_bytes);
    print_fact(text!("output_bytes"), output_bytes);
    print_fact(text!("model_ram_bytes"), model_ram_bytes);
    let input = File::read_from(text!("input.bin"));
    let available = input.map_or(input_bytes, File::len);
    let Some(output) = File::write_to(text!("output.bin")) else {
        fail(text!("error output.bin cannot be written"))
    };
    let (limit, top) = stack_bounds();
    let mut used = 0;
    let mut samples = 0;
    let mut stack_bytes = 0;
    while input_bytes > 0 && used + input_bytes <= available {
        inputs(model, frame, |bytes| match input {
            Some(file) if !file.read(bytes) => fail(text!("error input.bin cannot be read")),
            Some(_) => (),
            None => zero(bytes),
        });
        stack_bytes = stack_bytes.max(measure(model, frame));
        // Some machines have memory below the stack and do not fault there.
        if stack_bytes + STACK_MARGIN_BYTES > top - limit {
            fault(0, u32::MAX);
        }
        for index in 0..Model::OUTPUT_BYTES.len() {
            if !output.write(model.output_slice(index)) {
                fail(text!("error output.bin cannot be written"));
            }
        }
        used += input_bytes;
        samples += 1;
    }
    print_fact(text!("samples"), samples);
    print_fact(text!("stack_bytes"), stack_bytes);
    exit(true)
}

/// Zeros, without the library's functions: those count for the model.
#[unsafe(link_section = ".harness")]
fn zero(bytes: &mut [i8]) {
    for byte in bytes {
        // SAFETY: a write through a reference.
        unsafe { (byte as *mut i8).write_volatile(0) };
    }
}

/// Stack above the measured region: the frames of this file's own functions.
const STACK_MARGIN_BYTES: usize = 512;
