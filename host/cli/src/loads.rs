//! `clickmill loads`: which objects are loaded, which are not and why, and loading those once more.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::query::print;
use super::run::{RunOptions, conclude, run_pipeline};
use super::{Exit, Failure, place};
use clickmill_bigquery::{BigQuery, Change};
use clickmill_config::{Place, TableName};
use clickmill_sink::Tables;
use clickmill_tables::result_set::{Column, Kind, Parameter, ResultSet};
use clickmill_tables::{failures, ledger};
use clickmill_warehouse::Warehouse;

/// Where loads are looked for where no pipeline file is named.
const DATASET: &str = "clickstream_analytics";
/// So many failures are looked at. More than that are of one cause, which the first ones tell.
const MOST_FAILURES: usize = 1000;
/// So many objects are asked for in one query.
const ASKED_AT_ONCE: usize = 100;

const EXAMPLES: &str = "\
Examples:
  clickmill loads list
  clickmill loads list --failed --json
  clickmill loads list --pipeline host/pipelines/batch_gcp.toml
  clickmill loads show 0a1b2c3d
  clickmill loads retry host/pipelines/batch.toml
  clickmill loads retry host/pipelines/batch_gcp.toml 0a1b2c3d

An object that can't be loaded does not keep the others from it. It stays in this list until it is loaded, or another of its name is. A watched source tries it again by itself, after waits that grow.";

/// Shows which objects are loaded and which are not, and loads those once more
#[derive(Debug, Subcommand)]
pub(super) enum Loads {
    /// List loads: those that failed, then those that happened, newest first
    List(List),
    /// Show a load whole
    Show(Show),
    /// Load what failed once more, now
    Retry(Retry),
}

/// Whose loads
#[derive(Debug, Args)]
struct Whose {
    /// Look where this pipeline file writes to, in place of the warehouse
    #[arg(long, value_name = "PIPELINE.toml")]
    pipeline: Option<PathBuf>,

    /// Set a value of the pipeline file, such as sink.project=my-project
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "pipeline")]
    set: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    #[command(flatten)]
    whose: Whose,

    /// Only those that failed and have not happened since
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
    whose: Whose,

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

    /// The loads' ids, or how they begin; all that failed if there is none
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
        let book = Book::open(&whose, warehouse)?;
        let mut rows: Vec<Vec<Json>> = Vec::new();
        for failure in book.failures()?.into_iter().take(limit as usize) {
            let Failed { load_id, pipeline, source, error, failed_at, .. } = failure;
            let state = "failed".to_owned();
            let cells = [load_id, state, pipeline, source].map(Json::from).into_iter();
            let counts = [Json::Null, Json::Null, Json::Null];
            rows.push(cells.chain(counts).chain([failed_at.into(), error.into()]).collect());
        }
        let left = (limit as usize).saturating_sub(rows.len());
        if !failed && left > 0 {
            rows.extend(book.loaded(left)?);
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
        print(&ResultSet { columns, rows }.try_into()?, json)
    }
}

impl Show {
    fn run(self, warehouse: &str) -> Result<(), Failure> {
        let id = checked(&self.id)?;
        let book = Book::open(&self.whose, warehouse)?;
        let mut found = book.whole(ledger::TABLE, "finished_at", &id)?;
        if found.rows.is_empty() && book.has_failures()? {
            found = book.whole(failures::TABLE, "failed_at", &id)?;
        }
        let at = found.columns.iter().position(|column| column.name == "load_id");
        let ids = found.rows.iter().map(|row| at.and_then(|at| row.get(at)));
        let ids: HashSet<String> =
            ids.flatten().filter_map(Json::as_str).map(str::to_owned).collect();
        if ids.len() != 1 {
            let what = if ids.is_empty() { "no load" } else { "more than one load" };
            let error = anyhow::anyhow!("{what} begins with `{}`", self.id);
            return Err(Failure::new(Exit::BadInput, error)
                .hint("`clickmill loads list` shows how the ids begin"));
        }
        if self.json {
            return print(&found.try_into()?, true);
        }
        for row in &found.rows {
            for (column, value) in found.columns.iter().zip(row) {
                match value {
                    Json::Null => {}
                    Json::String(text) => println!("{:<18} {text}", column.name),
                    other => println!("{:<18} {other}", column.name),
                }
            }
        }
        Ok(())
    }
}

