//! `clickmill dead-letter`: what was rejected, and why.

mod replay;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::query::{answer, print, print_set};
use super::{Failure, ids, place};
use clickmill_audit::{Action, Event};
use clickmill_config::{Place, TableName};
use clickmill_core::indented;
use clickmill_pipeline::AuditSink;
use clickmill_sink::{Tables, check_condition};
use clickmill_tables::result_set::{Answer, ResultSet};

const TABLE: &str = "dead_letter";
/// As many letters are shown at most, all of one id.
const MOST_SHOWN: usize = 10;

const EXAMPLES: &str = "\
Examples:
  clickmill dead-letter list
  clickmill dead-letter list --where \"code = 'unknown_code'\" --limit 5
  clickmill dead-letter show 0a1b2c3d

Showing a letter that is not sealed is entered into the audit log first.";

/// List, show and replay rejected records
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum DeadLetter {
    /// List letters, newest first
    List(List),
    /// Show one letter in full
    Show(Show),
    /// Run letters through the plugins once more
    Replay(replay::Replay),
    /// Run a letter through the plugins that rejected it, stage by stage
    Explain(replay::Explain),
}

/// Where letters are
#[derive(Debug, Args)]
struct Letters {
    /// The dataset of the letters (default: clickstream_analytics, or the only one that has letters)
    #[arg(long, value_name = "DATASET")]
    dataset: Option<String>,
}

impl Letters {
    fn dataset(self, warehouse: &str) -> Result<String, Failure> {
        match self.dataset {
            Some(named) if named.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                Ok(named)
            }
            Some(named) => Err(Failure::bad_input(format!("`{named}` is not a dataset"))),
            None => {
                let known = place::tables(warehouse)?;
                place::dataset_with(&known, &[TABLE], "`--dataset` names one")
            }
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// A condition in SQL
    #[arg(long = "where", value_name = "SQL", default_value = "TRUE")]
    condition: String,

    #[command(flatten)]
    letters: Letters,

    /// The most letters to list
    #[arg(long, default_value_t = 20)]
    limit: u32,

    /// Print a JSON object per letter
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Show {
    /// The letter's id, or how it begins
    id: String,

    #[command(flatten)]
    letters: Letters,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl DeadLetter {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        match self {
            DeadLetter::List(list) => list.run(warehouse),
            DeadLetter::Show(show) => show.run(warehouse),
            DeadLetter::Replay(replay) => replay.run(warehouse),
            DeadLetter::Explain(explain) => explain.run(warehouse),
        }
    }
}

impl List {
    fn run(self, warehouse: &str) -> Result<(), Failure> {
        let Self { condition, letters, limit, json } = self;
        check_condition(&condition)?;
        let dataset = letters.dataset(warehouse)?;
        let sql = |place: &str| {
            format!(
                "SELECT SUBSTR(letter_id, 1, 8) AS letter, stage, code, source_line AS line, {place} errorMessage \
                 FROM {dataset}.{TABLE} WHERE ({condition}) ORDER BY timestamp DESC, source, source_line LIMIT {limit}"
            )
        };
        // A table that no run of this version has written to does not have the places of rows.
        let found = answer(warehouse, &sql("record_index AS row,"));
        let found = found.or_else(|_| answer(warehouse, &sql("")))?;
        print(&without_rows(found)?, json)
    }
}

/// The answer without the places of rows in their records, where all are the first.
fn without_rows(answer: Answer) -> Result<Answer, Failure> {
    let Ok(at) = answer.schema.index_of("row") else { return Ok(answer) };
    let is_later = |batch: &RecordBatch| {
        let places = batch.column(at).as_primitive_opt::<Int64Type>();
        places.is_none_or(|places| places.iter().flatten().any(|place| place > 0))
    };
    if answer.batches.iter().any(is_later) {
        return Ok(answer);
    }
    let kept: Vec<usize> = (0..answer.schema.fields().len()).filter(|of| *of != at).collect();
    let batches = answer.batches.iter().map(|batch| batch.project(&kept));
    let batches = batches.collect::<Result<_, _>>()?;
    Ok(Answer { schema: Arc::new(answer.schema.project(&kept)?), batches })
}

impl Show {
    fn run(self, warehouse: &str) -> Result<(), Failure> {
        let id = ids::beginning(&self.id, "letter")?;
        let dataset = self.letters.dataset(warehouse)?;
        // Pipelines that refuse the same record have letters of one id; a pipeline that met it twice, two of them.
        let sql = format!(
            "SELECT * FROM {dataset}.{TABLE} WHERE letter_id LIKE '{id}%' \
             QUALIFY ROW_NUMBER() OVER (PARTITION BY pipeline, letter_id ORDER BY timestamp DESC) = 1 \
             ORDER BY letter_id, pipeline LIMIT {MOST_SHOWN}"
        );
        let found = ResultSet::of(&answer(warehouse, &sql)?)?;
        let ids: BTreeSet<&str> =
            found.rows.iter().filter_map(|row| text(&found, row, "letter_id")).collect();
        if ids.len() != 1 {
            let what = if ids.is_empty() { "no letter" } else { "more than one letter" };
            return Err(Failure::bad_input(format!("{what} begins with `{}`", self.id))
                .hint("`clickmill dead-letter list` shows how the ids begin"));
        }
        let open = found.rows.iter().filter(|row| text(&found, row, "sealed_with").is_none());
        for row in open {
            let pipeline = text(&found, row, "pipeline").unwrap_or_default();
            enter(
                warehouse,
                &dataset,
                pipeline,
                text(&found, row, "letter_id").unwrap_or_default(),
            )?;
        }
        if self.json {
            return print_set(found, true);
        }
        for (number, row) in found.rows.iter().enumerate() {
            if number > 0 {
                println!("");
            }
            for (column, value) in found.columns.iter().zip(row) {
                let value = match value {
                    Json::Null => String::new(),
                    Json::String(text) => indented(text),
                    other => other.to_string(),
                };
                println!("{:<14} {value}", column.name);
            }
        }
        Ok(())
    }
}

/// A text of a row.
fn text<'a>(of: &ResultSet, row: &'a [Json], column: &str) -> Option<&'a str> {
    let at = of.columns.iter().position(|known| known.name == column)?;
    row.get(at)?.as_str()
}

/// Enters that a letter of a pipeline is shown, before it is.
fn enter(warehouse: &str, dataset: &str, pipeline: &str, letter_id: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let tables = runtime.block_on(Tables::open(&Place::Warehouse, warehouse))?;
    let target = TableName { dataset: dataset.to_owned(), table: String::new() };
    let folder = place::audit();
    let failed = |error: Failure| {
        error.hint(format!(
            "that it is shown is entered first, and the log is in `{}`: CLICKMILL_AUDIT names another folder",
            folder.display()
        ))
    };
    let audit = AuditSink::open(&folder, pipeline, &tables, &target, runtime.handle());
    let audit = audit.map_err(|error| failed(error.into()))?;
    let entered = audit.enter(Event {
        subject: letter_id.to_owned(),
        ..Event::new(&place::actor(), Action::Reveal, "the whole letter")
    });
    entered.map_err(|error| failed(error.into()))?;
    audit.settle();
    Ok(())
}
