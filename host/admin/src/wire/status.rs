//! What a running pipeline tells of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use clickmill_core::{Digest, Micros};
use clickmill_pipeline::{Membership, Queue, Running, Sample, VersionRecord};
use clickmill_sandbox::{RecordCounts, StageCounts};

/// Samples that a rate is taken over.
const RATE_SAMPLES: usize = 10;
/// Moments that a series has at most.
const MAX_MOMENTS: usize = 360;

/// `GET /v1/status`
#[derive(Debug, Serialize, Deserialize)]
pub struct StatusBody {
    /// The pipeline's name.
    pub pipeline: String,
    /// Where its records come from.
    pub source: String,
    /// Where its rows go.
    pub sink: String,
    /// The table: its own.
    pub table: String,
    /// Its name among the replicas of its fleet, where it is of one.
    #[serde(default)]
    pub replica: Option<String>,
    /// Since when it runs, in RFC 3339.
    pub started_at: String,
    /// When this was asked, in the same form.
    pub now: String,
    /// Whether it does its work.
    pub ready: bool,
    /// Why it does not.
    pub problems: Vec<String>,
    /// Records read.
    pub rows_in: u64,
    /// Rows that plugins made of records, beyond one of each.
    #[serde(default)]
    pub rows_made: u64,
    /// Records by what became of them, where some are several rows.
    #[serde(default)]
    pub records: Option<RecordsBody>,
    /// Rows durable in the tables, each counted once in however many of them it is.
    pub rows_out: u64,
    /// Rows durable in each table: the pipeline's own, then those of its routes, copies too.
    #[serde(default)]
    pub tables: Vec<TableBody>,
    /// Rows, and records that never became rows, durable as dead letters.
    pub rows_rejected: u64,
    /// Rows that a plugin dropped on purpose.
    pub rows_filtered: u64,
    /// Records read that are not durable yet.
    pub rows_in_hand: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Batches that the source was cut into.
    pub batches: u64,
    /// Appends that failed and were tried again.
    pub retries: u64,
    /// Dead letters that went to the spool.
    pub spooled: u64,
    /// Deliveries of messages that were written before.
    pub repeated: u64,
    /// How old the newest durable message is, in seconds.
    pub freshness_secs: Option<f64>,
    /// How old the oldest message in hand is, in seconds.
    pub oldest_unacknowledged_secs: Option<f64>,
    /// From publishing to durable, lately.
    pub latency_ms: Option<LatencyBody>,
    /// Where batches wait.
    pub queues: Vec<QueueBody>,
    /// Dead letters by stage and code.
    pub rejected_by: Vec<ReasonBody>,
    /// Plugins of the versions that run.
    pub plugins: Vec<PluginBody>,
    /// Rows a second over the last ten seconds.
    pub rates: RatesBody,
}

/// Records by what became of them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RecordsBody {
    /// Records of which at least one row is durable.
    pub with_rows: u64,
    /// Records of which only dead letters are.
    pub with_letters_only: u64,
    /// Records of which plugins dropped every row on purpose.
    pub filtered_whole: u64,
}

/// A table of rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableBody {
    /// Its name.
    pub table: String,
    /// Rows that are durable in it.
    pub rows: u64,
}

/// From publishing to durable.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct LatencyBody {
    /// The median, in milliseconds.
    pub p50: u64,
    /// Of 99 in a hundred messages at most.
    pub p99: u64,
}

/// Where batches wait.
#[derive(Debug, Serialize, Deserialize)]
pub struct QueueBody {
    /// For what: `chain`, `sink`.
    pub name: String,
    /// How many.
    pub length: u64,
    /// How many at most, over all queues.
    pub capacity: u64,
}

/// Refusals of one reason.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReasonBody {
    /// Who refused.
    pub stage: String,
    /// Why.
    pub code: String,
    /// How many rows.
    pub rows: u64,
}

