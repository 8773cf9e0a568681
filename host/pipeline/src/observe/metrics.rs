//! The numbers of a running pipeline, as metrics show them.

use std::sync::atomic::Ordering;

use super::running::{PluginKey, Running};
use super::status::Queue;
use crate::versions::version::{Standing, VersionRecord};
use clickmill_sandbox::StageCounts;
use clickmill_telemetry::metrics::{self, Metric, Show, observe};

/// A number of the pipeline; none while there is none.
type Number = fn(&Running) -> Option<f64>;
/// Numbers of the pipeline that have labels.
type Labelled = fn(&Running, Show<'_>);
/// A number of a plugin.
type PluginNumber = fn(&StageCounts) -> f64;

const NUMBERS: [(&Metric, Number); 18] = [
    (&metrics::ROWS_IN, |p| count(p.status().snapshot().rows_in)),
    (&metrics::ROWS_MADE, |p| count(p.status().durable().0.rows_made)),
    (&metrics::ROWS_OUT, |p| count(p.status().durable().0.rows_out)),
    (&metrics::ROWS_FILTERED, |p| count(p.status().durable().0.rows_filtered)),
    (&metrics::ROWS_REPEATED, |p| count(p.status().durable().1.repeated)),
    (&metrics::ROWS_IN_HAND, |p| count(p.status().snapshot().rows_in_hand())),
    (&metrics::BYTES_IN, |p| count(p.status().snapshot().bytes)),
    (&metrics::BATCHES, |p| count(p.status().snapshot().batches)),
    (&metrics::FRESHNESS, |p| p.status().snapshot().freshness_secs),
    (&metrics::OLDEST_UNACKNOWLEDGED, |p| {
        Some(p.status().snapshot().oldest_unacknowledged_secs.unwrap_or(0.0))
    }),
    (&metrics::SINK_UP, |p| yes(p.status().snapshot().away_secs.is_none())),
    (&metrics::SINK_RETRIES, |p| count(p.status().snapshot().retries)),
    (&metrics::LOADS_FAILED, |p| count(p.status().snapshot().loads_failed)),
    (&metrics::OBJECTS_FAILED, |p| count(p.status().snapshot().objects_failed)),
    (&metrics::LETTERS_SPOOLED, |p| count(p.status().durable().1.spooled)),
    (&metrics::SPOOL_OLDEST, |p| Some(p.status().snapshot().spool_oldest_secs.unwrap_or(0.0))),
    (&metrics::ACKNOWLEDGEMENTS_UNCONFIRMED, |p| count(p.status().durable().1.unconfirmed)),
    (&metrics::READY, |p| yes(p.problems(&p.status().snapshot()).is_empty())),
];

const LABELLED: [(&Metric, Labelled); 9] = [
    (&metrics::AUDIT_WAITING, |p, show| {
        let (log, table) = p.audit().waiting();
        show(log as f64, &["log"]);
        show(table as f64, &["table"]);
    }),
    (&metrics::PLUGIN_UNREADABLE, |p, show| {
        for (PluginKey { stage, plugin, version }, counts) in p.plugins() {
            for (column, values) in &counts.unreadable {
                show(*values as f64, &[&stage, &plugin, &version, column]);
            }
        }
    }),
    (&metrics::RECORDS, |p, show| {
        let records = p.status().durable().0.records;
        show(records.with_rows as f64, &["with_rows"]);
        show(records.with_letters_only as f64, &["with_letters_only"]);
        show(records.filtered_whole as f64, &["filtered_whole"]);
    }),
    (&metrics::TABLE_ROWS, |p, show| {
        for (table, rows) in p.rows_by_table(&p.status().durable().0) {
            show(rows as f64, &[&table]);
        }
    }),
    (&metrics::ROWS_REJECTED, |p, show| {
        for ((stage, code), rows) in &p.status().durable().0.rejected_by {
            show(*rows as f64, &[stage, code]);
        }
    }),
    (&metrics::QUEUE_BATCHES, |p, show| {
        for (queue, batches) in Queue::ALL.iter().zip(p.status().snapshot().queued) {
            show(batches as f64, &[queue.name()]);
        }
    }),
    (&metrics::SPOOL_LETTERS, |p, show| {
        let held = p.status().snapshot().spool;
        show(held.waiting as f64, &["waiting"]);
        show(held.set_aside as f64, &["set_aside"]);
    }),
    (&metrics::SWAPS, |p, show| {
        let outcomes = &p.context().outcomes;
        for (outcome, swaps) in [
            ("taken", &outcomes.taken),
            ("refused", &outcomes.refused),
            ("rolled_back", &outcomes.rolled_back),
        ] {
            show(swaps.load(Ordering::Relaxed) as f64, &[outcome]);
        }
    }),
    (&metrics::PLUGIN_SET, |p, show| {
        let (current, canary) = p.versions();
        let one = |record: &VersionRecord, standing| {
            show(1.0, &[&record.set.digest, &record.number.to_string(), standing]);
        };
        one(&current, "current");
        if let Some(canary) = canary.filter(|canary| canary.standing() == Standing::Canary) {
            one(&canary, "canary");
        }
    }),
];

const PLUGINS: [(&Metric, PluginNumber); 9] = [
    (&metrics::PLUGIN_ROWS, |counts| counts.rows_in as f64),
    (&metrics::PLUGIN_REJECTED, |counts| counts.rejected as f64),
    (&metrics::PLUGIN_FILTERED, |counts| counts.filtered as f64),
    (&metrics::PLUGIN_FAULTS, |counts| counts.faults as f64),
    (&metrics::PLUGIN_TIMEOUTS, |counts| counts.timeouts as f64),
    (&metrics::PLUGIN_LOG_UNWRITTEN, |counts| counts.lines_unwritten as f64),
    (&metrics::PLUGIN_FUEL, |counts| counts.fuel as f64),
    (&metrics::PLUGIN_SECONDS, |counts| counts.time.as_secs_f64()),
    (&metrics::PLUGIN_MEMORY, |counts| counts.most_memory as f64),
];

/// Shows the numbers of a pipeline to whoever reads metrics.
pub(crate) fn show(running: &Running) {
    // Weak, so that metrics do not keep a pipeline.
    let running = running.weak();
    for (metric, number) in NUMBERS {
        let running = running.clone();
        observe(metric, move |show| {
            if let Some(number) = running().as_ref().and_then(number) {
                show(number, &[]);
            }
        });
    }
    for (metric, numbers) in LABELLED {
        let running = running.clone();
        observe(metric, move |show| {
            if let Some(running) = running() {
                numbers(&running, show);
            }
        });
    }
    for (metric, number) in PLUGINS {
        let running = running.clone();
        observe(metric, move |show| {
            for (key, counts) in running().map(|p| p.plugins()).iter().flatten() {
                let PluginKey { stage, plugin, version } = key;
                show(number(counts), &[stage, plugin, version]);
            }
        });
    }
}

fn count(count: u64) -> Option<f64> {
    Some(count as f64)
}

fn yes(is_so: bool) -> Option<f64> {
    Some(f64::from(u8::from(is_so)))
}
