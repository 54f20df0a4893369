#!/usr/bin/env python3
"""Measures the flash that the runtime's kernels take, for the report's estimate.

    python3 scripts/measure-code.py

For each kernel family it links small firmware for thumbv7em-none-eabihf, in
release with one codegen unit: without any call, with one, with two and with
four calls that differ in their parameters. With one call the compiler
specialises the kernel for it: the largest of four is taken. A further call costs
half of what the last two of four add (code around the kernel and its
parameters), the family costs what is left of the first two. Bytes are .text and
.rodata, read from the ELF. Prints the rows of compiler/src/report/code_size.rs.
"""

import pathlib
import struct
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = "thumbv7em-none-eabihf"
OUT = "Out { zero_point: %d, lo: -128, hi: 127 }"
WINDOW = (
    "in_h: 2%(i)d, in_w: 2%(i)d, in_c: 1%(i)d, out_h: 1%(i)d, out_w: 1%(i)d, %(more)s"
    "kernel_h: %(kh)d, kernel_w: %(kw)d, stride_h: %(s)d, stride_w: %(s)d, pad_top: %(p)d, "
    "pad_left: %(p)d, dilation_h: 1, dilation_w: 1, "
)


def window(i, kh, more, tail):
    """Parameters of the i-th call of a family with windows."""
    shape = WINDOW % {"i": i, "kh": kh, "kw": 1 + i % 4, "s": 1 + i % 2, "p": i % 2, "more": more}
    return shape + tail


def four(i):
    """The i-th shape of four axes with two sets of strides."""
    return "shape: [1, %d, 6, 4], a_strides: [0, 24, 4, 1], b_strides: [0, %d, 4, 1], " % (3 + i, 24 * (i % 2))


def out(i):
    """The i-th way to requantize."""
    return "out: " + OUT % (i - 3)


FAMILIES = {
    "conv2d": (
        True,
        lambda i, kh: window(
            i, kh, "out_c: 1%d, " % i, "groups: %d, pad_code: %d, shifts: %s, " % (1 + i % 2, i, str(i == 3).lower())
        )
        + out(i),
        "consts, input, output, scratch",
    ),
    "depthwise": (
        True,
        lambda i, kh: window(
            i, kh, "out_c: 1%d, " % i, "multiplier: %d, pad_code: %d, shifts: %s, " % (1 + i % 2, i, str(i == 3).lower())
        )
        + out(i),
        "consts, input, output, scratch",
    ),
    "max_pool": (True, lambda i, kh: window(i, kh, "", "lo: %d, hi: 127" % -i), "input, output, scratch"),
    "avg_pool": (
        True,
        lambda i, kh: window(
            i, kh, "", "zero_point_in: %d, count_include_pad: %s, pad_bottom: 0, pad_right: 0, first_count: 1, "
            % (i, str(i == 3).lower())
        )
        + out(i),
        "consts, input, output, scratch",
    ),
    "dense": (
        False,
        lambda i, kh: "rows: 1, in_features: 3%d, out_features: 1%d, shifts: %s, " % (i, i, str(i == 3).lower()) + out(i),
        "consts, input, output, scratch",
    ),
    "add": (
        False,
        lambda i, kh: four(i) + "ma: %d, mb: 7, c: %d, shift: 2%d, wide: %s, lo: -128, hi: 127" % (i, i, i, str(i == 3).lower()),
        "input, input, output, scratch",
    ),
    "mul": (False, lambda i, kh: four(i) + "za: %d, zb: 2, m: %d, k: 0, " % (i, i) + out(i), "input, input, output, scratch"),
    "lut": (False, lambda i, kh: "len: 10%d" % i, "consts, input, output, scratch"),
    "join": (False, lambda i, kh: "rows: 1%d, width: 1%d, a_len: 2%d, b_len: 3%d" % (i, i, i, i), "input, input, output, scratch"),
    "softmax": (False, lambda i, kh: "rows: %d, n: 1%d, sum_scale: %d, " % (i, i, i) + out(i), "consts, input, output, scratch"),
    "copy": (
        False,
        lambda i, kh: "dims: [1, 1, 1, 2, %d, 3], in_offset: %d, in_strides: [0, 0, 0, 12, 3, %d], out_offset: 0, "
        "out_strides: [0, 0, 0, 12, %d, 1], fill: %s, fill_code: 0, out_len: 40" % (1 + i, i, 1 + i % 2, 3 + i, str(i == 3).lower()),
        "input, output, scratch",
    ),
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

#[unsafe(no_mangle)]
pub extern "C" fn _start(arena: *mut i8, weights: *const u8) {
    let arena = Bytes::from_mut(unsafe { core::slice::from_raw_parts_mut(arena, 65536) });
    let (input, output, scratch) = (arena.sub(0, 9999), arena.sub(10000, 9999), arena.sub(20000, 9999));
    let consts = Consts::new(unsafe { core::slice::from_raw_parts(weights, 65536) });
%s}
"""


def calls(family, variants):
    """The body with one call for each of the variants of parameters, with 3 rows in a window."""
    windowed, params, args = FAMILIES[family]
    lines = []
    for i in variants:
        generic = "::<3>" if windowed else ""
        literal = "%s::Params { %s }" % (family, params(i, 3))
        lines.append("    %s::run%s(const { &%s }, %s);\n" % (family, generic, literal, args))
    return "".join(lines)


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


def measure(folder, body):
    """Bytes of a firmware with that body."""
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / "main.rs").write_text(MAIN % body)
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "measured"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n'
        '[dependencies]\ntinyc-runtime = { path = "%s" }\n\n'
        '[profile.release]\npanic = "abort"\ncodegen-units = 1\nlto = "fat"\n' % (ROOT / "codegen-runtime")
    )
    subprocess.run(["cargo", "build", "--quiet", "--release", "--target", TARGET], cwd=folder, check=True)
    return section_bytes((folder / "target" / TARGET / "release" / "measured").read_bytes())


def main():
    """Prints one row a family."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        empty = measure(folder, "")
        for family in FAMILIES:
            alone = max(measure(folder, calls(family, [i])) - empty for i in range(4))
            two = measure(folder, calls(family, range(2))) - empty
            four_calls = measure(folder, calls(family, range(4))) - empty
            call = (four_calls - two + 1) // 2
            row = (family, alone, two - 2 * call, call)
            print('    CodeSize { family: "%s", alone_bytes: %d, kernel_bytes: %d, call_bytes: %d },' % row)


if __name__ == "__main__":
    main()
