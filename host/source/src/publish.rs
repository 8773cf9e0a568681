//! Publishes generated click events to a Pub/Sub topic, at a rate, by the official client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use google_cloud_pubsub::client::{Publisher, SubscriptionAdmin, TopicAdmin};
use google_cloud_pubsub::model::Message;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::SourceError;
use clickmill_core::Micros;
use clickmill_generator::Generator;
use clickmill_google as google;
use clickmill_google::{Service, connected};

/// How often messages are made.
const TICK: Duration = Duration::from_millis(5);
/// Messages that wait for the service's answer, at most.
const OUTSTANDING: usize = 20_000;

/// Where and how messages are published.
#[derive(Debug, Clone)]
pub struct Target {
    /// `projects/…/topics/…`.
    pub topic: String,
    /// `projects/…/subscriptions/…`: created with the topic, where `create` says so.
    pub subscription: Option<String>,
    /// Creates what is missing.
    pub create: bool,
    /// Messages a second; as fast as they are taken, where absent.
    pub rate: Option<u64>,
    /// The field of an event whose value orders it among others.
    pub order_by: Option<String>,
}

/// How far publishing has come, for whoever watches.
#[derive(Debug, Default)]
pub struct Published {
    taken: AtomicU64,
    bytes: AtomicU64,
}

impl Published {
    /// Messages that the service has taken.
    pub fn messages(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Their payloads' bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Publishes what a generator makes, until it ends or `stop` says so. What has been made is published
/// whole: at the end, every message counted was taken by the service.
pub fn publish<'a>(
    mut generator: Generator,
    target: &'a Target,
    published: &'a Arc<Published>,
    mut stop: watch::Receiver<bool>,
) -> BoxFuture<'a, Result<(), SourceError>> {
    Box::pin(async move {
        if target.create {
            create(target).await?;
        }
        let failed = |source| SourceError::Client { what: target.topic.clone(), source };
        let builder = Publisher::builder(&target.topic)
            .set_message_count_threshold(1000)
            .set_byte_threshold(4 << 20)
            .set_delay_threshold(Duration::from_millis(10));
        let publisher = connected!(builder, Service::PubSub).build().await.map_err(failed)?;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = Instant::now();
        let mut outstanding = FuturesUnordered::new();
        let mut made: u64 = 0;
        let mut more = true;
        while more || !outstanding.is_empty() {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if more => more = false,
                Some(taken) = outstanding.next(), if !outstanding.is_empty() => {
                    let (bytes, taken): (u64, Result<String, _>) = taken;
                    taken.map_err(|source| publish_failed(&target.topic, source))?;
                    published.taken.fetch_add(1, Ordering::Relaxed);
                    published.bytes.fetch_add(bytes, Ordering::Relaxed);
                }
                _ = ticks.tick(), if more && outstanding.len() < OUTSTANDING => {
                    let room = (OUTSTANDING - outstanding.len()) as u64;
                    let due = target.rate.map_or(room, |rate| {
                        let due = (started.elapsed().as_secs_f64() * rate as f64) as u64;
                        due.saturating_sub(made).min(room)
                    });
                    for _ in 0..due {
                        let mut record = Vec::with_capacity(640);
                        more = generator.next_record(&mut record);
                        if !more {
                            break;
                        }
                        made += 1;
                        let bytes = record.len() as u64;
                        let mut message = Message::new().set_attributes([("producer", "clickmill generate")]);
                        if let Some(key) = ordering_key(target.order_by.as_deref(), &record) {
                            message = message.set_ordering_key(key);
                        }
                        let taken = publisher.publish(message.set_data(record));
                        outstanding.push(async move { (bytes, taken.await) });
                    }
                }
            }
        }
        Ok(())
    })
}

fn publish_failed(topic: &str, source: google_cloud_pubsub::error::PublishError) -> SourceError {
    SourceError::Publish { topic: topic.to_owned(), source: Box::new(source) }
}

fn ordering_key(field: Option<&str>, record: &[u8]) -> Option<String> {
    let field = field?;
    // A bad record has no order.
    let event: serde_json::Value = serde_json::from_slice(record).ok()?;
    Some(event.get(field)?.as_str()?.to_owned())
}

/// Creates topic and subscription, unless they are there.
async fn create(target: &Target) -> Result<(), SourceError> {
    let failed = |source| SourceError::Client { what: target.topic.clone(), source };
    let there = |done: Result<(), google_cloud_gax::error::Error>, what: &str| match done {
        Ok(()) => Ok(()),
        Err(error) if google::is_already_there(&error) => Ok(()),
        Err(source) => Err(SourceError::Create { what: what.to_owned(), source }),
    };
    let topics =
        connected!(TopicAdmin::builder(), Service::PubSub).build().await.map_err(failed)?;
    let created = topics.create_topic().set_name(&target.topic).send().await;
    there(created.map(drop), &target.topic)?;
    if let Some(subscription) = &target.subscription {
        let admin = connected!(SubscriptionAdmin::builder(), Service::PubSub);
        let admin = admin.build().await.map_err(failed)?;
        let created = admin
            .create_subscription()
            .set_name(subscription)
            .set_topic(&target.topic)
            .set_ack_deadline_seconds(60)
            .set_enable_message_ordering(target.order_by.is_some())
            .send()
            .await;
        there(created.map(drop), subscription)?;
    }
    Ok(())
}

/// When generated events begin so that they happen about now: a little ago, since sessions take a while
/// to come under way.
pub fn start_now() -> clickmill_generator::Timestamp {
    clickmill_generator::Timestamp::from_millis(Micros::now().get() / 1000 - 60_000)
}
