//! A running pipeline as others look at it: what it is, how it does, what it did lately.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::series::{Sample, Series};
use super::status::{Snapshot, Status};
use super::summary::Counts;
use super::tap::{Tap, TapStream, TooManyTaps};
use crate::audit_sink::AuditSink;
use crate::context::Context;
use crate::versions::version::VersionRecord;
use clickmill_config::{Place, Source};
use clickmill_core::{Digest, Micros, StageName};
use clickmill_query::QueryError;
use clickmill_sandbox::StageCounts;

/// Plugins, by stage, name and version, whose numbers are shown one by one: the newest.
const MAX_PLUGINS: usize = 50;

/// A running pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Running(Arc<Inner>);

struct Inner {
    about: About,
    context: Arc<Context>,
    status: Arc<Status>,
    series: Series,
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
    /// Since when it runs.
    pub started_at: Micros,
    /// The most batches that may wait, in the order of [`Queue::ALL`](super::status::Queue::ALL).
    pub most_queued: u64,
}

/// Why a pipeline does not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In words of ours, which anybody may read.
    pub state: String,
    /// What names a table or a place, or has words of others.
    pub detail: Option<String>,
}

impl Problem {
    fn state(state: String) -> Self {
        Self { state, detail: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {detail}", self.state),
            None => f.write_str(&self.state),
        }
    }
}

/// What plugins have done, each in all plugin sets that it was in.
pub type Plugins = BTreeMap<PluginKey, StageCounts>;

/// A plugin of one version at one stage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginKey {
    /// The stage.
    pub stage: StageName,
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub version: String,
}

impl Running {
    /// Begins to look at a pipeline.
    pub(crate) fn new(context: &Arc<Context>, status: &Arc<Status>) -> Self {
        let pipeline = &context.pipeline;
        let inner = Inner {
            about: About {
                pipeline: pipeline.name.clone(),
                source: source(&pipeline.source),
                sink: match &pipeline.sink.place {
                    Place::Warehouse => "warehouse".to_owned(),
                    Place::BigQuery(config) => format!("BigQuery, project {}", config.project),
                },
                table: pipeline.sink.table.to_string(),
                started_at: Micros::now(),
                most_queued: context.most_batches() as u64,
            },
            context: context.clone(),
            status: status.clone(),
            series: Series::default(),
        };
        let running = Self(Arc::new(inner));
        let sampled = Arc::downgrade(&running.0);
        context.runtime.spawn(async move {
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

    /// How large a component may be that is swapped in, in bytes.
    pub fn max_component_bytes(&self) -> usize {
        self.0.context.pipeline.swap.components.max_bytes
    }

    /// The plugin set that the pipeline file was last read to have, where that was taken back: the next start runs
    /// the file as it is then.
    pub fn taken_back(&self) -> Option<Digest> {
        self.0.context.taken_back()
    }

    /// All versions of its plugins since the start, the first one first.
    pub fn history(&self) -> Vec<Arc<VersionRecord>> {
        self.0.context.slot.history()
    }

    /// The version that runs, and the canary beside it.
    pub fn versions(&self) -> (Arc<VersionRecord>, Option<Arc<VersionRecord>>) {
        let slot = &self.0.context.slot;
        (slot.current().record.clone(), slot.canary())
    }

    /// What it counts.
    pub fn status(&self) -> &Status {
        &self.0.status
    }

    /// Rows written to each of its tables: its own, then those of its routes in their order, copies too.
    pub fn rows_by_table(&self, counts: &Counts) -> Vec<(String, u64)> {
        let tables = self.0.context.rows_by_table(counts);
        tables.map(|(table, rows)| (table.to_string(), rows)).collect()
    }

    /// How it did lately, a sample a second, the newest last.
    pub fn series(&self) -> Vec<Sample> {
        self.0.series.samples()
    }

    /// Has rows shown as they pass.
    pub fn tap(&self, tap: Tap) -> Result<TapStream, TooManyTaps> {
        let taken = self.0.context.taps.open(tap)?;
        // Its stage may have gone meanwhile.
        self.0.context.end_taps();
        Ok(taken)
    }

    /// Whether a text is a condition that a tap may have.
    pub async fn check(&self, condition: &str) -> Result<(), QueryError> {
        self.0.context.taps.check(condition).await
    }

    /// Why it does not do its work; nothing where it does.
    pub fn problems(&self, now: &Snapshot) -> Vec<Problem> {
        let pipeline = &self.0.context.pipeline;
        let mut problems = Vec::new();
        if let Some(seconds) = now.away_secs {
            let state = format!("the table has not taken rows for {seconds:.0} s");
            problems.push(Problem::state(state));
        }
        let waits = self.0.context.tables.unready().into_iter();
        problems.extend(waits.map(|wait| Problem {
            state: wait.what,
            detail: Some(format!("table `{}`", wait.table)),
        }));
        if let (Some(most), Some(seconds)) = (pipeline.admin.max_freshness, now.freshness_secs)
            && seconds > most.as_secs_f64()
        {
            let most = most.as_secs_f64();
            problems.push(Problem::state(format!(
                "the newest durable message was published {seconds:.0} s ago, wanted at most {most} s"
            )));
        }
        let fleet = self.0.context.fleet.as_ref();
        if let Some(problem) = fleet.and_then(|member| member.standing().problem) {
            let state = "it does not follow its fleet: `/v1/fleet` and the log say why".to_owned();
            problems.push(Problem { state, detail: Some(problem) });
        }
        let (late, _) = self.0.context.audit.waiting();
        if late > 0 {
            problems.push(Problem::state(format!(
                "changes that count and are not in the audit log: {late}; the log says why, and no swap passes before they are"
            )));
        }
        problems.extend(self.0.context.held_back().map(Problem::state));
        let most = pipeline.dead_letter.spool_max_wait.as_secs_f64();
        if let Some(seconds) = now.spool_oldest_secs
            && seconds > most
        {
            let letters = now.spool.waiting;
            problems.push(Problem::state(format!(
                "{letters} dead letters wait in the spool, the oldest for {seconds:.0} s, wanted at most {most} s"
            )));
        }
        problems
    }

    /// Its audit trail.
    pub fn audit(&self) -> &Arc<AuditSink> {
        &self.0.context.audit
    }

    /// What each plugin did, at the stages that there are; those that ran last where there are many.
    pub fn plugins(&self) -> Plugins {
        let mut plugins = Plugins::new();
        let (current, canary) = self.versions();
        let present: BTreeSet<&StageName> = std::iter::once(&current)
            .chain(&canary)
            .flat_map(|record| &record.set.stages)
            .map(|made| &made.stage)
            .collect();
        for record in self.history().iter().rev() {
            let tally = record.tally();
            let stages = record.set.stages.iter().zip(&tally.stages);
            for (made, counts) in stages.filter(|(made, _)| present.contains(&made.stage)) {
                let key = PluginKey {
                    stage: made.stage.clone(),
                    plugin: made.plugin.clone(),
                    version: made.version.clone(),
                };
                if plugins.len() < MAX_PLUGINS || plugins.contains_key(&key) {
                    plugins.entry(key).or_default().add(counts);
                }
            }
        }
        plugins
    }

    /// What reads its numbers, without keeping it.
    pub(crate) fn weak(&self) -> impl Fn() -> Option<Self> + Clone + Send + Sync + 'static {
        let inner = Arc::downgrade(&self.0);
        move || inner.upgrade().map(Self)
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.0.context
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
