//! The files of a crate from a compiled model.
//!
//! In: a [`Compiled`], a target, a name. Out: [`CrateFiles`]: the code, the weights,
//! and `model.quant.toml` for rebuilding. Invariant: nothing that depends on the
//! calibration data goes in but the quantization itself, so that a rebuild from the
//! quantization file gives the same bytes without the data.

use crate::codegen::{
    self, CodegenError, CrateFiles, EmitOptions, Part, Placement, RamFacts, SelfTest, TargetFacts,
};
use crate::compile::{Compiled, input_specs};
use crate::ir::layout::input_axis;
use crate::ir::{Shape, ValueId};
use crate::samples::{InputSpec, Preprocess, SampleError, Samples};
use crate::target::Target;
use crate::verify::quality::input_codes;
use crate::verify::reference;

/// Seed of the sample that `self_test` runs.
const SELF_TEST_SEED: u64 = 1;

/// Why a crate cannot be emitted.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// Generating code.
    #[error(transparent)]
    Codegen(#[from] CodegenError),
    /// Making the sample of `self_test`.
    #[error(transparent)]
    Samples(#[from] SampleError),
}

/// Emits the crate `package` for a target.
///
/// # Errors
/// [`EmitError`].
pub fn emit(compiled: &Compiled, target: &Target, package: &str) -> Result<CrateFiles, EmitError> {
    emit_with(compiled, target, package, Facts::default())
}

/// What the README of a crate says beyond the model.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What is known of the RAM beside the arena.
    pub ram: Option<RamFacts>,
    /// The RAM region for the arena, where it is not the usual one.
    pub placement: Option<Placement>,
    /// Of an arena that is divided, the region of each part in order.
    pub regions: Vec<Placement>,
}

/// As [`emit`], with further facts in the README.
///
/// # Errors
/// [`EmitError`].
pub fn emit_with(
    compiled: &Compiled,
    target: &Target,
    package: &str,
    facts: Facts,
) -> Result<CrateFiles, EmitError> {
    let options = EmitOptions {
        package: package.to_owned(),
        target: target_facts(target),
        preprocessing: preprocessing(compiled),
        self_test: Some(self_test(compiled)?),
        accuracy: None,
        ram: facts.ram,
        placement: facts.placement,
        regions: facts.regions,
    };
    let mut files = codegen::generate(&compiled.plan, &compiled.module, &options)?;
    files.0.insert("model.quant.toml".to_owned(), compiled.quant_file.to_text().into_bytes());
    Ok(files)
}

/// A model of a crate with several.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The name of its module.
    pub name: &'a str,
    /// The model.
    pub compiled: &'a Compiled,
    /// What is known of its RAM beside the arena.
    pub ram: Option<RamFacts>,
}

/// Emits the crate `package` with several models, which share one arena. Each has its
/// quantization beside its source, as `src/NAME/model.quant.toml`.
///
/// # Errors
/// [`EmitError`]; two models of one name are one.
pub fn emit_several<'a>(
    models: &[Named<'a>],
    target: &Target,
    package: &str,
    placement: Option<&Placement>,
) -> Result<CrateFiles, EmitError> {
    let part = |model: &Named<'a>| -> Result<Part<'a>, EmitError> {
        Ok(Part {
            name: model.name.to_owned(),
            plan: &model.compiled.plan,
            module: &model.compiled.module,
            preprocessing: preprocessing(model.compiled),
            self_test: Some(self_test(model.compiled)?),
            ram: model.ram,
        })
    };
    let parts = models.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    let mut files = codegen::generate_several(package, &target_facts(target), &parts, placement)?;
    for model in models {
        let text = model.compiled.quant_file.to_text();
        files.0.insert(format!("src/{}/model.quant.toml", model.name), text.into_bytes());
    }
    Ok(files)
}

/// The chip as far as emitted code depends on it.
fn target_facts(target: &Target) -> TargetFacts {
    TargetFacts {
        name: target.name.clone(),
        arch: target.arch.file_name().trim_end_matches(".rs").to_owned(),
    }
}

/// What was done to the samples, with channel axes as the crate's inputs lie.
fn preprocessing(compiled: &Compiled) -> Vec<Preprocess> {
    let graph = &compiled.module.graph;
    let specs = input_specs(&compiled.module);
    let as_port =
        |((preprocess, &input), spec): ((&Preprocess, &ValueId), &InputSpec)| match preprocess.clone() {
            Preprocess::MeanStd { mean, std, channel_axis } => {
                let place = |axis: usize| input_axis(graph, input, &Shape(spec.shape.clone()), axis);
                Preprocess::MeanStd { mean, std, channel_axis: channel_axis.and_then(place) }
            }
            other => other,
        };
    compiled.preprocess.iter().zip(&graph.inputs).zip(&specs).map(as_port).collect()
}

/// A seeded sample, with the bytes that the naive references make of it.
fn self_test(compiled: &Compiled) -> Result<SelfTest, SampleError> {
    let (module, preprocess) = (&compiled.module, &compiled.quant_file.preprocess);
    let sample = Samples::synthetic(&input_specs(module), preprocess, 1, SELF_TEST_SEED)?;
    let inputs = input_codes(module, &sample, 0);
    let slices: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
    let tensors = reference::run(module, &reference::inputs(module, &slices));
    let outputs = module.graph.outputs.iter().map(|id| tensors[id].codes.clone()).collect();
    Ok(SelfTest { inputs, outputs })
}
