use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;

use super::*;
use clickmill_config::Place;
use clickmill_core::Micros;
use clickmill_core::batch::{Position, Positions};

const ANY: &str =
    r#"[{"name": "n", "type": "INTEGER"}, {"name": "record_index", "type": "INTEGER"}]"#;
const REQUIRED: &str = r#"[{"name": "n", "type": "INTEGER", "mode": "REQUIRED"}]"#;

fn name(table: &str) -> TableName {
    TableName { dataset: "d".to_owned(), table: table.to_owned() }
}

fn schema(json: &str) -> TableSchema {
    TableSchema::parse(json, Path::new("t.json")).expect("a schema")
}

fn sink(routes: &[(&str, bool, &str)], unrouted: Unrouted) -> Sink {
    let route = |(at, (condition, copy, json)): (usize, &(&str, bool, &str))| Route {
        table: name(&format!("r{at}")),
        schema: schema(json),
        condition: condition.parse().expect("a condition"),
        copy: *copy,
    };
    Sink {
        table: name("own"),
        schema: schema(ANY),
        routes: routes.iter().enumerate().map(route).collect(),
        unrouted,
        place: Place::Warehouse,
        retention_days: None,
    }
}

/// Six rows of three records: kinds a, b, c, null, a, b and numbers 0, 1, null, 3, 4, 5.
fn batch() -> Batch {
    let kinds = [Some("a"), Some("b"), Some("c"), None, Some("a"), Some("b")];
    let numbers = [Some(0), Some(1), None, Some(3), Some(4), Some(5)];
    let columns = RecordBatch::try_from_iter_with_nullable([
        ("kind", Arc::new(StringArray::from(kinds.to_vec())) as ArrayRef, true),
        ("n", Arc::new(Int64Array::from(numbers.to_vec())), true),
    ]);
    let origins = Origins {
        source: "s".into(),
        header: None,
        positions: Positions::Lines(vec![1, 1, 1, 2, 2, 3]),
        places: Some(vec![0, 1, 2, 0, 1, 0]),
        block: Bytes::new(),
        ranges: vec![0..0; 6],
    };
    Batch { columns: columns.expect("columns"), origins, ingest_time: Micros::default() }
}

/// The numbers in each table, those of all rows, and what was refused by which code.
type Made = (Vec<Vec<Option<i64>>>, usize, Vec<String>);

#[track_caller]
fn made(sink: &Sink, batch: Batch) -> Made {
    let fields: Vec<Field> =
        batch.columns.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let all = keys(&batch.origins);
    let router = Router::new(sink, &fields, &[]).expect("it fits");
    let (routed, refused) = router.rows(batch, &Digest::default()).expect("rows");
    // Each row is in a table or refused, and never both.
    let distinct = keys(routed.origins());
    assert_eq!(distinct.len(), routed.count(), "a row is counted twice");
    let in_tables: BTreeSet<_> = routed.tables().flat_map(|rows| keys(&rows.origins)).collect();
    assert_eq!(in_tables, distinct);
    let out: BTreeSet<_> = refused.iter().map(Rejected::key).collect();
    assert_eq!(out.len(), refused.len(), "a row is refused twice");
    assert!(out.is_disjoint(&distinct));
    assert_eq!(out.union(&distinct).cloned().collect::<BTreeSet<_>>(), all);
    let numbers = |rows: &Rows| {
        assert_eq!(rows.rows.num_rows(), rows.origins.ranges.len());
        let column = rows.rows.column_by_name("n").expect("a column");
        column.as_primitive::<Int64Type>().iter().collect()
    };
    let tables = routed.tables().map(numbers).collect();
    (tables, routed.count(), refused.into_iter().map(|row| row.reason.code).collect())
}

#[test]
fn a_row_goes_to_the_first_table_whose_condition_it_meets_or_to_the_pipelines_own() {
    let routes = [("kind = 'a'", false, ANY), ("kind IN ('a', 'b')", false, ANY)];
    let (tables, count, refused) = made(&sink(&routes, Unrouted::Table), batch());
    // A null meets nothing.
    assert_eq!(tables[0], [None, Some(3)]);
    assert_eq!(tables[1], [Some(0), Some(4)]);
    assert_eq!(tables[2], [Some(1), Some(5)]);
    assert_eq!((count, refused), (6, Vec::new()));
}

#[test]
fn a_copy_is_taken_and_the_row_goes_on() {
    let routes = [("n >= 1", true, ANY), ("kind = 'a'", false, ANY)];
    let (tables, count, refused) = made(&sink(&routes, Unrouted::Table), batch());
    assert_eq!(tables[0], [Some(1), None, Some(3), Some(5)]);
    assert_eq!(tables[1], [Some(1), Some(3), Some(4), Some(5)]);
    assert_eq!(tables[2], [Some(0), Some(4)]);
    assert_eq!((count, refused), (6, Vec::new()));
}

#[test]
fn what_no_table_takes_is_refused_where_the_pipelines_own_is_for_nothing() {
    let routes = [("n = 3", true, ANY), ("kind = 'a'", false, ANY)];
    let (tables, count, refused) = made(&sink(&routes, Unrouted::Reject), batch());
    assert_eq!(tables[0], [None; 0]);
    assert_eq!(tables[1], [Some(3)]);
    assert_eq!(tables[2], [Some(0), Some(4)]);
    assert_eq!((count, refused), (3, vec![NO_ROUTE.to_owned(); 3]));
}

