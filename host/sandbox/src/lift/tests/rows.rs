//! Rows that become several, and rows that are refused.

use super::*;

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
