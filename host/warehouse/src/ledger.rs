//! The ledger's place in a warehouse: a small file per load.

use object_store::path::Path;

use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_tables::ledger::{self, Entry, State, TABLE};

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
