//! A message as it was delivered, and what acknowledges it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use google_cloud_pubsub::subscriber::handler::Handler;
use tokio::sync::OwnedSemaphorePermit;

use clickmill_core::batch::Message;

/// How long an answer to an acknowledgement is waited for: without one the message is held, and with it
/// room for others.
const CONFIRMED_IN: Duration = Duration::from_secs(30);

/// A message as it was delivered.
pub struct Delivery {
    /// What it carries beside its payload.
    pub message: Arc<Message>,
    /// Its payload.
    pub payload: Bytes,
    /// To be given back.
    pub receipt: Receipt,
}

/// What acknowledges a message. Dropped, it releases the message instead.
pub struct Receipt {
    /// The generator wants no answer.
    pub(super) handler: Option<Handler>,
    /// Room for the next message, in messages and bytes.
    pub(super) room: Option<[OwnedSemaphorePermit; 2]>,
}

/// Acknowledges messages whose rows or dead letters are durable. Returns how many acknowledgements the
/// service did not take: those messages come again.
pub fn acknowledge(receipts: Vec<Receipt>) -> BoxFuture<'static, u64> {
    Box::pin(async move {
        let mut confirming = FuturesUnordered::new();
        for Receipt { handler, room } in receipts {
            match handler {
                // Only an exactly-once subscription answers: its answers are awaited together.
                Some(Handler::ExactlyOnce(handler)) => {
                    confirming.push(async move {
                        let confirmed = is_confirmed(handler.confirmed_ack(), CONFIRMED_IN).await;
                        drop(room);
                        confirmed
                    });
                }
                Some(handler) => handler.ack(),
                None => {}
            }
        }
        let mut lost = 0;
        while let Some(is_confirmed) = confirming.next().await {
            lost += u64::from(!is_confirmed);
        }
        lost
    })
}

/// Whether the service takes an acknowledgement, as far as it says so in time.
async fn is_confirmed<E: Display>(
    confirming: impl Future<Output = Result<(), E>>,
    within: Duration,
) -> bool {
    match tokio::time::timeout(within, confirming).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "an acknowledgement was not taken, the message comes again");
            false
        }
        Err(_) => {
            tracing::debug!("an acknowledgement has no answer, the message may come again");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn an_acknowledgement_without_an_answer_is_not_waited_for_for_ever() {
        let soon = Duration::from_millis(1);
        assert!(!is_confirmed(pending::<Result<(), String>>(), soon).await);
        assert!(!is_confirmed(ready(Err("no")), soon).await);
        assert!(is_confirmed(ready(Ok::<(), String>(())), soon).await);
    }
}
