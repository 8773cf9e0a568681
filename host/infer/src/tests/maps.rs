//! Objects whose keys are values.

use super::*;

/// What is proposed of records, and what is told of them.
fn told(texts: Vec<String>) -> (String, String) {
    let proposal = proposal(&Records::Json(texts)).expect("a pipeline");
    let pipeline = proposal.files.into_iter().next().expect("a pipeline file").1;
    (pipeline, proposal.told.join("\n"))
}

fn columns(pipeline: &str) -> usize {
    let columns = pipeline.split("\ncolumns = [").nth(1).expect("columns");
    let columns = columns.split("\n]").next().unwrap_or_default();
    columns.matches("{ name = ").count()
}

#[test]
fn days_and_identifiers_name_no_fields() {
    for keys in [
        ["2026-01-05", "2026-01-06"],
        ["20260105", "20260106"],
        ["2026-01-05T10:00:00Z", "2026-01-05T11:00:00Z"],
        ["0f8fad5b-d9cb-469f-a165-70867728950e", "507f1f77bcf86cd799439011"],
    ] {
        let members = keys.map(|key| format!("\"{key}\": 5")).join(", ");
        let (pipeline, _) = told(vec![format!("{{\"id\": 1, \"metrics\": {{{members}}}}}"); 3]);
        assert!(pipeline.contains(r#"{ name = "metrics", type = "json" }"#), "{pipeline}");
        assert!(pipeline.contains("are values such as days"), "{pipeline}");
        // Those of the record itself are kept with what is unknown.
        let (pipeline, told) = told(vec![format!("{{\"id\": 1, {members}}}"); 3]);
        assert_eq!(columns(&pipeline), 1, "{pipeline}");
        assert!(told.starts_with("2 keys of the records are those of a map"), "{told}");
        assert!(pipeline.contains("# 2 keys of the records are those of a map"), "{pipeline}");
    }
    let (pipeline, _) = told(vec![r#"{"2024": 1, "2025": 2, "0": 3, "1": {"2024": 5}}"#.into()]);
    assert_eq!(columns(&pipeline), 5, "{pipeline}");
}

#[test]
fn keys_of_which_each_record_has_few_name_no_columns() {
    let records = |member: fn(usize) -> String| -> Vec<String> {
        let members = |at: usize| (at * 7..at * 7 + 5).map(member).collect::<Vec<_>>().join(", ");
        (0..60).map(|at| format!("{{\"id\": {at}, \"at\": \"x\", {}}}", members(at))).collect()
    };
    for member in [
        |at| format!("\"sku-{at}\": {at}"),
        |at| format!("\"sku-{at}\": \"x\""),
        |at| format!("\"{at}\": {{\"n\": 1}}"),
        |at| {
            let letter = |by: usize| char::from(b'a' + (at / by % 26) as u8);
            format!("\"of_{}{}\": 1.5", letter(26), letter(1))
        },
    ] as [fn(usize) -> String; 4]
    {
        let (pipeline, told) = told(records(member));
        assert_eq!(columns(&pipeline), 2, "{pipeline}");
        assert!(told.contains("300 keys of the records are those of a map"), "{told}");
    }
    // Nothing but the map is left.
    let only = (0..60).map(|at| format!("{{\"sku-{at}\": 1, \"sku-{}\": 2}}", at + 100));
    assert_eq!(columns(&told(only.collect()).0), 0);
}

#[test]
fn names_of_what_only_some_records_have_are_columns() {
    // Events of many types, each with names of its own.
    let event = |at: usize| {
        let letter = char::from(b'a' + (at % 26) as u8);
        format!("{{\"type\": \"{letter}\", \"{letter}_name\": \"x\", \"{letter}_count\": {at}}}")
    };
    let (pipeline, told) = told((0..260).map(event).collect());
    assert_eq!(columns(&pipeline), 53, "{pipeline}");
    assert_eq!(told, "");
}

#[test]
fn what_is_personal_in_a_map_is_removed() {
    let member = |at: usize| format!("{{\"at\": 1, \"u-{at}\": {{\"first_name\": \"Ada\"}}}}");
    let (pipeline, _) = told((0..60).map(member).collect());
    assert!(pipeline.contains("unknown_fields = \"remove\""), "{pipeline}");
    let text = r#"{"2026-01-05": {"first_name": "Ada"}, "2026-01-06": {"first_name": "Bo"}}"#;
    let why = proposed(&many(text, 3)).expect_err("nothing is left");
    assert!(why.contains("to_entries"), "{why}");
}
