//! How long to wait between tries of a table that is away.

use std::time::Duration;

use backon::ExponentialBuilder;

/// Waits between tries: short at first, at most ten seconds, without an end.
pub(crate) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(10))
        .with_jitter()
        .without_max_times()
}
