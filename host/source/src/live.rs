//! The generator as a stream: click events at a rate, as if they were happening.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::SourceError;
use super::delivery::{Delivery, Receipt};
use super::object::{generator_options, run_of_its_own};
use super::publish::start_now;
use clickmill_config::Generated;
use clickmill_core::Micros;
use clickmill_core::batch::Message;
use clickmill_generator::Generator;

/// How often messages are made: often enough to look steady, seldom enough to cost nothing.
const TICK: Duration = Duration::from_millis(10);

/// What rows have as their source.
pub(super) fn name(generated: &Generated, rate: u64) -> String {
    let Generated { data, seed, bad, .. } = generated;
    format!("generator:{data}?rate={rate}&seed={seed}&bad={bad}")
}

/// Starts to make messages, until there have been enough or `stop` says so.
pub(super) fn start(
    generated: &Generated,
    rate: u64,
    to: mpsc::Sender<Result<Delivery, SourceError>>,
    stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, SourceError> {
    let mut options = generator_options(generated)?;
    options.start = Some(start_now());
    options.rate = Some(rate);
    // Each run's messages are other messages, whatever they say.
    let run = run_of_its_own();
    Ok(tokio::spawn(make(Generator::new(&options), rate, run, to, stop)))
}

async fn make(
    mut generator: Generator,
    rate: u64,
    run: String,
    to: mpsc::Sender<Result<Delivery, SourceError>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = Instant::now();
    let mut made: u64 = 0;
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let due = (started.elapsed().as_secs_f64() * rate as f64) as u64;
        while made < due {
            let mut record = Vec::with_capacity(640);
            if !generator.next_record(&mut record) {
                return;
            }
            made += 1;
            let message = Message {
                id: format!("{run}-{made}"),
                publish_time: Micros::now(),
                ordering_key: String::new(),
                attributes: Vec::new(),
            };
            let receipt = Receipt { handler: None, room: None };
            let delivery =
                Delivery { message: Arc::new(message), payload: Bytes::from(record), receipt };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                sent = to.send(Ok(delivery)) => if sent.is_err() { return },
            }
        }
    }
}
