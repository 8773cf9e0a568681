//! Rows are conserved: whatever comes in, however it is cut into batches, whatever the plugin does, each
//! record is in the table once, in the dead letters once, or counted as filtered.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::hostile::pipeline;
use crate::support::Scratch;

/// A record of the input: how it looks, and what must become of it.
#[derive(Debug, Clone, Copy)]
enum Record {
    Good,
    Guilty,
    NotText,
    Blank,
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        6 => Just(Record::Good),
        2 => Just(Record::Guilty),
        1 => Just(Record::NotText),
        1 => Just(Record::Blank),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_record_comes_out_exactly_once(
        records in proptest::collection::vec(record(), 1..200),
        misdeed in prop::sample::select(vec![
            "panic", "fault", "reject", "drop", "bad_code", "wrong_length", "falling_offsets", "reject_twice",
        ]),
        max_rows in 1_usize..70,
        workers in 1_usize..4,
    ) {
        let scratch = Scratch::new();
        let pipeline = pipeline(&scratch, misdeed, &format!("batch = {{ max_rows = {max_rows} }}\nworkers = {workers}"));
        let mut input: Vec<u8> = Vec::new();
        for (at, record) in records.iter().enumerate() {
            match record {
                Record::Good => input.extend_from_slice(format!("good {at}\n").as_bytes()),
                Record::Guilty => input.extend_from_slice(format!("guilty {at}\n").as_bytes()),
                Record::NotText => input.extend_from_slice(b"\xff\n"),
                Record::Blank => input.push(b'\n'),
            }
        }
        scratch.write("input.ndjson", input);
        let lines = |wanted: fn(&Record) -> bool| -> BTreeSet<u64> {
            let numbered = records.iter().enumerate();
            numbered.filter(|(_, record)| wanted(record)).map(|(at, _)| at as u64 + 1).collect()
        };
        let (good, guilty) = (lines(|r| matches!(r, Record::Good)), lines(|r| matches!(r, Record::Guilty)));
        let not_text = lines(|r| matches!(r, Record::NotText));

        let summary = scratch.summary(&pipeline, &[]);
        let dropped = if misdeed == "drop" { guilty.len() } else { 0 };
        prop_assert_eq!(summary["rows_in"].as_u64(), Some((good.len() + guilty.len() + not_text.len()) as u64));
        prop_assert_eq!(summary["rows_filtered"].as_u64(), Some(dropped as u64));

        let numbers = |sql: &str| -> Vec<u64> {
            scratch.query(sql).iter().filter_map(|row| row["source_line"].as_u64()).collect()
        };
        // In the object's order, whatever the workers did.
        let out = numbers("SELECT source_line FROM test.out");
        prop_assert_eq!(out, good.into_iter().collect::<Vec<_>>());
        let mut letters = not_text;
        if misdeed != "drop" {
            letters.extend(guilty);
        }
        let found = numbers("SELECT source_line FROM test.dead_letter ORDER BY source_line");
        prop_assert_eq!(found, letters.into_iter().collect::<Vec<_>>());
    }
}
