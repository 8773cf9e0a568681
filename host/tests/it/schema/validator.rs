//! A value held against a JSON Schema, as editors do it: as much of draft 7 as schemas of clickmill use. What it
//! does not know it does not pass over.

use regex::Regex;
use serde_json::{Map, Value as Json};

/// All in which a value is not as its schema wants it, each with its place.
pub(crate) fn errors(root: &Json, value: &Json) -> Vec<String> {
    let mut found = Vec::new();
    check(root, root, value, "", &mut found);
    found
}

fn fits(root: &Json, schema: &Json, value: &Json) -> bool {
    let mut found = Vec::new();
    check(root, schema, value, "", &mut found);
    found.is_empty()
}

fn check(root: &Json, schema: &Json, value: &Json, at: &str, found: &mut Vec<String>) {
    let schema = match schema {
        Json::Object(schema) => schema,
        Json::Bool(true) => return,
        Json::Bool(false) => return found.push(format!("`{at}` is not to be there")),
        _ => panic!("no schema: {schema}"),
    };
    let mut wrong = |what: String| found.push(format!("`{at}` {what}"));
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "type" => {
                let kinds =
                    wanted.as_array().map_or_else(|| vec![wanted], |all| all.iter().collect());
                if !kinds.iter().any(|kind| is_of(value, kind.as_str().unwrap())) {
                    wrong(format!("is {value}, wanted {wanted}"));
                }
            }
            "const" if value != wanted => wrong(format!("is {value}, wanted {wanted}")),
            "enum" if !wanted.as_array().unwrap().contains(value) => {
                wrong(format!("is {value}, wanted one of {wanted}"));
            }
            "minimum" if value.as_f64().is_some_and(|number| number < wanted.as_f64().unwrap()) => {
                wrong(format!("is {value}, wanted at least {wanted}"));
            }
            "maximum" if value.as_f64().is_some_and(|number| number > wanted.as_f64().unwrap()) => {
                wrong(format!("is {value}, wanted at most {wanted}"));
            }
            "pattern" => {
                let pattern = Regex::new(wanted.as_str().unwrap()).unwrap();
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    wrong(format!("is {value}, wanted {wanted}"));
                }
            }
            "maxItems"
                if value
                    .as_array()
                    .is_some_and(|all| all.len() as u64 > wanted.as_u64().unwrap()) =>
            {
                wrong(format!("has more than {wanted}"));
            }
            "uniqueItems" => {
                let all = value.as_array().into_iter().flatten().enumerate();
                let mut again =
                    all.filter(|(n, item)| value.as_array().unwrap()[..*n].contains(item));
                if again.next().is_some() {
                    wrong("has something twice".to_owned());
                }
            }
            "required" => {
                let keys = wanted.as_array().unwrap().iter().map(|key| key.as_str().unwrap());
                let missing =
                    keys.filter(|key| value.as_object().is_some_and(|o| !o.contains_key(*key)));
                missing.for_each(|key| wrong(format!("has no `{key}`")));
            }
            "propertyNames" => {
                let names = value.as_object().into_iter().flat_map(Map::keys);
                let mut names = names.map(|name| Json::from(name.as_str()));
                if let Some(name) = names.find(|name| !fits(root, wanted, name)) {
                    wrong(format!("has the key {name}"));
                }
            }
            "anyOf" if !wanted.as_array().unwrap().iter().any(|form| fits(root, form, value)) => {
                wrong(format!("is of no form: {value}"));
            }
            "not" if fits(root, wanted, value) => wrong(format!("is {value}")),
            "const"
            | "enum"
            | "minimum"
            | "maximum"
            | "maxItems"
            | "anyOf"
            | "not"
            | "$ref"
            | "allOf"
            | "if"
            | "then"
            | "else"
            | "properties"
            | "additionalProperties"
            | "items" => {}
            "$schema" | "title" | "description" | "default" | "format" | "definitions"
            | "$defs" => {}
            _ => panic!("what is `{keyword}`? {wanted}"),
        }
    }
    if let Some(to) = schema.get("$ref") {
        assert_eq!(schema.len(), 1, "draft 7 has nothing beside `$ref`: {schema:?}");
        let pointer = to.as_str().unwrap().strip_prefix('#').expect("a place in the schema itself");
        check(root, root.pointer(pointer).expect("what is referred to"), value, at, found);
    }
    for form in schema.get("allOf").and_then(Json::as_array).into_iter().flatten() {
        check(root, form, value, at, found);
    }
    if let Some(condition) = schema.get("if") {
        let branch = if fits(root, condition, value) { "then" } else { "else" };
        if let Some(branch) = schema.get(branch) {
            check(root, branch, value, at, found);
        }
    }
    if let Json::Object(object) = value {
        let properties = schema.get("properties");
        for (key, value) in object {
            let at = format!("{at}/{key}");
            match (properties.and_then(|all| all.get(key)), schema.get("additionalProperties")) {
                (Some(schema), _) | (None, Some(schema)) => check(root, schema, value, &at, found),
                (None, None) => {}
            }
        }
    }
    if let (Json::Array(list), Some(items)) = (value, schema.get("items")) {
        for (n, value) in list.iter().enumerate() {
            check(root, items, value, &format!("{at}/{n}"), found);
        }
    }
}

