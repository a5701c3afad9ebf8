//! Lines over time as one SVG file: plots stacked on one axis of time, readable on a light and on a dark ground.

use std::fmt::Write;

/// One of the stacked plots.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What it shows, and its unit.
    pub title: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// The number of its colour; lines of one thing in several plots have the same.
    pub colour: usize,
    /// Dashed, to tell it from another of the same colour.
    pub dashed: bool,
    /// Seconds and value, in the order of time. A value that is no number interrupts the line.
    pub points: Vec<(f64, f64)>,
}

/// Draws `plots` under a title, with a name for each colour.
pub fn svg(title: &str, names: &[String], plots: &[Plot]) -> String {
    let (columns, rows) = legend_shape(names);
    let top = 40.0 + 18.0 * rows as f64;
    let height = top + plots.len() as f64 * (PLOT + GAP) + 24.0;
    let end = most(plots.iter().flat_map(|p| &p.lines).flat_map(|l| &l.points).map(|p| p.0));
    let mut s = String::new();
    let _ = writeln!(
        s,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\">\n{STYLE}\
         <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n<text class=\"title\" x=\"{LEFT}\" y=\"24\">{}</text>",
        escape(title)
    );
    for (i, name) in names.iter().enumerate() {
        let step = (WIDTH - LEFT - RIGHT) / columns as f64;
        let (x, y) = (LEFT + step * (i % columns) as f64, 44.0 + 18.0 * (i / columns) as f64);
        let _ = writeln!(
            s,
            "<path class=\"line\" stroke=\"{}\" d=\"M{x:.1} {:.1}h18\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            colour(i),
            y - 4.0,
            x + 24.0,
            escape(name)
        );
    }
    for (i, p) in plots.iter().enumerate() {
        let y = top + i as f64 * (PLOT + GAP) + GAP - 8.0;
        one(&mut s, p, y, end, i + 1 == plots.len());
    }
    s.push_str("</svg>\n");
    s
}

fn one(s: &mut String, p: &Plot, top: f64, end: f64, last: bool) {
    let high = most(p.lines.iter().flat_map(|l| &l.points).map(|p| p.1));
    let (xs, ys) = (ticks(end, 10), ticks(high, 5));
    // Up to the next tick, so that the highest point is not at the edge.
    let high = ys.last().copied().unwrap_or(1.0).max(high);
    let x = |t: f64| LEFT + t / end * (WIDTH - LEFT - RIGHT);
    let y = |v: f64| top + PLOT * (1.0 - v / high);
    let _ = writeln!(s, "<text class=\"name\" x=\"{LEFT}\" y=\"{:.1}\">{}</text>", top - 7.0, escape(&p.title));
    for v in &ys {
        let _ = writeln!(
            s,
            "<path class=\"grid\" d=\"M{LEFT} {0:.1}H{1}\"/><text class=\"y\" x=\"{2}\" y=\"{3:.1}\">{4}</text>",
            y(*v),
            WIDTH - RIGHT,
            LEFT - 7.0,
            y(*v) + 4.0,
            number(*v)
        );
    }
    for t in xs.iter().filter(|t| **t <= end) {
        let _ = writeln!(s, "<path class=\"grid\" d=\"M{:.1} {top:.1}v{PLOT}\"/>", x(*t));
        if last {
            let unit = if *t == 0.0 { "" } else { " s" };
            let _ = writeln!(
                s,
                "<text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">{}{unit}</text>",
                x(*t),
                top + PLOT + 18.0,
                number(*t)
            );
        }
    }
    for l in &p.lines {
        let class = if l.dashed { "line dashed" } else { "line" };
        let points: Vec<_> = l.points.iter().map(|(t, v)| (x(*t), y(*v))).collect();
        let _ = writeln!(s, "<path class=\"{class}\" stroke=\"{}\" d=\"{}\"/>", colour(l.colour), path(&points));
    }
    let _ = writeln!(s, "<path class=\"axis\" d=\"M{LEFT} {top:.1}v{PLOT}H{}\"/>", WIDTH - RIGHT);
}

