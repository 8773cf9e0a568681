use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;

fn letters(ids: &[&str]) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("letter_id", DataType::Utf8, false)]);
    let ids: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
    RecordBatch::try_new(Arc::new(schema), vec![ids]).expect("a batch")
}

fn open(folder: &tempfile::TempDir) -> Spool {
    Spool::open(folder.path(), "clicks", "disk/logs.letters", 1 << 20).expect("a spool")
}

/// What waits, read.
fn read(spool: &Spool) -> Vec<RecordBatch> {
    let waiting = spool.waiting().expect("listed");
    let read = |path: &PathBuf| spool.read(path, &letters(&[]).schema()).expect("read");
    waiting.iter().map(read).collect()
}

fn counts(spool: &Spool) -> (u64, u64) {
    let held = spool.held().expect("counted");
    assert_eq!(held.oldest.is_some(), held.waiting > 0);
    (held.waiting, held.set_aside)
}

#[test]
fn letters_come_back_in_order_and_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(&folder);
    spool.keep(&letters(&["a", "b"])).expect("kept");
    spool.keep(&letters(&["c"])).expect("kept");
    // Another process finds them.
    let spool = open(&folder);
    assert_eq!(counts(&spool), (3, 0));
    assert_eq!(read(&spool), [letters(&["a", "b"]), letters(&["c"])]);
    for path in spool.waiting().expect("listed") {
        spool.remove(&path).expect("removed");
    }
    assert_eq!(spool.waiting().expect("listed"), Vec::<PathBuf>::new());
    assert_eq!(counts(&spool), (0, 0));
}

#[test]
fn what_a_pipeline_of_another_name_has_left_is_told_and_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = open(&folder);
    before.keep(&letters(&["a"])).expect("kept");
    before.keep_aside(&letters(&["b"])).expect("kept");
    assert!(before.others().expect("listed").is_empty());
    let renamed =
        Spool::open(folder.path(), "visits", "disk/logs.letters", 1 << 20).expect("a spool");
    fs::write(folder.path().join("notes"), "no folder").expect("written");
    assert_eq!(renamed.others().expect("listed"), [("clicks".to_owned(), 2)]);
    assert_eq!((counts(&renamed), counts(&before)), ((0, 0), (1, 1)));
}

#[test]
fn letters_for_another_table_are_told_and_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, aside) = (letters(&["a"]), letters(&["b"]));
    let before = open(&folder);
    before.keep(&one).expect("kept");
    before.keep_aside(&aside).expect("kept");
    let open_other = || Spool::open(folder.path(), "clicks", "disk/logs.others", 1 << 20);
    let other = open_other().expect("a spool");
    other.keep(&letters(&["c", "d"])).expect("kept");
    assert_eq!(counts(&other), (2, 0));
    assert_eq!(read(&other), [letters(&["c", "d"])]);
    assert_eq!(other.others().expect("listed"), [("clicks".to_owned(), 2)]);
    assert_eq!(before.others().expect("listed"), [("clicks".to_owned(), 1)]);
    assert_eq!(counts(&before), (1, 1));
    // What the folder may hold is for both.
    assert_eq!(other.bytes().expect("counted"), before.bytes().expect("counted"));
    // A file of before names no table: it is whoever's that comes.
    let path = before.waiting().expect("listed").remove(0);
    let unnamed = path.with_file_name("00000000000000000001-7-0.arrow");
    fs::rename(&path, &unnamed).expect("moved");
    assert_eq!(open_other().expect("a spool").waiting().expect("listed")[0], unnamed);
    assert_eq!(read(&open(&folder)), [one, aside]);
}

