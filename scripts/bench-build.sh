#!/usr/bin/env bash
# How long `tinyc build` takes on the largest MLPerf Tiny model, with 100
# calibration samples, in release, on two cores. Prints five runs and their
# median; exit code 1 if the median is above the limit.
#
#     scripts/bench-build.sh MODELS_DIR DATA_DIR
#
# MODELS_DIR holds float/vww_mobilenet025.onnx, DATA_DIR holds vww_calib.npz (`x`:
# uint8 [N,96,96,3], N >= 100). TINYC_BIN names a program to time instead of
# building one in release; its figures say nothing about the limit.
set -euo pipefail

runs=5
samples=100
cores=2
limit_ms=5000

fail() {
    printf 'bench-build: error: %s\n' "$*" >&2
    exit 1
}

[ $# -eq 2 ] || fail "usage: scripts/bench-build.sh MODELS_DIR DATA_DIR"
model=$1/float/vww_mobilenet025.onnx
data=$2/vww_calib.npz
for file in "$model" "$data"; do
    [ -f "$file" ] || fail "there is no $file"
done
model=$(realpath "$model")
data=$(realpath "$data")
tinyc=${TINYC_BIN:+$(realpath "$TINYC_BIN")}
cd "$(dirname "$0")/.."

if [ -n "$tinyc" ]; then
    echo "timing $tinyc, not a release build of this source"
else
    # Cargo says where it put the program: target folders can be moved.
    tinyc=$(cargo build --release --locked -p tinyc --bin tinyc --message-format=json-render-diagnostics </dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
fi
[ -x "$tinyc" ] || fail "there is no program '$tinyc'"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The first samples of the set. Python's standard library suffices: the header of
# an .npy is a Python literal, and the samples follow one another.
python3 - "$data" "$scratch/calib.npz" "$samples" <<'PYTHON'
import ast, struct, sys, zipfile

source, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
npy = zipfile.ZipFile(source).read("x.npy")
assert npy[:8] == b"\x93NUMPY\x01\x00", "x.npy is not of format 1.0"
(length,) = struct.unpack("<H", npy[8:10])
header = ast.literal_eval(npy[10 : 10 + length].decode("latin1"))
shape = header["shape"]
assert header["descr"] == "|u1" and not header["fortran_order"], header
assert shape[0] >= count, f"{shape[0]} samples, {count} are needed"
body = npy[10 + length :][: len(npy[10 + length :]) // shape[0] * count]
header["shape"] = (count, *shape[1:])
# Format 1.0: padded to 64 bytes, closed by a line end.
text = repr(header).encode("latin1")
text += b" " * (-(len(text) + 11) % 64) + b"\n"
with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
    out.writestr("x.npy", npy[:8] + struct.pack("<H", len(text)) + text + body)
PYTHON

pin=()
if command -v taskset >/dev/null 2>&1; then
    # The first of the cores that we may use.
    allowed=$(taskset -pc $$ | sed 's/.*: //' | tr ',' '\n' | awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }')
    pin=(taskset -c "$(printf '%s\n' "$allowed" | head -n "$cores" | paste -sd,)")
fi
export RAYON_NUM_THREADS=$cores

times=()
for run in $(seq "$runs"); do
    # A folder of its own: files that are there already would not be written.
    start=${EPOCHREALTIME/[.,]/}
    "${pin[@]}" "$tinyc" build "$model" --target stm32f411 --calib "$scratch/calib.npz" --mean 0 --std 255 \
        --name vww -o "$scratch/out-$run" >"$scratch/log" 2>&1 </dev/null ||
        { cat "$scratch/log" >&2 && fail "tinyc build failed"; }
    stop=${EPOCHREALTIME/[.,]/}
    times+=($(((stop - start) / 1000)))
    printf 'run %d: %d ms\n' "$run" "${times[-1]}"
done
for run in $(seq 2 "$runs"); do
    diff -r "$scratch/out-1" "$scratch/out-$run" >/dev/null || fail "runs 1 and $run wrote different crates"
done

median=$(printf '%s\n' "${times[@]}" | sort -n | sed -n "$(((runs + 1) / 2))p")
printf 'tinyc build vww_mobilenet025, %d samples, %d cores: median %d ms of %d runs, limit %d ms\n' \
    "$samples" "$cores" "$median" "$runs" "$limit_ms"
[ -n "${TINYC_BIN:-}" ] || [ "$median" -le "$limit_ms" ] || fail "slower than the limit"
