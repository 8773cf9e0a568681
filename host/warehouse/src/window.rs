//! The keys of the rows that a stream wrote lately, so that a row that comes again is dropped.
//!
//! How long ago "lately" was depends on the rate alone: a million keys are 33 minutes at 500 rows a
//! second, and 50 seconds at 20,000.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, new_null_array};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::nullif;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use object_store::Error;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::errors::ParquetError;

use super::flushes::{Flushes, is_logged};
use super::stored::MAX_KEYS_BYTES;
use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::schema::provenance::RECORD_INDEX;
use clickmill_core::{Micros, causes};

/// Keys that are remembered, at most: 16 bytes each, 52 MB with what finds them.
pub(super) const MOST_KEYS: usize = 1_000_000;
/// What the keys of a file may have in memory, one batch after the other: a kilobyte for each that is remembered.
const MAX_BYTES: usize = 1 << 30;
/// Files older than that are not read back at the start.
const AGE: Duration = Duration::from_secs(30 * 60);

/// The columns whose values tell a row that comes again.
#[derive(Debug)]
pub(super) struct Key {
    fields: Vec<FieldRef>,
    converter: RowConverter,
}

impl Key {
    /// Those of these columns that the table has. `None` where it lacks the first.
    pub(crate) fn of(schema: &SchemaRef, columns: &[&str]) -> Result<Option<Self>, ArrowError> {
        let has = |name: &&str| schema.column_with_name(name).is_some();
        if !columns.first().is_some_and(has) {
            return Ok(None);
        }
        let field = |name: &&str| schema.column_with_name(name).map(|(at, _)| at);
        let fields = columns.iter().filter_map(field);
        let fields: Vec<FieldRef> = fields.map(|at| schema.fields()[at].clone()).collect();
        let sorted = fields.iter().map(|field| SortField::new(field.data_type().clone()));
        let converter = RowConverter::new(sorted.collect())?;
        Ok(Some(Self { fields, converter }))
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name().as_str())
    }

    /// How many rows have none.
    pub(crate) fn missing(&self, rows: &RecordBatch) -> usize {
        let first = self.columns().next().and_then(|name| rows.column_by_name(name));
        first.map_or(rows.num_rows(), |keys| keys.null_count())
    }

    /// A digest per row: none where the first of the columns is null. Columns that these rows lack are
    /// null: they were written before the table had them. Such a row is the first of its record, so that
    /// place is told as null too.
    pub(crate) fn digests(&self, rows: &RecordBatch) -> Result<Vec<Option<u128>>, ArrowError> {
        let column = |field: &FieldRef| -> Result<ArrayRef, ArrowError> {
            let column = rows.column_by_name(field.name()).cloned();
            let column =
                column.unwrap_or_else(|| new_null_array(field.data_type(), rows.num_rows()));
            if field.name() == RECORD_INDEX { first_is_null(&column) } else { Ok(column) }
        };
        let columns: Vec<ArrayRef> =
            self.fields.iter().map(column).collect::<Result<_, ArrowError>>()?;
        let values = self.converter.convert_columns(&columns)?;
        let digest = |(row, value): (usize, arrow::row::Row<'_>)| {
            columns[0].is_valid(row).then(|| digest(value.as_ref()))
        };
        Ok(values.iter().enumerate().map(digest).collect())
    }
}

/// Keys by digest, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    seen: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Window {
    /// Which of these keys are new: neither in the window nor in `fresh`, to which they are added. A
    /// row without one is always new.
    pub(crate) fn unseen(&self, keys: &[Option<u128>], fresh: &mut Fresh) -> Vec<bool> {
        let new = |key: &Option<u128>| match key {
            Some(digest) => !self.seen.contains(digest) && fresh.insert(*digest),
            None => true,
        };
        keys.iter().map(new).collect()
    }

    /// Adds keys whose rows are durable.
    pub(crate) fn add(&mut self, fresh: Fresh) {
        for digest in fresh {
            if self.seen.insert(digest) {
                self.order.push_back(digest);
            }
        }
        while self.order.len() > MOST_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}

