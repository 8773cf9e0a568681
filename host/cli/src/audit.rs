//! `clickmill audit`: who changed what in a pipeline, and whether the record of it is whole.

mod check;
mod listed;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json, json};

use super::query::print;
use super::{Exit, Failure, place};
use check::{Checked, as_json, check, said};
use clickmill_audit as audit;
use clickmill_audit::Entry;
use clickmill_config::{Place, TableName};
use clickmill_sink::Tables;
use clickmill_tables::result_set::Answer;
use clickmill_warehouse::Warehouse;
use listed::listed;

/// How the names of pipeline files end.
const PIPELINE_FILE: &str = ".toml";

const EXAMPLES: &str = "\
Examples:
  clickmill audit verify
  clickmill audit verify clicks-stream --json
  clickmill audit verify host/pipelines/stream_gcp.toml
  clickmill audit verify host/pipelines/stream.toml --head \"$HEAD\"
  clickmill audit list --limit 5

A file shows by itself that an entry was changed, removed, moved or added. That its end was cut off, or all of it was written anew, shows in comparison with the table audit_log: that of the pipeline file, or of the warehouse's dataset clickstream_analytics where none is named. A pipeline that runs on several machines writes a chain on each; chains whose files are not here are verified in the table. Whoever may write to both file and table may write both anew, and only the head shows that: a run logs it at its start and its end, and `verify` prints it. Note it elsewhere, and give it with --head.";

/// Show who changed what in a pipeline, and check that the log is whole
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Audit {
    /// Check that no entry was changed, removed, moved or added
    Verify(Verify),
    /// List entries, newest first
    List(List),
}

/// Where the logs are
#[derive(Debug, Args)]
struct Logs {
    /// Folder of the audit logs
    #[arg(
        long,
        value_name = "FOLDER",
        env = super::place::AUDIT_VARIABLE,
        default_value = super::place::AUDIT_FOLDER
    )]
    log: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    /// The pipeline's name, or its file, PIPELINE.toml, whose table is asked then; all pipelines of the
    /// warehouse if there is none
    #[arg(value_name = "PIPELINE")]
    pipeline: Option<String>,

    /// Set a value of the pipeline file, such as sink.project=my-project
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// The hash of an entry that has to be there still (may be repeated)
    #[arg(long = "head", value_name = "HASH", value_parser = hash)]
    heads: Vec<String>,

    #[command(flatten)]
    logs: Logs,

    /// Print a JSON object per pipeline
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// The most entries to list
    #[arg(long, default_value_t = 20)]
    limit: usize,

    #[command(flatten)]
    logs: Logs,

    /// Print a JSON object per entry
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        match self {
            Audit::Verify(verify) => verify.run(warehouse),
            Audit::List(list) => list.run(),
        }
    }
}

impl Verify {
    fn run(self, warehouse: &str) -> Result<(), Failure> {
        let (only, place, table) = match &self.pipeline {
            Some(file) if file.ends_with(PIPELINE_FILE) => {
                let pipeline = place::read_pipeline(Path::new(file), &self.set)?;
                let table = pipeline.sink.table.beside(audit::TABLE);
                (Some(pipeline.name), pipeline.sink.place, table)
            }
            name => {
                let (dataset, table) = (place::DATASET.to_owned(), audit::TABLE.to_owned());
                (name.clone(), Place::Warehouse, TableName { dataset, table })
            }
        };
        // Before the files: what is appended meanwhile is then in the files only, which is fine.
        let copies = in_table(&place, &table, warehouse)?;
        let logs: BTreeMap<String, PathBuf> = audit::logs(&self.logs.log)?.into_iter().collect();
        // A pipeline that only the table knows runs elsewhere, or has lost its file.
        let known: BTreeSet<&String> =
            logs.keys().chain(copies.iter().flatten().map(|(name, _)| name)).collect();
        let wanted = |name: &&&String| only.as_ref().is_none_or(|wanted| wanted == **name);
        let pipelines: Vec<&String> = known.iter().filter(wanted).copied().collect();
        if pipelines.is_empty() {
            return Err(none(&self.logs.log, only.as_deref()));
        }
        let mut failed = None;
        let mut missing: BTreeSet<&String> = self.heads.iter().collect();
        for pipeline in pipelines {
            let copy =
                copies.as_ref().map(|table| table.get(pipeline).map_or(&[][..], Vec::as_slice));
            let checked = check(pipeline, logs.get(pipeline), &self.logs.log, copy);
            print_checked(pipeline, &checked, self.json);
            if let Ok(checked) = &checked {
                missing.retain(|head| !checked.hashes.contains(*head));
            }
            // All that is broken is told; the last of it ends the process.
            if let Err(failure) = checked
                && let Some(earlier) = failed.replace(failure)
            {
                eprintln!("{earlier}");
            }
        }
        if copies.is_none() {
            eprintln!(
                "the warehouse `{warehouse}` has no table `{table}`: an end that was cut off would not show; a pipeline file as an argument names another table"
            );
        }
        match (failed, missing.first()) {
            (Some(failure), _) => Err(failure),
            (None, None) => Ok(()),
            (None, Some(head)) => Err(no_head(head)),
        }
    }
}

