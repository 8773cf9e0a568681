//! Logging, metrics and traces. Log lines are text on a terminal and JSON otherwise, always on standard
//! error. Where a collector is configured ([`ENDPOINT_VARIABLE`]), metrics and traces are sent to it.

pub mod metrics;

use std::io::{IsTerminal, stderr};

use clickmill_core::{SPANS, causes, terminal};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// The environment variable that says what is logged, such as `info` or `clickmill=debug`.
pub const LOG_VARIABLE: &str = "CLICKMILL_LOG";

/// The environment variable that names the OpenTelemetry collector, as everywhere:
/// `http://localhost:4318`. The others of its kind count too.
pub const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Telemetry while it goes on. What is not sent yet is sent when this is dropped.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Starts logging, and tracing where that is configured. A healthy run is quiet: without
/// [`LOG_VARIABLE`] only warnings are logged.
pub fn start() -> Telemetry {
    let filter = EnvFilter::builder()
        .with_env_var(LOG_VARIABLE)
        .try_from_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,clickmill=info"));
    let filter = filter.and(filter_fn(|metadata| metadata.target() != SPANS));
    let lines = fmt::layer().with_writer(stderr).with_target(false);
    let lines = if stderr().is_terminal() {
        // What came from outside is in fields, the message among them.
        let shown =
            debug_fn(|to, field, value| write!(to, "{}", terminal::field(field.name(), value)));
        lines.fmt_fields(shown.delimited(" ")).with_filter(filter).boxed()
    } else {
        lines.json().flatten_event(true).with_filter(filter).boxed()
    };
    let (traces, problem) = match is_exported().then(tracer).transpose() {
        Ok(traces) => (traces, None),
        Err(error) => (None, Some(error)),
    };
    let spans = traces.as_ref().map(|provider| {
        let tracer = provider.tracer("clickmill");
        let only = Targets::new().with_target(SPANS, tracing::Level::INFO);
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(only).boxed()
    });
    // A layer in the place of none would want every span made.
    let layers: Vec<_> = [lines].into_iter().chain(spans).collect();
    // A second start, in a test, changes nothing.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    if let Some(error) = problem {
        tracing::warn!(error = causes(&error), "traces are not sent: they cannot be exported");
    }
    Telemetry { traces }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        metrics::stop();
        if let Some(traces) = self.traces.take()
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!(error = causes(&error), "the last spans are not sent");
        }
    }
}

/// Whether there is a collector to send to.
pub fn is_exported() -> bool {
    let variables = [
        ENDPOINT_VARIABLE,
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ];
    variables.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn tracer() -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    clickmill_core::tls::choose();
    let exporter = SpanExporter::builder().with_http().build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
    Ok(provider.with_resource(resource(&[])).build())
}

/// What sends: `clickmill`, unless `OTEL_SERVICE_NAME` says otherwise.
fn resource(more: &[KeyValue]) -> Resource {
    let resource = Resource::builder().with_attributes(more.iter().cloned());
    match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource.build(),
        None => resource.with_service_name("clickmill").build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch has one for each stage, and what a span takes is much for a small one.
    #[test]
    fn spans_are_made_only_where_they_are_sent() {
        let _telemetry = start();
        assert!(tracing::enabled!(target: "clickmill_pipeline", tracing::Level::ERROR));
        let span = tracing::info_span!(target: SPANS, "stage");
        assert_eq!(span.is_disabled(), !is_exported());
    }
}
