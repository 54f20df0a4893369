//! The assembly of `arch/cortex_m_dsp.rs` on an emulated Cortex-M4 and
//! Cortex-M7 against the portable bodies, by the firmware in `firmware/`.
//!
//! Needs what `scripts/setup-tests.sh` installs: the Rust targets and QEMU.
#![cfg(not(miri))]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the firmware for a Rust target.
fn build(triple: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware").join(triple);
    std::fs::create_dir_all(&folder).expect("the folder of build results is writable");
    let manifest = format!(
        "[package]\nname = \"kernels\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [[bin]]\nname = \"kernels\"\npath = '{0}/tests/firmware/kernels.rs'\n\n[dependencies]\n\
         tinyc-runtime = {{ path = '{0}', features = [\"cortex_m_dsp\"] }}\n\n\
         [profile.release]\nopt-level = 3\nlto = \"fat\"\ncodegen-units = 1\npanic = \"abort\"\n",
        root.display()
    );
    let sections = root.join("../compiler/src/verify/firmware/sections.ld");
    let sections = std::fs::read_to_string(sections).expect("the harness has a linker script");
    let script = format!(
        "MEMORY {{ FLASH (rx) : ORIGIN = 0, LENGTH = 4M\n RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M }}\n\
         _stack_bytes = 65536;\n{sections}"
    );
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

fn equal(triple: &str, machine: &str, cpu: &str) {
    let run = Command::new("qemu-system-arm")
        .args(["-M", machine, "-cpu", cpu, "-nographic", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(build(triple))
        .output()
        .expect("qemu-system-arm starts");
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("equal 1"), "{cpu}: {said}");
}

#[test]
fn assembly_equals_the_portable_bodies_on_cortex_m4() {
    equal("thumbv7em-none-eabihf", "mps2-an386", "cortex-m4");
}

#[test]
fn assembly_equals_the_portable_bodies_without_fpu_on_cortex_m7() {
    equal("thumbv7em-none-eabi", "mps2-an500", "cortex-m7");
}
