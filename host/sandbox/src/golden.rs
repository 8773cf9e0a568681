//! Golden cases: JSON files beside a plugin that say what it makes of rows. They are the plugin's own
//! tests, which a running pipeline that takes the plugin up runs first.
//!
//! ```json
//! {
//!   "columns": {"user_id": "STRING", "ip": "STRING"},
//!   "config": {"columns": {"ip": "ip"}},
//!   "cases": [
//!     {"name": "the last byte goes", "input": {"ip": "192.0.2.77"}, "output": {"ip": "192.0.2.0"}},
//!     {"name": "not an address", "input": {"ip": "nowhere"}, "rejected": "bad_ip"},
//!     {"name": "a probe", "input": {"ip": null}, "dropped": true}
//!   ]
//! }
//! ```
//!
//! `columns` are what the plugin may read, by their BigQuery types, or as a table's schema has them
//! (`{"type": "RECORD", "mode": "REPEATED", "fields": […]}`). Where a plugin makes several rows of one, `rows`
//! are those that it makes of a case, in the place of `output`. `config` is merged over the stage's
//! own, key by key; a secret that `secrets` does not give is made up, and is never that of the environment.
//! Columns that `output` does not name are not looked at; ingest time is the epoch unless `ingest_time`
//! says otherwise. Bytes are in base64.
//!
//! `lookups` are tables by name: their rows by key, or the name of a file beside this one. `max_fuel_per_row`
//! is a budget for each case, or for one where it is the case's own; `max_fuel` is one for all cases in one
//! batch.

mod error;
mod once;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::{Field, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::boundary::Secret;
use super::lookup::{Format, LookupFile};
use super::rows::decode;
use super::secrets::{Secrets, made_up, wrong};
use clickmill_core::schema::{Column, TableSchema, timestamp_type};
use clickmill_core::{Micros, file};
pub use error::GoldenError;
use once::EachOnce;

/// Bytes of a file of cases, at most: what a request for a swap holds of all of them.
const MAX_FILE_BYTES: usize = 512 << 20;

/// A file of golden cases.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The file's name, for messages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    columns: BTreeMap<String, Json>,
    /// Merged over the stage's configuration.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Json>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    lookups: BTreeMap<String, Lookup>,
    /// Contents of the files that `lookups` name, as they were read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ingest_time: Option<String>,
    /// Fuel that a row of any case may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_fuel_per_row: Option<u64>,
    /// Fuel that all cases in one batch may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_fuel: Option<u64>,
    pub(super) cases: Vec<Case>,
}

/// A table of reference data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Lookup {
    /// The name of a file beside that of the cases.
    File(String),
    /// Rows by key, as a `.json` file has them.
    Rows(Map<String, Json>),
}

/// A row that goes in, and what is to become of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    pub(super) input: Map<String, Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<Map<String, Json>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<Vec<Map<String, Json>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rejected: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) dropped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_fuel_per_row: Option<u64>,
}

impl Case {
    /// Its name or, of one without, its number.
    pub(super) fn called(&self, at: usize) -> String {
        if self.name.is_empty() { (at + 1).to_string() } else { self.name.clone() }
    }
}

/// The cases of a file by its name, or why they can't be read.
pub type Cases = (String, Result<Golden, GoldenError>);

impl Golden {
    /// Reads the `tests/*.json` of a folder, in the order of their names.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is no file of cases.
    pub fn beside(folder: &Path) -> Result<Vec<Self>, GoldenError> {
        Self::each_beside(folder)?.into_iter().map(|(_, golden)| golden).collect()
    }

