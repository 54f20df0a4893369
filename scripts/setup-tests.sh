#!/bin/sh
# Installs what the tests need: the pinned Rust toolchain, every Rust target
# that targets/*.toml names, and the QEMU programs. Prints what it did; does
# nothing where all is there; ends with one sentence and exit code 1 where
# something cannot be had.
set -eu

say() { printf 'setup-tests: %s\n' "$*"; }
fail() {
    printf 'setup-tests: error: %s\n' "$*" >&2
    exit 1
}

cd "$(dirname "$0")/.."

# --- Rust -------------------------------------------------------------------
command -v rustup >/dev/null 2>&1 ||
    fail "rustup is missing; install it from https://rustup.rs and run this script again."

channel=$(sed -n 's/^channel *= *"\(.*\)".*/\1/p' rust-toolchain.toml)
[ -n "$channel" ] || fail "rust-toolchain.toml names no channel."

if rustup run "$channel" rustc --version >/dev/null 2>&1; then
    say "toolchain $channel is there"
else
    say "installing toolchain $channel"
    rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy ||
        fail "rustup could not install toolchain $channel; see its message above."
fi

# The soft-float Armv7E-M target is tested although no chip prefers it.
wanted=$({
    sed -n 's/^rust_target *= *"\(.*\)".*/\1/p' targets/*.toml
    echo thumbv7em-none-eabi
} | sort -u)
installed=$(rustup target list --toolchain "$channel" --installed) ||
    fail "rustup cannot list the installed targets of toolchain $channel."
missing=
for triple in $wanted; do
    printf '%s\n' "$installed" | grep -qxF "$triple" || missing="$missing $triple"
done
if [ -z "$missing" ]; then
    say "all Rust targets are there"
else
    say "adding Rust targets:$missing"
    # Word splitting is wanted: one argument a triple.
    # shellcheck disable=SC2086
    rustup target add --toolchain "$channel" $missing ||
        fail "rustup could not add$missing to toolchain $channel; see its message above."
fi

# --- QEMU -------------------------------------------------------------------
# Runs the programs rather than asking dpkg: a copy from elsewhere is as good.
works() { "$1" --version >/dev/null 2>&1; }

# Releases before 6.1 lack the Cortex-M55's machine or its vector instructions.
has_machines() {
    qemu-system-arm -machine help | grep -q '^mps3-an547 ' ||
        fail "this qemu-system-arm has no machine mps3-an547; install release 6.1 or newer and run this script again."
}

packages=
works qemu-system-arm || packages="$packages qemu-system-arm"
works qemu-system-riscv32 || packages="$packages qemu-system-misc"
if [ -z "$packages" ]; then
    has_machines
    say "qemu-system-arm and qemu-system-riscv32 are there"
    say "done"
    exit 0
fi

command -v apt-get >/dev/null 2>&1 ||
    fail "there is no apt-get here; install QEMU's arm and riscv32 system emulators by hand and run this script again."
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    fail "installing$packages needs root or sudo."
fi
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@"; }

say "installing$packages"
apt update || say "apt-get update failed; going on with the package lists that are here"
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $packages; then
    # A backported qemu-utils breaks the qemu-system-common of the release.
    dpkg-query -W -f='${Status}' qemu-utils 2>/dev/null | grep -q 'ok installed' ||
        fail "apt-get could not install$packages; see its message above."
    version=$(dpkg-query -W -f='${Version}' qemu-utils)
    say "!!! apt-get refused. Trying once more, REMOVING the package qemu-utils ($version),"
    say "!!! which may conflict with the QEMU of this release (newer backports do)."
    # shellcheck disable=SC2086
    apt install -y --no-install-recommends $packages qemu-utils- ||
        fail "apt-get could not install$packages, not even without qemu-utils; see its message above."
    say "!!! removed qemu-utils ($version); get it back with: apt-get install qemu-utils"
fi

for program in qemu-system-arm qemu-system-riscv32; do
    works "$program" ||
        fail "apt-get is done, but $program does not run."
done
has_machines
say "done"
