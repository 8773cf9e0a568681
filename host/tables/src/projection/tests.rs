use std::path::Path as File;

use arrow::array::{Array, AsArray, DictionaryArray, Float64Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Int32Type, Int64Type};

use super::*;
use clickmill_core::Micros;
use clickmill_core::batch::Origins;

const TABLE: &str = r#"[
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [
        {"name": "sku", "type": "STRING", "mode": "REQUIRED"},
        {"name": "price", "type": "FLOAT", "mode": "REQUIRED"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
        {"name": "note", "type": "STRING"}
    ]},
    {"name": "user", "type": "RECORD", "fields": [
        {"name": "id", "type": "STRING", "mode": "REQUIRED"},
        {"name": "country", "type": "STRING"}
    ]},
    {"name": "seen", "type": "INTEGER", "mode": "REPEATED"},
    {"name": "record_index", "type": "INTEGER"}
]"#;

fn table() -> TableSchema {
    TableSchema::parse(TABLE, File::new("t.json")).expect("a schema")
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn field(name: &str, array: &ArrayRef) -> Arc<Field> {
    Arc::new(Field::new(name, array.data_type().clone(), true))
}

fn record(columns: Vec<(&str, ArrayRef)>, nulls: Option<Vec<bool>>) -> ArrayRef {
    let fields: Fields = columns.iter().map(|(name, array)| field(name, array)).collect();
    let columns = columns.into_iter().map(|(_, array)| array).collect();
    Arc::new(StructArray::new(fields, columns, nulls.map(NullBuffer::from)))
}

fn list(values: &ArrayRef, lengths: &[usize], nulls: Option<Vec<bool>>) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    let nulls = nulls.map(NullBuffer::from);
    Arc::new(ListArray::new(field("item", values), offsets, values.clone(), nulls))
}

fn batch(columns: Vec<(&str, ArrayRef)>, places: Option<Vec<u64>>) -> Batch {
    let columns = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("columns of one length");
    let rows = columns.num_rows();
    let origins = Origins {
        source: "t.ndjson@1".into(),
        header: None,
        positions: Positions::Lines((1..=rows as u64).collect()),
        places,
        block: bytes::Bytes::from(vec![b'x'; rows]),
        ranges: (0..rows).map(|row| row..row + 1).collect(),
    };
    Batch { columns, origins, ingest_time: Micros::default() }
}

/// Four rows: two items, none, one, one.
fn rows(prices: &[Option<f64>], users: &[Option<&str>], nulls: Vec<bool>) -> Batch {
    let prices: ArrayRef = Arc::new(Float64Array::from(prices.to_vec()));
    // Not in the table's order, and with a dictionary.
    let skus: DictionaryArray<Int32Type> = ["a", "b", "a", "b"].into_iter().collect();
    let items = record(vec![("price", prices), ("sku", Arc::new(skus))], None);
    let user = record(vec![("id", texts(users))], Some(nulls));
    batch(
        vec![
            ("id", texts(&[Some("1"), Some("2"), Some("3"), Some("4")])),
            ("items", list(&items, &[2, 0, 1, 1], Some(vec![true, false, true, true]))),
            ("user", user),
        ],
        Some(vec![0, 1, 0, 2]),
    )
}

const PRICES: [Option<f64>; 4] = [Some(0.5), Some(1.5), Some(2.5), Some(3.5)];
const USERS: [Option<&str>; 4] = [Some("u"), None, Some("w"), Some("x")];

fn projected(batch: Batch) -> (Rows, Vec<Refused>) {
    let fields: Vec<Field> =
        batch.columns.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let projection = Projection::new(&table(), &fields, &[]).expect("the chain fits");
    projection.rows(batch, &Digest::of(b"set")).expect("rows")
}

#[test]
fn records_have_the_fields_of_the_table_in_its_order() {
    let (rows, refused) = projected(rows(&PRICES, &USERS, vec![true, false, true, true]));
    assert_eq!(refused, []);
    assert_eq!(rows.rows.schema(), table().arrow());
    let items = rows.rows.column(1).as_list::<i32>();
    let lengths: Vec<i32> = (0..4).map(|row| items.value_length(row)).collect();
    assert_eq!((lengths, items.null_count()), (vec![2, 0, 1, 1], 0));
    let fields = items.values().as_struct();
    assert_eq!(fields.column(0).as_string::<i32>(), &StringArray::from(vec!["a", "b", "a", "b"]));
    assert_eq!(fields.column(2).as_list::<i32>().null_count(), 0);
    assert_eq!(fields.column(3).null_count(), 4);
    let user = rows.rows.column(2).as_struct();
    assert!(user.is_null(1) && user.column(1).null_count() == 4);
    assert_eq!(rows.rows.column(3).as_list::<i32>().values().len(), 0);
    assert_eq!(rows.rows.column(4).as_primitive::<Int64Type>().values(), &[0, 1, 0, 2]);
}