/// Digests of keys that are being written.
pub(super) type Fresh = HashSet<u128>;

/// Places of rows in their records, the first as null.
fn first_is_null(places: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let zero = Int64Array::new_scalar(0);
    nullif(places, &eq(places, &zero)?)
}

fn digest(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(key).as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

impl Warehouse {
    /// Reads back the keys of the files that a stream has written lately, the newest first.
    pub(super) async fn read_window(
        &self,
        table: &TableName,
        key: &Key,
        window: &mut Window,
    ) -> Result<(), WarehouseError> {
        let mut files = self.files(table).await?;
        files.retain(|file| Flushes::of(&file.location).is_some());
        files.retain(|file| age_of(file.last_modified.timestamp_millis()) < AGE);
        files.sort_by_key(|file| std::cmp::Reverse(file.last_modified));
        let mut newest_first = Vec::new();
        for file in files {
            if newest_first.len() >= MOST_KEYS {
                break;
            }
            let path = &file.location;
            match self.keys_in(path, key).await {
                Ok(keys) => newest_first.extend(keys),
                // A stream is to start all the same. At worst rows come twice that it might have known.
                Err(WarehouseError::Parquet { source, .. }) if is_logged(path) => {
                    self.set_aside(path, &causes(&source)).await?;
                }
                Err(error @ WarehouseError::Parquet { .. }) => {
                    let (error, file) = (causes(&error), path.as_ref());
                    tracing::warn!(error, file, "the keys of a damaged file are not known");
                }
                // It was merged, or is too old to be kept.
                Err(WarehouseError::Store { source: Error::NotFound { .. }, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        for digest in newest_first.into_iter().take(MOST_KEYS).rev() {
            if window.seen.insert(digest) {
                window.order.push_back(digest);
            }
        }
        Ok(())
    }

    /// The keys of a file's rows.
    async fn keys_in(&self, path: &Path, key: &Key) -> Result<Vec<u128>, WarehouseError> {
        let failed = |source| self.unread(path, source);
        let columns = |schema: &_| ProjectionMask::columns(schema, key.columns());
        let reader = self.reader_within(path, MAX_KEYS_BYTES, columns).await?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        for batch in reader.build().map_err(failed)? {
            let batch = batch.map_err(|error| failed(error.into()))?;
            bytes += batch.get_array_memory_size();
            if bytes > MAX_BYTES {
                let what = format!("its keys have more than {MAX_BYTES} bytes");
                return Err(failed(ParquetError::General(what)));
            }
            let keys = key.digests(&batch).map_err(|error| failed(error.into()))?;
            found.extend(keys.into_iter().flatten());
            // Who is told to stop meanwhile stops.
            tokio::task::yield_now().await;
        }
        Ok(found)
    }
}

/// How long ago that was.
fn age_of(millis: i64) -> Duration {
    let now = Micros::now().get() / 1000;
    Duration::from_millis(u64::try_from(now - millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use clickmill_core::schema::timestamp_type;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("message_id", DataType::Utf8, true),
            Field::new("publish_time", timestamp_type(), true),
        ]))
    }

    /// Messages: ids and when they were published.
    fn messages(messages: &[(Option<&str>, Option<i64>)]) -> RecordBatch {
        let ids: StringArray = messages.iter().map(|(id, _)| *id).collect();
        let times: TimestampMicrosecondArray = messages.iter().map(|(_, time)| *time).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(times.with_timezone("UTC"))];
        RecordBatch::try_new(schema(), columns).expect("a batch")
    }

    #[test]
    fn a_key_is_new_once_and_again_when_it_is_long_gone() {
        let key = Key::of(&schema(), &["message_id"]).expect("a key").expect("has the column");
        let keys = |ids: &[Option<&str>]| {
            let given: Vec<_> = ids.iter().map(|id| (*id, None)).collect();
            key.digests(&messages(&given)).expect("digests")
        };
        let mut window = Window::default();
        let mut fresh = Fresh::new();
        let batch = keys(&[Some("a"), Some("b"), Some("a"), None, None]);
        assert_eq!(window.unseen(&batch, &mut fresh), [true, true, false, true, true]);
        window.add(fresh);
        let mut fresh = Fresh::new();
        let batch = keys(&[Some("b"), Some("c")]);
        assert_eq!(window.unseen(&batch, &mut fresh), [false, true]);
        window.add((0..MOST_KEYS as u128).collect());
        assert_eq!(window.order.len(), MOST_KEYS);
        assert_eq!(window.seen.len(), MOST_KEYS);
        assert_eq!(window.unseen(&batch, &mut Fresh::new()), [true, true]);
    }

    #[test]
    fn rows_of_one_record_are_told_apart_by_their_places() {
        let with_place = |places: Vec<Option<i64>>| {
            let ids: StringArray = places.iter().map(|_| Some("m")).collect();
            let columns: [(&str, ArrayRef); 2] = [
                ("message_id", Arc::new(ids)),
                ("record_index", Arc::new(Int64Array::from(places))),
            ];
            RecordBatch::try_from_iter_with_nullable(
                columns.map(|(name, array)| (name, array, true)),
            )
            .expect("a batch")
        };
        let rows = with_place(vec![Some(0), Some(1), None]);
        let key = Key::of(&rows.schema(), &["message_id", "record_index"]);
        let key = key.expect("a key").expect("has the columns");
        let digests = key.digests(&rows).expect("digests");
        assert_ne!(digests[0], digests[1]);
        assert_eq!(digests[0], digests[2]);
        // A file from before rows had places.
        let old = rows.project(&[0]).expect("a column");
        assert_eq!(key.digests(&old).expect("digests")[0], digests[0]);
    }

    #[test]
    fn a_message_is_known_by_its_id_and_when_it_was_published() {
        let columns = ["message_id", "publish_time"];
        let key = Key::of(&schema(), &columns).expect("a key").expect("has the columns");
        let mut window = Window::default();
        let new = |window: &mut Window, given: &[(Option<&str>, Option<i64>)]| {
            let mut fresh = Fresh::new();
            let keys = key.digests(&messages(given)).expect("digests");
            let new = window.unseen(&keys, &mut fresh);
            window.add(fresh);
            new
        };
        assert_eq!(new(&mut window, &[(Some("1"), Some(10)), (Some("2"), None)]), [true, true]);
        // A topic that counts from 1 again, as an emulator does that is started anew.
        assert_eq!(
            new(&mut window, &[(Some("1"), Some(11)), (Some("1"), Some(10))]),
            [true, false]
        );
        assert_eq!(new(&mut window, &[(Some("2"), None), (None, Some(10))]), [false, true]);
        // A table of other columns.
        let other = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        assert!(Key::of(&other, &columns).expect("no key").is_none());
        // A file from before the table had the column.
        let old = messages(&[(Some("2"), None)]).project(&[0]).expect("a column");
        let keys = key.digests(&old).expect("digests");
        assert_eq!(window.unseen(&keys, &mut Fresh::new()), [false]);
    }

    #[tokio::test]
    async fn keys_that_would_take_much_memory_are_passed_over_and_others_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).expect("a warehouse");
        let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        let key = Key::of(&schema(), &["message_id"]).expect("a key").expect("has the column");
        let long = "x".repeat(MAX_KEYS_BYTES as usize);
        let mut path = Path::ROOT;
        for (session, id) in [("s1", "m"), ("s2", &*long)] {
            path = Path::from(format!("d/t/load_date=2026-11-25/live-{session}-0-5.parquet"));
            let file = warehouse.parquet(&messages(&[(Some(id), None)])).expect("a file");
            warehouse.put_once(&path, file).await.expect("put");
        }
        let error = causes(&warehouse.keys_in(&path, &key).await.expect_err("it is long"));
        assert!(error.contains("a page of column `message_id` becomes"), "{error}");
        let mut window = Window::default();
        warehouse.read_window(&table, &key, &mut window).await.expect("the other one is read");
        assert_eq!(window.order.len(), 1);
    }
}
