//! Merging a stream's small files, while others read and write. Step by step: what if the process is killed
//! right here, what if another does the same now?
//!
//! 1. What is to be merged is planned from the files that hold each row once ([`super::plan`]). Another
//!    may plan the same, or what is within it.
//! 2. The rows are copied to a file in the making. Killed: it is swept.
//! 3. It is published under the name that says which files it replaces, where no file has it. From here
//!    on readers leave those out, also one that has listed them and it. Another that was faster has made
//!    the same file.
//! 4. The files that it replaces are moved out of the table's folder, to `_replaced`, where readers find
//!    them that have listed them before 3. Killed: the next one moves the rest. Tools that know nothing
//!    of this read those rows twice between 3 and the end of 4.
//! 5. After an hour they are removed. A reader that has listed them and not begun to read them by then
//!    has to ask again.
//!
//! A reader lists the table and then `_replaced`. So it finds each file, wherever that is meanwhile, or the
//! one that replaces it, or both.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::errors::ParquetError;
use tokio::runtime::Handle;

use super::file::{Staged, TableFile};
use super::flushes::{Flushes, Held, is_live};
use super::log::widened;
use super::plan::{Merge, Settled, plan};
use super::reading::replaced;
use super::repeats::Repeats;
use super::stored::MAX_PAGE_BYTES;
use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::causes;

/// How long files stay that were replaced: readers that have listed them find them.
const GRACE: Duration = Duration::from_secs(3600);
/// Files that are moved at once. In Cloud Storage each takes two requests.
const AT_ONCE: usize = 16;
/// A session that has written nothing for so long is over, where no lock tells. There its process would
/// begin another one after half of that.
pub(super) const SILENT: Duration = Duration::from_secs(24 * 3600);
/// The same, of sessions of versions that took no claims.
const SILENT_BEFORE: Duration = Duration::from_secs(3600);

/// What was merged, or is to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Files of the table at first.
    pub before: usize,
    /// Files of the table at the end; of a plan, at the end of its first round.
    pub after: usize,
    /// Files that were merged.
    pub merged: usize,
    /// Rows in them.
    pub rows: u64,
    /// Files that were merged before, and are removed now.
    pub removed: usize,
}

impl Warehouse {
    /// How many files a table has, and how many of them are to be merged into how many.
    pub async fn compactable(
        &self,
        table: &TableName,
        now: SystemTime,
    ) -> Result<Compacted, WarehouseError> {
        let settled = self.settled(&self.files(table).await?, now, None);
        let files = self.files(table).await?;
        let merges = plan(&files, &|session| so_far(&settled, session));
        let merged = merges.iter().map(|merge| merge.from.len()).sum();
        let after = files.len() + merges.len() - merged;
        Ok(Compacted { before: files.len(), after, merged, ..Compacted::default() })
    }

