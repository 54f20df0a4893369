//! One module for each input and output of the model: shape, scale, conversions.
//!
//! In: the plan's ports and what was done to the samples. Out: tokens, and the
//! names that the rest of the crate uses. Invariant: a model with one input has
//! `input`, one with several has `input_<name>` each; outputs alike.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::names::{affine, grouped, plain, unique};
use super::parts::Spot;
use super::preprocess::{channel_stride, pixel_table};
use super::tokens::{docs, float, ident, number};
use super::{CodegenError, EmitOptions};
use crate::ir::Layout;
use crate::plan::{IoPlan, Plan};
use crate::samples::Preprocess;

/// The ports of a model, with their names in the crate.
pub struct Ports {
    /// Inputs in the model's order.
    pub inputs: Vec<Port>,
    /// Outputs in the model's order.
    pub outputs: Vec<Port>,
}

/// An input or output.
pub struct Port {
    /// Its module in the crate.
    pub module: String,
    /// Where it lies and what its codes mean.
    pub io: IoPlan,
    /// The same as the crate's code names it.
    pub spot: Spot,
    /// What was done to its samples; [`Preprocess::None`] for outputs.
    pub preprocessing: Preprocess,
    /// Of an input that comes row by row, how many there are.
    pub rows: Option<usize>,
    /// Of an input over which a window slides, by how many rows.
    pub hop: Option<usize>,
}

impl Ports {
    /// Names the ports.
    ///
    /// # Errors
    /// [`CodegenError::Channels`] for means that fit no axis.
    pub fn of(plan: &Plan, options: &EmitOptions) -> Result<Ports, CodegenError> {
        let mut inputs = named(plan, "input", &plan.inputs);
        for port in &mut inputs {
            let pushed = plan.pushed.as_ref().map(|pushed| pushed.rows);
            port.rows = pushed.or(plan.slide.as_ref().map(|slide| slide.rows));
            port.hop = plan.slide.as_ref().map(|slide| slide.hop);
        }
        for (port, preprocessing) in inputs.iter_mut().zip(&options.preprocessing) {
            if let Preprocess::MeanStd { mean, std, channel_axis } = preprocessing {
                let stride = channel_stride(&port.io.shape, *channel_axis, mean.len());
                // A row begins with the first mean.
                let row = port.io.shape.elements() / port.rows.unwrap_or(1).max(1);
                let fits = stride.is_some_and(|run| mean.len() == 1 || row.is_multiple_of(run * mean.len()));
                if !fits || mean.len() != std.len() {
                    return Err(CodegenError::Channels {
                        input: port.io.name.clone(),
                        shape: port.io.shape.to_string(),
                        given: mean.len(),
                    });
                }
            }
            port.preprocessing = preprocessing.clone();
        }
        Ok(Ports { inputs, outputs: named(plan, "output", &plan.outputs) })
    }
}

fn named(plan: &Plan, kind: &str, ports: &[IoPlan]) -> Vec<Port> {
    let mut taken = Vec::new();
    let module = |io: &IoPlan, taken: &mut Vec<String>| match ports {
        [_] => kind.to_string(),
        _ => format!("{kind}_{}", unique(&io.name, taken)),
    };
    ports
        .iter()
        .map(|io| Port {
            module: module(io, &mut taken),
            io: io.clone(),
            spot: Spot::of(plan, io.range),
            preprocessing: Preprocess::None,
            rows: None,
            hop: None,
        })
        .collect()
}

impl Port {
    /// Shape and quantization in words.
    pub fn meaning(&self) -> String {
        let layout = match self.io.layout {
            Layout::Onnx => "",
            Layout::ChannelsLast => " (channels last)",
        };
        format!("`{}`{layout}, {}", self.io.shape, affine(&self.io.params))
    }

    /// How a row's codes follow each other, for whoever pushes it.
    pub fn row_order(&self) -> String {
        let row: Vec<String> = self.io.shape.0.iter().skip(2).map(|dim| format!("[{dim}]")).collect();
        let row = row.concat();
        match self.io.layout {
            Layout::Onnx => format!("A row is `{row}`."),
            Layout::ChannelsLast => {
                format!("A row is `{row}`, channels last, which the model's file has in front.")
            }
        }
    }

