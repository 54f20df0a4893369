//! Runs emitted models on the machine that built them.
//!
//! In: `shapes`, or `run INDEX INPUT OUTPUT`, or (feature `trace`) `trace
//! INDEX INPUT OUTPUT`; INPUT holds samples one after the other, each the
//! bytes of every input in order. Out: for `shapes` a line a model, its input
//! and output bytes a sample; for `run` the outputs in the same order; for
//! `trace` a record a layer of the first sample (step, name length, data
//! length as u32 in little endian; name; data).
//! Invariant: samples are independent, so the split over threads cannot be
//! seen in the output.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// What the runner needs of an emitted model.
trait Emitted {
    const INPUT_BYTES: &'static [usize];
    const OUTPUT_BYTES: &'static [usize];
    fn new() -> Self;
    fn input_slice(&mut self, index: usize) -> &mut [i8];
    fn output_slice(&self, index: usize) -> &[i8];
    fn run(&mut self);
    #[cfg(feature = "trace")]
    fn run_traced(&mut self, sink: &mut dyn FnMut(usize, &str, &[i8]));
}

/// One model, its type erased.
struct Entry {
    input_bytes: usize,
    output_bytes: usize,
    run: fn(&[u8], &mut [u8]),
    #[cfg(feature = "trace")]
    trace: fn(&[u8]) -> Vec<u8>,
}

fn feed<M: Emitted>(model: &mut M, mut sample: &[u8]) {
    for index in 0..M::INPUT_BYTES.len() {
        let slice = model.input_slice(index);
        let (head, rest) = sample.split_at(slice.len());
        for (to, from) in slice.iter_mut().zip(head) {
            *to = *from as i8;
        }
        sample = rest;
    }
}

fn run_samples<M: Emitted>(input: &[u8], output: &mut [u8]) {
    let input_bytes = M::INPUT_BYTES.iter().sum();
    let output_bytes = M::OUTPUT_BYTES.iter().sum();
    let mut model = Box::new(M::new());
    for (sample, mut out) in input.chunks_exact(input_bytes).zip(output.chunks_exact_mut(output_bytes)) {
        feed(&mut *model, sample);
        model.run();
        for index in 0..M::OUTPUT_BYTES.len() {
            let slice = model.output_slice(index);
            let (head, rest) = out.split_at_mut(slice.len());
            for (to, from) in head.iter_mut().zip(slice) {
                *to = *from as u8;
            }
            out = rest;
        }
    }
}

#[cfg(feature = "trace")]
fn trace_sample<M: Emitted>(sample: &[u8]) -> Vec<u8> {
    let mut model = Box::new(M::new());
    feed(&mut *model, sample);
    let mut records = Vec::new();
    model.run_traced(&mut |step, name, data| {
        for number in [step, name.len(), data.len()] {
            records.extend((number as u32).to_le_bytes());
        }
        records.extend(name.bytes());
        records.extend(data.iter().map(|value| *value as u8));
    });
    records
}

fn run_parallel(entry: &Entry, input: &[u8]) -> Vec<u8> {
    let samples = input.len() / entry.input_bytes;
    let mut output = vec![0; samples * entry.output_bytes];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = samples.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts =
            input.chunks(share * entry.input_bytes).zip(output.chunks_mut(share * entry.output_bytes));
        for (input, output) in parts {
            // A model may be moved through the stack once, and some are large.
            std::thread::Builder::new()
                .stack_size(256 << 20)
                .spawn_scoped(scope, move || (entry.run)(input, output))
                .expect("a thread can be started");
        }
    });
    output
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["shapes"] => {
            for entry in MODELS {
                println!("{} {}", entry.input_bytes, entry.output_bytes);
            }
            ExitCode::SUCCESS
        }
        [verb, index, input, output] => {
            let entry = &MODELS[index.parse::<usize>().expect("INDEX is a number")];
            let input = std::fs::read(input).expect("INPUT can be read");
            let result = match verb {
                "run" => run_parallel(entry, &input),
                #[cfg(feature = "trace")]
                "trace" => (entry.trace)(&input),
                _ => panic!("unknown verb {verb}"),
            };
            std::fs::write(output, result).expect("OUTPUT can be written");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: shapes | run INDEX INPUT OUTPUT | trace INDEX INPUT OUTPUT");
            ExitCode::FAILURE
        }
    }
}

const fn total(bytes: &[usize]) -> usize {
    let mut sum = 0;
    let mut index = 0;
    while index < bytes.len() {
        sum += bytes[index];
        index += 1;
    }
    sum
}

macro_rules! models {
    ($($name:ident)*) => {
        $(impl Emitted for $name::Model {
            const INPUT_BYTES: &'static [usize] = &$name::Model::INPUT_BYTES;
            const OUTPUT_BYTES: &'static [usize] = &$name::Model::OUTPUT_BYTES;
            fn new() -> Self {
                $name::Model::new()
            }
            fn input_slice(&mut self, index: usize) -> &mut [i8] {
                $name::Model::input_slice(self, index)
            }
            fn output_slice(&self, index: usize) -> &[i8] {
                $name::Model::output_slice(self, index)
            }
            fn run(&mut self) {
                let _ = $name::Model::run(self);
            }
            #[cfg(feature = "trace")]
            fn run_traced(&mut self, sink: &mut dyn FnMut(usize, &str, &[i8])) {
                $name::Model::run_traced(self, sink);
            }
        })*
        static MODELS: &[Entry] = &[$(Entry {
            input_bytes: total(&$name::Model::INPUT_BYTES),
            output_bytes: total(&$name::Model::OUTPUT_BYTES),
            run: run_samples::<$name::Model>,
            #[cfg(feature = "trace")]
            trace: trace_sample::<$name::Model>,
        }),*];
    };
}

// The build appends one call of `models!` that names every emitted crate.
