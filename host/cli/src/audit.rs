//! `clickmill audit`: who changed what in a pipeline, and whether the record of it is whole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json, json};

use super::query::print;
use super::{Exit, Failure, place};
use clickmill_audit as audit;
use clickmill_audit::{Differs, Entry, Verified};
use clickmill_config::{Place, TableName};
use clickmill_sink::Tables;
use clickmill_tables::result_set::Answer;
use clickmill_warehouse::Warehouse;

const DATASET: &str = "clickstream_analytics";

/// How the names of pipeline files end.
const PIPELINE_FILE: &str = ".toml";

/// What `list` shows of an entry on a terminal.
const LISTED: [&str; 8] =
    ["sequence", "time", "pipeline", "actor", "action", "subject", "outcome", "detail"];

const EXAMPLES: &str = "\
Examples:
  clickmill audit verify
  clickmill audit verify clicks-stream --json
  clickmill audit verify host/pipelines/stream_gcp.toml
  clickmill audit verify host/pipelines/stream.toml --head \"$HEAD\"
  clickmill audit list --limit 5

An entry that was changed, removed, moved or added in a file is told by the file itself. An end that was cut off, or a file that was written anew, is told by the table audit_log: that of the pipeline file, or of the warehouse's dataset clickstream_analytics where none is named. A pipeline that runs on several machines writes a chain on each; those whose files are not here are verified in the table. File and table written anew by whoever may write both are told by a head: a run logs it at its start and its end, `verify` says it too, and whoever notes it elsewhere asks for it with --head.";

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
                let (dataset, table) = (DATASET.to_owned(), audit::TABLE.to_owned());
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
            match &checked {
                Ok(checked) if self.json => println!("{}", as_json(pipeline, checked)),
                Ok(checked) => said(pipeline, checked).iter().for_each(|line| println!("{line}")),
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
            (None, Some(head)) => {
                let error = anyhow::anyhow!(
                    "no unbroken chain has an entry with the hash `{head}`: since that was noted its log was written anew, or cut"
                );
                Err(Failure::new(Exit::Failed, error)
                    .hint("a head is of one pipeline and one machine's log: --log names its folder, a pipeline file its table"))
            }
        }
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

/// What is found of a pipeline, all of it unbroken.
struct Checked {
    /// The chain in the file, where there is one.
    file: Option<Chain>,
    /// How many of its entries the table has, where there is a table.
    in_table: Option<usize>,
    /// Chains that the table alone has.
    others: Vec<Chain>,
    /// The hashes of all their entries.
    hashes: BTreeSet<String>,
}

/// A chain, by the hash of its first entry.
struct Chain {
    id: String,
    /// Where it was begun, if it says so.
    begun_on: Option<String>,
    verified: Verified,
}

