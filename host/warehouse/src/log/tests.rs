use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::live::Live;
use clickmill_core::schema::TableSchema;

const SCHEMA: &str = r#"[
    {"name": "message_id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "n", "type": "INTEGER", "mode": "REQUIRED"}
]"#;

struct Scratch {
    folder: tempfile::TempDir,
    table: TableName,
    schema: TableSchema,
}

impl Scratch {
    async fn new() -> Self {
        let scratch = Self {
            folder: tempfile::tempdir().unwrap(),
            table: TableName { dataset: "d".to_owned(), table: "t".to_owned() },
            schema: TableSchema::parse(SCHEMA, std::path::Path::new("t.json")).unwrap(),
        };
        scratch.warehouse().ensure_table(&scratch.table, &scratch.schema).await.unwrap();
        scratch
    }

    fn warehouse(&self) -> Warehouse {
        Warehouse::open(&self.folder.path().to_string_lossy()).unwrap()
    }

    async fn open(&self, pipeline: &str) -> Live {
        let (warehouse, schema) = (self.warehouse(), self.schema.arrow());
        Live::open(&warehouse, &self.table, schema, &["message_id"], pipeline).await.unwrap()
    }

    /// Opened once the log before has been let go: a process that another test begins holds what is open here
    /// for a moment.
    async fn open_after(&self, pipeline: &str) -> Live {
        for _ in 0..1000 {
            let live = self.open(pipeline).await;
            if !self.files("d").is_empty() {
                return live;
            }
            drop(live);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        self.open(pipeline).await
    }

    /// Number and sum of the rows of the files that queries are given.
    async fn seen(&self) -> (i64, i64) {
        let mut seen = (0, 0);
        for file in self.warehouse().files(&self.table).await.unwrap() {
            let file = self.folder.path().join(file.location.as_ref());
            let file = std::fs::File::open(file).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            for rows in reader.build().unwrap() {
                let rows = rows.unwrap();
                let numbers = rows.column_by_name("n").unwrap().as_primitive::<Int64Type>();
                seen.0 += rows.num_rows() as i64;
                seen.1 += numbers.iter().flatten().sum::<i64>();
            }
        }
        seen
    }

    /// Parquet files below a folder of the warehouse.
    fn files(&self, folder: &str) -> Vec<std::path::PathBuf> {
        parquet_files(&self.folder.path().join(folder))
    }
}

/// A Parquet file, or all below a folder.
fn parquet_files(path: &std::path::Path) -> Vec<std::path::PathBuf> {
    if path.extension().is_some_and(|extension| extension == "parquet") {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).into_iter().flatten();
    entries.flat_map(|entry| parquet_files(&entry.unwrap().path())).collect()
}

fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let ids: StringArray = numbers.clone().map(|n| Some(format!("m{n}"))).collect();
    let numbers = Int64Array::from_iter_values(numbers);
    let schema = TableSchema::parse(SCHEMA, std::path::Path::new("t.json")).unwrap();
    RecordBatch::try_new(schema.arrow(), vec![Arc::new(ids), Arc::new(numbers)]).unwrap()
}

