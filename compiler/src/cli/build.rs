//! `tinyc build`: a model file to a crate on disk.
//!
//! Everything is decided before anything is written: names, target and passes
//! are looked up first, the budget is checked before the crate is emitted.
//! Invariant: on any error the exit code is not 0 and the output folder is as it was.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use tinyc::Module;
use tinyc::codegen::{self, CodegenError};
use tinyc::compile::{CompileOptions, Compiled, compile, input_specs, model_name};
use tinyc::emit::{Facts, emit_with};
use tinyc::ir::print::print as text_of;
use tinyc::passes::PIPELINE;
use tinyc::report::build::Emitted;
use tinyc::report::{Budgets, BuildReport, FileRow, Footprint, memory};
use tinyc::samples::{SampleFile, Samples, find_beside};
use tinyc::target::{Budget, Target};

use super::build_several;
use super::output::{note, print, print_json};
use super::progress::Bar;
use super::shared::{QuantArgs, print_notes, ram_facts};

/// The module right after import, among the names for `--dump-ir-after`.
const IMPORT: &str = "import";

/// Arguments of `tinyc build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The model: an .onnx file. Several, which never run at once, share one arena: each is
    /// called after its file, or NAME with NAME=FILE
    #[arg(required = true, value_name = "MODEL")]
    pub model: Vec<PathBuf>,
    /// The chip: a name that `tinyc targets` lists, or a .toml file
    #[arg(long, value_name = "NAME|FILE")]
    pub target: String,
    /// Folder of the crate; an earlier build in it is replaced
    /// [default: MODEL-TARGET in the current folder]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Name of the crate [default: that of the model file]
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub budgets: BudgetArgs,
    #[command(flatten)]
    pub quant: QuantArgs,
    /// Also build firmware for the target and compute its deepest stack and its
    /// RAM in all (needs cargo and the Rust target)
    #[arg(long)]
    pub stack: bool,
    /// Print the IR on standard error after a pass, or after `import`; can be repeated
    #[arg(long, value_name = "PASS")]
    pub dump_ir_after: Vec<String>,
    /// Print JSON for machines (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// The shares of the chip's memories.
#[derive(Debug, Clone, Copy, Args)]
pub struct BudgetArgs {
    /// Flash that the model may use: a share or bytes
    #[arg(long, value_name = "BYTES|%", default_value = "80%")]
    budget_flash: Budget,
    /// RAM that the arena may use: a share of its region, or bytes; divided over several
    /// regions, a share of each, or so many bytes in all
    #[arg(long, value_name = "BYTES|%", default_value = "80%")]
    budget_ram: Budget,
}

impl BudgetArgs {
    /// As the library takes them.
    pub fn budgets(&self) -> Budgets {
        Budgets { flash: self.budget_flash, ram: self.budget_ram }
    }
}

/// Runs the verb.
pub fn run(args: &BuildArgs) -> anyhow::Result<ExitCode> {
    let [model] = &args.model[..] else { return build_several::run(args) };
    if let Some((name, path)) = build_several::named(model) {
        bail!("{name}={path} names one of several models; for one: {path} --name {name}");
    }
    let target = Target::lookup(&args.target)?;
    let package = match &args.name {
        Some(name) => package(name)?,
        None => codegen::package_name(&model_name(model)),
    };
    check_passes(&args.dump_ir_after)?;
    let budgets = args.budgets.budgets();
    let options = args.quant.options(Some(&target))?.within(&budgets, &target);
    let compiled = compile(model, &options, &Bar::default(), &mut |pass, module| dump(args, pass, module))?;
    print_notes(&compiled);
    memory::check(&Footprint::of_chosen(&compiled), &target, &budgets, Target::builtin())?;

    let ram = args.stack.then(|| ram_facts(&compiled, &target)).transpose()?;
    let facts = Facts {
        ram: ram.as_ref().map(|(facts, _)| *facts),
        placement: match compiled.plan.parts.is_empty() {
            true => memory::placement(compiled.plan.arena_bytes as u64, &target, &budgets),
            false => None,
        },
        regions: memory::placements(&compiled.plan, &target),
    };
    let files = emit_with(&compiled, &target, &package, facts)?;
    let out_dir = args.out.clone().unwrap_or_else(|| format!("{}-{}", model_name(model), target.name).into());
    codegen::write::write(&out_dir, &files)?;
    let rows: Vec<FileRow> =
        files.0.iter().map(|(path, text)| FileRow { path: path.clone(), bytes: text.len() as u64 }).collect();
    let report = BuildReport::new(
        &compiled,
        &Emitted {
            model,
            target: &target,
            budgets: &budgets,
            package: &package,
            out_dir: &out_dir,
            files: &rows,
            ram: ram.as_ref().map(|(facts, _)| *facts),
            stack: ram.as_ref().map(|(_, stack)| stack),
        },
    );
    if args.json {
        print_json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The samples that a compilation used or could have used: those of the user,
/// or those beside the model. `None` where there are none.
pub fn real_samples(
    model: &Path,
    options: &CompileOptions,
    compiled: &Compiled,
) -> anyhow::Result<Option<Samples>> {
    let Some(path) = options.calib.clone().or_else(|| find_beside(model)) else { return Ok(None) };
    let specs = input_specs(&compiled.module);
    Ok(Some(Samples::bind(SampleFile::open(&path)?, &specs, &compiled.quant_file.preprocess)?))
}

/// Prints the module on standard error if it is to be seen after a pass.
pub fn dump(args: &BuildArgs, pass: &str, module: &Module) {
    if args.dump_ir_after.iter().any(|wanted| wanted == pass) {
        note(format_args!("after {pass}:\n{}", text_of(&module.graph, &module.quant)));
    }
}

/// The crate's name as asked for.
pub fn package(name: &str) -> anyhow::Result<String> {
    let suggestion = codegen::package_name(name);
    if suggestion != name {
        bail!(CodegenError::PackageName { given: name.to_owned(), suggestion });
    }
    Ok(suggestion)
}

/// Whether the passes exist after which the IR is to be printed.
pub fn check_passes(wanted: &[String]) -> anyhow::Result<()> {
    let known: Vec<&str> = std::iter::once(IMPORT).chain(PIPELINE.iter().map(|pass| pass.name)).collect();
    match wanted.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => bail!("there is no pass '{name}' for --dump-ir-after; there are: {}", known.join(", ")),
        None => Ok(()),
    }
}
