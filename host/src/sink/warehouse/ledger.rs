//! The load ledger: an entry per loaded object, which makes loading it again a no-op. It is a table like
//! any other, `load_ledger`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;

use super::{Warehouse, WarehouseError};
use crate::config::TableName;
use crate::schema::TableSchema;

/// The ledger's columns.
const SCHEMA: &str = include_str!("../../../../schemas/load_ledger.json");

/// What the ledger says of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// See [`load_id`].
    pub load_id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Table the rows went to.
    pub table: TableName,
    /// The object, as `uri@generation`.
    pub source: String,
    /// Bytes read, decompressed.
    pub bytes: u64,
    /// Records read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Dead letters written.
    pub rows_rejected: u64,
    /// Records a plugin dropped on purpose.
    pub rows_filtered: u64,
    /// Digest of the plugin set.
    pub plugin_set: String,
    /// When the load began, in microseconds since 1970-01-01T00:00:00Z.
    pub started_at: i64,
    /// When its rows were durable, likewise.
    pub finished_at: i64,
}

/// Identifies the load of an object's generation into a table.
pub fn load_id(table: &TableName, source: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(table.to_string().as_bytes()).update(b"\0").update(source.as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The ledger's own name and columns.
pub fn table() -> Result<(TableName, TableSchema), crate::schema::SchemaError> {
    let schema = TableSchema::parse(SCHEMA, std::path::Path::new("schemas/load_ledger.json"))?;
    Ok((name(), schema))
}

fn name() -> TableName {
    TableName { dataset: "clickstream_analytics".to_owned(), table: "load_ledger".to_owned() }
}

impl Warehouse {
    /// Whether a load has happened.
    pub async fn is_loaded(&self, load_id: &str) -> Result<bool, WarehouseError> {
        let path = self.ledger_path(load_id);
        match self.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(self.failed(format!("look for `{path}`"), source)),
        }
    }

    pub(super) fn ledger_path(&self, load_id: &str) -> Path {
        self.table(&name()).join(format!("{load_id}.parquet"))
    }
}

/// The entry as a Parquet file.
pub(super) fn encode(warehouse: &Warehouse, entry: &Entry) -> Result<Vec<u8>, WarehouseError> {
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let number = |value: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![value as i64])) };
    let time = |value: i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone("UTC"))
    };
    let columns = vec![
        text(&entry.load_id),
        text(&entry.pipeline),
        text(&entry.table.to_string()),
        text(&entry.source),
        number(entry.bytes),
        number(entry.rows_in),
        number(entry.rows_out),
        number(entry.rows_rejected),
        number(entry.rows_filtered),
        text(&entry.plugin_set),
        time(entry.started_at),
        time(entry.finished_at),
    ];
    let failed = |source| WarehouseError::Parquet {
        uri: warehouse.uri.clone(),
        what: "write the load ledger".to_owned(),
        source,
    };
    let (_, schema) =
        table().map_err(|source| WarehouseError::Schema { uri: warehouse.uri.clone(), source })?;
    let rows =
        RecordBatch::try_new(schema.arrow(), columns).map_err(|error| failed(error.into()))?;
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).map_err(failed)?;
    writer.write(&rows).map_err(failed)?;
    writer.into_inner().map_err(failed)
}
