//! `clickmill demo`: both pipelines on generated data and their dashboard, with nothing but this machine.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::duration::duration;
use super::query::{answer, print};
use super::run::{RunOptions, not_loaded, print_summary, run_pipeline};
use super::{Exit, Failure, place};
use clickmill_config::TableName;
use clickmill_core::private;
use clickmill_generator::{Generator, Kind, Options};
use clickmill_pipeline::Ending;
use clickmill_query::{QueryError, Readiness};
use clickmill_sandbox::Secrets;
use clickmill_sandbox::build::{self, Freshness, Install};
use clickmill_warehouse::Warehouse;

/// As many rows as the file the pipeline was made for.
const ROWS: u64 = 165_474;
const SEED: u64 = 2008;
const BAD: &str = "1%";
/// The tables of the batch pipeline.
const TABLES: [&str; 2] = ["clickstream_batch", "dead_letter"];
const KEY_VARIABLE: &str = "CLICKMILL_MASK_KEY";

const QUERY: &str = "SELECT country, COUNT(DISTINCT session_id) AS sessions, COUNT(*) AS clicks, ROUND(AVG(price), 2) AS average_price \
FROM clickstream_analytics.clickstream_batch GROUP BY country ORDER BY clicks DESC LIMIT 5";

const EXAMPLES: &str = "\
Examples:
  clickmill demo
  clickmill demo --for 1m
  clickmill demo --for 0s";

/// How long live events run where nobody is at a terminal to end them.
const UNATTENDED: Duration = Duration::from_secs(10);

/// Runs the batch pipeline on generated shop clicks, then the stream pipeline on live ones, and shows both
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Demo {
    /// Where the generated file is kept
    #[arg(long, value_name = "FOLDER", default_value = "./clickmill-data")]
    data: PathBuf,

    /// How long live events run, 0s for none (default: until Ctrl-C; without a terminal 10s)
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,

    /// Leave the browser closed
    #[arg(long)]
    no_open: bool,
}

impl Demo {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let file = self.data.join("clothing.csv");
        if !file.is_file() {
            generate(&file)?;
        }
        let mut secrets = Secrets::new();
        if std::env::var_os(KEY_VARIABLE).is_none() {
            let key = throwaway_key();
            secrets = secrets.with("mask", "key", &key);
            eprintln!(
                "made a throwaway key for the pseudonyms: set {KEY_VARIABLE} to keep them the same from run to run"
            );
        }
        let set = [format!("source.uri={}", file.display())];
        let options = RunOptions { secrets: secrets.clone(), ..RunOptions::default() };
        let batch = place::pipeline("batch.toml")?;
        build_plugins(&batch)?;
        let summary = run_pipeline(&batch, &set, warehouse, options)?;
        print_summary(&summary);
        not_loaded(&summary)?;

        let runtime = tokio::runtime::Runtime::new()?;
        let opened = Warehouse::open(warehouse)?;
        eprintln!("\nin the warehouse {warehouse}:");
        for table in TABLES {
            let table = TableName { dataset: place::DATASET.to_owned(), table: table.to_owned() };
            println!("{table}: {} rows", runtime.block_on(opened.count(&table))?);
        }
        // The first time it is built meanwhile.
        let ready = clickmill_query::readiness() == Readiness::Ready;
        if ready {
            query(warehouse)?;
        } else {
            eprintln!(
                "the SQL engine is being built meanwhile, which takes some minutes the first time: the dashboard's tiles fill in then"
            );
        }

        let attended = std::io::stdout().is_terminal();
        let time = self.time.or((!attended).then_some(UNATTENDED));
        if time != Some(Duration::ZERO) {
            let open = attended && !self.no_open;
            let ending = Ending { after: time, ..Ending::default() };
            let options = RunOptions { ending, secrets, open, ..RunOptions::default() };
            run_live(warehouse, options)?;
        }
        if !ready && (!attended || clickmill_query::readiness() == Readiness::Ready) {
            clickmill_query::prepare().map_err(QueryError::from)?;
            query(warehouse)?;
        }
        eprintln!(
            "go on with:\n  clickmill dashboard --open\n  clickmill query \"{QUERY}\"\n  clickmill dead-letter list"
        );
        Ok(())
    }
}

/// Runs the stream pipeline on live events.
fn run_live(warehouse: &str, options: RunOptions) -> Result<(), Failure> {
    let time = match options.ending.after {
        Some(time) => format!("for {}", humantime::format_duration(time)),
        None => "until Ctrl-C".to_owned(),
    };
    eprintln!("now live events, {time}; the dashboard shows both:");
    let stream = place::pipeline("stream.toml")?;
    build_plugins(&stream)?;
    print_summary(&run_pipeline(&stream, &[], warehouse, options)?);
    Ok(())
}

fn query(warehouse: &str) -> Result<(), Failure> {
    eprintln!("\n{QUERY}:");
    print(&answer(warehouse, QUERY)?, false)
}

/// Builds the plugins of a pipeline. A run installs nothing; the demo sets up what it needs.
fn build_plugins(pipeline: &Path) -> Result<(), Failure> {
    let plugins = clickmill_config::read(pipeline, &[])?.plugins;
    let folders = plugins.into_iter().map(|plugin| plugin.component);
    let crates: Vec<PathBuf> = folders.filter(|folder| build::is_crate(folder)).collect();
    for built in build::build_all(&crates, Freshness::Sources, Install::Allowed) {
        built?;
    }
    Ok(())
}

fn generate(file: &Path) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new("."));
    private::create_dir_all(folder)?;
    let mut options = Options::new(Kind::Shop, ROWS, SEED);
    options.bad = BAD.parse().map_err(|error| Failure::new(Exit::BadInput, error))?;
    let temporary = tempfile::NamedTempFile::new_in(folder)?;
    let mut writer = BufWriter::new(&temporary);
    std::io::copy(&mut Generator::new(&options), &mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.persist(file).map_err(|error| error.error)?;
    eprintln!("generated {ROWS} shop clicks, {BAD} of them bad: {}", file.display());
    Ok(())
}

/// Nobody keeps it: the pseudonyms of this run can't be made again.
fn throwaway_key() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
