//! A load: the rows and dead letters of one input object, or of a page of letters that are replayed with the
//! attempts at them: all of them or none, in however many tables they are, and whatever else is at the same load.
//!
//! In Cloud Storage one of the runs at an object is decided for, see [`super::decision`]. On a disk one
//! is at it at a time. Step by step: what if it is killed right here, what if another does the same now?
//!
//! 1. The load is claimed ([`super::claim`]), until the end. Killed: the operating system gives the claim
//!    back, so the same is true from here on. Another: is told so, waits, and begins with 1.
//! 2. The ledger is asked, whoever asked it before: another may have loaded the object since. With an
//!    entry, only what its run could not clear up any more is removed: the staging folder.
//! 3. Without an entry, what a killed run left is removed: the staging folder, and files that it has
//!    published. No file whose entry exists: entries are made under the claim, which is held since
//!    before 2. Killed: the next one removes the rest.
//! 4. Files are staged. Killed: they are removed in the next one's 3.
//! 5. They are made durable and published, the letters first, then the rows of each table; before, the
//!    tables are listed ([`super::left`]). Killed: the same, in all tables, whichever the pipeline file
//!    names by then. Readers see them meanwhile.
//! 6. The ledger's entry is created. From here on the load has happened, and nothing removes its files.
//! 7. The staging folder is removed and the claim given back. Killed: who next finds the object loaded
//!    removes what is left of them. Another that has waited: finds the entry in 2.

use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions};

use super::claim::Claim;
use super::disk::Disk;
use super::file::TableFile;
use super::repeats::Repeats;
use super::{STAGING, Warehouse, WarehouseError, ledger};
use clickmill_config::TableName;
use clickmill_tables::ledger::{Committed, Entry, is_replay};
use clickmill_tables::{NoTableForAttempts, TableError, Targets};

/// Staged files. Rows of a route are in a file that ends with its number.
const ROWS: &str = "rows";
const DEAD_LETTERS: &str = "dead_letters";
const ATTEMPTS: &str = "attempts";

/// A load in the making. Dropped, it has not happened.
pub(crate) struct Load {
    warehouse: Warehouse,
    id: Arc<str>,
    staging: Path,
    /// Of the pipeline's own table, then of its routes'.
    rows: Vec<Part>,
    dead_letters: Part,
    /// Where letters are replayed.
    attempts: Option<Part>,
    folder: StagingFolder,
    /// The last to be dropped: by then nothing here touches the staging folder any more, which may be
    /// another's.
    claim: Claim,
}

/// What a load has for one table.
struct Part {
    table: TableName,
    staged: Path,
    file: TableFile,
}

/// How a load begins.
pub(crate) enum Begun {
    /// There is something to load.
    Load(Box<Load>),
    /// There is nothing: it has happened.
    LoadedAlready,
}

impl Load {
    /// Begins a load, unless it has happened by now. What an interrupted load of the same object has left
    /// is removed first. `None` while another process is at it, which only a disk tells.
    pub(crate) fn begin(
        warehouse: &Warehouse,
        runtime: &tokio::runtime::Handle,
        id: &str,
        targets: &Targets,
    ) -> Result<Option<Begun>, WarehouseError> {
        let Targets { rows, routes, dead_letters, attempts } = targets;
        let table = &rows.0;
        let Some(claim) = warehouse.claim(id)? else { return Ok(None) };
        let staging = warehouse.staging(id);
        let (happened, staging) = match warehouse.disk {
            Some(_) => {
                let others = routes.iter().chain([dead_letters]).chain(attempts);
                let others = others.map(|(table, _)| table);
                (runtime.block_on(warehouse.clear(id, table, others))?, staging)
            }
            None => {
                let attempt = format!("{:016x}", rand::random::<u64>());
                (runtime.block_on(warehouse.happened(id, table))?, staging.join(attempt))
            }
        };
        if happened {
            return Ok(Some(Begun::LoadedAlready));
        }
        let create = |name: &str, (table, schema): &(TableName, SchemaRef)| {
            let staged = staging.clone().join(format!("{name}.parquet"));
            let file = TableFile::create(warehouse, runtime, staged.clone(), schema.clone())?;
            Ok::<_, WarehouseError>(Part { table: table.clone(), staged, file })
        };
        let mut parts = vec![create(ROWS, rows)?];
        for (number, route) in routes.iter().enumerate() {
            parts.push(create(&format!("{ROWS}-{number}"), route)?);
        }
        let load = Self {
            rows: parts,
            dead_letters: create(DEAD_LETTERS, dead_letters)?,
            attempts: attempts.as_ref().map(|target| create(ATTEMPTS, target)).transpose()?,
            warehouse: warehouse.clone(),
            id: id.into(),
            folder: StagingFolder(warehouse.disk.clone().map(|disk| (disk, staging.clone()))),
            staging,
            claim,
        };
        Ok(Some(Begun::Load(Box::new(load))))
    }

