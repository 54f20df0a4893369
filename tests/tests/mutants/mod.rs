//! Plans with one buffer moved, and by plain loops whether that destroys anything.

use tinyc::ir::ValueId;
use tinyc::lower::Kernel;
use tinyc::lower::sweep::RowOrder;
use tinyc::plan::{ArenaRange, Buffer, BufferKind, Plan, PlannedCall, Work};

/// Moves one buffer, everywhere that the plan mentions it.
pub fn moved(plan: &Plan, buffer: usize, offset: usize) -> Plan {
    let mut plan = plan.clone();
    let target = plan.buffers[buffer].clone();
    let values: Vec<ValueId> = match &target.kind {
        BufferKind::Values(values) => values.clone(),
        BufferKind::Row { .. } | BufferKind::Scratch { .. } => vec![],
    };
    let new = ArenaRange { offset, bytes: target.bytes };
    plan.buffers[buffer].offset = offset;
    for io in plan.inputs.iter_mut().chain(&mut plan.outputs) {
        if values.contains(&io.value) {
            io.range = new;
        }
    }
    for step in &mut plan.steps {
        let ours = values.contains(&step.output);
        if ours {
            step.output_range = new;
        }
        for operand in step.shown.iter_mut().filter(|o| values.contains(&o.value)) {
            operand.range = new;
        }
        if let Work::Whole(calls) = &mut step.work {
            for call in calls {
                if ours {
                    call.output = new;
                }
                for operand in call.inputs.iter_mut().filter(|o| values.contains(&o.value)) {
                    operand.range = new;
                }
                if target.range() == call.scratch && values.is_empty() {
                    call.scratch = new;
                }
            }
        }
    }
    plan
}

/// Whether a buffer at another offset would destroy something: compared with
/// every other buffer, by the lives of the original plan.
pub fn destroys(plan: &Plan, buffer: usize, offset: usize) -> bool {
    let mut this = plan.buffers[buffer].clone();
    this.offset = offset;
    this.range().end() > plan.arena_bytes
        || plan.buffers.iter().enumerate().any(|(i, other)| {
            i != buffer
                && this.first <= other.last
                && other.first <= this.last
                && this.range().overlaps(&other.range())
                && !consumed(plan, &this, other)
                && !consumed(plan, other, &this)
        })
}

/// Whether `dying` is read row by row by the one call that makes `born`, and every
/// row that a row of the output needs outlives the writing of that row.
fn consumed(plan: &Plan, dying: &Buffer, born: &Buffer) -> bool {
    let holds = |buffer: &Buffer, value: ValueId| matches!(&buffer.kind, BufferKind::Values(values) if values.contains(&value));
    if dying.last != born.first {
        return false;
    }
    plan.steps.iter().enumerate().any(|(index, step)| match step.work.calls() {
        [call] => {
            index + 1 == born.first.index()
                && holds(born, step.output)
                && call.inputs.len() == 1
                && holds(dying, call.inputs[0].value)
                && rows_outlive(call, dying.offset, born.offset)
        }
        _ => false,
    })
}

fn rows_outlive(call: &PlannedCall, from: usize, to: usize) -> bool {
    // [rows, bytes a row] of input and output, [kernel, stride, pad, dilation], one pixel from one.
    let (input, output, [kernel, stride, pad, dilation], columns) = match &call.kernel {
        Kernel::Conv2d(p) => (
            [p.in_h, p.in_w * p.in_c],
            [p.out_h, p.out_w * p.out_c],
            [p.kernel_h, p.stride_h, p.pad_top, p.dilation_h],
            (p.kernel_h * p.kernel_w * p.stride_h * p.stride_w == 1).then_some(p.in_w),
        ),
        Kernel::Depthwise(p) => (
            [p.in_h, p.in_w * p.in_c],
            [p.out_h, p.out_w * p.out_c],
            [p.kernel_h, p.stride_h, p.pad_top, p.dilation_h],
            (p.kernel_h * p.kernel_w * p.stride_h * p.stride_w == 1).then_some(p.in_w),
        ),
        Kernel::MaxPool(p) => (
            [p.in_h, p.in_w * p.in_c],
            [p.out_h, p.out_w * p.in_c],
            [p.kernel_h, p.stride_h, p.pad_top, p.dilation_h],
            None,
        ),
        Kernel::AvgPool(p) => (
            [p.in_h, p.in_w * p.in_c],
            [p.out_h, p.out_w * p.in_c],
            [p.kernel_h, p.stride_h, p.pad_top, p.dilation_h],
            None,
        ),
        _ => return false,
    };
    let backward = call.order == RowOrder::Backward;
    let per_row = columns.filter(|_| !backward).unwrap_or(1);
    let ([in_rows, in_row], [out_rows, out_row]) =
        ([input[0] * per_row, input[1] / per_row], [output[0] * per_row, output[1] / per_row]);
    (0..out_rows).all(|y| {
        let written = if backward { y..out_rows } else { 0..y + 1 };
        let written = to + written.start * out_row..to + written.end * out_row;
        (0..kernel).all(|tap| {
            let row = (y * stride + tap * dilation) as isize - pad as isize;
            if row < 0 || row >= in_rows as isize {
                return true;
            }
            let start = from + row as usize * in_row;
            start + in_row <= written.start || written.end <= start
        })
    })
}
