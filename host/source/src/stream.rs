//! Messages without an end: a Pub/Sub subscription, or the generator at a rate.
//!
//! Goes out: [`Delivery`] after [`Delivery`], each with a [`Receipt`] that is to be given back once what
//! became of the message is durable. What is pulled and not given back is bounded; a receipt that is
//! dropped releases its message, which is then delivered again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use google_cloud_pubsub::subscriber::handler::Handler;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::{SourceError, live, pubsub};
use clickmill_config::Source;
use clickmill_core::batch::Message;

/// Deliveries that wait to be put into a batch.
const QUEUED: usize = 4096;

/// How long acknowledgements may take once the last message is done with.
const LAST_WORDS: Duration = Duration::from_secs(30);

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

/// A stream that is open.
pub struct Stream {
    deliveries: mpsc::Receiver<Result<Delivery, SourceError>>,
    stop: watch::Sender<bool>,
    pulling: Vec<tokio::task::JoinHandle<()>>,
    name: Arc<str>,
}

impl Stream {
    /// Opens a stream. Nothing is pulled before this has made sure that the subscription is there.
    pub async fn open(source: &Source) -> Result<Self, SourceError> {
        let (sender, deliveries) = mpsc::channel(QUEUED);
        let (stop, stopped) = watch::channel(false);
        let (name, pulling) = match source {
            Source::PubSub(config) => {
                let tasks = pubsub::pull(config, &sender, &stopped).await?;
                (format!("pubsub:{}", config.subscription), tasks)
            }
            Source::Live { generated, rate } => (
                live::name(generated, *rate),
                vec![live::start(generated, *rate, sender, stopped)?],
            ),
            Source::Storage { .. } | Source::Stdin | Source::Generator(_) => {
                (String::new(), Vec::new())
            }
        };
        Ok(Self { deliveries, stop, pulling, name: name.into() })
    }

    /// What rows have as their source.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Waits for messages and appends as many as are there, at most `most`. Returns `false` at the end:
    /// after [`Stream::stop`], or after the generator's last.
    pub async fn next(
        &mut self,
        into: &mut Vec<Result<Delivery, SourceError>>,
        most: usize,
    ) -> bool {
        self.deliveries.recv_many(into, most).await > 0
    }

    /// Stops pulling. What has been delivered stays to be acknowledged.
    pub fn stop(&self) {
        // Whoever pulls nothing any more needs no telling.
        let _ = self.stop.send(true);
    }

    /// Waits until every receipt has been given back or dropped and the service knows.
    pub async fn end(self) {
        self.stop();
        drop(self.deliveries);
        let all = futures::future::join_all(self.pulling);
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::warn!("the last acknowledgements take too long, their messages come again");
        }
    }
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