#[test]
fn a_row_that_lacks_a_required_field_is_refused_by_its_place() {
    let mut prices = PRICES;
    (prices[1], prices[3]) = (None, None);
    let users = [Some("u"), None, None, None];
    // The second row has no user, the third one without an id, the last lacks both.
    let (rows, refused) = projected(rows(&prices, &users, vec![true, false, true, true]));
    assert_eq!(rows.rows.num_rows(), 1);
    assert_eq!(rows.rows.column(0).as_string::<i32>().value(0), "2");
    assert_eq!(rows.origins.places, Some(vec![1]));
    let said: Vec<_> = refused
        .iter()
        .map(|letter| (letter.reason.column.as_deref(), letter.record_index))
        .collect();
    let wanted = [(Some("items[1].price"), 0), (Some("user.id"), 0), (Some("items[0].price"), 2)];
    assert_eq!(said, wanted);
    let message = "`items[1].price` is REQUIRED in the table and has no value";
    assert_eq!((&*refused[0].reason.code, &*refused[0].reason.message), ("required", message));
}

#[test]
fn a_part_of_a_batch_is_judged_by_its_own_elements() {
    let mut prices = PRICES;
    (prices[0], prices[3]) = (None, None);
    let part = rows(&prices, &USERS, vec![true, false, true, true]).slice(1..3);
    let (rows, refused) = projected(part);
    assert_eq!((rows.rows.num_rows(), refused), (2, Vec::new()));
    let items = rows.rows.column(1).as_list::<i32>();
    assert_eq!(items.value_offsets(), [0, 0, 1]);
    let part = items.values().as_struct().column(1);
    assert_eq!(part.as_primitive::<arrow::datatypes::Float64Type>().values(), &[2.5]);
}

#[test]
fn a_list_that_is_null_is_empty_whatever_it_hides() {
    let seen: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let seen = list(&seen, &[1, 1, 1], Some(vec![true, false, true]));
    let (rows, refused) = projected(batch(
        vec![("id", texts(&[Some("1"), Some("2"), Some("3")])), ("seen", seen)],
        None,
    ));
    assert_eq!(refused, []);
    let seen = rows.rows.column(3).as_list::<i32>();
    assert_eq!((seen.value_offsets(), seen.null_count()), (&[0, 1, 1, 2][..], 0));
    assert_eq!(seen.values().as_primitive::<Int64Type>().values(), &[1, 3]);
    assert_eq!(rows.rows.column(4).as_primitive::<Int64Type>().values(), &[0, 0, 0]);
}

#[test]
fn an_element_that_is_null_is_refused() {
    let seen: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let seen = list(&seen, &[2, 0], None);
    let (rows, refused) =
        projected(batch(vec![("id", texts(&[Some("1"), Some("2")])), ("seen", seen)], None));
    assert_eq!(rows.rows.num_rows(), 1);
    assert_eq!(refused[0].reason.column.as_deref(), Some("seen[1]"));
}

#[test]
fn all_that_does_not_fit_is_told_at_the_start_by_its_path() {
    let item = DataType::Struct(Fields::from(vec![
        Field::new("sku", DataType::Int64, true),
        Field::new("colour", DataType::Utf8, true),
        Field::new("tags", DataType::Utf8, true),
    ]));
    let chain = [
        Field::new_list("items", Field::new("item", item, true), true),
        Field::new("user", DataType::Utf8, true),
        Field::new("seen", DataType::Int64, true),
    ];
    let misfits = Projection::new(&table(), &chain, &[]).err().expect("nothing fits");
    let said: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    let wanted = [
        "column `id` is REQUIRED and no plugin writes it",
        "column `items.sku` is Utf8 in the table, the chain gives Int64",
        "column `items.price` is REQUIRED and no plugin writes it",
        "column `items.tags` is a list of Utf8 in the table, the chain gives Utf8",
        "column `items.colour` is written by a plugin, and the table's record has no such field: add it to the schema, or leave it out of the plugin's columns",
        "column `user` is a record in the table, the chain gives Utf8",
        "column `seen` is a list of Int64 in the table, the chain gives Int64",
    ];
    assert_eq!(said, wanted);
}

#[test]
fn text_is_no_json_and_json_is_text() {
    let schema = |kind: &str| {
        let text = format!(r#"[{{"name": "raw", "type": "{kind}"}}]"#);
        TableSchema::parse(&text, File::new("t.json")).expect("a schema")
    };
    let (json, text) = (schema("JSON"), schema("STRING"));
    let fits = |table: &TableSchema, chain: &TableSchema| {
        Projection::new(table, &[chain.columns[0].arrow()], &[]).err()
    };
    assert_eq!((fits(&json, &json), fits(&text, &json), fits(&text, &text)), (None, None, None));
    let misfits = fits(&json, &text).expect("text is not JSON");
    let said = misfits[0].to_string();
    assert_eq!(said, "column `raw` is JSON in the table, the chain gives Utf8");
}

#[test]
fn a_text_of_all_rows_is_in_memory_once_for_batches_of_one_size() {
    let repeated = Repeated::default();
    let of = |text: &str, rows: usize| {
        let column = repeated.of(text, rows);
        let column = column.as_string::<i32>();
        assert_eq!(column.iter().collect::<Vec<_>>(), vec![Some(text); rows]);
        column.values().as_ptr()
    };
    let first = of("a", 8);
    assert_eq!([of("a", 8), of("a", 4)], [first; 2]);
    // Of another text, of more rows, or of far fewer.
    assert_ne!(of("b", 8), first);
    let more = of("b", 9);
    assert_ne!(of("b", 4), more);
}
