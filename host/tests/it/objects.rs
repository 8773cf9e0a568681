//! Objects as they are in the field: named in many ways, written while they are looked for, damaged, gone,
//! and beside all kinds of other things. Each is loaded once and whole, and none keeps the others from it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::Value as Json;

use crate::cloud::{signal, spawn, summary, wait_until};
use crate::emulators::{BigQuery, Storage};
use crate::live::Live;
use crate::support::{Scratch, conserved, plugins, root};

const ROWS: &str = "SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch";

fn batch() -> String {
    root().join("host/pipelines/batch.toml").to_string_lossy().into_owned()
}

fn run(scratch: &Scratch, storage: Option<&Storage>, uri: &str, more: &[&str]) -> Command {
    let (pipeline, uri) = (batch(), format!("source.uri={uri}"));
    let own = ["run", "--json", &pipeline, "--set", "source.format=csv", "--set", &uri];
    let mut command = scratch.command(&[&own[..], more].concat());
    if let Some(storage) = storage {
        command.env("STORAGE_EMULATOR_HOST", format!("http://{}", storage.address));
    }
    command
}

/// The summary of a run that ended with this code.
#[track_caller]
fn ended(output: &Output, code: i32) -> Json {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{talk}");
    let summary: Json = serde_json::from_slice(&output.stdout).expect("a summary");
    conserved(&summary);
    summary
}

/// Objects loaded by a run that ends well.
#[track_caller]
fn loads(scratch: &Scratch, storage: Option<&Storage>, uri: &str) -> u64 {
    let output = run(scratch, storage, uri, &[]).output().expect("the binary starts");
    ended(&output, 0)["objects_loaded"].as_u64().expect("a count")
}

fn shop(scratch: &Scratch, rows: u32, seed: u32) -> Vec<u8> {
    let (rows, seed) = (rows.to_string(), seed.to_string());
    scratch.done(&["generate", "shop", "--rows", &rows, "--seed", &seed]).into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("a vector takes all");
    gzip.finish().expect("a vector takes all")
}

/// Renames the only entry of the ledger to what a load of `source` is called.
fn entered_as(scratch: &Scratch, source: &str) {
    let folder = scratch.path("warehouse/clickstream_analytics/load_ledger");
    let entries = fs::read_dir(&folder).expect("a ledger").map(|entry| entry.expect("one").path());
    let entries: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "parquet")).collect();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    let id = format!("clickstream_analytics.clickstream_batch\0{source}");
    let id = &blake3::hash(id.as_bytes()).to_hex()[..32];
    fs::rename(entry, folder.join(format!("{id}.parquet"))).expect("renamed");
}

#[test]
fn an_object_of_a_bucket_is_one_however_it_is_named() {
    plugins();
    let (storage, scratch) = (Storage::start(None), Scratch::new());
    storage.put("in/a.csv", &shop(&scratch, 100, 1));
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/in/a.csv"), 1);
    for uri in ["in/", "in/*.csv", "in/a.csv", "/in/a.csv", "in//a.csv", "/in//*.csv", "", "**"] {
        assert_eq!(loads(&scratch, Some(&storage), &format!("gs://lake/{uri}")), 0, "{uri}");
    }
    assert_eq!(scratch.number(ROWS), 100);
    // The same bytes, written anew, are another object.
    storage.put("in/a.csv", &shop(&scratch, 100, 1));
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/in/"), 1);
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/in/a.csv"), 0);
}

#[test]
fn a_file_is_one_object_however_it_is_named() {
    plugins();
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("in")).unwrap();
    fs::create_dir_all(scratch.path("other")).unwrap();
    scratch.write("in/a.csv", shop(&scratch, 100, 1));
    symlink(scratch.path("in/a.csv"), scratch.path("other/link.csv")).unwrap();
    symlink(scratch.path("in"), scratch.path("folder")).unwrap();
    assert_eq!(loads(&scratch, None, "in/a.csv"), 1);
    let absolute = scratch.path("in/a.csv").display().to_string();
    let url = format!("file://{absolute}");
    for uri in [
        "./in/a.csv",
        "in//a.csv",
        "other/../in/a.csv",
        &absolute,
        &url,
        "in/",
        "in/*.csv",
        "other/link.csv",
        "other/*.csv",
        "folder/a.csv",
        "**/*.csv",
    ] {
        assert_eq!(loads(&scratch, None, uri), 0, "{uri}");
    }
    assert_eq!(scratch.number(ROWS), 100);
}

