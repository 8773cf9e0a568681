use arrow::datatypes::{DataType, Field, TimeUnit};

use super::*;

#[test]
fn every_shipped_schema_parses_and_is_documented() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        let name = path.to_string_lossy();
        if name.ends_with(".json") && !name.ends_with(".table.json") {
            let schema = TableSchema::read(&path).expect("a schema");
            let again = TableSchema::of_arrow(&schema.arrow(), &path).expect("known types");
            assert_eq!(again.arrow(), schema.arrow());
            for column in &schema.columns {
                assert!(column.description.is_some(), "{}: {}", path.display(), column.name);
            }
            count += 1;
        }
    }
    assert!(count >= 4);
}

#[test]
fn what_is_no_file_is_no_schema() {
    let read = TableSchema::read(Path::new("/dev/null"));
    assert!(matches!(read, Err(SchemaError::Read { .. })), "{read:?}");
}

#[test]
fn a_record_with_a_sensitive_field_is_sensitive() {
    let text = r#"[
        {"name": "plain", "type": "STRING"},
        {"name": "user", "type": "RECORD", "fields": [
            {"name": "id", "type": "STRING", "policyTags": {"names": ["pseudonym"]}}
        ]}
    ]"#;
    let schema = TableSchema::parse(text, Path::new("t.json")).expect("a schema");
    let sensitive: Vec<bool> = schema.columns.iter().map(Column::is_sensitive).collect();
    assert_eq!(sensitive, [false, true]);
}

#[test]
fn a_column_named_twice_is_told() {
    let text = r#"[{"name": "a", "type": "STRING"}, {"name": "a", "type": "DATE"}]"#;
    let error = TableSchema::parse(text, Path::new("t.json")).expect_err("twice");
    assert_eq!(error.to_string(), "table schema `t.json` names column `a` twice");
}

#[test]
fn nested_repeated_and_exact_columns_have_their_arrow_types() {
    let text = r#"[
        {"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "price", "type": "NUMERIC", "mode": "REQUIRED"},
            {"name": "tags", "type": "STRING", "mode": "REPEATED"},
            {"name": "at", "type": "STRUCT", "fields": [{"name": "on", "type": "DATETIME"}]}
        ]},
        {"name": "raw", "type": "JSON"},
        {"name": "all", "type": "JSON", "mode": "REPEATED"},
        {"name": "total", "type": "DECIMAL"},
        {"name": "opens", "type": "TIME"}
    ]"#;
    let schema = TableSchema::parse(text, Path::new("t.json")).expect("a schema");
    let json =
        |name, nullable| Field::new(name, DataType::Utf8, nullable).with_metadata(json_metadata());
    let at = vec![Field::new("on", datetime_type(), true)];
    let item = DataType::Struct(
        vec![
            Field::new("price", DataType::Decimal128(38, 9), false),
            Field::new_list("tags", Field::new("item", DataType::Utf8, false), false),
            Field::new("at", DataType::Struct(at.into()), true),
        ]
        .into(),
    );
    let wanted = Schema::new(vec![
        Field::new_list("items", Field::new("item", item, false), false),
        json("raw", true),
        Field::new_list("all", json("item", false), false),
        Field::new("total", DataType::Decimal128(38, 9), true),
        Field::new("opens", DataType::Time64(TimeUnit::Microsecond), true),
    ]);
    assert_eq!(*schema.arrow(), wanted);
    let again = TableSchema::of_arrow(&wanted, Path::new("t.json")).expect("known types");
    assert_eq!(*again.arrow(), wanted);
    let paths: Vec<String> =
        schema.all_columns().iter().map(|(path, _)| path.to_string()).collect();
    let wanted = ["items", "items.price", "items.tags", "items.at", "items.at.on", "raw"];
    assert_eq!(paths[..6], wanted);
}

#[test]
fn what_tables_do_not_have_is_refused_by_its_path_with_what_to_use() {
    let refused = |text: &str| {
        TableSchema::parse(text, Path::new("t.json")).expect_err("refused").to_string()
    };
    let of = |kind: &str| {
        format!(
            r#"[{{"name": "a", "type": "RECORD", "fields": [{{"name": "b", "type": "{kind}"}}]}}]"#
        )
    };
    for (kind, instead) in [
        ("BIGNUMERIC", "NUMERIC"),
        ("bigdecimal", "NUMERIC"),
        ("GEOGRAPHY", "STRING"),
        ("INTERVAL", "INTEGER"),
        ("RANGE", "two columns"),
    ] {
        let said = refused(&of(kind));
        let begins = format!(
            "table schema `t.json`: column `a.b` is {}, which tables do not have here: use {instead}",
            kind.to_uppercase()
        );
        assert!(said.starts_with(&begins), "{said}");
    }
    let twice = r#"[{"name": "a", "type": "RECORD", "fields": [
        {"name": "b", "type": "DATE"}, {"name": "b", "type": "TIME"}
    ]}]"#;
    assert_eq!(refused(twice), "table schema `t.json` names column `a.b` twice");
    for (column, why) in [
        (r#"{"name": "", "type": "DATE"}"#, "has no name"),
        (r#"{"name": "a.b", "type": "DATE"}"#, "has a dot in its name"),
        (
            r#"{"name": "userId", "type": "DATE"}, {"name": "userid", "type": "DATE"}"#,
            "`userid` differs from `userId` in capitals alone",
        ),
        (
            r#"{"name": "_PartitionTime", "type": "DATE"}"#,
            "begins with `_PARTITION`, which BigQuery keeps",
        ),
        (r#"{"name": "price ($)", "type": "DATE"}"#, "has `(` in its name"),
        (r#"{"name": "a\nb", "type": "DATE"}"#, r"has `\n` in its name"),
        (r#"{"name": "a", "type": "RECORD"}"#, "is a RECORD and has no `fields`"),
        (
            r#"{"name": "a", "type": "DATE", "fields": [{"name": "b", "type": "DATE"}]}"#,
            "has `fields` and is not a RECORD",
        ),
    ] {
        let said = refused(&format!("[{column}]"));
        assert!(said.contains(why), "{said}");
    }
    let long = format!(r#"[{{"name": "{}", "type": "DATE"}}]"#, "n".repeat(301));
    assert!(refused(&long).contains("has a name of 301 bytes, at most 300 are allowed"));
}

#[test]
fn records_are_as_deep_and_as_many_as_bigquery_takes() {
    let deep = |records: usize| {
        let mut text = r#"{"name": "x", "type": "DATE"}"#.to_owned();
        for _ in 0..records {
            text = format!(r#"{{"name": "r", "type": "RECORD", "fields": [{text}]}}"#);
        }
        TableSchema::parse(&format!("[{text}]"), Path::new("t.json"))
    };
    assert!(deep(15).is_ok());
    let error = deep(16).expect_err("too deep").to_string();
    assert!(error.ends_with("is deeper than 15 records, the most that BigQuery takes"), "{error}");
    let many = |columns: usize| {
        let columns = (1..columns).map(|at| format!(r#"{{"name": "c{at}", "type": "DATE"}}"#));
        let columns: Vec<_> = columns.collect();
        let text =
            format!(r#"[{{"name": "r", "type": "RECORD", "fields": [{}]}}]"#, columns.join(","));
        TableSchema::parse(&text, Path::new("t.json"))
    };
    assert!(many(10_000).is_ok());
    let error = many(10_001).expect_err("too many").to_string();
    let wanted = "table schema `t.json` has 10001 columns with all fields of records, at most 10000 are allowed";
    assert_eq!(error, wanted);
}
