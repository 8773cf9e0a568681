//! A campaign of faults: several processes at once, streams and loads, that are killed, stopped, starved
//! and cut off; and what is there afterwards, counted from outside by `faults/count.py`.
//!
//!     cargo bench --bench faults
//!
//! It goes on for an hour, or for `CLICKMILL_FAULTS_SECS`, in parts: some faults of one kind
//! (`CLICKMILL_FAULTS_PER_PART`, 5), then a count. Each part appends a line to `CLICKMILL_FAULTS_RESULTS`,
//! by default `faults.jsonl` in the target folder's `tmp`, and the kinds with the fewest faults there come
//! first: so campaigns add up. `CLICKMILL_FAULTS_ONLY` takes the kinds whose names contain a text. A
//! record that is lost, or met twice by a reader, makes it fail.

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

#[path = "../tests/it/emulators.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod emulators;
#[path = "faults/kinds.rs"]
mod kinds;
#[path = "faults/load.rs"]
mod load;
#[path = "faults/part.rs"]
mod part;
#[path = "faults/process.rs"]
mod process;
#[path = "../tests/it/proxy.rs"]
mod proxy;
#[path = "faults/publisher.rs"]
mod publisher;
#[path = "faults/stream.rs"]
mod stream;
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kinds::{Kind, Scene, kinds};
use part::{Counted, Part, append, results};

/// Parts that run at the same time: most of a part is waiting.
const AT_ONCE: usize = 2;

fn main() {
    let time = Duration::from_secs(setting("CLICKMILL_FAULTS_SECS", smoke::of(3600, 60)));
    let times = setting("CLICKMILL_FAULTS_PER_PART", smoke::of(5, 2));
    let only = std::env::var("CLICKMILL_FAULTS_ONLY").unwrap_or_default();
    let path = match std::env::var_os("CLICKMILL_FAULTS_RESULTS") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.jsonl"),
    };
    // What takes a compiler is done before anything is timed.
    support::plugins();
    let mut done: BTreeMap<String, u64> = BTreeMap::new();
    for part in results(&path) {
        *done.entry(part.kind).or_default() += part.times;
    }
    let mut waiting: Vec<(Kind, u64)> = kinds()
        .into_iter()
        .filter(|kind| kind.to_string().contains(&only))
        .map(|kind| (kind, done.get(&kind.to_string()).copied().unwrap_or_default()))
        .collect();
    assert!(!waiting.is_empty(), "CLICKMILL_FAULTS_ONLY: no kind's name contains `{only}`");
    // Not always the same ones first, where all are equal and there is time for some of them only.
    waiting.sort_by_cached_key(|(_, done)| (*done, rand::random::<u64>()));

    let began = Instant::now();
    let (waiting, parts) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while began.elapsed() < time {
                    let Some(kind) = next(&mut waiting.lock().unwrap()) else { break };
                    let Some(part) = run(kind, times) else { continue };
                    println!("{}", line(&part.kind, part.times, &part));
                    for note in part.notes.iter().chain(&part.failure) {
                        println!("    {note}");
                    }
                    let mut parts = parts.lock().unwrap();
                    append(&path, &part);
                    parts.push(part);
                    put_back(&mut waiting.lock().unwrap(), kind, times);
                }
            });
        }
    });
    let parts = parts.into_inner().unwrap();
    table("this campaign", &parts);
    table("all that is in the results", &results(&path));
    let bad: Vec<&Part> = parts.iter().filter(|part| !part.is_good()).collect();
    if !bad.is_empty() {
        let kinds: Vec<&str> = bad.iter().map(|part| part.kind.as_str()).collect();
        eprintln!("{} of {} parts failed: {}", bad.len(), parts.len(), kinds.join("; "));
        std::process::exit(1);
    }
}

/// The kind that had the fewest faults.
fn next(waiting: &mut Vec<(Kind, u64)>) -> Option<Kind> {
    let least = waiting.iter().map(|(_, done)| *done).min()?;
    let at = waiting.iter().position(|(_, done)| *done == least)?;
    Some(waiting.remove(at).0)
}

fn put_back(waiting: &mut Vec<(Kind, u64)>, kind: Kind, times: u64) {
    let most = waiting.iter().map(|(_, done)| *done).max().unwrap_or_default();
    waiting.push((kind, most + times));
}

/// Runs a part, whatever becomes of it. `None` where an emulator is not installed.
fn run(kind: Kind, times: u64) -> Option<Part> {
    let part = || Part { kind: kind.to_string(), ..Part::default() };
    let began = Instant::now();
    let ran = catch_unwind(AssertUnwindSafe(|| match kind.scene {
        Scene::Stream(sink) => stream::run(sink, kind.fault, times, part()),
        Scene::Load(place) => Some(load::run(place, kind.fault, times, part())),
    }));
    let mut part = match ran {
        Ok(part) => part?,
        Err(panic) => Part { failure: Some(message(panic.as_ref())), ..part() },
    };
    part.seconds = began.elapsed().as_secs_f64();
    Some(part)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".to_owned())
}

/// Adds the parts of each kind up.
fn table(title: &str, parts: &[Part]) {
    let mut sums: BTreeMap<&str, Part> = BTreeMap::new();
    let mut all = Part::default();
    for part in parts {
        add(sums.entry(&part.kind).or_default(), part);
        add(&mut all, part);
    }
    println!("\n{title}\n");
    println!(
        "| fault | times | published | letters | lost | doubled or torn | doubled raw | hung |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (kind, sum) in &sums {
        println!("{}", line(kind, sum.times, sum));
    }
    println!("{}", line("all", all.times, &all));
}

fn add(sum: &mut Part, part: &Part) {
    sum.times += part.times;
    sum.stuck += part.stuck;
    let (to, from) = (&mut sum.counted, &part.counted);
    for (to, from) in [
        (&mut to.published, from.published),
        (&mut to.letters, from.letters),
        (&mut to.lost, from.lost),
        (&mut to.hidden, from.hidden),
        (&mut to.doubled_view, from.doubled_view),
        (&mut to.doubled_raw, from.doubled_raw),
        (&mut to.doubled_letters, from.doubled_letters),
        (&mut to.unknown, from.unknown),
    ] {
        *to += from;
    }
    if sum.failure.is_none() {
        sum.failure.clone_from(&part.failure);
    }
}

fn line(kind: &str, times: u64, part: &Part) -> String {
    let Counted { published, letters, lost, hidden, unknown, .. } = part.counted;
    let Counted { doubled_view, doubled_raw, doubled_letters, .. } = part.counted;
    let mut lost = (lost + hidden).to_string();
    if part.failure.is_some() {
        lost.push_str(" (given up)");
    }
    format!(
        "| {kind} | {times} | {published} | {letters} | {lost} | {} | {} | {} |",
        doubled_view + unknown,
        doubled_raw + doubled_letters,
        part.stuck
    )
}

/// A number from the environment.
fn setting(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Err(_) => otherwise,
        Ok(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => panic!("{name} is `{text}`, wanted a whole number"),
        },
    }
}
