//! A message as it was delivered, and what acknowledges it.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use google_cloud_pubsub::subscriber::handler::Handler;
use tokio::sync::OwnedSemaphorePermit;

use clickmill_core::batch::Message;

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
pub async fn acknowledge(receipts: Vec<Receipt>) -> u64 {
    let mut confirming = FuturesUnordered::new();
    for Receipt { handler, room } in receipts {
        match handler {
            // Only an exactly-once subscription answers: its answers are awaited together.
            Some(Handler::ExactlyOnce(handler)) => {
                confirming.push(async move {
                    let confirmed = handler.confirmed_ack().await;
                    drop(room);
                    confirmed
                });
            }
            Some(handler) => handler.ack(),
            None => {}
        }
    }
    let mut lost = 0;
    while let Some(confirmed) = confirming.next().await {
        if let Err(error) = confirmed {
            tracing::debug!(%error, "an acknowledgement was not taken, the message comes again");
            lost += 1;
        }
    }
    lost
}
