#!/usr/bin/env python3
"""Measures the flash that the runtime's kernels take, for the report's estimate.

    python3 scripts/measure-code.py [FAMILY ..]

For each kernel family it links small firmware for a Cortex-M4 with the DSP kernels, in
release with one codegen unit, each call in a function of its own, as emitted crates have
them: without any call, with one, with two and with four calls that differ in their
parameters. With one call the compiler specialises the kernel for it: the largest of two
is taken. A further call costs half of what the last two of four add (code around the
kernel and its parameters), the family costs what is left of the first two.

Some families have parts that only some calls need: such a part is what one more call
adds, less what a call costs; of a part that comes once for each size, the first and a
further one. Parts of which any may be missing are what firmware with all of them loses
without one. Bytes are .text and .rodata, read from the ELF. Prints the rows of
compiler/src/report/code_size.rs.
"""

import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DSP = ("thumbv7em-none-eabihf", "cortex_m_dsp")
# Kernels for cores with one product at a time.
WINDOWS = ("thumbv7m-none-eabi", "armv7m")
OUT = "Out { zero_point: %d, lo: -128, hi: 127 }"
WINDOW = (
    "in_h: 2%(i)d, in_w: 2%(i)d, in_c: 1%(i)d, out_h: 1%(i)d, out_w: 1%(i)d, %(more)s"
    "kernel_h: %(kh)d, kernel_w: %(kw)d, stride_h: %(s)d, stride_w: %(s)d, pad_top: %(p)d, "
    "pad_left: %(p)d, dilation_h: 1, dilation_w: 1, "
)


def window(i, more, tail, kh=3):
    """Parameters of the i-th call of a family with windows."""
    shape = WINDOW % {"i": i, "kh": kh, "kw": 1 + i % 4, "s": 1 + i % 2, "p": i % 2, "more": more}
    return "Params { %s%s }" % (shape, tail)


def out(i):
    """The i-th way to requantize."""
    return "out: " + OUT % (i - 3)


def shifts(i):
    """Every fourth call has shifts."""
    return "shifts: %s, " % str(i == 3).lower()


def four(i):
    """The i-th shape of four axes with two sets of strides."""
    return "shape: [1, %d, 6, 4], a_strides: [0, 24, 4, 1], b_strides: [0, %d, 4, 1], " % (3 + i, 24 * (i % 2))


def conv(i):
    """A convolution of any kind."""
    return window(i, "out_c: 1%d, " % i, "groups: %d, pad_code: %d, %s%s" % (1 + i % 2, i, shifts(i), out(i)))


def gathered(i):
    """A convolution over gathered windows."""
    return window(i, "out_c: 1%d, " % i, "pad_code: %d, %s%s" % (i, shifts(i), out(i)))


def depthwise(i):
    """A depthwise convolution of any kind."""
    more = "multiplier: %d, pad_code: %d, %s%s" % (1 + i % 2, i, shifts(i), out(i))
    return window(i, "out_c: 1%d, " % i, more)


def average(i):
    """A mean over windows."""
    tail = "zero_point_in: %d, count_include_pad: %s, pad_bottom: 0, pad_right: 0, first_count: 1, " % (
        i,
        str(i == 3).lower(),
    )
    return window(i, "", tail + out(i))


def mean(i):
    """A mean of all pixels."""
    return (
        "Params { in_h: 1, in_w: 2%d, in_c: 6%d, out_h: 1, out_w: 1, kernel_h: 1, kernel_w: 2%d, stride_h: 1, "
        "stride_w: 1, pad_top: 0, pad_left: 0, dilation_h: 1, dilation_w: 1, zero_point_in: -128, "
        "count_include_pad: false, pad_bottom: 0, pad_right: 0, first_count: 2%d, %s }" % (i, i, i, i, out(i))
    )


