use arrow::array::{
    AsArray, Int64Array, LargeListArray, MapBuilder, StringBuilder, TimestampSecondArray,
    new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use super::*;

const LIMITS: BatchLimits =
    BatchLimits { max_rows: 100, max_bytes: 1000, max_wait_ms: 1, min_wait_ms: None };

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn seconds(values: &[i64]) -> ArrayRef {
    Arc::new(TimestampSecondArray::from_iter_values(values.iter().copied()).with_timezone("UTC"))
}

/// Three messages, as columns.
fn columns() -> Vec<(&'static str, ArrayRef)> {
    vec![
        (PUBLISH_TIME, seconds(&[1, 2, 3])),
        (PAYLOAD, Arc::new(BinaryArray::from_iter_values([&b"{}"[..], b"\xff", b""]))),
        (SOURCE, text(&["s", "s", "s"])),
        (MESSAGE_ID, text(&["7", "8", "9"])),
        (INGEST_TIME, seconds(&[4, 4, 4])),
    ]
}

fn with(name: &'static str, column: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let others = columns().into_iter().filter(|(known, _)| *known != name);
    others.chain([(name, column)]).collect()
}

fn stream(columns: Vec<(&str, ArrayRef)>, times: usize, options: IpcWriteOptions) -> Bytes {
    let fields =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(schema.clone(), columns).expect("a batch");
    let writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options);
    let mut writer = writer.expect("a writer");
    for _ in 0..times {
        writer.write(&batch).expect("written");
    }
    writer.into_inner().expect("bytes").into()
}

fn plain(columns: Vec<(&str, ArrayRef)>) -> Bytes {
    stream(columns, 1, IpcWriteOptions::default())
}

fn read_plain(columns: Vec<(&str, ArrayRef)>) -> Result<Vec<Messages>, String> {
    read(plain(columns), LIMITS)
}

