//! The arena over the schedule as an SVG picture.
//!
//! In: a [`MemoryMap`]. Out: the text of an SVG file: time to the right, bytes
//! upwards, below it a bar for each step from its first to its last moment. Invariant:
//! the same map gives the same text, and names are escaped.

use std::fmt::Write;

use super::memory_map::{MapBuffer, MapKind, MemoryMap};
use super::short;
use crate::target::units::{format_bytes, thousands};

/// Pixels of a step that is one moment; a cascade has as many for each of its steps.
const STEP: f64 = 48.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 90.0;
const TOP: f64 = 50.0;
/// Pixels for what stands to the right of the picture: names, and the bound.
const RIGHT: f64 = 260.0;
const BAR: f64 = 15.0;
/// Pixels of a character of the labels, about.
const CHAR: f64 = 5.6;
/// Colours of tensors, in turn; scratch is grey.
const COLOURS: [&str; 12] = [
    "#a6cee3", "#fdbf6f", "#b2df8a", "#cab2d6", "#fb9a99", "#ffff99", "#8dd3c7", "#d9b38c", "#9ecae1",
    "#f4b6d2", "#c7e9a0", "#bebada",
];
const SCRATCH: &str = "#bdbdbd";

/// Draws a map.
#[must_use]
pub fn svg(map: &MemoryMap) -> String {
    let picture = Picture::new(map);
    let width = picture.x[map.moments] + RIGHT;
    let height = TOP + HEIGHT + 14.0 + BAR * map.steps.len() as f64 + 10.0;
    let mut out = String::new();
    let title = format!(
        "arena {}, lower bound {}: bytes upwards, time to the right",
        format_bytes(map.arena_bytes as u64),
        format_bytes(map.live_bound_bytes as u64)
    );
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="sans-serif" font-size="10">"#
    );
    let _ = writeln!(out, r##"<rect width="{width:.0}" height="{height:.0}" fill="#ffffff"/>"##);
    let _ = writeln!(out, r#"<text x="{LEFT}" y="20" font-size="14">{title}</text>"#);
    for buffer in &map.buffers {
        picture.buffer(&mut out, buffer);
    }
    picture.axis(&mut out);
    picture.regions(&mut out);
    for index in 0..map.steps.len() {
        picture.step(&mut out, index);
    }
    out.push_str("</svg>\n");
    out
}

/// The map with the left edge of every moment.
struct Picture<'a> {
    map: &'a MemoryMap,
    x: Vec<f64>,
}

