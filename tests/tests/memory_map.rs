//! The arena over the schedule: rectangles drawn where they are by hand, and the map
//! of real plans against what the plan says.

use std::path::PathBuf;

use tinyc::codegen::write::write_file;
use tinyc::compile::{CompileOptions, Silent, compile};
use tinyc::plan::strategy::Strategy;
use tinyc::plan::{Plan, Work};
use tinyc::report::memory_map::{MapBuffer, MapKind, MapStep, MemoryMap};
use tinyc::report::memory_map_svg::svg;

fn buffer(name: &str, kind: MapKind, place: (usize, usize), life: (usize, usize), group: usize) -> MapBuffer {
    let ((offset, bytes), (first, last), name) = (place, life, name.to_owned());
    MapBuffer { name, kind, row: None, offset, bytes, first, last, group }
}

fn step(name: Option<&str>, moment: usize, live_bytes: usize, peak: bool) -> MapStep {
    MapStep {
        name: name.map(str::to_owned),
        first: moment,
        last: moment,
        fullest: moment,
        live_bytes,
        by_rows: false,
        peak,
        makes: None,
    }
}

/// 64 bytes, so that a column of the picture is one byte. The convolution reads bytes
/// 0..20 and writes 16..56, which share four.
fn small() -> MemoryMap {
    MemoryMap {
        arena_bytes: 64,
        live_bound_bytes: 60,
        regions: vec![],
        moments: 4,
        steps: vec![
            step(None, 0, 20, false),
            step(Some("conv"), 1, 60, true),
            step(Some("fc"), 2, 44, false),
            step(None, 3, 4, false),
        ],
        buffers: vec![
            buffer("x & <y>", MapKind::Input, (0, 20), (0, 1), 0),
            buffer("conv", MapKind::Tensor, (16, 40), (1, 2), 1),
            buffer("conv", MapKind::Scratch, (60, 4), (1, 1), 2),
            buffer("fc", MapKind::Output, (0, 4), (2, 3), 3),
        ],
    }
}

#[test]
fn text_shows_bytes_where_they_lie() {
    let text = small().to_string();
    let lines: Vec<&str> = text.lines().collect();
    let picture = |line: usize| lines[line].chars().skip(35).collect::<String>();
    let run = |parts: &[(&str, usize)]| parts.iter().map(|(c, n)| c.repeat(*n)).collect::<String>();
    assert!(lines[0].contains("arena 64 B, lower bound 60 B"), "{text}");
    // The mark is over the bound's last byte.
    assert_eq!(picture(1), "0               16              32              48         V");
    assert_eq!(picture(2), run(&[("a", 20), (".", 44)]));
    assert_eq!(picture(3), run(&[("a", 16), ("#", 4), ("b", 36), (".", 4), ("~", 4)]));
    assert_eq!(picture(4), run(&[("d", 4), (".", 12), ("b", 40), (".", 8)]));
    assert_eq!(picture(5), run(&[("d", 4), (".", 60)]));
    let marked: Vec<usize> = (2..6).filter(|&l| lines[l].chars().nth(34) == Some('>')).collect();
    assert_eq!(marked, [3]);
    assert!(text.contains("b tensor         40 B 16..56"), "{text}");
}

#[test]
fn svg_draws_rectangles_and_escapes_names() {
    let svg = svg(&small());
    // 48 pixels a moment from 90; 480 pixels for 64 bytes from y = 530 upwards.
    for rectangle in [
        r#"x="90.00" y="380.00" width="96.00" height="150.00""#,
        r#"x="138.00" y="110.00" width="96.00" height="300.00""#,
        r#"x="138.00" y="50.00" width="48.00" height="30.00""#,
        r#"x="186.00" y="500.00" width="96.00" height="30.00""#,
    ] {
        assert!(svg.contains(rectangle), "{rectangle}\n{svg}");
    }
    assert!(svg.contains(r#"<line x1="90.00" y1="80.00""#), "the lower bound\n{svg}");
    assert!(svg.contains(r##"<text x="138.00" y="44.00" fill="#cc0000">peak</text>"##), "{svg}");
    assert!(svg.contains("x &amp; &lt;y&gt;") && !svg.contains("<y>"), "{svg}");
}

#[test]
fn json_holds_the_same_facts() {
    let json = serde_json::to_value(small()).unwrap();
    assert_eq!(
        json["buffers"][1],
        serde_json::json!({"name": "conv", "kind": "tensor", "row": null, "offset": 16, "bytes": 40, "first": 1, "last": 2})
    );
    assert_eq!(json["steps"][0]["name"], serde_json::Value::Null);
    assert_eq!(json["steps"][1]["peak"], true);
}

fn plan(name: &str, strategy: Strategy) -> Plan {
    let model = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name).join("model.onnx");
    let options = CompileOptions { strategy, ..CompileOptions::default() };
    compile(&model, &options, &Silent, &mut |_, _| {}).unwrap_or_else(|e| panic!("{name}: {e}")).plan
}

#[test]
fn map_of_whole_tensors() {
    insta::assert_snapshot!("whole", MemoryMap::of(&plan("residual", Strategy::Fast)).to_string());
}

#[test]
fn map_of_rows() {
    let plan = plan("residual", Strategy::Min);
    assert!(plan.steps.iter().any(|step| matches!(step.work, Work::Rows(_))));
    let map = MemoryMap::of(&plan);
    insta::assert_snapshot!("rows", map.to_string());
    // Rows never overlap, so that the plan's count of live bytes is their sum.
    for step in map.steps.iter().filter(|step| step.by_rows) {
        let live = map.buffers.iter().filter(|b| b.is_live(step.fullest));
        assert_eq!(live.map(|b| b.bytes).sum::<usize>(), step.live_bytes, "{:?}", step.name);
    }
    assert_eq!(map.steps.iter().filter(|step| step.peak).count(), 1);
    assert!(map.buffers.iter().all(|b| b.end() <= map.arena_bytes && b.last < map.moments));
    assert!(map.to_string().lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn a_picture_replaces_an_earlier_one_or_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("map.svg");
    write_file(&file, b"old").unwrap();
    write_file(&file, b"new").unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"new");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let missing = write_file(&folder.path().join("no/map.svg"), b"x").unwrap_err().to_string();
    assert!(missing.contains("no/map.svg") || missing.contains("no\\map.svg"), "{missing}");
}