    /// Merges a table's small files until none are left that can be, or it is not to go on: that is asked
    /// before each step, as after each of them it may be killed. `None` while another process of this
    /// machine does. Blocks: it belongs on a thread. `ended` is a session that the caller knows to be over.
    pub fn compact(
        &self,
        runtime: &Handle,
        table: &TableName,
        now: SystemTime,
        ended: Option<&str>,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<Compacted>, WarehouseError> {
        let Some(_claim) = self.claim(&format!("compact.{table}"))? else { return Ok(None) };
        runtime.block_on(self.expire(table, now, goes_on))?;
        runtime.block_on(self.pack_left(table, now, goes_on))?;
        // What cannot be moved, such as a file of another user, keeps nothing else from being merged.
        let tidied = runtime.block_on(self.tidy(table, now, goes_on));
        let removed = *tidied.as_ref().unwrap_or(&0);
        let mut done = Compacted { removed, ..Compacted::default() };
        let mut files = runtime.block_on(self.files(table))?;
        done.before = files.len();
        let mut given_up = Vec::new();
        loop {
            let settled = self.settled(&files, now, ended);
            files = runtime.block_on(self.files(table))?;
            done.after = files.len();
            let mut merges = plan(&files, &|session| so_far(&settled, session));
            // What could not be merged is not tried again at once.
            merges.retain(|merge| !given_up.contains(&merge.to));
            if merges.is_empty() {
                return tidied.map(|_| Some(done));
            }
            for merge in merges {
                if !goes_on() {
                    return Ok(Some(done));
                }
                match self.merge(runtime, &merge, now, goes_on)? {
                    Some(rows) => {
                        done.rows += rows;
                        done.merged += merge.from.len();
                    }
                    None => given_up.push(merge.to),
                }
            }
        }
    }

    /// How far the sessions of files are settled that were listed before this is asked.
    fn settled(
        &self,
        files: &[ObjectMeta],
        now: SystemTime,
        ended: Option<&str>,
    ) -> HashMap<String, Settled> {
        let mut newest: HashMap<String, (u64, &ObjectMeta)> = HashMap::new();
        for file in files {
            let Some(flushes) = Flushes::of(&file.location) else { continue };
            let (last, of) = newest.entry(flushes.session).or_insert((flushes.last, file));
            *last = flushes.last.max(*last);
            if file.last_modified > of.last_modified {
                *of = file;
            }
        }
        let settled = |(session, (last, newest)): (String, (u64, &ObjectMeta))| {
            let is_over = ended == Some(&*session) || self.is_over(&session, newest, now);
            // The last flush may be tried again, as another file.
            let settled = if is_over { Settled::All } else { Settled::Before(last) };
            (session, settled)
        };
        newest.into_iter().map(settled).collect()
    }

    /// Whether nothing is added to a session any more.
    fn is_over(&self, session: &str, newest: &ObjectMeta, now: SystemTime) -> bool {
        let silence = now.duration_since(newest.last_modified.into()).unwrap_or_default();
        match self.claim_file(session) {
            None => silence > SILENT,
            Some(_) if !session.starts_with('s') => silence > SILENT_BEFORE,
            // Killed, it has left the file, but not the lock.
            Some(file) => !file.exists() || matches!(self.claim(session), Ok(Some(_))),
        }
    }

    /// Moves what is replaced out of the table's folder, and removes what has been so for long.
    async fn tidy(
        &self,
        table: &TableName,
        now: SystemTime,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<usize, WarehouseError> {
        let files = self.list(&self.table(table)).await?;
        let held = Held::by(files.iter().map(|file| &file.location));
        // One that cannot be moved is told, and stops nothing else.
        let mut failed = None;
        for file in files.iter().filter(|file| held.replaces(&file.location)) {
            if !goes_on() {
                return Ok(0);
            }
            if let Err(error) = self.retire(&file.location, now).await {
                failed.get_or_insert(error);
            }
        }
        let mut removed = 0;
        let mut of_table = self.list(&replaced(&self.table(table))).await?;
        of_table.retain(|file| is_live(&file.location));
        let mut of_logs = self.list(&replaced(&self.log(table))).await?;
        of_logs
            .retain(|file| file.location.filename().is_some_and(|name| name.ends_with(".parquet")));
        for file in [of_table, of_logs].concat() {
            let age = now.duration_since(file.last_modified.into());
            if age.is_ok_and(|age| age > GRACE) && goes_on() {
                match self.store.delete(&file.location).await {
                    Ok(()) => removed += 1,
                    Err(Error::NotFound { .. }) => {}
                    Err(source) => {
                        return Err(self.failed(format!("remove `{}`", file.location), source));
                    }
                }
            }
        }
        failed.map_or(Ok(removed), Err)
    }

    /// Moves a file that is replaced to where it is for a while.
    pub(super) async fn retire(&self, from: &Path, now: SystemTime) -> Result<(), WarehouseError> {
        let to = replaced(from);
        let what = || format!("move `{from}`, which is replaced");
        let Some(disk) = &self.disk else {
            return match self.store.rename(from, &to).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(self.failed(what(), source)),
            };
        };
        match disk.retire(from, &to, now) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            moved => moved.map_err(|source| self.disk_failed(what(), source)),
        }
    }

