//! A load: the rows and dead letters of one input object, all of them or none.

use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions};

use super::file::TableFile;
use super::{STAGING, Warehouse, WarehouseError, ledger};
use clickmill_config::TableName;
use clickmill_tables::ledger::Entry;

/// One table of a load: its name and columns.
type Target = (TableName, SchemaRef);

/// A load in the making.
pub struct Load {
    warehouse: Warehouse,
    id: Arc<str>,
    staging: Path,
    rows: (TableName, TableFile),
    dead_letters: (TableName, TableFile),
}

impl Load {
    /// Begins a load. What an interrupted load of the same object has left is removed first.
    pub fn begin(
        warehouse: &Warehouse,
        runtime: &tokio::runtime::Handle,
        id: &str,
        (table, schema): Target,
        (dead_table, dead_schema): Target,
    ) -> Result<Self, WarehouseError> {
        let staging = warehouse.root.clone().join(STAGING).join(id);
        runtime.block_on(warehouse.clean(id, &staging, [&table, &dead_table]))?;
        let create = |name: &str, schema| {
            TableFile::create(warehouse, runtime, staging.clone().join(name), schema)
        };
        Ok(Self {
            warehouse: warehouse.clone(),
            id: id.into(),
            rows: (table, create("rows.parquet", schema)?),
            dead_letters: (dead_table, create("dead_letters.parquet", dead_schema)?),
            staging,
        })
    }

    /// Adds good rows.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), WarehouseError> {
        self.rows.1.write(rows)
    }

    /// Adds dead letters.
    pub fn write_dead_letters(&mut self, letters: &RecordBatch) -> Result<(), WarehouseError> {
        self.dead_letters.1.write(letters)
    }

    /// Makes rows and dead letters durable and visible, and then the ledger's entry. Until the entry is
    /// there, the load can be repeated.
    pub fn commit(
        self,
        runtime: &tokio::runtime::Handle,
        entry: &Entry,
    ) -> Result<(), WarehouseError> {
        let date = date(SystemTime::now());
        let rows = self.rows.1.finish()?;
        let dead_letters = self.dead_letters.1.finish()?;
        let warehouse = &self.warehouse;
        let to = |table: &TableName| {
            let folder = format!("load_date={date}");
            warehouse.table(table).join(folder).join(format!("{}.parquet", self.id))
        };
        let entry_bytes = ledger::encode(warehouse, entry)?;
        runtime.block_on(async {
            // Letters first: at no moment is a row missing from both tables with its load half done.
            for (staged, table) in [(dead_letters, &self.dead_letters.0), (rows, &self.rows.0)] {
                if let Some(staged) = staged {
                    staged.publish(&to(table)).await?;
                }
            }
            let path = warehouse.ledger_path(&self.id, &entry.table);
            let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let put = warehouse.store.put_opts(&path, entry_bytes.into(), create).await;
            put.map_err(|source| warehouse.failed(format!("write `{path}`"), source))?;
            warehouse.remove_staging(&self.staging).await;
            Ok(())
        })
    }

    /// Gives the load up: it has not happened.
    pub fn abandon(self, runtime: &tokio::runtime::Handle) {
        self.rows.1.abandon(runtime);
        self.dead_letters.1.abandon(runtime);
        runtime.block_on(self.warehouse.remove_staging(&self.staging));
    }
}

impl Warehouse {
    async fn clean(
        &self,
        id: &str,
        staging: &Path,
        tables: [&TableName; 2],
    ) -> Result<(), WarehouseError> {
        self.remove_staging(staging).await;
        let name = format!("{id}.parquet");
        for table in tables {
            for file in self.list(&self.table(table)).await? {
                if file.location.filename() == Some(name.as_str()) {
                    let deleted = self.store.delete(&file.location).await;
                    deleted.map_err(|source| {
                        self.failed(format!("remove `{}`", file.location), source)
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Removes the staging folder of a load. What can't be removed is in nobody's way.
    async fn remove_staging(&self, staging: &Path) {
        if let Some(folder) = self.on_disk(staging) {
            // With the folder go the parts of unfinished files, which the store does not list.
            let _ = std::fs::remove_dir_all(folder);
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
