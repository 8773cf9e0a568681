//! Batches of messages as a caller gives them: an Arrow IPC stream with one record batch.
//!
//! What is in it is not trusted: only plain columns are taken, whose memory is that of the frame, neither
//! compressed nor by reference to a dictionary, so that no frame becomes much more than it has bytes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, StructArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::root_as_message;
use bytes::Bytes;

use clickmill_config::BatchLimits;
use clickmill_core::batch::Message;
use clickmill_core::{Micros, panics};

/// The columns, and whether each has to be there.
const COLUMNS: [(&str, bool); 7] = [
    (PAYLOAD, true),
    (SOURCE, true),
    (MESSAGE_ID, true),
    (PUBLISH_TIME, true),
    (INGEST_TIME, true),
    (ORDERING_KEY, false),
    (ATTRIBUTES, false),
];
const PAYLOAD: &str = "payload";
const SOURCE: &str = "source";
const MESSAGE_ID: &str = "message_id";
const PUBLISH_TIME: &str = "publish_time";
const INGEST_TIME: &str = "ingest_time";
const ORDERING_KEY: &str = "ordering_key";
const ATTRIBUTES: &str = "attributes";

/// Messages of one source and one ingest time, no more than a batch of the chain has.
#[derive(Debug, PartialEq)]
pub(super) struct Messages {
    pub source: Arc<str>,
    pub ingest_time: Micros,
    pub messages: Vec<(Arc<Message>, Bytes)>,
}

/// Reads a batch, and cuts it by source and ingest time, in the order in which the first of each comes, and at these
/// limits. The error says what is wrong with it.
pub(super) fn read(body: Bytes, limits: BatchLimits) -> Result<Vec<Messages>, String> {
    // Whatever Arrow makes of bytes that are none of its own.
    let batch = panics::answered(|| batch(body));
    let batch = batch.unwrap_or_else(|| Err("is not an Arrow IPC stream".to_owned()))?;
    let columns = Columns::of(&batch)?;
    let of = |row: usize| (columns.source.value(row), columns.ingest_time[row]);
    // Where those of several come in turn, each would be a batch of its own.
    let mut groups = HashMap::new();
    let mut rows: Vec<(usize, usize)> = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let group = match rows.last() {
            // Most are as the one before.
            Some((group, before)) if of(*before) == of(row) => *group,
            _ => {
                let next = groups.len();
                *groups.entry(of(row)).or_insert(next)
            }
        };
        rows.push((group, row));
    }
    rows.sort_unstable();
    let mut cut: Vec<Messages> = Vec::new();
    for group in rows.chunk_by(|(one, _), (next, _)| one == next) {
        let (source, ingest_time) = of(group[0].1);
        let same = cut.last().filter(|last| *last.source == *source);
        let source = same.map_or_else(|| source.into(), |last| last.source.clone());
        let none = || Messages {
            source: Arc::clone(&source),
            ingest_time: ingest_time.into(),
            messages: Vec::new(),
        };
        let (mut batch, mut bytes) = (none(), 0);
        for (_, row) in group {
            let payload = columns.payload(*row);
            let has_room =
                batch.messages.len() < limits.max_rows && bytes + payload.len() <= limits.max_bytes;
            if !has_room && !batch.messages.is_empty() {
                cut.push(std::mem::replace(&mut batch, none()));
                bytes = 0;
            }
            bytes += payload.len();
            batch.messages.push((Arc::new(columns.message(*row)), payload));
        }
        cut.push(batch);
    }
    Ok(cut)
}

/// The one record batch of a stream.
fn batch(body: Bytes) -> Result<RecordBatch, String> {
    check(&body)?;
    let wrong = |error| format!("is not an Arrow IPC stream: {error}");
    let mut buffer = Buffer::from(body);
    let (mut decoder, mut found) = (StreamDecoder::new(), None);
    while !buffer.is_empty() {
        if let Some(batch) = decoder.decode(&mut buffer).map_err(wrong)?
            && found.replace(batch).is_some()
        {
            return Err("has several record batches, wanted one".to_owned());
        }
    }
    decoder.finish().map_err(wrong)?;
    found.ok_or_else(|| "has no record batch, wanted one".to_owned())
}

