use std::path::PathBuf;

use arrow::array::{AsArray, Int64Array, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use object_store::memory::InMemory;
use parquet::basic::Encoding;
use tokio::runtime::Runtime;

use super::*;
use clickmill_core::schema::TableSchema;
use clickmill_core::{Digest, Fault, Micros};
use clickmill_tables::ledger::replay;

/// One table of a load: its name and columns.
type Target = (TableName, SchemaRef);

const SCHEMA: &str = r#"[{"name": "n", "type": "INTEGER", "mode": "REQUIRED"}]"#;
const ID: &str = "00c0ffee00c0ffee";

struct Scratch {
    runtime: Runtime,
    warehouse: Warehouse,
    rows: Target,
    route: Target,
    letters: Target,
    attempts: Target,
    folder: tempfile::TempDir,
}

impl Scratch {
    fn on_disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = TableSchema::parse(SCHEMA, std::path::Path::new("t.json")).unwrap();
        let target = |table: &str| {
            let table = TableName { dataset: "d".to_owned(), table: table.to_owned() };
            (table, schema.arrow())
        };
        Self {
            runtime: Runtime::new().unwrap(),
            warehouse: Warehouse::open(&folder.path().to_string_lossy()).unwrap(),
            rows: target("t"),
            route: target("route"),
            letters: target("letters"),
            attempts: target("attempts"),
            folder,
        }
    }

    /// What a store without locks is like.
    fn in_memory() -> Self {
        let scratch = Self::on_disk();
        let store = Arc::new(InMemory::new());
        let warehouse = Warehouse { store, disk: None, ..scratch.warehouse.clone() };
        Self { warehouse, ..scratch }
    }

    fn begin(&self) -> Option<Begun> {
        let runtime = self.runtime.handle();
        let [rows, route, dead_letters, attempts] =
            [&self.rows, &self.route, &self.letters, &self.attempts].map(Clone::clone);
        let attempts = Some(attempts);
        let targets = Targets { rows, routes: vec![route], dead_letters, attempts };
        Load::begin(&self.warehouse, runtime, ID, &targets).unwrap()
    }

    /// A load with a row, a letter and an attempt of this number.
    fn load(&self, n: i64) -> Box<Load> {
        let Some(Begun::Load(mut load)) = self.begin() else { panic!("no load begins") };
        self.fill(&mut load, n);
        load
    }

    fn fill(&self, load: &mut Load, n: i64) {
        let column = Arc::new(Int64Array::from(vec![n]));
        let rows = RecordBatch::try_new(self.rows.1.clone(), vec![column]).unwrap();
        load.write([&rows, &rows]).unwrap();
        load.write_dead_letters(&rows).unwrap();
        load.write_attempts(&rows).unwrap();
    }

    fn commit(&self, load: Box<Load>) -> Committed {
        load.commit(self.runtime.handle(), &self.entry()).unwrap()
    }

    fn entry(&self) -> Entry {
        Entry {
            load_id: ID.to_owned(),
            pipeline: "p".to_owned(),
            table: self.rows.0.clone(),
            source: "file:///a.csv@1".to_owned(),
            bytes: 1,
            rows_in: 2,
            rows_out: 1,
            rows_rejected: 1,
            rows_filtered: 0,
            plugin_set: Digest::default(),
            started_at: i64::from(rand::random::<u32>()).into(),
            finished_at: Micros::default(),
        }
    }

    /// The numbers in a table.
    fn found(&self, table: &TableName) -> Vec<i64> {
        let warehouse = &self.warehouse;
        self.runtime.block_on(async {
            let mut numbers = Vec::new();
            for file in warehouse.list(&warehouse.table(table)).await.unwrap() {
                let reader = warehouse.reader(&file.location).await.unwrap();
                for batch in reader.build().unwrap() {
                    let batch = batch.unwrap();
                    let column = batch.column(0).as_primitive::<Int64Type>();
                    numbers.extend_from_slice(column.values());
                }
            }
            numbers
        })
    }

    #[track_caller]
    fn holds(&self, numbers: &[i64]) {
        for (table, _) in [&self.rows, &self.route, &self.letters, &self.attempts] {
            assert_eq!(self.found(table), numbers, "{table}");
        }
    }

    #[track_caller]
    fn is_loaded_already(&self) {
        assert!(matches!(self.begin(), Some(Begun::LoadedAlready)));
    }

    /// What is in the staging folder.
    fn staged(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.folder.path().join(STAGING));
        folder.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    /// What a run leaves that is killed: staged files, and the file of its claim.
    fn leave(&self) {
        let staging = self.folder.path().join(STAGING);
        std::fs::create_dir_all(staging.join(ID)).unwrap();
        std::fs::write(staging.join(ID).join("rows.parquet#1"), "half").unwrap();
        std::fs::write(staging.join(format!("{ID}.lock")), "").unwrap();
    }
}

