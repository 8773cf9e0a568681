//! How long to wait between tries of a table that is away.

use std::time::Duration;

use backon::ExponentialBuilder;

use super::stop::Stop;
use crate::context::Context;
use crate::observe::status::Status;
use clickmill_core::causes;
use clickmill_sink::SinkError;

/// The first wait for tables that fail; each is twice the one before it, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Waits between tries: short at first, at most ten seconds, without an end.
pub(crate) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        // To which as much again is added by chance.
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
}

/// The wait before the next try of tables that fail.
#[derive(Default)]
pub(super) struct Backoff(Option<Duration>);

impl Backoff {
    /// Waits, and says so the first time. `false` where told to stop.
    pub(super) fn wait(
        &mut self,
        error: &SinkError,
        context: &Context,
        status: &Status,
        stop: &Stop,
    ) -> bool {
        status.retry();
        let wait = match self.0 {
            None => {
                tracing::warn!(
                    error = causes(error),
                    "the tables fail, trying again until they do not"
                );
                FIRST_WAIT
            }
            Some(last) => (last * 2).min(LONGEST_WAIT),
        };
        self.0 = Some(wait);
        stop.pause(&context.runtime, wait);
        !stop.after_object()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_between_two_tries_is_ten_seconds_at_most_and_there_is_always_another() {
        let waits = backon::BackoffBuilder::build(backoff()).take(1000);
        let waits: Vec<Duration> = waits.collect();
        assert_eq!(waits.len(), 1000);
        let longest = waits.into_iter().max();
        assert!(longest <= Some(Duration::from_secs(10)), "{longest:?}");
    }
}
