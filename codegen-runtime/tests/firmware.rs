//! The files of `arch/` for particular cores, on emulated ones, against the portable
//! bodies, by the firmware in `firmware/`.
//!
//! Needs what `scripts/setup-tests.sh` installs: the Rust targets and QEMU.
#![cfg(not(miri))]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A core and what runs on it.
struct Machine {
    /// Rust target.
    triple: &'static str,
    /// Program and arguments that emulate it.
    emulator: &'static [&'static str],
    /// The linker script's memory.
    memory: &'static str,
    /// The file of `arch/`: the name of a feature.
    arch: &'static str,
    /// The firmware.
    program: &'static str,
}

const ARM_MEMORY: &str =
    "FLASH (rx) : ORIGIN = 0, LENGTH = 4M\n RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M";

/// Builds the firmware.
fn build(machine: &Machine) -> PathBuf {
    let Machine { triple, memory, arch, program, .. } = machine;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware").join(arch).join(triple);
    std::fs::create_dir_all(&folder).expect("the folder of build results is writable");
    let manifest = format!(
        "[package]\nname = \"kernels\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [[bin]]\nname = \"kernels\"\npath = '{0}/tests/firmware/{program}.rs'\n\n[dependencies]\n\
         tinyc-runtime = {{ path = '{0}', features = [\"{arch}\"] }}\n\n\
         [profile.release]\nopt-level = 3\nlto = \"fat\"\ncodegen-units = 1\npanic = \"abort\"\n",
        root.display()
    );
    let sections = root.join("../compiler/src/verify/firmware/sections.ld");
    let sections = std::fs::read_to_string(sections).expect("the harness has a linker script");
    let vectors = if memory.contains("VECTORS") { "" } else { "REGION_ALIAS(\"VECTORS\", FLASH)\n" };
    let script = format!("MEMORY {{ {memory} }}\n{vectors}_stack_bytes = 65536;\n{sections}");
    std::fs::write(folder.join("Cargo.toml"), manifest).expect("a writable folder");
    std::fs::write(folder.join("link.ld"), script).expect("a writable folder");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--offline", "--quiet", "--target", triple])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("RUSTFLAGS", format!("-Clink-arg=-T{}", folder.join("link.ld").display()))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the firmware does not build for {triple}");
    folder.join("target").join(triple).join("release/kernels")
}

fn equal(machine: &Machine) {
    let (emulator, arguments) = machine.emulator.split_first().expect("a program");
    let run = Command::new(emulator)
        .args(arguments)
        .args(["-nographic", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(build(machine))
        .output()
        .expect("QEMU starts");
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("equal 1"), "{}: {said}", machine.triple);
}

#[test]
fn assembly_equals_the_portable_bodies_on_cortex_m4() {
    equal(&Machine {
        triple: "thumbv7em-none-eabihf",
        emulator: &["qemu-system-arm", "-M", "mps2-an386", "-cpu", "cortex-m4"],
        memory: ARM_MEMORY,
        arch: "cortex_m_dsp",
        program: "kernels",
    });
}

#[test]
fn assembly_equals_the_portable_bodies_without_fpu_on_cortex_m4() {
    equal(&Machine {
        triple: "thumbv7em-none-eabi",
        emulator: &["qemu-system-arm", "-M", "mps2-an386", "-cpu", "cortex-m4"],
        memory: ARM_MEMORY,
        arch: "cortex_m_dsp",
        program: "kernels",
    });
}

#[test]
fn assembly_equals_the_portable_bodies_on_cortex_m7() {
    for triple in ["thumbv7em-none-eabihf", "thumbv7em-none-eabi"] {
        equal(&Machine {
            triple,
            emulator: &["qemu-system-arm", "-M", "mps2-an500", "-cpu", "cortex-m7"],
            memory: ARM_MEMORY,
            arch: "cortex_m7_dsp",
            program: "kernels",
        });
    }
}

#[test]
fn assembly_equals_the_portable_bodies_on_cortex_m0() {
    equal(&Machine {
        triple: "thumbv6m-none-eabi",
        emulator: &[
            "qemu-system-arm",
            "-M",
            "microbit",
            "-global",
            "nrf51-soc.flash-size=4194304",
            "-global",
            "nrf51-soc.sram-size=4194304",
        ],
        memory: ARM_MEMORY,
        arch: "armv6m",
        program: "windows",
    });
}

#[test]
fn assembly_equals_the_portable_bodies_on_cortex_m3() {
    equal(&Machine {
        triple: "thumbv7m-none-eabi",
        emulator: &["qemu-system-arm", "-M", "mps2-an385", "-cpu", "cortex-m3"],
        memory: ARM_MEMORY,
        arch: "armv7m",
        program: "windows",
    });
}

#[test]
fn primitives_of_its_own_equal_the_portable_bodies_on_rv32imc() {
    equal(&Machine {
        triple: "riscv32imc-unknown-none-elf",
        emulator: &["qemu-system-riscv32", "-M", "virt", "-cpu", "rv32,a=off,f=off,d=off", "-bios", "none"],
        memory: "FLASH (rx) : ORIGIN = 0x80000000, LENGTH = 16M\n \
                 RAM (rwx) : ORIGIN = 0x81000000, LENGTH = 16M",
        arch: "rv32imc",
        program: "windows",
    });
}

#[test]
fn assembly_equals_the_portable_bodies_on_cortex_m33() {
    equal(&Machine {
        triple: "thumbv8m.main-none-eabihf",
        emulator: &["qemu-system-arm", "-M", "mps2-an505", "-cpu", "cortex-m33"],
        memory: "FLASH (rx) : ORIGIN = 0x10000000, LENGTH = 4M\n \
                 RAM (rwx) : ORIGIN = 0x38000000, LENGTH = 4M",
        arch: "cortex_m_dsp",
        program: "kernels",
    });
}

#[test]
fn assembly_equals_the_portable_bodies_on_cortex_m55() {
    equal(&Machine {
        triple: "thumbv8m.main-none-eabihf",
        emulator: &["qemu-system-arm", "-M", "mps3-an547", "-cpu", "cortex-m55"],
        memory: "VECTORS (rx) : ORIGIN = 0, LENGTH = 64\n \
                 FLASH (rx) : ORIGIN = 0x60000000, LENGTH = 4M\n \
                 RAM (rwx) : ORIGIN = 0x21000000, LENGTH = 4M",
        arch: "mve",
        program: "lanes",
    });
}
