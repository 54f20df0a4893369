//! The doctor on machines that have everything, too little, or nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tinyc::doctor::{Machine, Part, examine, render};
use tinyc::target::Target;

/// A machine in a test: what its programs print, and its folders.
#[derive(Default)]
struct Fake {
    outputs: HashMap<String, String>,
    folders: Vec<PathBuf>,
}

impl Fake {
    fn with(mut self, command: &str, output: &str) -> Self {
        self.outputs.insert(command.to_owned(), output.to_owned());
        self
    }

    fn with_rust_target(mut self, triple: &str) -> Self {
        self.folders.push(Path::new("/rust/lib/rustlib").join(triple).join("lib"));
        self
    }
}

impl Machine for Fake {
    fn output(&self, program: &str, args: &[&str]) -> Option<String> {
        self.outputs.get(&format!("{program} {}", args.join(" "))).cloned()
    }

    fn has_folder(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| folder == path)
    }
}

fn targets(names: &[&str]) -> Vec<Target> {
    names.iter().map(|name| Target::lookup(name).expect("a target")).collect()
}

fn rust() -> Fake {
    Fake::default()
        .with("cargo --version", "cargo 1.95.0 (abc 2026-04-01)\n")
        .with("rustc --version", "rustc 1.95.0 (abc 2026-04-01)\n")
        .with("rustc --print sysroot", "/rust\n")
}

#[test]
fn a_complete_machine_is_well() {
    let machine = rust()
        .with_rust_target("thumbv7em-none-eabihf")
        .with("qemu-system-arm --version", "QEMU emulator version 7.2.22\nCopyright\n")
        .with("qemu-system-arm --help", "-plugin [file=]<file>[,<argname>=<argvalue>]\n");
    let findings = examine(&machine, &targets(&["stm32f411", "host"]));
    assert!(findings.iter().all(|finding| finding.ok), "{findings:?}");
    let text = render(&findings);
    assert!(text.contains("QEMU emulator version 7.2.22\n"), "{text}");
    assert!(text.ends_with("everything that was looked for is here\n"), "{text}");
}

#[test]
fn each_missing_thing_says_who_needs_it_and_how_to_get_it() {
    let machine = rust().with_rust_target("thumbv7em-none-eabihf");
    let findings = examine(&machine, &targets(&["stm32f411", "rp2040", "esp32c3"]));
    let missing: Vec<(Part, &str)> = findings
        .iter()
        .filter(|finding| !finding.ok)
        .map(|finding| (finding.part, finding.what.as_str()))
        .collect();
    assert_eq!(
        missing,
        [
            (Part::RustTarget, "riscv32imc-unknown-none-elf"),
            (Part::RustTarget, "thumbv6m-none-eabi"),
            (Part::Emulator, "qemu-system-arm"),
            (Part::Emulator, "qemu-system-riscv32"),
        ]
    );
    let text = render(&findings);
    for words in [
        "rustup target add thumbv6m-none-eabi",
        "needed for: building for rp2040",
        "apt-get install qemu-system-misc",
        "--emulate` for stm32f411, rp2040",
        "4 things are missing",
    ] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
}

#[test]
fn an_emulator_that_takes_no_plugins_is_told() {
    let machine = rust()
        .with_rust_target("thumbv7em-none-eabihf")
        .with("qemu-system-arm --version", "QEMU emulator version 7.2.22\n")
        .with("qemu-system-arm --help", "-machine\n");
    let findings = examine(&machine, &targets(&["stm32f411"]));
    let missing: Vec<Part> =
        findings.iter().filter(|finding| !finding.ok).map(|finding| finding.part).collect();
    assert_eq!(missing, [Part::EmulatorPlugins]);
    assert!(render(&findings).contains("needed for: `tinyc bench` for stm32f411"));
}

#[test]
fn an_emulator_without_all_machines_is_told() {
    let machine = rust()
        .with("qemu-system-arm --version", "QEMU emulator version 5.2.0 (Debian 1:5.2)\n")
        .with("qemu-system-arm --help", "-plugin\n");
    let findings = examine(&machine, &targets(&["ensemble-e3-he"]));
    let old = findings.iter().find(|finding| finding.part == Part::Emulator).expect("it was looked for");
    assert!(!old.ok && old.how_to_get_it.contains("release 6.1 or newer"), "{old:?}");
}

#[test]
fn an_old_or_absent_toolchain_is_told_apart() {
    let old = rust().with("rustc --version", "rustc 1.84.1 (abc 2025-01-01)\n");
    let findings = examine(&old, &[]);
    assert!(findings[0].ok, "cargo is new enough");
    assert!(!findings[1].ok && findings[1].how_to_get_it.contains("rustup update"));
    assert_eq!(findings[1].found.as_deref(), Some("rustc 1.84.1 (abc 2025-01-01)"));

    let findings = examine(&Fake::default(), &targets(&["stm32f411"]));
    assert!(findings.iter().all(|finding| !finding.ok && finding.found.is_none()));
    assert!(findings[0].how_to_get_it.contains("https://rustup.rs"));
}

#[test]
fn findings_are_json_with_stable_names() {
    let json = serde_json::to_value(examine(&rust(), &targets(&["stm32f411"]))).expect("JSON");
    let row = &json[2];
    assert_eq!(row["part"], "rust-target");
    assert_eq!(row["what"], "thumbv7em-none-eabihf");
    assert_eq!(row["ok"], false);
    assert!(row["found"].is_null() && row["how_to_get_it"].is_string());
}
