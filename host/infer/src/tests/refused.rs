//! Records that a run refuses.

use super::*;

/// What is written runs as it is: the records that it refuses are told, and allowed where they are many.
#[test]
fn records_that_a_run_refuses_are_told_and_allowed() {
    let good = r#"{"a": 1}"#;
    for (bad, why) in [
        ("not json", "not JSON: expected ident at byte 2"),
        (r#"{"a": NaN}"#, "not JSON: expected value at byte 7"),
        (r#"{"a": 1},"#, "not JSON: trailing characters at byte 9"),
        (r#"{"a": "\ud83d"}"#, "not JSON: unexpected end of hex escape at byte 14"),
        ("null", "JSON, but no object"),
        (r#"["ada@example.com"]"#, "JSON, but no object"),
    ] {
        let told = format!(
            "1 record will be refused by `parse`, and be dead letters; the first, record 3 of those that were decoded, is {why}"
        );
        for (times, share) in [(1, "0.4"), (2, "0.2")] {
            let texts = [&[good, good, bad][..], &[good].repeat(times * 2 - 1)].concat();
            let made = proposal(&json(&texts)).expect("a pipeline");
            assert_eq!(made.told, [&*told], "{bad}");
            let file = &made.files[0].1;
            assert!(file.contains(&format!("\n# {told}.\n")), "{file}");
            assert!(file.contains(&format!("\nmax_rejected_share = {share}\n")), "{file}");
            let is_more = file.contains("of 4 records were, and with 0.2 nothing");
            assert_eq!(is_more, times == 1, "{file}");
        }
    }
    let rows = csv(vec!["id".to_owned()], &vec![vec!["1".to_owned()]; 6]);
    let first_malformed = "line 3 of `a.csv`, record has 2 fields, the header 1".to_owned();
    let about = About { malformed: 4, first_malformed, ..about() };
    let made = propose(&rows, &about).expect("a pipeline");
    let told = "4 records cannot be decoded, and will be dead letters; the first: line 3 of `a.csv`, record has 2 fields, the header 1";
    assert_eq!(made.told, [told]);
    let file = &made.files[0].1;
    assert!(file.contains(told) && file.contains("\nmax_rejected_share = 0.6\n"), "{file}");
}
