//! Nested columns, and what may be wrong with them.

use super::*;

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
