//! What a load on a disk has left in tables that has not happened. The tables of a pipeline may be others by
//! the time it is run again, or the object is: whoever clears the staging folder of a load, which is the last
//! trace of it, removes its files first. A load that writes to several tables lists them there before it publishes
//! anything; of another all tables are looked through.

use std::io::ErrorKind;

use object_store::path::Path;

use super::disk::Disk;
use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::durable;

/// The list's name in the staging folder of a load: the table that the ledger is beside, then the others.
const TABLES: &str = "tables.json";

impl Warehouse {
    /// Lists the tables of a load, durably.
    pub(super) fn list_tables<'a>(
        &self,
        id: &str,
        target: &'a TableName,
        others: impl IntoIterator<Item = &'a TableName>,
    ) -> Result<(), WarehouseError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let all = std::iter::once(target).chain(others);
        let all: Vec<(&str, &str)> = all.map(|t| (t.dataset.as_str(), t.table.as_str())).collect();
        let json = serde_json::to_vec(&all).unwrap_or_default();
        let list = self.list_of(id);
        let written = disk.way(&list).and_then(|path| durable::write(&path, &json));
        written.map_err(|source| {
            self.disk_failed(format!("list the tables of a load in `{list}`"), source)
        })
    }

    /// Under the claim of a load that has left a staging folder: removes its files from the tables that it may have
    /// published them to, unless it has happened.
    pub(super) async fn unpublish_left(&self, id: &str) -> Result<(), WarehouseError> {
        let Some(disk) = self.disk.as_ref().filter(|disk| disk.at(&self.staging(id)).is_dir())
        else {
            return Ok(());
        };
        let list = self.list_of(id);
        let bytes = match disk.read(&list) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return self.unpublish_everywhere(id).await;
            }
            // It is no list of ours: a pipe, or too large for one.
            Err(error) if error.raw_os_error().is_none() => {
                let (error, list) = (error.to_string(), list.as_ref());
                tracing::warn!(error, list, "what lists the tables of a load is not read");
                return self.unpublish_everywhere(id).await;
            }
            Err(source) => return Err(self.disk_failed(format!("read `{list}`"), source)),
        };
        // It appears whole or not at all: what is no list is none of ours.
        let all: Vec<(String, String)> = serde_json::from_slice(&bytes).unwrap_or_default();
        let all = all.into_iter().map(|(dataset, table)| TableName { dataset, table });
        let all: Vec<TableName> = all.collect();
        let Some(target) = all.first() else { return Ok(()) };
        if self.has_entry(id, target).await? {
            return Ok(());
        }
        all.iter().try_for_each(|table| self.unpublish(id, table))
    }

    async fn unpublish_everywhere(&self, id: &str) -> Result<(), WarehouseError> {
        let tables = self.disk.as_ref().map(tables).unwrap_or_default();
        // A dataset has one ledger.
        for of_dataset in tables.chunk_by(|one, next| one.dataset == next.dataset) {
            if self.has_entry(id, &of_dataset[0]).await? {
                return Ok(());
            }
        }
        tables.iter().try_for_each(|table| self.unpublish(id, table))
    }

    fn list_of(&self, id: &str) -> Path {
        self.staging(id).join(TABLES)
    }

    /// Removes a load's file from a table on a disk. It has the same name in whichever day's folder: that
    /// is a look at a name for each, however many files there are.
    pub(super) fn unpublish(&self, id: &str, table: &TableName) -> Result<(), WarehouseError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let folder = disk.at(&self.table(table));
        let failed = |what: &std::path::Path, source| {
            self.disk_failed(format!("look for what is left in `{}`", what.display()), source)
        };
        let days = match std::fs::read_dir(&folder) {
            Ok(days) => days,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(&folder, error)),
        };
        for day in days {
            let day = day.map_err(|error| failed(&folder, error))?.path();
            let file = day.join(format!("{id}.parquet"));
            // What lies behind another user's link is none of ours.
            let Ok(file) = disk.check_way(file) else { continue };
            match std::fs::remove_file(&file) {
                // After a loss of power it would be back, beside what is loaded now.
                Ok(()) => durable::sync(&day).map_err(|error| failed(&day, error))?,
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => return Err(failed(&file, error)),
            }
        }
        Ok(())
    }
}

/// The folders that may be tables. What cannot be read is none of ours.
fn tables(disk: &Disk) -> Vec<TableName> {
    let folders = |path: &Path| {
        let folders = disk.folders(path).unwrap_or_default().into_iter();
        folders.filter(|folder| std::fs::read_dir(disk.at(folder)).is_ok())
    };
    let name = |path: &Path| path.filename().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    // Beside the datasets are folders of ours; a table may be called as it likes.
    for dataset in folders(&Path::ROOT).filter(|dataset| !name(dataset).starts_with('_')) {
        let tables = folders(&dataset);
        all.extend(tables.map(|table| TableName { dataset: name(&dataset), table: name(&table) }));
    }
    all
}
