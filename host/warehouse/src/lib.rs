//! The local warehouse: a folder per table of Parquet files, which any tool reads while the pipeline
//! runs, on a disk or in Cloud Storage.
//!
//! ```text
//! <warehouse>/clickstream_analytics/clickstream_batch/load_date=2026-11-24/<load id>.parquet
//! <warehouse>/clickstream_analytics/clickstream_batch/_schema.json
//! <warehouse>/clickstream_analytics/load_ledger/<load id>.parquet
//! <warehouse>/_log/…                          rows that streams wrote last
//! <warehouse>/_replaced/…                     files that were merged into others lately
//! <warehouse>/_staging/<load id>/…            files in the making, which no reader looks at
//! <warehouse>/_staging/<load id>.lock         held by the run that makes them, on a disk
//! <warehouse>/_state/…                        plugin sets, kept by the pipeline
//! ```
//!
//! A stream adds a file per flush; small ones go through a log, beside the tables. In Cloud Storage a replay's files
//! have names that are drawn.
//!
//! One input object is one load: one file of rows and one of dead letters, each created whole, then one
//! entry in the ledger. A load whose entry is missing has not happened: on a disk, what is left of it is
//! removed when the object is loaded again, and in Cloud Storage it is finished where it was decided for.
//! Of several runs at one object, on a disk one loads and the others go on with other objects; in Cloud
//! Storage all may, and one is decided for, unless marks keep them off each other's objects.

mod claim;
mod clock;
mod compact;
mod decision;
mod disk;
mod duplicates;
mod entries;
mod file;
mod flushes;
mod ledger;
mod left;
mod live;
mod load;
mod log;
mod marks;
mod pages;
mod plan;
mod query;
mod reading;
mod repeats;
mod retention;
mod schemas;
mod staging;
mod stored;
mod table_store;
mod window;

pub use compact::Compacted;
pub use duplicates::{FileFacts, KnownFacts, PossibleDuplicates};
pub use repeats::Repeats;

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use futures::{StreamExt, TryStreamExt, future};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use clickmill_config::TableName;
use clickmill_core::schema::SchemaError;
use clickmill_core::store::StoreError;
use clickmill_core::{Fault, folder};
use disk::Disk;

/// Where files are made before they are published.
const STAGING: &str = "_staging";

/// A warehouse.
#[derive(Debug, Clone)]
pub struct Warehouse {
    /// Names in it are relative to the warehouse.
    store: Arc<dyn ObjectStore>,
    /// Its folder, where that is on a disk.
    disk: Option<Disk>,
    uri: String,
    /// Whether this process has cleared up.
    swept: Arc<AtomicBool>,
    /// For how many days after that of writing rows are kept; 0 is forever.
    retention_days: Arc<AtomicU32>,
    /// Whether this process has said that its clock may be wrong.
    doubted: Arc<AtomicBool>,
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
        let (store, disk) = folder::open(uri).map_err(failed)?;
        // It would be one without tables.
        if disk.as_ref().is_some_and(|path| path.is_file()) {
            let source = io::Error::new(ErrorKind::NotADirectory, "it is a file, wanted a folder");
            return Err(WarehouseError::Disk {
                uri: uri.to_owned(),
                what: "open it".to_owned(),
                source,
            });
        }
        let (swept, retention_days, doubted) = Default::default();
        let (disk, uri) = (disk.map(Disk::new), uri.to_owned());
        Ok(Self { store, disk, uri, swept, retention_days, doubted })
    }

    /// The URI it was opened by.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Where the disk has what the store calls `path`, to see whether it is there; `None` where there is no disk.
    fn on_disk(&self, path: &Path) -> Option<PathBuf> {
        self.disk.as_ref().map(|disk| disk.at(path))
    }

    /// A table's folder.
    fn table(&self, table: &TableName) -> Path {
        Path::from(table.dataset.as_str()).join(table.table.as_str())
    }

    async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, WarehouseError> {
        // What has a name that is none of a store, such as one with a line feed, is none of ours.
        let named = |file: &Result<ObjectMeta, object_store::Error>| {
            future::ready(!matches!(file, Err(object_store::Error::InvalidPath { .. })))
        };
        let listed = self.store.list(Some(prefix)).filter(named).try_collect().await;
        listed.map_err(|source| self.failed(format!("list `{prefix}`"), source))
    }

    fn failed(&self, what: String, source: object_store::Error) -> WarehouseError {
        WarehouseError::Store { uri: self.uri.clone(), what, source }
    }

    fn disk_failed(&self, what: String, source: std::io::Error) -> WarehouseError {
        WarehouseError::Disk { uri: self.uri.clone(), what, source }
    }
}
