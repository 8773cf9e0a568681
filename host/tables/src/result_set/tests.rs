use arrow::array::{Decimal128Array, DictionaryArray, Int32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use serde_json::json;

use super::*;

#[test]
fn records_lists_and_json_are_json_as_deep_as_they_go() {
    let price = Decimal128Array::from(vec![1_250_000_000, 99_999_999_999_999_999_999_000_000_001]);
    let price = price.with_precision_and_scale(38, 9).expect("a NUMERIC");
    let raw = StringArray::from(vec![Some(r#"{"a": [1, null]}"#), None]);
    let fields = vec![
        Field::new("price", price.data_type().clone(), false),
        Field::new("raw", DataType::Utf8, true).with_metadata(json_metadata()),
    ];
    let items = StructArray::new(fields.into(), vec![Arc::new(price), Arc::new(raw)], None);
    let item = Arc::new(Field::new("item", items.data_type().clone(), false));
    let lists = ListArray::new(
        item,
        OffsetBuffer::from_lengths([2, 0, 0]),
        Arc::new(items),
        Some(NullBuffer::from(vec![true, true, false])),
    );
    let batch = RecordBatch::try_from_iter([("items", Arc::new(lists) as ArrayRef)]);
    let batch = batch.expect("a batch");
    let found = ResultSet::of(&Answer { schema: batch.schema(), batches: vec![batch] });
    let found = found.expect("an answer");
    assert_eq!(found.columns, [Column { name: "items".to_owned(), kind: Kind::Json }]);
    let items = json!([
        {"price": 1.25, "raw": {"a": [1, null]}},
        {"price": "99999999999999999999.000000001", "raw": null}
    ]);
    assert_eq!(found.rows, [[items], [json!([])], [json!([])]]);
}

/// Whoever shows the first rows of many does no more than that takes.
#[test]
fn a_slice_of_lists_is_its_own_rows_and_no_others() {
    let names = StringArray::from(vec!["a", "b", "c", "d", "e"]);
    let item = || Arc::new(Field::new("item", DataType::Utf8, true));
    let inner = OffsetBuffer::from_lengths([1, 0, 2, 1, 1]);
    let inner = ListArray::new(item(), inner, Arc::new(names), None);
    let outer = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let lists = OffsetBuffer::from_lengths([1, 3, 0, 1]);
    let nulls = NullBuffer::from(vec![true, true, false, true]);
    let lists = ListArray::new(outer, lists, Arc::new(inner), Some(nulls));
    assert_eq!(elements(&lists.slice(1, 2)).len(), 3);
    let batch = RecordBatch::try_from_iter([("lists", Arc::new(lists) as ArrayRef)]);
    let batch = batch.expect("a batch");
    let of = |batch: RecordBatch, bounds: Bounds| {
        let answer = Answer { schema: batch.schema(), batches: vec![batch] };
        let answer = answer.within(bounds).expect("the same columns");
        ResultSet::of(&answer).expect("an answer").rows
    };
    let whole = [[json!([["a"]])], [json!([[], ["b", "c"], ["d"]])], [json!([])], [json!([["e"]])]];
    assert_eq!(of(batch.clone(), Bounds::NONE), whole);
    for bounds in [Bounds::NONE, Bounds { rows: 10, chars: 3 }] {
        for (begin, length) in [(0, 1), (1, 1), (1, 2), (2, 2), (3, 1), (4, 0)] {
            let rows = of(batch.slice(begin, length), bounds);
            assert_eq!(rows, whole[begin..begin + length], "{begin} {length}");
        }
    }
}

#[test]
fn bytes_are_in_base64_and_texts_of_a_dictionary_are_texts_wherever_they_are() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&[0, 255][..]), None]));
    let texts = StringArray::from(vec![Some("a"), None]);
    let keys = Int32Array::from(vec![1, 0]);
    let texts: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(texts)));
    let field = |name: &str, of: &ArrayRef| Field::new(name, of.data_type().clone(), true);
    let fields = vec![field("raw", &bytes), field("text", &texts)];
    let record: ArrayRef =
        Arc::new(StructArray::new(fields.into(), vec![bytes.clone(), texts.clone()], None));
    let view = arrow::compute::cast(&bytes, &DataType::BinaryView).expect("bytes are bytes");
    let columns = [("raw", bytes), ("view", view), ("text", texts), ("record", record)];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let found = ResultSet::of(&Answer { schema: batch.schema(), batches: vec![batch] });
    let found = found.expect("an answer");
    let wanted = [
        json!({"raw": "AP8=", "view": "AP8=", "record": {"raw": "AP8=", "text": null}}),
        json!({"text": "a", "record": {"raw": null, "text": "a"}}),
    ];
    let lines = found.lines().map(|line| serde_json::from_str::<Json>(&line).expect("JSON"));
    assert_eq!(lines.collect::<Vec<_>>(), wanted);
}

