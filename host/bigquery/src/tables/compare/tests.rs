use std::path::Path as File;

use serde_json::json;

use super::*;

const WANTED: &str = r#"[
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [
        {"name": "sku", "type": "STRING", "mode": "REQUIRED"},
        {"name": "price", "type": "NUMERIC", "description": "of \"one\""},
        {"name": "size", "type": "RECORD", "fields": [
            {"name": "cm", "type": "INTEGER"}, {"name": "tags", "type": "STRING", "mode": "REPEATED"}
        ]}
    ]},
    {"name": "record_index", "type": "INTEGER"}
]"#;

fn schema() -> TableSchema {
    TableSchema::parse(WANTED, File::new("t.json")).expect("a schema")
}

fn table() -> TableName {
    TableName { dataset: "d".to_owned(), table: "t".to_owned() }
}

fn found(fields: Json) -> Table {
    serde_json::from_value(json!({ "schema": { "fields": fields } })).expect("a table")
}

fn old() -> Json {
    json!([
        {"name": "id", "type": "STRING", "mode": "REQUIRED"},
        {"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "sku", "type": "STRING", "mode": "REQUIRED"},
            {"name": "size", "type": "RECORD", "mode": "NULLABLE", "fields": [
                {"name": "cm", "type": "INTEGER", "mode": "NULLABLE"}
            ]},
            {"name": "extra", "type": "STRING", "mode": "NULLABLE"}
        ]}
    ])
}

#[test]
fn a_table_gains_columns_and_fields_and_keeps_what_it_has() {
    let (changes, misfits) = compare(&table(), &schema(), &found(old()));
    assert_eq!(misfits, [""; 0]);
    let fields = ["items.price", "items.size.tags"].map(str::to_owned).to_vec();
    let column = Change::AddColumn {
        name: "record_index".to_owned(),
        sql: "ALTER TABLE `d`.`t` ADD COLUMN IF NOT EXISTS `record_index` INT64 OPTIONS(description=\"\")".to_owned(),
    };
    assert_eq!(changes, [Change::AddFields { column: "items".to_owned(), fields }, column]);
    let there = old();
    let there = there.as_array().expect("a list");
    let patched = with_fields_of(there, &schema().fields());
    let names = |fields: &Json| -> Vec<String> {
        let fields = fields.as_array().expect("a list");
        fields.iter().map(|field| field["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names(&patched[1]["fields"]), ["sku", "size", "extra", "price"]);
    assert_eq!(names(&patched[1]["fields"][1]["fields"]), ["cm", "tags"]);
}

#[test]
fn what_cannot_be_mended_is_told_by_its_path() {
    let mut other = old();
    other[1]["fields"][0]["type"] = json!("INTEGER");
    other[1]["fields"][1]["mode"] = json!("REPEATED");
    other[1]["fields"][2]["mode"] = json!("REQUIRED");
    let (_, misfits) = compare(&table(), &schema(), &found(other));
    let wanted = [
        "column `items.sku` is INTEGER, the rows have STRING",
        "column `items.size` is REPEATED, the rows have NULLABLE",
        "column `items.extra` is REQUIRED, the rows do not have it",
    ];
    assert_eq!(misfits, wanted);
    let mut less = old();
    less[1]["fields"].as_array_mut().expect("a list").remove(0);
    let (_, misfits) = compare(&table(), &schema(), &found(less));
    let wanted = "it has no column `items.sku`, which is REQUIRED and so can't be added: make the table anew";
    assert_eq!(misfits, [wanted]);
}

#[test]
fn a_record_is_added_with_its_fields() {
    let fields = schema().fields();
    let wanted = "ARRAY<STRUCT<`sku` STRING NOT NULL, `price` NUMERIC OPTIONS(description=\"of \\\"one\\\"\"), `size` STRUCT<`cm` INT64, `tags` ARRAY<STRING>>>>";
    assert_eq!(sql_type(&fields[1]), wanted);
}

#[test]
fn an_expiry_that_is_named_is_given_and_one_that_is_not_is_left() {
    let with = |options: Json| {
        let options = options.to_string();
        schema().with_options(&options, File::new("t.table.json")).expect("options")
    };
    let there = |partitions: Json, at: Json| -> Table {
        let fields = json!({ "fields": old() });
        let mut table = json!({ "schema": fields, "timePartitioning": partitions });
        if !at.is_null() {
            table["expirationTime"] = at;
        }
        serde_json::from_value(table).expect("a table")
    };
    let by_day = json!({ "type": "DAY", "field": "day", "expirationMs": "864000000" });
    let named = with(json!({ "timePartitioning": by_day, "expirationTime": "4102444800000" }));
    let says = |schema: &TableSchema, found: &Table| -> Vec<(String, Json)> {
        let changes = expiries(schema, found, &mut Vec::new()).into_iter();
        changes
            .map(|change| match change {
                Change::Expire { what, patch } => (what, patch),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    // None, another, the same; and by what a table is partitioned is its own affair.
    let table = "the table at 2100-01-01T00:00:00Z".to_owned();
    let at = json!({ "expirationTime": "4102444800000" });
    let partitions = json!({ "type": "HOUR", "field": "day", "expirationMs": "864000000" });
    for before in [json!(null), json!("3600000")] {
        let mut now = json!({ "type": "HOUR", "field": "day" });
        if !before.is_null() {
            now["expirationMs"] = before;
        }
        let patch = json!({ "timePartitioning": partitions });
        let wanted = [("partitions after 10 days".to_owned(), patch), (table.clone(), at.clone())];
        assert_eq!(says(&named, &there(now, json!(null))), wanted);
    }
    let same = there(partitions, at["expirationTime"].clone());
    assert!(says(&named, &same).is_empty());
    // What is over is not given.
    let past = with(json!({ "expirationTime": "1735689600000" }));
    let mut misfits = Vec::new();
    assert!(expiries(&past, &same, &mut misfits).is_empty());
    assert_eq!(misfits, ["its `expirationTime`, 2025-01-01T00:00:00Z, is over: name a later one"]);
    // A table that is not partitioned is not made so, and what somebody has set stays.
    assert_eq!(says(&named, &found(old())), [(table, at)]);
    assert!(says(&schema(), &same).is_empty());
    let odd = with(json!({ "timePartitioning": { "type": "DAY", "expirationMs": "90000" } }));
    let found = there(json!({ "type": "DAY" }), json!(null));
    let wanted = json!({ "timePartitioning": { "type": "DAY", "expirationMs": "90000" } });
    assert_eq!(says(&odd, &found), [("partitions after 90 s".to_owned(), wanted)]);
}
