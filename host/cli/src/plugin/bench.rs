//! `clickmill plugin bench`: what a plugin's rows cost, against another version too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value as Json, json};

use super::alone::Alone;
use crate::compile::Limits;
use crate::{Exit, Failure};
use clickmill_sandbox::{Bench as Rows, Limits as StageLimits, Round, StageMade, TestError};

const EXAMPLES: &str = "\
Examples:
  clickmill plugin bench plugins/mask
  clickmill plugin bench plugins/mask --against mask-1.4.2.wasm
  clickmill plugin bench plugins/mask \\
      --against oci://localhost:5000/plugins/mask:1.4.2
  clickmill plugin bench plugins/mask --cases clicks.json --rows clicks.ndjson
  clickmill plugin bench plugins/mask --vcpu-hour 0.05 --json

Columns and configuration are those of the plugin's golden cases, the `tests/*.json` in the crate or beside the component, and so are the rows, in turn, unless --rows names a file: `clickmill tap` and `clickmill query --json` print such rows. Fuel is the same on every machine. Time is processor time of this one, the median of the rounds, with that of handing rows over and back; where others use the machine, it varies.";

/// Measure what a plugin's rows cost, against another version too
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// A component file, the folder of a plugin crate, or oci://HOST/REPOSITORY:TAG
    plugin: PathBuf,

    /// Another version to compare it with, named in the same way
    #[arg(long, value_name = "PLUGIN")]
    against: Option<PathBuf>,

    /// Only the golden cases of this file, such as clicks.json
    #[arg(long, value_name = "NAME")]
    cases: Option<String>,

    /// Rows to take in place of those of the cases, with the columns and configuration of the first file of cases
    /// unless --cases names one: a JSON object a line; columns that the cases lack are left out
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,

    /// How many rows go through it in a round
    #[arg(long, value_name = "ROWS", default_value_t = 65_536, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    count: u64,

    /// How many rounds are measured, after one that is not
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,

    /// What a virtual processor costs an hour, for the cost of a million events
    #[arg(long, value_name = "PRICE", value_parser = price)]
    vcpu_hour: Option<f64>,

    /// Print it as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    limits: Limits,
}

/// What a version takes for the rows of a file.
struct Figures {
    ns_per_row: f64,
    fuel_per_row: f64,
    /// Seconds of processor time for a million rows.
    core_secs: f64,
    /// What those cost.
    cost: Option<f64>,
    round: Round,
}

