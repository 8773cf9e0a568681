//! A running pipeline as others look at it: what it is, how it does, what it did lately.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::series::{Sample, Series};
use super::status::{Queue, Snapshot, Status};
use crate::build::Built;
use crate::swap::Swaps;
use clickmill_query::QueryError;

use super::tap::{Taken, Tap, TooManyTaps};
use crate::versions::version::{Record, Standing};
use clickmill_config::{Place, Source};
use clickmill_core::batch::micros_now;
use clickmill_sandbox::StageCounts;
use clickmill_telemetry::metrics::{self, Show, observe};

/// Plugins, by stage, name and version, whose numbers are shown one by one: the newest.
const MAX_PLUGINS: usize = 50;

/// A running pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Running(Arc<Inner>);

struct Inner {
    about: About,
    swaps: Swaps,
    status: Arc<Status>,
    series: Series,
    max_freshness: Option<Duration>,
}

/// What a pipeline is.
#[derive(Debug, Clone)]
pub struct About {
    /// Its name.
    pub pipeline: String,
    /// Where its records come from.
    pub source: String,
    /// Where its rows go.
    pub sink: String,
    /// The table.
    pub table: String,
    /// Since when it runs, in microseconds since 1970-01-01T00:00:00Z.
    pub started_at: i64,
    /// The most batches that may wait, in the order of [`Queue::ALL`].
    pub most_queued: u64,
}

/// What a plugin of one version has done, in all plugin sets that it was in.
pub type Plugins = BTreeMap<[String; 3], StageCounts>;