fn sum(rows: i64) -> (i64, i64) {
    (rows, rows * (rows - 1) / 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn small_flushes_are_seen_at_once_and_become_few_files() {
    let scratch = Scratch::new().await;
    let live = scratch.open("p").await;
    let flushes = 2 * PACK_FILES as i64 + 10;
    for n in 0..flushes {
        assert!(live.append(&[rows(10 * n..10 * n + 10)]).await.unwrap().is_empty());
        if n % 16 == 0 {
            assert_eq!(scratch.seen().await, sum(10 * n + 10), "flush {n}");
        }
    }
    live.close().await;
    assert_eq!(scratch.seen().await, sum(10 * flushes));
    let files = scratch.files("d");
    assert_eq!(files.len(), 1, "{files:?}");
    // Other tools find all of it where they look.
    let in_table: u64 = files
        .iter()
        .map(|file| {
            let file = std::fs::File::open(file).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            reader.metadata().file_metadata().num_rows() as u64
        })
        .sum();
    assert_eq!(in_table as i64, 10 * flushes);
    // A flush that is large is a file of the table at once.
    let large = LARGE as i64;
    live.append(&[rows(10 * flushes..10 * flushes + large)]).await.unwrap();
    assert_eq!(scratch.files("d").len(), files.len() + 1);
    assert_eq!(scratch.seen().await, sum(10 * flushes + large));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_run_leaves_is_seen_once_and_taken_up_by_the_next() {
    let scratch = Scratch::new().await;
    let live = scratch.open("p").await;
    for n in 0..5 {
        live.append(&[rows(10 * n..10 * n + 10)]).await.unwrap();
    }
    let left: Vec<(std::path::PathBuf, Vec<u8>)> = scratch
        .files("_log")
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    assert_eq!(left.len(), 5);
    drop(live);
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(50), 0));
    // What was written before the interruption comes again, and is known.
    let live = scratch.open_after("p").await;
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(50), 1));
    assert_eq!(live.append(&[rows(40..60)]).await.unwrap().len(), 10);
    assert_eq!(scratch.seen().await, sum(60));
    drop(live);
    // Interrupted between the pack and the removal of what it holds.
    for (path, bytes) in &left {
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(scratch.seen().await, sum(60));
    let live = scratch.open("p").await;
    live.close().await;
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(60), 2));
    let live = scratch.open("p").await;
    live.append(&[rows(60..70)]).await.unwrap();
    live.close().await;
    assert_eq!(scratch.seen().await, sum(70));
    assert!(scratch.files("_staging").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_is_tried_again_is_one_and_pipelines_do_not_meet() {
    let scratch = Scratch::new().await;
    let (one, other) = (scratch.open("p").await, scratch.open("q").await);
    one.append(&[rows(0..10)]).await.unwrap();
    other.append(&[rows(10..20)]).await.unwrap();
    // A second process of the pipeline leaves the first one's log alone.
    let second = scratch.open("p").await;
    second.append(&[rows(20..30)]).await.unwrap();
    assert_eq!(scratch.files("d").len(), 1);
    assert_eq!(scratch.seen().await, sum(30));
    for live in [&one, &other, &second] {
        live.close().await;
    }
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(30), 3));

    let warehouse = scratch.warehouse();
    let schema = scratch.schema.arrow();
    let log = Log::open(&warehouse, &scratch.table, &schema, "r").await.unwrap();
    let (mut log, flush) = (log.unwrap(), Flushes::begin());
    let bytes = std::fs::read(&scratch.files("d")[0]).unwrap();
    for _ in 0..2 {
        log.add(&flush, bytes.clone(), 10).await.unwrap();
    }
    assert_eq!(scratch.seen().await.0, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_for_which_the_disk_has_no_room_is_tried_again_and_seen_once() {
    let scratch = Scratch::new().await;
    let live = scratch.open("p").await;
    live.append(&[rows(0..10)]).await.unwrap();
    // As on a full disk, no file can be begun.
    let [staging, aside] = ["_staging", "aside"].map(|name| scratch.folder.path().join(name));
    std::fs::rename(&staging, &aside).unwrap();
    std::fs::write(&staging, "").unwrap();
    for _ in 0..3 {
        let error = live.append(&[rows(10..20)]).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    assert_eq!(scratch.seen().await, sum(10));
    std::fs::remove_file(&staging).unwrap();
    std::fs::rename(&aside, &staging).unwrap();
    // None is taken for a row that was there already.
    assert!(live.append(&[rows(10..20)]).await.unwrap().is_empty());
    assert_eq!(scratch.seen().await, sum(20));
    live.close().await;
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(20), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_packed_waits_by_session_and_is_seen_once() {
    let scratch = Scratch::new().await;
    for n in 0..2 {
        let live = scratch.open("p").await;
        live.append(&[rows(10 * n..10 * n + 10)]).await.unwrap();
        if n == 0 {
            // Its log is not the next run's to take up.
            let log = scratch.folder.path().join("_log/d/t");
            std::fs::rename(log.join("p"), log.join("other")).unwrap();
        }
    }
    let log = scratch.folder.path().join("_log/d/t");
    for file in scratch.files("_log/d/t/other") {
        std::fs::rename(&file, log.join("p").join(file.file_name().unwrap())).unwrap();
    }
    // No folder of the day can be made.
    let day = format!("load_date={}", date(SystemTime::now()));
    let obstacle = scratch.folder.path().join("d/t").join(day);
    std::fs::write(&obstacle, "").unwrap();
    let live = scratch.open("p").await;
    live.append(&[rows(20..30)]).await.unwrap();
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(30), 0));
    std::fs::remove_file(&obstacle).unwrap();
    live.close().await;
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(30), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_again_after_midnight_is_the_file_of_the_day_before() {
    let scratch = Scratch::new().await;
    let schema = scratch.schema.arrow();
    let log = Log::open(&scratch.warehouse(), &scratch.table, &schema, "p").await.unwrap();
    let mut log = log.unwrap();
    // The link was made, and then the folder could not be synced.
    log.waiting.day = Some("2026-01-01".to_owned());
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
    writer.write(&rows(0..10)).unwrap();
    log.add(&Flushes::begin(), writer.into_inner().unwrap(), 10).await.unwrap();
    log.close().await;
    let [file] = &scratch.files("d")[..] else { panic!("{:?}", scratch.files("d")) };
    assert!(file.to_string_lossy().contains("load_date=2026-01-01"), "{}", file.display());
    assert_eq!(scratch.seen().await, sum(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pipeline_of_another_name_has_left_is_packed_by_who_compacts() {
    let scratch = Scratch::new().await;
    let (warehouse, schema) = (scratch.warehouse(), scratch.schema.arrow());
    for pipeline in ["gone", "living"] {
        let log = Log::open(&warehouse, &scratch.table, &schema, pipeline).await.unwrap().unwrap();
        for number in 0..3 {
            let session = format!("s{pipeline}");
            let flush = Flushes { session, first: number, last: number };
            let bytes = warehouse.parquet(&rows(0..10)).unwrap();
            let path = flush.in_log(&log.folder, &bytes);
            warehouse.put_once(&path, bytes).await.unwrap();
        }
    }
    let living = Log::open(&warehouse, &scratch.table, &schema, "living").await.unwrap().unwrap();
    let (rows, _) = scratch.seen().await;
    assert_eq!(rows, 60);
    let logged = || [scratch.files("_log/d/t/gone").len(), scratch.files("_log/d/t/living").len()];
    let compact = |now: SystemTime| {
        let (warehouse, table) = (scratch.warehouse(), scratch.table.clone());
        tokio::task::spawn_blocking(move || {
            let compacted = warehouse.compact(&Handle::current(), &table, now, None, &|| true);
            compacted.unwrap().expect("nobody else does");
        })
    };
    let now = SystemTime::now();
    compact(now).await.unwrap();
    assert_eq!(logged(), [3, 3], "they may begin again");
    for _ in 0..2 {
        compact(now + 2 * LEFT).await.unwrap();
        assert_eq!(logged(), [0, 3]);
        assert_eq!(scratch.seen().await.0, 60);
    }
    assert_eq!(scratch.files("_replaced/_log").len(), 3, "readers may have found them");
    compact(now + 24 * LEFT).await.unwrap();
    assert_eq!(scratch.files("_replaced/_log").len(), 0);
    assert_eq!(scratch.seen().await.0, 60);
    drop(living);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_are_two_packs_and_nothing_of_either_is_hidden() {
    let scratch = Scratch::new().await;
    let (warehouse, schema) = (scratch.warehouse(), scratch.schema.arrow());
    let log = Log::open(&warehouse, &scratch.table, &schema, "p").await.unwrap();
    let mut log = log.unwrap();
    let flush = |session: &str, number| Flushes {
        session: session.to_owned(),
        first: number,
        last: number,
    };
    let flushes = [flush("s1", 0), flush("s1", 3), flush("s2", 0), flush("s2", 1)];
    let mut files = Vec::new();
    for (n, flush) in flushes.iter().enumerate() {
        let bytes = warehouse.parquet(&rows(10 * n as i64..10 * n as i64 + 10)).unwrap();
        files.push((flush.clone(), flush.in_log(&log.folder, &bytes)));
        log.add(flush, bytes, 10).await.unwrap();
    }
    let day = warehouse.day(&scratch.table, "2026-01-01");
    let runtime = Handle::current();
    let mixed = tokio::task::spawn_blocking(move || {
        warehouse.pack(&runtime, &day, schema, &files).unwrap_err().to_string()
    });
    assert!(mixed.await.unwrap().contains("cannot read `_log/d/t/p/s2-0-"));
    log.close().await;
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(40), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_keeps_no_stream_from_starting() {
    let scratch = Scratch::new().await;
    let live = scratch.open("p").await;
    for n in 0..3 {
        live.append(&[rows(10 * n..10 * n + 10)]).await.unwrap();
    }
    drop(live);
    let cut = |file: &std::path::Path| {
        let bytes = std::fs::read(file).unwrap();
        std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    };
    let mut files = scratch.files("_log");
    files.sort();
    cut(&files[1]);
    let live = scratch.open("p").await;
    assert!(files[1].with_extension("parquet.damaged").exists());
    assert_eq!(scratch.seen().await.0, 20);
    // What the others hold is known.
    assert_eq!(live.append(&[rows(0..30)]).await.unwrap().len(), 20);
    live.close().await;
    drop(live);
    // One of the table is whose it is.
    let file = scratch.files("d")[0].clone();
    cut(&file);
    scratch.open("p").await;
    assert!(file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_quiet_is_packed() {
    let scratch = Scratch::new().await;
    let (warehouse, schema) = (scratch.warehouse(), scratch.schema.arrow());
    let log = Log::open(&warehouse, &scratch.table, &schema, "p").await.unwrap();
    let mut log = log.unwrap();
    let bytes = warehouse.parquet(&rows(0..10)).unwrap();
    log.add(&Flushes::begin(), bytes, 10).await.unwrap();
    log.tick().await;
    assert!(log.packing.is_none());
    log.waiting.since -= PACK_AGE;
    log.tick().await;
    log.settle().await;
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(10), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_began_while_another_had_the_log_gets_it_later() {
    let scratch = Scratch::new().await;
    let (first, second) = (scratch.open("p").await, scratch.open("p").await);
    assert!(first.has_log() && !second.has_log());
    first.append(&[rows(0..10)]).await.unwrap();
    second.append(&[rows(10..20)]).await.unwrap();
    tokio::spawn(second.ticks("p", std::time::Duration::from_millis(10)));
    drop(first);
    for _ in 0..1000 {
        if second.has_log() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(second.has_log());
    let files = scratch.files("d").len();
    second.append(&[rows(20..30)]).await.unwrap();
    assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(30), files));
    second.close().await;
    assert_eq!(scratch.seen().await, sum(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_packed_can_be_read_for_a_while() {
    let scratch = Scratch::new().await;
    let (warehouse, schema) = (scratch.warehouse(), scratch.schema.arrow());
    let log = Log::open(&warehouse, &scratch.table, &schema, "p").await.unwrap();
    let (mut log, mut flush) = (log.unwrap(), Flushes::begin());
    let mut listed = Vec::new();
    let stays = |path: &Path| warehouse.on_disk(path).unwrap().exists();
    for n in 0..5 {
        match n {
            // The first of them was packed long ago, …
            3 => log.packed[0].0 -= PACKED_STAYS,
            4 => {
                // … and is found by whoever has listed it, …
                let (first, now): (&Path, _) = (&listed[0], &replaced(&listed[0]));
                assert_eq!((stays(first), stays(now)), (false, true));
                let reading = warehouse.reading(Vec::new());
                assert!(reading.get(first).await.is_ok());
                // … for so long.
                log.moved[0].0 -= MOVED_STAYS;
            }
            _ => {}
        }
        let bytes = warehouse.parquet(&rows(10 * n..10 * n + 10)).unwrap();
        listed.push(flush.in_log(&log.folder, &bytes));
        log.add(&flush, bytes, 10).await.unwrap();
        flush.advance();
        log.close().await;
        assert_eq!(scratch.seen().await, sum(10 * n + 10));
    }
    let stay: Vec<bool> = listed.iter().map(stays).collect();
    // However slow this machine is: what was packed last is there.
    assert!(!stay[0] && !stays(&replaced(&listed[0])) && stay[4], "{stay:?}");
    assert!(log.packed.iter().all(|(_, path)| stays(path)));
}