impl Retry {
    fn run(self, warehouse: &str) -> Result<(), Failure> {
        let ids = self.ids.iter().map(|id| checked(id)).collect::<Result<Vec<_>, _>>()?;
        let whose = Whose { pipeline: Some(self.pipeline.clone()), set: self.set.clone() };
        let mut failed = Book::open(&whose, warehouse)?.failures()?;
        if let Some(unknown) =
            ids.iter().find(|id| !failed.iter().any(|f| f.load_id.starts_with(*id)))
        {
            let error = anyhow::anyhow!("no load that failed begins with `{unknown}`");
            return Err(Failure::new(Exit::BadInput, error)
                .hint("`clickmill loads list --failed` shows how the ids begin"));
        }
        failed.retain(|f| ids.is_empty() || ids.iter().any(|id| f.load_id.starts_with(id)));
        if failed.is_empty() {
            eprintln!("no load has failed that has not happened since");
        }
        let only = failed.into_iter().map(|failed| failed.object).collect();
        let options = RunOptions { only: Some(only), ..RunOptions::default() };
        conclude(&run_pipeline(&self.pipeline, &self.set, warehouse, options)?, self.json)
    }
}

/// An id, or how one begins.
fn checked(id: &str) -> Result<String, Failure> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let error = anyhow::anyhow!("`{id}` is not a load's id, wanted hexadecimal digits");
        return Err(Failure::new(Exit::BadInput, error));
    }
    Ok(id.to_lowercase())
}

/// A load that failed, and has not happened since.
struct Failed {
    load_id: String,
    pipeline: String,
    object: String,
    source: String,
    error: String,
    failed_at: String,
}

/// The ledger and the failures beside it.
struct Book {
    runtime: tokio::runtime::Runtime,
    tables: Tables,
    place: Place,
    warehouse: String,
    dataset: String,
    /// The table and the pipeline of the file that was named.
    of: Option<(TableName, String)>,
}

impl Book {
    fn open(whose: &Whose, warehouse: &str) -> Result<Self, Failure> {
        let read = |path: &Path| place::read_pipeline(path, &whose.set);
        let pipeline = whose.pipeline.as_deref().map(read).transpose()?;
        let place = pipeline.as_ref().map_or(Place::Warehouse, |p| p.sink.place.clone());
        let of = pipeline.map(|pipeline| (pipeline.sink.table, pipeline.name));
        let dataset = of.as_ref().map_or(DATASET, |(table, _)| &table.dataset).to_owned();
        let runtime = tokio::runtime::Runtime::new()?;
        let tables = runtime.block_on(Tables::open(&place, warehouse))?;
        Ok(Self { runtime, tables, place, warehouse: warehouse.to_owned(), dataset, of })
    }

    /// Whether anything was entered beside the ledger: earlier versions had no such table.
    fn has_failures(&self) -> Result<bool, Failure> {
        let table = TableName { dataset: self.dataset.clone(), table: failures::TABLE.to_owned() };
        match &self.place {
            Place::Warehouse => {
                let warehouse = Warehouse::open(&self.warehouse)?;
                let known = self.runtime.block_on(warehouse.tables())?;
                Ok(known.iter().any(|(name, _)| *name == table))
            }
            Place::BigQuery(place) => self.runtime.block_on(async {
                let changes =
                    BigQuery::open(place).await?.plan(&table, &failures::schema()?).await?;
                Ok(!changes.iter().any(|change| matches!(change, Change::Create)))
            }),
        }
    }

