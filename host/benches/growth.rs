//! How cost grows with work: rows, columns, bytes of a message, plugins, workers, files of a table, dead
//! letters. Each curve is measured by whole processes; its points go into `growth/<curve>.csv`, its picture
//! into `growth/<curve>.svg`, and what bends upward is said.
//!
//!     cargo bench --bench growth                     all curves, or in smoke mode few points of each
//!     cargo bench --bench growth -- rows letters     these
//!     cargo bench --bench growth -- draw             the pictures anew, of the points that are there
//!
//! Processor time is that of the processes, user and system: others who use the machine are in it far less
//! than in the time by the clock. `CLICKMILL_BENCH_BINARY` names another executable to measure,
//! `CLICKMILL_BENCH_SHARE` a folder with pipelines, schemas and components as `.ci/share` makes it,
//! `CLICKMILL_GROWTH_ROWS` the most rows of a point (1e8), and `CLICKMILL_GROWTH` another folder for what is
//! written.

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

#[path = "growth/curves.rs"]
mod curves;
#[path = "growth/host.rs"]
mod host;
#[path = "growth/plot.rs"]
mod plot;
mod smoke;
#[path = "growth/table.rs"]
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use curves::{CURVES, Cost, Curve};
use host::{Host, root};
use plot::{Panel, draw};
use table::Table;

fn main() {
    // Cargo hands on a flag of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let known = |word: &&String| *word == "draw" || CURVES.iter().any(|curve| curve.name == **word);
    if let Some(word) = words.iter().find(|word| !known(word)) {
        let names: Vec<&str> = CURVES.iter().map(|curve| curve.name).collect();
        panic!("`{word}` is no curve: wanted `draw`, or some of {}", names.join(", "));
    }
    let kept = root().join("host/benches/growth");
    if words.iter().any(|word| word == "draw") {
        let drawn = CURVES.iter().filter(|curve| points(curve, &kept).exists());
        drawn.for_each(|curve| picture(curve, &kept));
        return;
    }
    let made = smoke::of(kept.clone(), Path::new(env!("CARGO_TARGET_TMPDIR")).join("growth"));
    let made = std::env::var_os("CLICKMILL_GROWTH").map_or(made, PathBuf::from);
    fs::create_dir_all(&made).unwrap();
    let host = Host::new();
    for curve in
        CURVES.iter().filter(|curve| words.is_empty() || words.contains(&curve.name.to_owned()))
    {
        println!("{}: {}", curve.name, curve.title);
        let table = (curve.measure)(&host);
        print!("{}", table.to_csv());
        fs::write(points(curve, &made), table.to_csv()).unwrap();
        picture(curve, &made);
        for column in curve.left.columns {
            for bend in bends(curve.cost, &table.points(column)) {
                println!("{column} {bend}");
            }
        }
        println!();
    }
    // A picture shows the points that lie beside it.
    for curve in CURVES.iter().filter(|curve| points(curve, &kept).exists()) {
        let svg = points(curve, &kept).with_extension("svg");
        let drawn = fs::read_to_string(&svg).unwrap_or_default();
        let what = "is not what its points give: `cargo bench --bench growth -- draw`";
        assert!(drawn == drawing(curve, &kept), "{} {what}", svg.display());
    }
}

/// The file of a curve's points.
fn points(curve: &Curve, folder: &Path) -> PathBuf {
    folder.join(curve.name).with_extension("csv")
}

fn drawing(curve: &Curve, folder: &Path) -> String {
    let text = fs::read_to_string(points(curve, folder)).unwrap();
    let table = Table::from_csv(&text);
    let panel = |panel: &curves::Side| Panel {
        label: panel.label,
        series: panel.columns.iter().map(|name| (table.label(name), table.points(name))).collect(),
    };
    draw(curve.title, curve.x, curve.log, &[panel(&curve.left), panel(&curve.right)])
}

fn picture(curve: &Curve, folder: &Path) {
    let svg = drawing(curve, folder);
    fs::write(points(curve, folder).with_extension("svg"), svg).unwrap();
}

/// Where all of the work costs clearly more than in proportion to how much it is.
fn bends(cost: Cost, points: &[(f64, f64)]) -> Vec<String> {
    let total = |(x, y): (f64, f64)| match cost {
        Cost::OfUnit => x * y,
        Cost::OfAll => y,
    };
    let steps = points.windows(2).filter(|step| step[0].0 > 0.0);
    let exponents = steps.map(|step| {
        let growth = total(step[1]) / total(step[0]);
        (step[0].0, step[1].0, growth.log2() / (step[1].0 / step[0].0).log2())
    });
    let bent = exponents.filter(|(_, _, exponent)| *exponent > 1.1);
    bent.map(|(from, to, exponent)| {
        format!("bends upward from {from} to {to}: as x to the power of {exponent:.2}")
    })
    .collect()
}