/// The commands of a line. Of many points in one column of pixels only the first, the extremes and the last are kept.
fn path(points: &[(f64, f64)]) -> String {
    let mut s = String::new();
    let mut pen = 'M';
    for piece in points.chunk_by(|a, b| a.0.floor() == b.0.floor() && a.1.is_nan() == b.1.is_nan()) {
        if piece[0].1.is_nan() {
            pen = 'M';
            continue;
        }
        let extreme = |f: fn(&f64, &f64) -> std::cmp::Ordering| {
            (0..piece.len()).max_by(|a, b| f(&piece[*a].1, &piece[*b].1)).unwrap_or(0)
        };
        let mut keep = [0, extreme(f64::total_cmp), extreme(|a, b| b.total_cmp(a)), piece.len() - 1];
        keep.sort_unstable();
        let mut before = usize::MAX;
        for i in keep {
            if i != before {
                let _ = write!(s, "{pen}{:.1} {:.1}", piece[i].0, piece[i].1);
                (pen, before) = ('L', i);
            }
        }
    }
    s
}

/// Round numbers from 0 to `high` or a little above, about `n` of them.
fn ticks(high: f64, n: usize) -> Vec<f64> {
    let raw = high / n as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw * 0.999).unwrap_or(raw);
    (0..=(high / step).ceil() as usize).map(|i| i as f64 * step).collect()
}

/// The greatest of the numbers that is one, or 1.
fn most(all: impl Iterator<Item = f64>) -> f64 {
    let m = all.filter(|v| v.is_finite()).fold(0.0, f64::max);
    if m > 0.0 { m } else { 1.0 }
}

/// A tick's number without the noise of its sum.
fn number(v: f64) -> String {
    let s = format!("{v:.3}");
    s.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Columns and rows of the legend, so that the longest name has room.
fn legend_shape(names: &[String]) -> (usize, usize) {
    let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(1);
    let columns = (((WIDTH - LEFT - RIGHT) / (longest as f64 * 7.0 + 42.0)) as usize).max(1);
    (columns, names.len().div_ceil(columns))
}

/// Eight that are told apart also by those who see few colours, on light and on dark; then others by their hue.
fn colour(n: usize) -> String {
    const FIRST: [&str; 8] = ["#2f7fd6", "#d9622b", "#2a9d6f", "#b65ccf", "#c79a12", "#d1457b", "#19a0b4", "#7a7f87"];
    match FIRST.get(n) {
        Some(c) => (*c).to_string(),
        None => format!("hsl({}, 60%, 50%)", n * 137 % 360),
    }
}

fn escape(s: &str) -> String {
    s.replace('&', "&amp;").replace('<', "&lt;")
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const PLOT: f64 = 190.0;
const GAP: f64 = 40.0;
const STYLE: &str = "<style>\
text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:16px;font-weight:600}.name{font-weight:600}\
.y{text-anchor:end}.x{text-anchor:middle}.x,.y{fill:#57606a}.ground{fill:#fff}.grid{stroke:#d8dee4;fill:none}\
.axis{stroke:#57606a;fill:none}.line{fill:none;stroke-width:1.5;stroke-linejoin:round}.dashed{stroke-dasharray:5 4;stroke-opacity:.75}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.x,.y{fill:#9198a1}.ground{fill:#0d1117}.grid{stroke:#2b323b}.axis{stroke:#9198a1}}\
</style>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_top() {
        assert_eq!(ticks(60.0, 10), (0..=6).map(|i| f64::from(i) * 10.0).collect::<Vec<_>>());
        assert_eq!(ticks(0.9, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(number(0.6000000000000001), "0.6");
        assert_eq!(ticks(1.0, 5).len(), 6);
    }

    #[test]
    fn a_column_of_pixels_keeps_its_extremes_and_no_number_interrupts() {
        let points =
            [(1.0, 5.0), (1.1, 9.0), (1.2, 6.0), (1.3, 2.0), (1.4, 4.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 1.0)];
        assert_eq!(path(&points), "M1.0 5.0L1.1 9.0L1.3 2.0L1.4 4.0M3.0 1.0L4.0 1.0");
    }

    #[test]
    fn names_cannot_break_the_file() {
        let line = Line { colour: 0, dashed: true, points: vec![(0.0, 0.0), (9.0, 3.0)] };
        let s = svg("<a&b>", &["x<y".into()], &[Plot { title: "t".into(), lines: vec![line] }]);
        assert!(s.contains("&lt;a&amp;b>") && s.contains("x&lt;y") && s.ends_with("</svg>\n"));
        assert!(
            svg("", &[], &[Plot { title: String::new(), lines: Vec::new() }]).contains(">1<"),
            "an empty plot is one, too"
        );
    }
}
