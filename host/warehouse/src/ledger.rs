//! The ledger's place in a warehouse: a small file per load.

use object_store::path::Path;

use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_tables::ledger::{self, Entry, State, TABLE};

impl Warehouse {
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