/// Prints what is found of a pipeline. That it is broken is data only as JSON: else it is the error.
fn print_checked(pipeline: &str, checked: &Result<Checked, Failure>, json: bool) {
    match checked {
        Ok(checked) if json => println!("{}", as_json(pipeline, checked)),
        Ok(checked) => said(pipeline, checked).iter().for_each(|line| println!("{line}")),
        Err(failure) if json => {
            let error = failure.to_string();
            let error = error.trim_start_matches("error: ");
            println!("{}", json!({ "pipeline": pipeline, "unbroken": false, "error": error }));
        }
        Err(_) => {}
    }
}

fn no_head(head: &str) -> Failure {
    let error = anyhow::anyhow!(
        "no unbroken chain has an entry with the hash `{head}`: since that was noted its log was written anew, or cut"
    );
    Failure::new(Exit::Failed, error)
        .hint("a head is of one pipeline and one machine's log: --log names its folder, a pipeline file its table")
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let logs = audit::logs(&self.logs.log)?;
        if logs.is_empty() {
            return Err(none(&self.logs.log, None));
        }
        let mut entries = Vec::new();
        for (_, path) in logs {
            for line in audit::read(&path)? {
                match line {
                    Ok(entry) => entries.push(entry),
                    // The others are still worth a look.
                    Err(error) => eprintln!(
                        "audit log `{}`: {error}, see `clickmill audit verify`",
                        path.display()
                    ),
                }
            }
        }
        entries.sort_by_key(|entry| Reverse((entry.time, entry.sequence)));
        entries.truncate(self.limit);
        if self.json {
            let rows = audit::rows(&entries, &audit::schema()?.arrow())?;
            return print(&Answer { schema: rows.schema(), batches: vec![rows] }, true);
        }
        entries.iter().for_each(|entry| println!("{}", listed(entry)));
        Ok(())
    }
}

/// The table's entries by pipeline; `None` if the warehouse has no such table.
fn in_table(
    place: &Place,
    table: &TableName,
    warehouse: &str,
) -> Result<Option<BTreeMap<String, Vec<Entry>>>, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    if let Place::Warehouse = place {
        let tables = runtime.block_on(Warehouse::open(warehouse)?.tables())?;
        if !tables.iter().any(|(name, _)| name == table) {
            return Ok(None);
        }
    }
    // A row that was written again after a crash is the same row.
    let sql = format!(
        "SELECT DISTINCT sequence, UNIX_MICROS(`time`) AS micros, pipeline, actor, action, subject, \
         old_plugin_set, new_plugin_set, outcome, detail, previous_hash, entry_hash \
         FROM `{}`.`{}`",
        table.dataset, table.table
    );
    let found = runtime.block_on(async {
        let tables = Tables::open(place, warehouse).await?;
        tables.query(&sql, &[], &format!("read `{table}`")).await
    })?;
    let names: Vec<&str> = found
        .columns
        .iter()
        .map(|column| if column.name == "micros" { "time" } else { column.name.as_str() })
        .collect();
    let mut pipelines: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for row in found.rows {
        let fields: Map<String, Json> =
            names.iter().map(|name| (*name).to_owned()).zip(row).collect();
        let entry: Entry = serde_json::from_value(fields.into()).map_err(|error| {
            let error = anyhow::Error::new(error);
            Failure::new(Exit::Failed, error.context(format!("a row of `{table}` is no entry")))
        })?;
        pipelines.entry(entry.pipeline.clone()).or_default().push(entry);
    }
    Ok(Some(pipelines))
}

fn none(folder: &Path, pipeline: Option<&str>) -> Failure {
    let of = pipeline.map(|pipeline| format!(" of pipeline `{pipeline}`")).unwrap_or_default();
    Failure::bad_input(format!("no audit log{of} in `{}`", folder.display()))
        .hint("--log or CLICKMILL_AUDIT names the folder")
}

/// A whole hash: how one begins could be made to fit.
fn hash(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    if text.len() == audit::NO_HASH.len() && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text)
    } else {
        Err(format!("wanted all {} hexadecimal digits of it", audit::NO_HASH.len()))
    }
}
