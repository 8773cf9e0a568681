//! Properties that hold for any input.

use clickmill_plugin::prelude::*;
use clickmill_plugin::testing;
use proptest::prelude::*;

use super::{rule, run};
use crate::Validate;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_same_rows_fail_however_they_are_batched(
        rows in prop::collection::vec((prop::option::of(".{0,6}"), prop::option::of(-3..3i64), prop::option::of(any::<f64>())), 1..40),
        at in 0..40usize,
    ) {
        let config = rule(
            r#"{"required": {"columns": ["t", "n"]}, "when": {"column": "n", "values": [1, 2]}},
               {"enum": {"column": "n", "values": [0, 1, 2]}, "action": "drop"},
               {"range": {"column": "f", "min": -1e10, "max": 1e10}},
               {"regex": {"column": "t", "pattern": "[a-m]"}},
               {"length": {"column": "t", "min": 1, "max": 4}},
               {"compare": {"left": "n", "op": "le", "right": "f"}},
               {"starts": {"column": "t", "by": "n", "prefixes": {"1": "a"}}}"#,
        );
        type Row = (Option<String>, Option<i64>, Option<f64>);
        let run = |rows: &[Row], first: usize| {
            let mut output = run(&config, vec![
                Column::texts("t", rows.iter().map(|row| row.0.as_ref())),
                Column::int64s("n", rows.iter().map(|row| row.1)),
                Column::float64s("f", rows.iter().map(|row| row.2)),
            ]);
            output.dropped.iter_mut().for_each(|row| *row += first as u32);
            output.rejections.iter_mut().for_each(|rejection| rejection.row += first as u32);
            output
        };
        let whole = run(&rows, 0);
        let at = at.min(rows.len());
        let (mut rejections, mut dropped) = (Vec::new(), Vec::new());
        for (part, first) in [(&rows[..at], 0), (&rows[at..], at)] {
            if !part.is_empty() {
                let output = run(part, first);
                rejections.extend(output.rejections);
                dropped.extend(output.dropped);
            }
        }
        prop_assert_eq!(whole.rejections, rejections);
        prop_assert_eq!(whole.dropped, dropped);
    }

    #[test]
    fn texts_of_a_dictionary_are_judged_as_if_they_were_written_out(
        rows in prop::collection::vec((prop::option::of(0..7_u32), prop::option::of(0..7_u32)), 1..40),
        strict in any::<bool>(),
    ) {
        const WORDS: [&str; 7] = ["a", "b", "ab", "bb", "", "é", "abc"];
        let config = rule(&format!(
            r#"{{"enum": {{"column": "t", "values": ["a", "ab", "é", ""]}}, "when": {{"column": "u", "values": ["a", "b"]}}}},
               {{"regex": {{"column": "u", "pattern": "[ab]"}}, "action": "drop"}},
               {{"length": {{"column": "u", "min": 1, "max": 2}}}},
               {{"required": {{"columns": ["u"]}}}},
               {{"compare": {{"left": "t", "op": "le", "right": "v"}}}},
               {{"starts": {{"column": "t", "by": "u", "prefixes": {{"a": "b", "b": "ab"}}, "strict": {strict}}}}}"#,
        ));
        let plain = |name: &str, of: &dyn Fn(usize) -> Option<u32>| {
            Column::texts(name, (0..rows.len()).map(|row| of(row).map(|word| WORDS[word as usize])))
        };
        let dictionary = |name: &str, of: &dyn Fn(usize) -> Option<u32>| {
            let indices = (0..rows.len()).map(|row| of(row).unwrap_or(0)).collect();
            Column::dictionary(name, indices, WORDS, plain(name, of).validity)
        };
        let (t, u) = (|row: usize| rows[row].0, |row: usize| rows[row].1);
        let expected = run(&config, vec![plain("t", &t), plain("u", &u), plain("v", &u)]);
        for columns in [
            vec![dictionary("t", &t), dictionary("u", &u), dictionary("v", &u)],
            vec![plain("t", &t), dictionary("u", &u), plain("v", &u)],
            vec![dictionary("t", &t), plain("u", &u), dictionary("v", &u)],
        ] {
            let output = run(&config, columns);
            prop_assert_eq!(&output.rejections, &expected.rejections);
            prop_assert_eq!(&output.dropped, &expected.dropped);
        }
    }

    #[test]
    fn any_text_and_pattern_pass_without_a_panic(text in any::<String>(), pattern in any::<String>()) {
        let pattern = serde_json::Value::String(pattern);
        let config = rule(&format!(
            r#"{{"regex": {{"column": "t", "pattern": {pattern}}}}}, {{"length": {{"column": "t", "max": 3}}}},
               {{"enum": {{"column": "t", "values": [""]}}}}"#,
        ));
        let _ = testing::run::<Validate>(&config, vec![Column::texts("t", [Some(text)])]);
    }
}
