//! Rows as the Storage Write API takes them: an Arrow schema and record batches, as IPC messages.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use google_cloud_bigquery::model::{ArrowRecordBatch, ArrowSchema};

/// A request may have 10 MB; this leaves room for what goes with the rows.
pub(crate) const MAX_REQUEST_BYTES: usize = 9_000_000;

/// The schema message. JSON is text to it: BigQuery reads it by the table's column, and Arrow's own name for
/// it is none that it lists.
pub(crate) fn schema(schema: &SchemaRef) -> Result<ArrowSchema, ArrowError> {
    let plain = Schema::new(schema.fields().iter().map(|field| plain(field)).collect::<Fields>());
    let writer = StreamWriter::try_new(Vec::new(), &plain)?;
    Ok(ArrowSchema::new().set_serialized_schema(writer.get_ref().clone()))
}

fn plain(field: &Field) -> Field {
    let of = match field.data_type() {
        DataType::List(item) => DataType::List(Arc::new(plain(item))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain(field)).collect())
        }
        other => other.clone(),
    };
    Field::new(field.name(), of, field.is_nullable())
}

/// A record batch message and its size.
pub fn batch(rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema())?;
    let header = writer.get_ref().len();
    writer.write(rows)?;
    Ok(writer.get_mut().split_off(header))
}

/// The message's bytes in the client's form.
pub(crate) fn message(bytes: Vec<u8>) -> ArrowRecordBatch {
    ArrowRecordBatch::new().set_serialized_record_batch(bytes)
}

/// The message of as many of the first rows as fit into a request, at most `most` of them, and how many
/// they are. A first row that is too large by itself comes without a message.
pub(crate) fn first_piece(
    rows: &RecordBatch,
    most: usize,
) -> Result<(usize, Option<Vec<u8>>), ArrowError> {
    let mut count = rows.num_rows().min(most);
    loop {
        let bytes = batch(&rows.slice(0, count))?;
        if bytes.len() <= MAX_REQUEST_BYTES {
            return Ok((count, Some(bytes)));
        }
        if count <= 1 {
            return Ok((count, None));
        }
        count /= 2;
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringArray};
    use arrow::ipc::reader::StreamReader;

    use super::*;

    fn texts(texts: Vec<String>) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("text", DataType::Utf8, false)]);
        let column = Arc::new(StringArray::from(texts));
        RecordBatch::try_new(Arc::new(schema), vec![column]).expect("a batch")
    }

    #[test]
    fn header_and_message_together_are_an_ipc_stream() {
        let rows = texts(vec!["a".to_owned(), "é".to_owned()]);
        let mut bytes = schema(&rows.schema()).expect("a schema").serialized_schema.to_vec();
        bytes.extend(batch(&rows).expect("a message"));
        let read = StreamReader::try_new(bytes.as_slice(), None).expect("a stream");
        let read: Vec<RecordBatch> = read.map(|batch| batch.expect("a batch")).collect();
        assert_eq!(read, [rows]);
    }

    #[test]
    fn json_is_sent_as_text_at_any_depth() {
        let json = Field::new("raw", DataType::Utf8, true);
        let json = json.with_metadata(clickmill_core::schema::json_metadata());
        let item = Field::new("item", DataType::Struct(vec![json.clone()].into()), false);
        let given = Arc::new(Schema::new(vec![json, Field::new_list("items", item, false)]));
        let bytes = schema(&given).expect("a schema").serialized_schema.to_vec();
        let read = StreamReader::try_new(bytes.as_slice(), None).expect("a stream").schema();
        let raw = Field::new("raw", DataType::Utf8, true);
        let item = Field::new("item", DataType::Struct(vec![raw.clone()].into()), false);
        assert_eq!(*read, Schema::new(vec![raw, Field::new_list("items", item, false)]));
    }

    #[test]
    fn rows_are_split_in_order_until_they_fit() {
        let sizes = [4_000_000, 4_000_000, 9_500_000, 5, 5_000_000];
        let rows = texts(sizes.iter().map(|size| "x".repeat(*size)).collect());
        let mut first = 0;
        let mut sent = Vec::new();
        while first < rows.num_rows() {
            let rest = rows.slice(first, rows.num_rows() - first);
            let (count, bytes) = first_piece(&rest, usize::MAX).expect("a piece");
            let texts = rest.column(0).as_string::<i32>();
            match bytes {
                Some(bytes) => {
                    assert!(bytes.len() <= MAX_REQUEST_BYTES);
                    sent.extend((0..count).map(|row| texts.value(row).len()));
                    first += count;
                }
                None => {
                    assert_eq!((count, texts.value(0).len()), (1, 9_500_000));
                    first += 1;
                }
            }
        }
        assert_eq!(sent, [4_000_000, 4_000_000, 5, 5_000_000]);
    }
}
