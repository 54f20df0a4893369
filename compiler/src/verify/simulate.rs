//! Runs a plan in this process with the runtime's own kernels.
//!
//! In: a plan and the codes of its inputs. Out: the codes of its outputs, and on
//! request of every step. Invariant: the arena and the order are the plan's, so
//! that what it overwrites is overwritten here too; the emitted crate makes the
//! very same calls.

use std::collections::BTreeMap;
use std::ops::Range;

use tinyc_runtime::kernels::{
    add, avg_pool, conv_lanes, conv_tile, conv_tile_borders, conv_window, conv_window_borders, conv_winograd,
    conv2d, conv2d_borders, copy, dense, dense_lanes, dense_tile, depthwise, depthwise_lanes,
    depthwise_lines, depthwise_quad, depthwise_window, join, lut, max_pool, mul, pool_rows, softmax, sparse,
};
use tinyc_runtime::rows;
use tinyc_runtime::view::{Bytes, Consts};

use crate::lower::rows::{MOST_UNITS, MOST_WINDOW};
use crate::lower::sweep::RowOrder;
use crate::lower::{BorderedConv, Kernel};
use crate::plan::{ArenaRange, Event, Plan, PlannedCall, RowWork, Step, StepId, Work};

/// The alignment of arena and weights in the emitted crate.
const ALIGN: usize = 16;

/// An arena and weights to run a plan on; see the module's text.
#[derive(Debug, Clone)]
pub struct Simulator<'a> {
    plan: &'a Plan,
    arena: Vec<i8>,
    weights: Vec<u8>,
}

impl<'a> Simulator<'a> {
    /// An arena of zeros.
    pub fn new(plan: &'a Plan) -> Self {
        // Room to start at an aligned byte, wherever the vectors lie.
        let arena = vec![0; plan.arena_bytes + ALIGN];
        let mut weights = vec![0; plan.weights.len() + ALIGN];
        let start = skew(weights.as_ptr().addr());
        weights[start..start + plan.weights.len()].copy_from_slice(&plan.weights);
        Simulator { plan, arena, weights }
    }

    /// Runs one sample; `inputs` and the result are in the plan's order.
    ///
    /// # Panics
    /// If the inputs are not as many, or not as long, as the plan says.
    pub fn run(&mut self, inputs: &[&[i8]]) -> Vec<Vec<i8>> {
        self.run_traced(inputs, |_, _, _| ())
    }

    /// Runs one sample and shows each step's output right after the step, or after
    /// the cascade that it is in, views included. Rows that are
    /// not made, as nobody needs them, are absent at the end.
    ///
    /// # Panics
    /// As [`Simulator::run`].
    pub fn run_traced(
        &mut self,
        inputs: &[&[i8]],
        mut sink: impl FnMut(StepId, &Step, &[i8]),
    ) -> Vec<Vec<i8>> {
        let plan = self.plan;
        if let (Some(slide), [window]) = (&plan.slide, inputs) {
            // What came before the window does not matter; here it is zeros.
            let frame = plan.row_tables[slide.kept[slide.input].table].row_bytes * slide.hop;
            let mut stream = vec![0; slide.steps() * frame - window.len()];
            stream.extend_from_slice(window);
            let (earlier, last) = stream.split_at(stream.len() - frame);
            for frame in earlier.chunks(frame) {
                self.step(frame, &mut |_, _, _| ());
            }
            return self.step(last, &mut sink);
        }
        self.once(inputs, &mut sink)
    }

    /// One step of a window that slides, with its new rows; the result is that of the last
    /// rows that came, as many as the window has.
    ///
    /// # Panics
    /// If the plan's window does not slide, or the rows are not as many as it moves by.
    pub fn step(&mut self, frame: &[i8], sink: &mut impl FnMut(StepId, &Step, &[i8])) -> Vec<Vec<i8>> {
        let plan = self.plan;
        let slide = plan.slide.as_ref().expect("the window slides");
        let start = skew(self.arena.as_ptr().addr());
        let arena = &mut self.arena[start..start + plan.arena_bytes];
        for kept in &slide.kept {
            let (range, by) = (kept.range(&plan.row_tables), kept.shift_bytes(&plan.row_tables));
            arena.copy_within(range.offset + by..range.end(), range.offset);
        }
        let newest = slide.kept[slide.input].range(&plan.row_tables).end();
        arena[newest - frame.len()..newest].copy_from_slice(frame);
        self.once(&[frame], sink)
    }

