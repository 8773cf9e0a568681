//! Lookup tables: reference data that plugins ask for by key.
//!
//! A table is a CSV file with a header, of which the first column is the key, or a JSON object of which
//! the members are the keys: each holds an object of fields, or one value, which is field `value`. A file
//! named `.tsv` has tabs for commas.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::boundary::{Column, LookupError, Text};
use super::lift::{MAX_NAME_BYTES, cut};
use clickmill_core::{Digest, Fault, file};

/// The most that one lookup answers. Keys may be the same, so few bytes of them can ask for much.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Keys that one lookup takes: one for each row of the largest batch.
const MAX_KEYS: usize = 1 << 20;

/// The tables that one plugin was granted.
#[derive(Default)]
pub(super) struct Lookups {
    tables: Vec<(String, Table)>,
}

/// A table as it was read: what `Lookups` are made of.
#[derive(Debug, Clone)]
pub struct LookupFile {
    /// The table's name, as the plugin asks for it.
    pub table: String,
    /// The file: its ending tells the format.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Bytes,
    /// Digest of that.
    pub(super) digest: Digest,
}

/// How a table's file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A header and records.
    Csv,
    /// The same with tabs for commas.
    Tsv,
    /// An object.
    Json,
}

struct Table {
    /// Field names, the key's first.
    fields: Vec<String>,
    /// Rows by key; values as `fields` has them.
    rows: HashMap<String, Vec<Option<String>>>,
}

/// Why a lookup table can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LookupFileError {
    /// The file can't be read.
    #[error("cannot read lookup table `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not CSV.
    #[error("lookup table `{path}` is not CSV", path = path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: csv::Error,
    },
    /// Its fields are told apart by something else.
    #[error(
        "lookup table `{path}` has one column on line 1, `{header}`: its fields are separated by {delimiter:?}, wanted {wanted:?}: save it with commas, or with tabs under a name that ends in `.tsv`",
        path = path.display()
    )]
    Delimiter {
        /// The file.
        path: PathBuf,
        /// Its first line.
        header: String,
        /// What stands between the fields.
        delimiter: char,
        /// What should.
        wanted: char,
    },
    /// The file is not a JSON object.
    #[error("lookup table `{path}` is not a JSON object", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A key is there twice.
    #[error("lookup table `{path}` has key `{key}` twice", path = path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
}

impl LookupFileError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read { .. }
            | Self::Csv { .. }
            | Self::Delimiter { .. }
            | Self::Json { .. }
            | Self::Twice { .. } => Fault::Input,
        }
    }
}

impl LookupFile {
    /// A table of this content.
    pub fn new(table: String, path: PathBuf, bytes: Bytes) -> Self {
        let digest = Digest::of(&bytes);
        Self { table, path, bytes, digest }
    }

    /// The digest of its content, as plugin sets have it.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Reads a table's file.
    ///
    /// # Errors
    ///
    /// It cannot be read, is too large, or is no table: a key is there twice, or the delimiter is another.
    pub fn read(table: &str, path: &Path) -> Result<Self, LookupFileError> {
        let bytes = file::read(path, usize::MAX)
            .map_err(|source| LookupFileError::Read { path: path.to_owned(), source })?;
        Ok(Self::new(table.to_owned(), path.to_owned(), bytes.into()))
    }
}

impl Format {
    /// The format of a file, by its ending.
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension == "json" => Self::Json,
            Some(extension) if extension.eq_ignore_ascii_case("tsv") => Self::Tsv,
            _ => Self::Csv,
        }
    }

    /// Its name in the digests of plugin sets.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Json => "json",
        }
    }
}

impl Lookups {
    /// Parses the tables.
    pub(crate) fn parse(files: &[LookupFile]) -> Result<Self, LookupFileError> {
        let table = |LookupFile { table, path, bytes, .. }: &LookupFile| {
            let parsed = match Format::of(path) {
                Format::Json => json_table(bytes, path)?,
                Format::Csv => csv_table(bytes, path, ',')?,
                Format::Tsv => csv_table(bytes, path, '\t')?,
            };
            Ok((table.clone(), parsed))
        };
        Ok(Self { tables: files.iter().map(table).collect::<Result<_, _>>()? })
    }

    /// Whether they were read once, or neither has a table.
    pub(crate) fn are(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || (self.tables.is_empty() && other.tables.is_empty())
    }

    /// Answers the `find` of the contract. Numbers of `offsets` are as they lie in the guest's memory.
    pub(crate) fn find(
        &self,
        table: &str,
        field: &str,
        offsets: &[u32],
        keys: &[u8],
    ) -> Result<Column, LookupError> {
        let found = self.tables.iter().find(|(name, _)| name == table);
        // An unknown name is the guest's own, of any length.
        let (_, found) =
            found.ok_or_else(|| LookupError::UnknownTable(cut(table, MAX_NAME_BYTES)))?;
        let at = found
            .fields
            .iter()
            .position(|name| name == field)
            .ok_or_else(|| LookupError::UnknownField(found.fields.clone()))?;
        let rows = offsets.len().saturating_sub(1);
        if rows > MAX_KEYS {
            let text = format!("there are {rows} keys, wanted at most {MAX_KEYS}");
            return Err(LookupError::MalformedKeys(text));
        }
        let offset = |at: usize| u32::from_le(offsets[at]) as usize;
        let mut ends = Vec::with_capacity(rows + 1);
        let mut bytes = Vec::new();
        let mut validity = vec![0; rows.div_ceil(8)];
        ends.push(0);
        for row in 0..rows {
            let key = keys.get(offset(row)..offset(row + 1));
            let key = key.and_then(|key| std::str::from_utf8(key).ok()).ok_or_else(|| {
                LookupError::MalformedKeys(format!("key {row} is not UTF-8 within the bytes"))
            })?;
            if bytes.len() > MAX_ANSWER_BYTES {
                let text = format!("the answer is beyond {MAX_ANSWER_BYTES} bytes");
                return Err(LookupError::MalformedKeys(text));
            }
            if let Some(Some(value)) = found.rows.get(key).map(|values| &values[at]) {
                bytes.extend_from_slice(value.as_bytes());
                validity[row / 8] |= 1 << (row % 8);
            }
            ends.push(bytes.len() as u32);
        }
        Ok(Column::texts(field, Text { offsets: ends, bytes }, Some(validity)))
    }
}