    /// What failed and has not happened since, newest first, each object once: neither the load that
    /// failed nor a later one of the same name.
    fn failures(&self) -> Result<Vec<Failed>, Failure> {
        if !self.has_failures()? {
            return Ok(Vec::new());
        }
        let (ledger, failures) = (self.table(ledger::TABLE), self.table(failures::TABLE));
        let (own, parameters) = self.own("f.");
        let sql = format!(
            "SELECT f.load_id, f.pipeline, f.object, f.source, f.error, f.failed_at FROM {failures} AS f \
             LEFT JOIN {ledger} AS l ON l.load_id = f.load_id AND l.state = 'committed' \
             WHERE l.load_id IS NULL AND {own} ORDER BY f.failed_at DESC LIMIT {MOST_FAILURES}"
        );
        let found = self.ask(&sql, &parameters)?;
        let mut seen = HashSet::new();
        let mut failed: Vec<Failed> = found
            .rows
            .into_iter()
            .filter_map(|row| {
                let mut texts = row.into_iter().map(|value| value.as_str().map(str::to_owned));
                let mut next = || texts.next().flatten();
                Some(Failed {
                    load_id: next()?,
                    pipeline: next()?,
                    object: next()?,
                    source: next()?,
                    error: next()?,
                    failed_at: next()?,
                })
            })
            .filter(|failed| seen.insert(failed.object.clone()))
            .collect();
        let since = self.loaded_since(&failed)?;
        failed.retain(|failed| !since.contains(&failed.object));
        Ok(failed)
    }

    /// Objects of which another generation was loaded after this one failed.
    fn loaded_since(&self, failed: &[Failed]) -> Result<HashSet<String>, Failure> {
        let ledger = self.table(ledger::TABLE);
        let mut since = HashSet::new();
        for failed in failed.chunks(ASKED_AT_ONCE) {
            let names: Vec<String> = (0..failed.len()).map(|at| format!("o{at}")).collect();
            let begin = |failed: &Failed| Parameter::Text(Some(format!("{}@", failed.object)));
            let parameters = names.iter().map(String::as_str).zip(failed.iter().map(begin));
            let parameters: Vec<(&str, Parameter)> = parameters.collect();
            let is_of = |name: &String| format!("SUBSTR(source, 1, LENGTH(@{name})) = @{name}");
            let any: Vec<String> = names.iter().map(is_of).collect();
            let sql = format!(
                "SELECT source, MAX(finished_at) AS finished_at FROM {ledger} WHERE state = 'committed' AND ({}) GROUP BY source",
                any.join(" OR ")
            );
            for row in self.ask(&sql, &parameters)?.rows {
                let (Some(source), Some(at)) = (row[0].as_str(), row[1].as_str()) else { continue };
                let Some((object, _)) = source.rsplit_once('@') else { continue };
                let later =
                    |failed: &&Failed| failed.object == object && failed.failed_at.as_str() < at;
                since.extend(failed.iter().find(later).map(|failed| failed.object.clone()));
            }
        }
        Ok(since)
    }

    /// Loads that happened, newest first, as rows of the list.
    fn loaded(&self, limit: usize) -> Result<Vec<Vec<Json>>, Failure> {
        let (own, parameters) = self.own("");
        let sql = format!(
            "SELECT load_id, 'loaded' AS state, pipeline, source, rows_in, rows_out, rows_rejected, finished_at \
             FROM {} WHERE state = 'committed' AND {own} ORDER BY finished_at DESC LIMIT {limit}",
            self.table(ledger::TABLE)
        );
        let mut rows = self.ask(&sql, &parameters)?.rows;
        rows.iter_mut().for_each(|row| row.push(Json::Null));
        Ok(rows)
    }

    /// What a table says of loads whose ids begin so, newest first.
    fn whole(&self, table: &str, order: &str, id: &str) -> Result<ResultSet, Failure> {
        let table = self.table(table);
        // Hexadecimal digits, as was checked.
        let sql = format!(
            "SELECT * FROM {table} WHERE load_id LIKE '{id}%' ORDER BY {order} DESC LIMIT 100"
        );
        self.ask(&sql, &[])
    }

    /// A condition that a load is one into the pipeline's table, with its parameters.
    fn own(&self, of: &str) -> (String, Vec<(&'static str, Parameter)>) {
        let Some((table, pipeline)) = &self.of else { return ("TRUE".to_owned(), Vec::new()) };
        let text = |text: String| Parameter::Text(Some(text));
        let parameters =
            vec![("into", text(table.to_string())), ("pipeline", text(pipeline.clone()))];
        (format!("{of}`table` = @into AND {of}pipeline = @pipeline"), parameters)
    }

    fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.dataset)
    }

    fn ask(&self, sql: &str, parameters: &[(&str, Parameter)]) -> Result<ResultSet, Failure> {
        let asked = self.tables.query(sql, parameters, "look into the load ledger");
        Ok(self.runtime.block_on(asked)?)
    }
}
