//! Lists and records, several events in a message, and messages that are packed.

use clickmill_plugin::{Column, testing};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::readme::rows;
use super::{problems, run};

fn messages(rows: &[&str]) -> Vec<Column> {
    vec![Column::texts("payload", rows.iter().map(|row| Some(*row)))]
}

fn config(columns: &Value, more: &Value) -> Value {
    let mut config = json!({"format": "json", "columns": columns});
    for (key, value) in more.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    config
}

fn items() -> Value {
    json!([
        {"name": "id", "type": "text"},
        {"name": "items", "type": "record", "repeated": true, "fields": [
            {"name": "price", "type": "decimal"},
            {"name": "sizes", "type": "int64", "repeated": true},
            {"name": "at", "type": "record", "fields": [
                {"name": "shelf", "type": "text", "required": true},
            ]},
        ]},
    ])
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    for (message, code, place) in [
        (r#"{"items":[{"price":1},{"price":"x"}]}"#, "not_a_number", "items[1].price"),
        (r#"{"items":[{"price":true}]}"#, "wrong_type", "items[0].price"),
        (r#"{"items":[{"price":[1]}]}"#, "wrong_type", "items[0].price"),
        (r#"{"items":[{"price":1e30}]}"#, "not_a_number", "items[0].price"),
        (r#"{"items":[{},{},{"sizes":[1,2.5]}]}"#, "not_an_integer", "items[2].sizes[1]"),
        (r#"{"items":[{"sizes":[null]}]}"#, "required", "items[0].sizes[0]"),
        (r#"{"items":[{"sizes":7}]}"#, "wrong_type", "items[0].sizes"),
        (r#"{"items":[{"at":{}}]}"#, "required", "items[0].at.shelf"),
        (r#"{"items":[{"at":"here"}]}"#, "wrong_type", "items[0].at"),
        (r#"{"items":[7]}"#, "wrong_type", "items[0]"),
        (r#"{"items":[null]}"#, "required", "items[0]"),
        (r#"{"items":"hat"}"#, "wrong_type", "items"),
    ] {
        let output = run(&config(&items(), &json!({})), messages(&[message, "{}"]));
        let told = json!({"rejected": code, "column": place});
        assert_eq!(rows(&output), [told, json!({"items": []})], "{message}");
    }
}

#[test]
fn what_is_no_json_is_told_with_its_place_too() {
    for (message, code, place, told) in [
        (r#"{"items":[{},{"price":NaN}]}"#, "not_json", "items[1].price", ", in `items[1].price`"),
        (r#"{"items":[{"at":{"shelf":"\ud800x"}}]}"#, "not_json", "items[0].at.shelf", "surrogate"),
        (r#"{"items":[{"sizes":[1,01]}]}"#, "not_json", "items[0].sizes[1]", "`items[0].sizes[1]`"),
        (r#"{"items":[{"price":[[1]]}]}"#, "too_deep", "items[0].price", "limit 4, in `items[0]"),
        (r#"{"items":[{"price":"ada":1}]}"#, "not_json", "items[0].price", ", in `items[0].price`"),
        (r#"{"id":"1","i\u0064":"2"}"#, "duplicate_field", "id", "is there twice"),
        (r#"{"items":[],"items":[]}"#, "duplicate_field", "items", "is there twice"),
    ] {
        let output = run(&config(&items(), &json!({"max_depth": 4})), messages(&[message]));
        assert_eq!(rows(&output), [json!({"rejected": code, "column": place})], "{message}");
        let message = &output.rejections[0].message;
        assert!(message.contains(told), "{message}");
    }
    // In an object that no column is of there is a place, and no column.
    let output = run(&config(&items(), &json!({})), messages(&[r#"{"x":{"y":NaN}}"#]));
    assert_eq!(rows(&output), [json!({"rejected": "not_json"})]);
    assert!(output.rejections[0].message.ends_with(", in `x.y`"), "{:?}", output.rejections);
}

#[test]
fn what_stands_in_the_place_of_an_object_around_an_array_is_told() {
    let columns = json!([
        {"name": "n", "type": "int64"},
        {"name": "id", "type": "text"},
        {"name": "user", "type": "record", "fields": [{"name": "id", "type": "text"}]},
        {"name": "tags", "type": "text", "repeated": true},
    ]);
    let envelope = json!({"id": "context.id", "user": "context.user", "tags": "context.tags"});
    let more = json!({"explode": "events", "envelope": envelope, "unknown": "keep"});
    let one = |context: &str, more: &Value| {
        let message = format!(r#"{{"context":{context},"events":[{{"n":1}}]}}"#);
        rows(&run(&config(&columns, more), messages(&[&message]))).remove(0)
    };
    let none = json!({"n": 1, "tags": []});
    for context in [r#""x""#, "7", "[]", r#"["a"]"#, "true"] {
        let told = json!({"rejected": "wrong_type", "column": "id"});
        assert_eq!(one(context, &more), told, "{context}");
    }
    for context in ["null", "{}", r#""""#] {
        assert_eq!(one(context, &more), none, "{context}");
    }
    let mut null = more.clone();
    null["unreadable"] = json!("null");
    testing::take_log();
    // A list is refused all the same: an empty one would say that there is nothing.
    assert_eq!(one("7", &null), json!({"rejected": "wrong_type", "column": "tags"}));
    // Of two that are there twice, one is around the array and one is an element's.
    let message = r#"{"context":{"user":1,"user":2},"events":[{"n":1,"n":2}]}"#;
    let output = run(&config(&columns, &more), messages(&[message]));
    assert_eq!(rows(&output), [json!({"rejected": "duplicate_field", "column": "user"})]);
    let message = r#"{"events":[{"n":1},{"n":2,"n":NaN}]}"#;
    let output = run(&config(&columns, &more), messages(&[message]));
    assert_eq!(rows(&output), [json!({"rejected": "not_json", "column": "n"})]);
    assert!(output.rejections[0].message.ends_with(", in `events[1].n`"));
}

#[test]
fn what_an_element_has_as_nothing_is_taken_from_around_the_array() {
    let columns = json!([
        {"name": "user", "type": "text", "required": true}, {"name": "n", "type": "int64"},
    ]);
    let made = |user: &str, empty_is_null: bool| {
        let envelope = json!({"user": "context.user", "n": "context.n"});
        let more =
            json!({"explode": "events", "envelope": envelope, "empty_is_null": empty_is_null});
        let context = r#"{"user":"around","n":1}"#;
        let message = format!(r#"{{"events":[{{"user":{user},"n":null}}],"context":{context}}}"#);
        rows(&run(&config(&columns, &more), messages(&[&message]))).remove(0)
    };
    assert_eq!(made(r#""""#, true), json!({"user": "around", "n": 1}));
    assert_eq!(made("null", true), json!({"user": "around", "n": 1}));
    assert_eq!(made(r#"" ""#, true), json!({"user": " ", "n": 1}));
    assert_eq!(made("null", false), json!({"user": "around", "n": 1}));
    let refused = made(r#""""#, false);
    assert_eq!(refused["rejected"], "required", "{refused}");
    // What is around says nothing either.
    let more = json!({"explode": "events", "envelope": {"user": "who"}});
    let message = r#"{"events":[{"user":null,"n":2}],"who":null}"#;
    let output = run(&config(&columns, &more), messages(&[message]));
    assert_eq!(rows(&output)[0]["rejected"], "required");
}

#[test]
fn an_array_in_the_place_of_an_object_is_no_list_below_it() {
    let columns = json!([
        {"name": "tags", "type": "text", "repeated": true, "from": "geo.tags"},
        {"name": "params", "type": "record", "entries": {"key": "k", "value": "v"},
            "from": "ga.params", "fields": [{"name": "a", "type": "text"}]},
    ]);
    for (message, place) in
        [(r#"{"geo":["a","b"]}"#, "tags"), (r#"{"ga":[{"k":"a","v":"x"}]}"#, "params")]
    {
        let output = run(&config(&columns, &json!({})), messages(&[message]));
        assert_eq!(rows(&output), [json!({"rejected": "wrong_type", "column": place})]);
    }
}

#[test]
fn a_null_record_has_null_fields_and_requires_nothing() {
    let output = run(
        &config(&items(), &json!({})),
        messages(&[r#"{"items":[{"at":null},{"at":{"shelf":"a"}},{}]}"#]),
    );
    assert_eq!(
        rows(&output),
        [json!({"items": [
            {"sizes": []}, {"sizes": [], "at": {"shelf": "a"}}, {"sizes": []},
        ]})]
    );
}

#[test]
fn unreadable_fields_are_null_and_counted_by_path_but_elements_are_not() {
    let message = r#"{"items":[{"price":"x"},{"price":"y"},{"price":1}]}"#;
    let more = json!({"unreadable": "null"});
    testing::take_log();
    let output = run(&config(&items(), &more), messages(&[message]));
    assert_eq!(
        rows(&output),
        [json!({"items": [{"sizes": []}, {"sizes": []}, {"price": "1", "sizes": []}]})]
    );
    assert_eq!(testing::take_log(), ["unreadable: 2 items.price"]);
    let output = run(&config(&items(), &more), messages(&[r#"{"items":[{"sizes":["x"]}]}"#]));
    assert_eq!(
        rows(&output),
        [json!({"rejected": "not_an_integer", "column": "items[0].sizes[0]"})]
    );
}

#[test]
fn keys_of_records_are_unknown_or_twice_as_those_of_messages_are() {
    let columns = items();
    for (more, message, wanted) in [
        (
            json!({"unknown": "refuse"}),
            r#"{"items":[{"x":1}]}"#,
            json!({"rejected": "unknown_field"}),
        ),
        (
            json!({}),
            r#"{"items":[{"price":1,"price":2}]}"#,
            json!({"rejected": "duplicate_field", "column": "items[0].price"}),
        ),
        (
            json!({"duplicates": "last"}),
            r#"{"items":[{"price":1,"pric\u0065":2}]}"#,
            json!({"items": [{"price": "2", "sizes": []}]}),
        ),
        (
            json!({"duplicates": "first"}),
            r#"{"items":[{"price":1,"price":2}]}"#,
            json!({"items": [{"price": "1", "sizes": []}]}),
        ),
        (
            json!({"unknown": "keep"}),
            r#"{"a":1,"items":[{"x":{"y":2}}]}"#,
            json!({"items": [{"sizes": []}], "unknown_fields": r#"{"a":1,"items[0].x":{"y":2}}"#}),
        ),
    ] {
        let output = run(&config(&columns, &more), messages(&[message]));
        assert_eq!(rows(&output), [wanted], "{more} {message}");
    }
}

#[test]
fn keys_around_an_array_are_kept_or_refused_too() {
    let columns = json!([{"name": "n", "type": "int64"}, {"name": "who", "type": "text"}]);
    let of = |unknown: &str| json!({"unknown": unknown, "explode": "events", "envelope": {"who": "who"}});
    let message = r#"{"who":"me","v":1,"events":[{"n":1},{"n":2,"x":3}]}"#;
    let output = run(&config(&columns, &of("keep")), messages(&[message]));
    assert_eq!(output.came_from, Some(vec![0, 0]));
    assert_eq!(
        rows(&output),
        [
            json!({"n": 1, "who": "me", "unknown_fields": r#"{"envelope":{"v":1}}"#}),
            json!({"n": 2, "who": "me", "unknown_fields": r#"{"x":3,"envelope":{"v":1}}"#}),
        ]
    );
    let output = run(&config(&columns, &of("refuse")), messages(&[message]));
    assert_eq!(rows(&output), [json!({"rejected": "unknown_field"})]);
}

#[test]
fn a_message_that_cannot_be_taken_apart_is_one_row() {
    let columns = json!([{"name": "n", "type": "int64", "required": true}]);
    let texts = [
        Some(r#"{"events":[{"n":1},{"n":2}]}"#),
        Some(r#"{"events":["#),
        None,
        Some(r#"{"events":{"n":1}}"#),
        Some("[]"),
        Some(r#"{"events":[{"n":3},[]]}"#),
    ];
    let explode = json!({"explode": "events"});
    let output = run(&config(&columns, &explode), vec![Column::texts("payload", texts)]);
    assert_eq!(output.came_from, Some(vec![0, 0, 1, 2, 3, 4, 5, 5]));
    let wanted = ["not_json", "not_json", "wrong_type", "not_an_object", "not_an_object"];
    let mut refused = output.rejections.clone();
    refused.sort_by_key(|rejection| rejection.row);
    let refused: Vec<(u32, &str)> = refused.iter().map(|r| (r.row, r.code.as_str())).collect();
    assert_eq!(refused, [2, 3, 4, 5, 7].into_iter().zip(wanted).collect::<Vec<_>>());
    let told = output.rejections.iter().find(|r| r.row == 7).map(|r| r.message.as_str());
    assert_eq!(
        told,
        Some(
            "`events[1]` is an array, wanted a JSON object: `explode = \".\"` makes a row of each element"
        )
    );
}

#[test]
fn lists_of_nothing_but_empty_records_are_read_like_others() {
    // More objects than are recorded: a third of the text begins one.
    let many = format!(r#"{{"items":[{}{{"at":{{"shelf":"a"}}}}]}}"#, "{},".repeat(1000));
    let few = r#"{"id":"1","items":[{"sizes":[1,2],"at":{"shelf":"b"}},{"price":3}]}"#;
    let mut wanted = vec![json!({"sizes": []}); 1000];
    wanted.push(json!({"sizes": [], "at": {"shelf": "a"}}));
    let (many_row, few_row) = (
        json!({"items": wanted}),
        json!({"id": "1", "items": [{"sizes": [1, 2], "at": {"shelf": "b"}}, {"price": "3", "sizes": []}]}),
    );
    let (texts, wanted) = ([&*many, few, &*many, few], [&many_row, &few_row, &many_row, &few_row]);
    for more in [json!({}), json!({"explode": "."})] {
        let output = run(&config(&items(), &more), messages(&texts));
        assert_eq!(rows(&output).iter().collect::<Vec<_>>(), wanted, "{more}");
    }
}

#[test]
fn a_record_may_have_paths_of_other_columns_in_it() {
    let columns = json!([
        {"name": "shelf", "type": "text", "from": "a.b.shelf"},
        {"name": "a", "type": "record", "fields": [
            {"name": "sizes", "type": "int64", "repeated": true},
            {"name": "b", "type": "record", "fields": [
                {"name": "shelf", "type": "text"},
                {"name": "sizes", "type": "int64", "repeated": true},
            ]},
        ]},
        {"name": "b", "type": "json", "from": "a.b"},
    ]);
    let message = r#"{"x": [[]], "a": {"sizes": [1], "y": [{}], "b": {"z": {}, "sizes": [2, 3], "shelf": "s"}}}"#;
    let b = r#"{"z": {}, "sizes": [2, 3], "shelf": "s"}"#;
    let row =
        json!({"shelf": "s", "a": {"sizes": [1], "b": {"shelf": "s", "sizes": [2, 3]}}, "b": b});
    let output = run(&config(&columns, &json!({})), messages(&[message, message]));
    assert_eq!(rows(&output), [row.clone(), row.clone()]);
    let list = format!("[{message}, {message}]");
    for (explode, text) in [(".", list.clone()), ("e.l", format!(r#"{{"e": {{"l": {list}}}}}"#))] {
        let output = run(&config(&columns, &json!({"explode": explode})), messages(&[&text]));
        assert_eq!(rows(&output), [row.clone(), row.clone()], "{explode}");
    }
}

#[test]
fn a_payload_that_grows_beyond_the_limit_is_refused() {
    let columns = json!([{"name": "n", "type": "text"}]);
    let packed = json!({"packed": ["base64"], "max_unpacked_bytes": 8});
    let output = run(
        &config(&columns, &packed),
        messages(&["eyJuIjoiIn0=", "eyJuIjoiIn0", "eyJuIjoiYWIifQ==", "gICA"]),
    );
    assert_eq!(
        rows(&output),
        [json!({}), json!({}), json!({"rejected": "too_large"}), json!({"rejected": "not_utf8"}),]
    );
}

#[test]
fn a_configuration_that_makes_no_sense_is_told_with_its_place() {
    let columns = json!([
        {"name": "a.b", "type": "text"},
        {"name": "r", "type": "record"},
        {"name": "t", "type": "text", "fields": [{"name": "x", "type": "text"}]},
        {"name": "l", "type": "text", "repeated": true, "required": true},
        {"name": "s", "type": "record", "repeated": true, "entries": {}, "fields": [
            {"name": "x", "type": "text", "from": "a.b"},
            {"name": "y", "type": "text", "from": "k"},
            {"name": "z", "type": "text", "from": "k"},
        ]},
    ]);
    assert_eq!(
        problems(&config(&columns, &json!({"envelope": {"q": "x"}})), &messages(&["{}"])),
        [
            "`columns[0].name` is `a.b`: a name has no dot",
            "`columns[1]` (`r`) is a record without `fields`",
            "`columns[2]` (`t`) has fields, which only a record takes",
            "`columns[3]` (`l`) is a list, which is empty where it is missing: it cannot be required",
            "`columns[4]` (`s`) has `entries`, which only a record takes that is no list",
            "`envelope` is for messages that `explode` takes apart",
            "`envelope.q` is no column of `columns`",
            "`columns[4].fields[0].from` is `a.b`: a field of a record is taken from a key of it, without dots",
            "`columns[4].fields` has `y` and `z` from the same key",
        ]
    );
    let csv =
        json!({"format": "csv", "columns": [{"name": "l", "type": "text", "repeated": true}]});
    let texts = [Column::texts("l", [Some("1")])];
    let told = "`columns[0]` (`l`) is a list or record, which a CSV has none of";
    assert_eq!(problems(&csv, &texts), [told]);
}

/// An item, as a message has it, and the row that it becomes.
fn item() -> impl Strategy<Value = (Value, Value)> {
    let price = prop::option::of((any::<i64>(), 0..10u32));
    (price, prop::collection::vec(any::<i64>(), 0..4), prop::option::of("[a-z\"é\\\\]{1,5}"))
        .prop_map(|(price, sizes, shelf)| {
            let (mut item, mut row) = (json!({"sizes": sizes}), json!({"sizes": sizes}));
            if let Some((digits, after)) = price {
                let decimal =
                    clickmill_plugin::Decimal::parse(format!("{digits}e-{after}").as_bytes());
                let decimal = decimal.expect("it has few digits").to_string();
                item["price"] = json!(decimal);
                row["price"] = json!(decimal);
            }
            if let Some(shelf) = shelf {
                item["at"] = json!({"shelf": shelf});
                row["at"] = json!({"shelf": shelf});
            }
            (item, row)
        })
}

proptest! {
    #[test]
    fn what_comes_nested_goes_nested(
        batch in prop::collection::vec(prop::collection::vec(item(), 0..5), 1..100)
    ) {
        let texts: Vec<String> = batch
            .iter()
            .map(|items| json!({"items": items.iter().map(|(item, _)| item).collect::<Vec<_>>()}))
            .map(|message| message.to_string())
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let wanted: Vec<Value> = batch
            .iter()
            .map(|items| json!({"items": items.iter().map(|(_, row)| row).collect::<Vec<_>>()}))
            .collect();
        let output = run(&config(&items(), &json!({})), messages(&texts));
        prop_assert_eq!(rows(&output), wanted);
    }
}
