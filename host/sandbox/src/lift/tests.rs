use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Int64Array,
    ListArray, RecordBatchOptions, StringArray, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, Schema, UInt32Type};
use proptest::prelude::*;

use super::*;
use crate::boundary::{Column, ColumnIn, DataType, Dictionary, Text, TextIn, Values, ValuesIn};
use crate::kind::{Kind, Spec};
use crate::lower::{Lowered, lower};

fn spec(path: &str, data_type: DataType, repeated: bool) -> Spec {
    Spec { path: path.parse().unwrap_or_else(|_| Path::of(path)), data_type, repeated }
}

fn plain_kind(data_type: DataType) -> Kind {
    Kind { data_type, repeated: false, fields: Vec::new() }
}

fn columns(specs: &[Spec], batch: &RecordBatch) -> Columns {
    let record = |path: &Path| {
        let (_, field) = batch.schema_ref().column_with_name(path.first())?;
        Kind::of(field)
    };
    Columns::of(specs, record).unwrap().0
}

fn batch_of(columns: Vec<(Field, ArrayRef)>, rows: usize) -> RecordBatch {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).unwrap()
}

fn checked(
    output: Output,
    batch: &RecordBatch,
    announced: Announced<'_>,
) -> Result<Answer, String> {
    let limits = Limits { max_message_bytes: 64, max_output_bytes: 1 << 20, ..Limits::default() };
    check(output, batch, announced, &limits).map_err(|error| error.to_string())
}

/// What a guest answers that gives back what it was given.
fn identity(columns: &[ColumnIn<'_>]) -> Vec<Column> {
    let text =
        |text: &TextIn<'_>| Text { offsets: text.offsets.to_vec(), bytes: text.bytes.to_vec() };
    let values = |values: &ValuesIn<'_>| match values {
        ValuesIn::Booleans(v) => Values::Booleans(v.to_vec()),
        ValuesIn::Int64s(v) => Values::Int64s(v.to_vec()),
        ValuesIn::Float64s(v) => Values::Float64s(v.to_vec()),
        ValuesIn::Decimals(v) => Values::Decimals(v.to_vec()),
        ValuesIn::Dates(v) => Values::Dates(v.to_vec()),
        ValuesIn::Times(v) => Values::Times(v.to_vec()),
        ValuesIn::Datetimes(v) => Values::Datetimes(v.to_vec()),
        ValuesIn::Timestamps(v) => Values::Timestamps(v.to_vec()),
        ValuesIn::Texts(v) => Values::Texts(text(v)),
        ValuesIn::Dictionary(v) => {
            Values::Dictionary(Dictionary { indices: v.indices.to_vec(), values: text(&v.values) })
        }
        ValuesIn::Jsons(v) => Values::Jsons(text(v)),
        ValuesIn::Blobs(v) => Values::Blobs(text(v)),
        ValuesIn::Records => Values::Records,
    };
    let column = |column: &ColumnIn<'_>| Column {
        name: column.name.to_owned(),
        parent: column.parent,
        offsets: column.offsets.map(<[u32]>::to_vec),
        values: values(&column.values),
        validity: column.validity.map(<[u8]>::to_vec),
    };
    columns.iter().map(column).collect()
}

/// A column of so many values, none of which is there where `null` says so.
fn column(kind: Kind, null: Vec<bool>) -> BoxedStrategy<ArrayRef> {
    if kind.repeated {
        let (count, element) = (null.len(), Kind { repeated: false, ..kind });
        let lengths = proptest::collection::vec(0..4_usize, count);
        let lists = lengths.prop_flat_map(move |mut lengths| {
            lengths
                .iter_mut()
                .zip(&null)
                .filter(|(_, null)| **null)
                .for_each(|(length, _)| *length = 0);
            let field = element.field("item").with_nullable(false);
            let elements = values(element.clone(), vec![false; lengths.iter().sum()]);
            elements.prop_map(move |elements| -> ArrayRef {
                let field = Arc::new(field.clone().with_data_type(elements.data_type().clone()));
                let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
                Arc::new(ListArray::new(field, offsets, elements, None))
            })
        });
        return lists.boxed();
    }
    let more = proptest::collection::vec(prop::bool::weighted(0.3), null.len());
    let null = more.prop_map(move |more| more.iter().zip(&null).map(|(a, b)| a | b).collect());
    null.prop_flat_map(move |null: Vec<bool>| values(kind.clone(), null)).boxed()
}