/// Bytes of an answer.
pub(super) fn size_of_answer(answer: &Result<Column, LookupError>) -> usize {
    match answer {
        Ok(column) => column.bytes(),
        Err(LookupError::UnknownTable(text) | LookupError::MalformedKeys(text)) => text.len(),
        Err(LookupError::UnknownField(names)) => {
            size_of_val(&**names) + names.iter().map(String::len).sum::<usize>()
        }
    }
}

fn csv_table(bytes: &[u8], path: &Path, wanted: char) -> Result<Table, LookupFileError> {
    let failed = |source| LookupFileError::Csv { path: path.to_owned(), source };
    let mut reader = csv::ReaderBuilder::new().delimiter(wanted as u8).from_reader(bytes);
    let fields: Vec<String> = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
    if let [header] = &fields[..]
        && let Some(delimiter) = [';', '\t', '|', ','].into_iter().find(|d| header.contains(*d))
    {
        let (path, header) = (path.to_owned(), header.clone());
        return Err(LookupFileError::Delimiter { path, header, delimiter, wanted });
    }
    let mut rows = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let key = record.get(0).unwrap_or_default().to_owned();
        let values = record.iter().map(|value| Some(value.to_owned())).collect();
        if rows.insert(key.clone(), values).is_some() {
            return Err(LookupFileError::Twice { path: path.to_owned(), key });
        }
    }
    Ok(Table { fields, rows })
}

fn json_table(bytes: &[u8], path: &Path) -> Result<Table, LookupFileError> {
    let Members(members) = serde_json::from_slice(bytes)
        .map_err(|source| LookupFileError::Json { path: path.to_owned(), source })?;
    let mut fields = vec!["key".to_owned()];
    for (_, member) in &members {
        let names: Vec<&str> = match member {
            Json::Object(object) => object.keys().map(String::as_str).collect(),
            _ => vec!["value"],
        };
        for name in names {
            if !fields.iter().any(|field| field == name) {
                fields.push(name.to_owned());
            }
        }
    }
    let text = |value: &Json| match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let mut rows = HashMap::new();
    for (key, member) in &members {
        let values = fields.iter().enumerate().map(|(at, field)| match (at, member) {
            (0, _) => Some(key.clone()),
            (_, Json::Object(object)) => object.get(field).and_then(text),
            (_, value) => text(value),
        });
        if rows.insert(key.clone(), values.collect()).is_some() {
            return Err(LookupFileError::Twice { path: path.to_owned(), key: key.clone() });
        }
    }
    Ok(Table { fields, rows })
}

/// The members of an object, those of one name too.
struct Members(Vec<(String, Json)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfObject;

        impl<'de> Visitor<'de> for OfObject {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a member for each key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(OfObject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_told_whatever_the_form() {
        let [csv, json] = [
            (csv_table(b"key,name\n29,First\n30,x\n29,Second\n", Path::new("t.csv"), ','), "t.csv"),
            (
                json_table(
                    br#"{"29":{"name":"First"},"29":{"name":"Second"}}"#,
                    Path::new("t.json"),
                ),
                "t.json",
            ),
        ];
        for (made, path) in [csv, json] {
            let told = made.err().expect("a fault").to_string();
            assert_eq!(told, format!("lookup table `{path}` has key `29` twice"));
        }
        assert!(json_table(b"[1]", Path::new("t.json")).is_err(), "no object");
    }

    fn parse(name: &str, text: &str) -> Result<Vec<String>, String> {
        let file = LookupFile::new("t".to_owned(), name.into(), text.to_owned().into());
        let parsed = Lookups::parse(&[file]).map_err(|error| error.to_string())?;
        Ok(parsed.tables[0].1.fields.clone())
    }

    #[test]
    fn a_table_with_another_delimiter_is_told_with_its_file_and_line() {
        let fields = |names: [&str; 2]| Ok(names.map(str::to_owned).to_vec());
        assert_eq!(parse("codes.csv", "code,name\n1,One\n"), fields(["code", "name"]));
        assert_eq!(parse("codes.TSV", "code\tname\n1\tOne, two\n"), fields(["code", "name"]));
        assert_eq!(parse("codes.csv", "code\n1\n"), Ok(vec!["code".to_owned()]));
        for (name, text, delimiter) in [
            ("codes.csv", "code;name\n1;One\n", "';'"),
            ("codes.csv", "code;name\n1;One, two\n", "';'"),
            ("codes.csv", "code\tname\n1\tOne\n", "'\\t'"),
            ("codes.csv", "code|name\n1|One\n", "'|'"),
            ("codes.tsv", "code,name\n1,One\n", "','"),
        ] {
            let told = parse(name, text).unwrap_err();
            let wanted = format!("lookup table `{name}` has one column on line 1, `");
            assert!(told.starts_with(&wanted), "{told}");
            assert!(told.contains(&format!("are separated by {delimiter}, wanted ")), "{told}");
        }
    }
}
