//! What flat columns cost to cross the boundary by each contract: a guest of contract 0.1 and one of 0.2,
//! each of which reads a text, and writes it and its length, in the same steps, on the same batches, in
//! turn. Little is done with the values, so it is the boundary that is measured.
//!
//!     cargo bench --bench contracts

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use clickmill_allocator as _;
use clickmill_config::Payload;
use clickmill_core::batch::{Batch, Message};
use clickmill_decode::messages;
use clickmill_generator::{Generator, Kind, Options};
use clickmill_sandbox::{Chain, ChainWorker, Engine, Library, Secrets};

static BATCHES: LazyLock<u64> = LazyLock::new(|| smoke::of(40, 2));
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(15, 1));
const ROWS: u64 = 8192;

/// The guests, by contract: their crates.
const GUESTS: [(&str, &str); 2] =
    [("0.1", "host/tests/guest_0_1"), ("0.2", "host/tests/guest_0_2")];

fn main() {
    let engine = Engine::new(&std::env::temp_dir().join("clickmill-bench-cache")).unwrap();
    let chains = GUESTS.map(|(_, krate)| chain(&engine, krate));
    let batches = batches();
    let mut times: [Vec<Duration>; 2] = Default::default();
    for _ in 0..*ROUNDS {
        for (chain, times) in chains.iter().zip(&mut times) {
            let mut worker = ChainWorker::new(chain);
            for batch in &batches {
                assert_eq!(worker.run(batch.clone()).unwrap().batch.rows(), batch.rows());
            }
            times.push(worker.take_counts()[0].time);
        }
    }
    let rows = *BATCHES * ROWS;
    println!("{rows} rows in batches of {ROWS}, median of {} rounds", *ROUNDS);
    let medians = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_nanos() as f64 / rows as f64
    });
    for ((contract, _), nanos) in GUESTS.iter().zip(medians) {
        println!("contract {contract} {nanos:>9.1} ns a row");
    }
    println!("ratio        {:>9.2}", medians[1] / medians[0]);
}

/// The chain of one guest.
fn chain(engine: &Engine, krate: &str) -> Chain {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let schema = root.join("schemas");
    let file = folder.path().join("pipeline.toml");
    let text = format!(
        r#"
name = "contracts"
source = {{ kind = "generator", data = "clicks", rate = 1 }}
sink = {{ table = "bench.clicks_raw", schema = "{schema}/clicks_raw.json" }}
dead_letter = {{ table = "bench.dead_letter", schema = "{schema}/dead_letter.json" }}

[[plugin]]
name = "guest"
component = "{component}"
reads = ["payload"]
writes = ["before", "bytes"]
"#,
        schema = schema.display(),
        component = root.join(krate).display(),
    );
    std::fs::write(&file, text).unwrap();
    let pipeline = clickmill_config::read(&file, &[]).unwrap();
    let library = Library::load(engine, &pipeline.plugins).unwrap();
    library.configure(&messages::schema(Payload::Text), &Secrets::new()).unwrap()
}

/// Click events as messages, in batches.
fn batches() -> Vec<Batch> {
    let mut generator = Generator::new(&Options::new(Kind::Clicks, *BATCHES * ROWS, 7));
    let message = Arc::new(Message {
        id: "1".to_owned(),
        publish_time: 0.into(),
        ordering_key: String::new(),
        attributes: Vec::new(),
    });
    let (mut messages, mut record) = (Vec::new(), Vec::new());
    while generator.next_record(&mut record) {
        messages.push((message.clone(), Bytes::from(std::mem::take(&mut record))));
    }
    let batches = messages.chunks(ROWS as usize).map(|chunk| {
        let source = "bench".into();
        messages::decode(chunk.to_vec(), source, 1 << 20, Payload::Text, 0.into()).unwrap().batch
    });
    batches.collect()
}