fn is_of(value: &Json, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        _ => panic!("what is a `{kind}`?"),
    }
}

#[test]
fn a_value_is_held_against_all_that_a_schema_says() {
    let check = |schema: Json, fine: &[Json], wrong: &[Json]| {
        for value in fine {
            assert_eq!(errors(&schema, value), Vec::<String>::new(), "{schema}: {value}");
        }
        for value in wrong {
            assert_ne!(errors(&schema, value), Vec::<String>::new(), "{schema}: {value}");
        }
    };
    use serde_json::json;
    check(
        json!({ "type": "integer", "minimum": 1, "maximum": 3 }),
        &[json!(1), json!(3)],
        &[json!(0), json!(4), json!(1.5), json!("1")],
    );
    check(
        json!({ "type": ["string", "array"], "pattern": "^a" }),
        &[json!("ab"), json!([1])],
        &[json!("b"), json!(1)],
    );
    check(
        json!({ "anyOf": [{ "const": "a" }, { "enum": ["b", 7] }] }),
        &[json!("a"), json!(7)],
        &[json!("c")],
    );
    check(json!({ "not": { "const": 1 } }), &[json!(2)], &[json!(1)]);
    check(
        json!({ "uniqueItems": true, "maxItems": 2 }),
        &[json!([1, 2])],
        &[json!([1, 1]), json!([1, 2, 3])],
    );
    check(
        json!({ "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false }),
        &[json!({ "a": "" }), json!(7)],
        &[json!({}), json!({ "a": 1 }), json!({ "a": "", "b": 1 })],
    );
    check(
        json!({ "propertyNames": { "pattern": "^a$" } }),
        &[json!({ "a": 1 })],
        &[json!({ "b": 1 })],
    );
    check(
        json!({ "items": { "$ref": "#/definitions/X" }, "definitions": { "X": { "type": "null" } } }),
        &[json!([null])],
        &[json!([1])],
    );
    check(
        json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] }, "else": { "required": ["c"] } }),
        &[json!({ "a": 1, "b": 1 }), json!({ "c": 1 })],
        &[json!({ "a": 1, "c": 1 }), json!({})],
    );
    check(
        json!({ "allOf": [{ "minimum": 1 }, { "maximum": 1 }] }),
        &[json!(1)],
        &[json!(0), json!(2)],
    );
    check(
        json!({ "additionalProperties": { "type": "string" } }),
        &[json!({ "a": "" })],
        &[json!({ "a": 1 })],
    );
    check(json!(false), &[], &[json!(1)]);
}