/// Refuses what may become more than its bytes.
fn check(mut rest: &[u8]) -> Result<(), String> {
    let ends = || "is not an Arrow IPC stream: it ends within a message".to_owned();
    while !rest.is_empty() {
        let begin = rest.strip_prefix(&[0xff; 4]).unwrap_or(rest);
        let (size, after) = begin.split_first_chunk().ok_or_else(ends)?;
        let size = u32::from_le_bytes(*size) as usize;
        if size == 0 {
            break;
        }
        let (head, after) = after.split_at_checked(size).ok_or_else(ends)?;
        let message = root_as_message(head)
            .map_err(|error| format!("is not an Arrow IPC stream: {error}"))?;
        if message.header_as_dictionary_batch().is_some() {
            return Err("has a dictionary, wanted plain columns".to_owned());
        }
        let compression = message.header_as_record_batch().and_then(|batch| batch.compression());
        if compression.is_some() {
            return Err("is compressed, wanted plain columns".to_owned());
        }
        let length = usize::try_from(message.bodyLength()).map_err(|_| ends())?;
        rest = after.split_at_checked(length).ok_or_else(ends)?.1;
    }
    Ok(())
}

/// The columns of a batch.
struct Columns {
    payload: BinaryArray,
    /// What the payloads are cut from.
    payloads: Bytes,
    source: StringArray,
    message_id: StringArray,
    publish_time: Vec<i64>,
    ingest_time: Vec<i64>,
    ordering_key: Option<StringArray>,
    attributes: Option<Attributes>,
}

/// A list of pairs for each row, or null.
struct Attributes {
    lists: ArrayRef,
    offsets: OffsetBuffer<i32>,
    keys: StringArray,
    values: StringArray,
}

/// Memory of Arrow's, as bytes.
struct Owned(Buffer);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, String> {
        let schema = batch.schema();
        for (at, field) in schema.fields().iter().enumerate() {
            let name = field.name().as_str();
            if COLUMNS.iter().all(|(known, _)| *known != name) {
                let known = COLUMNS.map(|(known, _)| known).join("`, `");
                return Err(format!("has column `{name}`, which is none of `{known}`"));
            }
            if schema.fields().iter().take(at).any(|other| other.name() == name) {
                return Err(format!("has column `{name}` twice"));
            }
        }
        for (name, is_required) in COLUMNS {
            let Some(column) = batch.column_by_name(name) else {
                if is_required {
                    return Err(format!("lacks column `{name}`"));
                }
                continue;
            };
            if is_required
                && column.null_count() > 0
                && let Some(row) = (0..column.len()).find(|row| column.is_null(*row))
            {
                return Err(format!("has no value in column `{name}`, row {row}"));
            }
        }
        // What has to be there is. A column of nulls without a type is none.
        let column = |name: &str| {
            batch.column_by_name(name).filter(|column| !column.data_type().is_null()).cloned()
        };
        let required = |name: &str| column(name).ok_or_else(|| format!("lacks column `{name}`"));
        let payload = bytes_of(&required(PAYLOAD)?)?;
        Ok(Self {
            payloads: Bytes::from_owner(Owned(payload.values().clone())),
            payload,
            source: text_of(SOURCE, &required(SOURCE)?)?,
            message_id: text_of(MESSAGE_ID, &required(MESSAGE_ID)?)?,
            publish_time: times_of(PUBLISH_TIME, &required(PUBLISH_TIME)?)?,
            ingest_time: times_of(INGEST_TIME, &required(INGEST_TIME)?)?,
            ordering_key: column(ORDERING_KEY)
                .map(|keys| text_of(ORDERING_KEY, &keys))
                .transpose()?,
            attributes: column(ATTRIBUTES).map(Attributes::of).transpose()?,
        })
    }

    fn payload(&self, row: usize) -> Bytes {
        let offsets = self.payload.value_offsets();
        // No offset of Arrow's is negative.
        self.payloads.slice(offsets[row] as usize..offsets[row + 1] as usize)
    }

    fn message(&self, row: usize) -> Message {
        let keys = self.ordering_key.as_ref().filter(|keys| !keys.is_null(row));
        Message {
            id: self.message_id.value(row).to_owned(),
            publish_time: self.publish_time[row].into(),
            ordering_key: keys.map_or_else(String::new, |keys| keys.value(row).to_owned()),
            attributes: self.attributes.as_ref().map_or_else(Vec::new, |all| all.of_row(row)),
        }
    }
}