    /// Everything that a run does.
    fn once(&mut self, inputs: &[&[i8]], sink: &mut impl FnMut(StepId, &Step, &[i8])) -> Vec<Vec<i8>> {
        let plan = self.plan;
        let start = skew(self.arena.as_ptr().addr());
        let arena = &mut self.arena[start..start + plan.arena_bytes];
        let constants = skew(self.weights.as_ptr().addr());
        let weights = &self.weights[constants..constants + plan.weights.len()];
        assert_eq!(inputs.len(), plan.inputs.len(), "one slice of codes for each input");
        for (io, codes) in
            plan.inputs.iter().zip(inputs).filter(|_| plan.pushed.is_none() && plan.slide.is_none())
        {
            arena[io.range.offset..io.range.end()].copy_from_slice(codes);
        }
        // Rows of a cascade are gone when it ends: they are kept here to be shown.
        let mut kept: BTreeMap<StepId, Vec<i8>> = BTreeMap::new();
        let events = plan.events();
        for (position, event) in events.iter().enumerate() {
            if let (Event::Push(row), Some(pushed)) = (event, &plan.pushed) {
                let place = plan.row_tables[pushed.table].row(*row);
                let codes = &inputs[0][row * place.bytes..(row + 1) * place.bytes];
                arena[place.offset..place.end()].copy_from_slice(codes);
            }
            let Some(id) = event.step() else { continue };
            let step = &plan.steps[id.index()];
            match (&step.work, event) {
                (Work::Rows(work), Event::Rows(_, units)) => {
                    by_rows(plan, work, units.clone(), arena, weights);
                    let shown = kept.entry(id).or_default();
                    for row in units.clone().filter_map(|unit| work.form.writes(unit)) {
                        let place = plan.row_tables[work.output].row(row);
                        shown.extend_from_slice(&arena[place.offset..place.end()]);
                    }
                }
                (work, _) => {
                    work.calls().iter().for_each(|planned| call(planned, arena, weights));
                    let shown = step.output_range;
                    sink(id, step, &arena[shown.offset..shown.end()]);
                }
            }
            let ends = !matches!(events.get(position + 1), Some(Event::Rows(..) | Event::Push(_)));
            if ends {
                for (id, shown) in std::mem::take(&mut kept) {
                    sink(id, &plan.steps[id.index()], &shown);
                }
            }
        }
        plan.outputs.iter().map(|io| arena[io.range.offset..io.range.end()].to_vec()).collect()
    }
}

/// Bytes from an address to the next aligned one.
fn skew(address: usize) -> usize {
    address.next_multiple_of(ALIGN) - address
}

