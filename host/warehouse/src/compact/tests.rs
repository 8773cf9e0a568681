use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use tokio::runtime::Runtime;

use super::super::flushes::Flushes;
use super::super::load::date;
use super::*;
use clickmill_core::schema::TableSchema;

const SCHEMA: &str = r#"[
    {"name": "message_id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "n", "type": "INTEGER", "mode": "NULLABLE"}
]"#;
const DAY: Duration = Duration::from_secs(86_400);

struct Scratch {
    runtime: Runtime,
    warehouse: Warehouse,
    table: TableName,
    schema: TableSchema,
    _folder: tempfile::TempDir,
}

impl Scratch {
    fn on_disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        let schema = TableSchema::parse(SCHEMA, std::path::Path::new("t.json")).unwrap();
        runtime.block_on(warehouse.ensure_table(&table, &schema)).unwrap();
        Self { runtime, warehouse, table, schema, _folder: folder }
    }

    /// What a store without locks is like.
    fn in_memory() -> Self {
        let scratch = Self::on_disk();
        let store = Arc::new(InMemory::new());
        let warehouse = Warehouse { store, disk: None, ..scratch.warehouse.clone() };
        Self { warehouse, ..scratch }
    }

    /// A flush of three rows, written on a day.
    fn flush(&self, session: &str, number: u64, day: SystemTime) {
        self.flush_rows(3, session, number, day);
    }

    fn flush_rows(&self, rows: i64, session: &str, number: u64, day: SystemTime) {
        let numbers: Vec<i64> = (0..rows).map(|n| rows * number as i64 + n).collect();
        let ids: StringArray = numbers.iter().map(|n| Some(format!("{session}{n}"))).collect();
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(ids), Arc::new(Int64Array::from(numbers))];
        let rows = RecordBatch::try_new(self.schema.arrow(), columns).unwrap();
        let bytes = self.warehouse.parquet(&rows).unwrap();
        let flushes = Flushes { session: session.to_owned(), first: number, last: number };
        let path = flushes.in_table(&self.warehouse.day(&self.table, &date(day)), &bytes);
        self.runtime.block_on(self.warehouse.put_once(&path, bytes)).unwrap();
    }

    /// How often each row is seen, and how many files it takes. What was listed is read later, as a query
    /// does.
    fn seen(&self) -> (BTreeMap<String, u32>, usize) {
        self.runtime.block_on(async {
            let files = self.warehouse.files(&self.table).await.unwrap();
            let store = self.warehouse.reading(files);
            let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
            let mut seen = BTreeMap::new();
            for file in &listed {
                let bytes = store.get(&file.location).await.unwrap().bytes().await.unwrap();
                let reader =
                    parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes);
                for rows in reader.unwrap().build().unwrap() {
                    let rows = rows.unwrap();
                    for id in rows.column(0).as_string::<i32>().iter().flatten() {
                        *seen.entry(id.to_owned()).or_default() += 1;
                    }
                }
            }
            (seen, listed.len())
        })
    }

    #[track_caller]
    fn holds(&self, rows: usize) -> usize {
        let (seen, files) = self.seen();
        assert_eq!(seen.len(), rows);
        assert!(seen.values().all(|times| *times == 1), "a row is seen twice");
        files
    }

    fn compact(&self, now: SystemTime) -> Compacted {
        let runtime = self.runtime.handle();
        self.warehouse.compact(runtime, &self.table, now, None, &|| true).unwrap().unwrap()
    }

    /// Files of a folder of the warehouse.
    fn files(&self, folder: &Path) -> Vec<ObjectMeta> {
        self.runtime.block_on(self.warehouse.parquet_in(folder)).unwrap()
    }

    fn in_table(&self) -> usize {
        self.files(&self.warehouse.table(&self.table)).len()
    }

    fn replaced(&self) -> usize {
        self.files(&replaced(&self.warehouse.table(&self.table))).len()
    }
}

fn begin() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

