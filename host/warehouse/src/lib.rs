//! The local warehouse: a folder per table of Parquet files, which any tool reads while the pipeline
//! runs, on a disk or in Cloud Storage.
//!
//! ```text
//! <warehouse>/clickstream_analytics/clickstream_batch/load_date=2026-11-24/<load id>.parquet
//! <warehouse>/clickstream_analytics/clickstream_batch/_schema.json
//! <warehouse>/clickstream_analytics/load_ledger/<load id>.parquet
//! <warehouse>/_log/…                          rows that streams wrote last
//! <warehouse>/_staging/<load id>/…            files in the making, which no reader looks at
//! <warehouse>/_staging/<load id>.lock         held by the run that makes them, on a disk
//! <warehouse>/_state/…                        plugin sets, kept by the pipeline
//! ```
//!
//! A stream adds a file per flush; small ones go through a log, beside the tables.
//!
//! One input object is one load: one file of rows and one of dead letters, each created whole, then one
//! entry in the ledger. A load whose entry is missing has not happened: on a disk, what is left of it is
//! removed when the object is loaded again, and in Cloud Storage it is finished where it was decided for.
//! Of several runs at one object, on a disk one loads and the others wait; in Cloud Storage all may, and
//! one is decided for.

mod claim;
mod decision;
mod entries;
mod file;
mod ledger;
mod live;
mod load;
mod log;
mod query;
mod table_store;
mod window;

use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use clickmill_config::TableName;
use clickmill_core::Fault;
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_core::store::{self, StoreError};

/// Beside a table's files: its columns, as BigQuery reads them. An empty table has a schema too.
const SCHEMA_FILE: &str = "_schema.json";
/// Where files are made before they are published.
const STAGING: &str = "_staging";

/// A warehouse.
#[derive(Debug, Clone)]
pub struct Warehouse {
    store: Arc<dyn ObjectStore>,
    root: Path,
    /// The folder, where it is on a disk.
    disk: Option<PathBuf>,
    uri: String,
}

/// What can go wrong with a warehouse.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// Its URI names no store.
    #[error("cannot open warehouse `{uri}`")]
    Open {
        /// The URI.
        uri: String,
        /// Why.
        source: StoreError,
    },
    /// The store failed.
    #[error("warehouse `{uri}`: cannot {what}")]
    Store {
        /// The warehouse.
        uri: String,
        /// What was tried.
        what: String,
        /// Why it failed.
        source: object_store::Error,
    },
    /// A file can't be written or read as Parquet.
    #[error("warehouse `{uri}`: cannot {what}")]
    Parquet {
        /// The warehouse.
        uri: String,
        /// What was tried.
        what: String,
        /// Why it failed.
        source: parquet::errors::ParquetError,
    },
    /// The disk failed.
    #[error("warehouse `{uri}`: cannot {what}")]
    Disk {
        /// The warehouse.
        uri: String,
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The schema of a table in the warehouse can't be read.
    #[error("warehouse `{uri}`")]
    Schema {
        /// The warehouse.
        uri: String,
        /// Why.
        source: SchemaError,
    },
    /// A table has other columns than the pipeline's schema.
    #[error(
        "table `{table}` in warehouse `{uri}` has other columns than the pipeline's schema: {what}"
    )]
    OtherSchema {
        /// The table.
        table: TableName,
        /// The warehouse.
        uri: String,
        /// The first difference.
        what: String,
    },
}

impl WarehouseError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Open { .. } | Self::Schema { .. } | Self::OtherSchema { .. } => Fault::Input,
            Self::Store { .. } | Self::Parquet { .. } | Self::Disk { .. } => Fault::Environment,
        }
    }
    /// Whether the same may succeed later: a full disk gets space, a store answers again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Schema { .. } | Self::OtherSchema { .. } => false,
            Self::Disk { .. } => true,
            Self::Parquet { source, .. } => {
                matches!(source, parquet::errors::ParquetError::External(_))
            }
            Self::Store { source, .. } => {
                use object_store::Error;
                !matches!(
                    source,
                    Error::PermissionDenied { .. }
                        | Error::Unauthenticated { .. }
                        | Error::NotSupported { .. }
                        | Error::NotImplemented { .. }
                        | Error::InvalidPath { .. }
                )
            }
        }
    }
}

