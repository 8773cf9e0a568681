//! Messages of a subscription, looked at and given back.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::sample::{MAX_VALUES, Sample, values};
use crate::Failure;
use clickmill_config::{PubSub, Source};
use clickmill_infer::{Records, quoted};
use clickmill_source::stream::Stream;

/// So many are held at once, at most: all of them until all are looked at, or one would come twice.
const MAX_MESSAGES: u64 = 1000;
const MAX_BYTES: usize = 64 << 20;
/// How long the first is waited for, and each of the others.
const FIRST_IN: Duration = Duration::from_secs(30);
const NEXT_IN: Duration = Duration::from_secs(5);
/// How long any is held at most: a subscription of few messages never falls silent, and nobody else gets those
/// that are held.
const ALL_IN: Duration = Duration::from_secs(60);
/// How long giving them back may take.
const BACK_IN: Duration = Duration::from_secs(10);

/// Looks at messages. None is acknowledged: each is given back at the end, and comes again.
pub(super) fn sample(subscription: &str, rows: u64, bar: &ProgressBar) -> Result<Sample, Failure> {
    let wanted = rows.min(MAX_MESSAGES) as usize;
    let source = Source::PubSub(PubSub {
        subscription: subscription.to_owned(),
        create_from_topic: None,
        streams: 1,
        max_outstanding_messages: wanted,
        max_outstanding_bytes: MAX_BYTES,
        ack_deadline: Duration::from_secs(10),
        max_lease: Duration::from_secs(600),
        max_drain: None,
    });
    let runtime = tokio::runtime::Runtime::new()?;
    let payloads = runtime.block_on(async {
        let mut stream = Stream::open(&source).await?;
        let (mut held, mut failed) = (Vec::new(), None);
        let mut until: Option<Instant> = None;
        while held.len() < wanted && failed.is_none() {
            let left = |until: Instant| until.saturating_duration_since(Instant::now());
            let patience = until.map_or(FIRST_IN, |until| NEXT_IN.min(left(until)));
            let mut got = Vec::new();
            let next = stream.next(&mut got, wanted - held.len(), MAX_BYTES);
            if !matches!(tokio::time::timeout(patience, next).await, Ok(true)) {
                break;
            }
            until.get_or_insert_with(|| Instant::now() + ALL_IN);
            for delivery in got {
                match delivery {
                    Ok(delivery) => held.push(delivery),
                    Err(error) => failed = Some(error),
                }
            }
            bar.set_position(held.len() as u64);
        }
        let payloads: Vec<Vec<u8>> =
            held.iter().map(|delivery| delivery.payload.to_vec()).collect();
        // Nothing more is pulled into the room that they leave.
        stream.stop();
        drop(held);
        stream.end(BACK_IN).await;
        failed.map_or(Ok(payloads), Err)
    })?;
    if payloads.is_empty() {
        let error = Failure::bad_input(format!(
            "no message has come from `{subscription}` in {} s",
            FIRST_IN.as_secs()
        ));
        return Err(error.hint("publish some, or make the pipeline of a file of such messages"));
    }
    let largest = payloads.iter().map(Vec::len).max().unwrap_or_default();
    let count = payloads.len();
    let first = payloads.iter().position(|bytes| std::str::from_utf8(bytes).is_err());
    let first_malformed = first.map(|at| format!("message {}, which is not text", at + 1));
    let texts: Vec<String> =
        payloads.into_iter().filter_map(|bytes| String::from_utf8(bytes).ok()).collect();
    let malformed = count - texts.len();
    if malformed * 2 > count {
        let error = Failure::bad_input(format!("{malformed} of {count} messages are not text"));
        return Err(error.hint(
            "messages that are packed want `packed` in the configuration of `parse`: plugins/parse/README.md",
        ));
    }
    let mut values_before = 0;
    let is_looked_at = |text: &String| {
        let has_room = values_before < MAX_VALUES;
        values_before += values(text);
        has_room
    };
    let texts: Vec<String> = texts.into_iter().take_while(is_looked_at).collect();
    let source =
        vec!["kind = \"pubsub\"".to_owned(), format!("subscription = {}", quoted(subscription))];
    let (records, first_malformed) = (Records::Json(texts), first_malformed.unwrap_or_default());
    Ok(Sample { records, source, is_all: false, largest, malformed, first_malformed })
}
