//! The chain in a process of its own against the chain alone: the same click events in batches of 8192, as
//! `clickmill exec` is given them by a pipe, and as a program in Rust runs them on one thread. In turn.
//!
//!     cargo bench --bench exec

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod clicks;
mod smoke;

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use clickmill_allocator as _;
use clickmill_config::Payload;
use clickmill_core::batch::Message;
use clickmill_decode::messages;
use clickmill_generator::{Generator, Kind, Options};
use clickmill_sandbox::ChainWorker;

use clicks::{Clicks, KEY, NOW};

static ROWS: LazyLock<usize> = LazyLock::new(|| smoke::of(50 * BATCH, 2 * BATCH));
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(9, 1));
const BATCH: usize = 8192;
/// Frames of the protocol.
const HELLO: u8 = 1;
const BATCH_OF_MESSAGES: u8 = 2;
const PLUGIN_SET: u8 = 18;
const COUNTS: u8 = 19;

fn main() {
    let clicks = Clicks::new();
    let records = records();
    let bytes: usize = records.iter().map(Vec::len).sum();
    let frames: Vec<Vec<u8>> = records.chunks(BATCH).enumerate().map(frame).collect();
    let mut process = Exec::start(&clicks::file(), &clicks::cache());
    // Neither side's first batch counts.
    process.lockstep(&frames[..1]);
    alone(&clicks, &records[..BATCH]);
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..*ROUNDS {
        times[0].push(alone(&clicks, &records));
        times[1].push(process.lockstep(&frames));
        times[2].push(process.ahead(&frames));
    }
    process.end();
    let per_message = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_nanos() as f64 / *ROWS as f64
    });
    println!(
        "{} click events of {} bytes, batches of {BATCH}, median of {} rounds",
        *ROWS,
        bytes / *ROWS,
        *ROUNDS
    );
    let ways = ["chain alone", "exec, one batch after the other", "exec, written ahead"];
    for (way, time) in ways.iter().zip(per_message) {
        let (beyond, ratio) = (time - per_message[0], time / per_message[0]);
        println!(
            "{way:<32} {time:>6.0} ns a message, {beyond:>5.0} beyond the chain, ratio {ratio:.2}"
        );
    }
}

fn records() -> Vec<Vec<u8>> {
    let mut generator = Generator::new(&Options::new(Kind::Clicks, *ROWS as u64, 7));
    let (mut records, mut record) = (Vec::new(), Vec::new());
    while generator.next_record(&mut record) {
        records.push(std::mem::take(&mut record));
    }
    records
}

fn id(number: usize) -> String {
    format!("{}", 11_000_000_000 + number)
}

/// The chain on one thread, from the bytes of messages to the rows of the table.
fn alone(Clicks { chain, projection, .. }: &Clicks, records: &[Vec<u8>]) -> Duration {
    let given: Vec<Vec<(Arc<Message>, Bytes)>> = records
        .chunks(BATCH)
        .map(|records| {
            let message = |(number, record): (usize, &Vec<u8>)| {
                let message = Message {
                    id: id(number),
                    publish_time: NOW.into(),
                    ordering_key: String::new(),
                    attributes: Vec::new(),
                };
                (Arc::new(message), Bytes::from(record.clone()))
            };
            records.iter().enumerate().map(message).collect()
        })
        .collect();
    let mut worker = ChainWorker::new(chain);
    let mut rows = 0;
    let started = Instant::now();
    for batch in given {
        let decoded =
            messages::decode(batch, "bench".into(), 1 << 20, Payload::Text, NOW.into()).unwrap();
        let done = worker.run(decoded.batch).unwrap();
        let (ready, _) = projection.rows(done.batch, chain.plugin_set()).unwrap();
        rows += ready.rows.num_rows();
    }
    assert_eq!(rows, records.len());
    started.elapsed()
}

/// The frame of a batch.
fn frame((number, records): (usize, &[Vec<u8>])) -> Vec<u8> {
    let count = records.len();
    let ids = (0..count).map(|row| id(number * BATCH + row));
    let now: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from_value(NOW, count).with_timezone("UTC"));
    let columns: [(&str, ArrayRef); 5] = [
        ("payload", Arc::new(BinaryArray::from_iter_values(records))),
        ("source", Arc::new(StringArray::from_iter_values(vec!["bench"; count]))),
        ("message_id", Arc::new(StringArray::from_iter_values(ids))),
        ("publish_time", now.clone()),
        ("ingest_time", now),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    framed(BATCH_OF_MESSAGES, &writer.into_inner().unwrap())
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..], &[kind, 0, 0, 0], body].concat()
}

/// The process.
struct Exec {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Exec {
    fn start(pipeline: &Path, cache: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clickmill"));
        command
            .arg("exec")
            .arg(pipeline)
            // The chain alone does not look for sensitive values either.
            .args(["--set", "guard.off=true"])
            .env("CLICKMILL_MASK_KEY", KEY)
            .env("CLICKMILL_CACHE", cache)
            // As the Python modules start it.
            .env("MIMALLOC_PURGE_DELAY", "1000")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        read_to(&mut output, PLUGIN_SET);
        input.write_all(&framed(HELLO, br#"{"protocol": 1}"#)).unwrap();
        Self { child, input, output }
    }

    /// Each batch once the one before is answered.
    fn lockstep(&mut self, frames: &[Vec<u8>]) -> Duration {
        let started = Instant::now();
        for frame in frames {
            self.input.write_all(frame).unwrap();
            read_to(&mut self.output, COUNTS);
        }
        started.elapsed()
    }

    /// Batches as fast as they are taken.
    fn ahead(&mut self, frames: &[Vec<u8>]) -> Duration {
        let (input, output) = (&mut self.input, &mut self.output);
        let started = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(move || frames.iter().for_each(|frame| input.write_all(frame).unwrap()));
            frames.iter().for_each(|_| read_to(output, COUNTS));
        });
        started.elapsed()
    }

    fn end(self) {
        let Self { mut child, input, output } = self;
        drop((input, output));
        assert!(child.wait().unwrap().success());
    }
}

/// Reads frames up to one of this kind.
fn read_to(output: &mut impl Read, wanted: u8) {
    let mut body = Vec::new();
    loop {
        let mut header = [0; 8];
        output.read_exact(&mut header).unwrap();
        let [a, b, c, d, kind, ..] = header;
        body.clear();
        let length = u32::from_le_bytes([a, b, c, d]);
        output.by_ref().take(length.into()).read_to_end(&mut body).unwrap();
        assert_eq!(body.len(), length as usize);
        if kind == wanted {
            return;
        }
        assert!(kind < COUNTS, "{}", String::from_utf8_lossy(&body));
    }
}
