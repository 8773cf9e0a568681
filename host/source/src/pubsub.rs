//! A Pub/Sub subscription, by the official client: several pull streams into one queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::BoxFuture;
use google_cloud_gax::error::Error;
use google_cloud_pubsub::client::{Subscriber, SubscriptionAdmin};
use google_cloud_pubsub::model;
use google_cloud_pubsub::subscriber::handler::Handler;
use google_cloud_pubsub::subscriber::{MessageStream, ShutdownBehavior};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::SourceError;
use super::delivery::{Delivery, Receipt};
use clickmill_config::PubSub;
use clickmill_core::batch::Message;
use clickmill_core::causes;
use clickmill_google as google;
use clickmill_google::{Service, connected};

/// How long a pull stream may fail again and again before the run ends by it.
const PATIENCE: Duration = Duration::from_secs(600);
/// A pull stream that lasted so long had been opened.
const LASTED: Duration = Duration::from_secs(60);

/// What all pull streams share.
#[derive(Clone)]
struct FlowControl {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// A message larger than the whole room takes all of it.
    most_bytes: usize,
}

/// Makes sure that the subscription is there, then pulls from it until `stop` says so.
pub(super) fn pull<'a>(
    config: &'a PubSub,
    to: &'a mpsc::Sender<Result<Delivery, SourceError>>,
    stop: &'a watch::Receiver<bool>,
) -> BoxFuture<'a, Result<Vec<JoinHandle<()>>, SourceError>> {
    Box::pin(async move {
        ensure(config).await?;
        let failed = |source| SourceError::Client { what: config.subscription.clone(), source };
        // Each stream has room for a message.
        let streams = config.streams.min(config.max_outstanding_messages);
        // Streams share a connection: a channel for each two.
        let channels = streams.div_ceil(2);
        let builder = Subscriber::builder().with_grpc_subchannel_count(channels);
        let client = connected!(builder, Service::PubSub).build().await.map_err(failed)?;
        let room = FlowControl {
            messages: Arc::new(Semaphore::new(config.max_outstanding_messages)),
            bytes: Arc::new(Semaphore::new(config.max_outstanding_bytes)),
            most_bytes: config.max_outstanding_bytes,
        };
        let start = |_| {
            let name = config.subscription.clone();
            let (client, config) = (client.clone(), config.clone());
            let open = move || {
                client
                    .subscribe(config.subscription.as_str())
                    .set_max_lease_extension(config.ack_deadline)
                    .set_max_lease(config.max_lease)
                    .set_max_outstanding_messages(share(config.max_outstanding_messages, streams))
                    .set_max_outstanding_bytes(share(config.max_outstanding_bytes, streams))
                    .set_shutdown_behavior(ShutdownBehavior::WaitForProcessing)
                    .build()
            };
            tokio::spawn(read(open, name, room.clone(), to.clone(), stop.clone()))
        };
        Ok((0..streams).map(start).collect())
    })
}

/// What a stream asks for of what all may hold. Together they ask for no more than there is room for: what waits in a
/// connection has no lease, so it comes again and again for as long as those before it are held.
fn share(all: usize, streams: usize) -> i64 {
    // Pub/Sub takes zero for no bound.
    i64::try_from((all / streams).max(1)).unwrap_or(i64::MAX)
}

/// One pull stream after the other, until the end. The client opens a stream again by itself where it was cut or the
/// service is away, but not where the wire breaks while it opens one, or something else answers.
async fn read(
    open: impl Fn() -> MessageStream,
    subscription: String,
    room: FlowControl,
    to: mpsc::Sender<Result<Delivery, SourceError>>,
    mut stop: watch::Receiver<bool>,
) {
    // What has come by streams that are over is handled yet.
    let mut leases = JoinSet::new();
    let mut waits = waits().build();
    loop {
        let opened = Instant::now();
        let mut stream = open();
        let shutdown = stream.shutdown_token();
        let failed = forward(&mut stream, &room, &to, &mut stop).await;
        // While the stream lives, an emulator goes on to deliver into it.
        drop(stream);
        // Ends when all that was delivered is acknowledged or released.
        leases.spawn(async move { shutdown.shutdown().await });
        // Over months there are very many.
        while leases.try_join_next().is_some() {}
        let Some(source) = failed else { break };
        if opened.elapsed() >= LASTED {
            waits = self::waits().build();
        }
        let wait = if google::is_transient(&source) { waits.next() } else { None };
        let Some(wait) = wait else {
            // Nobody listens where the run has ended.
            let _ = to.send(Err(SourceError::Pull { what: subscription, source })).await;
            break;
        };
        tracing::warn!(
            subscription,
            error = causes(&source),
            "a pull stream broke, opening it again"
        );
        if until(&mut stop, tokio::time::sleep(wait)).await.is_none() {
            break;
        }
    }
    drop(to);
    leases.join_all().await;
}