    /// The module of an input.
    pub fn input_module(&self) -> TokenStream {
        let note = match (self.rows, self.io.overwritten) {
            _ if self.hop.is_some() => {
                "It is the window of the newest rows of a stream, which come frame by frame."
            }
            (Some(_), _) => "It is pushed row by row and never whole in RAM.",
            (None, true) => "A run writes over these bytes: fill them again before each run.",
            (None, false) => "A run leaves these bytes as they are.",
        };
        let facts = self.facts();
        let quantize = self.quantize();
        let pixels = self.pixels();
        let mut lines = vec![format!("The input `{}`.", plain(&self.io.name)), String::new()];
        if self.io.layout == Layout::ChannelsLast {
            lines
                .push("Its dimensions are the ONNX input's with the channels last: all channels of a".into());
            lines.push("pixel follow each other, as cameras deliver them.".into());
            lines.push(String::new());
        }
        lines.push(note.into());
        self.module(
            &lines,
            quote! {
                #facts
                #quantize
                #pixels
            },
        )
    }

    /// The module of an output.
    pub fn output_module(&self) -> TokenStream {
        let facts = self.facts();
        self.module(
            &[format!("The output `{}`.", plain(&self.io.name))],
            quote! {
                #facts
                /// Real values of codes.
                pub fn dequantize(codes: &[i8; BYTES], values: &mut [f32; BYTES]) {
                    for (value, &code) in values.iter_mut().zip(codes) {
                        *value = SCALE * (code as i16 - ZERO_POINT as i16) as f32;
                    }
                }
            },
        )
    }

    fn module(&self, lines: &[String], body: TokenStream) -> TokenStream {
        let (docs, name) = (docs(lines), ident(&self.module));
        quote! {
            #docs
            pub mod #name { #body }
        }
    }

