//! The ledger's place in a warehouse: a small file per load.

use std::collections::HashSet;

use object_store::path::Path;

use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_tables::ledger::{self, Entry, State, TABLE};

/// Up to so many loads a store without a disk is asked for one by one.
const ASKED_ONE_BY_ONE: usize = 16;

impl Warehouse {
    /// Whether a load has happened. What its run could not clear up any more is removed.
    pub(super) async fn is_loaded(
        &self,
        load_id: &str,
        target: &TableName,
    ) -> Result<bool, WarehouseError> {
        let loaded = self.has_entry(load_id, target).await?;
        if loaded {
            self.clear_loaded(load_id).await;
        }
        Ok(loaded)
    }

    /// Which of these loads have happened.
    pub(super) async fn loaded(
        &self,
        load_ids: &[String],
        target: &TableName,
    ) -> Result<HashSet<String>, WarehouseError> {
        let is_there: Box<dyn Fn(&str) -> bool + Send + Sync> = if self.disk.is_some() {
            // A look at a name costs microseconds, and nothing that depends on how many there are.
            let file = |id: &str| self.on_disk(&self.ledger_path(id, target));
            Box::new(move |id| file(id).is_none_or(|file| file.exists()))
        } else if load_ids.len() <= ASKED_ONE_BY_ONE {
            Box::new(|_| true)
        } else {
            // A listing gives a thousand names for what one question costs.
            let listed = self.list(&self.table(&target.beside(TABLE))).await?;
            let names = listed.iter().filter_map(|file| file.location.filename());
            let names = names.filter_map(|name| name.strip_suffix(".parquet"));
            let names: HashSet<String> = names.map(str::to_owned).collect();
            Box::new(move |id| names.contains(id))
        };
        let mut loaded = HashSet::new();
        for id in load_ids.iter().filter(|id| is_there(id)) {
            if self.is_loaded(id, target).await? {
                loaded.insert(id.clone());
            }
        }
        Ok(loaded)
    }

    /// Whether a load is in the ledger.
    pub(super) async fn has_entry(
        &self,
        load_id: &str,
        target: &TableName,
    ) -> Result<bool, WarehouseError> {
        self.is_entered(&target.beside(TABLE), load_id).await
    }

    pub(super) fn ledger_path(&self, load_id: &str, target: &TableName) -> Path {
        self.table(&target.beside(TABLE)).join(format!("{load_id}.parquet"))
    }
}

/// The entry as a Parquet file.
pub(super) fn encode(warehouse: &Warehouse, entry: &Entry) -> Result<Vec<u8>, WarehouseError> {
    let schema = ledger::schema()
        .map_err(|source| WarehouseError::Schema { uri: warehouse.uri.clone(), source })?;
    let row = ledger::row(entry, &State::Committed, &schema);
    warehouse.parquet(&row.map_err(|error| warehouse.small_file(error.into()))?)
}
