//! What columns a table has: a file beside the table's own, `_schema.json`.

use std::path::Path as File;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};

use super::disk::MAX_SMALL_BYTES;
use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::causes;
use clickmill_core::path::Path as ColumnPath;
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
    /// them, but for columns added at the end that may be null or are lists, and so with the fields of
    /// records. A damaged schema file is set aside, and what the table's rows have counts.
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
            let is_grown = is_grown(known.arrow().fields(), schema.arrow().fields(), None);
            if !is_grown.map_err(other)? && !is_damaged {
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

    /// The columns of a table by its schema file, where that is there and sound.
    pub(super) async fn sound_columns(
        &self,
        table: &TableName,
    ) -> Result<Option<TableSchema>, WarehouseError> {
        Ok(match self.schema_file(&self.table(table).join(SCHEMA_FILE)).await? {
            SchemaFile::Columns(schema) => Some(schema),
            SchemaFile::Missing | SchemaFile::Damaged(_) => None,
        })
    }

    async fn folders(&self, path: &Path) -> Result<Vec<Path>, WarehouseError> {
        let what = || format!("list `{path}`");
        let folders = match &self.disk {
            Some(disk) => disk.folders(path).map_err(|source| self.disk_failed(what(), source))?,
            None => {
                let prefix = (!path.is_root()).then_some(path);
                let listed = self.store.list_with_delimiter(prefix).await;
                listed.map_err(|source| self.failed(what(), source))?.common_prefixes
            }
        };
        // Beside the datasets are folders of ours; a table may be called as it likes.
        let is_ours = |name: &str| path.is_root() && name.starts_with('_');
        let named = |path: &Path| path.filename().is_some_and(|name| !is_ours(name));
        Ok(folders.into_iter().filter(named).collect())
    }

    async fn schema_file(&self, path: &Path) -> Result<SchemaFile, WarehouseError> {
        let bytes = match self.store.get(path).await {
            Ok(got) if got.meta.size > MAX_SMALL_BYTES => {
                let bytes = got.meta.size;
                let why = format!("it has {bytes} bytes, wanted at most {MAX_SMALL_BYTES}");
                return Ok(SchemaFile::Damaged(why));
            }
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

/// Whether columns have more than those that are known, or fields of records; an error where they differ
/// otherwise, or what is new can't be absent from the rows that are there. `record` is whose fields they are.
fn is_grown(known: &Fields, now: &Fields, record: Option<&ColumnPath>) -> Result<bool, String> {
    let within = record.map(|record| format!("in `{record}` ")).unwrap_or_default();
    let at = |name: &str| record.map_or_else(|| ColumnPath::of(name), |record| record.field(name));
    let mut is_more = now.len() > known.len();
    for (place, column) in known.iter().enumerate() {
        let Some(now) = now.get(place) else {
            return Err(format!("{within}it has `{column}` too"));
        };
        is_more |= match fields_of_both(column, now) {
            Some((known, now)) => is_grown(known, now, Some(&at(column.name())))?,
            None if now == column => false,
            None => return Err(format!("{within}`{now}` where it has `{column}`")),
        };
    }
    let can_be_absent =
        |new: &Field| new.is_nullable() || matches!(new.data_type(), DataType::List(_));
    match now.iter().skip(known.len()).find(|new| !can_be_absent(new)) {
        Some(new) => Err(format!("`{}` is new and may not be null", at(new.name()))),
        None => Ok(is_more),
    }
}

/// The fields of two records that are the same but for those, or of two lists of such.
fn fields_of_both<'a>(one: &'a Field, other: &'a Field) -> Option<(&'a Fields, &'a Fields)> {
    if one.name() != other.name() || one.is_nullable() != other.is_nullable() {
        return None;
    }
    match (one.data_type(), other.data_type()) {
        (DataType::Struct(one), DataType::Struct(other)) => Some((one, other)),
        (DataType::List(one), DataType::List(other)) => fields_of_both(one, other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"{"name": "sku", "type": "STRING", "mode": "REQUIRED"}"#;

    /// A table whose list of records has these fields.
    fn items(fields: &str) -> TableSchema {
        let text = format!(
            r#"[{{"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [{fields}]}}]"#
        );
        TableSchema::parse(&text, File::new("t.json")).expect("a schema")
    }

    #[tokio::test]
    async fn a_schema_file_that_only_somebody_else_makes_so_large_is_damaged() {
        let folder = tempfile::tempdir().expect("a folder");
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).expect("opened");
        let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        let file = folder.path().join("d/t/_schema.json");
        warehouse.ensure_table(&table, &items(BEFORE)).await.expect("made");
        std::fs::File::create(&file).and_then(|file| file.set_len(1 << 40)).expect("large");
        warehouse.ensure_table(&table, &items(BEFORE)).await.expect("made anew");
        assert!(file.with_file_name("_schema.json.damaged").exists());
        assert_eq!(warehouse.tables().await.expect("listed").len(), 1);
    }

    #[tokio::test]
    async fn what_others_have_put_there_is_no_table_and_stops_nobody() {
        use std::os::unix::ffi::OsStrExt;

        let folder = tempfile::tempdir().expect("a folder");
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).expect("opened");
        let table = TableName { dataset: "d".to_owned(), table: "t-1".to_owned() };
        warehouse.ensure_table(&table, &items(BEFORE)).await.expect("made");
        let here = folder.path();
        std::fs::create_dir(here.join("lost+found")).expect("made");
        for name in [&b"Icon\r"[..], b"\xff.tmp", b"d/\xff.tmp", b"d/x\ny.txt", b"d/t-1/x\ny.txt"] {
            std::fs::write(here.join(std::ffi::OsStr::from_bytes(name)), "x").expect("written");
            std::fs::create_dir(here.join(std::ffi::OsStr::from_bytes(&[name, b"z"].concat())))
                .expect("made");
        }
        let found = warehouse.tables().await.expect("listed");
        let found: Vec<TableName> = found.into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, std::slice::from_ref(&table));
        assert!(warehouse.files(&table).await.expect("listed").is_empty());
    }

    #[tokio::test]
    async fn a_record_gains_fields_that_may_be_absent_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).expect("opened");
        let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        let ensure = async |fields: &str| {
            let ensured = warehouse.ensure_table(&table, &items(fields)).await;
            ensured.map_err(|error| error.to_string())
        };
        ensure(BEFORE).await.expect("made");
        let grown = [
            BEFORE,
            r#"{"name": "note", "type": "STRING"}"#,
            r#"{"name": "tags", "type": "STRING", "mode": "REPEATED"}"#,
        ]
        .join(",");
        ensure(&grown).await.expect("grown");
        let known = warehouse.tables().await.expect("listed");
        assert_eq!(known[0].1.arrow(), items(&grown).arrow());
        let required =
            format!(r#"{grown},{{"name": "price", "type": "FLOAT", "mode": "REQUIRED"}}"#);
        let error = ensure(&required).await.expect_err("not there");
        assert!(error.contains("`items.price` is new and may not be null"), "{error}");
        let error = ensure(BEFORE).await.expect_err("less");
        assert!(error.contains("in `items` it has `"), "{error}");
        let other = grown.replacen("STRING", "INTEGER", 1);
        let error = ensure(&other).await.expect_err("another type");
        assert!(error.contains("in `items` `"), "{error}");
    }

    /// A file that is called `2026-01-05.csv` makes a table whose name begins so.
    #[tokio::test]
    async fn tables_may_be_called_as_folders_of_ours_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).expect("opened");
        for (dataset, table) in [("d", "_2026_01_05"), ("d", "_staging"), ("d", "t")] {
            let table = TableName { dataset: dataset.to_owned(), table: table.to_owned() };
            warehouse.ensure_table(&table, &items(BEFORE)).await.expect("made");
        }
        let listed = warehouse.tables().await.expect("listed");
        let mut listed: Vec<String> = listed.iter().map(|(name, _)| name.to_string()).collect();
        listed.sort();
        assert_eq!(listed, ["d._2026_01_05", "d._staging", "d.t"]);
    }
}
