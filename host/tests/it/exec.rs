//! `clickmill exec`: what another engine is answered, against what `clickmill run` writes.

mod caller;
mod tables;

use std::fs::{self, File};
use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::ipc::reader::StreamDecoder;
use serde_json::{Value as Json, json};

use caller::{Answer, Caller, Kind, frame, messages};
use tables::{Record, same, sorted, table};

use crate::support::{Scratch, another, plugins, root};

const DATASET: &str = "warehouse/clickstream_analytics";

fn pipeline(name: &str) -> String {
    root().join("host/pipelines").join(name).to_string_lossy().into_owned()
}

/// The arguments of `exec` for a pipeline.
fn exec<'a>(pipeline: &'a str, set: &[&'a str]) -> Vec<&'a str> {
    let set = set.iter().flat_map(|set| ["--set", set]);
    ["exec", pipeline].into_iter().chain(set).collect()
}

/// A run of live clicks, the records that it took, and the settings that made it.
struct Live {
    scratch: Scratch,
    set: Vec<String>,
    records: Vec<Record>,
}

impl Live {
    /// Runs clicks, one in ten of them bad, whose payloads are in a column of the table.
    fn run(rows: u64) -> Self {
        plugins();
        let scratch = Scratch::new();
        let schema = fs::read(root().join("schemas/clicks_raw.json")).expect("a schema");
        let mut schema: Vec<Json> = serde_json::from_slice(&schema).expect("a list");
        schema.push(json!({ "name": "payload", "type": "STRING", "mode": "NULLABLE" }));
        let schema = scratch.write("with_payload.json", Json::from(schema).to_string());
        let set = [
            format!("source.rows={rows}"),
            "source.rate=100000".to_owned(),
            "source.bad=10%".to_owned(),
            "admin.listen=off".to_owned(),
            // The payload has all values as they came in.
            "guard.off=true".to_owned(),
            format!("sink.schema={}", schema.display()),
        ];
        let live = Self { scratch, set: set.to_vec(), records: Vec::new() };
        let summary = live.scratch.summary(Path::new(&pipeline("stream.toml")), &live.set());
        assert_eq!(summary["rows_in"], rows, "{summary:#}");
        let records = Record::of(&live.rows(), "payload", "ingested_at");
        let letters = Record::of(&live.letters(), "payloadBytes", "timestamp");
        assert!(letters.len() as u64 > rows / 20, "{}", letters.len());
        let mut records: Vec<_> = records.into_iter().chain(letters).collect();
        records.sort();
        assert_eq!(records.len() as u64, rows);
        Self { records, ..live }
    }

    fn set(&self) -> Vec<&str> {
        self.set.iter().map(String::as_str).collect()
    }

    fn rows(&self) -> RecordBatch {
        table(&self.scratch.path(DATASET).join("clicks_raw"))
    }

    fn letters(&self) -> RecordBatch {
        table(&self.scratch.path(DATASET).join("dead_letter"))
    }

    fn start(&self, more: &[&str]) -> Caller {
        let stream = pipeline("stream.toml");
        let set = self.set();
        let arguments: Vec<&str> =
            exec(&stream, &set).into_iter().chain(more.iter().copied()).collect();
        Caller::start(&self.scratch, &arguments)
    }
}

/// The answers to records, so many at a time, and the process that gave them has ended well.
fn answers(mut caller: Caller, records: &[Record], at_once: usize) -> Vec<Answer> {
    let answers = records.chunks(at_once).map(|records| {
        caller.send(Kind::Batch, &messages(records));
        let answer = caller.answer();
        answer.conserved(records.len());
        answer
    });
    let answers = answers.collect();
    caller.end();
    answers
}

/// All rows of a table that answers have.
fn rows(answers: &[Answer], table: usize) -> Vec<RecordBatch> {
    answers.iter().flat_map(|answer| answer.rows[table].clone()).collect()
}

fn letters(answers: &[Answer]) -> Vec<RecordBatch> {
    answers.iter().flat_map(|answer| answer.letters.clone()).collect()
}

#[test]
fn messages_give_the_rows_and_letters_of_a_run_however_they_are_cut() {
    let live = Live::run(3000);
    let (wanted, refused) = (live.rows(), live.letters());
    let whole = answers(live.start(&[]), &live.records, 3000);
    same(&sorted(&rows(&whole, 0)), &wanted);
    same(&sorted(&letters(&whole)), &refused);
    assert_eq!(whole[0].end["element"], 0);

    // The same once more is the same bytes.
    let again = answers(live.start(&[]), &live.records, 3000);
    assert!(whole[0].bytes == again[0].bytes, "another answer to the same element");

    // Cut otherwise, and by several threads, the same rows.
    for (at_once, more) in [(1000, &[][..]), (17, &["--workers", "3"]), (1, &[])] {
        let records = if at_once == 1 { &live.records[..200] } else { &live.records };
        let cut = answers(live.start(more), records, at_once);
        if at_once > 1 {
            same(&sorted(&rows(&cut, 0)), &wanted);
            same(&sorted(&letters(&cut)), &refused);
        }
    }
}

#[test]
fn a_caller_may_write_ahead_and_is_answered_in_order() {
    let live = Live::run(2000);
    let batches: Vec<Vec<u8>> = live.records.chunks(50).map(messages).collect();
    let mut one_by_one = live.start(&["--workers", "2"]);
    let wanted: Vec<Answer> = batches.iter().map(|batch| one_by_one.ask(batch)).collect();
    one_by_one.end();
    let mut ahead = live.start(&["--workers", "2"]);
    let mut input = ahead.take_input();
    let found: Vec<Answer> = std::thread::scope(|scope| {
        scope.spawn(|| {
            batches.iter().for_each(|batch| input.write_all(&frame(Kind::Batch, batch)).unwrap());
            drop(input);
        });
        batches.iter().map(|_| ahead.answer()).collect()
    });
    ahead.end();
    for (number, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
        assert_eq!(found.end["element"], number);
        assert!(wanted.bytes == found.bytes, "element {number}");
    }
}

#[test]
fn a_killed_process_leaves_nothing_and_another_answers_the_same() {
    let live = Live::run(2000);
    let before = fs::read_dir(live.scratch.folder.path()).unwrap().count();
    let wanted = answers(live.start(&[]), &live.records, 2000).remove(0);
    let batch = messages(&live.records);
    for wait in [0, 1, 3, 10, 30] {
        let mut killed = live.start(&[]);
        killed.send(Kind::Batch, &batch);
        std::thread::sleep(Duration::from_millis(wait));
        killed.kill();
        let mut other = live.start(&[]);
        assert!(other.ask(&batch).bytes == wanted.bytes, "after a kill at {wait} ms");
        other.end();
    }
    assert_eq!(fs::read_dir(live.scratch.folder.path()).unwrap().count(), before);
}

#[test]
fn records_on_which_the_process_died_become_letters() {
    let live = Live::run(300);
    let records = &live.records[..2];
    let mut caller = live.start(&[]);
    caller.send(Kind::Crashed, &messages(records));
    let answer = caller.answer();
    answer.conserved(2);
    assert_eq!(
        answer.end["rejected_by"],
        json!([{ "stage": "decode", "code": "host_crash", "rows": 2 }])
    );
    let letters = sorted(&answer.letters);
    let found = Record::of(&letters, "payloadBytes", "timestamp");
    let mut wanted = records.to_vec();
    wanted.sort();
    assert_eq!(found, wanted);
    // The others go on.
    caller.ask(&messages(&live.records[2..])).conserved(live.records.len() - 2);
    caller.end();
}

#[test]
fn an_object_gives_the_rows_and_letters_of_its_load() {
    plugins();
    let scratch = Scratch::new();
    let batch = pipeline("batch.toml");
    let generate = ["generate", "shop", "--rows", "30000", "--bad", "2%"];
    scratch.done(&[&generate[..], &["--output", "shop.csv"]].concat());
    scratch.summary(Path::new(&batch), &["source.uri=shop.csv"]);
    let wanted = table(&scratch.path(DATASET).join("clickstream_batch"));
    let refused = table(&scratch.path(DATASET).join("dead_letter"));
    assert!(refused.num_rows() > 100);
    let object = wanted.column_by_name("source").unwrap().as_string::<i32>().value(0).to_owned();
    let ingested = refused.column_by_name("timestamp").unwrap();
    let ingested = ingested.as_primitive::<TimestampMicrosecondType>().value(0);
    let element = json!({ "object": object, "ingest_time": ingested }).to_string();
    let files = fs::read_dir(scratch.folder.path()).unwrap().count();

    let mut answers = Vec::new();
    for workers in ["1", "3"] {
        let mut arguments = exec(&batch, &["source.uri=shop.csv"]);
        arguments.extend(["--workers", workers]);
        let mut caller = Caller::start(&scratch, &arguments);
        assert_eq!(caller.hello["takes"], "objects");
        caller.send(Kind::Find, b"{}");
        assert_eq!(caller.said(Kind::Objects)["objects"][0]["object"], object);
        caller.send(Kind::Object, element.as_bytes());
        let answer = caller.answer();
        answer.conserved(30_000);
        assert_eq!(answer.end["source"], object);
        same(&sorted(&answer.rows[0]), &wanted);
        same(&sorted(&answer.letters), &refused);
        // What cannot be read has failed, and the next is answered.
        let (uri, _) = object.rsplit_once('@').unwrap();
        for (asked, said) in [
            (
                json!({ "object": format!("{uri}@0-0"), "ingest_time": 1 }),
                "is not what it was when it was listed",
            ),
            (json!({ "uri": format!("{uri}.gone"), "ingest_time": 1 }), "there is no object"),
        ] {
            caller.send(Kind::Object, asked.to_string().as_bytes());
            let failed = caller.said(Kind::Failed);
            assert!(failed.to_string().contains(said), "{failed:#}");
        }
        caller.send(Kind::Object, element.as_bytes());
        assert!(caller.answer().bytes == answer.bytes, "the same object, another answer");
        let by_path = json!({ "uri": "shop.csv", "ingest_time": ingested });
        caller.send(Kind::Object, by_path.to_string().as_bytes());
        assert!(caller.answer().bytes == answer.bytes, "the same object by its path");
        answers.push(answer.bytes);
        caller.end();
    }
    assert!(answers[0] == answers[1], "the number of threads shows");
    // An object of which too much is refused has failed as a whole.
    let strict = ["source.uri=shop.csv", "dead_letter.max_rejected_share=0.001"];
    let mut caller = Caller::start(&scratch, &exec(&batch, &strict));
    caller.send(Kind::Object, element.as_bytes());
    let failed = caller.said(Kind::Failed);
    assert!(failed["error"].as_str().unwrap().contains("is not loaded"), "{failed:#}");
    // A file is called as it was named; which one it was says `object`.
    let (uri, _) = object.rsplit_once('@').unwrap();
    for (asked, called) in [
        (element.clone(), uri),
        (json!({ "uri": "shop.csv", "ingest_time": ingested }).to_string(), "shop.csv"),
    ] {
        caller.send(Kind::Object, asked.as_bytes());
        let failed = caller.said(Kind::Failed);
        let begin = format!("`{called}` is not loaded");
        assert!(failed["error"].as_str().unwrap().starts_with(&begin), "{failed:#}");
        assert_eq!(failed["object"], object);
    }
    // One that holds nothing by now is another, and not one without records.
    fs::write(scratch.path("shop.csv"), "").unwrap();
    caller.send(Kind::Object, element.as_bytes());
    let failed = caller.said(Kind::Failed);
    assert!(failed.to_string().contains("is not what it was when it was listed"), "{failed:#}");
    caller.end();
    assert_eq!(fs::read_dir(scratch.folder.path()).unwrap().count(), files);
}

#[test]
fn nested_events_go_to_the_tables_of_their_routes() {
    plugins();
    let scratch = Scratch::new();
    let events = pipeline("shop_events.toml");
    let generate = ["generate", "events", "--rows", "2000", "--bad", "10%", "--seed", "7"];
    scratch.done(&[&generate[..], &["--output", "events.ndjson"]].concat());
    let set =
        ["source.uri=events.ndjson", "dead_letter.max_rejected_share=1.0", "batch.max_rows=700"];
    let summary = scratch.summary(Path::new(&events), &set);
    let own = table(&scratch.path(DATASET).join("shop_events_raw"));
    let purchases = table(&scratch.path(DATASET).join("shop_purchases_raw"));
    let refused = table(&scratch.path(DATASET).join("dead_letter"));
    let object = own.column_by_name("source").unwrap().as_string::<i32>().value(0);
    let ingested = own.column_by_name("ingested_at").unwrap();
    let ingested = ingested.as_primitive::<TimestampMicrosecondType>().value(0);

    let mut caller = Caller::start(&scratch, &exec(&events, &set));
    let tables: Vec<_> =
        caller.hello["tables"].as_array().unwrap().iter().map(|t| &t["table"]).collect();
    assert_eq!(
        tables,
        ["clickstream_analytics.shop_events_raw", "clickstream_analytics.shop_purchases_raw"]
    );
    caller.send(
        Kind::Object,
        json!({ "object": object, "ingest_time": ingested }).to_string().as_bytes(),
    );
    let answer = caller.answer();
    answer.conserved(2000);
    for count in ["rows_in", "rows_out", "rows_rejected", "rows_filtered"] {
        assert_eq!(answer.end[count], summary[count], "{count}");
    }
    assert_eq!(answer.end["rows_made"], summary["records"]["rows_made"]);
    same(&sorted(&answer.rows[0]), &own);
    same(&sorted(&answer.rows[1]), &purchases);
    same(&sorted(&answer.letters), &refused);
    let places = own.column_by_name("record_index").unwrap().as_primitive::<Int64Type>();
    assert!(places.values().iter().any(|place| *place > 0));
    caller.end();
}

#[test]
fn what_is_no_frame_or_no_element_ends_the_process_with_an_error_that_says_so() {
    plugins();
    let scratch = Scratch::new();
    let stream = pipeline("stream.toml");
    let hello = frame(Kind::Hello, br#"{"protocol": 1}"#);
    let after = |bytes: &[u8]| [&hello[..], bytes].concat();
    let header = |bytes: u32, kind: u8| {
        let [a, b, c, d] = bytes.to_le_bytes();
        vec![a, b, c, d, kind, 0, 0, 0]
    };
    let one = Record::made_up(3);
    let batch = messages(&one);
    for (sent, said) in [
        (
            frame(Kind::Batch, &batch),
            "the caller sends a frame of kind 2, wanted hello with protocol 1 first",
        ),
        (frame(Kind::Hello, br#"{"protocol": 2}"#), "the caller speaks protocol 2"),
        (after(&hello), "the caller sends a frame of kind 1"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "which is not a header of a caller's frame"),
        (after(&header(4, 16)), "which is not a header of a caller's frame"),
        (after(&header(u32::MAX, 2)), "a frame has 4294967295 bytes, the limit is 67108864"),
        (
            after(&header(64 << 20, 2)),
            "standard input ends within a frame, after 8 of its 67108872 bytes",
        ),
        (
            after(&frame(Kind::Batch, &batch)[..300]),
            "standard input ends within a frame, after 300 of its",
        ),
        (after(&frame(Kind::Batch, b"")), "element 0 has no record batch"),
        (
            after(&frame(Kind::Batch, &batch[..batch.len() / 2])),
            "element 0 is not an Arrow IPC stream",
        ),
        (after(&frame(Kind::Batch, &[0x5a; 4096])), "element 0 is not an Arrow IPC stream"),
        (
            after(&frame(Kind::Batch, &tables::lacking(&one, "ingest_time"))),
            "element 0 lacks column `ingest_time`",
        ),
        (
            after(&frame(Kind::Batch, &tables::mistyped(&one, "publish_time"))),
            "element 0 has column `publish_time` of type Utf8, wanted timestamp",
        ),
        (
            after(&frame(Kind::Object, b"{}")),
            "element 0 is about objects, and the source of pipeline `clicks-stream` gives messages",
        ),
    ] {
        let mut caller = Caller::start_without_hello(&scratch, &exec(&stream, &[]));
        // It may end before it has read all of it.
        let mut input = caller.take_input();
        let _ = input.write_all(&sent);
        drop(input);
        let error = caller.said(Kind::Error);
        assert!(error["error"].as_str().unwrap().contains(said), "{error:#}, wanted {said}");
        assert_eq!(error["exit"], 2, "{error:#}");
        assert!(error["hint"].is_string(), "{error:#}");
        assert_eq!(caller.exit_code(), 2, "{said}");
    }
    // What came before is answered.
    let mut caller = Caller::start(&scratch, &exec(&stream, &[]));
    caller.send(Kind::Batch, &batch);
    caller.send(Kind::Batch, b"nothing");
    caller.answer().conserved(3);
    assert!(caller.said(Kind::Error)["error"].as_str().unwrap().starts_with("element 1 "));
    assert_eq!(caller.exit_code(), 2);
    // What is wrong with the pipeline is a frame as well.
    let mut caller = Caller::spawn(&scratch, &exec(&stream, &["batch.max_rows=0"]));
    let error = caller.said(Kind::Error);
    assert!(error.to_string().contains("max_rows"), "{error:#}");
    assert_eq!(caller.exit_code(), 2);
}

#[test]
fn of_damage_at_which_the_reader_of_arrow_panics_nothing_is_told_but_the_answer() {
    plugins();
    let scratch = Scratch::new();
    let stream = pipeline("stream.toml");
    let whole = messages(&Record::made_up(3));
    let changed = (0..whole.len()).map(|at| {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        changed
    });
    let is_panicked_at = |batch: &Vec<u8>| {
        let read = || {
            let (mut decoder, mut rest) = (StreamDecoder::new(), Buffer::from(batch.clone()));
            while !rest.is_empty() && decoder.decode(&mut rest).is_ok() {}
        };
        catch_unwind(read).is_err()
    };
    for batch in changed.filter(is_panicked_at).step_by(5).take(6) {
        let frames = [frame(Kind::Hello, br#"{"protocol": 1}"#), frame(Kind::Batch, &batch)];
        let input = File::open(scratch.write("frames", frames.concat())).unwrap();
        let output = scratch.command(&exec(&stream, &[])).stdin(input).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(!told.contains("panicked") && !told.contains("RUST_BACKTRACE"), "{told}");
    }
}

#[test]
fn a_process_whose_answers_nobody_reads_ends() {
    let live = Live::run(500);
    let mut caller = live.start(&[]);
    caller.close_output();
    // Its input stays open: it is not that which ends it.
    caller.try_send(Kind::Batch, &messages(&live.records));
    assert_eq!(caller.exit_code(), 3);
    // One that is asked nothing ends well.
    live.start(&[]).end();
}

#[test]
fn only_the_plugin_set_that_is_wanted_runs() {
    plugins();
    let scratch = Scratch::new();
    let stream = pipeline("stream.toml");
    let first = Caller::start(&scratch, &exec(&stream, &[]));
    let set = first.hello["plugin_set"].as_str().unwrap().to_owned();
    first.end();
    let pinned = |digest: &str| {
        let mut arguments = exec(&stream, &[]);
        let digest = ["--plugin-set", digest];
        arguments.extend(digest);
        Caller::spawn(&scratch, &arguments)
    };
    for digest in [&set[..], &set[..12]] {
        assert_eq!(pinned(digest).said(Kind::Hello)["plugin_set"], *set);
    }
    let mut other = pinned("00000000");
    let error = other.said(Kind::Error);
    assert!(error["error"].as_str().unwrap().contains(&set), "{error:#}");
    assert_eq!(other.exit_code(), 2);
    let both = [exec(&stream, &[]), vec!["--plugin-set", &set, "--watch"]].concat();
    assert_eq!(scratch.run(&both).status.code(), Some(2));
}

#[test]
fn a_stream_follows_what_is_watched_and_says_which_set_made_its_rows() {
    let live = Live::run(600);
    fs::create_dir(live.scratch.path("watched")).unwrap();
    let place = format!("swap.watch={}", live.scratch.path("watched").display());
    let watch = ["--watch", "--set", &place, "--set", "swap.watch_interval_secs=0.1"];
    let batch = messages(&live.records);
    let mut caller = live.start(&watch);
    let before = caller.hello["plugin_set"].clone();
    let answer = caller.ask(&batch);
    assert_eq!((&answer.end["plugin_set"], answer.sets.len()), (&before, 0));
    let written = live.scratch.write("mask.new", another("plugins/mask"));
    fs::rename(written, live.scratch.path("watched/mask.wasm")).unwrap();
    let swapped = answer_of_another(&mut caller, &batch, &before);
    let after = swapped.end["plugin_set"].as_str().unwrap().to_owned();
    assert_eq!(swapped.sets, [&*after]);
    let rows = sorted(&swapped.rows[0]);
    let sets = rows.column_by_name("plugin_set").unwrap().as_string::<i32>();
    assert!(sets.iter().all(|set| set == Some(&*after)));
    caller.end();
    // The next process begins with it.
    let next = live.start(&watch);
    assert_eq!(next.hello["plugin_set"], *after);
    next.end();
    // One that watches nothing runs what the pipeline file names.
    let pinned = live.start(&watch[1..3]);
    assert_eq!(pinned.hello["plugin_set"], before);
    pinned.end();
}

/// Asks until another plugin set than this one answers.
#[track_caller]
fn answer_of_another(caller: &mut Caller, batch: &[u8], set: &Json) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let answer = caller.ask(batch);
        if answer.end["plugin_set"] != *set {
            return answer;
        }
        assert!(Instant::now() < deadline, "the plugin is not taken up");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_was_refused_at_the_start_is_taken_up_once_it_is_saved_again() {
    let live = Live::run(600);
    let watched = live.scratch.path("watched");
    fs::create_dir(&watched).unwrap();
    // All that lies there is taken up together or not at all.
    fs::write(watched.join("mask.wasm"), another("plugins/mask")).unwrap();
    fs::write(watched.join("enrich.wasm"), "not whole").unwrap();
    let place = format!("swap.watch={}", watched.display());
    let watch = ["--watch", "--set", &place, "--set", "swap.watch_interval_secs=0.1"];
    let mut caller = live.start(&watch);
    let pinned = live.start(&watch[1..3]);
    assert_eq!(caller.hello["plugin_set"], pinned.hello["plugin_set"]);
    pinned.end();
    fs::remove_file(watched.join("enrich.wasm")).unwrap();
    let again = live.scratch.write("mask.new", another("plugins/mask"));
    fs::rename(again, watched.join("mask.wasm")).unwrap();
    let before = caller.hello["plugin_set"].clone();
    answer_of_another(&mut caller, &messages(&live.records), &before);
    caller.end();
}