impl Running {
    /// Begins to look at a pipeline.
    pub fn new(built: &Built, status: &Arc<Status>) -> Self {
        let pipeline = built.pipeline();
        let inner = Inner {
            about: About {
                pipeline: pipeline.name.clone(),
                source: source(&pipeline.source),
                sink: match &pipeline.sink.place {
                    Place::Warehouse => "warehouse".to_owned(),
                    Place::BigQuery(config) => format!("BigQuery, project {}", config.project),
                },
                table: pipeline.sink.table.to_string(),
                started_at: micros_now(),
                most_queued: built.most_batches() as u64,
            },
            swaps: built.swaps().clone(),
            status: status.clone(),
            series: Series::default(),
            max_freshness: pipeline.admin.max_freshness,
        };
        let running = Self(Arc::new(inner));
        running.measure();
        let sampled = Arc::downgrade(&running.0);
        built.runtime.spawn(async move {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                seconds.tick().await;
                let Some(inner) = sampled.upgrade() else { return };
                inner.series.add(Sample::of(&inner.status));
            }
        });
        running
    }

    /// What it is.
    pub fn about(&self) -> &About {
        &self.0.about
    }

    /// How its plugins change.
    pub fn swaps(&self) -> &Swaps {
        &self.0.swaps
    }

    /// What it counts.
    pub fn status(&self) -> &Status {
        &self.0.status
    }

    /// How it did lately, a sample a second, the newest last.
    pub fn series(&self) -> Vec<Sample> {
        self.0.series.samples()
    }

    /// Has rows shown as they pass.
    pub fn tap(&self, tap: Tap) -> Result<Taken, TooManyTaps> {
        self.0.swaps.0.slot.taps().open(tap)
    }

    /// Whether a text is a condition that a tap may have.
    pub async fn check(&self, condition: &str) -> Result<(), QueryError> {
        self.0.swaps.0.slot.taps().check(condition).await
    }

    /// Why it does not do its work; nothing where it does.
    pub fn problems(&self, now: &Snapshot) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(seconds) = now.away_secs {
            problems.push(format!("the table has not taken rows for {seconds:.0} s"));
        }
        if let (Some(most), Some(seconds)) = (self.0.max_freshness, now.freshness_secs)
            && seconds > most.as_secs_f64()
        {
            let most = most.as_secs_f64();
            problems.push(format!(
                "the newest durable message was published {seconds:.0} s ago, wanted at most {most} s"
            ));
        }
        problems
    }

    /// What each plugin did, those that ran last where there are many.
    pub fn plugins(&self) -> Plugins {
        let mut plugins = Plugins::new();
        for record in self.0.swaps.history().iter().rev() {
            let tally = record.tally();
            for (made, counts) in record.set.stages.iter().zip(&tally.stages) {
                let key = [made.stage.clone(), made.plugin.clone(), made.version.clone()];
                if plugins.len() < MAX_PLUGINS || plugins.contains_key(&key) {
                    plugins.entry(key).or_default().add(counts);
                }
            }
        }
        plugins
    }

    /// Shows its numbers to whoever reads metrics.
    fn measure(&self) {
        // Weak, so that metrics do not keep a pipeline.
        let inner = Arc::downgrade(&self.0);
        let show = |metric, read: fn(&Running, Show<'_>)| {
            let inner = inner.clone();
            observe(metric, move |show| {
                if let Some(inner) = inner.upgrade() {
                    read(&Running(inner), show);
                }
            });
        };
        show(&metrics::ROWS_IN, |p, show| show(p.now().rows_in as f64, &[]));
        show(&metrics::ROWS_OUT, |p, show| show(p.status().durable().0.rows_out as f64, &[]));
        show(&metrics::ROWS_REJECTED, |p, show| {
            for ((stage, code), rows) in &p.status().durable().0.rejected_by {
                show(*rows as f64, &[stage, code]);
            }
        });
        show(&metrics::ROWS_FILTERED, |p, show| {
            show(p.status().durable().0.rows_filtered as f64, &[]);
        });
        show(&metrics::ROWS_REPEATED, |p, show| {
            show(p.status().durable().1.repeated as f64, &[]);
        });
        show(&metrics::ROWS_IN_HAND, |p, show| show(p.now().rows_in_hand() as f64, &[]));
        show(&metrics::BYTES_IN, |p, show| show(p.now().bytes as f64, &[]));
        show(&metrics::BATCHES, |p, show| show(p.now().batches as f64, &[]));
        show(&metrics::QUEUE_BATCHES, |p, show| {
            for (queue, batches) in Queue::ALL.iter().zip(p.now().queued) {
                show(batches as f64, &[queue.name()]);
            }
        });
        show(&metrics::FRESHNESS, |p, show| {
            if let Some(seconds) = p.now().freshness_secs {
                show(seconds, &[]);
            }
        });
        show(&metrics::OLDEST_UNACKNOWLEDGED, |p, show| {
            show(p.now().oldest_unacknowledged_secs.unwrap_or(0.0), &[]);
        });
        show(&metrics::SINK_UP, |p, show| {
            show(f64::from(u8::from(p.now().away_secs.is_none())), &[]);
        });
        show(&metrics::SINK_RETRIES, |p, show| show(p.now().retries as f64, &[]));
        show(&metrics::LETTERS_SPOOLED, |p, show| {
            show(p.status().durable().1.spooled as f64, &[]);
        });
        show(&metrics::ACKNOWLEDGEMENTS_UNCONFIRMED, |p, show| {
            show(p.status().durable().1.unconfirmed as f64, &[]);
        });
        show(&metrics::READY, |p, show| {
            show(f64::from(u8::from(p.problems(&p.now()).is_empty())), &[]);
        });
        show(&metrics::SWAPS, |p, show| {
            for (outcome, count) in p.swaps().outcomes() {
                show(count as f64, &[outcome]);
            }
        });
        show(&metrics::PLUGIN_SET, |p, show| {
            let (current, canary) = p.swaps().running();
            let one = |record: &Record, standing| {
                show(1.0, &[&record.set.digest, &record.number.to_string(), standing]);
            };
            one(&current, "current");
            if let Some(canary) = canary.filter(|canary| canary.standing() == Standing::Canary) {
                one(&canary, "canary");
            }
        });
        type Number = fn(&StageCounts) -> f64;
        let plugins: [(&metrics::Metric, Number); 7] = [
            (&metrics::PLUGIN_ROWS, |counts| counts.rows_in as f64),
            (&metrics::PLUGIN_REJECTED, |counts| counts.rejected as f64),
            (&metrics::PLUGIN_FILTERED, |counts| counts.filtered as f64),
            (&metrics::PLUGIN_FAULTS, |counts| counts.faults as f64),
            (&metrics::PLUGIN_FUEL, |counts| counts.fuel as f64),
            (&metrics::PLUGIN_SECONDS, |counts| counts.time.as_secs_f64()),
            (&metrics::PLUGIN_MEMORY, |counts| counts.most_memory as f64),
        ];
        for (metric, number) in plugins {
            let inner = inner.clone();
            observe(metric, move |show| {
                for (key, counts) in inner.upgrade().map(|p| Running(p).plugins()).iter().flatten()
                {
                    show(number(counts), &key.each_ref().map(String::as_str));
                }
            });
        }
    }

    fn now(&self) -> Snapshot {
        self.status().snapshot()
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Stdin => "standard input".to_owned(),
        Source::Storage { uri, .. } => uri.clone(),
        Source::Generator(generated) => format!("generator ({})", generated.data),
        Source::Live { generated, rate } => format!("generator ({}, {rate}/s)", generated.data),
        Source::PubSub(config) => format!("Pub/Sub {}", config.subscription),
    }
}
