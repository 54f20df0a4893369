//! The text of the runtime's own files, for the compiler to copy.
//!
//! In: the files as they are compiled here. Out: [`SOURCES`]. Invariant: what
//! is emitted is what was tested, byte for byte. `lib.rs` and the `mod.rs`
//! files are not among them: an emitted crate gets its own, with the modules
//! that its model needs.

/// One file of the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Its path below the runtime's folder, with `/` between components.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The paths of the files that it uses directly. [`ARCH`] stands for the
    /// file of `arch/` that the chip asks for.
    pub needs: &'static [&'static str],
}

/// In [`Source::needs`]: the generated `arch/mod.rs`, which re-exports the file
/// of `arch/` that the chip asks for (all of its items).
pub const ARCH: &str = "arch/mod.rs";

macro_rules! sources {
    ($($path:literal needs [$($need:expr),*],)*) => {
        /// Every file of the runtime that can be copied, sorted by path.
        pub const SOURCES: &[Source] =
            &[$(Source { path: $path, text: include_str!($path), needs: &[$($need),*] }),*];
    };
}

sources! {
    "arch/armv6m.rs" needs ["arch/portable.rs", "requant.rs", "view.rs"],
    "arch/armv7m.rs" needs ["arch/portable.rs", "view.rs"],
    "arch/cortex_m7_dsp.rs" needs [
        "arch/cortex_m_dsp.rs", "arch/m7_depthwise.rs", "arch/m7_row.rs", "arch/m7_tile.rs", "arch/m7_winograd.rs"
    ],
    "arch/cortex_m_dsp.rs" needs [
        "arch/dsp_columns.rs", "arch/dsp_depthwise.rs", "arch/dsp_elementwise.rs", "arch/dsp_pairs.rs", "arch/dsp_pool.rs", "arch/dsp_row.rs", "arch/dsp_tile.rs", "arch/dsp_winograd.rs",
        "arch/dsp_winograd_in.rs", "arch/dsp_winograd_out.rs", "arch/portable.rs",
        "requant.rs"
    ],
    "arch/dsp_columns.rs" needs ["arch/portable.rs", "view.rs"],
    "arch/dsp_depthwise.rs" needs ["arch/dsp_keep.rs", "arch/dsp_pairs.rs", "arch/portable.rs"],
    "arch/dsp_elementwise.rs" needs ["arch/portable.rs", "requant.rs", "view.rs"],
    "arch/dsp_keep.rs" needs [],
    "arch/dsp_lines.rs" needs [
        "arch/dsp_keep.rs", "arch/dsp_lines_open.rs", "arch/portable_lines.rs", "view.rs"
    ],
    "arch/dsp_lines_open.rs" needs [],
    "arch/dsp_pairs.rs" needs ["arch/dsp_keep.rs", "arch/portable.rs", "view.rs"],
    "arch/dsp_pool.rs" needs ["view.rs"],
    "arch/dsp_row.rs" needs ["arch/portable.rs", "view.rs"],
    "arch/dsp_tile.rs" needs ["arch/dsp_keep.rs", "arch/portable.rs", "view.rs"],
    "arch/dsp_unrolled.rs" needs ["arch/dsp_keep.rs", "arch/dsp_tile.rs", "arch/portable.rs", "view.rs"],
    "arch/dsp_winograd.rs" needs ["arch/portable.rs", "view.rs"],
    "arch/dsp_winograd_in.rs" needs ["view.rs"],
    "arch/dsp_winograd_out.rs" needs ["view.rs"],
    "arch/m7_depthwise.rs" needs [
        "arch/dsp_depthwise.rs", "arch/dsp_keep.rs", "arch/dsp_pairs.rs", "arch/portable.rs"
    ],
    "arch/m7_row.rs" needs ["arch/dsp_row.rs", "arch/portable.rs", "view.rs"],
    "arch/m7_tile.rs" needs ["arch/dsp_keep.rs", "arch/dsp_tile.rs", "arch/portable.rs", "view.rs"],
    "arch/m7_unrolled.rs" needs [
        "arch/dsp_keep.rs", "arch/dsp_tile.rs", "arch/dsp_unrolled.rs", "arch/portable.rs", "view.rs"
    ],
    "arch/m7_winograd.rs" needs ["arch/dsp_winograd.rs", "arch/portable.rs", "view.rs"],
    "arch/mve.rs" needs [
        "arch/cortex_m_dsp.rs", "arch/mve_columns.rs", "arch/mve_depthwise.rs", "arch/mve_elementwise.rs", "arch/mve_lanes.rs", "arch/portable_lanes.rs"
    ],
    "arch/mve_columns.rs" needs ["arch/portable_columns.rs", "arch/portable_lanes.rs", "view.rs"],
    "arch/mve_depthwise.rs" needs ["arch/portable_lanes.rs", "requant.rs", "view.rs"],
    "arch/mve_elementwise.rs" needs ["arch/portable_elementwise.rs", "view.rs"],
    "arch/mve_lanes.rs" needs ["arch/portable_lanes.rs", "requant.rs", "view.rs"],
    "arch/portable.rs" needs [
        "arch/portable_columns.rs", "arch/portable_elementwise.rs", "arch/portable_lanes.rs", "arch/portable_window.rs", "arch/portable_winograd.rs", "requant.rs", "view.rs"
    ],
    "arch/portable_columns.rs" needs ["view.rs"],
    "arch/portable_elementwise.rs" needs ["requant.rs", "view.rs"],
    "arch/portable_lanes.rs" needs ["arch/portable_columns.rs", "requant.rs", "view.rs"],
    "arch/portable_lines.rs" needs ["arch/portable.rs", "requant.rs", "view.rs"],
    "arch/portable_window.rs" needs ["requant.rs", "view.rs"],
    "arch/portable_winograd.rs" needs ["arch/portable.rs", "requant.rs", "view.rs"],
    "arch/rv32imc.rs" needs ["arch/portable.rs", "view.rs"],
    "kernels/add.rs" needs [ARCH, "kernels/strides.rs", "requant.rs", "rows.rs", "view.rs"],
    "kernels/avg_pool.rs" needs [ARCH, "requant.rs", "rows.rs", "view.rs"],
    "kernels/blocks.rs" needs [ARCH, "requant.rs", "view.rs"],
    "kernels/borders.rs" needs ["view.rs"],
    "kernels/channels.rs" needs [ARCH, "requant.rs", "view.rs"],
    "kernels/conv2d.rs" needs [ARCH, "kernels/channels.rs", "requant.rs", "rows.rs", "view.rs"],
    "kernels/conv2d_borders.rs" needs [
        "kernels/borders.rs", "kernels/channels.rs", "kernels/conv2d.rs", "rows.rs", "view.rs"
    ],
    "kernels/conv_lanes.rs" needs [ARCH, "requant.rs", "rows.rs", "view.rs"],
    "kernels/conv_tile.rs" needs [ARCH, "kernels/blocks.rs", "requant.rs", "rows.rs", "view.rs"],
    "kernels/conv_tile_borders.rs" needs [
        ARCH, "kernels/blocks.rs", "kernels/borders.rs", "kernels/conv_tile.rs", "rows.rs", "view.rs"
    ],
    "kernels/conv_window.rs" needs [
        ARCH, "kernels/channels.rs", "kernels/window.rs", "requant.rs", "rows.rs", "view.rs"
    ],
    "kernels/conv_window_borders.rs" needs [
        ARCH, "kernels/borders.rs", "kernels/channels.rs", "kernels/conv_window.rs", "kernels/window.rs", "rows.rs", "view.rs"
    ],
    "kernels/conv_winograd.rs" needs [ARCH, "requant.rs", "rows.rs", "view.rs"],
    "kernels/copy.rs" needs ["kernels/strides.rs", "view.rs"],
    "kernels/dense.rs" needs [ARCH, "kernels/channels.rs", "requant.rs", "view.rs"],
    "kernels/dense_lanes.rs" needs [ARCH, "requant.rs", "view.rs"],
    "kernels/dense_tile.rs" needs [ARCH, "kernels/blocks.rs", "requant.rs", "view.rs"],
    "kernels/depthwise.rs" needs ["kernels/channels.rs", "requant.rs", "rows.rs", "view.rs"],
    "kernels/depthwise_lanes.rs" needs [ARCH, "requant.rs", "rows.rs", "view.rs"],
    "kernels/depthwise_lines.rs" needs [ARCH, "requant.rs", "rows.rs", "view.rs"],
    "kernels/depthwise_quad.rs" needs [ARCH, "requant.rs", "rows.rs", "view.rs"],
    "kernels/depthwise_window.rs" needs [
        ARCH, "kernels/channels.rs", "kernels/window.rs", "requant.rs", "rows.rs", "view.rs"
    ],
    "kernels/join.rs" needs ["rows.rs", "view.rs"],
    "kernels/lut.rs" needs [ARCH, "rows.rs", "view.rs"],
    "kernels/max_pool.rs" needs [ARCH, "rows.rs", "view.rs"],
    "kernels/mul.rs" needs [ARCH, "kernels/strides.rs", "requant.rs", "rows.rs", "view.rs"],
    "kernels/pool_rows.rs" needs [ARCH, "kernels/avg_pool.rs", "rows.rs", "view.rs"],
    "kernels/softmax.rs" needs [ARCH, "requant.rs", "view.rs"],
    "kernels/sparse.rs" needs ["kernels/channels.rs", "requant.rs", "rows.rs", "view.rs"],
    "kernels/strides.rs" needs [],
    "kernels/window.rs" needs ["rows.rs", "view.rs"],
    "requant.rs" needs [],
    "rows.rs" needs [ARCH, "view.rs"],
    "view.rs" needs [],
}
