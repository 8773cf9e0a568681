//! Logging: text on a terminal, JSON lines otherwise, always on standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// The environment variable that says what is logged, such as `info` or `clickmill=debug`.
pub const LOG_VARIABLE: &str = "CLICKMILL_LOG";

/// Starts logging. A healthy run is quiet: without [`LOG_VARIABLE`] only warnings are logged.
pub fn start() {
    let filter = EnvFilter::builder()
        .with_env_var(LOG_VARIABLE)
        .try_from_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,clickmill=info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_span_events(FmtSpan::NONE)
        .with_target(false);
    // A second start, in a test, changes nothing.
    let _ = match stderr().is_terminal() {
        true => builder.try_init(),
        false => builder.json().flatten_event(true).try_init(),
    };
}

/// An error and its causes on one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