    /// The same, each by its file's name: one that is no file of cases keeps no other from being read.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn each_beside(folder: &Path) -> Result<Vec<Cases>, GoldenError> {
        let failed = |path: &Path, source| GoldenError::Read { path: path.to_owned(), source };
        let folder = folder.join("tests");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&folder, error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|error| failed(&folder, error))?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let named = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let golden = Self::read(&path, name.clone());
            (name, golden)
        };
        Ok(paths.into_iter().map(named).collect())
    }

    /// Reads a file, with the tables that it names.
    fn read(path: &Path, file: String) -> Result<Self, GoldenError> {
        let read = |path: &Path| {
            let text = file::read_text(path, MAX_FILE_BYTES);
            text.map_err(|source| GoldenError::Read { path: path.to_owned(), source })
        };
        let mut golden = Self::parse(&read(path)?, file)?;
        for name in golden.named_files() {
            let path = path.with_file_name(&name);
            // A link leads to any file.
            if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
                let what = format!("`{name}` is a link, wanted a file in the same folder");
                return Err(GoldenError::Case { file: golden.file, what });
            }
            golden.files.insert(name, read(&path)?);
        }
        Ok(golden)
    }

    /// The names of the files that it was read from: its own, and those of the tables that it names.
    pub fn file_names(&self) -> Vec<String> {
        [vec![self.file.clone()], self.named_files()].concat()
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    ///
    /// It is no JSON of that form, or a value does not fit its column.
    pub fn parse(text: &str, file: String) -> Result<Self, GoldenError> {
        let each_once = serde_json::from_str::<EachOnce>(text);
        let golden: Self = match each_once.and_then(|_| serde_json::from_str(text)) {
            Ok(golden) => golden,
            Err(source) => {
                return Err(match no_object(text) {
                    Some(what) => GoldenError::Case { file, what },
                    None => GoldenError::Parse { file, source },
                });
            }
        };
        if golden.cases.is_empty() {
            return Err(GoldenError::Case { file, what: "there are no cases".to_owned() });
        }
        let says = |case: &Case| {
            usize::from(case.output.is_some())
                + usize::from(case.rows.is_some())
                + usize::from(case.rejected.is_some())
                + usize::from(case.dropped)
        };
        if let Some(at) = golden.cases.iter().position(|case| says(case) != 1) {
            let name = golden.cases[at].called(at);
            let what =
                format!("case `{name}` wants one of `output`, `rows`, `rejected` and `dropped`");
            return Err(GoldenError::Case { file, what });
        }
        // Whoever may write cases may not read the files of whoever runs them.
        let is_beside = |name: &str| {
            let path = Path::new(name);
            let extension = path.extension().unwrap_or_default();
            path.file_name() == Some(path.as_os_str()) && (extension == "csv" || extension == "tsv")
        };
        if let Some(name) = golden.named_files().iter().find(|name| !is_beside(name)) {
            let what = format!(
                "`lookups` has `{name}`, wanted an object, or the name of a `.csv` or `.tsv` file in the same folder"
            );
            return Err(GoldenError::Case { file, what });
        }
        Ok(Self { file, ..golden })
    }

    fn named_files(&self) -> Vec<String> {
        let named = self.lookups.values().filter_map(|lookup| match lookup {
            Lookup::File(name) => Some(name.clone()),
            Lookup::Rows(_) => None,
        });
        named.collect()
    }

    /// The tables that the file gives.
    pub(super) fn lookups(&self) -> Result<Vec<LookupFile>, GoldenError> {
        let file = |(table, lookup): (&String, &Lookup)| {
            let (name, text) = match lookup {
                Lookup::Rows(rows) => {
                    (format!("{table}.json"), Json::from(rows.clone()).to_string())
                }
                Lookup::File(name) => {
                    let text = self.files.get(name).ok_or_else(|| GoldenError::Case {
                        file: self.file.clone(),
                        what: format!("`files` lacks `{name}`, which `lookups` names"),
                    })?;
                    (name.clone(), text.clone())
                }
            };
            Ok(LookupFile::new(table.clone(), name.into(), Bytes::from(text)))
        };
        self.lookups.iter().map(file).collect()
    }

    /// What a row of a case may use.
    pub(super) fn max_fuel_of(&self, case: &Case) -> Option<u64> {
        case.max_fuel_per_row.or(self.max_fuel_per_row)
    }

    /// A file without cases yet, for rows of these columns and a stage that is configured like this.
    pub(super) fn of_rows(
        file: &str,
        columns: &Schema,
        config: &Map<String, Json>,
        lookups: &[LookupFile],
        ingest_time: Micros,
    ) -> Self {
        let mut golden = Self {
            file: file.to_owned(),
            columns: columns.fields().iter().filter_map(|field| column_of(field)).collect(),
            config: config.clone(),
            secrets: BTreeMap::new(),
            lookups: BTreeMap::new(),
            files: BTreeMap::new(),
            ingest_time: Some(ingest_time.to_string()),
            max_fuel_per_row: None,
            max_fuel: None,
            cases: Vec::new(),
        };
        for LookupFile { table, path, bytes, .. } in lookups {
            let text = String::from_utf8_lossy(bytes);
            let lookup = match Format::of(path) {
                Format::Json => Lookup::Rows(serde_json::from_str(&text).unwrap_or_default()),
                format @ (Format::Csv | Format::Tsv) => {
                    let name = format!("{table}.{}", format.as_str());
                    golden.files.insert(name.clone(), text.into_owned());
                    Lookup::File(name)
                }
            };
            golden.lookups.insert(table.clone(), lookup);
        }
        golden
    }

    /// Keeps these columns only.
    pub(super) fn keep_columns(&mut self, keep: impl Fn(&str) -> bool) {
        self.columns.retain(|name, _| keep(name));
    }

    /// Whether a column is among those that the plugin may read.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns.contains_key(name)
    }

    /// Its text, without the files of reference data that it names.
    pub fn text(&self) -> String {
        let written = Self { file: String::new(), files: BTreeMap::new(), ..self.clone() };
        // It was made of JSON, or of what JSON holds.
        format!("{:#}\n", serde_json::to_value(&written).unwrap_or_default())
    }

    /// The files of reference data that it names, each with its text.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// How many cases.
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// The columns that the plugin may read.
    pub(super) fn columns(&self) -> Result<Schema, GoldenError> {
        let field = |(name, kind): (&String, &Json)| {
            let mut column = match kind {
                Json::Object(column) => Json::Object(column.clone()),
                kind => json!({ "type": kind }),
            };
            column["name"] = name.as_str().into();
            let column = serde_json::from_value::<Column>(column).map_err(|error| {
                let what = format!("column `{name}` cannot be: {error}");
                GoldenError::Case { file: self.file.clone(), what }
            })?;
            Ok(column.arrow())
        };
        let fields: Result<Vec<Field>, GoldenError> = self.columns.iter().map(field).collect();
        Ok(Schema::new(fields?))
    }

    /// The secrets that a stage asks for: those of the file, and else made-up ones.
    pub(super) fn secrets(&self, stage: &str, asked: &[Secret]) -> Result<Secrets, GoldenError> {
        let mut secrets = Secrets::new();
        for Secret { name, min_bytes } in asked {
            let min_bytes = *min_bytes as usize;
            let value = match self.secrets.get(name) {
                Some(value) => match wrong(value, min_bytes) {
                    None => value.clone(),
                    Some(wrong) => {
                        let (file, what) = (self.file.clone(), format!("secret `{name}` {wrong}"));
                        return Err(GoldenError::Case { file, what });
                    }
                },
                None => made_up(name, min_bytes),
            };
            secrets = secrets.with(stage, name, &value);
        }
        Ok(secrets)
    }

    pub(super) fn ingest_time(&self) -> Result<Micros, ArrowError> {
        let Some(text) = &self.ingest_time else { return Ok(Micros::default()) };
        let schema = Schema::new(vec![Field::new("at", timestamp_type(), false)]);
        let row = Map::from_iter([("at".to_owned(), Json::from(text.as_str()))]);
        let column = decode(&schema, &[&row])?;
        let times = column.column(0).as_primitive_opt::<TimestampMicrosecondType>();
        Ok(times.map_or(0, |times| times.value(0)).into())
    }
}

/// What is no object in the text of a file that cannot be read, and is to be one: serde takes a list for a list of its
/// members.
fn no_object(text: &str) -> Option<String> {
    let golden: Json = serde_json::from_str(text).ok()?;
    if !golden.is_object() {
        return Some("wanted an object with `columns` and `cases`".to_owned());
    }
    let at = golden["cases"].as_array()?.iter().position(|case| !case.is_object())?;
    Some(format!("case `{}` is no object, wanted one with `input` and what becomes of it", at + 1))
}

/// A column by its name, as `columns` has it.
fn column_of(field: &Field) -> Option<(String, Json)> {
    let schema = Schema::new(vec![field.clone().with_nullable(true)]);
    let mut column = TableSchema::of_arrow(&schema, Path::new(""))?.fields().pop()?;
    let members = column.as_object_mut()?;
    members.remove("name");
    let is_plain = members.get("mode").is_none_or(|mode| mode == "NULLABLE");
    let kind = match members.get("type") {
        Some(kind) if is_plain && !members.contains_key("fields") => kind.clone(),
        _ => column,
    };
    Some((field.name().clone(), kind))
}

#[cfg(test)]
mod tests;
