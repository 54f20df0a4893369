//! The plan's stable text form, for snapshots and for reading.
//!
//! In: a plan. Out: its buffers with lives and offsets, its steps with kernels
//! and ranges. Invariant: equal plans print equal text on every machine.

use std::fmt;

use super::{ArenaRange, BufferKind, Plan, Work, family};
use crate::lower::sweep::RowOrder;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "plan {:?}: arena {} B, live bound {} B",
            self.name, self.arena_bytes, self.live_bound_bytes
        )?;
        if let Some(step) = self.peak_step {
            write!(f, " at step {}", step.index())?;
        }
        writeln!(f, ", weights {} B", self.weights.len())?;
        for part in &self.parts {
            let range = ArenaRange { offset: part.start, bytes: part.bytes };
            writeln!(f, "  part   {:?} {range} of at most {} B", part.region, part.limit_bytes)?;
        }
        for input in &self.inputs {
            let kept = if input.overwritten { "overwritten" } else { "kept" };
            writeln!(
                f,
                "  input  {:?} {} {} {} ({kept})",
                input.name, input.shape, input.params, input.range
            )?;
        }
        for (index, buffer) in self.buffers.iter().enumerate() {
            write!(f, "  b{index} {} {}..={}", buffer.range(), buffer.first, buffer.last)?;
            match &buffer.kind {
                BufferKind::Values(values) => {
                    values.iter().try_for_each(|v| write!(f, " {v}"))?;
                    writeln!(f)?;
                }
                BufferKind::Row { values, row } => {
                    values.iter().try_for_each(|v| write!(f, " {v}"))?;
                    writeln!(f, " row {row}")?;
                }
                BufferKind::Scratch { step, call } => {
                    writeln!(f, " scratch of step {} call {call}", step.index())?;
                }
            }
        }
        for (index, step) in self.steps.iter().enumerate() {
            write!(f, "  step {index} {} {:?} -> {}", step.onnx_op, step.name, step.output)?;
            writeln!(f, " {} (live {} B, {} MACs)", step.output_range, step.live_bytes, step.macs)?;
            for call in step.work.calls() {
                write!(f, "    {}(", family::family(&call.kernel).name)?;
                for (position, operand) in call.inputs.iter().enumerate() {
                    let comma = if position > 0 { ", " } else { "" };
                    write!(f, "{comma}{} {}", operand.value, operand.range)?;
                }
                write!(f, ")")?;
                if call.order == RowOrder::Backward {
                    write!(f, " backward")?;
                }
                if let Work::Rows(work) = &step.work {
                    write!(f, " by rows, {} at a time of {}", work.units_per_step, work.units)?;
                }
                if call.consts.bytes > 0 {
                    write!(f, " consts {}", call.consts)?;
                }
                if call.scratch.bytes > 0 {
                    write!(f, " scratch {}", call.scratch)?;
                }
                writeln!(f, "\n      {}", family::params_text(&call.kernel))?;
            }
        }
        if let Some(pushed) = &self.pushed {
            write!(f, "  pushed, {} rows, table {}; steps after each:", pushed.rows, pushed.table)?;
            pushed.after.iter().try_for_each(|count| write!(f, " {count}"))?;
            writeln!(f)?;
        }
        if let Some(slide) = &self.slide {
            writeln!(
                f,
                "  slides by {} of {} rows, {} MACs a window; kept:",
                slide.hop, slide.rows, slide.window_macs
            )?;
            for kept in &slide.kept {
                let value = self.row_tables[kept.table].value;
                let range = kept.range(&self.row_tables);
                writeln!(
                    f,
                    "    {value} rows {}..{} at {range}, moved by {}",
                    kept.first, kept.end, kept.shift
                )?;
            }
        }
        for cascade in &self.cascades {
            write!(
                f,
                "  cascade of steps {}..{}:",
                cascade.first.index(),
                cascade.first.index() + cascade.stages
            )?;
            for (position, (stage, count)) in cascade.order.iter().enumerate() {
                write!(f, " {stage}x{count}")?;
                cascade.starts.get(position).iter().try_for_each(|start| write!(f, "@{start}"))?;
            }
            writeln!(f)?;
        }
        for output in &self.outputs {
            writeln!(f, "  output {:?} {} {} {}", output.name, output.shape, output.params, output.range)?;
        }
        Ok(())
    }
}
