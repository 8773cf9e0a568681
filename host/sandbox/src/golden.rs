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
//! says otherwise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::util::display::array_value_to_string;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::boundary::Secret;
use super::chain::{Chain, ChainWorker};
use super::file;
use super::kind::Kind;
use super::secrets::{Secrets, made_up, wrong};
use clickmill_core::batch::{Batch, Origins, Position, Positions};
use clickmill_core::schema::{Column, timestamp_type};
use clickmill_core::{Fault, Micros};

/// Bytes of a file of cases, at most: what a request for a swap holds of all of them.
const MAX_FILE_BYTES: usize = 512 << 20;

/// A file of golden cases.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The file's name, for messages.
    #[serde(default)]
    pub file: String,
    columns: BTreeMap<String, Json>,
    /// Merged over the stage's configuration.
    #[serde(default)]
    pub config: Map<String, Json>,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    #[serde(default)]
    ingest_time: Option<String>,
    cases: Vec<Case>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    name: String,
    input: Map<String, Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Map<String, Json>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<Map<String, Json>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejected: Option<String>,
    #[serde(default)]
    dropped: bool,
}

/// Why golden cases can't be run.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file can't be read.
    #[error("cannot read golden cases `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it is to be.
    #[error("golden cases `{file}` are not of the form that they are to have")]
    Parse {
        /// The file.
        file: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A case says nothing, or several things at once, or a secret can be guessed.
    #[error("golden cases `{file}`: {what}")]
    Case {
        /// The file.
        file: String,
        /// Which, and what it lacks.
        what: String,
    },
    /// Its values are not of the types that it names, or the columns can't be.
    #[error("golden cases `{file}` have values that do not fit their columns")]
    Values {
        /// The file.
        file: String,
        /// Why.
        source: ArrowError,
    },
}

impl GoldenError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read { .. } | Self::Parse { .. } | Self::Case { .. } | Self::Values { .. } => {
                Fault::Input
            }
        }
    }
}

impl Golden {
    /// Reads the `tests/*.json` of a folder, in the order of their names.
    pub fn beside(folder: &Path) -> Result<Vec<Self>, GoldenError> {
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
        let read = |path: PathBuf| {
            let text = file::read_text(&path, MAX_FILE_BYTES);
            let text = text.map_err(|error| failed(&path, error))?;
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Self::parse(&text, file)
        };
        paths.into_iter().map(read).collect()
    }

    /// Parses the text of a file.
    pub fn parse(text: &str, file: String) -> Result<Self, GoldenError> {
        let golden: Self = match serde_json::from_str(text) {
            Ok(golden) => golden,
            Err(source) => return Err(GoldenError::Parse { file, source }),
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
        Ok(Self { file, ..golden })
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
            serde_json::from_value::<Column>(column).map(|column| column.arrow())
        };
        let fields: Result<Vec<Field>, _> = self.columns.iter().map(field).collect();
        let parse = |source| GoldenError::Parse { file: self.file.clone(), source };
        Ok(Schema::new(fields.map_err(parse)?))
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

    /// Runs the cases through a chain of the one plugin. Returns a line for each that fails.
    pub(super) fn run(&self, chain: &Chain) -> Result<Vec<String>, GoldenError> {
        let failed = |source| GoldenError::Values { file: self.file.clone(), source };
        let inputs: Vec<&Map<String, Json>> = self.cases.iter().map(|case| &case.input).collect();
        let columns = self.columns()?;
        for (case, input) in self.cases.iter().zip(&inputs) {
            if let Some(name) = input.keys().find(|name| columns.field_with_name(name).is_err()) {
                let what = format!("case `{}` has `{name}`, which `columns` has not", case.name);
                return Err(failed(ArrowError::SchemaError(what)));
            }
        }
        let rows = self.cases.len();
        let batch = Batch {
            columns: decode(&columns, &inputs).map_err(failed)?,
            origins: Origins {
                source: self.file.as_str().into(),
                header: None,
                positions: Positions::Lines((0..rows as u64).collect()),
                places: None,
                block: bytes::Bytes::new(),
                ranges: vec![0..0; rows],
            },
            ingest_time: self.ingest_time().map_err(failed)?,
        };
        let processed = ChainWorker::new(chain).run(batch).map_err(failed)?;
        let Positions::Lines(kept) = &processed.batch.origins.positions else {
            return Ok(Vec::new());
        };
        let mut problems = Vec::new();
        for (at, case) in self.cases.iter().enumerate() {
            let rejected =
                processed.rejected.iter().find(|r| r.position == Position::Line(at as u64));
            let lines = kept.iter().enumerate().filter(|(_, line)| **line == at as u64);
            let rows: Vec<usize> = lines.map(|(row, _)| row).collect();
            let got = match rejected {
                // Beside rows that are wanted others may be refused.
                Some(rejected) if case.rows.is_none() || rows.is_empty() => {
                    Got::Rejected(&rejected.reason.code, &rejected.reason.message)
                }
                _ if rows.is_empty() => Got::Dropped,
                _ => Got::Rows(&rows),
            };
            let wrong = case.judge(&got, &processed.batch.columns).map_err(failed)?;
            let name = case.called(at);
            problems.extend(wrong.map(|wrong| format!("{}, case `{name}`: {wrong}", self.file)));
        }
        Ok(problems)
    }

    fn ingest_time(&self) -> Result<Micros, ArrowError> {
        let Some(text) = &self.ingest_time else { return Ok(Micros::default()) };
        let schema = Schema::new(vec![Field::new("at", timestamp_type(), false)]);
        let row = Map::from_iter([("at".to_owned(), Json::from(text.as_str()))]);
        let column = decode(&schema, &[&row])?;
        let times =
            column.column(0).as_any().downcast_ref::<arrow::array::TimestampMicrosecondArray>();
        Ok(times.map_or(0, |times| times.value(0)).into())
    }
}

enum Got<'a> {
    Rows(&'a [usize]),
    Rejected(&'a str, &'a str),
    Dropped,
}

impl Case {
    /// Its name or, of one without, its number.
    fn called(&self, at: usize) -> String {
        if self.name.is_empty() { (at + 1).to_string() } else { self.name.clone() }
    }