#[test]
fn on_a_disk_one_at_a_time_loads_an_object() {
    let scratch = Scratch::on_disk();
    let first = scratch.load(1);
    assert!(scratch.begin().is_none());
    first.abandon(scratch.runtime.handle());
    let second = scratch.load(2);
    assert!(scratch.begin().is_none());
    // An error on the way.
    drop(second);
    let third = scratch.load(3);
    assert!(scratch.begin().is_none());
    scratch.holds(&[]);
    assert_eq!(scratch.commit(third), Committed::Now);
    scratch.is_loaded_already();
    scratch.holds(&[3]);
    assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
}

#[test]
fn what_a_killed_run_has_published_without_an_entry_is_removed() {
    // Letters are published first, then the rows of each table, then attempts: it may be killed after any of them.
    for killed_after in 0..=4 {
        let scratch = Scratch::on_disk();
        let day =
            |table: &str| scratch.folder.path().join("d").join(table).join("load_date=2026-11-24");
        let tables = &["letters", "t", "route", "attempts"][..killed_after];
        for table in tables {
            std::fs::create_dir_all(day(table)).unwrap();
            std::fs::write(day(table).join(format!("{ID}.parquet")), "whole").unwrap();
            std::fs::write(day(table).join("another.parquet"), "whole").unwrap();
        }
        scratch.leave();
        let load = scratch.load(1);
        for table in tables {
            assert!(!day(table).join(format!("{ID}.parquet")).exists(), "{table}");
            std::fs::remove_file(day(table).join("another.parquet")).unwrap();
        }
        assert_eq!(scratch.commit(load), Committed::Now);
        scratch.holds(&[1]);
        assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
    }
}

#[test]
fn what_a_killed_run_has_published_goes_from_tables_that_nobody_names_any_more() {
    let scratch = Scratch::on_disk();
    let gone = TableName { dataset: "d".to_owned(), table: "gone".to_owned() };
    let published = |table: &str| {
        let day = scratch.folder.path().join("d").join(table).join("load_date=2026-11-24");
        std::fs::create_dir_all(&day).unwrap();
        let file = day.join(format!("{ID}.parquet"));
        std::fs::write(&file, "whole").unwrap();
        file
    };
    let leave = || {
        let left = ["t", "gone", "unlisted"].map(published);
        scratch.leave();
        scratch.warehouse.list_tables(ID, &scratch.rows.0, [&gone]).unwrap();
        left
    };
    let there = |left: &[PathBuf; 3]| left.each_ref().map(|file| file.exists());
    // By the next run at the object …
    let left = leave();
    let load = scratch.load(1);
    assert_eq!(there(&left), [false, false, true]);
    drop(load);
    // … or by whoever clears up.
    let left = leave();
    scratch.runtime.block_on(scratch.warehouse.sweep(SystemTime::now())).unwrap();
    assert_eq!(there(&left), [false, false, true]);
    assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
    // Without a list, from all.
    let unlisted = || {
        let left = ["t", "gone", "unlisted"].map(published);
        scratch.leave();
        left
    };
    let left = unlisted();
    let load = scratch.load(1);
    assert_eq!(there(&left), [false; 3]);
    drop(load);
    let left = unlisted();
    scratch.runtime.block_on(scratch.warehouse.sweep(SystemTime::now())).unwrap();
    assert_eq!(there(&left), [false; 3]);
    assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
    // Not where the load has happened.
    scratch.commit(scratch.load(2));
    let left = unlisted();
    scratch.runtime.block_on(scratch.warehouse.sweep(SystemTime::now())).unwrap();
    assert_eq!(there(&left), [true; 3]);
    let left = leave();
    scratch.runtime.block_on(scratch.warehouse.sweep(SystemTime::now())).unwrap();
    assert_eq!(there(&left), [true; 3]);
    assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
}

#[test]
fn what_a_killed_run_has_published_and_cannot_be_removed_is_told() {
    let scratch = Scratch::on_disk();
    scratch.leave();
    scratch.warehouse.list_tables(ID, &scratch.rows.0, []).unwrap();
    // No file can be removed here.
    let day = scratch.folder.path().join("d/t/load_date=2026-11-24");
    std::fs::create_dir_all(day.join(format!("{ID}.parquet"))).unwrap();
    let sweep = || scratch.runtime.block_on(scratch.warehouse.sweep(SystemTime::now()));
    let error = clickmill_core::causes(&sweep().unwrap_err());
    assert!(error.contains("load_date=2026-11-24"), "{error}");
    // What tells of it stays until it can.
    std::fs::remove_dir_all(&day).unwrap();
    sweep().unwrap();
    assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
}

