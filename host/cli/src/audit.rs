//! `clickmill audit`: who changed what in a pipeline, and whether the record of it is whole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use serde_json::json;

use super::query::{answer, print};
use super::{Exit, Failure};
use clickmill_audit as audit;
use clickmill_audit::{Entry, Verified};
use clickmill_tables::result_set::Answer;
use clickmill_warehouse::Warehouse;

const DATASET: &str = "clickstream_analytics";

/// What `list` shows of an entry on a terminal.
const LISTED: [&str; 8] =
    ["sequence", "time", "pipeline", "actor", "action", "subject", "outcome", "detail"];

const EXAMPLES: &str = "\
Examples:
  clickmill audit verify
  clickmill audit verify clicks-stream --json
  clickmill audit list --limit 5

An entry that was changed, removed, moved or added in a file is told by the file itself. An end that was cut off, or a file that is gone, is told by the warehouse's table clickstream_analytics.audit_log.";

/// Looks at who changed what
#[derive(Debug, Subcommand)]
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
    /// The pipeline's name; all pipelines if there is none
    pipeline: Option<String>,

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
        // Before the files: what is appended meanwhile is then in the files only, which is fine.
        let table = in_table(warehouse)?;
        let logs: BTreeMap<String, PathBuf> = audit::logs(&self.logs.log)?.into_iter().collect();
        // A pipeline that only the table knows has lost its file.
        let known: BTreeSet<&String> =
            logs.keys().chain(table.iter().flatten().map(|(name, _)| name)).collect();
        let wanted = |name: &&&String| self.pipeline.as_ref().is_none_or(|wanted| wanted == **name);
        let pipelines: Vec<&String> = known.iter().filter(wanted).copied().collect();
        if pipelines.is_empty() {
            return Err(none(&self.logs.log, self.pipeline.as_deref()));
        }
        let mut failed = None;
        for pipeline in pipelines {
            let copy =
                table.as_ref().map(|table| table.get(pipeline).map_or(&[][..], Vec::as_slice));
            let checked = check(pipeline, logs.get(pipeline), &self.logs.log, copy);
            match &checked {
                Ok(verified) if self.json => println!("{}", as_json(pipeline, verified, copy)),
                Ok(verified) => println!("{}", said(pipeline, verified)),
                Err(failure) if self.json => {
                    let error = failure.to_string();
                    let error = error.trim_start_matches("error: ");
                    println!(
                        "{}",
                        json!({ "pipeline": pipeline, "unbroken": false, "error": error })
                    );
                }
                Err(_) => {}
            }
            // All that is broken is told; the last of it ends the process.
            if let Err(failure) = checked
                && let Some(earlier) = failed.replace(failure)
            {
                eprintln!("{earlier}");
            }
        }
        if table.is_none() {
            eprintln!(
                "the warehouse `{warehouse}` has no table `{DATASET}.{}`: an end that was cut off would not show",
                audit::TABLE
            );
        }
        failed.map_or(Ok(()), Err)
    }
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
        let mut rows = audit::rows(&entries, &audit::schema()?.arrow())?;
        if !self.json {
            let columns: Result<Vec<usize>, _> =
                LISTED.iter().map(|name| rows.schema().index_of(name)).collect();
            rows = rows.project(&columns?)?;
        }
        print(&Answer { schema: rows.schema(), batches: vec![rows] }, self.json)
    }
}

/// The table's entries by pipeline, in the order of their numbers; `None` if there is no such table.
fn in_table(warehouse: &str) -> Result<Option<BTreeMap<String, Vec<Entry>>>, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let tables = runtime.block_on(Warehouse::open(warehouse)?.tables())?;
    let is_it =
        |name: &clickmill_config::TableName| name.dataset == DATASET && name.table == audit::TABLE;
    if !tables.iter().any(|(name, _)| is_it(name)) {
        return Ok(None);
    }
    // A row that was written again after a crash is the same row.
    let answer = answer(warehouse, &format!("SELECT DISTINCT * FROM {DATASET}.{}", audit::TABLE))?;
    let mut pipelines: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for rows in &answer.batches {
        let entries = audit::entries(rows).map_err(|error| Failure::new(Exit::Failed, error))?;
        for entry in entries {
            pipelines.entry(entry.pipeline.clone()).or_default().push(entry);
        }
    }
    for entries in pipelines.values_mut() {
        entries.sort_by_key(|entry| entry.sequence);
    }
    Ok(Some(pipelines))
}

/// Verifies a file, and compares it with the table's copy where there is a table.
fn check(
    pipeline: &str,
    path: Option<&PathBuf>,
    folder: &Path,
    copy: Option<&[Entry]>,
) -> Result<Verified, Failure> {
    let broken = |error: anyhow::Error| {
        let file = path.cloned().unwrap_or_else(|| folder.join(format!("{pipeline}.jsonl")));
        Failure::new(
            Exit::Failed,
            error.context(format!("audit log `{}` is broken", file.display())),
        )
    };
    let mut entries = Vec::new();
    let lines = path.map(|path| audit::read(path)).transpose()?;
    let lines =
        lines.into_iter().flatten().inspect(|line| entries.extend(line.as_ref().ok().cloned()));
    let verified = audit::verify(pipeline, lines).map_err(|error| broken(error.into()))?;
    audit::compare(&entries, copy.unwrap_or_default()).map_err(|error| {
        let failure = broken(error.into());
        match path {
            Some(_) => failure,
            None => failure
                .hint("if it ran elsewhere, --log names its folder; if not, its file is gone"),
        }
    })?;
    Ok(verified)
}

fn none(folder: &Path, pipeline: Option<&str>) -> Failure {
    let of = pipeline.map(|pipeline| format!(" of pipeline `{pipeline}`")).unwrap_or_default();
    let error = anyhow::anyhow!("no audit log{of} in `{}`", folder.display());
    Failure::new(Exit::BadInput, error).hint("--log or CLICKMILL_AUDIT names the folder")
}

fn said(pipeline: &str, verified: &Verified) -> String {
    let entries = match verified.entries {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    match (verified.first_time, verified.last_time) {
        (Some(first), Some(last)) => format!(
            "{pipeline}: {entries}, {} to {}, unbroken, last hash {}…",
            instant(first),
            instant(last),
            verified.last_hash.get(..8).unwrap_or(&verified.last_hash)
        ),
        _ => format!("{pipeline}: {entries}, unbroken"),
    }
}

fn as_json(pipeline: &str, verified: &Verified, copy: Option<&[Entry]>) -> serde_json::Value {
    json!({
        "pipeline": pipeline,
        "unbroken": true,
        "entries": verified.entries,
        "first_time": verified.first_time.map(instant),
        "last_time": verified.last_time.map(instant),
        "last_hash": verified.last_hash,
        "entries_in_table": copy.map(<[Entry]>::len),
    })
}

/// An instant to the second. Whoever made a file may have written any number.
fn instant(micros: i64) -> String {
    let year_10000 = Duration::from_secs(253_402_300_800);
    let since = u64::try_from(micros).map(Duration::from_micros);
    match since.ok().filter(|since| *since < year_10000) {
        Some(since) => {
            humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).to_string()
        }
        None => format!("{micros} µs"),
    }
}
