use std::time::Instant;

use super::*;

#[test]
fn a_canary_ends_at_a_moment_that_the_clock_knows() {
    for (seconds, wanted) in [
        (Some(0.25), 0.25),
        (None, 30.0),
        (Some(-1.0), 0.0),
        (Some(1e12), FOR_EVER_SECS),
        (Some(1e19), FOR_EVER_SECS),
        (Some(f64::MAX), FOR_EVER_SECS),
    ] {
        let body = SwapBody { canary_share: Some(0.5), canary_secs: seconds, ..Default::default() };
        let Some(Rollout::Canary { share, time }) = body.rollout() else {
            panic!("{seconds:?}: all at once")
        };
        assert_eq!((share, time.as_secs_f64()), (0.5, wanted), "{seconds:?}");
        assert!(Instant::now().checked_add(time).is_some(), "{seconds:?}");
    }
}