    /// Adds good rows to the tables, in the order of the load's targets.
    pub(crate) fn write<'a>(
        &mut self,
        rows: impl IntoIterator<Item = &'a RecordBatch>,
    ) -> Result<(), WarehouseError> {
        for (part, rows) in self.rows.iter_mut().zip(rows) {
            if rows.num_rows() > 0 {
                part.file.write(rows)?;
            }
        }
        Ok(())
    }

    /// Adds dead letters.
    pub(crate) fn write_dead_letters(
        &mut self,
        letters: &RecordBatch,
    ) -> Result<(), WarehouseError> {
        self.dead_letters.file.write(letters)
    }

    /// Adds attempts at dead letters.
    pub(crate) fn write_attempts(&mut self, attempts: &RecordBatch) -> Result<(), TableError> {
        let part = self.attempts.as_mut().ok_or(NoTableForAttempts)?;
        Ok(part.file.write(attempts)?)
    }

    /// Makes rows and dead letters durable and visible, and then the ledger's entry. Until the entry is
    /// there, the load can be repeated.
    pub(crate) fn commit(
        self,
        runtime: &tokio::runtime::Handle,
        entry: &Entry,
    ) -> Result<Committed, WarehouseError> {
        let date = date(SystemTime::now());
        // The claim first: what is bound first is dropped last.
        let Self { claim, mut folder, warehouse, id, staging, mut rows, dead_letters, attempts } =
            self;
        let is_replay = is_replay(&entry.source);
        if !is_replay {
            rows.iter_mut().for_each(|part| Repeats::Never.say(&mut part.file));
        }
        // A replay's number may come again, for other rows, where somebody has removed its entry: what lies there
        // without locks is not this load's. So its files have the name of the attempt, which on a disk is the load's.
        let name: &str = if is_replay { staging.filename().unwrap_or(&id) } else { &id };
        let to = |table: &TableName| warehouse.day(table, &date).join(format!("{name}.parquet"));
        // Letters first: at no moment is a row missing from all tables with its load half done. Attempts last: no
        // letter is resolved before its row is there.
        let (mut files, mut tables) = (Vec::new(), Vec::new());
        let parts = std::iter::once(dead_letters).chain(rows).chain(attempts);
        for Part { table, staged, file } in parts {
            if let Some(finished) = file.finish()? {
                files.push((finished, staged, to(&table)));
            }
            tables.push(table);
        }
        let entry_bytes = ledger::encode(&warehouse, entry)?;
        let committed = runtime.block_on(async {
            if warehouse.disk.is_none() {
                let files = files.into_iter().map(|(_, staged, to)| (staged, to)).collect();
                let entry_copy = entry_bytes.clone();
                let plan = warehouse.plan(&id, &entry.table, &staging, files, entry_copy).await?;
                return warehouse.decide(&id, &entry.table, &plan, &entry_bytes).await;
            }
            // A replay's too: the next one would take its rows for those of a load that has happened.
            if !files.is_empty() && (tables.len() > 2 || is_replay) {
                warehouse.list_tables(&id, &entry.table, &tables)?;
            }
            for (staged, _, to) in files {
                staged.publish(&to).await?;
            }
            let path = warehouse.ledger_path(&id, &entry.table);
            let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let put = warehouse.store.put_opts(&path, entry_bytes.into(), create).await;
            put.map_err(|source| warehouse.failed(format!("write `{path}`"), source))?;
            Ok(Committed::Now)
        });
        if committed.is_err() && warehouse.disk.is_some() {
            // Rows that no entry stands for are not to be seen. What can't be removed now is removed
            // when the object is loaded again.
            if runtime.block_on(warehouse.clear(&id, &entry.table, &tables)).is_err() {
                // By the list of its tables, which is in there.
                folder.0 = None;
            }
        }
        drop((folder, claim));
        committed
    }

    /// Gives the load up: it has not happened.
    pub(crate) fn abandon(self, runtime: &tokio::runtime::Handle) {
        let Self { claim, folder, warehouse, staging, rows, dead_letters, attempts, .. } = self;
        for part in rows.into_iter().chain([dead_letters]).chain(attempts) {
            part.file.abandon(runtime);
        }
        runtime.block_on(warehouse.remove_staging(&staging));
        drop((folder, claim));
    }
}

/// The folder of files in the making, on a disk. It goes with them, however the load ends.
struct StagingFolder(Option<(Disk, Path)>);

impl Drop for StagingFolder {
    fn drop(&mut self) {
        if let Some((disk, folder)) = &self.0 {
            disk.remove_folder(folder);
        }
    }
}

impl Warehouse {
    /// Where the files of a load are made.
    pub(super) fn staging(&self, id: &str) -> Path {
        Path::from(STAGING).join(id)
    }

    /// Under the claim of a load: whether it has happened. What is left of one that has not is removed.
    async fn clear<'a>(
        &self,
        id: &str,
        target: &'a TableName,
        others: impl IntoIterator<Item = &'a TableName>,
    ) -> Result<bool, WarehouseError> {
        let happened = self.has_entry(id, target).await?;
        self.unpublish_left(id).await?;
        self.remove_staging(&self.staging(id)).await;
        if happened {
            return Ok(true);
        }
        for table in std::iter::once(target).chain(others) {
            self.unpublish(id, table)?;
        }
        Ok(false)
    }

    /// Removes what is left of a run that was killed between its entry and its end.
    pub(super) async fn clear_loaded(&self, id: &str) {
        // The claim's file goes last: without it there is nothing.
        let is_left = self.claim_file(id).is_some_and(|file| file.exists());
        // A run that is at its end clears up itself.
        if is_left && let Ok(Some(claim)) = self.claim(id) {
            self.remove_staging(&self.staging(id)).await;
            drop(claim);
        }
    }

    /// Removes a staging folder. What can't be removed is in nobody's way.
    async fn remove_staging(&self, staging: &Path) {
        if let Some(disk) = &self.disk {
            // With the folder go the parts of unfinished files, which the store does not list.
            disk.remove_folder(staging);
            return;
        }
        for file in self.list(staging).await.unwrap_or_default() {
            let _ = self.store.delete(&file.location).await;
        }
    }
}

/// The UTC day, as `2026-11-24`.
pub(super) fn date(now: SystemTime) -> String {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let days = (seconds / 86_400) as i32;
    arrow::temporal_conversions::date32_to_datetime(days)
        .map_or_else(String::new, |time| time.date().to_string())
}

#[cfg(test)]
mod tests;