/// A plugin of a version that runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct PluginBody {
    /// The stage's name.
    pub stage: String,
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// The plugin set.
    pub plugin_set: Digest,
    /// `current` or `canary`.
    pub standing: String,
    /// Rows it was given.
    pub rows: u64,
    /// Rows it refused.
    pub rejected: u64,
    /// Rows it dropped on purpose.
    pub filtered: u64,
    /// Calls that ended in a fault.
    pub faults: u64,
    /// Fuel it used.
    pub fuel: u64,
    /// Time in it.
    pub seconds: f64,
    /// The most memory that an instance had.
    pub memory_bytes: usize,
}

/// Rows a second.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct RatesBody {
    /// Read.
    pub rows_in: f64,
    /// Durable in the table.
    pub rows_out: f64,
    /// Durable as dead letters.
    pub rows_rejected: f64,
}

/// `GET /v1/series`: what was lately, the newest last. The first value of a rate is that of the time
/// before the first moment.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SeriesBody {
    /// Moments, in RFC 3339.
    pub times: Vec<String>,
    /// Rows read, a second.
    pub rows_in: Vec<f64>,
    /// Rows durable, a second.
    pub rows_out: Vec<f64>,
    /// Dead letters durable, a second.
    pub rows_rejected: Vec<f64>,
    /// Records in hand.
    pub rows_in_hand: Vec<u64>,
    /// How old the newest durable message was, in seconds.
    pub freshness_secs: Vec<Option<f64>>,
    /// How old the oldest message in hand was, in seconds.
    pub oldest_unacknowledged_secs: Vec<Option<f64>>,
    /// What plugins cost, by stage.
    pub plugins: BTreeMap<String, CostBody>,
}

/// What a plugin cost.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CostBody {
    /// Time for a million rows, in seconds; none where it was given no rows.
    pub seconds_per_million: Vec<Option<f64>>,
    /// Fuel for a million rows.
    pub fuel_per_million: Vec<Option<f64>>,
}

impl StatusBody {
    /// A pipeline, now.
    pub fn of(running: &Running) -> Self {
        let (about, now) = (running.about(), running.status().snapshot());
        let (counts, streamed) = running.status().durable();
        let problems: Vec<String> =
            running.problems(&now).iter().map(ToString::to_string).collect();
        let samples = running.series();
        let latency = samples.iter().rev().take(RATE_SAMPLES).find_map(|sample| sample.latency_ms);
        let (current, canary) = running.versions();
        let mut plugins = of_version(&current, "current");
        plugins.extend(canary.iter().flat_map(|canary| of_version(canary, "canary")));
        Self {
            pipeline: about.pipeline.clone(),
            source: about.source.clone(),
            sink: about.sink.clone(),
            table: about.table.clone(),
            replica: Membership::of(running).map(|member| member.name().to_owned()),
            started_at: about.started_at.to_string(),
            now: Micros::now().to_string(),
            ready: problems.is_empty(),
            problems,
            rows_in: now.rows_in,
            rows_made: counts.rows_made,
            records: (counts.rows_made > 0).then(|| {
                let RecordCounts { with_rows, with_letters_only, filtered_whole } = counts.records;
                RecordsBody { with_rows, with_letters_only, filtered_whole }
            }),
            rows_out: counts.rows_out,
            tables: running
                .rows_by_table(&counts)
                .into_iter()
                .map(|(table, rows)| TableBody { table, rows })
                .collect(),
            rows_rejected: counts.rows_rejected,
            rows_filtered: counts.rows_filtered,
            rows_in_hand: now.rows_in_hand(),
            bytes: now.bytes,
            batches: now.batches,
            retries: now.retries,
            spooled: streamed.spooled,
            repeated: streamed.repeated,
            freshness_secs: now.freshness_secs,
            oldest_unacknowledged_secs: now.oldest_unacknowledged_secs,
            latency_ms: latency.map(|(p50, p99)| LatencyBody { p50, p99 }),
            queues: Queue::ALL
                .iter()
                .zip(now.queued)
                .map(|(queue, length)| QueueBody {
                    name: queue.name().to_owned(),
                    length,
                    capacity: about.most_queued,
                })
                .collect(),
            rejected_by: counts
                .rejected_by
                .into_iter()
                .map(|((stage, code), rows)| ReasonBody { stage: stage.into(), code, rows })
                .collect(),
            plugins,
            rates: match (samples.last(), samples.iter().rev().take(RATE_SAMPLES).next_back()) {
                (Some(last), Some(first)) => RatesBody::between(first, last),
                _ => RatesBody::default(),
            },
        }
    }
}

