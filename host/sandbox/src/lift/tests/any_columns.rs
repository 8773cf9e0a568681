//! Columns of any kind, as they come by chance.

use proptest::prelude::*;

use super::*;

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