#[test]
fn row_groups_that_are_large_are_copied_as_they_are() {
    for scratch in [Scratch::on_disk(), Scratch::in_memory()] {
        let groups = |rows: i64| {
            for number in 0..16 {
                scratch.flush_rows(rows, &format!("s{rows}"), number, begin());
            }
            scratch.compact(SystemTime::now() + 2 * DAY);
            let name = format!("live-s{rows}-0-15-all.parquet");
            let files = scratch.files(&scratch.warehouse.table(&scratch.table));
            let mut merged = files.iter().filter(|f| f.location.filename() == Some(&name));
            let footed = scratch.warehouse.footed(&merged.next().unwrap().location);
            let footed = scratch.runtime.block_on(footed).unwrap();
            (footed.metadata().num_row_groups(), footed.metadata().file_metadata().num_rows())
        };
        assert_eq!(groups(16_384), (16, 16 * 16_384));
        assert_eq!(groups(3000), (1, 16 * 3000));
        scratch.holds(16 * 16_384 + 16 * 3000);
    }
}

/// Two days of flushes of a few rows each: a two-hundredth of those of a stream that writes two a second, or as
/// many a day as `CLICKMILL_FLUSHES_A_DAY` says. All of them, 172800, take minutes, and less with `TMPDIR` in
/// memory.
#[test]
fn two_days_of_small_flushes_are_few_files() {
    let flushes = std::env::var("CLICKMILL_FLUSHES_A_DAY");
    let flushes: usize = flushes.map_or(864, |flushes| flushes.parse().unwrap());
    for scratch in [Scratch::on_disk(), Scratch::in_memory()] {
        for number in 0..2 * flushes {
            let day = begin() + (number / flushes) as u32 * DAY;
            scratch.flush("s1", number as u64, day);
        }
        let rows = 6 * flushes;
        assert_eq!(scratch.holds(rows), 2 * flushes);
        let now = SystemTime::now();
        let plan = scratch.runtime.block_on(scratch.warehouse.compactable(&scratch.table, now));
        assert_eq!(plan.unwrap().before, 2 * flushes);
        let done = scratch.compact(now);
        assert_eq!(done.before, 2 * flushes);
        assert_eq!(done.after, scratch.holds(rows));
        assert!(done.after <= 2 * 100, "{done:?}");
        // Nothing is left that other tools would read twice, and what was replaced goes after an hour.
        assert_eq!(scratch.in_table(), done.after);
        assert!(scratch.replaced() >= 2 * flushes - done.after);
        assert_eq!(scratch.compact(now).merged, 0);
        let removed = scratch.compact(SystemTime::now() + 2 * GRACE).removed;
        assert!(removed >= 2 * flushes - done.after, "{removed}");
        assert_eq!((scratch.holds(rows), scratch.replaced()), (done.after, 0));
    }
}

#[test]
fn killed_at_any_step_the_rows_are_the_same_and_the_next_one_goes_on() {
    for scratch in [Scratch::on_disk(), Scratch::in_memory()] {
        let _living = scratch.warehouse.claim("s1").unwrap();
        for number in 0..17 {
            scratch.flush("s1", number, begin());
        }
        let files = scratch.runtime.block_on(scratch.warehouse.files(&scratch.table)).unwrap();
        let merge = plan(&files, &|_| Settled::Before(16)).remove(0);
        // Before it is published.
        let (staged, rows) =
            scratch.warehouse.copy(scratch.runtime.handle(), &merge, &|| true).unwrap().unwrap();
        assert_eq!((rows, scratch.holds(51)), (48, 17));
        scratch.runtime.block_on(staged.publish_once(&merge.to)).unwrap();
        assert_eq!((scratch.in_table(), scratch.holds(51)), (18, 2));
        // After each file that is moved.
        for (moved, file) in merge.from.iter().enumerate().take(9) {
            let now = SystemTime::now();
            scratch.runtime.block_on(scratch.warehouse.retire(&file.location, now)).unwrap();
            assert_eq!((scratch.in_table(), scratch.holds(51)), (17 - moved, 2));
        }
        assert_eq!(scratch.compact(SystemTime::now()).merged, 0);
        assert_eq!((scratch.in_table(), scratch.holds(51)), (2, 2));
        // Published again by a try whose answer was lost: it is what it was.
        scratch.flush("s1", 3, begin());
        assert_eq!(scratch.holds(51), 2);
        scratch.compact(SystemTime::now());
        assert_eq!((scratch.in_table(), scratch.holds(51)), (2, 2));
    }
}

