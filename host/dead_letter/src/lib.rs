//! Dead letters: rows of the dead-letter table, and the rule that stops a run which rejects too much.
//!
//! A letter keeps everything needed to try the record again: its original bytes, where it came from, who
//! refused it and why. [`Spool`] keeps letters while their table is away. This module knows no plugin,
//! source or sink.

mod seal;
mod spool;
mod stop_rule;

pub use seal::{Contents, Opened, Seal, SealError, SealKeys};
pub use spool::{Carrier, Held, Spool, SpoolError};
pub use stop_rule::{StopRule, TooManyRejected};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Int64Array, ListBuilder, RecordBatch, RecordBatchOptions, StringArray,
    StringBuilder, StructBuilder, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;

use clickmill_core::Digest;
use clickmill_core::batch::{Message, PAYLOAD_ATTRIBUTE, Position, Rejected};

/// The attribute that holds the header of the object that a record came from.
pub const HEADER_ATTRIBUTE: &str = "clickmill.header";
/// The attribute that says why a letter has no header, where it is too long.
pub const NO_HEADER_ATTRIBUTE: &str = "clickmill.header_left_out";
/// Every letter of an object holds its header. A longer one is left out: payload and header would be more
/// than a row of BigQuery may have, and many short records would become gigabytes of header.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// A payload larger than that is kept as bytes only: a row of BigQuery may have 10 MB.
const MAX_TEXT_BYTES: usize = 4_000_000;
/// Of a larger payload the first bytes are kept.
const MAX_PAYLOAD_BYTES: usize = 8_500_000;
/// The bytes of letters that are written at once, unless one alone has more: a request of BigQuery takes
/// 10 MB, and a column in Arrow 2 GB.
const MAX_CHUNK_BYTES: usize = 8_000_000;
/// What a letter has beside its payload, its attributes and its texts: ids, digests, times.
const LETTER_BYTES: usize = 512;
/// What decoders say of a record of which they took in the first bytes only.
const TOO_LARGE: &str = "too_large";

/// What a sealed letter says in place of its message, and so do the attempts at it.
pub const SEALED_MESSAGE: &str =
    "sealed with the record: `clickmill dead-letter explain` opens it where the key is";

/// What identifies the letters of a record, but for the row: the same for the same record of an object, and for every
/// delivery of the same message. The id of a sealed letter does not depend on the record's bytes: a guess at them
/// can't be checked by it.
fn record_id(rejected: &Rejected, is_sealed: bool) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(rejected.source.as_bytes()).update(b"\0");
    match &rejected.position {
        Position::Line(line) => hasher.update(&line.to_le_bytes()),
        Position::Message(message) => hasher
            .update(message.id.as_bytes())
            .update(b"\0")
            .update(&message.publish_time.get().to_le_bytes()),
    };
    if !is_sealed {
        hasher.update(&rejected.payload);
    }
    hasher
}

/// Identifies the letter of a row of a record.
fn letter_id(of_record: &blake3::Hasher, record_index: u64) -> String {
    let mut hasher = of_record.clone();
    // Of the first row it says nothing: letters from before there were others keep their ids.
    if record_index > 0 {
        hasher.update(b"\0").update(&record_index.to_le_bytes());
    }
    Digest::from(hasher.finalize()).short().into()
}

/// Whether a letter holds no more than the beginning of its record, which says nothing of the whole: its
/// decoder took in no more, or a row of the table takes no more.
pub fn is_cut(stage: &str, code: &str, message: &str, payload: &[u8]) -> bool {
    let by_decoder = stage == clickmill_core::stage::DECODE && code == TOO_LARGE;
    by_decoder || (payload.len() == MAX_PAYLOAD_BYTES && message.ends_with(&kept()))
}

/// Makes letters of what a pipeline refuses.
#[derive(Debug)]
pub struct Writer {
    /// The pipeline's name.
    pub pipeline: String,
    /// The columns of the dead-letter table. Those that this does not know are null.
    pub schema: SchemaRef,
    /// Seals payloads, messages and attributes.
    pub keys: Option<SealKeys>,
}