/// One kernel call.
fn call(planned: &PlannedCall, arena: &mut [i8], weights: &[u8]) {
    let arena = Bytes::from_mut(arena);
    let at = |range: ArenaRange| arena.sub(range.offset, range.bytes);
    let operand = |position: usize| at(planned.inputs[position].range);
    let consts = Consts::new(&weights[planned.consts.offset..planned.consts.end()]);
    let (output, scratch) = (at(planned.output), at(planned.scratch));
    match &planned.kernel {
        Kernel::Dense(p) => dense::run(p, consts, operand(0), output, scratch),
        Kernel::DenseTile(p) => dense_tile::run(p, consts, operand(0), output, scratch),
        Kernel::ConvWinograd(p) => conv_winograd::run(p, consts, operand(0), output, scratch),
        Kernel::DepthwiseQuad(p) => match planned.order {
            RowOrder::Forward => depthwise_quad::run::<3>(&p.layer(), consts, operand(0), output, scratch),
            RowOrder::Backward => {
                depthwise_quad::run_back::<3>(&p.layer(), consts, operand(0), output, scratch)
            }
        },
        // The portable bodies go by the parameters.
        Kernel::DepthwiseLines(p) => {
            let run = match (planned.order, p.down()) {
                (RowOrder::Forward, false) => depthwise_lines::run::<1, 1, 1, false>,
                (RowOrder::Forward, true) => depthwise_lines::run::<1, 1, 1, true>,
                (RowOrder::Backward, false) => depthwise_lines::run_back::<1, 1, 1, false>,
                (RowOrder::Backward, true) => depthwise_lines::run_back::<1, 1, 1, true>,
            };
            run(p, consts, operand(0), output, scratch);
        }
        Kernel::Lut(p) => lut::run(p, consts, operand(0), output, scratch),
        Kernel::Softmax(p) => softmax::run(p, consts, operand(0), output, scratch),
        Kernel::Add(p) => add::run(p, operand(0), operand(1), output, scratch),
        Kernel::Mul(p) => mul::run(p, operand(0), operand(1), output, scratch),
        Kernel::Join(p) => {
            let operands: Vec<Bytes<'_>> = (0..planned.inputs.len()).map(operand).collect();
            join::step(p, &operands, output, p.rows * p.width);
        }
        Kernel::Copy(p) => copy::run(p, operand(0), output, scratch),
        Kernel::Conv2d(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in ordered(planned.order, p.out_h) {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                conv2d::step(p, consts, &window, row(output, oy, p.out_w * p.out_c), scratch);
            }
        }
        Kernel::ConvTile(p) if p.pointwise() => {
            conv_tile::run::<1>(&p.layer(), consts, operand(0), output, scratch)
        }
        Kernel::ConvTile(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in 0..p.out_h {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                let to = row(output, oy, p.out_w * p.out_c);
                conv_tile::step(&p.layer(), consts, p.out_w, &window, &[to], scratch);
            }
        }
        Kernel::ConvWindow(p) if p.pointwise() => {
            conv_window::run::<1>(p, consts, operand(0), output, scratch)
        }
        Kernel::ConvWindow(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in 0..p.out_h {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                let to = row(output, oy, p.out_w * p.out_c);
                conv_window::step(p, consts, p.out_w, &window, &[to], scratch);
            }
        }
        Kernel::ConvLanes(p) if p.pointwise() => conv_lanes::run::<1>(p, consts, operand(0), output, scratch),
        Kernel::ConvLanes(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in 0..p.out_h {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                let to = row(output, oy, p.out_w * p.out_c);
                conv_lanes::step(p, consts, p.out_w, &window, to, scratch);
            }
        }
        Kernel::DepthwiseLanes(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, 3, p.dilation_h);
            for oy in ordered(planned.order, p.out_h) {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                let window = [0, 1, 2].map(|row| window.get(row).copied().flatten());
                depthwise_lanes::step(p, consts, &window, row(output, oy, p.out_w * p.in_c), scratch);
            }
        }
        Kernel::DenseLanes(p) => dense_lanes::run(p, consts, operand(0), output, scratch),
        Kernel::Bordered(p) => bordered(&p.conv, consts, operand(0), output, scratch),
        Kernel::Sparse(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in 0..p.out_h {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                sparse::step(p, consts, &window, row(output, oy, p.out_w * p.out_c), scratch);
            }
        }
        Kernel::Depthwise(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in ordered(planned.order, p.out_h) {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                depthwise::step(p, consts, &window, row(output, oy, p.out_w * p.out_c), scratch);
            }
        }
        Kernel::DepthwiseWindow(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in ordered(planned.order, p.out_h) {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                depthwise_window::step(p, consts, &window, row(output, oy, p.out_w * p.in_c), scratch);
            }
        }
        Kernel::MaxPool(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in ordered(planned.order, p.out_h) {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                max_pool::step(p, &window, row(output, oy, p.out_w * p.in_c), scratch);
            }
        }
        Kernel::AvgPool(p) => {
            let input = Rows::new(operand(0), p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in ordered(planned.order, p.out_h) {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                let to = row(output, oy, p.out_w * p.in_c);
                avg_pool::step(p, consts, &window, avg_pool::counted_rows(p, oy), to, scratch);
            }
        }
    }
}

