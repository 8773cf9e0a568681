//! A run's summary, for people and for programs.

use std::collections::BTreeSet;

use indicatif::{HumanBytes, HumanCount, HumanDuration};
use serde_json::json;

use crate::{Exit, Failure};
use clickmill_pipeline::{Counts, FailedObject, Streamed, Summary};
use clickmill_sandbox::{RecordCounts, lacked_fuel};

/// So many of a kind are named; of the others it is said how many there are.
const NAMED: usize = 10;

/// The summary, for a person.
pub(crate) fn print_summary(summary: &Summary) {
    print_not_begun(summary);
    if summary.loaded == 0 && summary.stream.is_none() {
        if summary.failed.is_empty() {
            eprintln!("nothing to load");
        }
        return;
    }
    let counts = &summary.counts;
    let seconds = summary.elapsed.as_secs_f64();
    match &summary.stream {
        Some(streamed) => print_streamed(streamed, counts.rows_in, seconds),
        None => eprintln!(
            "loaded {} object{} in {seconds:.2} s: {} rows/s, {}",
            summary.loaded,
            if summary.loaded == 1 { "" } else { "s" },
            HumanCount((counts.rows_in as f64 / seconds) as u64),
            HumanBytes(counts.bytes),
        ),
    }
    print_rows(counts);
    print_routes(summary);
    print_plugins(counts);
    if let Some(digest) = &summary.plugin_set {
        eprintln!("plugin set {digest}");
    }
    if seconds > 60.0 {
        eprintln!("took {}", HumanDuration(summary.elapsed));
    }
}

/// Objects of which nothing was to be loaded, or is not yet.
fn print_not_begun(summary: &Summary) {
    for object in summary.skipped.iter().take(NAMED) {
        eprintln!("skipped {object}: it is loaded already");
    }
    if let Some(more @ 1..) = summary.skipped.len().checked_sub(NAMED) {
        eprintln!("skipped {more} more: they are loaded already");
    }
    if summary.loaded_by_others > 0 {
        eprintln!("{} of them were loaded by other runs meanwhile", summary.loaded_by_others);
    }
    for passed_over in summary.passed_over.iter().take(NAMED) {
        eprintln!("passed over {}: it {}", passed_over.uri, passed_over.why);
    }
    if let Some(more @ 1..) = summary.passed_over.len().checked_sub(NAMED) {
        eprintln!("passed over {more} more");
    }
    // Else that is the error that the run ends with.
    if summary.left > 0 && (!summary.cut_short || summary.fault().is_some()) {
        eprintln!("stopped: {} objects are left, run again to load them", summary.left);
    }
}

/// Rows by what became of them.
fn print_rows(counts: &Counts) {
    let width = 14;
    for (label, value) in [
        ("rows in", counts.rows_in),
        ("rows out", counts.rows_out),
        ("rejected", counts.rows_rejected),
        ("filtered", counts.rows_filtered),
    ] {
        eprintln!("  {label:<9} {:>width$}", HumanCount(value).to_string());
    }
    if counts.rows_made > 0 {
        let RecordCounts { with_rows, with_letters_only, filtered_whole } = counts.records;
        for (what, value) in [
            ("rows that plugins made beyond one of each record", counts.rows_made),
            ("records with rows", with_rows),
            ("records with dead letters only", with_letters_only),
            ("records that are filtered whole", filtered_whole),
        ] {
            eprintln!("  {} {what}", HumanCount(value));
        }
    }
    if !counts.rejected_by.is_empty() {
        eprintln!("rejected by");
        for ((stage, code), count) in &counts.rejected_by {
            eprintln!("  {stage:<10} {code:<26} {:>10}", HumanCount(*count).to_string());
        }
        let of_fuel = counts.rejected_by.keys().filter(|(_, code)| lacked_fuel(code));
        for stage in of_fuel.map(|(stage, _)| stage).collect::<BTreeSet<_>>() {
            eprintln!(
                "  {stage:<10} had too little fuel for them: `max_fuel_per_record` or, for large rows, `max_fuel_per_kib` under its `[plugin.limits]` grants more; their dead letters say which, and what it is now"
            );
        }
    }
}

/// Rows of the tables beside the pipeline's own. A row that is in several is one of `rows out`.
fn print_routes(summary: &Summary) {
    for (table, rows) in &summary.routes {
        eprintln!("  {} to {table}", HumanCount(*rows));
    }
}

/// What each plugin did and cost.
fn print_plugins(counts: &Counts) {
    if !counts.stages.is_empty() {
        eprintln!("plugins");
        for (name, stage) in &counts.stages {
            let rows = stage.rows_in.max(1) as f64;
            eprintln!(
                "  {name:<10} {:>8.3} s {:>7.0} ns/row {:>8.0} fuel/row {:>8} rejected {:>4} faults",
                stage.time.as_secs_f64(),
                stage.time.as_nanos() as f64 / rows,
                stage.fuel as f64 / rows,
                HumanCount(stage.rejected).to_string(),
                stage.faults,
            );
            for (count, what) in [
                (stage.timeouts, "calls took too long"),
                (stage.lines_unwritten, "log lines not written"),
            ] {
                if count > 0 {
                    eprintln!("  {name:<10} {} {what}", HumanCount(count));
                }
            }
            for (column, values) in &stage.unreadable {
                eprintln!("  {name:<10} {} unreadable in `{column}`, null", HumanCount(*values));
            }
        }
    }
}