    /// What is wrong with what the plugin made of the case.
    fn judge(&self, got: &Got<'_>, rows: &RecordBatch) -> Result<Option<String>, ArrowError> {
        let outputs = self.rows.as_deref().or(self.output.as_ref().map(std::slice::from_ref));
        let several =
            |rows: usize| if rows == 1 { "a row".to_owned() } else { format!("{rows} rows") };
        let wanted = match (&self.rejected, self.dropped) {
            (Some(code), _) => format!("rejected as `{code}`"),
            (None, true) => "dropped".to_owned(),
            (None, false) => several(outputs.map_or(1, <[_]>::len)),
        };
        Ok(match (got, &self.rejected, self.dropped) {
            (Got::Rejected(code, _), Some(wanted), _) if code == wanted => None,
            (Got::Dropped, None, true) => None,
            (Got::Rows(made), None, false) if made.len() == outputs.map_or(1, <[_]>::len) => {
                for (output, row) in outputs.into_iter().flatten().zip(*made) {
                    if let Some(wrong) = differs(output, rows, *row)? {
                        return Ok(Some(wrong));
                    }
                }
                None
            }
            (Got::Rejected(code, message), ..) => {
                Some(format!("wanted {wanted}, got rejected as `{code}`: {message}"))
            }
            (Got::Dropped, ..) => Some(format!("wanted {wanted}, got dropped")),
            (Got::Rows(made), ..) => Some(format!("wanted {wanted}, got {}", several(made.len()))),
        })
    }
}

/// The first column of a row that is not as wanted.
fn differs(
    wanted: &Map<String, Json>,
    rows: &RecordBatch,
    row: usize,
) -> Result<Option<String>, ArrowError> {
    for (name, value) in wanted {
        let Some(got) = rows.column_by_name(name) else {
            return Ok(Some(format!("there is no column `{name}`")));
        };
        let mut got = got.slice(row, 1);
        if let Some(kind) = Kind::of(rows.schema_ref().field_with_name(name)?) {
            // With its texts written out.
            got = cast(&got, kind.field(name).data_type())?;
        }
        let schema = Schema::new(vec![Field::new(name, got.data_type().clone(), true)]);
        let one = Map::from_iter([(name.clone(), value.clone())]);
        let wanted: ArrayRef = decode(&schema, &[&one])?.column(0).clone();
        if *wanted != *got {
            let shown = |array: &ArrayRef| -> Result<String, ArrowError> {
                if array.is_null(0) {
                    Ok("nothing".to_owned())
                } else {
                    Ok(format!("`{}`", array_value_to_string(array, 0)?))
                }
            };
            let (wanted, got) = (shown(&wanted)?, shown(&got)?);
            return Ok(Some(format!("`{name}` is {got}, wanted {wanted}")));
        }
    }
    Ok(None)
}

/// Rows of JSON as columns. What a row lacks is null.
fn decode(schema: &Schema, rows: &[&Map<String, Json>]) -> Result<RecordBatch, ArrowError> {
    let lax = |field: &std::sync::Arc<Field>| field.as_ref().clone().with_nullable(true);
    let schema =
        std::sync::Arc::new(Schema::new(schema.fields().iter().map(lax).collect::<Vec<_>>()));
    let none = || {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(schema.clone(), Vec::new(), &options)
    };
    if schema.fields().is_empty() {
        return none();
    }
    let binary = |field: &std::sync::Arc<Field>| *field.data_type() == DataType::Binary;
    if let Some(field) = schema.fields().iter().find(|field| binary(field)) {
        let what = format!("`{}` is of bytes, which golden cases can't write down", field.name());
        return Err(ArrowError::NotYetImplemented(what));
    }
    let mut decoder =
        ReaderBuilder::new(schema.clone()).with_batch_size(rows.len().max(1)).build_decoder()?;
    decoder.serialize(rows)?;
    match decoder.flush()? {
        Some(batch) => Ok(batch),
        None => Ok(RecordBatch::new_empty(schema)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_that_test_nothing_are_refused() {
        let told = |cases: &str| {
            let text = format!(r#"{{"columns": {{"a": "STRING"}}, "cases": [{cases}]}}"#);
            Golden::parse(&text, "t.json".to_owned()).err().map(|error| error.to_string())
        };
        assert_eq!(told(""), Some("golden cases `t.json`: there are no cases".to_owned()));
        let good = r#"{"input": {"a": "x"}, "rejected": "bad"}"#;
        assert_eq!(told(good), None);
        let wanted = "golden cases `t.json`: case `2` wants one of `output`, `rows`, `rejected` and `dropped`";
        let nothing = format!(r#"{good}, {{"input": {{"a": "x"}}}}"#);
        assert_eq!(told(&nothing).as_deref(), Some(wanted));
        let both = format!(r#"{good}, {{"input": {{}}, "rejected": "bad", "dropped": true}}"#);
        assert_eq!(told(&both).as_deref(), Some(wanted));
    }
}
