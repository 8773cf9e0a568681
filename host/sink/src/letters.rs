//! Dead letters as they are kept, for trying them again: read page by page, and which of their rows are
//! in the table already.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{SinkError, Tables};
use clickmill_config::TableName;

/// A dead letter, read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Its id.
    pub letter_id: String,
    /// `uri@generation` of the object its record came from, or the subscription.
    pub source: String,
    /// The line there, of a record from an object.
    pub source_line: Option<i64>,
    /// The message's id, of one from a subscription.
    pub message_id: Option<String>,
    /// When that was published: microseconds since 1970-01-01T00:00:00Z.
    pub publish_time: Option<i64>,
    /// The record's bytes, sealed where `sealed_with` says so.
    pub payload: Vec<u8>,
    /// The key it is sealed with.
    pub sealed_with: Option<String>,
    /// Attributes, by key.
    pub attributes: Vec<(String, String)>,
    /// Who refused it.
    pub stage: String,
    /// By which plugin set.
    pub plugin_set: String,
    /// Why, as a word.
    pub code: String,
    /// Why, for a person.
    pub message: String,
}

/// Which letters.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The dead-letter table.
    pub table: &'a TableName,
    /// The attempts: letters that are resolved there are left out.
    pub attempts: &'a TableName,
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// A condition in SQL.
    pub condition: &'a str,
    /// Only those whose id comes after this one.
    pub after: &'a str,
    /// How many at most.
    pub limit: usize,
}

/// A row's place in its source, by which it is found in the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The message's id.
    Message(String),
    /// Source and line.
    Line(String, i64),
}

const COLUMNS: [&str; 9] = [
    "letter_id",
    "source",
    "source_line",
    "message_id",
    "sealed_with",
    "stage",
    "plugin_set",
    "code",
    "errorMessage",
];

impl Letter {
    /// Where its row would be from.
    pub fn key(&self) -> Option<Key> {
        match (&self.message_id, self.source_line) {
            (Some(id), _) => Some(Key::Message(id.clone())),
            (None, Some(line)) => Some(Key::Line(self.source.clone(), line)),
            (None, None) => None,
        }
    }
}

impl Tables {
    /// Letters that are wanted, in the order of their ids.
    pub async fn letters(&self, wanted: &Wanted<'_>) -> Result<Vec<Letter>, SinkError> {
        let columns = COLUMNS.map(|column| format!("letters.{column}")).join(", ");
        let special = match self {
            Self::Warehouse(_) => "letters.publish_time, letters.payloadBytes, letters.attributes",
            Self::BigQuery(_) => {
                "UNIX_MICROS(letters.publish_time), TO_BASE64(letters.payloadBytes), \
                 TO_JSON_STRING(letters.attributes)"
            }
        };
        let Wanted { table, attempts, pipeline, condition, after, limit } = wanted;
        let sql = format!(
            "SELECT {columns}, {special} FROM `{}`.`{}` AS letters \
             WHERE letters.pipeline = '{pipeline}' AND letters.letter_id > '{after}' AND ({condition}) \
             AND letters.letter_id NOT IN (SELECT tried.letter_id FROM `{}`.`{}` AS tried WHERE tried.outcome <> 'rejected') \
             ORDER BY letters.letter_id LIMIT {limit}",
            table.dataset, table.table, attempts.dataset, attempts.table,
        );
        let mut letters = match self {
            Self::Warehouse(warehouse) => {
                let answer = warehouse.query(&sql).await.map_err(SinkError::from)?;
                answer.batches.iter().flat_map(of_columns).collect()
            }
            Self::BigQuery(bigquery) => {
                let rows = bigquery.query_rows(&sql, &[], "read dead letters").await?;
                rows.into_iter().map(of_texts).collect::<Vec<_>>()
            }
        };
        // A record that was refused twice has two letters of one id.
        letters.dedup_by(|later, earlier| later.letter_id == earlier.letter_id);
        Ok(letters)
    }

    /// Which of these rows are in the table.
    pub async fn present(
        &self,
        table: &TableName,
        keys: &[Key],
    ) -> Result<BTreeSet<Key>, SinkError> {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let (mut ids, mut sources, mut lines) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for key in keys {
            match key {
                Key::Message(id) => ids.push(quoted(id)),
                Key::Line(source, line) => {
                    sources.insert(quoted(source));
                    lines.insert(line.to_string());
                }
            }
        }
        let mut found = BTreeSet::new();
        let from = format!("FROM `{}`.`{}`", table.dataset, table.table);
        if !ids.is_empty() {
            let ids = ids.join(", ");
            let sql = format!("SELECT DISTINCT message_id {from} WHERE message_id IN ({ids})");
            for row in self.texts(&sql).await? {
                found.extend(row.into_iter().next().flatten().map(Key::Message));
            }
        }
        if !lines.is_empty() {
            let list = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(", ");
            let (sources, lines) = (list(sources), list(lines));
            let sql = format!(
                "SELECT DISTINCT source, source_line {from} \
                 WHERE source IN ({sources}) AND source_line IN ({lines})"
            );
            for row in self.texts(&sql).await? {
                if let [Some(source), Some(line)] = row.as_slice()
                    && let Ok(line) = line.parse()
                {
                    found.insert(Key::Line(source.clone(), line));
                }
            }
        }
        Ok(found)
    }

