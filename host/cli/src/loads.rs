//! `clickmill loads`: which objects are loaded, which are not and why, and loading those once more.

mod history;

use std::collections::HashSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::query::print_set;
use super::run::{Only, RunOptions, conclude, run_pipeline};
use super::{Failure, ids};
use clickmill_core::indented;
use clickmill_tables::result_set::{Column, Kind, ResultSet};
use clickmill_tables::{failures, ledger};
use history::{Failed, LoadHistory, LoadsArgs};

const EXAMPLES: &str = "\
Examples:
  clickmill loads list
  clickmill loads list --failed --json
  clickmill loads list --pipeline host/pipelines/batch_gcp.toml
  clickmill loads show 0a1b2c3d
  clickmill loads retry host/pipelines/batch.toml
  clickmill loads retry host/pipelines/batch_gcp.toml 0a1b2c3d

An object that can't be loaded does not keep others from being loaded. It stays in this list until it is loaded, or another of its name is. A watched source tries it again by itself, after waits that grow.";

/// Show which objects are loaded and which are not, and load those once more
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Loads {
    /// List loads: those that failed, then those that succeeded, newest first
    List(List),
    /// Show one load in full
    Show(Show),
    /// Load failed objects again, now
    Retry(Retry),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    #[command(flatten)]
    whose: LoadsArgs,

    /// Only those that failed and have not succeeded since
    #[arg(long)]
    failed: bool,

    /// The most loads to list
    #[arg(long, default_value_t = 20)]
    limit: u32,

    /// Print a JSON object per load
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Show {
    /// The load's id, or how it begins
    id: String,

    #[command(flatten)]
    whose: LoadsArgs,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Retry {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pipeline: PathBuf,

    /// The loads' ids, or how they begin; all that failed and that `source.uri` names, if
    /// there is none
    #[arg(value_name = "LOAD")]
    ids: Vec<String>,

    /// Set a value of the pipeline file, as for `run`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Print the summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

impl Loads {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        match self {
            Loads::List(list) => list.run(warehouse),
            Loads::Show(show) => show.run(warehouse),
            Loads::Retry(retry) => retry.run(warehouse),
        }
    }
}

impl List {
    fn run(self, warehouse: &str) -> Result<(), Failure> {
        let Self { whose, failed, limit, json } = self;
        let history = LoadHistory::open(&whose, warehouse)?;
        let mut rows: Vec<Vec<Json>> = Vec::new();
        for failure in history.failures(limit as usize)? {
            let Failed { load_id, pipeline, source, error, failed_at, .. } = failure;
            let state = "failed".to_owned();
            let cells = [load_id, state, pipeline, source].map(Json::from).into_iter();
            let counts = [Json::Null, Json::Null, Json::Null];
            rows.push(cells.chain(counts).chain([failed_at.into(), error.into()]).collect());
        }
        let left = (limit as usize).saturating_sub(rows.len());
        if !failed && left > 0 {
            rows.extend(history.loaded(left)?);
        }
        for row in rows.iter_mut().filter(|_| !json) {
            // As much as tells them apart.
            let id = row[0].as_str().map(|id| id.chars().take(8).collect::<String>());
            row[0] = id.into();
        }
        let text = |name: &str| Column { name: name.to_owned(), kind: Kind::Text };
        let number = |name: &str| Column { name: name.to_owned(), kind: Kind::Number };
        let columns = vec![
            text("load"),
            text("state"),
            text("pipeline"),
            text("source"),
            number("rows_in"),
            number("rows_out"),
            number("rows_rejected"),
            text("at"),
            text("error"),
        ];
        print_set(ResultSet { columns, rows }, json)
    }
}

impl Show {
    fn run(self, warehouse: &str) -> Result<(), Failure> {
        let id = ids::beginning(&self.id, "load")?;
        let history = LoadHistory::open(&self.whose, warehouse)?;
        let mut found = ResultSet { columns: Vec::new(), rows: Vec::new() };
        if history.has_loads()? {
            found = history.whole(ledger::TABLE, "finished_at", &id)?;
        }
        if found.rows.is_empty() && history.has_failures()? {
            found = history.whole(failures::TABLE, "failed_at", &id)?;
        }
        let at = found.columns.iter().position(|column| column.name == "load_id");
        let ids = found.rows.iter().map(|row| at.and_then(|at| row.get(at)));
        let ids: HashSet<String> =
            ids.flatten().filter_map(Json::as_str).map(str::to_owned).collect();
        if ids.len() != 1 {
            let what = if ids.is_empty() { "no load" } else { "more than one load" };
            return Err(Failure::bad_input(format!("{what} begins with `{}`", self.id))
                .hint("`clickmill loads list` shows how the ids begin"));
        }
        if self.json {
            return print_set(found, true);
        }
        let at = found.columns.iter().position(|column| column.name == "source");
        let source = found.rows.first().zip(at).and_then(|(row, at)| row.get(at)?.as_str());
        let by_table = history.rows_by_table(source.unwrap_or_default())?;
        for row in &found.rows {
            for (column, value) in found.columns.iter().zip(row) {
                match value {
                    Json::Null => {}
                    Json::String(text) => println!("{:<18} {}", column.name, indented(text)),
                    other => println!("{:<18} {other}", column.name),
                }
            }
        }
        for (table, rows) in by_table {
            println!("{:<18} {rows} in {table}", "rows");
        }
        Ok(())
    }
}

impl Retry {
    fn run(self, warehouse: &str) -> Result<(), Failure> {
        let ids =
            self.ids.iter().map(|id| ids::beginning(id, "load")).collect::<Result<Vec<_>, _>>()?;
        let whose = LoadsArgs { pipeline: Some(self.pipeline.clone()), set: self.set.clone() };
        let mut failed = LoadHistory::open(&whose, warehouse)?.failures(usize::MAX)?;
        if let Some(unknown) =
            ids.iter().find(|id| !failed.iter().any(|f| f.load_id.starts_with(*id)))
        {
            return Err(Failure::bad_input(format!("no load that failed begins with `{unknown}`"))
                .hint("`clickmill loads list --failed` shows how the ids begin"));
        }
        failed.retain(|f| ids.is_empty() || ids.iter().any(|id| f.load_id.starts_with(id)));
        if failed.is_empty() {
            eprintln!("no load has failed that has not succeeded since");
        }
        let places = failed.iter().filter(|failed| !failed.has_generation());
        let places = places.map(|failed| failed.object.clone()).collect();
        let uris = failed.into_iter().map(|failed| failed.object).collect();
        let only = Some(Only { uris, places, chosen: !ids.is_empty() });
        let options = RunOptions { only, ..RunOptions::default() };
        conclude(&run_pipeline(&self.pipeline, &self.set, warehouse, options)?, self.json)
    }
}
