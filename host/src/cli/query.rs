//! `clickmill query`: BigQuery SQL over the warehouse.

use std::io::{self, ErrorKind, Write};

use arrow::json::LineDelimitedWriter;
use arrow::util::pretty::pretty_format_batches_with_schema;
use clap::Args;

use super::Failure;
use crate::sink::warehouse::Warehouse;
use crate::sink::warehouse::query::Answer;

const EXAMPLES: &str = "\
Examples:
  clickmill query \"SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch\"
  clickmill query \"$(cat sql/countries.sql)\"
  clickmill query --json \"SELECT code, COUNT(*) AS letters FROM clickstream_analytics.dead_letter GROUP BY code\"";

/// Queries the warehouse with BigQuery SQL
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Query {
    /// The query; tables are named as in BigQuery: dataset.table
    // A file of `sql/` begins with a comment, which begins with hyphens.
    #[arg(allow_hyphen_values = true)]
    sql: String,

    /// Print a JSON object per row
    #[arg(long)]
    json: bool,
}

impl Query {
    pub fn run(self, warehouse: &str) -> Result<(), Failure> {
        print(&answer(warehouse, &self.sql)?, self.json)
    }
}

/// Runs a query.
pub(super) fn answer(warehouse: &str, sql: &str) -> Result<Answer, Failure> {
    let warehouse = Warehouse::open(warehouse)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let answer = runtime.block_on(warehouse.query(sql));
    answer.map_err(|error| {
        let known = runtime.block_on(warehouse.tables()).unwrap_or_default();
        let names: Vec<String> = known.iter().map(|(name, _)| name.to_string()).collect();
        let failure = Failure::from(error);
        match names.is_empty() {
            true => failure.hint(format!(
                "the warehouse `{}` has no tables yet: run a pipeline first",
                warehouse.uri()
            )),
            false => failure.hint(format!("tables: {}", names.join(", "))),
        }
    })
}

/// Prints an answer: a table, or a JSON object per row.
pub(super) fn print(answer: &Answer, json: bool) -> Result<(), Failure> {
    let printed = if json {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        for batch in &answer.batches {
            writer.write(batch)?;
        }
        writer.finish()?;
        io::stdout().write_all(&writer.into_inner())
    } else {
        let table = pretty_format_batches_with_schema(answer.schema.clone(), &answer.batches)?;
        writeln!(io::stdout(), "{table}")
    };
    match printed {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