    /// Merges files, and returns how many rows they have; `None` where one of them can't be read, or it is
    /// not to go on.
    fn merge(
        &self,
        runtime: &Handle,
        merge: &Merge,
        now: SystemTime,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, WarehouseError> {
        let merged = match self.copy(runtime, merge, goes_on) {
            // Another has merged them, and cleared up.
            Err(WarehouseError::Store { source: Error::NotFound { .. }, .. }) => return Ok(None),
            Err(error @ WarehouseError::Parquet { source: ParquetError::External(_), .. }) => {
                return Err(error);
            }
            Err(error @ WarehouseError::Parquet { .. }) => {
                let (error, file) = (causes(&error), merge.to.as_ref());
                tracing::warn!(error, file, "small files can't be merged, and stay as they are");
                return Ok(None);
            }
            copied => copied?,
        };
        let Some((staged, rows)) = merged else { return Ok(None) };
        runtime.block_on(staged.publish_once(&merge.to))?;
        let newest = merge.from.iter().map(|file| file.last_modified).max();
        if let (Some(disk), Some(newest)) = (&self.disk, newest) {
            // How old its rows are.
            disk.date_back(&merge.to, newest.into());
        }
        // Whoever is told to stop does this first: until the next one comes, other tools would read those rows twice.
        let retired = stream::iter(&merge.from).map(Ok::<_, WarehouseError>);
        let retired =
            retired.try_for_each_concurrent(AT_ONCE, |file| self.retire(&file.location, now));
        runtime.block_on(retired)?;
        Ok(Some(rows))
    }

    /// Copies the rows of files into one; `None` where they have none, or it is not to go on.
    fn copy(
        &self,
        runtime: &Handle,
        merge: &Merge,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<(Staged, u64)>, WarehouseError> {
        let (mut schema, mut wanted, mut said) = (Schema::empty(), 0, Vec::new());
        let mut as_they_are = true;
        for file in &merge.from {
            if !goes_on() {
                return Ok(None);
            }
            let footed = runtime.block_on(self.footed(&file.location))?;
            let Some(columns) = with_columns_of(&schema, footed.schema()) else {
                let what = format!("a column of `{}` has another type than in", file.location);
                return Err(self.unread(&merge.to, ParquetError::General(what)));
            };
            let is_alike = said.is_empty() || schema.fields() == footed.schema().fields();
            as_they_are &= is_alike && footed.has_large_groups();
            schema = columns;
            let metadata = footed.metadata().file_metadata();
            wanted += u64::try_from(metadata.num_rows()).unwrap_or(0);
            said.push(Repeats::of(metadata));
        }
        let schema: SchemaRef = Arc::new(schema);
        let mut made = TableFile::create(self, runtime, self.part(), schema.clone())?;
        Repeats::of_all(&said).say(&mut made);
        let (staged, rows) = if as_they_are {
            let mut made = made.of_groups()?;
            for file in &merge.from {
                if !goes_on() {
                    made.abandon(runtime);
                    return Ok(None);
                }
                made.append(&runtime.block_on(self.footed(&file.location))?)?;
            }
            let rows = made.rows();
            (Some(made.finish()?), rows)
        } else {
            let Some(rows) = self.copy_rows(runtime, merge, &schema, &mut made, goes_on)? else {
                made.abandon(runtime);
                return Ok(None);
            };
            (made.finish()?, rows)
        };
        if rows != wanted {
            let what = format!("its parts have {rows} rows, wanted {wanted} in");
            return Err(self.unread(&merge.to, ParquetError::General(what)));
        }
        Ok(staged.map(|staged| (staged, rows)))
    }

    /// Copies rows one batch after the other, and returns how many; `None` where it is not to go on.
    fn copy_rows(
        &self,
        runtime: &Handle,
        merge: &Merge,
        schema: &SchemaRef,
        made: &mut TableFile,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, WarehouseError> {
        let mut rows = 0;
        for file in &merge.from {
            let failed = |source| self.unread(&file.location, source);
            let all = |_: &_| ProjectionMask::all();
            let reader = self.reader_within(&file.location, MAX_PAGE_BYTES, all);
            for batch in runtime.block_on(reader)?.build().map_err(failed)? {
                if !goes_on() {
                    return Ok(None);
                }
                let batch = batch.and_then(|batch| widened(&batch, schema));
                let batch = batch.map_err(|error| failed(error.into()))?;
                rows += batch.num_rows() as u64;
                made.write(&batch)?;
            }
        }
        Ok(Some(rows))
    }
}

fn so_far(settled: &HashMap<String, Settled>, session: &str) -> Settled {
    settled.get(session).copied().unwrap_or(Settled::Before(0))
}

/// Columns, and those of others that are not among them, which may be null then, and so of the fields of
/// records. `None` where a column has two types.
fn with_columns_of(columns: &Schema, others: &Schema) -> Option<Schema> {
    if columns.fields().is_empty() {
        return Some(Schema::new(others.fields().clone()));
    }
    with_fields_of(columns.fields(), others.fields()).map(Schema::new)
}

fn with_fields_of(fields: &Fields, others: &Fields) -> Option<Fields> {
    let mut all: Vec<FieldRef> = Vec::with_capacity(fields.len());
    for field in fields {
        all.push(match others.find(field.name()) {
            Some((_, other)) => Arc::new(one_of_both(field, other)?),
            None => may_be_absent(field),
        });
    }
    let added = others.iter().filter(|other| fields.find(other.name()).is_none());
    all.extend(added.map(may_be_absent));
    Some(all.into())
}

fn one_of_both(field: &Field, other: &Field) -> Option<Field> {
    let of_both = match (field.data_type(), other.data_type()) {
        (DataType::List(item), DataType::List(other)) => {
            DataType::List(Arc::new(one_of_both(item, other)?))
        }
        (DataType::Struct(fields), DataType::Struct(others)) => {
            DataType::Struct(with_fields_of(fields, others)?)
        }
        (one, other) if one == other => one.clone(),
        _ => return None,
    };
    let is_nullable = field.is_nullable() || other.is_nullable();
    Some(field.clone().with_data_type(of_both).with_nullable(is_nullable))
}

/// A column that some files do not have: null in their rows, or an empty list.
fn may_be_absent(field: &FieldRef) -> FieldRef {
    let is_list = matches!(field.data_type(), DataType::List(_));
    Arc::new(field.as_ref().clone().with_nullable(field.is_nullable() || !is_list))
}

#[cfg(test)]
mod tests;