#[test]
fn a_row_that_one_of_its_tables_cannot_take_is_in_none_and_refused_once() {
    // The row of kind c has no number.
    let routes = [("kind = 'c'", true, REQUIRED), ("kind <> 'a'", true, REQUIRED)];
    let (tables, count, refused) = made(&sink(&routes, Unrouted::Table), batch());
    assert_eq!(tables[0], [Some(0), Some(1), Some(3), Some(4), Some(5)]);
    assert_eq!(tables[1], [None; 0]);
    assert_eq!(tables[2], [Some(1), Some(5)]);
    assert_eq!((count, refused), (5, vec!["required".to_owned()]));
}

#[test]
fn each_delivery_of_a_message_is_counted_by_itself() {
    // The first record and the one without a number, each twice.
    let twice = [0, 0, 2, 2].map(|row| batch().slice(row..row + 1));
    let columns = arrow::compute::concat_batches(
        &twice[0].columns.schema(),
        twice.iter().map(|row| &row.columns),
    );
    let positions = Positions::Lines(vec![1, 1, 2, 2]);
    let origins = Origins { positions, places: None, ranges: vec![0..0; 4], ..batch().origins };
    let batch = Batch { columns: columns.expect("one schema"), origins, ..batch() };
    let routes = [("kind = 'a'", true, ANY), ("kind = 'c'", true, REQUIRED)];
    let fields: Vec<Field> =
        batch.columns.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let router = Router::new(&sink(&routes, Unrouted::Table), &fields, &[]).expect("it fits");
    let (routed, refused) = router.rows(batch, &Digest::default()).expect("rows");
    assert_eq!((routed.count(), refused.len()), (2, 2));
    let of = |rows: &Rows| rows.rows.num_rows();
    assert_eq!(routed.tables().map(of).collect::<Vec<_>>(), [2, 2, 0]);
}

#[test]
fn rows_are_left_out_of_all_tables() {
    let sink = sink(&[("kind = 'a'", true, ANY)], Unrouted::Table);
    let batch = batch();
    let fields: Vec<Field> =
        batch.columns.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let router = Router::new(&sink, &fields, &[]).expect("it fits");
    let (mut routed, _) = router.rows(batch, &Digest::default()).expect("rows");
    routed.leave_out(&[0, 3]).expect("they are there");
    assert_eq!(routed.count(), 4);
    assert_eq!(routed.own.rows.num_rows(), 4);
    assert_eq!(routed.others[0].rows.num_rows(), 1);
}

#[test]
fn rows_are_left_out_of_the_tables_that_have_them() {
    let sink = sink(&[("kind = 'a'", true, ANY), ("kind = 'b'", true, ANY)], Unrouted::Table);
    let fields: Vec<Field> =
        batch().columns.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let router = Router::new(&sink, &fields, &[]).expect("it fits");
    let (made, _) = router.rows(batch(), &Digest::default()).expect("rows");
    // Rows by line and place: those of kind a are (1, 0) and (2, 1), of kind b (1, 1) and (3, 0).
    for (there, counts, count) in [
        (&[][..], [6, 2, 2], 6),
        // In one of two tables: the other lacks it, whichever it is.
        (&[(0, 1, 0)], [5, 2, 2], 6),
        (&[(1, 1, 0)], [6, 1, 2], 6),
        // In both, or in the only one.
        (&[(0, 1, 0), (1, 1, 0)], [5, 1, 2], 5),
        (&[(0, 2, 0)], [5, 2, 2], 5),
        // Where it does not go now.
        (&[(2, 1, 0)], [5, 1, 2], 5),
        (&[(0, 1, 0), (2, 1, 0), (0, 3, 0)], [4, 1, 2], 5),
    ] {
        let mut routed = made.clone();
        let is_there = |table: usize, (position, place): &RowKey| {
            let is = |(in_table, line, at): &(usize, u64, u64)| {
                (table, position, place) == (*in_table, &Position::Line(*line), at)
            };
            there.iter().any(is)
        };
        routed.leave_out_there(is_there).expect("they are there");
        let of: Vec<usize> = routed.tables().map(|rows| rows.rows.num_rows()).collect();
        assert_eq!((of.as_slice(), routed.count()), (&counts[..], count), "{there:?}");
    }
}

#[test]
fn a_batch_without_rows_is_none_in_every_table() {
    let sink = sink(&[("kind = 'a'", false, ANY)], Unrouted::Reject);
    let (tables, count, refused) = made(&sink, batch().slice(0..0));
    assert_eq!((tables, count, refused), (vec![Vec::new(); 2], 0, Vec::new()));
}

#[test]
fn what_does_not_fit_is_told_with_its_table() {
    let fields = [Field::new("kind", arrow::datatypes::DataType::Utf8, true)];
    let told = |routes: &[(&str, bool, &str)]| {
        let mut sink = sink(routes, Unrouted::Table);
        sink.schema = schema(r#"[{"name": "kind", "type": "STRING"}]"#);
        Router::new(&sink, &fields, &[]).err().expect("it does not fit").to_string()
    };
    assert!(told(&[("kind = 'a'", false, REQUIRED)]).contains("`d.r0`"));
    assert!(told(&[("gone = 'a'", false, ANY)]).contains("`gone = 'a'`"));
}
