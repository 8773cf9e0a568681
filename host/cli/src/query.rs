//! `clickmill query`: BigQuery SQL over the warehouse.

use std::path::PathBuf;

use arrow::util::pretty::pretty_format_batches_with_schema;
use clap::Args;

use super::print::data;
use super::{Failure, place};
use clickmill_sink::Tables;
use clickmill_tables::result_set::{Answer, Bounds, Parameter, ParameterType, Question, ResultSet};
use clickmill_warehouse::Warehouse;

const EXAMPLES: &str = "\
Examples:
  clickmill query \"SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch\"
  clickmill query \"$(cat sql/batch/countries.sql)\"
  clickmill query \\
      --pipeline host/pipelines/stream_gcp.toml \"$(cat sql/stream/funnel.sql)\"
  clickmill query --json \\
      \"SELECT code, COUNT(*) FROM clickstream_analytics.dead_letter GROUP BY 1\"";

/// Queries the warehouse with BigQuery SQL
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Query {
    /// The query; tables are named as in BigQuery: dataset.table
    // A file of `sql/` begins with a comment, which begins with hyphens.
    #[arg(allow_hyphen_values = true)]
    sql: String,

    /// Ask where this pipeline file writes to, in place of the warehouse
    #[arg(long, value_name = "PIPELINE.toml")]
    pipeline: Option<PathBuf>,

    /// Set a value of the pipeline file, such as sink.project=my-project
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Value of a named parameter, as `bq query` takes it: name:TYPE:value, such as country::PL or from:TIMESTAMP:2026-11-25T00:00:00Z; NULL is none
    #[arg(long = "parameter", value_name = "NAME:TYPE:VALUE", value_parser = parameter)]
    parameters: Vec<(String, Parameter)>,

    /// Print a JSON object per row
    #[arg(long)]
    json: bool,
}

impl Query {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let parameters = self.parameters.iter();
        let parameters: Vec<(&str, Parameter)> =
            parameters.map(|(name, value)| (name.as_str(), value.clone())).collect();
        let Some(pipeline) = &self.pipeline else {
            return print(&answer_with(warehouse, &self.sql, &parameters)?, self.json);
        };
        let sink = place::read_pipeline(pipeline, &self.set)?.sink;
        let runtime = tokio::runtime::Runtime::new()?;
        let found = runtime.block_on(async {
            let tables = Tables::open(&sink.place, warehouse).await?;
            let question = Question {
                sql: &self.sql,
                parameters: &parameters,
                bounds: Bounds::NONE,
                what: "answer the query",
            };
            tables.look(question).await
        })?;
        print_set(found, self.json)
    }
}

/// Reads `name:TYPE:value`.
fn parameter(text: &str) -> Result<(String, Parameter), String> {
    let wanted = "wanted name:TYPE:value, such as country::PL";
    let mut parts = text.splitn(3, ':');
    let (Some(name), Some(kind), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wanted.to_owned());
    };
    let none = value == "NULL";
    let wrong = |error: String| format!("`{value}` is no {kind}: {error}");
    let value = match (kind, value) {
        ("" | "STRING", text) => Parameter::Text((!none).then(|| text.to_owned())),
        ("INT64", number) if !none => {
            Parameter::Integer(number.parse().map_err(|error| wrong(format!("{error}")))?)
        }
        ("TIMESTAMP", moment) if !none => {
            Parameter::Timestamp(moment.parse().map_err(|error| wrong(format!("{error}")))?)
        }
        (kind, value) => {
            let of = ParameterType::ALL.into_iter().find(|of| of.name() == kind);
            let of = of.ok_or_else(|| {
                let known = ParameterType::ALL.map(ParameterType::name).join(", ");
                format!("`{kind}` is not one of STRING, {known}")
            })?;
            Parameter::Written(of, (!none).then(|| value.to_owned()))
        }
    };
    Ok((name.to_owned(), value))
}

/// Runs a query over the warehouse.
pub(super) fn answer(warehouse: &str, sql: &str) -> Result<Answer, Failure> {
    answer_with(warehouse, sql, &[])
}

fn answer_with(
    warehouse: &str,
    sql: &str,
    parameters: &[(&str, Parameter)],
) -> Result<Answer, Failure> {
    let warehouse = Warehouse::open(warehouse)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let answer = runtime.block_on(warehouse.answer(sql, parameters));
    answer.map_err(|error| {
        let known = runtime.block_on(warehouse.tables()).unwrap_or_default();
        let names: Vec<String> = known.iter().map(|(name, _)| name.to_string()).collect();
        let failure = Failure::from(error);
        if names.is_empty() {
            failure.hint(format!(
                "the warehouse `{}` has no tables yet: run a pipeline first",
                warehouse.uri()
            ))
        } else {
            failure.hint(format!("tables: {}", names.join(", ")))
        }
    })
}

/// Prints an answer: a table, or a JSON object per row.
pub(super) fn print(answer: &Answer, json: bool) -> Result<(), Failure> {
    if json {
        return objects(&ResultSet::of(answer)?);
    }
    let table = pretty_format_batches_with_schema(answer.schema.clone(), &answer.batches)?;
    println!("{table}");
    Ok(())
}

/// The same of an answer that is JSON already.
pub(super) fn print_set(found: ResultSet, json: bool) -> Result<(), Failure> {
    if json { objects(&found) } else { print(&found.try_into()?, false) }
}

fn objects(found: &ResultSet) -> Result<(), Failure> {
    Ok(data(&found.lines().collect::<String>())?)
}