impl Picture<'_> {
    fn new(map: &MemoryMap) -> Picture<'_> {
        // Steps of a cascade take turns, so that their spans overlap: together they
        // get the width of their number, divided among all moments.
        let mut width = vec![STEP; map.moments];
        let mut index = 0;
        while index < map.steps.len() {
            let (first, mut last, begin) = (map.steps[index].first, map.steps[index].last, index);
            index += 1;
            while index < map.steps.len() && map.steps[index].first <= last {
                last = last.max(map.steps[index].last);
                index += 1;
            }
            let each = STEP * (index - begin) as f64 / (last + 1 - first) as f64;
            width[first..=last].iter_mut().for_each(|w| *w = each);
        }
        let mut x = vec![LEFT];
        for w in width {
            x.push(x[x.len() - 1] + w);
        }
        Picture { map, x }
    }

    /// Where a buffer begins, in words.
    fn place(&self, buffer: &MapBuffer) -> String {
        match self.map.region_of(buffer) {
            Some(region) => {
                format!("{} of {}", thousands((buffer.offset - region.offset) as u64), escaped(&region.name))
            }
            None => thousands(buffer.offset as u64),
        }
    }

    /// Where one RAM region ends and the next begins, and their names.
    fn regions(&self, out: &mut String) {
        let (left, right) = (LEFT, self.x[self.map.moments]);
        for region in &self.map.regions {
            let (y, name) = (self.y(region.offset), escaped(&region.name));
            let _ = writeln!(
                out,
                r##"<line x1="{left:.2}" y1="{y:.2}" x2="{right:.2}" y2="{y:.2}" stroke="#000000" stroke-width="1.5"/><text x="{:.2}" y="{:.2}" font-weight="bold">{name}, {}</text>"##,
                right + 6.0,
                y - 6.0,
                format_bytes(region.bytes as u64)
            );
        }
    }

    fn y(&self, bytes: usize) -> f64 {
        TOP + HEIGHT * (1.0 - bytes as f64 / self.map.arena_bytes.max(1) as f64)
    }

    fn buffer(&self, out: &mut String, buffer: &MapBuffer) {
        let (x, y) = (self.x[buffer.first], self.y(buffer.end()));
        let (width, height) = (self.x[buffer.last + 1] - x, self.y(buffer.offset) - y);
        let name = escaped(&short(&buffer.name));
        let what = match (buffer.kind, buffer.row) {
            (MapKind::Scratch, _) => format!("scratch of {name}"),
            (_, Some(row)) => format!("{name} row {row}"),
            _ => name,
        };
        let size = format_bytes(buffer.bytes as u64);
        let fill = match buffer.kind {
            MapKind::Scratch => SCRATCH,
            _ => COLOURS[buffer.group % COLOURS.len()],
        };
        // Borders of rows would hide their colour.
        let border = if buffer.row.is_none() {
            0.6
        } else if height < 4.0 {
            0.0
        } else {
            0.15
        };
        let _ = writeln!(
            out,
            r##"<rect x="{x:.2}" y="{y:.2}" width="{width:.2}" height="{height:.2}" fill="{fill}" fill-opacity="0.85" stroke="#333333" stroke-width="{border}"><title>{what}: {size} at {}, moments {} to {}</title></rect>"##,
            self.place(buffer),
            buffer.first,
            buffer.last
        );
        let mut label = |text: &str, y: f64| {
            let _ = writeln!(out, r#"<text x="{:.2}" y="{y:.2}">{text}</text>"#, x + 3.0);
        };
        let fits = |text: &str| text.len() as f64 * CHAR + 4.0 <= width;
        if height >= 24.0 && fits(&what) {
            label(&what, y + 11.0);
            label(&size, y + 22.0);
        } else if height >= 11.0 && fits(&size) {
            label(&size, y + 10.0);
        }
    }

    /// Bytes to the left, the lower bound across.
    fn axis(&self, out: &mut String) {
        let (left, right) = (LEFT, self.x[self.map.moments]);
        for quarter in 0..=4 {
            let bytes = self.map.arena_bytes * quarter / 4;
            let y = self.y(bytes);
            let _ = writeln!(
                out,
                r##"<line x1="{left:.2}" y1="{y:.2}" x2="{right:.2}" y2="{y:.2}" stroke="#888888" stroke-width="0.5"/><text x="{:.2}" y="{:.2}" text-anchor="end">{}</text>"##,
                left - 6.0,
                y + 3.5,
                format_bytes(bytes as u64)
            );
        }
        let y = self.y(self.map.live_bound_bytes);
        let _ = writeln!(
            out,
            r##"<line x1="{left:.2}" y1="{y:.2}" x2="{right:.2}" y2="{y:.2}" stroke="#cc0000" stroke-width="1.2" stroke-dasharray="6 3"/><text x="{:.2}" y="{:.2}" fill="#cc0000">lower bound {}</text>"##,
            right + 6.0,
            y + 3.5,
            format_bytes(self.map.live_bound_bytes as u64)
        );
    }

    /// The bar of a step, its name, and the mark of the peak.
    fn step(&self, out: &mut String, index: usize) {
        let step = &self.map.steps[index];
        let y = TOP + HEIGHT + 14.0 + BAR * index as f64;
        let (x, end) = (self.x[step.first], self.x[step.last + 1]);
        let fill = step.makes.map_or("#eeeeee", |group| COLOURS[group % COLOURS.len()]);
        let name = match &step.name {
            Some(name) => escaped(&short(name)),
            None if index == 0 => "inputs written".to_owned(),
            None => "outputs read".to_owned(),
        };
        let _ = writeln!(
            out,
            r##"<rect x="{x:.2}" y="{y:.2}" width="{:.2}" height="{:.2}" fill="{fill}" stroke="#333333" stroke-width="0.6"/><text x="{:.2}" y="{:.2}">{name}, {}</text>"##,
            end - x,
            BAR - 3.0,
            end + 4.0,
            y + 9.5,
            format_bytes(step.live_bytes as u64)
        );
        if step.peak {
            let (from, to) = (self.x[step.fullest], self.x[step.fullest + 1]);
            let _ = writeln!(
                out,
                r##"<rect x="{from:.2}" y="{TOP}" width="{:.2}" height="{HEIGHT}" fill="none" stroke="#cc0000" stroke-width="1.5"/><text x="{from:.2}" y="{:.2}" fill="#cc0000">peak</text>"##,
                to - from,
                TOP - 6.0
            );
        }
    }
}

/// Text between tags or in an attribute. What XML cannot hold at all becomes a space.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