fn values(kind: Kind, null: Vec<bool>) -> BoxedStrategy<ArrayRef> {
    let count = null.len();
    let nulls = null.contains(&true).then(|| null.iter().map(|null| !null).collect::<NullBuffer>());
    let numbers = |range: std::ops::Range<i64>| proptest::collection::vec(range, count);
    let texts = || proptest::collection::vec("[a-zäö🦀]{0,4}", count);
    match kind.data_type {
        DataType::Record => {
            let fields = kind.fields.into_iter().map(|(name, kind)| {
                let field = kind.field(&name);
                column(kind, null.clone()).prop_map(move |array| {
                    (field.clone().with_data_type(array.data_type().clone()), array)
                })
            });
            let record = move |fields: Vec<(Field, ArrayRef)>| -> ArrayRef {
                let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = fields.into_iter().unzip();
                Arc::new(StructArray::new(fields.into(), arrays, nulls.clone()))
            };
            fields.collect::<Vec<_>>().prop_map(record).boxed()
        }
        DataType::Boolean => proptest::collection::vec(any::<bool>(), count)
            .prop_map(move |v| Arc::new(BooleanArray::new(v.into(), nulls.clone())) as ArrayRef)
            .boxed(),
        DataType::Decimal => {
            proptest::collection::vec(-(10_i128.pow(38) - 1)..10_i128.pow(38), count)
                .prop_map(move |v| {
                    let array = Decimal128Array::new(v.into(), nulls.clone());
                    Arc::new(array.with_precision_and_scale(38, 9).unwrap()) as ArrayRef
                })
                .boxed()
        }
        DataType::Time => numbers(0..86_400_000_000)
            .prop_map(move |v| Arc::new(Time64MicrosecondArray::new(v.into(), nulls.clone())) as _)
            .boxed(),
        DataType::Datetime => numbers(-1_000_000..1_000_000)
            .prop_map(move |v| {
                Arc::new(TimestampMicrosecondArray::new(v.into(), nulls.clone())) as _
            })
            .boxed(),
        DataType::Text => (texts(), any::<bool>())
            .prop_map(move |(v, dictionary)| -> ArrayRef {
                let of = |texts: &[String]| texts.iter().map(Some).collect::<StringArray>();
                let (offsets, bytes, _) = of(&v).into_parts();
                if !dictionary {
                    return Arc::new(StringArray::new(offsets, bytes, nulls.clone()));
                }
                let keys =
                    UInt32Array::new((0..count as u32).collect::<Vec<_>>().into(), nulls.clone());
                Arc::new(DictionaryArray::<UInt32Type>::new(keys, Arc::new(of(&v))))
            })
            .boxed(),
        DataType::Json => numbers(0..1000)
            .prop_map(move |v| {
                let texts: StringArray =
                    v.iter().map(|n| Some(format!("{{\"n\": {n}}}"))).collect();
                let (offsets, bytes, _) = texts.into_parts();
                Arc::new(StringArray::new(offsets, bytes, nulls.clone())) as _
            })
            .boxed(),
        DataType::Blob => texts()
            .prop_map(move |v| {
                let (offsets, bytes, _) = v.iter().map(Some).collect::<BinaryArray>().into_parts();
                Arc::new(BinaryArray::new(offsets, bytes, nulls.clone())) as _
            })
            .boxed(),
        _ => numbers(i64::MIN..i64::MAX)
            .prop_map(move |v| Arc::new(Int64Array::new(v.into(), nulls.clone())) as _)
            .boxed(),
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    let scalars = [
        DataType::Boolean,
        DataType::Int64,
        DataType::Decimal,
        DataType::Time,
        DataType::Datetime,
        DataType::Text,
        DataType::Json,
        DataType::Blob,
    ];
    let scalar = (prop::sample::select(scalars.to_vec()), any::<bool>())
        .prop_map(|(data_type, repeated)| Kind { repeated, ..plain_kind(data_type) });
    scalar.prop_recursive(3, 12, 3, |inner| {
        (proptest::collection::vec(inner, 1..4), any::<bool>()).prop_map(|(fields, repeated)| {
            let fields = fields.into_iter().enumerate().map(|(at, kind)| (format!("f{at}"), kind));
            Kind { data_type: DataType::Record, repeated, fields: fields.collect() }
        })
    })
}

fn whole(name: &str, kind: &Kind) -> Columns {
    let all =
        Kind { fields: vec![(name.to_owned(), kind.clone())], ..plain_kind(DataType::Record) };
    Columns::of_kind(&all)
}

proptest! {
    /// Whatever columns a plugin is given, those that it gives back are the same; so are those of a slice.
    #[test]
    fn nested_columns_go_in_and_out_unchanged(
        (kind, array) in kind().prop_flat_map(|kind| {
            let array = (1..9_usize).prop_flat_map({
                let kind = kind.clone();
                move |rows| column(kind.clone(), vec![false; rows])
            });
            (Just(kind), array)
        }),
        from in 0..4_usize,
    ) {
        let from = from.min(array.len() - 1);
        let array = array.slice(from, array.len() - from);
        let columns = whole("c", &kind);
        let field = columns.all[0].field_of(array.data_type());
        let batch = batch_of(vec![(field, array.clone())], array.len());
        prop_assert_eq!(Kind::of(batch.schema_ref().field(0)), Some(kind));
        let lowered = lower(&batch, &columns, true);
        let given: Vec<ColumnIn<'_>> = lowered.iter().map(Lowered::column).collect();
        let output = Output { columns: identity(&given), ..Output::default() };
        let announced = Announced { reads: &columns, writes: &columns, multiplies: false, wanted: None };
        let answer = checked(output, &batch, announced).unwrap();
        let plain = columns.all[0].kind().field("c");
        let plain = |array: &ArrayRef| arrow::compute::cast(array, plain.data_type()).unwrap();
        prop_assert_eq!(&plain(&answer.columns[0]), &plain(&array));
        prop_assert!(answer.columns[0].to_data().validate_full().is_ok());
    }
}

/// Rows with a list of items, of which one is empty, and a user, of whom one is nobody.
fn shop() -> RecordBatch {
    let price = Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef;
    let name = Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef;
    let fields = vec![
        Field::new("price", arrow::datatypes::DataType::Int64, true),
        Field::new("name", arrow::datatypes::DataType::Utf8, true),
    ];
    let item = Arc::new(StructArray::new(fields.into(), vec![price, name], None)) as ArrayRef;
    let element = Arc::new(Field::new("item", item.data_type().clone(), false));
    let items = ListArray::new(element, OffsetBuffer::from_lengths([2, 0, 1]), item, None);
    let id = Arc::new(StringArray::from(vec![Some("u"), None, Some("v")])) as ArrayRef;
    let fields = vec![Field::new("id", arrow::datatypes::DataType::Utf8, true)];
    let nulls = Some(NullBuffer::from(vec![true, false, true]));
    let user = StructArray::new(fields.into(), vec![id], nulls);
    batch_of(
        vec![
            (Field::new("items", items.data_type().clone(), true), Arc::new(items) as ArrayRef),
            (Field::new("user", user.data_type().clone(), true), Arc::new(user) as ArrayRef),
        ],
        3,
    )
}

fn record(name: &str, offsets: Option<Vec<u32>>, validity: Option<Vec<u8>>) -> Column {
    Column { name: name.to_owned(), parent: None, offsets, values: Values::Records, validity }
}

fn numbers(name: &str, parent: Option<u32>, values: Vec<i64>) -> Column {
    let (name, values) = (name.to_owned(), Values::Int64s(values));
    Column { name, parent, offsets: None, values, validity: None }
}

#[test]
fn only_the_fields_that_are_read_are_copied() {
    let batch = shop();
    let reads = columns(&[spec("items.price", DataType::Int64, false)], &batch);
    let lowered = lower(&batch, &reads, true);
    let given: Vec<ColumnIn<'_>> = lowered.iter().map(Lowered::column).collect();
    let told: Vec<_> = given.iter().map(|c| (c.name, c.parent, c.offsets)).collect();
    assert_eq!(told, [("items", None, Some(&[0, 2, 2, 3][..])), ("price", Some(0), None)]);
}

#[test]
fn a_field_is_put_into_its_record_beside_the_others() {
    let batch = shop();
    let writes =
        [spec("items.price", DataType::Text, false), spec("items.total", DataType::Int64, false)];
    let writes = columns(&writes, &batch);
    let announced = Announced { reads: &writes, writes: &writes, multiplies: false, wanted: None };
    let texts = Text { offsets: vec![0, 1, 2, 3], bytes: b"123".to_vec() };
    let price = Column { parent: Some(0), ..Column::texts("price", texts, None) };
    let with = |items: Column| {
        let columns = vec![items, price.clone(), numbers("total", Some(0), vec![7, 8, 9])];
        checked(Output { columns, ..Output::default() }, &batch, announced)
    };
    let answer = with(record("items", Some(vec![0, 2, 2, 3]), None)).unwrap();
    let items = answer.columns[0].as_list::<i32>();
    let names: Vec<&str> = items.values().as_struct().column_names();
    assert_eq!(names, ["price", "name", "total"]);
    assert_eq!(items.values().as_struct().column(0).as_string::<i32>().value(2), "3");
    let told = with(record("items", Some(vec![0, 1, 2, 3]), None)).err();
    assert!(told.unwrap().starts_with("column `items` is not as it was given"));
}

type Change<'a> = &'a dyn Fn(&mut Vec<Column>);

#[test]
fn what_is_wrong_with_nested_columns_is_told_with_the_path() {
    let batch = shop();
    let writes = [
        spec("order", DataType::Record, true),
        spec("order.n", DataType::Int64, false),
        spec("order.tags", DataType::Int64, true),
        spec("who", DataType::Record, false),
        spec("who.n", DataType::Int64, false),
        spec("user.age", DataType::Int64, false),
    ];
    let writes = columns(&writes, &batch);
    let announced = Announced { reads: &writes, writes: &writes, multiplies: false, wanted: None };
    let tags = |offsets: Option<Vec<u32>>, values: Vec<i64>| Column {
        offsets,
        ..numbers("tags", Some(0), values)
    };
    let good = || {
        vec![
            record("order", Some(vec![0, 1, 1, 2]), None),
            numbers("n", Some(0), vec![1, 2]),
            tags(Some(vec![0, 0, 1]), vec![1]),
            record("who", None, Some(vec![0b101])),
            Column { validity: Some(vec![0b101]), ..numbers("n", Some(3), vec![1, 2, 3]) },
            record("user", None, Some(vec![0b101])),
            Column { validity: Some(vec![0b001]), ..numbers("age", Some(5), vec![1, 2, 3]) },
        ]
    };
    let told = |change: Change<'_>| {
        let mut columns = good();
        change(&mut columns);
        checked(Output { columns, ..Output::default() }, &batch, announced).err()
    };
    assert_eq!(told(&|_| {}), None);
    let wrong: [(Change<'_>, &str); 17] = [
        (&|c| c[0].offsets = Some(vec![0, 2, 1, 2]), "column `order` has list 1 from 2 to 1"),
        (
            &|c| c[0].offsets = Some(vec![1, 1, 1, 2]),
            "column `order` has lists from 1 to 2, wanted",
        ),
        (
            &|c| c[0].offsets = Some(vec![0, u32::MAX, u32::MAX, u32::MAX]),
            "column `order` has lists",
        ),
        (&|c| c[0].offsets = Some(vec![0, 1, 2]), "column `order` has 2 lists for 3 rows"),
        (&|c| c[0].offsets = Some(Vec::new()), "column `order` has 0 lists for 3 rows"),
        (&|c| c[0].offsets = None, "column `order` has no offsets, and was announced as repeated"),
        (&|c| c[0].validity = Some(vec![0b01]), "column `order` has an element that is null"),
        (&|c| c[1] = numbers("n", Some(0), vec![1]), "column `order.n` has 1 values for 2 records"),
        (&|c| c[1].offsets = Some(vec![0, 1, 2]), "column `order.n` has offsets, and was not"),
        (
            &|c| c[2] = tags(Some(vec![0, 1, 2]), vec![1]),
            "column `order.tags` has 1 values for 2 elements",
        ),
        (&|c| c[2].parent = Some(2), "column `tags` has parent 2, wanted the place of a record"),
        (&|c| c[2].parent = Some(1), "column `tags` has parent 1, wanted the place of a record"),
        (&|c| c[2].parent = None, "it returned column `tags`, which it did not announce"),
        (&|c| c[2].name = "x".repeat(1000), "it returned column `order.xxxx"),
        (&|c| c[4].validity = None, "column `who.n` has a value in record 1, which is null"),
        (&|c| c[5].validity = None, "column `user` is not as it was given"),
        (&|c| drop(c.pop()), "it did not return column `user.age`, which it announced"),
    ];
    for (change, wanted) in wrong {
        let told = told(change).unwrap_or_default();
        assert!(told.starts_with(wanted), "{wanted}: {told}");
        assert!(told.len() < 700, "{} bytes", told.len());
    }
}

#[test]
fn values_of_each_type_are_looked_at_where_they_are_not_null() {
    let batch = batch_of(Vec::new(), 2);
    let refused = |data_type: DataType, values: Values| {
        let writes = [spec("c", data_type, false)];
        let writes = columns(&writes, &batch);
        let announced =
            Announced { reads: &writes, writes: &writes, multiplies: false, wanted: None };
        let told = |validity: Option<Vec<u8>>| {
            let (name, values) = ("c".to_owned(), values.clone());
            let columns = vec![Column { name, parent: None, offsets: None, values, validity }];
            checked(Output { columns, ..Output::default() }, &batch, announced).err()
        };
        // Where the second is null, nobody looks at it.
        assert_eq!(told(Some(vec![0b01])), None, "{values:?}");
        told(None).unwrap_or_default()
    };
    let most = (10_u128.pow(38) - 1).cast_signed();
    let words = |number: i128| [number as u64, (number >> 64) as u64];
    let two = |number: i128| Values::Decimals([words(most), words(number)].concat());
    let texts = |second: &[u8]| Text {
        offsets: vec![0, 1, 1 + second.len() as u32],
        bytes: [b"1", second].concat(),
    };
    let dictionary = Dictionary { indices: vec![0, 2], values: texts(b"b") };
    for (data_type, values, wanted) in [
        (
            DataType::Decimal,
            two(most + 1),
            "column `c` holds a decimal of more than 38 digits at row 1",
        ),
        (
            DataType::Decimal,
            two(i128::MIN),
            "column `c` holds a decimal of more than 38 digits at row 1",
        ),
        (
            DataType::Time,
            Values::Times(vec![0, 86_400_000_000]),
            "column `c` holds 86400000000 at row 1, outside",
        ),
        (
            DataType::Time,
            Values::Times(vec![0, -1]),
            "column `c` holds -1 at row 1, outside a day's",
        ),
        (
            DataType::Datetime,
            Values::Datetimes(vec![0, i64::MIN]),
            "column `c` holds -9223372036854775808 at row 1",
        ),
        (
            DataType::Json,
            Values::Jsons(texts(b"{\"a\":")),
            "column `c` holds what is not a JSON value at row 1",
        ),
        (
            DataType::Json,
            Values::Jsons(texts(b"")),
            "column `c` holds what is not a JSON value at row 1",
        ),
        (
            DataType::Json,
            Values::Jsons(texts(b"1 2")),
            "column `c` holds what is not a JSON value at row 1",
        ),
        (DataType::Text, Values::Dictionary(dictionary), "column `c` holds text 2 of 2 at row 1"),
    ] {
        let told = refused(data_type, values);
        assert!(told.starts_with(wanted), "{wanted}: {told}");
    }
    assert_eq!(refused(DataType::Decimal, two(-most)), "");
}

/// A dictionary that is small here would be a flood where it is written out.
#[test]
fn texts_of_a_dictionary_count_as_if_they_were_written_out() {
    let batch = batch_of(Vec::new(), 2000);
    let writes = columns(&[spec("c", DataType::Text, false)], &batch);
    let announced = Announced { reads: &writes, writes: &writes, multiplies: false, wanted: None };
    let with = |bytes: usize| {
        let texts = Text { offsets: vec![0, bytes as u32], bytes: vec![b'x'; bytes] };
        let values = Values::Dictionary(Dictionary { indices: vec![0; 2000], values: texts });
        let columns = vec![Column { values, ..numbers("c", None, Vec::new()) }];
        checked(Output { columns, ..Output::default() }, &batch, announced)
    };
    assert!(with(400).unwrap().bytes > 800_000);
    assert!(with(600).err().unwrap().starts_with("its answer has 12"));
}

/// Arrow takes a dictionary with a bitmap for one that has nulls.
#[test]
fn a_list_of_texts_may_be_a_dictionary_with_a_bitmap_in_which_all_are_there() {
    let batch = batch_of(Vec::new(), 1);
    let writes = columns(&[spec("c", DataType::Text, true)], &batch);
    let announced = Announced { reads: &writes, writes: &writes, multiplies: false, wanted: None };
    let values = Text { offsets: vec![0, 1], bytes: b"x".to_vec() };
    let values = Values::Dictionary(Dictionary { indices: vec![0, 0], values });
    let validity = Some(vec![0b11]);
    let columns = vec![Column {
        values,
        validity,
        offsets: Some(vec![0, 2]),
        ..numbers("c", None, Vec::new())
    }];
    let answer = checked(Output { columns, ..Output::default() }, &batch, announced).unwrap();
    assert_eq!(answer.columns[0].as_list::<i32>().value_length(0), 2);
}

/// A record of which only a field is written is given again for each row that comes of it.
#[test]
fn a_few_numbers_do_not_ask_for_much() {
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000)]));
    let fields = vec![Field::new("id", ids.data_type().clone(), true)];
    let user: ArrayRef = Arc::new(StructArray::new(fields.into(), vec![ids], None));
    let batch = batch_of(vec![(Field::new("user", user.data_type().clone(), true), user)], 1);
    let writes = columns(&[spec("user.n", DataType::Int64, false)], &batch);
    let announced = Announced { reads: &writes, writes: &writes, multiplies: true, wanted: None };
    let output = Output { came_from: Some(vec![0; 5000]), ..Output::default() };
    let told = checked(output, &batch, announced).err().unwrap();
    assert!(told.starts_with("its answer has 5"), "{told}");
}