    async fn texts(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SinkError> {
        match self {
            Self::BigQuery(bigquery) => {
                Ok(bigquery.query_rows(sql, &[], "look for rows of letters").await?)
            }
            Self::Warehouse(warehouse) => {
                let answer = warehouse.query(sql).await.map_err(SinkError::from)?;
                let mut rows = Vec::new();
                for batch in &answer.batches {
                    for row in 0..batch.num_rows() {
                        let text = |column: &dyn Array| {
                            let shown = arrow::util::display::array_value_to_string(column, row);
                            column.is_valid(row).then(|| shown.ok()).flatten()
                        };
                        rows.push(batch.columns().iter().map(|column| text(column)).collect());
                    }
                }
                Ok(rows)
            }
        }
    }
}

/// Letters of the warehouse.
fn of_columns(rows: &RecordBatch) -> Vec<Letter> {
    let text = |name: &str, row: usize| -> Option<String> {
        let column = rows.column_by_name(name)?;
        let column = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).ok()?;
        let column = column.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let letter = |row: usize| {
        let text = |name: &str| text(name, row);
        let some = |name: &str| text(name).unwrap_or_default();
        let line = rows.column_by_name("source_line");
        let line = line.and_then(|column| column.as_primitive_opt::<Int64Type>());
        let time = rows.column_by_name("publish_time");
        let time = time.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        Letter {
            letter_id: some("letter_id"),
            source: some("source"),
            source_line: line.filter(|line| line.is_valid(row)).map(|line| line.value(row)),
            message_id: text("message_id"),
            publish_time: time.filter(|time| time.is_valid(row)).map(|time| time.value(row)),
            payload: bytes(rows, row),
            sealed_with: text("sealed_with"),
            attributes: attributes(rows, row),
            stage: some("stage"),
            plugin_set: some("plugin_set"),
            code: some("code"),
            message: some("errorMessage"),
        }
    };
    (0..rows.num_rows()).map(letter).collect()
}

fn bytes(rows: &RecordBatch, row: usize) -> Vec<u8> {
    let Some(column) = rows.column_by_name("payloadBytes") else { return Vec::new() };
    let column = arrow::compute::cast(column, &arrow::datatypes::DataType::Binary);
    column
        .ok()
        .and_then(|c| Some(c.as_binary_opt::<i32>()?.value(row).to_vec()))
        .unwrap_or_default()
}

fn attributes(rows: &RecordBatch, row: usize) -> Vec<(String, String)> {
    let pairs = || {
        let list = rows.column_by_name("attributes")?.as_list_opt::<i32>()?;
        let pairs = list.is_valid(row).then(|| list.value(row))?;
        let pairs = pairs.as_struct_opt()?;
        let utf8 = arrow::datatypes::DataType::Utf8;
        let of = |name| arrow::compute::cast(pairs.column_by_name(name)?, &utf8).ok();
        let (keys, values) = (of("key")?, of("value")?);
        let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
        let pair = |at: usize| (keys.value(at).to_owned(), values.value(at).to_owned());
        Some((0..pairs.len()).map(pair).collect())
    };
    pairs().unwrap_or_default()
}

/// A letter of BigQuery, whose values are text.
fn of_texts(row: Vec<Option<String>>) -> Letter {
    let mut values = row.into_iter();
    let mut next = || values.next().flatten();
    let letter_id = next().unwrap_or_default();
    let source = next().unwrap_or_default();
    let source_line = next().and_then(|line| line.parse().ok());
    let message_id = next();
    let sealed_with = next();
    let [stage, plugin_set, code, message] =
        [next(), next(), next(), next()].map(Option::unwrap_or_default);
    let publish_time = next().and_then(|time| time.parse().ok());
    let payload = next().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    #[derive(serde::Deserialize)]
    struct Pair {
        key: String,
        value: String,
    }
    let pairs: Vec<Pair> =
        next().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let attributes = pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
    Letter {
        letter_id,
        source,
        source_line,
        message_id,
        publish_time,
        payload,
        sealed_with,
        attributes,
        stage,
        plugin_set,
        code,
        message,
    }
}
