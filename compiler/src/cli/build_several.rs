//! `tinyc build` with several models: one crate, one arena.
//!
//! In: model files, named or called after themselves. Out: a crate on disk. Invariant: as
//! for one model, everything is decided before anything is written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use tinyc::codegen::{self, CodegenError, RamFacts, module_name};
use tinyc::compile::{CompileOptions, compile, model_name};
use tinyc::emit::{Named, emit_several};
use tinyc::plan::regions::Regions;
use tinyc::report::build::Emitted;
use tinyc::report::{BuildReport, FileRow, SeveralReport, TogetherRow, memory};
use tinyc::several::{Member, fit, plans};
use tinyc::stack::StackBound;
use tinyc::target::Target;

use super::build::{BuildArgs, check_passes, dump, package};
use super::output::{note, print, print_json};
use super::per_model::Of;
use super::progress::Bar;
use super::shared::{print_notes, ram_facts};

/// A model as given: `FILE`, or `NAME=FILE`.
struct Given {
    /// The name of its module.
    name: String,
    /// Its file.
    path: PathBuf,
    /// Whether the name was given.
    named: bool,
}

/// The two parts of `NAME=FILE`; a file that exists is one, whatever its name holds.
pub fn named(text: &Path) -> Option<(&str, &str)> {
    text.to_str().filter(|_| !text.exists()).and_then(|text| text.split_once('='))
}

impl Given {
    fn parse(text: &Path) -> anyhow::Result<Given> {
        let Some((name, path)) = named(text) else {
            return Ok(Given { name: module_name(&model_name(text)), path: text.to_owned(), named: false });
        };
        let suggestion = module_name(name);
        if suggestion != name {
            bail!(CodegenError::ModuleName { given: name.to_owned(), suggestion });
        }
        Ok(Given { name: name.to_owned(), path: path.into(), named: true })
    }
}

/// The models, each with a name of its own.
fn models(args: &BuildArgs) -> anyhow::Result<Vec<Given>> {
    let models = args.model.iter().map(|text| Given::parse(text)).collect::<anyhow::Result<Vec<_>>>()?;
    for (index, second) in models.iter().enumerate() {
        if let Some(first) = models[..index].iter().find(|first| first.name == second.name) {
            let (name, a, b) = (&second.name, first.path.display(), second.path.display());
            bail!(
                "two models are called '{name}', {a} and {b}: name them, for instance {name}={a} {name}_2={b}"
            );
        }
    }
    Ok(models)
}

/// Runs the verb.
pub fn run(args: &BuildArgs) -> anyhow::Result<ExitCode> {
    let target = Target::lookup(&args.target)?;
    let models = models(args)?;
    let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
    let package = match &args.name {
        Some(name) => package(name)?,
        None => codegen::package_name(&names.join("_")),
    };
    check_passes(&args.dump_ir_after)?;
    let budgets = args.budgets.budgets();
    let mut options = Vec::new();
    for name in &names {
        let of = Of::One { name, all: &names };
        let options_of = args.quant.options_of(of, Some(&target))?;
        if options_of.regions.prefers_fast() {
            bail!(
                "'{name}': --ram-regions split is for one model: several share one arena, which lies in one region; leave it out"
            );
        }
        options.push(CompileOptions {
            limits: budgets.limits(&target),
            regions: Regions::default(),
            ..options_of
        });
    }
    let mut members = Vec::new();
    for (model, options) in models.iter().zip(options) {
        let mut compiled =
            compile(&model.path, &options, &Bar::default(), &mut |pass, module| dump(args, pass, module))
                .with_context(|| format!("cannot compile {}", model.path.display()))?;
        if model.named {
            compiled.plan.name.clone_from(&model.name);
            compiled.module.graph.name.clone_from(&model.name);
        }
        members.push(Member { name: model.name.clone(), options, compiled });
    }
    fit(&mut members, &target, &budgets)?;
    for member in &members {
        if !member.compiled.module.notes.is_empty() || member.compiled.scales.is_guess() {
            note(format_args!("{}:", member.name));
        }
        print_notes(&member.compiled);
    }

    let ram: Vec<Option<(RamFacts, StackBound)>> = members
        .iter()
        .map(|member| args.stack.then(|| ram_facts(&member.compiled, &target)).transpose())
        .collect::<anyhow::Result<_>>()?;
    let facts = |index: usize| ram[index].as_ref().map(|(facts, _)| *facts);
    let named: Vec<Named<'_>> = members
        .iter()
        .enumerate()
        .map(|(index, member)| Named { name: &member.name, compiled: &member.compiled, ram: facts(index) })
        .collect();
    let arena_bytes = plans(&members).iter().map(|plan| plan.arena_bytes as u64).max().unwrap_or(0);
    let placement = memory::placement(arena_bytes, &target, &budgets);
    let files = emit_several(&named, &target, &package, placement.as_ref())?;
    let out_dir = args.out.clone().unwrap_or_else(|| format!("{}-{}", names.join("-"), target.name).into());
    codegen::write::write(&out_dir, &files)?;
    let rows: Vec<FileRow> =
        files.0.iter().map(|(path, text)| FileRow { path: path.clone(), bytes: text.len() as u64 }).collect();
    let all = Emitted {
        model: &out_dir,
        target: &target,
        budgets: &budgets,
        package: &package,
        out_dir: &out_dir,
        files: &rows,
        ram: None,
        stack: None,
    };
    let row = |(index, (member, given)): (usize, (&Member, &Given))| {
        let folder = format!("src/{}/", member.name);
        let own: Vec<FileRow> = rows.iter().filter(|row| row.path.starts_with(&folder)).cloned().collect();
        let stack = ram[index].as_ref().map(|(_, stack)| stack);
        let emitted = Emitted { model: &given.path, files: &own, ram: facts(index), stack, ..all };
        TogetherRow { name: member.name.clone(), report: BuildReport::new(&member.compiled, &emitted) }
    };
    let reports = members.iter().zip(&models).enumerate().map(row).collect();
    let report = SeveralReport::new(&members, reports, &all);
    if args.json {
        print_json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}
