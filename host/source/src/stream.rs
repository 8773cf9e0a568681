//! Messages without an end: a Pub/Sub subscription, or the generator at a rate.
//!
//! Goes out: [`Delivery`] after [`Delivery`], each with a [`super::Receipt`] that is to be given back once
//! what became of the message is durable. What is pulled and not given back is bounded; a receipt that is
//! dropped releases its message, which is then delivered again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::delivery::Delivery;
use super::{SourceError, live, pubsub};
use clickmill_config::Source;

/// Deliveries of the generator that wait to be put into a batch.
const QUEUED: usize = 4096;

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
        // Whatever may be pulled is read at once. What waits in a connection instead is nobody's: its lease is not
        // extended, so it runs out however soon the message is read then, and the message comes again.
        let queued = match source {
            Source::PubSub(config) => config.max_outstanding_messages,
            _ => QUEUED,
        };
        let (sender, deliveries) = mpsc::channel(queued);
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

    /// Waits for messages and appends as many as are there, at most `most`, and none any more once their
    /// payloads come to `bytes`. Returns `false` at the end: after [`Stream::stop`], or after the generator's
    /// last. Dropped while it waits, it has taken none.
    pub async fn next(
        &mut self,
        into: &mut Vec<Result<Delivery, SourceError>>,
        most: usize,
        bytes: usize,
    ) -> bool {
        let Some(first) = self.deliveries.recv().await else { return false };
        let size = |next: &Result<Delivery, SourceError>| {
            next.as_ref().map_or(0, |delivery| delivery.payload.len())
        };
        let (mut count, mut taken) = (1, size(&first));
        into.push(first);
        while count < most
            && taken < bytes
            && let Ok(next) = self.deliveries.try_recv()
        {
            count += 1;
            taken += size(&next);
            into.push(next);
        }
        true
    }

    /// Stops pulling. What has been delivered stays to be acknowledged.
    pub fn stop(&self) {
        // Whoever pulls nothing any more needs no telling.
        let _ = self.stop.send(true);
    }

    /// Waits until every receipt has been given back or dropped and the service knows, as long as there
    /// is patience.
    pub async fn end(self, patience: Duration) {
        self.stop();
        drop(self.deliveries);
        let all = futures::future::join_all(self.pulling);
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("the last acknowledgements take too long, their messages come again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Receipt;
    use clickmill_core::Micros;
    use clickmill_core::batch::Message;

    fn delivery(bytes: usize) -> Delivery {
        let message = Message {
            id: String::new(),
            publish_time: Micros::default(),
            ordering_key: String::new(),
            attributes: Vec::new(),
        };
        let receipt = Receipt { handler: None, room: None };
        Delivery { message: Arc::new(message), payload: vec![0_u8; bytes].into(), receipt }
    }

    #[tokio::test]
    async fn no_more_is_taken_at_once_than_is_wanted_by_number_and_bytes() {
        let (sender, deliveries) = mpsc::channel(16);
        let (stop, _) = watch::channel(false);
        let mut stream = Stream { deliveries, stop, pulling: Vec::new(), name: "topic".into() };
        for _ in 0..9 {
            assert!(sender.send(Ok(delivery(100))).await.is_ok());
        }
        drop(sender);
        let mut taken = Vec::new();
        for (most, bytes, wanted) in
            [(2, usize::MAX, 2), (9, 201, 3), (9, 200, 2), (9, 1, 1), (9, usize::MAX, 1)]
        {
            assert!(stream.next(&mut taken, most, bytes).await);
            assert_eq!(taken.len(), wanted, "{most} of {bytes} bytes");
            taken.clear();
        }
        assert!(!stream.next(&mut taken, 9, usize::MAX).await);
        assert!(taken.is_empty());
    }
}