fn multiplied(came_from: Vec<u32>, batch: &RecordBatch) -> Result<Answer, String> {
    let writes = columns(&[spec("n", DataType::Int64, false)], batch);
    let announced = Announced { reads: &writes, writes: &writes, multiplies: true, wanted: None };
    let columns = vec![numbers("n", None, (0..came_from.len() as i64).collect())];
    checked(Output { came_from: Some(came_from), columns, ..Output::default() }, batch, announced)
}

#[test]
fn rows_come_from_each_row_of_the_batch_in_its_order() {
    let batch = shop();
    assert_eq!(multiplied(vec![0, 1, 1, 2], &batch).unwrap().came_from, Some(vec![0, 1, 1, 2]));
    assert_eq!(multiplied(vec![0, 1, 2], &batch).unwrap().came_from, None);
    for (came_from, wanted) in [
        (vec![], "its answer has rows of the first 0 of 3 rows only"),
        (vec![0, 1], "its answer has rows of the first 2 of 3 rows only"),
        (vec![1, 2], "row 0 of its answer came from row 1, wanted 0"),
        (vec![0, 2], "row 1 of its answer came from row 2, wanted 0 or 1"),
        (vec![0, 1, 0, 2], "row 2 of its answer came from row 0, wanted 1 or 2"),
        (vec![0, 1, 2, 3], "row 3 of its answer came from row 3, wanted 2"),
        (vec![0, u32::MAX], "row 1 of its answer came from row 4294967295, wanted 0 or 1"),
    ] {
        assert_eq!(multiplied(came_from, &batch).err().as_deref(), Some(wanted));
    }
    let announced = Announced {
        reads: &Columns::default(),
        writes: &Columns::default(),
        multiplies: false,
        wanted: None,
    };
    let output = Output { came_from: Some(vec![0, 1, 2]), ..Output::default() };
    assert!(checked(output, &batch, announced).err().unwrap().ends_with("that it multiplies"));
}