#[test]
fn what_has_an_entry_stays_and_what_a_killed_run_left_beside_it_goes() {
    let scratch = Scratch::on_disk();
    scratch.commit(scratch.load(1));
    scratch.leave();
    scratch.is_loaded_already();
    assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
    // Whoever only asks the ledger clears up too, unless a run is at its end.
    scratch.leave();
    let claim = scratch.warehouse.claim(ID).unwrap().unwrap();
    let ask = || scratch.runtime.block_on(scratch.warehouse.is_loaded(ID, &scratch.rows.0));
    assert!(ask().unwrap());
    assert_eq!(scratch.staged().len(), 2);
    drop(claim);
    scratch.leave();
    assert!(ask().unwrap());
    assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
    scratch.holds(&[1]);
}

#[test]
fn of_many_at_once_on_a_disk_one_commits() {
    let scratch = Scratch::on_disk();
    let committed: Vec<i64> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6)
            .map(|n| {
                let scratch = &scratch;
                scope.spawn(move || {
                    let mut fails = true;
                    loop {
                        let mut load = match scratch.begin() {
                            None => {
                                std::thread::yield_now();
                                continue;
                            }
                            Some(Begun::LoadedAlready) => return None,
                            Some(Begun::Load(load)) => load,
                        };
                        scratch.fill(&mut load, n);
                        if !std::mem::replace(&mut fails, false) {
                            assert_eq!(scratch.commit(load), Committed::Now);
                            return Some(n);
                        }
                        if n % 2 == 0 {
                            load.abandon(scratch.runtime.handle());
                        } else {
                            drop(load);
                        }
                    }
                })
            })
            .collect();
        runs.into_iter().filter_map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(committed.len(), 1, "{committed:?}");
    scratch.holds(&committed);
    assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
}

#[test]
fn of_many_at_once_without_locks_one_commits() {
    let scratch = Scratch::in_memory();
    // All have begun before the first one commits.
    let loads: Vec<(i64, Box<Load>)> = (0..6).map(|n| (n, scratch.load(n))).collect();
    let committed: Vec<i64> = std::thread::scope(|scope| {
        let runs: Vec<_> = loads
            .into_iter()
            .map(|(n, load)| {
                let scratch = &scratch;
                scope.spawn(move || (scratch.commit(load) == Committed::Now).then_some(n))
            })
            .collect();
        runs.into_iter().filter_map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(committed.len(), 1, "{committed:?}");
    scratch.holds(&committed);
    scratch.is_loaded_already();
}

#[test]
fn without_locks_a_load_that_is_given_up_is_loaded_by_another() {
    let scratch = Scratch::in_memory();
    let (first, second) = (scratch.load(1), scratch.load(2));
    first.abandon(scratch.runtime.handle());
    assert_eq!(scratch.commit(second), Committed::Now);
    scratch.holds(&[2]);
    scratch.is_loaded_already();
}

#[test]
fn without_locks_a_replay_takes_no_file_for_its_own_whose_entry_is_gone() {
    let scratch = Scratch::in_memory();
    let replayed = |n| {
        let entry = Entry { source: replay(0), ..scratch.entry() };
        scratch.load(n).commit(scratch.runtime.handle(), &entry).unwrap()
    };
    assert_eq!(replayed(1), Committed::Now);
    let entry = scratch.warehouse.ledger_path(ID, &scratch.rows.0);
    scratch.runtime.block_on(scratch.warehouse.store.delete(&entry)).unwrap();
    assert_eq!(replayed(2), Committed::Now);
    scratch.is_loaded_already();
    for (table, _) in [&scratch.rows, &scratch.route, &scratch.letters, &scratch.attempts] {
        let mut found = scratch.found(table);
        found.sort_unstable();
        assert_eq!(found, [1, 2], "{table}");
    }
}

#[test]
fn attempts_that_have_no_table_are_an_error() {
    let scratch = Scratch::on_disk();
    let [rows, dead_letters] = [&scratch.rows, &scratch.letters].map(Clone::clone);
    let targets = Targets { rows, routes: Vec::new(), dead_letters, attempts: None };
    let begun = Load::begin(&scratch.warehouse, scratch.runtime.handle(), ID, &targets);
    let Ok(Some(Begun::Load(mut load))) = begun else { panic!("no load begins") };
    let attempts = RecordBatch::new_empty(scratch.attempts.1.clone());
    assert_eq!(load.write_attempts(&attempts).unwrap_err().fault(), Fault::Bug);
}

#[test]
fn what_cannot_be_entered_is_not_seen() {
    let scratch = Scratch::on_disk();
    // No entry can be made here.
    let entry = scratch.folder.path().join(format!("d/load_ledger/{ID}.parquet"));
    std::fs::create_dir_all(&entry).unwrap();
    let load = scratch.load(1);
    assert!(load.commit(scratch.runtime.handle(), &scratch.entry()).is_err());
    scratch.holds(&[]);
    assert_eq!(scratch.staged(), [] as [PathBuf; 0]);
    std::fs::remove_dir(&entry).unwrap();
    assert_eq!(scratch.commit(scratch.load(2)), Committed::Now);
    scratch.holds(&[2]);
}

#[test]
fn numbers_that_go_by_steps_are_written_so_and_come_back() {
    let columns = r#"[
        {"name": "source_line", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "record_index", "type": "INTEGER", "mode": "NULLABLE"},
        {"name": "ingested_at", "type": "TIMESTAMP", "mode": "REQUIRED"},
        {"name": "publish_time", "type": "TIMESTAMP", "mode": "NULLABLE"}
    ]"#;
    let mut scratch = Scratch::on_disk();
    scratch.rows.1 = TableSchema::parse(columns, std::path::Path::new("t.json")).unwrap().arrow();
    // More than a row group, by steps that are small, none, and too large to be told.
    let lines: Vec<i64> =
        (0..300_000).map(|n| if n % 1000 == 7 { i64::MIN + n } else { n }).collect();
    let some = |n: &i64| (n % 3 > 0).then_some(n % 5);
    let times = |times: TimestampMicrosecondArray| Arc::new(times.with_timezone("UTC"));
    let now = TimestampMicrosecondArray::from_value(1_700_000_000_000_000, lines.len());
    let published = lines.iter().map(|n| some(n).map(|n| n * 1_000_003)).collect();
    let indexes: Int64Array = lines.iter().map(some).collect();
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(Int64Array::from(lines)), Arc::new(indexes), times(now), times(published)];
    let rows = RecordBatch::try_new(scratch.rows.1.clone(), columns).unwrap();
    let Some(Begun::Load(mut load)) = scratch.begin() else { panic!("no load begins") };
    for at in (0..rows.num_rows()).step_by(7000) {
        load.write([&rows.slice(at, 7000.min(rows.num_rows() - at))]).unwrap();
    }
    scratch.commit(load);
    let warehouse = &scratch.warehouse;
    let reader = scratch.runtime.block_on(async {
        let files = warehouse.list(&warehouse.table(&scratch.rows.0)).await.unwrap();
        warehouse.reader(&files[0].location).await.unwrap()
    });
    let groups = reader.metadata().row_groups().to_vec();
    assert_eq!(groups.len(), 2);
    for column in groups.iter().flat_map(|group| group.columns()) {
        let encodings: Vec<Encoding> = column.encodings().collect();
        assert!(encodings.contains(&Encoding::DELTA_BINARY_PACKED), "{encodings:?}");
        assert_eq!(column.dictionary_page_offset(), None);
    }
    let found: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(concat_batches(&rows.schema(), &found).unwrap(), rows);
}