#[test]
fn a_numeric_is_exact_whichever_form_it_takes() {
    for (digits, wanted) in [
        ("19.990000000", json!(19.99)),
        ("0.100000000", json!(0.1)),
        ("-3.000000000", json!(-3)),
        ("0", json!(0)),
        ("9007199254740993.500000000", json!("9007199254740993.5")),
        (
            "99999999999999999999999999999.999999999",
            json!("99999999999999999999999999999.999999999"),
        ),
    ] {
        assert_eq!(exact(digits), wanted, "{digits}");
    }
    let kind = Kind::Number;
    let columns = vec![Column { name: "sum".to_owned(), kind }];
    let rows = vec![vec![json!("9007199254740993.5")], vec![json!(1.5)], vec![Json::Null]];
    let answer = Answer::try_from(ResultSet { columns, rows }).expect("an answer");
    let texts = answer.batches[0].column(0).as_string::<i32>();
    assert_eq!(texts, &StringArray::from(vec![Some("9007199254740993.5"), Some("1.5"), None]));
}

#[test]
fn texts_are_cut_wherever_they_are_and_at_characters() {
    let bounds = Bounds { rows: 10, chars: 3 };
    let texts = || vec![Some("abc"), Some("ąęćż"), None, Some("")];
    let bytes: Vec<Option<&[u8]>> = vec![Some(b"abcd"), None, Some(b""), Some(b"a")];
    let inner: ArrayRef = Arc::new(StringArray::from(texts()));
    let fields = vec![Field::new("name", DataType::Utf8, true)];
    let records: ArrayRef = Arc::new(StructArray::new(fields.into(), vec![inner], None));
    let item = Arc::new(Field::new("item", records.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([1, 2, 0, 1]);
    let lists = ListArray::new(item, offsets, records.clone(), None);
    let columns: [(&str, ArrayRef); 6] = [
        ("text", Arc::new(StringArray::from(texts()))),
        ("large", Arc::new(LargeStringArray::from(texts()))),
        ("view", Arc::new(StringViewArray::from(texts()))),
        ("bytes", Arc::new(BinaryArray::from(bytes))),
        ("record", records),
        ("list", Arc::new(lists)),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let of = |answer: &Answer| ResultSet::of(answer).expect("an answer").rows;
    // The second half, as a slice of it has it.
    let answer = Answer { schema: batch.schema(), batches: vec![batch.clone(), batch.slice(1, 2)] };
    let whole = of(&answer);
    let cut = of(&answer.within(bounds).expect("the same columns"));
    assert_eq!(cut.len(), 6);
    assert_eq!(cut[1][0], "ąęć");
    for (whole, cut) in whole.iter().zip(&cut) {
        assert_eq!(cut[..3], [0, 1, 2].map(|at| bounds.value(whole[at].clone())));
        assert_eq!(cut[4..], [4, 5].map(|at| bounds.value(whole[at].clone())));
    }
    assert_ne!(cut[0][3], whole[0][3]);
    assert_eq!(cut[3][3], whole[3][3]);
    let nested = json!({ "a": ["wxyz", { "b": "wxyz" }], "n": 12345 });
    assert_eq!(bounds.value(nested.clone()), json!({ "a": ["wxy", { "b": "wxy" }], "n": 12345 }));
    assert_eq!(Bounds::NONE.value(nested.clone()), nested);
}