/// One call of a convolution whose biases differ at borders.
fn bordered(
    conv: &BorderedConv,
    consts: Consts<'_>,
    input: Bytes<'_>,
    output: Bytes<'_>,
    scratch: Bytes<'_>,
) {
    let rows = |in_row: usize, in_h: usize, kernel: usize, dilation: usize| {
        Rows::new(input, in_row, in_h, kernel, dilation)
    };
    match conv {
        BorderedConv::Conv2d(p) => {
            let input = rows(p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in 0..p.out_h {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                let to = row(output, oy, p.out_w * p.out_c);
                conv2d_borders::step(p, consts, oy, &window, to, scratch);
            }
        }
        BorderedConv::ConvTile(p) => {
            let input = rows(p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in 0..p.out_h {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                let to = row(output, oy, p.out_w * p.out_c);
                conv_tile_borders::step(&p.layer(), consts, oy, &window, &[to], scratch);
            }
        }
        BorderedConv::ConvWindow(p) => {
            let input = rows(p.in_w * p.in_c, p.in_h, p.kernel_h, p.dilation_h);
            for oy in 0..p.out_h {
                let window = input.window(rows::first(oy, p.stride_h, p.pad_top));
                let to = row(output, oy, p.out_w * p.out_c);
                conv_window_borders::step(p, consts, oy, &window, &[to], scratch);
            }
        }
    }
}

/// A table of rows as kernels take it, from the first byte of its part of the arena on.
struct Places {
    start: usize,
    offsets: Vec<u16>,
    shift: u32,
    row_bytes: usize,
}

/// Some units of a step that runs row by row.
fn by_rows(plan: &Plan, work: &RowWork, units: Range<usize>, arena: &mut [i8], weights: &[u8]) {
    /// Windows of any kernel fit.
    const WINDOW: usize = MOST_WINDOW;
    let tables: Vec<Places> = work
        .inputs
        .iter()
        .chain([&work.output])
        .map(|&table| {
            let table = &plan.row_tables[table];
            let start = plan.start_of(table);
            let shift = table.shift(start);
            let offsets = table.offsets.iter().map(|o| ((o - start) >> shift) as u16).collect();
            Places { start, offsets, shift, row_bytes: table.row_bytes }
        })
        .collect();
    let bytes = arena.len();
    let arena = Bytes::from_mut(arena);
    let rows = |position: usize| {
        let Places { start, offsets, shift, row_bytes } = &tables[position];
        tinyc_runtime::rows::Rows::new(arena.sub(*start, bytes - start), offsets, *shift, *row_bytes)
    };
    let (input, output) = (rows(0), rows(work.inputs.len()));
    let planned = &work.call;
    let consts = Consts::new(&weights[planned.consts.offset..planned.consts.end()]);
    let private = work.scratch(units.start);
    let scratch = arena.sub(private.offset, private.bytes);
    let part = (units.start, units.len());
    let bytes = work.form.walk.out_row_bytes;
    match &planned.kernel {
        Kernel::Conv2d(p) => conv2d::run_rows::<WINDOW>(p, consts, input, output, part, scratch),
        Kernel::Depthwise(p) => depthwise::run_rows::<WINDOW>(p, consts, input, output, part, scratch),
        Kernel::ConvTile(p) => {
            conv_tile::run_rows::<WINDOW, MOST_UNITS>(&p.layer(), consts, input, output, part, scratch);
        }
        Kernel::ConvWindow(p) => {
            conv_window::run_rows::<WINDOW, MOST_UNITS>(p, consts, input, output, part, scratch);
        }
        Kernel::DepthwiseWindow(p) => {
            depthwise_window::run_rows::<WINDOW>(p, consts, input, output, part, scratch);
        }
        Kernel::ConvLanes(p) => conv_lanes::run_rows::<WINDOW>(p, consts, input, output, part, scratch),
        Kernel::DepthwiseLanes(p) => depthwise_lanes::run_rows(p, consts, input, output, part, scratch),
        Kernel::DenseLanes(_) => unreachable!("it needs whole tensors"),
        Kernel::Bordered(p) => match &p.conv {
            BorderedConv::Conv2d(p) => {
                conv2d_borders::run_rows::<WINDOW>(p, consts, input, output, part, scratch);
            }
            BorderedConv::ConvTile(p) => {
                let layer = p.layer();
                conv_tile_borders::run_rows::<WINDOW, MOST_UNITS>(
                    &layer, consts, input, output, part, scratch,
                );
            }
            BorderedConv::ConvWindow(p) => {
                conv_window_borders::run_rows::<WINDOW, MOST_UNITS>(p, consts, input, output, part, scratch);
            }
        },
        Kernel::Sparse(p) => sparse::run_rows::<WINDOW>(p, consts, input, output, part, scratch),
        Kernel::ConvWinograd(p) => conv_winograd::run_rows(p, consts, input, output, part, scratch),
        Kernel::DepthwiseQuad(p) => {
            depthwise_quad::run_rows(&p.layer(), consts, input, output, part, scratch);
        }
        Kernel::DepthwiseLines(p) if p.down() => {
            depthwise_lines::run_rows::<1, 1, 1, true>(p, consts, input, output, part, scratch);
        }
        Kernel::DepthwiseLines(p) => {
            depthwise_lines::run_rows::<1, 1, 1, false>(p, consts, input, output, part, scratch);
        }
        Kernel::MaxPool(p) => max_pool::run_rows::<WINDOW>(p, input, output, part, scratch),
        Kernel::AvgPool(p) if work.form.gathers => {
            pool_rows::run_rows(p, consts, input, output, part, scratch);
        }
        Kernel::AvgPool(p) => avg_pool::run_rows::<WINDOW>(p, consts, input, output, part, scratch),
        Kernel::Add(p) => add::run_rows(p, input, rows(1), output, part, bytes),
        Kernel::Mul(p) => mul::run_rows(p, input, rows(1), output, part, bytes),
        Kernel::Join(p) => {
            for row in units {
                let operands: Vec<Bytes<'_>> =
                    (0..work.inputs.len()).map(|at| rows(at).run(row, 1)).collect();
                join::step(p, &operands, output.run(row, 1), p.width);
            }
        }
        Kernel::Lut(_) => lut::run_rows(consts, input, output, part, bytes),
        // Kernels without rows; the verifier refuses them here.
        Kernel::Dense(_) | Kernel::DenseTile(_) | Kernel::Softmax(_) | Kernel::Copy(_) => {}
    }
}

/// The output rows of a call in its order.
fn ordered(order: RowOrder, rows: usize) -> impl Iterator<Item = usize> {
    (0..rows).map(move |index| match order {
        RowOrder::Forward => index,
        RowOrder::Backward => rows - 1 - index,
    })
}

fn row(output: Bytes<'_>, index: usize, bytes: usize) -> Bytes<'_> {
    output.sub(index * bytes, bytes)
}

/// The rows of an input, from which windows of any height are taken: the height
/// is a constant of the emitted call, but known only at run time here.
struct Rows<'a> {
    input: Bytes<'a>,
    row_bytes: usize,
    rows: usize,
    kernel_h: usize,
    dilation: usize,
}

impl<'a> Rows<'a> {
    fn new(input: Bytes<'a>, row_bytes: usize, rows: usize, kernel_h: usize, dilation: usize) -> Self {
        Rows { input, row_bytes, rows, kernel_h, dilation }
    }

    fn window(&self, first: isize) -> Vec<Option<Bytes<'a>>> {
        let at = |tap: usize| usize::try_from(first + (tap * self.dilation) as isize).ok();
        (0..self.kernel_h)
            .map(|tap| at(tap).filter(|&y| y < self.rows).map(|y| row(self.input, y, self.row_bytes)))
            .collect()
    }
}
