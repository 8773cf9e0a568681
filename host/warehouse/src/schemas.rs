//! What columns a table has: a file beside the table's own, `_schema.json`.

use std::path::Path as File;

use arrow::datatypes::Schema;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};

use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::causes;
use clickmill_core::schema::{TableSchema, system};

/// Beside a table's files: its columns, as BigQuery reads them. An empty table has a schema too.
const SCHEMA_FILE: &str = "_schema.json";

/// A schema file.
enum SchemaFile {
    Missing,
    Columns(TableSchema),
    /// It can't be read, and why.
    Damaged(String),
}

impl Warehouse {
    /// Makes sure that a table has these columns: an unknown table gets them, a known one must have
    /// them, but for columns added at the end that may be null. A damaged schema file is set aside, and
    /// what the table's rows have counts.
    pub async fn ensure_table(
        &self,
        table: &TableName,
        schema: &TableSchema,
    ) -> Result<(), WarehouseError> {
        let path = self.table(table).join(SCHEMA_FILE);
        let (known, is_damaged) = match self.schema_file(&path).await? {
            SchemaFile::Missing => (None, false),
            SchemaFile::Columns(known) => (Some(known), false),
            SchemaFile::Damaged(why) => {
                self.set_aside(&path, &why).await?;
                (self.columns_of(&self.table(table)).await?, true)
            }
        };
        if let Some(known) = known {
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
            if added.is_empty() && !is_damaged {
                return Ok(());
            }
        }
        let put = self.store.put(&path, schema.json().into()).await;
        put.map_err(|source| self.failed(format!("write `{path}`"), source))?;
        Ok(())
    }

    /// All tables, with their columns. Where a schema file is damaged, that is told, and what the table's
    /// rows have counts until a pipeline writes to the table again.
    pub async fn tables(&self) -> Result<Vec<(TableName, TableSchema)>, WarehouseError> {
        let mut tables = Vec::new();
        for dataset in self.folders(&Path::ROOT).await? {
            for folder in self.folders(&dataset).await? {
                let name = |path: &Path| path.filename().unwrap_or_default().to_owned();
                let table = TableName { dataset: name(&dataset), table: name(&folder) };
                let path = folder.clone().join(SCHEMA_FILE);
                let schema = match self.schema_file(&path).await? {
                    SchemaFile::Missing => None,
                    SchemaFile::Columns(schema) => Some(schema),
                    SchemaFile::Damaged(why) => {
                        let (file, warehouse) = (path.as_ref(), &self.uri);
                        tracing::warn!(
                            file,
                            warehouse,
                            why,
                            "a schema file is damaged: the columns of the table's rows count"
                        );
                        self.columns_of(&folder).await?
                    }
                };
                tables.extend(schema.map(|schema| (table, schema)));
            }
        }
        Ok(tables)
    }

    async fn folders(&self, path: &Path) -> Result<Vec<Path>, WarehouseError> {
        let prefix = (!path.is_root()).then_some(path);
        let listed = self.store.list_with_delimiter(prefix).await;
        let listed = listed.map_err(|source| self.failed(format!("list `{path}`"), source))?;
        let named = |path: &Path| path.filename().is_some_and(|name| !name.starts_with('_'));
        Ok(listed.common_prefixes.into_iter().filter(named).collect())
    }

    async fn schema_file(&self, path: &Path) -> Result<SchemaFile, WarehouseError> {
        let bytes = match self.store.get(path).await {
            Ok(got) => got.bytes().await,
            Err(Error::NotFound { .. }) => return Ok(SchemaFile::Missing),
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|source| self.failed(format!("read `{path}`"), source))?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(match TableSchema::parse(&text, File::new(path.as_ref())) {
            Ok(schema) => SchemaFile::Columns(schema),
            Err(error) => SchemaFile::Damaged(causes(&error)),
        })
    }

    /// The columns of a table without its schema file: those of a table of clickmill's own, or of the
    /// file that was written last.
    async fn columns_of(&self, folder: &Path) -> Result<Option<TableSchema>, WarehouseError> {
        let name = folder.filename().unwrap_or_default();
        if let Some(table) = system::ALL.iter().find(|table| table.name == name) {
            let schema = table.schema();
            let schema = schema
                .map_err(|source| WarehouseError::Schema { uri: self.uri.clone(), source })?;
            return Ok(Some(schema));
        }
        let mut files = self.list(folder).await?;
        files.retain(|file| file.location.extension() == Some("parquet"));
        files.sort_by_key(|file| file.last_modified);
        let mut last = None;
        for file in files.iter().rev() {
            match self.reader(&file.location).await {
                Ok(reader) => {
                    last = Some(reader.schema().clone());
                    break;
                }
                // An older one may be whole.
                Err(WarehouseError::Parquet { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let plain = |schema: &Schema| Schema::new(schema.fields().clone());
        let path = folder.clone().join(SCHEMA_FILE);
        let path = File::new(path.as_ref());
        Ok(last.and_then(|schema| TableSchema::of_arrow(&plain(&schema), path)))
    }
}
