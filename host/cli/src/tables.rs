//! `clickmill tables`: what a pipeline's tables lack, and giving it to them.

use clap::Subcommand;

use super::Failure;
use super::pipeline_args::PipelineArgs;
use clickmill_bigquery::{BigQuery, Change};
use clickmill_config::Place;
use clickmill_pipeline as pipeline;
use clickmill_tables::views;

const EXAMPLES: &str = "\
Examples:
  clickmill tables plan host/pipelines/stream_gcp.toml
  clickmill tables apply host/pipelines/stream_gcp.toml

Creates missing datasets and tables, adds columns and fields of records that may be null or are lists, and creates the views. Sets the expiry that a schema's `.table.json` names, after which BigQuery removes rows. Never changes a column's type, and removes nothing itself.";

/// Shows and makes the tables and views of a pipeline in BigQuery
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Tables {
    /// Show what `apply` would change
    #[command(after_help = EXAMPLES)]
    Plan(PipelineArgs),
    /// Create missing tables and views, add columns that may be null, and set expiries
    #[command(after_help = EXAMPLES)]
    Apply(PipelineArgs),
}

impl Tables {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (args, apply) = match self {
            Tables::Plan(args) => (args, false),
            Tables::Apply(args) => (args, true),
        };
        let pipeline = args.read()?;
        let Place::BigQuery(place) = &pipeline.sink.place else {
            return Err(Failure::bad_input(format!(
                "`{}` writes to the local warehouse, whose tables follow the schemas by themselves",
                args.pipeline.display()
            ))
            .hint("for BigQuery: --set sink.kind=bigquery --set sink.project=PROJECT"));
        };
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let bigquery = BigQuery::open(place).await?;
            for (table, schema) in pipeline::tables_of(&pipeline)? {
                let changes = bigquery.plan(&table, &schema).await?;
                if changes.is_empty() {
                    println!("{table}: as it is to be");
                }
                for change in changes {
                    if apply {
                        bigquery.apply(&table, &schema, &change).await?;
                    }
                    println!("{table}: {}", said(&change, apply));
                }
            }
            for (view, sql) in views::of(&pipeline.sink) {
                if apply {
                    bigquery.create_view(&view, &sql).await?;
                }
                println!("{view}: view {}", if apply { "created" } else { "to be created" });
            }
            Ok(())
        })
    }
}

fn said(change: &Change, applied: bool) -> String {
    match (change, applied) {
        (Change::Create, true) => "created".to_owned(),
        (Change::Create, false) => "to be created".to_owned(),
        (Change::AddColumn { name, .. }, true) => format!("column `{name}` added"),
        (Change::AddColumn { name, .. }, false) => format!("column `{name}` to be added"),
        (Change::AddFields { fields, .. }, applied) => {
            let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
            let done = if applied { "added" } else { "to be added" };
            format!("fields {} {done}", fields.join(", "))
        }
        (Change::Expire { what, .. }, true) => format!("expires: {what}"),
        (Change::Expire { what, .. }, false) => format!("to expire: {what}"),
    }
}
