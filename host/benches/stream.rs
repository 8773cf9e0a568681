//! The streaming path against the batch path: the same click events as recorded messages and as lines of
//! one file, through chain and projection to the Arrow bytes that BigQuery is sent, on two workers, in
//! turn. Nothing is read from or written to anywhere else.
//!
//! Then how long an event is on its way from publishing to a durable row in a local warehouse, and what that
//! costs; by an emulator of Pub/Sub too, where `PUBSUB_EMULATOR_HOST` names one.
//!
//!     cargo bench --bench stream

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod clicks;
#[path = "stream/durable.rs"]
mod durable;
mod smoke;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clickmill_allocator as _;
use clickmill_bigquery as bigquery;
use clickmill_config::{Payload, Pipeline};
use clickmill_core::batch::Message;
use clickmill_decode::{Decoded, Decoder, messages};
use clickmill_generator::{Generator, Kind, Options};
use clickmill_sandbox::{Chain, ChainWorker};
use clickmill_tables::Projection;

use clicks::{Clicks, NOW};
use durable::Durable;

static ROWS: LazyLock<u64> = LazyLock::new(|| smoke::of(500_000, 5_000));
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(7, 1));
const WORKERS: usize = 2;

fn main() {
    let pipeline = clicks::pipeline();
    let Clicks { chain, projection, _engine } = Clicks::new();
    let (recorded, file) = record();
    let (mut streamed, mut loaded) = (Vec::new(), Vec::new());
    for _ in 0..*ROUNDS {
        streamed.push(run(&chain, &projection, |send| stream(&recorded, &pipeline, send)));
        loaded.push(run(&chain, &projection, |send| load(&file, &pipeline, send)));
    }
    let rate = |times: &mut Vec<Duration>| {
        times.sort();
        *ROWS as f64 / times[times.len() / 2].as_secs_f64()
    };
    let (streamed, loaded) = (rate(&mut streamed), rate(&mut loaded));
    println!(
        "{} click events of {} bytes, {WORKERS} workers, median of {} rounds",
        *ROWS,
        file.len() as u64 / *ROWS,
        *ROUNDS
    );
    println!("as messages   {streamed:>9.0} a second");
    println!("as a file     {loaded:>9.0} a second");
    println!("ratio         {:>9.2}", streamed / loaded);
    println!("from publishing to a durable row");
    for (rate, seconds) in [(500, smoke::of(60, 1)), (20_000, smoke::of(20, 1))] {
        tell(&format!("made at {rate} a second"), &durable::made(rate, rate * seconds));
    }
    if std::env::var_os("PUBSUB_EMULATOR_HOST").is_some() {
        tell("pulled at 500 a second", &durable::pulled(500, 500 * smoke::of(60, 1)));
    }
}

fn tell(what: &str, durable: &Durable) {
    let Durable { p50_ms, p99_ms, flushes, seconds, processor_seconds } = durable;
    let (of_core, files) = (100.0 * processor_seconds / seconds, *flushes as f64 / seconds);
    println!(
        "{what:<24} {p50_ms:>5} ms (median) {p99_ms:>5} ms (99 %) {files:>6.1} flushes a second {of_core:>5.1} % of a core"
    );
}

/// The same events as messages and as a file.
fn record() -> (Vec<(Arc<Message>, Bytes)>, Bytes) {
    let mut generator = Generator::new(&Options::new(Kind::Clicks, *ROWS, 7));
    let (mut recorded, mut file) = (Vec::new(), Vec::new());
    let mut record = Vec::new();
    while generator.next_record(&mut record) {
        let message = Message {
            id: format!("{}", 11_000_000_000 + recorded.len()),
            publish_time: NOW.into(),
            ordering_key: String::new(),
            attributes: vec![("producer".to_owned(), "bench".to_owned())],
        };
        file.extend_from_slice(&record);
        file.push(b'\n');
        recorded.push((Arc::new(message), Bytes::from(std::mem::take(&mut record))));
    }
    (recorded, file.into())
}

/// Cuts messages into batches as the stream does; workers decode.
fn stream(recorded: &[(Arc<Message>, Bytes)], pipeline: &Pipeline, send: &dyn Fn(Work)) {
    let limits = pipeline.batch;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for message in recorded {
        bytes += message.1.len();
        batch.push(message.clone());
        if batch.len() >= limits.max_rows || bytes >= limits.max_bytes {
            send(Work::Messages(std::mem::take(&mut batch)));
            bytes = 0;
        }
    }
    send(Work::Messages(batch));
}

/// Decodes a file as a load does: on a thread of its own.
fn load(file: &Bytes, pipeline: &Pipeline, send: &dyn Fn(Work)) {
    let input = Box::new(std::io::Cursor::new(file.clone()));
    let mut decoder =
        Decoder::new(&pipeline.format, pipeline.batch, "bench".into(), NOW.into(), input).unwrap();
    while let Some(decoded) = decoder.next_batch().unwrap() {
        send(Work::Decoded(Box::new(decoded)));
    }
}

enum Work {
    Messages(Vec<(Arc<Message>, Bytes)>),
    Decoded(Box<Decoded>),
}

fn run(chain: &Chain, projection: &Projection, feed: impl FnOnce(&dyn Fn(Work))) -> Duration {
    let started = Instant::now();
    let (to, from) = crossbeam_channel::bounded::<Work>(2 * WORKERS);
    let rows: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let from = from.clone();
                scope.spawn(move || {
                    let mut worker = ChainWorker::new(chain);
                    let mut rows = 0;
                    for work in from {
                        let decoded = match work {
                            Work::Decoded(decoded) => *decoded,
                            Work::Messages(batch) => messages::decode(
                                batch,
                                "bench".into(),
                                1 << 20,
                                Payload::Text,
                                NOW.into(),
                            )
                            .unwrap(),
                        };
                        let done = worker.run(decoded.batch).unwrap();
                        let (ready, _) = projection.rows(done.batch, chain.plugin_set()).unwrap();
                        let bytes = bigquery::encode_rows(&ready.rows).unwrap();
                        assert!(!bytes.is_empty());
                        rows += ready.rows.num_rows();
                    }
                    rows
                })
            })
            .collect();
        drop(from);
        feed(&|work| to.send(work).unwrap());
        drop(to);
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(rows as u64, *ROWS);
    started.elapsed()
}
