//! Fitting the cost model to counted runs.
//!
//! In: [`Observation`]s, each what a layer does and the cycles, or
//! instructions, that it was counted to take. Out: a coefficient for each part of each kind of work, and
//! how far estimates are off. Invariant: coefficients are not negative, and the
//! same observations give the same ones to the digit.

pub mod fit;
pub mod shapes;

use std::path::Path;

use tinyc::bench::bench;
use tinyc::compile::{CompileOptions, Compiled, Silent, compile};
use tinyc::cost::features::{Features, features};
use tinyc::cost::{Costs, Unit};
use tinyc::lower::KernelSet;
use tinyc::ops;
use tinyc::plan::assemble;
use tinyc::target::{ArchFile, Core, Target};
use tinyc::verify::emulator::FirmwareOptions;

/// A counted layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The model and the layer, for messages.
    pub name: String,
    /// The core.
    pub costs: Costs,
    /// What it does.
    pub features: Features,
    /// What it took, in the unit of the core.
    pub counted: u64,
    /// How much it counts against others.
    pub weight: u64,
}

/// A chip, and the cores whose rules its runs are timed by.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// The chip's name.
    pub target: &'static str,
    /// The primitives that it runs, and so the kernels that suit it.
    pub arch: ArchFile,
    /// The cores.
    pub cores: &'static [Core],
}

/// What is fitted: each core by a chip that has the kernels of such chips, and
/// the portable ones, which any chip can ask for, by one of them.
pub const MACHINES: [Machine; 8] = [
    Machine { target: "stm32f411", arch: ArchFile::CortexMDsp, cores: &[Core::CortexM4F] },
    Machine { target: "stm32f103", arch: ArchFile::Armv7M, cores: &[Core::CortexM3] },
    Machine { target: "stm32f103", arch: ArchFile::Portable, cores: &[Core::CortexM3] },
    Machine { target: "stm32g0b1", arch: ArchFile::Armv6M, cores: &[Core::CortexM0Plus, Core::CortexM0] },
    Machine { target: "stm32h743", arch: ArchFile::CortexM7Dsp, cores: &[Core::CortexM7FDp] },
    Machine { target: "nrf5340", arch: ArchFile::CortexMDsp, cores: &[Core::CortexM33F] },
    Machine { target: "ensemble-e3-he", arch: ArchFile::Mve, cores: &[Core::CortexM55] },
    Machine { target: "esp32c3", arch: ArchFile::Rv32imc, cores: &[Core::Rv32imc] },
];

/// Counts every layer of a model on a machine, in each of its forms.
///
/// # Errors
/// The message of what failed.
pub fn observe(
    name: &str,
    model: &Path,
    options: &CompileOptions,
    machine: &Machine,
    weight: u64,
    firmware: &FirmwareOptions,
) -> Result<Vec<Observation>, String> {
    let target = Target::lookup(machine.target).map_err(|error| error.to_string())?;
    let target = Target { arch: machine.arch, ..target };
    let options = CompileOptions { kernels: target.arch.kernels(), ..options.clone() };
    let mut compiled =
        compile(model, &options, &Silent, &mut |_, _| {}).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for form in 0.. {
        let layers = take_forms(&mut compiled, form, options.kernels)?;
        if layers.is_empty() {
            break;
        }
        count(name, &compiled, &layers, &target, machine, weight, firmware, &mut found)?;
    }
    Ok(found)
}

/// Plans again with this form of each layer, the last one where it has fewer;
/// returns the steps that have so many forms.
fn take_forms(compiled: &mut Compiled, form: usize, kernels: KernelSet) -> Result<Vec<usize>, String> {
    let module = &compiled.module;
    let mut steps = Vec::new();
    let mut layers = Vec::new();
    for (index, step) in compiled.plan.steps.iter().enumerate() {
        let mut forms = ops::candidates(&module.graph, &module.quant, step.node, kernels)
            .map_err(|error| error.to_string())?;
        if form < forms.len() {
            layers.push(index);
        }
        let last = forms.len().saturating_sub(1);
        steps.push((step.node, forms.swap_remove(form.min(last))));
    }
    if !layers.is_empty() {
        compiled.plan = assemble(module, steps).map_err(|error| error.to_string())?;
    }
    Ok(layers)
}

/// Counts these steps on each core of the machine.
#[allow(clippy::too_many_arguments)]
fn count(
    name: &str,
    compiled: &Compiled,
    steps: &[usize],
    target: &Target,
    machine: &Machine,
    weight: u64,
    firmware: &FirmwareOptions,
    found: &mut Vec<Observation>,
) -> Result<(), String> {
    for &core in machine.cores {
        let Some(costs) = Costs::of(core) else { return Err(format!("nothing is fitted for {core:?}")) };
        let chip = Target { core, ..target.clone() };
        let report = bench(compiled, &chip, None, firmware, &Silent).map_err(|error| error.to_string())?;
        for layer in report.layers.iter().filter(|layer| steps.contains(&layer.step)) {
            let counted = match costs.unit() {
                Unit::Cycles => layer.cycles,
                Unit::Instructions => Some(layer.instructions),
            };
            if let (Some(features), Some(counted)) = (of_step(compiled, layer.step), counted) {
                let name = format!("{name}, {}", layer.name);
                found.push(Observation { name, costs, features, counted, weight });
            }
        }
    }
    Ok(())
}

/// What a step does, where all its calls are of one kind.
fn of_step(compiled: &Compiled, step: usize) -> Option<Features> {
    let mut calls = compiled.plan.steps[step].work.calls().iter().map(|call| features(&call.kernel));
    let mut sum = calls.next()?;
    for call in calls {
        if call.key != sum.key {
            return None;
        }
        sum.values.iter_mut().zip(call.values).for_each(|(sum, value)| *sum += value);
    }
    Some(sum)
}