    fn facts(&self) -> TokenStream {
        let IoPlan { shape, params, .. } = &self.io;
        let elements = shape.elements();
        let (rank, dims) = (number(shape.rank()), shape.0.iter().map(|&d| number(d)));
        let (bytes, scale) = (number(elements), float(params.scale));
        let zero_point = proc_macro2::Literal::i8_unsuffixed(params.zero_point.saturating_abs());
        let zero_point = match params.zero_point {
            i8::MIN => quote!(-128),
            z if z < 0 => quote!(-#zero_point),
            _ => quote!(#zero_point),
        };
        let total = format!("Number of codes, and bytes: {}.", grouped(elements as u64));
        let total = docs(&[total]);
        let rows = self.rows.map(|rows| {
            let row_bytes = number(elements / rows.max(1));
            let steps = self.hop.map(|hop| {
                let (steps, hop) = (number(rows.div_ceil(hop)), number(hop));
                quote! {
                    /// Rows of a frame: by so many the window moves in a step.
                    pub const HOP: usize = #hop;
                    /// Codes of a frame, and its bytes: its rows follow each other, the newest last.
                    pub const FRAME_BYTES: usize = HOP * ROW_BYTES;
                    /// Frames that fill the window: the last of them gives the first output.
                    pub const STEPS: usize = #steps;
                }
            });
            let what = docs(&[if self.hop.is_some() { "Rows of the window." } else { "Rows of a frame." }]);
            let (rows, order) = (number(rows), docs(&[self.row_order()]));
            quote! {
                #what
                pub const ROWS: usize = #rows;
                /// Codes of a row, and its bytes.
                #order
                pub const ROW_BYTES: usize = #row_bytes;
                #steps
            }
        });
        quote! {
            /// Dimensions, outermost first; codes are row-major.
            pub const SHAPE: [usize; #rank] = [#(#dims),*];
            #total
            pub const BYTES: usize = #bytes;
            /// Real value of one step: real = SCALE * (code - ZERO_POINT).
            pub const SCALE: f32 = #scale;
            /// The code of real 0.
            pub const ZERO_POINT: i8 = #zero_point;
            #rows
        }
    }

    /// The constant that counts the codes which conversions take at a time.
    fn at_a_time(&self) -> Ident {
        ident(match (self.hop, self.rows) {
            (Some(_), _) => "FRAME_BYTES",
            (None, Some(_)) => "ROW_BYTES",
            (None, None) => "BYTES",
        })
    }

    /// `quantize_pixels`, where the samples were 8-bit.
    fn pixels(&self) -> TokenStream {
        let bytes = self.at_a_time();
        match &self.preprocessing {
            Preprocess::None => TokenStream::new(),
            Preprocess::Codes => quote! {
                /// Codes of 8-bit samples that are the model's unsigned input codes.
                pub fn quantize_pixels(pixels: &[u8; #bytes], codes: &mut [i8; #bytes]) {
                    for (code, &pixel) in codes.iter_mut().zip(pixels) {
                        *code = (pixel ^ 0x80) as i8;
                    }
                }
            },
            Preprocess::MeanStd { mean, std, channel_axis } => {
                let tables = mean.iter().zip(std).map(|(&mean, &std)| {
                    let table = pixel_table(mean, std, &self.io.params);
                    let entries =
                        table.iter().map(|&c| proc_macro2::Literal::i16_unsuffixed(i16::from(c).abs()));
                    let signs = table.iter().map(|&c| if c < 0 { quote!(-) } else { quote!() });
                    quote!([#(#signs #entries),*])
                });
                let channels = number(mean.len());
                // `Ports::of` has checked that the axis fits.
                let run = channel_stride(&self.io.shape, *channel_axis, mean.len()).unwrap_or(1).max(1);
                let run = number(run);
                let (means, stds) = (mean.iter().map(|&m| float(m)), std.iter().map(|&s| float(s)));
                let lines = docs(&[
                    "Codes of 8-bit pixels: of `(pixel - mean) / std`, with".to_string(),
                    format!("mean {mean:?} and standard deviation {std:?}."),
                ]);
                quote! {
                    /// Samples that follow each other in one channel.
                    const RUN: usize = #run;
                    /// Means and standard deviations of the channels.
                    const MEAN_STD: [(f32, f32); #channels] = [#((#means, #stds)),*];
                    /// Codes of samples of any range: of `(sample - mean) / std`.
                    pub fn quantize_samples(samples: &[f32; #bytes], codes: &mut [i8; #bytes]) {
                        let runs = codes.chunks_mut(RUN).zip(samples.chunks(RUN));
                        for ((codes, samples), (mean, std)) in runs.zip(MEAN_STD.iter().cycle()) {
                            for (code, sample) in codes.iter_mut().zip(samples) {
                                *code = super::code_of((sample - mean) / std, SCALE, ZERO_POINT);
                            }
                        }
                    }
                    #lines
                    pub fn quantize_pixels(pixels: &[u8; #bytes], codes: &mut [i8; #bytes]) {
                        let runs = codes.chunks_mut(RUN).zip(pixels.chunks(RUN));
                        for ((codes, pixels), table) in runs.zip(PIXEL_CODES.iter().cycle()) {
                            for (code, &pixel) in codes.iter_mut().zip(pixels) {
                                *code = table[pixel as usize];
                            }
                        }
                    }
                    /// The code of each pixel value, for each channel.
                    static PIXEL_CODES: [[i8; 256]; #channels] = [#(#tables),*];
                }
            }
        }
    }

    fn quantize(&self) -> TokenStream {
        let bytes = self.at_a_time();
        quote! {
            /// Codes of real values: divided by the scale, rounded half to even,
            /// saturated; the zero point for NaN.
            pub fn quantize(values: &[f32; #bytes], codes: &mut [i8; #bytes]) {
                for (code, &value) in codes.iter_mut().zip(values) {
                    *code = super::code_of(value, SCALE, ZERO_POINT);
                }
            }
        }
    }
}

/// The function behind every `quantize`, where there is an input.
pub fn code_of(ports: &Ports) -> TokenStream {
    if ports.inputs.is_empty() {
        return TokenStream::new();
    }
    quote! {
        /// The code of a real value; see `quantize`.
        fn code_of(value: f32, scale: f32, zero_point: i8) -> i8 {
            /// Near 1.5 * 2^23 the distance of two floats is 1, so that adding it
            /// rounds half to even and subtracting it leaves the integer.
            const ROUND: f32 = 12_582_912.0;
            let steps = (value / scale).clamp(-512.0, 512.0) + ROUND - ROUND;
            (steps as i32 + zero_point as i32).clamp(-128, 127) as i8
        }
    }
}
