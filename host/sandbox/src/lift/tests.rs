use arrow::array::{Array, AsArray};
use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = Text> {
    let offsets = proptest::collection::vec(prop_oneof![0..8_u32, any::<u32>()], 0..6);
    let bytes = proptest::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..8);
    (offsets, bytes, any::<bool>()).prop_map(|(mut offsets, bytes, plausible)| {
        if plausible && let Some(last) = offsets.len().checked_sub(1) {
            offsets.sort_unstable();
            offsets[0] = 0;
            offsets[last] = bytes.len() as u32;
        }
        Text { offsets, bytes }
    })
}

fn values() -> impl Strategy<Value = Values> {
    let numbers = || proptest::collection::vec(any::<i64>(), 0..5);
    prop_oneof![
        proptest::collection::vec(0..3_u8, 0..5).prop_map(Values::Booleans),
        numbers().prop_map(Values::Int64s),
        numbers().prop_map(Values::Timestamps),
        proptest::collection::vec(any::<i32>(), 0..5).prop_map(Values::Dates),
        proptest::collection::vec(any::<f64>(), 0..5).prop_map(Values::Float64s),
        text().prop_map(Values::Texts),
        text().prop_map(Values::Blobs),
    ]
}

fn output() -> impl Strategy<Value = Output> {
    let validity = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3));
    let column = ("[ab]", values(), validity).prop_map(|(name, values, validity)| Column {
        name,
        values,
        validity,
    });
    let rejection = (0..6_u32, "[a-z_A]{0,3}", ".{0,40}", proptest::option::of("[ab]"))
        .prop_map(|(row, code, message, column)| Rejection { row, code, message, column });
    (
        proptest::collection::vec(column, 0..3),
        proptest::collection::vec(rejection, 0..3),
        proptest::collection::vec(0..6_u32, 0..3),
    )
        .prop_map(|(columns, rejections, dropped)| Output { columns, rejections, dropped })
}

proptest! {
    /// Whatever a guest answers, the host does not panic, and what it accepts is what was announced.
    #[test]
    fn an_accepted_answer_is_what_was_announced(
        output in output(),
        rows in 1..5_usize,
        data_type in prop::sample::select(vec![
            DataType::Boolean, DataType::Int64, DataType::Float64, DataType::Date,
            DataType::Timestamp, DataType::Text, DataType::Blob,
        ]),
    ) {
        let writes = [("a".to_owned(), data_type)];
        let announced = Announced { reads: &[], writes: &writes };
        if let Ok(answer) = check(output, rows, announced, 16) {
            prop_assert_eq!(answer.columns.len(), 1);
            let column = &answer.columns[0];
            prop_assert_eq!(column.len(), rows);
            prop_assert_eq!(column.data_type(), &data_type.arrow());
            if let Some(texts) = column.as_string_opt::<i32>() {
                for row in 0..rows {
                    prop_assert!(std::str::from_utf8(texts.value(row).as_bytes()).is_ok());
                }
            }
            let gone: Vec<u32> = answer.rejected.iter().map(|(row, _)| *row).chain(answer.dropped).collect();
            let distinct: std::collections::BTreeSet<&u32> = gone.iter().collect();
            prop_assert_eq!(distinct.len(), gone.len());
            prop_assert!(gone.iter().all(|row| (*row as usize) < rows));
            // The mark of a cut is three bytes.
            prop_assert!(answer.rejected.iter().all(|(_, reason)| reason.message.len() <= 16 + 3));
            let column = |reason: &Reason| reason.column.as_deref().unwrap_or("a") == "a";
            prop_assert!(answer.rejected.iter().all(|(_, reason)| column(reason)));
        }
    }
}

#[test]
fn a_row_is_refused_for_a_column_that_is_read_or_written() {
    let (reads, writes) =
        ([("in".to_owned(), DataType::Text)], [("out".to_owned(), DataType::Blob)]);
    let refused_for = |column: Option<&str>| {
        let rejection = Rejection {
            row: 0,
            code: "bad".to_owned(),
            message: String::new(),
            column: column.map(str::to_owned),
        };
        let texts = Text { offsets: vec![0, 0], bytes: Vec::new() };
        let (name, values) = ("out".to_owned(), Values::Blobs(texts));
        let columns = vec![Column { name, values, validity: None }];
        let output = Output { columns, rejections: vec![rejection], dropped: Vec::new() };
        let answer = check(output, 1, Announced { reads: &reads, writes: &writes }, 64);
        answer.map(|answer| answer.rejected[0].1.column.clone()).map_err(|e| e.to_string())
    };
    for column in [None, Some("in"), Some("out")] {
        assert_eq!(refused_for(column), Ok(column.map(str::to_owned)));
    }
    for column in ["", "In", "in ", "user-4711@example.com", &"x".repeat(1 << 20)] {
        let told = refused_for(Some(column)).unwrap_err();
        assert!(told.ends_with("which it neither reads nor writes"), "{told}");
        assert!(told.len() < MAX_NAME_BYTES + 100, "{} bytes", told.len());
    }
}

/// A dead letter's code tells whether a plugin refused its row or failed on it.
#[test]
fn no_row_is_refused_with_a_code_of_the_hosts_own() {
    let taken = |code: &str| {
        let (code, message, column) = (code.to_owned(), String::new(), None);
        let rejections = vec![Rejection { row: 0, code, message, column }];
        let output = Output { columns: Vec::new(), rejections, dropped: Vec::new() };
        check(output, 1, Announced { reads: &[], writes: &[] }, 64).map(drop)
    };
    for code in ["plugin_trap", "plugin_out_of_fuel", "plugin_", "plugin_of_tomorrow"] {
        assert!(matches!(taken(code), Err(AnswerError::HostCode { .. })), "{code}");
    }
    for code in ["plugin", "plugins_", "bad_plugin_", "_plugin_"] {
        assert!(taken(code).is_ok(), "{code}");
    }
}