/// Waits before a pull stream is opened again, until patience ends.
fn waits() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(10))
        .with_total_delay(Some(PATIENCE))
        .without_max_times()
        .with_jitter()
}

/// Hands on what a pull stream brings, until told to stop or nobody takes it; why it failed, where it did.
async fn forward(
    stream: &mut MessageStream,
    room: &FlowControl,
    to: &mpsc::Sender<Result<Delivery, SourceError>>,
    stop: &mut watch::Receiver<bool>,
) -> Option<Error> {
    loop {
        // Room first: what is not wanted yet stays with the service, or in its stream.
        let message_room = until(stop, room.messages.clone().acquire_owned()).await?.ok()?;
        let (message, handler) = match until(stop, stream.next()).await?? {
            Ok(next) => next,
            Err(error) => return Some(error),
        };
        let bytes = message.data.len().clamp(1, room.most_bytes);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        // Without room the handler is dropped, which releases the message.
        let bytes = until(stop, room.bytes.clone().acquire_many_owned(bytes)).await?.ok()?;
        to.send(Ok(delivery(message, handler, [message_room, bytes]))).await.ok()?;
    }
}

/// What `future` gives, or `None` when told to stop first.
async fn until<T>(stop: &mut watch::Receiver<bool>, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        done = future => Some(done),
    }
}

fn delivery(
    message: model::Message,
    handler: Handler,
    room: [tokio::sync::OwnedSemaphorePermit; 2],
) -> Delivery {
    let mut attributes: Vec<(String, String)> = message.attributes.into_iter().collect();
    attributes.sort();
    let time = message.publish_time.unwrap_or_default();
    let message_of = Message {
        id: message.message_id,
        publish_time: (time.seconds() * 1_000_000 + i64::from(time.nanos()) / 1000).into(),
        ordering_key: message.ordering_key,
        attributes,
    };
    let receipt = Receipt { handler: Some(handler), room: Some(room) };
    Delivery { message: Arc::new(message_of), payload: message.data, receipt }
}

/// Makes sure that the subscription is there: creates it where the configuration names a topic.
async fn ensure(config: &PubSub) -> Result<(), SourceError> {
    let name = &config.subscription;
    let failed = |source| SourceError::Client { what: name.clone(), source };
    let admin = connected!(SubscriptionAdmin::builder(), Service::PubSub);
    let admin = admin.build().await.map_err(failed)?;
    let found = admin.get_subscription().set_subscription(name).send().await;
    match (found, &config.create_from_topic) {
        (Ok(_), _) => Ok(()),
        (Err(error), None) if google::is_not_found(&error) => {
            Err(SourceError::NoSubscription { name: name.clone() })
        }
        (Err(error), Some(topic)) if google::is_not_found(&error) => {
            let wanted = subscription(config, topic);
            match admin.create_subscription().with_request(wanted).send().await {
                Ok(_) => Ok(()),
                Err(error) if google::is_already_there(&error) => Ok(()),
                Err(source) => Err(SourceError::Pull { what: name.clone(), source }),
            }
        }
        (Err(source), _) => Err(SourceError::Pull { what: name.clone(), source }),
    }
}

/// The subscription that is created. Its deadline is the one that leases are extended by: a message whose
/// pull stream has ended comes again no later than the pipeline file says.
fn subscription(config: &PubSub, topic: &str) -> model::Subscription {
    let seconds = config.ack_deadline.as_secs();
    model::Subscription::new()
        .set_name(&config.subscription)
        .set_topic(topic)
        .set_ack_deadline_seconds(i32::try_from(seconds).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn streams_ask_for_no_more_than_there_is_room_for() {
        for (all, streams) in [(50_000, 4), (1000, 3), (1001, 64), (7, 7), (1, 1)] {
            let wanted = share(all, streams);
            assert!(
                wanted > 0 && wanted * streams as i64 <= all as i64,
                "{all}, {streams}: {wanted}"
            );
        }
    }

    #[test]
    fn a_subscription_is_created_with_the_deadline_of_the_pipeline_file() {
        let config = PubSub {
            subscription: "projects/p/subscriptions/s".to_owned(),
            create_from_topic: Some("projects/p/topics/t".to_owned()),
            streams: 1,
            max_outstanding_messages: 1,
            max_outstanding_bytes: 1,
            ack_deadline: Duration::from_secs(25),
            max_lease: Duration::from_secs(60),
            max_drain: None,
        };
        let created = subscription(&config, "projects/p/topics/t");
        assert_eq!(created.name, "projects/p/subscriptions/s");
        assert_eq!(created.topic, "projects/p/topics/t");
        assert_eq!(created.ack_deadline_seconds, 25);
    }
}
