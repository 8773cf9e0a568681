//! A picture of curves: two panels side by side over the same `x`, as SVG that is legible on light and on
//! dark pages.

use std::fmt::Write;

/// Curves that have a unit in common.
pub(crate) struct Panel {
    /// What they are, with the unit.
    pub label: &'static str,
    /// Names and points.
    pub series: Vec<(String, Vec<(f64, f64)>)>,
}

/// Pixels of a panel, and of its margins.
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 44.0;

const STYLE: &str = "
text{font:12px sans-serif;fill:#1f2328}.title{font-size:14px;font-weight:bold}.page{fill:#fff}
.grid{stroke:#d1d9e0}.s0,.s1,.s2{fill:none;stroke-width:2}.s1{stroke-dasharray:6 3}.s2{stroke-dasharray:2 3}
.s0{stroke:#0969da}.s1{stroke:#bc4c00}.s2{stroke:#1a7f37}
.f0{fill:#0969da}.f1{fill:#bc4c00}.f2{fill:#1a7f37}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.grid{stroke:#3d444d}
.s0{stroke:#4493f8}.s1{stroke:#f0883e}.s2{stroke:#3fb950}
.f0{fill:#4493f8}.f1{fill:#f0883e}.f2{fill:#3fb950}}
";

/// Draws panels over an axis that is called `x`; with `log`, all axes are logarithmic, otherwise the others
/// begin at zero.
pub(crate) fn draw(title: &str, x: &str, log: bool, panels: &[Panel]) -> String {
    let width = WIDTH * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" \
         height=\"{HEIGHT}\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n"
    );
    text(&mut svg, "title", "start", (12.0, 22.0), title);
    for (number, panel) in panels.iter().enumerate() {
        panel.draw(&mut svg, WIDTH * number as f64, x, log);
    }
    svg + "</svg>\n"
}

fn text(svg: &mut String, class: &str, anchor: &str, (x, y): (f64, f64), text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        svg,
        "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    )
    .unwrap();
}

impl Panel {
    fn draw(&self, svg: &mut String, left: f64, label: &str, log: bool) {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let x = Axis::over(points().map(|point| point.0), log);
        let from_zero = (!log).then_some(0.0);
        let y = Axis::over(points().map(|point| point.1).chain(from_zero), log);
        let (from, to) = (left + LEFT, left + WIDTH - RIGHT);
        let (floor, ceiling) = (HEIGHT - BOTTOM, TOP);
        let across = |value: f64| from + x.share(value) * (to - from);
        let up = |value: f64| floor - y.share(value) * (floor - ceiling);
        let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| {
            let (a, b) = (
                format!("x1=\"{x1:.1}\" y1=\"{y1:.1}\""),
                format!("x2=\"{x2:.1}\" y2=\"{y2:.1}\""),
            );
            writeln!(svg, "<line class=\"grid\" {a} {b}/>").unwrap();
        };
        x.ticks.iter().for_each(|tick| line(across(*tick), floor, across(*tick), ceiling));
        y.ticks.iter().for_each(|tick| line(from, up(*tick), to, up(*tick)));
        for tick in &x.ticks {
            text(svg, "", "middle", (across(*tick), floor + 16.0), &named(*tick));
        }
        for tick in &y.ticks {
            text(svg, "", "end", (from - 6.0, up(*tick) + 4.0), &named(*tick));
        }
        text(svg, "", "middle", (f64::midpoint(from, to), floor + 34.0), label);
        text(svg, "", "start", (left + 12.0, 42.0), self.label);
        let mut names_from = from;
        for (number, (name, points)) in self.series.iter().enumerate() {
            if self.series.len() > 1 {
                text(svg, &format!("f{number}"), "start", (names_from, 58.0), name);
                names_from += 7.0 * name.len() as f64 + 16.0;
            }
            let places: Vec<String> =
                points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
            writeln!(svg, "<polyline class=\"s{number}\" points=\"{}\"/>", places.join(" "))
                .unwrap();
            for (x, y) in points {
                let place = format!("cx=\"{:.1}\" cy=\"{:.1}\"", across(*x), up(*y));
                let told = format!("<title>{}: {y}</title>", named(*x));
                writeln!(svg, "<circle class=\"f{number}\" {place} r=\"3.5\">{told}</circle>")
                    .unwrap();
            }
        }
    }
}

struct Axis {
    /// From one end to the other.
    ticks: Vec<f64>,
    log: bool,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let (low, high) = values
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        Self { ticks: if log { log_ticks(low, high) } else { linear_ticks(low, high) }, log }
    }

    /// How far along the axis a value is, of 1.
    fn share(&self, value: f64) -> f64 {
        let place = |value: f64| if self.log { value.log10() } else { value };
        let (low, high) = (place(self.ticks[0]), place(self.ticks[self.ticks.len() - 1]));
        (place(value) - low) / (high - low)
    }
}

/// Powers of ten, or over few of them their double and fivefold too.
fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let parts: &[f64] = if high / low > 500.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let decades = low.log10().floor() as i32..=high.log10().floor() as i32 + 1;
    let all: Vec<f64> =
        decades.flat_map(|ten| parts.iter().map(move |part| part * 10f64.powi(ten))).collect();
    let first = all.iter().rposition(|tick| *tick <= low * 1.001).unwrap_or(0);
    let last = all.iter().position(|tick| *tick >= high * 0.999).unwrap_or(all.len() - 1);
    all[first..=last.max(first + 1)].to_vec()
}

/// About five round numbers, whole ones.
fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let wanted = ((high - low) / 5.0).max(1.0);
    let ten = 10f64.powf(wanted.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|part| part * ten);
    let step = steps.into_iter().find(|step| *step >= wanted).unwrap_or(steps[3]);
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    (first..=last.max(first + 1)).map(|count| count as f64 * step).collect()
}

/// A number as an axis says it: `10 k`, `2 M`, `0.5`.
fn named(number: f64) -> String {
    let (number, unit) = match number {
        _ if number >= 1e6 => (number / 1e6, " M"),
        _ if number >= 1e4 => (number / 1e3, " k"),
        _ => (number, ""),
    };
    let rounded = (number * 1e6).round() / 1e6;
    format!("{rounded}{unit}")
}