/// That objects are not loaded, as the error that a run ends with.
pub(crate) fn not_loaded(summary: &Summary) -> Result<(), Failure> {
    let Some(fault) = summary.fault() else { return stopped(summary) };
    let exit = Exit::from(fault);
    let failure = match summary.failed.as_slice() {
        [only] => Failure::new(exit, chained(only)),
        failed => {
            let line = |failed: &FailedObject| format!("\n  {}", failed.causes.join(": "));
            let mut lines: String = failed.iter().take(NAMED).map(line).collect();
            if let Some(more @ 1..) = failed.len().checked_sub(NAMED) {
                lines.push_str(&format!("\n  and {more} more"));
            }
            Failure::new(exit, anyhow::anyhow!("{} objects are not loaded:{lines}", failed.len()))
        }
    };
    let others = summary.loaded > 0 || summary.failed.len() > 1;
    Err(if others && summary.left == 0 {
        failure.hint(
            "`clickmill loads list --pipeline FILE` shows what is not loaded; all else is, and is not loaded again",
        )
    } else {
        failure
    })
}

/// That a load was told to stop before its end, as the error that it ends with: whoever waits for all of it, as a Job
/// of Kubernetes does, is not told that it is done.
fn stopped(summary: &Summary) -> Result<(), Failure> {
    if !summary.cut_short {
        return Ok(());
    }
    let what = match summary.left {
        0 => "told to stop before anything was loaded".to_owned(),
        left => format!("told to stop, {left} objects are left"),
    };
    Err(Failure::new(Exit::Environment, anyhow::Error::msg(what)).hint("run again to load them"))
}

/// An error with its causes.
fn chained(failed: &FailedObject) -> anyhow::Error {
    let mut causes = failed.causes.iter().rev().cloned();
    let last = anyhow::Error::msg(causes.next().unwrap_or_default());
    causes.fold(last, anyhow::Error::context)
}

fn print_streamed(streamed: &Streamed, rows_in: u64, seconds: f64) {
    eprintln!(
        "streamed for {seconds:.1} s: {} messages/s, from publishing to durable {} ms (median), {} ms (99 %), {} ms (most)",
        HumanCount((rows_in as f64 / seconds) as u64),
        streamed.latency_p50_ms,
        streamed.latency_p99_ms,
        streamed.latency_max_ms,
    );
    for (count, what) in [
        (streamed.repeated, "deliveries of messages that were written before, dropped"),
        (streamed.unconfirmed, "acknowledgements were not taken, their messages come again"),
        (streamed.spooled, "dead letters went to the spool"),
        (streamed.retries, "appends failed and were tried again"),
    ] {
        if count > 0 {
            eprintln!("  {} {what}", HumanCount(count));
        }
    }
}

pub(crate) fn as_json(summary: &Summary) -> serde_json::Value {
    let counts = &summary.counts;
    let rejected_by = counts
        .rejected_by
        .iter()
        .map(|((stage, code), count)| json!({ "stage": stage, "code": code, "rows": count }));
    let stages = counts.stages.iter().map(|(name, stage)| {
        json!({
            "name": name,
            "rows_in": stage.rows_in,
            "rows_rejected": stage.rejected,
            "rows_filtered": stage.filtered,
            "unreadable": stage.unreadable,
            "faults": stage.faults,
            "timeouts": stage.timeouts,
            "log_lines_unwritten": stage.lines_unwritten,
            "fuel": stage.fuel,
            "seconds": stage.time.as_secs_f64(),
        })
    });
    let failed = summary.failed.iter();
    let failed =
        failed.map(|failed| json!({ "object": failed.object, "error": failed.causes.join(": ") }));
    let passed_over = summary.passed_over.iter();
    let passed_over = passed_over.map(|passed| json!({ "object": passed.uri, "why": passed.why }));
    let stream = summary.stream.as_ref().map(|streamed| {
        json!({
            "repeated": streamed.repeated,
            "unconfirmed": streamed.unconfirmed,
            "spooled": streamed.spooled,
            "retries": streamed.retries,
            "latency_p50_ms": streamed.latency_p50_ms,
            "latency_p99_ms": streamed.latency_p99_ms,
            "latency_max_ms": streamed.latency_max_ms,
            "pause_p99_us": streamed.pause_p99_us,
            "pause_max_us": streamed.pause_max_us,
        })
    });
    // By record there is more to tell only where plugins make several rows of one.
    let records = (counts.rows_made > 0).then(|| {
        let RecordCounts { with_rows, with_letters_only, filtered_whole } = counts.records;
        json!({
            "rows_made": counts.rows_made,
            "with_rows": with_rows,
            "with_letters_only": with_letters_only,
            "filtered_whole": filtered_whole,
        })
    });
    let routes = summary.routes.iter();
    let routes = routes.map(|(table, rows)| json!({ "table": table.to_string(), "rows": rows }));
    json!({
        "stream": stream,
        "routes": routes.collect::<Vec<_>>(),
        "records": records,
        "rows_in": counts.rows_in,
        "rows_out": counts.rows_out,
        "rows_rejected": counts.rows_rejected,
        "rows_filtered": counts.rows_filtered,
        "rejected_by": rejected_by.collect::<Vec<_>>(),
        "plugins": stages.collect::<Vec<_>>(),
        "bytes": counts.bytes,
        "objects_loaded": summary.loaded,
        "objects_skipped": summary.skipped,
        "objects_loaded_by_others": summary.loaded_by_others,
        "objects_failed": failed.collect::<Vec<_>>(),
        "objects_passed_over": passed_over.collect::<Vec<_>>(),
        "objects_left": summary.left,
        "plugin_set": summary.plugin_set,
        "seconds": summary.elapsed.as_secs_f64(),
    })
}
