//! The ledger's place in a warehouse: a small file per load.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;

use super::{Warehouse, WarehouseError};
use crate::config::TableName;
use crate::sink::ledger::{self, Entry, State, TABLE};

impl Warehouse {
    /// Whether a load has happened.
    pub async fn is_loaded(
        &self,
        load_id: &str,
        target: &TableName,
    ) -> Result<bool, WarehouseError> {
        let path = self.ledger_path(load_id, target);
        match self.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(self.failed(format!("look for `{path}`"), source)),
        }
    }

    pub(super) fn ledger_path(&self, load_id: &str, target: &TableName) -> Path {
        self.table(&target.beside(TABLE)).join(format!("{load_id}.parquet"))
    }
}

/// The entry as a Parquet file.
pub(super) fn encode(warehouse: &Warehouse, entry: &Entry) -> Result<Vec<u8>, WarehouseError> {
    let failed = |source| WarehouseError::Parquet {
        uri: warehouse.uri.clone(),
        what: "write the load ledger".to_owned(),
        source,
    };
    let schema = ledger::schema()
        .map_err(|source| WarehouseError::Schema { uri: warehouse.uri.clone(), source })?;
    let row = ledger::row(entry, &State::Committed, &schema);
    let row = row.map_err(|error| failed(error.into()))?;
    let mut writer = ArrowWriter::try_new(Vec::new(), row.schema(), None).map_err(failed)?;
    writer.write(&row).map_err(failed)?;
    writer.into_inner().map_err(failed)
}
