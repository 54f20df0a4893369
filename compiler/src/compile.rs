//! The stages in order: a model file to a plan.
//!
//! In: a path and [`CompileOptions`]. Out: [`Compiled`]. Invariant: nothing is
//! written to disk here, and equal inputs give equal results on every machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::ir::{InputLayouts, Layout, QuantParams, ValueId};
use crate::lower::KernelSet;
use crate::onnx::{self, OnnxError, Source};
use crate::ops::Op;
use crate::passes::{self, Context, Half, PassError, Scales};
use crate::plan::cascade::Effort;
use crate::plan::choose::{Choice, Limits, Opt};
use crate::plan::divide::Full;
use crate::plan::regions::Regions;
use crate::plan::strategy::{self, Chosen, Curve, Strategy};
use crate::plan::unroll::{self, Unroll};
use crate::plan::{Plan, PlanError};
use crate::quant::calibrate::{Method, Ranges, calibrate};
use crate::quant::file::{QuantFile, QuantFileError};
use crate::report::{Budgets, Footprint};
use crate::samples::{
    InputQuant, InputSpec, Preprocess, SampleError, SampleFile, Samples, find_beside, sha256_hex,
};
use crate::target::Target;
use crate::verify::quality::{self, OutputQuality};
use crate::{Feed, Module, Ports};

/// Samples on which the output is compared with the float oracle after a build.
const QUALITY_SAMPLES: usize = 32;

/// Synthetic calibration inputs where there are no real ones.
const SYNTHETIC_SAMPLES: usize = 64;

/// Seed of synthetic inputs.
const SYNTHETIC_SEED: u64 = 0x0074_696e_7963;

/// What the user asks for.
#[derive(Debug, Clone, Default)]
pub struct CompileOptions {
    /// Calibration samples: .npz, .npy or a folder of them.
    pub calib: Option<PathBuf>,
    /// A recorded quantization, instead of calibration.
    pub quant: Option<PathBuf>,
    /// How samples become inputs.
    pub preprocess: Preprocess,
    /// How ranges are chosen.
    pub method: Option<Method>,
    /// How the emitted crate's inputs lie.
    pub layouts: InputLayouts,
    /// Take a final softmax off.
    pub no_softmax: bool,
    /// Leave channels, rows and columns in that do not matter for the outputs.
    pub keep_dead_channels: bool,
    /// The kernels that the chip runs best.
    pub kernels: KernelSet,
    /// What the layers' forms are chosen for.
    pub opt: Opt,
    /// Bytes of code that unrolled layers may take; `None` is what the goal stands for,
    /// see [`unroll::default_budget`].
    pub unroll_budget: Option<u64>,
    /// RAM against speed; [`Strategy::Auto`] keeps to the RAM of `limits` if it can.
    pub strategy: Strategy,
    /// What the chip offers, its budgets applied.
    pub limits: Limits,
    /// How the caller hands the input over.
    pub feed: Feed,
    /// The RAM regions over which the arena may be divided, their budgets applied; none
    /// where it must be one buffer.
    pub regions: Regions,
}

impl CompileOptions {
    /// Bytes of code that unrolled layers may take.
    #[must_use]
    pub fn unroll_bytes(&self) -> u64 {
        self.unroll_budget.unwrap_or(unroll::default_budget(self.opt))
    }

    /// The same within shares of a target's memories.
    #[must_use]
    pub fn within(self, budgets: &Budgets, target: &Target) -> Self {
        let regions = budgets.regions(target, self.regions.spread);
        Self { limits: budgets.limits(target), regions, ..self }
    }

    /// What of it planning asks for.
    #[must_use]
    pub fn asked(&self) -> strategy::Asked {
        strategy::Asked {
            kernels: self.kernels,
            opt: self.opt,
            limits: self.limits,
            strategy: self.strategy,
            feed: self.feed,
            effort: Effort::default(),
            regions: self.regions.clone(),
        }
    }
}

/// Where the scales came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScaleSource {
    /// The model carries them.
    Model,
    /// A quantization file.
    Recorded(PathBuf),
    /// Samples of the user.
    Samples(PathBuf),
    /// Synthetic inputs: accuracy is a guess.
    Synthetic,
}

