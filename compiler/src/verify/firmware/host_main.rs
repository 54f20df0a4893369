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
    fn output_slice(&self, index: usize) -> &[i8];
    /// Feeds a sample and runs.
    fn run(&mut self, sample: &[i8]);
    #[cfg(feature = "trace")]
    fn run_traced(&mut self, sample: &[i8], sink: &mut dyn FnMut(usize, &str, &[i8]));
}

/// One model, its type erased.
struct Entry {
    input_bytes: usize,
    output_bytes: usize,
    run: fn(&[u8], &mut [u8]),
    #[cfg(feature = "trace")]
    trace: fn(&[u8]) -> Vec<u8>,
}

fn codes(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|byte| *byte as i8).collect()
}

fn run_samples<M: Emitted>(input: &[u8], output: &mut [u8]) {
    let input_bytes = M::INPUT_BYTES.iter().sum();
    let output_bytes = M::OUTPUT_BYTES.iter().sum();
    let mut model = Box::new(M::new());
    for (sample, mut out) in input.chunks_exact(input_bytes).zip(output.chunks_exact_mut(output_bytes)) {
        model.run(&codes(sample));
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
    let mut records = Vec::new();
    model.run_traced(&codes(sample), &mut |step, name, data| {
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

/// Fills the inputs of a model that takes them whole.
macro_rules! feed {
    ($name:ident, $model:ident, $sample:ident) => {
        let mut rest = $sample;
        for index in 0..$name::Model::INPUT_BYTES.len() {
            let slice = $name::Model::input_slice($model, index);
            let (head, others) = rest.split_at(slice.len());
            slice.copy_from_slice(head);
            rest = others;
        }
    };
}

/// A run of a model that takes its inputs whole, or row by row.
macro_rules! run {
    (whole $name:ident, $model:ident, $sample:ident) => {{
        feed!($name, $model, $sample);
        let _ = $name::Model::run($model);
    }};
    (rows $name:ident, $model:ident, $sample:ident) => {{
        // A frame that is given up must leave nothing behind.
        for row in $sample.as_chunks::<{ $name::Model::ROW_BYTES }>().0.iter().skip(1) {
            let _ = $name::Model::push_row($model, row);
        }
        $name::Model::restart($model);
        let rows = $sample.as_chunks::<{ $name::Model::ROW_BYTES }>().0;
        for (index, row) in rows.iter().enumerate() {
            assert_eq!($name::Model::rows_pushed($model), index);
            let _ = $name::Model::push_row($model, row);
        }
        assert_eq!($name::Model::rows_pushed($model), 0);
    }};
    (frames $name:ident, $model:ident, $sample:ident) => {{
        let window = $sample.as_array().expect("a sample is a window");
        // A stream that went before must leave nothing behind.
        let _ = $name::Model::run_window($model, window);
        let _ = $name::Model::step($model, &[77; $name::Model::FRAME_BYTES]);
        let _ = $name::Model::run_window($model, window);
    }};
}

/// The same, traced.
#[cfg(feature = "trace")]
macro_rules! trace {
    (whole $name:ident, $model:ident, $sample:ident, $sink:ident) => {{
        feed!($name, $model, $sample);
        $name::Model::run_traced($model, $sink);
    }};
    (rows $name:ident, $model:ident, $sample:ident, $sink:ident) => {{
        let frame = $sample.as_array().expect("a sample is a frame");
        $name::Model::run_traced($model, frame, $sink);
    }};
    (frames $name:ident, $model:ident, $sample:ident, $sink:ident) => {{
        let window = $sample.as_array().expect("a sample is a window");
        $name::Model::run_traced($model, window, $sink);
    }};
}

/// The type of a model, and one of it.
macro_rules! memory {
    (one $name:ident) => { $name::Model };
    (divided $name:ident) => { $name::Model<'static> };
    (new one $name:ident) => { $name::Model::new() };
    (new divided $name:ident) => { $name::Model::of(Box::leak(Box::new($name::Memory::new()))) };
}

macro_rules! models {
    ($($memory:ident $feed:ident $name:ident)*) => {
        $(impl Emitted for memory!($memory $name) {
            const INPUT_BYTES: &'static [usize] = &$name::Model::INPUT_BYTES;
            const OUTPUT_BYTES: &'static [usize] = &$name::Model::OUTPUT_BYTES;
            fn new() -> Self {
                memory!(new $memory $name)
            }
            fn output_slice(&self, index: usize) -> &[i8] {
                $name::Model::output_slice(self, index)
            }
            fn run(&mut self, sample: &[i8]) {
                run!($feed $name, self, sample)
            }
            #[cfg(feature = "trace")]
            fn run_traced(&mut self, sample: &[i8], sink: &mut dyn FnMut(usize, &str, &[i8])) {
                trace!($feed $name, self, sample, sink)
            }
        })*
        static MODELS: &[Entry] = &[$(Entry {
            input_bytes: total(&$name::Model::INPUT_BYTES),
            output_bytes: total(&$name::Model::OUTPUT_BYTES),
            run: run_samples::<memory!($memory $name)>,
            #[cfg(feature = "trace")]
            trace: trace_sample::<memory!($memory $name)>,
        }),*];
    };
}

// The build appends one call of `models!` that names every emitted crate.