impl Bench {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let this = Alone::load(&self.plugin, &self.limits)?;
        let other = self.against.as_ref().map(|other| Alone::load(other, &self.limits));
        let versions: Vec<Alone> =
            std::iter::once(Ok(this)).chain(other).collect::<Result<_, _>>()?;
        let made: Vec<StageMade> = versions.iter().map(Alone::made).collect();
        let rows = self.rows.as_deref().map(read_rows).transpose()?.unwrap_or_default();
        let mut cases = versions[0].cases_of(self.cases.as_deref())?;
        if self.rows.is_some() {
            cases.truncate(1);
        }
        let mut files = Vec::new();
        for golden in cases {
            let bench = |version: &Alone| {
                version.library.bench(&version.stage, golden, &rows, self.count as usize)
            };
            let benches = versions.iter().map(bench).collect::<Result<Vec<Rows>, TestError>>();
            let benches = benches.map_err(bad)?;
            let figures = self.measure(&benches)?;
            if self.json {
                files.push(told(&benches[0], &figures, &made));
            } else {
                self.tell(&benches[0], &figures, &made);
            }
            self.warn(&benches[0], &figures, &made);
        }
        if self.json {
            println!("{:#}", json!({ "rows": self.count, "rounds": self.rounds, "files": files }));
        }
        Ok(())
    }

    /// Runs the versions in turn, so that what else the machine does is all of theirs.
    fn measure(&self, benches: &[Rows]) -> Result<Vec<Figures>, Failure> {
        let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); benches.len()];
        for round in 0..=self.rounds {
            for (bench, rounds) in benches.iter().zip(&mut rounds) {
                let took = bench.round().map_err(bad)?;
                if round > 0 {
                    rounds.push(took);
                }
            }
        }
        Ok(rounds.iter().map(|rounds| self.figures(rounds)).collect())
    }

    fn figures(&self, rounds: &[Round]) -> Figures {
        let mut times: Vec<Duration> = rounds.iter().map(|round| round.time).collect();
        times.sort();
        let (rows, round) = (self.count as f64, rounds[0]);
        let secs_per_row = times[times.len() / 2].as_secs_f64() / rows;
        let core_secs = secs_per_row * 1e6;
        Figures {
            ns_per_row: secs_per_row * 1e9,
            fuel_per_row: round.fuel as f64 / rows,
            core_secs,
            cost: self.vcpu_hour.map(|price| core_secs / 3600.0 * price),
            round,
        }
    }

    /// Figures that are not those of a plugin's work, since it has the fuel that a pipeline grants by default.
    fn warn(&self, bench: &Rows, figures: &[Figures], made: &[StageMade]) {
        let granted = StageLimits::default().max_fuel_per_record;
        for (made, Figures { fuel_per_row, round, .. }) in made.iter().zip(figures) {
            let what = if round.lacked_fuel > 0 {
                format!("{} of {} rows were refused", round.lacked_fuel, self.count)
            } else if round.faults > 0 && *fuel_per_row > granted as f64 {
                format!("{} calls were ended and made again of fewer rows", round.faults)
            } else {
                continue;
            };
            eprintln!(
                "warning: {}: {what} for want of fuel by {}, and the figures are with them: a pipeline grants {granted} a row unless `max_fuel_per_record` under `[plugin.limits]` says more",
                bench.file(),
                called(made)
            );
        }
    }

    fn tell(&self, bench: &Rows, figures: &[Figures], made: &[StageMade]) {
        println!(
            "{}: {} rows in batches of {}, median of {} rounds",
            bench.file(),
            self.count,
            bench.batch_rows(),
            self.rounds
        );
        println!(
            "  {:<32} {:>12} {:>14} {:>10} {:>10}",
            "version", "ns a row", "fuel a row", "rejected", "dropped"
        );
        for (made, figures) in made.iter().zip(figures) {
            let Figures { ns_per_row, fuel_per_row, round, .. } = figures;
            println!(
                "  {:<32} {ns_per_row:>12.1} {fuel_per_row:>14.1} {:>10} {:>10}",
                called(made),
                round.rejected,
                round.dropped
            );
        }
        if let [this, other] = figures {
            println!(
                "  {:<32} {:>12} {:>14}",
                "difference",
                difference(this.ns_per_row, other.ns_per_row),
                difference(this.fuel_per_row, other.fuel_per_row)
            );
        }
        for (made, Figures { core_secs, fuel_per_row, cost, .. }) in made.iter().zip(figures) {
            let cost = cost.map_or_else(String::new, |cost| format!(", which cost {cost:.6}"));
            println!(
                "  a million events: {core_secs:.3} s of processor time, {fuel_per_row:.0} million of fuel{cost} ({})",
                called(made)
            );
        }
    }
}

/// A version, with how its digest begins.
fn called(made: &StageMade) -> String {
    format!("{} {} ({})", made.plugin, made.version, made.component.short())
}

/// How much more or less this is than another.
fn difference(this: f64, other: f64) -> String {
    if other > 0.0 { format!("{:+.1} %", (this / other - 1.0) * 100.0) } else { "-".to_owned() }
}

fn told(bench: &Rows, figures: &[Figures], made: &[StageMade]) -> Json {
    let versions = figures.iter().zip(made).map(|(figures, made)| {
        json!({
            "plugin": made.plugin,
            "version": made.version,
            "digest": made.component,
            "ns_per_row": figures.ns_per_row,
            "fuel_per_row": figures.fuel_per_row,
            "rejected": figures.round.rejected,
            "lacked_fuel": figures.round.lacked_fuel,
            "dropped": figures.round.dropped,
            "per_million_events": {
                "core_seconds": figures.core_secs,
                "fuel": figures.fuel_per_row * 1e6,
                "cost": figures.cost,
            },
        })
    });
    let versions: Vec<Json> = versions.collect();
    json!({ "file": bench.file(), "batch_rows": bench.batch_rows(), "versions": versions })
}

/// Rows of a file, an object a line.
pub(super) fn read_rows(path: &Path) -> Result<Vec<Map<String, Json>>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::unreadable(path, error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let row = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let line = format!("`{}`, line {}, is not a JSON object", path.display(), at + 1);
            Failure::new(Exit::BadInput, anyhow::Error::new(error).context(line))
        })
    };
    let rows: Vec<Map<String, Json>> = lines.map(row).collect::<Result<_, _>>()?;
    if rows.is_empty() {
        return Err(Failure::bad_input(format!("`{}` has no rows", path.display())));
    }
    Ok(rows)
}

fn bad(error: impl Into<anyhow::Error>) -> Failure {
    Failure::new(Exit::BadInput, error)
}

fn price(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(price) if price.is_finite() && price >= 0.0 => Ok(price),
        _ => Err("wanted a number from 0 on, such as 0.05".to_owned()),
    }
}