#[test]
fn what_cannot_be_moved_keeps_nothing_else_from_being_merged() {
    let scratch = Scratch::on_disk();
    let compact = || {
        let (runtime, now) = (scratch.runtime.handle(), SystemTime::now());
        scratch.warehouse.compact(runtime, &scratch.table, now, None, &|| true)
    };
    let table = scratch.warehouse.table(&scratch.table);
    scratch.flush("s1", 0, begin());
    scratch.flush("s1", 1, begin());
    // A folder is where they are to be moved to.
    for file in scratch.files(&table) {
        let way = scratch.warehouse.on_disk(&replaced(&file.location)).unwrap();
        std::fs::create_dir_all(way.join("in the way")).unwrap();
    }
    assert!(compact().is_err());
    scratch.flush("s2", 0, begin());
    scratch.flush("s2", 1, begin());
    // It is told all the same.
    assert!(compact().is_err());
    let files = scratch.files(&table);
    let mut names = files.iter().filter_map(|file| file.location.filename());
    assert!(names.any(|name| name == "live-s2-0-1-all.parquet"), "{files:?}");
    assert_eq!(scratch.holds(12), 2);
}

#[test]
fn whoever_reads_while_others_merge_and_write_sees_each_row_once() {
    for scratch in [Scratch::on_disk(), Scratch::in_memory()] {
        const FLUSHES: u64 = 400;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let now = SystemTime::now();
                        let runtime = scratch.runtime.handle();
                        scratch
                            .warehouse
                            .compact(runtime, &scratch.table, now, None, &|| true)
                            .unwrap();
                    }
                });
            }
            let reading = scope.spawn(|| {
                let mut most = 0;
                while !over.load(Ordering::SeqCst) {
                    let (seen, _) = scratch.seen();
                    assert!(seen.values().all(|times| *times == 1), "a row is seen twice");
                    assert!(seen.len() >= most, "rows are gone");
                    most = seen.len();
                }
            });
            // A living session, as far as its lock and age tell.
            let claim = scratch.warehouse.claim("s1").unwrap();
            for number in 0..FLUSHES {
                scratch.flush("s1", number, begin());
            }
            over.store(true, Ordering::SeqCst);
            reading.join().unwrap();
            drop(claim);
        });
        scratch.compact(SystemTime::now());
        assert!(scratch.holds(3 * FLUSHES as usize) <= 40);
    }
}

#[test]
fn a_session_is_over_when_its_lock_is_free_or_long_after_its_last_file() {
    let scratch = Scratch::on_disk();
    for session in ["s1", "0123456789abcdef"] {
        for number in 0..5 {
            scratch.flush(session, number, begin());
        }
    }
    let claim = scratch.warehouse.claim("s1").unwrap().unwrap();
    assert_eq!(scratch.compact(SystemTime::now()).merged, 0);
    drop(claim);
    // A killed process leaves the file, and no lock.
    std::fs::write(scratch.warehouse.claim_file("s1").unwrap(), "").unwrap();
    assert_eq!(scratch.compact(SystemTime::now()).merged, 5);
    assert_eq!(scratch.compact(SystemTime::now() + 2 * SILENT_BEFORE).merged, 5);
    assert_eq!(scratch.holds(30), 2);

    let scratch = Scratch::in_memory();
    for number in 0..5 {
        scratch.flush("s1", number, begin());
    }
    assert_eq!(scratch.compact(SystemTime::now() + SILENT / 2).merged, 0);
    assert_eq!(scratch.compact(SystemTime::now() + 2 * SILENT).merged, 5);
    assert_eq!(scratch.holds(15), 1);
}

