use std::cell::Cell;

use futures::FutureExt;

use super::*;

/// Long enough for what is to be at once, and too long for what a test waits for.
const HOUR: Duration = Duration::from_secs(3600);

fn pace(
    min_wait_ms: Option<u64>,
    max_wait_ms: u64,
    of_tables: Duration,
) -> Pace<impl Fn() -> Duration> {
    let limits = BatchLimits { max_wait_ms, min_wait_ms, ..BatchLimits::default() };
    super::pace(limits, move || of_tables, 4)
}

async fn is_ready(pace: &mut Pace<impl Fn() -> Duration>) {
    let ready = pace.ready(Some(Instant::now()));
    tokio::time::timeout(Duration::from_secs(60), ready).await.expect("it is ready");
}

#[tokio::test]
async fn a_batch_goes_once_those_before_it_are_durable() {
    let mut pace = pace(Some(0), 3_600_000, HOUR);
    is_ready(&mut pace).await;
    // Its own, and those of two that are on their way.
    let room = pace.room.clone();
    let _own = room.acquire().await.expect("open");
    let (one, other) = (room.acquire().await, room.acquire().await);
    pace.cut();
    assert_eq!(pace.ready(Some(Instant::now())).now_or_never(), None);
    drop(one);
    assert_eq!(pace.ready(Some(Instant::now())).now_or_never(), None);
    assert_eq!(room.available_permits(), 2, "who waits for all of them holds none");
    drop(other);
    is_ready(&mut pace).await;
    assert!(pace.took.is_some());
}

#[tokio::test]
async fn a_batch_goes_at_last_though_nothing_before_it_is_durable() {
    let mut pace = pace(None, 5, HOUR);
    let room = pace.room.clone();
    let _on_their_way = room.acquire_many(4).await.expect("open");
    pace.cut();
    is_ready(&mut pace).await;
    assert_eq!(pace.took, None);
}

#[tokio::test]
async fn a_batch_without_a_message_never_goes() {
    let mut pace = pace(Some(0), 1, Duration::ZERO);
    assert_eq!(pace.ready(None).now_or_never(), None);
}

#[tokio::test]
async fn a_batch_gathers_for_as_long_as_tables_or_the_pipeline_file_say() {
    for mut gathers in [(None, HOUR), (Some(3_600_000), Duration::ZERO)]
        .map(|(min_wait_ms, of_tables)| pace(min_wait_ms, 3_600_000, of_tables))
    {
        assert!(gathers.ready(Some(Instant::now())).now_or_never().is_none());
    }
    // As where a stream has got its log by now.
    let of_tables = Cell::new(HOUR);
    let limits =
        BatchLimits { max_wait_ms: 3_600_000, min_wait_ms: None, ..BatchLimits::default() };
    let mut by_now = super::pace(limits, || of_tables.get(), 4);
    assert!(by_now.ready(Some(Instant::now())).now_or_never().is_none());
    of_tables.set(Duration::ZERO);
    is_ready(&mut by_now).await;
    // Never longer than at most.
    is_ready(&mut pace(None, 5, HOUR)).await;
}

#[tokio::test]
async fn the_next_batch_gathers_for_twice_as_long_as_one_took() {
    let mut pace = pace(Some(0), 3_600_000, Duration::ZERO);
    pace.cut();
    pace.took = Some(HOUR / 4);
    assert_eq!(pace.ready(Some(Instant::now())).now_or_never(), None);
    pace.cut = pace.cut.checked_sub(Duration::from_secs(1)).expect("a moment");
    pace.took = Some(Duration::from_millis(1));
    is_ready(&mut pace).await;
}