fn of_version(record: &VersionRecord, standing: &str) -> Vec<PluginBody> {
    let tally = record.tally();
    let nothing = StageCounts::default();
    let stages = record.set.stages.iter().enumerate();
    let body = |(at, made): (usize, &clickmill_sandbox::StageMade)| {
        let counts = tally.stages.get(at).unwrap_or(&nothing);
        PluginBody {
            stage: made.stage.to_string(),
            plugin: made.plugin.clone(),
            version: made.version.clone(),
            plugin_set: record.set.digest.clone(),
            standing: standing.to_owned(),
            rows: counts.rows_in,
            rejected: counts.rejected,
            filtered: counts.filtered,
            faults: counts.faults,
            fuel: counts.fuel,
            seconds: counts.time.as_secs_f64(),
            memory_bytes: counts.most_memory,
        }
    };
    stages.map(body).collect()
}

impl RatesBody {
    fn between(first: &Sample, last: &Sample) -> Self {
        let seconds = last.time.since(first.time).as_secs_f64();
        let rate = |first: u64, last: u64| {
            if seconds > 0.0 { last.saturating_sub(first) as f64 / seconds } else { 0.0 }
        };
        Self {
            rows_in: rate(first.rows_in, last.rows_in),
            rows_out: rate(first.rows_out, last.rows_out),
            rows_rejected: rate(first.rows_rejected, last.rows_rejected),
        }
    }
}

impl SeriesBody {
    /// Samples, thinned.
    pub fn of(samples: &[Sample]) -> Self {
        let step = samples.len().div_ceil(MAX_MOMENTS).max(1);
        // The newest is among them.
        let mut kept: Vec<&Sample> = samples.iter().rev().step_by(step).collect();
        kept.reverse();
        let mut series = Self::default();
        for pair in kept.windows(2) {
            let (before, now) = (pair[0], pair[1]);
            let rates = RatesBody::between(before, now);
            series.times.push(now.time.to_string());
            series.rows_in.push(rates.rows_in);
            series.rows_out.push(rates.rows_out);
            series.rows_rejected.push(rates.rows_rejected);
            series.rows_in_hand.push(now.rows_in_hand);
            series.freshness_secs.push(now.freshness_secs);
            series.oldest_unacknowledged_secs.push(now.oldest_unacknowledged_secs);
            for stage in &now.stages {
                let cost = series.plugins.entry(stage.stage.to_string()).or_default();
                let earlier = before.stages.iter().find(|other| other.stage == stage.stage);
                let (rows, fuel, time) = match earlier {
                    Some(earlier) => (
                        stage.rows - earlier.rows,
                        stage.fuel - earlier.fuel,
                        stage.time - earlier.time,
                    ),
                    None => (stage.rows, stage.fuel, stage.time),
                };
                let per_million = |cost: f64| (rows > 0).then(|| cost / rows as f64 * 1e6);
                // Stages begin with the first batch: earlier moments have none.
                cost.seconds_per_million.resize(series.times.len() - 1, None);
                cost.fuel_per_million.resize(series.times.len() - 1, None);
                cost.seconds_per_million.push(per_million(time.as_secs_f64()));
                cost.fuel_per_million.push(per_million(fuel as f64));
            }
        }
        series
    }
}