impl Writer {
    /// Rows of the dead-letter table, in batches that are bounded in bytes: letters of one object all hold
    /// its header, so a batch of rows may become much larger than it was. Of several rows of one record the
    /// letter of the first has the payload; the others say which that is.
    pub fn rows<'a>(
        &'a self,
        rejected: &'a [Rejected],
    ) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + 'a {
        let letters = letters_of(rejected, self.keys.is_some());
        let mut begin = 0;
        std::iter::from_fn(move || {
            let rest = letters.get(begin..)?;
            let mut bytes = 0;
            let fits = |letter: &&Letter<'_>| {
                bytes += bytes_of(letter);
                bytes <= MAX_CHUNK_BYTES
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (chunk, _) = rest.split_at_checked(count)?;
            begin += count;
            Some(self.batch(chunk))
        })
    }

    fn batch(&self, rejected: &[Letter<'_>]) -> Result<RecordBatch, ArrowError> {
        let columns = self.schema.fields().iter().map(|field| self.column(field, rejected));
        let columns = columns.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rejected.len()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }

    fn column(&self, field: &Field, rejected: &[Letter<'_>]) -> Result<ArrayRef, ArrowError> {
        let text = |value: &dyn Fn(&Letter<'_>) -> Option<String>| -> ArrayRef {
            Arc::new(rejected.iter().map(value).collect::<StringArray>())
        };
        let column: ArrayRef = match field.name().as_str() {
            "timestamp" => {
                let times = rejected.iter().map(|r| r.ingest_time.get());
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            "payloadString" => text(&|r| {
                let is_here = self.keys.is_none() && r.payload_with.is_none();
                let shown = is_here && r.payload.len() <= MAX_TEXT_BYTES;
                shown.then(|| String::from_utf8(r.payload.to_vec()).ok()).flatten()
            }),
            "payloadBytes" => Arc::new(self.payloads(rejected)?),
            "sealed_with" => {
                text(&|_| self.keys.as_ref().map(|keys| keys.current.key_id().to_owned()))
            }
            "attributes" => attributes(field.data_type(), rejected, |r| {
                let with = r.payload_with.as_deref().map(|id| (PAYLOAD_ATTRIBUTE, id.into()));
                let own = if self.keys.is_some() { Vec::new() } else { attributes_of(r) };
                with.into_iter().chain(own).collect()
            }),
            "errorMessage" => text(&|r| match self.keys {
                Some(_) => Some(SEALED_MESSAGE.to_owned()),
                None => Some(message_of(r)),
            }),
            "letter_id" => text(&|r| Some(r.id.clone())),
            "pipeline" => text(&|_| Some(self.pipeline.clone())),
            "source" => text(&|r| Some(r.source.to_string())),
            "source_line" => Arc::new(rejected.iter().map(|r| line(r)).collect::<Int64Array>()),
            "message_id" => text(&|r| message(r).map(|message| message.id.clone())),
            "publish_time" => {
                let times = rejected.iter().map(|r| message(r).map(|m| m.publish_time.get()));
                Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            "record_index" => Arc::new(Int64Array::from_iter_values(
                rejected.iter().map(|r| r.record_index as i64),
            )),
            "stage" => text(&|r| Some(r.stage.to_string())),
            "plugin_digest" => text(&|r| r.plugin_digest.as_ref().map(ToString::to_string)),
            "plugin_set" => text(&|r| Some(r.plugin_set.to_string())),
            "code" => text(&|r| Some(r.reason.code.clone())),
            "column" => text(&|r| r.reason.column.clone()),
            "attempt" => Arc::new(Int64Array::from_value(1, rejected.len())),
            _ => new_null_array(field.data_type(), rejected.len()),
        };
        Ok(column)
    }

    /// The payloads, or all that is sealed with them where there is a key.
    fn payloads(&self, rejected: &[Letter<'_>]) -> Result<BinaryArray, ArrowError> {
        let kept = |r: &Letter<'_>| r.payload.slice(..r.payload_bytes().min(MAX_PAYLOAD_BYTES));
        let Some(keys) = &self.keys else {
            return Ok(BinaryArray::from_iter_values(rejected.iter().map(kept)));
        };
        let sealed = rejected.iter().map(|r| {
            let own = attributes_of(r).into_iter();
            let contents = Contents {
                payload: kept(r).to_vec(),
                message: message_of(r),
                attributes: own.map(|(key, value)| (key.to_owned(), value.into_owned())).collect(),
            };
            keys.current.seal(&contents, &r.id)
        });
        let sealed = sealed.collect::<Result<Vec<_>, SealError>>();
        let sealed = sealed.map_err(|error| ArrowError::ExternalError(error.into()))?;
        Ok(BinaryArray::from_iter_values(sealed))
    }
}

/// A rejected row as its letter has it.
struct Letter<'a> {
    of: &'a Rejected,
    id: String,
    /// The payload is not here: it is in the letter of this id, of another row of the same record.
    payload_with: Option<String>,
}

impl Deref for Letter<'_> {
    type Target = Rejected;

    fn deref(&self) -> &Rejected {
        self.of
    }
}

impl Letter<'_> {
    fn payload_bytes(&self) -> usize {
        if self.payload_with.is_some() { 0 } else { self.payload.len() }
    }
}

/// The letters of rejected rows. Of several rows of a record the one whose place comes first has the payload.
fn letters_of<'a>(rejected: &'a [Rejected], is_sealed: bool) -> Vec<Letter<'a>> {
    let mut first: BTreeMap<(&str, &Position), &'a Rejected> = BTreeMap::new();
    // Where no record is several rows, each letter has its own, and nothing is looked for.
    if rejected.iter().any(|rejected| rejected.record_index > 0) {
        for rejected in rejected {
            let first = first.entry((&rejected.source, &rejected.position)).or_insert(rejected);
            if rejected.record_index < first.record_index {
                *first = rejected;
            }
        }
    }
    let mut letters = Vec::with_capacity(rejected.len());
    // Rows of a record follow each other: what may be a megabyte is hashed for the first of them.
    for of_record in rejected.chunk_by(are_of_one_record) {
        let of = &of_record[0];
        let first = first.get(&(&*of.source, &of.position)).copied();
        let first = first.filter(|first| are_of_one_record(first, of));
        let record_id = record_id(of, is_sealed);
        letters.extend(of_record.iter().map(|of| {
            // Two deliveries of one message are two letters of each row.
            let other = first.filter(|other| other.record_index < of.record_index);
            Letter {
                of,
                id: letter_id(&record_id, of.record_index),
                payload_with: other.map(|other| letter_id(&record_id, other.record_index)),
            }
        }));
    }
    letters
}