fn messages(ids: &[(&str, i64, &'static [u8])]) -> Vec<(Arc<Message>, Bytes)> {
    let message = |(id, at, payload): &(&str, i64, &'static [u8])| {
        let message = Message {
            id: (*id).to_owned(),
            publish_time: (at * 1_000_000).into(),
            ordering_key: String::new(),
            attributes: Vec::new(),
        };
        (Arc::new(message), Bytes::from_static(payload))
    };
    ids.iter().map(message).collect()
}

fn batch_of(ingest_time: i64, ids: &[(&str, i64, &'static [u8])]) -> Messages {
    Messages {
        source: "s".into(),
        ingest_time: (ingest_time * 1_000_000).into(),
        messages: messages(ids),
    }
}

#[test]
fn messages_are_read_whatever_the_order_of_columns_and_their_width() {
    let wanted = vec![batch_of(4, &[("7", 1, b"{}"), ("8", 2, b"\xff"), ("9", 3, b"")])];
    assert_eq!(read_plain(columns()).as_ref(), Ok(&wanted));
    let wide = |name: &'static str, to: DataType| {
        let column = columns().into_iter().find(|(known, _)| *known == name).expect("it is there");
        with(name, cast(&column.1, &to).expect("it is wider"))
    };
    for (name, to) in [
        (PAYLOAD, DataType::LargeBinary),
        (SOURCE, DataType::LargeUtf8),
        (MESSAGE_ID, DataType::LargeUtf8),
        (PUBLISH_TIME, DataType::Timestamp(TimeUnit::Nanosecond, None)),
    ] {
        assert_eq!(read_plain(wide(name, to)).as_ref(), Ok(&wanted), "{name}");
    }
    let none: Vec<_> = columns().into_iter().map(|(name, all)| (name, all.slice(0, 0))).collect();
    assert_eq!(read_plain(none), Ok(Vec::new()));
}

#[test]
fn a_batch_is_cut_by_ingest_time_and_source_and_at_the_limits() {
    let cut = read_plain(with(INGEST_TIME, seconds(&[5, 4, 5])));
    let wanted =
        vec![batch_of(5, &[("7", 1, b"{}"), ("9", 3, b"")]), batch_of(4, &[("8", 2, b"\xff")])];
    assert_eq!(cut, Ok(wanted), "in their order, wherever they are");
    let cut = read_plain(with(SOURCE, text(&["s", "t", "s"]))).expect("messages");
    let sources: Vec<_> = cut.iter().map(|batch| (&*batch.source, batch.messages.len())).collect();
    assert_eq!(sources, [("s", 2), ("t", 1)]);
    let sizes = |limits| {
        let cut = read(plain(columns()), limits).expect("messages");
        cut.iter().map(|batch| batch.messages.len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(BatchLimits { max_rows: 2, ..LIMITS }), [2, 1]);
    assert_eq!(sizes(BatchLimits { max_bytes: 2, ..LIMITS }), [1, 2]);
    // A message larger than a batch is one all the same.
    assert_eq!(sizes(BatchLimits { max_bytes: 1, ..LIMITS }), [1, 2]);
}

#[test]
fn attributes_and_keys_are_those_of_their_message() {
    let mut attributes = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    attributes.keys().append_value("a");
    attributes.values().append_value("1");
    attributes.keys().append_value("b");
    attributes.values().append_null();
    attributes.append(true).expect("a row");
    attributes.append(true).expect("a row");
    attributes.append(false).expect("a row");
    let attributes: ArrayRef = Arc::new(attributes.finish());
    let keys: ArrayRef = Arc::new(StringArray::from(vec![None, Some("k"), Some("")]));
    // As Polars has them.
    let map = attributes.as_map();
    let item = Field::new("item", map.entries().data_type().clone(), false);
    let offsets = map.offsets().iter().map(|at| i64::from(*at)).collect();
    let pairs = Arc::new(map.entries().clone());
    let large = LargeListArray::new(
        Arc::new(item),
        OffsetBuffer::new(offsets),
        pairs,
        map.nulls().cloned(),
    );
    for attributes in [attributes.clone(), Arc::new(large)] {
        let given = with(ATTRIBUTES, attributes).into_iter();
        let read = read_plain(given.chain([(ORDERING_KEY, keys.clone())]).collect());
        let read = read.expect("messages").remove(0).messages;
        let of = |at: usize| {
            let Message { ordering_key, attributes, .. } = &*read[at].0;
            (ordering_key.as_str(), attributes.clone())
        };
        let pairs = [("a", "1"), ("b", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(of(0), ("", pairs.to_vec()));
        assert_eq!(of(1), ("k", Vec::new()));
        assert_eq!(of(2), ("", Vec::new()));
    }
    // Nulls alone have no type.
    for name in [ATTRIBUTES, ORDERING_KEY] {
        let read = read_plain(with(name, new_null_array(&DataType::Null, 3))).expect("messages");
        let none = |(message, _): &(Arc<Message>, Bytes)| {
            message.attributes.is_empty() && message.ordering_key.is_empty()
        };
        assert!(read[0].messages.iter().all(none), "{name}");
    }
}

#[test]
fn what_is_no_batch_of_messages_is_told() {
    let lacking = |name: &str| columns().into_iter().filter(|(known, _)| *known != name).collect();
    let number: ArrayRef = Arc::new(Int64Array::from_iter_values([1, 2, 3]));
    let null: ArrayRef = Arc::new(StringArray::from(vec![Some("s"), None, Some("s")]));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let dictionary = cast(&text(&["s", "s", "s"]), &dictionary).expect("a dictionary");
    let views = cast(&text(&["s", "s", "s"]), &DataType::Utf8View).expect("views");
    let zstd = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD));
    let zstd = zstd.expect("it is built with zstd");
    let whole = plain(columns());
    for (given, said) in [
        (plain(lacking(PAYLOAD)), "lacks column `payload`"),
        (plain(lacking(INGEST_TIME)), "lacks column `ingest_time`"),
        (plain(with("id", number.clone())), "has column `id`, which is none of"),
        (plain(with(PAYLOAD, number.clone())), "has column `payload` of type Int64, wanted binary"),
        (
            plain(with(PUBLISH_TIME, number.clone())),
            "has column `publish_time` of type Int64, wanted timestamp",
        ),
        (
            plain(with(ATTRIBUTES, number)),
            "has column `attributes` of type Int64, wanted a map of text to text",
        ),
        (plain(with(SOURCE, null)), "has no value in column `source`, row 1"),
        (plain(with(SOURCE, views)), "has column `source` of type Utf8View, wanted text"),
        (plain(with(SOURCE, dictionary)), "has a dictionary, wanted plain columns"),
        (
            plain(with(INGEST_TIME, seconds(&[4, i64::MAX, 4]))),
            "has times in column `ingest_time` that no microseconds can tell",
        ),
        (stream(columns(), 1, zstd), "is compressed, wanted plain columns"),
        (stream(columns(), 0, IpcWriteOptions::default()), "has no record batch, wanted one"),
        (
            stream(columns(), 2, IpcWriteOptions::default()),
            "has several record batches, wanted one",
        ),
        (whole.slice(..whole.len() / 2), "is not an Arrow IPC stream: it ends within a message"),
        (Bytes::from_static(b"ARROW1"), "is not an Arrow IPC stream"),
        (Bytes::new(), "has no record batch, wanted one"),
    ] {
        let error = read(given, LIMITS).expect_err(said);
        assert!(error.starts_with(said), "{error}, wanted {said}");
    }
}

#[test]
fn bytes_that_are_changed_anywhere_end_in_an_answer_or_an_error() {
    let whole = plain(columns());
    for at in 0..whole.len() {
        for bit in [0x01, 0x80, 0xff] {
            let mut changed = whole.to_vec();
            changed[at] ^= bit;
            // Whatever comes of it, it comes back.
            let _ = read(changed.into(), LIMITS);
        }
    }
}