impl ScaleSource {
    /// Whether the accuracy that comes of them is a guess.
    #[must_use]
    pub fn is_guess(&self) -> bool {
        *self == ScaleSource::Synthetic
    }
}

/// A model ready to be emitted.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What was read.
    pub source: Source,
    /// The quantized graph.
    pub module: Module,
    /// Schedule, arena and kernels.
    pub plan: Plan,
    /// The layers that had a choice of kernels, in the plan's order.
    pub choices: Vec<Choice>,
    /// What their forms were chosen for.
    pub opt: Opt,
    /// The layers that can be unrolled, where that was asked for.
    pub unrolls: Vec<Unroll>,
    /// The plans that it was chosen from; empty where nobody had to look for less RAM.
    pub curve: Curve,
    /// The quantization, for `model.quant.toml`.
    pub quant_file: QuantFile,
    /// How raw samples become each input.
    pub preprocess: Vec<Preprocess>,
    /// Where the scales came from.
    pub scales: ScaleSource,
    /// Outputs against the float oracle; empty where there were no samples.
    pub quality: Vec<OutputQuality>,
    /// Those of the module's notes that say how the plan was found.
    pub plan_notes: Vec<String>,
    /// Of a plan that fits no RAM region: why it cannot be divided over several; `None`
    /// where that was not tried.
    pub undivided: Option<Full>,
}

impl Compiled {
    /// Takes another plan of the same module; what it computes is the same.
    pub fn take(&mut self, chosen: Chosen) {
        let Chosen { plan, choices, curve, notes, undivided } = chosen;
        self.module.notes.retain(|note| !self.plan_notes.contains(note));
        self.module.notes.extend(notes.iter().cloned());
        (self.plan, self.choices, self.curve, self.plan_notes) = (plan, choices, curve, notes);
        self.undivided = undivided;
        self.unrolls.clear();
    }

    /// Unrolls layers of a plan that was taken, in what is left of the flash.
    pub fn unroll(&mut self, options: &CompileOptions, flash_left: Option<u64>) {
        self.unrolls = unroll::unroll(&mut self.plan, options.kernels, options.unroll_bytes(), flash_left);
    }
}