#[test]
fn rows_and_letters_are_not_published_behind_a_link_of_another_user() {
    for table in ["t", "route", "letters", "attempts"] {
        let scratch = Scratch::on_disk();
        let victim = tempfile::tempdir().unwrap();
        let table = scratch.folder.path().join("d").join(table);
        std::fs::create_dir_all(&table).unwrap();
        let link = table.join(format!("load_date={}", date(SystemTime::now())));
        std::os::unix::fs::symlink(victim.path(), &link).unwrap();
        // Others' links are made by root alone.
        if std::os::unix::fs::lchown(&link, Some(12_345), None).is_err() {
            return;
        }
        let committed = scratch.load(1).commit(scratch.runtime.handle(), &scratch.entry());
        let error = clickmill_core::causes(&committed.unwrap_err());
        assert!(error.contains("is a link of another user"), "{error}");
        assert_eq!(std::fs::read_dir(victim.path()).unwrap().count(), 0);
        // It has not happened.
        std::fs::remove_file(link).unwrap();
        scratch.commit(scratch.load(2));
        scratch.holds(&[2]);
    }
}

#[test]
fn what_is_no_file_where_a_load_lists_its_tables_is_not_read() {
    let scratch = Scratch::on_disk();
    let staging = scratch.folder.path().join(STAGING);
    let list = |id: &str| {
        std::fs::create_dir_all(staging.join(id)).unwrap();
        staging.join(id).join("tables.json")
    };
    for id in [ID, "piped"] {
        let made = std::process::Command::new("mkfifo").arg(list(id)).status().unwrap();
        assert!(made.success());
    }
    std::os::unix::fs::symlink("/dev/zero", list("endless")).unwrap();
    let large = std::fs::File::create(list("large")).unwrap();
    large.set_len(1 << 40).unwrap();
    scratch.runtime.block_on(scratch.warehouse.sweep(SystemTime::now())).unwrap();
    list(ID);
    std::process::Command::new("mkfifo").arg(list(ID)).status().unwrap();
    scratch.commit(scratch.load(1));
    scratch.holds(&[1]);
    assert!(!staging.join("endless").exists());
}