#[test]
fn what_earlier_versions_have_loaded_is_not_loaded_again() {
    plugins();
    // They entered what they had listed by its entity tag …
    let (storage, scratch) = (Storage::start(None), Scratch::new());
    storage.put("a.csv", &shop(&scratch, 100, 1));
    let head = ureq::head(format!("http://{}/lake/a.csv", storage.address)).call().unwrap();
    let tag = head.headers()["etag"].to_str().unwrap().trim_matches('"').to_owned();
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/*.csv"), 1);
    entered_as(&scratch, &format!("gs://lake/a.csv@{tag}"));
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/*.csv"), 0);
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/a.csv"), 0);
    // … and a file by the path that was given.
    let scratch = Scratch::new();
    let file = scratch.write("a.csv", shop(&scratch, 100, 1));
    symlink(&file, scratch.path("link.csv")).unwrap();
    assert_eq!(loads(&scratch, None, "link.csv"), 1);
    let metadata = fs::metadata(&file).unwrap();
    let since = metadata.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let link = scratch.path("link.csv").display().to_string();
    entered_as(&scratch, &format!("file://{link}@{}-{}", since.as_micros(), metadata.len()));
    assert_eq!(loads(&scratch, None, "link.csv"), 0);
}

#[test]
fn objects_of_any_name_are_read_by_that_name_and_what_is_no_data_is_passed_over() {
    plugins();
    let (storage, scratch) = (Storage::start(None), Scratch::new());
    let names =
        ["in//a.csv", "in/b\nc.csv", "in/x[1].csv", "in/./d.csv", "in/../e.csv", "in/ é?&#.csv "];
    for (at, name) in names.iter().enumerate() {
        storage.put(name, &shop(&scratch, 10, at as u32));
    }
    for name in ["in/", "in/f/", "in/empty.csv", "in/_SUCCESS", "in/.g.csv.Xy12Zz"] {
        storage.put(name, b"");
    }
    storage.put("in/mark.csv", b"\xef\xbb\xbf");
    storage.put("in/lines.csv", &b"\r\n".repeat(1000));
    storage.put("in/_temporary/0/h.csv", &shop(&scratch, 10, 99));
    let output = run(&scratch, Some(&storage), "gs://lake/in/", &[]).output().unwrap();
    let summary = ended(&output, 0);
    assert_eq!(summary["objects_loaded"], names.len(), "{summary:#}");
    assert_eq!(summary["objects_passed_over"].as_array().map(Vec::len), Some(8), "{summary:#}");
    assert_eq!(scratch.number(ROWS), 10 * names.len() as u64);
    for name in names.iter().filter(|name| !name.contains('\n')) {
        assert_eq!(loads(&scratch, Some(&storage), &format!("gs://lake/{name}")), 0, "{name}");
    }
    // A name that matches itself as a pattern would match others too.
    storage.put("in/x1.csv", &shop(&scratch, 10, 7));
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/in/x[1].csv"), 0);
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/in/x[12].csv"), 1);
    // Nothing but what is no data is nothing to load, and no error.
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/in/f/"), 0);
    let none = run(&scratch, Some(&storage), "gs://lake/nowhere/", &[]).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn a_read_goes_on_through_any_number_of_cuts_and_refusals() {
    plugins();
    let (storage, scratch) = (Storage::start(Some(60_000)), Scratch::new());
    let text = shop(&scratch, 40_000, 4);
    assert!(text.len() > 25 * 60_000);
    storage.put_with("a.csv", &text, &[("x-goog-meta-unkind", "busy=3")]);
    let packed = gzip(&shop(&scratch, 40_000, 5));
    assert!(packed.len() > 4 * 60_000);
    storage.put_with("b.csv", &packed, &[("content-encoding", "gzip")]);
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/*.csv"), 2);
    let lines = "SELECT COUNT(*) AS n, COUNT(DISTINCT source_line) AS m FROM clickstream_analytics.clickstream_batch GROUP BY source";
    let lines = scratch.query(lines);
    assert_eq!(lines.len(), 2);
    for row in lines {
        assert_eq!((&row["n"], &row["m"]), (&40_000.into(), &40_000.into()));
    }
}

#[test]
fn what_is_stored_compressed_is_read_however_it_is_sent() {
    plugins();
    let (storage, scratch) = (Storage::start(None), Scratch::new());
    let packed = gzip(&shop(&scratch, 1000, 1));
    storage.put_with("a.csv", &packed, &[("content-encoding", "gzip")]);
    let sent_unpacked = [("content-encoding", "gzip"), ("x-goog-meta-unkind", "unpacked")];
    storage.put_with("b.csv", &packed, &sent_unpacked);
    // A compressed file, which is sent with compression on top.
    storage.put_with("c.csv.gz", &gzip(&packed), &[("content-encoding", "gzip")]);
    storage.put_with("d.csv.gz", &gzip(&packed), &sent_unpacked);
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/"), 4);
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/b.csv"), 0);
    assert_eq!(scratch.number(ROWS), 4000);
}

#[test]
fn objects_that_are_deleted_or_written_anew_between_list_and_read_do_not_stop_the_others() {
    plugins();
    let (storage, scratch) = (Storage::start(None), Scratch::new());
    storage.put_with("a.csv", &shop(&scratch, 10, 1), &[("x-goog-meta-unkind", "gone")]);
    storage.put_with("b.csv", &shop(&scratch, 20, 2), &[("x-goog-meta-unkind", "replaced")]);
    storage.put("c.csv", &shop(&scratch, 40, 3));
    let output = run(&scratch, Some(&storage), "gs://lake/", &[]).output().unwrap();
    // The environment's: the same may succeed later.
    let summary = ended(&output, 3);
    assert_eq!(summary["objects_loaded"], 2, "{summary:#}");
    assert_eq!(summary["objects_failed"][0]["object"], "gs://lake/a.csv");
    assert_eq!(scratch.number(ROWS), 60);
    assert_eq!(loads(&scratch, Some(&storage), "gs://lake/"), 0);
}

/// Files of which some can't be loaded, for four reasons; two can.
fn poison(scratch: &Scratch, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    write("a-cut.csv.gz", &gzip(&shop(scratch, 5000, 1))[..2000]);
    write("b-good.csv", &shop(scratch, 100, 2));
    write("c-columns.csv", b"one;two\n1;2\n");
    write("d-binary.csv", &[0xff, 0x00, 0x80].repeat(5000));
    let bad = ["generate", "shop", "--rows", "100", "--bad", "not_a_number=60%"];
    write("e-rejected.csv", scratch.done(&bad).as_bytes());
    write("f-good.csv", &shop(scratch, 200, 3));
}

#[test]
fn one_bad_object_never_keeps_the_others_from_loading() {
    plugins();
    let scratch = Scratch::new();
    poison(&scratch, &scratch.path("in"));
    let output = run(&scratch, None, "in/", &[]).output().unwrap();
    let summary = ended(&output, 2);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!((&summary["objects_loaded"], &summary["rows_out"]), (&2.into(), &300.into()));
    let bad = ["a-cut.csv.gz", "c-columns.csv", "d-binary.csv", "e-rejected.csv"];
    assert!(talk.contains("4 objects are not loaded"), "{talk}");
    for name in bad {
        assert!(talk.contains(name), "{name}: {talk}");
    }
    assert_eq!(scratch.number(ROWS), 300);
    // They are listed, and stay the same however often they are met.
    let failed = || {
        let list = scratch.done(&["loads", "list", "--failed", "--json"]);
        list.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Json>>()
    };
    assert_eq!(failed().len(), 4, "{:?}", failed());
    let again = run(&scratch, None, "in/", &[]).output().unwrap();
    assert_eq!(ended(&again, 2)["objects_loaded"], 0);
    assert_eq!(failed().len(), 4);
    assert_eq!(scratch.number("SELECT COUNT(*) FROM clickstream_analytics.load_failures"), 4);
    assert_eq!(scratch.number("SELECT COUNT(*) FROM clickstream_analytics.load_ledger"), 2);
    let list = scratch.done(&["loads", "list"]);
    assert_eq!(list.matches("| loaded ").count(), 2, "{list}");
    assert_eq!(list.matches("| failed ").count(), 4, "{list}");
    let one = &failed()[0];
    let shown = scratch.done(&["loads", "show", one["load"].as_str().unwrap()]);
    assert!(shown.contains(one["error"].as_str().unwrap()), "{shown}");
    // One that is mended is another object; one whose plugins are mended is loaded as it is.
    fs::write(scratch.path("in/a-cut.csv.gz"), gzip(&shop(&scratch, 5000, 1))).unwrap();
    let retry = |more: &[&str]| {
        let pipeline = batch();
        let own = ["loads", "retry", "--json", &pipeline, "--set", "source.format=csv"];
        scratch.run(&[&own[..], more].concat())
    };
    // Who enters a failure into the table has no other file read. One that somebody names is.
    let lax = "dead_letter.max_rejected_share=0.9";
    let other = retry(&["--set", lax]);
    assert_eq!(ended(&other, 2)["objects_loaded"], 0);
    let talk = String::from_utf8_lossy(&other.stderr);
    assert!(talk.contains("a-cut.csv.gz` is not among what `source.uri` names now"), "{talk}");
    let mended = failed().into_iter().find(|f| f["source"].as_str().unwrap().contains("a-cut"));
    let mended = retry(&["--set", lax, mended.unwrap()["load"].as_str().unwrap()]);
    assert_eq!(ended(&mended, 0)["objects_loaded"], 1);
    let own = format!("source.uri={}", scratch.path("in").display());
    let done = ended(&retry(&["--set", lax, "--set", &own]), 2);
    assert_eq!(done["objects_loaded"], 1, "{done:#}");
    let left = failed();
    let is_left = |name: &str| left.iter().any(|f| f["source"].as_str().unwrap().contains(name));
    assert!(is_left("c-columns") && is_left("d-binary") && left.len() == 2, "{left:?}");
    // A single one is told as before.
    let only = run(&scratch, None, "in/c-columns.csv", &[]).output().unwrap();
    let talk = String::from_utf8_lossy(&only.stderr);
    assert!(talk.contains("error: `file://") && !talk.contains("hint:"), "{talk}");
    assert_eq!(retry(&["ffffffffffff"]).status.code(), Some(2));
}

#[test]
fn what_one_table_lacks_is_told_whatever_another_has() {
    plugins();
    let scratch = Scratch::new();
    let bad = ["generate", "shop", "--rows", "100", "--bad", "not_a_number=60%"];
    scratch.write("a.csv", scratch.done(&bad));
    let other = ["--set", "sink.table=clickstream_analytics.other"];
    let lax = ["--set", "dead_letter.max_rejected_share=0.9"];
    let into = |more: &[&str], code: i32| {
        ended(&run(&scratch, None, "a.csv", more).output().unwrap(), code);
    };
    let failed = || scratch.done(&["loads", "list", "--failed"]).matches("| failed ").count();
    into(&[], 1);
    into(&other, 1);
    assert_eq!(failed(), 2);
    into(&[other, lax].concat(), 0);
    assert_eq!(failed(), 1);
    let (pipeline, uri) = (batch(), format!("source.uri={}", scratch.path("a.csv").display()));
    let own = ["loads", "retry", "--json", &pipeline, "--set", "source.format=csv", "--set", &uri];
    let retried = scratch.run(&[&own[..], &lax].concat());
    assert_eq!(ended(&retried, 0)["objects_loaded"], 1);
    assert_eq!(failed(), 0);
}

#[test]
fn a_gzip_bomb_is_one_letter_of_bounded_size_and_the_others_are_loaded() {
    plugins();
    let scratch = Scratch::new();
    let good = shop(&scratch, 100, 1);
    let header = good.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    // A record without an end: 64 times what one may have, in a thousandth of that.
    let bomb = gzip(&[header, &vec![0; 64 << 20][..]].concat());
    assert!(bomb.len() < 1 << 20);
    fs::create_dir_all(scratch.path("in")).unwrap();
    scratch.write("in/a-bomb.csv.gz", bomb);
    scratch.write("in/b-good.csv", good);
    let all = ["--set", "dead_letter.max_rejected_share=1.0"];
    let summary = ended(&run(&scratch, None, "in/", &all).output().unwrap(), 0);
    let counts = ["objects_loaded", "rows_out", "rows_rejected"].map(|count| &summary[count]);
    assert_eq!(counts, [2, 100, 1]);
    let kept = "SELECT MAX(BYTE_LENGTH(payloadBytes)) FROM clickstream_analytics.dead_letter";
    assert!((1..=2 << 20).contains(&scratch.number(kept)));
}

/// How many entries a small table has.
fn entries(scratch: &Scratch, table: &str) -> usize {
    let folder = scratch.path("warehouse/clickstream_analytics").join(table);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "parquet")).count()
}

#[test]
fn a_watched_file_is_left_until_it_rests_and_a_bad_one_is_set_aside() {
    plugins();
    let scratch = Scratch::new();
    let hours_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    let rest = |path: &Path| {
        fs::File::options().append(true).open(path).unwrap().set_modified(hours_ago).unwrap();
    };
    poison(&scratch, &scratch.path("in"));
    let text = shop(&scratch, 1000, 4);
    let growing = scratch.write("in/0-growing.csv", &text[..1000]);
    for name in ["b-good.csv", "c-columns.csv"] {
        rest(&scratch.path("in").join(name));
    }
    let sets = ["source.watch=true", "source.watch_interval_secs=1", "source.watch_rest_secs=600"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let loaded = || entries(&scratch, "load_ledger");
    let child = spawn(run(&scratch, None, "in/", &sets));
    // What rests is loaded, although one beside it is bad and others have just been written.
    wait_until("the file that rests", || loaded() == 1);
    wait_until("the bad file's failure", || entries(&scratch, "load_failures") == 1);
    fs::File::options().append(true).open(&growing).unwrap().write_all(&text[1000..]).unwrap();
    rest(&scratch.path("in/f-good.csv"));
    wait_until("another that rests", || loaded() == 2);
    rest(&growing);
    wait_until("the whole file", || loaded() == 3);
    signal(&child, "-INT");
    let summary = ended(&child.wait_with_output().unwrap(), 2);
    assert_eq!((&summary["objects_loaded"], &summary["rows_in"]), (&3.into(), &1300.into()));
    assert_eq!(summary["objects_failed"].as_array().map(Vec::len), Some(1), "{summary:#}");
}

#[test]
fn an_object_that_a_watch_has_set_aside_is_counted() {
    plugins();
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("in")).unwrap();
    let bad = scratch.write("in/a.csv", "one;two\n1;2\n");
    let hours_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    fs::File::options().append(true).open(bad).unwrap().set_modified(hours_ago).unwrap();
    let sets = ["--set", "source.uri=in/", "--set", "source.watch=true"];
    let live = Live::start(&scratch, Path::new(&batch()), &sets);
    let is_one = |name: &str| {
        let (_, told) = live.at.get("/metrics");
        told.lines().any(|line| line.starts_with(name) && line.ends_with(" 1"))
    };
    wait_until("a failed load", || is_one("clickmill_loads_failed"));
    wait_until("an object that is set aside", || is_one("clickmill_objects_failed"));
}

#[test]
fn what_a_watch_has_set_aside_is_tried_again_as_it_is() {
    plugins();
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("in")).unwrap();
    let hours_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    let text = shop(&scratch, 100, 1);
    // By its name, its time and its size it stays the same object, as one does whose plugins or whose disk
    // are mended.
    let put = |bytes: &[u8]| {
        let made = scratch.write("made.csv", bytes);
        fs::File::open(&made).unwrap().set_modified(hours_ago).unwrap();
        fs::rename(made, scratch.path("in/a.csv")).unwrap();
    };
    put(&vec![0xff; text.len()]);
    let sets = ["--set", "source.watch=true", "--set", "source.watch_interval_secs=1"];
    let child = spawn(run(&scratch, None, "in/", &sets));
    wait_until("its failure", || entries(&scratch, "load_failures") == 1);
    put(&text);
    wait_until("its load", || entries(&scratch, "load_ledger") == 1);
    signal(&child, "-INT");
    let summary = ended(&child.wait_with_output().unwrap(), 0);
    assert_eq!((&summary["objects_loaded"], &summary["rows_in"]), (&1.into(), &100.into()));
    assert!(scratch.done(&["loads", "list", "--failed", "--json"]).is_empty());
}

#[test]
fn what_cannot_be_looked_at_is_listed_until_it_is_loaded() {
    plugins();
    let scratch = Scratch::new();
    for folder in ["in/b.csv", "in/c"] {
        fs::create_dir_all(scratch.path(folder)).unwrap();
    }
    scratch.write("in/a.csv", shop(&scratch, 100, 1));
    // A link to itself stands for whatever cannot be looked at: root may look at all else.
    let (file, folder) = (scratch.path("in/b.csv"), scratch.path("in/d"));
    fs::remove_dir(&file).unwrap();
    symlink(&file, &file).unwrap();
    symlink(&folder, &folder).unwrap();
    let failed = || scratch.done(&["loads", "list", "--failed"]).matches("| failed ").count();
    ended(&run(&scratch, None, "in/", &[]).output().unwrap(), 3);
    assert_eq!(failed(), 2);
    ended(
        &run(&scratch, None, "in/", &["--set", "source.watch=true"])
            .args(["--stop-when-idle", "2s"])
            .output()
            .unwrap(),
        3,
    );
    assert_eq!(failed(), 2);
    fs::remove_file(&file).unwrap();
    scratch.write("in/b.csv", shop(&scratch, 100, 2));
    assert_eq!(failed(), 2);
    ended(&run(&scratch, None, "in/", &[]).output().unwrap(), 3);
    assert_eq!(failed(), 1);
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    scratch.write("in/d/e.csv", shop(&scratch, 100, 3));
    assert_eq!(loads(&scratch, None, "in/"), 1);
    assert_eq!(failed(), 0);
    assert_eq!(scratch.number(ROWS), 300);
}

#[test]
fn what_could_not_be_looked_at_leaves_the_list_once_it_was() {
    plugins();
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("in/c")).unwrap();
    scratch.write("in/a.csv", shop(&scratch, 100, 1));
    // Links to themselves stand for whatever cannot be looked at: root may look at all else.
    let places = ["in/b.csv", "in/c/d"].map(|name| scratch.path(name));
    let close = || places.iter().for_each(|place| symlink(place, place).unwrap());
    let mend = || {
        places.iter().for_each(|place| fs::remove_file(place).unwrap());
        fs::create_dir(&places[1]).unwrap();
    };
    let close_again = || {
        fs::remove_dir(&places[1]).unwrap();
        close();
    };
    let failed = || scratch.done(&["loads", "list", "--failed"]).matches("| failed ").count();
    let run_all = |code: i32| {
        ended(&run(&scratch, None, "in/", &[]).output().unwrap(), code);
    };
    close();
    run_all(3);
    assert_eq!(failed(), 2);
    // One is gone, and in the other is nothing: of neither anything is ever loaded.
    mend();
    assert_eq!(failed(), 2);
    run_all(0);
    assert_eq!(failed(), 0);
    // It is another failure where it comes again, and entered once.
    close_again();
    run_all(3);
    run_all(3);
    assert_eq!((failed(), entries(&scratch, "load_failures")), (2, 6));
    // A watched source looks as well, and whoever loads once more.
    mend();
    let mut watched = run(&scratch, None, "in/", &["--set", "source.watch=true"]);
    ended(&watched.args(["--stop-when-idle", "2s"]).output().unwrap(), 0);
    assert_eq!(failed(), 0);
    close_again();
    run_all(3);
    assert_eq!(failed(), 2);
    mend();
    let retried = scratch.run(&["loads", "retry", "--json", &batch()]);
    assert_eq!(ended(&retried, 0)["objects_loaded"], 0);
    assert_eq!(failed(), 0);
    assert_eq!(scratch.number(ROWS), 100);
}

#[test]
fn a_bucket_without_a_name_is_nobodys() {
    plugins();
    let scratch = Scratch::new();
    for uri in ["gs://", "gs:///a.csv"] {
        let output = run(&scratch, None, uri, &[]).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{talk}");
        assert!(talk.contains("neither a path nor a `gs://bucket/object` URI"), "{talk}");
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_given_up_and_the_others_go_on() {
    plugins();
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("in")).unwrap();
    let text = shop(&scratch, 1000, 1);
    let growing = scratch.write("in/a.csv", &text);
    scratch.write("in/b.csv", shop(&scratch, 100, 2));
    let ended_by_now = AtomicBool::new(false);
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::options().append(true).open(&growing).unwrap();
            let line = &text[text.len() - 40..];
            while !ended_by_now.load(Ordering::Relaxed) {
                file.write_all(line).unwrap();
            }
        });
        let output = run(&scratch, None, "in/*.csv", &[]).output().unwrap();
        ended_by_now.store(true, Ordering::Relaxed);
        output
    });
    let summary = ended(&output, 3);
    assert_eq!((&summary["objects_loaded"], &summary["rows_out"]), (&1.into(), &100.into()));
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("still being written"), "{talk}");
    assert_eq!(scratch.number(ROWS), 100);
}

#[test]
fn what_comes_by_a_pipe_is_another_in_each_run() {
    plugins();
    let scratch = Scratch::new();
    let clicks =
        scratch.write("clicks.ndjson", scratch.done(&["generate", "clicks", "--rows", "50"]));
    let pipeline = root().join("host/pipelines/clicks.toml").to_string_lossy().into_owned();
    for _ in 0..2 {
        let mut command = scratch.command(&["run", "--json", &pipeline, "--set", "source.uri=-"]);
        command.args(["--set", "source.format=ndjson"]);
        let output = command.stdin(fs::File::open(&clicks).unwrap()).output().unwrap();
        assert_eq!(summary(&output)["rows_out"], 50);
    }
    assert_eq!(scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clicks"), 100);
    let sources = "SELECT COUNT(DISTINCT source) FROM clickstream_analytics.clicks_raw";
    assert_eq!(scratch.number(sources), 2);
}

#[test]
fn a_summary_names_the_first_of_many_that_were_loaded_before() {
    plugins();
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("in")).unwrap();
    for at in 0..13 {
        scratch.write(&format!("in/{at}.csv"), shop(&scratch, 1, at));
    }
    assert_eq!(loads(&scratch, None, "in/"), 13);
    let (pipeline, own) = (batch(), ["--set", "source.format=csv", "--set", "source.uri=in/"]);
    let output = scratch.run(&[&["run", &pipeline][..], &own].concat());
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(talk.matches(": it is loaded already").count(), 10, "{talk}");
    assert!(talk.contains("skipped 3 more: they are loaded already"), "{talk}");
}

#[test]
fn what_cannot_be_looked_at_is_a_failure_and_the_others_are_loaded() {
    plugins();
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("in")).unwrap();
    scratch.write("in/a.csv", shop(&scratch, 10, 1));
    // A link to itself: root may look at all else.
    symlink(scratch.path("in/b.csv"), scratch.path("in/b.csv")).unwrap();
    scratch.write("in/c.csv", shop(&scratch, 10, 2));
    let output = run(&scratch, None, "in/*.csv", &[]).output().unwrap();
    let summary = ended(&output, 3);
    assert_eq!(summary["objects_loaded"], 2);
    let failed = summary["objects_failed"][0]["error"].as_str().unwrap();
    assert!(failed.contains("cannot look at `file://"), "{failed}");
}

#[test]
fn a_listing_that_never_ends_is_given_up_when_told_to_stop() {
    plugins();
    let scratch = Scratch::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = run(&scratch, None, "gs://lake/in/", &[]);
    command.env("STORAGE_EMULATOR_HOST", format!("http://{}", silent.local_addr().unwrap()));
    silent.set_nonblocking(true).unwrap();
    let child = spawn(command);
    // It is asked, and says nothing.
    let mut asked = None;
    wait_until("a question", || {
        asked = silent.accept().ok();
        asked.is_some()
    });
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    // Waited for to its end, the listing would fail.
    assert_eq!(ended(&output, 3)["objects_loaded"], 0);
    assert!(talk.contains("stopped before the source was listed"), "{talk}");
}

#[test]
fn what_comes_by_a_pipe_and_is_not_loaded_is_not_kept_for_another_time() {
    plugins();
    let scratch = Scratch::new();
    let bad = scratch.write("bad.csv", "one;two\n1;2\n");
    let mut command = run(&scratch, None, "-", &[]);
    let output = command.stdin(fs::File::open(&bad).unwrap()).output().unwrap();
    assert_eq!(ended(&output, 2)["objects_loaded"], 0);
    assert_eq!(entries(&scratch, "load_failures"), 0);
    // Of a file it is.
    assert_eq!(run(&scratch, None, "bad.csv", &[]).output().unwrap().status.code(), Some(2));
    assert_eq!(entries(&scratch, "load_failures"), 1);
    // One that is gone since is told as gone, and a pipe in its place is not opened.
    let retry = || scratch.command(&["loads", "retry", &batch()]).output().unwrap();
    fs::remove_file(&bad).unwrap();
    assert!(Command::new("mkfifo").arg(&bad).status().unwrap().success());
    for _ in 0..2 {
        let output = retry();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{talk}");
        assert!(talk.contains("there is no object `file://"), "{talk}");
        let _ = fs::remove_file(&bad);
    }
}

#[test]
fn a_load_from_a_pipe_that_never_ends_is_given_up_when_told_twice() {
    plugins();
    let scratch = Scratch::new();
    let mut command = run(&scratch, None, "-", &[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&shop(&scratch, 100, 1)).unwrap();
    wait_until("a load", || scratch.has_staged());
    signal(&child, "-INT");
    let mut talk = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(talk.any(|line| line.contains("stopping after the object in hand")));
    signal(&child, "-INT");
    let talk = talk.collect::<Vec<_>>().join("\n");
    assert!(talk.contains("interrupted: nothing of `stdin` is loaded"), "{talk}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    // Until now it had no end.
    drop(pipe);
    assert_eq!(entries(&scratch, "load_ledger"), 0);
}

#[test]
fn what_is_not_loaded_into_bigquery_is_listed_and_loaded_once_more() {
    plugins();
    let (storage, bigquery, scratch) = (Storage::start(None), BigQuery::start(), Scratch::new());
    storage.put("a.csv", b"one;two\n1;2\n");
    storage.put("b.csv", &shop(&scratch, 100, 1));
    let pipeline = root().join("host/pipelines/batch_gcp.toml").to_string_lossy().into_owned();
    let command = |arguments: &[&str]| {
        let mut command = scratch.command(arguments);
        command
            .env("CLICKSTREAM_BUCKET", "lake")
            .env("STORAGE_EMULATOR_HOST", format!("http://{}", storage.address))
            .env("BIGQUERY_EMULATOR_HOST", &bigquery.rest)
            .env("BIGQUERY_STORAGE_EMULATOR_HOST", &bigquery.grpc);
        command.output().unwrap()
    };
    let own = ["--set", "source.uri=gs://lake/*.csv"];
    let run = || command(&[&["run", "--json", &pipeline][..], &own].concat());
    let failed = || {
        let list = ["loads", "list", "--failed", "--json", "--pipeline", &pipeline];
        let output = command(&list);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{talk}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ended(&run(), 2)["objects_loaded"], 1);
    assert_eq!(ended(&run(), 2)["objects_loaded"], 0);
    assert!(failed().lines().count() == 1 && failed().contains("gs://lake/a.csv@"), "{}", failed());
    let entered = "SELECT COUNT(*) FROM clickstream_analytics.load_failures";
    assert_eq!(bigquery.number(entered), 1);
    let one: Json = serde_json::from_str(failed().trim()).unwrap();
    let shown = command(&["loads", "show", one["load"].as_str().unwrap(), "--pipeline", &pipeline]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    // Further lines are indented.
    let why = one["error"].as_str().unwrap().lines().next().unwrap();
    assert!(shown.contains(why), "{shown}");
    storage.put("a.csv", &shop(&scratch, 200, 2));
    let retried = command(&[&["loads", "retry", "--json", &pipeline][..], &own].concat());
    assert_eq!(ended(&retried, 0)["objects_loaded"], 1);
    assert_eq!(failed(), "");
    assert_eq!(bigquery.number(ROWS), 300);
}