#[test]
fn a_full_spool_says_so_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path(), "clicks", "disk/logs.letters", 1500).expect("a spool");
    spool.keep(&letters(&["a"])).expect("kept");
    let large = "x".repeat(2000);
    let full = spool.keep(&letters(&[&large])).expect_err("full");
    assert!(matches!(full, SpoolError::Full { max_bytes: 1500, .. }), "{full}");
    assert_eq!(spool.waiting().expect("listed").len(), 1);
    // What is set aside, or was being written when a process died, takes room too.
    spool.set_aside(&spool.waiting().expect("listed")[0]).expect("moved");
    fs::write(folder.path().join("clicks/1-1-1.part"), [0; 1000]).expect("written");
    let full = spool.keep(&letters(&["b"])).expect_err("full");
    assert!(matches!(full, SpoolError::Full { held: 1001.., .. }), "{full}");
}

#[test]
fn what_the_table_has_taken_of_a_file_is_not_in_it_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(&folder);
    spool.keep(&letters(&["a", "b", "c"])).expect("kept");
    let path = spool.waiting().expect("listed").remove(0);
    let before = spool.held().expect("counted").oldest;
    spool.leave(&path, &letters(&["c"])).expect("left");
    assert_eq!(read(&open(&folder)), [letters(&["c"])]);
    assert_eq!((counts(&spool), spool.held().expect("counted").oldest), ((1, 0), before));
    // A disk that takes nothing: whoever carries over remembers.
    let (of_clicks, away) = (folder.path().join("clicks"), folder.path().join("away"));
    fs::rename(&of_clicks, &away).expect("moved");
    fs::write(&of_clicks, "no folder").expect("an obstacle");
    spool.leave(&path, &letters(&[])).expect_err("an obstacle");
    fs::remove_file(&of_clicks).expect("removed");
    fs::rename(&away, &of_clicks).expect("moved back");
    assert_eq!(read(&spool), [letters(&[])]);
    assert_eq!(read(&open(&folder)), [letters(&["c"])]);
}

#[test]
fn one_process_carries_over_and_what_a_dead_one_was_writing_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(&folder), open(&folder));
    let part = folder.path().join("clicks/00000000000000000001-7-0.part");
    fs::write(&part, "half a file").expect("written");
    // Somebody writes: it may be theirs.
    let writing = other.lock_file(WRITE).expect("a file");
    writing.lock_shared().expect("a lock");
    let carrier = one.carrier().expect("looked").expect("nobody else carries");
    assert!(other.carrier().expect("looked").is_none());
    assert!(part.exists());
    drop((writing, carrier));
    let _carrier = other.carrier().expect("looked").expect("nobody else carries");
    assert!(!part.exists());
    assert_eq!(counts(&one), (0, 0));
}

#[test]
fn what_is_set_aside_is_counted_and_tried_again_by_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(&folder);
    spool.keep(&letters(&["a"])).expect("kept");
    spool.keep_aside(&letters(&["b", "c"])).expect("kept");
    let damaged = folder.path().join("clicks/00000000000000000001-7.arrow");
    fs::write(&damaged, "no letters").expect("written");
    let error = spool.read(&damaged, &letters(&[]).schema()).expect_err("damaged");
    assert!(matches!(error, SpoolError::Arrow { .. }), "{error}");
    spool.set_aside(&damaged).expect("moved");
    assert_eq!((counts(&spool), read(&spool).len()), ((1, 3), 1));
    let spool = open(&folder);
    assert_eq!((counts(&spool), spool.waiting().expect("listed").len()), ((4, 0), 3));
    // Files of a version before that had no numbers are told by their names too.
    assert_eq!(spool.held().expect("counted").oldest, Some(Micros::from(0)));
}

#[test]
fn a_process_that_is_stopped_while_it_has_the_lock_does_not_hang_those_that_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(&folder);
    let stopped = spool.exclusive(WRITE).expect("looked").expect("nobody writes");
    let (path, file) = (spool.beside(WRITE), spool.lock_file(WRITE).expect("a file"));
    let locked = lock_shared(&file, &path, Duration::from_millis(1));
    assert!(matches!(locked, Err(SpoolError::Locked { .. })), "{locked:?}");
    drop(stopped);
    lock_shared(&file, &path, Duration::from_millis(1)).expect("a lock");
}