#[test]
fn a_column_that_some_files_lack_is_kept() {
    let scratch = Scratch::on_disk();
    for number in 0..16 {
        scratch.flush("s1", number, begin());
    }
    // The last ones have one more.
    let ids = StringArray::from(vec!["s1x"]);
    let more = Int64Array::from(vec![7]);
    let rows = RecordBatch::try_from_iter([
        ("message_id", Arc::new(ids) as arrow::array::ArrayRef),
        ("more", Arc::new(more)),
    ]);
    let bytes = scratch.warehouse.parquet(&rows.unwrap()).unwrap();
    let flushes = Flushes { session: "s1".to_owned(), first: 16, last: 16 };
    let day = scratch.warehouse.day(&scratch.table, &date(begin()));
    let path = flushes.in_table(&day, &bytes);
    scratch.runtime.block_on(scratch.warehouse.put_once(&path, bytes)).unwrap();
    assert_eq!(scratch.compact(SystemTime::now()).merged, 17);
    assert_eq!(scratch.holds(49), 1);
    let file = &scratch.files(&scratch.warehouse.table(&scratch.table))[0];
    let reader = scratch.runtime.block_on(scratch.warehouse.reader(&file.location)).unwrap();
    let sum: i64 = reader
        .build()
        .unwrap()
        .map(|rows| {
            let rows = rows.unwrap();
            let more = rows.column_by_name("more").unwrap().as_primitive::<Int64Type>();
            more.iter().flatten().sum::<i64>()
        })
        .sum();
    assert_eq!(sum, 7);
}

#[test]
fn told_to_stop_it_stops_at_the_next_step_and_the_next_one_goes_on() {
    for scratch in [Scratch::on_disk(), Scratch::in_memory()] {
        for number in 0..16 {
            scratch.flush("s1", number, begin());
        }
        let (now, runtime) = (SystemTime::now(), scratch.runtime.handle());
        for steps in 0.. {
            let (left, refused) = (AtomicU32::new(steps), AtomicU32::new(0));
            let goes_on = || {
                if left.load(Ordering::SeqCst) > 0 {
                    left.fetch_sub(1, Ordering::SeqCst);
                    return true;
                }
                refused.fetch_add(1, Ordering::SeqCst);
                false
            };
            let ended = Some("s1");
            scratch.warehouse.compact(runtime, &scratch.table, now, ended, &goes_on).unwrap();
            scratch.holds(48);
            // Who knows nothing of what is replaced sees each row once too.
            let in_table = scratch.in_table();
            assert!([16, 1].contains(&in_table), "{in_table} files after {steps} steps");
            // Whatever it is at asks, and then nothing goes on.
            assert!(refused.load(Ordering::SeqCst) <= 3, "{refused:?} after {steps} steps");
            if refused.load(Ordering::SeqCst) == 0 {
                assert!(steps > 16, "{steps} steps");
                break;
            }
        }
        assert_eq!((scratch.in_table(), scratch.holds(48)), (1, 1));
    }
}

#[test]
fn records_of_files_are_merged_field_by_field() {
    let schema = |fields: &str| {
        let text = format!(
            r#"[{{"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [{fields}]}}]"#
        );
        TableSchema::parse(&text, std::path::Path::new("t.json")).unwrap().arrow()
    };
    let sku = r#"{"name": "sku", "type": "STRING", "mode": "REQUIRED"}"#;
    let before = schema(sku);
    let now = schema(&format!(
        r#"{sku}, {{"name": "note", "type": "JSON"}}, {{"name": "tags", "type": "STRING", "mode": "REPEATED"}}"#
    ));
    let merged = Arc::new(with_columns_of(&before, &now).unwrap());
    assert_eq!(*merged, *now);
    assert_eq!(with_columns_of(&now, &before).unwrap(), *now);
    let number = schema(r#"{"name": "sku", "type": "INTEGER", "mode": "REQUIRED"}"#);
    assert_eq!(with_columns_of(&now, &number), None);
    let DataType::List(item) = before.field(0).data_type().clone() else { panic!("a list") };
    let DataType::Struct(fields) = item.data_type().clone() else { panic!("a record") };
    let skus: arrow::array::ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let items = arrow::array::StructArray::new(fields, vec![skus], None);
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0, 1]);
    let lists = arrow::array::ListArray::new(item, offsets, Arc::new(items), None);
    let rows = RecordBatch::try_new(before, vec![Arc::new(lists)]).unwrap();
    // The rows behind the first.
    let rows = widened(&rows.slice(1, 2), &merged).unwrap();
    let items = rows.column(0).as_list::<i32>();
    assert_eq!(items.value_offsets(), [0, 0, 1]);
    let items = items.values().as_struct();
    assert_eq!(items.column(0).as_string::<i32>().value(0), "c");
    assert_eq!(
        (items.column(1).is_null(0), items.column(2).as_list::<i32>().value_length(0)),
        (true, 0)
    );
}