impl Warehouse {
    /// Opens a warehouse at a path or `gs://bucket/prefix`. It need not exist yet.
    pub fn open(uri: &str) -> Result<Self, WarehouseError> {
        let failed = |source| WarehouseError::Open { uri: uri.to_owned(), source };
        let (store, root) = store::open(uri).map_err(failed)?;
        let disk = store::is_local(uri).then(|| absolute(&root));
        Ok(Self { store, root, disk, uri: uri.to_owned() })
    }

    /// The URI it was opened by.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Where the disk has what the store calls `path`; `None` where there is no disk.
    fn on_disk(&self, path: &Path) -> Option<PathBuf> {
        self.disk.is_some().then(|| absolute(path))
    }

    /// A table's folder.
    fn table(&self, table: &TableName) -> Path {
        self.root.clone().join(table.dataset.as_str()).join(table.table.as_str())
    }

    /// Makes sure that a table has these columns: an unknown table gets them, a known one must have
    /// them, but for columns added at the end that may be null.
    pub async fn ensure_table(
        &self,
        table: &TableName,
        schema: &TableSchema,
    ) -> Result<(), WarehouseError> {
        let path = self.table(table).join(SCHEMA_FILE);
        if let Some(known) = self.schema_at(&path).await? {
            let other = |what: String| WarehouseError::OtherSchema {
                table: table.clone(),
                uri: self.uri.clone(),
                what,
            };
            for (at, column) in known.columns.iter().enumerate() {
                match schema.columns.get(at) {
                    Some(now) if now.arrow() == column.arrow() => {}
                    Some(now) => {
                        return Err(other(format!(
                            "`{}` where it has `{}`",
                            now.arrow(),
                            column.arrow()
                        )));
                    }
                    None => return Err(other(format!("it has `{}` too", column.arrow()))),
                }
            }
            let added = &schema.columns[known.columns.len()..];
            if let Some(column) = added.iter().find(|column| !column.arrow().is_nullable()) {
                return Err(other(format!("`{}` is new and may not be null", column.name)));
            }
            if added.is_empty() {
                return Ok(());
            }
        }
        let put = self.store.put(&path, schema.json().into()).await;
        put.map_err(|source| self.failed(format!("write `{path}`"), source))?;
        Ok(())
    }

    /// All tables, with their columns.
    pub async fn tables(&self) -> Result<Vec<(TableName, TableSchema)>, WarehouseError> {
        let mut tables = Vec::new();
        for dataset in self.folders(&self.root).await? {
            for folder in self.folders(&dataset).await? {
                if let Some(schema) = self.schema_at(&folder.clone().join(SCHEMA_FILE)).await? {
                    let name = |path: &Path| path.filename().unwrap_or_default().to_owned();
                    let table = TableName { dataset: name(&dataset), table: name(&folder) };
                    tables.push((table, schema));
                }
            }
        }
        Ok(tables)
    }

    async fn folders(&self, path: &Path) -> Result<Vec<Path>, WarehouseError> {
        let listed = self.store.list_with_delimiter(Some(path)).await;
        let listed = listed.map_err(|source| self.failed(format!("list `{path}`"), source))?;
        let named = |path: &Path| path.filename().is_some_and(|name| !name.starts_with('_'));
        Ok(listed.common_prefixes.into_iter().filter(named).collect())
    }

    async fn schema_at(&self, path: &Path) -> Result<Option<TableSchema>, WarehouseError> {
        let bytes = match self.store.get(path).await {
            Ok(got) => got.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|source| self.failed(format!("read `{path}`"), source))?;
        let text = String::from_utf8_lossy(&bytes);
        let schema = TableSchema::parse(&text, std::path::Path::new(path.as_ref()));
        schema.map(Some).map_err(|source| WarehouseError::Schema { uri: self.uri.clone(), source })
    }

    async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, WarehouseError> {
        let listed = self.store.list(Some(prefix)).try_collect().await;
        listed.map_err(|source| self.failed(format!("list `{prefix}`"), source))
    }

    fn failed(&self, what: String, source: object_store::Error) -> WarehouseError {
        WarehouseError::Store { uri: self.uri.clone(), what, source }
    }

    fn disk_failed(&self, what: String, source: std::io::Error) -> WarehouseError {
        WarehouseError::Disk { uri: self.uri.clone(), what, source }
    }
}

/// A path of a store on a disk: the store's begin at its root, without a slash.
fn absolute(path: &Path) -> PathBuf {
    PathBuf::from(format!("/{path}"))
}