/// Why a model cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Reading or importing the model.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// Reading samples.
    #[error(transparent)]
    Samples(#[from] SampleError),
    /// Reading a quantization file.
    #[error(transparent)]
    QuantFile(#[from] QuantFileError),
    /// A pass.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Planning.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Tells the user how far a long step is.
pub trait Progress: Sync {
    /// A step of so many ticks begins.
    fn start(&self, what: &str, ticks: u64);
    /// One tick is done.
    fn tick(&self);
    /// The step is done.
    fn finish(&self);
}

/// No progress shown.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &str, _: u64) {}
    fn tick(&self) {}
    fn finish(&self) {}
}

/// Reads and imports a model whose inputs lie as it says.
///
/// # Errors
/// [`CompileError::Onnx`].
pub fn import(model: &Path) -> Result<(Source, Module), CompileError> {
    import_as(model, &InputLayouts::default())
}

/// Reads and imports a model; its inputs lie as declared.
///
/// # Errors
/// [`CompileError::Onnx`].
pub fn import_as(model: &Path, layouts: &InputLayouts) -> Result<(Source, Module), CompileError> {
    let source = onnx::read(model)?;
    let mut module = onnx::import::import_as(&source, layouts)?;
    // Exporters name every graph after themselves.
    module.graph.name = model_name(model);
    Ok((source, module))
}

/// What a model is called: its file's name without the ending, or its folder's for
/// a file that is just called "model", as in `digits/model.onnx`.
pub fn model_name(model: &Path) -> String {
    let of = |name: Option<&std::ffi::OsStr>| name.map(|n| n.to_string_lossy().into_owned());
    let file = of(model.file_stem()).unwrap_or_else(|| "model".to_owned());
    let folder = model.parent().and_then(|p| of(p.file_name()));
    match folder {
        Some(folder) if file == "model" => folder,
        _ => file,
    }
}

/// Compiles a model; `observe` sees the module after import (named `import`) and
/// after each pass.
///
/// # Errors
/// [`CompileError`], of the first stage that fails.
pub fn compile(
    model: &Path,
    options: &CompileOptions,
    progress: &dyn Progress,
    observe: &mut dyn FnMut(&str, &Module),
) -> Result<Compiled, CompileError> {
    let model_sha256 = sha256_hex(model)?;
    let recorded = options.quant.as_deref().map(|path| QuantFile::read(path, &model_sha256)).transpose()?;
    let layouts = recorded.as_ref().map_or(&options.layouts, |r| &r.layouts);
    let (source, mut module) = import_as(model, layouts)?;
    observe("import", &module);
    let no_softmax = recorded.as_ref().map_or(options.no_softmax, |r| r.no_softmax);
    let taken = Taken { no_softmax, keep_dead_channels: options.keep_dead_channels, feed: options.feed };
    let context = taken.context(Scales::Unknown);
    passes::run_half(&mut module, Half::Float, &context, |pass, m| observe(pass.name, m))?;
    note_turned_inputs(&mut module);

    let specs = input_specs(&module);
    let wanted = recorded.as_ref().map_or(&options.preprocess, |r| &r.preprocess);
    let samples_path = options.calib.clone().or_else(|| find_beside(model));
    let samples = match &samples_path {
        Some(path) => Some(Samples::bind(SampleFile::open(path)?, &specs, wanted)?),
        None => None,
    };
    let method = options.method.unwrap_or(Method::MinMax);
    let (scales, used) = match &recorded {
        Some(file) => {
            let path = options.quant.clone().unwrap_or_default();
            integer_half(&mut module, taken, Scales::Recorded(file), observe)?;
            (ScaleSource::Recorded(path), samples)
        }
        None => scaled(&source, &mut module, taken, samples, &specs, wanted, method, progress, observe)?,
    };
    let flash_bytes = |plan: &Plan| Footprint::of(plan).flash_bytes();
    let Chosen { mut plan, choices, curve, notes, undivided } =
        strategy::choose(&module, options.asked(), &flash_bytes)?;
    module.notes.extend(notes.iter().cloned());
    let flash_left = options.limits.flash_bytes.map(|most| most.saturating_sub(flash_bytes(&plan)));
    let unrolls = unroll::unroll(&mut plan, options.kernels, options.unroll_bytes(), flash_left);
    let quality = match &used {
        Some(samples) if scales != ScaleSource::Synthetic => {
            let count = samples.len().min(QUALITY_SAMPLES);
            progress.start("comparing with float", count as u64);
            let quality = quality::outputs(&source, &module, &plan, samples, count, &|| progress.tick())?;
            progress.finish();
            quality
        }
        _ => Vec::new(),
    };
    let preprocess = match &used {
        Some(samples) => (0..specs.len()).map(|i| samples.preprocess(i).clone()).collect(),
        None => specs.iter().map(|s| wanted.resolve(&s.name, &s.shape)).collect::<Result<Vec<_>, _>>()?,
    };
    let header = match recorded {
        Some(file) => file,
        None => QuantFile {
            format: 1,
            model_sha256,
            data_sha256: match &scales {
                ScaleSource::Samples(path) => Some(sha256_hex(path)?),
                _ => None,
            },
            samples: if scales == ScaleSource::Model { 0 } else { used.as_ref().map_or(0, Samples::len) },
            method: if scales == ScaleSource::Model {
                "carried by the model".into()
            } else {
                method.to_string()
            },
            no_softmax,
            layouts: layouts.clone(),
            preprocess: wanted.clone(),
            tensors: Vec::new(),
        },
    };
    let quant_file = QuantFile::record(&module, header);
    let opt = options.opt;
    Ok(Compiled {
        source,
        module,
        plan,
        choices,
        opt,
        unrolls,
        curve,
        quant_file,
        preprocess,
        scales,
        quality,
        plan_notes: notes,
        undivided,
    })
}

/// Tells which inputs a layout of their own does not serve: their first layer copies
/// them into the order of the model file.
fn note_turned_inputs(module: &mut Module) {
    let graph = &module.graph;
    let turned = |&id: &ValueId| {
        let reads = graph.readers(id);
        let copied = reads.iter().any(|&n| matches!(graph.node(n).op, Op::Transpose(_)));
        (copied && Layout::of_input(graph, id) != Layout::Onnx).then(|| {
            format!(
                "input '{}': the model works on the order of its file, so that the layout {} costs a copy of {} bytes",
                graph.value(id).name,
                Layout::of_input(graph, id),
                graph.shape(id).elements()
            )
        })
    };
    let notes: Vec<String> = graph.inputs.iter().filter_map(turned).collect();
    module.notes.extend(notes);
}

/// What is taken out of the graph, what is not, and how its input comes.
#[derive(Debug, Clone, Copy)]
struct Taken {
    no_softmax: bool,
    keep_dead_channels: bool,
    feed: Feed,
}

impl Taken {
    fn context(self, scales: Scales<'_>) -> Context<'_> {
        let Taken { no_softmax, keep_dead_channels, feed } = self;
        Context { no_softmax, keep_dead_channels, feed, scales }
    }
}

/// Runs the integer half with whatever scales there are.
#[allow(clippy::too_many_arguments)]
fn scaled(
    source: &Source,
    module: &mut Module,
    taken: Taken,
    samples: Option<Samples>,
    specs: &[InputSpec],
    preprocess: &Preprocess,
    method: Method,
    progress: &dyn Progress,
    observe: &mut dyn FnMut(&str, &Module),
) -> Result<(ScaleSource, Option<Samples>), CompileError> {
    if !source.given.activations.is_empty() {
        let mut carried = module.clone();
        match integer_half(&mut carried, taken, Scales::Given, observe) {
            Ok(()) => {
                *module = carried;
                return Ok((ScaleSource::Model, samples));
            }
            // An island can be calibrated, if there is anything to calibrate with.
            Err(PassError::Island { .. }) if samples.is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (origin, samples) = match samples {
        Some(samples) => (ScaleSource::Samples(samples.path().to_path_buf()), samples),
        None => {
            let samples = Samples::synthetic(specs, preprocess, SYNTHETIC_SAMPLES, SYNTHETIC_SEED)?;
            (ScaleSource::Synthetic, samples)
        }
    };
    let tensors = taps(module);
    let passes_over = if method == Method::MinMax { 1 } else { 2 };
    progress.start("calibrating", (samples.len() * passes_over) as u64);
    let ranges: Ranges = calibrate(source, &tensors, &samples, method, &|| progress.tick())?;
    progress.finish();
    integer_half(module, taken, Scales::Calibrated(&ranges), observe)?;
    Ok((origin, Some(samples)))
}

fn integer_half(
    module: &mut Module,
    taken: Taken,
    scales: Scales<'_>,
    observe: &mut dyn FnMut(&str, &Module),
) -> Result<(), PassError> {
    passes::run_half(module, Half::Integer, &taken.context(scales), |pass, m| observe(pass.name, m))
}

/// The ONNX tensors behind the live activations, without the graph's inputs.
pub fn taps(module: &Module) -> Vec<String> {
    let inputs: BTreeSet<&String> = module.ports.inputs.iter().map(|p| &p.name).collect();
    let tensors: BTreeSet<String> = module
        .graph
        .live_activations()
        .into_iter()
        .filter_map(|id| module.graph.value(id).origin.as_ref())
        .map(|origin| origin.tensor.clone())
        .filter(|name| !inputs.contains(name))
        .collect();
    tensors.into_iter().collect()
}

/// What samples must look like for a module's inputs: as the model file says, however
/// the crate's inputs lie.
pub fn input_specs(module: &Module) -> Vec<InputSpec> {
    let Ports { inputs, .. } = &module.ports;
    inputs
        .iter()
        .zip(&module.graph.inputs)
        .map(|(port, &id)| InputSpec {
            name: port.name.clone(),
            shape: port.shape.clone().unwrap_or_else(|| module.graph.shape(id).0.clone()),
            quant: module
                .given
                .activation(&module.graph, id)
                .map(|QuantParams { scale, zero_point, .. }| InputQuant { scale, zero_point }),
        })
        .collect()
}
