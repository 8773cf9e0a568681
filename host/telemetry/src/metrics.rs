//! Metrics: their names, and the one registry that Prometheus reads and a collector is sent.
//!
//! Most are not counted here: whoever has a number shows it when it is asked for ([`observe`]), so that
//! measuring costs the pipeline nothing.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::metrics::{Histogram, Meter, MeterProvider};
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use clickmill_core::causes;

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It grows; Prometheus is told `{name}_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often values were how large; Prometheus is told `{name}_bucket`, `_sum` and `_count`.
    Histogram,
}

/// A metric. Each has the label `pipeline` too.
#[derive(Debug)]
pub struct Metric {
    /// Its name: `clickmill_`, what, the unit.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub about: &'static str,
}

macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal [$($label:literal),*] $about:literal;)*) => {
        $(#[doc = $about]
        pub const $constant: Metric = Metric {
            name: concat!("clickmill_", $name),
            kind: Kind::$kind,
            labels: &[$($label),*],
            about: $about,
        };)*

        /// All metrics.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    ROWS_IN Counter "rows_in" [] "Records read";
    ROWS_MADE Counter "rows_made" [] "Rows that plugins made of records, beyond one of each";
    RECORDS Counter "records" ["outcome"] "Records by what became of them: with_rows, with_letters_only, filtered_whole";
    ROWS_OUT Counter "rows_out" [] "Rows durable in the table";
    TABLE_ROWS Counter "table_rows" ["table"] "Rows durable in a table of the pipeline: its own, or one of its routes, copies too";
    ROWS_REJECTED Counter "rows_rejected" ["stage", "code"] "Rows, and records that never became rows, durable as dead letters";
    ROWS_FILTERED Counter "rows_filtered" [] "Rows that a plugin dropped on purpose";
    ROWS_REPEATED Counter "rows_repeated" [] "Deliveries of messages that were written before, dropped";
    ROWS_IN_HAND Gauge "rows_in_hand" [] "Records read whose rows or dead letters are not durable yet";
    BYTES_IN Counter "bytes_in" [] "Bytes read, as they are stored or sent";
    BATCHES Counter "batches" [] "Batches that the source was cut into";
    QUEUE_BATCHES Gauge "queue_batches" ["queue"] "Batches that wait";
    LATENCY Histogram "latency_seconds" [] "From publishing a message to its row or dead letter being durable";
    FRESHNESS Gauge "freshness_seconds" [] "Time since the newest durable message was published, or the newest object loaded";
    OLDEST_UNACKNOWLEDGED Gauge "oldest_unacknowledged_seconds" [] "Time since the oldest message in hand was published; 0 with none in hand";
    SINK_UP Gauge "sink_up" [] "1 while the table takes rows, 0 while it is away and rows are held";
    SINK_RETRIES Counter "sink_retries" [] "Appends that failed and were tried again";
    LOADS_FAILED Counter "loads_failed" [] "Loads that failed by their object, each try of one counted";
    OBJECTS_FAILED Gauge "objects_failed" [] "Objects that are set aside since their load failed; a watched source tries them again";
    LETTERS_SPOOLED Counter "letters_spooled" [] "Dead letters that went to the spool, since their table was away or refused them";
    SPOOL_LETTERS Gauge "spool_letters" ["standing"] "Dead letters in the spool: waiting for their table, or set_aside since it refuses them";
    SPOOL_OLDEST Gauge "spool_oldest_seconds" [] "How long the oldest letter has waited in the spool; 0 with none waiting";
    ACKNOWLEDGEMENTS_UNCONFIRMED Counter "acknowledgements_unconfirmed" [] "Acknowledgements that the service did not take: those messages come again";
    READY Gauge "ready" [] "1 while the pipeline does its work, as GET /readyz says";
    SWAPS Counter "swaps" ["outcome"] "Plugin sets by what became of them: taken, refused, rolled_back";
    AUDIT_WAITING Gauge "audit_entries_waiting" ["place"] "Entries of the audit log that wait: for the log itself, which takes none, or for the table";
    PLUGIN_SET Gauge "plugin_set" ["plugin_set", "version", "standing"] "1 for the plugin set that runs, and the canary beside it";
    PLUGIN_ROWS Counter "plugin_rows" ["stage", "plugin", "version"] "Rows given to a plugin";
    PLUGIN_REJECTED Counter "plugin_rejected" ["stage", "plugin", "version"] "Rows that a plugin rejected or failed on";
    PLUGIN_FILTERED Counter "plugin_filtered" ["stage", "plugin", "version"] "Rows that a plugin dropped on purpose";
    PLUGIN_UNREADABLE Counter "plugin_unreadable" ["stage", "plugin", "version", "column"] "Values that a plugin could not read and that are null";
    PLUGIN_FAULTS Counter "plugin_faults" ["stage", "plugin", "version"] "Calls of a plugin that ended in a fault";
    PLUGIN_TIMEOUTS Counter "plugin_timeouts" ["stage", "plugin", "version"] "Calls of a plugin that were ended since they took too long; they are among its faults";
    PLUGIN_LOG_UNWRITTEN Counter "plugin_log_lines_unwritten" ["stage", "plugin", "version"] "Log lines of a plugin that were not written, being more than it may write for a batch";
    PLUGIN_FUEL Counter "plugin_fuel" ["stage", "plugin", "version"] "Fuel that a plugin used";
    PLUGIN_SECONDS Counter "plugin_seconds" ["stage", "plugin", "version"] "Time in a plugin, the boundary included";
    PLUGIN_MEMORY Gauge "plugin_memory_bytes" ["stage", "plugin", "version"] "The most memory that an instance of a plugin had";
}

/// Upper bounds of the latency's buckets, in seconds.
const BOUNDS: [f64; 14] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];

/// What the process measures with.
struct Started {
    provider: SdkMeterProvider,
    meter: Meter,
    registry: Registry,
}

static STARTED: Mutex<Option<Started>> = Mutex::new(None);

fn started() -> MutexGuard<'static, Option<Started>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts measuring a pipeline, in place of one that was measured before. In a process that never does,
/// what is recorded goes nowhere.
pub fn start(pipeline: &str) {
    let registry = Registry::new();
    let labels = HashSet::from([Key::new("pipeline")]);
    let reader = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_units()
        .without_target_info()
        .scope_info_enabled(false)
        .with_resource_selector(labels);
    let resource = super::resource(&[KeyValue::new("pipeline", pipeline.to_owned())]);
    let mut provider = SdkMeterProvider::builder().with_resource(resource);
    match reader.build() {
        Ok(reader) => provider = provider.with_reader(reader),
        Err(error) => tracing::warn!(error = causes(&error), "metrics cannot be read"),
    }
    if super::is_exported() {
        clickmill_core::tls::choose();
        match MetricExporter::builder().with_http().build() {
            Ok(exporter) => provider = provider.with_periodic_exporter(exporter),
            Err(error) => tracing::warn!(error = causes(&error), "metrics are not sent"),
        }
    }
    let provider = provider.build();
    let meter = provider.meter("clickmill");
    stop();
    *started() = Some(Started { provider, meter, registry });
}

/// Sends what is not sent yet, and ends.
pub fn stop() {
    let ended = started().take();
    if let Some(ended) = ended
        && let Err(error) = ended.provider.shutdown()
    {
        tracing::warn!(error = causes(&error), "the last metrics are not sent");
    }
}

/// All metrics in Prometheus' text format.
pub fn text() -> Result<String, prometheus::Error> {
    // Not under the lock: those who show numbers take their time.
    let registry = started().as_ref().map(|started| started.registry.clone());
    let families = registry.map(|registry| registry.gather()).unwrap_or_default();
    TextEncoder::new().encode_to_string(&families)
}

/// Takes a number at a time, with the values of the metric's labels.
pub type Show<'a> = &'a dyn Fn(f64, &[&str]);

/// Has a metric's numbers shown by `read` whenever somebody asks for them.
pub fn observe(metric: &'static Metric, read: impl Fn(Show<'_>) + Send + Sync + 'static) {
    let Some(meter) = started().as_ref().map(|started| started.meter.clone()) else { return };
    let labelled = move |show: &dyn Fn(f64, &[KeyValue])| {
        read(&|number, values| {
            let labels = metric.labels.iter().zip(values);
            let labels: Vec<KeyValue> =
                labels.map(|(label, value)| KeyValue::new(*label, (*value).to_owned())).collect();
            show(number, &labels);
        });
    };
    match metric.kind {
        Kind::Counter => {
            let counter = meter.f64_observable_counter(metric.name).with_description(metric.about);
            counter
                .with_callback(move |at| labelled(&|number, labels| at.observe(number, labels)))
                .build();
        }
        Kind::Gauge => {
            let gauge = meter.f64_observable_gauge(metric.name).with_description(metric.about);
            gauge
                .with_callback(move |at| labelled(&|number, labels| at.observe(number, labels)))
                .build();
        }
        // Its values are recorded one by one.
        Kind::Histogram => {}
    }
}

/// Records the values of a histogram. One that is made before anything is measured records nothing.
#[derive(Debug)]
pub struct Recorder(Option<Histogram<f64>>);

impl Recorder {
    /// A recorder.
    pub fn new(metric: &'static Metric) -> Self {
        let histogram = |started: &Started| {
            let histogram = started.meter.f64_histogram(metric.name);
            histogram.with_description(metric.about).with_boundaries(BOUNDS.into()).build()
        };
        Self(started().as_ref().map(histogram))
    }

    /// Records a value.
    pub fn record(&self, value: f64) {
        if let Some(histogram) = &self.0 {
            histogram.record(value, &[]);
        }
    }
}
