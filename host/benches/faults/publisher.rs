//! Publishes made-up clicks to a topic, and keeps the id of each, until it is told to stop.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clickmill_generator::{Generator, Kind, Options};
use serde_json::{Value as Json, json};

use crate::emulators::request;

/// Messages published at once, and the pause after them.
const AT_ONCE: usize = 50;
const PAUSE: Duration = Duration::from_millis(60);
/// One event of so many is refused by the plugin `validate`.
const REFUSED: u64 = 33;

/// A thread that publishes.
pub(crate) struct Publisher {
    /// Whoever holds it keeps the publisher waiting.
    pub gate: Arc<Mutex<()>>,
    /// A file with the ids of all events that were published, one a line.
    pub ids: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub(crate) fn start(address: String, topic: String, ids: &Path) -> Self {
        let (gate, stop) = (Arc::new(Mutex::new(())), Arc::new(AtomicBool::new(false)));
        let file = BufWriter::new(File::create(ids).unwrap());
        let thread = std::thread::spawn({
            let (gate, stop) = (gate.clone(), stop.clone());
            move || publish(&address, &topic, file, &gate, &stop)
        });
        Self { gate, ids: ids.to_owned(), stop, thread: Some(thread) }
    }

    /// Ends it; the file is whole then.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("all was published");
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn publish(
    address: &str,
    topic: &str,
    mut ids: BufWriter<File>,
    gate: &Mutex<()>,
    stop: &AtomicBool,
) {
    let mut generator = Generator::new(&Options::new(Kind::Clicks, u64::MAX, rand::random()));
    let mut number = 0;
    let mut record = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        {
            let _gate = gate.lock().unwrap();
            let mut messages = Vec::new();
            for _ in 0..AT_ONCE {
                record.clear();
                assert!(generator.next_record(&mut record));
                let mut event: Json = serde_json::from_slice(&record).unwrap();
                number += 1;
                if number % REFUSED == 0 {
                    event["event_type"] = json!("nothing_known");
                }
                writeln!(ids, "{}", event["event_id"].as_str().unwrap()).unwrap();
                messages.push(json!({ "data": STANDARD.encode(event.to_string()) }));
            }
            let body = json!({ "messages": messages });
            let answer = request(address, "POST", &format!("/v1/{topic}:publish"), Some(&body));
            let answer = answer.expect("the emulator answers");
            assert_eq!(answer["messageIds"].as_array().map(Vec::len), Some(AT_ONCE), "{answer}");
            ids.flush().unwrap();
        }
        std::thread::sleep(PAUSE);
    }
}