impl Attributes {
    fn of(lists: ArrayRef) -> Result<Self, String> {
        let wrong = || unfit(ATTRIBUTES, &lists, "a map of text to text");
        let (offsets, pairs): (_, &StructArray) = match lists.data_type() {
            DataType::Map(_, _) => {
                let map = lists.as_map();
                (map.offsets().clone(), map.entries())
            }
            DataType::List(_) => {
                let list = lists.as_list::<i32>();
                let pairs = list.values().as_struct_opt().ok_or_else(wrong)?;
                (list.offsets().clone(), pairs)
            }
            DataType::LargeList(item) => {
                let plain = cast(&lists, &DataType::List(item.clone()));
                return Self::of(plain.map_err(|error| error.to_string())?);
            }
            _ => return Err(wrong()),
        };
        let [keys, values] = pairs.columns() else { return Err(wrong()) };
        // Of a row that is null nothing is looked at.
        let (keys, values) = (text_of(ATTRIBUTES, keys)?, text_of(ATTRIBUTES, values)?);
        Ok(Self { lists: lists.clone(), offsets, keys, values })
    }

    fn of_row(&self, row: usize) -> Vec<(String, String)> {
        if self.lists.is_null(row) {
            return Vec::new();
        }
        let pairs = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        let text = |texts: &StringArray, at: usize| {
            if texts.is_null(at) { String::new() } else { texts.value(at).to_owned() }
        };
        pairs.map(|at| (text(&self.keys, at), text(&self.values, at))).collect()
    }
}

fn unfit(name: &str, column: &ArrayRef, wanted: &str) -> String {
    format!("has column `{name}` of type {}, wanted {wanted}", column.data_type())
}

fn bytes_of(column: &ArrayRef) -> Result<BinaryArray, String> {
    match column.data_type() {
        DataType::Binary => Ok(column.as_binary::<i32>().clone()),
        DataType::LargeBinary | DataType::Utf8 | DataType::LargeUtf8 => {
            let cast = cast(column, &DataType::Binary).map_err(|error| error.to_string())?;
            Ok(cast.as_binary::<i32>().clone())
        }
        _ => Err(unfit(PAYLOAD, column, "binary")),
    }
}

fn text_of(name: &str, column: &ArrayRef) -> Result<StringArray, String> {
    match column.data_type() {
        DataType::Utf8 => Ok(column.as_string::<i32>().clone()),
        DataType::LargeUtf8 => {
            let cast = cast(column, &DataType::Utf8).map_err(|error| error.to_string())?;
            Ok(cast.as_string::<i32>().clone())
        }
        _ => Err(unfit(name, column, "text")),
    }
}

/// Microseconds since 1970. No value is null.
fn times_of(name: &str, column: &ArrayRef) -> Result<Vec<i64>, String> {
    let DataType::Timestamp(_, zone) = column.data_type() else {
        return Err(unfit(name, column, "timestamp"));
    };
    let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    let times = cast(column, &micros).map_err(|error| error.to_string())?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    if times.null_count() > 0 {
        return Err(format!("has times in column `{name}` that no microseconds can tell"));
    }
    Ok(times.values().to_vec())
}

#[cfg(test)]
mod tests;
