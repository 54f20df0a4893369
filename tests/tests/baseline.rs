//! What was gained stays: the watched models against the committed baseline.

use std::path::Path;

use serde_json::Value;
use tinyc::verify::emulator::FirmwareOptions;
use tinyc_tests::benchmarks::{
    WATCHED, baseline_path, document, figures, measure, misjudged, too_heavy, too_large, worse,
};
use tinyc_tests::needs::{self, RealModels};

#[test]
fn no_watched_figure_is_more_than_a_hundredth_worse() {
    let Some(RealModels { models, data }) = needs::models() else { return };
    let baseline: Value = serde_json::from_str(&std::fs::read_to_string(baseline_path()).unwrap()).unwrap();
    let work_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runners");
    let firmware = FirmwareOptions { work_dir, ..FirmwareOptions::default() };
    let mut found = Vec::new();
    for watched in WATCHED {
        if needs::emulator(watched.core) {
            let measured = measure(watched, &models, &data, &firmware).unwrap();
            found.extend(worse(&baseline, &figures(&measured)));
            found.extend(too_large(&measured));
            found.extend(too_heavy(&measured));
            found.extend(misjudged(&measured));
        }
    }
    assert!(
        found.is_empty(),
        "worse than tests/baseline.json; mend it, or write the baseline anew on purpose with `{}`:\n  {}",
        document::COMMAND,
        found.join("\n  ")
    );
}

/// The documents and the baseline come from one run.
#[test]
fn documents_hold_the_baselines_figures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let baseline: Value = serde_json::from_str(&std::fs::read_to_string(baseline_path()).unwrap()).unwrap();
    let rows = baseline.as_array().unwrap();
    assert_eq!(rows.len(), WATCHED.len());
    let page = std::fs::read_to_string(root.join("docs/benchmarks.md")).unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    for (row, watched) in rows.iter().zip(WATCHED) {
        assert_eq!(
            (row["model"].as_str(), row["target"].as_str()),
            (Some(watched.model), Some(watched.target))
        );
        let number = |figure: &str| tinyc::target::units::thousands(row[figure].as_u64().unwrap());
        assert!(page.contains(&number("instructions")), "docs/benchmarks.md is of another run: {row}");
        if watched.core == tinyc::verify::emulator::Core::M4 {
            assert!(readme.contains(&number("cycles")), "the README's table is of another run: {row}");
        }
    }
}
