//! `clickmill warehouse`: maintenance of the folder that the tables are in.

use std::time::SystemTime;

use clap::{Args, Subcommand};

use super::{Exit, Failure};
use clickmill_config::TableName;
use clickmill_warehouse::{Compacted, Warehouse};

const EXAMPLES: &str = "\
Examples:
  clickmill warehouse compact --dry-run
  clickmill warehouse compact ./clickmill-data/warehouse
  clickmill warehouse compact gs://my-bucket/warehouse \\
      --table clickstream_analytics.clicks_raw

A running stream does this by itself, also for what others have left. Others may read and write
meanwhile: a query sees each row once at any moment. Small files that were merged are moved to
_replaced and removed after an hour, by the next compaction.";

/// Takes care of the folder that the tables are in
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Maintenance {
    /// Merge the small files that streams have written
    Compact(Compact),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Compact {
    /// The warehouse, in place of that of --warehouse
    #[arg(value_name = "WAREHOUSE")]
    place: Option<String>,

    /// This table only
    #[arg(long, value_name = "DATASET.TABLE")]
    table: Option<String>,

    /// Show what would be merged, and merge nothing
    #[arg(long)]
    dry_run: bool,
}

impl Maintenance {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let Self::Compact(compact) = self;
        let warehouse = Warehouse::open(compact.place.as_deref().unwrap_or(warehouse))?;
        let runtime = tokio::runtime::Runtime::new()?;
        let tables = runtime.block_on(warehouse.tables())?;
        let mut tables: Vec<TableName> = tables.into_iter().map(|(name, _)| name).collect();
        if let Some(wanted) = &compact.table {
            let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
            tables.retain(|table| table.to_string() == *wanted);
            if tables.is_empty() {
                let error = anyhow::anyhow!("`{}` has no table `{wanted}`", warehouse.uri());
                let hint = if names.is_empty() {
                    "it has no tables yet: run a pipeline first".to_owned()
                } else {
                    format!("tables: {}", names.join(", "))
                };
                return Err(Failure::new(Exit::BadInput, error).hint(hint));
            }
        }
        if tables.is_empty() {
            // The path may be a slip.
            eprintln!("`{}` has no tables yet: there is nothing to merge", warehouse.uri());
        }
        for table in tables {
            if compact.dry_run {
                // Whoever only looks may not write, which it takes to ask a store for its time.
                let plan = runtime.block_on(warehouse.compactable(&table, SystemTime::now()))?;
                println!("{table}: {}", planned(&plan));
                continue;
            }
            let now = runtime.block_on(warehouse.now())?;
            eprintln!("{table}: merging …");
            match warehouse.compact(runtime.handle(), &table, now, None, &|| true)? {
                Some(done) => println!("{table}: {}", said(&done)),
                None => println!("{table}: another process is at it"),
            }
        }
        Ok(())
    }
}

fn planned(plan: &Compacted) -> String {
    match plan.merged {
        0 => format!("{}, none to be merged", files(plan.before)),
        merged => format!("{} of {} would be merged", merged, files(plan.before)),
    }
}

fn said(done: &Compacted) -> String {
    let removed = match done.removed {
        0 => String::new(),
        removed => format!("; {} merged earlier removed", files(removed)),
    };
    match done.merged {
        0 => format!("{}, none to be merged{removed}", files(done.before)),
        _ => format!(
            "{} are {} now, {} rows copied{removed}",
            files(done.before),
            files(done.after),
            done.rows
        ),
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}