/// Whether two rows are of the same bytes in the same place. Those of one record mostly share them.
fn are_of_one_record(one: &Rejected, other: &Rejected) -> bool {
    let (ours, theirs) = (&*one.payload, &*other.payload);
    one.source == other.source
        && one.position == other.position
        && (std::ptr::eq(ours, theirs) || ours == theirs)
}

/// About as many bytes as a letter takes.
fn bytes_of(rejected: &Letter<'_>) -> usize {
    let payload = rejected.payload_bytes();
    // As text and as bytes.
    let copies = if payload <= MAX_TEXT_BYTES { 2 } else { 1 };
    let header = rejected.header.as_ref().map_or(0, |header| header.len().min(MAX_HEADER_BYTES));
    let own = message(rejected).map_or(&[][..], |message| &message.attributes);
    let own: usize = own.iter().map(|(key, value)| key.len() + value.len()).sum();
    let texts = rejected.source.len() + rejected.reason.message.len();
    payload.min(MAX_PAYLOAD_BYTES) * copies + header + own + texts + LETTER_BYTES
}

/// The attribute of a letter that its object's header becomes.
fn header_of(rejected: &Rejected) -> Option<(&'static str, Cow<'_, str>)> {
    let header = rejected.header.as_ref()?;
    let bytes = header.len();
    if bytes > MAX_HEADER_BYTES {
        let why = format!("the header has {bytes} bytes, a letter keeps {MAX_HEADER_BYTES}");
        return Some((NO_HEADER_ATTRIBUTE, why.into()));
    }
    Some((HEADER_ATTRIBUTE, String::from_utf8_lossy(header)))
}

fn message_of(rejected: &Rejected) -> String {
    let bytes = rejected.payload.len();
    if bytes > MAX_PAYLOAD_BYTES {
        format!("{} (of its {bytes}{}", rejected.reason.message, kept())
    } else {
        rejected.reason.message.clone()
    }
}

/// How the message of a letter ends whose payload did not fit.
fn kept() -> String {
    format!(" bytes the first {MAX_PAYLOAD_BYTES} are kept)")
}

fn line(rejected: &Rejected) -> Option<i64> {
    match &rejected.position {
        Position::Line(line) => Some(*line as i64),
        Position::Message(_) => None,
    }
}

fn message(rejected: &Rejected) -> Option<&Message> {
    match &rejected.position {
        Position::Line(_) => None,
        Position::Message(message) => Some(message),
    }
}

/// What a letter has beside its payload: its object's header, or what came with its message.
fn attributes_of(rejected: &Rejected) -> Vec<(&str, Cow<'_, str>)> {
    let own = message(rejected).map_or(&[][..], |message| &message.attributes);
    let own = own.iter().map(|(key, value)| (key.as_str(), value.as_str().into()));
    header_of(rejected).into_iter().chain(own).collect()
}

/// A list of key and value per row.
fn attributes<'a>(
    data_type: &DataType,
    rejected: &'a [Letter<'a>],
    of: impl Fn(&'a Letter<'a>) -> Vec<(&'a str, Cow<'a, str>)>,
) -> ArrayRef {
    let unknown = || new_null_array(data_type, rejected.len());
    let DataType::List(item) = data_type else { return unknown() };
    let DataType::Struct(fields) = item.data_type() else { return unknown() };
    if fields.len() != 2 || fields.iter().any(|field| *field.data_type() != DataType::Utf8) {
        return unknown();
    }
    let builders = fields.iter().map(|_| Box::new(StringBuilder::new()) as _).collect();
    let mut lists =
        ListBuilder::new(StructBuilder::new(fields.clone(), builders)).with_field(item.clone());
    for rejected in rejected {
        for (key, value) in of(rejected) {
            let pair = lists.values();
            for (at, text) in [key, value.as_ref()].into_iter().enumerate() {
                let builder = pair.field_builder::<StringBuilder>(at);
                builder.expect("both fields are text").append_value(text);
            }
            pair.append(true);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

#[cfg(test)]
mod tests;
