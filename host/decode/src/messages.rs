//! Messages: each is a record, column `payload`, as a line of newline-delimited JSON is.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;

use super::{Decoded, Malformed, reason, too_large};
use clickmill_config::Payload;
use clickmill_core::Micros;
use clickmill_core::batch::{Batch, Message, Origins, Position, Positions};

/// The columns that messages decode to.
pub fn schema(payload: Payload) -> SchemaRef {
    let data_type = match payload {
        Payload::Text => DataType::Utf8,
        Payload::Bytes => DataType::Binary,
    };
    Arc::new(Schema::new(vec![Field::new("payload", data_type, false)]))
}

/// Decodes messages into one batch. `source` names where they come from; a payload of more than
/// `max_record_bytes` is malformed, and so is one that is not UTF-8 where text is wanted.
pub fn decode(
    messages: Vec<(Arc<Message>, Bytes)>,
    source: Arc<str>,
    max_record_bytes: usize,
    wanted: Payload,
    ingest_time: Micros,
) -> Result<Decoded, ArrowError> {
    let bytes: usize = messages.iter().map(|(_, payload)| payload.len()).sum();
    let mut text = Vec::with_capacity(bytes);
    let mut offsets: Vec<i32> = Vec::with_capacity(messages.len() + 1);
    offsets.push(0);
    let mut ranges = Vec::with_capacity(messages.len());
    let mut rows = Vec::with_capacity(messages.len());
    let mut malformed = Vec::new();
    for (message, payload) in messages {
        let wrong = if payload.len() > max_record_bytes {
            Some((payload.slice(..max_record_bytes), too_large(payload.len(), max_record_bytes)))
        } else if wanted == Payload::Text
            && let Err(error) = std::str::from_utf8(&payload)
        {
            let from = error.valid_up_to() + 1;
            let what = format!("message is not UTF-8 from byte {from} on");
            Some((payload.clone(), reason("invalid_utf8", what)))
        } else {
            None
        };
        match wrong {
            Some((payload, reason)) => {
                malformed.push(Malformed { position: Position::Message(message), payload, reason });
            }
            None => {
                let begin = text.len();
                text.extend_from_slice(&payload);
                ranges.push(begin..text.len());
                offsets.push(
                    i32::try_from(text.len())
                        .map_err(|_| ArrowError::OffsetOverflowError(text.len()))?,
                );
                rows.push(message);
            }
        }
    }
    // The column and the original bytes are the same memory.
    let block = Bytes::from(text);
    let offsets = OffsetBuffer::new(offsets.into());
    let values = Buffer::from(block.clone());
    let payload: ArrayRef = match wanted {
        Payload::Text => Arc::new(StringArray::try_new(offsets, values, None)?),
        Payload::Bytes => Arc::new(BinaryArray::try_new(offsets, values, None)?),
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let columns = RecordBatch::try_new_with_options(schema(wanted), vec![payload], &options)?;
    let positions = Positions::Messages(rows);
    let origins = Origins { source, header: None, positions, places: None, block, ranges };
    Ok(Decoded { batch: Batch { columns, origins, ingest_time }, malformed, bytes })
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    fn message(id: &str) -> Arc<Message> {
        let (ordering_key, attributes) = (String::new(), Vec::new());
        Arc::new(Message {
            id: id.to_owned(),
            publish_time: Micros::default(),
            ordering_key,
            attributes,
        })
    }

    #[test]
    fn each_message_is_a_row_or_malformed_with_its_own_bytes() {
        let payloads: [&[u8]; 5] = [b"{}", b"\xff{", b"", "{\"é\"}".as_bytes(), b"0123456789"];
        let given = payloads.iter().enumerate();
        let given =
            given.map(|(at, payload)| (message(&at.to_string()), Bytes::from_static(payload)));
        let decoded =
            decode(given.collect(), "topic".into(), 8, Payload::Text, 7.into()).expect("decodes");
        let rows = decoded.batch.rows();
        let row = |row| (decoded.batch.origins.position(row), decoded.batch.origins.payload(row));
        let rows: Vec<_> = (0..rows).map(row).collect();
        let wanted = |at: usize| {
            (Position::Message(message(&at.to_string())), Bytes::from_static(payloads[at]))
        };
        assert_eq!(rows, [wanted(0), wanted(2), wanted(3)]);
        let bad: Vec<_> =
            decoded.malformed.iter().map(|bad| (&*bad.reason.code, &*bad.payload)).collect();
        assert_eq!(bad, [("invalid_utf8", payloads[1]), ("too_large", &payloads[4][..8])]);
        assert_eq!(decoded.bytes, payloads.iter().map(|payload| payload.len()).sum::<usize>());
    }
    #[test]
    fn where_bytes_are_wanted_any_message_is_a_row() {
        let payloads: [&[u8]; 3] = [b"\x1f\x8b\x08\xff", b"{}", b"0123456789"];
        let given = payloads.map(|payload| (message("7"), Bytes::from_static(payload)));
        let (given, source) = (given.to_vec(), "topic".into());
        let decoded = decode(given, source, 8, Payload::Bytes, 7.into()).expect("decodes");
        assert_eq!(decoded.batch.columns.schema(), schema(Payload::Bytes));
        let column = decoded.batch.columns.column(0).as_binary::<i32>();
        assert_eq!(column.iter().flatten().collect::<Vec<_>>(), payloads[..2]);
        assert_eq!(decoded.batch.origins.payload(0), payloads[0]);
        assert_eq!(decoded.malformed[0].reason.code, "too_large");
    }
}
