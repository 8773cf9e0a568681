//! Messages: each is a record, column `payload`, as a line of newline-delimited JSON is.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;

use super::{Decoded, Malformed, reason, too_large};
use clickmill_core::Micros;
use clickmill_core::batch::{Batch, Message, Origins, Position, Positions};

/// The columns that messages decode to.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("payload", DataType::Utf8, false)]))
}

/// Decodes messages into one batch. `source` names where they come from; a payload of more than
/// `max_record_bytes`, or one that is not UTF-8, is malformed.
pub fn decode(
    messages: Vec<(Arc<Message>, Bytes)>,
    source: Arc<str>,
    max_record_bytes: usize,
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
        } else if let Err(error) = std::str::from_utf8(&payload) {
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
    let payload: ArrayRef =
        Arc::new(StringArray::try_new(offsets, Buffer::from(block.clone()), None)?);
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let columns = RecordBatch::try_new_with_options(schema(), vec![payload], &options)?;
    let positions = Positions::Messages(rows);
    let origins = Origins { source, header: None, positions, places: None, block, ranges };
    Ok(Decoded { batch: Batch { columns, origins, ingest_time }, malformed, bytes })
}

#[cfg(test)]
mod tests {
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
        let decoded = decode(given.collect(), "topic".into(), 8, 7.into()).expect("decodes");
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
}