/// Verifies a file and the table's chains, and compares the file with its own.
fn check(
    pipeline: &str,
    path: Option<&PathBuf>,
    folder: &Path,
    copy: Option<&[Entry]>,
) -> Result<Checked, Failure> {
    let broken = |error: anyhow::Error| {
        let file = path.cloned().unwrap_or_else(|| folder.join(format!("{pipeline}.jsonl")));
        Failure::new(
            Exit::Failed,
            error.context(format!("audit log `{}` is broken", file.display())),
        )
    };
    let unchained = |error: anyhow::Error| {
        let what = format!("the audit table is broken for pipeline `{pipeline}`");
        Failure::new(Exit::Failed, error.context(what))
    };
    let mut entries = Vec::new();
    let lines = path.map(|path| audit::read(path)).transpose()?;
    let lines =
        lines.into_iter().flatten().inspect(|line| entries.extend(line.as_ref().ok().cloned()));
    let verified = audit::verify(pipeline, lines).map_err(|error| broken(error.into()))?;
    let id = entries.first().map(|entry| entry.hash.clone());
    let place = |first: &Entry| audit::begun_on(first).map(str::to_owned);
    let begun = entries.first().and_then(place);
    let hashes = entries.iter().chain(copy.unwrap_or_default());
    let hashes = hashes.map(|entry| entry.hash.clone()).collect();
    let copied = copy.unwrap_or_default();
    let chains = audit::chains(copied.to_vec(), &entries);
    let chains = chains.map_err(|error| unchained(error.into()))?;
    let is_own = |chain: &Vec<Entry>| Some(&chain[0].hash) == id.as_ref();
    let (own, others): (Vec<_>, Vec<_>) = chains.into_iter().partition(is_own);
    let own = own.into_iter().next().unwrap_or_default();
    audit::compare(&entries, &own).map_err(|error| broken(error.into()))?;
    if own.is_empty() && id.is_some() && !copied.is_empty() {
        return Err(broken(Differs::Unknown { others: copied.len() }.into()));
    }
    let other = |chain: Vec<Entry>| -> Result<Chain, Failure> {
        let (id, begun_on) = (chain[0].hash.clone(), place(&chain[0]));
        let verified = audit::verify(pipeline, chain.into_iter().map(Ok));
        Ok(Chain { id, begun_on, verified: verified.map_err(|error| unchained(error.into()))? })
    };
    Ok(Checked {
        file: id.map(|id| Chain { id, begun_on: begun, verified }),
        in_table: copy.map(|_| own.len()),
        others: others.into_iter().map(other).collect::<Result<_, _>>()?,
        hashes,
    })
}

fn none(folder: &Path, pipeline: Option<&str>) -> Failure {
    let of = pipeline.map(|pipeline| format!(" of pipeline `{pipeline}`")).unwrap_or_default();
    let error = anyhow::anyhow!("no audit log{of} in `{}`", folder.display());
    Failure::new(Exit::BadInput, error).hint("--log or CLICKMILL_AUDIT names the folder")
}

/// What is found of a pipeline, a line for each chain.
fn said(pipeline: &str, checked: &Checked) -> Vec<String> {
    let mut lines: Vec<String> = checked.file.iter().map(|chain| line(pipeline, chain)).collect();
    if let (Some(chain), Some(in_table)) = (&checked.file, checked.in_table)
        && (in_table as u64) < chain.verified.entries
    {
        lines[0].push_str(&format!(", {in_table} of them in the table"));
    }
    lines.extend(checked.others.iter().map(|chain| {
        format!(
            "{}, in the table only: written elsewhere, or its file is gone",
            line(pipeline, chain)
        )
    }));
    if lines.is_empty() { vec![format!("{pipeline}: 0 entries, unbroken")] } else { lines }
}

fn line(pipeline: &str, chain: &Chain) -> String {
    let Chain { id, begun_on, verified } = chain;
    let on = begun_on.as_ref().map(|place| format!(" begun on {place}")).unwrap_or_default();
    let entries = match verified.entries {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    let short = |hash: &str| hash.get(..8).unwrap_or(hash).to_owned();
    let times = match (verified.first_time, verified.last_time) {
        (Some(first), Some(last)) => format!(", {} to {}", instant(first), instant(last)),
        _ => String::new(),
    };
    format!(
        "{pipeline}: chain {}…{on}, {entries}{times}, unbroken, head {}",
        short(id),
        verified.last_hash
    )
}

fn as_json(pipeline: &str, checked: &Checked) -> Json {
    let of = |chain: &Chain| {
        let Chain { id, begun_on, verified } = chain;
        json!({
            "chain": id,
            "begun_on": begun_on,
            "entries": verified.entries,
            "first_time": verified.first_time.map(instant),
            "last_time": verified.last_time.map(instant),
            "last_hash": verified.last_hash,
        })
    };
    let mut told = checked.file.as_ref().map_or_else(|| json!({ "entries": 0 }), of);
    told["pipeline"] = json!(pipeline);
    told["unbroken"] = json!(true);
    told["entries_in_table"] = json!(checked.in_table);
    told["others_in_table"] = checked.others.iter().map(of).collect();
    told
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
