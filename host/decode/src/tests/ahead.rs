//! Lines of which each opens a quote that leads nowhere, or has quotes that are not in order themselves: each is
//! refused by itself, and what is behind it is looked at once.

use proptest::prelude::*;

use super::line_ends::records_of_blocks;
use super::*;

/// Where each of them were followed to its end, this would take hours.
#[test]
fn csv_lines_that_each_open_a_quote_cost_as_much_as_others() {
    let long = format!("{}\";\";\n", "a".repeat(300));
    for (line, count, end) in [
        ("a\";\";\n", 200_000, ""),
        ("a\";\";\n", 200_000, "b\"d\n"),
        ("a\";\"\\\"\";\n", 100_000, ""),
        ("a\";\"\\\"\";\n", 100_000, "b\"\n"),
        (&long, 20_000, "b\"d\n"),
        (&long, 20_000, ""),
    ] {
        let text = format!("a;b\n{}{end}", line.repeat(count));
        let found = records_of_blocks(&csv_format(1 << 20), 8192, BLOCK_BYTES, text.as_bytes());
        let refused = found.iter().filter(|record| record.fields.is_err()).count();
        assert!(refused + 2 > count, "{line:?} {end:?}: {refused} of {}", found.len());
    }
}

/// Where the parser went on behind each of them, this would take hours.
#[test]
fn csv_lines_whose_own_quotes_are_not_in_order_cost_as_much_as_others() {
    let long = format!("\"a\"b;\"c{}\n", "z".repeat(300));
    for escape in [None, Some(b'"'), Some(b'^')] {
        let dialect = Dialect { delimiter: Some(b';'), escape, ..Dialect::default() };
        let format = Format::Csv { dialect, max_record_bytes: 1 << 20 };
        for (lines, count, refused, rows) in [
            ("\"a\"b;\"c\n", 200_000, 1, 0),
            ("1;\"a\"b\";\"c\n", 200_000, 1, 0),
            (&long, 20_000, 1, 0),
            // Between rows that are fine, and behind a line that is not.
            ("1;2\n\"a\"b;\"c\n", 100_000, 1, 1),
            ("1;\"TV 55\" wide\"\n2;\"Monitor 24\"\" flat;\"\n", 50_000, 1, 1),
            ("1;\"x\ny\"z;\"w\n", 100_000, 2, 0),
            ("1;\"q\n\"a\"b;\"c\n", 100_000, 2, 0),
        ] {
            let text = format!("a;b\n{}", lines.repeat(count));
            let found = records_of_blocks(&format, 8192, BLOCK_BYTES, text.as_bytes());
            let bad = found.iter().filter(|record| record.fields.is_err()).count();
            let wanted = (refused * count, (refused + rows) * count);
            assert_eq!((bad, found.len()), wanted, "{lines:?}, {escape:?}");
        }
    }
}

/// Where each were read with all behind it, this would take hours.
#[test]
fn csv_lines_that_each_end_in_a_backslash_cost_as_much_as_others() {
    for (line, rows) in [("a\\\n", 0), ("1;C:\\a\\\n", 50_000), ("a;\"b\\\n", 0)] {
        let text = format!("a;b\n{}1;2\n", line.repeat(50_000));
        let found = records_of_blocks(&csv_format(1 << 20), 8192, BLOCK_BYTES, text.as_bytes());
        let read = found.iter().filter(|record| record.fields.is_ok()).count();
        assert!((rows..=rows + 1).contains(&read), "{line:?}: {read} of {}", found.len());
    }
}

proptest! {
    /// What follows what is refused is read as if nothing stood before it.
    #[test]
    fn csv_lines_after_one_that_is_refused_are_read_as_from_there(
        text in proptest::collection::vec(
            prop_oneof![
                Just(";"), Just("\""), Just("\n"), Just("a"), Just("\\"),
                Just("a;\";\"\n"), Just("\"\n"), Just("\\\"\n"), Just("a;b\n"),
                Just("\"a\"b;\"c\n"), Just("1;\"a\"b\";\"c\"\n"), Just("y\"z;\"w\n"), Just("^"),
            ],
            0..40,
        ),
        escape in prop_oneof![Just(None), Just(Some(b'"')), Just(Some(b'^'))],
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        max_record_bytes in 3_usize..60,
        block_bytes in 1_usize..100,
    ) {
        let dialect = Dialect { delimiter: Some(b';'), escape, ..Dialect::default() };
        let format = Format::Csv { dialect, max_record_bytes };
        let text = format!("a;b\n{}", text.concat());
        let written = text.replace('\n', end);
        let all = records_of_blocks(&format, 1000, block_bytes, written.as_bytes());
        for (at, refused) in all.iter().enumerate() {
            if !refused.fields.as_ref().is_err_and(|reason| reason.code == "unbalanced_quote") {
                continue;
            }
            // Where a backslash may escape, it has more lines than one.
            let last = refused.line + String::from_utf8_lossy(&refused.payload).matches(end).count() as u64;
            let rest: String = text.split_inclusive('\n').skip(last as usize).collect();
            let rest = format!("a;b\n{rest}").replace('\n', end);
            let wanted = records_of_blocks(&format, 1000, BLOCK_BYTES, rest.as_bytes());
            let found = all[at + 1..].iter();
            let told = |record: &Record, before: u64| {
                (record.line - before, record.fields.clone(), record.payload.clone())
            };
            let found: Vec<_> = found.map(|record| told(record, last - 1)).collect();
            let wanted: Vec<_> = wanted.iter().map(|record| told(record, 0)).collect();
            prop_assert_eq!(found, wanted, "after line {} of {:?}", last, text);
        }
    }
}