#[test]
fn a_row_that_becomes_too_many_is_refused_as_a_whole() {
    let batch = shop();
    let mut came_from = vec![0];
    came_from.extend(vec![1; Limits::default().max_rows_per_record as usize + 1]);
    came_from.extend([2, 2]);
    let answer = multiplied(came_from, &batch).unwrap();
    assert_eq!(answer.came_from, Some(vec![0, 1, 2, 2]));
    let codes: Vec<_> =
        answer.rejected.iter().map(|(row, why)| (*row, why.code.as_str())).collect();
    assert_eq!(codes, [(1, "too_many_rows")]);
    let left = answer.columns[0].as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
    assert_eq!(left, [0, 1, 1002, 1003]);
}

#[test]
fn a_row_is_refused_for_a_column_that_is_read_or_written() {
    let batch = shop();
    let reads = columns(&[spec("items.price", DataType::Int64, false)], &batch);
    let writes = columns(&[spec("out", DataType::Int64, false)], &batch);
    let refused_for = |column: Option<&str>| {
        let (code, message) = ("bad".to_owned(), String::new());
        let rejection = Rejection { row: 0, code, message, column: column.map(str::to_owned) };
        let columns = vec![numbers("out", None, vec![1, 2, 3])];
        let output = Output { columns, rejections: vec![rejection], ..Output::default() };
        let announced =
            Announced { reads: &reads, writes: &writes, multiplies: false, wanted: None };
        checked(output, &batch, announced).map(|answer| answer.rejected[0].1.column.clone())
    };
    for column in [None, Some("items"), Some("items.price"), Some("items[3].price"), Some("out")] {
        assert_eq!(refused_for(column), Ok(column.map(str::to_owned)));
    }
    // What may be a visitor's number is no place.
    for column in ["items[4711].price", "items[0815].price"] {
        assert_eq!(refused_for(Some(column)), Ok(Some("items.price".to_owned())));
    }
    for column in [
        "",
        "Out",
        "out ",
        "user.id",
        "items[x].price",
        "items[+1].price",
        "items[].price",
        "items.price.x",
        "user-4711@example.com",
        &"x".repeat(1 << 20),
        &"items.".repeat(1 << 18),
    ] {
        let told = refused_for(Some(column)).unwrap_err();
        assert!(told.ends_with("which it neither reads nor writes"), "{told}");
        assert!(told.len() < MAX_NAME_BYTES + 100, "{} bytes", told.len());
    }
}

/// A dead letter's code tells whether a plugin refused its row or failed on it.
#[test]
fn no_row_is_refused_with_a_code_of_the_hosts_own() {
    let batch = batch_of(Vec::new(), 1);
    let none = Columns::default();
    let announced = Announced { reads: &none, writes: &none, multiplies: false, wanted: None };
    let taken = |code: &str| {
        let (code, message, column) = (code.to_owned(), String::new(), None);
        let rejections = vec![Rejection { row: 0, code, message, column }];
        let output = Output { rejections, ..Output::default() };
        check(output, &batch, announced, &Limits::default()).map(drop)
    };
    for code in ["plugin_trap", "plugin_out_of_fuel", "plugin_", "plugin_of_tomorrow"] {
        assert!(matches!(taken(code), Err(AnswerError::HostCode { .. })), "{code}");
    }
    for code in ["plugin", "plugins_", "bad_plugin_", "_plugin_"] {
        assert!(taken(code).is_ok(), "{code}");
    }
}