def tile(i, kernel=1, dual=True, shifted=False):
    """A convolution by tiles."""
    return (
        "Params { in_h: 1%d, in_w: 1%d, in_c: 2%d, out_h: 1%d, out_w: 1%d, out_c: 3%d, kernel_h: %d, "
        "kernel_w: %d, stride_h: 1, stride_w: 1, pad_top: %d, pad_left: %d, dilation_h: 1, dilation_w: 1, "
        "pad_code: 3, strip: 4, dual: %s, shifts: %s, %s }.layer()"
        % (i, i, i, i, i, i, kernel, kernel, kernel // 2, kernel // 2, str(dual).lower(), str(shifted).lower(), out(i))
    )


def quad(i, stride=1):
    """A depthwise convolution of four channels at a time."""
    size = 12 // stride
    return (
        "Params { in_h: 12, in_w: 12, channels: 2%d, out_h: %d, out_w: %d, stride: %d, pad_top: 1, pad_left: 1, "
        "pad_code: -3, rows: 4, columns: 6, %s }.layer()" % (i, size, size, stride, out(i))
    )


def winograd(i, rows=2, columns=2):
    """Winograd's convolution."""
    return (
        "Params { in_h: 1%d, in_w: 1%d, in_c: 16, out_h: 1%d, out_w: 1%d, out_c: 16, pad_top: 1, pad_left: 1, "
        "pad_code: -3, tile_h: %d, tile_w: %d, %s }" % (i, i, i, i, rows, columns, out(i))
    )


def row(i, dual=True, shifted=False):
    """A dense layer of one row, four outputs at a time."""
    return "Params { rows: 1, in_features: 3%d, out_features: 1%d, dual: %s, shifts: %s, %s }" % (
        i,
        i,
        str(dual).lower(),
        str(shifted).lower(),
        out(i),
    )


def copy(i):
    """A strided copy."""
    return (
        "Params { dims: [1, 1, 1, 2, %d, 3], in_offset: %d, in_strides: [0, 0, 0, 12, 3, %d], out_offset: 0, "
        "out_strides: [0, 0, 0, 12, %d, 1], fill: %s, fill_code: 0, out_len: 40 }"
        % (1 + i, i, 1 + i % 2, 3 + i, str(i == 3).lower())
    )


def weighted(i, wide=False, equal=False, shift=22):
    """A sum of two tensors."""
    if equal:
        row = "shape: [1, 1, 1, 12%d], a_strides: [0, 0, 0, 1], b_strides: [0, 0, 0, 1], " % i
        return "Params { %sma: %d, mb: 7, c: %d, shift: %d, wide: false, lo: -128, hi: 127 }" % (row, i, i, shift)
    tail = "ma: %d, mb: 7, c: %d, shift: 2%d, wide: %s, lo: -128, hi: 127" % (i, i, i, str(wide).lower())
    return "Params { %s%s }" % (four(i), tail)


ONE = "consts, input, output, scratch"
TWO = "input, input, output, scratch"
JOINED = "[input, input], output, scratch"
NONE = "input, output, scratch"

# Family: machine, `run` with its const argument, parameters of the i-th call, arguments.
FAMILIES = {
    "conv2d": (DSP, "run::<3>", conv, ONE),
    "depthwise": (DSP, "run::<3>", depthwise, ONE),
    "conv_tile": (DSP, "run::<1>", tile, ONE),
    "depthwise_quad": (DSP, "run::<3>", quad, ONE),
    "conv_winograd": (DSP, "run", winograd, ONE),
    "dense_tile": (DSP, "run", row, ONE),
    "conv_window": (WINDOWS, "run::<3>", gathered, ONE),
    "depthwise_window": (WINDOWS, "run::<3>", lambda i: gathered(i).replace("out_c: 1%d, " % i, ""), ONE),
    "sparse": (DSP, "run::<3>", lambda i: gathered(i).replace("shifts:", "nonzeros: 99, shifts:"), ONE),
    "max_pool": (DSP, "run::<3>", lambda i: window(i, "", "lo: %d, hi: 127" % -i), NONE),
    "avg_pool": (DSP, "run::<3>", average, ONE),
    "avg_pool of all": (DSP, "run::<1>", mean, ONE),
    "dense": (
        DSP,
        "run",
        lambda i: "Params { rows: 1, in_features: 3%d, out_features: 1%d, %s%s }" % (i, i, shifts(i), out(i)),
        ONE,
    ),
    "add": (DSP, "run", weighted, TWO),
    "add of equal": (DSP, "run", lambda i: weighted(i, equal=True), TWO),
    "mul": (DSP, "run", lambda i: "Params { %sza: %d, zb: 2, m: %d, k: 0, %s }" % (four(i), i, i, out(i)), TWO),
    "lut": (DSP, "run", lambda i: "Params { len: 10%d }" % i, ONE),
    "join": (
        DSP,
        "run",
        lambda i: "Params { rows: 1%d, width: 1%d, lens: [2%d, 3%d, 0, 0, 0, 0, 0, 0] }" % (i, i, i, i),
        JOINED,
    ),
    "softmax": (
        DSP,
        "run",
        lambda i: "Params { rows: %d, n: 1%d, sum_scale: %d, factors: true, %s }" % (i, i, i, out(i)),
        ONE,
    ),
    "copy": (DSP, "run", copy, NONE),
}

# What some calls of a family need beyond the calls that it is measured by.
MORE = {
    "conv_tile": {
        "rows": ("run::<3>", tile(4, kernel=3)),
        "more rows": ("run::<5>", tile(5, kernel=5)),
        "single": ("run::<1>", tile(4, dual=False)),
        "shifts": ("run::<1>", tile(4, shifted=True)),
        "single shifts": ("run::<1>", tile(4, dual=False, shifted=True)),
    },
    "dense_tile": {
        "single": ("run", row(4, dual=False)),
        "shifts": ("run", row(4, shifted=True)),
        "single shifts": ("run", row(4, dual=False, shifted=True)),
    },
    "add": {"wide": ("run", weighted(4, wide=True))},
    "add of equal": {"more shifts": ("run", weighted(4, equal=True, shift=24))},
}

# Parts of a family of which any may be missing.
PARTS = {
    "depthwise_quad": {"1": ("run::<3>", quad(4)), "2": ("run::<3>", quad(4, stride=2))},
    "conv_winograd": {
        "2x2": ("run", winograd(4)),
        "2x4": ("run", winograd(4, columns=4)),
        "4x4": ("run", winograd(4, rows=4, columns=4)),
    },
}

MAIN = """#![no_std]
#![no_main]
#![allow(unused)]
use tinyc_runtime::kernels::*;
use tinyc_runtime::requant::Out;
use tinyc_runtime::view::{Bytes, Consts};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

%s
#[unsafe(no_mangle)]
pub extern "C" fn _start(arena: *mut i8, weights: *const u8) {
    let arena = Bytes::from_mut(unsafe { core::slice::from_raw_parts_mut(arena, 65536) });
    let weights = Consts::new(unsafe { core::slice::from_raw_parts(weights, 65536) });
%s}
"""

LAYER = """#[inline(never)]
fn layer_%(n)d(arena: Bytes<'_>, weights: Consts<'_>) {
    const PARAMS: %(family)s::%(kind)s = %(family)s::%(params)s;
    let (input, output, scratch) = (arena.sub(%(n)d04, 9999), arena.sub(1%(n)d008, 9999), arena.sub(2%(n)d012, 9999));
    let consts = weights.sub(%(n)d016, 9999);
    %(family)s::%(run)s(&PARAMS, %(args)s);
}
"""


def section_bytes(elf):
    """Bytes of .text and .rodata, with the suffixes that linkers add, in an ELF32 file."""
    table, = struct.unpack_from("<I", elf, 0x20)
    size, count, names_index = struct.unpack_from("<HHH", elf, 0x2E)
    sections = [struct.unpack_from("<IIIIII", elf, table + i * size) for i in range(count)]
    names = sections[names_index][4]
    total = 0
    for name, _, _, _, _, length in sections:
        start = names + name
        text = elf[start : elf.index(b"\0", start)]
        if text.startswith((b".text", b".rodata")):
            total += length
    return total


class Measuring:
    """Firmware of one family in a folder."""

    def __init__(self, folder, family):
        self.folder = folder
        self.family = family
        (self.target, self.feature), self.run, self.params, self.args = FAMILIES[family]

    def of(self, calls):
        """Bytes of a firmware with these calls, more than of one without any."""
        return self.linked(calls) - self.linked([])

    def calls(self, variants):
        """The calls that the family is measured by."""
        return [(self.run, self.params(i)) for i in variants]

    def linked(self, calls):
        """Bytes of a firmware with these calls."""
        module = self.family.split()[0]
        layers = ""
        for n, (run, params) in enumerate(calls):
            kind = "Layer" if params.endswith(".layer()") else "Params"
            what = {"n": n, "family": module, "kind": kind, "params": params, "run": run, "args": self.args}
            layers += LAYER % what
        body = "".join("    layer_%d(arena, weights);\n" % n for n in range(len(calls)))
        (self.folder / "src").mkdir(exist_ok=True)
        (self.folder / "src" / "main.rs").write_text(MAIN % (layers, body))
        (self.folder / "Cargo.toml").write_text(
            '[package]\nname = "measured"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n'
            '[dependencies]\ntinyc-runtime = { path = "%s", features = ["%s"] }\n\n'
            '[profile.release]\npanic = "abort"\ncodegen-units = 1\nlto = "fat"\n'
            % (ROOT / "codegen-runtime", self.feature)
        )
        command = ["cargo", "build", "--quiet", "--release", "--target", self.target]
        subprocess.run(command, cwd=self.folder, check=True)
        return section_bytes((self.folder / "target" / self.target / "release" / "measured").read_bytes())

    def family_row(self):
        """Prints the family's row, and those of its parts."""
        two = self.of(self.calls(range(2)))
        call = (self.of(self.calls(range(4))) - two + 1) // 2
        parts = PARTS.get(self.family, {})
        all_parts = self.of(list(parts.values())) if parts else 0
        rows = {}
        for name, part in parts.items():
            rest = [other for other in parts.values() if other != part]
            rows[name] = all_parts - self.of(rest) - call
        more = MORE.get(self.family, {})
        for name, part in more.items():
            # More of what another part has.
            before = self.calls(range(2)) + [more[other] for other in more if name == "more " + other]
            rows[name] = self.of(before + [part]) - self.of(before) - call
        kernel = all_parts - sum(rows.values()) - len(parts) * call if parts else two - 2 * call
        specialised = self.family not in MORE and not parts
        alone = max(self.of(self.calls([i])) for i in range(2)) if specialised else kernel + call
        print(
            '    CodeSize { family: "%s", alone_bytes: %d, kernel_bytes: %d, call_bytes: %d },'
            % (self.family, alone, kernel, call)
        )
        for name, size in rows.items():
            print('    Part { family: "%s", part: "%s", bytes: %d },' % (self.family, name, size), flush=True)


def main():
    """Prints the rows of the families that are asked for, else of all."""
    with tempfile.TemporaryDirectory() as name:
        for family in sys.argv[1:] or FAMILIES:
            Measuring(pathlib.Path(name), family).family_row()


if __name__ == "__main__":
    main()
