//! Whether the record of a pipeline is whole, and what is said of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};

use crate::{Exit, Failure};
use clickmill_audit as audit;
use clickmill_audit::{Difference, Entry, Verified};

/// What is found of a pipeline, all of it unbroken.
pub(super) struct Checked {
    /// The chain in the file, where there is one.
    file: Option<Chain>,
    /// How many of its entries the table has, where there is a table.
    in_table: Option<usize>,
    /// Chains that the table alone has.
    others: Vec<Chain>,
    /// The hashes of all their entries.
    pub(super) hashes: BTreeSet<String>,
}

/// A chain, by the hash of its first entry.
struct Chain {
    id: String,
    /// Where it was begun, if it says so.
    begun_on: Option<String>,
    verified: Verified,
}

/// Verifies a file and the table's chains, and compares the file with its own.
pub(super) fn check(
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
        return Err(broken(Difference::Unknown { others: copied.len() }.into()));
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

/// What is found of a pipeline, a line for each chain.
pub(super) fn said(pipeline: &str, checked: &Checked) -> Vec<String> {
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

pub(super) fn as_json(pipeline: &str, checked: &Checked) -> Json {
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
