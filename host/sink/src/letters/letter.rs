//! A dead letter as it is read back from a row of its table.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value as Json;

use clickmill_core::batch::PAYLOAD_ATTRIBUTE;
use clickmill_core::{Fault, Micros};
use clickmill_tables::result_set::ResultSet;

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
    /// When that was published.
    pub publish_time: Option<Micros>,
    /// Its place among the rows of its record.
    pub record_index: u64,
    /// The record's bytes, sealed where `sealed_with` says so.
    pub payload: Arc<[u8]>,
    /// The letter that has the record's bytes, where this one has not got them.
    pub lender: Option<Lender>,
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

/// A letter of another row of the same record, which has the payload for both.
#[derive(Debug, Clone, PartialEq)]
pub struct Lender {
    /// Its id.
    pub letter_id: String,
    /// The key that its payload is sealed with.
    pub sealed_with: Option<String>,
    /// Its payload; none where there is no such letter in the table.
    pub payload: Option<Arc<[u8]>>,
}

/// A row's record and its place in that, by which it is found in the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The record.
    pub record: Record,
    /// The row's place among the rows that were made of it.
    pub place: u64,
}

/// A record's place in its source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// The message's id, and when it was published: 1970-01-01T00:00:00Z where that is not known.
    Message(String, Micros),
    /// Source and line.
    Line(String, i64),
}

impl Letter {
    /// Where its row would be from.
    pub fn key(&self) -> Option<Key> {
        let record = match (&self.message_id, self.source_line) {
            (Some(id), _) => Record::Message(id.clone(), self.publish_time.unwrap_or_default()),
            (None, Some(line)) => Record::Line(self.source.clone(), line),
            (None, None) => return None,
        };
        Some(Key { record, place: self.record_index })
    }

    /// Takes the payload of another letter of its record. That of any other record is none of its own.
    pub(super) fn borrow(&mut self, other: &Self) {
        let record = |letter: &Self| letter.key().map(|key| key.record);
        if other.lender.is_some() || other.source != self.source || record(other) != record(self) {
            return;
        }
        let Some(lender) = &mut self.lender else { return };
        if self.sealed_with.is_none() && other.sealed_with.is_none() {
            self.payload = other.payload.clone();
            self.lender = None;
        } else {
            lender.sealed_with = other.sealed_with.clone();
            lender.payload = Some(other.payload.clone());
        }
    }
}

/// Why a row is no dead letter: something else wrote it, or changed it.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// It has no id.
    #[error("a dead letter has no `letter_id`")]
    NoId,
    /// A value is missing, or has another type.
    #[error("dead letter `{letter_id}`: `{column}` is {found}, wanted {wanted}")]
    Value {
        /// The letter.
        letter_id: String,
        /// The column.
        column: &'static str,
        /// What it should hold.
        wanted: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// Its payload can't be read.
    #[error("dead letter `{letter_id}`: its payload is not base64")]
    Payload {
        /// The letter.
        letter_id: String,
        /// Where and why.
        source: base64::DecodeError,
    },
    /// Its attributes can't be read.
    #[error("dead letter `{letter_id}`: its attributes are not a JSON list of keys and values")]
    Attributes {
        /// The letter.
        letter_id: String,
        /// Where and why.
        source: serde_json::Error,
    },
}

impl LetterError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::Input
    }

    /// Whether it may be read later.
    pub fn is_transient(&self) -> bool {
        false
    }
}

/// The letters of an answer to `Wanted::sql`.
pub(super) fn decode(found: &ResultSet) -> Result<Vec<Letter>, LetterError> {
    let names = found.columns.iter().map(|column| column.name.as_str());
    let places: HashMap<&str, usize> = names.zip(0..).collect();
    let letter = |row: &Vec<Json>| Row { places: &places, row }.letter();
    found.rows.iter().map(letter).collect()
}

/// A row of an answer, whose values are found by the names of columns.
struct Row<'a> {
    places: &'a HashMap<&'a str, usize>,
    row: &'a [Json],
}

#[derive(Deserialize)]
struct Pair {
    key: Option<String>,
    value: Option<String>,
}

impl Row<'_> {
    fn letter(&self) -> Result<Letter, LetterError> {
        let id = self.value("letter_id").as_str().ok_or(LetterError::NoId)?;
        let letter_id = || id.to_owned();
        let payload = STANDARD.decode(self.text(id, "payload")?);
        // An array without elements may come as none.
        let pairs = self.optional_text(id, "pairs")?.unwrap_or("null");
        let pairs: Result<Option<Vec<Pair>>, _> = serde_json::from_str(pairs);
        let pairs = pairs
            .map_err(|source| LetterError::Attributes { letter_id: letter_id(), source })?
            .unwrap_or_default();
        let pair = |Pair { key, value }| (key.unwrap_or_default(), value.unwrap_or_default());
        let mut attributes: Vec<(String, String)> = pairs.into_iter().map(pair).collect();
        let payload: Arc<[u8]> = payload
            .map_err(|source| LetterError::Payload { letter_id: letter_id(), source })?
            .into();
        let sealed_with = self.optional_text(id, "sealed_with")?.map(str::to_owned);
        let mut lender = None;
        // Who sent the message may have called an attribute that: a payload that is here is meant.
        let may_lack = payload.is_empty() || sealed_with.is_some();
        let named = attributes.first().is_some_and(|(key, id)| {
            key == PAYLOAD_ATTRIBUTE && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        if may_lack && named {
            let (_, letter_id) = attributes.remove(0);
            lender = Some(Lender { letter_id, sealed_with: None, payload: None });
        }
        Ok(Letter {
            letter_id: letter_id(),
            source: self.text(id, "source")?.to_owned(),
            source_line: self.number(id, "source_line")?,
            message_id: self.optional_text(id, "message_id")?.map(str::to_owned),
            publish_time: self.number(id, "published")?.map(Micros::from),
            record_index: self.number(id, "record_index")?.unwrap_or(0).unsigned_abs(),
            payload,
            lender,
            sealed_with,
            attributes,
            stage: self.text(id, "stage")?.to_owned(),
            plugin_set: self.text(id, "plugin_set")?.to_owned(),
            code: self.text(id, "code")?.to_owned(),
            message: self.text(id, "errorMessage")?.to_owned(),
        })
    }

    fn value(&self, column: &str) -> &Json {
        self.places.get(column).and_then(|at| self.row.get(*at)).unwrap_or(&Json::Null)
    }

    fn text(&self, id: &str, column: &'static str) -> Result<&str, LetterError> {
        let text = self.optional_text(id, column)?;
        text.ok_or_else(|| other(id, column, "a text", &Json::Null))
    }

    fn optional_text(&self, id: &str, column: &'static str) -> Result<Option<&str>, LetterError> {
        match self.value(column) {
            Json::Null => Ok(None),
            Json::String(text) => Ok(Some(text)),
            found => Err(other(id, column, "a text", found)),
        }
    }

    fn number(&self, id: &str, column: &'static str) -> Result<Option<i64>, LetterError> {
        match self.value(column) {
            Json::Null => Ok(None),
            found => {
                found.as_i64().map(Some).ok_or_else(|| other(id, column, "a whole number", found))
            }
        }
    }
}

fn other(id: &str, column: &'static str, wanted: &'static str, found: &Json) -> LetterError {
    let found = match found {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) | Json::Object(_) => "a structure",
    };
    LetterError::Value { letter_id: id.to_owned(), column, wanted, found }
}
